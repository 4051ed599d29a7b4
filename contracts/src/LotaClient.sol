// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {ILotaClient, ILotaMarket} from "./interfaces/ILotaMarket.sol";

/// @title LotaClient: the base of contracts that have programs run on the Lota market
/// @notice Inherit it, open jobs with {_openJob}, and write what to do with a result in {_onResult} and without one in
/// {_onFailure}. Who paid for a job that failed is owed the money, and fetches it with {withdraw}.
///
/// By default results are UNVERIFIED: ANY PROVIDER IS TRUSTED. Any stranger may take the job, what he submits is paid at once, and
/// {_onResult} is told it as the result; nothing but `exitCode` says that a program ran at all. Where a false result would cost more
/// than its price, override {_terms} and choose an `arbiter` who has results checked (with `reviewFor` and `ruleFor`), or a
/// `matcher` who awards jobs to those you trust.
///
/// @dev Money. Everything lies in this contract's balance at the market ({ILotaMarket-balanceOf}); the contract holds none itself. A
/// part of it is {owed} to accounts, and no function here spends that on anything else. What is neither owed nor in escrow is
/// free: anybody may add to it with the market's `deposit` or `depositToken`, jobs may be paid from it, and {_payOut} takes it out.
/// A refund counts as free until its callback was delivered: before you spend what is free, see that none of your jobs has
/// `callbackPending`, or one payer's refund pays another's.
/// When the price may rise (minPrice < maxPrice), what a settled job cost less than maxPrice becomes free; a callback does not tell
/// how much that is.
///
/// Callbacks. The market gives them exactly the terms' `callbackGas`. One that needs more, or reverts, changes nothing, and anybody
/// may repeat it with more gas ({ILotaMarket-retryCallback}): hooks should revert only for what will pass. From within a hook jobs
/// can be opened, nothing else of the market can be used. Each job has one call of one hook.
///
/// Storage. Three slots, which the constructor does not write. Jobs take one slot each until their callback. Jobs' salts are
/// numbers of lane 0; open jobs with other salts, if you must, in another lane, and without a callback.
abstract contract LotaClient is ILotaClient {
    /// @dev A job that was opened and not called back yet; one slot. Amounts in the market's quanta, which have 48 bits.
    struct PendingJob {
        address payer;
        uint48 price;
        uint48 collateral;
    }

    uint16 private constant _JSON = 0x55;

    /// @notice The market whose callbacks this contract believes.
    ILotaMarket public immutable MARKET;
    /// @dev What jobs are paid in: zero for the chain's coin, else an ERC-20.
    address internal immutable ASSET;
    /// @dev What amounts are multiples of, in the asset's smallest unit.
    uint256 internal immutable QUANTUM;
    /// @dev Gas for {_onResult} and {_onFailure}, unless {_terms} says otherwise.
    uint32 internal immutable CALLBACK_GAS;

    uint64 private _nextSalt;
    uint192 private _owedInAll;
    /// @notice What {withdraw} pays an account, in the asset's smallest unit.
    mapping(address account => uint256 amount) public owed;
    mapping(bytes32 jobId => PendingJob) private _pending;

    /// @notice Only the market calls back.
    error NotTheMarket(address sender);
    /// @notice This contract did not open the job with {_openJob}, or it was called back before.
    error NotPending(bytes32 jobId);
    /// @notice The contract would never be called back: `callbackGas` is 0, or 2300, which is not a callback for FVM.
    error NoCallback(uint32 callbackGas);
    /// @notice More than the `most` that this market promises to callbacks.
    error CallbackGasTooHigh(uint32 callbackGas, uint32 most);
    /// @notice A job needs somebody whose money it is: the zero address is nobody.
    error NoPayer();
    /// @notice `sent` came along as value, and it must be `wanted`: in a token market nothing.
    error WrongValue(uint256 sent, uint256 wanted);
    /// @notice The token did not let this contract have `amount`: has its owner approved that much?
    error TokenRefused(uint256 amount);
    /// @notice Of this contract's `balance` at the market `owedInAll` belongs to others.
    error NotCovered(uint256 balance, uint256 owedInAll);

    /// @param market the market to open jobs at
    /// @param callbackGas gas for {_onResult} and {_onFailure}, in the chain's own unit. It depends on what they do: measure it.
    /// Storing a short answer takes about 100,000 on Ethereum, 10,000,000 on Filecoin; providers price what they promise, used or not
    constructor(ILotaMarket market, uint32 callbackGas) {
        ILotaMarket.Settings memory settings = market.settings();
        _requireCallback(callbackGas);
        if (callbackGas > settings.maxCallbackGas) revert CallbackGasTooHigh(callbackGas, settings.maxCallbackGas);
        MARKET = market;
        ASSET = settings.asset;
        QUANTUM = settings.quantum;
        CALLBACK_GAS = callbackGas;
    }

    // ------------------------------------------------------------------------------------------------------------
    // For authors to write
    // ------------------------------------------------------------------------------------------------------------

    /// @notice The job was settled with this result. `inlineData` is what the program printed, if that is no more than 1,024
    /// bytes, else empty; `output` names the whole output ({Cid-ofOutput}).
    /// @dev The result is a stranger's word: of any bytes, perhaps no UTF-8.
    function _onResult(bytes32 jobId, address payer, ILotaMarket.Result calldata result) internal virtual;

    /// @notice The job ended without a result. `payer` is already {owed} the `refund` (which is free when that is this contract):
    /// the price, and half the collateral when the provider was slashed.
    function _onFailure(bytes32 jobId, address payer, ILotaMarket.Reason reason, uint256 refund) internal virtual;

    /// @notice Terms for a job at a fixed price (whole quanta); {_openJob} adds client, salt and spec. Override it to change some:
    ///
    ///     terms = super._terms(price);
    ///     terms.runFor = 10 minutes;
    ///
    /// @dev By default: unverified, any provider is trusted. Providers have an hour to take the job and an hour to run it, and put up
    /// as much collateral as the price, of which half comes here if they do not deliver.
    function _terms(uint256 price) internal view virtual returns (ILotaMarket.Terms memory terms) {
        terms.minPrice = price;
        terms.maxPrice = price;
        terms.rampStart = uint64(block.timestamp);
        terms.rampPeriod = 1;
        terms.lockBy = uint64(block.timestamp + 1 hours);
        terms.runFor = 1 hours;
        terms.collateral = price;
        terms.callbackGas = CALLBACK_GAS;
    }

    // ------------------------------------------------------------------------------------------------------------
    // For authors to call
    // ------------------------------------------------------------------------------------------------------------

    /// @notice Opens a job. `value`, of the chain's coin, goes along to the market first; what the price exceeds it by is taken from
    /// what is free of this contract's balance there.
    /// @param terms of {_terms}; client and salt are set here
    /// @param spec the job spec's JSON ({JobSpecs-toJson}). If it is empty, `terms` name a spec that was published
    /// @param payer to whom the money is owed if the job fails, often the sender; this contract itself for a job of its own
    /// @param value usually msg.value, or 0 when the money is there already. It is your task that no value is counted twice
    function _openJob(ILotaMarket.Terms memory terms, bytes memory spec, address payer, uint256 value)
        internal
        returns (bytes32 jobId)
    {
        _requireCallback(terms.callbackGas);
        if (payer == address(0)) revert NoPayer();
        terms.client = address(this);
        terms.salt = _nextSalt++;
        if (spec.length != 0) {
            terms.spec = sha256(spec);
            terms.specCodec = _JSON;
        }
        jobId = MARKET.open{value: value}(terms, spec);
        // The market has checked that the amounts are whole quanta of 48 bits.
        _pending[jobId] = PendingJob(payer, uint48(terms.maxPrice / QUANTUM), uint48(terms.collateral / QUANTUM));
        if (value < terms.maxPrice) _requireCovered(0);
    }

    /// @notice Brings `amount` from the sender into this contract's balance at the market, where it is free. In a coin market the
    /// call must have brought exactly that value; in a token market nothing, and the sender must have approved this contract.
    /// @dev At most once in a transaction of the sender: it does not know what was done with the value before.
    function _collect(uint256 amount) internal {
        if (ASSET == address(0)) {
            if (msg.value != amount) revert WrongValue(msg.value, amount);
            MARKET.deposit{value: amount}(address(this));
        } else {
            if (msg.value != 0) revert WrongValue(msg.value, 0);
            _callToken(
                abi.encodeWithSignature("transferFrom(address,address,uint256)", msg.sender, address(this), amount),
                amount
            );
            _callToken(abi.encodeWithSignature("approve(address,uint256)", address(MARKET), amount), amount);
            MARKET.depositToken(address(this), amount);
        }
    }

    /// @notice Owes `account` an `amount` of what is free.
    function _credit(address account, uint256 amount) internal {
        _requireCovered(amount);
        _owe(account, amount);
    }

    /// @notice Pays `amount` of what is free out to `to`. Check who asks for that. Not possible from within a callback.
    function _payOut(address to, uint256 amount) internal {
        _requireCovered(amount);
        MARKET.withdraw(to, amount);
    }

    // ------------------------------------------------------------------------------------------------------------
    // For everybody
    // ------------------------------------------------------------------------------------------------------------

    /// @notice Pays the sender what it is owed.
    function withdraw() external {
        withdrawTo(msg.sender);
    }

    /// @notice Pays what the sender is owed to `to`.
    function withdrawTo(address to) public {
        uint256 amount = owed[msg.sender];
        delete owed[msg.sender];
        _owedInAll -= uint192(amount);
        MARKET.withdraw(to, amount);
    }

    /// @inheritdoc ILotaClient
    function onJobResult(bytes32 jobId, ILotaMarket.Result calldata result) external {
        PendingJob memory job = _ended(jobId);
        _onResult(jobId, job.payer, result);
    }

    /// @inheritdoc ILotaClient
    function onJobFailed(bytes32 jobId, ILotaMarket.Reason reason) external {
        PendingJob memory job = _ended(jobId);
        // All of maxPrice has come back by now; from a provider who was slashed half the collateral, too.
        uint256 refund = job.price * QUANTUM;
        bool slashed = reason == ILotaMarket.Reason.NotSubmitted || reason == ILotaMarket.Reason.Overturned;
        if (slashed) refund += job.collateral * QUANTUM / 2;
        if (job.payer != address(this)) _owe(job.payer, refund);
        _onFailure(jobId, job.payer, reason, refund);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Inside
    // ------------------------------------------------------------------------------------------------------------

    /// @dev Forgets a job that the market calls back, so that it happens once.
    function _ended(bytes32 jobId) private returns (PendingJob memory job) {
        if (msg.sender != address(MARKET)) revert NotTheMarket(msg.sender);
        job = _pending[jobId];
        if (job.payer == address(0)) revert NotPending(jobId);
        delete _pending[jobId];
    }

    /// @dev The market holds less than 2^128.
    function _owe(address account, uint256 amount) private {
        owed[account] += amount;
        _owedInAll += uint192(amount);
    }

    /// @dev After spending `amount` what is left must still cover what is owed.
    function _requireCovered(uint256 amount) private view {
        uint256 balance = MARKET.balanceOf(address(this));
        uint256 owedInAll = _owedInAll;
        if (amount > balance || balance - amount < owedInAll) revert NotCovered(balance, owedInAll);
    }

    function _requireCallback(uint32 callbackGas) private pure {
        if (callbackGas == 0 || callbackGas == 2300) revert NoCallback(callbackGas);
    }

    /// @dev Tokens answer true, or, some old ones, nothing.
    function _callToken(bytes memory data, uint256 amount) private {
        (bool success, bytes memory answer) = ASSET.call(data);
        if (!success || (answer.length != 0 && !abi.decode(answer, (bool)))) revert TokenRefused(amount);
    }
}
