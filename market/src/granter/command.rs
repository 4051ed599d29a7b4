//! What may be asked of a granter.

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

use crate::{AttoFil, blessing::Grant};

/// A command: one for each state-changing function of the contracts. Not every granter has all of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Make a grant; the blessing's alone. Of all granters.
    Grant(Box<Grant>),
    /// Add the value sent to a pool of bonuses.
    Fund,
    /// Add `amount` of the token to the pool, from the sender, who approved it.
    FundToken { amount: AttoFil },
    /// After the pool's time, send what is left to whom it named.
    Close,
    /// The same, but to somebody else.
    CloseTo { to: Address },
    /// Pay all that is due on these rails of Filecoin Pay.
    Pay { rails: Vec<U256> },
    /// Give the sponsor back what a rail holds beyond what it needs.
    Release { rail: U256 },
    /// Let a new rail be made from the sender to `payee`, after the sender terminated the one there was.
    RenewRail { payee: Address },
}

impl Command {
    /// Whether value may be sent along.
    #[must_use]
    pub const fn is_payable(&self) -> bool {
        matches!(self, Self::Fund)
    }
}
