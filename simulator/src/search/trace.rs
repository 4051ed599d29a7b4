//! Traces: a run as a scenario of its own, with the digest of its log. `lota sim run TRACE` runs it again.

use super::SearchError;
use crate::{
    chance::Seed,
    scenario::{Document, Scenario},
    simulation::simulate,
};

/// What a trace says, and what running it again gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    pub recorded: String,
    pub found: String,
}

impl Replayed {
    #[must_use]
    pub fn is_the_same(&self) -> bool {
        self.recorded == self.found
    }
}

/// A trace of a run of a scenario, as TOML.
pub(super) fn write(scenario: &Scenario, question: &str, seed: Seed, digest: &str) -> Result<String, SearchError> {
    let mut traced = scenario.clone();
    (traced.seed, traced.seeds) = (seed.0, 1);
    (traced.question, traced.digest) = (question.to_owned(), Some(digest.to_owned()));
    // A table first: its values are written before its tables.
    let table = toml::Table::try_from(&traced).map_err(|error| SearchError::Trace(error.to_string()))?;
    toml::to_string(&table).map_err(|error| SearchError::Trace(error.to_string()))
}

/// Runs a trace again.
///
/// # Errors
/// When it is none, or cannot be run.
pub fn replay(trace: &Document) -> Result<Replayed, SearchError> {
    let scenario = trace.scenario();
    let recorded = scenario.digest.clone().ok_or(SearchError::NoTrace)?;
    let found = simulate(scenario, Seed(scenario.seed), &mut ())?.summary.digest;
    Ok(Replayed { recorded, found })
}
