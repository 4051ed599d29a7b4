// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {IBlessing} from "../../src/interfaces/IBlessing.sol";
import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";
import {Test} from "../base/Test.sol";
import {TestGranter} from "../mocks/Granters.sol";
import {BlessingHandler} from "./BlessingHandler.sol";

/// @title BlessingInvariantTest: what must always hold in a blessing; README.md says it in prose
contract BlessingInvariantTest is Test {
    BlessingHandler private handler;

    function setUp() external {
        vm.warp(1_800_000_000);
        ILotaMarket.Settings memory ofMarket = ILotaMarket.Settings({
            asset: address(0),
            quantum: 1 gwei,
            minWindow: 60,
            maxCallbackGas: 1_000_000,
            callbackReserve: 20_000,
            signatureGas: 200_000
        });
        ILotaMarket market = ILotaMarket(deployCode("LotaMarket.sol:LotaMarket", abi.encode(ofMarket)));
        address[] memory notaries = new address[](5);
        IBlessing.Ballot[] memory ballots = new IBlessing.Ballot[](1);
        for (uint256 i = 0; i < 5; ++i) {
            notaries[i] = makeAddr(string.concat("notary ", vm.toString(i)));
        }
        // One decides at first, so that it can admit the granter by itself.
        IBlessing.Settings memory s = IBlessing.Settings(1 ether, 100, 30, 120, 100, 300_000);
        IBlessing blessing = IBlessing(deployCode("Blessing.sol:Blessing", abi.encode(market, s, notaries, uint32(1))));
        TestGranter granter = new TestGranter();
        ballots[0].notary = notaries[0];
        vm.startPrank(notaries[0]);
        blessing.setGranter(
            address(granter), IBlessing.Limits(1 ether, 2 ether, 3 ether), uint64(block.timestamp), ballots
        );
        vm.stopPrank();
        handler = new BlessingHandler(market, notaries, granter, blessing);
        bytes4[] memory selectors = new bytes4[](18);
        selectors[0] = BlessingHandler.fund.selector;
        selectors[1] = BlessingHandler.withdraw.selector;
        selectors[2] = BlessingHandler.setAside.selector;
        selectors[3] = BlessingHandler.takeBack.selector;
        selectors[4] = BlessingHandler.force.selector;
        selectors[5] = BlessingHandler.warp.selector;
        selectors[6] = BlessingHandler.warpToEdge.selector;
        selectors[7] = BlessingHandler.setMood.selector;
        selectors[8] = BlessingHandler.register.selector;
        selectors[9] = BlessingHandler.setNotaries.selector;
        selectors[10] = BlessingHandler.nominate.selector;
        selectors[11] = BlessingHandler.vote.selector;
        selectors[12] = BlessingHandler.grant.selector;
        selectors[13] = BlessingHandler.expire.selector;
        selectors[14] = BlessingHandler.sweep.selector;
        // Nominations and votes come in numbers.
        selectors[15] = BlessingHandler.nominate.selector;
        selectors[16] = BlessingHandler.vote.selector;
        selectors[17] = BlessingHandler.grant.selector;
        targetContract(address(handler));
        targetSelector(FuzzSelector(address(handler), selectors));
    }

    /// @dev One campaign for all of them.
    function invariant_AllThatMustHold() external view {
        handler.moneyIsAccountedFor();
        handler.jobsAreTheLedgers();
        handler.limitsHold();
        handler.nobodyGotIn();
    }

    function afterInvariant() external {
        handler.finish(makeAddr("stranger"));
    }
}
