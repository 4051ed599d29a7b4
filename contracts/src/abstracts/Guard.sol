// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ILotaMarket} from "../interfaces/ILotaMarket.sol";

/// @title Guard: keeps everybody out while the market calls code of others
/// @dev It is closed only around calls that may change state: callbacks, payouts, and calls of the token. During a callback
/// anyone may deposit and `open`. That is safe because
///
/// - a callback comes after all effects of what ends the deal, and nothing that was read before it is used after it but
///   the deal's own terms;
/// - what is written after it is the one slot of the deal that has ended, and neither function can touch that: its salt is
///   spent;
/// - `open` calls nobody, and a deposit nobody but the token, during which everybody is kept out;
/// - both only add: money of the sender's to a balance, or an escrow out of the sender's own.
///
/// `openSigned` would ask a wallet, which is more code of others; a `multicall` could contain anything.
abstract contract Guard is ILotaMarket {
    enum Phase {
        Idle,
        Calling, // a client
        Paying // a payee, or the token
    }

    Phase private transient _phase;

    /// @dev Stands on every function that is not a view, but for those of {notWhilePaying}.
    modifier notWhileCalling() {
        _requireIdle();
        _;
    }

    modifier notWhilePaying() {
        _requireNotPaying();
        _;
    }

    /// @dev On functions that call payees or the token, behind one of the others. What was the phase before is it again after: a
    /// deposit may come from within a callback.
    modifier whilePaying() {
        Phase before = _phase;
        _enter(Phase.Paying);
        _;
        _enter(before);
    }

    function _enter(Phase phase) internal {
        _phase = phase;
    }

    // Functions, as the code of a modifier is repeated wherever it stands.

    function _requireIdle() private view {
        if (_phase != Phase.Idle) revert Reentered();
    }

    function _requireNotPaying() private view {
        if (_phase == Phase.Paying) revert Reentered();
    }
}
