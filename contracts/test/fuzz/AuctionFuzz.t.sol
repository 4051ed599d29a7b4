// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {ISealedBidAuction} from "../../src/interfaces/ISealedBidAuction.sol";
import {AuctionTest} from "../base/AuctionTest.sol";

/// @title AuctionFuzzTest: the award against a formula that looks at all bids at once
contract AuctionFuzzTest is AuctionTest {
    uint256 private constant MOST = 12;

    struct Bid {
        address bidder;
        uint256 price;
        bool revealed;
    }

    /// @dev Bids of few different prices, so that there are ties; a fifth is never revealed.
    function _draw(uint256 seed, uint256 count, ILotaMarket.Terms memory t) private returns (Bid[] memory bids) {
        bids = new Bid[](count);
        for (uint256 i = 0; i < count; ++i) {
            uint256 random = uint256(keccak256(abi.encode(seed, i)));
            bids[i].bidder = makeAddr(string.concat("bidder ", vm.toString(i)));
            bids[i].price = t.minPrice + (random % 5) * (t.maxPrice - t.minPrice) / 4;
            bids[i].revealed = (random >> 8) % 5 != 0;
            if (auction.balanceOf(bids[i].bidder) == 0) _fundBidder(bids[i].bidder, ACCOUNT);
        }
    }

    /// @dev A random order (Fisher and Yates).
    function _shuffled(uint256 seed, uint256 count) private pure returns (uint256[] memory order) {
        order = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            order[i] = i;
        }
        for (uint256 i = count; i > 1; --i) {
            uint256 j = uint256(keccak256(abi.encode(seed, "order", i))) % i;
            (order[i - 1], order[j]) = (order[j], order[i - 1]);
        }
    }

    /// @dev Commits in the order of the list, reveals in another, awards at a random time by a random caller.
    function _auction(ILotaMarket.Terms memory t, Bid[] memory bids, uint256 seed) private returns (bool awarded) {
        vm.warp(START);
        _open(t);
        for (uint256 i = 0; i < bids.length; ++i) {
            _commit(t, bids[i].bidder, bids[i].price);
        }
        uint256[] memory order = _shuffled(seed, bids.length);
        for (uint256 i = 0; i < bids.length; ++i) {
            vm.warp(REVEAL_FROM + i * (REVEAL_UNTIL - REVEAL_FROM) / bids.length);
            Bid memory bid = bids[order[i]];
            if (bid.revealed) _reveal(t, bid.bidder, bid.price);
        }
        vm.warp(bound(seed, REVEAL_UNTIL + 1, LOCK_BY));
        vm.prank(address(uint160(uint256(keccak256(abi.encode(seed))))));
        try auction.award(t) {
            return true;
        } catch {
            return false;
        }
    }

    /// @dev The winner and its price, by the formula: the lowest of (price, order), at the price of the next.
    function _formula(Bid[] memory bids, uint256 maxPrice) private pure returns (address winner, uint256 price) {
        uint256 best = type(uint256).max;
        for (uint256 i = 0; i < bids.length; ++i) {
            if (bids[i].revealed && (best == type(uint256).max || bids[i].price < bids[best].price)) best = i;
        }
        if (best == type(uint256).max) return (address(0), 0);
        price = maxPrice;
        for (uint256 i = 0; i < bids.length; ++i) {
            if (i != best && bids[i].revealed && bids[i].price < price) price = bids[i].price;
        }
        return (bids[best].bidder, price);
    }

    function testFuzz_TheLowestBidWinsAtTheSecondLowest(uint256 seed, uint256 other, uint256 count) external {
        ILotaMarket.Terms memory t = _auctioned(1);
        Bid[] memory bids = _draw(seed, bound(count, 1, MOST), t);
        uint256 hidden = 0;
        for (uint256 i = 0; i < bids.length; ++i) {
            if (!bids[i].revealed) ++hidden;
        }
        (address winner, uint256 price) = _formula(bids, t.maxPrice);
        // Twice, with other orders of reveals, another caller, another time.
        uint256[2] memory seeds = [seed, other];
        for (uint256 round = 0; round < 2; ++round) {
            t = _auctioned(1 + round);
            uint256 before = address(auction).balance;
            bool awarded = _auction(t, bids, seeds[round]);
            assertEq(awarded, winner != address(0));
            ILotaMarket.Deal memory found = market.dealOf(_jobId(t));
            assertEq(found.provider, winner, "the winner");
            assertEq(found.price, price, "the price");
            if (awarded) {
                _assertGone(t);
                assertEq(address(auction).balance, before - COLLATERAL, "nothing but the winner's collateral leaves");
            }
            uint256 spent = round + 1;
            for (uint256 i = 0; i < bids.length; ++i) {
                uint256 wanted = ACCOUNT;
                if (!bids[i].revealed) wanted -= spent * DEPOSIT;
                if (bids[i].bidder == winner) wanted -= spent * COLLATERAL;
                assertEq(auction.balanceOf(bids[i].bidder), wanted, "an account");
            }
            assertEq(auction.burned(), spent * hidden * DEPOSIT, "burned");
        }
    }

    function testFuzz_NothingButThePriceAndNonceCommittedToReveals(
        uint256 price,
        bytes32 nonce,
        uint256 otherPrice,
        bytes32 otherNonce
    ) external {
        ILotaMarket.Terms memory t = _auctioned();
        price = bound(price, t.minPrice / 1 gwei, t.maxPrice / 1 gwei) * 1 gwei;
        _open(t);
        bytes32 commitment = _commitment(t, bidders[0], price, nonce);
        vm.prank(bidders[0]);
        auction.commit(t, commitment);
        vm.warp(REVEAL_FROM);
        if (price != otherPrice || nonce != otherNonce) {
            _expectOfBid(ISealedBidAuction.WrongReveal.selector, t, bidders[0]);
            vm.prank(bidders[0]);
            auction.reveal(t, otherPrice, otherNonce);
        }
        vm.prank(bidders[0]);
        auction.reveal(t, price, nonce);
        _assertBest(t, bidders[0], price, address(0), 0);
    }

    /// @dev Prices at the ends of what terms allow are stored and multiplied without loss.
    function testFuzz_PricesOfAnyQuantumAreKept(uint256 low, uint256 high, uint64 quantum) external {
        quantum = uint64(bound(quantum, 1, type(uint64).max));
        low = bound(low, 0, (1 << 48) - 2);
        high = bound(high, low + 1, (1 << 48) - 1);
        ILotaMarket.Settings memory settings = _settings();
        settings.quantum = quantum;
        market = _deploy(settings);
        auction = _deployAuction(market);
        ILotaMarket.Terms memory t = _auctioned();
        (t.minPrice, t.maxPrice, t.collateral) = (low * quantum, high * quantum, high * quantum);
        _fund(client.addr, t.maxPrice);
        for (uint256 i = 0; i < 2; ++i) {
            _fundBidder(bidders[i], t.maxPrice);
        }
        _revealed(t, _prices(t.minPrice, t.maxPrice));
        _assertBest(t, bidders[0], t.minPrice, bidders[1], t.maxPrice);
        auction.award(t);
        assertEq(market.dealOf(_jobId(t)).price, t.maxPrice);
    }
}
