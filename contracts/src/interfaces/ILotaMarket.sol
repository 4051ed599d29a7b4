// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

/// @title ILotaMarket: the protocol of the Lota compute market
/// @notice A client puts money in escrow for a job; a provider locks the job with collateral, runs it and submits the
/// digest of its result; the client accepts, or an arbiter rules, or time decides; everybody is paid into an internal
/// balance and leaves with {withdraw}. The market has no owner and no upgrade path. Matchers (who award jobs) and
/// arbiters (who dispute and rule) are contracts or accounts that the terms of each job name.
///
/// @dev This file is the specification. It is implemented twice: by LotaMarket.sol and by `market::model` in Rust, which
/// a differential test compares event by event, error by error and balance by balance.
///
/// Money: a deployment has one asset, the chain's coin or one ERC-20 ({Settings}.asset). Amounts are in the asset's smallest
/// unit (attoFIL or wei for coins); every amount in {Terms} is a whole number of quanta ({Settings}.quantum: 1 gwei for 18
/// decimals, 1 for 6) below 2^48 quanta.
/// Time: block timestamps and deadlines are in Unix seconds, windows in seconds. "until T" means `now <= T`, "after T"
/// means `now > T`.
///
/// Identity: a job's id is the EIP-712 digest of its {Terms} in the domain ("LotaMarket", "1", chain id at deployment,
/// this contract). Only a commitment is stored: callers pass the terms again, and once a result was submitted the
/// {Receipt} too. The pair (client, salt) is spent once, by whatever opens, settles in a batch, or revokes it.
///
/// Salts: salt = lane * 2^64 + number. Each lane of a client is a window of 64 numbers: all below its first are spent, and it
/// slides on past spent ones. A number beyond it, and 2^64 - 1 in any lane, is {SaltTooFar}. {nextSalt} names the lowest
/// free one; {revoke} moves the window. A lane is one storage slot, lane 0 is in the account's: count numbers up from 0.
///
/// What has ended leaves the storage: when a deal has ended and its callback, if it gets one, was delivered, nothing is kept of it
/// unless its terms say `keepRecord`. Terms of a deal that is not stored give {SaltSpent} when their salt is spent, else
/// {UnknownJob}.
///
/// Masked ids: on Filecoin the address 0xff, eleven zero bytes, and an actor's id stands for that actor. As such an actor may have
/// another address, too, or none, they are refused as parties of terms ({BadTerms}), as providers ({InvalidProvider}) and as
/// recipients ({InvalidRecipient}), unless they are the sender. Elsewhere nobody has such an address.
///
/// Order of checks: every function checks in the order
///   0. asset      {WrongAsset}
///   1. terms      {BadTerms} when they are to be opened, {SaltSpent} or {UnknownJob} when they refer to a deal
///   2. state      {SaltSpent}, {SaltTooFar}, {WrongState}
///   3. sender     {WrongSender}
///   4. time       {TooEarly}, {TooLate}
///   5. arguments  {SpecTooLarge}, {SpecMismatch}, {PriceOutOfRange}, {InvalidProvider}, {InlineTooLarge},
///                 {ReceiptMismatch}, {UrlTooLarge}, {TooMany}, {InvalidRecipient}
///   6. signature  {WrongChain}, {BadSignature}
///   7. money      {InsufficientBalance}, then {TransferFailed}, {TransferMismatch}
///   8. callback   {CallbackReverted}
/// and the first failure names the error. Before all of them stands {Reentered}: while the market calls a client back,
/// anyone may deposit (by any of the four functions) and {open}, and no other state-changing function may be called (not
/// {openSigned} and {multicall} either); while it pays out or calls the token, none. {InsufficientGas} belongs to the chain, not
/// to the protocol: it says that the caller gave less gas than a callback (or a wallet that checks a signature) was promised, and
/// the call is to be repeated with more.
///
/// Constants: MAX_LOCK_AHEAD = 365 days, MAX_WINDOW = 90 days, MAX_SPEC = 7168 bytes (FVM aborts an event of more than 8192),
/// MAX_INLINE_DATA = 1024 bytes, MAX_URL = 256 bytes, MAX_BATCH = 62 (entries without inline data and with 64-byte signatures
/// that fit a Filecoin message, 64 KiB; with 65 bytes, 61).
///
/// Callbacks: when terms name a callbackGas and the client has code, ending a deal calls the client after all effects, as the
/// last thing: {ILotaClient-onJobResult} on Settled, {ILotaClient-onJobFailed} on the other ends; then {CallbackDelivered} or
/// {CallbackFailed} is emitted, after the event of the end. A failed callback never undoes the end; until {retryCallback}
/// delivers it the end stays stored. A client without code gets no call and no event.
interface ILotaMarket {
    // ------------------------------------------------------------------------------------------------------------
    // Types
    // ------------------------------------------------------------------------------------------------------------

