//! What Filecoin Pay says happened.

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

/// An event: one for each event of the stand-in, with the same fields, but for those of commissions, which are always zero.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    RailCreated {
        rail: U256,
        payer: Address,
        payee: Address,
        token: Address,
        operator: Address,
        validator: Address,
    },
    RailLockupModified {
        rail: U256,
        old_period: U256,
        new_period: U256,
        old_fixed: U256,
        new_fixed: U256,
    },
    /// `net` was credited to the payee, and `fee` kept.
    RailOneTimePaymentProcessed {
        rail: U256,
        net: U256,
        fee: U256,
    },
    RailTerminated {
        rail: U256,
        by: Address,
        end_epoch: U256,
    },
    /// The rail was wound up: what it still held is free in the payer's account.
    RailFinalized {
        rail: U256,
    },
}
