// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {TestDollar} from "../../src/examples/TestDollar.sol";
import {MarketTest} from "../base/MarketTest.sol";
import {ScriptedClient} from "../mocks/Clients.sol";
import {OddToken} from "../mocks/Tokens.sol";

contract TokenTest is MarketTest {
    uint256 private constant USD = 1e6;

    TestDollar private token;
    OddToken private odd;
    ILotaMarket private oddMarket;

    function setUp() public override {
        super.setUp();
        token = new TestDollar();
        odd = new OddToken();
        ILotaMarket.Settings memory s = _settings();
        (s.asset, s.quantum) = (address(odd), 1);
        oddMarket = _deploy(s);
        s.asset = address(token);
        market = _deploy(s);
        token.mint(client.addr, 1000 * USD);
        odd.mint(client.addr, 1000 * USD);
        vm.prank(client.addr);
        token.approve(address(market), 100 * USD);
    }

    function _permit(uint256 amount, uint256 deadline) private view returns (uint8 v, bytes32 r, bytes32 s) {
        bytes32 structHash = keccak256(
            abi.encode(
                token.PERMIT_TYPEHASH(), client.addr, address(market), amount, token.nonces(client.addr), deadline
            )
        );
        (v, r, s) = vm.sign(client.key, keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), structHash)));
    }

    function _authorize(address to, uint256 amount) private view returns (uint8 v, bytes32 r, bytes32 s) {
        bytes32 structHash = keccak256(
            abi.encode(
                token.RECEIVE_WITH_AUTHORIZATION_TYPEHASH(),
                client.addr,
                to,
                amount,
                START - 1,
                START + 1,
                bytes32("once")
            )
        );
        (v, r, s) = vm.sign(client.key, keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), structHash)));
    }

    function _depositAuthorized(address from, uint256 amount, uint8 v, bytes32 r, bytes32 s) private {
        market.depositTokenWithAuthorization(from, amount, START - 1, START + 1, "once", v, r, s);
    }

    function _expectFailed(address to) private {
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.TransferFailed.selector, to));
    }

    function _expectMoved(uint256 asked, uint256 moved) private {
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.TransferMismatch.selector, asked, moved));
    }

    // ------------------------------------------------------------------------------------------------------------

    function test_RevertWhen_TheAssetIsAnother() external {
        bytes memory wrong = abi.encodeWithSelector(ILotaMarket.WrongAsset.selector, address(token));
        deal(client.addr, 1 ether);
        vm.startPrank(client.addr);
        vm.expectRevert(wrong);
        market.deposit{value: 1}(client.addr);
        vm.expectRevert(wrong);
        market.deposit(address(0)); // the asset comes first
        ILotaMarket.Terms memory t = _terms();
        t.rampPeriod = 0;
        vm.expectRevert(wrong);
        market.open{value: 1}(t, "");
        market = _deploy();
        wrong = abi.encodeWithSelector(ILotaMarket.WrongAsset.selector, address(0));
        vm.expectRevert(wrong);
        market.depositToken(address(0), 1);
        vm.expectRevert(wrong);
        market.depositTokenWithPermit(address(0), 1, 0, 0, 0, 0);
        vm.expectRevert(wrong);
        market.depositTokenWithAuthorization(address(0), 1, 0, 0, 0, 0, 0, 0);
    }

    function test_RevertWhen_TheRecipientIsRefused() external {
        address[2] memory refused = [address(0), MASKED];
        for (uint256 i = 0; i < 2; ++i) {
            vm.expectRevert(ILotaMarket.InvalidRecipient.selector);
            market.depositToken(refused[i], 1);
            vm.expectRevert(ILotaMarket.InvalidRecipient.selector);
            market.depositTokenWithPermit(refused[i], 1, 0, 0, 0, 0);
            vm.expectRevert(ILotaMarket.InvalidRecipient.selector);
            market.depositTokenWithAuthorization(refused[i], 1, 0, 0, 0, 0, 0, 0);
            vm.expectRevert(ILotaMarket.InvalidRecipient.selector);
            market.withdraw(refused[i], 0);
        }
    }

    function test_WhenTheSenderApproved() external {
        vm.expectEmit(address(market));
        emit ILotaMarket.Deposited(stranger.addr, client.addr, 60 * USD);
        vm.startPrank(client.addr);
        market.depositToken(stranger.addr, 60 * USD);
        assertEq(market.balanceOf(stranger.addr), 60 * USD);
        assertEq(market.balanceOf(client.addr), 0);
        assertEq(token.balanceOf(address(market)), 60 * USD);
        _expectFailed(address(market)); // 40 are left of the allowance
        market.depositToken(client.addr, 41 * USD);
        market.depositToken(client.addr, 0);
        market.depositToken(client.addr, 40 * USD);
        assertEq(market.balanceOf(client.addr), 40 * USD);
    }

    function test_WhenAPermitComesAlong() external {
        vm.startPrank(client.addr);
        token.approve(address(market), 0);
        (uint8 v, bytes32 r, bytes32 s) = _permit(5 * USD, START);
        market.depositTokenWithPermit(client.addr, 5 * USD, START, v, r, s);
        assertEq(market.balanceOf(client.addr), 5 * USD);
        // Somebody else brought it before: it fails, and the allowance is there.
        (v, r, s) = _permit(6 * USD, START);
        token.permit(client.addr, address(market), 6 * USD, START, v, r, s);
        market.depositTokenWithPermit(client.addr, 6 * USD, START, v, r, s);
        assertEq(market.balanceOf(client.addr), 11 * USD);
        // It fails, and there is no allowance.
        _expectFailed(address(market));
        market.depositTokenWithPermit(client.addr, 6 * USD, START, v, r, s);
    }

    /// @dev A permit is for the sender's money only.
    function test_RevertWhen_ThePermitIsAnothers() external {
        (uint8 v, bytes32 r, bytes32 s) = _permit(5 * USD, START);
        _expectFailed(address(market));
        vm.prank(stranger.addr);
        market.depositTokenWithPermit(stranger.addr, 5 * USD, START, v, r, s);
    }

    function test_WhenTheTokenHasNoPermits() external {
        odd.mint(address(this), 9);
        oddMarket.depositTokenWithPermit(client.addr, 9, 0, 0, 0, 0);
        assertEq(oddMarket.balanceOf(client.addr), 9);
    }

    function test_WhenAnAuthorizationIsBroughtByAnyone() external {
        (uint8 v, bytes32 r, bytes32 s) = _authorize(address(market), 7 * USD);
        vm.expectEmit(address(market));
        emit ILotaMarket.Deposited(client.addr, client.addr, 7 * USD);
        vm.prank(stranger.addr);
        _depositAuthorized(client.addr, 7 * USD, v, r, s);
        assertEq(market.balanceOf(client.addr), 7 * USD);
        assertEq(market.balanceOf(stranger.addr), 0);
        _expectFailed(address(market)); // once
        _depositAuthorized(client.addr, 7 * USD, v, r, s);
    }

    function test_RevertWhen_AnAuthorizationIsForAnother() external {
        (uint8 v, bytes32 r, bytes32 s) = _authorize(address(oddMarket), 7 * USD);
        _expectFailed(address(market));
        _depositAuthorized(client.addr, 7 * USD, v, r, s);
        (v, r, s) = _authorize(address(market), 7 * USD);
        _expectFailed(address(market));
        _depositAuthorized(client.addr, 8 * USD, v, r, s);
        _expectFailed(address(market));
        _depositAuthorized(stranger.addr, 7 * USD, v, r, s);
        vm.expectRevert(abi.encodeWithSelector(TestDollar.NotTheRecipient.selector, address(this)));
        token.receiveWithAuthorization(client.addr, address(market), 7 * USD, START - 1, START + 1, "once", v, r, s);
    }

    function test_WhenADealIsPaidInTokens() external {
        vm.prank(client.addr);
        market.depositToken(client.addr, 10 * USD);
        vm.prank(client.addr);
        token.approve(address(market), 10 * USD);
        vm.prank(client.addr);
        market.depositToken(provider.addr, 10 * USD);
        ILotaMarket.Terms memory t = _unreviewed();
        (t.minPrice, t.maxPrice, t.collateral) = (USD, 2 * USD + 3, 3 * USD + 1);
        _submit(t);
        uint256 price = USD + (USD + 3) / 10;
        assertEq(market.balanceOf(client.addr), 10 * USD - price);
        assertEq(market.balanceOf(provider.addr), 10 * USD + price);
        vm.expectEmit(address(market));
        emit ILotaMarket.Withdrawn(provider.addr, stranger.addr, 10 * USD + price);
        vm.prank(provider.addr);
        market.withdraw(stranger.addr, 10 * USD + price);
        assertEq(token.balanceOf(stranger.addr), 10 * USD + price);
        assertEq(token.balanceOf(address(market)), 10 * USD - price);
    }

    function test_WhenTheTokenIsOddButHonest() external {
        OddToken.Mood[3] memory moods = [OddToken.Mood.Fine, OddToken.Mood.ReturnsNothing, OddToken.Mood.ReturnBomb];
        vm.startPrank(client.addr);
        for (uint256 i = 0; i < 3; ++i) {
            odd.set(moods[i]);
            oddMarket.depositToken(client.addr, 10 * USD);
            assertEq(oddMarket.balanceOf(client.addr), 10 * USD);
            oddMarket.withdraw(client.addr, 10 * USD);
            assertEq(odd.balanceOf(client.addr), 1000 * USD);
        }
    }

    function test_RevertWhen_TheTokenRefuses() external {
        OddToken.Mood[4] memory moods =
            [OddToken.Mood.Reverts, OddToken.Mood.ReturnsFalse, OddToken.Mood.ReturnsTwo, OddToken.Mood.ReturnsOneByte];
        vm.startPrank(client.addr);
        oddMarket.depositToken(client.addr, 10 * USD);
        for (uint256 i = 0; i < 4; ++i) {
            odd.set(moods[i]);
            _expectFailed(address(oddMarket));
            oddMarket.depositToken(client.addr, USD);
            _expectFailed(stranger.addr);
            oddMarket.withdraw(stranger.addr, USD);
        }
        odd.set(OddToken.Mood.HidesBalances);
        _expectFailed(address(oddMarket));
        oddMarket.depositToken(client.addr, USD);
        _expectFailed(address(oddMarket));
        oddMarket.withdraw(stranger.addr, USD);
        assertEq(oddMarket.balanceOf(client.addr), 10 * USD);
    }

    function test_RevertWhen_AnotherAmountMoves() external {
        vm.startPrank(client.addr);
        oddMarket.depositToken(client.addr, 100);
        odd.set(OddToken.Mood.Lies);
        _expectMoved(50, 0);
        oddMarket.depositToken(client.addr, 50);
        _expectMoved(50, 0);
        oddMarket.withdraw(client.addr, 50);
        odd.set(OddToken.Mood.TakesAFee);
        _expectMoved(200, 198);
        oddMarket.depositToken(client.addr, 200);
        odd.set(OddToken.Mood.MovesTooMuch);
        _expectMoved(50, 51);
        oddMarket.depositToken(client.addr, 50);
        _expectMoved(50, 51);
        oddMarket.withdraw(client.addr, 50);
        odd.set(OddToken.Mood.MovesBackwards);
        _expectMoved(50, 0);
        oddMarket.depositToken(client.addr, 50);
        _expectMoved(50, 0);
        oddMarket.withdraw(client.addr, 50);
        odd.set(OddToken.Mood.Fine);
        _expectMoved(50, 0);
        oddMarket.withdraw(address(oddMarket), 50);
        oddMarket.withdraw(client.addr, 100);
    }

    function test_RevertWhen_TheMarketWouldHoldTooMuch() external {
        uint256 most = type(uint128).max;
        odd.mint(stranger.addr, most);
        vm.startPrank(stranger.addr);
        oddMarket.depositToken(stranger.addr, most - 1);
        odd.mint(stranger.addr, 1);
        _expectFailed(address(oddMarket));
        oddMarket.depositToken(stranger.addr, 2);
        oddMarket.depositToken(client.addr, 1);
        assertEq(oddMarket.balanceOf(stranger.addr), most - 1);
    }

    function test_WhenTheTokenCallsBack() external {
        bytes[] memory attempts = new bytes[](8);
        attempts[0] = abi.encodeCall(ILotaMarket.depositToken, (client.addr, 1));
        attempts[1] = abi.encodeCall(ILotaMarket.open, (_terms(address(odd), 1), ""));
        attempts[2] = abi.encodeCall(ILotaMarket.withdraw, (client.addr, 1));
        attempts[3] = abi.encodeCall(ILotaMarket.depositTokenWithPermit, (client.addr, 1, 0, 0, 0, 0));
        attempts[4] = abi.encodeCall(ILotaMarket.depositTokenWithAuthorization, (client.addr, 1, 0, 0, 0, 0, 0, 0));
        attempts[5] = abi.encodeCall(ILotaMarket.deposit, (client.addr));
        attempts[6] = abi.encodeCall(ILotaMarket.multicall, (new bytes[](0)));
        attempts[7] = abi.encodeCall(ILotaMarket.balanceOf, (client.addr)); // a view
        odd.setAttempts(address(oddMarket), attempts);
        odd.set(OddToken.Mood.CallsBack);
        vm.startPrank(client.addr);
        oddMarket.depositToken(client.addr, 10);
        oddMarket.withdraw(client.addr, 10);
        bytes4[] memory answers = odd.answers();
        assertEq(answers.length, 16);
        for (uint256 i = 0; i < 16; ++i) {
            assertEq(answers[i], i % 8 == 7 ? bytes4(0) : ILotaMarket.Reentered.selector);
        }
    }

    /// @dev A deposit from within a callback calls the token, and leaves the guard as it was: closed.
    function test_WhenAClientDepositsFromWithinItsCallback() external {
        ScriptedClient script = new ScriptedClient(market);
        token.mint(address(script), 50);
        vm.prank(address(script));
        token.approve(address(market), 50);
        bytes[] memory attempts = new bytes[](4);
        attempts[0] = abi.encodeCall(ILotaMarket.depositToken, (address(script), 20));
        attempts[1] = abi.encodeCall(ILotaMarket.withdraw, (address(script), 1));
        attempts[2] = abi.encodeCall(ILotaMarket.depositToken, (address(script), 30));
        attempts[3] = abi.encodeCall(ILotaMarket.revoke, (0, 9));
        script.setAttempts(attempts);
        script.setMood(ScriptedClient.Mood.Reenter);
        ILotaMarket.Terms memory t = _terms(address(script), 1);
        (t.minPrice, t.maxPrice, t.collateral, t.callbackGas) = (0, 0, 0, 900_000);
        _bring(t, ILotaMarket.Status.Cancelled);
        bytes4[] memory answers = script.answersSeen();
        assertEq(answers.length, 4);
        for (uint256 i = 0; i < 4; ++i) {
            assertEq(answers[i], i % 2 == 0 ? bytes4(0) : ILotaMarket.Reentered.selector);
        }
        assertEq(market.balanceOf(address(script)), 50);
        script.run(attempts[1]); // open again behind it
    }
}
