//! `lota sim run`.

use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use lota_simulator::{
    Override, Plan, Sweep, run_all,
    runs::{Output, PlanError},
    table::FileFormat,
};

use super::{report, source};
use crate::{failure::Usage, flags::Format};

/// Run a scenario, from a file or one that comes with this program.
///
/// The same scenario and seed give the same events, bit for bit, on any number of threads: the digest says so.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota sim run first-market
  lota sim run mine.toml --seeds 100 --output results
  lota sim run mine.toml --seeds 200 --output results   the other 100; the same goes for one that was interrupted
  lota sim run first-market --set job.collateral=2 --sweep providers.dear.count=1..5 --json")]
pub(crate) struct Run {
    /// A file that ends with .toml, or the name of a scenario (`lota sim list`)
    #[arg(value_name = "SCENARIO")]
    scenario: String,
    /// How many runs, each with the next seed [default: what the scenario says]
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// Replace a value of the scenario; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Run with each of these values in turn; several sweeps are combined
    #[arg(long, value_name = "KEY=A..B[:STEP]")]
    sweep: Vec<String>,
    /// How many threads [default: one for each processor]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    threads: usize,
    /// Write tables (runs, populations, parties, timesteps, ledger) into this folder; runs that it has are not run again
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// What the tables are written as
    #[arg(long = "format", value_name = "FORMAT", default_value = "csv", requires = "output")]
    file_format: Files,
    /// Seconds of virtual time from one row of `timesteps` to the next; 0: no rows
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "output")]
    every: u64,
    #[command(flatten)]
    format: Format,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Files {
    Csv,
    Parquet,
}

impl Run {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        if self.seeds == Some(0) {
            return Err(Usage("--seeds 0 runs nothing; write 1 or more".to_owned()).into());
        }
        let usage = |error: lota_simulator::ScenarioError| Usage(error.to_string());
        let overrides = self.set.iter().map(|text| Override::parse(text)).collect::<Result<_, _>>().map_err(usage)?;
        let sweeps = self.sweep.iter().map(|text| Sweep::parse(text)).collect::<Result<_, _>>().map_err(usage)?;
        let document = source::document(&self.scenario)?;
        let format = match self.file_format {
            Files::Csv => FileFormat::Csv,
            Files::Parquet => FileFormat::Parquet,
        };
        let output = self.output.clone().map(|folder| Output { folder, format, every: self.every });
        let (seeds, threads) = (self.seeds, self.threads);
        let plan = Plan { document: &document, overrides, sweeps, seeds, threads, output };
        let bar = bar();
        let progress = |done: usize, all: usize| {
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        };
        let runs = run_all(&plan, &progress);
        bar.finish_and_clear();
        let runs = runs.map_err(|error| match error {
            error @ (PlanError::Scenario(_) | PlanError::TooMany(_) | PlanError::TooManyThreads(_)) => {
                anyhow::Error::new(Usage(error.to_string()))
            }
            other => other.into(),
        })?;
        report::print(&runs, self.format)
    }
}

/// How far the runs are, and how long the rest will take, for a person who waits.
fn bar() -> ProgressBar {
    if !console::user_attended_stderr() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len} runs, {eta} left") {
        bar.set_style(style);
    }
    bar
}
