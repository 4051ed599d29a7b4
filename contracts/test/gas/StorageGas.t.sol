// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {VmSafe} from "forge-std/Vm.sol";
import {ICurioMarket} from "../../src/interfaces/ICurioMarket.sol";
import {IPdpListener, IPossessionRecord} from "../../src/interfaces/IPossessionRecord.sol";
import {CurioMarketTestBase} from "../base/CurioMarketTestBase.sol";
import {Published} from "../base/Published.sol";

/// @dev A cheatcode that this forge-std does not declare yet.
interface EvmVersions {
    function setEvmVersion(string calldata version) external;
}

/// @title StorageGasTest: what deals and recorded proofs cost, as {GasTest} measures it
/// @dev Whole transactions, as if PDPVerifier and the miner's actor were accounts: what they do themselves is not ours. On Filecoin gas
/// is another unit.
contract StorageGasTest is CurioMarketTestBase, Published {
    function setUp() external {
        EvmVersions(address(vm)).setEvmVersion("prague");
        vm.roll(1_000);
    }

    function _note(string memory name) private {
        VmSafe.Gas memory last = vm.lastCallGas();
        vm.snapshotValue("storage", name, last.gasTotalUsed);
    }

    function test_Deals() external {
        market = ICurioMarket(_publish("CurioMarket", abi.encode(address(0))));
        vm.startPrank(CLIENT);
        market.announce(_proposal());
        market.announce(_proposal());
        _note("Curio: announce");
        vm.stopPrank();
        market.verifyDeal(_view(1));
        _note("Curio: verifyDeal (a view)");
        _notify(_params(7, 2_000_000, _change(ROOT, 21, 1)));
        _note("Curio: a sector with one piece");
        vm.prank(CLIENT);
        market.withdraw(2);
        _note("Curio: withdraw");
    }

    function test_Proofs() external {
        address verifier = makeAddr("PDPVerifier");
        vm.etch(verifier, hex"00");
        IPossessionRecord kept =
            IPossessionRecord(_publish("PossessionRecord", abi.encode(verifier, uint64(2880), uint64(60), uint64(5))));
        vm.startPrank(verifier);
        kept.dataSetCreated(1, address(this), "");
        _note("PDP: dataSetCreated");
        IPdpListener.Cid[] memory pieces = new IPdpListener.Cid[](1);
        pieces[0].data = _proposal().pieceCid;
        kept.piecesAdded(1, 0, pieces, "");
        _note("PDP: piecesAdded, one");
        kept.nextProvingPeriod(1, 1_000 + 2_880 - 60, 1, "");
        _note("PDP: nextProvingPeriod, the first");
        vm.roll(1_000 + 2_880);
        kept.possessionProven(1, 1, 1, 5);
        _note("PDP: possessionProven, the first");
        vm.roll(1_001 + 2_880);
        kept.nextProvingPeriod(1, 1_000 + 2 * 2_880 - 60, 1, "");
        _note("PDP: nextProvingPeriod");
        vm.roll(1_000 + 2 * 2_880);
        kept.possessionProven(1, 1, 1, 5);
        _note("PDP: possessionProven");
    }
}
