// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {IFilecoinPay, IRailValidator} from "../interfaces/IFilecoinPay.sol";
import {Addresses} from "../libraries/Addresses.sol";

/// @title Rails: one Filecoin Pay rail for each pair of payer and payee, which makes payments at once
/// @notice Money is promised first ({_lock}: it goes into the rail's fixed lockup, where nobody but this contract can move it), becomes
/// due or is let go, and is paid by whoever calls {pay}: all that is due on a rail in one payment, and many rails in one
/// transaction. No money ever flows by a rate.
///
/// The payer may terminate a rail at any time, and is never hindered: what was promised can still be paid until the rail's end, which
/// lies as far ahead as the promise that reached furthest needed, and the grace after that. Then Filecoin Pay gives what is left back
/// to the payer. A payer who has terminated a rail gets no new one to that payee until it asks for it ({renewRail}).
///
/// @dev Amounts are gross, in the token's smallest unit; the payee gets them less Filecoin Pay's fee (0.5 %, rounded up).
/// What Filecoin Pay stores is read there, not stored again: a rail's fixed lockup is never below what {_rails} says is needed, unless
/// the rail has ended. It is above it after {_unlock}, until the next promise or {release} changes it.
abstract contract Rails is IRailValidator {
    /// @dev `needed`: what must stay in the fixed lockup. `due`: how much of that is to be paid.
    struct Rail {
        uint128 needed;
        uint128 due;
    }

    uint256 private constant _MAX_GRACE = 365 days;

    /// @notice Filecoin Pay.
    IFilecoinPay public immutable FILECOIN_PAY;
    /// @notice What is paid: zero for the chain's coin, else an ERC-20.
    address public immutable TOKEN;
    /// @notice The shortest time between two blocks, in seconds: 30 on Filecoin, where an epoch without blocks has a number, too.
    uint256 public immutable EPOCH_SECONDS;
    /// @notice How long what is due can still be paid if the payer terminates the rail as early as possible, in seconds.
    uint256 public immutable GRACE;

    mapping(address payer => mapping(address payee => uint256)) private _railOf;
    mapping(uint256 railId => Rail) private _rails;

    /// @notice A rail was made, for all payments between these two.
    event RailOpened(uint256 indexed railId, address indexed payer, address indexed payee);
    /// @notice The payer terminated the rail: what is due must be paid before `endEpoch`.
    event RailClosing(uint256 indexed railId, uint256 endEpoch);
    /// @notice All that was due on the rail was paid, fees included.
    event RailPaid(uint256 indexed railId, uint256 amount);

    /// @notice Filecoin Pay has no code, an epoch no length, or the grace is longer than a year.
    error BadRailSettings();
    /// @notice Only Filecoin Pay says what happened to a rail.
    error NotFilecoinPay(address sender);
    /// @notice The amount is 0, or above 2^128 - 1 together with what is promised already.
    error AmountOutOfRange(uint256 amount);
    /// @notice A party cannot pay itself, and the zero address and masked ids (on Filecoin an actor's second address) take part in no
    /// rail.
    error BadPair(address payer, address payee);
    /// @notice The payer terminated the rail to this payee, and has not asked for a new one.
    error RailTerminated(uint256 railId);
    /// @notice The rail runs: there is nothing to renew.
    error RailRuns(uint256 railId);
    /// @notice The payer has no rail to this payee.
    error NoRail(address payer, address payee);
    /// @notice The payer has not approved this contract as an operator at Filecoin Pay, or has withdrawn that.
    error OperatorNotApproved(address payer);
    /// @notice The payer lets this contract lock money for at most `allowed` epochs, and `needed` are.
    error LockupPeriodTooLong(address payer, uint256 allowed, uint256 needed);
    /// @notice The payer lets this contract lock no more than `left`.
    error AllowanceTooSmall(address payer, uint256 left, uint256 needed);
    /// @notice The payer's account cannot pay for its other rails since `epoch`: until somebody deposits, nothing can be locked.
    error PayerInDebt(address payer, uint256 epoch);
    /// @notice The payer's account at Filecoin Pay has no more than `available` that is not locked: somebody must deposit.
    error NotEnoughFunds(address payer, uint256 available, uint256 needed);

    constructor(IFilecoinPay filecoinPay, address token, uint256 epochSeconds, uint256 grace) {
        if (address(filecoinPay).code.length == 0 || epochSeconds == 0 || grace > _MAX_GRACE) revert BadRailSettings();
        FILECOIN_PAY = filecoinPay;
        TOKEN = token;
        EPOCH_SECONDS = epochSeconds;
        GRACE = grace;
    }

    // ------------------------------------------------------------------------------------------------------------
    // For everybody
    // ------------------------------------------------------------------------------------------------------------

    /// @notice Pays all that is due on these rails, one payment on each. By anyone. Rails on which nothing is due are passed over.
    /// @dev {IFilecoinPay-CannotModifyTerminatedRailBeyondEndEpoch} or {IFilecoinPay-RailInactiveOrSettled} when one of them has
    /// ended: leave it out. Emits {RailPaid} for each.
    function pay(uint256[] calldata railIds) external {
        for (uint256 i = 0; i < railIds.length; ++i) {
            _pay(railIds[i]);
        }
    }

    /// @notice Gives the payer back what the rail holds beyond what it needs, after a promise was let go. By anyone.
    /// @dev {IFilecoinPay-RailInactiveOrSettled} when the rail has ended: then it holds nothing.
    function release(uint256 railId) external {
        IFilecoinPay.RailView memory found = FILECOIN_PAY.getRail(railId);
        uint256 needed = _rails[railId].needed;
        if (found.lockupFixed > needed) FILECOIN_PAY.modifyRailLockup(railId, found.lockupPeriod, needed);
    }

    /// @notice Lets a new rail be made from the sender to `payee`, after the sender terminated the one there was.
    /// @dev {NoRail}, {RailRuns}.
    function renewRail(address payee) external {
        uint256 railId = _railOf[msg.sender][payee];
        if (railId == 0) revert NoRail(msg.sender, payee);
        (bool runs,,) = _look(railId);
        if (runs) revert RailRuns(railId);
        delete _railOf[msg.sender][payee];
    }

    /// @notice The rail on which promises between these two are made now; 0 when there was none yet.
    function railOf(address payer, address payee) external view returns (uint256 railId) {
        return _railOf[payer][payee];
    }

    /// @notice What is promised on a rail, `due` included, and what is due.
    function promised(uint256 railId) external view returns (uint256 needed, uint256 due) {
        Rail memory rail = _rails[railId];
        return (rail.needed, rail.due);
    }

    // ------------------------------------------------------------------------------------------------------------
    // For Filecoin Pay
    // ------------------------------------------------------------------------------------------------------------

    /// @inheritdoc IRailValidator
    /// @dev Nothing flows by a rate here.
    function validatePayment(uint256, uint256, uint256, uint256 toEpoch, uint256)
        external
        pure
        returns (ValidationResult memory)
    {
        return ValidationResult({modifiedAmount: 0, settleUpto: toEpoch, note: "this rail has no rate"});
    }

    /// @inheritdoc IRailValidator
    function railTerminated(uint256 railId, address, uint256 endEpoch) external {
        if (msg.sender != address(FILECOIN_PAY)) revert NotFilecoinPay(msg.sender);
        emit RailClosing(railId, endEpoch);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Inside
    // ------------------------------------------------------------------------------------------------------------

    /// @dev Promises `amount`: it stays locked for at least `time` seconds and the grace, whatever the payer does.
    function _lock(address payer, address payee, uint256 amount, uint256 time) internal returns (uint256 railId) {
        uint256 period;
        uint256 needed;
        (railId, period, needed) = _requireLockable(payer, payee, amount, time);
        if (railId == 0) {
            railId = FILECOIN_PAY.createRail(TOKEN, payer, payee, address(this), 0, address(0));
            _railOf[payer][payee] = railId;
            emit RailOpened(railId, payer, payee);
        }
        _rails[railId].needed = uint128(needed);
        FILECOIN_PAY.modifyRailLockup(railId, period, needed);
    }

    /// @dev Makes a part of what was promised due. Calls nobody.
    function _makeDue(uint256 railId, uint256 amount) internal {
        _rails[railId].due += uint128(amount);
    }

    /// @dev Lets a part of what was promised go. Calls nobody, so the payer has it back only after {release}, or uses it up with the
    /// next promise.
    function _unlock(uint256 railId, uint256 amount) internal {
        _rails[railId].needed -= uint128(amount);
    }

    /// @dev Reverts unless {_lock} would succeed.
    /// @return railId of the pair; 0 when there is none yet
    /// @return period the lockup period that the rail gets, in epochs
    /// @return needed the fixed lockup that it gets
    function _requireLockable(address payer, address payee, uint256 amount, uint256 time)
        internal
        view
        returns (uint256 railId, uint256 period, uint256 needed)
    {
        if (payer == payee || Addresses.isMasked(payee) || payer == address(0) || payee == address(0)) {
            revert BadPair(payer, payee);
        }
        railId = _railOf[payer][payee];
        needed = _rails[railId].needed;
        if (amount == 0 || amount > type(uint128).max - needed) revert AmountOutOfRange(amount);
        needed += amount;
        period = (time + GRACE + EPOCH_SECONDS - 1) / EPOCH_SECONDS + 1;
        uint256 periodNow;
        uint256 lockedNow;
        if (railId != 0) {
            bool runs;
            (runs, periodNow, lockedNow) = _look(railId);
            if (!runs) revert RailTerminated(railId);
            if (period < periodNow) period = periodNow;
        }
        _requireAllowed(payer, period > periodNow ? period : 0, needed > lockedNow ? needed - lockedNow : 0);
    }

    /// @param period a longer lockup period than there is, or 0
    /// @param more how much the fixed lockup grows
    function _requireAllowed(address payer, uint256 period, uint256 more) private view {
        (bool isApproved,, uint256 allowance,, uint256 used, uint256 maxPeriod) =
            FILECOIN_PAY.operatorApprovals(TOKEN, payer, address(this));
        if (!isApproved) revert OperatorNotApproved(payer);
        if (period > maxPeriod) revert LockupPeriodTooLong(payer, maxPeriod, period);
        uint256 left = allowance > used ? allowance - used : 0;
        if (more > left) revert AllowanceTooSmall(payer, left, more);
        (uint256 fundedUntil,, uint256 available,) = FILECOIN_PAY.getAccountInfoIfSettled(TOKEN, payer);
        if (fundedUntil < block.number) revert PayerInDebt(payer, fundedUntil);
        if (more > available) revert NotEnoughFunds(payer, available, more);
    }

    /// @dev Whether a rail is neither terminated nor wound up, its lockup period, and its fixed lockup.
    function _look(uint256 railId) private view returns (bool runs, uint256 period, uint256 locked) {
        try FILECOIN_PAY.getRail(railId) returns (IFilecoinPay.RailView memory rail) {
            return (rail.endEpoch == 0, rail.lockupPeriod, rail.lockupFixed);
        } catch {
            return (false, 0, 0);
        }
    }

    function _pay(uint256 railId) private {
        Rail memory rail = _rails[railId];
        if (rail.due == 0) return;
        _rails[railId] = Rail({needed: rail.needed - rail.due, due: 0});
        emit RailPaid(railId, rail.due);
        FILECOIN_PAY.modifyRailPayment(railId, 0, rail.due);
    }
}
