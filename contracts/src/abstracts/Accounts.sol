// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ILotaMarket} from "../interfaces/ILotaMarket.sol";
import {CappedCall} from "../libraries/CappedCall.sol";
import {AccountSlot, AccountSlots, StoredAccount} from "../types/AccountSlot.sol";
import {Guard} from "./Guard.sol";

/// @title Accounts: the free balances and the spent salts of everybody
abstract contract Accounts is Guard {
    uint256 private constant _MAX_SALTS = 256;

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

    /// @inheritdoc ILotaMarket
    function deposit(address account) external payable notWhilePaying {
        if (account == address(0)) revert InvalidRecipient();
        StoredAccount storage stored = _accounts[account];
        stored.slot = _deposit(account, stored.slot);
    }

    /// @inheritdoc ILotaMarket
    function withdraw(address to, uint256 amount) external notWhileCalling {
        if (to == address(0)) revert InvalidRecipient();
        _debit(msg.sender, amount);
        emit Withdrawn(msg.sender, to, amount);
        (_calling, _paying) = (true, true);
        bool paid = CappedCall.pay(to, amount);
        (_calling, _paying) = (false, false);
        if (!paid) revert TransferFailed(to);
    }

    /// @dev The account with the value credited; the caller stores it.
    function _deposit(address account, AccountSlot slot) internal returns (AccountSlot) {
        // No chain has 2^128 attoFIL; one that had could not bring them here.
        if (address(this).balance > type(uint128).max) revert TransferFailed(address(this));
        emit Deposited(account, msg.value);
        return slot.plus(msg.value);
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

    /// @inheritdoc ILotaMarket
    function revoke(uint256[] calldata salts) external notWhileCalling {
        if (salts.length > _MAX_SALTS) revert TooMany(salts.length);
        StoredAccount storage stored = _accounts[msg.sender];
        AccountSlot account = stored.slot;
        for (uint256 i = 0; i < salts.length; ++i) {
            account = _spend(msg.sender, account, salts[i]);
        }
        stored.slot = account;
        emit SaltsRevoked(msg.sender, salts);
    }

    function _isSpent(address client, AccountSlot slot, uint256 salt) internal view returns (bool) {
        (uint256 window, uint256 bit) = AccountSlots.locate(salt);
        uint256 bits = window == slot.window() ? slot.spent() : _spent[client][window];
        return bits & bit != 0;
    }

    /// @dev The client's slot with the salt spent; the caller stores it. The window only moves up, to where nothing is
    /// spent yet, and leaves what is spent in the old one behind.
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
        return slot.withWindow(window, bit);
    }
}
