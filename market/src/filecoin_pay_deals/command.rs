//! What may be asked of the contract.

use alloy_primitives::{Address, Bytes, U256};
use serde::{Deserialize, Serialize};

use super::Order;
use crate::model::{Receipt, Terms};

/// A command: one for each state-changing function of `IFilecoinPayDeals` and `Rails` that people call, where its checks and effects
/// are specified.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Open the order's job at the market.
    Open {
        order: Order,
        spec: Bytes,
        /// The payer's; not looked at when the payer is the sender.
        signature: Bytes,
    },
    /// Take an open job, bringing its collateral: as value, or by an allowance of the market's token.
    Take { order: Order },
    /// Both in one step; [`Self::Take`] if the order is open.
    OpenAndTake { order: Order, spec: Bytes, signature: Bytes },
    /// Take back an order that nobody has taken, by its payer.
    Cancel { order: Order },
    /// Accept a result before the review window has passed, by the payer.
    Accept { terms: Terms, receipt: Receipt },
    /// Make the sender's orders with salts of numbers below `up_to` unusable, unless they are open.
    Revoke { up_to: u64 },
    /// Pay `to` what the sender is owed of slashed collateral.
    Withdraw { to: Address },
    /// Pay what is due on these rails.
    Pay { rails: Vec<U256> },
    /// Give the payer back what the rail holds beyond what is promised on it.
    Release { rail: U256 },
    /// Let a new rail be made from the sender to `payee`, after the sender terminated the one there was.
    RenewRail { payee: Address },
}

impl Command {
    /// Whether value may be sent along.
    #[must_use]
    pub const fn is_payable(&self) -> bool {
        matches!(self, Self::Take { .. } | Self::OpenAndTake { .. })
    }

    /// The order that it is about.
    #[must_use]
    pub const fn order(&self) -> Option<&Order> {
        match self {
            Self::Open { order, .. }
            | Self::Take { order }
            | Self::OpenAndTake { order, .. }
            | Self::Cancel { order } => Some(order),
            Self::Accept { .. }
            | Self::Revoke { .. }
            | Self::Withdraw { .. }
            | Self::Pay { .. }
            | Self::Release { .. }
            | Self::RenewRail { .. } => None,
        }
    }

    /// The terms of the job that it is about.
    #[must_use]
    pub const fn terms(&self) -> Option<&Terms> {
        match self {
            Self::Accept { terms, .. } => Some(terms),
            _ => match self.order() {
                Some(order) => Some(&order.terms),
                None => None,
            },
        }
    }
}
