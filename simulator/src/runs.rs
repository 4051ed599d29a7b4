//! Many runs of a scenario: a sweep's values times seeds, on several threads. What comes out does not depend on how many.

mod files;
mod manifest;
pub(crate) mod tables;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rayon::prelude::*;

use self::files::Files;
pub use self::{
    manifest::{MANIFEST, Manifest, Setting, Swept},
    tables::Table,
};
use crate::{
    chance::Seed,
    scenario::{Document, Override, Scenario, ScenarioError, Sweep, points},
    simulation::{SimulationError, simulate},
    summary::Summary,
    table::FileFormat,
};

/// The most runs of a plan, and of a folder: what each came to is held until the end, some 1 KB.
pub(crate) const MOST_RUNS: u64 = 1_000_000;
/// The most threads: more than any machine that this was tried on has processors.
const MOST_THREADS: usize = 1_024;

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
    pub output: Option<Output>,
}

/// Where files go, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    pub folder: PathBuf,
    pub format: FileFormat,
    /// Seconds of virtual time from one timestep to the next; 0: there are none.
    pub every: u64,
}

impl Output {
    /// CSV, a timestep a minute.
    #[must_use]
    pub const fn csv(folder: PathBuf) -> Self {
        Self { folder, format: FileFormat::Csv, every: 60 }
    }
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
    pub set: Arc<[Override]>,
    /// What it came to. One that fails leaves the others alone.
    pub result: Result<Summary, SimulationError>,
}

/// Why a plan cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// Too many runs.
    #[error("{0} runs are more than {MOST_RUNS}; take fewer seeds or points")]
    TooMany(u64),
    /// Too many threads.
    #[error(transparent)]
    TooManyThreads(#[from] TooManyThreads),
    /// The threads could not be started.
    #[error("cannot start threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// Files could not be written.
    #[error("runs cannot go into {}: {problem}", .path.display())]
    Files { path: PathBuf, problem: std::io::Error },
}

/// More threads than anybody has processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--threads {0} is not from 1 to {MOST_THREADS}; without it there is one for each processor")]
pub struct TooManyThreads(usize);

/// Refuses numbers of threads that no machine has; 0: one for each processor.
pub(crate) const fn check_threads(threads: usize) -> Result<(), TooManyThreads> {
    if threads > MOST_THREADS { Err(TooManyThreads(threads)) } else { Ok(()) }
}

/// A point of the sweeps, and the scenario that it makes.
struct Point {
    set: Arc<[Override]>,
    seeds: u64,
}

/// Runs a plan. `progress` is told, at the beginning and after each run, how many are over, and how many there are. What the output's
/// folder has already is not run again.
///
/// # Errors
/// When a value is impossible, or files cannot be written. That a run fails is said in it.
pub fn run_all(plan: &Plan<'_>, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<Vec<Run>, PlanError> {
    check_threads(plan.threads)?;
    // Scenarios are made when their runs begin: many points of a large one would not fit into memory.
    let scenario_of = |set: &[Override]| -> Result<Scenario, ScenarioError> {
        plan.document.with(&plan.overrides.iter().chain(set).cloned().collect::<Vec<_>>())
    };
    let (mut points_of, mut wanted) = (Vec::new(), 0_u64);
    for set in points(&plan.sweeps)? {
        let seeds = scenario_of(&set).map(|scenario| plan.seeds.unwrap_or(scenario.seeds))?;
        wanted = wanted.saturating_add(seeds);
        if wanted > MOST_RUNS {
            return Err(PlanError::TooMany(wanted));
        }
        points_of.push(Point { set: set.into(), seeds });
    }
    let prepared: Vec<(u64, u64)> =
        (0..).zip(&points_of).flat_map(|(subset, point)| (1..=point.seeds).map(move |run| (subset, run))).collect();
    let written = |problem| {
        let path = plan.output.as_ref().map(|output| output.folder.clone()).unwrap_or_default();
        PlanError::Files { path, problem }
    };
    let begin = |output: &Output| -> Result<Files, PlanError> {
        let scenario = plan.document.with(&plan.overrides)?;
        let Plan { document, overrides, sweeps, .. } = plan;
        let manifest = Manifest::of(document, &scenario, overrides, sweeps, output.format, output.every);
        Files::begin(output, &manifest, document.text()).map_err(written)
    };
    let files = plan.output.as_ref().map(begin).transpose()?;
    let all = prepared.len();
    let is_known = |subset, run| files.as_ref().is_some_and(|files| files.has((subset, run)));
    let known = prepared.iter().filter(|(subset, run)| is_known(*subset, *run)).count();
    let done = AtomicUsize::new(known);
    progress(known, all);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(plan.threads).build()?;
    // The newest scenario of each thread, which most often is the next one's, too.
    let made = || None::<(u64, Scenario)>;
    let runs: Result<Vec<Run>, ScenarioError> = pool.install(|| {
        prepared
            .into_par_iter()
            .map_init(made, |newest, (subset, run)| {
                let set = points_of[subset as usize].set.clone();
                let scenario = match newest.take() {
                    Some((of, scenario)) if of == subset => scenario,
                    _ => scenario_of(&set)?,
                };
                let scenario = &newest.insert((subset, scenario)).1;
                let seed = Seed(scenario.seed).of_run(run - 1);
                if let Some(summary) = files.as_ref().and_then(|files| files.known((subset, run))) {
                    return Ok(Run { subset, run, seed: seed.0, set, result: Ok(summary) });
                }
                let result = match &files {
                    None => simulate(scenario, seed, &mut ()).map(|outcome| outcome.summary),
                    Some(files) => files.simulate(scenario, seed, (subset, run), &set),
                };
                let result = result.map(|summary| summary.with_strategies(scenario));
                progress(done.fetch_add(1, Ordering::Relaxed) + 1, all);
                Ok(Run { subset, run, seed: seed.0, set, result })
            })
            .collect()
    });
    let runs = runs?;
    if let Some(files) = files {
        files.finish(&runs).map_err(written)?;
    }
    Ok(runs)
}
