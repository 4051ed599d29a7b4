// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "./ILotaMarket.sol";

/// @title IBlessing: notaries look at settled jobs, and what they bless is rewarded by a granter
/// @notice Anyone nominates a Settled job, with a deposit. Notaries, of whom a quorum of k out of n decides, look at it off the
/// chain and vote, by transaction or by a signature that anybody relays. k approvals bless the job, n - k + 1 rejections refuse it.
/// When the same quorum could have revoked that for a while, anyone has the granter grant what was nominated (DataCap, or money),
/// and the client gets its share of the profit.
///
/// @dev This file is the specification. It is implemented twice: by Blessing.sol and by `market::blessing` in Rust, which the
/// differential test compares, in one world with the market. That inputs are what they are said to be, that a piece holds them,
/// and that there is no hidden conflict of interest, are the notaries' findings, not this contract's.
///
/// Money: everybody keeps an account here, in the market's asset. A nomination holds a deposit and a bounty of the nominator's, and
/// the provider's share for the client: they are fixed, and in escrow, from the nomination on. The provider's share comes out of
/// what the provider has set aside for it ({setAside}), never out of its free balance: that none can touch but its owner. When
/// the job is granted, deposit -> nominator, share and bounty -> client. When it is refused or revoked, the deposit is burned
/// (nobody gains by refusing); when it expires or lapses, the nominator gets it back; in all of them the bounty -> nominator, the share ->
/// what the provider has set aside. Money leaves by {withdraw} only.
///
/// Notaries: at most MAX_NOTARIES = 32, and a quorum; both are changed by a quorum's ballots alone. Each change has a number
/// ({decisions}), each set a version: ballots are for one number, signed votes for one version, so what a removed notary once signed is
/// void, and stays so when it comes back. A new set decides anew on what is nominated: votes of an older version no longer
/// count. A notary that is client, provider, matcher, arbiter or nominator of a job, or the recipient of the grant (as 20 bytes,
/// or as Filecoin's address of them, f410), may not vote on it.
///
/// Limits: a granter has to be admitted by the notaries, with the most that it may grant for a job, and to a provider and altogether
/// in a period of `limitPeriod` seconds (counted from the Unix epoch). They hold when the grant is made: what goes beyond waits for the
/// next period, which begins before its time to grant is over, as `grantFor` is longer than a period. Who is granted first is not
/// decided here; what finds the next period used up, too, lapses, and may be nominated again. So no reward grows with price or size
/// alone.
///
/// What has ended leaves the storage: of a nomination that ended there remains its round (so that nothing signed for it can be
/// used again) or that the job was granted (at most once). That is one slot for a job of which the market keeps a record, too.
///
/// Order of checks, as in {ILotaMarket}: asset, terms ({NotKept}), state ({ILotaMarket-UnknownJob}, {NotSettled}, {AlreadyGranted},
/// {AlreadyNominated}, {UnknownNomination}, {WrongPhase}), sender ({NotNotary}, {ConflictOfInterest}, {AlreadyVoted}), time,
/// arguments, signature ({ILotaMarket-WrongChain}, {ILotaMarket-BadSignature}), money, and then what the granter says. Errors of
/// {ILotaMarket} that this contract reverts with are the same. Before all of them stands {ILotaMarket-Reentered}: while this
/// contract pays out or calls the token or a granter, no state-changing function may be called. {ILotaMarket-InsufficientGas} belongs to
/// the chain. "until T" means now <= T.
interface IBlessing {
    // ------------------------------------------------------------------------------------------------------------
    // Types
    // ------------------------------------------------------------------------------------------------------------

