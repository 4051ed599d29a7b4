// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {VmSafe} from "forge-std/Vm.sol";
import {IFilecoinPayDeals} from "../../src/interfaces/IFilecoinPayDeals.sol";
import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {DealsTest} from "../base/DealsTest.sol";
import {Published} from "../base/Published.sol";

/// @dev A cheatcode that this forge-std does not declare yet.
interface EvmVersions {
    function setEvmVersion(string calldata version) external;
}

/// @title DealsGasTest: what jobs cost that are paid from Filecoin Pay accounts, as {GasTest} measures it
contract DealsGasTest is DealsTest, Published {
    function setUp() public override {
        super.setUp();
        EvmVersions(address(vm)).setEvmVersion("prague");
        // The first job of this client in its lane.
        IFilecoinPayDeals.Order memory o = _unreviewedOrder(0);
        _take(o);
        vm.prank(provider.addr);
        market.submitResult(o.terms, _result());
        _payRail();
    }

    function _deployDeals(ILotaMarket at) internal override returns (IFilecoinPayDeals) {
        bytes memory arguments = abi.encode(at, CALLBACK_GAS, filecoinPay, address(dollar), EPOCH, GRACE);
        return IFilecoinPayDeals(_publish("FilecoinPayDeals", arguments));
    }

    function _note(string memory name) private {
        VmSafe.Gas memory last = vm.lastCallGas();
        vm.snapshotValue("granters", string.concat("FilecoinPayDeals: ", name), last.gasTotalUsed);
    }

    function test_Deals() external {
        IFilecoinPayDeals.Order memory o = _unreviewedOrder(1);
        _openOrder(o);
        _note("open, by the payer");
        vm.prank(provider.addr);
        deals.take{value: o.terms.collateral}(o);
        _note("take, on a rail that there is");
        vm.prank(provider.addr);
        market.submitResult(o.terms, _result());
        _note("the market's submitResult, with the callback");
        o = _unreviewedOrder(2);
        bytes memory signature = _signature(o);
        vm.prank(provider.addr);
        deals.openAndTake{value: o.terms.collateral}(o, "", signature);
        _note("openAndTake, on a rail that there is");
        o = _unreviewedOrder(3);
        vm.deal(stranger.addr, 10 ether);
        _openOrder(o);
        vm.prank(stranger.addr);
        deals.take{value: o.terms.collateral}(o);
        _note("take, the first of a pair");
    }
}
