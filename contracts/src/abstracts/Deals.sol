// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ILotaMarket} from "../interfaces/ILotaMarket.sol";
import {Hashes} from "../libraries/Hashes.sol";
import {TermsRules} from "../libraries/TermsRules.sol";
import {DealSlot} from "../types/DealSlot.sol";
import {Accounts} from "./Accounts.sol";

/// @title Deals: what is stored of the deals, and how callers show which one they mean
abstract contract Deals is Accounts {
    mapping(bytes32 jobId => DealSlot) internal _deals;

    // ------------------------------------------------------------------------------------------------------------
    // Views
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ILotaMarket
    function jobIdOf(Terms memory terms) public view returns (bytes32) {
        return Hashes.typed(_DOMAIN, Hashes.ofTerms(terms));
    }

    /// @inheritdoc ILotaMarket
    function dealOf(bytes32 jobId) external view returns (Deal memory deal) {
        DealSlot slot = _deals[jobId];
        deal.status = slot.status();
        deal.reason = slot.reason();
        deal.callbackPending = slot.callbackPending();
        deal.since = uint64(slot.since());
        if (deal.status == Status.Locked) {
            deal.provider = slot.provider();
            deal.price = slot.quanta() * _QUANTUM;
        } else {
            deal.receipt = slot.receipt();
        }
    }

    /// @inheritdoc ILotaMarket
    function receiptDigest(bytes32 jobId, Receipt calldata receipt) external pure returns (bytes26) {
        return _digest(jobId, receipt.provider, receipt.price, receipt.result);
    }

    /// @inheritdoc ILotaMarket
    function priceAt(Terms memory terms, uint64 time) external view returns (uint256) {
        return TermsRules.priceAt(terms, _QUANTUM, time);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Checks
    // ------------------------------------------------------------------------------------------------------------

    /// @dev The stored deal that has these terms.
    function _find(Terms memory terms) internal view returns (bytes32 jobId, DealSlot deal) {
        jobId = jobIdOf(terms);
        deal = _deals[jobId];
        if (deal.isAt(Status.None)) {
            if (isSpent(terms.client, terms.salt)) revert SaltSpent(terms.client, terms.salt);
            revert UnknownJob(jobId);
        }
    }

    function _find(Terms memory terms, Status wanted) internal view returns (bytes32 jobId, DealSlot deal) {
        (jobId, deal) = _find(terms);
        if (!deal.isAt(wanted)) revert WrongState(jobId, deal.status());
    }

    /// @dev Zero is nobody, though a simulated call can come from there.
    function _requireSender(address wanted) internal view {
        if (msg.sender != wanted || wanted == address(0)) revert WrongSender(msg.sender, wanted);
    }

    function _requireUntil(uint256 deadline) internal view {
        if (block.timestamp > deadline) revert TooLate(block.timestamp, deadline);
    }

    function _requireAfter(uint256 deadline) internal view {
        if (block.timestamp <= deadline) revert TooEarly(block.timestamp, deadline + 1);
    }

    /// @dev The digest alone would do if its 208 bits could not collide: two receipts of one provider's making, one of them with
    /// a price out of all bounds, would empty the market. So a price is checked again where it is paid.
    function _requireReceipt(bytes32 jobId, Terms memory terms, DealSlot deal, Receipt calldata receipt) internal view {
        bytes26 digest = _digest(jobId, receipt.provider, receipt.price, receipt.result);
        if (digest != deal.receipt() || !TermsRules.allowsPrice(terms, _QUANTUM, receipt.price)) {
            revert ReceiptMismatch(jobId);
        }
    }

    function _digest(bytes32 jobId, address provider, uint256 price, Result calldata result)
        internal
        pure
        returns (bytes26)
    {
        return bytes26(keccak256(abi.encode(jobId, Hashes.ofReceipt(provider, price, result))));
    }
}