    /// @notice What is fixed when this is deployed. Periods are in seconds, from 1 second to MAX_PERIOD = 365 days.
    /// @param deposit what a nomination costs until it is blessed, in the asset's smallest unit; burned when it is refused
    /// @param voteFor how long a nomination is voted on
    /// @param revokeFor how long a blessing may be revoked, before anything is granted
    /// @param grantFor how long a grant may be tried after that; longer than `limitPeriod`
    /// @param limitPeriod the period of the limits on what is granted
    /// @param granterGas gas that a granter is given at least, in the chain's own; not 0
    struct Settings {
        uint128 deposit;
        uint32 voteFor;
        uint32 revokeFor;
        uint32 grantFor;
        uint32 limitPeriod;
        uint32 granterGas;
    }

    /// @notice The most that a granter may grant, in its own unit. All zero: nothing is nominated for it, and nothing granted.
    /// @param perJob for one job
    /// @param perProvider to one provider in a period; at least `perJob`
    /// @param perPeriod altogether in a period; at least `perProvider`
    struct Limits {
        uint128 perJob;
        uint128 perProvider;
        uint128 perPeriod;
    }

    /// @notice What a provider has said of itself for a granter.
    /// @param recipient to whom is granted, as the granter reads it; empty: not registered
    /// @param shareRate the client's share: so many of the asset's smallest unit for 10^18 of the granter's (where both are
    /// attoFIL, 10^17 is a tenth)
    /// @param maxShare the most that one job costs the provider
    struct Registration {
        bytes recipient;
        uint128 shareRate;
        uint128 maxShare;
    }

    /// @notice What a nominator asks for.
    /// @param granter who is to grant
    /// @param amount how much, in the granter's unit
    /// @param piece the 32 bytes of the commitment to the piece that holds the job's output or input
    /// @param pieceSize its padded size in bytes: a power of two, at least 128
    /// @param bounty what the nominator adds to the client's share
    /// @param minShare the least share for the client: the provider may change what it registered at any time
    struct Request {
        address granter;
        uint256 amount;
        bytes32 piece;
        uint64 pieceSize;
        uint256 bounty;
        uint256 minShare;
    }

    /// @notice A nomination: what notaries vote on, and sign. Only its EIP-712 struct hash is stored; callers pass it again.
    /// @param round which nomination of the job it is, from 1
    /// @param share what the provider pays the client when the job is granted
    /// @param expires until when it is voted on
    struct Nomination {
        bytes32 jobId;
        uint32 round;
        address client;
        address provider;
        address matcher;
        address arbiter;
        address nominator;
        address granter;
        bytes recipient;
        uint256 amount;
        bytes32 piece;
        uint64 pieceSize;
        uint256 share;
        uint256 bounty;
        uint64 expires;
    }

    /// @notice What a notary decides. The signed types are Approval, Rejection and Revocation, each
    /// (Nomination nomination,bytes32 reasons,uint32 version) in the domain ("LotaBlessing", "1", chain id at deployment, this
    /// contract).
    enum Choice {
        Approve,
        Reject,
        Revoke
    }

    /// @notice The life of a nomination. None: there is none, or it ended without a grant.
    enum Phase {
        None,
        Nominated,
        Blessed,
        Granted
    }

    /// @notice How a nomination ended without a grant. Refused: by the notaries. Expired: not decided in time. Revoked: blessed, and
    /// revoked. Lapsed: blessed, and not granted in time.
    enum End {
        Refused,
        Expired,
        Revoked,
        Lapsed
    }

    /// @notice A job as it is stored.
    /// @param round of its last nomination; 0: it was never nominated
    /// @param nomination struct hash of the nomination, while it runs
    /// @param approvals votes for it that count, while Nominated
    /// @param against votes against it that count: rejections while Nominated, revocations while Blessed
    /// @param blessedAt when it was blessed, while Blessed
    /// @param reasons digest of the reasons of the vote that blessed it, while Blessed
    struct Record {
        Phase phase;
        uint32 round;
        bytes32 nomination;
        uint32 approvals;
        uint32 against;
        uint64 blessedAt;
        bytes32 reasons;
    }

    /// @notice A notary's ballot on a change of the notaries, or of a granter's limits.
    /// @param signature its EIP-712 signature; may be empty when it is the sender
    struct Ballot {
        address notary;
        bytes signature;
    }

