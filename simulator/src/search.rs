//! Looking for cheats: what one party could do otherwise to have more, while all others do what the scenario says.
//!
//! Candidates are strategies with parameters, and small [programs](crate::program::Program): all up to a size, then mutations of the best.
//! Each is compared with what the party's population does on the same seeds, in which all other parties are and meet the same. Successive
//! halving gives the runs to those that look best. What is left is tested on seeds that nothing was chosen by, and reported only if the
//! interval of its gain lies above zero after Bonferroni's correction for all candidates. docs/simulator-search.md says what that can find.

mod candidate;
mod statistics;
mod trace;

use std::{
    collections::{BTreeMap, HashSet},
    sync::atomic,
};

use rayon::prelude::*;
use serde::Serialize;

pub use self::{
    candidate::Side,
    trace::{Replayed, replay},
};
use self::{
    candidate::{Candidate, Deviant},
    statistics::Interval,
};
use crate::{
    chance::{Purpose, Seed},
    program::Point,
    runs::{TooManyThreads, check_threads},
    scenario::Scenario,
    simulation::{SimulationError, simulate},
    summary::kept,
};

/// How many candidates are tested on fresh seeds.
const FINALISTS: usize = 8;
/// Of how many of the best mutations are made at a time.
const PARENTS: usize = 6;
/// The fewest runs that a mean's interval is made of.
const FEWEST: u64 = 10;
/// The seeds of the test begin so far after those of the choice.
const FRESH: u64 = 1 << 32;
/// The most candidates, and the most seeds.
const MOST: u64 = 1_000_000;
/// The most runs of all candidates together before each choice: what each gave is held, some 200 bytes.
const MOST_RUNS: u64 = 10_000_000;

/// What is searched.
#[derive(Clone, Debug)]
pub struct Search<'s> {
    pub scenario: &'s Scenario,
    pub side: Side,
    /// The population that one member of which may deviate; `None`: the largest.
    pub population: Option<String>,
    /// Where programs may differ.
    pub points: Vec<Point>,
    /// How many seeds the candidates are chosen by at most; it is tested on twice as many others.
    pub seeds: u64,
    /// How many candidates.
    pub budget: u64,
    /// On how many threads; 0: on as many as there are processors.
    pub threads: usize,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    pub side: Side,
    /// The population that the deviant is of.
    pub population: String,
    pub candidates: u64,
    pub runs: u64,
    /// What gains, the most profitable first; nothing: no deviation was found.
    pub deviations: Vec<Deviation>,
    /// The best that was tested, if nothing gains.
    pub nearest: Option<Deviation>,
}

/// A deviation, with what it gains over what its population does. Money is in attoFIL.
#[derive(Clone, Debug, Serialize)]
pub struct Deviation {
    /// The strategy with its parameters, or the program.
    pub what: String,
    /// The whole gain over all runs of the test: exact, but for what runs cost and results are worth, each rounded once.
    #[serde(serialize_with = "as_text")]
    pub gain: i128,
    /// Jobs in those runs while nobody deviated: all of the market, or, of a client, its own.
    pub jobs: u64,
    /// The gain divided by the jobs, rounded down.
    #[serde(serialize_with = "as_text")]
    pub gain_per_job: i128,
    /// Its interval, corrected for the number of candidates.
    #[serde(serialize_with = "as_text")]
    pub low_per_job: i128,
    #[serde(serialize_with = "as_text")]
    pub high_per_job: i128,
    /// Runs of the test.
    pub runs: u64,
    /// The first of their seeds, and the digest of that run's log.
    pub seed: u64,
    pub digest: String,
    /// That run as a scenario.
    #[serde(skip)]
    pub trace: String,
}

/// As amounts are written everywhere: what JSON calls a number has 53 bits for many.
fn as_text<S: serde::Serializer>(amount: &i128, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(amount)
}

/// Why a search ended without an answer.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// There is nobody who could deviate.
    #[error("the scenario has no {} `{wanted}`; it has {known}", .side.populations())]
    NoPopulation { side: Side, wanted: String, known: String },
    /// Too few seeds, or too much work.
    #[error("{name} {value} is not from {least} to {MOST}")]
    Amount { name: &'static str, value: u64, least: u64 },
    /// Too many runs.
    #[error(
        "a budget of {budget} candidates on {seeds} seeds takes more than {MOST_RUNS} runs at a time; take less of either"
    )]
    TooMuch { budget: u64, seeds: u64 },
    /// Too many threads.
    #[error(transparent)]
    TooManyThreads(#[from] TooManyThreads),
    /// There is nothing to try.
    #[error(
        "a program that decides at none of these points is what the node does; name ask, won or reveal (which only an auction has)"
    )]
    NothingToTry,
    #[error(transparent)]
    Simulation(#[from] SimulationError),
    /// The threads could not be started.
    #[error("cannot start threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// A trace could not be written: a fault of this program.
    #[error("the trace cannot be written: {0}")]
    Trace(String),
    /// A scenario that is no trace.
    #[error("this is a scenario, not a trace: it has no digest; `lota sim search SCENARIO --trace FILE` writes one")]
    NoTrace,
}

