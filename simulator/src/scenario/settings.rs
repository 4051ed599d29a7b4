//! What a scenario says, with its defaults. docs/simulator.md has the same table for people.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Amount;
use crate::distribution::Distribution;

/// A scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it answers, in a sentence.
    #[serde(default)]
    pub question: String,
    /// The seed of the first run; the next ones count up.
    #[serde(default = "one")]
    pub seed: u64,
    /// How many runs.
    #[serde(default = "one")]
    pub seeds: u64,
    /// After so many seconds nothing is simulated any more.
    #[serde(default = "a_year")]
    pub until: u64,
    #[serde(default)]
    pub chain: ChainSettings,
    #[serde(default)]
    pub job: JobSettings,
    /// Populations of clients, by name.
    pub clients: BTreeMap<String, Clients>,
    /// Populations of providers, by name.
    #[serde(default)]
    pub providers: BTreeMap<String, Providers>,
    /// The digest of the log of the first run, in hex, if the scenario is a trace of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Who checks results; without it there is no arbiter, and what is submitted is paid.
    pub mediation: Option<Mediation>,
}

const fn one() -> u64 {
    1
}

const fn a_year() -> u64 {
    365 * 86_400
}

/// The chain that the market is on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChainSettings {
    /// Seconds from one block to the next; 0: a block comes with each command.
    pub block_time: u64,
    /// Within how many blocks a block is final.
    pub final_blocks: u64,
    /// Seconds from sending a command to its arrival, which the next block includes.
    pub latency: Distribution,
    /// The shortest run, review and ruling window, in seconds.
    pub min_window: u32,
}

impl Default for ChainSettings {
    fn default() -> Self {
        Self { block_time: 0, final_blocks: 0, latency: Distribution::Fixed(0.0), min_window: 1 }
    }
}

/// What clients ask for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobSettings {
    /// Work, in 10^9 units of fuel.
    pub gigafuel: Distribution,
    pub min_price: Amount,
    pub max_price: Amount,
    /// Seconds in which the price rises from the lowest to the highest.
    pub ramp_for: u64,
    /// Seconds after its opening until which a job may be locked.
    pub lock_for: u64,
    /// Seconds that a provider may take from lock to result.
    pub run_for: u32,
    /// Seconds in which a result may be disputed.
    pub review_for: u32,
    /// Seconds in which a dispute must be ruled on.
    pub rule_for: u32,
    pub collateral: Amount,
    /// How many providers run each task, in a job of its own.
    pub replicas: u32,
    /// Whether nobody sees what others have submitted for the same task: a protection that the contracts do not have.
    pub hidden_results: bool,
    /// Sealed bids in place of the ramp.
    pub auction: Option<AuctionSettings>,
}

impl Default for JobSettings {
    fn default() -> Self {
        Self {
            gigafuel: Distribution::Fixed(1.0),
            min_price: Amount::ZERO,
            max_price: Amount(lota_market::AttoFil(lota_market::money::FIL)),
            ramp_for: 60,
            lock_for: 120,
            run_for: 600,
            review_for: 120,
            rule_for: 120,
            collateral: Amount(lota_market::AttoFil(lota_market::money::FIL)),
            replicas: 1,
            hidden_results: false,
            auction: None,
        }
    }
}

/// The phases of an auction, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuctionSettings {
    pub seal_for: u64,
    pub reveal_for: u64,
    pub award_for: u64,
    /// Whether bids can be seen before they are opened: a protection that is turned off.
    pub unsealed: bool,
}

impl Default for AuctionSettings {
    fn default() -> Self {
        Self { seal_for: 60, reveal_for: 60, award_for: 60, unsealed: false }
    }
}

/// A population of clients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clients {
    pub count: u32,
    #[serde(default)]
    pub strategy: ClientKind,
    /// What each brings to the market at the beginning.
    pub balance: Amount,
    /// What a client keeps back: it opens nothing that would leave it with less.
    #[serde(default)]
    pub reserve: Amount,
    /// How many tasks each asks for.
    pub jobs: u64,
    /// Seconds from one request to the next; exponential: a Poisson process.
    #[serde(default = "a_minute")]
    pub interval: Distribution,
    /// What a correct result is worth to it, in FIL; without it: the highest price.
    pub value: Option<Distribution>,
    /// How many of its jobs may be open or running at once.
    pub concurrency: Option<u32>,
    /// Seconds to fetch and verify an output.
    #[serde(default = "nothing")]
    pub verify: Distribution,
    /// Sybil: over how many accounts it spreads its jobs.
    pub identities: Option<u32>,
    /// Shill: how many bids it seals against its own providers' prices.
    pub shills: Option<u32>,
}

