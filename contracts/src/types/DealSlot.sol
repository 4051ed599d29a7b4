// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaMarket} from "../interfaces/ILotaMarket.sol";

/// @title DealSlot: a deal in one storage slot
/// @dev From the highest bit on:
///
///     | 208 bits: payload                                    | 39 bits | 1 bit   | 4 bits | 4 bits |
///     | Locked: provider (160), price in quanta (48)         | since   | pending | reason | status |
///     | Submitted, Disputed and the ends after a submission: |         |         |        |        |
///     | the receipt's digest                                 |         |         |        |        |
///     | otherwise: 0                                         |         |         |        |        |
///
/// 39 bits of seconds last until the year 19391.
type DealSlot is uint256;

using DealSlots for DealSlot global;

library DealSlots {
    uint256 private constant _PAYLOAD_SHIFT = 48;
    uint256 private constant _SINCE_SHIFT = 9;
    uint256 private constant _SINCE_MASK = (1 << 39) - 1;
    uint256 private constant _PENDING = 1 << 8;
    uint256 private constant _REASON_SHIFT = 4;
    uint256 private constant _NIBBLE = 15;
    uint256 private constant _PRICE_MASK = (1 << 48) - 1;

    // ------------------------------------------------------------------------------------------------------------
    // Making
    // ------------------------------------------------------------------------------------------------------------

    function open() internal pure returns (DealSlot) {
        return DealSlot.wrap(uint256(ILotaMarket.Status.Open));
    }

    /// @param by the provider
    /// @param price the price in quanta, below 2^48
    function locked(address by, uint256 price) internal view returns (DealSlot) {
        uint256 payload = (uint256(uint160(by)) << 48) | price;
        return _running(payload << _PAYLOAD_SHIFT, ILotaMarket.Status.Locked);
    }

    function submitted(bytes26 digest) internal view returns (DealSlot) {
        return _running(uint256(bytes32(digest)), ILotaMarket.Status.Submitted);
    }

    /// @dev Keeps the receipt.
    function disputed(DealSlot slot) internal view returns (DealSlot) {
        return _running(uint256(bytes32(receipt(slot))), ILotaMarket.Status.Disputed);
    }

    /// @dev An end of a deal that has no receipt: everything else is forgotten.
    function ended(ILotaMarket.Status end, ILotaMarket.Reason why) internal pure returns (DealSlot) {
        return DealSlot.wrap((uint256(why) << _REASON_SHIFT) | uint256(end));
    }

    /// @dev An end of a deal that has a receipt.
    function ended(bytes26 digest, ILotaMarket.Status end, ILotaMarket.Reason why) internal pure returns (DealSlot) {
        return DealSlot.wrap(uint256(bytes32(digest)) | DealSlot.unwrap(ended(end, why)));
    }

    function withPending(DealSlot slot) internal pure returns (DealSlot) {
        return DealSlot.wrap(DealSlot.unwrap(slot) | _PENDING);
    }

    function withoutPending(DealSlot slot) internal pure returns (DealSlot) {
        return DealSlot.wrap(DealSlot.unwrap(slot) & ~_PENDING);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Reading
    // ------------------------------------------------------------------------------------------------------------

    function status(DealSlot slot) internal pure returns (ILotaMarket.Status) {
        return ILotaMarket.Status(DealSlot.unwrap(slot) & _NIBBLE);
    }

    function isAt(DealSlot slot, ILotaMarket.Status wanted) internal pure returns (bool) {
        return DealSlot.unwrap(slot) & _NIBBLE == uint256(wanted);
    }

    function reason(DealSlot slot) internal pure returns (ILotaMarket.Reason) {
        return ILotaMarket.Reason((DealSlot.unwrap(slot) >> _REASON_SHIFT) & _NIBBLE);
    }

    function callbackPending(DealSlot slot) internal pure returns (bool) {
        return DealSlot.unwrap(slot) & _PENDING != 0;
    }

    function since(DealSlot slot) internal pure returns (uint256) {
        return (DealSlot.unwrap(slot) >> _SINCE_SHIFT) & _SINCE_MASK;
    }

    /// @dev Means something while Locked only.
    function provider(DealSlot slot) internal pure returns (address) {
        return address(uint160(DealSlot.unwrap(slot) >> 96));
    }

    /// @dev The price in quanta. Means something while Locked only.
    function quanta(DealSlot slot) internal pure returns (uint256) {
        return (DealSlot.unwrap(slot) >> _PAYLOAD_SHIFT) & _PRICE_MASK;
    }

    /// @dev Means something after a submission only.
    function receipt(DealSlot slot) internal pure returns (bytes26) {
        return bytes26(bytes32(DealSlot.unwrap(slot)));
    }

    // ------------------------------------------------------------------------------------------------------------

    function _running(uint256 payload, ILotaMarket.Status to) private view returns (DealSlot) {
        return DealSlot.wrap(payload | ((block.timestamp & _SINCE_MASK) << _SINCE_SHIFT) | uint256(to));
    }
}
