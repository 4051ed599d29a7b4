// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../../src/interfaces/ILotaMarket.sol";
import {ISealedBidAuction} from "../../../src/interfaces/ISealedBidAuction.sol";
import {AuctionTest} from "../../base/AuctionTest.sol";

contract AuctionRevealTest is AuctionTest {
    function call(ILotaMarket.Terms memory t) external {
        auction.reveal(t, 1.5 ether, "nonce");
    }

    function _expectWrongReveal(ILotaMarket.Terms memory t, address bidder) private {
        _expectOfBid(ISealedBidAuction.WrongReveal.selector, t, bidder);
    }

    function _expectNoCommitment(ILotaMarket.Terms memory t, address bidder) private {
        _expectOfBid(ISealedBidAuction.NoCommitment.selector, t, bidder);
    }

    function test_WhenTheTermsAreNotForThisAuction() external {
        _checksTerms(this.call);
    }

    function test_RevertGiven_TheBidderHasNotCommitted() external {
        ILotaMarket.Terms memory t = _auctioned();
        _committed(t, _prices(1.5 ether));
        vm.warp(REVEAL_FROM);
        _expectNoCommitment(t, bidders[1]);
        _reveal(t, bidders[1], 1.5 ether);
    }

    function test_RevertGiven_TheBidWasRevealed() external {
        ILotaMarket.Terms memory t = _auctioned();
        _committed(t, _prices(1.5 ether));
        vm.warp(REVEAL_FROM);
        _reveal(t, bidders[0], 1.5 ether);
        _expectNoCommitment(t, bidders[0]);
        _reveal(t, bidders[0], 1.5 ether);
    }

    function test_RevertWhen_RampStartHasNotCome() external {
        ILotaMarket.Terms memory t = _auctioned();
        _committed(t, _prices(1.5 ether));
        vm.warp(REVEAL_FROM - 1);
        _expectTooEarly(REVEAL_FROM - 1, REVEAL_FROM);
        _reveal(t, bidders[0], 1.5 ether);
    }

    function test_RevertWhen_TheRevealsAreOver() external {
        ILotaMarket.Terms memory t = _auctioned();
        _committed(t, _prices(1.5 ether));
        vm.warp(REVEAL_UNTIL + 1);
        _expectTooLate(REVEAL_UNTIL + 1, REVEAL_UNTIL);
        _reveal(t, bidders[0], 1.5 ether);
    }

    function test_RevertWhen_ThePriceIsAnother() external {
        ILotaMarket.Terms memory t = _auctioned();
        _committed(t, _prices(1.5 ether));
        vm.warp(REVEAL_FROM);
        _expectWrongReveal(t, bidders[0]);
        _reveal(t, bidders[0], 1.5 ether - 1 gwei);
    }

    function test_RevertWhen_TheNonceIsAnother() external {
        ILotaMarket.Terms memory t = _auctioned();
        _committed(t, _prices(1.5 ether));
        vm.warp(REVEAL_FROM);
        _expectWrongReveal(t, bidders[0]);
        vm.prank(bidders[0]);
        auction.reveal(t, 1.5 ether, _nonce(bidders[1]));
    }

    function test_WhenACommitmentWasCopied() external {
        ILotaMarket.Terms memory t = _auctioned();
        _open(t);
        bytes32 copied = _commitment(t, bidders[1], 1.5 ether);
        vm.prank(bidders[0]); // even when the copy comes first
        auction.commit(t, copied);
        vm.prank(bidders[1]);
        auction.commit(t, copied);
        vm.warp(REVEAL_FROM);
        _reveal(t, bidders[1], 1.5 ether);
        _expectWrongReveal(t, bidders[0]); // who knows price and nonce now
        vm.prank(bidders[0]);
        auction.reveal(t, 1.5 ether, _nonce(bidders[1]));
        _assertBest(t, bidders[1], 1.5 ether, address(0), 0);
    }

    function test_RevertWhen_ACommitmentIsOfAnotherJob() external {
        (ILotaMarket.Terms memory t, ILotaMarket.Terms memory other) = (_auctioned(1), _auctioned(2));
        _open(t);
        bytes32 commitment = _commitment(other, bidders[0], 1.5 ether);
        vm.prank(bidders[0]);
        auction.commit(t, commitment);
        vm.warp(REVEAL_FROM);
        _expectWrongReveal(t, bidders[0]);
        _reveal(t, bidders[0], 1.5 ether);
    }

    function test_RevertWhen_ACommitmentIsOfAnotherAuction() external {
        ILotaMarket.Terms memory t = _auctioned();
        _open(t);
        bytes32 commitment =
            keccak256(abi.encode(block.chainid, address(market), _jobId(t), bidders[0], 1.5 ether, _nonce(bidders[0])));
        vm.prank(bidders[0]);
        auction.commit(t, commitment);
        vm.warp(REVEAL_FROM);
        _expectWrongReveal(t, bidders[0]);
        _reveal(t, bidders[0], 1.5 ether);
    }

    function test_WhenTheChainHasAnotherIdByNow() external {
        ILotaMarket.Terms memory t = _auctioned();
        _committed(t, _prices(1.5 ether));
        bytes32 job = _jobId(t);
        vm.warp(REVEAL_FROM);
        vm.chainId(5);
        _reveal(t, bidders[0], 1.5 ether);
        assertEq(auction.auctionOf(job).best, bidders[0]);
    }

    function test_WhenThePriceIsOutOfRange() external {
        ILotaMarket.Terms memory t = _auctioned();
        uint256[5] memory prices = [0, t.minPrice - 1 gwei, t.minPrice + 1, t.maxPrice + 1 gwei, type(uint256).max];
        _open(t);
        for (uint256 i = 0; i < 5; ++i) {
            _commit(t, bidders[i], prices[i]);
        }
        vm.warp(REVEAL_FROM);
        for (uint256 i = 0; i < 5; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(ILotaMarket.PriceOutOfRange.selector, prices[i], t.minPrice, t.maxPrice)
            );
            _reveal(t, bidders[i], prices[i]);
        }
        assertEq(auction.burned(), 5 * DEPOSIT);
    }

    function test_WhenTheBidderIsPoor() external {
        ILotaMarket.Terms memory t = _auctioned();
        _committed(t, _prices(1.5 ether));
        vm.prank(bidders[0]);
        auction.withdraw(bidders[0], ACCOUNT - COLLATERAL + 1);
        vm.warp(REVEAL_FROM);
        _expectPoor(bidders[0], COLLATERAL - 1, COLLATERAL);
        _reveal(t, bidders[0], 1.5 ether);
        assertEq(auction.burned(), DEPOSIT, "nothing has changed");
        _fundBidder(bidders[0], 1);
        _reveal(t, bidders[0], 1.5 ether);
        _assertAccount(bidders[0], 0);
    }

    function test_WhenTheDepositPaysTheCollateral() external {
        ILotaMarket.Terms memory t = _auctioned();
        t.collateral = DEPOSIT;
        _open(t);
        address bidder = makeAddr("modest");
        _fundBidder(bidder, DEPOSIT);
        _commit(t, bidder, 1 ether);
        _assertAccount(bidder, 0);
        vm.warp(REVEAL_FROM);
        _reveal(t, bidder, 1 ether);
        _assertAccount(bidder, 0);
        assertEq(auction.burned(), 0);
    }

    function test_WhenTheBidIsTheFirst() external {
        ILotaMarket.Terms memory t = _auctioned();
        _committed(t, _prices(1.5 ether));
        vm.warp(REVEAL_UNTIL);
        vm.expectEmit(address(auction));
        emit ISealedBidAuction.BidRevealed(_jobId(t), bidders[0], 1.5 ether);
        _reveal(t, bidders[0], 1.5 ether);
        _assertAccount(bidders[0], ACCOUNT - COLLATERAL);
        assertEq(auction.burned(), 0);
        assertEq(auction.commitmentOf(_jobId(t), bidders[0]), 0, "the commitment leaves the storage");
        _assertBest(t, bidders[0], 1.5 ether, address(0), 0);
        assertEq(auction.auctionOf(_jobId(t)).commits, 1);
        assertEq(auction.auctionOf(_jobId(t)).bestOrder, 1);
    }

    function test_WhenTheBidIsTheLowestSoFar() external {
        ILotaMarket.Terms memory t = _auctioned();
        _revealed(t, _prices(1.7 ether, 1.5 ether, 1.2 ether));
        _assertBest(t, bidders[2], 1.2 ether, bidders[1], 1.5 ether);
        assertEq(auction.auctionOf(_jobId(t)).bestOrder, 3);
        assertEq(auction.auctionOf(_jobId(t)).secondOrder, 2);
        _assertAccount(bidders[0], ACCOUNT);
        _assertAccount(bidders[1], ACCOUNT - COLLATERAL);
        _assertAccount(bidders[2], ACCOUNT - COLLATERAL);
    }

    function test_WhenTheBidIsTheSecondLowestSoFar() external {
        ILotaMarket.Terms memory t = _auctioned();
        _revealed(t, _prices(1.2 ether, 1.7 ether, 1.5 ether));
        _assertBest(t, bidders[0], 1.2 ether, bidders[2], 1.5 ether);
        _assertAccount(bidders[0], ACCOUNT - COLLATERAL);
        _assertAccount(bidders[1], ACCOUNT);
        _assertAccount(bidders[2], ACCOUNT - COLLATERAL);
    }

    function test_WhenTheBidIsHopeless() external {
        ILotaMarket.Terms memory t = _auctioned();
        _revealed(t, _prices(1.2 ether, 1.5 ether, 2 ether));
        _assertBest(t, bidders[0], 1.2 ether, bidders[1], 1.5 ether);
        _assertAccount(bidders[2], ACCOUNT);
    }

    function test_WhenHopelessBidsAreRevealedInARow() external {
        ILotaMarket.Terms memory t = _auctioned();
        _committed(t, _prices(1.2 ether, 1.3 ether));
        address[] memory hopeless = new address[](30);
        for (uint256 i = 0; i < hopeless.length; ++i) {
            hopeless[i] = makeAddr(string.concat("hopeless", vm.toString(i)));
            _fundBidder(hopeless[i], DEPOSIT); // no collateral: none is needed
            _commit(t, hopeless[i], 1.3 ether + i * 1 gwei);
        }
        vm.warp(REVEAL_FROM);
        _reveal(t, bidders[0], 1.2 ether);
        _reveal(t, bidders[1], 1.3 ether);
        (bytes32 first, bytes32 second) = _slots(t);
        for (uint256 i = 0; i < hopeless.length; ++i) {
            _reveal(t, hopeless[i], 1.3 ether + i * 1 gwei);
            _assertAccount(hopeless[i], DEPOSIT);
        }
        (bytes32 firstNow, bytes32 secondNow) = _slots(t);
        assertEq(firstNow, first);
        assertEq(secondNow, second);
        assertEq(auction.burned(), 0);
    }

    function test_WhenBidsAreEqual() external {
        uint256[3][6] memory orders = [
            [uint256(0), 1, 2],
            [uint256(0), 2, 1],
            [uint256(1), 0, 2],
            [uint256(1), 2, 0],
            [uint256(2), 0, 1],
            [uint256(2), 1, 0]
        ];
        for (uint256 i = 0; i < 6; ++i) {
            ILotaMarket.Terms memory t = _auctioned(10 + i);
            vm.warp(START);
            _committed(t, _prices(1.5 ether, 1.5 ether, 1.5 ether));
            vm.warp(REVEAL_FROM);
            for (uint256 j = 0; j < 3; ++j) {
                _reveal(t, bidders[orders[i][j]], 1.5 ether);
            }
            _assertBest(t, bidders[0], 1.5 ether, bidders[1], 1.5 ether);
        }
    }

    function test_WhenThereIsNoCollateral() external {
        ILotaMarket.Terms memory t = _auctioned();
        t.collateral = 0;
        _revealed(t, _prices(1.7 ether, 1.2 ether, 1.5 ether));
        _assertBest(t, bidders[1], 1.2 ether, bidders[2], 1.5 ether);
        for (uint256 i = 0; i < 3; ++i) {
            _assertAccount(bidders[i], ACCOUNT);
        }
    }

    function test_WhenABidIsNeverRevealed() external {
        ILotaMarket.Terms memory t = _auctioned();
        _committed(t, _prices(1 ether, 1.4 ether, 1.6 ether));
        vm.warp(REVEAL_FROM);
        _reveal(t, bidders[1], 1.4 ether);
        _reveal(t, bidders[2], 1.6 ether);
        vm.warp(REVEAL_UNTIL + 1);
        auction.award(t);
        assertEq(market.dealOf(_jobId(t)).provider, bidders[1]);
        assertEq(market.dealOf(_jobId(t)).price, 1.6 ether);
        _assertAccount(bidders[0], ACCOUNT - DEPOSIT);
        assertEq(auction.burned(), DEPOSIT);
        assertEq(market.balanceOf(client.addr), FUNDS - 1.6 ether, "the deposit is never the client's");
    }

    function test_WhenEverythingIsWrongAtOnce() external {
        ILotaMarket.Terms memory t = _auctioned();
        _expectNoCommitment(t, bidders[0]);
        _reveal(t, bidders[0], 1);
        _committed(t, _prices(1));
        vm.prank(bidders[0]);
        auction.withdraw(bidders[0], ACCOUNT - DEPOSIT);
        _expectTooEarly(START, REVEAL_FROM);
        _reveal(t, bidders[0], 2);
        vm.warp(REVEAL_UNTIL + 1);
        _expectTooLate(REVEAL_UNTIL + 1, REVEAL_UNTIL);
        _reveal(t, bidders[0], 2);
        vm.warp(REVEAL_UNTIL);
        _expectWrongReveal(t, bidders[0]);
        _reveal(t, bidders[0], 2);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.PriceOutOfRange.selector, 1, t.minPrice, t.maxPrice));
        _reveal(t, bidders[0], 1);
    }
}
