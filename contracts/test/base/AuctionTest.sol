// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {ISealedBidAuction} from "../../src/interfaces/ISealedBidAuction.sol";
import {MarketTest} from "./MarketTest.sol";

/// @title AuctionTest: a market with an auction beside it, five bidders, and auctions in every state
abstract contract AuctionTest is MarketTest {
    uint32 internal constant MIN_REVEAL_PERIOD = 120;
    /// @dev Of the terms below: bids are sealed before REVEAL_FROM and opened until REVEAL_UNTIL.
    uint256 internal constant REVEAL_FROM = START + 600;
    uint256 internal constant REVEAL_UNTIL = START + 1200;
    uint256 internal constant LOCK_BY = START + 1 hours;
    uint256 internal constant DEPOSIT = 1 ether;
    uint256 internal constant COLLATERAL = 3 ether;
    uint256 internal constant ACCOUNT = 100 ether;

    ISealedBidAuction internal auction;
    address[5] internal bidders;

    function setUp() public virtual override {
        super.setUp();
        auction = _deployAuction(market);
        bidders = [makeAddr("ann"), makeAddr("bob"), makeAddr("cid"), makeAddr("dan"), makeAddr("eve")];
        for (uint256 i = 0; i < bidders.length; ++i) {
            _fundBidder(bidders[i], ACCOUNT);
        }
    }

    function _deployAuction(ILotaMarket at) internal returns (ISealedBidAuction) {
        return ISealedBidAuction(deployCode("SealedBidAuction.sol:SealedBidAuction", abi.encode(at, MIN_REVEAL_PERIOD)));
    }

    function _fundBidder(address bidder, uint256 amount) internal virtual {
        vm.deal(bidder, amount);
        vm.prank(bidder);
        auction.fund{value: amount}();
    }

    // ------------------------------------------------------------------------------------------------------------
    // Values
    // ------------------------------------------------------------------------------------------------------------

    function _auctioned() internal view returns (ILotaMarket.Terms memory) {
        return _auctioned(1);
    }

    function _auctioned(uint256 salt) internal view returns (ILotaMarket.Terms memory terms) {
        terms = _terms(client.addr, salt);
        terms.matcher = address(auction);
        terms.rampStart = uint64(REVEAL_FROM);
        terms.rampPeriod = uint64(REVEAL_UNTIL - REVEAL_FROM);
        terms.lockBy = uint64(LOCK_BY);
        terms.keepRecord = false;
    }

    function _nonce(address bidder) internal pure returns (bytes32) {
        return keccak256(abi.encode("nonce", bidder));
    }

    function _commitment(ILotaMarket.Terms memory terms, address bidder, uint256 price)
        internal
        view
        returns (bytes32)
    {
        return _commitment(terms, bidder, price, _nonce(bidder));
    }

    function _commitment(ILotaMarket.Terms memory terms, address bidder, uint256 price, bytes32 nonce)
        internal
        view
        returns (bytes32)
    {
        return keccak256(abi.encode(block.chainid, address(auction), _jobId(terms), bidder, price, nonce));
    }

    // ------------------------------------------------------------------------------------------------------------
    // Steps
    // ------------------------------------------------------------------------------------------------------------

    function _commit(ILotaMarket.Terms memory terms, address bidder, uint256 price) internal {
        bytes32 commitment = _commitment(terms, bidder, price);
        vm.prank(bidder);
        auction.commit(terms, commitment);
    }

    function _reveal(ILotaMarket.Terms memory terms, address bidder, uint256 price) internal {
        vm.prank(bidder);
        auction.reveal(terms, price, _nonce(bidder));
    }

    /// @dev An open job on which the first `prices.length` bidders have committed, in this order.
    function _committed(ILotaMarket.Terms memory terms, uint256[] memory prices) internal {
        _open(terms);
        for (uint256 i = 0; i < prices.length; ++i) {
            _commit(terms, bidders[i], prices[i]);
        }
    }

    /// @dev The same; all are revealed in this order, and it is time to award.
    function _revealed(ILotaMarket.Terms memory terms, uint256[] memory prices) internal {
        _committed(terms, prices);
        vm.warp(REVEAL_FROM);
        for (uint256 i = 0; i < prices.length; ++i) {
            _reveal(terms, bidders[i], prices[i]);
        }
        vm.warp(REVEAL_UNTIL + 1);
    }

    function _prices() internal pure returns (uint256[] memory list) {
        return new uint256[](0);
    }

    function _prices(uint256 a) internal pure returns (uint256[] memory list) {
        list = new uint256[](1);
        list[0] = a;
    }

    function _prices(uint256 a, uint256 b) internal pure returns (uint256[] memory list) {
        list = new uint256[](2);
        (list[0], list[1]) = (a, b);
    }

    function _prices(uint256 a, uint256 b, uint256 c) internal pure returns (uint256[] memory list) {
        list = new uint256[](3);
        (list[0], list[1], list[2]) = (a, b, c);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Assertions
    // ------------------------------------------------------------------------------------------------------------

    function _assertBest(ILotaMarket.Terms memory terms, address best, uint256 bestPrice, address second, uint256 price)
        internal
        view
    {
        ISealedBidAuction.Auction memory found = auction.auctionOf(_jobId(terms));
        assertEq(found.best, best, "best");
        assertEq(found.bestPrice, bestPrice, "price of the best");
        assertEq(found.second, second, "second");
        assertEq(found.secondPrice, price, "price of the second");
    }

    /// @dev Nothing is stored of an auction, in either of its slots.
    function _assertGone(ILotaMarket.Terms memory terms) internal view {
        (bytes32 first, bytes32 second) = _slots(terms);
        assertEq(first, 0, "the auction's first slot");
        assertEq(second, 0, "the auction's second slot");
    }

    function _slots(ILotaMarket.Terms memory terms) internal view returns (bytes32 first, bytes32 second) {
        uint256 at = _slotOf(terms);
        return (vm.load(address(auction), bytes32(at)), vm.load(address(auction), bytes32(at + 1)));
    }

    function _slotOf(ILotaMarket.Terms memory terms) internal view returns (uint256) {
        return uint256(keccak256(abi.encode(_jobId(terms), uint256(2))));
    }

    function _assertAccount(address bidder, uint256 amount) internal view {
        assertEq(auction.balanceOf(bidder), amount, "account");
    }

    /// @dev The next call must fail with an error of the auction that names the job.
    function _expectOfJob(bytes4 selector, ILotaMarket.Terms memory terms) internal {
        vm.expectRevert(abi.encodeWithSelector(selector, _jobId(terms)));
    }

    /// @dev The same, with a bidder.
    function _expectOfBid(bytes4 selector, ILotaMarket.Terms memory terms, address bidder) internal {
        vm.expectRevert(abi.encodeWithSelector(selector, _jobId(terms), bidder));
    }

    function _expectFault(ISealedBidAuction.AuctionFault fault) internal {
        vm.expectRevert(abi.encodeWithSelector(ISealedBidAuction.BadAuction.selector, fault));
    }

    function _expectNotTheMatcher(address matcher) internal {
        vm.expectRevert(abi.encodeWithSelector(ISealedBidAuction.NotTheMatcher.selector, matcher));
    }

    function _expectInvalidBidder(address bidder) internal {
        vm.expectRevert(abi.encodeWithSelector(ISealedBidAuction.InvalidBidder.selector, bidder));
    }

    /// @dev `call` must be refused for terms with another matcher, and for every fault, the first being named.
    function _checksTerms(function(ILotaMarket.Terms memory) external call) internal {
        ILotaMarket.Terms memory t = _auctioned();
        t.lockBy = uint64(REVEAL_UNTIL);
        _expectFault(ISealedBidAuction.AuctionFault.TooLong);
        call(t);
        (t.rampStart, t.rampPeriod) = (type(uint64).max, type(uint64).max);
        _expectFault(ISealedBidAuction.AuctionFault.TooLong);
        call(t);
        t.rampPeriod = MIN_REVEAL_PERIOD - 1;
        _expectFault(ISealedBidAuction.AuctionFault.RevealPeriod);
        call(t);
        t.minPrice = t.maxPrice;
        _expectFault(ISealedBidAuction.AuctionFault.NoRange);
        call(t);
        t.minPrice = t.maxPrice + 1;
        _expectFault(ISealedBidAuction.AuctionFault.NoRange);
        call(t);
        t.matcher = matcher.addr;
        _expectNotTheMatcher(matcher.addr);
        call(t);
    }
}
