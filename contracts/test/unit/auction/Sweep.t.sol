// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../../src/interfaces/ILotaMarket.sol";
import {ISealedBidAuction} from "../../../src/interfaces/ISealedBidAuction.sol";
import {AuctionTest} from "../../base/AuctionTest.sol";

contract AuctionSweepTest is AuctionTest {
    function call(ILotaMarket.Terms memory t) external {
        auction.sweep(t, new address[](0));
    }

    function _all() private view returns (address[] memory list) {
        list = new address[](bidders.length);
        for (uint256 i = 0; i < list.length; ++i) {
            list[i] = bidders[i];
        }
    }

    function test_WhenTheTermsAreNotForThisAuction() external {
        _checksTerms(this.call);
    }

    function test_RevertWhen_TheRevealsAreNotOver() external {
        _committed(_auctioned(), _prices(1.5 ether));
        vm.warp(REVEAL_UNTIL);
        _expectTooEarly(REVEAL_UNTIL, REVEAL_UNTIL + 1);
        auction.sweep(_auctioned(), _all());
    }

    function test_RevertWhen_ThereAreTooMany() external {
        _committed(_auctioned(), _prices(1.5 ether));
        vm.warp(REVEAL_UNTIL + 1);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.TooMany.selector, 63));
        auction.sweep(_auctioned(), new address[](63));
        auction.sweep(_auctioned(), new address[](62));
    }

    function test_WhenCommitmentsWereNotRevealed() external {
        ILotaMarket.Terms memory t = _auctioned();
        _committed(t, _prices(1.5 ether, 1.6 ether));
        vm.warp(REVEAL_UNTIL + 1);
        for (uint256 i = 0; i < 2; ++i) {
            vm.expectEmit(address(auction));
            emit ISealedBidAuction.CommitmentSwept(_jobId(t), bidders[i]);
        }
        vm.prank(stranger.addr);
        auction.sweep(t, _all());
        for (uint256 i = 0; i < 2; ++i) {
            assertEq(auction.commitmentOf(_jobId(t), bidders[i]), 0);
            _assertAccount(bidders[i], ACCOUNT - DEPOSIT);
        }
        assertEq(auction.burned(), 2 * DEPOSIT);
    }

    function test_WhenSomeHaveNoCommitmentOrComeTwice() external {
        _committed(_auctioned(), _prices(1.5 ether));
        vm.warp(REVEAL_UNTIL + 1);
        address[] memory list = new address[](4);
        (list[0], list[1], list[2], list[3]) = (bidders[4], bidders[0], bidders[0], address(0));
        vm.recordLogs();
        auction.sweep(_auctioned(), list);
        assertEq(vm.getRecordedLogs().length, 1);
        auction.sweep(_auctioned(), list);
        assertEq(vm.getRecordedLogs().length, 0);
    }

    function test_WhenTheJobWasAwarded() external {
        ILotaMarket.Terms memory t = _auctioned();
        _committed(t, _prices(1.5 ether, 1.6 ether));
        vm.warp(REVEAL_FROM);
        _reveal(t, bidders[0], 1.5 ether);
        vm.warp(REVEAL_UNTIL + 1);
        auction.award(t);
        auction.sweep(t, _all());
        assertEq(auction.commitmentOf(_jobId(t), bidders[1]), 0);
        assertEq(market.dealOf(_jobId(t)).provider, bidders[0]);
    }

    function test_WhenACommitmentWasSweptBeforeTheAward() external {
        ILotaMarket.Terms memory t = _auctioned();
        _committed(t, _prices(1.5 ether, 1.6 ether, 1.7 ether));
        vm.warp(REVEAL_FROM);
        _reveal(t, bidders[1], 1.6 ether);
        _reveal(t, bidders[2], 1.7 ether);
        vm.warp(REVEAL_UNTIL + 1);
        auction.sweep(t, _all());
        auction.award(t);
        assertEq(market.dealOf(_jobId(t)).provider, bidders[1]);
        assertEq(market.dealOf(_jobId(t)).price, 1.7 ether);
    }

    function test_WhenEverythingIsWrongAtOnce() external {
        ILotaMarket.Terms memory t = _auctioned();
        _expectTooEarly(START, REVEAL_UNTIL + 1);
        auction.sweep(t, new address[](63));
    }
}
