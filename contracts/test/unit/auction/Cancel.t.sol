// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaClient, ILotaMarket} from "../../../src/interfaces/ILotaMarket.sol";
import {ISealedBidAuction} from "../../../src/interfaces/ISealedBidAuction.sol";
import {AuctionTest} from "../../base/AuctionTest.sol";
import {Visitor} from "../../mocks/Visitor.sol";

contract AuctionCancelTest is AuctionTest {
    Visitor private visitor;

    function test_RevertWhen_TheMatcherIsAnother() external {
        ILotaMarket.Terms memory t = _auctioned();
        t.matcher = matcher.addr;
        _open(t);
        _expectNotTheMatcher(matcher.addr);
        vm.prank(client.addr);
        auction.cancel(t);
    }

    function test_WhenTheTermsCannotBeAuctionedAndNeverEnd() external {
        ILotaMarket.Terms memory t = _auctioned();
        t.rampPeriod = type(uint64).max;
        _open(t);
        vm.warp(LOCK_BY + 365 days);
        _expectWrongSender(stranger.addr, client.addr);
        vm.prank(stranger.addr);
        auction.cancel(t);
        vm.prank(client.addr);
        auction.cancel(t);
        assertEq(market.balanceOf(client.addr), FUNDS);
    }

    function test_RevertGiven_ABidWasRevealed() external {
        ILotaMarket.Terms memory t = _auctioned();
        _committed(t, _prices(1.5 ether));
        vm.warp(REVEAL_FROM);
        _reveal(t, bidders[0], 1.5 ether);
        uint256[3] memory times = [REVEAL_FROM, REVEAL_UNTIL + 1, LOCK_BY + 1];
        for (uint256 i = 0; i < 3; ++i) {
            vm.warp(times[i]);
            _expectOfJob(ISealedBidAuction.HasBids.selector, t);
            vm.prank(client.addr);
            auction.cancel(t);
            _expectOfJob(ISealedBidAuction.HasBids.selector, t);
            vm.prank(bidders[0]);
            auction.cancel(t);
        }
    }

    function test_RevertGiven_TheJobWasAwarded() external {
        ILotaMarket.Terms memory t = _auctioned();
        _revealed(t, _prices(1.5 ether));
        auction.award(t);
        _expectWrongState(t, ILotaMarket.Status.Locked);
        vm.prank(client.addr);
        auction.cancel(t);
    }

    function test_RevertGiven_NoDealHasTheTerms() external {
        _expectUnknown(_auctioned());
        vm.prank(client.addr);
        auction.cancel(_auctioned());
    }

    function test_RevertWhen_AStrangerCancelsBeforeTheEndOfTheReveals() external {
        _open(_auctioned());
        vm.warp(REVEAL_UNTIL);
        _expectWrongSender(stranger.addr, client.addr);
        vm.prank(stranger.addr);
        auction.cancel(_auctioned());
    }

    function test_RevertWhen_SomebodyHasCommitted() external {
        ILotaMarket.Terms memory t = _auctioned();
        _committed(t, _prices(1.5 ether));
        uint256[3] memory times = [START, REVEAL_FROM, REVEAL_UNTIL];
        for (uint256 i = 0; i < 3; ++i) {
            vm.warp(times[i]);
            _expectTooEarly(times[i], REVEAL_UNTIL + 1);
            vm.prank(client.addr);
            auction.cancel(t);
            _expectTooEarly(times[i], REVEAL_UNTIL + 1);
            vm.prank(stranger.addr);
            auction.cancel(t);
        }
        vm.warp(REVEAL_UNTIL + 1);
        vm.prank(client.addr);
        auction.cancel(t);
    }

    function _assertCancelled(ILotaMarket.Terms memory t) private view {
        assertEq(uint256(market.dealOf(_jobId(t)).status), uint256(ILotaMarket.Status.None), "the deal is gone");
        assertEq(market.balanceOf(t.client), FUNDS, "the escrow is back");
        _assertGone(t);
    }

    function test_WhenTheClientCancelsBeforeAnybodyHasCommitted() external {
        ILotaMarket.Terms memory t = _auctioned();
        _open(t);
        vm.expectEmit(address(auction));
        emit ISealedBidAuction.AuctionCancelled(_jobId(t));
        vm.expectEmit(address(market));
        emit ILotaMarket.JobCancelled(_jobId(t), ILotaMarket.Reason.Withdrawn);
        vm.prank(client.addr);
        auction.cancel(t);
        _assertCancelled(t);
    }

    function test_WhenTheTermsCannotBeAuctioned() external {
        ILotaMarket.Terms memory t = _auctioned();
        t.minPrice = t.maxPrice;
        _open(t);
        vm.prank(client.addr);
        auction.cancel(t);
        _assertCancelled(t);
    }

    function test_WhenNobodyHasCommittedUntilTheEndOfTheReveals() external {
        ILotaMarket.Terms memory t = _auctioned();
        _open(t);
        vm.warp(REVEAL_UNTIL + 1);
        vm.prank(stranger.addr);
        auction.cancel(t);
        _assertCancelled(t);
    }

    function test_WhenNoBidWasRevealedUntilTheEndOfTheReveals() external {
        ILotaMarket.Terms memory t = _auctioned();
        _committed(t, _prices(1.5 ether, 1.6 ether));
        vm.warp(REVEAL_UNTIL + 1);
        vm.prank(stranger.addr);
        auction.cancel(t);
        _assertCancelled(t);
        assertEq(auction.burned(), 2 * DEPOSIT);
        _assertAccount(bidders[0], ACCOUNT - DEPOSIT);
    }

    function test_WhenLockByHasPassed() external {
        ILotaMarket.Terms memory t = _auctioned();
        _committed(t, _prices(1.5 ether));
        vm.warp(LOCK_BY + 1);
        auction.cancel(t);
        _assertCancelled(t);
    }

    /// @dev A job of a client contract, with a callback.
    function _calledBack() private returns (ILotaMarket.Terms memory t) {
        visitor = new Visitor();
        _fund(address(visitor), FUNDS);
        t = _auctioned();
        (t.client, t.callbackGas) = (address(visitor), 1_500_000);
        visitor.run(address(market), 0, abi.encodeCall(ILotaMarket.open, (t, "")));
    }

    function test_WhenTheClientIsCalledBack() external {
        ILotaMarket.Terms memory t = _calledBack();
        ILotaMarket.Terms memory other = _auctioned(2);
        _committed(other, _prices(1.5 ether));
        vm.deal(address(visitor), 10 ether);
        visitor.run(address(auction), 5 ether, abi.encodeCall(ISealedBidAuction.fund, ()));
        bytes[9] memory attempts = [
            abi.encodeCall(ISealedBidAuction.fund, ()),
            abi.encodeCall(ISealedBidAuction.fundToken, (1)),
            abi.encodeCall(ISealedBidAuction.withdraw, (address(visitor), 1)),
            abi.encodeCall(ISealedBidAuction.commit, (other, "sealed")),
            abi.encodeCall(ISealedBidAuction.reveal, (other, 1, "")),
            abi.encodeCall(ISealedBidAuction.award, (other)),
            abi.encodeCall(ISealedBidAuction.cancel, (t)),
            abi.encodeCall(ISealedBidAuction.release, (other)),
            abi.encodeCall(ISealedBidAuction.sweep, (other, new address[](0)))
        ];
        for (uint256 i = 0; i < attempts.length; ++i) {
            visitor.visit(address(auction), i == 0 ? 1 ether : 0, attempts[i]);
        }
        ILotaMarket.Terms memory next = _auctioned(2);
        next.client = address(visitor);
        visitor.visit(address(market), 0, abi.encodeCall(ILotaMarket.open, (next, "")));
        visitor.run(address(auction), 0, abi.encodeCall(ISealedBidAuction.cancel, (t)));

        assertEq(visitor.called(), ILotaClient.onJobFailed.selector);
        assertEq(visitor.visits(), attempts.length + 1);
        for (uint256 i = 0; i < attempts.length; ++i) {
            assertEq(visitor.answer(i), ILotaMarket.Reentered.selector, vm.toString(i));
        }
        assertEq(visitor.answer(attempts.length), bytes4(0), "the market lets it open");
        assertEq(uint256(market.dealOf(_jobId(next)).status), uint256(ILotaMarket.Status.Open));
        assertEq(uint256(market.dealOf(_jobId(t)).status), uint256(ILotaMarket.Status.None));
        _assertGone(t);
        _assertAccount(address(visitor), 5 ether);
        // And what it opened is auctioned like everything else.
        _commit(next, bidders[0], 1.5 ether);
        assertEq(auction.auctionOf(_jobId(next)).commits, 1);
    }

    function test_WhenTheCallbackFails() external {
        ILotaMarket.Terms memory t = _calledBack();
        visitor.refuse();
        visitor.run(address(auction), 0, abi.encodeCall(ISealedBidAuction.cancel, (t)));
        assertTrue(market.dealOf(_jobId(t)).callbackPending);
        assertEq(market.balanceOf(address(visitor)), FUNDS);
        _assertGone(t);
        // The guard is open again.
        _fundBidder(bidders[0], 1);
    }

    function test_WhenEverythingIsWrongAtOnce() external {
        ILotaMarket.Terms memory t = _auctioned();
        _expectWrongSender(address(this), client.addr);
        auction.cancel(t);
        _committed(t, _prices(1.5 ether));
        _expectTooEarly(START, REVEAL_UNTIL + 1);
        auction.cancel(t);
        vm.warp(REVEAL_FROM);
        _reveal(t, bidders[0], 1.5 ether);
        _expectOfJob(ISealedBidAuction.HasBids.selector, t);
        auction.cancel(t);
    }
}
