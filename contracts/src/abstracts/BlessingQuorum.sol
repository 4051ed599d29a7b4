// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IBlessing} from "../interfaces/IBlessing.sol";
import {ILotaMarket} from "../interfaces/ILotaMarket.sol";
import {Addresses} from "../libraries/Addresses.sol";
import {BlessingHashes} from "../libraries/BlessingHashes.sol";
import {Hashes} from "../libraries/Hashes.sol";
import {Signatures} from "../libraries/Signatures.sol";
import {BlessingAccounts} from "./BlessingAccounts.sol";

/// @title BlessingQuorum: the notaries, what they change together, and the granters that they admitted
/// @dev Every notary has a seat, a number below 32: who has voted is a bit. All loops are over notaries.
abstract contract BlessingQuorum is BlessingAccounts {
    uint256 private constant _MAX_NOTARIES = 32;
    uint256 private constant _MAX_SWEEP = 62;

    /// @dev What was granted in a period.
    struct Usage {
        uint64 period;
        uint128 granted;
    }

    address[] private _notaries;
    mapping(address notary => uint256) private _seats; // from 1; 0: not a notary
    uint32 internal _quorum;
    uint32 internal _version;
    uint64 private _decisions;

    mapping(address granter => Limits) private _limits;
    mapping(address granter => Usage) private _inAll;
    mapping(address granter => mapping(address provider => Usage)) private _toProvider;

    constructor(address[] memory list, uint32 quorum) {
        _replaceNotaries(list, quorum);
    }

    // ------------------------------------------------------------------------------------------------------------
    // What a quorum changes
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc IBlessing
    function setNotaries(address[] calldata list, uint32 quorum, uint64 until, Ballot[] calldata ballots)
        external
        notWhileCalling
    {
        _requireQuorum(ballots);
        _requireUntil(until);
        _checkNotaries(list, quorum);
        _checkSignatures(BlessingHashes.ofNotaries(list, quorum, _decisions, until), ballots);
        ++_decisions;
        _replaceNotaries(list, quorum);
    }

    /// @inheritdoc IBlessing
    function setGranter(address granter, Limits calldata limits, uint64 until, Ballot[] calldata ballots)
        external
        notWhileCalling
    {
        _requireQuorum(ballots);
        _requireUntil(until);
        bool isOrdered = limits.perJob <= limits.perProvider && limits.perProvider <= limits.perPeriod;
        if (!isOrdered || (limits.perPeriod != 0 && granter.code.length == 0)) revert BadLimits(granter);
        _checkSignatures(BlessingHashes.ofGranter(granter, limits, _decisions, until), ballots);
        ++_decisions;
        _limits[granter] = limits;
        emit GranterSet(granter, limits);
    }

    function _requireQuorum(Ballot[] calldata ballots) private view {
        uint256 seen = 0;
        for (uint256 i = 0; i < ballots.length; ++i) {
            uint256 seat = _seatOf(ballots[i].notary);
            if (seen & seat != 0) revert RepeatedBallot(ballots[i].notary);
            seen |= seat;
        }
        if (ballots.length < _quorum) revert QuorumNotReached(ballots.length, _quorum);
    }

    function _checkSignatures(bytes32 structHash, Ballot[] calldata ballots) private view {
        for (uint256 i = 0; i < ballots.length; ++i) {
            Ballot calldata ballot = ballots[i];
            bool isSender = ballot.notary == msg.sender && ballot.signature.length == 0;
            if (!isSender) _checkSignature(ballot.notary, structHash, ballot.signature);
        }
    }

    function _checkSignature(address notary, bytes32 structHash, bytes calldata signature) internal view {
        if (block.chainid != _CHAIN_ID) revert ILotaMarket.WrongChain(block.chainid);
        bytes32 digest = Hashes.typed(_DOMAIN, structHash);
        if (!Signatures.isValid(notary, digest, signature, _SIGNATURE_GAS, _CALL_RESERVE)) {
            revert ILotaMarket.BadSignature(notary);
        }
    }

    function _checkNotaries(address[] memory list, uint32 quorum) private pure {
        if (list.length == 0 || list.length > _MAX_NOTARIES) revert BadNotaries(NotariesFault.Count);
        if (quorum == 0 || quorum > list.length) revert BadNotaries(NotariesFault.Quorum);
        for (uint256 i = 0; i < list.length; ++i) {
            if (list[i] == address(0) || Addresses.isMasked(list[i])) revert BadNotaries(NotariesFault.Invalid);
        }
        for (uint256 i = 1; i < list.length; ++i) {
            for (uint256 j = 0; j < i; ++j) {
                if (list[i] == list[j]) revert BadNotaries(NotariesFault.Repeated);
            }
        }
    }

    function _replaceNotaries(address[] memory list, uint32 quorum) private {
        _checkNotaries(list, quorum);
        for (uint256 i = 0; i < _notaries.length; ++i) {
            delete _seats[_notaries[i]];
        }
        _notaries = list;
        for (uint256 i = 0; i < list.length; ++i) {
            _seats[list[i]] = i + 1;
        }
        _quorum = quorum;
        emit NotariesSet(++_version, list, quorum);
    }

    /// @dev A notary's bit.
    function _seatOf(address account) internal view returns (uint256 seat) {
        seat = _seatOrNone(account);
        if (seat == 0) revert NotNotary(account);
    }

    function _seatOrNone(address account) internal view returns (uint256) {
        return (1 << _seats[account]) >> 1;
    }

    /// @dev How many rejections leave no quorum of approvals.
    function _blocking() internal view returns (uint256) {
        return _notaries.length - _quorum + 1;
    }

    // ------------------------------------------------------------------------------------------------------------
    // Limits
    // ------------------------------------------------------------------------------------------------------------

    function _requireJobLimit(address granter, uint256 amount) internal view {
        uint256 perJob = _limits[granter].perJob;
        if (_limits[granter].perPeriod == 0) revert UnknownGranter(granter);
        if (amount == 0 || amount > perJob) revert OverLimit(granter, Limit.PerJob, amount, perJob);
    }

    /// @dev What is to be granted now counts from now on: {_count}.
    function _requireLimits(address granter, address provider, uint256 amount) internal view {
        _requireJobLimit(granter, amount);
        Limits memory limits = _limits[granter];
        (uint256 toProvider, uint256 inAll) = grantedOf(granter, provider);
        uint256 left = limits.perProvider > toProvider ? limits.perProvider - toProvider : 0;
        if (amount > left) revert OverLimit(granter, Limit.PerProvider, amount, left);
        left = limits.perPeriod > inAll ? limits.perPeriod - inAll : 0;
        if (amount > left) revert OverLimit(granter, Limit.PerPeriod, amount, left);
    }

    function _count(address granter, address provider, uint256 amount) internal {
        (uint256 toProvider, uint256 inAll) = grantedOf(granter, provider);
        uint64 period = _period();
        _toProvider[granter][provider] = Usage(period, uint128(toProvider + amount));
        _inAll[granter] = Usage(period, uint128(inAll + amount));
    }

    /// @inheritdoc IBlessing
    function sweep(address granter, address[] calldata providers) external notWhileCalling {
        if (providers.length > _MAX_SWEEP) revert ILotaMarket.TooMany(providers.length);
        for (uint256 i = 0; i < providers.length; ++i) {
            if (_toProvider[granter][providers[i]].period < _period()) delete _toProvider[granter][providers[i]];
        }
    }

    function _period() private view returns (uint64) {
        return uint64(block.timestamp / _LIMIT_PERIOD);
    }

    function _thisPeriod(Usage storage usage) private view returns (uint256) {
        return usage.period == _period() ? usage.granted : 0;
    }

    // ------------------------------------------------------------------------------------------------------------
    // Views
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc IBlessing
    function notaries() external view returns (address[] memory list, uint32 quorum, uint32 version) {
        return (_notaries, _quorum, _version);
    }

    /// @inheritdoc IBlessing
    function decisions() external view returns (uint64) {
        return _decisions;
    }

    /// @inheritdoc IBlessing
    function limitsOf(address granter) external view returns (Limits memory) {
        return _limits[granter];
    }

    /// @inheritdoc IBlessing
    function grantedOf(address granter, address provider) public view returns (uint256 toProvider, uint256 inAll) {
        return (_thisPeriod(_toProvider[granter][provider]), _thisPeriod(_inAll[granter]));
    }
}
