//! What a granter says happened.

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};

use crate::{AttoFil, blessing::Grant, filecoin_pay::rails, model::JobId};

/// An event: one for each event of the contracts, with the same fields.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A grant was made, or what will make it is certain.
    Granted { job: JobId, round: u32, provider: Address, recipient: Bytes, amount: U256, reasons: B256 },
    /// `amount` of `payer`'s was added to a pool of bonuses.
    Funded { payer: Address, amount: AttoFil },
    /// A pool of bonuses has closed, and the rest went to `to`.
    Closed { to: Address, amount: AttoFil },
    /// Another notary is asked for this.
    GrantRequested { job: JobId, provider: Address, grant: Box<Grant> },
    /// A grant was locked on this rail.
    GrantLocked { job: JobId, rail: U256, amount: U256 },
    /// What happened to a rail.
    Rails(rails::Event),
}

impl From<rails::Event> for Event {
    fn from(event: rails::Event) -> Self {
        Self::Rails(event)
    }
}

impl From<&Grant> for Event {
    fn from(grant: &Grant) -> Self {
        let Grant { job, round, provider, amount, reasons, .. } = *grant;
        Self::Granted { job, round, provider, recipient: grant.recipient.clone(), amount, reasons }
    }
}
