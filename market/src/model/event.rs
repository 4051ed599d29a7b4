//! What the market says happened.

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};

use super::{JobId, JobResult, Lane, Reason, Terms};
use crate::money::AttoFil;

/// An event: one for each event of `ILotaMarket`, with the same fields.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// `amount` of `payer`'s was credited to `account`.
    Deposited { account: Address, payer: Address, amount: AttoFil },
    /// `amount` left `account`'s balance to `to`.
    Withdrawn { account: Address, to: Address, amount: AttoFil },
    /// A job was opened.
    JobOpened {
        job: JobId,
        terms: Terms,
        /// The spec's bytes; empty when they travel elsewhere.
        spec: Bytes,
    },
    /// A provider locked the job or was awarded it.
    JobLocked {
        job: JobId,
        provider: Address,
        /// Who brought the collateral: the provider, or the matcher.
        payer: Address,
        price: AttoFil,
    },
    /// The provider submitted a result.
    ResultSubmitted { job: JobId, provider: Address, result: JobResult },
    /// The arbiter disputes the result.
    JobDisputed { job: JobId },
    /// The provider was paid.
    JobSettled { job: JobId, provider: Address, price: AttoFil, reason: Reason },
    /// The client got the escrow back.
    JobCancelled { job: JobId, reason: Reason },
    /// The provider lost the collateral.
    JobSlashed {
        job: JobId,
        provider: Address,
        /// What the client got, the price included.
        to_client: AttoFil,
        to_arbiter: AttoFil,
        to_burn: AttoFil,
        reason: Reason,
    },
    /// The client got the price back, the provider the collateral.
    JobVoided {
        job: JobId,
        provider: Address,
        /// What the client got back.
        price: AttoFil,
        reason: Reason,
    },
    /// The client's callback succeeded.
    CallbackDelivered { job: JobId },
    /// The client's callback failed; anyone may retry it.
    CallbackFailed { job: JobId },
    /// A deal that was never opened was settled by the client's signature.
    BatchSettled {
        job: JobId,
        client: Address,
        provider: Address,
        salt: U256,
        price: AttoFil,
        /// The output's digest.
        output: B256,
        exit_code: u32,
    },
    /// An entry of a batch was left out; `why` is the selector of the error that names the reason.
    BatchSkipped { job: JobId, why: [u8; 4] },
    /// Salts of a client in this lane with numbers below `up_to` can no longer be used.
    SaltsRevoked { client: Address, lane: Lane, up_to: u64 },
    /// The bytes of a spec.
    SpecPublished {
        /// Their sha2-256 digest.
        spec: B256,
        data: Bytes,
    },
    /// A party serves content at a URL.
    Announced { party: Address, url: String },
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
