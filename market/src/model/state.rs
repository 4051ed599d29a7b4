//! Where a deal stands, with what is remembered there and nothing else.

use core::mem;

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use super::{Deal, JobId, Reason, Receipt, Rejection, Status};
use crate::{money::AttoFil, time::Time};

/// A deal as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum DealState {
    Open,
    Locked {
        since: Time,
        provider: Address,
        price: AttoFil,
    },
    Submitted {
        since: Time,
        receipt: Box<Receipt>,
    },
    Disputed {
        since: Time,
        receipt: Box<Receipt>,
    },
    Ended {
        reason: Reason,
        /// A callback runs, or failed and may be retried.
        callback_pending: bool,
        /// What was submitted, if something was.
        receipt: Option<Box<Receipt>>,
    },
}

impl DealState {
    pub(super) const fn status(&self) -> Status {
        match self {
            Self::Open => Status::Open,
            Self::Locked { .. } => Status::Locked,
            Self::Submitted { .. } => Status::Submitted,
            Self::Disputed { .. } => Status::Disputed,
            Self::Ended { reason, .. } => reason.status(),
        }
    }

    /// The refusal of whoever expected another state.
    pub(super) const fn wrong_state(&self, job: JobId) -> Rejection {
        Rejection::WrongState { job, found: self.status() }
    }

    /// Becomes the next state.
    pub(super) fn advance(&mut self, next: impl FnOnce(Self) -> Self) {
        *self = next(mem::replace(self, Self::Open));
    }

    /// What was submitted, if something was.
    pub(super) fn into_receipt(self) -> Option<Box<Receipt>> {
        match self {
            Self::Open | Self::Locked { .. } => None,
            Self::Submitted { receipt, .. } | Self::Disputed { receipt, .. } => Some(receipt),
            Self::Ended { receipt, .. } => receipt,
        }
    }

    pub(super) fn view(&self) -> Deal<'_> {
        let none = Deal { status: self.status(), ..Deal::NONE };
        match self {
            Self::Open => none,
            Self::Locked { since, provider, price } => {
                Deal { since: *since, provider: *provider, price: *price, ..none }
            }
            Self::Submitted { since, receipt } | Self::Disputed { since, receipt } => {
                Deal { since: *since, receipt: Some(receipt), ..none }
            }
            Self::Ended { reason, callback_pending, receipt } => {
                Deal { reason: *reason, callback_pending: *callback_pending, receipt: receipt.as_deref(), ..none }
            }
        }
    }
}