    /// @notice What a client asks for and promises.
    /// @param client who pays and is called back
    /// @param salt lane * 2^64 + number, which makes the terms unique; clients count the number up from 0
    /// @param spec sha2-256 digest of the job spec's bytes
    /// @param specCodec multicodec of the spec's bytes: 0x71 canonical DAG-CBOR, 0x55 JSON
    /// @param minPrice price at `rampStart`, in the asset's unit
    /// @param maxPrice price from `rampStart + rampPeriod` on; this much is put in escrow
    /// @param rampStart when the price starts to rise and the job may first be locked; at most `lockBy`
    /// @param rampPeriod how long the price rises, in seconds; at least 1
    /// @param lockBy until when the job may be locked or awarded; at most MAX_LOCK_AHEAD after opening
    /// @param runFor how long the provider may take from lock to result, in seconds
    /// @param reviewFor how long the result may be disputed, in seconds; afterwards anyone may settle; 0 without an arbiter
    /// @param ruleFor how long the arbiter may take from dispute to ruling, in seconds; 0 without an arbiter
    /// @param collateral what the provider stakes on delivering the right result
    /// @param matcher who alone may award (and cancel) the job; zero: any provider may lock it at the ramp's price
    /// @param arbiter who may dispute and rule; zero: nobody, whatever the provider submits is paid at once
    /// @param callbackGas gas given to the client's callback; zero: no callback; not 2300, which FVM takes for a transfer
    /// @param keepRecord whether {dealOf} tells how the deal ended, for ever; else what has ended leaves the storage
    struct Terms {
        address client;
        uint256 salt;
        bytes32 spec;
        uint16 specCodec;
        uint256 minPrice;
        uint256 maxPrice;
        uint64 rampStart;
        uint64 rampPeriod;
        uint64 lockBy;
        uint32 runFor;
        uint32 reviewFor;
        uint32 ruleFor;
        uint256 collateral;
        address matcher;
        address arbiter;
        uint32 callbackGas;
        bool keepRecord;
    }

    /// @notice What a provider says a job came to. A program that traps or exhausts a limit its spec names has a
    /// result too, and is paid.
    /// @param output sha2-256 digest of the output's root block (CIDv1, dag-pb)
    /// @param exitCode the program's exit code, or a fixed one for traps and exhausted limits
    /// @param fuelUsed fuel the run used; informative: no price depends on it
    /// @param inlineData at most MAX_INLINE_DATA bytes of output for clients that cannot fetch (contracts)
    struct Result {
        bytes32 output;
        uint32 exitCode;
        uint64 fuelUsed;
        bytes inlineData;
    }

    /// @notice What a deal came to. The market stores the highest 208 bits of keccak256(abi.encode(jobId, EIP-712 struct hash
    /// of the receipt)).
    /// @param provider who ran the job
    /// @param price what the job costs
    /// @param result the submitted result
    struct Receipt {
        address provider;
        uint256 price;
        Result result;
    }

