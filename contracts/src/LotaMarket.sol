// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.34;

import {ILotaClient, ILotaMarket} from "./interfaces/ILotaMarket.sol";
import {Accounts} from "./abstracts/Accounts.sol";
import {Deals} from "./abstracts/Deals.sol";
import {CappedCall} from "./libraries/CappedCall.sol";
import {Hashes} from "./libraries/Hashes.sol";
import {Memory} from "./libraries/Memory.sol";
import {Signatures} from "./libraries/Signatures.sol";
import {TermsRules} from "./libraries/TermsRules.sol";
import {AccountSlot, StoredAccount} from "./types/AccountSlot.sol";
import {DealSlot, DealSlots, StoredDeal} from "./types/DealSlot.sol";
import {TermsPtr} from "./types/TermsPtr.sol";

/// @title LotaMarket: escrow and the life of a deal, and nothing else
/// @notice The specification is {ILotaMarket}: types, errors, events, and the order of checks in each function.
///
/// @dev What this contract holds to, beyond the interface:
///
/// - Money is in one of four places: a free balance, the escrow of an Open deal (maxPrice) or of a running one (price),
///   the collateral of a running deal, or `burned`. Only the first and the last are stored; the others follow from the
///   deal and its terms. What is forced into the contract counts nowhere, and there is no receive().
/// - A deal is one storage slot ({DealSlot}); the salts of a client are bits ({AccountSlot}). Neither is ever freed.
/// - Every function checks, then changes storage, then emits; only then may it call out: the client's callback, or the
///   payout of {withdraw}. While it does, no function of this contract that is not a view can be entered, but for
///   {deposit} and {open} from within a callback ({Guard} says why). Wallets are asked about signatures by static calls,
///   before anything changes.
/// - Callees get a fixed amount of gas, or the transaction reverts for want of it; what they return is not copied, except
///   for one word from ERC-1271 wallets. Payouts get all gas: their sender chose the recipient.
/// - All gas amounts are settings of the deployment: FEVM's gas is another unit than Ethereum's.
contract LotaMarket is Accounts, Deals {
    uint256 private constant _MAX_LOCK_AHEAD = 365 days;
    uint256 private constant _MAX_SPEC = 8192;
    uint256 private constant _MAX_INLINE_DATA = 1024;
    uint256 private constant _MAX_URL = 256;
    uint256 private constant _MAX_BATCH = 256;

    uint32 private immutable _MIN_WINDOW;
    uint32 private immutable _MAX_CALLBACK_GAS;
    uint32 private immutable _CALLBACK_RESERVE;
    uint32 private immutable _SIGNATURE_GAS;

    uint256 private _burned;

    constructor(Settings memory fixedSettings) {
        _MIN_WINDOW = fixedSettings.minWindow;
        _MAX_CALLBACK_GAS = fixedSettings.maxCallbackGas;
        _CALLBACK_RESERVE = fixedSettings.callbackReserve;
        _SIGNATURE_GAS = fixedSettings.signatureGas;
    }

    // ------------------------------------------------------------------------------------------------------------
    // Opening
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ILotaMarket
    function open(Terms calldata given, bytes calldata spec) external payable notWhilePaying returns (bytes32 jobId) {
        TermsPtr terms;
        (jobId, terms) = _load(given);
        (StoredAccount storage stored, AccountSlot account) = _requireOpenable(terms);
        if (msg.sender != terms.client()) revert WrongSender(msg.sender, terms.client());
        _requireLockByInReach(terms);
        _requireSpec(terms, spec);
        if (msg.value != 0) account = _deposit(msg.sender, account);
        stored.slot = _escrow(account, terms);
        _deals[jobId].slot = DealSlots.open();
        _emitOpened(jobId, terms, spec);
    }

    /// @inheritdoc ILotaMarket
    function openSigned(Terms calldata given, bytes calldata spec, bytes calldata signature)
        external
        notWhileCalling
        returns (bytes32 jobId)
    {
        TermsPtr terms;
        (jobId, terms) = _load(given);
        (StoredAccount storage stored, AccountSlot account) = _requireOpenable(terms);
        _requireLockByInReach(terms);
        _requireSpec(terms, spec);
        _requireSigned(terms, jobId, signature);
        stored.slot = _escrow(account, terms);
        _deals[jobId].slot = DealSlots.open();
        _emitOpened(jobId, terms, spec);
    }

    /// @inheritdoc ILotaMarket
    function openSignedAndLock(Terms calldata given, bytes calldata spec, bytes calldata signature)
        external
        notWhileCalling
        returns (bytes32 jobId)
    {
        TermsPtr terms;
        (jobId, terms) = _load(given);
        StoredDeal storage deal = _deals[jobId];
        if (!deal.slot.isAt(Status.None)) {
            _lock(jobId, terms);
            return jobId;
        }
        (StoredAccount storage stored, AccountSlot account) = _requireOpenable(terms);
        _requireNoMatcher(terms);
        _requireLockByInReach(terms);
        if (block.timestamp < terms.rampStart()) revert TooEarly(block.timestamp, terms.rampStart());
        _requireSpec(terms, spec);
        _requireSigned(terms, jobId, signature);
        uint256 price = TermsRules.priceAt(terms, block.timestamp);
        unchecked {
            stored.slot = _escrow(account, terms).plus(terms.maxPrice() - price);
        }
        _emitOpened(jobId, terms, spec);
        _fix(deal, jobId, terms, msg.sender, price, msg.sender);
    }

    /// @return stored the client's account
    /// @return account what it holds
    function _requireOpenable(TermsPtr terms) private view returns (StoredAccount storage stored, AccountSlot account) {
        terms.requireCanonicalUnbounded();
        TermsRules.requireValid(terms, _MIN_WINDOW, _MAX_CALLBACK_GAS);
        stored = _accounts[terms.client()];
        account = stored.slot;
        if (_isSpent(terms.client(), account, terms.salt())) revert SaltSpent(terms.client(), terms.salt());
    }

    function _requireLockByInReach(TermsPtr terms) private view {
        uint256 lockBy = terms.lockBy();
        if (block.timestamp > lockBy) revert TooLate(block.timestamp, lockBy);
        if (lockBy > block.timestamp + _MAX_LOCK_AHEAD) revert TooEarly(block.timestamp, lockBy - _MAX_LOCK_AHEAD);
    }

    function _requireSpec(TermsPtr terms, bytes calldata spec) private pure {
        if (spec.length == 0) return;
        if (spec.length > _MAX_SPEC) revert SpecTooLarge(spec.length);
        bytes32 found = sha256(spec);
        if (found != terms.spec()) revert SpecMismatch(found, terms.spec());
    }

    function _requireSigned(TermsPtr terms, bytes32 digest, bytes calldata signature) private view {
        if (block.chainid != _CHAIN_ID) revert WrongChain(block.chainid);
        address client = terms.client();
        if (!Signatures.isValid(client, digest, signature, _SIGNATURE_GAS, _CALLBACK_RESERVE)) {
            revert BadSignature(client);
        }
    }

    /// @dev The client's account with the escrow taken and the salt spent; the caller stores it.
    function _escrow(AccountSlot account, TermsPtr terms) private returns (AccountSlot) {
        _requireBalance(terms.client(), account, terms.maxPrice());
        return _spend(terms.client(), account.minus(terms.maxPrice()), terms.salt());
    }

    /// @dev emit JobOpened(jobId, terms.client, terms.matcher, terms, spec), with the terms copied as a whole.
    function _emitOpened(bytes32 jobId, TermsPtr terms, bytes calldata spec) private {
        bytes32 selector = JobOpened.selector;
        address client = terms.client();
        address matcher = terms.matcher();
        assembly ("memory-safe") {
            let data := mload(0x40)
            mcopy(data, terms, 0x200)
            mstore(add(data, 0x200), 0x220) // where the spec begins
            mstore(add(data, 0x220), spec.length)
            calldatacopy(add(data, 0x240), spec.offset, spec.length)
            mstore(add(add(data, 0x240), spec.length), 0) // its padding
            log4(data, add(0x240, and(add(spec.length, 0x1f), not(0x1f))), selector, jobId, client, matcher)
        }
    }

    // ------------------------------------------------------------------------------------------------------------
    // Locking and awarding
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ILotaMarket
    function lock(Terms calldata given) external notWhileCalling {
        (bytes32 jobId, TermsPtr terms) = _load(given);
        _lock(jobId, terms);
    }

    /// @inheritdoc ILotaMarket
    function award(Terms calldata given, address provider, uint256 price) external notWhileCalling {
        (bytes32 jobId, TermsPtr terms) = _load(given);
        (StoredDeal storage deal,) = _requireStatus(jobId, Status.Open);
        if (terms.matcher() == address(0) || msg.sender != terms.matcher()) {
            revert WrongSender(msg.sender, terms.matcher());
        }
        if (block.timestamp > terms.lockBy()) revert TooLate(block.timestamp, terms.lockBy());
        if (provider == address(0)) revert InvalidProvider();
        if (!_priceInRange(terms, price)) revert PriceOutOfRange(price, terms.minPrice(), terms.maxPrice());
        _refund(terms, price);
        _fix(deal, jobId, terms, provider, price, msg.sender);
    }

    function _lock(bytes32 jobId, TermsPtr terms) private {
        (StoredDeal storage deal,) = _requireStatus(jobId, Status.Open);
        _requireNoMatcher(terms);
        if (block.timestamp < terms.rampStart()) revert TooEarly(block.timestamp, terms.rampStart());
        if (block.timestamp > terms.lockBy()) revert TooLate(block.timestamp, terms.lockBy());
        uint256 price = TermsRules.priceAt(terms, block.timestamp);
        _refund(terms, price);
        _fix(deal, jobId, terms, msg.sender, price, msg.sender);
    }

    function _requireNoMatcher(TermsPtr terms) private view {
        if (terms.matcher() != address(0)) revert WrongSender(msg.sender, terms.matcher());
    }

    /// @dev The client's escrow beyond the price.
    function _refund(TermsPtr terms, uint256 price) private {
        unchecked {
            _credit(terms.client(), terms.maxPrice() - price);
        }
    }

    /// @dev Fixes provider and price.
    /// @param payer who brings the collateral: the provider, or the matcher for it
    function _fix(
        StoredDeal storage deal,
        bytes32 jobId,
        TermsPtr terms,
        address provider,
        uint256 price,
        address payer
    ) private {
        _debit(payer, terms.collateral());
        deal.slot = DealSlots.locked(provider, price);
        emit JobLocked(jobId, provider, price);
    }

    function _priceInRange(TermsPtr terms, uint256 price) private pure returns (bool) {
        return price >= terms.minPrice() && price <= terms.maxPrice() && price % 1 gwei == 0;
    }

    // ------------------------------------------------------------------------------------------------------------
    // Results and disputes
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ILotaMarket
    function submitResult(Terms calldata given, Result calldata result) external notWhileCalling {
        (bytes32 jobId, TermsPtr terms) = _load(given);
        (StoredDeal storage stored, DealSlot deal) = _requireStatus(jobId, Status.Locked);
        address provider = deal.provider();
        if (msg.sender != provider) revert WrongSender(msg.sender, provider);
        _requireWithin(deal, terms.runFor());
        bytes calldata inlineData = result.inlineData;
        if (inlineData.length > _MAX_INLINE_DATA) revert InlineTooLarge(inlineData.length);
        bytes32 output = result.output;
        uint256 exitCode = result.exitCode;
        uint256 fuelUsed = result.fuelUsed;
        stored.slot =
            DealSlots.submitted(Hashes.ofReceipt(provider, deal.price(), output, exitCode, fuelUsed, inlineData));
        _emitSubmitted(jobId, provider, output, exitCode, fuelUsed, inlineData);
    }

    /// @inheritdoc ILotaMarket
    function dispute(Terms calldata given) external notWhileCalling {
        (bytes32 jobId, TermsPtr terms) = _load(given);
        (StoredDeal storage stored, DealSlot deal) = _requireStatus(jobId, Status.Submitted);
        _requireArbiter(terms);
        _requireWithin(deal, terms.reviewFor());
        stored.slot = deal.disputed();
        emit JobDisputed(jobId);
    }

    /// @dev emit ResultSubmitted(jobId, provider, Result(output, exitCode, fuelUsed, inlineData)).
    function _emitSubmitted(
        bytes32 jobId,
        address provider,
        bytes32 output,
        uint256 exitCode,
        uint256 fuelUsed,
        bytes calldata inlineData
    ) private {
        bytes32 selector = ResultSubmitted.selector;
        assembly ("memory-safe") {
            let data := mload(0x40)
            mstore(data, 0x20) // where the result begins
            mstore(add(data, 0x20), output)
            mstore(add(data, 0x40), exitCode)
            mstore(add(data, 0x60), fuelUsed)
            mstore(add(data, 0x80), 0x80) // where its data begins
            mstore(add(data, 0xa0), inlineData.length)
            calldatacopy(add(data, 0xc0), inlineData.offset, inlineData.length)
            mstore(add(add(data, 0xc0), inlineData.length), 0) // its padding
            log3(data, add(0xc0, and(add(inlineData.length, 0x1f), not(0x1f))), selector, jobId, provider)
        }
    }

    // ------------------------------------------------------------------------------------------------------------
    // Ends
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ILotaMarket
    function cancel(Terms calldata given) external notWhileCalling {
        (bytes32 jobId, TermsPtr terms) = _load(given);
        (StoredDeal storage stored,) = _requireStatus(jobId, Status.Open);
        address wanted = terms.matcher() == address(0) ? terms.client() : terms.matcher();
        if (msg.sender != wanted) revert WrongSender(msg.sender, wanted);
        _cancel(stored, jobId, terms, Reason.Withdrawn);
    }

    /// @inheritdoc ILotaMarket
    function expire(Terms calldata given) external notWhileCalling {
        (bytes32 jobId, TermsPtr terms) = _load(given);
        (StoredDeal storage stored, DealSlot deal) = _requireDeal(jobId);
        Status status = deal.status();
        if (status == Status.Open) {
            _requireAfter(terms.lockBy());
            _cancel(stored, jobId, terms, Reason.NotLocked);
        } else if (status == Status.Locked) {
            _requireAfter(deal.since() + terms.runFor());
            DealSlot ended = DealSlots.ended(Status.Slashed, Reason.NotSubmitted);
            _slash(stored, jobId, terms, ended, deal.provider(), deal.price(), address(0));
        } else {
            revert WrongState(jobId, status);
        }
    }

    /// @inheritdoc ILotaMarket
    function accept(Terms calldata given, Receipt calldata receipt) external notWhileCalling {
        (bytes32 jobId, TermsPtr terms) = _load(given);
        (StoredDeal storage stored, DealSlot deal) = _requireStatus(jobId, Status.Submitted);
        if (msg.sender != terms.client()) revert WrongSender(msg.sender, terms.client());
        _settle(stored, jobId, terms, receipt, deal, Reason.Accepted);
    }

    /// @inheritdoc ILotaMarket
    function settle(Terms calldata given, Receipt calldata receipt) external notWhileCalling {
        (bytes32 jobId, TermsPtr terms) = _load(given);
        (StoredDeal storage stored, DealSlot deal) = _requireStatus(jobId, Status.Submitted);
        _requireAfter(deal.since() + terms.reviewFor());
        _settle(stored, jobId, terms, receipt, deal, Reason.Unchallenged);
    }

    /// @inheritdoc ILotaMarket
    function rule(Terms calldata given, Receipt calldata receipt, Verdict verdict) external notWhileCalling {
        (bytes32 jobId, TermsPtr terms) = _load(given);
        (StoredDeal storage stored, DealSlot deal) = _requireStatus(jobId, Status.Disputed);
        _requireArbiter(terms);
        _requireWithin(deal, terms.ruleFor());
        if (verdict == Verdict.Upheld) {
            _settle(stored, jobId, terms, receipt, deal, Reason.Upheld);
        } else if (verdict == Verdict.Overturned) {
            (address provider, uint256 price) = _requireReceipt(jobId, deal, receipt);
            DealSlot ended = deal.ended(Status.Slashed, Reason.Overturned);
            _slash(stored, jobId, terms, ended, provider, price, terms.arbiter());
        } else {
            _void(stored, jobId, terms, receipt, deal, Reason.Undecided);
        }
    }

    /// @inheritdoc ILotaMarket
    function lapse(Terms calldata given, Receipt calldata receipt) external notWhileCalling {
        (bytes32 jobId, TermsPtr terms) = _load(given);
        (StoredDeal storage stored, DealSlot deal) = _requireStatus(jobId, Status.Disputed);
        _requireAfter(deal.since() + terms.ruleFor());
        _void(stored, jobId, terms, receipt, deal, Reason.NotRuled);
    }

    function _cancel(StoredDeal storage stored, bytes32 jobId, TermsPtr terms, Reason reason) private {
        _credit(terms.client(), terms.maxPrice());
        DealSlot ended = DealSlots.ended(Status.Cancelled, reason);
        stored.slot = ended;
        emit JobCancelled(jobId, reason);
        if (terms.callbackGas() != 0) _callBack(stored, jobId, terms, ended, _failed(jobId, reason));
    }

    function _settle(
        StoredDeal storage stored,
        bytes32 jobId,
        TermsPtr terms,
        Receipt calldata receipt,
        DealSlot deal,
        Reason reason
    ) private {
        (address provider, uint256 price) = _requireReceipt(jobId, deal, receipt);
        unchecked {
            _credit(provider, price + terms.collateral());
        }
        DealSlot ended = deal.ended(Status.Settled, reason);
        stored.slot = ended;
        emit JobSettled(jobId, provider, price, reason);
        if (terms.callbackGas() != 0) _callBack(stored, jobId, terms, ended, _result(jobId, receipt));
    }

    /// @param arbiter who gets the half of the collateral that the client does not get; zero: it is burned
    function _slash(
        StoredDeal storage stored,
        bytes32 jobId,
        TermsPtr terms,
        DealSlot ended,
        address provider,
        uint256 price,
        address arbiter
    ) private {
        uint256 half = terms.collateral() / 2;
        unchecked {
            uint256 toClient = price + half;
            uint256 rest = terms.collateral() - half;
            _credit(terms.client(), toClient);
            if (arbiter == address(0)) _burned += rest;
            else _credit(arbiter, rest);
            stored.slot = ended;
            (uint256 toArbiter, uint256 toBurn) = arbiter == address(0) ? (uint256(0), rest) : (rest, uint256(0));
            emit JobSlashed(jobId, provider, toClient, toArbiter, toBurn, ended.reason());
        }
        if (terms.callbackGas() != 0) _callBack(stored, jobId, terms, ended, _failed(jobId, ended.reason()));
    }

    function _void(
        StoredDeal storage stored,
        bytes32 jobId,
        TermsPtr terms,
        Receipt calldata receipt,
        DealSlot deal,
        Reason reason
    ) private {
        (address provider, uint256 price) = _requireReceipt(jobId, deal, receipt);
        _credit(terms.client(), price);
        _credit(provider, terms.collateral());
        DealSlot ended = deal.ended(Status.Void, reason);
        stored.slot = ended;
        emit JobVoided(jobId, provider, price, reason);
        if (terms.callbackGas() != 0) _callBack(stored, jobId, terms, ended, _failed(jobId, reason));
    }

    // ------------------------------------------------------------------------------------------------------------
    // Callbacks
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ILotaMarket
    function retryCallback(Terms calldata given, Receipt calldata receipt) external notWhileCalling {
        (bytes32 jobId, TermsPtr terms) = _load(given);
        (StoredDeal storage stored, DealSlot deal) = _requireDeal(jobId);
        Status status = deal.status();
        if (!deal.callbackPending()) revert WrongState(jobId, status);
        bytes memory data;
        if (status == Status.Settled) {
            _requireReceipt(jobId, deal, receipt);
            data = _result(jobId, receipt);
        } else {
            data = _failed(jobId, deal.reason());
        }
        _callBack(stored, jobId, terms, deal, data);
    }

    /// @dev Calls the client of an ended deal and notes in its slot when that failed. The last thing a function does.
    function _callBack(StoredDeal storage stored, bytes32 jobId, TermsPtr terms, DealSlot deal, bytes memory data)
        private
    {
        _calling = true;
        bool delivered = CappedCall.call(terms.client(), data, terms.callbackGas(), _CALLBACK_RESERVE);
        _calling = false;
        if (delivered) {
            if (deal.callbackPending()) stored.slot = deal.withoutPending();
            emit CallbackDelivered(jobId);
        } else {
            if (!deal.callbackPending()) stored.slot = deal.withPending();
            emit CallbackFailed(jobId);
        }
    }

    function _result(bytes32 jobId, Receipt calldata receipt) private pure returns (bytes memory) {
        return abi.encodeCall(ILotaClient.onJobResult, (jobId, receipt.result));
    }

    function _failed(bytes32 jobId, Reason reason) private pure returns (bytes memory) {
        return abi.encodeCall(ILotaClient.onJobFailed, (jobId, reason));
    }

    // ------------------------------------------------------------------------------------------------------------
    // Many at once
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ILotaMarket
    function settleBatch(BatchEntry[] calldata entries) external notWhileCalling {
        if (entries.length > _MAX_BATCH) revert TooMany(entries.length);
        if (block.chainid != _CHAIN_ID) revert WrongChain(block.chainid);
        for (uint256 i = 0; i < entries.length; ++i) {
            BatchEntry calldata entry = entries[i];
            uint256 free = Memory.mark();
            (bytes32 jobId, TermsPtr terms) = _load(entry.terms);
            terms.requireCanonical();
            bytes4 why = _settleUnopened(jobId, terms, entry.receipt, entry.signature);
            if (why != 0) emit BatchSkipped(jobId, why);
            Memory.release(free);
        }
    }

    /// @inheritdoc ILotaMarket
    function multicall(bytes[] calldata calls) external notWhileCalling returns (bytes[] memory results) {
        if (calls.length > _MAX_BATCH) revert TooMany(calls.length);
        results = new bytes[](calls.length);
        for (uint256 i = 0; i < calls.length; ++i) {
            (bool success, bytes memory returned) = address(this).delegatecall(calls[i]);
            if (!success) {
                assembly ("memory-safe") {
                    revert(add(returned, 0x20), mload(returned))
                }
            }
            results[i] = returned;
        }
    }

    /// @dev The selector of the error that stands against settling an entry; zero when nothing does, and it is settled.
    function _settleUnopened(bytes32 jobId, TermsPtr terms, Receipt calldata receipt, bytes calldata signature)
        private
        returns (bytes4)
    {
        (address client, address provider, uint256 price) = (terms.client(), receipt.provider, receipt.price);
        StoredAccount storage stored = _accounts[client];
        AccountSlot account = stored.slot;
        if (terms.callbackGas() != 0) return BadTerms.selector;
        if (_isSpent(client, account, terms.salt())) return SaltSpent.selector;
        if (provider == address(0)) return InvalidProvider.selector;
        if (!_priceInRange(terms, price)) return PriceOutOfRange.selector;
        if (receipt.result.inlineData.length > _MAX_INLINE_DATA) return InlineTooLarge.selector;
        if (!_isAccepted(client, jobId, receipt, signature)) return BadSignature.selector;
        if (account.balance() < price) return InsufficientBalance.selector;

        stored.slot = _spend(client, account.minus(price), terms.salt());
        _credit(provider, price);
        emit BatchSettled(jobId, client, provider, price, receipt.result.output);
        return 0;
    }

    function _isAccepted(address client, bytes32 jobId, Receipt calldata receipt, bytes calldata signature)
        private
        view
        returns (bool)
    {
        bytes32 receiptHash = _receiptHash(receipt.provider, receipt.price, receipt.result);
        bytes32 digest = Hashes.typed(_DOMAIN, Hashes.ofAcceptance(jobId, receiptHash));
        return Signatures.isValid(client, digest, signature, _SIGNATURE_GAS, _CALLBACK_RESERVE);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Events only
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ILotaMarket
    function publishSpec(bytes calldata spec) external notWhileCalling {
        if (spec.length > _MAX_SPEC) revert SpecTooLarge(spec.length);
        emit SpecPublished(sha256(spec), spec);
    }

    /// @inheritdoc ILotaMarket
    function announce(string calldata url) external notWhileCalling {
        if (bytes(url).length > _MAX_URL) revert UrlTooLarge(bytes(url).length);
        emit Announced(msg.sender, url);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Views
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ILotaMarket
    function burned() external view returns (uint256) {
        return _burned;
    }

    /// @inheritdoc ILotaMarket
    function settings() external view returns (Settings memory) {
        return Settings({
            minWindow: _MIN_WINDOW,
            maxCallbackGas: _MAX_CALLBACK_GAS,
            callbackReserve: _CALLBACK_RESERVE,
            signatureGas: _SIGNATURE_GAS
        });
    }
}
