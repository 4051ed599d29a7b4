// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {MarketTest} from "../base/MarketTest.sol";

contract ExpireTest is MarketTest {
    function _call(ILotaMarket.Terms memory t) private pure returns (bytes memory) {
        return abi.encodeCall(ILotaMarket.expire, (t));
    }

    function test_RevertGiven_NoDealHasTheTerms() external {
        _expectUnknown(_terms());
        market.expire(_terms());
    }

    function test_RevertGiven_TheDealIsInAnotherState() external {
        _onlyIn(_list(ILotaMarket.Status.Open, ILotaMarket.Status.Locked), stranger.addr, _terms(), _call);
    }

    function test_RevertWhen_LockByHasNotPassed() external {
        ILotaMarket.Terms memory t = _terms();
        _open(t);
        vm.warp(t.lockBy);
        _expectTooEarly(t.lockBy, t.lockBy + 1);
        market.expire(t);
    }

    function test_WhenLockByHasPassed() external {
        ILotaMarket.Terms memory t = _withMatcher();
        _open(t);
        vm.warp(t.lockBy + 1);
        vm.expectEmit(address(market));
        emit ILotaMarket.JobCancelled(_jobId(t), ILotaMarket.Reason.NotLocked);
        vm.prank(stranger.addr);
        market.expire(t);
        _assertStatus(t, ILotaMarket.Status.Cancelled, ILotaMarket.Reason.NotLocked, false);
        _assertBalances(FUNDS, FUNDS);
    }

    function test_RevertWhen_TheProviderHasTimeLeft() external {
        ILotaMarket.Terms memory t = _terms();
        _lock(t);
        vm.warp(START + t.runFor);
        _expectTooEarly(START + t.runFor, START + t.runFor + 1);
        market.expire(t);
    }

    function test_WhenTheProviderIsLate() external {
        ILotaMarket.Terms memory t = _terms();
        _lock(t);
        vm.warp(START + t.runFor + 1);
        vm.expectEmit(address(market));
        emit ILotaMarket.JobSlashed(_jobId(t), provider.addr, 2.6 ether, 0, 1.5 ether, ILotaMarket.Reason.NotSubmitted);
        vm.prank(stranger.addr);
        market.expire(t);
        _assertBalances(FUNDS + 1.5 ether, FUNDS - 3 ether);
        assertEq(market.balanceOf(arbiter.addr), FUNDS, "nothing for the arbiter");
        assertEq(market.burned(), 1.5 ether);
        assertEq(
            abi.encode(market.dealOf(_jobId(t))),
            abi.encode(
                ILotaMarket.Deal(
                    ILotaMarket.Status.Slashed, ILotaMarket.Reason.NotSubmitted, false, 0, address(0), 0, bytes26(0)
                )
            )
        );
    }

    function test_WhenTheCollateralIsZero() external {
        ILotaMarket.Terms memory t = _terms();
        t.collateral = 0;
        _lock(t);
        vm.warp(START + t.runFor + 1);
        market.expire(t);
        _assertBalances(FUNDS, FUNDS);
        assertEq(market.burned(), 0);
    }

    function test_WhenTheCollateralIsOneGwei() external {
        ILotaMarket.Terms memory t = _terms();
        t.collateral = 1 gwei;
        _lock(t);
        vm.warp(START + t.runFor + 1);
        market.expire(t);
        _assertBalances(FUNDS + 0.5 gwei, FUNDS - 1 gwei);
        assertEq(market.burned(), 0.5 gwei);
    }
}