    /// @notice One entry of {settleBatch}: a deal that was never opened, accepted by the client's signature.
    /// @param terms the client's terms; `callbackGas` must be 0 and `keepRecord` false
    /// @param receipt provider, price and result that the client accepted
    /// @param until until when the acceptance may be used
    /// @param signature the client's signature over Acceptance(bytes32 jobId,Receipt receipt,uint64 until); as the job's id is
    /// the digest of the terms, it covers them too
    struct BatchEntry {
        Terms terms;
        Receipt receipt;
        uint64 until;
        bytes signature;
    }

    /// @notice The life of a deal. Settled, Cancelled, Slashed and Void are final. Expiry is derived, not stored.
    enum Status {
        None,
        Open,
        Locked,
        Submitted,
        Disputed,
        Settled,
        Cancelled,
        Slashed,
        Void
    }

    /// @notice Why a deal ended.
    /// Settled: Accepted (by the client), Unchallenged (the review window passed), Upheld (by the arbiter), Unreviewed
    /// (submitted, and there is no arbiter).
    /// Cancelled: Withdrawn (by the client, or by the matcher), NotLocked (nobody locked the job in time).
    /// Slashed: NotSubmitted (no result in time, or given up), Overturned (by the arbiter).
    /// Void: Undecided (the arbiter could not decide), NotRuled (the arbiter did not rule in time).
    enum Reason {
        None,
        Accepted,
        Unchallenged,
        Upheld,
        Unreviewed,
        Withdrawn,
        NotLocked,
        NotSubmitted,
        Overturned,
        Undecided,
        NotRuled
    }

    /// @notice An arbiter's ruling on a disputed result.
    enum Verdict {
        Upheld,
        Overturned,
        Void
    }

    /// @notice What is wrong with terms, in the order in which it is checked.
    /// ZeroClient: client is the zero address. MaskedId: client, matcher or arbiter is a masked id and not the sender.
    /// SpecCodec: neither 0x71 nor 0x55. NotWholeQuanta: minPrice, maxPrice or collateral is not a whole number of quanta.
    /// AmountTooLarge: one of them is 2^48 quanta or more. PriceOrder: minPrice > maxPrice. ZeroRampPeriod: rampPeriod is 0.
    /// RampStart: rampStart > lockBy. RunFor: out of [minWindow, MAX_WINDOW]. ReviewFor, RuleFor: the same with an arbiter; not
    /// 0 without one. CallbackGas: above maxCallbackGas, or 2300; in a batch: above 0. KeepRecord: true in a batch.
    enum TermsFault {
        ZeroClient,
        MaskedId,
        SpecCodec,
        NotWholeQuanta,
        AmountTooLarge,
        PriceOrder,
        ZeroRampPeriod,
        RampStart,
        RunFor,
        ReviewFor,
        RuleFor,
        CallbackGas,
        KeepRecord
    }

    /// @notice A deal as it is stored.
    /// @param status its state
    /// @param reason why it ended; None while it runs
    /// @param callbackPending a callback runs, or failed and may be retried
    /// @param since when it was locked (Locked), submitted (Submitted) or disputed (Disputed); otherwise 0
    /// @param provider who locked it (Locked only, otherwise zero)
    /// @param price its price (Locked only, otherwise zero)
    /// @param receipt the highest 208 bits of keccak256(abi.encode(jobId, struct hash of its {Receipt})): in Submitted, Disputed,
    /// Settled, in Slashed for Overturned, and in Void; otherwise zero
    struct Deal {
        Status status;
        Reason reason;
        bool callbackPending;
        uint64 since;
        address provider;
        uint256 price;
        bytes26 receipt;
    }

    /// @notice Settings of a deployment, fixed for ever. Gas amounts are in the chain's own gas.
    /// @param asset what deals are paid in: zero for the chain's coin, else an ERC-20. Tokens whose balances change by themselves
    /// (rebasing), that can be paused, or whose issuer can seize them, cannot be told from others: do not use them
    /// @param quantum what all amounts of terms are multiples of, in the asset's smallest unit
    /// @param minWindow the shortest run, review and ruling window, in seconds (two epochs on Filecoin: 60)
    /// @param maxCallbackGas the largest `callbackGas` that terms may ask for
    /// @param callbackReserve gas that must remain beside a callback (or a wallet's check of a signature), for the call itself
    /// and for what follows it
    /// @param signatureGas gas given to an ERC-1271 wallet to check a signature
    struct Settings {
        address asset;
        uint64 quantum;
        uint32 minWindow;
        uint32 maxCallbackGas;
        uint32 callbackReserve;
        uint32 signatureGas;
    }

