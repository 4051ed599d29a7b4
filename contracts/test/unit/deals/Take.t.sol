// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {Rails} from "../../../src/abstracts/Rails.sol";
import {IFilecoinPay} from "../../../src/interfaces/IFilecoinPay.sol";
import {IFilecoinPayDeals} from "../../../src/interfaces/IFilecoinPayDeals.sol";
import {ILotaMarket} from "../../../src/interfaces/ILotaMarket.sol";
import {TestDollar} from "../../../src/examples/TestDollar.sol";
import {OddToken} from "../../mocks/Tokens.sol";
import {DealsTest} from "../../base/DealsTest.sol";

contract DealsTakeTest is DealsTest {
    /// @dev runFor, reviewFor, ruleFor and the grace, and the epoch that has begun.
    uint256 private constant PERIOD = (uint256(9 hours) + GRACE) / EPOCH + 1;

    /// @dev Nobody can take it, and nothing has moved.
    function _refuses(IFilecoinPayDeals.Order memory o, bytes memory why) private {
        uint256 before = provider.addr.balance;
        vm.expectRevert(why);
        vm.prank(provider.addr);
        deals.take{value: COLLATERAL}(o);
        assertEq(provider.addr.balance, before);
        _assertStatus(o.terms, ILotaMarket.Status.Open, ILotaMarket.Reason.None, false);
    }

    function test_WhenAProviderTakesIt() external {
        IFilecoinPayDeals.Order memory o = _order();
        bytes32 jobId = _jobId(o.terms);
        _openOrder(o);
        vm.expectEmit(address(deals));
        emit Rails.RailOpened(1, client.addr, provider.addr);
        vm.expectEmit(address(deals));
        emit IFilecoinPayDeals.OrderTaken(jobId, client.addr, provider.addr, 1, PRICE);
        vm.expectEmit(address(market));
        emit ILotaMarket.JobLocked(jobId, provider.addr, address(deals), 0);
        _take(o);
        _assertPay(PAY_FUNDS, PRICE, 0);
        _assertPromised(PRICE, 0);
        IFilecoinPay.RailView memory rail = filecoinPay.getRail(1);
        assertEq(rail.from, client.addr);
        assertEq(rail.to, provider.addr);
        assertEq(rail.operator, address(deals));
        assertEq(rail.lockupFixed, PRICE);
        assertEq(rail.lockupPeriod, PERIOD);
        assertEq(provider.addr.balance, 100 ether - COLLATERAL);
        assertEq(market.balanceOf(address(deals)), 0, "collateral only passes through");
        IFilecoinPayDeals.Deal memory deal = deals.dealOf(jobId);
        assertEq(deal.payer, client.addr);
        assertEq(deal.collateral, COLLATERAL);
        assertEq(deal.price, PRICE);
        assertEq(deal.railId, 1);
        assertEq(deals.openOrder(jobId), 0);
        ILotaMarket.Deal memory locked = market.dealOf(jobId);
        assertEq(locked.provider, provider.addr);
        assertEq(locked.price, 0);
    }

    function test_WhenItIsOpenedAndTakenAtOnce() external {
        IFilecoinPayDeals.Order memory o = _order();
        bytes memory signature = _signature(o);
        vm.prank(provider.addr);
        deals.openAndTake{value: COLLATERAL}(o, "spec", signature);
        _assertPromised(PRICE, 0);
        assertEq(deals.openOrder(_jobId(o.terms)), 0);
        // And when somebody opened it before.
        o = _order(2);
        signature = _signature(o);
        deals.open(o, "", signature);
        vm.prank(provider.addr);
        deals.openAndTake{value: COLLATERAL}(o, "spec", signature);
        _assertPromised(2 * PRICE, 0);
        assertEq(_railId(), 1);
        vm.prank(provider.addr);
        _expectSpent(address(deals), o.terms.salt);
        deals.openAndTake{value: COLLATERAL}(o, "spec", signature);
    }

    function test_WhenTimePasses() external {
        IFilecoinPayDeals.Order memory o = _order();
        o.terms.rampStart = uint64(START + 100);
        assertEq(deals.priceAt(o, 0), 10e6);
        assertEq(deals.priceAt(o, START + 100), 10e6);
        assertEq(deals.priceAt(o, START + 101), 10e6 + uint256(10e6) / 600);
        assertEq(deals.priceAt(o, START + 699), 10e6 + uint256(10e6) * 599 / 600);
        assertEq(deals.priceAt(o, START + 700), 20e6);
        assertEq(deals.priceAt(o, type(uint256).max), 20e6);
        _openOrder(o);
        _refuses(o, abi.encodeWithSelector(ILotaMarket.TooEarly.selector, START, START + 100));
        vm.warp(o.terms.lockBy + 1);
        _refuses(o, abi.encodeWithSelector(ILotaMarket.TooLate.selector, o.terms.lockBy + 1, o.terms.lockBy));
        vm.warp(o.terms.lockBy);
        _take(o);
        _assertPromised(20e6, 0);
    }

    function test_WhenTheOrderIsAnotherThanTheOneThatWasOpened() external {
        IFilecoinPayDeals.Order memory o = _order();
        bytes memory why = abi.encodeWithSelector(IFilecoinPayDeals.NotOpen.selector, _jobId(o.terms));
        vm.expectRevert(why);
        deals.take(o);
        _openOrder(o);
        o.maxPrice = 900e6;
        _refuses(o, why);
        o = _order();
        o.payer = stranger.addr;
        _refuses(o, why);
        _take(_order());
        vm.expectRevert(why);
        vm.prank(provider.addr);
        deals.take{value: COLLATERAL}(_order());
    }

    function test_WhenItIsForOneProviderOnly() external {
        IFilecoinPayDeals.Order memory o = _order();
        o.provider = stranger.addr;
        _openOrder(o);
        _refuses(o, abi.encodeWithSelector(ILotaMarket.WrongSender.selector, provider.addr, stranger.addr));
        vm.deal(stranger.addr, COLLATERAL);
        vm.prank(stranger.addr);
        deals.take{value: COLLATERAL}(o);
    }

    function test_WhenThePayerTakesItsOwn() external {
        IFilecoinPayDeals.Order memory o = _order();
        _openOrder(o);
        vm.deal(client.addr, COLLATERAL);
        vm.expectRevert(abi.encodeWithSelector(Rails.BadPair.selector, client.addr, client.addr));
        vm.prank(client.addr);
        deals.take{value: COLLATERAL}(o);
    }

    function test_WhenTheCollateralIsNotExactlyThere() external {
        IFilecoinPayDeals.Order memory o = _order();
        _openOrder(o);
        for (uint256 i = 0; i < 2; ++i) {
            uint256 sent = COLLATERAL - 1 + 2 * i;
            vm.expectRevert(abi.encodeWithSelector(IFilecoinPayDeals.WrongValue.selector, sent, COLLATERAL));
            vm.prank(provider.addr);
            deals.take{value: sent}(o);
        }
        o = _order(2);
        o.terms.collateral = 0;
        _take(o);
    }

    function test_WhenThePayerCannotPay() external {
        IFilecoinPayDeals.Order memory o = _order();
        _openOrder(o);
        uint256 snapshot = vm.snapshotState();
        vm.prank(client.addr);
        filecoinPay.withdraw(address(dollar), PAY_FUNDS - PRICE + 1);
        _refuses(o, abi.encodeWithSelector(Rails.NotEnoughFunds.selector, client.addr, PRICE - 1, PRICE));
        assertTrue(vm.revertToState(snapshot));
        _approve(address(dollar), client.addr, address(deals), false, PAY_FUNDS, PERIOD);
        _refuses(o, abi.encodeWithSelector(Rails.OperatorNotApproved.selector, client.addr));
        _approve(address(dollar), client.addr, address(deals), true, PRICE - 1, PERIOD);
        _refuses(o, abi.encodeWithSelector(Rails.AllowanceTooSmall.selector, client.addr, PRICE - 1, PRICE));
        _approve(address(dollar), client.addr, address(deals), true, PRICE, PERIOD - 1);
        _refuses(o, abi.encodeWithSelector(Rails.LockupPeriodTooLong.selector, client.addr, PERIOD - 1, PERIOD));
        _approve(address(dollar), client.addr, address(deals), true, PRICE, PERIOD);
        uint256 before = block.number;
        _putIntoDebt(address(dollar), client.addr);
        _refuses(o, abi.encodeWithSelector(Rails.PayerInDebt.selector, client.addr, before + 2));
        _depositPay(address(dollar), client.addr, 10 * PAY_FUNDS);
        _take(o);
    }

    function test_WhenThePayerTerminatedTheRail() external {
        _take(_order(1));
        vm.prank(client.addr);
        filecoinPay.terminateRail(1);
        IFilecoinPayDeals.Order memory o = _order(2);
        _openOrder(o);
        _refuses(o, abi.encodeWithSelector(Rails.RailTerminated.selector, 1));
        vm.prank(client.addr);
        _rails().renewRail(provider.addr);
        _take(o);
        assertEq(_railId(), 2);
    }

    function test_WhenALaterDealNeedsALongerPeriod() external {
        _take(_order(1));
        IFilecoinPayDeals.Order memory o = _order(2);
        o.terms.ruleFor += 30 days;
        _take(o);
        assertEq(filecoinPay.getRail(1).lockupPeriod, PERIOD + GRACE / EPOCH);
        _take(_order(3)); // and it stays as long
        assertEq(filecoinPay.getRail(1).lockupPeriod, PERIOD + GRACE / EPOCH);
        _assertPromised(3 * PRICE, 0);
    }

    function test_WhenTheMarketsAssetIsAToken() external {
        TestDollar coin = new TestDollar();
        ILotaMarket.Settings memory s = _settings();
        (s.asset, s.quantum) = (address(coin), 1);
        market = _deploy(s);
        deals = _deployDeals(market);
        _approve(address(dollar), client.addr, address(deals), PAY_FUNDS);
        IFilecoinPayDeals.Order memory o = _order();
        o.terms.collateral = 5e6;
        _openOrder(o);
        vm.expectRevert(abi.encodeWithSelector(IFilecoinPayDeals.WrongValue.selector, 1, 0));
        vm.prank(provider.addr);
        deals.take{value: 1}(o);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.TransferFailed.selector, address(deals)));
        vm.prank(provider.addr);
        deals.take(o);
        coin.mint(provider.addr, 5e6);
        vm.startPrank(provider.addr);
        coin.approve(address(deals), 5e6);
        deals.take(o);
        market.submitResult(o.terms, _result());
        vm.stopPrank();
        vm.prank(client.addr);
        deals.accept(o.terms, _paidReceipt());
        assertEq(market.balanceOf(provider.addr), 5e6);
        _payRail();
        _assertPay(PAY_FUNDS - PRICE, 0, _net(PRICE));
    }

    function test_WhenTheTokenCallsBack() external {
        OddToken odd = new OddToken();
        ILotaMarket.Settings memory s = _settings();
        (s.asset, s.quantum) = (address(odd), 1);
        market = _deploy(s);
        deals = _deployDeals(market);
        _approve(address(dollar), client.addr, address(deals), PAY_FUNDS);
        IFilecoinPayDeals.Order memory o = _order(1);
        o.terms.collateral = 5;
        _openOrder(o);
        bytes[] memory attempts = new bytes[](5);
        attempts[0] = abi.encodeCall(deals.take, (o));
        attempts[1] = abi.encodeCall(deals.openAndTake, (o, "", ""));
        attempts[2] = abi.encodeCall(deals.cancel, (o));
        attempts[3] = abi.encodeCall(deals.withdraw, (client.addr));
        attempts[4] = abi.encodeCall(deals.accept, (o.terms, _paidReceipt()));
        odd.setAttempts(address(deals), attempts);
        odd.set(OddToken.Mood.CallsBack);
        odd.mint(provider.addr, 5);
        vm.prank(provider.addr);
        deals.take(o);
        bytes4[] memory answers = odd.answers();
        assertEq(answers.length, 10, "as the collateral comes here, and as it goes to the market");
        for (uint256 i = 0; i < answers.length; ++i) {
            assertEq(answers[i], IFilecoinPayDeals.Reentered.selector);
        }
        _assertPromised(PRICE, 0);
    }
}
