// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {TestPdpVerifier} from "../../../src/examples/TestPdpVerifier.sol";
import {IPdpListener, IPossessionRecord} from "../../../src/interfaces/IPossessionRecord.sol";
import {PieceCid} from "../../../src/libraries/PieceCid.sol";
import {Test} from "../../base/Test.sol";

contract PossessionRecordTest is Test {
    uint64 private constant PERIOD = 2880;
    uint64 private constant WINDOW = 60;
    uint64 private constant CHALLENGES = 5;

    TestPdpVerifier private verifier;
    IPossessionRecord private kept;
    uint256 private dataSet;

    function setUp() external {
        verifier = new TestPdpVerifier(10);
        kept = _deploy(address(verifier), PERIOD, WINDOW, CHALLENGES);
        vm.roll(100_000);
        dataSet = verifier.createDataSet(address(kept), "");
    }

    function _deploy(address verifier_, uint64 period, uint64 window, uint64 challenges)
        private
        returns (IPossessionRecord)
    {
        bytes memory arguments = abi.encode(verifier_, period, window, challenges);
        return IPossessionRecord(deployCode("PossessionRecord.sol:PossessionRecord", arguments));
    }

    function _root(uint256 number) private pure returns (bytes32) {
        return keccak256(abi.encode(number)) & ~bytes32(uint256(0xc0));
    }

    function _cid(uint256 number) private pure returns (bytes memory) {
        return PieceCid.encode(PieceCid.Piece(_root(number), 10, 5));
    }

    function _add(uint256 number) private {
        IPdpListener.Cid[] memory pieces = new IPdpListener.Cid[](1);
        pieces[0].data = _cid(number);
        verifier.addPieces(dataSet, address(0), pieces, "");
    }

    function _proofs(uint256 count) private view returns (TestPdpVerifier.Proof[] memory proofs) {
        proofs = new TestPdpVerifier.Proof[](count);
        for (uint256 i = 0; i < count; ++i) {
            proofs[i].leaf = verifier.GOOD_LEAF();
        }
    }

    /// @dev As Curio does: where the schedule says.
    function _next() private {
        verifier.nextProvingPeriod(dataSet, kept.nextPDPChallengeWindowStart(dataSet), "");
    }

    /// @dev A piece, and the first period.
    function _begin() private {
        _add(1);
        (,,, uint256 first) = kept.getPDPConfig();
        verifier.nextProvingPeriod(dataSet, first, "");
    }

    function _prove() private {
        verifier.provePossession(dataSet, _proofs(CHALLENGES));
    }

    function _assertPiece(uint256 number, uint64 pieceId, uint64 lastProven) private view {
        (bool isThere, uint64 id, uint64 proven) = kept.pieceIn(_root(number), dataSet);
        assertTrue(isThere);
        assertEq(id, pieceId);
        assertEq(proven, lastProven, "last proven");
    }

    function _refusesDeployment(address v, uint64 p, uint64 w, uint64 c, IPossessionRecord.DeploymentFault fault)
        private
    {
        bytes memory arguments = abi.encode(v, p, w, c);
        bytes memory code = bytes.concat(vm.getCode("PossessionRecord.sol:PossessionRecord"), arguments);
        vm.expectRevert(abi.encodeWithSelector(IPossessionRecord.BadDeployment.selector, fault));
        assembly ("memory-safe") {
            v := create(0, add(code, 0x20), mload(code))
        }
    }

    function test_WhenTheDeploymentIsMalformed() external {
        _refusesDeployment(makeAddr("nobody"), 2, 1, 1, IPossessionRecord.DeploymentFault.Verifier);
        _refusesDeployment(address(verifier), 2, 0, 1, IPossessionRecord.DeploymentFault.Window);
        _refusesDeployment(address(verifier), 60, 60, 1, IPossessionRecord.DeploymentFault.Period);
        _refusesDeployment(address(verifier), 1 << 32, 60, 1, IPossessionRecord.DeploymentFault.Period);
        _refusesDeployment(address(verifier), 2, 1, 0, IPossessionRecord.DeploymentFault.Challenges);
    }

    function test_RevertWhen_SomebodyElseThanTheVerifierCalls() external {
        _begin();
        bytes memory refused = abi.encodeWithSelector(IPossessionRecord.NotTheVerifier.selector, address(this));
        vm.expectRevert(refused);
        kept.dataSetCreated(9, address(this), "");
        vm.expectRevert(refused);
        kept.dataSetDeleted(dataSet, 0, "");
        vm.expectRevert(refused);
        kept.piecesAdded(dataSet, 0, new IPdpListener.Cid[](0), "");
        vm.expectRevert(refused);
        kept.piecesScheduledRemove(dataSet, new uint256[](0), "");
        vm.expectRevert(refused);
        kept.possessionProven(dataSet, 1, 1, 5);
        vm.expectRevert(refused);
        kept.nextProvingPeriod(dataSet, 0, 0, "");
        vm.expectRevert(refused);
        kept.storageProviderChanged(dataSet, address(this), address(1), "");
    }

    function test_RevertWhen_TheDataSetWasNotCreatedWithThisListener() external {
        bytes memory unknown = abi.encodeWithSelector(IPossessionRecord.UnknownDataSet.selector, 77);
        vm.startPrank(address(verifier));
        vm.expectRevert(unknown);
        kept.dataSetDeleted(77, 0, "");
        vm.expectRevert(unknown);
        kept.piecesAdded(77, 0, new IPdpListener.Cid[](0), "");
        vm.expectRevert(unknown);
        kept.possessionProven(77, 1, 1, 5);
        vm.expectRevert(unknown);
        kept.nextProvingPeriod(77, 0, 0, "");
        vm.stopPrank();
        vm.expectRevert(unknown);
        kept.nextPDPChallengeWindowStart(77);
        vm.expectRevert(abi.encodeWithSelector(IPossessionRecord.NotProving.selector, dataSet));
        kept.nextPDPChallengeWindowStart(dataSet);
    }

    function test_WhenPiecesAreAdded() external {
        IPdpListener.Cid[] memory pieces = new IPdpListener.Cid[](2);
        (pieces[0].data, pieces[1].data) = (_cid(1), _cid(2));
        vm.expectEmit(address(kept));
        emit IPossessionRecord.PieceRecorded(_root(1), dataSet, 0, 10, 5);
        vm.expectEmit(address(kept));
        emit IPossessionRecord.PieceRecorded(_root(2), dataSet, 1, 10, 5);
        verifier.addPieces(dataSet, address(0), pieces, "");
        _assertPiece(1, 0, 0);
        _assertPiece(2, 1, 0);
        (bool isThere,,) = kept.pieceIn(_root(3), dataSet);
        assertFalse(isThere);
        IPossessionRecord.DataSet memory found = kept.dataSetOf(dataSet);
        assertTrue(found.isLive);
        assertEq(found.pieces, 2);
        assertEq(found.lastProven, 0, "PDPVerifier begins with the creation; here nothing was proven");
        assertEq(verifier.getDataSetLastProvenEpoch(dataSet), 100_000);
    }

    function test_WhenAPieceIsAddedTwice() external {
        _add(1);
        _add(1);
        dataSet = verifier.createDataSet(address(kept), "");
        _add(1);
        assertEq(kept.dataSetCountOf(_root(1)), 2);
        uint64[] memory all = kept.dataSetsOf(_root(1), 0, 10);
        assertEq(all.length, 2);
        assertEq(all[0], dataSet - 1);
        assertEq(all[1], dataSet);
        uint64[] memory second = kept.dataSetsOf(_root(1), 1, 1);
        assertEq(second.length, 1);
        assertEq(second[0], dataSet);
        assertEq(kept.dataSetsOf(_root(1), 2, 10).length, 0);
        assertEq(kept.dataSetsOf(_root(1), type(uint256).max, type(uint256).max).length, 0);
        (, uint64 pieceId,) = kept.pieceIn(_root(1), dataSet - 1);
        assertEq(pieceId, 1, "the last");
    }

    function test_WhenPossessionIsProven() external {
        _begin();
        // Added since the challenges were drawn.
        _add(2);
        vm.roll(100_000 + PERIOD);
        vm.expectEmit(address(kept));
        emit IPossessionRecord.PossessionRecorded(dataSet, 1, CHALLENGES);
        _prove();
        _assertPiece(1, 0, 100_000 + PERIOD);
        _assertPiece(2, 1, 0);
        vm.roll(100_001 + PERIOD);
        _next();
        // The last proof is still that of the first piece alone.
        _assertPiece(2, 1, 0);
        vm.roll(100_000 + 2 * PERIOD);
        _prove();
        _assertPiece(1, 0, 100_000 + 2 * PERIOD);
        _assertPiece(2, 1, 100_000 + 2 * PERIOD);
        IPossessionRecord.DataSet memory found = kept.dataSetOf(dataSet);
        assertEq(found.proofs, 2);
        assertEq(found.missed, 0);
        assertEq(kept.overduePeriods(dataSet), 0);
    }

    function test_WhenAProofDoesNotFitTheSchedule() external {
        _begin();
        uint256 last = 100_000 + PERIOD;
        vm.roll(last);
        TestPdpVerifier.Proof[] memory few = _proofs(CHALLENGES - 1);
        vm.expectRevert(abi.encodeWithSelector(IPossessionRecord.TooFewChallenges.selector, CHALLENGES - 1, CHALLENGES));
        verifier.provePossession(dataSet, few);
        // PDPVerifier keeps proofs that come before the challenges away, whose epoch may be the window's first.
        vm.startPrank(address(verifier));
        bytes memory outside =
            abi.encodeWithSelector(IPossessionRecord.OutsideWindow.selector, dataSet, last - WINDOW, last);
        vm.roll(last - WINDOW - 1);
        vm.expectRevert(outside);
        kept.possessionProven(dataSet, 1, 1, CHALLENGES);
        vm.roll(last + 1);
        vm.expectRevert(outside);
        kept.possessionProven(dataSet, 1, 1, CHALLENGES);
        vm.roll(last - WINDOW);
        kept.possessionProven(dataSet, 1, 1, CHALLENGES);
        vm.expectRevert(abi.encodeWithSelector(IPossessionRecord.AlreadyProven.selector, dataSet));
        kept.possessionProven(dataSet, 1, 1, CHALLENGES);
        kept.dataSetCreated(55, address(this), "");
        vm.expectRevert(abi.encodeWithSelector(IPossessionRecord.NotProving.selector, 55));
        kept.possessionProven(55, 1, 1, CHALLENGES);
    }

    function test_WhenAPeriodBeginsTooEarlyOrItsChallengesLieOutsideOfIt() external {
        _add(1);
        uint256 last = 100_000 + PERIOD;
        for (uint256 i = 0; i < 2; ++i) {
            uint256 epoch = i == 0 ? last - WINDOW - 1 : last + 1;
            vm.expectRevert(
                abi.encodeWithSelector(
                    IPossessionRecord.BadChallengeEpoch.selector, dataSet, epoch, last - WINDOW, last
                )
            );
            verifier.nextProvingPeriod(dataSet, epoch, "");
        }
        verifier.nextProvingPeriod(dataSet, last, "");
        vm.expectRevert(abi.encodeWithSelector(IPossessionRecord.PeriodNotOver.selector, dataSet, 100_000));
        verifier.nextProvingPeriod(dataSet, last + PERIOD, "");
    }

    function test_WhenPeriodsGoByWithoutAProof() external {
        _begin();
        vm.roll(100_000 + PERIOD);
        assertEq(kept.overduePeriods(dataSet), 0);
        vm.roll(100_001 + PERIOD);
        assertEq(kept.overduePeriods(dataSet), 1);
        vm.roll(100_000 + 3 * PERIOD);
        assertEq(kept.overduePeriods(dataSet), 2);
        vm.roll(100_001 + 3 * PERIOD);
        assertEq(kept.overduePeriods(dataSet), 3);
        vm.expectEmit(address(kept));
        emit IPossessionRecord.PeriodsMissed(dataSet, 3, 100_000 + PERIOD);
        _next();
        IPossessionRecord.DataSet memory found = kept.dataSetOf(dataSet);
        assertEq(found.missed, 3);
        assertEq(found.deadline, 100_000 + 4 * PERIOD);
        assertEq(kept.overduePeriods(dataSet), 0);
        // Proven, and then nothing for two periods.
        vm.roll(found.deadline);
        _prove();
        vm.roll(found.deadline + 2 * PERIOD + 1);
        assertEq(kept.overduePeriods(dataSet), 2);
        vm.expectEmit(address(kept));
        emit IPossessionRecord.PeriodsMissed(dataSet, 2, found.deadline + PERIOD);
        _next();
        assertEq(kept.dataSetOf(dataSet).missed, 5);
    }

    function test_WhenAPeriodIsClosedEarlyWithoutAProof() external {
        _begin();
        vm.roll(100_001);
        vm.expectEmit(address(kept));
        emit IPossessionRecord.PeriodsMissed(dataSet, 1, 100_000 + PERIOD);
        _next();
        assertEq(kept.dataSetOf(dataSet).deadline, 100_000 + 2 * PERIOD);
    }

    function test_WhenTheDataSetBecomesEmpty() external {
        _begin();
        vm.roll(100_000 + PERIOD);
        _prove();
        uint256[] memory ids = new uint256[](1);
        verifier.schedulePieceDeletions(dataSet, ids, "");
        verifier.processPieceDeletions(dataSet, 1);
        verifier.nextProvingPeriod(dataSet, block.number + 20, "");
        vm.roll(100_000 + 10 * PERIOD);
        assertEq(kept.overduePeriods(dataSet), 0);
        assertEq(kept.dataSetOf(dataSet).deadline, 0);
        // And goes on with another piece, on a timeline of its own.
        _add(2);
        (,,, uint256 first) = kept.getPDPConfig();
        verifier.nextProvingPeriod(dataSet, first, "");
        assertEq(kept.dataSetOf(dataSet).deadline, 100_000 + 11 * PERIOD);
    }

    function test_WhenTheDataSetIsDeleted() external {
        _begin();
        vm.expectEmit(address(kept));
        emit IPossessionRecord.DataSetClosed(dataSet);
        verifier.deleteDataSet(dataSet, "");
        IPossessionRecord.DataSet memory found = kept.dataSetOf(dataSet);
        assertFalse(found.isLive);
        assertEq(found.deadline, 0);
        vm.roll(100_000 + 10 * PERIOD);
        assertEq(kept.overduePeriods(dataSet), 0);
        vm.expectRevert(abi.encodeWithSelector(IPossessionRecord.UnknownDataSet.selector, dataSet));
        vm.prank(address(verifier));
        kept.piecesAdded(dataSet, 0, new IPdpListener.Cid[](0), "");
    }

    /// @dev Whenever a provider opens periods and proves: what is missed and proven adds up to the periods that are over, and each
    /// deadline is a whole number of periods behind the first.
    function testFuzz_PeriodsAreProvenOrMissed(uint16[24] calldata waits, uint32 proves) external {
        _begin();
        uint256 first = kept.dataSetOf(dataSet).deadline;
        uint256 opened = first;
        for (uint256 i = 0; i < waits.length; ++i) {
            IPossessionRecord.DataSet memory found = kept.dataSetOf(dataSet);
            assertEq((found.deadline - first) % PERIOD, 0);
            if (proves >> i & 1 == 1) {
                vm.roll(found.deadline - uint256(waits[i]) % (WINDOW + 1));
                if (block.number >= verifier.getNextChallengeEpoch(dataSet)) {
                    _prove();
                    found = kept.dataSetOf(dataSet);
                    assertTrue(found.isProven);
                }
            }
            vm.roll(found.deadline + 1 + waits[i]);
            uint256 start = kept.nextPDPChallengeWindowStart(dataSet);
            if (start + WINDOW < block.number + 10) {
                // PDPVerifier wants more notice than this period has left.
                vm.roll(start + WINDOW + 1);
                start += PERIOD;
            }
            uint64 overdue = kept.overduePeriods(dataSet);
            verifier.nextProvingPeriod(dataSet, start < block.number + 10 ? block.number + 10 : start, "");
            IPossessionRecord.DataSet memory then = kept.dataSetOf(dataSet);
            assertEq(then.missed, found.missed + overdue);
            opened = then.deadline;
            // All periods before the one that was opened.
            assertEq(then.missed + then.proofs, (opened - first) / PERIOD);
        }
    }
}
