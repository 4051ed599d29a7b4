//! `lota sim search`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use lota_simulator::{
    Override,
    program::Point,
    search::{Deviation, Found, Search as Searched, SearchError, Side, replay, search},
};

use super::source;
use crate::{
    failure::Usage,
    flags::Format,
    terminal::{self, Column, Table, bold},
};

/// Look for cheats: what one party could do otherwise to have more, while all others do what the scenario says.
///
/// Strategies with parameters and small programs are compared with what the party's population does, on the same seeds; what looks
/// best is tested on fresh ones. docs/simulator-search.md says what this can find and what it cannot.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota sim search cheats
  lota sim search cheats --set job.collateral=0 --trace cheat.toml
  lota sim search --replay cheat.toml            run it again: the same log, bit for bit
  lota sim run cheat.toml                        the same, with its figures
  lota sim search cheats --role client --set job.auction.unsealed=true --json")]
pub(crate) struct Search {
    /// A file that ends with .toml, or the name of a scenario (`lota sim list`)
    #[arg(value_name = "SCENARIO", required_unless_present = "replay")]
    scenario: Option<String>,
    /// Who may deviate
    #[arg(long, value_enum, default_value_t = Role::Provider)]
    role: Role,
    /// One member of this population may [default: of the largest]
    #[arg(long, value_name = "NAME")]
    population: Option<String>,
    /// Where programs of providers may differ from the node
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Decision::Ask, Decision::Won, Decision::Reveal])]
    decide: Vec<Decision>,
    /// On how many seeds candidates are chosen; they are tested on twice as many others
    #[arg(long, value_name = "N", default_value_t = 20)]
    seeds: u64,
    /// How many candidates are tried
    #[arg(long, value_name = "N", default_value_t = 240)]
    budget: u64,
    /// Replace a value of the scenario; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// How many threads [default: one for each processor]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    threads: usize,
    /// Write a run of the most profitable deviation into this file, as a scenario
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Run such a file again, and compare the log
    #[arg(long, value_name = "FILE", conflicts_with_all = ["scenario", "trace", "set", "population"])]
    replay: Option<String>,
    #[command(flatten)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Role {
    Provider,
    Client,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Decision {
    /// Which price it asks or seals
    Ask,
    /// What it does about a job that it has won
    Won,
    /// Whether it opens its bid
    Reveal,
}

impl Search {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match (&self.replay, &self.scenario) {
            (Some(file), _) => self.replay(file),
            (None, Some(scenario)) => self.search(scenario),
            (None, None) => Err(Usage("name a scenario, or a trace with --replay".to_owned()).into()),
        }
    }

    fn search(&self, scenario: &str) -> anyhow::Result<()> {
        let usage = |error: lota_simulator::ScenarioError| Usage(error.to_string());
        let sets: Vec<Override> =
            self.set.iter().map(|text| Override::parse(text)).collect::<Result<_, _>>().map_err(usage)?;
        let scenario = source::document(scenario)?.with(&sets).map_err(usage)?;
        let side = match self.role {
            Role::Provider => Side::Provider,
            Role::Client => Side::Client,
        };
        let point = |decision: &Decision| match decision {
            Decision::Ask => Point::Ask,
            Decision::Won => Point::Won,
            Decision::Reveal => Point::Reveal,
        };
        let what = Searched {
            scenario: &scenario,
            side,
            population: self.population.clone(),
            points: self.decide.iter().map(point).collect(),
            seeds: self.seeds,
            budget: self.budget,
            threads: self.threads,
        };
        let bar = if console::user_attended_stderr() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        let found = search(&what, &|runs| {
            bar.set_message(format!("{runs} runs"));
            bar.tick();
        });
        bar.finish_and_clear();
        let found = found.map_err(refused)?;
        if let Some(file) = &self.trace
            && let Some(best) = found.deviations.first().or(found.nearest.as_ref())
        {
            std::fs::write(file, &best.trace)
                .with_context(|| format!("cannot write the trace to {}", file.display()))?;
        }
        if self.format.json { terminal::print_json(&found) } else { terminal::print(&shown(&found)) }
    }

    fn replay(&self, file: &str) -> anyhow::Result<()> {
        let replayed = replay(&source::document(file)?).map_err(refused)?;
        if !replayed.is_the_same() {
            anyhow::bail!(
                "the log has the digest {}, and the trace says {}: it was changed, or is another version's",
                replayed.found,
                replayed.recorded
            );
        }
        if self.format.json {
            return terminal::print_json(&serde_json::json!({ "digest": replayed.found, "same": true }));
        }
        terminal::print(&format!("the same log: digest {}\n", replayed.found))
    }
}

fn refused(error: SearchError) -> anyhow::Error {
    match error {
        SearchError::NoPopulation { .. }
        | SearchError::Amount { .. }
        | SearchError::TooMuch { .. }
        | SearchError::TooManyThreads(_)
        | SearchError::NothingToTry
        | SearchError::NoTrace => Usage(error.to_string()).into(),
        other => other.into(),
    }
}

fn shown(found: &Found) -> String {
    let who = match found.side {
        Side::Provider => "provider",
        Side::Client => "client",
    };
    let Found { population, candidates, runs, .. } = found;
    let effort =
        format!("{candidates} candidates, {runs} runs; one {who} of `{population}`, all others as in the scenario");
    let (heading, rows) = match &found.nearest {
        Some(nearest) => ("No profitable deviation was found. The nearest:", std::slice::from_ref(nearest)),
        None => ("Profitable deviations, the most profitable first:", found.deviations.as_slice()),
    };
    let mut table = Table::new([Column::Left, Column::Right, Column::Right, Column::Right, Column::Right]);
    table = table.heading(&["deviation", "gain a job, attoFIL", "at least", "at most", "jobs"]);
    for Deviation { what, gain_per_job, low_per_job, high_per_job, jobs, .. } in rows {
        table.row([
            bold(what).to_string(),
            gain_per_job.to_string(),
            low_per_job.to_string(),
            high_per_job.to_string(),
            jobs.to_string(),
        ]);
    }
    let trace = rows.first().map(|best| format!("its first run: seed {}, digest {}\n", best.seed, best.digest));
    format!("{effort}\n{heading}\n{}{}", table.render(), trace.unwrap_or_default())
}
