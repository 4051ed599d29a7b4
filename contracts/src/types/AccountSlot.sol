// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

/// @title AccountSlot: an account's free balance and the window of its lane 0, in one storage slot
/// @param balance in the asset's smallest unit
/// @param next the lowest number that is not spent
/// @param spent bit i says that number next + i is spent; bit 0 is never set
struct AccountSlot {
    uint128 balance;
    uint64 next;
    uint64 spent;
}

/// @dev The window of any other lane.
struct Lane {
    uint64 next;
    uint64 spent;
}

/// @title Windows: which of a lane's numbers are spent
/// @dev A window is (next, spent) as in {AccountSlot}. 2^64 - 1 is never spent, so `next` never overflows.
library Windows {
    uint256 private constant _SIZE = 64;

    function isSpent(uint64 next, uint64 spent, uint64 number) internal pure returns (bool) {
        if (number < next) return true;
        uint256 ahead = number - next;
        return ahead < _SIZE && (spent >> ahead) & 1 != 0;
    }

    /// @dev For a number that is not spent.
    function isTooFar(uint64 next, uint64 number) internal pure returns (bool) {
        return number == type(uint64).max || number - next >= _SIZE;
    }

    /// @dev For a number that is neither spent nor too far.
    function spend(uint64 next, uint64 spent, uint64 number) internal pure returns (uint64, uint64) {
        return _slide(next, spent | uint64(1 << (number - next)));
    }

    /// @dev Spends all numbers below `upTo`.
    function spendBelow(uint64 next, uint64 spent, uint64 upTo) internal pure returns (uint64, uint64) {
        if (upTo <= next) return (next, spent);
        return _slide(upTo, spent >> (upTo - next));
    }

    function _slide(uint64 next, uint64 spent) private pure returns (uint64, uint64) {
        for (; spent & 1 != 0; spent >>= 1) {
            ++next;
        }
        return (next, spent);
    }
}
