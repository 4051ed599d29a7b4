// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {IBlessing} from "../../../src/interfaces/IBlessing.sol";
import {ICurioDealView, ICurioMarket} from "../../../src/interfaces/ICurioMarket.sol";
import {ILotaMarket} from "../../../src/interfaces/ILotaMarket.sol";
import {BlessingTest} from "../../base/BlessingTest.sol";

/// @dev With the blessing contract itself.
contract NominatedDealsTest is BlessingTest {
    bytes32 private constant ROOT = 0x70f3d47523ab4df95d7e92547b4fe27b695e9abde41a0bee03bb66f5f8ab603a;
    ICurioMarket private curio;

    function setUp() public override {
        super.setUp();
        curio = ICurioMarket(deployCode("CurioMarket.sol:CurioMarket", abi.encode(blessing)));
    }

    function _proposal() private view returns (ICurioMarket.Proposal memory) {
        bytes memory pieceCid = abi.encodePacked(hex"0155912024", hex"80803f10", ROOT);
        return ICurioMarket.Proposal(1234, pieceCid, 0, 518_400, 0, uint64(block.number + 10_000));
    }

    function _nominatePiece(uint64 size) private returns (IBlessing.Nomination memory n) {
        ILotaMarket.Terms memory t = _terms();
        if (market.dealOf(_jobId(t)).status == ILotaMarket.Status.None) _settleDeal(t);
        n = _nomination(t, blessing.recordOf(_jobId(t)).round + 1);
        (n.piece, n.pieceSize) = (ROOT, size);
        vm.prank(nominator.addr);
        blessing.nominate(t, _receipt(), IBlessing.Request(n.granter, n.amount, ROOT, size, n.bounty, 0));
    }

    function _announce(address sender, IBlessing.Nomination memory n) private {
        vm.prank(sender);
        curio.announceNominated(_proposal(), n);
    }

    function _isOpen(uint256 dealId) private view returns (bool) {
        ICurioDealView.CurioDealView memory asked = ICurioDealView.CurioDealView({
            dealId: dealId,
            state: ICurioDealView.DealState.Open,
            providerActorId: 1234,
            clientId: abi.encodePacked(hex"040a", curio.dealOf(dealId).client),
            pieceCidV2: _proposal().pieceCid,
            startEpoch: 0,
            duration: 518_400,
            allocationId: 0,
            finalizedEpoch: 0
        });
        bool isOpen = curio.verifyDeal(asked);
        assertEq(isOpen, curio.getDealState(dealId) == ICurioDealView.DealState.Open);
        return isOpen;
    }

    function test_WhenAPartyAnnouncesADealOfANominatedPiece() external {
        IBlessing.Nomination memory n = _nominatePiece(1 << 21);
        address[3] memory parties = [n.client, n.provider, n.nominator];
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectEmit(address(curio));
            emit ICurioMarket.DealAnnounced(i + 1, parties[i], ROOT, 1234, n.jobId, _proposal());
            _announce(parties[i], n);
            assertTrue(_isOpen(i + 1));
            assertEq(curio.dealOf(i + 1).jobId, n.jobId);
            assertEq(curio.dealOf(i + 1).round, 1);
        }
    }

    function test_RevertWhen_AnybodyAnnouncesADealOfItsOwn() external {
        vm.expectRevert(ICurioMarket.NominatedOnly.selector);
        curio.announce(_proposal());
    }

    function test_RevertWhen_TheNominationDoesNotRun() external {
        IBlessing.Nomination memory n = _nominatePiece(1 << 21);
        // Another nomination of this job, and one of a job that was never nominated.
        for (uint256 i = 0; i < 2; ++i) {
            if (i == 0) n.amount += 1;
            else n.jobId = keccak256("another");
            vm.expectRevert(abi.encodeWithSelector(ICurioMarket.NotNominated.selector, n.jobId));
            _announce(n.client, n);
        }
    }

    function test_RevertWhen_ThePieceIsAnotherOne() external {
        IBlessing.Nomination memory n = _nominatePiece(1 << 22);
        vm.expectRevert(abi.encodeWithSelector(ICurioMarket.OtherPiece.selector, ROOT, 1 << 22));
        _announce(n.client, n);
    }

    function test_RevertWhen_TheSenderIsNoPartyOfTheJob() external {
        IBlessing.Nomination memory n = _nominatePiece(1 << 21);
        vm.expectRevert(abi.encodeWithSelector(ICurioMarket.NotAParty.selector, notaries[0].addr));
        _announce(notaries[0].addr, n);
    }

    function _refuse(IBlessing.Nomination memory n) private {
        _vote(n, 0, IBlessing.Choice.Reject);
        _vote(n, 1, IBlessing.Choice.Reject);
        _assertPhase(n.jobId, IBlessing.Phase.None, n.round);
    }

    function test_WhenTheNotariesRefuseIt() external {
        IBlessing.Nomination memory n = _nominatePiece(1 << 21);
        _announce(n.client, n);
        _refuse(n);
        assertFalse(_isOpen(1));
        assertEq(uint256(curio.getDealState(1)), uint256(ICurioDealView.DealState.Finalized));
        vm.expectRevert(abi.encodeWithSelector(ICurioMarket.NotNominated.selector, n.jobId));
        _announce(n.client, n);
    }

    function test_WhenTheJobIsNominatedAgain() external {
        IBlessing.Nomination memory n = _nominatePiece(1 << 21);
        _announce(n.client, n);
        _refuse(n);
        n = _nominatePiece(1 << 21);
        assertFalse(_isOpen(1));
        _announce(n.client, n);
        assertTrue(_isOpen(2));
    }

    function test_WhenItIsBlessedAndGranted() external {
        IBlessing.Nomination memory n = _nominatePiece(1 << 21);
        _announce(n.client, n);
        _vote(n, 0, IBlessing.Choice.Approve);
        _vote(n, 1, IBlessing.Choice.Approve);
        assertTrue(_isOpen(1));
        vm.warp(block.timestamp + REVOKE_FOR + 1);
        blessing.grant(n);
        _assertPhase(n.jobId, IBlessing.Phase.Granted, n.round);
        assertTrue(_isOpen(1));
    }
}