    /// @notice What is wrong with a deployment, in the order in which it is checked. Market: no code there, or a market that computes
    /// other job ids. Period: one is 0 or above MAX_PERIOD, or grantFor is not longer than limitPeriod. GranterGas: 0.
    enum DeploymentFault {
        Market,
        Period,
        GranterGas
    }

    /// @notice What is wrong with a set of notaries, in the order in which it is checked. Count: none, or more than
    /// MAX_NOTARIES. Quorum: 0, or more than there are notaries. Invalid: the zero address, or a masked id. Repeated: one is there twice.
    enum NotariesFault {
        Count,
        Quorum,
        Invalid,
        Repeated
    }

    /// @notice One of {Limits}.
    enum Limit {
        PerJob,
        PerProvider,
        PerPeriod
    }

    // ------------------------------------------------------------------------------------------------------------
    // Errors
    // ------------------------------------------------------------------------------------------------------------

    /// @notice This cannot be deployed.
    error BadDeployment(DeploymentFault fault);
    /// @notice Nobody can have such notaries.
    error BadNotaries(NotariesFault fault);
    /// @notice These limits are not in order (perJob <= perProvider <= perPeriod), or are not zero and no code is at `granter`.
    error BadLimits(address granter);
    /// @notice The terms do not ask for keepRecord.
    error NotKept(bytes32 jobId);
    /// @notice The deal is not Settled at the market, it is `found`.
    error NotSettled(bytes32 jobId, ILotaMarket.Status found);
    /// @notice The job was granted before.
    error AlreadyGranted(bytes32 jobId);
    /// @notice A nomination of the job runs.
    error AlreadyNominated(bytes32 jobId, uint32 round);
    /// @notice No running nomination of the job is this one.
    error UnknownNomination(bytes32 jobId);
    /// @notice The nomination is in a phase that does not allow this.
    error WrongPhase(bytes32 jobId, Phase found);
    /// @notice Not a notary now.
    error NotNotary(address account);
    /// @notice The notary is a party of the job.
    error ConflictOfInterest(bytes32 jobId, address notary);
    /// @notice The notary has voted.
    error AlreadyVoted(bytes32 jobId, address notary);
    /// @notice The granter was not admitted.
    error UnknownGranter(address granter);
    /// @notice The provider has not registered a recipient for this granter.
    error NotRegistered(address provider, address granter);
    /// @notice By what the provider registered the client's share is less than the nominator asked for.
    error ShareTooSmall(uint256 share, uint256 minShare);
    /// @notice The recipient has more than MAX_RECIPIENT = 64 bytes.
    error RecipientTooLong(uint256 size);
    /// @notice The piece is zero, or its size is not a power of two of at least 128.
    error BadPiece(bytes32 piece, uint64 size);
    /// @notice `amount` is 0, or more than the `left` that this limit leaves now.
    error OverLimit(address granter, Limit limit, uint256 amount, uint256 left);
    /// @notice Two ballots are this notary's.
    error RepeatedBallot(address notary);
    /// @notice There are fewer ballots than the quorum.
    error QuorumNotReached(uint256 ballots, uint256 quorum);
    /// @notice What the provider has set aside does not suffice.
    error InsufficientPool(address provider, uint256 pool, uint256 needed);
    /// @notice The granter could not grant this; `why` is the selector of its error.
    error GrantRefused(address granter, bytes4 why);

    // ------------------------------------------------------------------------------------------------------------
    // Events
    // ------------------------------------------------------------------------------------------------------------

