// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {IBlessing} from "../../../src/interfaces/IBlessing.sol";
import {Grant} from "../../../src/interfaces/IGranter.sol";
import {ILotaMarket} from "../../../src/interfaces/ILotaMarket.sol";
import {BlessingTest} from "../../base/BlessingTest.sol";
import {TestGranter} from "../../mocks/Granters.sol";

contract BlessingGrantTest is BlessingTest {
    function test_RevertGiven_NoSuchNominationRuns() external {
        IBlessing.Nomination memory n = _nomination(_terms(), 1);
        _expectUnknownNomination(n.jobId);
        blessing.grant(n);
        n = _blessed();
        blessing.grant(n);
        _expectUnknownNomination(n.jobId);
        blessing.grant(n);
    }

    function test_RevertGiven_ItIsNotBlessed() external {
        IBlessing.Nomination memory n = _nominate();
        _expectPhase(n.jobId, IBlessing.Phase.Nominated);
        blessing.grant(n);
    }

    function test_RevertWhen_ItMayBeRevoked() external {
        IBlessing.Nomination memory n = _bless();
        uint256 until = block.timestamp + REVOKE_FOR;
        vm.warp(until);
        _expectTooEarly(until, until + 1);
        blessing.grant(n);
    }

    function test_RevertWhen_TheTimeToGrantIsOver() external {
        IBlessing.Nomination memory n = _bless();
        uint256 until = block.timestamp + REVOKE_FOR + GRANT_FOR;
        vm.warp(until + 1);
        _expectTooLate(until + 1, until);
        blessing.grant(n);
    }

    function _blessedJob(uint256 number) private returns (IBlessing.Nomination memory n) {
        ILotaMarket.Terms memory t = _terms(client.addr, number);
        vm.warp(START);
        _settleDeal(t);
        n = _nominate(t);
        _vote(n, 0, IBlessing.Choice.Approve);
        _vote(n, 1, IBlessing.Choice.Approve);
    }

    function test_GivenTheLimitOfTheProviderIsReached() external {
        IBlessing.Nomination[4] memory all;
        for (uint256 i = 0; i < 4; ++i) {
            all[i] = _blessedJob(1 + i);
        }
        vm.warp(START + REVOKE_FOR + 1);
        for (uint256 i = 0; i < 3; ++i) {
            blessing.grant(all[i]);
        }
        (uint256 toProvider, uint256 inAll) = blessing.grantedOf(address(granter), provider.addr);
        assertEq(toProvider, 3 * AMOUNT);
        assertEq(inAll, 3 * AMOUNT);
        _expectOver(IBlessing.Limit.PerProvider, AMOUNT, 0);
        blessing.grant(all[3]);
        vm.warp((block.timestamp / LIMIT_PERIOD + 1) * LIMIT_PERIOD - 1);
        _expectOver(IBlessing.Limit.PerProvider, AMOUNT, 0);
        blessing.grant(all[3]);
        vm.warp(block.timestamp + 1);
        blessing.grant(all[3]);
        (toProvider,) = blessing.grantedOf(address(granter), provider.addr);
        assertEq(toProvider, AMOUNT);
        assertEq(granter.grants(), 4);
    }

    function test_GivenTheLimitsWereLowered() external {
        IBlessing.Nomination memory first = _blessedJob(1);
        IBlessing.Nomination memory second = _blessedJob(2);
        vm.warp(START + REVOKE_FOR + 1);
        blessing.grant(first);
        _admit(address(granter), _limits(AMOUNT, AMOUNT, AMOUNT + 5));
        _expectOver(IBlessing.Limit.PerProvider, AMOUNT, 0);
        blessing.grant(second);
        _admit(address(granter), _limits(AMOUNT / 2, AMOUNT, AMOUNT));
        _expectOver(IBlessing.Limit.PerJob, AMOUNT, AMOUNT / 2);
        blessing.grant(second);
    }

    function test_RevertGiven_AllOfThePeriodIsGranted() external {
        IBlessing.Nomination memory first = _blessedJob(1);
        provider = stranger; // another one
        _fund(provider.addr, FUNDS);
        _fundBlessing(provider.addr, ACCOUNT);
        vm.startPrank(provider.addr);
        blessing.setAside(ACCOUNT / 2);
        blessing.register(address(granter), recipient, RATE, 1 ether);
        vm.stopPrank();
        IBlessing.Nomination memory second = _blessedJob(2);
        _admit(address(granter), _limits(AMOUNT, AMOUNT, 2 * AMOUNT - 1));
        vm.warp(START + REVOKE_FOR + 1);
        blessing.grant(first);
        _expectOver(IBlessing.Limit.PerPeriod, AMOUNT, AMOUNT - 1);
        blessing.grant(second);
    }

    function test_RevertGiven_TheGranterWasSentAway() external {
        IBlessing.Nomination memory n = _blessed();
        _admit(address(granter), _limits(0, 0, 0));
        vm.expectRevert(abi.encodeWithSelector(IBlessing.UnknownGranter.selector, address(granter)));
        blessing.grant(n);
    }

    function test_WhenAllIsWell() external {
        IBlessing.Nomination memory n = _blessed();
        vm.expectEmit(address(blessing));
        emit IBlessing.JobGranted(n.jobId, provider.addr, address(granter), AMOUNT, SHARE + BOUNTY);
        vm.prank(stranger.addr);
        blessing.grant(n);
        Grant memory g = Grant(n.jobId, 1, provider.addr, recipient, AMOUNT, n.piece, n.pieceSize, REASONS);
        assertEq(granter.last(), keccak256(abi.encode(g)));
        assertEq(granter.caller(), address(blessing));
        assertGe(granter.gasGiven(), GRANTER_GAS - 5_000);
        _assertForgotten(n.jobId, IBlessing.Phase.Granted, 1);
        _assertMoney(ACCOUNT - BOUNTY, SHARE + BOUNTY, ACCOUNT / 2 - SHARE, 0, 0);
        vm.prank(client.addr);
        blessing.withdraw(client.addr, SHARE + BOUNTY);
        assertEq(client.addr.balance, SHARE + BOUNTY);
    }

    function test_WhenTheGranterFails() external {
        IBlessing.Nomination memory n = _blessed();
        TestGranter.Mood[5] memory moods = [
            TestGranter.Mood.Refuses,
            TestGranter.Mood.RefusesToGrant,
            TestGranter.Mood.SaysNothing,
            TestGranter.Mood.BurnsGas,
            TestGranter.Mood.RevertBomb
        ];
        for (uint256 i = 0; i < moods.length; ++i) {
            granter.set(moods[i]);
            bytes4 why = i < 2 ? TestGranter.No.selector : bytes4(0);
            vm.expectEmit(address(blessing));
            emit IBlessing.GrantFailed(n.jobId, 1, why);
            blessing.grant{gas: 5_000_000}(n);
            _assertPhase(n.jobId, IBlessing.Phase.Blessed, 1);
            _assertMoney(ACCOUNT - DEPOSIT - BOUNTY, 0, ACCOUNT / 2 - SHARE, 0, DEPOSIT + BOUNTY + SHARE);
            (uint256 toProvider,) = blessing.grantedOf(address(granter), provider.addr);
            assertEq(toProvider, 0);
        }
        granter.set(TestGranter.Mood.ReturnBomb);
        blessing.grant(n);
        _assertPhase(n.jobId, IBlessing.Phase.Granted, 1);
        assertEq(granter.grants(), 1);
    }

    function test_GivenTheGranterHasNoCodeAnyMore() external {
        IBlessing.Nomination memory n = _blessed();
        vm.etch(address(granter), "");
        vm.expectEmit(address(blessing));
        emit IBlessing.GrantFailed(n.jobId, 1, 0);
        blessing.grant(n);
        _assertPhase(n.jobId, IBlessing.Phase.Blessed, 1);
    }

    function test_RevertWhen_TooLittleGasIsSentAlong() external {
        IBlessing.Nomination memory n = _blessed();
        vm.expectPartialRevert(ILotaMarket.InsufficientGas.selector);
        blessing.grant{gas: GRANTER_GAS}(n);
    }

    function test_WhenTheGranterCallsBack() external {
        IBlessing.Nomination memory n = _blessed();
        bytes[] memory attempts = new bytes[](13);
        attempts[0] = abi.encodeCall(blessing.grant, (n));
        attempts[1] = abi.encodeCall(blessing.expire, (n));
        attempts[2] = abi.encodeCall(blessing.vote, (n, IBlessing.Choice.Revoke, REASONS));
        attempts[3] = abi.encodeCall(blessing.voteSigned, (n, IBlessing.Choice.Revoke, REASONS, address(1), ""));
        attempts[4] = abi.encodeCall(blessing.nominate, (_terms(), _receipt(), _request()));
        attempts[5] = abi.encodeCall(blessing.fund, ());
        attempts[6] = abi.encodeCall(blessing.fundToken, (0));
        attempts[7] = abi.encodeCall(blessing.withdraw, (address(granter), 0));
        attempts[8] = abi.encodeCall(blessing.setAside, (0));
        attempts[9] = abi.encodeCall(blessing.takeBack, (0));
        attempts[10] = abi.encodeCall(blessing.register, (address(granter), "", 0, 0));
        attempts[11] = abi.encodeCall(blessing.sweep, (address(granter), _list(1)));
        attempts[12] = abi.encodeCall(blessing.setNotaries, (_list(1), 1, 0, _ballots(0, 0)));
        granter.setAttempts(address(blessing), attempts);
        granter.set(TestGranter.Mood.CallsBack);
        blessing.grant(n);
        bytes4[] memory answers = granter.answers();
        assertEq(answers.length, attempts.length);
        for (uint256 i = 0; i < answers.length; ++i) {
            assertEq(answers[i], ILotaMarket.Reentered.selector, vm.toString(i));
        }
        _assertPhase(n.jobId, IBlessing.Phase.Granted, 1);
    }
}
