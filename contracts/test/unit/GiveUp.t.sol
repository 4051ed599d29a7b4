// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {MarketTest} from "../base/MarketTest.sol";

contract GiveUpTest is MarketTest {
    function _call(ILotaMarket.Terms memory t) private pure returns (bytes memory) {
        return abi.encodeCall(ILotaMarket.giveUp, (t));
    }

    function test_RevertGiven_NoDealHasTheTerms() external {
        _expectUnknown(_terms());
        vm.prank(provider.addr);
        market.giveUp(_terms());
    }

    function test_RevertGiven_TheDealIsInAnotherState() external {
        _onlyIn(_list(ILotaMarket.Status.Locked), provider.addr, _terms(), _call);
    }

    function test_RevertWhen_TheSenderIsNotTheProvider() external {
        _lock(_terms());
        address[3] memory others = [client.addr, arbiter.addr, stranger.addr];
        for (uint256 i = 0; i < others.length; ++i) {
            _expectWrongSender(others[i], provider.addr);
            vm.prank(others[i]);
            market.giveUp(_terms());
        }
    }

    function test_WhenTheWindowIsOpen() external {
        ILotaMarket.Terms memory t = _terms();
        _lock(t);
        vm.expectEmit(address(market));
        emit ILotaMarket.JobSlashed(_jobId(t), provider.addr, 2.6 ether, 0, 1.5 ether, ILotaMarket.Reason.NotSubmitted);
        vm.prank(provider.addr);
        market.giveUp(t);
        _assertBalances(FUNDS + 1.5 ether, FUNDS - 3 ether);
        assertEq(market.burned(), 1.5 ether);
        _assertStatus(t, ILotaMarket.Status.Slashed, ILotaMarket.Reason.NotSubmitted, false);
    }

    function test_WhenTheWindowHasPassed() external {
        ILotaMarket.Terms memory t = _withMatcher();
        _lock(t);
        vm.warp(START + 30 days);
        vm.prank(provider.addr);
        market.giveUp(t);
        _assertStatus(t, ILotaMarket.Status.Slashed, ILotaMarket.Reason.NotSubmitted, false);
        assertEq(market.balanceOf(matcher.addr), FUNDS - 3 ether, "who brought the collateral lost it");
        assertEq(market.balanceOf(provider.addr), FUNDS);
    }
}
