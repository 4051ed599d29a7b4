// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../../src/interfaces/ILotaMarket.sol";
import {ISealedBidAuction} from "../../../src/interfaces/ISealedBidAuction.sol";
import {AuctionTest} from "../../base/AuctionTest.sol";

contract AuctionReleaseTest is AuctionTest {
    function call(ILotaMarket.Terms memory t) external {
        auction.release(t);
    }

    function _expectNoAuction(ILotaMarket.Terms memory t) private {
        _expectOfJob(ISealedBidAuction.NoAuction.selector, t);
    }

    function test_WhenTheTermsAreNotForThisAuction() external {
        _checksTerms(this.call);
    }

    function test_RevertGiven_NobodyHasCommitted() external {
        _open(_auctioned());
        vm.warp(LOCK_BY + 1);
        _expectNoAuction(_auctioned());
        auction.release(_auctioned());
    }

    function test_RevertGiven_TheJobWasAwarded() external {
        _revealed(_auctioned(), _prices(1.5 ether, 1.6 ether));
        auction.award(_auctioned());
        vm.warp(LOCK_BY + 1);
        _expectNoAuction(_auctioned());
        auction.release(_auctioned());
    }

    function test_RevertGiven_ItWasReleased() external {
        _revealed(_auctioned(), _prices(1.5 ether, 1.6 ether));
        vm.warp(LOCK_BY + 1);
        auction.release(_auctioned());
        _expectNoAuction(_auctioned());
        auction.release(_auctioned());
    }

    function test_RevertWhen_LockByHasNotPassed() external {
        _revealed(_auctioned(), _prices(1.5 ether, 1.6 ether));
        vm.warp(LOCK_BY);
        _expectTooEarly(LOCK_BY, LOCK_BY + 1);
        auction.release(_auctioned());
    }

    function test_WhenTwoBidsWereRevealed() external {
        ILotaMarket.Terms memory t = _auctioned();
        _revealed(t, _prices(1.5 ether, 1.6 ether, 1.7 ether));
        vm.warp(LOCK_BY + 1);
        vm.expectEmit(address(auction));
        emit ISealedBidAuction.AuctionReleased(_jobId(t));
        vm.prank(stranger.addr);
        auction.release(t);
        for (uint256 i = 0; i < 3; ++i) {
            _assertAccount(bidders[i], ACCOUNT);
        }
        _assertGone(t);
    }

    function test_WhenOneBidWasRevealed() external {
        _revealed(_auctioned(), _prices(1.5 ether));
        vm.warp(LOCK_BY + 1);
        auction.release(_auctioned());
        _assertAccount(bidders[0], ACCOUNT);
        _assertAccount(address(0), 0);
        _assertGone(_auctioned());
    }

    function test_WhenNoBidWasRevealedAndTheDealHasExpired() external {
        ILotaMarket.Terms memory t = _auctioned();
        _committed(t, _prices(1.5 ether));
        vm.warp(LOCK_BY + 1);
        market.expire(t);
        auction.release(t);
        _assertGone(t);
        assertEq(auction.burned(), DEPOSIT);
        _assertAccount(address(0), 0);
    }

    function test_WhenItWasReleased() external {
        ILotaMarket.Terms memory t = _auctioned();
        _revealed(t, _prices(1.5 ether));
        vm.warp(LOCK_BY + 1);
        auction.release(t);
        uint256 snapshot = vm.snapshotState();
        vm.prank(stranger.addr);
        market.expire(t);
        assertEq(market.balanceOf(client.addr), FUNDS);
        assertTrue(vm.revertToState(snapshot));
        vm.prank(stranger.addr);
        auction.cancel(t); // the auction knows nothing of it any more
        assertEq(market.balanceOf(client.addr), FUNDS);
    }

    function test_WhenEverythingIsWrongAtOnce() external {
        _expectNoAuction(_auctioned());
        auction.release(_auctioned());
        _committed(_auctioned(), _prices(1.5 ether));
        _expectTooEarly(START, LOCK_BY + 1);
        auction.release(_auctioned());
    }
}
