// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {TestDollar} from "../../src/examples/TestDollar.sol";
import {Test} from "../base/Test.sol";
import {Handler} from "./Handler.sol";

/// @title MarketInvariantTest: what must always hold; README.md says it in prose
abstract contract MarketInvariantBase is Test {
    /// @dev Of a block on Ethereum; a callback may ask for two millions of it here.
    uint256 private constant BLOCK_GAS = 30_000_000;

    ILotaMarket private market;
    Handler private handler;

    function _asset() internal virtual returns (address asset, uint64 quantum);

    function setUp() external {
        vm.warp(1_800_000_000);
        (address asset, uint64 quantum) = _asset();
        ILotaMarket.Settings memory settings = ILotaMarket.Settings({
            asset: asset,
            quantum: quantum,
            minWindow: 60,
            maxCallbackGas: 2_000_000,
            callbackReserve: 20_000,
            signatureGas: 200_000
        });
        market = ILotaMarket(deployCode("LotaMarket.sol:LotaMarket", abi.encode(settings)));
        handler = new Handler(market);
        bytes4[] memory selectors = new bytes4[](27);
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
        selectors[25] = Handler.giveUp.selector;
        selectors[26] = Handler.plan.selector;
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

contract MarketInvariantTest is MarketInvariantBase {
    function _asset() internal pure override returns (address, uint64) {
        return (address(0), 1 gwei);
    }
}

/// @dev The same with a token of 6 decimals.
contract TokenMarketInvariantTest is MarketInvariantBase {
    function _asset() internal override returns (address, uint64) {
        return (address(new TestDollar()), 1);
    }
}
