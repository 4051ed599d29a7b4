// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {IMetaAllocator, MetaAllocatorGranter} from "../../../src/granters/MetaAllocatorGranter.sol";
import {Grant} from "../../../src/interfaces/IGranter.sol";
import {BuiltinActors} from "../../../src/libraries/BuiltinActors.sol";
import {ActorsTest} from "../../base/ActorsTest.sol";
import {MetaAllocatorDouble} from "../../mocks/BuiltinActorsDouble.sol";

contract MetaAllocatorGranterTest is ActorsTest {
    uint256 private constant MIB = 1 << 20;
    uint256 private constant ALLOWANCE = 1 << 50;

    MetaAllocatorDouble private allocator;
    MetaAllocatorGranter private granter;
    bytes private client = hex"00e807"; // f01000

    function setUp() external {
        _deployActors();
        allocator = new MetaAllocatorDouble();
        granter = MetaAllocatorGranter(
            deployCode("MetaAllocatorGranter.sol:MetaAllocatorGranter", abi.encode(blessing, allocator))
        );
        registry.setVerifier(address(allocator), ALLOWANCE);
        allocator.setAllowance(address(granter), ALLOWANCE);
    }

    function test_RevertWhen_ItIsDeployedWithoutAnAllocator() external {
        vm.expectRevert(abi.encodeWithSelector(MetaAllocatorGranter.NoAllocator.selector, address(1)));
        new MetaAllocatorGranter(blessing, IMetaAllocator(address(1)));
    }

    function test_RevertWhen_TheSenderIsNotTheBlessingContract() external {
        _refusesStrangers(granter, client, MIB);
    }

    function test_RevertWhen_TheRecipientIsNoAddress() external {
        _refusesRecipients(granter, _malformed(), MIB);
    }

    function test_WhenTheAmountIsLessThanAMebibyte() external {
        bytes memory why = abi.encodeWithSelector(MetaAllocatorGranter.AmountTooSmall.selector, MIB - 1, MIB);
        _refuses(granter, client, MIB - 1, why);
    }

    function test_WhenTheAllowanceIsTooSmall() external {
        allocator.setAllowance(address(granter), MIB);
        bytes memory why = abi.encodeWithSelector(MetaAllocatorGranter.AllowanceTooSmall.selector, MIB, MIB + 1);
        _refuses(granter, client, MIB + 1, why);
        _make(granter, _grant(client, MIB));
        _refuses(granter, client, MIB, abi.encodeWithSelector(MetaAllocatorGranter.AllowanceTooSmall.selector, 0, MIB));
        allocator.setAllowance(address(granter), MIB);
        _make(granter, _grant(2, client, MIB));
        assertEq(registry.granted(client), 2 * MIB);
    }

    function test_WhenTheRecipientIsOfAnyForm() external {
        bytes[] memory clients = _filecoinOnly();
        for (uint256 i = 0; i < clients.length; ++i) {
            Grant memory g = _grant(clients[i], MIB + i);
            granter.checkGrant(provider, g.recipient, g.amount);
            _expectGranted(granter, g);
            _make(granter, g);
            assertEq(registry.granted(clients[i]), MIB + i);
        }
        address account = makeAddr("account");
        _make(granter, _grant(1, _evm(account), MIB));
        _make(granter, _grant(2, _f410(account), MIB));
        assertEq(registry.granted(_f410(account)), 2 * MIB);
    }

    function test_WhenTheAllocatorReverts() external {
        registry.setAnswer(18);
        bytes memory reason = abi.encodeWithSelector(MetaAllocatorDouble.ActorFailed.selector, int256(18));
        bytes memory why = abi.encodeWithSelector(MetaAllocatorGranter.AllocatorRefused.selector, reason);
        _refusesToMake(granter, client, MIB, why);
    }

    function test_WhenTheAllocatorDoesNotLookAtExitCodes() external {
        allocator.setLooksAtExitCodes(false);
        registry.setAnswer(18);
        bytes memory why = abi.encodeWithSelector(MetaAllocatorGranter.NotGranted.selector, 0, MIB);
        _refusesToMake(granter, client, MIB, why);
        assertEq(allocator.allowance(address(granter)), ALLOWANCE, "nothing is used up");
        registry.setAnswer(0);
        _make(granter, _grant(client, MIB));
        assertEq(registry.granted(client), MIB);
    }

    function test_WhenBalancesAreNotTold() external {
        address dataCap = 0xfF00000000000000000000000000000000000007;
        vm.mockCall(dataCap, bytes(""), abi.encode(int256(22), bytes("")));
        bytes memory why = abi.encodeWithSelector(MetaAllocatorGranter.BalanceUnknown.selector, int256(22));
        _refusesToMake(granter, client, MIB, why);
        bytes[10] memory bad = [
            bytes(""),
            hex"41",
            hex"4100", // a sign alone
            hex"4101", // no sign, one digit
            hex"420101", // negative
            hex"43000001ff", // longer than told
            hex"430001", // shorter than told
            hex"5800",
            bytes.concat(hex"582200", new bytes(33)), // more than 256 bits
            hex"0a" // a small integer
        ];
        for (uint256 i = 0; i < bad.length; ++i) {
            vm.mockCall(dataCap, bytes(""), abi.encode(int256(0), bad[i]));
            _refusesToMake(granter, client, MIB, abi.encodeWithSelector(BuiltinActors.BadReturn.selector, bad[i]));
        }
    }

    function testFuzz_WhatIsGrantedIsWhatTheAmountSays(uint96 before, uint96 amount) external {
        amount = uint96(bound(amount, MIB, type(uint96).max));
        before = uint96(bound(before, MIB, type(uint96).max));
        registry.setVerifier(address(allocator), type(uint256).max);
        allocator.setAllowance(address(granter), type(uint256).max);
        _make(granter, _grant(1, client, before));
        _make(granter, _grant(2, client, amount));
        assertEq(registry.granted(client), uint256(before) + amount);
    }
}
