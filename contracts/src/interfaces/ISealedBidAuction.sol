// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "./ILotaMarket.sol";

/// @title ISealedBidAuction: a matcher that awards a job to the lowest of sealed bids at the second-lowest price (Vickrey 1961)
/// @notice A client names this contract as its terms' matcher. Before rampStart providers commit to prices without naming
/// them; from rampStart until rampStart + rampPeriod they reveal; then, until lockBy, anyone awards: the lowest bid wins and is
/// paid the second-lowest, a lone bid maxPrice. So the best that a provider can do is to bid what the job costs it.
///
/// @dev This file is the specification. It is implemented twice: by SealedBidAuction.sol and by `market::auction` in Rust, which
/// the differential test compares, in one world with the market.
///
/// Money: bidders keep an account here, in the market's asset. A commit takes a deposit of maxPrice - minPrice, which counts
/// as burned until its reveal brings it back: nobody gains by not revealing, and nothing has to be swept for that. A reveal that
/// is among the best two takes the terms' collateral, so that the price it sets is one that somebody stood ready to work
/// for; it comes back when a better one displaces it, and at the award to the second. Neither ever goes to the client.
/// Money leaves by {withdraw} only. What anybody deposits for this contract at the market is out of reach there.
///
/// Ties go to the earlier commit. Who calls {award}, in which block, and in which order bids were revealed changes nothing:
/// a bid that belongs to the best two is among the best two whenever it is revealed, and needs the collateral then.
///
/// A commitment is keccak256(abi.encode(chain id at deployment, this contract, jobId, bidder, price, nonce)): one that is
/// copied reveals nothing for the copier. Prices are few, so the nonce must be 32 bytes that nobody can guess; no view computes
/// commitments, because whom it is asked would know the bid. The highest 24 bits are not kept: 232 are.
///
/// What has ended leaves the storage: the auction's record at its award or cancellation, or by {release}; a commitment when it
/// is revealed, or by {sweep}. Every record and every commitment can be removed by anyone after lockBy.
///
/// Order of checks, as in {ILotaMarket}: asset, terms {NotTheMatcher}, {BadAuction}, state ({ILotaMarket-UnknownJob},
/// {NotOpen}, {AlreadyCommitted}, {NoCommitment}, {NothingToAward}, {HasBids}, {NoAuction}), sender, time, arguments, money, and
/// then what the market says. Errors of {ILotaMarket} that this contract reverts with are the same: WrongAsset, UnknownJob,
/// WrongSender, TooEarly, TooLate, PriceOutOfRange, TooMany, InvalidRecipient, InsufficientBalance, TransferFailed,
/// TransferMismatch. Before all of them stands {ILotaMarket-Reentered}: while this contract pays out, calls the token or calls
/// the market (which may call a client back), no state-changing function may be called. Times are compared as there: "until T"
/// means now <= T.
///
/// It finishes its own effects before it calls the market, and measures no balance across a call that may call a client back.
interface ISealedBidAuction {
    /// @notice What is wrong with terms for an auction, in the order in which it is checked.
    /// NoRange: minPrice is not below maxPrice. RevealPeriod: rampPeriod is below minRevealPeriod (bids could be kept out of the
    /// chain for so long). TooLong: rampStart + rampPeriod is not before lockBy, and nobody could award. How long there is to award is
    /// not asked for: after a time that holds no block, {release} gives all money back. Bidders leave such terms alone.
    enum AuctionFault {
        NoRange,
        RevealPeriod,
        TooLong
    }

    /// @notice An auction as it is stored. What belongs to the best two revealed bids is zero when there is none.
    /// @param commits how many have committed
    /// @param best who bid lowest so far
    /// @param bestPrice what it bid
    /// @param bestOrder which of the commits (from 1) it was
    /// @param second who bid next
    /// @param secondPrice what it bid
    /// @param secondOrder which of the commits it was
    struct Auction {
        uint32 commits;
        address best;
        uint256 bestPrice;
        uint32 bestOrder;
        address second;
        uint256 secondPrice;
        uint32 secondOrder;
    }

