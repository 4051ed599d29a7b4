// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Test, Vm} from "forge-std/Test.sol";
import {ILotaMarket} from "@lota/contracts/src/LotaClient.sol";
import {AskComputer} from "@lota/contracts/src/examples/AskComputer.sol";
import {Pipeline} from "@lota/contracts/src/examples/Pipeline.sol";
import {Dice} from "../src/Dice.sol";

contract DiceTest is Test {
    ILotaMarket private market;
    Dice private dice;
    address private player = makeAddr("player");
    address private provider = makeAddr("provider");

    function setUp() external {
        ILotaMarket.Settings memory settings = ILotaMarket.Settings({
            asset: address(0),
            quantum: 1 gwei,
            minWindow: 60,
            maxCallbackGas: 5_000_000,
            callbackReserve: 20_000,
            signatureGas: 200_000
        });
        market = ILotaMarket(deployCode("node_modules/@lota/contracts/abi/LotaMarket.json", abi.encode(settings)));
        dice = new Dice(market, "bafybeiprogram");
        vm.deal(player, 10 ether);
        vm.deal(provider, 10 ether);
        vm.prank(provider);
        market.deposit{value: 10 ether}(provider);
    }

    function _play() private returns (ILotaMarket.Terms memory terms, bytes memory spec) {
        vm.recordLogs();
        vm.prank(player);
        dice.play{value: 1 ether}("2d6");
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != ILotaMarket.JobOpened.selector) continue;
            (terms, spec) = abi.decode(logs[i].data, (ILotaMarket.Terms, bytes));
        }
    }

    function test_ThePlayerIsToldWhatWasThrown() external {
        (ILotaMarket.Terms memory terms, bytes memory spec) = _play();
        assertEq(terms.spec, sha256(spec));
        assertEq(vm.parseJsonString(string(spec), ".args[0]"), "2d6");
        vm.startPrank(provider);
        market.lock(terms);
        market.submitResult(terms, ILotaMarket.Result(keccak256("output"), 0, 1, "5 3"));
        assertEq(dice.thrown(player), "5 3");
        assertEq(market.balanceOf(provider), 11 ether);
    }

    function test_TheMoneyComesBackWhenNobodyThrows() external {
        (ILotaMarket.Terms memory terms,) = _play();
        vm.warp(terms.lockBy + 1);
        market.expire(terms);
        vm.prank(player);
        dice.withdraw();
        assertEq(player.balance, 10 ether);
    }

    /// @dev They come with the package, and compile here, too.
    function test_TheExamplesAreThere() external pure {
        assertGt(type(AskComputer).creationCode.length, 0);
        assertGt(type(Pipeline).creationCode.length, 0);
    }
}
