// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

/// @title IFilecoinPay: what is used of FilecoinPayV1
/// @notice Accounts pay each other along rails. A rail goes from a payer to a payee and belongs to an operator, whom the payer has
/// approved and who alone changes it. What a rail may pay at once lies in its fixed lockup: a part of the payer's account that is
/// the payer's, and that nothing but this rail can spend.
/// @dev https://github.com/FilOzone/filecoin-pay, src/FilecoinPayV1.sol at 04ded6a (v1.0.0: mainnet
/// 0x23b1e018F08BB982348b15a86ee926eEBf7F4DAa, calibration 0x09a0fDc2723fAd1A7b8e3e00eE5DF73841df55a0). Its `IERC20` is `address`
/// here: the same in the ABI. Periods and epochs are block numbers. Token zero is the chain's coin.
interface IFilecoinPay {
    struct RailView {
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

    /// @notice The rail has been wound up, or was never there.
    error RailInactiveOrSettled(uint256 railId);
    /// @notice A terminated rail pays only before `maxSettlementEpoch`.
    error CannotModifyTerminatedRailBeyondEndEpoch(uint256 railId, uint256 maxSettlementEpoch, uint256 blockNumber);

    /// @notice A new rail of the sender's, who must be approved by `from`; `validator` is asked and told as an {IRailValidator}.
    function createRail(
        address token,
        address from,
        address to,
        address validator,
        uint256 commissionRateBps,
        address serviceFeeRecipient
    ) external returns (uint256 railId);

    /// @notice Sets the rail's lockup. More fixed lockup needs funds that are free in the payer's account, an account that owes
    /// nothing, and an allowance; a longer period needs that the operator may ask for it. On a terminated rail it can only shrink.
    function modifyRailLockup(uint256 railId, uint256 period, uint256 lockupFixed) external;

    /// @notice Sets the rail's rate for each epoch, and pays `oneTimePayment` out of its fixed lockup; the payee gets it less 0.5 %,
    /// rounded up. The allowance shrinks by what was paid.
    function modifyRailPayment(uint256 railId, uint256 newRate, uint256 oneTimePayment) external;

    function getRail(uint256 railId) external view returns (RailView memory);

    function operatorApprovals(address token, address client, address operator)
        external
        view
        returns (
            bool isApproved,
            uint256 rateAllowance,
            uint256 lockupAllowance,
            uint256 rateUsage,
            uint256 lockupUsage,
            uint256 maxLockupPeriod
        );

    /// @notice What an account would be if its rails were settled now; it is in debt when `fundedUntilEpoch` lies in the past.
    function getAccountInfoIfSettled(address token, address owner)
        external
        view
        returns (uint256 fundedUntilEpoch, uint256 currentFunds, uint256 availableFunds, uint256 currentLockupRate);
}

/// @title IRailValidator: what FilecoinPayV1 asks and tells the validator of a rail (its `IValidator`)
interface IRailValidator {
    struct ValidationResult {
        uint256 modifiedAmount;
        uint256 settleUpto;
        string note;
    }

    /// @notice How much of what flowed by a rate is to be paid. Not asked while the rate is 0, nor about payments at once.
    function validatePayment(uint256 railId, uint256 proposedAmount, uint256 fromEpoch, uint256 toEpoch, uint256 rate)
        external
        returns (ValidationResult memory result);

    /// @notice The rail was terminated. A revert would hinder that, and should not be (the project's SPEC.md).
    function railTerminated(uint256 railId, address terminator, uint256 endEpoch) external;
}
