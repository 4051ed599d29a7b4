//! What may be asked of a world's contracts, and what they say.

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use crate::{
    AttoFil, auction, blessing, filecoin_pay, filecoin_pay_deals, granter,
    model::{Command, Event, Rejection},
};

/// A call of a contract, as an account or a contract outside of this world makes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Call {
    /// Who calls and, with his wallet, pays `value`.
    pub sender: Address,
    pub contract: Address,
    /// What is sent along.
    pub value: AttoFil,
    /// What it shall do.
    pub command: ContractCommand,
}

/// A command to a contract of some kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContractCommand {
    /// To a [`Market`](crate::model::Market).
    Market(Command),
    /// To a [`SealedBidAuction`](auction::SealedBidAuction).
    Auction(auction::Command),
    /// To a [`Blessing`](blessing::Blessing).
    Blessing(blessing::Command),
    /// To a [`FilecoinPayDeals`](filecoin_pay_deals::FilecoinPayDeals).
    FilecoinPayDeals(filecoin_pay_deals::Command),
    /// To a [`FilecoinPay`](filecoin_pay::FilecoinPay).
    FilecoinPay(filecoin_pay::Command),
    /// To a [`Granter`](granter::Granter).
    Granter(granter::Command),
}

/// What a contract of some kind says happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContractEvent {
    /// Of a [`Market`](crate::model::Market).
    Market(Event),
    /// Of a [`SealedBidAuction`](auction::SealedBidAuction).
    Auction(auction::Event),
    /// Of a [`Blessing`](blessing::Blessing).
    Blessing(blessing::Event),
    /// Of a [`FilecoinPayDeals`](filecoin_pay_deals::FilecoinPayDeals).
    FilecoinPayDeals(filecoin_pay_deals::Event),
    /// Of a [`FilecoinPay`](filecoin_pay::FilecoinPay).
    FilecoinPay(filecoin_pay::Event),
    /// Of a [`Granter`](granter::Granter).
    Granter(granter::Event),
}

/// An event, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Log {
    /// Which contract says so.
    pub contract: Address,
    pub event: ContractEvent,
}

/// Why a call has changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum CallError {
    /// Nothing is deployed there.
    #[error("there is no contract at {0}")]
    NoContract(Address),
    /// A contract of this world acts by its own code only.
    #[error("{0} is a contract of this world: nobody else can call in its name")]
    SenderIsContract(Address),
    /// The sender's wallet is too small.
    #[error("{account} owns {wallet} and cannot send {needed} along")]
    Unaffordable {
        account: Address,
        wallet: AttoFil,
        /// What is needed.
        needed: AttoFil,
    },
    /// Money was sent along with a command that takes none.
    #[error("{value} was sent along with a command that takes no money")]
    NotPayable {
        /// How much.
        value: AttoFil,
    },
    /// The market refuses.
    #[error(transparent)]
    Rejected(Rejection),
    /// The auction refuses, or the market that it asks.
    #[error(transparent)]
    RejectedByAuction(auction::Rejection),
    /// The blessing refuses, or the market that it asks.
    #[error(transparent)]
    RejectedByBlessing(blessing::Rejection),
    /// `FilecoinPayDeals` refuses, or who it asks: the market, Filecoin Pay.
    #[error(transparent)]
    RejectedByFilecoinPayDeals(filecoin_pay_deals::Rejection),
    /// Filecoin Pay refuses.
    #[error(transparent)]
    RejectedByFilecoinPay(filecoin_pay::Rejection),
    /// The granter refuses, or whom it asks.
    #[error(transparent)]
    RejectedByGranter(granter::Rejection),
    /// There is a contract of another kind.
    #[error("the contract at {0} has no such function")]
    NoSuchFunction(Address),
}

impl From<Command> for ContractCommand {
    fn from(command: Command) -> Self {
        Self::Market(command)
    }
}

impl From<Event> for ContractEvent {
    fn from(event: Event) -> Self {
        Self::Market(event)
    }
}

impl From<auction::Command> for ContractCommand {
    fn from(command: auction::Command) -> Self {
        Self::Auction(command)
    }
}

impl From<auction::Event> for ContractEvent {
    fn from(event: auction::Event) -> Self {
        Self::Auction(event)
    }
}

impl From<blessing::Command> for ContractCommand {
    fn from(command: blessing::Command) -> Self {
        Self::Blessing(command)
    }
}

impl From<blessing::Event> for ContractEvent {
    fn from(event: blessing::Event) -> Self {
        Self::Blessing(event)
    }
}

impl From<filecoin_pay_deals::Command> for ContractCommand {
    fn from(command: filecoin_pay_deals::Command) -> Self {
        Self::FilecoinPayDeals(command)
    }
}

impl From<filecoin_pay_deals::Event> for ContractEvent {
    fn from(event: filecoin_pay_deals::Event) -> Self {
        Self::FilecoinPayDeals(event)
    }
}

impl From<filecoin_pay::Command> for ContractCommand {
    fn from(command: filecoin_pay::Command) -> Self {
        Self::FilecoinPay(command)
    }
}

impl From<filecoin_pay::Event> for ContractEvent {
    fn from(event: filecoin_pay::Event) -> Self {
        Self::FilecoinPay(event)
    }
}

impl From<granter::Command> for ContractCommand {
    fn from(command: granter::Command) -> Self {
        Self::Granter(command)
    }
}

impl From<granter::Event> for ContractEvent {
    fn from(event: granter::Event) -> Self {
        Self::Granter(event)
    }
}

impl ContractCommand {
    /// Whether value may be sent along.
    #[must_use]
    pub const fn is_payable(&self) -> bool {
        match self {
            Self::Market(command) => command.is_payable(),
            Self::Auction(command) => command.is_payable(),
            Self::Blessing(command) => command.is_payable(),
            Self::FilecoinPayDeals(command) => command.is_payable(),
            Self::FilecoinPay(command) => command.is_payable(),
            Self::Granter(command) => command.is_payable(),
        }
    }
}

impl ContractEvent {
    /// What a market says.
    #[must_use]
    pub const fn of_market(&self) -> Option<&Event> {
        if let Self::Market(event) = self { Some(event) } else { None }
    }

    /// What an auction says.
    #[must_use]
    pub const fn of_auction(&self) -> Option<&auction::Event> {
        if let Self::Auction(event) = self { Some(event) } else { None }
    }

    /// What Filecoin Pay says.
    #[must_use]
    pub const fn of_filecoin_pay(&self) -> Option<&filecoin_pay::Event> {
        if let Self::FilecoinPay(event) = self { Some(event) } else { None }
    }

    /// What a blessing says.
    #[must_use]
    pub const fn of_blessing(&self) -> Option<&blessing::Event> {
        if let Self::Blessing(event) = self { Some(event) } else { None }
    }
    /// What a `FilecoinPayDeals` says.
    #[must_use]
    pub const fn of_filecoin_pay_deals(&self) -> Option<&filecoin_pay_deals::Event> {
        if let Self::FilecoinPayDeals(event) = self { Some(event) } else { None }
    }

    /// What a granter says.
    #[must_use]
    pub const fn of_granter(&self) -> Option<&granter::Event> {
        if let Self::Granter(event) = self { Some(event) } else { None }
    }
}
