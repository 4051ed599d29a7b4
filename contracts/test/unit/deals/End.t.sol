// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {Rails} from "../../../src/abstracts/Rails.sol";
import {IFilecoinPayDeals} from "../../../src/interfaces/IFilecoinPayDeals.sol";
import {ILotaMarket} from "../../../src/interfaces/ILotaMarket.sol";
import {DealsTest} from "../../base/DealsTest.sol";

contract DealsEndTest is DealsTest {
    function _assertSettled(IFilecoinPayDeals.Order memory o) private {
        _assertGone(o);
        _assertPromised(PRICE, PRICE);
        _assertPay(PAY_FUNDS, PRICE, 0);
        assertEq(market.balanceOf(provider.addr), FUNDS + COLLATERAL, "the collateral is back");
        vm.expectEmit(address(deals));
        emit Rails.RailPaid(1, PRICE);
        vm.prank(stranger.addr);
        _payRail();
        _assertPromised(0, 0);
        _assertPay(PAY_FUNDS - PRICE, 0, _net(PRICE));
    }

    function test_WhenTheResultNeedsNoReview() external {
        IFilecoinPayDeals.Order memory o = _unreviewedOrder(1);
        _take(o);
        vm.expectEmit(address(deals));
        emit IFilecoinPayDeals.PriceDue(_jobId(o.terms), 1, PRICE);
        vm.expectEmit(address(market));
        emit ILotaMarket.CallbackDelivered(_jobId(o.terms));
        vm.prank(provider.addr);
        market.submitResult(o.terms, _result());
        _assertSettled(o);
    }

    function test_WhenThePayerAccepts() external {
        IFilecoinPayDeals.Order memory o = _order();
        vm.expectRevert(abi.encodeWithSelector(IFilecoinPayDeals.NotTaken.selector, _jobId(o.terms)));
        deals.accept(o.terms, _paidReceipt());
        _submitResult(o);
        _expectWrongSender(provider.addr, client.addr);
        vm.prank(provider.addr);
        deals.accept(o.terms, _paidReceipt());
        vm.prank(client.addr);
        deals.accept(o.terms, _paidReceipt());
        _assertSettled(o);
    }

    function test_WhenTheReviewWindowPasses() external {
        IFilecoinPayDeals.Order memory o = _order();
        _submitResult(o);
        vm.warp(START + o.terms.reviewFor + 1);
        vm.prank(stranger.addr);
        market.settle(o.terms, _paidReceipt());
        _assertSettled(o);
    }

    function test_WhenTheArbiterUpholds() external {
        IFilecoinPayDeals.Order memory o = _order();
        _submitResult(o);
        vm.startPrank(arbiter.addr);
        market.dispute(o.terms);
        market.rule(o.terms, _paidReceipt(), ILotaMarket.Verdict.Upheld);
        vm.stopPrank();
        _assertSettled(o);
    }

    /// @dev The payer has its money back, and what it is owed.
    function _assertFailed(IFilecoinPayDeals.Order memory o, uint256 refund) private {
        _assertGone(o);
        _assertPromised(0, 0);
        _payRail(); // nothing is due
        _assertPay(PAY_FUNDS, PRICE, 0);
        vm.prank(stranger.addr);
        _rails().release(1);
        _assertPay(PAY_FUNDS, 0, 0);
        assertEq(deals.owed(client.addr), refund);
        assertEq(market.balanceOf(address(deals)), refund);
        if (refund == 0) return;
        vm.prank(client.addr);
        deals.withdraw(client.addr);
        assertEq(client.addr.balance, refund);
        assertEq(deals.owed(client.addr), 0);
        vm.prank(client.addr);
        deals.withdraw(client.addr); // once
        assertEq(client.addr.balance, refund);
    }

    function test_WhenNoResultComes() external {
        IFilecoinPayDeals.Order memory o = _order();
        _take(o);
        vm.warp(START + o.terms.runFor + 1);
        vm.expectEmit(address(deals));
        emit IFilecoinPayDeals.PriceFreed(_jobId(o.terms), 1, PRICE, COLLATERAL / 2);
        market.expire(o.terms);
        _assertFailed(o, COLLATERAL / 2);
    }

    function test_WhenTheProviderGivesUp() external {
        IFilecoinPayDeals.Order memory o = _order();
        o.terms.collateral = 1 gwei * 3; // an odd number of quanta: half of it is not a whole one
        _take(o);
        vm.prank(provider.addr);
        market.giveUp(o.terms);
        _assertFailed(o, 1.5 gwei);
    }

    function test_WhenTheArbiterOverturns() external {
        IFilecoinPayDeals.Order memory o = _order();
        _submitResult(o);
        vm.startPrank(arbiter.addr);
        market.dispute(o.terms);
        market.rule(o.terms, _paidReceipt(), ILotaMarket.Verdict.Overturned);
        vm.stopPrank();
        _assertFailed(o, COLLATERAL / 2);
    }

    function test_WhenTheArbiterCannotDecideOrDoesNot() external {
        IFilecoinPayDeals.Order memory o = _order();
        _submitResult(o);
        vm.prank(arbiter.addr);
        market.dispute(o.terms);
        uint256 snapshot = vm.snapshotState();
        vm.prank(arbiter.addr);
        market.rule(o.terms, _paidReceipt(), ILotaMarket.Verdict.Void);
        _assertFailed(o, 0);
        assertTrue(vm.revertToState(snapshot));
        vm.warp(START + o.terms.ruleFor + 1);
        market.lapse(o.terms, _paidReceipt());
        _assertFailed(o, 0);
    }

    function test_WhenThePayerTriesToTakeTheMoneyBack() external {
        IFilecoinPayDeals.Order memory o = _order();
        _take(o);
        uint256 end = block.number + filecoinPay.getRail(1).lockupPeriod;
        // It withdraws what it can, its approval, and terminates the rail; its account is in debt besides.
        vm.startPrank(client.addr);
        vm.expectRevert();
        filecoinPay.withdraw(address(dollar), PAY_FUNDS - PRICE + 1);
        filecoinPay.setOperatorApproval(address(dollar), address(deals), false, 0, 0, 0);
        vm.expectEmit(address(deals));
        emit Rails.RailClosing(1, end);
        filecoinPay.terminateRail(1);
        vm.stopPrank();
        _putIntoDebt(address(dollar), client.addr);
        // At the deal's very last deadline, and as late as the grace allows.
        vm.warp(START + o.terms.runFor);
        vm.prank(provider.addr);
        market.submitResult(o.terms, _result());
        vm.warp(START + o.terms.runFor + o.terms.reviewFor);
        vm.prank(arbiter.addr);
        market.dispute(o.terms);
        vm.warp(START + o.terms.runFor + o.terms.reviewFor + o.terms.ruleFor);
        vm.prank(arbiter.addr);
        market.rule(o.terms, _paidReceipt(), ILotaMarket.Verdict.Upheld);
        vm.roll(end - 1);
        filecoinPay.settleRail(1, block.number);
        _payRail();
        (uint256 funds,) = _funds(address(dollar), provider.addr);
        assertEq(funds, _net(PRICE));
        assertGe((end - 1 - 1_000_000) * EPOCH, 9 hours + GRACE, "the rail lived long enough");
    }

    function test_WhenADealFailsAfterItsRailWasTerminated() external {
        IFilecoinPayDeals.Order memory o = _order();
        _take(o);
        vm.prank(client.addr);
        filecoinPay.terminateRail(1);
        vm.warp(START + o.terms.runFor + 1);
        market.expire(o.terms);
        _assertFailed(o, COLLATERAL / 2);
    }

    function test_WhenWhatWasLetGoIsPromisedAgain() external {
        _approve(address(dollar), client.addr, address(deals), PRICE);
        IFilecoinPayDeals.Order memory o = _order(1);
        _take(o);
        vm.prank(provider.addr);
        market.giveUp(o.terms);
        _take(_order(2)); // without a release between them, and though the allowance is no more than this
        _assertPromised(PRICE, 0);
        _assertPay(PAY_FUNDS, PRICE, 0);
        assertEq(filecoinPay.getRail(1).lockupFixed, PRICE);
    }

    function test_WhenManyJobsOfAPairAreSettled() external {
        for (uint256 i = 1; i <= 5; ++i) {
            IFilecoinPayDeals.Order memory o = _unreviewedOrder(i);
            _take(o);
            if (i == 5) break;
            vm.prank(provider.addr);
            market.submitResult(o.terms, _result());
        }
        _assertPromised(5 * PRICE, 4 * PRICE);
        _payRail();
        _assertPromised(PRICE, 0);
        _assertPay(PAY_FUNDS - 4 * PRICE, PRICE, _net(4 * PRICE));
    }

    function test_WhenSomebodyElseCallsBack() external {
        IFilecoinPayDeals.Order memory o = _order();
        _take(o);
        bytes memory why = abi.encodeWithSelector(IFilecoinPayDeals.NotTheMarket.selector, provider.addr);
        vm.startPrank(provider.addr);
        vm.expectRevert(why);
        deals.onJobResult(_jobId(o.terms), _result());
        vm.expectRevert(why);
        deals.onJobFailed(_jobId(o.terms), ILotaMarket.Reason.NotSubmitted);
        vm.stopPrank();
        _assertPromised(PRICE, 0);
    }
}
