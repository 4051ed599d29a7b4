//! What a blessing says happened.

use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256};
use serde::{Deserialize, Serialize};

use super::{Choice, End, Limits, Nomination};
use crate::{AttoFil, Time, model::JobId};

/// An event: one for each event of `IBlessing`, with the same fields.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// `amount` of `payer`'s was credited to `account`.
    Funded { account: Address, payer: Address, amount: AttoFil },
    /// `amount` left `account` to `to`.
    Defunded { account: Address, to: Address, amount: AttoFil },
    /// The provider set money aside for clients' shares.
    SetAside { provider: Address, amount: AttoFil },
    /// The provider took some of it back.
    TakenBack { provider: Address, amount: AttoFil },
    /// A provider registered for a granter.
    Registered { provider: Address, granter: Address, recipient: Bytes, share_rate: U256, max_share: AttoFil },
    /// There is a new set of notaries.
    NotariesSet { version: u32, notaries: Vec<Address>, quorum: u32 },
    /// A granter has new limits.
    GranterSet { granter: Address, limits: Limits },
    /// A job was nominated.
    JobNominated { job: JobId, nominator: Address, nomination: Box<Nomination> },
    /// A notary voted.
    VoteCast { job: JobId, round: u32, notary: Address, choice: Choice, reasons: B256 },
    /// The job was blessed; it may be granted after `revoke_until`, until `grant_until`.
    JobBlessed { job: JobId, round: u32, revoke_until: Time, grant_until: Time },
    /// The nomination ended without a grant.
    NominationEnded { job: JobId, round: u32, end: End },
    /// The granter failed.
    GrantFailed {
        job: JobId,
        round: u32,
        /// The selector of its error; zeros if it said nothing.
        why: FixedBytes<4>,
    },
    /// The granter granted `amount`, and the client was credited `to_client`.
    JobGranted { job: JobId, provider: Address, granter: Address, amount: U256, to_client: AttoFil },
}

impl Event {
    /// The job that it is about.
    #[must_use]
    pub const fn job(&self) -> Option<JobId> {
        match self {
            Self::JobNominated { job, .. }
            | Self::VoteCast { job, .. }
            | Self::JobBlessed { job, .. }
            | Self::NominationEnded { job, .. }
            | Self::GrantFailed { job, .. }
            | Self::JobGranted { job, .. } => Some(*job),
            _ => None,
        }
    }
}
