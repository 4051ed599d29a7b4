// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

/// @title AccountSlot: an account's free balance and the window of its lane 0, in one storage slot; or, without a balance, the
/// window of another lane
/// @dev From the highest bit on:
///
///     | 128 bits: balance, in the asset's smallest unit | 64 bits: next | 64 bits: spent |
///
/// `next` is the lowest number that is not spent (so 2^64 - 1 never is), and bit i of `spent` says that number next + i is; bit 0
/// is never set. A packed struct of Solidity's would be read and written field by field, and copied to memory: 500 gas.
type AccountSlot is uint256;

using AccountSlots for AccountSlot global;

library AccountSlots {
    uint256 private constant _BALANCE_SHIFT = 128;
    uint256 private constant _NEXT_SHIFT = 64;
    uint256 private constant _WINDOW = 64;

    // ------------------------------------------------------------------------------------------------------------
    // Balances
    // ------------------------------------------------------------------------------------------------------------

    function balance(AccountSlot slot) internal pure returns (uint256) {
        return AccountSlot.unwrap(slot) >> _BALANCE_SHIFT;
    }

    /// @dev Reverts when there is no room; `amount` must be below 2^128.
    function plus(AccountSlot slot, uint256 amount) internal pure returns (AccountSlot) {
        return AccountSlot.wrap(AccountSlot.unwrap(slot) + (amount << _BALANCE_SHIFT));
    }

    /// @dev Reverts when the balance is smaller; `amount` must be below 2^128.
    function minus(AccountSlot slot, uint256 amount) internal pure returns (AccountSlot) {
        return AccountSlot.wrap(AccountSlot.unwrap(slot) - (amount << _BALANCE_SHIFT));
    }

    // ------------------------------------------------------------------------------------------------------------
    // Salts, by their numbers below 2^64
    // ------------------------------------------------------------------------------------------------------------

    function next(AccountSlot slot) internal pure returns (uint256) {
        return uint64(AccountSlot.unwrap(slot) >> _NEXT_SHIFT);
    }

    function isSpent(AccountSlot slot, uint256 number) internal pure returns (bool) {
        return number < next(slot) || (_spent(slot) >> _index(slot, number)) & 1 != 0;
    }

    /// @dev For a number that is not spent.
    function isTooFar(AccountSlot slot, uint256 number) internal pure returns (bool) {
        return _index(slot, number) >= _WINDOW || number == type(uint64).max;
    }

    /// @dev For a number that is neither spent nor too far.
    function spend(AccountSlot slot, uint256 number) internal pure returns (AccountSlot) {
        return _withWindow(slot, next(slot), _spent(slot) | (1 << _index(slot, number)));
    }

    /// @dev Spends all numbers below `upTo`.
    function spendBelow(AccountSlot slot, uint256 upTo) internal pure returns (AccountSlot) {
        uint256 first = next(slot);
        return upTo > first ? _withWindow(slot, upTo, _spent(slot) >> (upTo - first)) : slot;
    }

    /// @dev Where in the window a number is that is not below `next`.
    function _index(AccountSlot slot, uint256 number) private pure returns (uint256) {
        unchecked {
            return number - next(slot);
        }
    }

    function _spent(AccountSlot slot) private pure returns (uint256) {
        return uint64(AccountSlot.unwrap(slot));
    }

    /// @dev Slides the window on past spent numbers.
    function _withWindow(AccountSlot slot, uint256 first, uint256 spent) private pure returns (AccountSlot) {
        for (; spent & 1 != 0; spent >>= 1) {
            ++first;
        }
        return AccountSlot.wrap((balance(slot) << _BALANCE_SHIFT) | (first << _NEXT_SHIFT) | spent);
    }
}
