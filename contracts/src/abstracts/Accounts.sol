// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ILotaMarket} from "../interfaces/ILotaMarket.sol";
import {Addresses} from "../libraries/Addresses.sol";
import {Asset} from "../libraries/Asset.sol";
import {AccountSlot} from "../types/AccountSlot.sol";
import {Deployment} from "./Deployment.sol";
import {Guard} from "./Guard.sol";

/// @title Accounts: the free balances and the spent salts of everybody
abstract contract Accounts is Deployment, Guard {
    mapping(address account => AccountSlot) internal _accounts;

    /// @dev Windows of lanes other than 0.
    mapping(address client => mapping(uint256 lane => AccountSlot)) private _lanes;

    // ------------------------------------------------------------------------------------------------------------
    // Money in
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ILotaMarket
    function deposit(address account) external payable notWhilePaying {
        if (_ASSET != address(0)) revert WrongAsset(_ASSET);
        _requireRecipient(account);
        Asset.requireRoom(_ASSET);
        _deposited(account, msg.sender, msg.value);
    }

    /// @inheritdoc ILotaMarket
    function depositToken(address account, uint256 amount) external notWhilePaying whilePaying {
        _requireTokenFor(account);
        Asset.pull(_ASSET, msg.sender, amount);
        _deposited(account, msg.sender, amount);
    }

    /// @inheritdoc ILotaMarket
    function depositTokenWithPermit(address account, uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        notWhilePaying
        whilePaying
    {
        _requireTokenFor(account);
        Asset.permit(_ASSET, msg.sender, amount, Asset.Permit(deadline, v, r, s));
        Asset.pull(_ASSET, msg.sender, amount);
        _deposited(account, msg.sender, amount);
    }

    /// @inheritdoc ILotaMarket
    function depositTokenWithAuthorization(
        address from,
        uint256 amount,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external notWhilePaying whilePaying {
        _requireTokenFor(from);
        Asset.pullAuthorized(_ASSET, from, amount, Asset.Authorization(validAfter, validBefore, nonce, v, r, s));
        _deposited(from, from, amount);
    }

    /// @dev For what has arrived; {Asset} sees to it that what the market holds fits in 128 bits.
    function _deposited(address account, address payer, uint256 amount) private {
        _accounts[account] = _accounts[account].plus(amount);
        emit Deposited(account, payer, amount);
    }

    function _requireTokenFor(address account) private view {
        if (_ASSET == address(0)) revert WrongAsset(_ASSET);
        _requireRecipient(account);
    }

    function _requireRecipient(address account) private view {
        if (Addresses.isRefused(account)) revert InvalidRecipient();
    }

    // ------------------------------------------------------------------------------------------------------------
    // Money out
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ILotaMarket
    function withdraw(address to, uint256 amount) external notWhileCalling whilePaying {
        _requireRecipient(to);
        _debit(msg.sender, amount);
        emit Withdrawn(msg.sender, to, amount);
        Asset.pay(_ASSET, to, amount);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Balances
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ILotaMarket
    function balanceOf(address account) external view returns (uint256) {
        return _accounts[account].balance();
    }

    /// @dev Credits money that is in the contract already, as all amounts of deals are.
    function _credit(address account, uint256 amount) internal {
        if (amount != 0) _accounts[account] = _accounts[account].plus(amount);
    }

    function _debit(address account, uint256 amount) internal {
        if (amount == 0) return;
        AccountSlot slot = _accounts[account];
        _requireBalance(account, slot.balance(), amount);
        _accounts[account] = slot.minus(amount);
    }

    function _requireBalance(address account, uint256 balance, uint256 amount) internal pure {
        if (balance < amount) revert InsufficientBalance(account, balance, amount);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Salts
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ILotaMarket
    function isSpent(address client, uint256 salt) public view returns (bool) {
        return _window(client, _accounts[client], salt).isSpent(uint64(salt));
    }

    /// @inheritdoc ILotaMarket
    function nextSalt(address client, uint192 lane) external view returns (uint256) {
        uint256 salt = uint256(lane) << 64;
        return salt | _window(client, _accounts[client], salt).next();
    }

    /// @inheritdoc ILotaMarket
    function revoke(uint192 lane, uint64 upTo) external notWhileCalling {
        if (lane == 0) _accounts[msg.sender] = _accounts[msg.sender].spendBelow(upTo);
        else _lanes[msg.sender][lane] = _lanes[msg.sender][lane].spendBelow(upTo);
        emit SaltsRevoked(msg.sender, lane, upTo);
    }

    function _requireUnspent(address client, AccountSlot account, uint256 salt) internal view {
        AccountSlot window = _window(client, account, salt);
        if (window.isSpent(uint64(salt))) revert SaltSpent(client, salt);
        if (window.isTooFar(uint64(salt))) revert SaltTooFar(client, salt, (salt >> 64 << 64) | window.next());
    }

    /// @dev The same for batches: the selector of the error, or zero.
    function _saltFault(address client, AccountSlot account, uint256 salt) internal view returns (bytes4) {
        AccountSlot window = _window(client, account, salt);
        if (window.isSpent(uint64(salt))) return SaltSpent.selector;
        return window.isTooFar(uint64(salt)) ? SaltTooFar.selector : bytes4(0);
    }

    /// @dev Spends a salt that can be spent.
    /// @return the client's account, for the caller to store
    function _spend(address client, AccountSlot account, uint256 salt) internal returns (AccountSlot) {
        uint256 lane = salt >> 64;
        if (lane == 0) return account.spend(salt);
        _lanes[client][lane] = _lanes[client][lane].spend(uint64(salt));
        return account;
    }

    /// @dev What holds the window of the salt's lane: for lane 0 the account.
    function _window(address client, AccountSlot account, uint256 salt) private view returns (AccountSlot) {
        return salt >> 64 == 0 ? account : _lanes[client][salt >> 64];
    }
}
