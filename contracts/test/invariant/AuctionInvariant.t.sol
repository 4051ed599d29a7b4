// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {ISealedBidAuction} from "../../src/interfaces/ISealedBidAuction.sol";
import {Test} from "../base/Test.sol";
import {AuctionHandler} from "./AuctionHandler.sol";

/// @title AuctionInvariantTest: what must always hold in an auction; README.md says it in prose
contract AuctionInvariantTest is Test {
    AuctionHandler private handler;

    function setUp() external {
        vm.warp(1_800_000_000);
        ILotaMarket.Settings memory settings = ILotaMarket.Settings({
            asset: address(0),
            quantum: 1 gwei,
            minWindow: 60,
            maxCallbackGas: 1_000_000,
            callbackReserve: 20_000,
            signatureGas: 200_000
        });
        ILotaMarket market = ILotaMarket(deployCode("LotaMarket.sol:LotaMarket", abi.encode(settings)));
        ISealedBidAuction auction =
            ISealedBidAuction(deployCode("SealedBidAuction.sol:SealedBidAuction", abi.encode(market, uint32(60))));
        handler = new AuctionHandler(market, auction);
        bytes4[] memory selectors = new bytes4[](15);
        selectors[0] = AuctionHandler.fund.selector;
        selectors[1] = AuctionHandler.withdraw.selector;
        selectors[2] = AuctionHandler.force.selector;
        selectors[3] = AuctionHandler.warp.selector;
        selectors[4] = AuctionHandler.warpToEdge.selector;
        selectors[5] = AuctionHandler.open.selector;
        selectors[6] = AuctionHandler.commit.selector;
        selectors[7] = AuctionHandler.reveal.selector;
        selectors[8] = AuctionHandler.award.selector;
        selectors[9] = AuctionHandler.cancel.selector;
        selectors[10] = AuctionHandler.release.selector;
        selectors[11] = AuctionHandler.sweep.selector;
        selectors[12] = AuctionHandler.expire.selector;
        // Bids come in numbers.
        selectors[13] = AuctionHandler.commit.selector;
        selectors[14] = AuctionHandler.reveal.selector;
        targetContract(address(handler));
        targetSelector(FuzzSelector(address(handler), selectors));
    }

    /// @dev One campaign for all of them.
    function invariant_AllThatMustHold() external view {
        handler.moneyIsAccountedFor();
        handler.auctionsAreTheLedgers();
        handler.nobodyGotIn();
    }

    function afterInvariant() external {
        handler.finish(makeAddr("stranger"));
    }
}
