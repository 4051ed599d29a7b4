// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {FilecoinPayDeals} from "../../../src/FilecoinPayDeals.sol";
import {IFilecoinPayDeals} from "../../../src/interfaces/IFilecoinPayDeals.sol";
import {ILotaMarket} from "../../../src/interfaces/ILotaMarket.sol";
import {DealsTest} from "../../base/DealsTest.sol";

contract DealsOpenTest is DealsTest {
    function test_RevertWhen_ItIsDeployedWithoutAMarketOrWithTooMuchCallbackGas() external {
        vm.expectRevert(IFilecoinPayDeals.BadSettings.selector);
        new FilecoinPayDeals(ILotaMarket(address(1)), CALLBACK_GAS, filecoinPay, address(dollar), EPOCH, GRACE);
        vm.expectRevert(IFilecoinPayDeals.BadSettings.selector);
        new FilecoinPayDeals(market, MAX_CALLBACK_GAS + 1, filecoinPay, address(dollar), EPOCH, GRACE);
        vm.expectRevert(IFilecoinPayDeals.BadSettings.selector);
        new FilecoinPayDeals(market, 0, filecoinPay, address(dollar), EPOCH, GRACE);
    }

    function _refuses(IFilecoinPayDeals.Order memory order, IFilecoinPayDeals.OrderFault fault) private {
        bytes memory why = abi.encodeWithSelector(IFilecoinPayDeals.BadOrder.selector, fault);
        vm.expectRevert(why);
        vm.prank(client.addr);
        deals.open(order, "", "");
        vm.expectRevert(why);
        deals.openAndTake(order, "", "");
    }

    function test_WhenTheOrderHasAFault() external {
        IFilecoinPayDeals.Order memory o = _order();
        o.maxPrice = 1 << 128;
        _refuses(o, IFilecoinPayDeals.OrderFault.Price);
        o.maxPrice = o.minPrice - 1;
        _refuses(o, IFilecoinPayDeals.OrderFault.Price);
        o.minPrice = 0;
        _refuses(o, IFilecoinPayDeals.OrderFault.Price);
        o.terms.salt = 1;
        _refuses(o, IFilecoinPayDeals.OrderFault.Salt);
        o.terms.salt = uint256(uint160(provider.addr)) << 64;
        _refuses(o, IFilecoinPayDeals.OrderFault.Salt);
        o.payer = address(0);
        _refuses(o, IFilecoinPayDeals.OrderFault.Payer);
        o.terms.keepRecord = true;
        _refuses(o, IFilecoinPayDeals.OrderFault.KeepRecord);
        o.terms.callbackGas = CALLBACK_GAS - 1;
        _refuses(o, IFilecoinPayDeals.OrderFault.CallbackGas);
        o.terms.maxPrice = 1 gwei;
        _refuses(o, IFilecoinPayDeals.OrderFault.MarketPrice);
        o.terms.matcher = address(0);
        _refuses(o, IFilecoinPayDeals.OrderFault.Matcher);
        o.terms.client = client.addr;
        _refuses(o, IFilecoinPayDeals.OrderFault.Client);
    }

    function test_WhenThePayerOpensIt() external {
        IFilecoinPayDeals.Order memory o = _order();
        bytes32 jobId = _jobId(o.terms);
        vm.expectEmit(address(deals));
        emit IFilecoinPayDeals.OrderOpened(jobId, client.addr, address(0), 10e6, 20e6);
        vm.expectEmit(address(market));
        emit ILotaMarket.JobOpened(jobId, address(deals), address(deals), o.terms, "spec");
        vm.prank(client.addr);
        assertEq(deals.open(o, "spec", ""), jobId);
        assertEq(deals.openOrder(jobId), _orderDigest(o));
        assertEq(deals.orderDigest(o), _orderDigest(o));
        _assertStatus(o.terms, ILotaMarket.Status.Open, ILotaMarket.Reason.None, false);
        _assertPay(PAY_FUNDS, 0, 0);
        assertEq(address(deals.market()), address(market));
        assertEq(deals.callbackGas(), CALLBACK_GAS);
    }

    function test_WhenAnybodyOpensItWithTheSignature() external {
        IFilecoinPayDeals.Order memory o = _order();
        bytes memory signature = _signature(o);
        vm.prank(stranger.addr);
        deals.open(o, "spec", signature);
        assertEq(deals.openOrder(_jobId(o.terms)), _orderDigest(o));
    }

    function test_WhenTheSignatureIsNotThePayers() external {
        IFilecoinPayDeals.Order memory o = _order();
        bytes memory why = abi.encodeWithSelector(ILotaMarket.BadSignature.selector, client.addr);
        vm.expectRevert(why);
        deals.open(o, "", "");
        bytes memory signature = _sign(provider, _orderDigest(o));
        vm.expectRevert(why);
        deals.open(o, "", signature);
        // Every field is signed.
        signature = _signature(o);
        IFilecoinPayDeals.Order memory other = _order();
        other.minPrice += 1;
        vm.expectRevert(why);
        deals.open(other, "", signature);
        other = _order();
        other.maxPrice += 1;
        vm.expectRevert(why);
        deals.open(other, "", signature);
        other = _order();
        other.provider = stranger.addr;
        vm.expectRevert(why);
        deals.open(other, "", signature);
        other = _order();
        other.terms.collateral = 0;
        vm.expectRevert(why);
        deals.open(other, "", signature);
    }

    function test_WhenTheChainHasForked() external {
        IFilecoinPayDeals.Order memory o = _order();
        bytes memory signature = _signature(o);
        vm.chainId(1);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.WrongChain.selector, 1));
        deals.open(o, "", signature);
    }

    function test_WhenTheOrderWasOpenedOrRevokedBefore() external {
        IFilecoinPayDeals.Order memory o = _order();
        bytes memory signature = _signature(o);
        deals.open(o, "", signature);
        _expectSpent(address(deals), o.terms.salt);
        deals.open(o, "", signature);
        vm.prank(client.addr);
        deals.cancel(o);
        _expectSpent(address(deals), o.terms.salt);
        deals.open(o, "", signature);

        o = _order(2);
        signature = _signature(o);
        vm.prank(client.addr);
        deals.revoke(3);
        _expectSpent(address(deals), o.terms.salt);
        deals.open(o, "", signature);
        // Others' orders are not touched by it.
        o = _order(3);
        vm.prank(stranger.addr);
        deals.revoke(9);
        _openOrder(o);
    }

    function test_WhenSomebodyOpensAJobInItsNameAtTheMarket() external {
        IFilecoinPayDeals.Order memory o = _order();
        bytes memory why = abi.encodeWithSelector(ILotaMarket.BadSignature.selector, address(deals));
        vm.expectRevert(why);
        market.openSigned(o.terms, "", _sign(client, _jobId(o.terms)));
        vm.expectRevert(why);
        market.openSigned(o.terms, "", "");
        _expectWrongSender(client.addr, address(deals));
        vm.prank(client.addr);
        market.open(o.terms, "");
        // Nor can the job that it opened be awarded past it.
        _openOrder(o);
        _expectWrongSender(provider.addr, address(deals));
        vm.prank(provider.addr);
        market.lock(o.terms);
        _expectWrongSender(provider.addr, address(deals));
        vm.prank(provider.addr);
        market.award(o.terms, provider.addr, 0);
    }

    function test_WhenAStrangerTriesToCancelIt() external {
        IFilecoinPayDeals.Order memory o = _order();
        vm.expectRevert(abi.encodeWithSelector(IFilecoinPayDeals.NotOpen.selector, _jobId(o.terms)));
        vm.prank(client.addr);
        deals.cancel(o);
        _openOrder(o);
        _expectWrongSender(stranger.addr, client.addr);
        vm.prank(stranger.addr);
        deals.cancel(o);
        o.payer = stranger.addr;
        vm.expectRevert(abi.encodeWithSelector(IFilecoinPayDeals.NotOpen.selector, _jobId(o.terms)));
        vm.prank(stranger.addr);
        deals.cancel(o);
    }

    function test_WhenNobodyTakesIt() external {
        IFilecoinPayDeals.Order memory o = _order();
        _openOrder(o);
        vm.prank(client.addr);
        deals.cancel(o);
        _assertGone(o);
        o = _order(2);
        _openOrder(o);
        vm.warp(o.terms.lockBy + 1);
        vm.prank(stranger.addr);
        market.expire(o.terms);
        _assertGone(o);
        assertEq(deals.owed(client.addr), 0);
    }
}
