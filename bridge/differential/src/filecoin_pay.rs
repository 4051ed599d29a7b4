//! The stand-in of Filecoin Pay on a chain: commands to call data, logs to events, reverts to refusals.

use alloy::sol_types::{SolCall, SolEventInterface, SolInterface};
use lota_market::{
    Address, B256, Bytes, U256,
    filecoin_pay::{Command, Event, Lockup, Rejection},
};

use crate::beside::Difference;

mod abi {
    #![allow(missing_docs, clippy::all, unreachable_pub, reason = "generated")]
    alloy::sol!(FilecoinPayStandIn, "../../contracts/test/artifacts/FilecoinPayStandIn.json");
    alloy::sol! {
        error Error(string reason);
        error Panic(uint256 code);
    }
}

use abi::FilecoinPayStandIn::{
    self as call, FilecoinPayStandInErrors as Failure, FilecoinPayStandInEvents as Happening,
};

/// The bytecode that deploys it.
pub(crate) fn deployment() -> Bytes {
    call::BYTECODE.clone()
}

pub(crate) fn call_data(command: &Command) -> Bytes {
    let data = match *command {
        Command::Deposit { token, to, amount } => call::depositCall { token, to, amount }.abi_encode(),
        Command::Withdraw { token, amount } => call::withdrawCall { token, amount }.abi_encode(),
        Command::SetOperatorApproval {
            token,
            operator,
            approved,
            rate_allowance,
            lockup_allowance,
            max_lockup_period,
        } => call::setOperatorApprovalCall {
            token,
            operator,
            approved,
            rateAllowance: rate_allowance,
            lockupAllowance: lockup_allowance,
            maxLockupPeriod: max_lockup_period,
        }
        .abi_encode(),
        Command::TerminateRail { rail } => call::terminateRailCall { railId: rail }.abi_encode(),
        Command::SettleRail { rail, until_epoch } => {
            call::settleRailCall { railId: rail, untilEpoch: until_epoch }.abi_encode()
        }
        Command::CreateRail { token, from, to } => call::createRailCall {
            token,
            from,
            to,
            validator: Address::ZERO,
            commissionRateBps: U256::ZERO,
            serviceFeeRecipient: Address::ZERO,
        }
        .abi_encode(),
        Command::ModifyRailLockup { rail, period, lockup_fixed } => {
            call::modifyRailLockupCall { railId: rail, period, lockupFixed: lockup_fixed }.abi_encode()
        }
        Command::ModifyRailPayment { rail, one_time_payment } => {
            call::modifyRailPaymentCall { railId: rail, newRate: U256::ZERO, oneTimePayment: one_time_payment }
                .abi_encode()
        }
    };
    data.into()
}

pub(crate) fn decode(topics: &[B256], data: &[u8]) -> Result<Event, Difference> {
    let happening = Happening::decode_raw_log(topics, data);
    Ok(match happening.map_err(|error| Difference::new("a log", error.to_string(), ""))? {
        Happening::RailCreated(e) => Event::RailCreated {
            rail: e.railId,
            payer: e.payer,
            payee: e.payee,
            token: e.token,
            operator: e.operator,
            validator: e.validator,
        },
        Happening::RailLockupModified(e) => Event::RailLockupModified {
            rail: e.railId,
            old_period: e.oldLockupPeriod,
            new_period: e.newLockupPeriod,
            old_fixed: e.oldLockupFixed,
            new_fixed: e.newLockupFixed,
        },
        Happening::RailOneTimePaymentProcessed(e) => {
            Event::RailOneTimePaymentProcessed { rail: e.railId, net: e.netPayeeAmount, fee: e.networkFee }
        }
        Happening::RailTerminated(e) => Event::RailTerminated { rail: e.railId, by: e.by, end_epoch: e.endEpoch },
        Happening::RailFinalized(e) => Event::RailFinalized { rail: e.railId },
    })
}

/// Reads the data of a revert; `None` when it is no refusal of a rail without rate.
pub(crate) fn revert(data: &[u8]) -> Option<Rejection> {
    use alloy::sol_types::SolError;
    if let Ok(abi::Error { reason }) = abi::Error::abi_decode(data) {
        return match reason.as_str() {
            "token" => Some(Rejection::TokenFailed),
            "invariant failure: insufficient funds to cover lockup" => Some(Rejection::LockupExceedsFunds),
            _ => None,
        };
    }
    if let Ok(abi::Panic { code }) = abi::Panic::abi_decode(data) {
        return (code == U256::from(0x11)).then_some(Rejection::Overflow);
    }
    Some(match Failure::abi_decode(data).ok()? {
        Failure::Reentrant(_) => Rejection::Reentrant,
        Failure::RailInactiveOrSettled(e) => Rejection::RailInactiveOrSettled(e.railId),
        Failure::RailAlreadyTerminated(e) => Rejection::RailAlreadyTerminated(e.railId),
        Failure::OnlyRailOperatorAllowed(e) => {
            Rejection::OnlyRailOperatorAllowed { expected: e.expected, caller: e.caller }
        }
        Failure::NotAuthorizedToTerminateRail(e) => Rejection::NotAuthorizedToTerminateRail {
            rail: e.railId,
            client: e.client,
            operator: e.operator,
            caller: e.caller,
        },
        Failure::ZeroAddressNotAllowed(e) => Rejection::ZeroAddressNotAllowed(e.varName),
        Failure::OperatorNotApproved(e) => Rejection::OperatorNotApproved { from: e.from, operator: e.operator },
        Failure::MustSendExactNativeAmount(e) => {
            Rejection::MustSendExactNativeAmount { required: e.required, sent: e.sent }
        }
        Failure::NativeTransferFailed(e) => Rejection::NativeTransferFailed { to: e.to, amount: e.amount },
        Failure::InsufficientUnlockedFunds(e) => {
            Rejection::InsufficientUnlockedFunds { available: e.available, requested: e.requested }
        }
        Failure::OneTimePaymentExceedsLockup(e) => {
            Rejection::OneTimePaymentExceedsLockup { rail: e.railId, available: e.available, required: e.required }
        }
        Failure::InvalidTerminatedRailModification(e) => Rejection::InvalidTerminatedRailModification {
            now: Box::new(Lockup { period: e.period, fixed: e.fixedNow }),
            asked: Box::new(Lockup { period: e.newPeriod, fixed: e.newFixed }),
        },
        Failure::LockupPeriodExceedsOperatorMaximum(e) => Rejection::LockupPeriodExceedsOperatorMaximum {
            token: e.token,
            operator: e.operator,
            most: Box::new(e.most),
            asked: Box::new(e.asked),
        },
        Failure::OperatorLockupAllowanceExceeded(e) => {
            Rejection::OperatorLockupAllowanceExceeded { allowed: e.allowed, attempted: e.attempted }
        }
        Failure::CannotModifyTerminatedRailBeyondEndEpoch(e) => Rejection::CannotModifyTerminatedRailBeyondEndEpoch {
            rail: e.railId,
            end_epoch: e.maxSettlementEpoch,
            epoch: e.blockNumber,
        },
        Failure::CannotSettleFutureEpochs(e) => {
            Rejection::CannotSettleFutureEpochs { rail: e.railId, most: e.most, asked: e.asked }
        }
        // Of rates, of which there are none, and of what the stand-in leaves out.
        Failure::NotInTheStandIn(_)
        | Failure::OperatorRateAllowanceExceeded(_)
        | Failure::LockupPeriodChangeNotAllowedDueToInsufficientFunds(_)
        | Failure::LockupFixedIncreaseNotAllowedDueToInsufficientFunds(_) => return None,
    })
}
