// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {Vm} from "forge-std/Vm.sol";
import {MarketTest} from "../base/MarketTest.sol";

contract OpenSignedAndLockTest is MarketTest {
    function _call(ILotaMarket.Terms memory t) private pure returns (bytes memory) {
        return abi.encodeCall(ILotaMarket.openSignedAndLock, (t, "spec", "not looked at"));
    }

    function test_GivenItIsOpen() external {
        ILotaMarket.Terms memory t = _terms();
        _open(t);
        vm.expectEmit(address(market));
        emit ILotaMarket.SpecPublished(specDigest, "spec");
        vm.expectEmit(address(market));
        emit ILotaMarket.JobLocked(_jobId(t), provider.addr, provider.addr, 1.1 ether);
        vm.prank(provider.addr);
        assertEq(market.openSignedAndLock(t, "spec", "not looked at"), _jobId(t));
        _assertBalances(FUNDS - 1.1 ether, FUNDS - 3 ether);
        _assertStatus(t, ILotaMarket.Status.Locked, ILotaMarket.Reason.None, false);
    }

    function test_RevertGiven_ItIsOpenAndTheSpecDoesNotFit() external {
        ILotaMarket.Terms memory t = _terms();
        _open(t);
        vm.startPrank(provider.addr);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.SpecTooLarge.selector, 7169));
        market.openSignedAndLock(t, new bytes(7169), "");
        bytes32 found = sha256("other");
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.SpecMismatch.selector, found, specDigest));
        market.openSignedAndLock(t, "other", "");
        vm.warp(t.lockBy + 1); // the time comes before the arguments
        _expectTooLate(t.lockBy + 1, t.lockBy);
        market.openSignedAndLock(t, "other", "");
    }

    function test_GivenItIsOpenAndNoSpecComesAlong() external {
        ILotaMarket.Terms memory t = _terms();
        _open(t);
        vm.recordLogs();
        vm.prank(provider.addr);
        market.openSignedAndLock(t, "", "");
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs.length, 1);
        assertEq(logs[0].topics[0], ILotaMarket.JobLocked.selector);
    }

    function test_RevertGiven_ItIsInAnotherState() external {
        _onlyIn(_list(ILotaMarket.Status.Open), provider.addr, _terms(), _call);
    }

    function test_RevertWhen_TheTermsHaveAFault() external {
        ILotaMarket.Terms memory t = _terms();
        t.reviewFor = 0;
        bytes memory signature = _signed(t);
        _expectBadTerms(ILotaMarket.TermsFault.ReviewFor);
        market.openSignedAndLock(t, "", signature);
    }

    function test_RevertGiven_TheSaltIsSpent() external {
        ILotaMarket.Terms memory t = _terms();
        _open(t);
        t.maxPrice += 1 gwei;
        bytes memory signature = _signed(t);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.SaltSpent.selector, client.addr, t.salt));
        market.openSignedAndLock(t, "", signature);
    }

    function test_RevertWhen_ThereIsAMatcher() external {
        ILotaMarket.Terms memory t = _withMatcher();
        bytes memory signature = _signed(t);
        _expectWrongSender(matcher.addr, matcher.addr);
        vm.prank(matcher.addr); // not even for the matcher: its way is award
        market.openSignedAndLock(t, "", signature);
    }

    function test_RevertWhen_LockByIsOutOfReach() external {
        ILotaMarket.Terms memory t = _terms();
        (t.rampStart, t.lockBy) = (0, uint64(START - 1));
        bytes memory signature = _signed(t);
        _expectTooLate(START, START - 1);
        market.openSignedAndLock(t, "", signature);
        t.lockBy = uint64(START + 365 days + 1);
        signature = _signed(t);
        _expectTooEarly(START, START + 1);
        market.openSignedAndLock(t, "", signature);
    }

    function test_RevertWhen_TheRampHasNotBegun() external {
        ILotaMarket.Terms memory t = _terms();
        t.rampStart = uint64(START + 1);
        bytes memory signature = _signed(t);
        _expectTooEarly(START, START + 1);
        market.openSignedAndLock(t, "", signature);
    }

    /// @dev The escrow is checked against maxPrice, though less of it is kept.
    function test_RevertWhen_TheClientIsPoor() external {
        _drain(client.addr);
        _fund(client.addr, 1.5 ether);
        bytes memory signature = _signed(_terms());
        _expectPoor(client.addr, 1.5 ether, 2 ether);
        vm.prank(provider.addr);
        market.openSignedAndLock(_terms(), "", signature);
    }

    function test_RevertWhen_TheProviderIsPoor() external {
        bytes memory signature = _signed(_terms());
        _expectPoor(stranger.addr, 0, 3 ether);
        vm.prank(stranger.addr);
        market.openSignedAndLock(_terms(), "", signature);
    }

    function test_WhenTheClientLocksForItself() external {
        _drain(client.addr);
        _fund(client.addr, 4.1 ether); // 2 for the escrow; 0.9 come back, and 3 are needed
        ILotaMarket.Terms memory t = _terms();
        bytes memory signature = _signed(t);
        vm.prank(client.addr);
        market.openSignedAndLock(t, "", signature);
        assertEq(market.balanceOf(client.addr), 0);
    }

    function test_WhenAllIsWell() external {
        ILotaMarket.Terms memory t = _terms();
        bytes memory signature = _signed(t);
        vm.expectEmit(address(market));
        emit ILotaMarket.JobOpened(_jobId(t), client.addr, address(0), t, "spec");
        vm.expectEmit(address(market));
        emit ILotaMarket.JobLocked(_jobId(t), provider.addr, provider.addr, 1.1 ether);
        vm.prank(provider.addr);
        assertEq(market.openSignedAndLock(t, "spec", signature), _jobId(t));
        _assertBalances(FUNDS - 1.1 ether, FUNDS - 3 ether);
        assertTrue(market.isSpent(client.addr, t.salt));
        ILotaMarket.Deal memory found = market.dealOf(_jobId(t));
        assertEq(uint256(found.status), uint256(ILotaMarket.Status.Locked));
        assertEq(found.since, START);
        assertEq(found.provider, provider.addr);
        assertEq(found.price, 1.1 ether);
        assertEq(found.receipt, bytes26(0));
    }

    function test_WhenEverythingIsWrongAtOnce() external {
        ILotaMarket.Terms memory t = _withMatcher();
        _drain(client.addr);
        _drain(provider.addr);
        vm.prank(client.addr);
        market.revoke(0, uint64(t.salt) + 1);
        vm.warp(START + 1 days);
        vm.chainId(1);
        (t.rampStart, t.lockBy) = (uint64(START + 2 days), uint64(START + 2 days));
        t.specCodec = 1;
        vm.startPrank(provider.addr);

        _expectBadTerms(ILotaMarket.TermsFault.SpecCodec);
        market.openSignedAndLock(t, "other", "");
        t.specCodec = 0x55;
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.SaltSpent.selector, client.addr, t.salt));
        market.openSignedAndLock(t, "other", "");
        t.salt = 2;
        _expectWrongSender(provider.addr, matcher.addr);
        market.openSignedAndLock(t, "other", "");
        t.matcher = address(0);
        vm.warp(START + 3 days);
        _expectTooLate(START + 3 days, t.lockBy);
        market.openSignedAndLock(t, "other", "");
        vm.warp(START + 1 days);
        _expectTooEarly(START + 1 days, START + 2 days);
        market.openSignedAndLock(t, "other", "");
        t.rampStart = uint64(START);
        bytes32 found = sha256("other");
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.SpecMismatch.selector, found, specDigest));
        market.openSignedAndLock(t, "other", "");
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.WrongChain.selector, 1));
        market.openSignedAndLock(t, "", "");
        vm.chainId(31415926);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.BadSignature.selector, client.addr));
        market.openSignedAndLock(t, "", "");
        bytes memory signature = _signed(t);
        _expectPoor(client.addr, 0, 2 ether);
        market.openSignedAndLock(t, "", signature);
        vm.stopPrank();
        _fund(client.addr, 2 ether);
        vm.startPrank(provider.addr);
        _expectPoor(provider.addr, 0, 3 ether);
        market.openSignedAndLock(t, "", signature);
    }
}
