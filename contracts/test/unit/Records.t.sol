// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {VmSafe} from "forge-std/Vm.sol";
import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {MarketTest} from "../base/MarketTest.sol";

/// @title RecordsTest: what has ended leaves the storage, word by word
contract RecordsTest is MarketTest {
    bytes32[] private _written;

    /// @dev Ends a deal in every way there is, one per lane 0 salt, and collects the slots that were written.
    function _everyEnd(bool keepRecord) private {
        vm.startStateDiffRecording();
        for (uint256 i = uint256(ILotaMarket.Status.Settled); i <= uint256(ILotaMarket.Status.Void); ++i) {
            ILotaMarket.Terms memory t = _terms(client.addr, i);
            t.keepRecord = keepRecord;
            _bring(t, ILotaMarket.Status(i));
        }
        ILotaMarket.Terms memory u = _unreviewed();
        u.keepRecord = keepRecord;
        _submit(u);
        ILotaMarket.Terms memory s = _terms(client.addr, 2);
        s.keepRecord = keepRecord;
        _lock(s);
        vm.prank(provider.addr);
        market.giveUp(s);
        VmSafe.AccountAccess[] memory accesses = vm.stopAndReturnStateDiff();
        for (uint256 i = 0; i < accesses.length; ++i) {
            for (uint256 j = 0; j < accesses[i].storageAccesses.length; ++j) {
                VmSafe.StorageAccess memory access = accesses[i].storageAccesses[j];
                if (access.isWrite && access.account == address(market)) _note(access.slot);
            }
        }
    }

    function _note(bytes32 slot) private {
        for (uint256 i = 0; i < _written.length; ++i) {
            if (_written[i] == slot) return;
        }
        _written.push(slot);
    }

    function _left() private view returns (uint256 count) {
        for (uint256 i = 0; i < _written.length; ++i) {
            if (vm.load(address(market), _written[i]) != 0) ++count;
        }
    }

    /// @dev Of nine deals. The accounts of client, provider and arbiter, and what was burned.
    function test_WhenNothingIsToBeKept() external {
        _everyEnd(false);
        assertGt(_written.length, 4 + 5, "something was stored");
        assertEq(_left(), 4);
    }

    function test_WhenRecordsAreToBeKept() external {
        _everyEnd(true);
        assertEq(_left(), _written.length, "every slot that was written");
        assertEq(_left(), 4 + 6);
    }

    function test_RevertWhen_WhatHasEndedIsOpenedAgain() external {
        for (uint256 i = uint256(ILotaMarket.Status.Settled); i <= uint256(ILotaMarket.Status.Void); ++i) {
            ILotaMarket.Terms memory t = _terms(client.addr, i);
            t.keepRecord = false;
            _bring(t, ILotaMarket.Status(i));
            bytes memory signature = _signed(t);
            _expectSpent(client.addr, i);
            vm.prank(client.addr);
            market.open(t, "");
            _expectSpent(client.addr, i);
            market.openSigned(t, "", signature);
            _expectSpent(client.addr, i);
            market.openSignedAndLock(t, "", signature);
        }
    }
}
