// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {IRailValidator} from "../../src/interfaces/IFilecoinPay.sol";
import {IToken} from "../../src/interfaces/IToken.sol";

/// @title FilecoinPayStandIn: accounts, approvals, rails and fees as FilecoinPayV1 keeps them, in our own words
/// @dev What it does, and with which errors, is that of https://github.com/FilOzone/filecoin-pay, src/FilecoinPayV1.sol at
/// 04ded6af6c15c4b5d98545f393dc656004d4aede: allowances and their use, fixed lockup and lockup by rate, debt, termination, winding up,
/// the fee and who bears it. Left out, and refused where it would matter ({NotInTheStandIn}): changes of a rate that is not
/// zero, commissions, deposits by signature, fee auctions. test/base/FilecoinPayTest.sol runs the same tests against the real
/// bytecode when it is given.
contract FilecoinPayStandIn {
    struct Account {
        uint256 funds;
        uint256 lockupCurrent;
        uint256 lockupRate;
        uint256 lockupLastSettledAt;
    }

    struct Rail {
        address token;
        address from;
        address to;
        address operator;
        address validator;
        uint256 paymentRate;
        uint256 lockupPeriod;
        uint256 lockupFixed;
        uint256 settledUpTo;
        uint256 endEpoch;
        uint256 commissionRateBps;
        address serviceFeeRecipient;
    }

    struct Approval {
        bool isApproved;
        uint256 rateAllowance;
        uint256 lockupAllowance;
        uint256 rateUsage;
        uint256 lockupUsage;
        uint256 maxLockupPeriod;
    }

    /// @dev f099, as an address.
    address payable public constant BURN = payable(0xff00000000000000000000000000000000000063);

    mapping(address token => mapping(address owner => Account)) public accounts;
    mapping(address token => mapping(address client => mapping(address operator => Approval))) public operatorApprovals;
    mapping(uint256 railId => Rail) private _rails;
    uint256 private _count;
    bool private transient _entered;

    event RailCreated(
        uint256 indexed railId,
        address indexed payer,
        address indexed payee,
        address token,
        address operator,
        address validator,
        address serviceFeeRecipient,
        uint256 commissionRateBps
    );
    event RailLockupModified(
        uint256 indexed railId,
        uint256 oldLockupPeriod,
        uint256 newLockupPeriod,
        uint256 oldLockupFixed,
        uint256 newLockupFixed
    );
    event RailOneTimePaymentProcessed(
        uint256 indexed railId, uint256 netPayeeAmount, uint256 operatorCommission, uint256 networkFee
    );
    event RailTerminated(uint256 indexed railId, address indexed by, uint256 endEpoch);
    event RailFinalized(uint256 indexed railId);

    error NotInTheStandIn();
    error Reentrant();
    error RailInactiveOrSettled(uint256 railId);
    error RailAlreadyTerminated(uint256 railId);
    error OnlyRailOperatorAllowed(address expected, address caller);
    error NotAuthorizedToTerminateRail(uint256 railId, address client, address operator, address caller);
    error ZeroAddressNotAllowed(string varName);
    error OperatorNotApproved(address from, address operator);
    error MustSendExactNativeAmount(uint256 required, uint256 sent);
    error NativeTransferFailed(address to, uint256 amount);
    error InsufficientUnlockedFunds(uint256 available, uint256 requested);
    error OneTimePaymentExceedsLockup(uint256 railId, uint256 available, uint256 required);
    error InvalidTerminatedRailModification(uint256 period, uint256 fixedNow, uint256 newPeriod, uint256 newFixed);
    error LockupPeriodChangeNotAllowedDueToInsufficientFunds(address token, address from, uint256 now_, uint256 asked);
    error LockupFixedIncreaseNotAllowedDueToInsufficientFunds(address token, address from, uint256 now_, uint256 asked);
    error LockupPeriodExceedsOperatorMaximum(address token, address operator, uint256 most, uint256 asked);
    error OperatorRateAllowanceExceeded(uint256 allowed, uint256 attempted);
    error OperatorLockupAllowanceExceeded(uint256 allowed, uint256 attempted);
    error CannotModifyTerminatedRailBeyondEndEpoch(uint256 railId, uint256 maxSettlementEpoch, uint256 blockNumber);
    error CannotSettleFutureEpochs(uint256 railId, uint256 most, uint256 asked);

    modifier nonReentrant() {
        if (_entered) revert Reentrant();
        _entered = true;
        _;
        _entered = false;
    }

    // ------------------------------------------------------------------------------------------------------------
    // Accounts
    // ------------------------------------------------------------------------------------------------------------

    function deposit(address token, address to, uint256 amount) external payable nonReentrant {
        if (to == address(0)) revert ZeroAddressNotAllowed("to");
        _settle(token, to);
        if (token == address(0)) {
            if (msg.value != amount) revert MustSendExactNativeAmount(amount, msg.value);
        } else {
            require(msg.value == 0 && IToken(token).transferFrom(msg.sender, address(this), amount), "token");
        }
        accounts[token][to].funds += amount;
    }

    function withdraw(address token, uint256 amount) external nonReentrant {
        _settle(token, msg.sender);
        Account storage account = accounts[token][msg.sender];
        require(_isSettled(account), "payers's full account lockup was not met as a precondition");
        uint256 available = account.funds - account.lockupCurrent;
        if (amount > available) revert InsufficientUnlockedFunds(available, amount);
        account.funds -= amount;
        if (token == address(0)) _send(payable(msg.sender), amount);
        else require(IToken(token).transfer(msg.sender, amount), "token");
    }

    function setOperatorApproval(
        address token,
        address operator,
        bool approved,
        uint256 rateAllowance,
        uint256 lockupAllowance,
        uint256 maxLockupPeriod
    ) external nonReentrant {
        if (operator == address(0)) revert ZeroAddressNotAllowed("operator");
        Approval storage approval = operatorApprovals[token][msg.sender][operator];
        approval.isApproved = approved;
        approval.rateAllowance = rateAllowance;
        approval.lockupAllowance = lockupAllowance;
        approval.maxLockupPeriod = maxLockupPeriod;
    }

    function getAccountInfoIfSettled(address token, address owner)
        external
        view
        returns (uint256 fundedUntilEpoch, uint256 currentFunds, uint256 availableFunds, uint256 currentLockupRate)
    {
        Account memory a = accounts[token][owner];
        fundedUntilEpoch =
            a.lockupRate == 0 ? type(uint256).max : a.lockupLastSettledAt + (a.funds - a.lockupCurrent) / a.lockupRate;
        uint256 settledAt = fundedUntilEpoch >= block.number ? block.number : fundedUntilEpoch;
        availableFunds = a.funds - a.lockupCurrent - a.lockupRate * (settledAt - a.lockupLastSettledAt);
        return (fundedUntilEpoch, a.funds, availableFunds, a.lockupRate);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Rails
    // ------------------------------------------------------------------------------------------------------------

    function createRail(
        address token,
        address from,
        address to,
        address validator,
        uint256 commissionRateBps,
        address serviceFeeRecipient
    ) external nonReentrant returns (uint256 railId) {
        if (from == address(0)) revert ZeroAddressNotAllowed("from");
        if (to == address(0)) revert ZeroAddressNotAllowed("to");
        if (!operatorApprovals[token][from][msg.sender].isApproved) revert OperatorNotApproved(from, msg.sender);
        if (commissionRateBps != 0) revert NotInTheStandIn();
        railId = ++_count;
        Rail storage rail = _rails[railId];
        (rail.token, rail.from, rail.to, rail.operator, rail.validator) = (token, from, to, msg.sender, validator);
        (rail.settledUpTo, rail.serviceFeeRecipient) = (block.number, serviceFeeRecipient);
        emit RailCreated(railId, from, to, token, msg.sender, validator, serviceFeeRecipient, 0);
    }

    function modifyRailLockup(uint256 railId, uint256 period, uint256 lockupFixed) external nonReentrant {
        Rail storage rail = _operated(railId);
        Account storage payer = _settle(rail.token, rail.from);
        Approval storage approval = operatorApprovals[rail.token][rail.from][msg.sender];
        (uint256 oldPeriod, uint256 oldFixed) = (rail.lockupPeriod, rail.lockupFixed);
        if (rail.endEpoch != 0) {
            if (period != oldPeriod || lockupFixed > oldFixed) {
                revert InvalidTerminatedRailModification(oldPeriod, oldFixed, period, lockupFixed);
            }
            payer.lockupCurrent -= oldFixed - lockupFixed;
            _use(approval, oldFixed, lockupFixed);
        } else {
            if (!_isSettled(payer)) {
                if (period != oldPeriod) {
                    revert LockupPeriodChangeNotAllowedDueToInsufficientFunds(rail.token, rail.from, oldPeriod, period);
                }
                if (lockupFixed > oldFixed) {
                    revert LockupFixedIncreaseNotAllowedDueToInsufficientFunds(
                        rail.token, rail.from, oldFixed, lockupFixed
                    );
                }
            }
            if (period > oldPeriod && period > approval.maxLockupPeriod) {
                revert LockupPeriodExceedsOperatorMaximum(rail.token, msg.sender, approval.maxLockupPeriod, period);
            }
            uint256 oldLockup = oldFixed + rail.paymentRate * oldPeriod;
            uint256 newLockup = lockupFixed + rail.paymentRate * period;
            payer.lockupCurrent = payer.lockupCurrent - oldLockup + newLockup;
            _use(approval, oldLockup, newLockup);
        }
        (rail.lockupPeriod, rail.lockupFixed) = (period, lockupFixed);
        require(payer.funds >= payer.lockupCurrent, "invariant failure: insufficient funds to cover lockup");
        emit RailLockupModified(railId, oldPeriod, period, oldFixed, lockupFixed);
    }

    function modifyRailPayment(uint256 railId, uint256 newRate, uint256 oneTimePayment) external nonReentrant {
        Rail storage rail = _operated(railId);
        if (oneTimePayment > rail.lockupFixed) {
            revert OneTimePaymentExceedsLockup(railId, rail.lockupFixed, oneTimePayment);
        }
        Account storage payer = _settle(rail.token, rail.from);
        if (rail.endEpoch != 0 && block.number >= rail.endEpoch) {
            revert CannotModifyTerminatedRailBeyondEndEpoch(railId, rail.endEpoch, block.number);
        }
        Approval storage approval = operatorApprovals[rail.token][rail.from][msg.sender];
        if (newRate != rail.paymentRate) {
            if (rail.paymentRate != 0 || rail.endEpoch != 0 || !_isSettled(payer)) revert NotInTheStandIn();
            if (approval.rateUsage + newRate > approval.rateAllowance) {
                revert OperatorRateAllowanceExceeded(approval.rateAllowance, approval.rateUsage + newRate);
            }
            approval.rateUsage += newRate;
            _use(approval, 0, newRate * rail.lockupPeriod);
            payer.lockupRate += newRate;
            payer.lockupCurrent += newRate * rail.lockupPeriod;
            (rail.paymentRate, rail.settledUpTo) = (newRate, block.number);
        }
        rail.lockupFixed -= oneTimePayment;
        payer.lockupCurrent -= oneTimePayment;
        approval.lockupUsage -= oneTimePayment;
        approval.lockupAllowance -= oneTimePayment > approval.lockupAllowance
            ? approval.lockupAllowance
            : oneTimePayment;
        if (oneTimePayment != 0) {
            payer.funds -= oneTimePayment;
            (uint256 net, uint256 fee) = _takeFee(rail.token, oneTimePayment);
            accounts[rail.token][rail.to].funds += net;
            emit RailOneTimePaymentProcessed(railId, net, 0, fee);
        }
        require(payer.funds >= payer.lockupCurrent, "invariant failure: insufficient funds to cover lockup");
    }

    function terminateRail(uint256 railId) external nonReentrant {
        Rail storage rail = _active(railId);
        if (rail.endEpoch != 0) revert RailAlreadyTerminated(railId);
        Account storage payer = _settle(rail.token, rail.from);
        if (!((msg.sender == rail.from && _isSettled(payer)) || msg.sender == rail.operator)) {
            revert NotAuthorizedToTerminateRail(railId, rail.from, rail.operator, msg.sender);
        }
        rail.endEpoch = payer.lockupLastSettledAt + rail.lockupPeriod;
        emit RailTerminated(railId, msg.sender, rail.endEpoch);
        if (rail.validator != address(0)) {
            IRailValidator(rail.validator).railTerminated(railId, msg.sender, rail.endEpoch);
        }
        payer.lockupRate -= rail.paymentRate;
        Approval storage approval = operatorApprovals[rail.token][rail.from][rail.operator];
        approval.rateUsage -= rail.paymentRate;
    }

    /// @dev Of rails with a constant rate; a rail that was terminated and settled to its end is wound up.
    function settleRail(uint256 railId, uint256 untilEpoch) external nonReentrant {
        if (untilEpoch > block.number) revert CannotSettleFutureEpochs(railId, block.number, untilEpoch);
        Rail storage rail = _active(railId);
        Account storage payer = _settle(rail.token, rail.from);
        uint256 most = rail.endEpoch == 0 ? payer.lockupLastSettledAt : rail.endEpoch;
        uint256 to = untilEpoch < most ? untilEpoch : most;
        if (to > rail.settledUpTo) {
            uint256 locked = rail.paymentRate * (to - rail.settledUpTo);
            uint256 amount = locked;
            if (rail.paymentRate != 0 && rail.validator != address(0)) {
                IRailValidator.ValidationResult memory said = IRailValidator(rail.validator)
                    .validatePayment(railId, amount, rail.settledUpTo, to, rail.paymentRate);
                if (said.settleUpto != to || said.modifiedAmount > amount) revert NotInTheStandIn();
                amount = said.modifiedAmount;
            }
            payer.lockupCurrent -= locked;
            payer.funds -= amount;
            (uint256 net,) = _takeFee(rail.token, amount);
            accounts[rail.token][rail.to].funds += net;
            rail.settledUpTo = to;
        }
        if (rail.endEpoch != 0 && rail.settledUpTo >= rail.endEpoch) {
            payer.lockupCurrent -= rail.lockupFixed;
            _use(
                operatorApprovals[rail.token][rail.from][rail.operator],
                rail.lockupFixed + rail.paymentRate * rail.lockupPeriod,
                0
            );
            delete _rails[railId];
            emit RailFinalized(railId);
        }
    }

    function getRail(uint256 railId) external view returns (Rail memory) {
        return _active(railId);
    }

    // ------------------------------------------------------------------------------------------------------------
    // Inside
    // ------------------------------------------------------------------------------------------------------------

    function _active(uint256 railId) private view returns (Rail storage rail) {
        rail = _rails[railId];
        if (rail.from == address(0)) revert RailInactiveOrSettled(railId);
    }

    function _operated(uint256 railId) private view returns (Rail storage rail) {
        rail = _active(railId);
        if (msg.sender != rail.operator) revert OnlyRailOperatorAllowed(rail.operator, msg.sender);
    }

    function _settle(address token, address owner) private returns (Account storage a) {
        a = accounts[token][owner];
        require(a.funds >= a.lockupCurrent, "invariant failure: insufficient funds to cover lockup");
        uint256 elapsed = block.number - a.lockupLastSettledAt;
        if (a.lockupRate != 0 && a.funds < a.lockupCurrent + a.lockupRate * elapsed) {
            elapsed = (a.funds - a.lockupCurrent) / a.lockupRate;
        }
        a.lockupCurrent += a.lockupRate * elapsed;
        a.lockupLastSettledAt += elapsed;
    }

    function _isSettled(Account storage account) private view returns (bool) {
        return account.lockupLastSettledAt == block.number;
    }

    function _use(Approval storage approval, uint256 before, uint256 afterwards) private {
        if (afterwards > before) {
            uint256 used = approval.lockupUsage + afterwards - before;
            if (used > approval.lockupAllowance) {
                revert OperatorLockupAllowanceExceeded(approval.lockupAllowance, used);
            }
            approval.lockupUsage = used;
        } else {
            uint256 less = before - afterwards;
            approval.lockupUsage = approval.lockupUsage > less ? approval.lockupUsage - less : 0;
        }
    }

    /// @dev 0.5 %, rounded up; of the chain's coin it is burned.
    function _takeFee(address token, uint256 amount) private returns (uint256 net, uint256 fee) {
        fee = (amount + 199) / 200;
        if (token == address(0)) _send(BURN, fee);
        else accounts[token][address(this)].funds += fee;
        net = amount - fee;
    }

    function _send(address payable to, uint256 amount) private {
        (bool success,) = to.call{value: amount}("");
        if (!success) revert NativeTransferFailed(to, amount);
    }
}
