//! Why the contract refuses a command.

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

use crate::{
    AttoFil,
    asset::Asset,
    filecoin_pay::{self, rails},
    model::{self, JobId},
};

/// A refusal: one for each error of `IFilecoinPayDeals` and `Rails` that a command may meet, with the same fields, those of Filecoin Pay
/// that are passed on, and those of `ILotaMarket` (`Reentered` is the same error in both).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// The order may not be opened.
    #[error("the order cannot be opened: {0}")]
    BadOrder(OrderFault),
    /// Not opened like this, taken, or ended.
    #[error("no such order of job {0} is open: it was not opened with these prices, was taken, or has ended")]
    NotOpen(JobId),
    /// Nobody runs it.
    #[error("job {0} is not under way: nobody has taken it, or it has ended")]
    NotTaken(JobId),
    /// What came along is not the collateral.
    #[error("{sent} came along, and it must be exactly {wanted}: the collateral; nothing where that is a token")]
    WrongValue { sent: AttoFil, wanted: AttoFil },
    /// A callback of somebody else's.
    #[error("{0} is not the market, which alone calls back")]
    NotTheMarket(Address),
    /// A report of somebody else's.
    #[error("{0} is not Filecoin Pay, which alone says what happened to a rail")]
    NotFilecoinPay(Address),
    /// 0, or too much.
    #[error("a price of {0} cannot be promised: it is 0, or above 2^128 - 1 together with what is promised already")]
    AmountOutOfRange(U256),
    /// No rail can be between these two.
    #[error("no rail can go from {payer} to {payee}: they are the same, or one is zero or a masked id (0xff00…)")]
    BadPair { payer: Address, payee: Address },
    /// The payer ended it.
    #[error("the payer terminated rail {0}, and has not asked for a new one (renewRail)")]
    RailTerminated(U256),
    /// There is nothing to renew.
    #[error("rail {0} runs: there is nothing to renew")]
    RailRuns(U256),
    /// There never was one.
    #[error("{payer} has no rail to {payee}")]
    NoRail { payer: Address, payee: Address },
    /// No approval.
    #[error("{0} has not approved this contract as an operator at Filecoin Pay (setOperatorApproval)")]
    OperatorNotApproved(Address),
    /// The approval is for too short a time.
    #[error("{payer} lets this contract lock money for at most {allowed} epochs, and {needed} are needed")]
    LockupPeriodTooLong { payer: Address, allowed: U256, needed: U256 },
    /// The approval is for too little.
    #[error("{payer} lets this contract lock {left} more of the token's smallest unit, and {needed} are needed")]
    AllowanceTooSmall { payer: Address, left: U256, needed: U256 },
    /// The account cannot pay for what it owes.
    #[error("the Filecoin Pay account of {payer} is in debt since epoch {epoch}; somebody must deposit")]
    PayerInDebt { payer: Address, epoch: U256 },
    /// The account is too small.
    #[error(
        "the Filecoin Pay account of {payer} has {available} of the token's smallest unit that are not locked, and {needed} are needed; somebody must deposit"
    )]
    NotEnoughFunds { payer: Address, available: U256, needed: U256 },
    /// Filecoin Pay's, passed on.
    #[error("rail {0} was wound up, or was never there")]
    RailInactiveOrSettled(U256),
    /// Filecoin Pay's, passed on.
    #[error("rail {rail} paid until epoch {end_epoch} only, and this is {epoch}")]
    CannotModifyTerminatedRailBeyondEndEpoch { rail: U256, end_epoch: U256, epoch: U256 },
    /// Another of Filecoin Pay's, passed on: it is calling this contract's caller.
    #[error(transparent)]
    FilecoinPay(filecoin_pay::Rejection),
    /// An error of `ILotaMarket`: this contract's own, or what the market answered it.
    #[error(transparent)]
    Market(model::Rejection),
}