impl Clients {
    /// How many accounts each of them has.
    #[must_use]
    pub fn identities(&self) -> u32 {
        if self.strategy == ClientKind::Sybil { self.identities.unwrap_or(2) } else { 1 }
    }

    /// How many further accounts each of them has, if it bids against its own providers.
    #[must_use]
    pub fn shills(&self) -> u32 {
        if self.strategy == ClientKind::Shill { self.shills.unwrap_or(10) } else { 0 }
    }
}

const fn a_minute() -> Distribution {
    Distribution::Fixed(60.0)
}

const fn nothing() -> Distribution {
    Distribution::Fixed(0.0)
}

/// What a client does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientKind {
    /// What the node does.
    #[default]
    Honest,
    /// Never accepts a result.
    NeverAccepts,
    /// Bids against its own providers.
    Shill,
    /// Spreads its jobs over several accounts.
    Sybil,
}

/// A population of providers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Providers {
    pub count: u32,
    #[serde(default)]
    pub strategy: ProviderKind,
    /// What each brings to the market at the beginning; it has as much again outside, for bids.
    pub balance: Amount,
    /// What a job costs it, in FIL.
    #[serde(default = "nothing")]
    pub cost: Distribution,
    /// What 10^9 units of fuel cost it, in FIL.
    #[serde(default = "nothing")]
    pub cost_per_gigafuel: Distribution,
    /// How many 10^9 units of fuel it burns in a second.
    #[serde(default = "unit")]
    pub speed: Distribution,
    /// How many jobs it runs at once.
    #[serde(default = "unit")]
    pub slots: Distribution,
    /// Seconds to fetch a job's inputs.
    #[serde(default = "nothing")]
    pub fetch: Distribution,
    /// Seconds to publish an output.
    #[serde(default = "nothing")]
    pub publish: Distribution,
    /// How likely a run fails.
    #[serde(default = "nothing")]
    pub failure: Distribution,
    /// Seconds from sending a command to its arrival; without it: the chain's.
    pub latency: Option<Distribution>,
    /// Seconds after a slash until its operator has it lock jobs again; without it: never.
    pub resume_after: Option<f64>,
    /// Lazy: how likely a guess is right.
    pub guess: Option<f64>,
    /// Lazy: how much of a run's cost a guess takes, from 0 to 1.
    pub effort: Option<f64>,
    /// Underbidder: which share of its cost it asks; above 1 it asks more.
    pub undercut: Option<f64>,
    /// Program: what it decides.
    pub program: Option<crate::program::Program>,
}

const fn unit() -> Distribution {
    Distribution::Fixed(1.0)
}

/// What a provider does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// What the node does.
    #[default]
    Honest,
    /// Guesses results.
    Lazy,
    /// Submits what another provider submitted for the same task.
    Copier,
    /// Locks jobs and lets them lie.
    NoShow,
    /// Asks less than its cost.
    Underbidder,
    /// A population that keeps prices up: its cheapest member alone competes.
    Ring,
    /// Asks what is best in a first-price auction among its population.
    Shading,
    /// Its runs fail often.
    Flaky,
    /// What a small program says.
    Program,
}

/// Mediators, as a formula until their contract exists: one arbiter that is told what they would say.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mediation {
    /// How likely a result is checked, and disputed.
    pub audit: f64,
    /// How many mediators vote; odd.
    pub panel: u32,
    /// How likely each votes wrongly.
    pub error: f64,
    /// Seconds from a submission to the dispute.
    pub dispute_after: f64,
    /// Seconds from a dispute to the ruling.
    pub rule_after: f64,
}

impl Default for Mediation {
    fn default() -> Self {
        Self { audit: 0.1, panel: 3, error: 0.0, dispute_after: 0.0, rule_after: 60.0 }
    }
}
