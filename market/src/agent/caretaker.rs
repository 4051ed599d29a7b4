//! What a party does about jobs of clients that cannot act for themselves: contracts.
//!
//! A contract that requests a job is asleep until somebody calls it. Whatever needs a transaction because time has passed
//! (giving the money of an untaken job back, slashing a provider that is late, settling, calling back once more) somebody else
//! has to send, at the cost of the gas alone.

use std::collections::BTreeSet;

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use super::{Job, Step, context::Context};
use crate::model::Status;

/// How long whoever gains by it is left to go first, in seconds.
pub(super) const COURTESY: u64 = 10;

/// Whose jobs a party looks after although it is not their client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LookAfter {
    /// Nobody's.
    #[default]
    Nobody,
    /// Those of these clients.
    These(BTreeSet<Address>),
    /// Everybody's.
    Everybody,
}

impl LookAfter {
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

/// Takes the next step for a client that cannot act for itself, if there is one.
pub(super) fn advance(cx: &mut Context<'_>) {
    let step = match cx.view.status {
        Status::Open | Status::Locked => Some(Step::Expire),
        Status::Submitted if cx.view.terms.has_arbiter() => Some(Step::Settle),
        Status::Disputed => Some(Step::Lapse),
        Status::None | Status::Submitted | Status::Settled | Status::Cancelled | Status::Slashed | Status::Void => None,
    };
    if let Some(step) = step {
        // Whoever gains by it sends its command at the deadline: it has landed by then, and nobody pays for gas in vain.
        cx.begin_when_overdue(step, COURTESY.max(cx.situation.pace.landing()));
    }
    if cx.view.callback_pending {
        cx.retry_callback();
    }
}

/// Whether the client's job needs nobody, unless something happens to it.
pub(super) fn is_quiet(job: &Job) -> bool {
    match job.view.status {
        Status::None => true,
        status => status.is_final() && job.is_called_back(),
    }
}
