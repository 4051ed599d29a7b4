// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.34;

import {IBlessing} from "../interfaces/IBlessing.sol";
import {ICurioDealView, ICurioMarket} from "../interfaces/ICurioMarket.sol";
import {Addresses} from "../libraries/Addresses.sol";
import {Cbor} from "../libraries/Cbor.sol";
import {PieceCid} from "../libraries/PieceCid.sol";

/// @title CurioMarket: see {ICurioMarket}
/// @dev No owner, no upgrade, no money. It calls nobody but the views of its blessing contract.
contract CurioMarket is ICurioMarket {
    uint64 private constant _SECTOR_CONTENT_CHANGED = 2_034_386_435; // FRC-0042 of "SectorContentChanged"
    uint64 private constant _CBOR = 0x51;
    bytes2 private constant _F410 = 0x040a;

    /// @notice Whose nominations deals are of; zero: deals are anybody's.
    IBlessing public immutable BLESSING;
    /// @inheritdoc ICurioMarket
    uint64 public dealCount;
    mapping(uint256 dealId => Deal) private _deals;

    constructor(IBlessing blessing) {
        BLESSING = blessing;
    }

    /// @inheritdoc ICurioMarket
    function announce(Proposal calldata proposal) external returns (uint256) {
        if (address(BLESSING) != address(0)) revert NominatedOnly();
        return _announce(proposal, _check(proposal), 0, 0);
    }

    /// @inheritdoc ICurioMarket
    function announceNominated(Proposal calldata proposal, IBlessing.Nomination calldata nomination)
        external
        returns (uint256)
    {
        if (address(BLESSING) == address(0)) revert NoNominations();
        PieceCid.Piece memory piece = _check(proposal);
        bytes32 jobId = nomination.jobId;
        IBlessing.Record memory record = BLESSING.recordOf(jobId);
        bool runs = record.phase == IBlessing.Phase.Nominated || record.phase == IBlessing.Phase.Blessed;
        if (!runs || record.nomination != BLESSING.hashOf(nomination)) revert NotNominated(jobId);
        if (nomination.piece != piece.root || nomination.pieceSize != PieceCid.paddedSize(piece.height)) {
            revert OtherPiece(nomination.piece, nomination.pieceSize);
        }
        bool isParty =
            msg.sender == nomination.client || msg.sender == nomination.provider || msg.sender == nomination.nominator;
        if (!isParty) revert NotAParty(msg.sender);
        return _announce(proposal, piece, jobId, nomination.round);
    }

    function _check(Proposal calldata proposal) private view returns (PieceCid.Piece memory) {
        if (proposal.provider == 0) revert BadProposal(ProposalFault.Provider);
        uint256 end = uint256(proposal.startEpoch) + proposal.duration;
        if (proposal.duration == 0 || end > type(uint64).max) revert BadProposal(ProposalFault.Duration);
        if (proposal.openUntil < block.number) revert BadProposal(ProposalFault.OpenUntil);
        if (Addresses.isMasked(msg.sender)) revert BadProposal(ProposalFault.Client);
        return PieceCid.parse(proposal.pieceCid);
    }

    function _announce(Proposal calldata proposal, PieceCid.Piece memory piece, bytes32 jobId, uint32 round)
        private
        returns (uint256 dealId)
    {
        dealId = ++dealCount;
        Deal storage deal = _deals[dealId];
        (deal.root, deal.height, deal.padding) = (piece.root, piece.height, piece.padding);
        (deal.client, deal.provider) = (msg.sender, proposal.provider);
        (deal.startEpoch, deal.duration) = (proposal.startEpoch, proposal.duration);
        (deal.allocationId, deal.openUntil) = (proposal.allocationId, proposal.openUntil);
        if (jobId != 0) (deal.jobId, deal.round) = (jobId, round);
        emit DealAnnounced(dealId, msg.sender, piece.root, proposal.provider, jobId, proposal);
    }

    /// @inheritdoc ICurioMarket
    function withdraw(uint256 dealId) external {
        Deal storage deal = _deal(dealId);
        if (deal.client != msg.sender) revert NotTheClient(msg.sender);
        DealState state = _stateOf(deal);
        if (state != DealState.Open) revert NotOpen(dealId, state);
        deal.isWithdrawn = true;
        emit DealWithdrawn(dealId);
    }

    // ------------------------------------------------------------------------------------------------------------
    // What Curio asks
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ICurioDealView
    function version() external pure returns (uint256) {
        return 1;
    }

    /// @inheritdoc ICurioDealView
    /// @dev {DealNotFound}.
    function verifyDeal(CurioDealView calldata asked) external view returns (bool) {
        Deal storage deal = _deal(asked.dealId);
        bytes memory pieceCid = PieceCid.encode(PieceCid.Piece(deal.root, deal.height, deal.padding));
        return asked.state == DealState.Open && asked.finalizedEpoch == 0 && _stateOf(deal) == DealState.Open
            && asked.providerActorId == deal.provider && asked.startEpoch == deal.startEpoch
            && asked.duration == deal.duration && asked.allocationId == deal.allocationId
            && keccak256(asked.clientId) == keccak256(abi.encodePacked(_F410, deal.client))
            && keccak256(asked.pieceCidV2) == keccak256(pieceCid);
    }

    /// @inheritdoc ICurioDealView
    /// @dev {DealNotFound}.
    function getDealState(uint256 dealId) external view returns (DealState) {
        return _stateOf(_deal(dealId));
    }

    /// @inheritdoc ICurioMarket
    function dealOf(uint256 dealId) external view returns (Deal memory) {
        return _deal(dealId);
    }

    function _deal(uint256 dealId) private view returns (Deal storage deal) {
        deal = _deals[dealId];
        if (deal.client == address(0)) revert DealNotFound(dealId);
    }

    function _stateOf(Deal storage deal) private view returns (DealState) {
        if (deal.activeSince != 0) {
            return block.number <= deal.activeUntil ? DealState.Active : DealState.Finalized;
        }
        bool isOver = deal.isWithdrawn || block.number > deal.openUntil;
        if (isOver || !_stands(deal)) return DealState.Finalized;
        return DealState.Open;
    }

    /// @dev Whether the nomination has not ended without a grant.
    function _stands(Deal storage deal) private view returns (bool) {
        if (deal.jobId == 0) return true;
        IBlessing.Record memory record = BLESSING.recordOf(deal.jobId);
        return record.phase != IBlessing.Phase.None && record.round == deal.round;
    }

    // ------------------------------------------------------------------------------------------------------------
    // What miner actors tell
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ICurioMarket
    // forge-lint: disable-next-line(mixed-case-function)
    function handle_filecoin_method(uint64 method, uint64 codec, bytes calldata params)
        external
        returns (uint32 exitCode, uint64 resultCodec, bytes memory result)
    {
        if (method != _SECTOR_CONTENT_CHANGED || codec != _CBOR) revert UnknownMethod(method, codec);
        if (!Addresses.isMasked(msg.sender)) revert NotAnActor(msg.sender);
        (uint64 sectors, uint256 position) = Cbor.head(params, 0, Cbor.ARRAY);
        result = Cbor.arrayHead(sectors);
        for (uint64 i = 0; i < sectors; ++i) {
            bytes memory accepted;
            (accepted, position) = _readSector(params, position);
            result = bytes.concat(result, accepted);
        }
        if (position != params.length) revert Cbor.BadCbor(position);
        return (0, _CBOR, result);
    }

    function _readSector(bytes calldata params, uint256 position) private returns (bytes memory, uint256) {
        position = Cbor.arrayOf(params, position, 3);
        uint64 sector;
        uint64 committedUntil;
        uint64 pieces;
        (sector, position) = Cbor.head(params, position, Cbor.UNSIGNED);
        (committedUntil, position) = Cbor.head(params, position, Cbor.UNSIGNED);
        uint256 start = position;
        (pieces, position) = Cbor.head(params, position, Cbor.ARRAY);
        // Each takes a byte or more, so this many answers have room.
        if (pieces > params.length - position) revert Cbor.BadCbor(start);
        bytes memory accepted = new bytes(pieces);
        for (uint64 i = 0; i < pieces; ++i) {
            bool isAccepted;
            (isAccepted, position) = _readPiece(params, position, sector, committedUntil);
            accepted[i] = isAccepted ? bytes1(0xf5) : bytes1(0xf4); // true, false
        }
        return (bytes.concat(Cbor.arrayHead(pieces), accepted), position);
    }

    function _readPiece(bytes calldata params, uint256 position, uint64 sector, uint64 committedUntil)
        private
        returns (bool, uint256)
    {
        position = Cbor.arrayOf(params, position, 3);
        bytes calldata cid;
        bytes calldata payload;
        uint64 size;
        (cid, position) = Cbor.cid(params, position);
        (size, position) = Cbor.head(params, position, Cbor.UNSIGNED);
        (payload, position) = Cbor.byteString(params, position);
        (bool isNumber, uint64 dealId, uint256 end) = Cbor.tryHead(payload, 0, Cbor.UNSIGNED);
        (bool isPiece, bytes32 root) = PieceCid.rootOfV1(cid);
        if (!isNumber || end != payload.length || !isPiece) return (false, position);
        Deal storage deal = _deals[dealId];
        bool fits = deal.client != address(0) && deal.root == root && PieceCid.paddedSize(deal.height) == size
            && deal.provider == uint64(uint160(msg.sender));
        if (fits) _activate(dealId, deal, sector, committedUntil);
        return (fits, position);
    }

    /// @dev Again: it may have been put into another sector, or the sector committed for longer.
    function _activate(uint64 dealId, Deal storage deal, uint64 sector, uint64 committedUntil) private {
        if (deal.activeSince == 0) deal.activeSince = uint64(block.number);
        uint256 start = deal.startEpoch > deal.activeSince ? deal.startEpoch : deal.activeSince;
        uint256 end = start + deal.duration;
        uint64 until = end < committedUntil ? uint64(end) : committedUntil;
        if (until > deal.activeUntil) {
            (deal.activeUntil, deal.sector) = (until, sector);
            emit DealActivated(dealId, deal.provider, sector, until);
        }
    }
}
