// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {VmSafe} from "forge-std/Vm.sol";
import {BonusGranter} from "../../src/granters/BonusGranter.sol";
import {FilecoinPayGranter} from "../../src/granters/FilecoinPayGranter.sol";
import {IGranter} from "../../src/interfaces/IGranter.sol";
import {ActorsTest} from "../base/ActorsTest.sol";
import {GranterTest} from "../base/GranterTest.sol";
import {FilecoinPayTest} from "../base/FilecoinPayTest.sol";
import {Published} from "../base/Published.sol";
import {MetaAllocatorDouble} from "../mocks/BuiltinActorsDouble.sol";

/// @dev A cheatcode that this forge-std does not declare yet.
interface EvmVersions {
    function setEvmVersion(string calldata version) external;
}

/// @title GranterGasTest: what grants cost, as {GasTest} measures it
/// @dev Whole transactions, as if the blessing contract was an account. Filecoin Pay is the stand-in, the actors are doubles: on
/// Filecoin gas is another unit, and docs/granters.md has what was measured there.
contract GranterGasTest is ActorsTest, Published {
    uint256 private constant MIB = 1 << 20;

    function setUp() external {
        EvmVersions(address(vm)).setEvmVersion("prague");
        _deployActors();
    }

    function _note(string memory name) private {
        VmSafe.Gas memory last = vm.lastCallGas();
        vm.snapshotValue("granters", name, last.gasTotalUsed);
    }

    function test_Granters() external {
        bytes memory client = bytes.concat(hex"01", bytes20(uint160(7)));
        IGranter granter = IGranter(_publish("VerifregGranter", abi.encode(blessing)));
        registry.setVerifier(address(granter), MIB << 20);
        _make(granter, _grant(1, client, MIB));
        _make(granter, _grant(2, client, MIB));
        _note("Verifreg: grant");
        MetaAllocatorDouble allocator = new MetaAllocatorDouble();
        granter = IGranter(_publish("MetaAllocatorGranter", abi.encode(blessing, allocator)));
        registry.setVerifier(address(allocator), MIB << 20);
        allocator.setAllowance(address(granter), MIB << 20);
        _make(granter, _grant(3, client, MIB));
        _note("MetaAllocator: grant");
        granter = IGranter(_publish("RequestOnlyGranter", abi.encode(blessing)));
        _make(granter, _grant(4, client, MIB));
        _note("RequestOnly: grant");
        BonusGranter.Limits memory limits = BonusGranter.Limits(1 ether, 10 ether, 100 ether, 30 days);
        granter =
            IGranter(_publish("BonusGranter", abi.encode(blessing, address(0), limits, address(9), type(uint64).max)));
        vm.deal(address(granter), 10 ether);
        address payee = makeAddr("payee");
        vm.deal(payee, 1);
        _make(granter, _grant(5, _evm(payee), 1 ether));
        _note("Bonus: grant, the first to a provider");
        _make(granter, _grant(6, _evm(payee), 1 ether));
        _note("Bonus: grant");
    }
}

/// @title RailGasTest: what payments by rails cost
contract RailGasTest is GranterTest, FilecoinPayTest, Published {
    uint256 private constant COUNT = 32;

    address private sponsor = makeAddr("sponsor");
    FilecoinPayGranter private granter;

    function setUp() external {
        EvmVersions(address(vm)).setEvmVersion("prague");
        _deployFilecoinPay();
        granter = FilecoinPayGranter(
            _publish("FilecoinPayGranter", abi.encode(blessing, filecoinPay, address(dollar), sponsor, EPOCH, GRACE))
        );
        _depositPay(address(dollar), sponsor, 1e12);
        _approve(address(dollar), sponsor, address(granter), 1e12);
        // Somebody was paid before: Filecoin Pay's own fee account is not written for the first time.
        _make(granter, _grant(1000, _evm(vm.addr(1000)), 1e6));
        granter.pay(_one(vm.addr(1000)));
    }

    function _gas() private view returns (uint256) {
        VmSafe.Gas memory last = vm.lastCallGas();
        return last.gasTotalUsed;
    }

    function _note(string memory name, uint256 gas) private {
        vm.snapshotValue("granters", string.concat("FilecoinPay: ", name), gas);
    }

    function _one(address to) private view returns (uint256[] memory list) {
        list = new uint256[](1);
        list[0] = granter.railOf(sponsor, to);
    }

    /// @dev As after a while: what payers and payees have is not written for the first time.
    function _alone(address to) private returns (uint256 grantGas, uint256 payGas) {
        _make(granter, _grant(1, _evm(to), 1e6));
        _note("grant, the first to a recipient", _gas());
        granter.pay(_one(to));
        _note("pay, the first to a recipient", _gas());
        _make(granter, _grant(2, _evm(to), 1e6));
        grantGas = _gas();
        uint256[] memory list = _one(to);
        granter.pay(list);
        payGas = _gas();
    }

    function test_Rails() external {
        (uint256 grantGas, uint256 payGas) = _alone(vm.addr(1));
        _note("grant", grantGas);
        _note("pay, one rail", payGas);
        _note("a payment alone (grant and pay)", grantGas + payGas);
        uint256 inAll = 0;
        for (uint256 i = 0; i < COUNT; ++i) {
            _make(granter, _grant(10 + i, _evm(vm.addr(1)), 1e6));
            inAll += _gas();
        }
        granter.pay(_one(vm.addr(1)));
        inAll += _gas();
        _note("32 payments to one recipient, each", inAll / COUNT);
    }

    function test_Batches() external {
        uint256[] memory rails = new uint256[](COUNT);
        for (uint256 round = 0; round < 2; ++round) {
            uint256 inAll = 0;
            for (uint256 i = 0; i < COUNT; ++i) {
                _make(granter, _grant(100 * round + i, _evm(vm.addr(i + 1)), 1e6));
                inAll += _gas();
                rails[i] = granter.railOf(sponsor, vm.addr(i + 1));
            }
            granter.pay(rails);
            if (round == 0) continue;
            _note("pay, 32 rails, each", _gas() / COUNT);
            _note("32 payments to 32 recipients, each", (inAll + _gas()) / COUNT);
        }
    }
}
