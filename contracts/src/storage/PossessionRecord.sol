// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.34;

import {IPdpListener, IPdpProvingSchedule, IPossessionRecord} from "../interfaces/IPossessionRecord.sol";
import {PieceCid} from "../libraries/PieceCid.sol";

/// @title PossessionRecord: see {IPossessionRecord}
/// @dev No owner, no upgrade, no money; it calls nobody. PDPVerifier has an owner who can replace its code: what is recorded here is
/// as good as that owner.
contract PossessionRecord is IPossessionRecord {
    /// @notice The contract that tells of proofs.
    address public immutable VERIFIER;
    /// @notice Epochs in which one proof is due.
    uint64 public immutable PERIOD;
    /// @notice The last epochs of a period, in which it can be given.
    uint64 public immutable WINDOW;
    /// @notice The least number of challenges of a proof.
    uint64 public immutable CHALLENGES;

    mapping(uint256 dataSetId => DataSet) private _dataSets;
    /// @dev Each once, however often the piece was added to it.
    mapping(bytes32 root => uint64[]) private _dataSetsOf;
    /// @dev One more than the piece's id.
    mapping(bytes32 root => mapping(uint256 dataSetId => uint64)) private _pieceIn;

    constructor(address verifier, uint64 period, uint64 window, uint64 challenges) {
        if (verifier.code.length == 0) revert BadDeployment(DeploymentFault.Verifier);
        if (window == 0) revert BadDeployment(DeploymentFault.Window);
        if (period <= window || period > type(uint32).max) revert BadDeployment(DeploymentFault.Period);
        if (challenges == 0) revert BadDeployment(DeploymentFault.Challenges);
        (VERIFIER, PERIOD, WINDOW, CHALLENGES) = (verifier, period, window, challenges);
    }

    modifier onlyVerifier() {
        if (msg.sender != VERIFIER) revert NotTheVerifier(msg.sender);
        _;
    }

    function _live(uint256 dataSetId) private view returns (DataSet storage dataSet) {
        dataSet = _dataSets[dataSetId];
        if (!dataSet.isLive) revert UnknownDataSet(dataSetId);
    }

    // ------------------------------------------------------------------------------------------------------------
    // What PDPVerifier tells
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc IPdpListener
    /// @dev {NotTheVerifier}. The data set's id is given once.
    function dataSetCreated(uint256 dataSetId, address, bytes calldata) external onlyVerifier {
        _dataSets[dataSetId].isLive = true;
    }

    /// @inheritdoc IPdpListener
    /// @dev {NotTheVerifier}, {UnknownDataSet}. Emits {DataSetClosed}.
    function dataSetDeleted(uint256 dataSetId, uint256, bytes calldata) external onlyVerifier {
        DataSet storage dataSet = _live(dataSetId);
        (dataSet.isLive, dataSet.deadline) = (false, 0);
        emit DataSetClosed(dataSetId);
    }

    /// @inheritdoc IPdpListener
    /// @dev {NotTheVerifier}, {UnknownDataSet}, {PieceCid-BadPieceCid}. Emits {PieceRecorded}.
    function piecesAdded(uint256 dataSetId, uint256 firstAdded, Cid[] calldata pieceData, bytes calldata)
        external
        onlyVerifier
    {
        DataSet storage dataSet = _live(dataSetId);
        for (uint256 i = 0; i < pieceData.length; ++i) {
            PieceCid.Piece memory piece = PieceCid.parse(pieceData[i].data);
            uint256 pieceId = firstAdded + i;
            if (_pieceIn[piece.root][dataSetId] == 0) _dataSetsOf[piece.root].push(uint64(dataSetId));
            _pieceIn[piece.root][dataSetId] = uint64(pieceId + 1);
            emit PieceRecorded(piece.root, dataSetId, pieceId, piece.height, piece.padding);
        }
        dataSet.pieces = uint64(firstAdded + pieceData.length);
    }

    /// @inheritdoc IPdpListener
    /// @dev {NotTheVerifier}. PDPVerifier keeps which are still there.
    function piecesScheduledRemove(uint256, uint256[] calldata, bytes calldata) external onlyVerifier {}

    /// @inheritdoc IPdpListener
    /// @dev {NotTheVerifier}. PDPVerifier keeps who it is.
    function storageProviderChanged(uint256, address, address, bytes calldata) external onlyVerifier {}

    /// @inheritdoc IPdpListener
    /// @dev {NotTheVerifier}, {UnknownDataSet}, {NotProving}, {AlreadyProven}, {TooFewChallenges}, {OutsideWindow}. Emits
    /// {PossessionRecorded}.
    function possessionProven(uint256 dataSetId, uint256, uint256, uint256 challengeCount) external onlyVerifier {
        DataSet storage dataSet = _live(dataSetId);
        uint256 deadline = dataSet.deadline;
        if (deadline == 0) revert NotProving(dataSetId);
        if (dataSet.isProven) revert AlreadyProven(dataSetId);
        if (challengeCount < CHALLENGES) revert TooFewChallenges(challengeCount, CHALLENGES);
        uint256 first = deadline - WINDOW;
        if (block.number < first || block.number > deadline) revert OutsideWindow(dataSetId, first, deadline);
        uint64 pieces = dataSet.covered;
        (dataSet.isProven, dataSet.lastProven, dataSet.proven) = (true, uint64(block.number), pieces);
        ++dataSet.proofs;
        emit PossessionRecorded(dataSetId, pieces, challengeCount);
    }

    /// @inheritdoc IPdpListener
    /// @dev {NotTheVerifier}, {UnknownDataSet}, {PeriodNotOver}, {BadChallengeEpoch}. Emits {PeriodsMissed}.
    function nextProvingPeriod(uint256 dataSetId, uint256 challengeEpoch, uint256, bytes calldata)
        external
        onlyVerifier
    {
        DataSet storage dataSet = _live(dataSetId);
        uint64 deadline = dataSet.deadline;
        if (deadline != 0) {
            if (block.number <= deadline - PERIOD) revert PeriodNotOver(dataSetId, deadline - PERIOD);
            // The present period counts as missed when it is closed without a proof, over or not.
            uint64 missed = _overdue(dataSet);
            if (missed == 0 && !dataSet.isProven) missed = 1;
            if (missed != 0) {
                dataSet.missed += missed;
                emit PeriodsMissed(dataSetId, missed, dataSet.isProven ? deadline + PERIOD : deadline);
            }
        }
        uint64 next;
        if (challengeEpoch != 0) {
            next = _nextDeadline(deadline);
            if (challengeEpoch < next - WINDOW || challengeEpoch > next) {
                revert BadChallengeEpoch(dataSetId, challengeEpoch, next - WINDOW, next);
            }
        }
        (dataSet.deadline, dataSet.isProven, dataSet.covered) = (next, false, dataSet.pieces);
    }

    /// @dev The end of the first period behind the present one that is not over.
    function _nextDeadline(uint64 deadline) private view returns (uint64) {
        if (deadline == 0) return uint64(block.number) + PERIOD;
        return deadline + PERIOD * (_periodsSince(deadline) == 0 ? 1 : _periodsSince(deadline));
    }

    /// @dev How many periods began behind this epoch until now.
    function _periodsSince(uint64 epoch) private view returns (uint64) {
        return block.number <= epoch ? 0 : (uint64(block.number) - epoch - 1) / PERIOD + 1;
    }

    function _overdue(DataSet storage dataSet) private view returns (uint64) {
        uint64 deadline = dataSet.deadline;
        if (deadline == 0) return 0;
        // Of the periods that began since, all but the last are over; of the present one's proof, whether it was given is known.
        uint64 began = _periodsSince(deadline);
        if (began == 0) return 0;
        return began - 1 + (dataSet.isProven ? 0 : 1);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Views
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc IPdpProvingSchedule
    function getPDPConfig()
        external
        view
        returns (
            uint64 maxProvingPeriod,
            uint256 challengeWindow,
            uint256 challengesPerProof,
            uint256 initChallengeWindowStart
        )
    {
        return (PERIOD, WINDOW, CHALLENGES, block.number + PERIOD - WINDOW);
    }

    /// @inheritdoc IPdpProvingSchedule
    /// @dev {UnknownDataSet}, {NotProving}.
    function nextPDPChallengeWindowStart(uint256 dataSetId) external view returns (uint256) {
        uint64 deadline = _live(dataSetId).deadline;
        if (deadline == 0) revert NotProving(dataSetId);
        return _nextDeadline(deadline) - WINDOW;
    }

    /// @inheritdoc IPossessionRecord
    function dataSetOf(uint256 dataSetId) external view returns (DataSet memory) {
        return _dataSets[dataSetId];
    }

    /// @inheritdoc IPossessionRecord
    function overduePeriods(uint256 dataSetId) external view returns (uint64) {
        return _overdue(_dataSets[dataSetId]);
    }

    /// @inheritdoc IPossessionRecord
    function dataSetCountOf(bytes32 root) external view returns (uint256) {
        return _dataSetsOf[root].length;
    }

    /// @inheritdoc IPossessionRecord
    function dataSetsOf(bytes32 root, uint256 from, uint256 limit) external view returns (uint64[] memory found) {
        uint64[] storage all = _dataSetsOf[root];
        uint256 rest = from < all.length ? all.length - from : 0;
        found = new uint64[](limit < rest ? limit : rest);
        for (uint256 i = 0; i < found.length; ++i) {
            found[i] = all[from + i];
        }
    }

    /// @inheritdoc IPossessionRecord
    function pieceIn(bytes32 root, uint256 dataSetId)
        external
        view
        returns (bool isThere, uint64 pieceId, uint64 lastProven)
    {
        uint64 next = _pieceIn[root][dataSetId];
        if (next == 0) return (false, 0, 0);
        DataSet storage dataSet = _dataSets[dataSetId];
        (isThere, pieceId) = (true, next - 1);
        if (pieceId < dataSet.proven) lastProven = dataSet.lastProven;
    }
}
