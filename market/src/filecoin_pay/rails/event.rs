//! What a contract with rails says of them.

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

/// An event: one for each event of `Rails.sol`, with the same fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A rail was made, for all payments between these two.
    RailOpened { rail: U256, payer: Address, payee: Address },
    /// The payer terminated the rail: what is due must be paid before `end_epoch`, a block's number.
    RailClosing { rail: U256, end_epoch: U256 },
    /// All that was due on the rail was paid, fees included.
    RailPaid { rail: U256, amount: U256 },
}
