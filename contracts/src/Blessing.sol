// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.34;

import {BlessingQuorum} from "./abstracts/BlessingQuorum.sol";
import {BlessingAccounts} from "./abstracts/BlessingAccounts.sol";
import {IBlessing} from "./interfaces/IBlessing.sol";
import {Grant, IGranter} from "./interfaces/IGranter.sol";
import {ILotaMarket} from "./interfaces/ILotaMarket.sol";
import {BlessingHashes} from "./libraries/BlessingHashes.sol";
import {CappedCall} from "./libraries/CappedCall.sol";
import {Hashes} from "./libraries/Hashes.sol";

/// @title Blessing: a quorum of notaries blesses settled jobs, a granter rewards them
/// @notice The specification is {IBlessing}: types, errors, events, and the order of checks in each function.
///
/// @dev What this contract holds to, beyond the interface:
///
/// - Money is in one of four places: an account, what a provider has set aside, the escrow of a nomination that runs, or `burned`.
///   The third follows from the nomination and the settings.
/// - A nomination is two storage slots, a blessed one three; one stays of each job, see {IBlessing}. Nothing here loops but over
///   notaries and a caller's own list.
/// - Every function checks, then changes storage, then emits. A granter is called before what its success changes, as its failure
///   must change nothing; meanwhile every function that is not a view is closed, so nobody can come in between.
contract Blessing is BlessingQuorum {
    uint256 private constant _MAX_RECIPIENT = 64;
    uint256 private constant _RATE_UNIT = 1e18;
    uint256 private constant _MIN_PIECE = 128;

    /// @dev `reasons` stay zero until it is blessed; votes count when `version` is that of the notaries.
    struct StoredJob {
        Phase phase;
        uint32 round;
        uint32 version;
        uint32 approvals;
        uint32 against;
        uint64 blessedAt;
        bytes32 nomination;
        bytes32 reasons;
    }

    mapping(bytes32 jobId => StoredJob) private _jobs;
    mapping(address provider => mapping(address granter => Registration)) private _registrations;

    constructor(ILotaMarket fixedMarket, Settings memory fixedSettings, address[] memory list, uint32 quorum)
        BlessingAccounts(fixedMarket, fixedSettings)
        BlessingQuorum(list, quorum)
    {}

    // ------------------------------------------------------------------------------------------------------------
    // Nominations
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc IBlessing
    function register(address granter, bytes calldata recipient, uint128 shareRate, uint128 maxShare)
        external
        notWhileCalling
    {
        if (recipient.length > _MAX_RECIPIENT) revert RecipientTooLong(recipient.length);
        if (recipient.length == 0) delete _registrations[msg.sender][granter];
        else _registrations[msg.sender][granter] = Registration(recipient, shareRate, maxShare);
        emit Registered(msg.sender, granter, recipient, shareRate, maxShare);
    }

    /// @inheritdoc IBlessing
    function nominate(ILotaMarket.Terms calldata terms, ILotaMarket.Receipt calldata receipt, Request calldata request)
        external
        notWhileCalling
    {
        bytes32 jobId = _requireSettled(terms, receipt);
        StoredJob storage job = _jobs[jobId];
        _requireJobLimit(request.granter, request.amount);
        _requirePiece(request.piece, request.pieceSize);
        Registration memory registered = _registrations[receipt.provider][request.granter];
        if (registered.recipient.length == 0) revert NotRegistered(receipt.provider, request.granter);
        uint256 share = _share(registered, request.amount);
        if (share < request.minShare) revert ShareTooSmall(share, request.minShare);

        Nomination memory nomination;
        (nomination.jobId, nomination.round) = (jobId, job.round + 1);
        (nomination.client, nomination.provider) = (terms.client, receipt.provider);
        (nomination.matcher, nomination.arbiter) = (terms.matcher, terms.arbiter);
        (nomination.nominator, nomination.granter) = (msg.sender, request.granter);
        (nomination.recipient, nomination.amount) = (registered.recipient, request.amount);
        (nomination.piece, nomination.pieceSize) = (request.piece, request.pieceSize);
        (nomination.share, nomination.bounty) = (share, request.bounty);
        nomination.expires = uint64(block.timestamp + _VOTE_FOR);

        _takeFromPool(nomination.provider, nomination.share);
        // A sum that overflows is more than anybody has.
        uint256 brought = _DEPOSIT > type(uint256).max - request.bounty ? type(uint256).max : _DEPOSIT + request.bounty;
        _debit(msg.sender, brought);
        job.nomination = BlessingHashes.ofNomination(nomination);
        (job.phase, job.round, job.version) = (Phase.Nominated, nomination.round, _version);
        emit JobNominated(jobId, msg.sender, nomination);
        _askGranter(nomination);
    }

    /// @dev The market's word that the job was settled with this receipt, and ours that it may be nominated now.
    function _requireSettled(ILotaMarket.Terms calldata terms, ILotaMarket.Receipt calldata receipt)
        private
        view
        returns (bytes32 jobId)
    {
        jobId = Hashes.typed(_MARKET_DOMAIN, Hashes.ofTerms(terms));
        if (!terms.keepRecord) revert NotKept(jobId);
        ILotaMarket.Deal memory deal = _MARKET.dealOf(jobId);
        if (deal.status == ILotaMarket.Status.None) revert ILotaMarket.UnknownJob(jobId);
        if (deal.status != ILotaMarket.Status.Settled) revert NotSettled(jobId, deal.status);
        StoredJob storage job = _jobs[jobId];
        if (job.phase == Phase.Granted) revert AlreadyGranted(jobId);
        if (job.phase != Phase.None) revert AlreadyNominated(jobId, job.round);
        bytes32 hash = Hashes.ofReceipt(receipt.provider, receipt.price, receipt.result);
        if (bytes26(keccak256(abi.encode(jobId, hash))) != deal.receipt) revert ILotaMarket.ReceiptMismatch(jobId);
    }

    function _requirePiece(bytes32 piece, uint64 size) private pure {
        if (piece == 0 || size < _MIN_PIECE || size & (size - 1) != 0) revert BadPiece(piece, size);
    }

    /// @dev Rate and amount have 128 bits each.
    function _share(Registration memory registered, uint256 amount) private pure returns (uint256 share) {
        share = registered.shareRate * amount / _RATE_UNIT;
        if (share > registered.maxShare) share = registered.maxShare;
    }

    /// @dev Asked last, as a view: nothing that this contract did can be seen by others in between.
    function _askGranter(Nomination memory n) private view {
        bytes memory data = abi.encodeCall(IGranter.checkGrant, (n.provider, n.recipient, n.amount));
        bool hasCode = n.granter.code.length != 0;
        CappedCall.requireGas(_GRANTER_GAS, _CALL_RESERVE);
        (bool success, bytes4 why) = CappedCall.check(n.granter, data, _GRANTER_GAS);
        if (!success || !hasCode) revert GrantRefused(n.granter, why);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Votes
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc IBlessing
    function vote(Nomination calldata nomination, Choice choice, bytes32 reasons) external notWhileCalling {
        _requireVote(nomination, choice, msg.sender);
        _cast(nomination, choice, reasons, msg.sender);
    }

    /// @inheritdoc IBlessing
    function voteSigned(
        Nomination calldata nomination,
        Choice choice,
        bytes32 reasons,
        address notary,
        bytes calldata signature
    ) external notWhileCalling {
        bytes32 hash = _requireVote(nomination, choice, notary);
        _checkSignature(notary, BlessingHashes.ofVote(choice, hash, reasons, _version), signature);
        _cast(nomination, choice, reasons, notary);
    }

    function _requireVote(Nomination calldata nomination, Choice choice, address notary)
        private
        view
        returns (bytes32 hash)
    {
        StoredJob storage job;
        (job, hash) = _find(nomination);
        Phase wanted = choice == Choice.Revoke ? Phase.Blessed : Phase.Nominated;
        if (job.phase != wanted) revert WrongPhase(nomination.jobId, job.phase);
        uint256 seat = _seatOf(notary);
        if (_isParty(nomination, notary)) revert ConflictOfInterest(nomination.jobId, notary);
        if (_votes(job) & seat != 0) revert AlreadyVoted(nomination.jobId, notary);
        _requireUntil(choice == Choice.Revoke ? _revokeUntil(job) : nomination.expires);
    }

    function _cast(Nomination calldata nomination, Choice choice, bytes32 reasons, address notary) private {
        bytes32 jobId = nomination.jobId;
        StoredJob storage job = _jobs[jobId];
        uint32 seat = uint32(_seatOf(notary));
        if (job.version != _version) (job.version, job.approvals, job.against) = (_version, 0, 0);
        if (choice == Choice.Approve) job.approvals |= seat;
        else job.against |= seat;
        emit VoteCast(jobId, nomination.round, notary, choice, reasons);
        if (choice == Choice.Approve) {
            if (_countOf(job.approvals) >= _quorum) _bless(nomination, job, reasons);
        } else if (choice == Choice.Reject) {
            if (_countOf(job.against) >= _blocking()) _end(nomination, End.Refused);
        } else if (_countOf(job.against) >= _quorum) {
            _end(nomination, End.Revoked);
        }
    }

    function _bless(Nomination calldata nomination, StoredJob storage job, bytes32 reasons) private {
        (job.phase, job.approvals, job.against) = (Phase.Blessed, 0, 0);
        (job.blessedAt, job.reasons) = (uint64(block.timestamp), reasons);
        uint64 revokeUntil = uint64(_revokeUntil(job));
        emit JobBlessed(nomination.jobId, nomination.round, revokeUntil, revokeUntil + _GRANT_FOR);
    }

    /// @dev Who has an interest that can be seen here. A recipient may be an EVM address, or Filecoin's name of one: 4 (delegated),
    /// 10 (the Ethereum address manager), and the address.
    function _isParty(Nomination calldata n, address notary) private pure returns (bool) {
        if (notary == n.client || notary == n.provider || notary == n.matcher) return true;
        if (notary == n.arbiter || notary == n.nominator) return true;
        if (n.recipient.length == 20) return notary == address(bytes20(n.recipient));
        return n.recipient.length == 22 && bytes2(n.recipient) == 0x040a && notary == address(bytes20(n.recipient[2:]));
    }

    // ------------------------------------------------------------------------------------------------------------
    // Ends
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc IBlessing
    function grant(Nomination calldata nomination) external notWhileCalling {
        (StoredJob storage job,) = _find(nomination);
        if (job.phase != Phase.Blessed) revert WrongPhase(nomination.jobId, job.phase);
        uint256 revokeUntil = _revokeUntil(job);
        _requireAfter(revokeUntil);
        _requireUntil(revokeUntil + _GRANT_FOR);
        _requireLimits(nomination.granter, nomination.provider, nomination.amount);
        (bool success, bytes4 why) = _callGranter(nomination, job.reasons);
        if (!success) {
            emit GrantFailed(nomination.jobId, nomination.round, why);
            return;
        }
        _count(nomination.granter, nomination.provider, nomination.amount);
        uint256 toClient = nomination.share + nomination.bounty;
        _credit(nomination.client, toClient);
        _credit(nomination.nominator, _DEPOSIT);
        _forget(nomination, Phase.Granted);
        emit JobGranted(nomination.jobId, nomination.provider, nomination.granter, nomination.amount, toClient);
    }

    function _callGranter(Nomination calldata n, bytes32 reasons)
        private
        whileCalling
        returns (bool success, bytes4 why)
    {
        bytes memory data = abi.encodeCall(
            IGranter.grant, (Grant(n.jobId, n.round, n.provider, n.recipient, n.amount, n.piece, n.pieceSize, reasons))
        );
        // Asked before the look at the gas: FVM charges for the first look-up of an account.
        if (n.granter.code.length == 0) return (false, 0);
        CappedCall.requireGas(_GRANTER_GAS, _CALL_RESERVE);
        uint256 left = gasleft();
        uint256 given = left > _GRANTER_GAS + _CALL_RESERVE ? left - _CALL_RESERVE : _GRANTER_GAS;
        return CappedCall.attempt(n.granter, data, given);
    }

    /// @inheritdoc IBlessing
    function expire(Nomination calldata nomination) external notWhileCalling {
        (StoredJob storage job,) = _find(nomination);
        bool isBlessed = job.phase == Phase.Blessed;
        _requireAfter(isBlessed ? _revokeUntil(job) + _GRANT_FOR : nomination.expires);
        _end(nomination, isBlessed ? End.Lapsed : End.Expired);
    }

    /// @dev A nomination ends without a grant.
    function _end(Nomination calldata nomination, End end) private {
        bool isFault = end == End.Refused || end == End.Revoked;
        if (isFault) _burned += _DEPOSIT;
        _credit(nomination.nominator, nomination.bounty + (isFault ? 0 : _DEPOSIT));
        _giveToPool(nomination.provider, nomination.share);
        _forget(nomination, Phase.None);
        emit NominationEnded(nomination.jobId, nomination.round, end);
    }

    /// @dev Leaves what {IBlessing} says must stay.
    function _forget(Nomination calldata nomination, Phase phase) private {
        _jobs[nomination.jobId] = StoredJob(phase, nomination.round, 0, 0, 0, 0, 0, 0);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Views
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc IBlessing
    function registrationOf(address provider, address granter) external view returns (Registration memory) {
        return _registrations[provider][granter];
    }

    /// @inheritdoc IBlessing
    function recordOf(bytes32 jobId) external view returns (Record memory) {
        StoredJob storage job = _jobs[jobId];
        bool counts = job.version == _version;
        return Record({
            phase: job.phase,
            round: job.round,
            nomination: job.nomination,
            approvals: counts ? uint32(_countOf(job.approvals)) : 0,
            against: counts ? uint32(_countOf(job.against)) : 0,
            blessedAt: job.blessedAt,
            reasons: job.reasons
        });
    }

    /// @inheritdoc IBlessing
    function hasVoted(bytes32 jobId, address notary) external view returns (bool) {
        return _votes(_jobs[jobId]) & _seatOrNone(notary) != 0;
    }

    /// @inheritdoc IBlessing
    function hashOf(Nomination calldata nomination) external pure returns (bytes32) {
        return BlessingHashes.ofNomination(nomination);
    }

    // ------------------------------------------------------------------------------------------------------------

    /// @dev The running nomination.
    function _find(Nomination calldata nomination) private view returns (StoredJob storage job, bytes32 hash) {
        job = _jobs[nomination.jobId];
        hash = BlessingHashes.ofNomination(nomination);
        if (job.nomination != hash) revert UnknownNomination(nomination.jobId);
    }

    function _revokeUntil(StoredJob storage job) private view returns (uint256) {
        return uint256(job.blessedAt) + _REVOKE_FOR;
    }

    /// @dev The seats of those whose votes count.
    function _votes(StoredJob storage job) private view returns (uint256) {
        return job.version == _version ? uint256(job.approvals | job.against) : 0;
    }

    function _countOf(uint256 seats) private pure returns (uint256 count) {
        for (; seats != 0; seats &= seats - 1) {
            ++count;
        }
    }
}
