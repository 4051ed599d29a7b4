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

    /// @param arbiter who gets what the client does not get of the collateral; zero: it is burned
    function _slash(bytes32 jobId, Terms memory terms, DealSlot ended, address provider, uint256 price, address arbiter)
        internal
    {
        uint256 toClient = price + terms.collateral / 2;
        uint256 rest = price + terms.collateral - toClient;
        _credit(terms.client, toClient);
        if (arbiter == address(0)) _burned += rest;
        else _credit(arbiter, rest);
        bool calls = _end(jobId, terms, ended);
        Reason reason = ended.reason();
        if (arbiter == address(0)) emit JobSlashed(jobId, provider, toClient, 0, rest, reason);
        else emit JobSlashed(jobId, provider, toClient, rest, 0, reason);
        if (calls) _callBack(jobId, terms, ended, _failed(jobId, reason));
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
        CappedCall.requireGas(terms.callbackGas, _CALLBACK_RESERVE);
        if (!_deliver(terms.client, data, gasleft() - _CALLBACK_RESERVE)) revert CallbackReverted(jobId);
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
        _phase = Phase.Calling;
        (delivered,,) = CappedCall.call(client, 0, data, gasLimit);
        _phase = Phase.Idle;
    }

    function _settled(bytes32 jobId, Result calldata result) private pure returns (bytes memory) {
        return abi.encodeCall(ILotaClient.onJobResult, (jobId, result));
    }

    function _failed(bytes32 jobId, Reason reason) private pure returns (bytes memory) {
        return abi.encodeCall(ILotaClient.onJobFailed, (jobId, reason));
    }
}
