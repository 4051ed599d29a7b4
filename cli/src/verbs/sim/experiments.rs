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
/// Each number is found from independent runs; its interval holds 99.9 % of all such estimates.
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

#[derive(Serialize)]
struct Shown {
    experiment: &'static str,
    question: &'static str,
    formula: &'static str,
    kind: Kind,
    measure: &'static str,
    published: Published,
    estimate: Estimate,
    half_width: f64,
    agrees: bool,
}

impl Experiments {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        if self.runs == Some(0) {
            return Err(Usage("--runs 0 finds nothing; write 2 or more".to_owned()).into());
        }
        let all = match &self.name {
            None => experiments().to_vec(),
            Some(name) => vec![experiment(name).ok_or_else(|| unknown(name))?],
        };
        let progress = Progress::start(false);
        let mut found = Vec::new();
        for Experiment { name, question, formula, kind, runs, measures } in all {
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
                    measure: of,
                    published,
                    estimate,
                    half_width,
                    agrees,
                });
            }
        }
        progress.finish();
        if self.format.json { terminal::print_json(&found) } else { terminal::print(&table(&found)) }
    }
}

fn unknown(name: &str) -> Usage {
    let known: Vec<&str> = experiments().iter().map(|experiment| experiment.name).collect();
    Usage(format!("no experiment is called `{name}`; there are {}", known.join(", ")))
}

fn table(found: &[Shown]) -> String {
    let mut table = Table::new([Column::Left, Column::Left, Column::Right, Column::Right, Column::Left]);
    table = table.heading(&["experiment", "number", "published", "found", ""]);
    let mut before = "";
    for shown in found {
        let name = if shown.experiment == before { String::new() } else { bold(shown.experiment).to_string() };
        before = shown.experiment;
        table.row([
            name,
            shown.measure.to_owned(),
            format!("{:.4}", shown.published.value),
            format!("{:.4} ± {:.4}", shown.estimate.mean, shown.half_width),
            if shown.agrees { good("agrees") } else { bad("differs") }.to_string(),
        ]);
    }
    table.render()
}
