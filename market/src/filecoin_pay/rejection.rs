//! Why Filecoin Pay refuses a command.

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

/// A refusal: one for each error that a rail without rate may meet, with the same fields.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// Called by somebody whom it is calling.
    #[error("Filecoin Pay is called from within a call that it makes itself")]
    Reentrant,
    /// It was wound up, or was never there.
    #[error("rail {0} was wound up, or was never there")]
    RailInactiveOrSettled(U256),
    #[error("rail {0} was terminated before")]
    RailAlreadyTerminated(U256),
    #[error("only the rail's operator {expected} may do this, not {caller}")]
    OnlyRailOperatorAllowed { expected: Address, caller: Address },
    #[error("rail {rail} may be terminated by its payer {client} and its operator {operator}, not by {caller}")]
    NotAuthorizedToTerminateRail { rail: U256, client: Address, operator: Address, caller: Address },
    /// Of this parameter.
    #[error("the zero address cannot be {0:?}")]
    ZeroAddressNotAllowed(String),
    #[error("{from} has not approved {operator} as an operator (setOperatorApproval)")]
    OperatorNotApproved { from: Address, operator: Address },
    #[error("{sent} came along as value, and exactly {required} must")]
    MustSendExactNativeAmount { required: U256, sent: U256 },
    #[error("{to} does not take the {amount} that it is paid")]
    NativeTransferFailed { to: Address, amount: U256 },
    #[error("{available} of the account are not locked, and {requested} were asked for")]
    InsufficientUnlockedFunds { available: U256, requested: U256 },
    #[error("rail {rail} has {available} locked, and {required} were to be paid")]
    OneTimePaymentExceedsLockup { rail: U256, available: U256, required: U256 },
    /// Of a terminated rail only the fixed lockup can change, and only shrink.
    #[error(
        "a terminated rail keeps its period of {} and at most {} locked; {} and {} were asked for",
        now.period, now.fixed, asked.period, asked.fixed
    )]
    InvalidTerminatedRailModification { now: Box<Lockup>, asked: Box<Lockup> },
    #[error("{operator} may lock money for at most {most} epochs, and asked for {asked}")]
    LockupPeriodExceedsOperatorMaximum { token: Address, operator: Address, most: Box<U256>, asked: Box<U256> },
    #[error("the operator may lock at most {allowed}, and this would be {attempted}")]
    OperatorLockupAllowanceExceeded { allowed: U256, attempted: U256 },
    /// A terminated rail pays only before its end.
    #[error("rail {rail} could be paid on before epoch {end_epoch}, and this is {epoch}")]
    CannotModifyTerminatedRailBeyondEndEpoch { rail: U256, end_epoch: U256, epoch: U256 },
    #[error("rail {rail} can be settled until epoch {most}, not until {asked}, which is not yet")]
    CannotSettleFutureEpochs { rail: U256, most: U256, asked: U256 },
    /// An account may not hold less than it has locked.
    #[error("the account holds less than would be locked")]
    LockupExceedsFunds,
    /// The token did not do as it was asked, or value came along with tokens.
    #[error("the token does not move as it is asked to, or value came along with it")]
    TokenFailed,
    /// A number of more than 256 bits, or a negative one (Solidity's panic 0x11).
    #[error("a number leaves its range")]
    Overflow,
}

/// What a rail has locked, and for how many epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lockup {
    pub period: U256,
    pub fixed: U256,
}