    /// @notice What is wrong with settings, in the order in which it is checked.
    /// Asset: not zero, and without code. Quantum: 0. MinWindow: 0, or above MAX_WINDOW. CallbackReserve: below
    /// MIN_CALLBACK_RESERVE = 20,000, so that it could not cover what follows a callback. SignatureGas: 0.
    enum SettingsFault {
        Asset,
        Quantum,
        MinWindow,
        CallbackReserve,
        SignatureGas
    }

    // ------------------------------------------------------------------------------------------------------------
    // Errors, in the order of checks
    // ------------------------------------------------------------------------------------------------------------

    /// @notice The market cannot be deployed with these settings.
    error BadSettings(SettingsFault fault);
    /// @notice A state-changing function was called from within a payout or a call of the token, or another one than a deposit
    /// and {open} from within a callback.
    error Reentered();
    /// @notice The market's asset is `asset` (zero: the chain's coin), and this is for another.
    error WrongAsset(address asset);
    /// @notice The terms may not be opened.
    error BadTerms(TermsFault fault);
    /// @notice No deal has these terms.
    error UnknownJob(bytes32 jobId);
    /// @notice This salt of this client was used or revoked before.
    error SaltSpent(address client, uint256 salt);
    /// @notice This salt lies beyond the window of its lane, whose lowest free salt is `next`.
    error SaltTooFar(address client, uint256 salt, uint256 next);
    /// @notice The deal is in a state that does not allow this.
    error WrongState(bytes32 jobId, Status found);
    /// @notice Only `wanted` may do this.
    error WrongSender(address sender, address wanted);
    /// @notice This may be done from `from` on; it is `time` now.
    error TooEarly(uint256 time, uint256 from);
    /// @notice This could be done until `until`; it is `time` now.
    error TooLate(uint256 time, uint256 until);
    /// @notice The spec has more than MAX_SPEC bytes.
    error SpecTooLarge(uint256 size);
    /// @notice The spec's bytes hash to `found`, not to the terms' `spec`.
    error SpecMismatch(bytes32 found, bytes32 wanted);
    /// @notice The zero address, or a masked id that is not the sender, cannot be a provider.
    error InvalidProvider();
    /// @notice The price is not a whole number of quanta within [minPrice, maxPrice].
    error PriceOutOfRange(uint256 price, uint256 minPrice, uint256 maxPrice);
    /// @notice The result carries more than MAX_INLINE_DATA bytes.
    error InlineTooLarge(uint256 size);
    /// @notice The receipt is not the one this deal committed to, or its price is not one that the terms allow.
    error ReceiptMismatch(bytes32 jobId);
    /// @notice The URL has more than MAX_URL bytes.
    error UrlTooLarge(uint256 size);
    /// @notice More than MAX_BATCH entries or calls at once.
    error TooMany(uint256 count);
    /// @notice The zero address, or a masked id that is not the sender, cannot receive money.
    error InvalidRecipient();
    /// @notice Signatures are valid on the chain of deployment only.
    error WrongChain(uint256 chainId);
    /// @notice The signature is not the client's.
    error BadSignature(address client);
    /// @notice The account's free balance is too small.
    error InsufficientBalance(address account, uint256 balance, uint256 needed);
    /// @notice `to` refused the money, or the token refused to move it.
    error TransferFailed(address to);
    /// @notice `asked` should have moved into or out of the market, and `moved` did.
    error TransferMismatch(uint256 asked, uint256 moved);
    /// @notice The callback failed again: nothing has changed.
    error CallbackReverted(bytes32 jobId);
    /// @notice Too little gas was sent along for the callback, or the wallet, that was promised it.
    error InsufficientGas(uint256 left, uint256 needed);

