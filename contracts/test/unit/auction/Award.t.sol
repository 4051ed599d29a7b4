// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../../src/interfaces/ILotaMarket.sol";
import {ISealedBidAuction} from "../../../src/interfaces/ISealedBidAuction.sol";
import {AuctionTest} from "../../base/AuctionTest.sol";
import {Visitor} from "../../mocks/Visitor.sol";

contract AuctionAwardTest is AuctionTest {
    function call(ILotaMarket.Terms memory t) external {
        auction.award(t);
    }

    function test_WhenTheTermsAreNotForThisAuction() external {
        _checksTerms(this.call);
    }

    function test_RevertGiven_NobodyHasCommitted() external {
        _open(_auctioned());
        vm.warp(REVEAL_UNTIL + 1);
        _expectOfJob(ISealedBidAuction.NothingToAward.selector, _auctioned());
        auction.award(_auctioned());
    }

    function test_RevertGiven_NoBidWasRevealed() external {
        _committed(_auctioned(), _prices(1.5 ether));
        vm.warp(REVEAL_UNTIL + 1);
        _expectOfJob(ISealedBidAuction.NothingToAward.selector, _auctioned());
        auction.award(_auctioned());
    }

    function test_RevertGiven_TheJobWasAwarded() external {
        _revealed(_auctioned(), _prices(1.5 ether, 1.6 ether));
        auction.award(_auctioned());
        _expectOfJob(ISealedBidAuction.NothingToAward.selector, _auctioned());
        auction.award(_auctioned());
    }

    function test_RevertWhen_TheRevealsAreNotOver() external {
        _revealed(_auctioned(), _prices(1.5 ether, 1.6 ether));
        vm.warp(REVEAL_UNTIL);
        _expectTooEarly(REVEAL_UNTIL, REVEAL_UNTIL + 1);
        auction.award(_auctioned());
    }

    function test_RevertWhen_LockByHasPassed() external {
        _revealed(_auctioned(), _prices(1.5 ether, 1.6 ether));
        vm.warp(LOCK_BY + 1);
        _expectTooLate(LOCK_BY + 1, LOCK_BY);
        auction.award(_auctioned());
    }

    function _assertLocked(ILotaMarket.Terms memory t, address winner, uint256 price) private view {
        ILotaMarket.Deal memory found = market.dealOf(_jobId(t));
        assertEq(uint256(found.status), uint256(ILotaMarket.Status.Locked));
        assertEq(found.provider, winner);
        assertEq(found.price, price);
        assertEq(market.balanceOf(client.addr), FUNDS - price, "the client's refund");
    }

    function test_WhenOneBidWasRevealed() external {
        _revealed(_auctioned(), _prices(1 ether));
        auction.award(_auctioned());
        _assertLocked(_auctioned(), bidders[0], 2 ether);
        _assertAccount(bidders[0], ACCOUNT - COLLATERAL);
    }

    function test_WhenTwoBidsWereRevealed() external {
        ILotaMarket.Terms memory t = _auctioned();
        _revealed(t, _prices(1.6 ether, 1.2 ether));
        vm.expectEmit(address(auction));
        emit ISealedBidAuction.AuctionAwarded(_jobId(t), bidders[1], 1.6 ether);
        vm.expectEmit(address(market));
        emit ILotaMarket.Deposited(address(auction), address(auction), COLLATERAL);
        vm.expectEmit(address(market));
        emit ILotaMarket.JobLocked(_jobId(t), bidders[1], address(auction), 1.6 ether);
        auction.award(t);
        _assertLocked(t, bidders[1], 1.6 ether);
        _assertAccount(bidders[0], ACCOUNT);
        _assertAccount(bidders[1], ACCOUNT - COLLATERAL);
        _assertGone(t);
        assertEq(address(auction).balance, 5 * ACCOUNT - COLLATERAL);
        assertEq(market.balanceOf(address(auction)), 0);
    }

    function test_WhenManyBidsWereRevealed() external {
        uint256[5] memory prices = [uint256(1.4 ether), 1.1 ether, 2 ether, 1.3 ether, 1.2 ether];
        uint256[5][3] memory orders = [[uint256(0), 1, 2, 3, 4], [uint256(4), 3, 2, 1, 0], [uint256(2), 1, 4, 0, 3]];
        for (uint256 i = 0; i < 3; ++i) {
            ILotaMarket.Terms memory t = _auctioned(10 + i);
            vm.warp(START);
            _open(t);
            for (uint256 j = 0; j < 5; ++j) {
                _commit(t, bidders[j], prices[j]);
            }
            vm.warp(REVEAL_FROM);
            for (uint256 j = 0; j < 5; ++j) {
                _reveal(t, bidders[orders[i][j]], prices[orders[i][j]]);
            }
            vm.warp(REVEAL_UNTIL + 1);
            auction.award(t);
            assertEq(market.dealOf(_jobId(t)).provider, bidders[1]);
            assertEq(market.dealOf(_jobId(t)).price, 1.2 ether);
        }
        for (uint256 j = 0; j < 5; ++j) {
            _assertAccount(bidders[j], j == 1 ? ACCOUNT - 3 * COLLATERAL : ACCOUNT);
        }
    }

    function test_WhenAnybodyCallsInAnyBlockUntilLockBy() external {
        ILotaMarket.Terms memory t = _auctioned();
        _revealed(t, _prices(1.6 ether, 1.2 ether));
        address[4] memory callers = [client.addr, bidders[0], bidders[1], stranger.addr];
        uint256[4] memory times = [REVEAL_UNTIL + 1, REVEAL_UNTIL + 2, LOCK_BY - 1, LOCK_BY];
        for (uint256 i = 0; i < 4; ++i) {
            uint256 snapshot = vm.snapshotState();
            vm.warp(times[i]);
            vm.prank(callers[i]);
            auction.award(t);
            _assertLocked(t, bidders[1], 1.6 ether);
            assertTrue(vm.revertToState(snapshot));
        }
    }

    function test_WhenThereIsNoCollateral() external {
        ILotaMarket.Terms memory t = _auctioned();
        t.collateral = 0;
        _revealed(t, _prices(1.6 ether, 1.2 ether));
        vm.recordLogs();
        auction.award(t);
        assertEq(vm.getRecordedLogs().length, 2, "AuctionAwarded and JobLocked");
        _assertLocked(t, bidders[1], 1.6 ether);
        assertEq(address(auction).balance, 5 * ACCOUNT);
    }

    function test_WhenSomebodyHasDepositedForTheAuctionAtTheMarket() external {
        _fund(address(auction), 10 ether);
        _revealed(_auctioned(), _prices(1.6 ether, 1.2 ether));
        auction.award(_auctioned());
        assertEq(market.balanceOf(address(auction)), 10 ether);
        assertEq(address(auction).balance, 5 * ACCOUNT - COLLATERAL);
    }

    /// @dev A client of another job tries to award from within its callback.
    function test_WhenTheMarketIsCallingAClientBack() external {
        ILotaMarket.Terms memory t = _auctioned();
        _revealed(t, _prices(1.6 ether, 1.2 ether));
        Visitor visitor = new Visitor();
        _fund(address(visitor), 2 ether);
        ILotaMarket.Terms memory own = _terms(address(visitor), 0);
        (own.callbackGas, own.rampStart, own.lockBy) = (1_000_000, uint64(LOCK_BY), uint64(LOCK_BY));
        visitor.run(address(market), 0, abi.encodeCall(ILotaMarket.open, (own, "")));
        visitor.visit(address(auction), 0, abi.encodeCall(ISealedBidAuction.award, (t)));
        visitor.run(address(market), 0, abi.encodeCall(ILotaMarket.cancel, (own)));
        assertEq(visitor.visits(), 1);
        assertEq(visitor.answer(0), ILotaMarket.Reentered.selector);
        _assertBest(t, bidders[1], 1.2 ether, bidders[0], 1.6 ether);
        auction.award(t);
        _assertGone(t);
    }

    function test_WhenEverythingIsWrongAtOnce() external {
        ILotaMarket.Terms memory t = _auctioned();
        vm.warp(LOCK_BY + 1);
        _expectOfJob(ISealedBidAuction.NothingToAward.selector, t);
        auction.award(t);
        vm.warp(START);
        _revealed(t, _prices(1.6 ether));
        vm.warp(REVEAL_UNTIL);
        _expectTooEarly(REVEAL_UNTIL, REVEAL_UNTIL + 1);
        auction.award(t);
    }
}
