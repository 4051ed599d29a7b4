// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {MarketTest} from "../base/MarketTest.sol";

contract SettleTest is MarketTest {
    function _call(ILotaMarket.Terms memory t) private view returns (bytes memory) {
        return abi.encodeCall(ILotaMarket.settle, (t, _receipt()));
    }

    function test_RevertGiven_NoDealHasTheTerms() external {
        _expectUnknown(_terms());
        market.settle(_terms(), _receipt());
    }

    function test_RevertGiven_TheDealIsInAnotherState() external {
        _onlyIn(_list(ILotaMarket.Status.Submitted), stranger.addr, _terms(), _call);
    }

    function test_RevertWhen_TheReviewWindowIsOpen() external {
        _submit(_terms());
        vm.warp(START + 3 hours);
        _expectTooEarly(START + 3 hours, START + 3 hours + 1);
        market.settle(_terms(), _receipt());
    }

    function test_RevertWhen_TheReceiptIsAnother() external {
        _submit(_terms());
        vm.warp(START + 3 hours + 1);
        ILotaMarket.Receipt memory other = _receipt();
        other.provider = stranger.addr;
        _expectMismatch(_terms());
        market.settle(_terms(), other);
    }

    function test_RevertWhen_ThereIsNoArbiter() external {
        ILotaMarket.Terms memory t = _unreviewed();
        _submit(t);
        _expectWrongState(t, ILotaMarket.Status.Settled);
        market.settle(t, _receipt());
    }

    function test_WhenAllIsWell() external {
        ILotaMarket.Terms memory t = _terms();
        _submit(t);
        vm.warp(START + 3 hours + 1);
        vm.expectEmit(address(market));
        emit ILotaMarket.JobSettled(_jobId(t), provider.addr, 1.1 ether, ILotaMarket.Reason.Unchallenged);
        vm.prank(stranger.addr);
        market.settle(t, _receipt());
        _assertBalances(FUNDS - 1.1 ether, FUNDS + 1.1 ether);
        _assertStatus(t, ILotaMarket.Status.Settled, ILotaMarket.Reason.Unchallenged, false);
    }

    function test_WhenEverythingIsWrongAtOnce() external {
        ILotaMarket.Terms memory t = _terms();
        ILotaMarket.Receipt memory other = _receipt();
        other.price = 0;
        _expectUnknown(t);
        market.settle(t, other);
        _lock(t);
        _expectWrongState(t, ILotaMarket.Status.Locked);
        market.settle(t, other);
        vm.prank(provider.addr);
        market.submitResult(t, _result());
        _expectTooEarly(START, START + 3 hours + 1);
        market.settle(t, other);
        vm.warp(START + 3 hours + 1);
        _expectMismatch(t);
        market.settle(t, other);
    }
}