    // ------------------------------------------------------------------------------------------------------------
    // Events
    // ------------------------------------------------------------------------------------------------------------

    /// @notice `amount` of `payer`'s was credited to `account`'s balance.
    event Deposited(address indexed account, address indexed payer, uint256 amount);
    /// @notice `amount` left `account`'s balance to `to`.
    event Withdrawn(address indexed account, address indexed to, uint256 amount);
    /// @notice A job was opened. `spec` is empty when its bytes travel elsewhere.
    event JobOpened(bytes32 indexed jobId, address indexed client, address indexed matcher, Terms terms, bytes spec);
    /// @notice A provider locked the job, or was awarded it; `payer` brought the collateral (the provider, or the matcher).
    event JobLocked(bytes32 indexed jobId, address indexed provider, address indexed payer, uint256 price);
    /// @notice The provider submitted a result.
    event ResultSubmitted(bytes32 indexed jobId, address indexed provider, Result result);
    /// @notice The arbiter disputes the result.
    event JobDisputed(bytes32 indexed jobId);
    /// @notice The provider was paid `price` and got the collateral back.
    event JobSettled(bytes32 indexed jobId, address indexed provider, uint256 price, Reason reason);
    /// @notice The client got the escrow back.
    event JobCancelled(bytes32 indexed jobId, Reason reason);
    /// @notice The provider lost the collateral: `toClient` (the price included), `toArbiter`, the rest burned.
    event JobSlashed(
        bytes32 indexed jobId,
        address indexed provider,
        uint256 toClient,
        uint256 toArbiter,
        uint256 toBurn,
        Reason reason
    );
    /// @notice The client got the price back, the provider the collateral.
    event JobVoided(bytes32 indexed jobId, address indexed provider, uint256 price, Reason reason);
    /// @notice The client's callback succeeded.
    event CallbackDelivered(bytes32 indexed jobId);
    /// @notice The client's callback failed; anyone may {retryCallback}.
    event CallbackFailed(bytes32 indexed jobId);
    /// @notice A deal that was never opened was settled by the client's signature.
    event BatchSettled(
        bytes32 indexed jobId,
        address indexed client,
        address indexed provider,
        uint256 salt,
        uint256 price,
        bytes32 output,
        uint32 exitCode
    );
    /// @notice An entry of a batch was left out; `why` is the selector of the error that names the reason.
    event BatchSkipped(bytes32 indexed jobId, bytes4 why);
    /// @notice Salts of `client` in this lane with numbers below `upTo` can no longer be used.
    event SaltsRevoked(address indexed client, uint192 indexed lane, uint64 upTo);
    /// @notice The bytes of a spec, for whoever needs them.
    event SpecPublished(bytes32 indexed spec, bytes data);
    /// @notice `party` serves content at `url`.
    event Announced(address indexed party, string url);

    // ------------------------------------------------------------------------------------------------------------
    // Money
    // ------------------------------------------------------------------------------------------------------------

    /// @notice Credits the value sent to `account`.
    /// @dev asset {WrongAsset} unless the asset is the chain's coin; arguments {InvalidRecipient}; money {TransferFailed} when the
    /// market would hold 2^128 or more. Emits {Deposited}.
    function deposit(address account) external payable;

    /// @notice Takes `amount` of the token from the sender, who approved it, and credits it to `account`.
    /// @dev asset {WrongAsset} unless the asset is a token; arguments {InvalidRecipient}; money {TransferFailed} when the token
    /// refuses (reverts, returns false, or the market would hold 2^128 or more), {TransferMismatch} when another amount than
    /// asked arrived. A token that returns nothing is believed. Emits {Deposited}.
    function depositToken(address account, uint256 amount) external;

