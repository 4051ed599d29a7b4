// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {IBlessing} from "../../../src/interfaces/IBlessing.sol";
import {ILotaMarket} from "../../../src/interfaces/ILotaMarket.sol";
import {BlessingTest} from "../../base/BlessingTest.sol";
import {Wallet} from "../../mocks/Wallets.sol";

contract BlessingVoteTest is BlessingTest {
    IBlessing.Choice private constant APPROVE = IBlessing.Choice.Approve;
    IBlessing.Choice private constant REJECT = IBlessing.Choice.Reject;
    IBlessing.Choice private constant REVOKE = IBlessing.Choice.Revoke;

    function test_RevertGiven_NoSuchNominationRuns() external {
        IBlessing.Nomination memory n = _nomination(_terms(), 1);
        _expectUnknownNomination(n.jobId);
        _vote(n, 0, APPROVE);
        _nominate();
        n.amount += 1;
        _expectUnknownNomination(n.jobId);
        _vote(n, 0, APPROVE);
    }

    function test_RevertGiven_ThePhaseIsAnother() external {
        IBlessing.Nomination memory n = _nominate();
        _expectPhase(n.jobId, IBlessing.Phase.Nominated);
        _vote(n, 0, REVOKE);
        _vote(n, 0, APPROVE);
        _vote(n, 1, APPROVE);
        _expectPhase(n.jobId, IBlessing.Phase.Blessed);
        _vote(n, 2, APPROVE);
        _expectPhase(n.jobId, IBlessing.Phase.Blessed);
        _vote(n, 2, REJECT);
    }

    function test_RevertGiven_TheSenderIsNoNotary() external {
        IBlessing.Nomination memory n = _nominate();
        _expectNotNotary(notaries[3].addr);
        _vote(n, 3, APPROVE);
    }

    function test_RevertGiven_TheNotaryIsAParty() external {
        ILotaMarket.Terms memory t = _withMatcher();
        _settleDeal(t);
        address[] memory list = new address[](5);
        (list[0], list[1], list[2]) = (client.addr, provider.addr, arbiter.addr);
        (list[3], list[4]) = (matcher.addr, nominator.addr);
        _replace(list, 1);
        IBlessing.Nomination memory n = _nominate(t);
        for (uint256 i = 0; i < 5; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IBlessing.ConflictOfInterest.selector, n.jobId, list[i]));
            vm.prank(list[i]);
            blessing.vote(n, APPROVE, REASONS);
        }
    }

    function test_RevertGiven_TheNotaryIsTheRecipient() external {
        bytes[2] memory names = [abi.encodePacked(notaries[0].addr), abi.encodePacked(hex"040a", notaries[0].addr)];
        _settleDeal(_terms());
        for (uint32 i = 0; i < 2; ++i) {
            recipient = names[i];
            vm.prank(provider.addr);
            blessing.register(address(granter), recipient, RATE, 1 ether);
            IBlessing.Nomination memory n = _nominate();
            vm.expectRevert(abi.encodeWithSelector(IBlessing.ConflictOfInterest.selector, n.jobId, notaries[0].addr));
            _vote(n, 0, APPROVE);
            vm.warp(block.timestamp + VOTE_FOR + 1);
            blessing.expire(n);
        }
    }

    function test_GivenTheRecipientOnlyEndsLikeANotary() external {
        recipient = abi.encodePacked(hex"0405", notaries[0].addr);
        vm.prank(provider.addr);
        blessing.register(address(granter), recipient, RATE, 1 ether);
        IBlessing.Nomination memory n = _nominate();
        _vote(n, 0, APPROVE);
        _assertVotes(n.jobId, 1, 0);
    }

    function test_RevertGiven_TheNotaryHasVoted() external {
        IBlessing.Nomination memory n = _nominate();
        _vote(n, 0, REJECT);
        assertTrue(blessing.hasVoted(n.jobId, notaries[0].addr));
        assertFalse(blessing.hasVoted(n.jobId, notaries[1].addr));
        assertFalse(blessing.hasVoted(n.jobId, stranger.addr));
        for (uint256 i = 0; i < 2; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IBlessing.AlreadyVoted.selector, n.jobId, notaries[0].addr));
            _vote(n, 0, i == 0 ? APPROVE : REJECT);
        }
    }

    function test_RevertWhen_TheNominationHasExpired() external {
        IBlessing.Nomination memory n = _nominate();
        vm.warp(n.expires);
        _vote(n, 0, APPROVE);
        vm.warp(n.expires + 1);
        _expectTooLate(n.expires + 1, n.expires);
        _vote(n, 1, APPROVE);
    }

    function test_RevertWhen_ItCanNoLongerBeRevoked() external {
        IBlessing.Nomination memory n = _bless();
        uint256 until = block.timestamp + REVOKE_FOR;
        vm.warp(until);
        _vote(n, 0, REVOKE);
        vm.warp(until + 1);
        _expectTooLate(until + 1, until);
        _vote(n, 1, REVOKE);
    }

    function test_WhenAQuorumApproves() external {
        IBlessing.Nomination memory n = _nominate();
        _vote(n, 2, APPROVE);
        _assertVotes(n.jobId, 1, 0);
        _vote(n, 1, REJECT);
        _assertVotes(n.jobId, 1, 1);
        bytes32 reasons = keccak256("other reasons");
        uint64 revokeUntil = uint64(block.timestamp) + REVOKE_FOR;
        vm.expectEmit(address(blessing));
        emit IBlessing.VoteCast(n.jobId, 1, notaries[0].addr, APPROVE, reasons);
        vm.expectEmit(address(blessing));
        emit IBlessing.JobBlessed(n.jobId, 1, revokeUntil, revokeUntil + GRANT_FOR);
        vm.prank(notaries[0].addr);
        blessing.vote(n, APPROVE, reasons);
        _assertPhase(n.jobId, IBlessing.Phase.Blessed, 1);
        IBlessing.Record memory found = blessing.recordOf(n.jobId);
        assertEq(found.reasons, reasons);
        assertEq(found.blessedAt, block.timestamp);
        _assertVotes(n.jobId, 0, 0);
    }

    function test_WhenNoQuorumCanApproveAnyMore() external {
        IBlessing.Nomination memory n = _nominate();
        _vote(n, 0, REJECT);
        _vote(n, 1, APPROVE);
        vm.expectEmit(address(blessing));
        emit IBlessing.NominationEnded(n.jobId, 1, IBlessing.End.Refused);
        _vote(n, 2, REJECT);
        _assertForgotten(n.jobId, IBlessing.Phase.None, 1);
        _assertMoney(ACCOUNT - DEPOSIT, 0, ACCOUNT / 2, DEPOSIT, 0);
    }

    function test_WhenAQuorumRevokes() external {
        IBlessing.Nomination memory n = _bless();
        _vote(n, 0, REVOKE); // of those who had approved, too
        _assertVotes(n.jobId, 0, 1);
        vm.expectEmit(address(blessing));
        emit IBlessing.NominationEnded(n.jobId, 1, IBlessing.End.Revoked);
        _vote(n, 2, REVOKE);
        _assertForgotten(n.jobId, IBlessing.Phase.None, 1);
        _assertMoney(ACCOUNT - DEPOSIT, 0, ACCOUNT / 2, DEPOSIT, 0);
    }

    function test_WhenAVoteIsSigned() external {
        IBlessing.Nomination memory n = _nominate();
        for (uint256 i = 0; i < 2; ++i) {
            bytes memory signature = _sign(notaries[i], _voteDigest(n, APPROVE, REASONS, 1));
            vm.prank(stranger.addr);
            blessing.voteSigned(n, APPROVE, REASONS, notaries[i].addr, signature);
        }
        _assertPhase(n.jobId, IBlessing.Phase.Blessed, 1);
        for (uint256 i = 0; i < 2; ++i) {
            bytes memory signature = _sign(notaries[i], _voteDigest(n, REVOKE, REASONS, 1));
            blessing.voteSigned(n, REVOKE, REASONS, notaries[i].addr, signature);
        }
        _assertPhase(n.jobId, IBlessing.Phase.None, 1);
    }

    function _expectBadSignature(IBlessing.Nomination memory n, IBlessing.Choice choice, bytes memory s) private {
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.BadSignature.selector, notaries[0].addr));
        blessing.voteSigned(n, choice, REASONS, notaries[0].addr, s);
    }

    function test_RevertWhen_ASignatureIsOverSomethingElse() external {
        IBlessing.Nomination memory n = _nominate();
        _expectBadSignature(n, REJECT, _sign(notaries[0], _voteDigest(n, APPROVE, REASONS, 1)));
        _expectBadSignature(n, APPROVE, _sign(notaries[0], _voteDigest(n, APPROVE, "others", 1)));
        _expectBadSignature(n, APPROVE, _sign(notaries[0], _voteDigest(n, APPROVE, REASONS, 2)));
        _expectBadSignature(n, APPROVE, _sign(notaries[1], _voteDigest(n, APPROVE, REASONS, 1)));
        _expectBadSignature(n, APPROVE, "");
        IBlessing.Nomination memory other = _nomination(_terms(), 2);
        _expectBadSignature(n, APPROVE, _sign(notaries[0], _voteDigest(other, APPROVE, REASONS, 1)));
        blessing.voteSigned(
            n, APPROVE, REASONS, notaries[0].addr, _sign(notaries[0], _voteDigest(n, APPROVE, REASONS, 1))
        );
    }

    function test_RevertWhen_AVoteIsReplayed() external {
        IBlessing.Nomination memory n = _nominate();
        bytes memory signature = _sign(notaries[0], _voteDigest(n, APPROVE, REASONS, 1));
        blessing.voteSigned(n, APPROVE, REASONS, notaries[0].addr, signature);
        vm.expectRevert(abi.encodeWithSelector(IBlessing.AlreadyVoted.selector, n.jobId, notaries[0].addr));
        blessing.voteSigned(n, APPROVE, REASONS, notaries[0].addr, signature);
        _vote(n, 1, REJECT);
        _vote(n, 2, REJECT);
        // In the same second the next round differs in its number alone.
        IBlessing.Nomination memory next = _nominate();
        assertEq(next.expires, n.expires);
        _expectBadSignature(next, APPROVE, signature);
    }

    function test_RevertGiven_TheChainHasSplit() external {
        IBlessing.Nomination memory n = _nominate();
        bytes memory signature = _sign(notaries[0], _voteDigest(n, APPROVE, REASONS, 1));
        vm.chainId(1);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.WrongChain.selector, 1));
        blessing.voteSigned(n, APPROVE, REASONS, notaries[0].addr, signature);
    }

    function test_GivenANotaryIsAWallet() external {
        Wallet wallet = new Wallet();
        address[] memory list = new address[](1);
        list[0] = address(wallet);
        _replace(list, 1);
        IBlessing.Nomination memory n = _nominate();
        bytes32 digest = _voteDigest(n, APPROVE, REASONS, 2);
        for (uint256 i = 1; i < 10; ++i) {
            if (Wallet.Answer(i) == Wallet.Answer.ReturnBomb) continue; // says yes, at length
            wallet.set(Wallet.Answer(i), digest);
            vm.expectRevert(abi.encodeWithSelector(ILotaMarket.BadSignature.selector, address(wallet)));
            blessing.voteSigned{gas: 3_000_000}(n, APPROVE, REASONS, address(wallet), "by the wallet");
        }
        wallet.set(Wallet.Answer.Magic, digest);
        blessing.voteSigned(n, APPROVE, REASONS, address(wallet), "by the wallet");
        _assertPhase(n.jobId, IBlessing.Phase.Blessed, 1);
    }

    function test_GivenTheNotariesChanged() external {
        IBlessing.Nomination memory n = _nominate();
        bytes memory old = _sign(notaries[0], _voteDigest(n, APPROVE, REASONS, 1));
        _vote(n, 1, APPROVE);
        address[] memory list = new address[](2);
        (list[0], list[1]) = (notaries[0].addr, notaries[4].addr);
        _replace(list, 2);
        _assertVotes(n.jobId, 0, 0);
        assertFalse(blessing.hasVoted(n.jobId, notaries[1].addr));
        _expectNotNotary(notaries[1].addr);
        _vote(n, 1, APPROVE);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.BadSignature.selector, notaries[0].addr));
        blessing.voteSigned(n, APPROVE, REASONS, notaries[0].addr, old);
        _vote(n, 4, APPROVE); // sits where notary 1 sat
        _assertVotes(n.jobId, 1, 0);
        _vote(n, 0, APPROVE);
        _assertPhase(n.jobId, IBlessing.Phase.Blessed, 1);
    }
}
