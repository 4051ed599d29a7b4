// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {Vm} from "forge-std/Vm.sol";
import {ILotaMarket} from "../../src/interfaces/ILotaMarket.sol";

/// @dev Refuses money.
contract RefusingPayee {
    error No();

    receive() external payable {
        revert No();
    }
}

/// @dev Takes money and returns 100,000 bytes.
contract VerbosePayee {
    receive() external payable {
        assembly {
            return(0, 100000)
        }
    }
}

/// @dev Withdraws once more while it is paid, deposits, and notes how that went.
contract GreedyPayee {
    ILotaMarket private immutable _MARKET;
    uint256 public payments;
    bytes4 public answer;
    bytes4 public answerToDeposit;

    constructor(ILotaMarket market) {
        _MARKET = market;
    }

    function take(uint256 amount) external {
        _MARKET.withdraw(address(this), amount);
    }

    receive() external payable {
        if (++payments > 1) return;
        (bool success, bytes memory why) = address(_MARKET).call(abi.encodeCall(_MARKET.withdraw, (address(this), 1)));
        if (!success) answer = bytes4(why);
        (success, why) = address(_MARKET).call{value: 1}(abi.encodeCall(_MARKET.deposit, (address(this))));
        if (!success) answerToDeposit = bytes4(why);
    }
}

/// @dev Takes money and forces a part of it back, so that the market loses less than it paid: as on FVM a payment to an id that
/// nobody has, which succeeds and moves nothing.
contract BouncingPayee {
    Vm private constant VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    receive() external payable {
        VM.deal(msg.sender, msg.sender.balance + msg.value / 2);
    }
}
