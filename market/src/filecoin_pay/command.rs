//! What may be asked of Filecoin Pay.

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

/// A command: one for each state-changing function. Token zero is the chain's coin; amounts are in the token's smallest unit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Credit `amount` to the account of `to`: the value sent, or tokens that the sender has approved.
    Deposit { token: Address, to: Address, amount: U256 },
    /// Pay `amount` out of the sender's account to the sender.
    Withdraw { token: Address, amount: U256 },
    /// Say what an operator may do with the sender's account.
    SetOperatorApproval {
        token: Address,
        operator: Address,
        approved: bool,
        rate_allowance: U256,
        lockup_allowance: U256,
        max_lockup_period: U256,
    },
    /// End a rail after its lockup period, by its payer or operator.
    TerminateRail { rail: U256 },
    /// Settle a rail until an epoch; one that has reached its end is wound up, by anyone.
    SettleRail { rail: U256, until_epoch: U256 },
    /// Make a rail without validator and commission, by an operator.
    CreateRail { token: Address, from: Address, to: Address },
    /// Set a rail's lockup, by its operator.
    ModifyRailLockup { rail: U256, period: U256, lockup_fixed: U256 },
    /// Pay at once out of a rail's fixed lockup, by its operator; its rate stays zero.
    ModifyRailPayment { rail: U256, one_time_payment: U256 },
}

impl Command {
    /// Whether value may be sent along.
    #[must_use]
    pub const fn is_payable(&self) -> bool {
        matches!(self, Self::Deposit { .. })
    }
}
