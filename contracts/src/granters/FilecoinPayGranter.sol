// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.34;

import {Granter} from "../abstracts/Granter.sol";
import {Rails} from "../abstracts/Rails.sol";
import {IFilecoinPay} from "../interfaces/IFilecoinPay.sol";
import {Grant, IGranter} from "../interfaces/IGranter.sol";
import {FilecoinAddress} from "../libraries/FilecoinAddress.sol";

/// @title FilecoinPayGranter: pays blessed providers from a sponsor's Filecoin Pay account
/// @notice The sponsor deposits there and approves this contract as an operator (no rate, a lockup allowance: that is the most that it
/// can ever cost, and a lockup period of at least {lockupPeriod}). One rail leads to each recipient. A grant locks its amount on
/// the rail, and is due at once: {pay} sends all that is due, for many grants and many recipients in one transaction. Amounts are
/// gross: the recipient gets 0.5 % less.
contract FilecoinPayGranter is Granter, Rails {
    /// @notice Whose account pays.
    address public immutable SPONSOR;

    /// @notice A grant was locked on this rail.
    event GrantLocked(bytes32 indexed jobId, uint256 indexed railId, uint256 amount);

    /// @notice The zero address sponsors nothing.
    error NoSponsor();

    /// @param grace how long a recipient's money stays payable if the sponsor terminates the rail, in seconds
    constructor(
        address blessing,
        IFilecoinPay filecoinPay,
        address token,
        address sponsor,
        uint256 epochSeconds,
        uint256 grace
    ) Granter(blessing) Rails(filecoinPay, token, epochSeconds, grace) {
        if (sponsor == address(0)) revert NoSponsor();
        SPONSOR = sponsor;
    }

    /// @inheritdoc IGranter
    /// @dev {FilecoinAddress-BadRecipient} unless an EVM address; {BadPair}, {AmountOutOfRange}, {RailTerminated},
    /// {OperatorNotApproved}, {LockupPeriodTooLong}, {AllowanceTooSmall}, {PayerInDebt}, {NotEnoughFunds}. All of them pass
    /// when the sponsor does something about it, but for those of recipient and amount.
    function checkGrant(address, bytes calldata recipient, uint256 amount) external view {
        _requireLockable(SPONSOR, FilecoinAddress.toEvm(recipient), amount, 0);
    }

    /// @inheritdoc IGranter
    /// @dev {NotTheBlessing}, then as {checkGrant}. Emits {RailOpened} for the first grant to a recipient, {GrantLocked}, {Granted}.
    function grant(Grant calldata g) external onlyBlessing {
        uint256 railId = _lock(SPONSOR, FilecoinAddress.toEvm(g.recipient), g.amount, 0);
        _makeDue(railId, g.amount);
        emit GrantLocked(g.jobId, railId, g.amount);
        _emitGranted(g);
    }

    /// @notice How long this contract must be allowed to lock the sponsor's money, in epochs.
    function lockupPeriod() external view returns (uint256) {
        return (GRACE + EPOCH_SECONDS - 1) / EPOCH_SECONDS + 1;
    }
}
