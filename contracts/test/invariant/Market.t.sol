// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {Test} from "../base/Test.sol";
import {Handler} from "./Handler.sol";

/// @title MarketInvariantTest: what must always hold; README.md says it in prose
contract MarketInvariantTest is Test {
    /// @dev Of a block on Ethereum; a callback may ask for a million of it here.
    uint256 private constant BLOCK_GAS = 30_000_000;

    ILotaMarket private market;
    Handler private handler;

    function setUp() external {
        vm.warp(1_800_000_000);
        ILotaMarket.Settings memory settings = ILotaMarket.Settings({
            minWindow: 60, maxCallbackGas: 1_000_000, callbackReserve: 20_000, signatureGas: 200_000
        });
        market = ILotaMarket(deployCode("LotaMarket.sol:LotaMarket", abi.encode(settings)));
        handler = new Handler(market);
        bytes4[] memory selectors = new bytes4[](25);
        selectors[0] = Handler.deposit.selector;
        selectors[1] = Handler.withdraw.selector;
        selectors[2] = Handler.force.selector;
        selectors[3] = Handler.warp.selector;
        selectors[4] = Handler.warpToDeadline.selector;
        selectors[5] = Handler.setMood.selector;
        selectors[6] = Handler.open.selector;
        selectors[7] = Handler.openSigned.selector;
        selectors[8] = Handler.openSignedAndLock.selector;
        selectors[9] = Handler.revoke.selector;
        selectors[10] = Handler.lock.selector;
        selectors[11] = Handler.award.selector;
        selectors[12] = Handler.cancel.selector;
        selectors[13] = Handler.expire.selector;
        selectors[14] = Handler.submitResult.selector;
        selectors[15] = Handler.accept.selector;
        selectors[16] = Handler.settle.selector;
        selectors[17] = Handler.dispute.selector;
        selectors[18] = Handler.rule.selector;
        selectors[19] = Handler.lapse.selector;
        selectors[20] = Handler.retryCallback.selector;
        selectors[21] = Handler.meddle.selector;
        selectors[22] = Handler.settleBatch.selector;
        selectors[23] = Handler.multicall.selector;
        selectors[24] = Handler.advance.selector;
        targetContract(address(handler));
        targetSelector(FuzzSelector(address(handler), selectors));
    }

    /// @dev One campaign for all of them.
    function invariant_AllThatMustHold() external view {
        handler.moneyIsAccountedFor();
        handler.balancesAreTheLedgers();
        handler.dealsAreTheLedgers();
        handler.saltsAreSpentOnce();
        handler.nobodyGotIn();
    }

    function afterInvariant() external {
        handler.finish(makeAddr("stranger"), BLOCK_GAS);
        handler.everythingIsOver();
    }
}
