// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {IBlessing} from "../../../src/interfaces/IBlessing.sol";
import {ICurioDealView, ICurioMarket} from "../../../src/interfaces/ICurioMarket.sol";
import {Cbor} from "../../../src/libraries/Cbor.sol";
import {PieceCid} from "../../../src/libraries/PieceCid.sol";
import {CurioMarketTestBase} from "../../base/CurioMarketTestBase.sol";

contract CurioMarketTest is CurioMarketTestBase {
    function setUp() external {
        market = ICurioMarket(deployCode("CurioMarket.sol:CurioMarket", abi.encode(address(0))));
        vm.roll(1_000);
    }

    function _announce() private returns (uint256 dealId) {
        vm.prank(CLIENT);
        return market.announce(_proposal());
    }

    function test_WhenAClientAnnouncesADeal() external {
        ICurioMarket.Proposal memory proposal = _proposal();
        vm.expectEmit(address(market));
        emit ICurioMarket.DealAnnounced(1, CLIENT, ROOT, PROVIDER, 0, proposal);
        assertEq(_announce(), 1);
        assertEq(_announce(), 2);
        assertEq(market.dealCount(), 2);
        ICurioMarket.Deal memory deal = market.dealOf(1);
        assertEq(deal.root, ROOT);
        assertEq(deal.client, CLIENT);
        assertEq(deal.provider, PROVIDER);
        assertEq(deal.height, 16);
        assertEq(deal.padding, 0x3f << 14);
        assertEq(deal.duration, 518_400);
        assertEq(deal.openUntil, 2_000);
        _assertState(1, ICurioDealView.DealState.Open);
        assertEq(market.version(), 1);
    }

    function _refuses(ICurioMarket.Proposal memory proposal, ICurioMarket.ProposalFault fault) private {
        vm.expectRevert(abi.encodeWithSelector(ICurioMarket.BadProposal.selector, fault));
        market.announce(proposal);
    }

    function test_WhenTheProposalIsMalformed() external {
        ICurioMarket.Proposal memory proposal = _proposal();
        proposal.provider = 0;
        _refuses(proposal, ICurioMarket.ProposalFault.Provider);
        proposal = _proposal();
        proposal.duration = 0;
        _refuses(proposal, ICurioMarket.ProposalFault.Duration);
        (proposal.startEpoch, proposal.duration) = (type(uint64).max, 1);
        _refuses(proposal, ICurioMarket.ProposalFault.Duration);
        proposal = _proposal();
        proposal.openUntil = 999;
        _refuses(proposal, ICurioMarket.ProposalFault.OpenUntil);
        vm.prank(_actor(77));
        _refuses(_proposal(), ICurioMarket.ProposalFault.Client);
        proposal = _proposal();
        proposal.pieceCid = hex"0181e203922020";
        vm.expectRevert(abi.encodeWithSelector(PieceCid.BadPieceCid.selector, proposal.pieceCid));
        market.announce(proposal);
        IBlessing.Nomination memory nomination;
        vm.expectRevert(ICurioMarket.NoNominations.selector);
        market.announceNominated(_proposal(), nomination);
        assertEq(market.dealCount(), 0);
    }

    function test_WhenCurioAsksAboutADealThatIsOpen() external {
        _announce();
        assertTrue(market.verifyDeal(_view(1)));
        // Until the last epoch.
        vm.roll(2_000);
        assertTrue(market.verifyDeal(_view(1)));
        for (uint256 i = 0; i < 13; ++i) {
            ICurioDealView.CurioDealView memory asked = _view(1);
            if (i == 0) asked.state = ICurioDealView.DealState.Active;
            if (i == 1) asked.state = ICurioDealView.DealState.Finalized;
            if (i == 2) asked.providerActorId = PROVIDER + 1;
            if (i == 3) asked.providerActorId |= 1 << 64;
            if (i == 4) asked.clientId = abi.encodePacked(hex"040a", address(this));
            if (i == 5) asked.clientId = abi.encodePacked(CLIENT);
            if (i == 6) asked.pieceCidV2 = abi.encodePacked(hex"0181e203922020", ROOT);
            if (i == 7) asked.pieceCidV2 = "";
            if (i == 8) asked.pieceCidV2 = abi.encodePacked(asked.pieceCidV2, hex"00");
            if (i == 9) asked.startEpoch = 1;
            if (i == 10) asked.duration += 1;
            if (i == 11) asked.allocationId = 5;
            if (i == 12) asked.finalizedEpoch = 1;
            assertFalse(market.verifyDeal(asked), vm.toString(i));
        }
    }

    function test_RevertWhen_ThereIsNoSuchDeal() external {
        _announce();
        for (uint256 i = 0; i < 2; ++i) {
            uint256 dealId = i == 0 ? 0 : 2;
            bytes memory missing = abi.encodeWithSelector(ICurioDealView.DealNotFound.selector, dealId);
            ICurioDealView.CurioDealView memory asked = _view(dealId);
            vm.expectRevert(missing);
            market.verifyDeal(asked);
            vm.expectRevert(missing);
            market.getDealState(dealId);
            vm.expectRevert(missing);
            market.dealOf(dealId);
            vm.expectRevert(missing);
            market.withdraw(dealId);
        }
    }

    function test_WhenTheClientWithdrawsItsDeal() external {
        _announce();
        vm.expectEmit(address(market));
        emit ICurioMarket.DealWithdrawn(1);
        vm.prank(CLIENT);
        market.withdraw(1);
        assertFalse(market.verifyDeal(_view(1)));
        _assertState(1, ICurioDealView.DealState.Finalized);
    }

    function test_RevertWhen_SomebodyElseWithdrawsIt() external {
        _announce();
        vm.expectRevert(abi.encodeWithSelector(ICurioMarket.NotTheClient.selector, address(this)));
        market.withdraw(1);
    }

    function test_WhenItIsNotOpenAnyMore() external {
        _announce();
        vm.roll(2_001);
        assertFalse(market.verifyDeal(_view(1)));
        _assertState(1, ICurioDealView.DealState.Finalized);
        vm.expectRevert(abi.encodeWithSelector(ICurioMarket.NotOpen.selector, 1, ICurioDealView.DealState.Finalized));
        vm.prank(CLIENT);
        market.withdraw(1);
    }

    function test_WhenTheProviderSMinerActorSaysThatItSealedThePiece() external {
        _announce();
        _announce();
        vm.expectEmit(address(market));
        emit ICurioMarket.DealActivated(1, PROVIDER, 7, 1_000 + 518_400);
        assertEq(_notify(_params(7, 2_000_000, _change(ROOT, 21, 1))), hex"8181f5");
        _assertState(1, ICurioDealView.DealState.Active);
        assertFalse(market.verifyDeal(_view(1)));
        _assertState(2, ICurioDealView.DealState.Open);
        vm.roll(1_000 + 518_400);
        _assertState(1, ICurioDealView.DealState.Active);
        vm.roll(1_001 + 518_400);
        _assertState(1, ICurioDealView.DealState.Finalized);
        ICurioMarket.Deal memory deal = market.dealOf(1);
        assertEq(deal.activeSince, 1_000);
        assertEq(deal.sector, 7);
    }

    function test_WhenTheSectorIsCommittedForLessThanTheDeal() external {
        _announce();
        assertEq(_notify(_params(7, 5_000, _change(ROOT, 21, 1))), hex"8181f5");
        assertEq(market.dealOf(1).activeUntil, 5_000);
        vm.roll(5_001);
        _assertState(1, ICurioDealView.DealState.Finalized);
    }

    function test_WhenTheDealHasAStart() external {
        ICurioMarket.Proposal memory proposal = _proposal();
        proposal.startEpoch = 1_500;
        vm.prank(CLIENT);
        market.announce(proposal);
        _notify(_params(7, 2_000_000, _change(ROOT, 21, 1)));
        assertEq(market.dealOf(1).activeUntil, 1_500 + 518_400);
    }

    function test_WhenTheActorSaysItAgain() external {
        _announce();
        _notify(_params(7, 5_000, _change(ROOT, 21, 1)));
        vm.roll(1_200);
        assertEq(_notify(_params(8, 4_000, _change(ROOT, 21, 1))), hex"8181f5");
        assertEq(market.dealOf(1).activeUntil, 5_000);
        assertEq(market.dealOf(1).sector, 7);
        assertEq(_notify(_params(8, 2_000_000, _change(ROOT, 21, 1))), hex"8181f5");
        // From the first time on.
        assertEq(market.dealOf(1).activeUntil, 1_000 + 518_400);
        assertEq(market.dealOf(1).sector, 8);
        assertEq(market.dealOf(1).activeSince, 1_000);
    }

    function test_WhenADealThatWasWithdrawnIsSealed() external {
        _announce();
        vm.prank(CLIENT);
        market.withdraw(1);
        assertEq(_notify(_params(7, 2_000_000, _change(ROOT, 21, 1))), hex"8181f5");
        _assertState(1, ICurioDealView.DealState.Active);
    }

    function test_WhenTheActorSaysItOfSomethingElse() external {
        _announce();
        bytes[9] memory wrong = [
            _change(ROOT, 20, 1), // another size
            _change(ROOT, 21, 2), // no such deal
            _change(ROOT, 21, 0),
            _change(ROOT ^ bytes32(uint256(1) << 255), 21, 1), // another piece
            _change(abi.encodePacked(hex"0182e203922020", ROOT), 1 << 21, hex"01"), // a sealed sector's CID
            _change(abi.encodePacked(hex"01559120", hex"24", hex"80803f10", ROOT), 1 << 21, hex"01"), // version 2
            _change(_v1(ROOT), 1 << 21, hex"1801"), // an id in two bytes
            _change(_v1(ROOT), 1 << 21, hex"0100"), // something behind it
            _change(_v1(ROOT), 1 << 21, "")
        ];
        for (uint256 i = 0; i < wrong.length; ++i) {
            bytes memory params =
                abi.encodePacked(hex"82", _sector(6, 2_000_000, hex"81", wrong[i]), _sector(9, 1, hex"80", ""));
            assertEq(_notify(params), hex"8281f480", vm.toString(i));
            _assertState(1, ICurioDealView.DealState.Open);
        }
        vm.prank(_actor(PROVIDER + 1));
        (,, bytes memory result) = market.handle_filecoin_method(METHOD, 0x51, _params(7, 9, _change(ROOT, 21, 1)));
        assertEq(result, hex"8181f4");
        bytes memory both = abi.encodePacked(wrong[0], _change(ROOT, 21, 1));
        assertEq(_notify(abi.encodePacked(hex"81", _sector(6, 2_000_000, hex"82", both))), hex"8182f4f5");
        _assertState(1, ICurioDealView.DealState.Active);
    }

    function test_RevertWhen_SomebodyElseCallsTheNativeMethod() external {
        _announce();
        bytes memory params = _params(7, 9, _change(ROOT, 21, 1));
        vm.expectRevert(abi.encodeWithSelector(ICurioMarket.NotAnActor.selector, CLIENT));
        vm.prank(CLIENT);
        market.handle_filecoin_method(METHOD, 0x51, params);
    }

    function test_RevertWhen_AnotherMethodIsCalled() external {
        vm.startPrank(_actor(PROVIDER));
        vm.expectRevert(abi.encodeWithSelector(ICurioMarket.UnknownMethod.selector, METHOD + 1, 0x51));
        market.handle_filecoin_method(METHOD + 1, 0x51, hex"80");
        vm.expectRevert(abi.encodeWithSelector(ICurioMarket.UnknownMethod.selector, METHOD, 0x71));
        market.handle_filecoin_method(METHOD, 0x71, hex"80");
    }

    function _refusesAt(bytes memory params, uint256 position) private {
        vm.expectRevert(abi.encodeWithSelector(Cbor.BadCbor.selector, position));
        vm.prank(_actor(PROVIDER));
        market.handle_filecoin_method(METHOD, 0x51, params);
    }

    function test_WhenTheParametersAreMalformed() external {
        bytes memory good = _params(7, 2_000_000, _change(ROOT, 21, 1));
        _refusesAt("", 0);
        _refusesAt(abi.encodePacked(good, hex"00"), good.length);
        _refusesAt(hex"a0", 0); // a map
        _refusesAt(hex"9f", 0); // of indefinite length
        _refusesAt(hex"9801", 0); // one in two bytes
        _refusesAt(hex"8182", 1); // a sector of two
        _refusesAt(hex"818320", 2); // sector -1
        _refusesAt(hex"8183190007", 2); // 7 in three bytes
        _refusesAt(hex"8183070980ff", 5); // something behind it
        _refusesAt(hex"81830709", 4); // cut off
        _refusesAt(hex"818307099bffffffffffffffff", 4); // pieces without end
        _refusesAt(hex"8183070981830102", 6); // no tag
        _refusesAt(hex"818307098183d82b4100", 6); // another tag
        _refusesAt(hex"818307098183d82a4101", 8); // no CID
        _refusesAt(hex"818307098183d82a40", 8);
        _refusesAt(hex"818307098183d82a5900", 8);
        _refusesAt(hex"818307098183d82a4200015880", 11); // a size that is bytes
        // Cut off anywhere.
        for (uint256 length = 0; length < good.length; ++length) {
            bytes memory part = good;
            assembly ("memory-safe") {
                mstore(part, length)
            }
            vm.prank(_actor(PROVIDER));
            (bool success,) =
                address(market).call(abi.encodeCall(ICurioMarket.handle_filecoin_method, (METHOD, 0x51, part)));
            assertFalse(success, vm.toString(length));
            good = _params(7, 2_000_000, _change(ROOT, 21, 1));
        }
    }

    /// @dev Whatever an actor sends: refused, or an answer of the same shape.
    function testFuzz_WhatActorsSendChangesNoDealOfOthers(bytes calldata params, uint64 actor) external {
        vm.assume(actor != PROVIDER);
        _announce();
        bytes32 before = keccak256(abi.encode(market.dealOf(1)));
        vm.prank(_actor(actor));
        (bool success, bytes memory answer) =
            address(market).call(abi.encodeCall(ICurioMarket.handle_filecoin_method, (METHOD, 0x51, params)));
        if (success) {
            (uint32 exitCode, uint64 codec,) = abi.decode(answer, (uint32, uint64, bytes));
            assertEq(exitCode, 0);
            assertEq(codec, 0x51);
        }
        assertEq(keccak256(abi.encode(market.dealOf(1))), before);
    }

    function testFuzz_OnlyWhatWasAnnouncedIsTaken(
        uint8 state,
        bytes calldata clientId,
        bytes calldata pieceCid,
        uint256[5] calldata numbers,
        uint8 kept
    ) external {
        _announce();
        ICurioDealView.CurioDealView memory announced = _view(1);
        ICurioDealView.CurioDealView memory asked = _view(1);
        if (kept & 1 == 0) asked.state = ICurioDealView.DealState(state % 3);
        if (kept & 2 == 0) asked.providerActorId = numbers[0];
        if (kept & 4 == 0) asked.clientId = clientId;
        if (kept & 8 == 0) asked.pieceCidV2 = pieceCid;
        if (kept & 16 == 0) asked.startEpoch = numbers[1];
        if (kept & 32 == 0) asked.duration = numbers[2];
        if (kept & 64 == 0) asked.allocationId = numbers[3];
        if (kept & 128 == 0) asked.finalizedEpoch = numbers[4];
        bool same = keccak256(abi.encode(asked)) == keccak256(abi.encode(announced));
        assertEq(market.verifyDeal(asked), same);
    }
}
