//! What may be asked of a world's contracts, and what they say.

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use crate::{
    AttoFil, auction, blessing,
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

impl ContractCommand {
    /// Whether value may be sent along.
    #[must_use]
    pub const fn is_payable(&self) -> bool {
        match self {
            Self::Market(command) => command.is_payable(),
            Self::Auction(command) => command.is_payable(),
            Self::Blessing(command) => command.is_payable(),
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

    /// What a blessing says.
    #[must_use]
    pub const fn of_blessing(&self) -> Option<&blessing::Event> {
        if let Self::Blessing(event) = self { Some(event) } else { None }
    }
}
