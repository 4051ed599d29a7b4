// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.34;

import {Granter} from "../abstracts/Granter.sol";
import {Grant, IGranter} from "../interfaces/IGranter.sol";
import {ILotaMarket} from "../interfaces/ILotaMarket.sol";
import {Addresses} from "../libraries/Addresses.sol";
import {Asset} from "../libraries/Asset.sol";
import {FilecoinAddress} from "../libraries/FilecoinAddress.sol";

/// @title BonusGranter: bonuses from a pool of money, the chain's coin or one ERC-20
/// @notice Anyone may add to the pool; nobody takes out of it but blessed providers, until it closes: what is left then goes to whom it
/// named at deployment. A bonus is bounded for a job, for a provider in a period, and for all in a period. Periods are stretches
/// of the calendar (Unix time divided by their length), so that twice a bound can be paid around the end of one.
/// @dev The pool is what the contract holds: what is forced into it is a gift. Amounts are in the asset's smallest unit.
contract BonusGranter is Granter {
    /// @notice Bounds on bonuses, in the asset's smallest unit.
    /// @param perJob at most this for a job
    /// @param perProvider at most this for a provider in a period
    /// @param perPeriod at most this for all providers in a period
    /// @param period length of a period, in seconds
    struct Limits {
        uint96 perJob;
        uint96 perProvider;
        uint96 perPeriod;
        uint64 period;
    }

    /// @notice Which of the bounds.
    enum Limit {
        PerJob,
        PerProvider,
        PerPeriod
    }

    struct Spent {
        uint64 period;
        uint192 amount;
    }

    /// @notice What bonuses are paid in: zero for the chain's coin, else an ERC-20 whose balances do not change by themselves.
    address public immutable ASSET;
    /// @notice Who gets what is left once the pool has closed, or says who does.
    address public immutable REMAINDER_TO;
    /// @notice Until when bonuses are paid, in Unix seconds.
    uint64 public immutable OPEN_UNTIL;

    uint96 private immutable _PER_JOB;
    uint96 private immutable _PER_PROVIDER;
    uint96 private immutable _PER_PERIOD;
    uint64 private immutable _PERIOD;

    Spent private _spent;
    mapping(address provider => Spent) private _spentOn;
    bool private transient _calling; // a payee, or the token

    /// @notice `amount` of `payer`'s was added to the pool.
    event Funded(address indexed payer, uint256 amount);
    /// @notice The pool has closed, and the rest went to `to`.
    event Closed(address indexed to, uint256 amount);

    /// @notice A bound is zero, below the one before it, or the period is; the asset has no code; or nobody is named for the rest.
    error BadSettings();
    /// @notice The pool's asset is `asset` (zero: the chain's coin), and this is for another.
    error WrongAsset(address asset);
    /// @notice A payee or the token called back into the pool.
    error Reentered();
    /// @notice A bonus of nothing.
    error NoAmount();
    /// @notice The pool has been closed since `until`.
    error PoolClosed(uint256 until);
    /// @notice What is left goes to whom the pool named, who alone may have it sent elsewhere.
    error NotEntitled(address sender);
    /// @notice The pool is open until `until`.
    error PoolOpen(uint256 until);
    /// @notice Of this bound only `left` is left. Of those for a period, more is left in the next one.
    error OverLimit(Limit limit, uint256 left, uint256 amount);
    /// @notice The pool holds less than the bonus: it must be funded.
    error PoolEmpty(uint256 held, uint256 amount);

    constructor(address blessing, address asset, Limits memory bounds, address remainderTo, uint64 openUntil)
        Granter(blessing)
    {
        if (asset != address(0) && asset.code.length == 0) revert BadSettings();
        if (bounds.period == 0 || bounds.perJob == 0) revert BadSettings();
        if (bounds.perProvider < bounds.perJob || bounds.perPeriod < bounds.perProvider) revert BadSettings();
        if (remainderTo == address(0) || Addresses.isMasked(remainderTo)) revert BadSettings();
        ASSET = asset;
        REMAINDER_TO = remainderTo;
        OPEN_UNTIL = openUntil;
        (_PER_JOB, _PER_PROVIDER, _PER_PERIOD, _PERIOD) =
        (bounds.perJob, bounds.perProvider, bounds.perPeriod, bounds.period);
    }

    modifier notWhileCalling() {
        if (_calling) revert Reentered();
        _;
    }

    // ------------------------------------------------------------------------------------------------------------
    // The pool
    // ------------------------------------------------------------------------------------------------------------

    /// @notice Adds the value sent to the pool.
    /// @dev {WrongAsset} unless the asset is the chain's coin. Emits {Funded}.
    function fund() external payable notWhileCalling {
        if (ASSET != address(0)) revert WrongAsset(ASSET);
        emit Funded(msg.sender, msg.value);
    }

    /// @notice Adds `amount` of the token to the pool, from the sender, who approved it.
    /// @dev {WrongAsset} unless the asset is a token; errors of {Asset-pull}. Emits {Funded}.
    function fundToken(uint256 amount) external notWhileCalling {
        if (ASSET == address(0)) revert WrongAsset(ASSET);
        _calling = true;
        Asset.pull(ASSET, msg.sender, amount);
        _calling = false;
        emit Funded(msg.sender, amount);
    }

    /// @notice After the pool's time, sends what is left to whom it named. By anyone, as often as something comes in.
    /// @dev {PoolOpen}; errors of {Asset-pay}. Emits {Closed}.
    function close() external notWhileCalling {
        _close(REMAINDER_TO);
    }

    /// @notice As {close}, but to somebody else: by whom the pool named, which may be a contract that takes no money itself.
    /// @dev {NotEntitled}, {ILotaMarket-InvalidRecipient}, {PoolOpen}; errors of {Asset-pay}. Emits {Closed}.
    function closeTo(address to) external notWhileCalling {
        if (msg.sender != REMAINDER_TO) revert NotEntitled(msg.sender);
        if (Addresses.isRefused(to) || to == address(this)) revert ILotaMarket.InvalidRecipient();
        _close(to);
    }

    function _close(address to) private {
        if (block.timestamp <= OPEN_UNTIL) revert PoolOpen(OPEN_UNTIL);
        uint256 left = Asset.held(ASSET);
        emit Closed(to, left);
        _calling = true;
        Asset.pay(ASSET, to, left);
        _calling = false;
    }

    // ------------------------------------------------------------------------------------------------------------
    // Bonuses
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc IGranter
    /// @dev {FilecoinAddress-BadRecipient} unless an EVM address, {NoAmount}, {PoolClosed}, {OverLimit} in the order of {Limit},
    /// {PoolEmpty}.
    function checkGrant(address provider, bytes calldata recipient, uint256 amount) external view {
        _check(provider, recipient, amount);
    }

    /// @inheritdoc IGranter
    /// @dev {NotTheBlessing}, {Reentered}, then as {checkGrant}, then errors of {Asset-pay}: a recipient that takes no money hinders
    /// nobody but itself. Emits {Granted}.
    function grant(Grant calldata g) external onlyBlessing notWhileCalling {
        address to = _check(g.provider, g.recipient, g.amount);
        uint64 period = _period();
        _spent = Spent(period, uint192(_spentIn(_spent, period) + g.amount));
        _spentOn[g.provider] = Spent(period, uint192(_spentIn(_spentOn[g.provider], period) + g.amount));
        _emitGranted(g);
        _calling = true;
        Asset.pay(ASSET, to, g.amount);
        _calling = false;
    }

    /// @notice The bounds.
    function limits() external view returns (Limits memory) {
        return Limits(_PER_JOB, _PER_PROVIDER, _PER_PERIOD, _PERIOD);
    }

    /// @notice What may still be paid in this period, to a provider and to all; the pool may hold less.
    function leftFor(address provider) external view returns (uint256 toProvider, uint256 toAll) {
        uint64 period = _period();
        toProvider = _PER_PROVIDER - _spentIn(_spentOn[provider], period);
        toAll = _PER_PERIOD - _spentIn(_spent, period);
    }

    function _check(address provider, bytes calldata recipient, uint256 amount) private view returns (address to) {
        to = FilecoinAddress.toEvm(recipient);
        if (amount == 0) revert NoAmount();
        if (block.timestamp > OPEN_UNTIL) revert PoolClosed(OPEN_UNTIL);
        uint64 period = _period();
        _requireWithin(Limit.PerJob, _PER_JOB, amount);
        _requireWithin(Limit.PerProvider, _PER_PROVIDER - _spentIn(_spentOn[provider], period), amount);
        _requireWithin(Limit.PerPeriod, _PER_PERIOD - _spentIn(_spent, period), amount);
        uint256 held = Asset.held(ASSET);
        if (held < amount) revert PoolEmpty(held, amount);
    }

    function _requireWithin(Limit limit, uint256 rest, uint256 amount) private pure {
        if (amount > rest) revert OverLimit(limit, rest, amount);
    }

    function _spentIn(Spent memory spent, uint64 period) private pure returns (uint256) {
        return spent.period == period ? spent.amount : 0;
    }

    function _period() private view returns (uint64) {
        return uint64(block.timestamp / _PERIOD);
    }
}
