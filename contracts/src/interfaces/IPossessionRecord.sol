// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

/// @title IPdpListener: what PDPVerifier tells a data set's listener (its `PDPListener`)
/// @dev FilOzone/pdp, src/PDPVerifier.sol at cc3f5ea (3.5). A listener is named when a data set is created, and stays. A revert of
/// any of these reverts what the storage provider did.
interface IPdpListener {
    /// @dev A piece CID, version 2 (FRC-0069); PDPVerifier has checked that it is one.
    struct Cid {
        bytes data;
    }

    function dataSetCreated(uint256 dataSetId, address creator, bytes calldata extraData) external;
    function dataSetDeleted(uint256 dataSetId, uint256 deletedLeafCount, bytes calldata extraData) external;
    function piecesAdded(uint256 dataSetId, uint256 firstAdded, Cid[] calldata pieceData, bytes calldata extraData)
        external;
    /// @notice These will be removed; they are proven until then, of which the listener is not told.
    function piecesScheduledRemove(uint256 dataSetId, uint256[] calldata pieceIds, bytes calldata extraData) external;
    /// @notice The provider answered `challengeCount` challenges in pieces that were there at the last {nextProvingPeriod}.
    function possessionProven(uint256 dataSetId, uint256 challengedLeafCount, uint256 seed, uint256 challengeCount)
        external;
    /// @notice The next challenges come at `challengeEpoch`, in all pieces there are now. Epoch 0: there are none.
    function nextProvingPeriod(uint256 dataSetId, uint256 challengeEpoch, uint256 leafCount, bytes calldata extraData)
        external;
    function storageProviderChanged(
        uint256 dataSetId,
        address oldStorageProvider,
        address newStorageProvider,
        bytes calldata extraData
    ) external;
}

/// @title IPdpProvingSchedule: what a provider's Curio asks the listener before it proves (`IPDPProvingSchedule`)
/// @dev FilOzone/pdp, src/IPDPProvingSchedule.sol; Curio, tasks/pdp/task_init_pp.go and task_next_pp.go.
interface IPdpProvingSchedule {
    /// @return maxProvingPeriod epochs in which one proof is due
    /// @return challengeWindow the last epochs of a period, in which it can be given
    /// @return challengesPerProof the least number of challenges of a proof
    /// @return initChallengeWindowStart first epoch of the first window of a data set whose proving begins now
    function getPDPConfig()
        external
        view
        returns (
            uint64 maxProvingPeriod,
            uint256 challengeWindow,
            uint256 challengesPerProof,
            uint256 initChallengeWindowStart
        );

    /// @notice First epoch of the window of the next period that can be opened.
    function nextPDPChallengeWindowStart(uint256 setId) external view returns (uint256);
}

/// @title IPossessionRecord: what PDPVerifier knew of proofs, kept so that anybody can look up a piece
/// @notice PDPVerifier keeps for each data set when something was proven last, but begins with the epoch of its creation, and
/// does not say which pieces a proof was about: one that was added since is proven by the next period's proof. This listener keeps
/// both, and finds the data sets that a piece is in by the root of its tree. It sets the schedule, too: without one a provider would
/// choose when it proves, and how little.
///
/// For data sets that a provider creates at PDPVerifier itself, with this contract as the listener (Curio does so for its own
/// services). Those of the warm storage service have that service as their listener, which has views of its own.
///
/// Anybody may add pieces here, at the price of a data set: that a piece is named says nothing until it is proven, and a
/// data set's provider is PDPVerifier's to tell. So is the piece's size: a tree's root is that of smaller pieces, too, whose leaves are
/// its upper nodes. Who looks a root up compares PDPVerifier's `getPieceCid` with the CID of the piece that is meant, or believes a
/// proof of 128 bytes to be one of the whole. Time is in epochs, which are block numbers.
interface IPossessionRecord is IPdpListener, IPdpProvingSchedule {
    /// @notice A data set as it is stored.
    /// @param isLive whether it was created and not deleted
    /// @param isProven whether the present period's proof was given
    /// @param lastProven epoch of the last proof; 0: there was none
    /// @param deadline last epoch of the present period; 0: there is none
    /// @param pieces how many were added; their ids are below this
    /// @param covered pieces with ids below this are challenged in the present period
    /// @param proven pieces with ids below this were challenged in the last proof
    /// @param proofs how many were given
    /// @param missed how many periods went by without one, as far as they were closed
    struct DataSet {
        bool isLive;
        bool isProven;
        uint64 lastProven;
        uint64 deadline;
        uint64 pieces;
        uint64 covered;
        uint64 proven;
        uint64 proofs;
        uint64 missed;
    }