    // ------------------------------------------------------------------------------------------------------------
    // Errors
    // ------------------------------------------------------------------------------------------------------------

    /// @notice This cannot be deployed: at `market` is no code, or a market that computes other job ids than this contract does
    /// (of another version, or deployed before the chain's id changed), or minRevealPeriod is 0 or above 90 days.
    error BadSettings(address market, uint32 minRevealPeriod);
    /// @notice The terms' matcher is another.
    error NotTheMatcher(address matcher);
    /// @notice These terms cannot be auctioned.
    error BadAuction(AuctionFault fault);
    /// @notice The deal is not Open at the market, it is `found`.
    error NotOpen(bytes32 jobId, ILotaMarket.Status found);
    /// @notice This bidder has committed to this job before.
    error AlreadyCommitted(bytes32 jobId, address bidder);
    /// @notice This bidder has no commitment for this job that was not revealed.
    error NoCommitment(bytes32 jobId, address bidder);
    /// @notice No valid bid was revealed.
    error NothingToAward(bytes32 jobId);
    /// @notice A bid was revealed, so the job cannot be cancelled.
    error HasBids(bytes32 jobId);
    /// @notice Nobody has committed to this job, or its auction has ended: nothing of it is stored.
    error NoAuction(bytes32 jobId);
    /// @notice The client, the zero address, and (on FVM) accounts with a masked id only, cannot bid.
    error InvalidBidder(address bidder);
    /// @notice The price and nonce are not those committed to.
    error WrongReveal(bytes32 jobId, address bidder);

    // ------------------------------------------------------------------------------------------------------------
    // Events
    // ------------------------------------------------------------------------------------------------------------

    /// @notice `amount` of `payer`'s was credited to `account` in this auction.
    event Funded(address indexed account, address indexed payer, uint256 amount);
    /// @notice `amount` left `account` of this auction to `to`.
    event Defunded(address indexed account, address indexed to, uint256 amount);
    /// @notice A bid was sealed: the `order`-th of its auction, from 1.
    event BidCommitted(bytes32 indexed jobId, address indexed bidder, bytes32 commitment, uint32 order);
    /// @notice A bid was opened, and its deposit came back.
    event BidRevealed(bytes32 indexed jobId, address indexed bidder, uint256 price);
    /// @notice The auction ended: `winner` gets the job at `price`, the second-lowest bid or maxPrice.
    event AuctionAwarded(bytes32 indexed jobId, address indexed winner, uint256 price);
    /// @notice The auction ended without an award.
    event AuctionCancelled(bytes32 indexed jobId);
    /// @notice The auction was not awarded in time; what the best two had staked came back.
    event AuctionReleased(bytes32 indexed jobId);
    /// @notice A commitment that was not revealed was forgotten.
    event CommitmentSwept(bytes32 indexed jobId, address indexed bidder);

    // ------------------------------------------------------------------------------------------------------------
    // Money
    // ------------------------------------------------------------------------------------------------------------

    /// @notice Credits the value sent to the sender's account.
    /// @dev asset {WrongAsset} unless the market's asset is the chain's coin; money {TransferFailed} when this contract would
    /// hold 2^128 or more. Emits {Funded}.
    function fund() external payable;

    /// @notice Takes `amount` of the token from the sender, who approved it, and credits it to the sender's account.
    /// @dev asset {WrongAsset} unless the market's asset is a token; money as {ILotaMarket-depositToken}. Emits {Funded}.
    function fundToken(uint256 amount) external;

    /// @notice Pays `amount` of the sender's account out to `to`.
    /// @dev arguments {InvalidRecipient}; money {InsufficientBalance}, {TransferFailed}, {TransferMismatch}. Emits {Defunded}.
    function withdraw(address to, uint256 amount) external;

    // ------------------------------------------------------------------------------------------------------------
    // The life of an auction
    // ------------------------------------------------------------------------------------------------------------

