//! What the contract says happened.

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

use crate::{AttoFil, filecoin_pay::rails, model::JobId};

/// An event: one for each event of `IFilecoinPayDeals` and `Rails`, with the same fields.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// An order was opened; the market's `JobOpened`, which comes right after, has its terms.
    OrderOpened { job: JobId, payer: Address, provider: Address, min_price: U256, max_price: U256 },
    /// A provider took the job, and `price` is locked on the rail.
    OrderTaken { job: JobId, payer: Address, provider: Address, rail: U256, price: U256 },
    /// The job was settled: `price` is due on the rail.
    PriceDue { job: JobId, rail: U256, price: U256 },
    /// The job ended without a result that is paid for: `price` is the payer's again, and it is owed `refund`.
    PriceFreed {
        job: JobId,
        rail: U256,
        price: U256,
        /// Of the provider's collateral, in the market's asset.
        refund: AttoFil,
    },
    /// A rail was made, for all payments between these two.
    RailOpened { rail: U256, payer: Address, payee: Address },
    /// The payer terminated the rail: what is due must be paid before `end_epoch`, a block's number.
    RailClosing { rail: U256, end_epoch: U256 },
    /// All that was due on the rail was paid, fees included.
    RailPaid { rail: U256, amount: U256 },
}

impl Event {
    /// The job that it is about.
    #[must_use]
    pub const fn job(&self) -> Option<JobId> {
        match self {
            Self::OrderOpened { job, .. }
            | Self::OrderTaken { job, .. }
            | Self::PriceDue { job, .. }
            | Self::PriceFreed { job, .. } => Some(*job),
            Self::RailOpened { .. } | Self::RailClosing { .. } | Self::RailPaid { .. } => None,
        }
    }
}

impl From<rails::Event> for Event {
    fn from(event: rails::Event) -> Self {
        match event {
            rails::Event::RailOpened { rail, payer, payee } => Self::RailOpened { rail, payer, payee },
            rails::Event::RailClosing { rail, end_epoch } => Self::RailClosing { rail, end_epoch },
            rails::Event::RailPaid { rail, amount } => Self::RailPaid { rail, amount },
        }
    }
}