/// What the deviant came to in a run.
#[derive(Clone, Debug)]
struct Sample {
    /// In attoFIL.
    utility: i128,
    jobs: u64,
    digest: String,
}

/// Runs of one thing by seed.
type Samples = BTreeMap<u64, Sample>;

struct Searching<'s> {
    search: &'s Search<'s>,
    deviant: Deviant,
    honest: Samples,
    candidates: Vec<(Candidate, Samples)>,
    /// How many candidates there were before the choice.
    tried: u64,
    runs: u64,
    progress: &'s (dyn Fn(u64) + Sync),
}

/// Searches. `progress` is told, after each run, how many are over.
///
/// # Errors
/// See [`SearchError`].
pub fn search(search: &Search<'_>, progress: &(dyn Fn(u64) + Sync)) -> Result<Found, SearchError> {
    for (name, value, least) in [("--seeds", search.seeds, FEWEST), ("--budget", search.budget, 1)] {
        if !(least..=MOST).contains(&value) {
            return Err(SearchError::Amount { name, value, least });
        }
    }
    check_threads(search.threads)?;
    let (budget, seeds) = (search.budget, search.seeds);
    if budget * first_seeds(seeds) > MOST_RUNS || 2 * seeds * FINALISTS as u64 > MOST_RUNS {
        return Err(SearchError::TooMuch { budget, seeds });
    }
    let deviant = Deviant::of(search.scenario, search.side, search.population.as_deref())?;
    let (honest, candidates) = (Samples::new(), Vec::new());
    let mut searching = Searching { search, deviant, honest, candidates, tried: 0, runs: 0, progress };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(search.threads).build()?;
    pool.install(|| {
        searching.choose()?;
        searching.test()
    })
}

/// On how many seeds all candidates run.
const fn first_seeds(seeds: u64) -> u64 {
    let some = seeds / 8;
    if some < 2 { 2 } else { some }
}

