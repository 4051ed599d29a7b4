// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {TestDollar} from "../../src/examples/TestDollar.sol";
import {IFilecoinPay} from "../../src/interfaces/IFilecoinPay.sol";
import {CallActorByIdDouble} from "../mocks/BuiltinActorsDouble.sol";
import {FilecoinPayStandIn} from "../mocks/FilecoinPayStandIn.sol";
import {Test} from "./Test.sol";

/// @title IWholeFilecoinPay: what payers and strangers call of FilecoinPayV1
interface IWholeFilecoinPay is IFilecoinPay {
    function accounts(address token, address owner)
        external
        view
        returns (uint256 funds, uint256 lockupCurrent, uint256 lockupRate, uint256 lockupLastSettledAt);
    function deposit(address token, address to, uint256 amount) external payable;
    function withdraw(address token, uint256 amount) external;
    function setOperatorApproval(
        address token,
        address operator,
        bool approved,
        uint256 rateAllowance,
        uint256 lockupAllowance,
        uint256 maxLockupPeriod
    ) external;
    function terminateRail(uint256 railId) external;
    function settleRail(uint256 railId, uint256 untilEpoch) external;
}

/// @title FilecoinPayTest: Filecoin Pay, and accounts in it
/// @dev The stand-in; or FilecoinPayV1 itself when its creation bytecode is in FILECOIN_PAY_BYTECODE (docs/granters.md says how to make it).
abstract contract FilecoinPayTest is Test {
    address internal constant PRECOMPILE = 0xfe00000000000000000000000000000000000005;
    uint256 internal constant EPOCH = 30;
    uint256 internal constant GRACE = 30 days;
    /// @dev Epochs of a month, and the one that has begun.
    uint256 internal constant GRACE_PERIOD = 86_401;

    IWholeFilecoinPay internal filecoinPay;
    TestDollar internal dollar;

    function _deployFilecoinPay() internal {
        dollar = new TestDollar();
        vm.etch(PRECOMPILE, type(CallActorByIdDouble).runtimeCode);
        bytes memory real = vm.envOr("FILECOIN_PAY_BYTECODE", bytes(""));
        address deployed;
        if (real.length == 0) {
            deployed = address(new FilecoinPayStandIn());
        } else {
            assembly ("memory-safe") {
                deployed := create(0, add(real, 0x20), mload(real))
            }
            assertTrue(deployed != address(0), "FILECOIN_PAY_BYTECODE is no creation bytecode");
        }
        filecoinPay = IWholeFilecoinPay(deployed);
    }

    /// @dev Puts money into an account: dollars, or the chain's coin for token zero.
    function _depositPay(address token, address to, uint256 amount) internal {
        if (token == address(0)) {
            vm.deal(address(this), amount);
            filecoinPay.deposit{value: amount}(token, to, amount);
        } else {
            dollar.mint(address(this), amount);
            dollar.approve(address(filecoinPay), amount);
            filecoinPay.deposit(token, to, amount);
        }
    }

    function _approve(address token, address payer, address operator, uint256 allowance) internal {
        _approve(token, payer, operator, true, allowance, 365 days / EPOCH);
    }

    function _approve(
        address token,
        address payer,
        address operator,
        bool approved,
        uint256 allowance,
        uint256 maxPeriod
    ) internal {
        vm.prank(payer);
        filecoinPay.setOperatorApproval(token, operator, approved, 0, allowance, maxPeriod);
    }

    /// @dev The payer's account owes more to another operator's rail from the next blocks on than it has.
    function _putIntoDebt(address token, address payer) internal {
        address operator = makeAddr("another operator");
        (,, uint256 available,) = filecoinPay.getAccountInfoIfSettled(token, payer);
        vm.prank(payer);
        filecoinPay.setOperatorApproval(token, operator, true, type(uint256).max, type(uint256).max, 0);
        vm.startPrank(operator);
        uint256 railId = filecoinPay.createRail(token, payer, makeAddr("another payee"), address(0), 0, address(0));
        filecoinPay.modifyRailPayment(railId, available / 2, 0);
        vm.stopPrank();
        vm.roll(block.number + 5);
    }

    function _funds(address token, address owner) internal view returns (uint256 funds, uint256 locked) {
        (funds, locked,,) = filecoinPay.accounts(token, owner);
    }

    /// @dev What arrives of a payment.
    function _net(uint256 gross) internal pure returns (uint256) {
        return gross - (gross + 199) / 200;
    }
}