    /// @notice The same, with the sender's ERC-2612 permit for the market; a permit that fails is ignored (somebody else may
    /// have brought it already).
    function depositTokenWithPermit(address account, uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external;

    /// @notice Takes `amount` of the token from `from`, who signed an ERC-3009 authorization to the market, and credits it to
    /// `from`. By anyone.
    /// @dev as {depositToken}; `from` must pass as a recipient. Whoever sees the authorization may bring it first: then this call
    /// reverts, and with it the whole {multicall} that it stands in. Nothing is lost, as the money was credited to `from` either
    /// way; send the other calls again without it, or deposit in a transaction of its own.
    function depositTokenWithAuthorization(
        address from,
        uint256 amount,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external;

    /// @notice Pays `amount` of the sender's free balance out to `to`.
    /// @dev arguments {InvalidRecipient}; money {InsufficientBalance}, {TransferFailed}, {TransferMismatch} when the market did not
    /// lose exactly `amount` (on FVM a call with value to an id that nobody has succeeds and moves nothing). Emits
    /// {Withdrawn}.
    function withdraw(address to, uint256 amount) external;

    // ------------------------------------------------------------------------------------------------------------
    // Opening
    // ------------------------------------------------------------------------------------------------------------

    /// @notice Opens a job; the value sent is credited to the client first, then maxPrice goes into escrow.
    /// @dev asset {WrongAsset} when value was sent and the asset is a token; terms {BadTerms}; state {SaltSpent}, {SaltTooFar};
    /// sender {WrongSender} unless the client; time {TooLate} (time, lockBy)
    /// after lockBy, {TooEarly} (time, lockBy - MAX_LOCK_AHEAD) when lockBy is further ahead than that; arguments
    /// {SpecTooLarge}, {SpecMismatch} (an empty `spec` is not compared); money {TransferFailed} when the market would hold 2^128 or
    /// more, {InsufficientBalance}. Spends the salt.
    /// Emits {Deposited} when value was sent, then {JobOpened}.
    function open(Terms calldata terms, bytes calldata spec) external payable returns (bytes32 jobId);

    /// @notice Opens a job for a client who signed its terms (EIP-712; ECDSA first, then ERC-1271).
    /// @dev as {open}, without value and without the sender check; signature {WrongChain}, {BadSignature}.
    function openSigned(Terms calldata terms, bytes calldata spec, bytes calldata signature)
        external
        returns (bytes32 jobId);

    /// @notice Opens a job for a client who signed its terms and locks it for the sender, in one step. If somebody opened
    /// it before, this is {lock}.
    /// @dev When a deal with these terms is stored (whatever its state): {lock}, whose arguments are checked for {SpecTooLarge} and
    /// {SpecMismatch}, and a `spec` that is not empty is emitted as {SpecPublished} before {JobLocked}. Otherwise: terms
    /// {BadTerms}; state {SaltSpent}, {SaltTooFar}; sender {WrongSender} (sender, matcher) when matcher is not zero; time as {open}, then {TooEarly} before
    /// rampStart; arguments as {open}; signature; money: the client's maxPrice, then, after the client's refund, the
    /// sender's collateral. Emits {JobOpened}, {JobLocked}.
    function openSignedAndLock(Terms calldata terms, bytes calldata spec, bytes calldata signature)
        external
        returns (bytes32 jobId);

    /// @notice Makes the sender's salts in `lane` with numbers below `upTo` unusable, and moves the lane's window there. Does
    /// nothing but emit when the window is there or further.
    /// @dev Emits {SaltsRevoked}.
    function revoke(uint192 lane, uint64 upTo) external;

    // ------------------------------------------------------------------------------------------------------------
    // The life of a deal
    // ------------------------------------------------------------------------------------------------------------

    /// @notice Open -> Locked, at the ramp's price now, with the sender's collateral; the client gets maxPrice - price
    /// back.
    /// @dev terms; state {WrongState} unless Open; sender {WrongSender} (sender, matcher) when matcher is not zero; time
    /// {TooEarly} before rampStart, {TooLate} after lockBy; money {InsufficientBalance} of the sender for the collateral
    /// (checked after the client's refund is credited). Emits {JobLocked}.
    function lock(Terms calldata terms) external;

    /// @notice Open -> Locked, for `provider` at `price`, with collateral from the matcher's own balance.
    /// @dev terms; state {WrongState} unless Open; sender {WrongSender} unless the matcher (with matcher zero, nobody);
    /// time {TooLate} after lockBy; arguments {InvalidProvider}, {PriceOutOfRange}; money {InsufficientBalance} of the
    /// matcher (checked after the client's refund). Emits {JobLocked}.
    function award(Terms calldata terms, address provider, uint256 price) external;

    /// @notice Open -> Cancelled, by the client, or by the matcher where there is one.
    /// @dev terms; state; sender. Emits {JobCancelled} with reason Withdrawn.
    function cancel(Terms calldata terms) external;

    /// @notice Open -> Cancelled after lockBy (NotLocked); Locked -> Slashed after lockedAt + runFor (NotSubmitted): the
    /// client gets the price and half the collateral (rounded down), the rest is burned. By anyone.
    /// @dev terms; state {WrongState} unless Open or Locked; time {TooEarly} (time, deadline + 1).
    function expire(Terms calldata terms) external;

    /// @notice Locked -> Slashed (NotSubmitted), by the provider at any time, as if the window had passed: the client need not
    /// wait for it.
    /// @dev terms; state; sender.
    function giveUp(Terms calldata terms) external;

    /// @notice Locked -> Submitted, by the provider; without an arbiter -> Settled (Unreviewed) at once: the provider gets price
    /// and collateral, and nobody has looked at the result.
    /// @dev terms; state; sender; time {TooLate} after lockedAt + runFor; arguments {InlineTooLarge}. Emits
    /// {ResultSubmitted}, then, without an arbiter, {JobSettled}.
    function submitResult(Terms calldata terms, Result calldata result) external;

    /// @notice Submitted -> Settled, by the client: the provider gets price and collateral.
    /// @dev terms; state; sender; arguments {ReceiptMismatch}. Emits {JobSettled} with reason Accepted.
    function accept(Terms calldata terms, Receipt calldata receipt) external;

    /// @notice Submitted -> Settled after submittedAt + reviewFor, by anyone: the provider gets price and collateral.
    /// @dev terms; state; time {TooEarly} (time, deadline + 1); arguments {ReceiptMismatch}. Emits {JobSettled}
    /// (Unchallenged).
    function settle(Terms calldata terms, Receipt calldata receipt) external;

    /// @notice Submitted -> Disputed, by the arbiter.
    /// @dev terms; state; sender {WrongSender} unless the arbiter (with arbiter zero, nobody); time {TooLate} after
    /// submittedAt + reviewFor. Emits {JobDisputed}.
    function dispute(Terms calldata terms) external;

    /// @notice Disputed -> Settled (Upheld), Slashed (Overturned: the client gets the price and half the collateral
    /// rounded down, the arbiter the rest) or Void (Undecided), by the arbiter.
    /// @dev terms; state; sender; time {TooLate} after disputedAt + ruleFor; arguments {ReceiptMismatch}.
    function rule(Terms calldata terms, Receipt calldata receipt, Verdict verdict) external;

    /// @notice Disputed -> Void (NotRuled) after disputedAt + ruleFor, by anyone: the client gets the price, the provider
    /// the collateral.
    /// @dev terms; state {WrongState} unless Disputed; time {TooEarly} (time, deadline + 1); arguments {ReceiptMismatch}.
    function lapse(Terms calldata terms, Receipt calldata receipt) external;

    /// @notice Tries a failed callback again, by anyone, with at least `callbackGas` and up to 63/64 of the gas there is: an answer
    /// that needs more than was promised is not lost. `receipt` is compared for Settled deals only. Reverts when the callback
    /// fails again, so that gas searches find what it needs.
    /// @dev terms; state {WrongState} unless a callback is pending; arguments {ReceiptMismatch}; callback {CallbackReverted}.
    /// Emits {CallbackDelivered}.
    function retryCallback(Terms calldata terms, Receipt calldata receipt) external;

    // ------------------------------------------------------------------------------------------------------------
    // Many at once
    // ------------------------------------------------------------------------------------------------------------

    /// @notice Settles deals that were never opened: each entry moves `receipt.price` from the client's free balance to
    /// the provider's. By anyone. An entry that cannot be settled is skipped and reported.
    /// @dev arguments {TooMany} above MAX_BATCH; signature {WrongChain}. For each entry, in this order: terms {BadTerms}
    /// (MaskedId, CallbackGas, KeepRecord; no other bound is checked, the client having signed the outcome); state {SaltSpent},
    /// {SaltTooFar}; time {TooLate} after `until`; arguments {InvalidProvider}, {PriceOutOfRange}, {InlineTooLarge}; signature
    /// {BadSignature}; money {InsufficientBalance}. Emits {BatchSettled} or {BatchSkipped} per entry, in order. No deal is
    /// stored: the spent salt is the record.
    function settleBatch(BatchEntry[] calldata entries) external;

    /// @notice Several calls of the sender in one transaction; the first that fails reverts all with its own error. Not
    /// payable.
    /// @dev arguments {TooMany} above MAX_BATCH.
    function multicall(bytes[] calldata calls) external returns (bytes[] memory results);

    // ------------------------------------------------------------------------------------------------------------
    // Events only
    // ------------------------------------------------------------------------------------------------------------

    /// @notice Emits the bytes of a spec under their sha2-256 digest.
    /// @dev arguments {SpecTooLarge}. Emits {SpecPublished}.
    function publishSpec(bytes calldata spec) external;

    /// @notice Says where the sender serves content.
    /// @dev arguments {UrlTooLarge}. Emits {Announced}.
    function announce(string calldata url) external;

    // ------------------------------------------------------------------------------------------------------------
    // Views
    // ------------------------------------------------------------------------------------------------------------

    /// @notice The job id of terms: their EIP-712 digest.
    function jobIdOf(Terms calldata terms) external view returns (bytes32);
    /// @notice A deal as it is stored; status None when there is none.
    function dealOf(bytes32 jobId) external view returns (Deal memory);
    /// @notice The highest 208 bits of keccak256(abi.encode(jobId, EIP-712 struct hash of the receipt)): what {Deal} keeps.
    function receiptDigest(bytes32 jobId, Receipt calldata receipt) external view returns (bytes26);
    /// @notice minPrice + (maxPrice - minPrice) * min(time - rampStart, rampPeriod) / rampPeriod, rounded down to a quantum;
    /// minPrice before rampStart.
    function priceAt(Terms calldata terms, uint64 time) external view returns (uint256);
    /// @notice Free balance of an account.
    function balanceOf(address account) external view returns (uint256);
    /// @notice What was burned; it stays in the contract for ever.
    function burned() external view returns (uint256);
    /// @notice Whether a salt was used or revoked.
    function isSpent(address client, uint256 salt) external view returns (bool);
    /// @notice The lowest salt of a lane that is not spent.
    function nextSalt(address client, uint192 lane) external view returns (uint256);
    /// @notice The settings of this deployment.
    function settings() external view returns (Settings memory);
}

/// @title ILotaClient: what a contract implements to be called back
/// @notice The market calls with exactly the `callbackGas` of the terms (a retry with at least that), ignores returned data, and
/// takes a revert as "try again later". Check that `msg.sender` is the market. From within, deposits and {ILotaMarket-open} are
/// possible, nothing else. Inherit LotaClient.sol, which does all that.
interface ILotaClient {
    /// @notice The job was settled with this result.
    function onJobResult(bytes32 jobId, ILotaMarket.Result calldata result) external;
    /// @notice The job ended without a result that was paid for; its money is in the client's balance at the market.
    function onJobFailed(bytes32 jobId, ILotaMarket.Reason reason) external;
}
