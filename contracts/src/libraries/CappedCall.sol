// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../interfaces/ILotaMarket.sol";

/// @title CappedCall: calls into code of others, whose returned data is not copied beyond one word
library CappedCall {
    /// @dev Calls `to` with exactly `gasLimit`; an account without code succeeds.
    function call(address to, bytes memory data, uint256 gasLimit, uint256 gasReserve) internal returns (bool success) {
        requireGas(gasLimit, gasReserve);
        assembly ("memory-safe") {
            success := call(gasLimit, to, 0, add(data, 0x20), mload(data), 0x00, 0x00)
        }
    }

    /// @dev Reads one word from `to` with exactly `gasLimit`; zero when the call fails or returns less than a word.
    function read(address to, bytes memory data, uint256 gasLimit, uint256 gasReserve)
        internal
        view
        returns (bytes32 word)
    {
        requireGas(gasLimit, gasReserve);
        assembly ("memory-safe") {
            let success := staticcall(gasLimit, to, add(data, 0x20), mload(data), 0x00, 0x20)
            if and(success, gt(returndatasize(), 0x1f)) { word := mload(0x00) }
        }
    }

    /// @dev Sends money with all the gas there is.
    function pay(address to, uint256 amount) internal returns (bool success) {
        assembly ("memory-safe") {
            success := call(gas(), to, amount, 0x00, 0x00, 0x00, 0x00)
        }
    }

    /// @dev Reverts unless a call with `gasLimit` made now is given exactly that (EIP-150 passes on at most 63/64 of what
    /// is left) and something remains beside it. `gasReserve` must cover the price of the call itself too.
    function requireGas(uint256 gasLimit, uint256 gasReserve) private view {
        uint256 needed = gasLimit + gasLimit / 63 + 1 + gasReserve;
        if (gasleft() < needed) revert ILotaMarket.InsufficientGas(gasleft(), needed);
    }
}
