//! What a party does about jobs of clients that cannot act for themselves: contracts.
//!
//! A contract that requests a job is asleep until somebody calls it. Whatever needs a transaction because time has passed
//! (giving the money of an untaken job back, slashing a provider that is late, settling, calling back once more) somebody else
//! has to send, at the cost of the gas alone.

use std::collections::BTreeSet;

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use super::{Agent, Effect, Job, Step};
use crate::model::Status;

/// How long whoever gains by it is left to go first, in seconds.
pub(super) const COURTESY: u64 = 10;

/// Whose jobs a party looks after although it is not their client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wards {
    /// Nobody's.
    #[default]
    Nobody,
    /// Those of these clients.
    These(BTreeSet<Address>),
    /// Everybody's.
    Everybody,
}

impl Wards {
    /// Whether this client is one of them.
    #[must_use]
    pub fn include(&self, client: &Address) -> bool {
        match self {
            Self::Nobody => false,
            Self::These(clients) => clients.contains(client),
            Self::Everybody => true,
        }
    }
}

impl Agent {
    /// Whether this party acts for the job's client.
    pub(super) fn looks_after(&self, job: &Job) -> bool {
        let client = &job.view.terms.client;
        job.order.is_none() && *client != self.me && self.wards.include(client)
    }

    /// Takes the next step for a client that cannot act for itself, if there is one.
    pub(super) fn advance_ward(&mut self, job: &mut Job, effects: &mut Vec<Effect>) {
        if !self.looks_after(job) {
            return;
        }
        let step = match job.view.status {
            Status::Open | Status::Locked => Some(Step::Expire),
            Status::Submitted => Some(Step::Settle),
            Status::Disputed => Some(Step::Lapse),
            Status::None | Status::Settled | Status::Cancelled | Status::Slashed | Status::Void => None,
        };
        if let (Some(step), Some(deadline)) = (step, job.view.deadline())
            && self.reached(job, deadline.after(1 + COURTESY))
        {
            self.begin(job, step, effects);
        }
        if job.view.callback_pending {
            self.begin(job, Step::RetryCallback, effects);
        }
    }
}
