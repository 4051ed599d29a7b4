// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {MarketTest} from "../base/MarketTest.sol";
import {BouncingPayee, GreedyPayee, RefusingPayee, VerbosePayee} from "../mocks/Payees.sol";

contract MoneyTest is MarketTest {
    function test_RevertWhen_TheAccountIsZero() external {
        deal(address(this), 1 ether);
        vm.expectRevert(ILotaMarket.InvalidRecipient.selector);
        market.deposit{value: 1 ether}(address(0));
    }

    function test_WhenTheAccountIsAnother() external {
        deal(stranger.addr, 5);
        vm.expectEmit(address(market));
        emit ILotaMarket.Deposited(client.addr, stranger.addr, 5);
        vm.prank(stranger.addr);
        market.deposit{value: 5}(client.addr);
        assertEq(market.balanceOf(client.addr), FUNDS + 5);
        assertEq(market.balanceOf(stranger.addr), 0);
    }

    function test_WhenNothingIsSentWithIt() external {
        vm.expectEmit(address(market));
        emit ILotaMarket.Deposited(client.addr, address(this), 0);
        market.deposit(client.addr);
        assertEq(market.balanceOf(client.addr), FUNDS);
    }

    function test_RevertWhen_TheContractWouldHoldMoreThanFits() external {
        uint256 room = type(uint128).max - address(market).balance;
        deal(address(this), room + 1);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.TransferFailed.selector, address(market)));
        market.deposit{value: room + 1}(client.addr);
        market.deposit{value: room}(client.addr);
        assertEq(market.balanceOf(client.addr), FUNDS + room);
    }

    function test_RevertWhen_TheRecipientIsZero() external {
        vm.expectRevert(ILotaMarket.InvalidRecipient.selector);
        vm.prank(client.addr);
        market.withdraw(address(0), 1);
    }

    function test_RevertWhen_TheBalanceIsTooSmall() external {
        _expectPoor(client.addr, FUNDS, FUNDS + 1);
        vm.prank(client.addr);
        market.withdraw(client.addr, FUNDS + 1);
    }

    function test_RevertWhen_TheRecipientRefuses() external {
        address payee = address(new RefusingPayee());
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.TransferFailed.selector, payee));
        vm.prank(client.addr);
        market.withdraw(payee, 1);
        assertEq(market.balanceOf(client.addr), FUNDS);
    }

    function test_RevertWhen_TheMoneyDoesNotLeave() external {
        address payee = address(new BouncingPayee());
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.TransferMismatch.selector, 100, 50));
        vm.prank(client.addr);
        market.withdraw(payee, 100);
    }

    function test_RevertWhen_TheRecipientIsAMaskedId() external {
        vm.expectRevert(ILotaMarket.InvalidRecipient.selector);
        vm.prank(client.addr);
        market.withdraw(MASKED, 1);
        vm.expectRevert(ILotaMarket.InvalidRecipient.selector);
        market.deposit(MASKED);
        deal(MASKED, 5);
        vm.startPrank(MASKED); // its own id
        market.deposit{value: 5}(MASKED);
        market.withdraw(MASKED, 5);
    }

    function test_RevertWhen_TheRecipientIsTheMarket() external {
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.TransferFailed.selector, address(market)));
        vm.prank(client.addr);
        market.withdraw(address(market), 1);
    }

    function test_WhenTheRecipientCallsBackIn() external {
        GreedyPayee payee = new GreedyPayee(market);
        _fund(address(payee), 10);
        payee.take(5);
        assertEq(payee.answer(), ILotaMarket.Reentered.selector);
        assertEq(payee.answerToDeposit(), ILotaMarket.Reentered.selector);
        assertEq(payee.payments(), 1);
        assertEq(market.balanceOf(address(payee)), 5);
        payee.take(5); // the guard is open again
    }

    function test_WhenTheRecipientReturnsALot() external {
        address payee = address(new VerbosePayee());
        vm.prank(client.addr);
        market.withdraw(payee, 3);
        assertEq(payee.balance, 3);
    }

    function test_WhenNothingIsWithdrawn() external {
        vm.expectEmit(address(market));
        emit ILotaMarket.Withdrawn(stranger.addr, client.addr, 0);
        vm.prank(stranger.addr);
        market.withdraw(client.addr, 0);
    }

    function test_WhenAllIsWell() external {
        vm.expectEmit(address(market));
        emit ILotaMarket.Withdrawn(client.addr, stranger.addr, 400 ether);
        vm.prank(client.addr);
        market.withdraw(stranger.addr, 400 ether);
        assertEq(stranger.addr.balance, 400 ether);
        assertEq(market.balanceOf(client.addr), FUNDS - 400 ether);
    }

    function test_RevertWhen_MoneyIsSentWithoutACall() external {
        deal(address(this), 2 ether);
        (bool bare,) = address(market).call{value: 1 ether}("");
        (bool unknown,) = address(market).call{value: 1 ether}(hex"12345678");
        assertFalse(bare || unknown);
        (bool notPayable,) =
            address(market).call{value: 1}(abi.encodeCall(ILotaMarket.withdraw, (client.addr, uint256(0))));
        assertFalse(notPayable);
    }

    function test_WhenMoneyIsForcedIn() external {
        uint256 held = address(market).balance;
        deal(address(market), held + 7 ether); // as a block reward or a self-destruction would
        assertEq(address(market).balance, held + 7 ether);
        assertEq(market.burned(), 0);
        assertEq(market.balanceOf(address(market)), 0);
    }

    function test_WhenEverythingIsWrongAtOnce() external {
        address payee = address(new RefusingPayee());
        vm.startPrank(stranger.addr);
        vm.expectRevert(ILotaMarket.InvalidRecipient.selector);
        market.withdraw(address(0), 1);
        _expectPoor(stranger.addr, 0, 1);
        market.withdraw(payee, 1);
    }
}
