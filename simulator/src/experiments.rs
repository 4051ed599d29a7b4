//! Experiments: a question, what was published about it, and what the simulator finds.
//!
//! An experiment is a function of a number of runs and a seed. It has scenarios [played](Kind::Played) on the market, or it
//! [draws](Kind::Drawn) from a model or [computes](Kind::Computed) what follows from one, where what it is about is no part of the market
//! or does not exist yet. The last two hold a formula against the model that it was derived from, and say nothing of the market. Each
//! experiment has a file, and a place in [`experiments`].

mod auctions;
mod audits;
mod credibility;
mod estimate;
mod frictions;
mod mediators;
mod modicum;
mod replication;

use rayon::prelude::*;

pub use estimate::Estimate;

use crate::{
    chance::{Chance, Purpose, Seed},
    scenario::{Document, Override, Scenario, builtin},
    simulation::{Outcome, simulate},
};

/// Where an experiment's numbers come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The market's contracts and the node's agents play a scenario.
    Played,
    /// From draws of a model of its own: nobody plays.
    Drawn,
    /// From a model of its own without chance: nobody plays.
    Computed,
}

impl Kind {
    /// Its name, as in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Played => "played",
            Self::Drawn => "drawn",
            Self::Computed => "computed",
        }
    }
}

/// A number that others derived or published.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Published {
    pub value: f64,
    /// How far the publication rounds.
    pub rounding: f64,
    pub source: &'static str,
}

/// One number of an experiment.
#[derive(Clone, Copy, Debug)]
pub struct Measure {
    /// What it is, such as `n=2`.
    pub name: &'static str,
    pub published: Published,
    /// Finds it from so many independent runs.
    pub run: fn(runs: u64, seed: Seed) -> Estimate,
}

/// An experiment.
#[derive(Clone, Copy, Debug)]
pub struct Experiment {
    /// The name of its scenario, or of its file.
    pub name: &'static str,
    pub question: &'static str,
    /// The formula that the published numbers follow from.
    pub formula: &'static str,
    pub kind: Kind,
    /// What was put in, so that its finding says nothing; what is not the market's.
    pub given: &'static str,
    /// How many runs its test takes.
    pub runs: u64,
    pub measures: &'static [Measure],
}

impl Measure {
    /// Whether an estimate is what was published: its interval, widened by the publication's rounding, contains that.
    #[must_use]
    pub fn agrees(&self, estimate: &Estimate) -> bool {
        (estimate.mean - self.published.value).abs() <= estimate.half_width() + self.published.rounding
    }
}

/// All experiments.
#[must_use]
pub const fn experiments() -> &'static [Experiment] {
    &[
        auctions::SECOND_PRICE,
        auctions::FIRST_PRICE,
        auctions::MISREPORT,
        auctions::WAITING,
        auctions::SHILL,
        audits::DETERRENCE,
        audits::MODICUM,
        frictions::LATENCY,
        frictions::RAMP_OR_BIDS,
        frictions::FAILURES,
        frictions::SYBILS,
        replication::REPLICAS,
        replication::MAJORITY,
        replication::POCO,
        modicum::CLIENT,
        modicum::AMBIGUOUS,
        credibility::SPOT_CHECKS,
        mediators::LAZY,
    ]
}

/// One by its name.
#[must_use]
pub fn experiment(name: &str) -> Option<Experiment> {
    experiments().iter().find(|experiment| experiment.name == name).copied()
}

/// A mean over runs of a scenario that comes with this program, with other values. A run that fails makes the mean no number, which
/// agrees with nothing.
fn over_market(name: &str, sets: &[(&str, toml::Value)], runs: u64, seed: Seed, of: fn(&Outcome) -> f64) -> Estimate {
    let Some(scenario) = with(name, sets) else { return Estimate::exact(f64::NAN) };
    let one = |run| simulate(&scenario, seed.of_run(run), &mut ()).map_or(f64::NAN, |outcome| of(&outcome));
    Estimate::of((0..runs).into_par_iter().map(one).collect::<Vec<f64>>())
}

/// The mean of what a value is more in one scenario than in another, on the same seeds.
fn over_pairs(scenarios: [Option<Scenario>; 2], runs: u64, seed: Seed, of: fn(&Outcome) -> f64) -> Estimate {
    let [Some(one), Some(other)] = scenarios else { return Estimate::exact(f64::NAN) };
    let value = |scenario: &Scenario, run| {
        simulate(scenario, seed.of_run(run), &mut ()).map_or(f64::NAN, |outcome| of(&outcome))
    };
    let difference = |run| value(&one, run) - value(&other, run);
    Estimate::of((0..runs).into_par_iter().map(difference).collect::<Vec<f64>>())
}

fn with(name: &str, sets: &[(&str, toml::Value)]) -> Option<Scenario> {
    let document = Document::parse(name, builtin(name)?.text).ok()?;
    let sets: Vec<Override> =
        sets.iter().map(|(key, value)| Override { key: (*key).to_owned(), value: value.clone() }).collect();
    document.with(&sets).ok()
}

/// A mean over draws of a model: each run has a stream of its own.
fn over_draws(runs: u64, seed: Seed, of: impl Fn(&mut Chance) -> f64 + Sync) -> Estimate {
    let one = |run| of(&mut seed.stream(Purpose::Experiment, run));
    Estimate::of((0..runs).into_par_iter().map(one).collect::<Vec<f64>>())
}
