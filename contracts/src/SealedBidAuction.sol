// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.34;

import {ILotaMarket} from "./interfaces/ILotaMarket.sol";
import {ISealedBidAuction} from "./interfaces/ISealedBidAuction.sol";
import {IToken} from "./interfaces/IToken.sol";
import {Addresses} from "./libraries/Addresses.sol";
import {Asset} from "./libraries/Asset.sol";
import {CappedCall} from "./libraries/CappedCall.sol";
import {Hashes} from "./libraries/Hashes.sol";

/// @title SealedBidAuction: awards jobs to the lowest of sealed bids at the second-lowest price
/// @notice The specification is {ISealedBidAuction}: types, errors, events, and the order of checks in each function.
///
/// @dev What this contract holds to, beyond the interface:
///
/// - Money is in one of three places: an account, the collateral of the best two of an auction, or `burned`. The second follows
///   from the auction's record and the terms. The deposit of a sealed bid is in `burned`.
/// - An auction is two storage slots, a sealed bid one; all are freed. Nothing here loops but over a caller's own list.
/// - Every function checks, then changes storage, then emits; only then it calls out. While it does, every function that is not
///   a view is closed. Balances are measured by {fundToken} and {withdraw} alone, around one transfer.
contract SealedBidAuction is ISealedBidAuction {
    uint256 private constant _MAX_REVEAL_PERIOD = 90 days;
    uint256 private constant _MAX_SWEEP = 62;
    uint256 private constant _ORDER_BITS = 24;

    /// @dev Prices in quanta: amounts of valid terms are below 2^48 of them.
    struct StoredAuction {
        address best;
        uint48 bestPrice;
        uint24 bestOrder;
        uint24 commits;
        address second;
        uint48 secondPrice;
        uint24 secondOrder;
    }

    ILotaMarket private immutable _MARKET;
    address private immutable _ASSET;
    uint256 private immutable _QUANTUM;
    uint32 private immutable _MIN_REVEAL_PERIOD;
    bytes32 private immutable _DOMAIN;
    uint256 private immutable _CHAIN_ID = block.chainid;

    mapping(address account => uint256) private _balances;
    uint256 private _burned;
    mapping(bytes32 jobId => StoredAuction) private _auctions;

    /// @dev The order in the highest 24 bits, and the lowest 232 of the commitment.
    mapping(bytes32 jobId => mapping(address bidder => uint256)) private _sealed;

    bool private transient _calling; // the market, the token or a payee

    modifier notWhileCalling() {
        if (_calling) revert ILotaMarket.Reentered();
        _;
    }

    constructor(ILotaMarket fixedMarket, uint32 fixedMinRevealPeriod) {
        bool isPeriod = fixedMinRevealPeriod != 0 && fixedMinRevealPeriod <= _MAX_REVEAL_PERIOD;
        if (address(fixedMarket).code.length == 0 || !isPeriod) {
            revert BadSettings(address(fixedMarket), fixedMinRevealPeriod);
        }
        _MARKET = fixedMarket;
        _MIN_REVEAL_PERIOD = fixedMinRevealPeriod;
        _DOMAIN = keccak256(
            abi.encode(
                Hashes.DOMAIN_TYPEHASH, keccak256("LotaMarket"), keccak256("1"), block.chainid, address(fixedMarket)
            )
        );
        ILotaMarket.Settings memory settings = fixedMarket.settings();
        _ASSET = settings.asset;
        _QUANTUM = settings.quantum;
        ILotaMarket.Terms memory none;
        if (fixedMarket.jobIdOf(none) != Hashes.typed(_DOMAIN, Hashes.ofTerms(none))) {
            revert BadSettings(address(fixedMarket), fixedMinRevealPeriod);
        }
    }

    // ------------------------------------------------------------------------------------------------------------
    // Money
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ISealedBidAuction
    function fund() external payable notWhileCalling {
        if (_ASSET != address(0)) revert ILotaMarket.WrongAsset(_ASSET);
        Asset.requireRoom(_ASSET);
        _balances[msg.sender] += msg.value;
        emit Funded(msg.sender, msg.sender, msg.value);
    }

    /// @inheritdoc ISealedBidAuction
    function fundToken(uint256 amount) external notWhileCalling {
        if (_ASSET == address(0)) revert ILotaMarket.WrongAsset(_ASSET);
        _calling = true;
        Asset.pull(_ASSET, msg.sender, amount);
        _calling = false;
        _balances[msg.sender] += amount;
        emit Funded(msg.sender, msg.sender, amount);
    }

    /// @inheritdoc ISealedBidAuction
    function withdraw(address to, uint256 amount) external notWhileCalling {
        if (Addresses.isRefused(to)) revert ILotaMarket.InvalidRecipient();
        _debit(msg.sender, amount);
        emit Defunded(msg.sender, to, amount);
        _calling = true;
        Asset.pay(_ASSET, to, amount);
        _calling = false;
    }

    // ------------------------------------------------------------------------------------------------------------
    // Bids
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ISealedBidAuction
    function commit(ILotaMarket.Terms calldata terms, bytes32 commitment) external notWhileCalling {
        (bytes32 jobId,) = _load(terms);
        ILotaMarket.Status status = _MARKET.dealOf(jobId).status;
        if (status == ILotaMarket.Status.None) revert ILotaMarket.UnknownJob(jobId);
        if (status != ILotaMarket.Status.Open) revert NotOpen(jobId, status);
        if (_sealed[jobId][msg.sender] != 0) revert AlreadyCommitted(jobId, msg.sender);
        if (msg.sender == terms.client || msg.sender == address(0) || Addresses.isMasked(msg.sender)) {
            revert InvalidBidder(msg.sender);
        }
        if (block.timestamp >= terms.rampStart) {
            revert ILotaMarket.TooLate(block.timestamp, terms.rampStart == 0 ? 0 : terms.rampStart - 1);
        }
        StoredAuction storage auction = _auctions[jobId];
        uint256 order = uint256(auction.commits) + 1;
        if (order >> _ORDER_BITS != 0) revert ILotaMarket.TooMany(order);
        uint256 deposit = terms.maxPrice - terms.minPrice;
        _debit(msg.sender, deposit);
        _burned += deposit;
        auction.commits = uint24(order);
        _sealed[jobId][msg.sender] = _seal(order, commitment);
        emit BidCommitted(jobId, msg.sender, commitment, uint32(order));
    }

    /// @inheritdoc ISealedBidAuction
    function reveal(ILotaMarket.Terms calldata terms, uint256 price, bytes32 nonce) external notWhileCalling {
        (bytes32 jobId, uint256 revealUntil) = _load(terms);
        uint256 stored = _sealed[jobId][msg.sender];
        if (stored == 0) revert NoCommitment(jobId, msg.sender);
        if (block.timestamp < terms.rampStart) revert ILotaMarket.TooEarly(block.timestamp, terms.rampStart);
        if (block.timestamp > revealUntil) revert ILotaMarket.TooLate(block.timestamp, revealUntil);
        uint256 order = stored >> 256 - _ORDER_BITS;
        bytes32 commitment = keccak256(abi.encode(_CHAIN_ID, address(this), jobId, msg.sender, price, nonce));
        if (_seal(order, commitment) != stored) revert WrongReveal(jobId, msg.sender);
        if (price < terms.minPrice || price > terms.maxPrice || price % _QUANTUM != 0) {
            revert ILotaMarket.PriceOutOfRange(price, terms.minPrice, terms.maxPrice);
        }
        delete _sealed[jobId][msg.sender];
        uint256 deposit = terms.maxPrice - terms.minPrice;
        _burned -= deposit;
        _balances[msg.sender] += deposit;
        _rank(_auctions[jobId], msg.sender, price / _QUANTUM, order, terms.collateral);
        emit BidRevealed(jobId, msg.sender, price);
    }

    /// @dev Puts a bid among the best two if it belongs there; then it stakes the collateral, and whom it displaces gets it back.
    function _rank(StoredAuction storage auction, address bidder, uint256 price, uint256 order, uint256 collateral)
        private
    {
        address displaced = auction.second;
        if (_isBetter(price, order, auction.best, auction.bestPrice, auction.bestOrder)) {
            (auction.second, auction.secondPrice, auction.secondOrder) =
            (auction.best, auction.bestPrice, auction.bestOrder);
            (auction.best, auction.bestPrice, auction.bestOrder) = (bidder, uint48(price), uint24(order));
        } else if (_isBetter(price, order, displaced, auction.secondPrice, auction.secondOrder)) {
            (auction.second, auction.secondPrice, auction.secondOrder) = (bidder, uint48(price), uint24(order));
        } else {
            return;
        }
        _debit(bidder, collateral);
        if (displaced != address(0)) _balances[displaced] += collateral;
    }

    /// @dev Whether a bid is better than that of `other`; zero: there is none.
    function _isBetter(uint256 price, uint256 order, address other, uint256 otherPrice, uint256 otherOrder)
        private
        pure
        returns (bool)
    {
        if (other == address(0) || price < otherPrice) return true;
        return price == otherPrice && order < otherOrder;
    }

    // ------------------------------------------------------------------------------------------------------------
    // Ends
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ISealedBidAuction
    function award(ILotaMarket.Terms calldata terms) external notWhileCalling {
        (bytes32 jobId, uint256 revealUntil) = _load(terms);
        StoredAuction memory auction = _auctions[jobId];
        if (auction.best == address(0)) revert NothingToAward(jobId);
        _requireAfter(revealUntil);
        if (block.timestamp > terms.lockBy) revert ILotaMarket.TooLate(block.timestamp, terms.lockBy);
        uint256 price = terms.maxPrice;
        if (auction.second != address(0)) {
            price = auction.secondPrice * _QUANTUM;
            _balances[auction.second] += terms.collateral;
        }
        delete _auctions[jobId];
        emit AuctionAwarded(jobId, auction.best, price);
        _calling = true;
        if (terms.collateral != 0) _deposit(terms.collateral);
        _MARKET.award(terms, auction.best, price);
        _calling = false;
    }

    /// @inheritdoc ISealedBidAuction
    function cancel(ILotaMarket.Terms calldata terms) external notWhileCalling {
        bytes32 jobId = _jobId(terms);
        StoredAuction memory auction = _auctions[jobId];
        if (auction.best != address(0)) revert HasBids(jobId);
        uint256 revealUntil = _revealUntil(terms);
        if (block.timestamp <= revealUntil) {
            if (auction.commits != 0) revert ILotaMarket.TooEarly(block.timestamp, revealUntil + 1);
            if (msg.sender != terms.client) revert ILotaMarket.WrongSender(msg.sender, terms.client);
        }
        delete _auctions[jobId];
        emit AuctionCancelled(jobId);
        _calling = true;
        _MARKET.cancel(terms);
        _calling = false;
    }

    /// @inheritdoc ISealedBidAuction
    function release(ILotaMarket.Terms calldata terms) external notWhileCalling {
        (bytes32 jobId,) = _load(terms);
        StoredAuction memory auction = _auctions[jobId];
        if (auction.commits == 0) revert NoAuction(jobId);
        _requireAfter(terms.lockBy);
        if (auction.best != address(0)) _balances[auction.best] += terms.collateral;
        if (auction.second != address(0)) _balances[auction.second] += terms.collateral;
        delete _auctions[jobId];
        emit AuctionReleased(jobId);
    }

    /// @inheritdoc ISealedBidAuction
    function sweep(ILotaMarket.Terms calldata terms, address[] calldata bidders) external notWhileCalling {
        (bytes32 jobId, uint256 revealUntil) = _load(terms);
        _requireAfter(revealUntil);
        if (bidders.length > _MAX_SWEEP) revert ILotaMarket.TooMany(bidders.length);
        for (uint256 i = 0; i < bidders.length; ++i) {
            if (_sealed[jobId][bidders[i]] == 0) continue;
            delete _sealed[jobId][bidders[i]];
            emit CommitmentSwept(jobId, bidders[i]);
        }
    }

    /// @dev Brings the winner's collateral to the market, into this contract's account there.
    function _deposit(uint256 collateral) private {
        if (_ASSET == address(0)) {
            _MARKET.deposit{value: collateral}(address(this));
        } else {
            // What the token answers does not matter: without an allowance the market gets nothing, and says so.
            // forge-lint: disable-next-line(unchecked-call)
            CappedCall.call(_ASSET, 0, abi.encodeCall(IToken.approve, (address(_MARKET), collateral)), gasleft());
            _MARKET.depositToken(address(this), collateral);
        }
    }

    // ------------------------------------------------------------------------------------------------------------
    // Views
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ISealedBidAuction
    function market() external view returns (ILotaMarket) {
        return _MARKET;
    }

    /// @inheritdoc ISealedBidAuction
    function minRevealPeriod() external view returns (uint32) {
        return _MIN_REVEAL_PERIOD;
    }

    /// @inheritdoc ISealedBidAuction
    function auctionOf(bytes32 jobId) external view returns (Auction memory) {
        StoredAuction memory auction = _auctions[jobId];
        return Auction({
            commits: auction.commits,
            best: auction.best,
            bestPrice: auction.bestPrice * _QUANTUM,
            bestOrder: auction.bestOrder,
            second: auction.second,
            secondPrice: auction.secondPrice * _QUANTUM,
            secondOrder: auction.secondOrder
        });
    }

    /// @inheritdoc ISealedBidAuction
    function commitmentOf(bytes32 jobId, address bidder) external view returns (uint32 order) {
        return uint32(_sealed[jobId][bidder] >> 256 - _ORDER_BITS);
    }

    /// @inheritdoc ISealedBidAuction
    function balanceOf(address account) external view returns (uint256) {
        return _balances[account];
    }

    /// @inheritdoc ISealedBidAuction
    function burned() external view returns (uint256) {
        return _burned;
    }

    // ------------------------------------------------------------------------------------------------------------
    // Checks
    // ------------------------------------------------------------------------------------------------------------

    /// @return jobId the job's id at the market
    /// @return revealUntil until when bids may be revealed
    function _load(ILotaMarket.Terms calldata terms) private view returns (bytes32 jobId, uint256 revealUntil) {
        jobId = _jobId(terms);
        revealUntil = _revealUntil(terms);
        if (terms.minPrice >= terms.maxPrice) revert BadAuction(AuctionFault.NoRange);
        if (terms.rampPeriod < _MIN_REVEAL_PERIOD) revert BadAuction(AuctionFault.RevealPeriod);
        if (revealUntil >= terms.lockBy) revert BadAuction(AuctionFault.TooLong);
    }

    function _jobId(ILotaMarket.Terms calldata terms) private view returns (bytes32) {
        if (terms.matcher != address(this)) revert NotTheMatcher(terms.matcher);
        return Hashes.typed(_DOMAIN, Hashes.ofTerms(terms));
    }

    function _revealUntil(ILotaMarket.Terms calldata terms) private pure returns (uint256) {
        return uint256(terms.rampStart) + terms.rampPeriod;
    }

    function _requireAfter(uint256 time) private view {
        if (block.timestamp <= time) revert ILotaMarket.TooEarly(block.timestamp, time + 1);
    }

    function _seal(uint256 order, bytes32 commitment) private pure returns (uint256) {
        return order << 256 - _ORDER_BITS | uint256(commitment) << _ORDER_BITS >> _ORDER_BITS;
    }

    /// @dev Everything that is credited was brought before: no sum of balances exceeds what this contract holds.
    function _debit(address account, uint256 amount) private {
        uint256 balance = _balances[account];
        if (balance < amount) revert ILotaMarket.InsufficientBalance(account, balance, amount);
        unchecked {
            _balances[account] = balance - amount;
        }
    }
}
