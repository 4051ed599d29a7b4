//! What the registry answers, as it travels over its HTTP API.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// For how long the chain's word counts, unless an asker says otherwise, in seconds: claims are read every day, and what is final lags behind.
pub const MAX_AGE: u64 = 7 * 86_400;
/// How much of what is no CID an answer repeats, in characters.
pub(crate) const REPEATED: usize = 80;

/// How sure it is that a CID is FIL+ data, most sure first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// A claim on chain says so, which nobody contradicts.
    Verified,
    /// Somebody says so, and a chain says otherwise.
    Contradicted,
    /// There were claims, whose terms are over or that were removed.
    Ended,
    /// A client set DataCap aside for it; no provider has proved to store it.
    Allocated,
    /// Its advertiser says so, and nobody has confirmed it.
    SelfReported,
    /// A list that the operator trusts names it.
    Listed,
    /// Nobody says anything.
    Unknown,
}

impl Certainty {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Verified,
        Self::Contradicted,
        Self::Ended,
        Self::Allocated,
        Self::SelfReported,
        Self::Listed,
        Self::Unknown,
    ];

    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Contradicted => "contradicted",
            Self::Ended => "ended",
            Self::Allocated => "allocated",
            Self::SelfReported => "self-reported",
            Self::Listed => "listed",
            Self::Unknown => "unknown",
        }
    }
}

/// What became of a claim or an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClaimState {
    /// Its term runs.
    Active,
    /// Its term is over.
    Expired,
    /// It was taken off the chain, and an event said so.
    Removed,
    /// It was there once, and is not any more.
    Vanished,
    /// Chain nodes contradict each other about it, or it cannot be about what was asked.
    Disputed,
    /// A provider has claimed the allocation.
    Claimed,
}

impl ClaimState {
    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Removed => "removed",
            Self::Vanished => "vanished",
            Self::Disputed => "disputed",
            Self::Claimed => "claimed",
        }
    }
}

/// A claim or an allocation on chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimEvidence {
    /// `claim` or `allocation`.
    pub kind: String,
    pub id: u64,
    pub state: ClaimState,
    /// The piece's CID, version 1.
    pub piece: String,
    /// Padded bytes.
    pub size: u64,
    /// Ids of actors: `f01234`.
    pub provider: String,
    pub client: String,
    /// The sector; an allocation has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sector: Option<u64>,
    /// Epochs.
    pub term_min: u64,
    pub term_max: u64,
    /// When the claim's term began, as an epoch; an allocation's has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term_start: Option<u64>,
    /// The epoch at which the claim's longest term, or the allocation's offer, is over.
    pub over_at: u64,
    /// The same as a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_at_time: Option<Timestamp>,
    /// The epoch of the chain's state that this is from.
    pub as_of_epoch: u64,
    /// The chain nodes that say so.
    pub sources: Vec<String>,
    /// When the registry was told.
    pub seen: Timestamp,
}

/// What an index says: who advertises a payload says in which piece it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportEvidence {
    pub source: String,
    /// The libp2p id of the advertiser.
    pub peer: String,
    /// The piece's CID, version 1.
    pub piece: String,
    /// Whether it says that the deal is verified.
    pub verified_deal: bool,
    pub seen: Timestamp,
}

/// A list that names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListEvidence {
    pub source: String,
    pub list: String,
    pub issued: Timestamp,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// Whether a CID is FIL+ data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// As it was asked.
    pub cid: String,
    pub certainty: Certainty,
    /// Why, in a sentence.
    pub reason: String,
    /// The time for which a chain's word about the claims that it rests on holds; none: it rests on no claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
    /// Seconds since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<u64>,
    /// Whoever asked takes no word of this age (`lota fil-plus check --max-age`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub old: bool,
    /// CIDs (version 1) of the piece that it is, or of those that it is said to be in.
    pub pieces: Vec<String>,
    pub claims: Vec<ClaimEvidence>,
    /// There are more claims than are shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more_claims: bool,
    /// There are more pieces, reports, lists or contradictions than are shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more_evidence: bool,
    pub reports: Vec<ReportEvidence>,
    pub lists: Vec<ListEvidence>,
    /// Where the evidence contradicts itself.
    pub contradictions: Vec<String>,
    /// What could not be looked at, or is only said.
    pub caveats: Vec<String>,
}

impl Answer {
    /// Whether it is verified by a chain's word that is older than so many seconds, or of which nobody says how old it is; `now` in Unix
    /// seconds.
    #[must_use]
    pub fn rests_on_old_word(&self, max_age: u64, now: u64) -> bool {
        let oldest = i64::try_from(now.saturating_sub(max_age)).unwrap_or(i64::MAX);
        self.certainty == Certainty::Verified && self.as_of.is_none_or(|as_of| as_of.as_second() < oldest)
    }
}

/// An answer, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Checked {
    Answer(Box<Answer>),
    /// The text is no CID.
    Malformed {
        cid: String,
        error: String,
    },
}

/// How far a source is, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceState {
    pub name: String,
    /// `claims`, `events`, `index` or `list`.
    pub kind: String,
    /// The chain's epoch up to which it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// The time of what it said last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
    /// Seconds since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<u64>,
    /// Its word is old, or it never gave one.
    pub stale: bool,
    /// The epoch at which all claims of all providers were read last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete_as_of_epoch: Option<u64>,
    /// How much of what it said was not believed.
    pub refused: u64,
    /// An example of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// What keeps it from going on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem_since: Option<Timestamp>,
}

/// `POST /v1/check`: what is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckRequest {
    pub cids: Vec<String>,
    /// Whether indexes are asked about payloads that nothing is known of.
    #[serde(default)]
    pub ask: bool,
}

/// What is answered: one for each CID, in their order, and how fresh all of it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckAnswer {
    pub answers: Vec<Checked>,
    pub sources: Vec<SourceState>,
}

/// A Unix time as JSON carries it; times beyond the year 9999 are the last one that can be written.
#[must_use]
pub fn timestamp(seconds: u64) -> Timestamp {
    i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or(Timestamp::MAX)
}
