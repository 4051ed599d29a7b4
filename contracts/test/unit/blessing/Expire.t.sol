// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {IBlessing} from "../../../src/interfaces/IBlessing.sol";
import {BlessingTest} from "../../base/BlessingTest.sol";
import {TestGranter} from "../../mocks/Granters.sol";

contract BlessingExpireTest is BlessingTest {
    function test_RevertGiven_NoSuchNominationRuns() external {
        IBlessing.Nomination memory n = _nomination(_terms(), 1);
        _expectUnknownNomination(n.jobId);
        blessing.expire(n);
    }

    function test_RevertWhen_ItIsVotedOn() external {
        IBlessing.Nomination memory n = _nominate();
        vm.warp(n.expires);
        _expectTooEarly(n.expires, n.expires + 1);
        blessing.expire(n);
    }

    function test_RevertWhen_ItMayBeGranted() external {
        IBlessing.Nomination memory n = _bless();
        uint256 until = block.timestamp + REVOKE_FOR + GRANT_FOR;
        vm.warp(until);
        _expectTooEarly(until, until + 1);
        blessing.expire(n);
    }

    function test_GivenTheNotariesDidNotDecide() external {
        IBlessing.Nomination memory n = _nominate();
        _vote(n, 0, IBlessing.Choice.Approve);
        _vote(n, 1, IBlessing.Choice.Reject);
        vm.warp(n.expires + 1);
        vm.expectEmit(address(blessing));
        emit IBlessing.NominationEnded(n.jobId, 1, IBlessing.End.Expired);
        vm.prank(stranger.addr);
        blessing.expire(n);
        _assertForgotten(n.jobId, IBlessing.Phase.None, 1);
        _assertMoney(ACCOUNT, 0, ACCOUNT / 2, 0, 0);
        assertEq(_nominate().round, 2);
    }

    function test_GivenTheGranterNeverGranted() external {
        IBlessing.Nomination memory n = _blessed();
        granter.set(TestGranter.Mood.SaysNothing);
        blessing.grant{gas: 3_000_000}(n);
        vm.warp(block.timestamp + GRANT_FOR);
        vm.expectEmit(address(blessing));
        emit IBlessing.NominationEnded(n.jobId, 1, IBlessing.End.Lapsed);
        blessing.expire(n);
        _assertForgotten(n.jobId, IBlessing.Phase.None, 1);
        _assertMoney(ACCOUNT, 0, ACCOUNT / 2, 0, 0);
        assertEq(_nominate().round, 2);
    }
}
