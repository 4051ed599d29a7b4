//! What the market says happened.

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};

use super::{JobId, JobResult, Reason, Terms};
use crate::money::AttoFil;

/// An event: one for each event of `ILotaMarket`, with the same fields.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// `amount` was credited to `account`.
    Deposited {
        /** Whose balance. */
        account: Address,
        /** How much. */
        amount: AttoFil,
    },
    /// `amount` left `account`'s balance to `to`.
    Withdrawn {
        /** Whose balance. */
        account: Address,
        /** Who received. */
        to: Address,
        /** How much. */
        amount: AttoFil,
    },
    /// A job was opened.
    JobOpened {
        /** Its id. */
        job: JobId,
        /** Its terms. */
        terms: Terms,
        /** The spec's bytes; empty when they travel elsewhere. */
        spec: Bytes,
    },
    /// A provider locked the job or was awarded it.
    JobLocked {
        /** Its id. */
        job: JobId,
        /** Who runs it. */
        provider: Address,
        /** At what price. */
        price: AttoFil,
    },
    /// The provider submitted a result.
    ResultSubmitted {
        /** Its id. */
        job: JobId,
        /** Who ran it. */
        provider: Address,
        /** What it came to. */
        result: JobResult,
    },
    /// The arbiter disputes the result.
    JobDisputed {
        /** Its id. */
        job: JobId,
    },
    /// The provider was paid.
    JobSettled {
        /** Its id. */
        job: JobId,
        /** Who ran it. */
        provider: Address,
        /** What was paid. */
        price: AttoFil,
        /** Why. */
        reason: Reason,
    },
    /// The client got the escrow back.
    JobCancelled {
        /** Its id. */
        job: JobId,
        /** Why. */
        reason: Reason,
    },
    /// The provider lost the collateral.
    JobSlashed {
        /// Its id.
        job: JobId,
        /// Who lost the collateral.
        provider: Address,
        /// What the client got, the price included.
        to_client: AttoFil,
        /// What the arbiter got.
        to_arbiter: AttoFil,
        /// What was burned.
        to_burn: AttoFil,
        /// Why.
        reason: Reason,
    },
    /// The client got the price back, the provider the collateral.
    JobVoided {
        /** Its id. */
        job: JobId,
        /** Who ran it. */
        provider: Address,
        /** What the client got back. */
        price: AttoFil,
        /** Why. */
        reason: Reason,
    },
    /// The client's callback succeeded.
    CallbackDelivered {
        /** Its id. */
        job: JobId,
    },
    /// The client's callback failed; anyone may retry it.
    CallbackFailed {
        /** Its id. */
        job: JobId,
    },
    /// A deal that was never opened was settled by the client's signature.
    BatchSettled {
        /// Its id.
        job: JobId,
        /// Who paid.
        client: Address,
        /// Who was paid.
        provider: Address,
        /// How much.
        price: AttoFil,
        /// The output's digest.
        output: B256,
    },
    /// An entry of a batch was left out; `why` is the selector of the error that names the reason.
    BatchSkipped {
        /** Its id. */
        job: JobId,
        /** The error's selector. */
        why: [u8; 4],
    },
    /// Salts of a client can no longer be used.
    SaltsRevoked {
        /** Whose salts. */
        client: Address,
        /** The salts. */
        salts: Vec<U256>,
    },
    /// The bytes of a spec.
    SpecPublished {
        /** Their sha2-256 digest. */
        spec: B256,
        /** The bytes. */
        data: Bytes,
    },
    /// A party serves content at a URL.
    Announced {
        /** Who. */
        party: Address,
        /** Where. */
        url: String,
    },
}

impl Event {
    /// The job this event is about, if it is about one.
    #[must_use]
    pub const fn job(&self) -> Option<JobId> {
        match self {
            Self::JobOpened { job, .. }
            | Self::JobLocked { job, .. }
            | Self::ResultSubmitted { job, .. }
            | Self::JobDisputed { job }
            | Self::JobSettled { job, .. }
            | Self::JobCancelled { job, .. }
            | Self::JobSlashed { job, .. }
            | Self::JobVoided { job, .. }
            | Self::CallbackDelivered { job }
            | Self::CallbackFailed { job }
            | Self::BatchSettled { job, .. }
            | Self::BatchSkipped { job, .. } => Some(*job),
            Self::Deposited { .. }
            | Self::Withdrawn { .. }
            | Self::SaltsRevoked { .. }
            | Self::SpecPublished { .. }
            | Self::Announced { .. } => None,
        }
    }
}
