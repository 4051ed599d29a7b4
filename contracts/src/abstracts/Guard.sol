// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ILotaMarket} from "../interfaces/ILotaMarket.sol";

/// @title Guard: keeps everybody out while the market calls code of others
/// @dev It is closed only around calls that may change state: callbacks and payouts.
abstract contract Guard is ILotaMarket {
    bool internal transient _calling;

    /// @dev Stands on every function that is not a view.
    modifier notWhileCalling() {
        if (_calling) revert Reentered();
        _;
    }
}
