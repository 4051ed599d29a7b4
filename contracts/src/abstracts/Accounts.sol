// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ILotaMarket} from "../interfaces/ILotaMarket.sol";
import {Addresses} from "../libraries/Addresses.sol";
import {Asset} from "../libraries/Asset.sol";
import {AccountSlot, Lane, Windows} from "../types/AccountSlot.sol";
import {Deployment} from "./Deployment.sol";
import {Guard} from "./Guard.sol";

/// @title Accounts: the free balances and the spent salts of everybody
abstract contract Accounts is Deployment, Guard {
    mapping(address account => AccountSlot) internal _accounts;

    /// @dev Windows of lanes other than 0.
    mapping(address client => mapping(uint192 lane => Lane)) private _lanes;

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
    function depositToken(address account, uint256 amount) external notWhilePaying {
        _requireToken();
        _requireRecipient(account);
        _pull(amount);
        _deposited(account, msg.sender, amount);
    }

    /// @inheritdoc ILotaMarket
    function depositTokenWithPermit(address account, uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        notWhilePaying
    {
        _requireToken();
        _requireRecipient(account);
        _permit(amount, Asset.Permit(deadline, v, r, s));
        _pull(amount);
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
    ) external notWhilePaying {
        _requireToken();
        _requireRecipient(from);
        _pullAuthorized(from, amount, Asset.Authorization(validAfter, validBefore, nonce, v, r, s));
        _deposited(from, from, amount);
    }

    function _pull(uint256 amount) private whilePaying {
        Asset.pull(_ASSET, msg.sender, amount);
    }

    function _permit(uint256 amount, Asset.Permit memory signed) private whilePaying {
        Asset.permit(_ASSET, msg.sender, amount, signed);
    }

    function _pullAuthorized(address from, uint256 amount, Asset.Authorization memory signed) private whilePaying {
        Asset.pullAuthorized(_ASSET, from, amount, signed);
    }

    /// @dev For what has arrived; {Asset} sees to it that what the market holds fits in 128 bits.
    function _deposited(address account, address payer, uint256 amount) private {
        _accounts[account].balance += uint128(amount);
        emit Deposited(account, payer, amount);
    }

    function _requireToken() private view {
        if (_ASSET == address(0)) revert WrongAsset(_ASSET);
    }

    function _requireRecipient(address account) private view {
        if (Addresses.isRefused(account)) revert InvalidRecipient();
    }

    // ------------------------------------------------------------------------------------------------------------
    // Money out
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ILotaMarket
    function withdraw(address to, uint256 amount) external notWhileCalling {
        _requireRecipient(to);
        _debit(msg.sender, amount);
        emit Withdrawn(msg.sender, to, amount);
        _pay(to, amount);
    }

    function _pay(address to, uint256 amount) private whilePaying {
        Asset.pay(_ASSET, to, amount);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Balances
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ILotaMarket
    function balanceOf(address account) external view returns (uint256) {
        return _accounts[account].balance;
    }

    /// @dev Credits money that is in the contract already, as all amounts of deals are.
    function _credit(address account, uint256 amount) internal {
        if (amount != 0) _accounts[account].balance += uint128(amount);
    }

    function _debit(address account, uint256 amount) internal {
        if (amount == 0) return;
        uint256 balance = _accounts[account].balance;
        _requireBalance(account, balance, amount);
        _accounts[account].balance = uint128(balance - amount);
    }

    function _requireBalance(address account, uint256 balance, uint256 amount) internal pure {
        if (balance < amount) revert InsufficientBalance(account, balance, amount);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Salts
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ILotaMarket
    function isSpent(address client, uint256 salt) public view returns (bool) {
        (uint64 next, uint64 spent) = _window(client, uint192(salt >> 64));
        return Windows.isSpent(next, spent, uint64(salt));
    }

    /// @inheritdoc ILotaMarket
    function nextSalt(address client, uint192 lane) external view returns (uint256) {
        (uint64 next,) = _window(client, lane);
        return (uint256(lane) << 64) | next;
    }

    /// @inheritdoc ILotaMarket
    function revoke(uint192 lane, uint64 upTo) external notWhileCalling {
        (uint64 next, uint64 spent) = _window(msg.sender, lane);
        (next, spent) = Windows.spendBelow(next, spent, upTo);
        if (lane == 0) (_accounts[msg.sender].next, _accounts[msg.sender].spent) = (next, spent);
        else _lanes[msg.sender][lane] = Lane(next, spent);
        emit SaltsRevoked(msg.sender, lane, upTo);
    }

    function _requireUnspent(address client, AccountSlot memory account, uint256 salt) internal view {
        (bytes4 why, uint64 next) = _saltFault(client, account, salt);
        if (why == SaltSpent.selector) revert SaltSpent(client, salt);
        if (why == SaltTooFar.selector) revert SaltTooFar(client, salt, (salt >> 64 << 64) | next);
    }

    /// @return why the selector of what stands against spending the salt, or zero
    /// @return next the lowest free number of its lane
    function _saltFault(address client, AccountSlot memory account, uint256 salt)
        internal
        view
        returns (bytes4 why, uint64 next)
    {
        uint64 spent;
        if (salt >> 64 == 0) (next, spent) = (account.next, account.spent);
        else (next, spent) = _window(client, uint192(salt >> 64));
        if (Windows.isSpent(next, spent, uint64(salt))) why = SaltSpent.selector;
        else if (Windows.isTooFar(next, uint64(salt))) why = SaltTooFar.selector;
    }

    /// @dev Spends a salt that can be spent. A salt of lane 0 is spent in `account`, which the caller stores.
    function _spend(address client, AccountSlot memory account, uint256 salt) internal {
        if (salt >> 64 == 0) {
            (account.next, account.spent) = Windows.spend(account.next, account.spent, uint64(salt));
        } else {
            Lane storage lane = _lanes[client][uint192(salt >> 64)];
            (uint64 next, uint64 spent) = Windows.spend(lane.next, lane.spent, uint64(salt));
            (lane.next, lane.spent) = (next, spent);
        }
    }

    function _window(address client, uint192 lane) private view returns (uint64 next, uint64 spent) {
        if (lane == 0) return (_accounts[client].next, _accounts[client].spent);
        return (_lanes[client][lane].next, _lanes[client][lane].spent);
    }
}
