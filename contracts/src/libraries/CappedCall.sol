// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../interfaces/ILotaMarket.sol";

/// @title CappedCall: calls into code of others, whose returned data is not copied beyond one word
/// @dev Solidity's own calls copy all of it, at the caller's cost: that is why there is assembly here.
library CappedCall {
    /// @dev A call with `gasLimit`, or 63/64 of what is left when that is less ({requireGas}). An account without code succeeds.
    /// @return success whether it did not revert
    /// @return size how many bytes it returned
    /// @return word the first 32 of them, when there are as many
    function call(address to, uint256 value, bytes memory data, uint256 gasLimit)
        internal
        returns (bool success, uint256 size, uint256 word)
    {
        assembly ("memory-safe") {
            success := call(gasLimit, to, value, add(data, 0x20), mload(data), 0x00, 0x20)
            size := returndatasize()
            word := mload(0x00)
        }
    }

    /// @dev The same for what may not change anything.
    /// @return success whether it did not revert and returned a word
    function read(address to, bytes memory data, uint256 gasLimit) internal view returns (bool success, uint256 word) {
        assembly ("memory-safe") {
            success := staticcall(gasLimit, to, add(data, 0x20), mload(data), 0x00, 0x20)
            success := and(success, gt(returndatasize(), 0x1f))
            word := mload(0x00)
        }
    }

    /// @dev A call without value of what returns nothing, and the selector of the error when it fails.
    /// @return success whether it did not revert; that of an account without code succeeds
    /// @return why the first four bytes of a revert's data; 0 when there are fewer
    function attempt(address to, bytes memory data, uint256 gasLimit) internal returns (bool success, bytes4 why) {
        assembly ("memory-safe") {
            mstore(0x00, 0)
            success := call(gasLimit, to, 0, add(data, 0x20), mload(data), 0x00, 0x04)
            if and(iszero(success), gt(returndatasize(), 0x03)) { why := mload(0x00) }
        }
    }

    /// @dev The same for what may not change anything.
    function check(address to, bytes memory data, uint256 gasLimit) internal view returns (bool success, bytes4 why) {
        assembly ("memory-safe") {
            mstore(0x00, 0)
            success := staticcall(gasLimit, to, add(data, 0x20), mload(data), 0x00, 0x04)
            if and(iszero(success), gt(returndatasize(), 0x03)) { why := mload(0x00) }
        }
    }

    /// @dev Reverts unless a call with `gasLimit` made now is given exactly that (EIP-150 passes on at most 63/64 of what
    /// is left) and something remains beside it. `gasReserve` must cover the price of the call itself too.
    function requireGas(uint256 gasLimit, uint256 gasReserve) internal view {
        // FVM writes what has changed in storage at the next call, and charges for it: in a large market, more than any
        // reserve. This call, of nothing, makes it do so before the look at the gas.
        read(address(this), "", 0);
        uint256 needed = gasLimit + gasLimit / 63 + 1 + gasReserve;
        if (gasleft() < needed) revert ILotaMarket.InsufficientGas(gasleft(), needed);
    }
}