    /// @notice What is wrong with a deployment, in the order in which it is checked.
    enum DeploymentFault {
        Verifier,
        Window,
        Period,
        Challenges
    }

    /// @notice A data set has this piece.
    /// @param root of the piece's tree
    event PieceRecorded(
        bytes32 indexed root, uint256 indexed dataSetId, uint256 indexed pieceId, uint8 height, uint64 padding
    );
    /// @notice All pieces with ids below `pieces` were challenged, and the challenges answered.
    event PossessionRecorded(uint256 indexed dataSetId, uint64 pieces, uint256 challenges);
    /// @notice So many periods went by without a proof, the first of which ended at `deadline`.
    event PeriodsMissed(uint256 indexed dataSetId, uint64 periods, uint64 deadline);
    /// @notice The data set and its pieces are not proven any more.
    event DataSetClosed(uint256 indexed dataSetId);

    /// @notice The deployment is malformed.
    error BadDeployment(DeploymentFault fault);
    /// @notice Only PDPVerifier tells of proofs.
    error NotTheVerifier(address sender);
    /// @notice The data set was not created with this listener, or was deleted.
    error UnknownDataSet(uint256 dataSetId);
    /// @notice Proving has not begun: {nextProvingPeriod} begins it.
    error NotProving(uint256 dataSetId);
    /// @notice The present period's proof was given already.
    error AlreadyProven(uint256 dataSetId);
    /// @notice A proof takes more challenges.
    error TooFewChallenges(uint256 challenges, uint256 needed);
    /// @notice The proof comes outside of the window, from epoch `first` to `last`.
    error OutsideWindow(uint256 dataSetId, uint256 first, uint256 last);
    /// @notice The next period has not begun: it does behind this epoch.
    error PeriodNotOver(uint256 dataSetId, uint256 last);
    /// @notice The challenges would come outside of the next window, from epoch `first` to `last`.
    error BadChallengeEpoch(uint256 dataSetId, uint256 challengeEpoch, uint256 first, uint256 last);

    /// @notice A data set; zeros if there was never one.
    function dataSetOf(uint256 dataSetId) external view returns (DataSet memory);
    /// @notice Periods without a proof that are over by now, whether {nextProvingPeriod} was called since or not; not those in `missed`.
    function overduePeriods(uint256 dataSetId) external view returns (uint64);
    /// @notice How many data sets have had this piece.
    function dataSetCountOf(bytes32 root) external view returns (uint256);
    /// @notice Data sets that have had this piece, in the order in which it was added, from the `from`th; at most `limit`.
    function dataSetsOf(bytes32 root, uint256 from, uint256 limit) external view returns (uint64[] memory);
    /// @notice Where a piece is in a data set, and when it was proven last. Of which size it is, PDPVerifier tells (`getPieceCid`).
    /// @return isThere whether it was ever added
    /// @return pieceId its id; of the last, if it was added several times
    /// @return lastProven epoch of the last proof that challenged it; 0: none has
    function pieceIn(bytes32 root, uint256 dataSetId)
        external
        view
        returns (bool isThere, uint64 pieceId, uint64 lastProven);
}
