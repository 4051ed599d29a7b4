// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {MarketTest} from "../base/MarketTest.sol";

contract AwardTest is MarketTest {
    function _call(ILotaMarket.Terms memory t) private view returns (bytes memory) {
        return abi.encodeCall(ILotaMarket.award, (t, provider.addr, 1 ether));
    }

    function _outOfRange(ILotaMarket.Terms memory t, uint256 price) private {
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.PriceOutOfRange.selector, price, t.minPrice, t.maxPrice));
        vm.prank(matcher.addr);
        market.award(t, provider.addr, price);
    }

    function test_RevertGiven_NoDealHasTheTerms() external {
        _expectUnknown(_withMatcher());
        vm.prank(matcher.addr);
        market.award(_withMatcher(), provider.addr, 1 ether);
    }

    function test_RevertGiven_TheDealIsInAnotherState() external {
        _onlyIn(_list(ILotaMarket.Status.Open), matcher.addr, _withMatcher(), _call);
    }

    function test_RevertWhen_ThereIsNoMatcher() external {
        _open(_terms());
        _expectWrongSender(client.addr, address(0));
        vm.prank(client.addr);
        market.award(_terms(), provider.addr, 1 ether);
        _expectWrongSender(address(0), address(0)); // a simulated call can come from nobody
        vm.prank(address(0));
        market.award(_terms(), provider.addr, 1 ether);
    }

    function test_RevertWhen_TheSenderIsNotTheMatcher() external {
        _open(_withMatcher());
        _expectWrongSender(client.addr, matcher.addr);
        vm.prank(client.addr);
        market.award(_withMatcher(), provider.addr, 1 ether);
    }

    function test_RevertWhen_LockByHasPassed() external {
        ILotaMarket.Terms memory t = _withMatcher();
        _open(t);
        vm.warp(t.lockBy + 1);
        _expectTooLate(t.lockBy + 1, t.lockBy);
        vm.prank(matcher.addr);
        market.award(t, provider.addr, 1 ether);
    }

    function test_RevertWhen_TheProviderIsZero() external {
        _open(_withMatcher());
        vm.expectRevert(ILotaMarket.InvalidProvider.selector);
        vm.prank(matcher.addr);
        market.award(_withMatcher(), address(0), 1 ether);
    }

    function test_RevertWhen_TheProviderIsAMaskedId() external {
        ILotaMarket.Terms memory t = _withMatcher();
        _open(t);
        vm.expectRevert(ILotaMarket.InvalidProvider.selector);
        vm.prank(matcher.addr);
        market.award(t, MASKED, 1 ether);
    }

    function test_RevertWhen_ThePriceIsOutOfRange() external {
        ILotaMarket.Terms memory t = _withMatcher();
        _open(t);
        _outOfRange(t, t.minPrice - 1 gwei);
        _outOfRange(t, t.maxPrice + 1 gwei);
        _outOfRange(t, t.minPrice + 1);
        _outOfRange(t, type(uint256).max);
        _outOfRange(t, 0);
    }

    function test_RevertWhen_TheMatcherIsPoor() external {
        _open(_withMatcher());
        _drain(matcher.addr);
        _expectPoor(matcher.addr, 0, 3 ether);
        vm.prank(matcher.addr);
        market.award(_withMatcher(), provider.addr, 1 ether);
    }

    function test_WhenTheRampHasNotBegun() external {
        ILotaMarket.Terms memory t = _withMatcher();
        t.rampStart = t.lockBy;
        _open(t);
        vm.prank(matcher.addr);
        market.award(t, provider.addr, t.maxPrice);
        assertEq(market.dealOf(_jobId(t)).price, t.maxPrice);
    }

    function test_WhenTheClientIsTheMatcher() external {
        ILotaMarket.Terms memory t = _terms();
        t.matcher = client.addr;
        _open(t);
        _drain(client.addr);
        _fund(client.addr, 2 ether);
        vm.prank(client.addr);
        market.award(t, provider.addr, 1 ether); // 1 comes back, 3 are needed
        assertEq(market.balanceOf(client.addr), 0);
    }

    function test_WhenAllIsWell() external {
        ILotaMarket.Terms memory t = _withMatcher();
        _open(t);
        vm.warp(t.lockBy);
        vm.expectEmit(address(market));
        emit ILotaMarket.JobLocked(_jobId(t), provider.addr, matcher.addr, 1.7 ether);
        vm.prank(matcher.addr);
        market.award(t, provider.addr, 1.7 ether);
        _assertBalances(FUNDS - 1.7 ether, FUNDS);
        assertEq(market.balanceOf(matcher.addr), FUNDS - 3 ether);
        assertEq(market.dealOf(_jobId(t)).provider, provider.addr);
        assertEq(market.dealOf(_jobId(t)).since, t.lockBy);
    }

    function test_WhenEverythingIsWrongAtOnce() external {
        ILotaMarket.Terms memory t = _withMatcher();
        _expectUnknown(t);
        market.award(t, address(0), 1);
        _bring(t, ILotaMarket.Status.Cancelled);
        _expectWrongState(t, ILotaMarket.Status.Cancelled);
        market.award(t, address(0), 1);
        t.salt = 2;
        _open(t);
        _drain(matcher.addr);
        vm.warp(t.lockBy + 1);
        _expectWrongSender(address(this), matcher.addr);
        market.award(t, address(0), 1);
        vm.startPrank(matcher.addr);
        _expectTooLate(t.lockBy + 1, t.lockBy);
        market.award(t, address(0), 1);
        vm.warp(t.lockBy);
        vm.expectRevert(ILotaMarket.InvalidProvider.selector);
        market.award(t, address(0), 1);
        vm.stopPrank();
        _outOfRange(t, 1);
        vm.startPrank(matcher.addr);
        _expectPoor(matcher.addr, 0, 3 ether);
        market.award(t, provider.addr, 1 ether);
    }
}
