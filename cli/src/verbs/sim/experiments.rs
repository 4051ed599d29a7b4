//! `lota sim experiments`.

use clap::Args;
use lota_simulator::{
    Seed,
    experiments::{Estimate, Experiment, Kind, Measure, Published, experiment, experiments},
};
use serde::Serialize;

use crate::{
    failure::Usage,
    flags::Format,
    terminal::{self, Column, Progress, Table, bad, bold, good},
};

/// Hold the simulator against published numbers.
///
/// Each number is found from independent runs; its interval holds 99.9 % of all such estimates. What is `played` is found on the
/// market's contracts, with agents on them; what is `drawn` or `computed` comes from the model that the formula is of, and says nothing of the
/// market.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota sim experiments
  lota sim experiments second-price --runs 10000")]
pub(crate) struct Experiments {
    /// Only this one
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// How many runs for each number [default: what the experiment needs]
    #[arg(long, value_name = "N")]
    runs: Option<u64>,
    /// The seed of the first run
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    format: Format,
}

/// One run has no interval; ten million numbers fit into memory.
const RUNS: std::ops::RangeInclusive<u64> = 2..=10_000_000;

#[derive(Serialize)]
struct Shown {
    experiment: &'static str,
    question: &'static str,
    formula: &'static str,
    kind: Kind,
    given: &'static str,
    measure: &'static str,
    published: Published,
    estimate: Estimate,
    half_width: f64,
    agrees: bool,
}

impl Experiments {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        if let Some(runs) = self.runs.filter(|runs| !RUNS.contains(runs)) {
            let message = format!("--runs {runs} is not from {} to {}", RUNS.start(), RUNS.end());
            return Err(Usage(message).into());
        }
        let all = match &self.name {
            None => experiments().to_vec(),
            Some(name) => vec![experiment(name).ok_or_else(|| unknown(name))?],
        };
        let progress = Progress::start(false);
        let mut found = Vec::new();
        for Experiment { name, question, formula, kind, given, runs, measures } in all {
            for measure in measures {
                progress.say(format!("{name}: {}", measure.name));
                let estimate = (measure.run)(self.runs.unwrap_or(runs), Seed(self.seed));
                let Measure { name: of, published, .. } = *measure;
                let (half_width, agrees) = (estimate.half_width(), measure.agrees(&estimate));
                found.push(Shown {
                    experiment: name,
                    question,
                    formula,
                    kind,
                    given,
                    measure: of,
                    published,
                    estimate,
                    half_width,
                    agrees,
                });
            }
        }
        progress.finish();
        if self.format.json {
            return terminal::print_json(&found);
        }
        let about = match (&self.name, found.first()) {
            (Some(_), Some(Shown { question, formula, kind, given, .. })) => {
                let mut about = Table::pairs();
                for (name, text) in [("question", *question), ("formula", formula), ("given", given)] {
                    about.row([name, text]);
                }
                about.row(["found", what(*kind)]);
                format!("{}\n", about.render())
            }
            _ => String::new(),
        };
        terminal::print(&format!("{about}{}", table(&found)))
    }
}

/// Where a number comes from, in a sentence.
const fn what(kind: Kind) -> &'static str {
    match kind {
        Kind::Played => "by playing: the market's contracts, with agents on them",
        Kind::Drawn => {
            "by draws from the model that the formula is of: nobody plays, and it says nothing of the market"
        }
        Kind::Computed => {
            "by arithmetic on the model that the formula is of: nobody plays, and it says nothing of the market"
        }
    }
}

fn unknown(name: &str) -> Usage {
    let known: Vec<&str> = experiments().iter().map(|experiment| experiment.name).collect();
    Usage(format!("no experiment is called `{name}`; there are {}", known.join(", ")))
}

fn table(found: &[Shown]) -> String {
    let mut table = Table::new([Column::Left, Column::Left, Column::Left, Column::Right, Column::Right, Column::Left]);
    table = table.heading(&["experiment", "", "number", "published", "found", ""]);
    let mut before = "";
    for shown in found {
        let is_new = shown.experiment != before;
        let name = if is_new { bold(shown.experiment).to_string() } else { String::new() };
        let kind = if is_new { shown.kind.name() } else { "" };
        before = shown.experiment;
        table.row([
            name,
            kind.to_owned(),
            shown.measure.to_owned(),
            format!("{:.4}", shown.published.value),
            format!("{:.4} ± {:.4}", shown.estimate.mean, shown.half_width),
            if shown.agrees { good("agrees") } else { bad("differs") }.to_string(),
        ]);
    }
    table.render()
}
