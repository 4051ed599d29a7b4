// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {IBlessing} from "../../../src/interfaces/IBlessing.sol";
import {ILotaMarket} from "../../../src/interfaces/ILotaMarket.sol";
import {BlessingTest} from "../../base/BlessingTest.sol";
import {OddToken} from "../../mocks/Tokens.sol";
import {Visitor} from "../../mocks/Visitor.sol";

contract BlessingMoneyTest is BlessingTest {
    function test_WhenCoinsAreBrought() external {
        vm.deal(stranger.addr, 3 ether);
        vm.expectEmit(address(blessing));
        emit IBlessing.Funded(stranger.addr, stranger.addr, 3 ether);
        vm.prank(stranger.addr);
        blessing.fund{value: 3 ether}();
        assertEq(blessing.balanceOf(stranger.addr), 3 ether);
    }

    function test_RevertWhen_TheAssetIsAnother() external {
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.WrongAsset.selector, address(0)));
        blessing.fundToken(1);
        (OddToken token,) = _inTokens();
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.WrongAsset.selector, address(token)));
        blessing.fund();
    }

    function _inTokens() private returns (OddToken token, address account) {
        token = new OddToken();
        ILotaMarket.Settings memory s = _settings();
        s.asset = address(token);
        market = _deploy(s);
        blessing = _deployBlessing(_blessingSettings(), _list(3), 2);
        account = stranger.addr;
        token.mint(account, 100 ether);
    }

    function test_WhenTheAssetIsAToken() external {
        (OddToken token, address account) = _inTokens();
        vm.startPrank(account);
        blessing.fundToken(60 ether);
        assertEq(blessing.balanceOf(account), 60 ether);
        blessing.withdraw(account, 20 ether);
        assertEq(token.balanceOf(account), 60 ether);
        assertEq(token.balanceOf(address(blessing)), 40 ether);
        vm.stopPrank();
    }

    function test_RevertWhen_TheTokenMovesSomethingElse() external {
        (OddToken token, address account) = _inTokens();
        token.set(OddToken.Mood.TakesAFee);
        vm.expectPartialRevert(ILotaMarket.TransferMismatch.selector);
        vm.prank(account);
        blessing.fundToken(60 ether);
        token.set(OddToken.Mood.Reverts);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.TransferFailed.selector, address(blessing)));
        vm.prank(account);
        blessing.fundToken(60 ether);
    }

    function test_WhenMoneyIsWithdrawn() external {
        vm.expectEmit(address(blessing));
        emit IBlessing.Defunded(nominator.addr, address(0xbeef), 4 ether);
        vm.prank(nominator.addr);
        blessing.withdraw(address(0xbeef), 4 ether);
        assertEq(address(0xbeef).balance, 4 ether);
        assertEq(blessing.balanceOf(nominator.addr), ACCOUNT - 4 ether);
    }

    function test_RevertWhen_ThereIsTooLittle() external {
        _expectPoor(nominator.addr, ACCOUNT, ACCOUNT + 1);
        vm.prank(nominator.addr);
        blessing.withdraw(nominator.addr, ACCOUNT + 1);
        _expectPoor(provider.addr, ACCOUNT / 2, ACCOUNT / 2 + 1);
        vm.prank(provider.addr);
        blessing.withdraw(provider.addr, ACCOUNT / 2 + 1);
        _expectPoor(stranger.addr, 0, 1);
        vm.prank(stranger.addr);
        blessing.setAside(1);
        vm.expectRevert(abi.encodeWithSelector(IBlessing.InsufficientPool.selector, stranger.addr, 0, 1));
        vm.prank(stranger.addr);
        blessing.takeBack(1);
    }

    function test_RevertWhen_TheRecipientIsNobody() external {
        address[2] memory nobody = [address(0), MASKED];
        for (uint256 i = 0; i < 2; ++i) {
            vm.expectRevert(ILotaMarket.InvalidRecipient.selector);
            vm.prank(nominator.addr);
            blessing.withdraw(nobody[i], 1);
        }
    }

    function test_WhenAPayeeCallsBack() external {
        Visitor visitor = new Visitor();
        visitor.visit(address(blessing), 0, abi.encodeCall(blessing.withdraw, (address(this), 0)));
        visitor.visit(address(blessing), 0, abi.encodeCall(blessing.fund, ()));
        vm.prank(nominator.addr);
        blessing.withdraw(address(visitor), 1 ether);
        assertEq(visitor.visits(), 2);
        assertEq(visitor.answer(0), ILotaMarket.Reentered.selector);
        assertEq(visitor.answer(1), ILotaMarket.Reentered.selector);
    }

    function test_WhenMoneyIsSetAside() external {
        vm.startPrank(provider.addr);
        vm.expectEmit(address(blessing));
        emit IBlessing.SetAside(provider.addr, 10 ether);
        blessing.setAside(10 ether);
        assertEq(blessing.poolOf(provider.addr), ACCOUNT / 2 + 10 ether);
        assertEq(blessing.balanceOf(provider.addr), ACCOUNT / 2 - 10 ether);
        vm.expectEmit(address(blessing));
        emit IBlessing.TakenBack(provider.addr, ACCOUNT / 2 + 10 ether);
        blessing.takeBack(ACCOUNT / 2 + 10 ether);
        assertEq(blessing.poolOf(provider.addr), 0);
        assertEq(blessing.balanceOf(provider.addr), ACCOUNT);
        vm.stopPrank();
    }

    function test_WhenAProviderRegisters() external {
        bytes memory longest = new bytes(64);
        vm.startPrank(provider.addr);
        vm.expectEmit(address(blessing));
        emit IBlessing.Registered(provider.addr, address(granter), longest, 5, 6);
        blessing.register(address(granter), longest, 5, 6);
        IBlessing.Registration memory found = blessing.registrationOf(provider.addr, address(granter));
        assertEq(found.recipient, longest);
        assertEq(uint256(found.shareRate) * 10 + found.maxShare, 56);
        blessing.register(address(granter), "", 5, 6);
        found = blessing.registrationOf(provider.addr, address(granter));
        assertEq(found.recipient.length + found.shareRate + found.maxShare, 0);
        vm.stopPrank();
    }

    function test_RevertWhen_ARecipientIsTooLong() external {
        vm.expectRevert(abi.encodeWithSelector(IBlessing.RecipientTooLong.selector, 65));
        blessing.register(address(granter), new bytes(65), 0, 0);
    }

    function test_WhenGrantsAreSwept() external {
        IBlessing.Nomination memory n = _blessed();
        blessing.grant(n);
        address[] memory providers = new address[](1);
        providers[0] = provider.addr;
        blessing.sweep(address(granter), providers);
        (uint256 toProvider,) = blessing.grantedOf(address(granter), provider.addr);
        assertEq(toProvider, AMOUNT);
        vm.warp(block.timestamp + LIMIT_PERIOD);
        vm.record();
        blessing.sweep(address(granter), providers);
        (, bytes32[] memory written) = vm.accesses(address(blessing));
        assertGt(written.length, 0);
        for (uint256 i = 0; i < written.length; ++i) {
            assertEq(vm.load(address(blessing), written[i]), 0);
        }
    }

    function test_RevertWhen_TooManyAreSwept() external {
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.TooMany.selector, 63));
        blessing.sweep(address(granter), new address[](63));
    }
}
