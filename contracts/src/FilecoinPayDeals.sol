// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.34;

import {Rails} from "./abstracts/Rails.sol";
import {IFilecoinPay} from "./interfaces/IFilecoinPay.sol";
import {IFilecoinPayDeals} from "./interfaces/IFilecoinPayDeals.sol";
import {ILotaClient, ILotaMarket} from "./interfaces/ILotaMarket.sol";
import {IToken} from "./interfaces/IToken.sol";
import {Asset} from "./libraries/Asset.sol";
import {CappedCall} from "./libraries/CappedCall.sol";
import {Hashes} from "./libraries/Hashes.sol";
import {Signatures} from "./libraries/Signatures.sol";

/// @title FilecoinPayDeals: jobs that are paid from a Filecoin Pay account
/// @notice The specification is {IFilecoinPayDeals}.
///
/// @dev What this contract holds to, beyond the interface:
///
/// - It holds no money. What it has in the market is owed to payers: half the collateral of those who were slashed. Collateral only
///   passes through, within one call.
/// - An open order is one storage slot, a taken one two, all freed; a pair of payer and provider has two for ever ({Rails}).
/// - Callbacks call nobody, and cannot fail: what the market says is written down, and paid or released by another call. So they need
///   little gas, the same whatever became of payer, rail and Filecoin Pay.
contract FilecoinPayDeals is IFilecoinPayDeals, Rails {
    /// @dev Amounts of collateral in the market's quanta, of which valid terms have less than 2^48.
    struct StoredDeal {
        address payer;
        uint48 collateral;
        uint128 price;
        uint128 railId;
    }

    bytes32 private constant _ORDER_TYPEHASH =
        keccak256("Order(bytes32 jobId,address payer,address provider,uint256 minPrice,uint256 maxPrice)");

    ILotaMarket private immutable _MARKET;
    address private immutable _ASSET;
    uint256 private immutable _QUANTUM;
    uint32 private immutable _CALLBACK_GAS;
    uint32 private immutable _SIGNATURE_GAS;
    uint32 private immutable _SIGNATURE_RESERVE;
    bytes32 private immutable _DOMAIN;
    uint256 private immutable _CHAIN_ID = block.chainid;

    mapping(bytes32 jobId => bytes32 digest) private _open;
    mapping(bytes32 jobId => StoredDeal) private _taken;
    mapping(address payer => uint256) private _owed;
    bool private transient _calling; // the market, or its token

    modifier guarded() {
        if (_calling) revert Reentered();
        _calling = true;
        _;
        _calling = false;
    }

    modifier onlyMarket() {
        if (msg.sender != address(_MARKET)) revert NotTheMarket(msg.sender);
        _;
    }

    /// @param leastCallbackGas gas for this contract's callback, in the chain's own unit: some 60,000 on Ethereum,
    /// 60 M on Filecoin (docs/granters.md)
    constructor(
        ILotaMarket fixedMarket,
        uint32 leastCallbackGas,
        IFilecoinPay filecoinPay,
        address token,
        uint256 epochSeconds,
        uint256 grace
    ) Rails(filecoinPay, token, epochSeconds, grace) {
        if (address(fixedMarket).code.length == 0) revert BadSettings();
        ILotaMarket.Settings memory settings = fixedMarket.settings();
        if (leastCallbackGas == 0 || leastCallbackGas > settings.maxCallbackGas) revert BadSettings();
        _MARKET = fixedMarket;
        _CALLBACK_GAS = leastCallbackGas;
        _ASSET = settings.asset;
        _QUANTUM = settings.quantum;
        _SIGNATURE_GAS = settings.signatureGas;
        _SIGNATURE_RESERVE = settings.callbackReserve;
        _DOMAIN = keccak256(
            abi.encode(
                Hashes.DOMAIN_TYPEHASH, keccak256("LotaFilecoinPayDeals"), keccak256("1"), block.chainid, address(this)
            )
        );
    }

    // ------------------------------------------------------------------------------------------------------------
    // Orders
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc IFilecoinPayDeals
    function open(Order calldata order, bytes calldata spec, bytes calldata signature)
        external
        guarded
        returns (bytes32 jobId)
    {
        bytes32 digest;
        (jobId, digest) = _openOrder(order, spec, signature);
        _open[jobId] = digest;
    }

    /// @inheritdoc IFilecoinPayDeals
    function take(Order calldata order) external payable guarded returns (bytes32 jobId) {
        jobId = _requireOpen(order);
        delete _open[jobId];
        _take(jobId, order);
    }

    /// @inheritdoc IFilecoinPayDeals
    function openAndTake(Order calldata order, bytes calldata spec, bytes calldata signature)
        external
        payable
        guarded
        returns (bytes32 jobId)
    {
        jobId = _MARKET.jobIdOf(order.terms);
        if (_open[jobId] != 0 && _open[jobId] == _digest(jobId, order)) delete _open[jobId];
        else _openOrder(order, spec, signature);
        _take(jobId, order);
    }

    /// @inheritdoc IFilecoinPayDeals
    function cancel(Order calldata order) external guarded {
        _requireOpen(order);
        _requireSender(order.payer);
        _MARKET.cancel(order.terms);
    }

    /// @inheritdoc IFilecoinPayDeals
    function accept(ILotaMarket.Terms calldata terms, ILotaMarket.Receipt calldata receipt) external guarded {
        bytes32 jobId = _MARKET.jobIdOf(terms);
        address payer = _taken[jobId].payer;
        if (payer == address(0)) revert NotTaken(jobId);
        _requireSender(payer);
        _MARKET.accept(terms, receipt);
    }

    /// @inheritdoc IFilecoinPayDeals
    function revoke(uint64 upTo) external guarded {
        _MARKET.revoke(uint192(uint160(msg.sender)), upTo);
    }

    /// @inheritdoc IFilecoinPayDeals
    function withdraw(address to) external guarded {
        uint256 amount = _owed[msg.sender];
        delete _owed[msg.sender];
        _MARKET.withdraw(to, amount);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Ends
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc ILotaClient
    function onJobResult(bytes32 jobId, ILotaMarket.Result calldata) external onlyMarket {
        StoredDeal memory deal = _taken[jobId];
        delete _taken[jobId];
        _makeDue(deal.railId, deal.price);
        emit PriceDue(jobId, deal.railId, deal.price);
    }

    /// @inheritdoc ILotaClient
    function onJobFailed(bytes32 jobId, ILotaMarket.Reason reason) external onlyMarket {
        StoredDeal memory deal = _taken[jobId];
        if (deal.payer == address(0)) {
            delete _open[jobId];
            return;
        }
        delete _taken[jobId];
        _unlock(deal.railId, deal.price);
        uint256 refund = 0;
        if (reason == ILotaMarket.Reason.NotSubmitted || reason == ILotaMarket.Reason.Overturned) {
            refund = deal.collateral * _QUANTUM / 2;
            _owed[deal.payer] += refund;
        }
        emit PriceFreed(jobId, deal.railId, deal.price, refund);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Views
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc IFilecoinPayDeals
    function orderDigest(Order calldata order) external view returns (bytes32) {
        return _digest(_MARKET.jobIdOf(order.terms), order);
    }

    /// @inheritdoc IFilecoinPayDeals
    function priceAt(Order calldata order, uint256 time) public pure returns (uint256) {
        uint256 start = order.terms.rampStart;
        if (time <= start) return order.minPrice;
        uint256 elapsed = time - start;
        uint256 period = order.terms.rampPeriod;
        if (elapsed >= period) return order.maxPrice;
        return order.minPrice + (order.maxPrice - order.minPrice) * elapsed / period;
    }

    /// @inheritdoc IFilecoinPayDeals
    function dealOf(bytes32 jobId) external view returns (Deal memory) {
        StoredDeal memory deal = _taken[jobId];
        return Deal(deal.payer, deal.collateral * _QUANTUM, deal.price, deal.railId);
    }

    /// @inheritdoc IFilecoinPayDeals
    function openOrder(bytes32 jobId) external view returns (bytes32 digest) {
        return _open[jobId];
    }

    /// @inheritdoc IFilecoinPayDeals
    function owed(address payer) external view returns (uint256) {
        return _owed[payer];
    }

    /// @inheritdoc IFilecoinPayDeals
    function market() external view returns (ILotaMarket) {
        return _MARKET;
    }

    /// @inheritdoc IFilecoinPayDeals
    function callbackGas() external view returns (uint32) {
        return _CALLBACK_GAS;
    }

    // ------------------------------------------------------------------------------------------------------------
    // Inside
    // ------------------------------------------------------------------------------------------------------------

    /// @dev Opens the order's job at the market. The caller stores the digest, unless it takes the job at once.
    function _openOrder(Order calldata order, bytes calldata spec, bytes calldata signature)
        private
        returns (bytes32 jobId, bytes32 digest)
    {
        _requireValid(order);
        jobId = _MARKET.jobIdOf(order.terms);
        digest = _digest(jobId, order);
        if (msg.sender != order.payer) _requireSigned(order.payer, digest, signature);
        emit OrderOpened(jobId, order.payer, order.provider, order.minPrice, order.maxPrice);
        _MARKET.open(order.terms, spec);
    }

    function _take(bytes32 jobId, Order calldata order) private {
        if (order.provider != address(0)) _requireSender(order.provider);
        ILotaMarket.Terms calldata terms = order.terms;
        if (block.timestamp < terms.rampStart) revert ILotaMarket.TooEarly(block.timestamp, terms.rampStart);
        uint256 price = priceAt(order, block.timestamp);
        // The deal's last deadline; all are below 2^32.
        uint256 time = uint256(terms.runFor) + terms.reviewFor + terms.ruleFor;
        uint256 railId = _lock(order.payer, msg.sender, price, time);
        // The market, where the order was opened, saw to it that the collateral is whole quanta of 48 bits.
        _taken[jobId] = StoredDeal(order.payer, uint48(terms.collateral / _QUANTUM), uint128(price), uint128(railId));
        emit OrderTaken(jobId, order.payer, msg.sender, railId, price);
        _deposit(terms.collateral);
        _MARKET.award(terms, msg.sender, 0);
    }

    /// @dev Brings the sender's collateral to the market, into this contract's account there.
    function _deposit(uint256 collateral) private {
        if (_ASSET == address(0)) {
            if (msg.value != collateral) revert WrongValue(msg.value, collateral);
            if (collateral != 0) _MARKET.deposit{value: collateral}(address(this));
            return;
        }
        if (msg.value != 0) revert WrongValue(msg.value, 0);
        if (collateral == 0) return;
        Asset.pull(_ASSET, msg.sender, collateral);
        // What the token answers does not matter: without an allowance the market gets nothing, and says so.
        // forge-lint: disable-next-line(unchecked-call)
        CappedCall.call(_ASSET, 0, abi.encodeCall(IToken.approve, (address(_MARKET), collateral)), gasleft());
        _MARKET.depositToken(address(this), collateral);
    }

    function _digest(bytes32 jobId, Order calldata order) private view returns (bytes32) {
        return Hashes.typed(
            _DOMAIN,
            keccak256(abi.encode(_ORDER_TYPEHASH, jobId, order.payer, order.provider, order.minPrice, order.maxPrice))
        );
    }

    function _requireValid(Order calldata order) private view {
        ILotaMarket.Terms calldata terms = order.terms;
        if (terms.client != address(this)) revert BadOrder(OrderFault.Client);
        if (terms.matcher != address(this)) revert BadOrder(OrderFault.Matcher);
        if (terms.minPrice != 0 || terms.maxPrice != 0) revert BadOrder(OrderFault.MarketPrice);
        if (terms.callbackGas < _CALLBACK_GAS) revert BadOrder(OrderFault.CallbackGas);
        if (terms.keepRecord) revert BadOrder(OrderFault.KeepRecord);
        if (order.payer == address(0)) revert BadOrder(OrderFault.Payer);
        if (terms.salt >> 64 != uint160(order.payer)) revert BadOrder(OrderFault.Salt);
        if (order.minPrice == 0 || order.minPrice > order.maxPrice || order.maxPrice > type(uint128).max) {
            revert BadOrder(OrderFault.Price);
        }
    }

    function _requireOpen(Order calldata order) private view returns (bytes32 jobId) {
        jobId = _MARKET.jobIdOf(order.terms);
        bytes32 digest = _open[jobId];
        if (digest == 0 || digest != _digest(jobId, order)) revert NotOpen(jobId);
    }

    function _requireSender(address wanted) private view {
        if (msg.sender != wanted) revert ILotaMarket.WrongSender(msg.sender, wanted);
    }

    function _requireSigned(address payer, bytes32 digest, bytes calldata signature) private view {
        if (block.chainid != _CHAIN_ID) revert ILotaMarket.WrongChain(block.chainid);
        if (!Signatures.isValid(payer, digest, signature, _SIGNATURE_GAS, _SIGNATURE_RESERVE)) {
            revert ILotaMarket.BadSignature(payer);
        }
    }
}
