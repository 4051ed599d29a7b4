// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {console2} from "forge-std/console2.sol";
import {Vm} from "forge-std/Vm.sol";
import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {MarketTest} from "../base/MarketTest.sol";
import {ScriptedClient} from "../mocks/Clients.sol";

/// @title EventSizesTest: the largest event of every kind, in bytes of topics and data
/// @dev FVM aborts a message whose event has more than 8,192 bytes of values.
contract EventSizesTest is MarketTest {
    uint256 private constant LIMIT = 8192;

    bytes32[] private _kinds;
    mapping(bytes32 kind => uint256) private _largest;

    function _collect() private {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].emitter != address(market)) continue;
            bytes32 kind = logs[i].topics[0];
            uint256 size = logs[i].data.length + 32 * logs[i].topics.length;
            if (_largest[kind] == 0) _kinds.push(kind);
            if (size > _largest[kind]) _largest[kind] = size;
        }
    }

    function _show(string memory name, bytes32 kind) private {
        assertGt(_largest[kind], 0, name);
        console2.log(name, _largest[kind]);
        _largest[kind] = 0;
        for (uint256 i = 0; i < _kinds.length; ++i) {
            if (_kinds[i] != kind) continue;
            _kinds[i] = _kinds[_kinds.length - 1];
            _kinds.pop();
        }
    }

    function test_WhenEveryEventIsAtItsLargest() external {
        vm.recordLogs();
        bytes memory spec = new bytes(7168);
        ILotaMarket.Terms memory t = _terms();
        t.spec = sha256(spec);
        ILotaMarket.Receipt memory receipt = _receipt();
        receipt.result.inlineData = new bytes(1024);
        vm.prank(client.addr);
        market.open(t, spec);
        vm.prank(provider.addr);
        market.lock(t);
        vm.prank(provider.addr);
        market.submitResult(t, receipt.result);
        vm.prank(arbiter.addr);
        market.dispute(t);
        vm.prank(arbiter.addr);
        market.rule(t, receipt, ILotaMarket.Verdict.Void);
        _bring(_terms(client.addr, 2), ILotaMarket.Status.Cancelled);
        _bring(_terms(client.addr, 3), ILotaMarket.Status.Slashed);
        _bring(_terms(client.addr, 4), ILotaMarket.Status.Settled);
        market.publishSpec(spec);
        market.announce(string(new bytes(256)));
        _fund(client.addr, 1);
        vm.startPrank(client.addr);
        market.withdraw(client.addr, 1);
        market.revoke(1, 1);
        vm.stopPrank();
        ILotaMarket.BatchEntry[] memory entries = new ILotaMarket.BatchEntry[](2);
        t = _terms(client.addr, 5);
        entries[0] = _entry(t, receipt); // keepRecord: is skipped
        t.keepRecord = false;
        entries[1] = _entry(t, receipt);
        market.settleBatch(entries);
        ScriptedClient script = new ScriptedClient(market);
        _fund(address(script), 10 ether);
        t = _terms(address(script), 1);
        t.callbackGas = 300_000;
        _bring(t, ILotaMarket.Status.Cancelled);
        script.setMood(ScriptedClient.Mood.Revert);
        t.salt = 2;
        _bring(t, ILotaMarket.Status.Cancelled);
        _collect();

        for (uint256 i = 0; i < _kinds.length; ++i) {
            assertLt(_largest[_kinds[i]], LIMIT);
        }
        console2.log("largest events, bytes of topics and data (FVM's limit: 8192)");
        _show("JobOpened", ILotaMarket.JobOpened.selector);
        _show("SpecPublished", ILotaMarket.SpecPublished.selector);
        _show("ResultSubmitted", ILotaMarket.ResultSubmitted.selector);
        _show("Announced", ILotaMarket.Announced.selector);
        _show("JobSlashed", ILotaMarket.JobSlashed.selector);
        _show("BatchSettled", ILotaMarket.BatchSettled.selector);
        _show("JobSettled", ILotaMarket.JobSettled.selector);
        _show("JobVoided", ILotaMarket.JobVoided.selector);
        _show("JobLocked", ILotaMarket.JobLocked.selector);
        _show("Deposited", ILotaMarket.Deposited.selector);
        _show("Withdrawn", ILotaMarket.Withdrawn.selector);
        _show("SaltsRevoked", ILotaMarket.SaltsRevoked.selector);
        _show("JobCancelled", ILotaMarket.JobCancelled.selector);
        _show("BatchSkipped", ILotaMarket.BatchSkipped.selector);
        _show("JobDisputed", ILotaMarket.JobDisputed.selector);
        _show("CallbackDelivered", ILotaMarket.CallbackDelivered.selector);
        _show("CallbackFailed", ILotaMarket.CallbackFailed.selector);
        assertEq(_kinds.length, 0, "no event is left out");
    }
}
