//! Many runs of a scenario: a sweep's values times seeds, on several threads. What comes out does not depend on how many.

mod files;

use std::{
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

use rayon::prelude::*;

use self::files::Files;
use crate::{
    chance::Seed,
    scenario::{Document, Override, Scenario, ScenarioError, Sweep, points},
    simulation::{SimulationError, simulate},
    summary::Summary,
};

/// The most runs of a plan.
const MOST: u64 = 10_000_000;

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Plan<'p> {
    pub document: &'p Document,
    /// Values that hold for all runs.
    pub overrides: Vec<Override>,
    pub sweeps: Vec<Sweep>,
    /// How many runs of each point of the sweeps; `None`: as many as the scenario says.
    pub seeds: Option<u64>,
    /// On how many threads; 0: on as many as there are processors.
    pub threads: usize,
    /// Where files go; `None`: nothing is written.
    pub output: Option<PathBuf>,
}

/// A run of a plan.
#[derive(Debug)]
pub struct Run {
    /// Which point of the sweeps, from 0.
    pub subset: u64,
    /// Which run of it, from 1.
    pub run: u64,
    pub seed: u64,
    /// The point.
    pub set: Vec<Override>,
    /// What it came to. One that fails leaves the others alone.
    pub result: Result<Summary, SimulationError>,
}

/// Why a plan cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// Too many runs.
    #[error("{0} runs are more than {MOST}; take fewer seeds or points")]
    TooMany(u64),
    /// The threads could not be started.
    #[error("cannot start threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// Files could not be written.
    #[error("cannot write to {}: {problem}", .path.display())]
    Files { path: PathBuf, problem: std::io::Error },
}

/// Runs a plan. `progress` is told, after each run, how many are over, and how many there are.
///
/// # Errors
/// When a value is impossible, or files cannot be written. That a run fails is said in it.
pub fn run_all(plan: &Plan<'_>, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<Vec<Run>, PlanError> {
    let mut prepared: Vec<(u64, u64, Vec<Override>, Scenario)> = Vec::new();
    for (subset, point) in (0..).zip(points(&plan.sweeps)?) {
        let all: Vec<Override> = plan.overrides.iter().chain(&point).cloned().collect();
        let scenario = plan.document.with(&all)?;
        let seeds = plan.seeds.unwrap_or(scenario.seeds);
        let runs = seeds.saturating_add(prepared.len() as u64);
        if runs > MOST {
            return Err(PlanError::TooMany(runs));
        }
        prepared.extend((1..=seeds).map(|run| (subset, run, point.clone(), scenario.clone())));
    }
    let written = |problem| {
        let path = plan.output.clone().unwrap_or_default();
        PlanError::Files { path, problem }
    };
    let files = plan.output.as_deref().map(Files::begin).transpose().map_err(written)?;
    let (done, all) = (AtomicUsize::new(0), prepared.len());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(plan.threads).build()?;
    let runs: Vec<Run> = pool.install(|| {
        prepared
            .into_par_iter()
            .map(|(subset, run, set, scenario)| {
                let seed = Seed(scenario.seed).of_run(run - 1);
                let result = match &files {
                    None => simulate(&scenario, seed, &mut ()).map(|outcome| outcome.summary),
                    Some(files) => files.simulate(&scenario, seed, subset, run),
                };
                progress(done.fetch_add(1, Ordering::Relaxed) + 1, all);
                Run { subset, run, seed: seed.0, set, result }
            })
            .collect()
    });
    if let Some(files) = files {
        files.finish(&runs).map_err(written)?;
    }
    Ok(runs)
}
