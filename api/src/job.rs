//! Jobs: requested, listed, described.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lota_market::{
    Address, AttoFil,
    model::{JobId, Reason, Status},
};
use serde::{Deserialize, Serialize};

use crate::{AuctionInfo, Decision, OrderInfo, Phase, Problem, Verification};

/// `POST /v1/jobs`: a job to be opened.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobRequest {
    /// The job specification (see docs/spec.md).
    pub spec: serde_json::Value,
    /// What the client offers and asks; what is left out is the daemon's default.
    #[serde(default)]
    pub terms: TermsRequest,
    /// A name that makes the request idempotent: the same name twice opens one job. At most 100 printable characters. (It was
    /// called `key` once.)
    #[serde(default, rename = "idempotency_key", alias = "key", skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// The terms of a job as a person names them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TermsRequest {
    /// Price at the start of the ramp; default: the lowest ask that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_price: Option<AttoFil>,
    /// The most to be paid. How much of it is offered, and put in escrow, follows from what providers ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_price: Option<AttoFil>,
    /// How long the price rises, in seconds. Whoever names it gets a ramp from `min_price` (or nothing) up to `max_price`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ramp_period: Option<u64>,
    /// How long providers may lock the job, in seconds from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock_for: Option<u64>,
    /// How long the provider may take from lock to result, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_for: Option<u32>,
    /// How long the result may be disputed, in seconds; 0, as jobs have no arbiter yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_for: Option<u32>,
    /// The collateral that the provider puts up. 0 only if it is named: then nothing keeps whoever locks the job from letting it lie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collateral: Option<AttoFil>,
    /// The one provider that may take the job, at a fixed price: what it asks, if that is known, else `max_price`. Nobody but it can
    /// cancel the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Address>,
    /// Whether providers bid for it in sealed bids; then `ramp_period` is how long bids are opened, and `lock_for` how long all takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auction: Option<bool>,
    /// Whether the market keeps for ever how the job ended, so that notaries can bless it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bless: Option<bool>,
}

/// The answer to `POST /v1/jobs`: the opened job, and what is offered for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OpenedJob {
    /// The job as in a list.
    #[serde(flatten)]
    pub job: JobSummary,
    /// How its price was chosen; left out if the job was opened by an earlier request with the same key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<JobOffer>,
}

/// How the price of a job was chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobOffer {
    /// The most that was to be paid: `max_price` of the request.
    pub limit: AttoFil,
    /// The price at first.
    pub min_price: AttoFil,
    /// The price at last; this much is in escrow.
    pub max_price: AttoFil,
    /// How long it rises, in seconds.
    pub ramp_period: u64,
    /// How many providers are known that would take the job within the limit.
    pub providers: u32,
    /// The lowest that they ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lowest_ask: Option<AttoFil>,
    /// The highest that they ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub highest_ask: Option<AttoFil>,
    /// What the account paid into the market for the escrow, beyond its free balance there.
    pub from_wallet: AttoFil,
    /// What the client may have meant otherwise, such as prices far above what providers ask, or fuel that does not fit the wall
    /// limit; in words for a person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A job in a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobSummary {
    pub id: JobId,
    pub status: Status,
    /// Whether it has ended and the chain will not undo its end.
    #[serde(default, rename = "final")]
    pub is_final: bool,
    /// Why it ended; `none` while it runs.
    pub reason: Reason,
    /// What it is doing.
    pub phase: Phase,
    /// Who looks at its result before it is paid for.
    #[serde(default)]
    pub verification: Verification,
    /// Who alone may award it and cancel it: the provider that it is directed to, or a matcher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directed_to: Option<Address>,
    /// Who pays.
    pub client: Address,
    /// Who runs it, once it is locked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Address>,
    /// Its price, once it is locked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<AttoFil>,
    /// The escrow: the highest price.
    pub max_price: AttoFil,
    /// What it is paid over Filecoin Pay, if it is; then it costs nothing at the market.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderInfo>,
    /// When it was opened.
    pub opened: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
    /// CID of its output, once a result was submitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Its exit code, once a result was submitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u32>,
    /// Whether this daemon holds a verified copy of the output.
    pub output_verified: bool,
    /// Labels of its spec.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// `GET /v1/jobs`: one page of jobs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobPage {
    pub jobs: Vec<JobSummary>,
    /// Pass it as `after` for the next page; none: this is the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// `GET /v1/jobs/{id}`: all there is to say about a job. `{id}` may be a unique prefix of at least 4 hex digits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobDetail {
    /// The job as in a list.
    #[serde(flatten)]
    pub summary: JobSummary,
    pub terms: TermsInfo,
    /// Its spec, if this daemon has it; feeds `lota job submit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<serde_json::Value>,
    /// Its auction, if it is auctioned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auction: Option<AuctionInfo>,
    /// What happened to it on the market, in order.
    pub events: Vec<JobEvent>,
    /// Where the money of this job is or went.
    pub money: MoneyInfo,
    /// Who took or refused it, and why.
    pub decisions: Vec<Decision>,
    /// Nobody is left who may take it: all who answer have refused, and the others were silent too long. Only an answer to
    /// `wait` with `refusals` says so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refused_by_all: bool,
    /// Where this daemon has its output available; empty as long as it has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub published: Vec<PublicationInfo>,
    /// The result, once one was submitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<ResultInfo>,
    /// What went wrong on this daemon's side, if anything did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What keeps this daemon from its work now, whatever the job.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub node_problems: Vec<Problem>,
}

