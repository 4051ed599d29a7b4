// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {MarketTest} from "../base/MarketTest.sol";

contract CancelTest is MarketTest {
    function _call(ILotaMarket.Terms memory t) private pure returns (bytes memory) {
        return abi.encodeCall(ILotaMarket.cancel, (t));
    }

    function test_RevertGiven_NoDealHasTheTerms() external {
        _expectUnknown(_terms());
        vm.prank(client.addr);
        market.cancel(_terms());
    }

    function test_RevertGiven_TheDealIsInAnotherState() external {
        _onlyIn(_list(ILotaMarket.Status.Open), stranger.addr, _terms(), _call);
    }

    function test_RevertWhen_TheSenderIsNotTheClient() external {
        _open(_terms());
        _expectWrongSender(stranger.addr, client.addr);
        vm.prank(stranger.addr);
        market.cancel(_terms());
    }

    function test_WhenTheSenderIsTheClient() external {
        _open(_terms());
        vm.expectEmit(address(market));
        emit ILotaMarket.JobCancelled(_jobId(_terms()), ILotaMarket.Reason.Withdrawn);
        vm.prank(client.addr);
        market.cancel(_terms());
        _assertStatus(_terms(), ILotaMarket.Status.Cancelled, ILotaMarket.Reason.Withdrawn, false);
        _assertBalances(FUNDS, FUNDS);
        assertTrue(market.isSpent(client.addr, 1));
    }

    function test_RevertWhen_TheSenderIsTheClientAfterAll() external {
        _open(_withMatcher());
        _expectWrongSender(client.addr, matcher.addr);
        vm.prank(client.addr);
        market.cancel(_withMatcher());
    }

    function test_WhenTheSenderIsTheMatcher() external {
        _open(_withMatcher());
        vm.prank(matcher.addr);
        market.cancel(_withMatcher());
        _assertBalances(FUNDS, FUNDS);
        assertEq(market.balanceOf(matcher.addr), FUNDS);
    }

    function test_WhenLockByHasPassed() external {
        _open(_terms());
        vm.warp(START + 30 days);
        vm.prank(client.addr);
        market.cancel(_terms());
        _assertStatus(_terms(), ILotaMarket.Status.Cancelled, ILotaMarket.Reason.Withdrawn, false);
    }
}
