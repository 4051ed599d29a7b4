// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../interfaces/ILotaMarket.sol";
import {IToken} from "../interfaces/IToken.sol";
import {CappedCall} from "./CappedCall.sol";

/// @title Asset: moving a contract's asset, the chain's coin (zero) or a token, and proving that it moved
/// @dev What a token says is believed only as far as this contract's own balance bears it out. All of it calls code of others: keep
/// everybody out meanwhile ({Guard}).
library Asset {
    /// @dev What an ERC-3009 signature is over, beside the accounts and the amount.
    struct Authorization {
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    /// @dev An ERC-2612 signature and its deadline.
    struct Permit {
        uint256 deadline;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    // ------------------------------------------------------------------------------------------------------------
    // In
    // ------------------------------------------------------------------------------------------------------------

    /// @dev Takes `amount` from `from`, who approved it.
    function pull(address token, address from, uint256 amount) internal {
        _pull(token, amount, abi.encodeCall(IToken.transferFrom, (from, address(this), amount)));
    }

    /// @dev Takes `amount` from `from`, who signed for it. The token sees to it that nobody but this contract can use that.
    function pullAuthorized(address token, address from, uint256 amount, Authorization memory signed) internal {
        _pull(
            token,
            amount,
            abi.encodeWithSelector(IToken.receiveWithAuthorization.selector, from, address(this), amount, signed)
        );
    }

    /// @dev Lets this contract take `amount` from `owner`, unless the token refuses: then the allowance decides.
    function permit(address token, address owner, uint256 amount, Permit memory signed) internal {
        bytes memory data = abi.encodeWithSelector(IToken.permit.selector, owner, address(this), amount, signed);
        _succeeds(token, data);
    }

    /// @dev Balances have 128 bits. No chain has as much of its coin; a token may.
    function requireRoom(address asset) internal view returns (uint256 amount) {
        amount = held(asset);
        if (amount > type(uint128).max) revert ILotaMarket.TransferFailed(address(this));
    }

    // ------------------------------------------------------------------------------------------------------------
    // Out
    // ------------------------------------------------------------------------------------------------------------

    /// @dev Pays `amount` to `to`, with all the gas there is.
    function pay(address asset, address to, uint256 amount) internal {
        uint256 before = held(asset);
        bool paid;
        if (asset == address(0)) (paid,,) = CappedCall.call(to, amount, "", gasleft());
        else paid = _succeeds(asset, abi.encodeCall(IToken.transfer, (to, amount)));
        if (!paid) revert ILotaMarket.TransferFailed(to);
        _requireMoved(amount, held(asset), before);
    }

    // ------------------------------------------------------------------------------------------------------------

    /// @dev What this contract holds.
    function held(address asset) internal view returns (uint256 amount) {
        if (asset == address(0)) return address(this).balance;
        bool success;
        (success, amount) = CappedCall.read(asset, abi.encodeCall(IToken.balanceOf, (address(this))), gasleft());
        if (!success) revert ILotaMarket.TransferFailed(address(this));
    }

    function _pull(address token, uint256 amount, bytes memory data) private {
        uint256 before = held(token);
        if (!_succeeds(token, data)) revert ILotaMarket.TransferFailed(address(this));
        _requireMoved(amount, before, requireRoom(token));
    }

    /// @dev Whether a token did not refuse: it returned true, or nothing. That it has code was seen when it told a balance.
    function _succeeds(address token, bytes memory data) private returns (bool) {
        (bool success, uint256 size, uint256 word) = CappedCall.call(token, 0, data, gasleft());
        return success && (size == 0 || (size >= 32 && word == 1));
    }

    function _requireMoved(uint256 asked, uint256 less, uint256 more) private pure {
        uint256 moved = more > less ? more - less : 0;
        if (moved != asked) revert ILotaMarket.TransferMismatch(asked, moved);
    }
}
