// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ILotaMarket} from "../interfaces/ILotaMarket.sol";
import {AccountSlot, AccountSlots, StoredAccount} from "../types/AccountSlot.sol";

/// @title Accounts: the free balances and the spent salts of everybody
abstract contract Accounts is ILotaMarket {
    mapping(address account => StoredAccount) internal _accounts;

    /// @dev The spent salts outside of an account's current window, 64 to a slot.
    mapping(address account => mapping(uint256 window => uint256 bits)) private _spent;

    // ------------------------------------------------------------------------------------------------------------
    // Balances
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ILotaMarket
    function balanceOf(address account) public view returns (uint256) {
        return _accounts[account].slot.balance();
    }

    /// @dev Credits money that is in the contract already; so there is room for it.
    function _credit(address account, uint256 amount) internal {
        if (amount == 0) return;
        StoredAccount storage stored = _accounts[account];
        stored.slot = stored.slot.plus(amount);
    }

    function _debit(address account, uint256 amount) internal {
        if (amount == 0) return;
        StoredAccount storage stored = _accounts[account];
        AccountSlot slot = stored.slot;
        _requireBalance(account, slot, amount);
        stored.slot = slot.minus(amount);
    }

    function _requireBalance(address account, AccountSlot slot, uint256 amount) internal pure {
        if (slot.balance() < amount) revert InsufficientBalance(account, slot.balance(), amount);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Salts
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ILotaMarket
    function isSpent(address client, uint256 salt) external view returns (bool) {
        return _isSpent(client, _accounts[client].slot, salt);
    }

    function _isSpent(address client, AccountSlot slot, uint256 salt) internal view returns (bool) {
        (uint256 window, uint256 bit) = AccountSlots.locate(salt);
        uint256 bits = window == slot.window() ? slot.spent() : _spent[client][window];
        return bits & bit != 0;
    }

    /// @dev The client's slot with the salt spent; the caller stores it. The window only moves up, taking up what is known
    /// of the new one and leaving what is known of the old one behind.
    function _spend(address client, AccountSlot slot, uint256 salt) internal returns (AccountSlot) {
        (uint256 window, uint256 bit) = AccountSlots.locate(salt);
        uint256 current = slot.window();
        if (window == current) return slot.withSpent(bit);
        mapping(uint256 => uint256) storage others = _spent[client];
        if (window < current || window > AccountSlots.LAST_WINDOW) {
            others[window] |= bit;
            return slot;
        }
        if (slot.spent() != 0) others[current] = slot.spent();
        return slot.withWindow(window, others[window] | bit);
    }
}
