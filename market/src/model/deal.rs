//! What a deal is, and what it comes to.

use alloy_primitives::{Address, B256, Bytes};
use serde::{Deserialize, Serialize};

use crate::{money::AttoFil, time::Time};

/// What a provider says a job came to: `ILotaMarket.Result`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct JobResult {
    /// sha2-256 digest of the output's root block (CIDv1, dag-pb).
    pub output: B256,
    /// The program's exit code, or a fixed one for traps and exhausted limits.
    pub exit_code: u32,
    /// Fuel the run used; informative: no price depends on it.
    pub fuel_used: u64,
    /// At most [`MAX_INLINE_DATA`](super::MAX_INLINE_DATA) bytes of output.
    pub inline_data: Bytes,
}

/// What a deal came to: `ILotaMarket.Receipt`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Receipt {
    /// Who ran the job.
    pub provider: Address,
    /// What the job costs.
    pub price: AttoFil,
    /// The submitted result.
    pub result: JobResult,
}

/// A deal as it is stored: `ILotaMarket.Deal`, with the receipt itself where the contract keeps its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Deal<'a> {
    pub status: Status,
    /// Why it ended; [`Reason::None`] while it runs.
    pub reason: Reason,
    /// A callback runs, or failed and may be retried.
    pub callback_pending: bool,
    /// When it was locked (Locked), submitted (Submitted) or disputed (Disputed); otherwise 0.
    pub since: Time,
    /// Who locked it (Locked only, otherwise zero; later the receipt names the provider).
    pub provider: Address,
    /// Its price (Locked only, otherwise zero; later the receipt names the price).
    pub price: AttoFil,
    /// What it came to: in Submitted, Disputed, Settled, in Slashed for Overturned, and in Void; otherwise none.
    pub receipt: Option<&'a Receipt>,
}

impl Deal<'static> {
    /// The deal that there is not.
    pub const NONE: Self = Self {
        status: Status::None,
        reason: Reason::None,
        callback_pending: false,
        since: Time(0),
        provider: Address::ZERO,
        price: AttoFil::ZERO,
        receipt: None,
    };
}

/// The life of a deal; numbered as in `ILotaMarket.Status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Status {
    /// There is no such deal.
    #[default]
    None,
    /// Waiting for a provider.
    Open,
    /// A provider runs it.
    Locked,
    /// It has a result, which may be reviewed.
    Submitted,
    /// The arbiter disputes the result.
    Disputed,
    /// The provider was paid. Final.
    Settled,
    /// The client got the escrow back. Final.
    Cancelled,
    /// The provider lost the collateral. Final.
    Slashed,
    /// Everybody got their own money back. Final.
    Void,
}

impl Status {
    /// Whether nothing but a callback retry can follow.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Settled | Self::Cancelled | Self::Slashed | Self::Void)
    }
}

/// Why a deal ended; numbered as in `ILotaMarket.Reason`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Reason {
    /// It has not ended.
    #[default]
    None,
    /// Settled: by the client's acceptance.
    Accepted,
    /// Settled: the review window passed without a dispute.
    Unchallenged,
    /// Settled: by the arbiter.
    Upheld,
    /// Settled: submitted, and there is no arbiter.
    Unreviewed,
    /// Cancelled: by the client or the matcher.
    Withdrawn,
    /// Cancelled: nobody locked it in time.
    NotLocked,
    /// Slashed: no result in time, or given up.
    NotSubmitted,
    /// Slashed: by the arbiter.
    Overturned,
    /// Void: the arbiter could not decide.
    Undecided,
    /// Void: the arbiter did not rule in time.
    NotRuled,
}

impl Reason {
    /// The final status that this reason leads to; [`Status::None`] for none.
    #[must_use]
    pub const fn status(self) -> Status {
        match self {
            Self::None => Status::None,
            Self::Accepted | Self::Unchallenged | Self::Upheld | Self::Unreviewed => Status::Settled,
            Self::Withdrawn | Self::NotLocked => Status::Cancelled,
            Self::NotSubmitted | Self::Overturned => Status::Slashed,
            Self::Undecided | Self::NotRuled => Status::Void,
        }
    }
}

/// An arbiter's ruling; numbered as in `ILotaMarket.Verdict`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Verdict {
    /// The result stands: the provider is paid.
    Upheld,
    /// The result is wrong: the provider is slashed.
    Overturned,
    /// Neither can be shown: everybody gets their own money back.
    Void,
}
