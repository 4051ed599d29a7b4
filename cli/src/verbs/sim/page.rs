//! `lota sim report`.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use clap::Args;
use lota_simulator::analysis::{Folder, page};

use crate::terminal;

/// Write what the runs of a folder came to as a page with plots: one HTML file that needs no network.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota sim run audits --sweep mediation.audit=0..0.3:0.05 --seeds 20 --output results
  lota sim report results -o audits.html")]
pub(crate) struct Report {
    /// A folder that `lota sim run --output` wrote
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The file [default: report.html in the folder]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Report {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let page = page(&Folder::read(&self.folder)?)?;
        let file = self.output.clone().unwrap_or_else(|| self.folder.join("report.html"));
        fs::write(&file, page).with_context(|| format!("cannot write {}", file.display()))?;
        terminal::print(&format!("{}\n", file.display()))
    }
}
