// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ILotaClient, ILotaMarket} from "../interfaces/ILotaMarket.sol";
import {CappedCall} from "../libraries/CappedCall.sol";
import {DealSlot, DealSlots} from "../types/DealSlot.sol";
import {Deals} from "./Deals.sol";

/// @title Ends: how a deal's money is paid out, what is kept of it, and how its client hears of it
/// @dev In each of these functions the money comes first, then the deal's slot, the event, and, as the last thing, the callback.
abstract contract Ends is Deals {
    uint256 private _burned;

    /// @inheritdoc ILotaMarket
    function burned() external view returns (uint256) {
        return _burned;
    }

    function _cancel(bytes32 jobId, Terms memory terms, Reason reason) internal {
        _credit(terms.client, terms.maxPrice);
        DealSlot ended = DealSlots.ended(Status.Cancelled, reason);
        bool calls = _end(jobId, terms, ended);
        emit JobCancelled(jobId, reason);
        if (calls) _callBack(jobId, terms, ended, _failed(jobId, reason));
    }

    /// @param digest the receipt's
    function _settle(
        bytes32 jobId,
        Terms memory terms,
        bytes26 digest,
        address provider,
        uint256 price,
        Result calldata result,
        Reason reason
    ) internal {
        _credit(provider, price + terms.collateral);
        DealSlot ended = DealSlots.ended(digest, Status.Settled, reason);
        bool calls = _end(jobId, terms, ended);
        emit JobSettled(jobId, provider, price, reason);
        if (calls) _callBack(jobId, terms, ended, _settled(jobId, result));
    }

    /// @dev A deal is slashed while Disputed (overturned: the arbiter gets what the client does not get), or while Locked (nothing
    /// was submitted: that is burned).
    function _slash(bytes32 jobId, Terms memory terms, DealSlot deal, address provider, uint256 price) internal {
        uint256 toClient = price + terms.collateral / 2;
        uint256 toArbiter = 0;
        uint256 toBurn = price + terms.collateral - toClient;
        DealSlot ended = DealSlots.ended(Status.Slashed, Reason.NotSubmitted);
        if (deal.isAt(Status.Disputed)) {
            (toArbiter, toBurn) = (toBurn, 0);
            ended = DealSlots.ended(deal.receipt(), Status.Slashed, Reason.Overturned);
        }
        _credit(terms.client, toClient);
        _credit(terms.arbiter, toArbiter);
        if (toBurn != 0) _burned += toBurn;
        bool calls = _end(jobId, terms, ended);
        emit JobSlashed(jobId, provider, toClient, toArbiter, toBurn, ended.reason());
        if (calls) _callBack(jobId, terms, ended, _failed(jobId, ended.reason()));
    }

    function _void(bytes32 jobId, Terms memory terms, DealSlot deal, Receipt calldata receipt, Reason reason) internal {
        _requireReceipt(jobId, terms, deal, receipt);
        _credit(terms.client, receipt.price);
        _credit(receipt.provider, terms.collateral);
        DealSlot ended = DealSlots.ended(deal.receipt(), Status.Void, reason);
        bool calls = _end(jobId, terms, ended);
        emit JobVoided(jobId, receipt.provider, receipt.price, reason);
        if (calls) _callBack(jobId, terms, ended, _failed(jobId, reason));
    }

    // ------------------------------------------------------------------------------------------------------------
    // What is kept
    // ------------------------------------------------------------------------------------------------------------

    /// @dev Stores how the deal ended, as long as its callback runs or for ever; else nothing of it.
    /// @return calls whether the client is to be called
    function _end(bytes32 jobId, Terms memory terms, DealSlot ended) private returns (bool calls) {
        calls = terms.callbackGas != 0 && terms.client.code.length != 0;
        if (calls) _deals[jobId] = ended.withPending();
        else _endQuietly(jobId, terms, ended);
    }

    function _endQuietly(bytes32 jobId, Terms memory terms, DealSlot ended) private {
        _deals[jobId] = terms.keepRecord ? ended.withoutPending() : DealSlot.wrap(0);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Callbacks
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ILotaMarket
    function retryCallback(Terms memory terms, Receipt calldata receipt) external notWhileCalling {
        (bytes32 jobId, DealSlot deal) = _find(terms);
        if (!deal.callbackPending()) revert WrongState(jobId, deal.status());
        bytes memory data;
        if (deal.isAt(Status.Settled)) {
            _requireReceipt(jobId, terms, deal, receipt);
            data = _settled(jobId, receipt.result);
        } else {
            data = _failed(jobId, deal.reason());
        }
        // Asked before the look at the gas, as {_end} does: FVM charges for the first look-up of an account.
        bool hasCode = terms.client.code.length != 0;
        CappedCall.requireGas(terms.callbackGas, _CALLBACK_RESERVE);
        // Never less than was promised: the reserve pays for what comes before the call, as it does in {_callBack}.
        uint256 left = gasleft();
        uint256 promised = terms.callbackGas;
        uint256 given = left > promised + _CALLBACK_RESERVE ? left - _CALLBACK_RESERVE : promised;
        if (hasCode && !_deliver(terms.client, data, given)) revert CallbackReverted(jobId);
        _endQuietly(jobId, terms, deal);
        emit CallbackDelivered(jobId);
    }

    /// @dev Calls the client of a deal that has just ended, and forgets it when that went well.
    function _callBack(bytes32 jobId, Terms memory terms, DealSlot ended, bytes memory data) private {
        CappedCall.requireGas(terms.callbackGas, _CALLBACK_RESERVE);
        if (_deliver(terms.client, data, terms.callbackGas)) {
            _endQuietly(jobId, terms, ended);
            emit CallbackDelivered(jobId);
        } else {
            emit CallbackFailed(jobId);
        }
    }

    function _deliver(address client, bytes memory data, uint256 gasLimit) private returns (bool delivered) {
        _enter(Phase.Calling);
        (delivered,,) = CappedCall.call(client, 0, data, gasLimit);
        _enter(Phase.Idle);
    }

    function _settled(bytes32 jobId, Result calldata result) private pure returns (bytes memory) {
        return abi.encodeCall(ILotaClient.onJobResult, (jobId, result));
    }

    function _failed(bytes32 jobId, Reason reason) private pure returns (bytes memory) {
        return abi.encodeCall(ILotaClient.onJobFailed, (jobId, reason));
    }
}
