// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {Vm} from "forge-std/Vm.sol";
import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {Test} from "../base/Test.sol";

/// @title ClientTest: a market for client contracts, and who else is there
abstract contract ClientTest is Test {
    uint256 internal constant START = 1_800_000_000;
    uint32 internal constant MAX_CALLBACK_GAS = 5_000_000;

    ILotaMarket internal market;
    address internal provider = makeAddr("provider");
    address internal arbiter = makeAddr("arbiter");
    address internal asker = makeAddr("asker");
    address internal stranger = makeAddr("stranger");

    function setUp() public virtual {
        vm.warp(START);
        market = _market(address(0), 1 gwei);
        deal(asker, 1000 ether);
        deal(provider, 1000 ether);
        vm.prank(provider);
        market.deposit{value: 1000 ether}(provider);
    }

    function _market(address asset, uint64 quantum) internal returns (ILotaMarket) {
        ILotaMarket.Settings memory settings = ILotaMarket.Settings({
            asset: asset,
            quantum: quantum,
            minWindow: 60,
            maxCallbackGas: MAX_CALLBACK_GAS,
            callbackReserve: 20_000,
            signatureGas: 200_000
        });
        return ILotaMarket(deployCode("LotaMarket.sol:LotaMarket", abi.encode(settings)));
    }

    /// @dev The one job that was opened since vm.recordLogs(), as a node reads it.
    function _opened() internal returns (ILotaMarket.Terms memory terms, string memory spec) {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        uint256 found = 0;
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != ILotaMarket.JobOpened.selector) continue;
            bytes memory data;
            (terms, data) = abi.decode(logs[i].data, (ILotaMarket.Terms, bytes));
            spec = string(data);
            assertEq(logs[i].topics[1], market.jobIdOf(terms));
            ++found;
        }
        assertEq(found, 1, "opened jobs");
    }

    function _result(bytes memory printed) internal pure returns (ILotaMarket.Result memory) {
        return ILotaMarket.Result({output: keccak256("output"), exitCode: 0, fuelUsed: 1000, inlineData: printed});
    }

    function _run(ILotaMarket.Terms memory terms, ILotaMarket.Result memory result)
        internal
        returns (ILotaMarket.Receipt memory)
    {
        uint256 price = market.priceAt(terms, uint64(block.timestamp));
        _lock(terms);
        _submit(terms, result);
        return ILotaMarket.Receipt(provider, price, result);
    }

    function _submit(ILotaMarket.Terms memory terms, ILotaMarket.Result memory result) internal {
        vm.prank(provider);
        market.submitResult(terms, result);
    }

    function _lock(ILotaMarket.Terms memory terms) internal {
        vm.prank(provider);
        market.lock(terms);
    }

    function _assertEnded(ILotaMarket.Terms memory terms) internal view {
        assertEq(uint256(market.dealOf(market.jobIdOf(terms)).status), 0, "the deal is gone");
    }

    function _assertPending(ILotaMarket.Terms memory terms) internal view {
        assertTrue(market.dealOf(market.jobIdOf(terms)).callbackPending, "the callback is due");
    }
}
