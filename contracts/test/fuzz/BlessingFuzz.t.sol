// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {IBlessing} from "../../src/interfaces/IBlessing.sol";
import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {BlessingTest} from "../base/BlessingTest.sol";

/// @title BlessingFuzzTest: decisions against a count of all votes, shares against the formula, signatures against each field
contract BlessingFuzzTest is BlessingTest {
    function testFuzz_TheQuorumDecidesWhateverTheOrder(uint256 seed, uint256 quorum, uint256 count) external {
        count = bound(count, 1, 5);
        quorum = bound(quorum, 1, count);
        _replace(_list(count), uint32(quorum));
        IBlessing.Nomination memory n = _nominate();
        uint256 approvals = 0;
        uint256 rejections = 0;
        for (uint256 i = 0; i < count; ++i) {
            // Begins somewhere, and goes round.
            uint256 by = (seed % count + i) % count;
            bool approves = (seed >> (8 + i)) % 2 == 0;
            _vote(n, by, approves ? IBlessing.Choice.Approve : IBlessing.Choice.Reject);
            if (approves) ++approvals;
            else ++rejections;
            if (approvals == quorum) return _assertPhase(n.jobId, IBlessing.Phase.Blessed, 1);
            if (count - rejections < quorum) return _assertPhase(n.jobId, IBlessing.Phase.None, 1);
            _assertPhase(n.jobId, IBlessing.Phase.Nominated, 1);
            _assertVotes(n.jobId, uint32(approvals), uint32(rejections));
        }
        assertTrue(false, "when all have voted, it is decided");
    }

    function testFuzz_TheShareIsTheRatesAndNoMoreThanTheMost(uint128 rate, uint128 most, uint256 amount) external {
        amount = bound(amount, 1, type(uint128).max);
        _admit(address(granter), _limits(type(uint128).max, type(uint128).max, type(uint128).max));
        _settleDeal(_terms());
        vm.prank(provider.addr);
        blessing.register(address(granter), recipient, rate, most);
        IBlessing.Nomination memory n = _nomination(_terms(), 1);
        (n.amount, n.share) = (amount, uint256(rate) * amount / 1e18);
        if (n.share > most) n.share = most;
        IBlessing.Request memory r = _request();
        r.amount = amount;
        if (n.share > ACCOUNT / 2) vm.expectPartialRevert(IBlessing.InsufficientPool.selector);
        vm.prank(nominator.addr);
        blessing.nominate(_terms(), _receipt(), r);
        if (n.share > ACCOUNT / 2) return;
        assertEq(blessing.recordOf(n.jobId).nomination, _hash(n));
        _assertMoney(ACCOUNT - DEPOSIT - BOUNTY, 0, ACCOUNT / 2 - n.share, 0, DEPOSIT + BOUNTY + n.share);
    }

    /// @dev Not a field of a nomination that a vote would not be bound to.
    function testFuzz_AVoteIsForOneNominationAlone(uint256 field, uint256 value) external {
        IBlessing.Nomination memory n = _nominate();
        bytes memory signature = _sign(notaries[0], _voteDigest(n, IBlessing.Choice.Approve, REASONS, 1));
        bytes32 before = _hash(n);
        bytes32 jobId = n.jobId;
        field %= 15;
        if (field == 0) n.jobId = bytes32(value);
        if (field == 1) n.round = uint32(value);
        if (field == 2) n.client = address(uint160(value));
        if (field == 3) n.provider = address(uint160(value));
        if (field == 4) n.matcher = address(uint160(value));
        if (field == 5) n.arbiter = address(uint160(value));
        if (field == 6) n.nominator = address(uint160(value));
        if (field == 7) n.granter = address(uint160(value));
        if (field == 8) n.recipient = abi.encode(value);
        if (field == 9) n.amount = value;
        if (field == 10) n.piece = bytes32(value);
        if (field == 11) n.pieceSize = uint64(value);
        if (field == 12) n.share = value;
        if (field == 13) n.bounty = value;
        if (field == 14) n.expires = uint64(value);
        vm.assume(_hash(n) != before);
        assertEq(blessing.hashOf(n), _hash(n));
        _expectUnknownNomination(n.jobId);
        blessing.voteSigned(n, IBlessing.Choice.Approve, REASONS, notaries[0].addr, signature);
        _assertVotes(jobId, 0, 0);
    }
}