impl Searching<'_> {
    /// Candidates are made and chosen among: those that are left come first.
    fn choose(&mut self) -> Result<(), SearchError> {
        let Search { scenario, side, seeds, budget, .. } = *self.search;
        let search = self.search;
        let budget = usize::try_from(budget).unwrap_or(usize::MAX);
        let mut first = Candidate::first(side, scenario, &candidate::points_in(scenario, &search.points));
        if first.is_empty() {
            return Err(SearchError::NothingToTry);
        }
        // Small programs come first: a small budget leaves the larger ones to mutation.
        first.truncate((budget - budget / 4).max(1));
        let mut some = first_seeds(seeds);
        self.candidates = first.into_iter().map(|candidate| (candidate, Samples::new())).collect();
        self.run(scenario.seed, some)?;
        self.mutate(budget, some)?;
        self.tried = self.candidates.len() as u64;
        while some < seeds {
            self.rank();
            self.candidates.truncate((self.candidates.len() / 2).max(FINALISTS));
            some = (2 * some).min(seeds);
            self.run(scenario.seed, some)?;
        }
        self.rank();
        self.candidates.truncate(FINALISTS);
        Ok(())
    }

    /// Fills the budget with mutations of the best, in rounds, so that mutations of good mutations come to be.
    fn mutate(&mut self, budget: usize, some: u64) -> Result<(), SearchError> {
        let mut chance = Seed(self.search.scenario.seed).stream(Purpose::Experiment, FRESH);
        let points = candidate::points_in(self.search.scenario, &self.search.points);
        let mut known: HashSet<String> = self.candidates.iter().map(|(it, _)| it.to_string()).collect();
        while self.candidates.len() < budget {
            self.rank();
            let parents: Vec<Candidate> = self.candidates.iter().take(PARENTS).map(|(it, _)| *it).collect();
            let round = (budget - self.candidates.len()).min(4 * PARENTS);
            let before = self.candidates.len();
            // Most of a small space has been tried already.
            for attempt in 0..8 * round {
                let mutant = parents[attempt % parents.len()].mutated(&points, &mut chance);
                let is_honest = matches!(mutant, Candidate::Program(program) if program.size() == 0);
                if !is_honest && self.candidates.len() < before + round && known.insert(mutant.to_string()) {
                    self.candidates.push((mutant, Samples::new()));
                }
            }
            if self.candidates.len() == before {
                break;
            }
            self.run(self.search.scenario.seed, some)?;
        }
        Ok(())
    }

    /// All candidates have run with so many seeds.
    fn run(&mut self, first: u64, seeds: u64) -> Result<(), SearchError> {
        let all = || (0..seeds).map(move |run| Seed(first).of_run(run).0);
        let of_honest = all().filter(|seed| !self.honest.contains_key(seed)).map(|seed| (None, seed));
        let of_candidates = self.candidates.iter().enumerate().flat_map(|(at, (_, samples))| {
            all().filter(move |seed| !samples.contains_key(seed)).map(move |seed| (Some(at), seed))
        });
        let wanted: Vec<(Option<usize>, u64)> = of_honest.chain(of_candidates).collect();
        let done = atomic::AtomicU64::new(self.runs);
        let sampled: Vec<(Option<usize>, u64, Sample)> = wanted
            .into_par_iter()
            .map(|(at, seed)| {
                let sample = match at {
                    None => self.sample(&self.deviant.honest, seed),
                    Some(at) => self.sample(&self.deviant.doing(self.candidates[at].0), seed),
                }?;
                (self.progress)(done.fetch_add(1, atomic::Ordering::Relaxed) + 1);
                Ok((at, seed, sample))
            })
            .collect::<Result<_, SimulationError>>()?;
        self.runs += sampled.len() as u64;
        for (at, seed, sample) in sampled {
            match at {
                None => self.honest.insert(seed, sample),
                Some(at) => self.candidates[at].1.insert(seed, sample),
            };
        }
        Ok(())
    }

    /// What the deviant has in the end, with all of its accounts.
    fn sample(&self, scenario: &Scenario, seed: u64) -> Result<Sample, SimulationError> {
        let outcome = simulate(scenario, Seed(seed), &mut ())?;
        let (mut utility, mut escrows) = (0_i128, 0);
        for party in &outcome.parties {
            let is_its = party.name.strip_prefix(&self.deviant.name).is_some_and(|rest| rest.starts_with('/'));
            if is_its {
                let (began, now) = (party.began.0, kept(&party.holdings).0);
                // A scenario's money is below 2^126.
                utility += now as i128 - began as i128 + ((party.value - party.cost) * 1e18).round() as i128;
                escrows += party.escrows;
            }
        }
        let jobs = if self.search.side == Side::Client { escrows } else { outcome.summary.opened };
        Ok(Sample { utility, jobs, digest: outcome.summary.digest })
    }

    /// The gain in each run.
    fn gains(&self, samples: &Samples) -> Vec<i128> {
        let gain = |(seed, sample): (&u64, &Sample)| Some(sample.utility - self.honest.get(seed)?.utility);
        samples.iter().filter_map(gain).collect()
    }

    /// The best first; of equals, what came first.
    fn rank(&mut self) {
        let mut ranked: Vec<(f64, (Candidate, Samples))> = Vec::with_capacity(self.candidates.len());
        for (candidate, samples) in std::mem::take(&mut self.candidates) {
            let gains = self.gains(&samples);
            let mean = gains.iter().map(|gain| *gain as f64).sum::<f64>() / gains.len().max(1) as f64;
            ranked.push((mean, (candidate, samples)));
        }
        ranked.sort_by(|one, other| other.0.total_cmp(&one.0));
        self.candidates = ranked.into_iter().map(|(_, candidate)| candidate).collect();
    }

    /// What was chosen runs again, on seeds that it was not chosen by.
    fn test(&mut self) -> Result<Found, SearchError> {
        let tried = self.tried;
        self.honest.clear();
        for (_, samples) in &mut self.candidates {
            samples.clear();
        }
        let first = Seed(self.search.scenario.seed).of_run(FRESH);
        self.run(first.0, 2 * self.search.seeds)?;
        self.rank();
        let tested = self.candidates.iter().map(|(candidate, samples)| self.judge(*candidate, samples, tried));
        let tested: Vec<Deviation> = tested.collect::<Result<_, _>>()?;
        let nearest = tested.first().cloned();
        let deviations: Vec<Deviation> = tested.into_iter().filter(|it| it.low_per_job > 0).collect();
        Ok(Found {
            side: self.search.side,
            population: self.deviant.of.clone(),
            candidates: tried,
            runs: self.runs,
            nearest: if deviations.is_empty() { nearest } else { None },
            deviations,
        })
    }

    fn judge(&self, candidate: Candidate, samples: &Samples, tried: u64) -> Result<Deviation, SearchError> {
        let gains = self.gains(samples);
        let jobs = self.honest.values().map(|sample| sample.jobs).sum::<u64>();
        let (runs, gain) = (gains.len() as u64, gains.iter().sum::<i128>());
        let differences: Vec<f64> = gains.iter().map(|gain| *gain as f64).collect();
        let Interval { low, high } = Interval::of(&differences, tried);
        let per_job = |mean: f64| (mean * runs as f64 / jobs.max(1) as f64).floor() as i128;
        let gain_per_job = gain.div_euclid(i128::from(jobs.max(1)));
        let (seed, digest) =
            samples.first_key_value().map(|(seed, sample)| (*seed, sample.digest.clone())).unwrap_or_default();
        let what = candidate.to_string();
        let question = format!("What does one of {} gain by {what}?", self.deviant.of);
        let trace = trace::write(&self.deviant.doing(candidate), &question, Seed(seed), &digest)?;
        Ok(Deviation {
            what,
            gain,
            jobs,
            gain_per_job,
            // An interval without width is one of doubles: it may miss the exact gain by their last digit.
            low_per_job: per_job(low).min(gain_per_job),
            high_per_job: per_job(high).max(gain_per_job),
            runs,
            seed,
            digest,
            trace,
        })
    }
}
