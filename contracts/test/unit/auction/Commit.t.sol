// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../../src/interfaces/ILotaMarket.sol";
import {ISealedBidAuction} from "../../../src/interfaces/ISealedBidAuction.sol";
import {AuctionTest} from "../../base/AuctionTest.sol";

contract AuctionCommitTest is AuctionTest {
    function call(ILotaMarket.Terms memory t) external {
        auction.commit(t, "sealed");
    }

    function test_WhenTheTermsAreNotForThisAuction() external {
        _checksTerms(this.call);
    }

    function test_RevertGiven_NoDealHasTheTerms() external {
        _expectOfJob(ILotaMarket.UnknownJob.selector, _auctioned());
        vm.prank(bidders[0]);
        auction.commit(_auctioned(), "sealed");
    }

    function _expectNotOpen(ILotaMarket.Terms memory t, ILotaMarket.Status found) private {
        vm.expectRevert(abi.encodeWithSelector(ISealedBidAuction.NotOpen.selector, _jobId(t), found));
    }

    function test_RevertGiven_TheDealIsNotOpen() external {
        ILotaMarket.Terms memory t = _auctioned();
        t.keepRecord = true;
        _open(t);
        vm.prank(client.addr);
        auction.cancel(t);
        _expectNotOpen(t, ILotaMarket.Status.Cancelled);
        vm.prank(bidders[0]);
        auction.commit(t, "sealed");

        t = _auctioned(2);
        _revealed(t, _prices(1.5 ether));
        auction.award(t);
        _expectNotOpen(t, ILotaMarket.Status.Locked);
        vm.prank(bidders[1]);
        auction.commit(t, "sealed");
    }

    function test_RevertGiven_TheBidderHasCommitted() external {
        ILotaMarket.Terms memory t = _auctioned();
        _committed(t, _prices(1.5 ether));
        bytes32[2] memory again = [bytes32("another"), _commitment(t, bidders[0], 1.5 ether)];
        for (uint256 i = 0; i < 2; ++i) {
            _expectOfBid(ISealedBidAuction.AlreadyCommitted.selector, t, bidders[0]);
            vm.prank(bidders[0]);
            auction.commit(t, again[i]);
        }
    }

    function test_RevertWhen_TheBidderIsTheClient() external {
        _open(_auctioned());
        _expectInvalidBidder(client.addr);
        vm.prank(client.addr);
        auction.commit(_auctioned(), "sealed");
    }

    function test_RevertWhen_TheBidderHasAMaskedId() external {
        _open(_auctioned());
        _fundBidder(MASKED, ACCOUNT);
        _expectInvalidBidder(MASKED);
        vm.prank(MASKED);
        auction.commit(_auctioned(), "sealed");
    }

    function test_RevertWhen_TheBidderIsTheZeroAddress() external {
        _open(_auctioned());
        _expectInvalidBidder(address(0));
        vm.prank(address(0));
        auction.commit(_auctioned(), "sealed");
    }

    function test_RevertWhen_RampStartHasCome() external {
        _open(_auctioned());
        vm.warp(REVEAL_FROM);
        _expectTooLate(REVEAL_FROM, REVEAL_FROM - 1);
        vm.prank(bidders[0]);
        auction.commit(_auctioned(), "sealed");
    }

    function test_WhenRampStartIsZero() external {
        ILotaMarket.Terms memory t = _auctioned();
        t.rampStart = 0;
        _open(t);
        _expectTooLate(START, 0);
        vm.prank(bidders[0]);
        auction.commit(t, "sealed");
    }

    function test_RevertGiven_AsManyHaveCommittedAsCanBeCounted() external {
        ILotaMarket.Terms memory t = _auctioned();
        _open(t);
        uint256 most = (1 << 24) - 1;
        vm.store(address(auction), bytes32(_slotOf(t)), bytes32((most - 1) << 232));
        _commit(t, bidders[0], 1.5 ether);
        assertEq(auction.auctionOf(_jobId(t)).commits, most);
        assertEq(auction.commitmentOf(_jobId(t), bidders[0]), most);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.TooMany.selector, most + 1));
        vm.prank(bidders[1]);
        auction.commit(t, "sealed");
    }

    function test_RevertWhen_TheBidderIsPoor() external {
        _open(_auctioned());
        vm.startPrank(bidders[0]);
        auction.withdraw(bidders[0], ACCOUNT - DEPOSIT + 1);
        _expectPoor(bidders[0], DEPOSIT - 1, DEPOSIT);
        auction.commit(_auctioned(), "sealed");
    }

    function test_WhenAllIsWell() external {
        ILotaMarket.Terms memory t = _auctioned();
        _open(t);
        vm.warp(REVEAL_FROM - 1);
        for (uint32 i = 0; i < 3; ++i) {
            vm.expectEmit(address(auction));
            emit ISealedBidAuction.BidCommitted(_jobId(t), bidders[i], keccak256(abi.encode(i)), i + 1);
            vm.prank(bidders[i]);
            auction.commit(t, keccak256(abi.encode(i)));
            _assertAccount(bidders[i], ACCOUNT - DEPOSIT);
            assertEq(auction.burned(), DEPOSIT * (i + 1));
            assertEq(auction.commitmentOf(_jobId(t), bidders[i]), i + 1);
            assertEq(auction.auctionOf(_jobId(t)).commits, i + 1);
        }
        _assertBest(t, address(0), 0, address(0), 0);
        assertEq(address(auction).balance, 5 * ACCOUNT, "nothing has left");
    }

    function test_WhenTheRevealsCanJustBeAwarded() external {
        ILotaMarket.Terms memory t = _auctioned();
        (t.rampPeriod, t.lockBy) = (MIN_REVEAL_PERIOD, uint64(REVEAL_FROM + MIN_REVEAL_PERIOD + 1));
        t.minPrice = t.maxPrice - 1 gwei;
        _open(t);
        _commit(t, bidders[0], t.maxPrice);
        vm.warp(REVEAL_FROM + MIN_REVEAL_PERIOD);
        _reveal(t, bidders[0], t.maxPrice);
        vm.warp(t.lockBy);
        auction.award(t);
        assertEq(market.dealOf(_jobId(t)).provider, bidders[0]);
    }

    function test_WhenEverythingIsWrongAtOnce() external {
        ILotaMarket.Terms memory t = _auctioned();
        t.lockBy = uint64(REVEAL_UNTIL);
        vm.startPrank(client.addr);
        _expectFault(ISealedBidAuction.AuctionFault.TooLong);
        auction.commit(t, "sealed");
        t.lockBy = uint64(LOCK_BY);
        _expectOfJob(ILotaMarket.UnknownJob.selector, t);
        auction.commit(t, "sealed");
        vm.stopPrank();
        _open(t);
        vm.warp(REVEAL_FROM);
        vm.startPrank(client.addr);
        _expectInvalidBidder(client.addr);
        auction.commit(t, "sealed");
        vm.stopPrank();
        vm.startPrank(stranger.addr);
        _expectTooLate(REVEAL_FROM, REVEAL_FROM - 1);
        auction.commit(t, "sealed");
        vm.warp(REVEAL_FROM - 1);
        _expectPoor(stranger.addr, 0, DEPOSIT);
        auction.commit(t, "sealed");
    }
}
