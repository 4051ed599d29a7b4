//! Experiments: a question, what was published about it, and what the simulator finds.
//!
//! An experiment is a function of a number of runs and a seed; it either runs scenarios on the market ([`Kind::Market`]) or computes what a model of its own
//! says ([`Kind::Formula`]), where the contracts that it is about do not exist yet. Each has a file, and a place in [`experiments`].

mod estimate;

pub use estimate::Estimate;

use crate::chance::Seed;

/// Whether an experiment is about the contracts, or about a formula.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It runs the market's contracts and the node's agents.
    Market,
    /// It draws from a model of its own.
    Formula,
}

/// A number that others derived or published.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Published {
    pub value: f64,
    /// How far the publication rounds.
    pub rounding: f64,
    pub source: &'static str,
}

/// One number of an experiment.
#[derive(Clone, Copy)]
pub struct Measure {
    /// What it is, such as `n=2`.
    pub name: &'static str,
    pub published: Published,
    /// Finds it from so many independent runs.
    pub run: fn(runs: u64, seed: Seed) -> Estimate,
}

/// An experiment.
#[derive(Clone, Copy)]
pub struct Experiment {
    /// The name of its scenario or file.
    pub name: &'static str,
    pub question: &'static str,
    /// The formula that the published numbers follow from.
    pub formula: &'static str,
    pub kind: Kind,
    /// How many runs its test and its page take.
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

/// All experiments, by name.
#[must_use]
pub const fn experiments() -> &'static [Experiment] {
    &[]
}