/// Where an output is, or is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicationInfo {
    /// `gateway` (the daemon's own), or a publisher that its operator configured.
    pub publisher: String,
    pub state: PublicationProgress,
    /// How far it is, in the publisher's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What went wrong the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where it is served, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// How far an output is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PublicationProgress {
    /// It waits; after a failure, for the next try.
    Queued,
    /// It is being fetched there.
    Pinning,
    /// It is there, and kept.
    Pinned,
    /// It is not there. It is tried again a day later if the cause may pass, at the daemon's next start, and when somebody asks for it.
    Failed,
}

/// Terms for a person.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TermsInfo {
    /// The client's salt, decimal.
    pub salt: String,
    /// CID of the spec.
    pub spec: String,
    /// Price at the start of the ramp.
    pub min_price: AttoFil,
    /// Price at its end.
    pub max_price: AttoFil,
    /// When the ramp starts.
    pub ramp_start: Timestamp,
    /// How long the price rises, in seconds.
    pub ramp_period: u64,
    /// Until when it may be locked.
    pub lock_by: Timestamp,
    /// Run window, in seconds.
    pub run_for: u32,
    /// Review window, in seconds.
    pub review_for: u32,
    /// Ruling window, in seconds.
    pub rule_for: u32,
    /// The provider's collateral.
    pub collateral: AttoFil,
    /// Who awards it, if not the first to lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matcher: Option<Address>,
    /// Who rules on disputes, if anyone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arbiter: Option<Address>,
    /// Gas of the callback.
    pub callback_gas: u32,
}

/// One thing that happened to a job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobEvent {
    pub time: Timestamp,
    /// The block it is in.
    pub block: u64,
    /// The event's name, as in the contract.
    pub name: String,
    /// In a few words for a person.
    pub text: String,
}

/// Where the money of a job is or went. All zero amounts are left out by the command line, not here.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct MoneyInfo {
    /// Held by the market for the price.
    pub in_escrow: AttoFil,
    /// Held by the market as the provider's collateral.
    pub collateral_held: AttoFil,
    /// Paid to the provider (without the collateral that came back).
    pub paid_to_provider: AttoFil,
    /// Given back to the client (of the escrow).
    pub returned_to_client: AttoFil,
    /// Collateral given to the client as compensation.
    pub compensation: AttoFil,
    /// Collateral given to the arbiter.
    pub to_arbiter: AttoFil,
    /// Collateral burned.
    pub burned: AttoFil,
}

/// A submitted result.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ResultInfo {
    /// CID of the output directory.
    pub output: String,
    /// Exit code.
    pub exit_code: u32,
    /// Fuel used.
    pub fuel_used: u64,
    /// Inline data, hex with 0x.
    pub inline_data: String,
    /// Who ran it.
    pub provider: Address,
    /// Where the provider serves it, if it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
}
