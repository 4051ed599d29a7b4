// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ILotaMarket} from "../interfaces/ILotaMarket.sol";

/// @title Guard: keeps everybody out while the market calls code of others
/// @dev It is closed only around calls that may change state: callbacks and payouts. During a callback `deposit` and `open`
/// stay possible. That is safe because a callback comes after all effects of what ends the deal, the two call nobody,
/// read every slot that they change again, and cannot touch the one slot that is written after the callback: it is that
/// of the deal that has ended, whose salt is spent.
abstract contract Guard is ILotaMarket {
    bool internal transient _calling; // a client or a payee
    bool internal transient _paying; // a payee

    /// @dev Stands on every function that is not a view, but for those of {notWhilePaying}.
    modifier notWhileCalling() {
        if (_calling) revert Reentered();
        _;
    }

    modifier notWhilePaying() {
        if (_paying) revert Reentered();
        _;
    }
}
