// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {ISealedBidAuction} from "../../src/interfaces/ISealedBidAuction.sol";
import {Eip712} from "../base/Eip712.sol";
import {Test} from "../base/Test.sol";
import {Visitor} from "../mocks/Visitor.sol";

/// @title AuctionHandler: random commands to an auction, and a ledger of its own, from the specification
/// @dev The clients are contracts that try everything in the auction from within their callbacks.
contract AuctionHandler is Test {
    uint256 private constant _MAX_JOBS = 40;

    struct Bid {
        address bidder;
        uint256 price; // what the bidder remembers; an invalid one may have been committed to
        bytes32 nonce;
        bool copied; // of another's commitment: can never be revealed
        bool revealed;
    }

    struct Job {
        ILotaMarket.Terms terms;
        bytes32 id;
        Bid[] bids; // in the order of the commits
        bool over; // awarded, cancelled or released
    }

    ILotaMarket private immutable MARKET;
    ISealedBidAuction private immutable AUCTION;

    address[] public bidders;
    Visitor[2] private _clients;
    Job[] private _jobs;
    mapping(address client => uint256) private _salts;

    mapping(address => uint256) public expected;
    uint256 public expectedBurned;
    uint256 public paidIn;
    uint256 public paidOut;
    uint256 public forced;
    uint256 public awards;
    mapping(uint256 client => mapping(uint256 visit => bool)) private _isOutside;

    constructor(ILotaMarket market, ISealedBidAuction auction) {
        (MARKET, AUCTION) = (market, auction);
        for (uint256 i = 0; i < 6; ++i) {
            bidders.push(makeAddr(string.concat("bidder", vm.toString(i))));
        }
        for (uint256 i = 0; i < 2; ++i) {
            _clients[i] = new Visitor();
            bidders.push(address(_clients[i])); // one client may bid for the other's jobs
            _clients[i].visit(address(auction), 0, abi.encodeCall(auction.fund, ()));
            _clients[i].visit(address(auction), 0, abi.encodeCall(auction.withdraw, (address(this), 0)));
        }
    }

    // ------------------------------------------------------------------------------------------------------------
    // Money and time
    // ------------------------------------------------------------------------------------------------------------

    function fund(uint256 by, uint256 amount) external {
        _fund(_bidder(by), bound(amount, 0, 100 ether));
    }

    function _fund(address bidder, uint256 amount) private {
        vm.deal(bidder, amount);
        assertTrue(_call(bidder, amount, abi.encodeCall(AUCTION.fund, ())), "fund");
        expected[bidder] += amount;
        paidIn += amount;
    }

    function withdraw(uint256 by, uint256 amount) external {
        address bidder = _bidder(by);
        amount = bound(amount, 0, expected[bidder] + 1);
        bool success = _call(bidder, 0, abi.encodeCall(AUCTION.withdraw, (address(0xbeef), amount)));
        assertEq(success, amount <= expected[bidder], "withdraw");
        if (!success) return;
        expected[bidder] -= amount;
        paidOut += amount;
    }

    function force(uint256 amount) external {
        amount = bound(amount, 0, 1 ether);
        vm.deal(address(AUCTION), address(AUCTION).balance + amount);
        forced += amount;
    }

    function warp(uint256 seconds_) external {
        vm.warp(block.timestamp + bound(seconds_, 0, 200));
    }

    /// @dev To a time at which something changes for a job, or the second before or after.
    function warpToEdge(uint256 seed, uint256 edge, uint256 beside) external {
        if (_jobs.length == 0) return;
        ILotaMarket.Terms storage t = _jobs[seed % _jobs.length].terms;
        uint256[3] memory edges = [uint256(t.rampStart), t.rampStart + t.rampPeriod, t.lockBy];
        uint256 to = edges[edge % 3] + beside % 3 - 1;
        if (to > block.timestamp) vm.warp(to);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Auctions
    // ------------------------------------------------------------------------------------------------------------

    function open(uint256 by, uint256 seed) external {
        if (_jobs.length == _MAX_JOBS) return;
        Visitor client = _clients[by % 2];
        ILotaMarket.Terms memory t;
        (t.client, t.salt, t.matcher) = (address(client), _salts[address(client)]++, address(AUCTION));
        (t.spec, t.specCodec, t.runFor) = (bytes32(seed), 0x71, 60);
        t.minPrice = (seed % 3) * 1 gwei;
        t.maxPrice = t.minPrice + 1 gwei + ((seed >> 8) % 4) * 1 gwei;
        t.rampStart = uint64(block.timestamp + (seed >> 16) % 100);
        t.rampPeriod = uint64(AUCTION.minRevealPeriod() + (seed >> 24) % 100);
        t.lockBy = t.rampStart + t.rampPeriod + 1 + uint64((seed >> 32) % 100);
        t.collateral = ((seed >> 40) % 3) * 1 ether;
        (t.callbackGas, t.keepRecord) = (uint32((seed >> 48) % 2) * 500_000, (seed >> 56) % 3 == 0);
        vm.deal(address(client), t.maxPrice);
        client.run(address(MARKET), t.maxPrice, abi.encodeCall(MARKET.open, (t, "")));
        Job storage job = _jobs.push();
        (job.terms, job.id) = (t, _jobId(t));
    }

    function commit(uint256 seed, uint256 by, uint256 price, bool poor) external {
        if (_jobs.length == 0) return;
        Job storage job = _pickOpen(seed);
        ILotaMarket.Terms memory t = job.terms;
        Bid memory bid = Bid(_bidder(by), _price(t, price), keccak256(abi.encode(seed, by)), false, false);
        bytes32 commitment = _commitment(job.id, bid.bidder, bid.price, bid.nonce);
        if (job.bids.length != 0 && price % 7 == 0) {
            bid.copied = true;
            Bid storage other = job.bids[price % job.bids.length];
            commitment = _commitment(job.id, other.bidder, other.price, other.nonce);
            bid.copied = other.bidder != bid.bidder;
        }
        uint256 deposit = t.maxPrice - t.minPrice;
        if (!poor && expected[bid.bidder] < deposit) _fund(bid.bidder, deposit);
        bool possible = !job.over && block.timestamp < t.rampStart && bid.bidder != t.client
            && !_hasCommitted(job, bid.bidder) && expected[bid.bidder] >= deposit;
        bool success = _call(bid.bidder, 0, abi.encodeCall(AUCTION.commit, (t, commitment)));
        assertEq(success, possible, "commit");
        if (!success) return;
        expected[bid.bidder] -= deposit;
        expectedBurned += deposit;
        job.bids.push(bid);
    }

    function reveal(uint256 seed, uint256 which, bool rich, bool wrong) external {
        if (_jobs.length == 0) return;
        Job storage job = _pickOpen(seed);
        if (job.bids.length == 0) return;
        Bid storage bid = job.bids[which % job.bids.length];
        ILotaMarket.Terms memory t = job.terms;
        uint256 deposit = t.maxPrice - t.minPrice;
        if (rich && expected[bid.bidder] < t.collateral) _fund(bid.bidder, t.collateral);
        bool possible = !job.over && !bid.revealed && !bid.copied && !wrong && block.timestamp >= t.rampStart
            && block.timestamp <= t.rampStart + t.rampPeriod && _isValid(t, bid.price);
        if (possible) {
            (uint256 best, uint256 second) = _bestTwo(job);
            bool enters = second == type(uint256).max || bid.price < job.bids[second].price
                || (bid.price == job.bids[second].price && which % job.bids.length < second)
                || best == type(uint256).max;
            if (enters) {
                possible = expected[bid.bidder] + deposit >= t.collateral;
                if (possible) {
                    expected[bid.bidder] = expected[bid.bidder] + deposit - t.collateral;
                    if (second != type(uint256).max) expected[job.bids[second].bidder] += t.collateral;
                }
            } else {
                expected[bid.bidder] += deposit;
            }
        }
        uint256 price = wrong ? bid.price + 1 gwei : bid.price;
        bool success = _call(bid.bidder, 0, abi.encodeCall(AUCTION.reveal, (t, price, bid.nonce)));
        assertEq(success, possible, "reveal");
        if (!success) return;
        expectedBurned -= deposit;
        bid.revealed = true;
    }

    function award(uint256 seed, uint256 by) external {
        if (_jobs.length == 0) return;
        Job storage job = _pickOpen(seed);
        ILotaMarket.Terms memory t = job.terms;
        (uint256 best, uint256 second) = _bestTwo(job);
        bool possible = !job.over && best != type(uint256).max && block.timestamp > t.rampStart + t.rampPeriod
            && block.timestamp <= t.lockBy;
        bool success = _call(_bidder(by), 0, abi.encodeCall(AUCTION.award, (t)));
        assertEq(success, possible, "award");
        if (!success) return;
        ++awards;
        uint256 price = t.maxPrice;
        if (second != type(uint256).max) {
            price = job.bids[second].price;
            expected[job.bids[second].bidder] += t.collateral;
        }
        paidOut += t.collateral;
        job.over = true;
        ILotaMarket.Deal memory deal = MARKET.dealOf(job.id);
        assertEq(deal.provider, job.bids[best].bidder, "the winner");
        assertEq(deal.price, price, "the price");
    }

    function cancel(uint256 seed, uint256 by, bool byClient) external {
        if (_jobs.length == 0) return;
        Job storage job = _pickOpen(seed);
        ILotaMarket.Terms memory t = job.terms;
        address sender = byClient ? t.client : _bidder(by);
        (uint256 best,) = _bestTwo(job);
        bool isOpen = MARKET.dealOf(job.id).status == ILotaMarket.Status.Open;
        bool ended = block.timestamp > t.rampStart + t.rampPeriod;
        bool stored = !job.over && job.bids.length != 0;
        bool possible = isOpen && !(stored && best != type(uint256).max) && (ended || (!stored && sender == t.client));
        bool success = _call(sender, 0, abi.encodeCall(AUCTION.cancel, (t)));
        assertEq(success, possible, "cancel");
        if (success) job.over = true;
    }

    function release(uint256 seed, uint256 by) external {
        if (_jobs.length == 0) return;
        Job storage job = _pickOpen(seed);
        bool possible = !job.over && job.bids.length != 0 && block.timestamp > job.terms.lockBy;
        bool success = _call(_bidder(by), 0, abi.encodeCall(AUCTION.release, (job.terms)));
        assertEq(success, possible, "release");
        if (success) _released(job);
    }

    function _released(Job storage job) private {
        (uint256 best, uint256 second) = _bestTwo(job);
        if (best != type(uint256).max) expected[job.bids[best].bidder] += job.terms.collateral;
        if (second != type(uint256).max) expected[job.bids[second].bidder] += job.terms.collateral;
        job.over = true;
    }

    function sweep(uint256 seed, uint256 by) external {
        if (_jobs.length == 0) return;
        Job storage job = _jobs[seed % _jobs.length];
        bool success = _call(_bidder(by), 0, abi.encodeCall(AUCTION.sweep, (job.terms, bidders)));
        assertEq(success, block.timestamp > job.terms.rampStart + job.terms.rampPeriod, "sweep");
        if (!success) return;
        for (uint256 i = 0; i < bidders.length; ++i) {
            assertEq(AUCTION.commitmentOf(job.id, bidders[i]), 0, "swept");
        }
    }

    /// @dev Ends the deal behind the auction's back, where the market allows it.
    function expire(uint256 seed) external {
        if (_jobs.length == 0) return;
        Job storage job = _pickOpen(seed);
        if (MARKET.dealOf(job.id).status != ILotaMarket.Status.Open || block.timestamp <= job.terms.lockBy) return;
        _expire(job);
    }

    /// @dev The auction has no part in this: what clients do in it meanwhile are calls like any others.
    function _expire(Job storage job) private {
        uint256[2] memory before = [_clients[0].visits(), _clients[1].visits()];
        MARKET.expire(job.terms);
        for (uint256 i = 0; i < 2; ++i) {
            for (uint256 j = before[i]; j < _clients[i].visits(); ++j) {
                _isOutside[i][j] = true;
            }
        }
    }

    // ------------------------------------------------------------------------------------------------------------
    // What must hold
    // ------------------------------------------------------------------------------------------------------------

    function moneyIsAccountedFor() external view {
        uint256 sum = expectedBurned + forced;
        for (uint256 i = 0; i < bidders.length; ++i) {
            assertEq(AUCTION.balanceOf(bidders[i]), expected[bidders[i]], "an account");
            sum += expected[bidders[i]];
        }
        for (uint256 i = 0; i < _jobs.length; ++i) {
            if (_jobs[i].over) continue;
            (uint256 best, uint256 second) = _bestTwo(_jobs[i]);
            if (best != type(uint256).max) sum += _jobs[i].terms.collateral;
            if (second != type(uint256).max) sum += _jobs[i].terms.collateral;
        }
        assertEq(AUCTION.burned(), expectedBurned, "burned");
        assertEq(address(AUCTION).balance, sum, "accounts, collateral, burned");
        assertEq(address(AUCTION).balance, paidIn + forced - paidOut, "what came and went");
        assertEq(MARKET.balanceOf(address(AUCTION)), 0, "nothing stays at the market");
    }

    function auctionsAreTheLedgers() external view {
        for (uint256 i = 0; i < _jobs.length; ++i) {
            Job storage job = _jobs[i];
            ISealedBidAuction.Auction memory found = AUCTION.auctionOf(job.id);
            if (job.over) {
                assertEq(keccak256(abi.encode(found)), keccak256(new bytes(7 * 32)), "it leaves the storage");
                continue;
            }
            (uint256 best, uint256 second) = _bestTwo(job);
            assertEq(found.commits, job.bids.length, "commits");
            assertEq(found.best, best == type(uint256).max ? address(0) : job.bids[best].bidder, "best");
            assertEq(found.second, second == type(uint256).max ? address(0) : job.bids[second].bidder, "second");
        }
    }

    function nobodyGotIn() external view {
        for (uint256 i = 0; i < 2; ++i) {
            for (uint256 j = 0; j < _clients[i].visits(); ++j) {
                if (_isOutside[i][j]) continue;
                assertEq(_clients[i].answer(j), ILotaMarket.Reentered.selector, "a call from within");
            }
        }
    }

    /// @dev A stranger and time end everything, and everybody leaves with all of their money.
    function finish(address stranger) external {
        for (uint256 i = 0; i < _jobs.length; ++i) {
            Job storage job = _jobs[i];
            if (block.timestamp <= job.terms.lockBy) vm.warp(job.terms.lockBy + 1);
            vm.startPrank(stranger);
            if (!job.over && job.bids.length != 0) {
                AUCTION.release(job.terms);
                vm.stopPrank();
                _released(job);
                vm.startPrank(stranger);
            }
            AUCTION.sweep(job.terms, bidders);
            vm.stopPrank();
            if (MARKET.dealOf(job.id).status == ILotaMarket.Status.Open) _expire(job);
            uint256 slot = uint256(keccak256(abi.encode(job.id, uint256(2))));
            assertEq(vm.load(address(AUCTION), bytes32(slot)), 0, "the auction's first slot");
            assertEq(vm.load(address(AUCTION), bytes32(slot + 1)), 0, "the auction's second slot");
            for (uint256 j = 0; j < bidders.length; ++j) {
                assertEq(AUCTION.commitmentOf(job.id, bidders[j]), 0, "a commitment");
            }
        }
        for (uint256 i = 0; i < bidders.length; ++i) {
            vm.prank(bidders[i]);
            AUCTION.withdraw(address(0xbeef), expected[bidders[i]]);
        }
        assertEq(address(AUCTION).balance, AUCTION.burned() + forced, "nothing else is left");
    }

    // ------------------------------------------------------------------------------------------------------------
    // Small things
    // ------------------------------------------------------------------------------------------------------------

    /// @dev Indices of the best two revealed bids, looking at all of them; 2^256 - 1: none.
    function _bestTwo(Job storage job) private view returns (uint256 best, uint256 second) {
        (best, second) = (type(uint256).max, type(uint256).max);
        for (uint256 i = 0; i < job.bids.length; ++i) {
            if (!job.bids[i].revealed) continue;
            if (best == type(uint256).max || job.bids[i].price < job.bids[best].price) best = i;
        }
        for (uint256 i = 0; i < job.bids.length; ++i) {
            if (!job.bids[i].revealed || i == best) continue;
            if (second == type(uint256).max || job.bids[i].price < job.bids[second].price) second = i;
        }
    }

    function _hasCommitted(Job storage job, address bidder) private view returns (bool) {
        for (uint256 i = 0; i < job.bids.length; ++i) {
            if (job.bids[i].bidder == bidder) return true;
        }
        return false;
    }

    /// @dev Mostly within the terms' range.
    function _price(ILotaMarket.Terms memory t, uint256 seed) private pure returns (uint256) {
        if (seed % 11 == 0) return t.maxPrice + 1 gwei;
        if (seed % 13 == 0) return t.maxPrice - 1;
        return t.minPrice + (seed % ((t.maxPrice - t.minPrice) / 1 gwei + 1)) * 1 gwei;
    }

    function _isValid(ILotaMarket.Terms memory t, uint256 price) private pure returns (bool) {
        return price >= t.minPrice && price <= t.maxPrice && price % 1 gwei == 0;
    }

    /// @dev An auction that is not over, if there is one: the first at or behind a random place.
    function _pickOpen(uint256 seed) private view returns (Job storage job) {
        job = _jobs[seed % _jobs.length];
        for (uint256 i = 0; i < _jobs.length && (job.over || seed % 8 == 0); ++i) {
            job = _jobs[(seed % _jobs.length + i) % _jobs.length];
            if (seed % 8 == 0) return job;
        }
    }

    function _bidder(uint256 seed) private view returns (address) {
        return bidders[seed % bidders.length];
    }

    function _call(address sender, uint256 value, bytes memory data) private returns (bool success) {
        if (value == 0) vm.deal(sender, 0);
        vm.prank(sender);
        (success,) = address(AUCTION).call{value: value}(data);
    }

    function _commitment(bytes32 jobId, address bidder, uint256 price, bytes32 nonce) private view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, address(AUCTION), jobId, bidder, price, nonce));
    }

    function _jobId(ILotaMarket.Terms memory terms) private view returns (bytes32) {
        return Eip712.digest(Eip712.domain(address(MARKET), block.chainid), Eip712.hash(terms));
    }
}
