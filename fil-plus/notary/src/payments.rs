//! Payments that grants leave to be called for: a granter over Filecoin Pay locks what it grants, and whoever calls `pay` has it paid.

mod rails;

use async_trait::async_trait;
use lota_market::{Address, B256, Time, U256, agent::EffectKey, model::JobId};
use serde::{Deserialize, Serialize};

pub use lota_bridge::evm::granters::rails::{Locked, RailDue};
pub use rails::RailPayer;

/// A transaction that paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Landed {
    pub transaction: B256,
    /// A reorganisation may still undo it.
    pub block: u64,
    pub time: Time,
}

/// Why there was no payment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayError {
    /// The contract would refuse it, or has. The key is not used up.
    #[error("{0}")]
    Refused(String),
    /// It is not known whether it landed, or it cannot be sent now: the same again, under the same key, finds out.
    #[error("{0}")]
    Later(String),
}

/// Whoever calls for payments.
#[async_trait]
pub trait Payer: Send + Sync {
    /// What the grant of a job, in this transaction, left to be paid over a rail; `None`: this granter pays by none.
    ///
    /// # Errors
    /// [`PayError::Later`].
    async fn locked(&self, granter: Address, job: JobId, transaction: B256) -> Result<Option<Locked>, PayError>;

    /// A rail at a block; `None`: at the newest.
    ///
    /// # Errors
    /// [`PayError::Later`].
    async fn rail(&self, granter: Address, rail: U256, block: Option<u64>) -> Result<RailDue, PayError>;

    /// Has all paid that is due on these rails, and waits until that is in a block. Idempotent on the key.
    ///
    /// # Errors
    /// See [`PayError`].
    async fn pay(&self, key: &EffectKey, granter: Address, rails: &[U256]) -> Result<Landed, PayError>;
}

/// How far the payment of a grant has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum PaymentState {
    /// Nobody has called for it; why not, if that failed.
    Due { why: Option<String> },
    /// This service has called for it.
    Sent { transaction: Option<B256> },
    /// `None`: by somebody else's transaction.
    Paid { transaction: Option<B256> },
    /// It never will be.
    Lost { why: String },
}

/// The payment of a grant over a rail of Filecoin Pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    pub granter: Address,
    pub rail: U256,
    /// Gross, in the granter's unit.
    pub amount: U256,
    pub state: PaymentState,
}
