//! `lota sim compare`.

use std::path::PathBuf;

use clap::Args;
use lota_simulator::analysis::{Comparison, Folder, compare};

use crate::{
    flags::Format,
    terminal::{self, Column, Table, bold, dim, printable},
};

/// Compare what the runs of two folders came to, with significance.
///
/// Runs of the same seed are compared pair by pair. p is that of a permutation test, corrected for the number of metrics by Holm's
/// procedure; the interval is Student's (Welch's, when the seeds differ) and holds 95 %.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota sim run first-market --seeds 30 --output before
  lota sim run first-market --seeds 30 --set job.collateral=2 --output after
  lota sim compare before after")]
pub(crate) struct Compare {
    /// A folder that `lota sim run --output` wrote
    #[arg(value_name = "A")]
    a: PathBuf,
    /// Another one
    #[arg(value_name = "B")]
    b: PathBuf,
    #[command(flatten)]
    format: Format,
}

impl Compare {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let (a, b) = (Folder::read(&self.a)?, Folder::read(&self.b)?);
        let all = compare(&a, &b)?;
        if self.format.json { terminal::print_json(&all) } else { terminal::print(&table(&all)) }
    }
}

/// Below this it is said to be no chance.
const SIGNIFICANT: f64 = 0.05;

fn table(all: &[Comparison]) -> String {
    let is_swept = all.iter().any(|it| !it.set.is_empty());
    let mut heading = vec!["metric", "A", "B", "B - A", "95 % interval", "p", "p of all", ""];
    let mut columns = vec![Column::Right; heading.len()];
    columns[0] = Column::Left;
    if is_swept {
        heading.insert(0, "set");
        columns.insert(0, Column::Left);
    }
    let mut table = Table::new(columns).heading(&heading);
    for it in all {
        let interval = it.interval.map_or_else(|| "-".to_owned(), |(low, high)| format!("{low:.4} .. {high:.4}"));
        let is_significant = it.p_corrected < SIGNIFICANT;
        let mut cells = vec![
            if is_significant { bold(&it.metric).to_string() } else { it.metric.clone() },
            format!("{:.4}", it.mean_a),
            format!("{:.4}", it.mean_b),
            format!("{:+.4}", it.difference),
            interval,
            format!("{:.4}", it.p),
            format!("{:.4}", it.p_corrected),
            if is_significant { "differs" } else { "" }.to_owned(),
        ];
        if is_swept {
            // From files that others may have written.
            cells.insert(0, printable(&it.set));
        }
        table.row(cells);
    }
    let pairs = all.iter().filter(|it| it.is_paired).count();
    let how = match all {
        [] => "The folders have no metric in common.".to_owned(),
        [first, ..] if pairs == all.len() => format!("{} pairs of runs with the same seeds.", first.runs_a),
        [first, ..] => format!("{} and {} runs, of other seeds: not compared in pairs.", first.runs_a, first.runs_b),
    };
    format!("{}{}", table.render(), dim(&format!("{how} p: permutation test; p of all: Holm's correction.\n")))
}
