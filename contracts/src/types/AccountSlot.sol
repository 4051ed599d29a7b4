// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

/// @title AccountSlot: an account's free balance and the salts it spent last, in one storage slot
/// @dev From the highest bit on:
///
///     | 128 bits: balance in attoFIL | 64 bits: window | 64 bits: spent |
///
/// Bit i of `spent` says that salt 64 * window + i is spent. A client that counts its salts up touches no other slot when
/// it opens a deal, which saves a fourteenth of what a signed deal costs in all. The bits of other windows are kept
/// elsewhere (LotaMarket's _spent); only the bits here count for this window.
type AccountSlot is uint256;

using AccountSlots for AccountSlot global;

/// @dev What a mapping holds, so that a reference to it can be passed on.
struct StoredAccount {
    AccountSlot slot;
}

library AccountSlots {
    uint256 private constant _BALANCE_SHIFT = 128;
    uint256 private constant _WINDOW_SHIFT = 64;
    uint256 private constant _MASK = type(uint64).max;

    /// @dev The highest window that fits; salts above are kept elsewhere always.
    uint256 internal constant LAST_WINDOW = _MASK;

    /// @dev The window of a salt, and its bit there.
    function locate(uint256 salt) internal pure returns (uint256 number, uint256 bit) {
        number = salt >> 6;
        bit = 1 << (salt & 63);
    }

    /// @dev In attoFIL.
    function balance(AccountSlot slot) internal pure returns (uint256) {
        return AccountSlot.unwrap(slot) >> _BALANCE_SHIFT;
    }

    function window(AccountSlot slot) internal pure returns (uint256) {
        return (AccountSlot.unwrap(slot) >> _WINDOW_SHIFT) & _MASK;
    }

    function spent(AccountSlot slot) internal pure returns (uint256) {
        return AccountSlot.unwrap(slot) & _MASK;
    }

    /// @dev The balance must have room: {LotaMarket} sees to it that what is in the contract fits.
    function plus(AccountSlot slot, uint256 amount) internal pure returns (AccountSlot) {
        unchecked {
            return AccountSlot.wrap(AccountSlot.unwrap(slot) + (amount << _BALANCE_SHIFT));
        }
    }

    /// @dev The balance must be at least `amount`.
    function minus(AccountSlot slot, uint256 amount) internal pure returns (AccountSlot) {
        unchecked {
            return AccountSlot.wrap(AccountSlot.unwrap(slot) - (amount << _BALANCE_SHIFT));
        }
    }

    function withSpent(AccountSlot slot, uint256 bits) internal pure returns (AccountSlot) {
        return AccountSlot.wrap(AccountSlot.unwrap(slot) | bits);
    }

    function withWindow(AccountSlot slot, uint256 number, uint256 bits) internal pure returns (AccountSlot) {
        uint256 kept = (AccountSlot.unwrap(slot) >> _BALANCE_SHIFT) << _BALANCE_SHIFT;
        return AccountSlot.wrap(kept | (number << _WINDOW_SHIFT) | bits);
    }
}