/// What is wrong with an order, in the order in which it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[repr(u8)]
#[serde(rename_all = "snake_case")]
pub enum OrderFault {
    #[error("the terms' client is not this contract")]
    Client,
    #[error("the terms' matcher is not this contract")]
    Matcher,
    #[error("the terms have a price, which the order has instead; minPrice and maxPrice of the terms must be 0")]
    MarketPrice,
    #[error("callbackGas is too little for this contract's callback")]
    CallbackGas,
    #[error("keepRecord is set, but such jobs cannot be nominated for a blessing")]
    KeepRecord,
    #[error("the payer is the zero address")]
    Payer,
    #[error("the salt's lane is not the payer's address")]
    Salt,
    #[error("minPrice is 0 or above maxPrice, or maxPrice is 2^128 or more")]
    Price,
}

impl OrderFault {
    /// All of them, by their numbers in the contract.
    pub const ALL: [Self; 8] = [
        Self::Client,
        Self::Matcher,
        Self::MarketPrice,
        Self::CallbackGas,
        Self::KeepRecord,
        Self::Payer,
        Self::Salt,
        Self::Price,
    ];

    /// The one with a number in the contract.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// Why the contract cannot be deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentFault {
    /// `BadSettings()`.
    #[error("the market is none, or promises callbacks less gas than this contract's needs; or that gas is 0")]
    Settings,
    /// `BadRailSettings()`.
    #[error("there is no Filecoin Pay, an epoch has no length, or the grace is longer than a year")]
    RailSettings,
}

impl Rejection {
    /// Whether it is for the payer of an order to put right: it has too little in its account at Filecoin Pay, has not approved the
    /// contract, or not for so much, or has terminated the rail.
    #[must_use]
    pub const fn is_payers(&self) -> bool {
        matches!(
            self,
            Self::OperatorNotApproved(_)
                | Self::LockupPeriodTooLong { .. }
                | Self::AllowanceTooSmall { .. }
                | Self::PayerInDebt { .. }
                | Self::NotEnoughFunds { .. }
                | Self::RailTerminated(_)
        )
    }

    /// The same in words, with amounts of the market as its asset has them.
    #[must_use]
    pub fn words(&self, asset: &Asset) -> String {
        match self {
            Self::Market(rejection) => rejection.words(asset),
            other => other.to_string(),
        }
    }
}

impl From<model::Rejection> for Rejection {
    fn from(rejection: model::Rejection) -> Self {
        Self::Market(rejection)
    }
}

impl From<filecoin_pay::Rejection> for Rejection {
    fn from(rejection: filecoin_pay::Rejection) -> Self {
        match rejection {
            filecoin_pay::Rejection::RailInactiveOrSettled(rail) => Self::RailInactiveOrSettled(rail),
            filecoin_pay::Rejection::CannotModifyTerminatedRailBeyondEndEpoch { rail, end_epoch, epoch } => {
                Self::CannotModifyTerminatedRailBeyondEndEpoch { rail, end_epoch, epoch }
            }
            other => Self::FilecoinPay(other),
        }
    }
}

impl From<rails::Rejection> for Rejection {
    fn from(rejection: rails::Rejection) -> Self {
        use rails::Rejection as Of;
        match rejection {
            Of::NotFilecoinPay(sender) => Self::NotFilecoinPay(sender),
            Of::AmountOutOfRange(amount) => Self::AmountOutOfRange(amount),
            Of::BadPair { payer, payee } => Self::BadPair { payer, payee },
            Of::RailTerminated(rail) => Self::RailTerminated(rail),
            Of::RailRuns(rail) => Self::RailRuns(rail),
            Of::NoRail { payer, payee } => Self::NoRail { payer, payee },
            Of::OperatorNotApproved(payer) => Self::OperatorNotApproved(payer),
            Of::LockupPeriodTooLong { payer, allowed, needed } => Self::LockupPeriodTooLong { payer, allowed, needed },
            Of::AllowanceTooSmall { payer, left, needed } => Self::AllowanceTooSmall { payer, left, needed },
            Of::NotEnoughFunds { payer, available, needed } => Self::NotEnoughFunds { payer, available, needed },
            Of::FilecoinPay(rejection) => rejection.into(),
        }
    }
}
