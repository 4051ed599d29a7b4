//! What a payer lets an operator do.

use alloy_primitives::U256;
use serde::{Deserialize, Serialize};

use super::Rejection;

/// An approval, and how much of it is used; amounts in the token's smallest unit. It stays used when it is withdrawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Approval {
    pub is_approved: bool,
    /// The most that may flow in each epoch; nothing does here.
    pub rate_allowance: U256,
    /// The most that may be locked; what is paid is taken from it.
    pub lockup_allowance: U256,
    pub lockup_usage: U256,
    /// The most epochs for which money may be locked.
    pub max_lockup_period: U256,
}

impl Approval {
    /// A rail's lockup changes.
    pub(super) fn change_lockup(&mut self, before: U256, after: U256) -> Result<(), Rejection> {
        let Some(more) = after.checked_sub(before) else {
            self.lockup_usage = self.lockup_usage.saturating_sub(before.saturating_sub(after));
            return Ok(());
        };
        if more.is_zero() {
            return Ok(());
        }
        let attempted = self.lockup_usage.checked_add(more).ok_or(Rejection::Overflow)?;
        if attempted > self.lockup_allowance {
            return Err(Rejection::OperatorLockupAllowanceExceeded { allowed: self.lockup_allowance, attempted });
        }
        self.lockup_usage = attempted;
        Ok(())
    }

    /// A part of a rail's lockup was paid.
    pub(super) fn spend(&mut self, amount: U256) -> Result<(), Rejection> {
        self.lockup_usage = self.lockup_usage.checked_sub(amount).ok_or(Rejection::Overflow)?;
        self.lockup_allowance = self.lockup_allowance.saturating_sub(amount);
        Ok(())
    }
}
