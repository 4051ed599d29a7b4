// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {VmSafe} from "forge-std/Vm.sol";
import {IBlessing} from "../../src/interfaces/IBlessing.sol";
import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {BlessingTest} from "../base/BlessingTest.sol";
import {EvmVersions} from "./AuctionGas.t.sol";

/// @title BlessingGasTest: what blessings cost, as {GasTest} measures it
/// @dev Three notaries of whom two decide; everybody has an account, something was burned and granted before. The granter notes what it
/// is called with, and does nothing else.
contract BlessingGasTest is BlessingTest {
    function setUp() public override {
        super.setUp();
        EvmVersions(address(vm)).setEvmVersion("prague");
        _fundBlessing(client.addr, 1 ether);
        blessing.grant(_blessedJob(100));
        IBlessing.Nomination memory n = _nominateJob(101);
        _vote(n, 0, IBlessing.Choice.Reject);
        _vote(n, 1, IBlessing.Choice.Reject);
    }

    function _nominateJob(uint256 number) private returns (IBlessing.Nomination memory n) {
        ILotaMarket.Terms memory t = _terms(client.addr, number << 64);
        vm.warp(START);
        _settleDeal(t);
        n = _nominate(t);
    }

    function _blessedJob(uint256 number) private returns (IBlessing.Nomination memory n) {
        n = _nominateJob(number);
        _vote(n, 0, IBlessing.Choice.Approve);
        _vote(n, 1, IBlessing.Choice.Approve);
        vm.warp(block.timestamp + REVOKE_FOR + 1);
    }

    function _note(string memory name) private {
        VmSafe.Gas memory last = vm.lastCallGas();
        vm.snapshotValue("blessings", name, last.gasTotalUsed);
    }

    function test_ALife() external {
        IBlessing.Nomination memory n = _nominateJob(1);
        _note("nominate");
        _vote(n, 0, IBlessing.Choice.Approve);
        _note("vote, the first");
        _vote(n, 1, IBlessing.Choice.Approve);
        _note("vote, which blesses");
        vm.warp(block.timestamp + REVOKE_FOR + 1);
        blessing.grant(n);
        _note("grant, beside what the granter does");
        vm.prank(client.addr);
        blessing.withdraw(client.addr, SHARE);
        _note("withdraw");
    }

    function test_OtherEnds() external {
        IBlessing.Nomination memory n = _nominateJob(1);
        bytes memory signature = _sign(notaries[0], _voteDigest(n, IBlessing.Choice.Reject, REASONS, 1));
        blessing.voteSigned(n, IBlessing.Choice.Reject, REASONS, notaries[0].addr, signature);
        _note("voteSigned, the first");
        _vote(n, 1, IBlessing.Choice.Reject);
        _note("vote, which refuses");
        _nominate(_terms(client.addr, 1 << 64));
        _note("nominate again");
        n = _nominateJob(2);
        vm.warp(n.expires + 1);
        blessing.expire(n);
        _note("expire");
    }

    function test_Changes() external {
        _replace(_list(5), 3);
        _note("setNotaries, from 3 to 5");
        vm.prank(provider.addr);
        blessing.register(address(granter), abi.encodePacked(provider.addr), RATE, 1 ether);
        _note("register again");
    }
}
