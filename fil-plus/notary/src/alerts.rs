//! What a service tells people and programs by itself.

pub mod smtp;
pub mod webhook;

use async_trait::async_trait;
use lota_market::{Time, model::JobId};
use serde::{Deserialize, Serialize};

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// A job was nominated.
    Nominated,
    /// A vote is missing: of a second notary, or half of the time to vote is over.
    NeedsVote,
    Blessed,
    Granted,
    /// A nomination ended without a grant.
    Ended,
    /// The granter failed; it is tried again.
    GrantFailed,
    /// A grant over Filecoin Pay was paid.
    Paid,
    /// It never will be: its rail ended before anybody called for it.
    NotPaid,
    /// Another notary answered what it was asked.
    Answered,
    /// Something has not worked for a while.
    Problem,
}

/// A message. It is delivered at least once: who gets one with an `id` that it has seen drops it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    pub id: String,
    pub at: Time,
    pub kind: AlertKind,
    pub job: Option<JobId>,
    /// In a sentence or two; may hold what strangers wrote.
    pub text: String,
    pub details: serde_json::Value,
}

/// Why an alert was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliverError {
    /// The same may work later.
    #[error("{0}")]
    Temporary(String),
    /// It never will.
    #[error("{0}")]
    Permanent(String),
}

/// A way to somebody.
#[async_trait]
pub trait Deliver: Send + Sync {
    /// Which one it is, among those that are configured: the same after a restart.
    fn name(&self) -> &str;

    /// # Errors
    /// Why it was not delivered.
    async fn deliver(&self, alert: &Alert) -> Result<(), DeliverError>;
}
