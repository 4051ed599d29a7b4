// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {MarketTest} from "../base/MarketTest.sol";

contract LockTest is MarketTest {
    function _call(ILotaMarket.Terms memory t) private pure returns (bytes memory) {
        return abi.encodeCall(ILotaMarket.lock, (t));
    }

    function test_RevertGiven_NoDealHasTheTerms() external {
        ILotaMarket.Terms memory t = _terms();
        _open(t);
        t.lockBy += 1;
        _expectSpent(client.addr, t.salt);
        vm.prank(provider.addr);
        market.lock(t);
        t.salt += 1;
        _expectUnknown(t);
        vm.prank(provider.addr);
        market.lock(t);
    }

    function test_RevertGiven_TheDealIsInAnotherState() external {
        _onlyIn(_list(ILotaMarket.Status.Open), provider.addr, _terms(), _call);
    }

    function test_RevertWhen_ThereIsAMatcher() external {
        ILotaMarket.Terms memory t = _withMatcher();
        _open(t);
        _expectWrongSender(provider.addr, matcher.addr);
        vm.prank(provider.addr);
        market.lock(t);
        _expectWrongSender(matcher.addr, matcher.addr);
        vm.prank(matcher.addr);
        market.lock(t);
    }

    function test_RevertWhen_TheRampHasNotBegun() external {
        ILotaMarket.Terms memory t = _terms();
        t.rampStart = uint64(START + 10);
        _open(t);
        vm.warp(START + 9);
        _expectTooEarly(START + 9, START + 10);
        vm.prank(provider.addr);
        market.lock(t);
    }

    function test_RevertWhen_LockByHasPassed() external {
        ILotaMarket.Terms memory t = _terms();
        _open(t);
        vm.warp(t.lockBy + 1);
        _expectTooLate(t.lockBy + 1, t.lockBy);
        vm.prank(provider.addr);
        market.lock(t);
    }

    function test_RevertWhen_TheProviderIsPoor() external {
        _open(_terms());
        _expectPoor(stranger.addr, 0, 3 ether);
        vm.prank(stranger.addr);
        market.lock(_terms());
        _fund(stranger.addr, 3 ether - 1);
        _expectPoor(stranger.addr, 3 ether - 1, 3 ether);
        vm.prank(stranger.addr);
        market.lock(_terms());
    }

    function test_WhenTheClientLocksForItself() external {
        _open(_terms());
        _drain(client.addr);
        _fund(client.addr, 2.1 ether);
        vm.prank(client.addr);
        market.lock(_terms()); // 0.9 come back, 3 are needed
        assertEq(market.balanceOf(client.addr), 0);
    }

    function test_WhenTheRampIsOver() external {
        _open(_terms());
        vm.warp(START + 540);
        vm.expectEmit(address(market));
        emit ILotaMarket.JobLocked(_jobId(_terms()), provider.addr, provider.addr, 2 ether);
        vm.prank(provider.addr);
        market.lock(_terms());
        _assertBalances(FUNDS - 2 ether, FUNDS - 3 ether);
    }

    function test_WhenTheTimeIsAtAnEdge() external {
        ILotaMarket.Terms memory t = _terms();
        t.rampStart = uint64(START + 10);
        _open(t);
        vm.warp(t.rampStart);
        vm.prank(provider.addr);
        market.lock(t);
        assertEq(market.dealOf(_jobId(t)).price, t.minPrice);
        t.salt = 2;
        _open(t);
        vm.warp(t.lockBy);
        vm.prank(provider.addr);
        market.lock(t);
        assertEq(market.dealOf(_jobId(t)).price, t.maxPrice);
    }

    function test_WhenAllIsWell() external {
        ILotaMarket.Terms memory t = _terms();
        _open(t);
        vm.warp(START + 90); // a quarter of the ramp
        vm.expectEmit(address(market));
        emit ILotaMarket.JobLocked(_jobId(t), provider.addr, provider.addr, 1.25 ether);
        vm.prank(provider.addr);
        market.lock(t);
        _assertBalances(FUNDS - 1.25 ether, FUNDS - 3 ether);
        assertEq(
            abi.encode(market.dealOf(_jobId(t))),
            abi.encode(
                ILotaMarket.Deal(
                    ILotaMarket.Status.Locked,
                    ILotaMarket.Reason.None,
                    false,
                    uint64(START + 90),
                    provider.addr,
                    1.25 ether,
                    bytes26(0)
                )
            )
        );
    }

    function test_WhenEverythingIsWrongAtOnce() external {
        ILotaMarket.Terms memory t = _withMatcher();
        (t.rampStart, t.lockBy) = (uint64(START + 2 hours), uint64(START + 2 hours));
        vm.startPrank(stranger.addr);
        _expectUnknown(t);
        market.lock(t);
        vm.stopPrank();
        _bring(t, ILotaMarket.Status.Cancelled);
        vm.startPrank(stranger.addr);
        _expectWrongState(t, ILotaMarket.Status.Cancelled);
        market.lock(t);
        vm.stopPrank();
        t.salt = 2;
        _open(t);
        vm.warp(START + 90 minutes);
        vm.startPrank(stranger.addr);
        _expectWrongSender(stranger.addr, matcher.addr);
        market.lock(t);
        vm.stopPrank();
        (t.salt, t.matcher) = (3, address(0));
        vm.warp(START);
        _open(t);
        vm.warp(START + 90 minutes);
        vm.startPrank(stranger.addr);
        _expectTooEarly(START + 90 minutes, START + 2 hours);
        market.lock(t);
        vm.warp(START + 2 hours + 1);
        _expectTooLate(START + 2 hours + 1, t.lockBy);
        market.lock(t);
    }
}
