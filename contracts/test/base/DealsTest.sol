// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {Rails} from "../../src/abstracts/Rails.sol";
import {IFilecoinPayDeals} from "../../src/interfaces/IFilecoinPayDeals.sol";
import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {Eip712} from "./Eip712.sol";
import {FilecoinPayTest} from "./FilecoinPayTest.sol";
import {MarketTest} from "./MarketTest.sol";

/// @title DealsTest: a market of the chain's coin whose jobs are paid in dollars from Filecoin Pay accounts
/// @dev The payer is MarketTest's `client`, with an account and an approval; the provider has coins.
abstract contract DealsTest is MarketTest, FilecoinPayTest {
    uint32 internal constant CALLBACK_GAS = 100_000;
    uint256 internal constant PAY_FUNDS = 1000e6;
    uint256 internal constant COLLATERAL = 3 ether;
    /// @dev A tenth of the ramp from 10 to 20 dollars.
    uint256 internal constant PRICE = 11e6;

    IFilecoinPayDeals internal deals;

    function setUp() public virtual override {
        super.setUp();
        _deployFilecoinPay();
        deals = _deployDeals(market);
        _depositPay(address(dollar), client.addr, PAY_FUNDS);
        _approve(address(dollar), client.addr, address(deals), PAY_FUNDS);
        vm.deal(provider.addr, 100 ether);
    }

    function _deployDeals(ILotaMarket at) internal virtual returns (IFilecoinPayDeals) {
        return IFilecoinPayDeals(
            deployCode(
                "FilecoinPayDeals.sol:FilecoinPayDeals",
                abi.encode(at, CALLBACK_GAS, filecoinPay, address(dollar), EPOCH, GRACE)
            )
        );
    }

    // ------------------------------------------------------------------------------------------------------------
    // Values
    // ------------------------------------------------------------------------------------------------------------

    function _order() internal view returns (IFilecoinPayDeals.Order memory) {
        return _order(1);
    }

    function _order(uint256 number) internal view returns (IFilecoinPayDeals.Order memory order) {
        order.terms = _terms(address(deals), uint256(uint160(client.addr)) << 64 | number);
        (order.terms.minPrice, order.terms.maxPrice) = (0, 0);
        order.terms.matcher = address(deals);
        order.terms.callbackGas = CALLBACK_GAS;
        order.terms.keepRecord = false;
        order.payer = client.addr;
        (order.minPrice, order.maxPrice) = (10e6, 20e6);
    }

    function _unreviewedOrder(uint256 number) internal view returns (IFilecoinPayDeals.Order memory order) {
        order = _order(number);
        (order.terms.arbiter, order.terms.reviewFor, order.terms.ruleFor) = (address(0), 0, 0);
    }

    /// @dev Written down once more, in the plainest way.
    function _orderDigest(IFilecoinPayDeals.Order memory order) internal view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("LotaFilecoinPayDeals"),
                keccak256("1"),
                block.chainid,
                address(deals)
            )
        );
        bytes32 typehash =
            keccak256("Order(bytes32 jobId,address payer,address provider,uint256 minPrice,uint256 maxPrice)");
        return Eip712.digest(
            domain,
            keccak256(
                abi.encode(typehash, _jobId(order.terms), order.payer, order.provider, order.minPrice, order.maxPrice)
            )
        );
    }

    function _signature(IFilecoinPayDeals.Order memory order) internal view returns (bytes memory) {
        return _sign(client, _orderDigest(order));
    }

    function _paidReceipt() internal view returns (ILotaMarket.Receipt memory receipt) {
        receipt = _receipt();
        receipt.price = 0;
    }

    function _railId() internal view returns (uint256) {
        return _rails().railOf(client.addr, provider.addr);
    }

    function _rails() internal view returns (Rails) {
        return Rails(address(deals));
    }

    // ------------------------------------------------------------------------------------------------------------
    // Steps
    // ------------------------------------------------------------------------------------------------------------

    function _openOrder(IFilecoinPayDeals.Order memory order) internal {
        vm.prank(order.payer);
        deals.open(order, "", "");
    }

    function _take(IFilecoinPayDeals.Order memory order) internal {
        if (deals.openOrder(_jobId(order.terms)) == 0) _openOrder(order);
        vm.prank(provider.addr);
        deals.take{value: order.terms.collateral}(order);
    }

    function _submitResult(IFilecoinPayDeals.Order memory order) internal {
        _take(order);
        vm.prank(provider.addr);
        market.submitResult(order.terms, _result());
    }

    function _payRail() internal {
        uint256[] memory list = new uint256[](1);
        list[0] = _railId();
        _rails().pay(list);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Assertions
    // ------------------------------------------------------------------------------------------------------------

    function _assertPromised(uint256 needed, uint256 due) internal view {
        (uint256 foundNeeded, uint256 foundDue) = _rails().promised(_railId());
        assertEq(foundNeeded, needed, "needed");
        assertEq(foundDue, due, "due");
    }

    /// @dev Of the payer and the provider at Filecoin Pay.
    function _assertPay(uint256 payerFunds, uint256 payerLocked, uint256 providerFunds) internal view {
        (uint256 funds, uint256 locked) = _funds(address(dollar), client.addr);
        assertEq(funds, payerFunds, "the payer's funds");
        assertEq(locked, payerLocked, "the payer's lockup");
        (funds,) = _funds(address(dollar), provider.addr);
        assertEq(funds, providerFunds, "the provider's funds");
    }

    /// @dev Nothing is stored of the job any more, here and at the market.
    function _assertGone(IFilecoinPayDeals.Order memory order) internal view {
        bytes32 jobId = _jobId(order.terms);
        assertEq(deals.openOrder(jobId), 0);
        assertEq(abi.encode(deals.dealOf(jobId)), new bytes(128));
        _assertStatus(order.terms, ILotaMarket.Status.None, ILotaMarket.Reason.None, false);
    }
}
