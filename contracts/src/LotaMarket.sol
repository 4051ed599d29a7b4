// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.34;

import {ILotaMarket} from "./interfaces/ILotaMarket.sol";
import {Deployment} from "./abstracts/Deployment.sol";
import {Ends} from "./abstracts/Ends.sol";
import {Addresses} from "./libraries/Addresses.sol";
import {Asset} from "./libraries/Asset.sol";
import {Hashes} from "./libraries/Hashes.sol";
import {Signatures} from "./libraries/Signatures.sol";
import {TermsRules} from "./libraries/TermsRules.sol";
import {AccountSlot} from "./types/AccountSlot.sol";
import {DealSlot, DealSlots} from "./types/DealSlot.sol";

/// @title LotaMarket: escrow and the life of a deal, and nothing else
/// @notice The specification is {ILotaMarket}: types, errors, events, and the order of checks in each function.
///
/// @dev What this contract holds to, beyond the interface:
///
/// - Money is in one of four places: a free balance, the escrow of an Open deal (maxPrice) or of a running one (price),
///   the collateral of a running deal, or `burned`. Only the first and the last are stored; the others follow from the
///   deal and its terms. What is forced into the contract counts nowhere, and there is no receive().
/// - A deal is one storage slot ({DealSlot}), which is zero again when it has ended; so is an account with the salts of its lane 0
///   ({AccountSlot}), and each other lane.
/// - Every function checks, then changes storage, then emits; only then may it call out: the client's callback, or the
///   payout of {withdraw}. A token is called before what it brought is credited. Meanwhile no function of this contract that is
///   not a view can be entered, but for deposits and {open} from within a callback ({Guard} says why). Wallets are asked about
///   signatures by static calls, before anything changes.
/// - Callees get a fixed amount of gas, or the transaction reverts for want of it; what they return is not copied, except
///   for one word from wallets and the token. Payouts, the token, and callbacks that are tried again get all gas: their sender
///   chose to.
/// - All gas amounts are settings of the deployment: FEVM's gas is another unit than Ethereum's.
contract LotaMarket is Ends {
    uint256 private constant _MAX_LOCK_AHEAD = 365 days;
    uint256 private constant _MAX_SPEC = 7168;
    uint256 private constant _MAX_INLINE_DATA = 1024;
    uint256 private constant _MAX_URL = 256;
    uint256 private constant _MAX_BATCH = 62;

    constructor(Settings memory fixedSettings) Deployment(fixedSettings) {}

    // ------------------------------------------------------------------------------------------------------------
    // Opening
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ILotaMarket
    function open(Terms memory terms, bytes calldata spec) external payable notWhilePaying returns (bytes32 jobId) {
        if (msg.value != 0 && _ASSET != address(0)) revert WrongAsset(_ASSET);
        AccountSlot account = _requireOpenable(terms);
        _requireSender(terms.client);
        _requireLockByInReach(terms);
        _requireSpec(terms, spec);
        if (msg.value != 0) {
            Asset.requireRoom(_ASSET);
            account = account.plus(msg.value);
            emit Deposited(msg.sender, msg.sender, msg.value);
        }
        jobId = jobIdOf(terms);
        _open(jobId, terms, account, terms.maxPrice, spec);
        _deals[jobId] = DealSlots.open();
    }

    /// @inheritdoc ILotaMarket
    function openSigned(Terms memory terms, bytes calldata spec, bytes calldata signature)
        external
        notWhileCalling
        returns (bytes32 jobId)
    {
        AccountSlot account = _requireOpenable(terms);
        _requireLockByInReach(terms);
        _requireSpec(terms, spec);
        jobId = jobIdOf(terms);
        _requireSigned(terms.client, jobId, signature);
        _open(jobId, terms, account, terms.maxPrice, spec);
        _deals[jobId] = DealSlots.open();
    }

    /// @inheritdoc ILotaMarket
    function openSignedAndLock(Terms memory terms, bytes calldata spec, bytes calldata signature)
        external
        notWhileCalling
        returns (bytes32 jobId)
    {
        jobId = jobIdOf(terms);
        if (!_deals[jobId].isAt(Status.None)) {
            _requireLockable(terms);
            _requireSpec(terms, spec);
            if (spec.length != 0) emit SpecPublished(terms.spec, spec);
            _lock(jobId, terms);
            return jobId;
        }
        AccountSlot account = _requireOpenable(terms);
        _requireNoMatcher(terms);
        _requireLockByInReach(terms);
        _requireRampStarted(terms);
        _requireSpec(terms, spec);
        _requireSigned(terms.client, jobId, signature);
        uint256 price = TermsRules.priceAt(terms, _QUANTUM, block.timestamp);
        _open(jobId, terms, account, price, spec);
        _fix(jobId, terms, msg.sender, price);
    }

    /// @return account the client's
    function _requireOpenable(Terms memory terms) private view returns (AccountSlot account) {
        TermsRules.requireValid(terms, _QUANTUM, _MIN_WINDOW, _MAX_CALLBACK_GAS);
        account = _accounts[terms.client].slot;
        _requireUnspent(terms.client, account, terms.salt);
    }

    function _requireLockByInReach(Terms memory terms) private view {
        _requireUntil(terms.lockBy);
        if (terms.lockBy > block.timestamp + _MAX_LOCK_AHEAD) {
            revert TooEarly(block.timestamp, terms.lockBy - _MAX_LOCK_AHEAD);
        }
    }

    function _requireSpec(Terms memory terms, bytes calldata spec) private pure {
        if (spec.length == 0) return;
        if (spec.length > _MAX_SPEC) revert SpecTooLarge(spec.length);
        bytes32 found = sha256(spec);
        if (found != terms.spec) revert SpecMismatch(found, terms.spec);
    }

    function _requireSigned(address client, bytes32 digest, bytes calldata signature) private view {
        if (block.chainid != _CHAIN_ID) revert WrongChain(block.chainid);
        if (!_isSigned(client, digest, signature)) revert BadSignature(client);
    }

    function _isSigned(address client, bytes32 digest, bytes calldata signature) private view returns (bool) {
        return Signatures.isValid(client, digest, signature, _SIGNATURE_GAS, _CALLBACK_RESERVE);
    }

    /// @dev Takes `escrow` from a client who has at least maxPrice, and spends the salt. The caller stores the deal.
    function _open(bytes32 jobId, Terms memory terms, AccountSlot account, uint256 escrow, bytes calldata spec)
        private
    {
        _requireBalance(terms.client, account.balance(), terms.maxPrice);
        _accounts[terms.client].slot = _spend(terms.client, account.minus(escrow), terms.salt);
        emit JobOpened(jobId, terms.client, terms.matcher, terms, spec);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Locking and awarding
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ILotaMarket
    function lock(Terms memory terms) external notWhileCalling {
        _lock(_requireLockable(terms), terms);
    }

    /// @inheritdoc ILotaMarket
    function award(Terms memory terms, address provider, uint256 price) external notWhileCalling {
        (bytes32 jobId,) = _find(terms, Status.Open);
        _requireSender(terms.matcher);
        _requireUntil(terms.lockBy);
        if (Addresses.isRefused(provider)) revert InvalidProvider();
        if (!TermsRules.allowsPrice(terms, _QUANTUM, price)) {
            revert PriceOutOfRange(price, terms.minPrice, terms.maxPrice);
        }
        _credit(terms.client, terms.maxPrice - price);
        _fix(jobId, terms, provider, price);
    }

    function _requireLockable(Terms memory terms) private view returns (bytes32 jobId) {
        (jobId,) = _find(terms, Status.Open);
        _requireNoMatcher(terms);
        _requireRampStarted(terms);
        _requireUntil(terms.lockBy);
    }

    function _requireNoMatcher(Terms memory terms) private view {
        if (terms.matcher != address(0)) revert WrongSender(msg.sender, terms.matcher);
    }

    function _requireRampStarted(Terms memory terms) private view {
        if (block.timestamp < terms.rampStart) revert TooEarly(block.timestamp, terms.rampStart);
    }

    function _lock(bytes32 jobId, Terms memory terms) private {
        uint256 price = TermsRules.priceAt(terms, _QUANTUM, block.timestamp);
        _credit(terms.client, terms.maxPrice - price);
        _fix(jobId, terms, msg.sender, price);
    }

    /// @dev Fixes provider and price; the sender, provider or matcher, brings the collateral.
    function _fix(bytes32 jobId, Terms memory terms, address provider, uint256 price) private {
        _debit(msg.sender, terms.collateral);
        _deals[jobId] = DealSlots.locked(provider, price / _QUANTUM);
        emit JobLocked(jobId, provider, msg.sender, price);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Results and disputes
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ILotaMarket
    function submitResult(Terms memory terms, Result calldata result) external notWhileCalling {
        (bytes32 jobId, DealSlot deal) = _find(terms, Status.Locked);
        address provider = deal.provider();
        _requireSender(provider);
        _requireUntil(deal.since() + terms.runFor);
        if (result.inlineData.length > _MAX_INLINE_DATA) revert InlineTooLarge(result.inlineData.length);
        uint256 price = deal.quanta() * _QUANTUM;
        emit ResultSubmitted(jobId, provider, result);
        bool reviewed = terms.arbiter != address(0);
        bytes26 digest; // needed only if it is kept
        if (reviewed || terms.keepRecord || terms.callbackGas != 0) digest = _digest(jobId, provider, price, result);
        if (reviewed) _deals[jobId] = DealSlots.submitted(digest);
        else _settle(jobId, terms, digest, provider, price, result, Reason.Unreviewed);
    }

    /// @inheritdoc ILotaMarket
    function dispute(Terms memory terms) external notWhileCalling {
        (bytes32 jobId, DealSlot deal) = _find(terms, Status.Submitted);
        _requireSender(terms.arbiter);
        _requireUntil(deal.since() + terms.reviewFor);
        _deals[jobId] = deal.disputed();
        emit JobDisputed(jobId);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Ends
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ILotaMarket
    function cancel(Terms memory terms) external notWhileCalling {
        (bytes32 jobId,) = _find(terms, Status.Open);
        _requireSender(terms.matcher == address(0) ? terms.client : terms.matcher);
        _cancel(jobId, terms, Reason.Withdrawn);
    }

    /// @inheritdoc ILotaMarket
    function expire(Terms memory terms) external notWhileCalling {
        (bytes32 jobId, DealSlot deal) = _find(terms);
        if (deal.isAt(Status.Open)) {
            _requireAfter(terms.lockBy);
            _cancel(jobId, terms, Reason.NotLocked);
        } else {
            if (!deal.isAt(Status.Locked)) revert WrongState(jobId, deal.status());
            _requireAfter(deal.since() + terms.runFor);
            _slashUnsubmitted(jobId, terms, deal);
        }
    }

    /// @inheritdoc ILotaMarket
    function giveUp(Terms memory terms) external notWhileCalling {
        (bytes32 jobId, DealSlot deal) = _find(terms, Status.Locked);
        _requireSender(deal.provider());
        _slashUnsubmitted(jobId, terms, deal);
    }

    /// @inheritdoc ILotaMarket
    function accept(Terms memory terms, Receipt calldata receipt) external notWhileCalling {
        (bytes32 jobId, DealSlot deal) = _find(terms, Status.Submitted);
        _requireSender(terms.client);
        _settleReceipt(jobId, terms, deal, receipt, Reason.Accepted);
    }

    /// @inheritdoc ILotaMarket
    function settle(Terms memory terms, Receipt calldata receipt) external notWhileCalling {
        (bytes32 jobId, DealSlot deal) = _find(terms, Status.Submitted);
        _requireAfter(deal.since() + terms.reviewFor);
        _settleReceipt(jobId, terms, deal, receipt, Reason.Unchallenged);
    }

    /// @inheritdoc ILotaMarket
    function rule(Terms memory terms, Receipt calldata receipt, Verdict verdict) external notWhileCalling {
        (bytes32 jobId, DealSlot deal) = _find(terms, Status.Disputed);
        _requireSender(terms.arbiter);
        _requireUntil(deal.since() + terms.ruleFor);
        if (verdict == Verdict.Upheld) {
            _settleReceipt(jobId, terms, deal, receipt, Reason.Upheld);
        } else if (verdict == Verdict.Overturned) {
            _requireReceipt(jobId, terms, deal, receipt);
            _slash(jobId, terms, deal, receipt.provider, receipt.price);
        } else {
            _void(jobId, terms, deal, receipt, Reason.Undecided);
        }
    }

    /// @inheritdoc ILotaMarket
    function lapse(Terms memory terms, Receipt calldata receipt) external notWhileCalling {
        (bytes32 jobId, DealSlot deal) = _find(terms, Status.Disputed);
        _requireAfter(deal.since() + terms.ruleFor);
        _void(jobId, terms, deal, receipt, Reason.NotRuled);
    }

    function _settleReceipt(bytes32 jobId, Terms memory terms, DealSlot deal, Receipt calldata receipt, Reason reason)
        private
    {
        _requireReceipt(jobId, terms, deal, receipt);
        _settle(jobId, terms, deal.receipt(), receipt.provider, receipt.price, receipt.result, reason);
    }

    function _slashUnsubmitted(bytes32 jobId, Terms memory terms, DealSlot deal) private {
        _slash(jobId, terms, deal, deal.provider(), deal.quanta() * _QUANTUM);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Many at once
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ILotaMarket
    function settleBatch(BatchEntry[] calldata entries) external notWhileCalling {
        if (entries.length > _MAX_BATCH) revert TooMany(entries.length);
        if (block.chainid != _CHAIN_ID) revert WrongChain(block.chainid);
        for (uint256 i = 0; i < entries.length; ++i) {
            Terms memory terms = entries[i].terms;
            bytes32 jobId = jobIdOf(terms);
            bytes4 why = _settleUnopened(jobId, terms, entries[i]);
            if (why != 0) emit BatchSkipped(jobId, why);
        }
    }

    /// @inheritdoc ILotaMarket
    function multicall(bytes[] calldata calls) external notWhileCalling returns (bytes[] memory results) {
        if (calls.length > _MAX_BATCH) revert TooMany(calls.length);
        results = new bytes[](calls.length);
        for (uint256 i = 0; i < calls.length; ++i) {
            (bool success, bytes memory returned) = address(this).delegatecall(calls[i]);
            if (!success) {
                // Solidity can pass on an error's data in no other way.
                assembly ("memory-safe") {
                    revert(add(returned, 0x20), mload(returned))
                }
            }
            results[i] = returned;
        }
    }

    /// @dev The selector of the error that stands against settling an entry; zero when nothing does, and it is settled.
    function _settleUnopened(bytes32 jobId, Terms memory terms, BatchEntry calldata entry) private returns (bytes4) {
        Receipt calldata receipt = entry.receipt;
        if (TermsRules.isFaultyInBatch(terms)) return BadTerms.selector;
        Account storage stored = _accounts[terms.client];
        AccountSlot account = stored.slot;
        bytes4 why = _saltFault(terms.client, account, terms.salt);
        if (why != 0) return why;
        if (block.timestamp > entry.until) return TooLate.selector;
        (address provider, uint256 price) = (receipt.provider, receipt.price);
        if (Addresses.isRefused(provider)) return InvalidProvider.selector;
        if (!TermsRules.allowsPrice(terms, _QUANTUM, price)) return PriceOutOfRange.selector;
        Result calldata result = receipt.result;
        if (result.inlineData.length > _MAX_INLINE_DATA) return InlineTooLarge.selector;
        bytes32 accepted = Hashes.ofAcceptance(jobId, Hashes.ofReceipt(provider, price, result), entry.until);
        if (!_isSigned(terms.client, Hashes.typed(_DOMAIN, accepted), entry.signature)) return BadSignature.selector;
        if (account.balance() < price) return InsufficientBalance.selector;

        stored.slot = _spend(terms.client, account.minus(price), terms.salt);
        _credit(provider, price);
        emit BatchSettled(jobId, terms.client, provider, terms.salt, price, result.output, result.exitCode);
        return 0;
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
}
