//! `lota job validate`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::document;
use crate::{
    context::Context,
    failure::{ExitWith, FAILED},
    flags::Format,
    terminal,
};

/// Find every problem of a job's description, without asking for the job. Exit code 0: there is none; 1: there are some.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota job validate job.json
  lota job validate --schema > job.schema.json")]
pub(crate) struct Validate {
    /// The description, a JSON file; `-` for stdin
    #[arg(required_unless_present = "schema")]
    file: Option<PathBuf>,
    /// Print the JSON schema of a spec instead
    #[arg(long, conflicts_with_all = ["file", "json"])]
    schema: bool,
    #[command(flatten)]
    format: Format,
}

#[derive(Serialize)]
struct Verdict {
    valid: bool,
    problems: Vec<String>,
}

impl Validate {
    pub(crate) fn run(&self, _context: &Context) -> anyhow::Result<()> {
        let Some(file) = &self.file else {
            return terminal::print_json(&lota_market::spec::json_schema());
        };
        let problems = match document::parse(&document::read(file)?) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.0,
        };
        let verdict = Verdict { valid: problems.is_empty(), problems };
        if self.format.json {
            terminal::print_json(&verdict)?;
        } else if verdict.valid {
            terminal::print("valid\n")?;
        } else {
            let lines: String =
                verdict.problems.iter().map(|problem| format!("{}\n", terminal::printable(problem))).collect();
            terminal::print(&lines)?;
            terminal::tell(&format!(
                "{} in {}",
                terminal::plural(verdict.problems.len() as u64, "problem"),
                file.display()
            ));
        }
        if verdict.valid { Ok(()) } else { Err(ExitWith(FAILED).into()) }
    }
}
