// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket, LotaClient} from "../../src/LotaClient.sol";
import {TestDollar} from "../../src/examples/TestDollar.sol";
import {ClientTest} from "./ClientTest.sol";
import {OddToken, TestClient} from "./mocks/TestClient.sol";

/// @dev Clients in markets whose asset is a token.
contract TokensTest is ClientTest {
    TestDollar private dollar;
    TestClient private client;

    function setUp() public override {
        super.setUp();
        dollar = new TestDollar();
        market = _market(address(dollar), 1);
        client = new TestClient(market, 500_000);
        dollar.mint(asker, 100e6);
        dollar.mint(provider, 100e6);
        vm.startPrank(provider);
        dollar.approve(address(market), 100e6);
        market.depositToken(provider, 100e6);
        vm.stopPrank();
    }

    function _collect(uint256 amount) private {
        vm.startPrank(asker);
        dollar.approve(address(client), amount);
        client.collect(amount);
        vm.stopPrank();
    }

    function _open() private returns (ILotaMarket.Terms memory terms) {
        _collect(5e6 + 1);
        ILotaMarket.Terms memory with = client.terms(5e6 + 1);
        vm.recordLogs();
        vm.prank(asker);
        client.openJob(with, "{}", asker, 0);
        (terms,) = _opened();
    }

    function test_AJobIsPaidInDollars() external {
        _run(_open(), _result("42"));
        assertEq(client.results(), 1);
        assertEq(market.balanceOf(provider), 105e6 + 1);
        assertEq(dollar.balanceOf(asker), 95e6 - 1);
    }

    function test_DollarsAreRefunded() external {
        ILotaMarket.Terms memory terms = _open();
        vm.startPrank(provider);
        market.lock(terms);
        market.giveUp(terms);
        vm.stopPrank();
        assertEq(client.owed(asker), 7.5e6 + 1, "half of an odd collateral is rounded down");
        vm.startPrank(asker);
        client.withdraw();
        client.withdraw();
        assertEq(dollar.balanceOf(asker), 102.5e6);
        assertEq(market.balanceOf(address(client)), 0);
    }

    function test_NothingStaysBehind() external {
        for (uint256 i = 0; i < 3; ++i) {
            _collect(5e6);
        }
        assertEq(market.balanceOf(address(client)), 15e6);
        assertEq(dollar.balanceOf(address(client)), 0);
        assertEq(dollar.allowance(address(client), address(market)), 0);
        assertEq(dollar.allowance(asker, address(client)), 0);
    }

    function test_RevertWhen_ValueComesAlong() external {
        vm.startPrank(asker);
        vm.expectRevert(abi.encodeWithSelector(LotaClient.WrongValue.selector, 1, 0));
        client.collect{value: 1}(1);
        ILotaMarket.Terms memory with = client.terms(1e6);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.WrongAsset.selector, address(dollar)));
        client.openJob{value: 1e6}(with, "{}", asker, 1e6);
    }

    function test_RevertWhen_TheSenderApprovedTooLittle() external {
        vm.startPrank(asker);
        dollar.approve(address(client), 5e6 - 1);
        vm.expectRevert(abi.encodeWithSelector(LotaClient.TokenRefused.selector, 5e6));
        client.collect(5e6);
    }

    /// @dev Somebody who approved the contract is not made to pay for others.
    function test_RevertWhen_AnotherApproved() external {
        vm.prank(asker);
        dollar.approve(address(client), 5e6);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(LotaClient.TokenRefused.selector, 5e6));
        client.collect(5e6);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Tokens of other kinds
    // ------------------------------------------------------------------------------------------------------------

    function _odd(OddToken.Kind kind) private returns (OddToken token, TestClient with) {
        token = new OddToken(kind);
        market = _market(address(token), 1);
        with = new TestClient(market, 500_000);
        token.mint(asker, 100e6);
        vm.prank(asker);
        token.approve(address(with), 10e6);
    }

    function test_ATokenThatReturnsNothing() external {
        (OddToken token, TestClient with) = _odd(OddToken.Kind.ReturnsNothing);
        vm.startPrank(asker);
        with.collect(5e6);
        with.collect(5e6); // the allowance of before is used up, so it may be set again
        assertEq(market.balanceOf(address(with)), 10e6);
        assertEq(token.balanceOf(address(market)), 10e6);
    }

    function test_RevertWhen_TheTokenReturnsFalse() external {
        (, TestClient with) = _odd(OddToken.Kind.ReturnsFalse);
        vm.prank(asker);
        vm.expectRevert(abi.encodeWithSelector(LotaClient.TokenRefused.selector, 5e6));
        with.collect(5e6);
    }

    /// @dev Too little arrives here; and even if the contract has some tokens itself, the market notices.
    function test_RevertWhen_TheTokenTakesAFee() external {
        (OddToken token, TestClient with) = _odd(OddToken.Kind.TakesAFee);
        vm.startPrank(asker);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.TransferFailed.selector, address(market)));
        with.collect(5e6);
        token.mint(address(with), 5e6);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.TransferMismatch.selector, 5e6, 4.95e6));
        with.collect(5e6);
    }
}
