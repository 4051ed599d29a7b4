// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ILotaMarket} from "../interfaces/ILotaMarket.sol";
import {Hashes} from "../libraries/Hashes.sol";
import {TermsRules} from "../libraries/TermsRules.sol";
import {DealSlot, StoredDeal} from "../types/DealSlot.sol";
import {TermsPtr} from "../types/TermsPtr.sol";

/// @title Deals: what is stored of the deals, and how callers show which one they mean
abstract contract Deals is ILotaMarket {
    mapping(bytes32 jobId => StoredDeal) internal _deals;

    bytes32 internal immutable _DOMAIN = Hashes.domainSeparator();
    uint256 internal immutable _CHAIN_ID = block.chainid;

    // ------------------------------------------------------------------------------------------------------------
    // Views
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ILotaMarket
    function jobIdOf(Terms calldata given) external view returns (bytes32) {
        (bytes32 jobId, TermsPtr terms) = _load(given);
        terms.requireCanonical();
        return jobId;
    }

    /// @inheritdoc ILotaMarket
    function dealOf(bytes32 jobId) external view returns (Deal memory deal) {
        DealSlot slot = _deals[jobId].slot;
        deal.status = slot.status();
        deal.reason = slot.reason();
        deal.callbackPending = slot.callbackPending();
        deal.since = uint64(slot.since());
        if (deal.status == Status.Locked) {
            deal.provider = slot.provider();
            deal.price = slot.price();
        } else {
            deal.receipt = slot.receipt();
        }
    }

    /// @inheritdoc ILotaMarket
    function receiptDigest(Receipt calldata receipt) external pure returns (bytes26) {
        return bytes26(_receiptHash(receipt.provider, receipt.price, receipt.result));
    }

    /// @inheritdoc ILotaMarket
    function priceAt(Terms calldata given, uint64 time) external pure returns (uint256) {
        (, TermsPtr terms) = Hashes.loadTerms(given);
        return TermsRules.priceAt(terms, time);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Checks
    // ------------------------------------------------------------------------------------------------------------

    function _load(Terms calldata given) internal view returns (bytes32 jobId, TermsPtr terms) {
        bytes32 structHash;
        (structHash, terms) = Hashes.loadTerms(given);
        jobId = Hashes.typed(_DOMAIN, structHash);
    }

    function _requireDeal(bytes32 jobId) internal view returns (StoredDeal storage stored, DealSlot deal) {
        stored = _deals[jobId];
        deal = stored.slot;
        if (deal.isAt(Status.None)) revert UnknownJob(jobId);
    }

    function _requireStatus(bytes32 jobId, Status wanted)
        internal
        view
        returns (StoredDeal storage stored, DealSlot deal)
    {
        stored = _deals[jobId];
        deal = stored.slot;
        if (deal.isAt(wanted)) return (stored, deal);
        if (deal.isAt(Status.None)) revert UnknownJob(jobId);
        revert WrongState(jobId, deal.status());
    }

    function _requireArbiter(TermsPtr terms) internal view {
        if (terms.arbiter() == address(0) || msg.sender != terms.arbiter()) {
            revert WrongSender(msg.sender, terms.arbiter());
        }
    }

    function _requireWithin(DealSlot deal, uint256 window) internal view {
        uint256 until = deal.since() + window;
        if (block.timestamp > until) revert TooLate(block.timestamp, until);
    }

    function _requireAfter(uint256 deadline) internal view {
        if (block.timestamp <= deadline) revert TooEarly(block.timestamp, deadline + 1);
    }

    function _requireReceipt(bytes32 jobId, DealSlot deal, Receipt calldata receipt)
        internal
        pure
        returns (address provider, uint256 price)
    {
        provider = receipt.provider;
        price = receipt.price;
        if (bytes26(_receiptHash(provider, price, receipt.result)) != deal.receipt()) revert ReceiptMismatch(jobId);
    }

    function _receiptHash(address provider, uint256 price, Result calldata result) internal pure returns (bytes32) {
        return Hashes.ofReceipt(provider, price, result.output, result.exitCode, result.fuelUsed, result.inlineData);
    }
}