    /// @notice `amount` of `payer`'s was credited to `account` here.
    event Funded(address indexed account, address indexed payer, uint256 amount);
    /// @notice `amount` left `account` here to `to`.
    event Defunded(address indexed account, address indexed to, uint256 amount);
    /// @notice The provider set `amount` of its account aside for clients' shares.
    event SetAside(address indexed provider, uint256 amount);
    /// @notice The provider took `amount` back into its account.
    event TakenBack(address indexed provider, uint256 amount);
    /// @notice A provider registered for a granter (an empty recipient: no longer).
    event Registered(
        address indexed provider, address indexed granter, bytes recipient, uint128 shareRate, uint128 maxShare
    );
    /// @notice There is a new set of notaries.
    event NotariesSet(uint32 indexed version, address[] notaries, uint32 quorum);
    /// @notice A granter has new limits.
    event GranterSet(address indexed granter, Limits limits);
    /// @notice A job was nominated.
    event JobNominated(bytes32 indexed jobId, address indexed nominator, Nomination nomination);
    /// @notice A notary voted.
    event VoteCast(bytes32 indexed jobId, uint32 indexed round, address indexed notary, Choice choice, bytes32 reasons);
    /// @notice The job was blessed; it may be granted after `revokeUntil`, until `grantUntil`.
    event JobBlessed(bytes32 indexed jobId, uint32 indexed round, uint64 revokeUntil, uint64 grantUntil);
    /// @notice The nomination ended without a grant.
    event NominationEnded(bytes32 indexed jobId, uint32 indexed round, End end);
    /// @notice The granter failed; `why` is the selector of its error. It may be tried again.
    event GrantFailed(bytes32 indexed jobId, uint32 indexed round, bytes4 why);
    /// @notice The granter granted `amount`, and the client was credited `toClient`.
    event JobGranted(
        bytes32 indexed jobId, address indexed provider, address indexed granter, uint256 amount, uint256 toClient
    );

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

    /// @notice Sets `amount` of the sender's account aside: nominations of its jobs take the clients' shares from there.
    /// @dev money {InsufficientBalance}. Emits {SetAside}.
    function setAside(uint256 amount) external;

    /// @notice Takes `amount` of what the sender has set aside back into its account.
    /// @dev money {InsufficientPool}. Emits {TakenBack}.
    function takeBack(uint256 amount) external;

    /// @notice Registers the sender for a granter: to whom is granted, and what clients get of it. For nominations to come.
    /// @dev arguments {RecipientTooLong}. An empty recipient ends the registration. Emits {Registered}.
    function register(address granter, bytes calldata recipient, uint128 shareRate, uint128 maxShare) external;

    // ------------------------------------------------------------------------------------------------------------
    // Notaries
    // ------------------------------------------------------------------------------------------------------------

    /// @notice Replaces the notaries and their quorum, by a quorum's ballots. By anyone.
    /// @dev sender {NotNotary}, {RepeatedBallot} of the first such ballot, {QuorumNotReached}; time {TooLate} after `until`;
    /// arguments {BadNotaries}; signature {WrongChain}, {BadSignature}. Signed is
    /// SetNotaries(address[] notaries,uint32 quorum,uint64 decision,uint64 until), where `decision` is {decisions}.
    /// Emits {NotariesSet}.
    function setNotaries(address[] calldata notaries, uint32 quorum, uint64 until, Ballot[] calldata ballots) external;

    /// @notice Admits a granter with limits, changes them, or with zeros sends it away, by a quorum's ballots. By anyone.
    /// @dev as {setNotaries}, with {BadLimits}. Signed is
    /// SetGranter(address granter,uint128 perJob,uint128 perProvider,uint128 perPeriod,uint64 decision,uint64 until).
    /// Emits {GranterSet}.
    function setGranter(address granter, Limits calldata limits, uint64 until, Ballot[] calldata ballots) external;

    // ------------------------------------------------------------------------------------------------------------
    // The life of a nomination
    // ------------------------------------------------------------------------------------------------------------

    /// @notice Nominates a settled job.
    /// @dev terms {NotKept}; state {UnknownJob}, {NotSettled}, {AlreadyGranted}, {AlreadyNominated}; arguments {ReceiptMismatch},
    /// {UnknownGranter}, {OverLimit} of the limit per job, {BadPiece}, {NotRegistered}, {ShareTooSmall}; money {InsufficientPool} of the provider for the
    /// share, {InsufficientBalance} of the sender for deposit and bounty; {GrantRefused} when the granter's checkGrant fails, which is
    /// given `granterGas`. Emits {JobNominated}.
    function nominate(ILotaMarket.Terms calldata terms, ILotaMarket.Receipt calldata receipt, Request calldata request)
        external;

