// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../../src/interfaces/ILotaMarket.sol";
import {ISealedBidAuction} from "../../../src/interfaces/ISealedBidAuction.sol";
import {AuctionTest} from "../../base/AuctionTest.sol";
import {OddToken} from "../../mocks/OddToken.sol";
import {Visitor} from "../../mocks/Visitor.sol";

contract AuctionMoneyTest is AuctionTest {
    address private ann;
    OddToken private token;
    ISealedBidAuction private coins;
    ISealedBidAuction private tokens;
    ILotaMarket private marketOfTokens;

    function setUp() public override {
        super.setUp();
        coins = auction;
        ann = bidders[0];
        token = new OddToken();
        ILotaMarket.Settings memory settings = _settings();
        settings.asset = address(token);
        marketOfTokens = _deploy(settings);
        tokens = _deployAuction(marketOfTokens);
        token.mint(ann, ACCOUNT);
        vm.prank(ann);
        token.approve(address(tokens), ACCOUNT);
    }

    function _expectWrongAsset(address asset) private {
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.WrongAsset.selector, asset));
    }

    function _expectTransferFailed(address to) private {
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.TransferFailed.selector, to));
    }

    function test_WhenCoinsComeToAnAuctionOfCoins() external {
        vm.deal(ann, 5);
        vm.expectEmit(address(coins));
        emit ISealedBidAuction.Funded(ann, ann, 3);
        vm.prank(ann);
        coins.fund{value: 3}();
        assertEq(coins.balanceOf(ann), ACCOUNT + 3);
        assertEq(address(coins).balance, 5 * ACCOUNT + 3);
    }

    function test_RevertWhen_CoinsComeToAnAuctionOfTokens() external {
        vm.deal(ann, 5);
        _expectWrongAsset(address(token));
        vm.prank(ann);
        tokens.fund{value: 3}();
    }

    function test_RevertWhen_ThereWouldBeMoreCoinsThanCanBeCounted() external {
        vm.deal(address(coins), type(uint128).max);
        vm.deal(ann, 5);
        vm.startPrank(ann);
        _expectTransferFailed(address(coins));
        coins.fund{value: 1}();
    }

    function test_RevertWhen_TokensComeToAnAuctionOfCoins() external {
        _expectWrongAsset(address(0));
        vm.prank(ann);
        coins.fundToken(3);
    }

    function test_WhenTokensComeToAnAuctionOfTokens() external {
        vm.expectEmit(address(tokens));
        emit ISealedBidAuction.Funded(ann, ann, 3);
        vm.prank(ann);
        tokens.fundToken(3);
        assertEq(tokens.balanceOf(ann), 3);
        assertEq(token.balanceOf(address(tokens)), 3);
    }

    function test_WhenTheTokenIsOdd() external {
        vm.startPrank(ann);
        tokens.fundToken(1000);
        OddToken.Oddity[4] memory all = [
            OddToken.Oddity.ReturnsFalse,
            OddToken.Oddity.Reverts,
            OddToken.Oddity.TakesFee,
            OddToken.Oddity.MovesNothing
        ];
        for (uint256 i = 0; i < 4; ++i) {
            token.become(all[i]);
            bool refused = i < 2;
            bytes memory mismatch = abi.encodeWithSelector(ILotaMarket.TransferMismatch.selector, 100, i == 2 ? 99 : 0);
            if (refused) _expectTransferFailed(address(tokens));
            else vm.expectRevert(mismatch);
            tokens.fundToken(100);
            if (i == 2) continue; // what leaves leaves, whatever arrives
            if (refused) _expectTransferFailed(ann);
            else vm.expectRevert(mismatch);
            tokens.withdraw(ann, 100);
        }
        assertEq(tokens.balanceOf(ann), 1000);
    }

    function test_WhenTheTokenReturnsNothing() external {
        token.become(OddToken.Oddity.ReturnsNothing);
        vm.startPrank(ann);
        tokens.fundToken(100);
        tokens.withdraw(ann, 40);
        assertEq(tokens.balanceOf(ann), 60);
        assertEq(token.balanceOf(address(tokens)), 60);
    }

    function test_WhenTheTokenCallsBack() external {
        Visitor visitor = new Visitor();
        token.mint(address(visitor), 10);
        visitor.run(address(token), 0, abi.encodeCall(OddToken.approve, (address(tokens), 10)));
        visitor.run(address(tokens), 0, abi.encodeCall(ISealedBidAuction.fundToken, (4)));
        visitor.visit(address(tokens), 0, abi.encodeCall(ISealedBidAuction.fundToken, (1)));
        visitor.visit(address(tokens), 0, abi.encodeCall(ISealedBidAuction.withdraw, (address(visitor), 1)));
        token.callInstead(address(visitor));
        visitor.run(address(tokens), 0, abi.encodeCall(ISealedBidAuction.fundToken, (2)));
        visitor.run(address(tokens), 0, abi.encodeCall(ISealedBidAuction.withdraw, (address(visitor), 1)));
        assertEq(visitor.visits(), 4);
        for (uint256 i = 0; i < 4; ++i) {
            assertEq(visitor.answer(i), ILotaMarket.Reentered.selector);
        }
        assertEq(tokens.balanceOf(address(visitor)), 5);
        assertEq(token.balanceOf(address(tokens)), 5);
    }

    function test_WhenAnAccountIsPaidOut() external {
        vm.expectEmit(address(coins));
        emit ISealedBidAuction.Defunded(ann, stranger.addr, 7);
        vm.prank(ann);
        coins.withdraw(stranger.addr, 7);
        assertEq(coins.balanceOf(ann), ACCOUNT - 7);
        assertEq(stranger.addr.balance, 7);
        vm.prank(ann);
        coins.withdraw(ann, ACCOUNT - 7);
        assertEq(coins.balanceOf(ann), 0);
    }

    function test_WhenTokensArePaidOut() external {
        vm.startPrank(ann);
        tokens.fundToken(100);
        tokens.withdraw(stranger.addr, 100);
        assertEq(tokens.balanceOf(ann), 0);
        assertEq(token.balanceOf(stranger.addr), 100);
    }

    function test_RevertWhen_TheRecipientIsZero() external {
        vm.expectRevert(ILotaMarket.InvalidRecipient.selector);
        vm.prank(ann);
        coins.withdraw(address(0), 1);
    }

    function test_RevertWhen_TheRecipientHasAMaskedId() external {
        vm.expectRevert(ILotaMarket.InvalidRecipient.selector);
        vm.prank(ann);
        coins.withdraw(MASKED, ACCOUNT + 1);
        _fundBidder(MASKED, 5);
        vm.prank(MASKED);
        coins.withdraw(MASKED, 5);
        assertEq(MASKED.balance, 5);
    }

    function test_RevertWhen_TheAccountIsTooSmall() external {
        _expectPoor(ann, ACCOUNT, ACCOUNT + 1);
        vm.prank(ann);
        coins.withdraw(ann, ACCOUNT + 1);
    }

    function test_RevertWhen_TheRecipientRefuses() external {
        Visitor visitor = new Visitor();
        visitor.refuse();
        _expectTransferFailed(address(visitor));
        vm.prank(ann);
        coins.withdraw(address(visitor), 1);
    }

    function test_RevertWhen_TheRecipientIsTheAuction() external {
        _expectTransferFailed(address(coins));
        vm.prank(ann);
        coins.withdraw(address(coins), 1);
        vm.startPrank(ann);
        tokens.fundToken(1);
        vm.expectRevert(abi.encodeWithSelector(ILotaMarket.TransferMismatch.selector, 1, 0));
        tokens.withdraw(address(tokens), 1);
    }

    function test_WhenTheRecipientCallsBack() external {
        Visitor visitor = new Visitor();
        vm.deal(address(visitor), 10);
        visitor.run(address(coins), 10, abi.encodeCall(ISealedBidAuction.fund, ()));
        visitor.visit(address(coins), 1, abi.encodeCall(ISealedBidAuction.fund, ()));
        visitor.visit(address(coins), 0, abi.encodeCall(ISealedBidAuction.withdraw, (address(visitor), 1)));
        visitor.run(address(coins), 0, abi.encodeCall(ISealedBidAuction.withdraw, (address(visitor), 4)));
        assertEq(visitor.visits(), 2);
        assertEq(visitor.answer(0), ILotaMarket.Reentered.selector);
        assertEq(visitor.answer(1), ILotaMarket.Reentered.selector);
        assertEq(coins.balanceOf(address(visitor)), 6);
        assertEq(address(visitor).balance, 4);
    }

    function test_RevertWhen_CoinsAreSentWithoutAWord() external {
        vm.deal(ann, 5);
        vm.startPrank(ann);
        (bool success,) = address(coins).call{value: 1}("");
        assertFalse(success);
        (success,) = address(coins).call{value: 1}(abi.encodeCall(ISealedBidAuction.withdraw, (ann, 1)));
        assertFalse(success);
    }

    /// @dev An auction in tokens, with two bids revealed, ready to be awarded.
    function _withTokens() private returns (ILotaMarket.Terms memory t) {
        (market, auction) = (marketOfTokens, tokens);
        t = _auctioned();
        token.mint(client.addr, 10 ether);
        vm.startPrank(client.addr);
        token.approve(address(market), 10 ether);
        market.depositToken(client.addr, 10 ether);
        vm.stopPrank();
        for (uint256 i = 0; i < 2; ++i) {
            token.mint(bidders[i], 10 ether);
            vm.startPrank(bidders[i]);
            token.approve(address(auction), 10 ether);
            auction.fundToken(10 ether);
            vm.stopPrank();
        }
        _open(t);
        _commit(t, bidders[0], 1.2 ether);
        _commit(t, bidders[1], 1.6 ether);
        assertEq(auction.burned(), 2 * DEPOSIT);
        vm.warp(REVEAL_FROM);
        _reveal(t, bidders[0], 1.2 ether);
        _reveal(t, bidders[1], 1.6 ether);
        assertEq(auction.balanceOf(bidders[0]), 10 ether - COLLATERAL);
        vm.warp(REVEAL_UNTIL + 1);
    }

    function test_WhenTokensAreAuctionedWith() external {
        ILotaMarket.Terms memory t = _withTokens();
        auction.award(t);
        assertEq(market.dealOf(_jobId(t)).provider, bidders[0]);
        assertEq(market.dealOf(_jobId(t)).price, 1.6 ether);
        assertEq(token.balanceOf(address(auction)), 20 ether - COLLATERAL);
        assertEq(token.balanceOf(address(market)), 10 ether + COLLATERAL);
        assertEq(token.allowance(address(auction), address(market)), 0, "nothing is left to be taken");
        assertEq(auction.balanceOf(bidders[1]), 10 ether);
    }

    function _givesBack(ILotaMarket.Terms memory t) private {
        vm.warp(LOCK_BY + 1);
        auction.release(t);
        assertEq(auction.balanceOf(bidders[0]), 10 ether);
        assertEq(auction.balanceOf(bidders[1]), 10 ether);
        assertEq(token.balanceOf(address(auction)), 20 ether);
    }

    function test_WhenTheTokenHasNoAllowanceToGive() external {
        ILotaMarket.Terms memory t = _withTokens();
        token.become(OddToken.Oddity.CannotBeApproved);
        _expectTransferFailed(address(market));
        auction.award(t);
        _givesBack(t);
    }

    function test_WhenTheTokenTakesAFeeByNow() external {
        ILotaMarket.Terms memory t = _withTokens();
        token.become(OddToken.Oddity.TakesFee);
        vm.expectRevert(
            abi.encodeWithSelector(ILotaMarket.TransferMismatch.selector, COLLATERAL, COLLATERAL - COLLATERAL / 100)
        );
        auction.award(t);
        _givesBack(t);
    }
}
