// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaClient, ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {Vm} from "forge-std/Vm.sol";
import {MarketTest} from "../base/MarketTest.sol";
import {Gauge, Meter, ScriptedClient} from "../mocks/Clients.sol";

contract CallbacksTest is MarketTest {
    uint32 private constant GAS = 400_000;

    ScriptedClient private script;

    function setUp() public override {
        super.setUp();
        script = new ScriptedClient(market);
        _fund(address(script), FUNDS);
    }

    function _called() private view returns (ILotaMarket.Terms memory) {
        return _called(1);
    }

    function _called(uint256 salt) private view returns (ILotaMarket.Terms memory t) {
        t = _terms(address(script), salt);
        t.callbackGas = GAS;
    }

    function _assertSawResult(ILotaMarket.Terms memory t) private view {
        assertEq(script.seen(), abi.encodeCall(ILotaClient.onJobResult, (_jobId(t), _result())));
    }

    function _assertSawReason(ILotaMarket.Terms memory t, ILotaMarket.Reason reason) private view {
        assertEq(script.seen(), abi.encodeCall(ILotaClient.onJobFailed, (_jobId(t), reason)));
    }

    /// @dev A settled deal whose callback failed.
    function _pending(uint256 salt) private returns (ILotaMarket.Terms memory t) {
        t = _called(salt);
        script.setMood(ScriptedClient.Mood.Revert);
        _settleDeal(t);
        _assertStatus(t, ILotaMarket.Status.Settled, ILotaMarket.Reason.Accepted, true);
        script.setMood(ScriptedClient.Mood.Fine);
    }

    function test_WhenTermsNameNoCallbackGas() external {
        ILotaMarket.Terms memory t = _called();
        t.callbackGas = 0;
        vm.recordLogs();
        _settleDeal(t);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs[logs.length - 1].topics[0], ILotaMarket.JobSettled.selector);
        assertEq(script.calls(), 0);
    }

    function test_WhenTheDealIsSettled() external {
        ILotaMarket.Terms memory t = _called();
        _submit(t);
        vm.expectEmit(address(market));
        emit ILotaMarket.JobSettled(_jobId(t), provider.addr, 1.1 ether, ILotaMarket.Reason.Accepted);
        vm.expectEmit(address(market));
        emit ILotaMarket.CallbackDelivered(_jobId(t));
        vm.prank(address(script));
        market.accept(t, _receipt());
        _assertSawResult(t);
        _assertStatus(t, ILotaMarket.Status.Settled, ILotaMarket.Reason.Accepted, false);

        t.salt = 2;
        _submit(t);
        vm.warp(START + 1 days);
        market.settle(t, _receipt());
        _assertSawResult(t);

        t.salt = 3;
        vm.warp(START);
        _dispute(t);
        vm.prank(arbiter.addr);
        market.rule(t, _receipt(), ILotaMarket.Verdict.Upheld);
        _assertSawResult(t);
        assertEq(script.calls(), 3);
    }

    function test_WhenTheDealIsCancelled() external {
        ILotaMarket.Terms memory t = _called();
        _open(t);
        vm.expectEmit(address(market));
        emit ILotaMarket.JobCancelled(_jobId(t), ILotaMarket.Reason.Withdrawn);
        vm.expectEmit(address(market));
        emit ILotaMarket.CallbackDelivered(_jobId(t));
        vm.prank(address(script));
        market.cancel(t);
        _assertSawReason(t, ILotaMarket.Reason.Withdrawn);

        t.salt = 2;
        _open(t);
        vm.warp(START + 1 days);
        market.expire(t);
        _assertSawReason(t, ILotaMarket.Reason.NotLocked);
    }

    function test_WhenTheDealIsSlashed() external {
        ILotaMarket.Terms memory t = _called();
        _lock(t);
        vm.warp(START + 1 days);
        market.expire(t);
        _assertSawReason(t, ILotaMarket.Reason.NotSubmitted);

        vm.warp(START);
        t.salt = 2;
        _bring(t, ILotaMarket.Status.Slashed);
        _assertSawReason(t, ILotaMarket.Reason.Overturned);
    }

    function test_WhenTheDealIsVoid() external {
        ILotaMarket.Terms memory t = _called();
        _bring(t, ILotaMarket.Status.Void);
        _assertSawReason(t, ILotaMarket.Reason.Undecided);

        t.salt = 2;
        _dispute(t);
        vm.warp(START + 1 days);
        market.lapse(t, _receipt());
        _assertSawReason(t, ILotaMarket.Reason.NotRuled);
    }

    function test_WhenTheClientHasNoCode() external {
        ILotaMarket.Terms memory t = _terms();
        t.callbackGas = GAS;
        _submit(t);
        vm.recordLogs();
        vm.prank(client.addr);
        market.accept{gas: GAS}(t, _receipt()); // less than what a callback would need
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs.length, 1);
        assertEq(logs[0].topics[0], ILotaMarket.JobSettled.selector);
        _assertStatus(t, ILotaMarket.Status.Settled, ILotaMarket.Reason.Accepted, false);
    }

    /// @dev The fault of a predecessor: a reverting callback that reverts the settlement.
    function test_WhenTheCallbackFailsInAnyWay() external {
        ScriptedClient.Mood[4] memory moods = [
            ScriptedClient.Mood.Revert,
            ScriptedClient.Mood.RevertBomb,
            ScriptedClient.Mood.BurnGas,
            ScriptedClient.Mood.Invalid
        ];
        for (uint256 i = 0; i < moods.length; ++i) {
            script.setMood(moods[i]);
            ILotaMarket.Terms memory t = _called(10 + i);
            _submit(t);
            uint256 before = market.balanceOf(provider.addr);
            vm.expectEmit(address(market));
            emit ILotaMarket.CallbackFailed(_jobId(t));
            vm.prank(address(script));
            market.accept(t, _receipt());
            assertEq(market.balanceOf(provider.addr), before + 4.1 ether);
            _assertStatus(t, ILotaMarket.Status.Settled, ILotaMarket.Reason.Accepted, true);

            t.salt = 20 + i;
            _bring(t, ILotaMarket.Status.Void);
            _assertStatus(t, ILotaMarket.Status.Void, ILotaMarket.Reason.Undecided, true);
            t.salt = 30 + i;
            _bring(t, ILotaMarket.Status.Slashed);
            _assertStatus(t, ILotaMarket.Status.Slashed, ILotaMarket.Reason.Overturned, true);
            t.salt = 40 + i;
            _bring(t, ILotaMarket.Status.Cancelled);
            _assertStatus(t, ILotaMarket.Status.Cancelled, ILotaMarket.Reason.Withdrawn, true);
        }
        assertEq(script.calls(), 0);
    }

    /// @dev 200,000 bytes would cost the caller 100,000 gas to copy.
    function test_WhenTheCallbackReturnsALot() external {
        ILotaMarket.Terms memory t = _called();
        _submit(t);
        script.setMood(ScriptedClient.Mood.ReturnBomb);
        bytes memory data = abi.encodeCall(ILotaMarket.accept, (t, _receipt()));
        vm.prank(address(script));
        uint256 before = gasleft();
        (bool success,) = address(market).call(data);
        uint256 used = before - gasleft();
        assertTrue(success);
        assertLt(used, GAS + 60_000);
        _assertStatus(t, ILotaMarket.Status.Settled, ILotaMarket.Reason.Accepted, false);
    }

    function test_WhenTheCallbackReEnters() external {
        ILotaMarket.Terms memory t = _called(4);
        ILotaMarket.Terms memory other = _called(2);
        t.callbackGas = MAX_CALLBACK_GAS;
        _submit(other);
        bytes[] memory attempts = new bytes[](32);
        bytes[] memory calls = new bytes[](0);
        ILotaMarket.BatchEntry[] memory entries = new ILotaMarket.BatchEntry[](0);
        ILotaMarket.Receipt memory receipt = _receipt();
        attempts[0] = abi.encodeCall(ILotaMarket.deposit, (address(script)));
        attempts[1] = abi.encodeCall(ILotaMarket.withdraw, (address(script), 1));
        attempts[2] = abi.encodeCall(ILotaMarket.open, (_called(3), ""));
        attempts[3] = abi.encodeCall(ILotaMarket.openSigned, (_called(3), "", ""));
        attempts[4] = abi.encodeCall(ILotaMarket.openSignedAndLock, (_called(3), "", ""));
        attempts[5] = abi.encodeCall(ILotaMarket.revoke, (1, 1));
        attempts[6] = abi.encodeCall(ILotaMarket.lock, (other));
        attempts[7] = abi.encodeCall(ILotaMarket.award, (other, provider.addr, 1));
        attempts[8] = abi.encodeCall(ILotaMarket.cancel, (other));
        attempts[9] = abi.encodeCall(ILotaMarket.expire, (other));
        attempts[10] = abi.encodeCall(ILotaMarket.submitResult, (other, _result()));
        attempts[11] = abi.encodeCall(ILotaMarket.accept, (other, receipt));
        attempts[12] = abi.encodeCall(ILotaMarket.accept, (t, receipt));
        attempts[13] = abi.encodeCall(ILotaMarket.settle, (other, receipt));
        attempts[14] = abi.encodeCall(ILotaMarket.dispute, (other));
        attempts[15] = abi.encodeCall(ILotaMarket.rule, (other, receipt, ILotaMarket.Verdict.Upheld));
        attempts[16] = abi.encodeCall(ILotaMarket.lapse, (other, receipt));
        attempts[17] = abi.encodeCall(ILotaMarket.retryCallback, (t, receipt));
        attempts[18] = abi.encodeCall(ILotaMarket.settleBatch, (entries));
        attempts[19] = abi.encodeCall(ILotaMarket.multicall, (calls));
        attempts[20] = abi.encodeCall(ILotaMarket.publishSpec, ("spec"));
        attempts[21] = abi.encodeCall(ILotaMarket.announce, ("https://example.org"));
        attempts[27] = abi.encodeCall(ILotaMarket.giveUp, (other));
        // deposits of a token: let in as {deposit} is, and of no use here
        attempts[28] = abi.encodeCall(ILotaMarket.depositToken, (address(script), 1));
        attempts[29] = abi.encodeCall(ILotaMarket.depositTokenWithPermit, (address(script), 1, 0, 0, 0, 0));
        attempts[30] = abi.encodeCall(ILotaMarket.depositTokenWithAuthorization, (address(script), 1, 0, 0, 0, 0, 0, 0));
        attempts[31] = abi.encodeCall(ILotaMarket.withdraw, (address(script), 1)); // still not
        // views
        attempts[22] = abi.encodeCall(ILotaMarket.dealOf, (_jobId(t)));
        attempts[23] = abi.encodeCall(ILotaMarket.balanceOf, (address(script)));
        attempts[24] = abi.encodeCall(ILotaMarket.isSpent, (address(script), 1));
        attempts[25] = abi.encodeCall(ILotaMarket.priceAt, (t, 0));
        attempts[26] = abi.encodeCall(ILotaMarket.open, (t, ""));
        script.setAttempts(attempts);
        script.setMood(ScriptedClient.Mood.Reenter);

        _submit(t);
        vm.expectEmit(address(market));
        emit ILotaMarket.CallbackDelivered(_jobId(t));
        vm.prank(address(script));
        market.accept(t, receipt);
        bytes4[] memory answers = script.answersSeen();
        assertEq(answers.length, 32);
        for (uint256 i = 0; i < 22; ++i) {
            bool allowed = i == 0 || i == 2; // deposit and open
            assertEq(answers[i], allowed ? bytes4(0) : ILotaMarket.Reentered.selector);
        }
        for (uint256 i = 22; i < 26; ++i) {
            assertEq(answers[i], bytes4(0));
        }
        assertEq(answers[26], ILotaMarket.SaltSpent.selector); // what has ended is not opened again
        assertEq(answers[27], ILotaMarket.Reentered.selector);
        for (uint256 i = 28; i < 31; ++i) {
            assertEq(answers[i], ILotaMarket.WrongAsset.selector);
        }
        assertEq(answers[31], ILotaMarket.Reentered.selector);
        _assertStatus(_called(3), ILotaMarket.Status.Open, ILotaMarket.Reason.None, false);
        _assertStatus(t, ILotaMarket.Status.Settled, ILotaMarket.Reason.Accepted, false);

        // In a multicall the guard opens again behind each callback, and only there.
        script.setMood(ScriptedClient.Mood.Fine);
        calls = new bytes[](2);
        calls[0] = attempts[11];
        calls[1] = abi.encodeCall(ILotaMarket.withdraw, (address(script), 1));
        script.run(abi.encodeCall(ILotaMarket.multicall, (calls)));
        _assertStatus(other, ILotaMarket.Status.Settled, ILotaMarket.Reason.Accepted, false);
    }

    function test_RevertWhen_ThereIsTooLittleGas() external {
        ILotaMarket.Terms memory t = _called();
        _submit(t);
        bytes memory data = abi.encodeCall(ILotaMarket.accept, (t, _receipt()));
        vm.prank(address(script));
        (bool success, bytes memory why) = address(market).call{gas: GAS + 30_000}(data);
        assertFalse(success);
        assertEq(bytes4(why), ILotaMarket.InsufficientGas.selector);
        _assertStatus(t, ILotaMarket.Status.Submitted, ILotaMarket.Reason.None, false);
    }

    /// @dev Whatever gas a caller sends along, the callback gets exactly what it was promised, or nothing happens.
    function testFuzz_TheCallbackGetsItsGasOrNothingHappens(uint256 sent, uint32 promised) external {
        promised = uint32(bound(promised, 60_000, MAX_CALLBACK_GAS));
        sent = bound(sent, 30_000, uint256(promised) * 65 / 63 + 120_000);
        Gauge gauge = new Gauge();
        _fund(address(gauge), 10 ether);
        ILotaMarket.Terms memory t = _terms(address(gauge), 1);
        t.callbackGas = promised;
        _submit(t);
        vm.warp(START + 1 days);
        (bool success,) = address(market).call{gas: sent}(abi.encodeCall(ILotaMarket.settle, (t, _receipt())));
        if (success) {
            _assertStatus(t, ILotaMarket.Status.Settled, ILotaMarket.Reason.Unchallenged, false);
            assertLe(promised - gauge.gasSeen(), 250, "all but the way to gasleft()");
        } else {
            assertEq(gauge.gasSeen(), 0);
            _assertStatus(t, ILotaMarket.Status.Submitted, ILotaMarket.Reason.None, false);
        }
        if (sent >= uint256(promised) * 64 / 63 + CALLBACK_RESERVE + 60_000) assertTrue(success, "enough");
    }

    function test_RevertGiven_NoDealHasTheTermsForIt() external {
        _expectUnknown(_called());
        market.retryCallback(_called(), _receipt());
    }

    function test_RevertGiven_NoCallbackIsPending() external {
        for (uint256 i = 1; i <= uint256(type(ILotaMarket.Status).max); ++i) {
            ILotaMarket.Terms memory t = _called(i);
            _bring(t, ILotaMarket.Status(i));
            _expectWrongState(t, ILotaMarket.Status(i));
            market.retryCallback(t, _receipt());
        }
    }

    function test_RevertGiven_TheDealIsSettledAndTheReceiptAnother() external {
        ILotaMarket.Terms memory t = _pending(1);
        ILotaMarket.Receipt memory other = _receipt();
        other.result.inlineData = "lies";
        _expectMismatch(t);
        market.retryCallback(t, other);
    }

    function test_GivenTheDealFailedAndTheReceiptIsAnother() external {
        script.setMood(ScriptedClient.Mood.Revert);
        ILotaMarket.Terms memory t = _called();
        _bring(t, ILotaMarket.Status.Void);
        script.setMood(ScriptedClient.Mood.Fine);
        ILotaMarket.Receipt memory empty;
        market.retryCallback(t, empty);
        _assertSawReason(t, ILotaMarket.Reason.Undecided);
        _assertStatus(t, ILotaMarket.Status.Void, ILotaMarket.Reason.Undecided, false);
    }

    function test_RevertWhen_ItFailsAgain() external {
        ILotaMarket.Terms memory t = _pending(1);
        script.setMood(ScriptedClient.Mood.Revert);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.CallbackReverted.selector, _jobId(t)));
        market.retryCallback(t, _receipt());
        script.setMood(ScriptedClient.Mood.BurnGas);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.CallbackReverted.selector, _jobId(t)));
        market.retryCallback{gas: 3_000_000}(t, _receipt());
        _assertStatus(t, ILotaMarket.Status.Settled, ILotaMarket.Reason.Accepted, true);
    }

    /// @dev An answer that needs more gas than was promised: a retry gives what there is.
    function test_WhenItNeedsMoreThanWasPromised() external {
        Gauge gauge = new Gauge();
        gauge.setNeeded(1_000_000);
        _fund(address(gauge), 10 ether);
        ILotaMarket.Terms memory t = _terms(address(gauge), 1);
        t.callbackGas = GAS;
        _bring(t, ILotaMarket.Status.Cancelled);
        _assertStatus(t, ILotaMarket.Status.Cancelled, ILotaMarket.Reason.Withdrawn, true);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.CallbackReverted.selector, _jobId(t)));
        market.retryCallback{gas: 900_000}(t, _receipt());
        vm.expectEmit(address(market));
        emit ILotaMarket.CallbackDelivered(_jobId(t));
        market.retryCallback{gas: 1_200_000}(t, _receipt());
        assertGe(gauge.gasSeen(), 1_000_000);
        assertLe(gauge.gasSeen(), 1_200_000 - CALLBACK_RESERVE);
        _assertStatus(t, ILotaMarket.Status.Cancelled, ILotaMarket.Reason.Withdrawn, false);
    }

    /// @dev What a client sees of its gas when `data` is sent to the market with the least gas that does not revert.
    function _seenAtTheLeastGas(Meter meter, bytes memory data) private returns (uint256 seen) {
        (uint256 tooLittle, uint256 enough) = (20_000, 1_000_000);
        while (enough - tooLittle > 1) {
            uint256 middle = (tooLittle + enough) / 2;
            uint256 snapshot = vm.snapshotState();
            (bool success,) = address(market).call{gas: middle}(data);
            vm.revertToStateAndDelete(snapshot);
            if (success) enough = middle;
            else tooLittle = middle;
        }
        (bool done,) = address(market).call{gas: enough}(data);
        assertTrue(done);
        seen = meter.gasSeen();
    }

    /// @dev A retry gives at least what the end itself had to give, for the smallest promises too.
    function test_WhenItIsSentTheLeastGas() external {
        uint32[3] memory promises = [uint32(600), 5000, 300_000];
        Meter meter = new Meter();
        bytes memory code = address(meter).code;
        _fund(address(meter), 100 ether);
        for (uint256 i = 0; i < promises.length; ++i) {
            ILotaMarket.Terms memory t = _terms(address(meter), 1 + i);
            t.callbackGas = promises[i];
            _submit(t);
            vm.warp(START + 1 days);
            bytes memory settle = abi.encodeCall(ILotaMarket.settle, (t, _receipt()));
            uint256 snapshot = vm.snapshotState();
            uint256 atTheEnd = _seenAtTheLeastGas(meter, settle);
            vm.revertToStateAndDelete(snapshot);
            assertGt(atTheEnd, promises[i] - 250, "all but the way to gasleft()");

            vm.etch(address(meter), hex"fe");
            (bool success,) = address(market).call(settle);
            assertTrue(success);
            vm.etch(address(meter), code);
            bytes memory retry = abi.encodeCall(ILotaMarket.retryCallback, (t, _receipt()));
            assertGe(_seenAtTheLeastGas(meter, retry), atTheEnd);
            _assertStatus(t, ILotaMarket.Status.Settled, ILotaMarket.Reason.Unchallenged, false);
            vm.warp(START);
        }
    }

    /// @dev Until it is delivered, the end stays stored, and nobody can open the terms again.
    function test_GivenTheClientHasNoCodeAnyMore() external {
        ILotaMarket.Terms memory t = _called();
        t.keepRecord = false;
        script.setMood(ScriptedClient.Mood.Revert);
        _submit(t);
        vm.prank(address(script));
        market.accept(t, _receipt());
        _assertStatus(t, ILotaMarket.Status.Settled, ILotaMarket.Reason.Accepted, true);
        vm.etch(address(script), "");
        vm.expectEmit(address(market));
        emit ILotaMarket.CallbackDelivered(_jobId(t));
        market.retryCallback(t, _receipt());
        _assertStatus(t, ILotaMarket.Status.None, ILotaMarket.Reason.None, false);
    }

    function test_WhenNothingIsToBeKept() external {
        ILotaMarket.Terms memory t = _called();
        t.keepRecord = false;
        script.setMood(ScriptedClient.Mood.Revert);
        _submit(t);
        vm.prank(address(script));
        market.accept(t, _receipt());
        _assertStatus(t, ILotaMarket.Status.Settled, ILotaMarket.Reason.Accepted, true);
        assertEq(market.dealOf(_jobId(t)).receipt, _kept(t, _receipt()));
        script.setMood(ScriptedClient.Mood.Fine);
        market.retryCallback(t, _receipt());
        _assertSawResult(t);
        _assertStatus(t, ILotaMarket.Status.None, ILotaMarket.Reason.None, false);
        _expectSpent(address(script), t.salt);
        market.retryCallback(t, _receipt());

        t.salt = 2;
        _submit(t);
        vm.prank(address(script));
        market.accept(t, _receipt());
        _assertSawResult(t);
        _assertStatus(t, ILotaMarket.Status.None, ILotaMarket.Reason.None, false);
    }

    /// @dev While it runs, the end is stored with the pending bit.
    function test_WhenItLooksAtItsDeal() external {
        ILotaMarket.Terms memory t = _called();
        t.keepRecord = false;
        Gauge gauge = new Gauge();
        gauge.watch(market);
        _fund(address(gauge), 10 ether);
        t.client = address(gauge);
        _bring(t, ILotaMarket.Status.Cancelled);
        ILotaMarket.Deal memory found = gauge.dealSeen();
        assertEq(uint256(found.status), uint256(ILotaMarket.Status.Cancelled));
        assertTrue(found.callbackPending);
    }

    /// @dev Without an arbiter the provider's own submission calls the client.
    function test_WhenTheDealSettlesAtOnce() external {
        for (uint256 i = 0; i < 2; ++i) {
            ILotaMarket.Terms memory t = _called(1 + i);
            (t.arbiter, t.reviewFor, t.ruleFor, t.keepRecord) = (address(0), 0, 0, false);
            script.setMood(i == 0 ? ScriptedClient.Mood.Fine : ScriptedClient.Mood.Revert);
            _submit(t);
            if (i == 0) _assertSawResult(t);
            ILotaMarket.Status wanted = i == 0 ? ILotaMarket.Status.None : ILotaMarket.Status.Settled;
            assertEq(uint256(market.dealOf(_jobId(t)).status), uint256(wanted));
        }
        ILotaMarket.Terms memory pending = _called(2);
        (pending.arbiter, pending.reviewFor, pending.ruleFor, pending.keepRecord) = (address(0), 0, 0, false);
        script.setMood(ScriptedClient.Mood.Fine);
        market.retryCallback(pending, _receipt());
        _assertSawResult(pending);
    }

    /// @dev The most that a callback can make follow: it opens three jobs with value, deposits, and uses up the rest.
    function testFuzz_ThePromiseHoldsForClientsThatOpenJobs(uint256 sent, bool failing) external {
        uint32 promised = 900_000;
        sent = bound(sent, 200_000, 1_400_000);
        ILotaMarket.Terms memory t = _called();
        t.callbackGas = promised;
        _submit(t);
        bytes[] memory attempts = new bytes[](5);
        for (uint256 i = 0; i < 3; ++i) {
            attempts[i] = abi.encodeCall(ILotaMarket.open, (_called(10 + i), "spec"));
        }
        attempts[3] = abi.encodeCall(ILotaMarket.deposit, (address(script)));
        attempts[4] = abi.encodeCall(ILotaMarket.withdraw, (address(script), 1));
        script.setAttempts(attempts);
        script.setMood(failing ? ScriptedClient.Mood.ReenterAndBurn : ScriptedClient.Mood.Reenter);
        vm.warp(START + 1 days - 1 hours);
        vm.warp(START + 3 hours + 1);
        for (uint256 i = 0; i < 3; ++i) {
            ILotaMarket.Terms memory later = _called(10 + i);
            later.lockBy = uint64(START + 1 days);
            attempts[i] = abi.encodeCall(ILotaMarket.open, (later, "spec"));
        }
        script.setAttempts(attempts);
        (bool success,) = address(market).call{gas: sent}(abi.encodeCall(ILotaMarket.settle, (t, _receipt())));
        if (!success) {
            assertLt(sent, uint256(promised) * 64 / 63 + CALLBACK_RESERVE + 70_000, "enough was sent");
            _assertStatus(t, ILotaMarket.Status.Submitted, ILotaMarket.Reason.None, false);
            return;
        }
        _assertStatus(t, ILotaMarket.Status.Settled, ILotaMarket.Reason.Unchallenged, failing);
        assertEq(script.calls(), failing ? 0 : 1);
        if (failing) return;
        assertLe(promised - script.gasSeen(), 400);
        bytes4[] memory answers = script.answersSeen();
        for (uint256 i = 0; i < 4; ++i) {
            assertEq(answers[i], bytes4(0));
        }
        assertEq(answers[4], ILotaMarket.Reentered.selector);
    }

    /// @dev The fault of a predecessor: callbacks lost.
    function test_WhenItSucceeds() external {
        ILotaMarket.Terms memory t = _pending(1);
        vm.expectEmit(address(market));
        emit ILotaMarket.CallbackDelivered(_jobId(t));
        vm.prank(stranger.addr);
        market.retryCallback(t, _receipt());
        _assertSawResult(t);
        assertEq(script.calls(), 1);
        _assertStatus(t, ILotaMarket.Status.Settled, ILotaMarket.Reason.Accepted, false);
        _expectWrongState(t, ILotaMarket.Status.Settled);
        market.retryCallback(t, _receipt());
    }

    function test_RevertWhen_ItIsCalledWithTooLittleGas() external {
        ILotaMarket.Terms memory t = _pending(1);
        bytes memory data = abi.encodeCall(ILotaMarket.retryCallback, (t, _receipt()));
        (bool success, bytes memory why) = address(market).call{gas: GAS + 20_000}(data);
        assertFalse(success);
        assertEq(bytes4(why), ILotaMarket.InsufficientGas.selector);
    }

    function test_GivenTheDealIsFinal() external {
        ILotaMarket.Terms memory t = _called();
        _pending(t.salt);
        vm.warp(START + 30 days);
        bytes[9] memory commands = [
            abi.encodeCall(ILotaMarket.lock, (t)),
            abi.encodeCall(ILotaMarket.award, (t, provider.addr, 1 ether)),
            abi.encodeCall(ILotaMarket.cancel, (t)),
            abi.encodeCall(ILotaMarket.expire, (t)),
            abi.encodeCall(ILotaMarket.submitResult, (t, _result())),
            abi.encodeCall(ILotaMarket.accept, (t, _receipt())),
            abi.encodeCall(ILotaMarket.settle, (t, _receipt())),
            abi.encodeCall(ILotaMarket.rule, (t, _receipt(), ILotaMarket.Verdict.Overturned)),
            abi.encodeCall(ILotaMarket.lapse, (t, _receipt()))
        ];
        address[5] memory senders = [address(script), provider.addr, arbiter.addr, matcher.addr, stranger.addr];
        for (uint256 i = 0; i < commands.length; ++i) {
            for (uint256 j = 0; j < senders.length; ++j) {
                vm.prank(senders[j]);
                (bool success, bytes memory why) = address(market).call(commands[i]);
                assertFalse(success);
                assertEq(bytes4(why), ILotaMarket.WrongState.selector);
            }
        }
        market.retryCallback(t, _receipt());
    }
}