    /// @notice The sender's vote. Each notary has one vote while a nomination is Nominated, and one (to revoke) while Blessed.
    /// @param reasons digest of the notary's written reasons
    /// @dev state {UnknownNomination}, {WrongPhase} unless Nominated (Approve, Reject) or Blessed (Revoke); sender {NotNotary},
    /// {ConflictOfInterest}, {AlreadyVoted}; time {TooLate} after `expires`, or (Revoke) after blessedAt + revokeFor. Emits
    /// {VoteCast}, then, when it decides, {JobBlessed} or {NominationEnded}.
    function vote(Nomination calldata nomination, Choice choice, bytes32 reasons) external;

    /// @notice A vote that `notary` signed (ECDSA first, then ERC-1271). By anyone.
    /// @dev as {vote}, for `notary`; signature {WrongChain}, {BadSignature}.
    function voteSigned(
        Nomination calldata nomination,
        Choice choice,
        bytes32 reasons,
        address notary,
        bytes calldata signature
    ) external;

    /// @notice Has the granter grant, after blessedAt + revokeFor until grantFor later. By anyone. When the granter fails, nothing
    /// changes and {GrantFailed} is emitted: so it may be tried again. The granter gets at least `granterGas`, and up to 63/64 of the
    /// gas there is.
    /// @dev state {UnknownNomination}, {WrongPhase} unless Blessed; time {TooEarly}, {TooLate}; arguments {OverLimit}. Emits
    /// {JobGranted} or {GrantFailed}.
    function grant(Nomination calldata nomination) external;

    /// @notice Ends a nomination that was not decided until `expires`, or a blessing that was not granted in time. By anyone.
    /// @dev state {UnknownNomination}; time {TooEarly} (time, deadline + 1). Emits {NominationEnded}.
    function expire(Nomination calldata nomination) external;

    /// @notice Forgets what was granted to providers in periods that are over. By anyone.
    /// @dev arguments {TooMany} above 62.
    function sweep(address granter, address[] calldata providers) external;

    // ------------------------------------------------------------------------------------------------------------
    // Views
    // ------------------------------------------------------------------------------------------------------------

    /// @notice The market whose jobs are blessed here.
    function market() external view returns (ILotaMarket);
    /// @notice The settings of this deployment.
    function settings() external view returns (Settings memory);
    /// @notice The notaries, their quorum, and the version of this set, from 1.
    function notaries() external view returns (address[] memory list, uint32 quorum, uint32 version);
    /// @notice The number of the next change of notaries or limits.
    function decisions() external view returns (uint64);
    /// @notice A granter's limits.
    function limitsOf(address granter) external view returns (Limits memory);
    /// @notice What was granted in this period: to `provider`, and altogether.
    function grantedOf(address granter, address provider) external view returns (uint256 toProvider, uint256 inAll);
    /// @notice What a provider registered for a granter.
    function registrationOf(address provider, address granter) external view returns (Registration memory);
    /// @notice A job as it is stored.
    function recordOf(bytes32 jobId) external view returns (Record memory);
    /// @notice Whether a notary's vote on the running nomination counts.
    function hasVoted(bytes32 jobId, address notary) external view returns (bool);
    /// @notice Free balance of an account here.
    function balanceOf(address account) external view returns (uint256);
    /// @notice What a provider has set aside for shares.
    function poolOf(address provider) external view returns (uint256);
    /// @notice Deposits of nominations that were refused or revoked; they stay in the contract.
    function burned() external view returns (uint256);
    /// @notice The EIP-712 struct hash of a nomination: what {Record} keeps.
    function hashOf(Nomination calldata nomination) external view returns (bytes32);
}