    /// @notice Commits the sender to a bid, before rampStart.
    /// @dev terms {NotTheMatcher}, {BadAuction}; state {UnknownJob} when the deal is not stored, {NotOpen}, {AlreadyCommitted};
    /// sender {InvalidBidder}; time {TooLate} (time, rampStart - 1, or 0 if rampStart is 0) from rampStart on; arguments {TooMany}
    /// (2^24) after 2^24 - 1 commits; money {InsufficientBalance} for the deposit of maxPrice - minPrice. Emits {BidCommitted}.
    function commit(ILotaMarket.Terms calldata terms, bytes32 commitment) external;

    /// @notice Opens the sender's bid, from rampStart until rampStart + rampPeriod: its deposit comes back, and when it is
    /// among the best two, the terms' collateral is taken.
    /// @dev terms; state {NoCommitment}; time {TooEarly} (time, rampStart), {TooLate}; arguments {WrongReveal}, {PriceOutOfRange};
    /// money {InsufficientBalance} for the collateral, after the deposit was credited. A bid that cannot be revealed for want of
    /// money may be revealed later. Emits {BidRevealed}.
    function reveal(ILotaMarket.Terms calldata terms, uint256 price, bytes32 nonce) external;

    /// @notice Awards the job, after rampStart + rampPeriod until lockBy. By anyone.
    /// @dev terms; state {NothingToAward}; time {TooEarly}, {TooLate}. Emits {AuctionAwarded}, then the market's {Deposited} (unless
    /// the collateral is 0) and {JobLocked}. From within a callback of the market it is {ILotaMarket-Reentered}.
    function award(ILotaMarket.Terms calldata terms) external;

    /// @notice Cancels the job: the client while nobody has committed; anyone after rampStart + rampPeriod when no valid bid was
    /// revealed.
    /// @dev terms {NotTheMatcher} only, so that a client whose terms cannot be auctioned need not wait until lockBy; state
    /// {HasBids} when a bid was revealed; then, until the end of the reveals: time {TooEarly} (time, rampStart + rampPeriod + 1)
    /// when somebody committed, sender {WrongSender} (sender, client) unless the client when nobody did; then the market's errors
    /// when the deal is not Open there. Emits {AuctionCancelled}, then the market's {JobCancelled}.
    function cancel(ILotaMarket.Terms calldata terms) external;

    /// @notice Ends an auction that was not awarded until lockBy: the best two get their collateral back. By anyone. The deal
    /// itself is ended at the market ({ILotaMarket-expire}).
    /// @dev terms; state {NoAuction}; time {TooEarly} (time, lockBy + 1). Emits {AuctionReleased}.
    function release(ILotaMarket.Terms calldata terms) external;

    /// @notice Forgets commitments that were not revealed, after rampStart + rampPeriod. By anyone. A bidder without such a
    /// commitment is passed over.
    /// @dev terms; time {TooEarly} (time, rampStart + rampPeriod + 1); arguments {TooMany} above 62. Emits {CommitmentSwept} for
    /// each.
    function sweep(ILotaMarket.Terms calldata terms, address[] calldata bidders) external;

    // ------------------------------------------------------------------------------------------------------------
    // Views
    // ------------------------------------------------------------------------------------------------------------

    /// @notice The market whose jobs are auctioned here.
    function market() external view returns (ILotaMarket);
    /// @notice The shortest rampPeriod of an auction, in seconds.
    function minRevealPeriod() external view returns (uint32);
    /// @notice An auction as it is stored; all zero when there is none.
    function auctionOf(bytes32 jobId) external view returns (Auction memory);
    /// @notice The order (from 1) of a bidder's commitment that is not revealed; 0 when there is none.
    function commitmentOf(bytes32 jobId, address bidder) external view returns (uint32 order);
    /// @notice Free balance of an account here.
    function balanceOf(address account) external view returns (uint256);
    /// @notice Deposits of bids that were not revealed; they stay in the contract.
    function burned() external view returns (uint256);
}
