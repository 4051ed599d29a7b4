// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {IPdpListener} from "../interfaces/IPossessionRecord.sol";
import {PieceCid} from "../libraries/PieceCid.sol";

/// @title TestPdpVerifier: stands in for PDPVerifier (FilOzone/pdp, src/PDPVerifier.sol at cc3f5ea) on development chains
/// @notice The same views, the same refusals, and the same calls of the listener in the same order, without the hashes: a proof is
/// believed if each of its leaves is the word "proof". No fees, and no legacy data sets.
contract TestPdpVerifier {
    struct Proof {
        bytes32 leaf;
        bytes32[] proof;
    }

    struct Piece {
        bytes cid;
        uint256 leaves;
        bool isRemovalQueued;
        bool isRemoved;
    }

    struct DataSet {
        address provider;
        address listener;
        uint256 leafCount;
        uint256 challengeRange;
        uint256 nextChallengeEpoch;
        uint256 lastProvenEpoch;
        Piece[] pieces;
        uint256[] removals;
    }

    bytes32 public constant GOOD_LEAF = "proof";
    uint256 public constant INACTIVITY_WINDOW = 86400;
    uint256 public immutable CHALLENGE_FINALITY;

    uint64 private _nextDataSetId = 1;
    mapping(uint256 setId => DataSet) private _dataSets;

    event DataSetCreated(uint256 indexed setId, address indexed storageProvider);
    event DataSetDeleted(uint256 indexed setId, uint256 deletedLeafCount);
    event PiecesRemoved(uint256 indexed setId, uint256[] pieceIds);

    error DataSetNotLive();
    error OnlyStorageProvider();
    error NoPiecesToProve();
    error PendingPieceDeletions(uint256 count);
    error InsufficientChallengeDelay(uint256 epochs, uint256 minDelay);
    error ExcessiveChallengeDelay(uint256 epochs, uint256 maxDelay);

    constructor(uint256 challengeFinality) {
        CHALLENGE_FINALITY = challengeFinality;
    }

    function _live(uint256 setId) private view returns (DataSet storage dataSet) {
        dataSet = _dataSets[setId];
        if (dataSet.provider == address(0)) revert DataSetNotLive();
    }

    function _own(uint256 setId) private view returns (DataSet storage dataSet) {
        dataSet = _live(setId);
        if (dataSet.provider != msg.sender) revert OnlyStorageProvider();
    }

    function createDataSet(address listener, bytes calldata extraData) external payable returns (uint256) {
        return _create(listener, extraData);
    }

    function _create(address listener, bytes memory extraData) private returns (uint256 setId) {
        setId = _nextDataSetId++;
        DataSet storage dataSet = _dataSets[setId];
        (dataSet.provider, dataSet.listener, dataSet.lastProvenEpoch) = (msg.sender, listener, block.number);
        if (listener != address(0)) IPdpListener(listener).dataSetCreated(setId, msg.sender, extraData);
        emit DataSetCreated(setId, msg.sender);
    }

    function addPieces(uint256 setId, address listener, IPdpListener.Cid[] calldata pieceData, bytes calldata extraData)
        external
        payable
        returns (uint256)
    {
        if (setId != 0) {
            require(listener == address(0), "listener must be zero for existing dataset");
            return _add(setId, pieceData, extraData);
        }
        (bytes memory create, bytes memory add) = abi.decode(extraData, (bytes, bytes));
        require(listener != address(0), "listener required for new dataset");
        setId = _create(listener, create);
        if (pieceData.length != 0) _add(setId, pieceData, add);
        return setId;
    }

    function _add(uint256 setId, IPdpListener.Cid[] calldata pieceData, bytes memory extraData)
        private
        returns (uint256 first)
    {
        require(pieceData.length != 0, "Must add at least one piece");
        DataSet storage dataSet = _own(setId);
        first = dataSet.pieces.length;
        for (uint256 i = 0; i < pieceData.length; ++i) {
            PieceCid.Piece memory piece = PieceCid.parse(pieceData[i].data);
            uint256 leaves = (1 << piece.height) - (uint256(128) * piece.padding / 127 >> 5);
            dataSet.pieces.push(Piece(pieceData[i].data, leaves, false, false));
            dataSet.leafCount += leaves;
        }
        if (dataSet.listener != address(0)) {
            IPdpListener(dataSet.listener).piecesAdded(setId, first, pieceData, extraData);
        }
    }

    function schedulePieceDeletions(uint256 setId, uint256[] calldata pieceIds, bytes calldata extraData) external {
        DataSet storage dataSet = _own(setId);
        for (uint256 i = 0; i < pieceIds.length; ++i) {
            Piece storage piece = dataSet.pieces[pieceIds[i]];
            require(!piece.isRemoved && !piece.isRemovalQueued, "Can only schedule removal of live pieces");
            piece.isRemovalQueued = true;
            dataSet.removals.push(pieceIds[i]);
        }
        if (dataSet.listener != address(0)) {
            IPdpListener(dataSet.listener).piecesScheduledRemove(setId, pieceIds, extraData);
        }
    }

    /// @dev All of them, of which the listener is not told.
    function processPieceDeletions(uint256 setId, uint256 count) external {
        DataSet storage dataSet = _own(setId);
        require(count == dataSet.removals.length && count != 0, "all of them here");
        for (uint256 i = 0; i < count; ++i) {
            Piece storage piece = dataSet.pieces[dataSet.removals[i]];
            piece.isRemoved = true;
            dataSet.leafCount -= piece.leaves;
        }
        emit PiecesRemoved(setId, dataSet.removals);
        delete dataSet.removals;
        dataSet.nextChallengeEpoch = 0;
    }

    function nextProvingPeriod(uint256 setId, uint256 challengeEpoch, bytes calldata extraData) external {
        DataSet storage dataSet = _own(setId);
        if (dataSet.removals.length != 0) revert PendingPieceDeletions(dataSet.removals.length);
        if (dataSet.leafCount == 0 && dataSet.challengeRange == 0) revert NoPiecesToProve();
        dataSet.challengeRange = dataSet.leafCount;
        uint256 delay = challengeEpoch > block.number ? challengeEpoch - block.number : 0;
        if (delay < CHALLENGE_FINALITY) revert InsufficientChallengeDelay(delay, CHALLENGE_FINALITY);
        if (delay > INACTIVITY_WINDOW / 2) revert ExcessiveChallengeDelay(delay, INACTIVITY_WINDOW / 2);
        dataSet.nextChallengeEpoch = dataSet.leafCount == 0 ? 0 : challengeEpoch;
        if (dataSet.leafCount == 0) dataSet.lastProvenEpoch = block.number;
        if (dataSet.listener != address(0)) {
            IPdpListener(dataSet.listener)
                .nextProvingPeriod(setId, dataSet.nextChallengeEpoch, dataSet.leafCount, extraData);
        }
    }

    function provePossession(uint256 setId, Proof[] calldata proofs) external payable {
        DataSet storage dataSet = _own(setId);
        require(proofs.length != 0, "empty proof");
        require(dataSet.nextChallengeEpoch != 0, "no challenge scheduled");
        require(block.number >= dataSet.nextChallengeEpoch, "premature proof");
        for (uint256 i = 0; i < proofs.length; ++i) {
            require(proofs[i].leaf == GOOD_LEAF, "proof did not verify");
        }
        dataSet.lastProvenEpoch = block.number;
        if (dataSet.listener != address(0)) {
            IPdpListener(dataSet.listener).possessionProven(setId, dataSet.leafCount, block.number, proofs.length);
        }
    }

    function deleteDataSet(uint256 setId, bytes calldata extraData) external {
        DataSet storage dataSet = _live(setId);
        if (block.number <= dataSet.lastProvenEpoch + INACTIVITY_WINDOW) _own(setId);
        uint256 leafCount = dataSet.leafCount;
        if (dataSet.listener != address(0)) {
            IPdpListener(dataSet.listener).dataSetDeleted(setId, leafCount, extraData);
        }
        emit DataSetDeleted(setId, leafCount);
        (dataSet.leafCount, dataSet.provider) = (0, address(0));
    }

    /// @dev Proposed and claimed, in one.
    function changeStorageProvider(uint256 setId, address to, bytes calldata extraData) external {
        DataSet storage dataSet = _own(setId);
        dataSet.provider = to;
        if (dataSet.listener != address(0)) {
            IPdpListener(dataSet.listener).storageProviderChanged(setId, msg.sender, to, extraData);
        }
    }

    // ------------------------------------------------------------------------------------------------------------
    // Views
    // ------------------------------------------------------------------------------------------------------------

    function getNextDataSetId() external view returns (uint64) {
        return _nextDataSetId;
    }

    function dataSetLive(uint256 setId) external view returns (bool) {
        return _dataSets[setId].provider != address(0);
    }

    function pieceLive(uint256 setId, uint256 pieceId) public view returns (bool) {
        DataSet storage dataSet = _dataSets[setId];
        return dataSet.provider != address(0) && pieceId < dataSet.pieces.length && !dataSet.pieces[pieceId].isRemoved;
    }

    function pieceChallengable(uint256 setId, uint256 pieceId) external view returns (bool) {
        if (!pieceLive(setId, pieceId)) return false;
        DataSet storage dataSet = _dataSets[setId];
        uint256 behind = 0;
        for (uint256 i = 0; i <= pieceId; ++i) {
            if (!dataSet.pieces[i].isRemoved) behind += dataSet.pieces[i].leaves;
        }
        return behind <= dataSet.challengeRange;
    }

    function getPieceCid(uint256 setId, uint256 pieceId) external view returns (IPdpListener.Cid memory) {
        return IPdpListener.Cid(_live(setId).pieces[pieceId].cid);
    }

    function getNextChallengeEpoch(uint256 setId) external view returns (uint256) {
        return _live(setId).nextChallengeEpoch;
    }

    function getDataSetListener(uint256 setId) external view returns (address) {
        return _live(setId).listener;
    }

    function getDataSetStorageProvider(uint256 setId) external view returns (address, address) {
        return (_live(setId).provider, address(0));
    }

    function getDataSetLastProvenEpoch(uint256 setId) external view returns (uint256) {
        return _live(setId).lastProvenEpoch;
    }

    function findPieceIdsByCid(uint256 setId, IPdpListener.Cid calldata cid, uint256 start, uint256 limit)
        external
        view
        returns (uint256[] memory pieceIds)
    {
        DataSet storage dataSet = _live(setId);
        require(limit > 0, "Limit must be greater than 0");
        PieceCid.parse(cid.data);
        bytes32 wanted = keccak256(cid.data);
        pieceIds = new uint256[](limit);
        uint256 count = 0;
        for (uint256 i = start; i < dataSet.pieces.length && count < limit; ++i) {
            if (!dataSet.pieces[i].isRemoved && keccak256(dataSet.pieces[i].cid) == wanted) pieceIds[count++] = i;
        }
        assembly ("memory-safe") {
            mstore(pieceIds, count)
        }
    }
}
