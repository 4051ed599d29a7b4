//! What was gathered about a job.

use lota_fil_plus::answer::Certainty;
use lota_market::{Address, AttoFil, B256, Time, model::JobId};
use serde::{Deserialize, Serialize};

use super::Way;

/// A job that was settled, as the market's events tell of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettledJob {
    pub job: JobId,
    pub client: Address,
    pub provider: Address,
    pub price: AttoFil,
    pub settled_at: Time,
    /// sha2-256 of the spec's bytes.
    pub spec: B256,
    /// The output's digest.
    pub output: B256,
    pub exit_code: u32,
}

/// An input of the job's, and what the registry answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputEvidence {
    /// Its path in the guest.
    pub path: String,
    pub cid: String,
    /// How sure the registry is; `None`: it was not asked, or its word is too old.
    pub certainty: Option<Certainty>,
    /// What it rests on, each in a line.
    pub because: Vec<String>,
}

/// What came of fetching the output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Retrieval {
    /// All of it was there, and every block was what its CID says.
    Verified { bytes: u64 },
    /// It could not be had.
    Unavailable { why: String },
    /// It was not tried yet.
    Pending,
}

/// What came of running the job again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum ReExecution {
    /// Output, exit code and fuel are the same.
    Agrees { fuel: u64 },
    /// They are not.
    Differs { what: String },
    /// The engine's output is not reproducible (Docker), so nothing follows from another run.
    NotReproducible,
    /// It cannot be run.
    Impossible { why: String },
    /// It could not be run so far, and it is tried again.
    NotNow { why: String },
    /// It was not tried yet.
    Pending,
}

/// An earlier job that this one repeats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierJob {
    pub job: JobId,
    /// What the two share: the spec, the output, or the blessed piece.
    pub same: String,
    /// Whether it was blessed, and not only nominated.
    pub blessed: bool,
}

/// What a client paid a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    pub jobs: u64,
    pub volume: AttoFil,
    pub first: Time,
    pub last: Time,
}

/// What the market knows of a party.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartyHistory {
    /// When it first settled a job, on either side.
    pub since: Option<Time>,
    pub settled: u64,
    /// Jobs for which it lost its collateral.
    pub slashed: u64,
}

/// What was blessed in the period that shares are counted over, in the granter's unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blessed {
    pub count: u64,
    pub amount: AttoFil,
    pub to_provider: AttoFil,
    pub for_client: AttoFil,
}

/// All that was gathered about a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub job: SettledJob,
    /// `None`: its spec is not known.
    pub inputs: Option<Vec<InputEvidence>>,
    pub retrieval: Retrieval,
    pub re_execution: ReExecution,
    pub earlier: Vec<EarlierJob>,
    pub pair: Pair,
    /// What can have come back from the provider to the client, over all ways together.
    pub back: AttoFil,
    /// The widest of them.
    pub way_back: Option<Way>,
    /// Whether all ways were looked at; otherwise more can have come back.
    pub all_ways: bool,
    pub client: PartyHistory,
    pub provider: PartyHistory,
    pub blessed: Blessed,
}
