//! `lota sim list`.

use clap::Args;
use lota_simulator::{Document, builtins};
use serde::Serialize;

use crate::{
    flags::Format,
    terminal::{self, Table},
};

/// List the scenarios that come with this program, or print one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota sim list
  lota sim list first-market > mine.toml   a scenario to change")]
pub(crate) struct List {
    /// Print this one's text
    #[arg(value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    format: Format,
}

#[derive(Serialize)]
struct Shown<'a> {
    name: &'a str,
    question: String,
}

impl List {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        if let Some(name) = &self.name {
            return terminal::print(super::source::builtin_text(name)?);
        }
        let mut shown = Vec::new();
        for scenario in builtins() {
            let question = Document::parse(scenario.name, scenario.text)?.scenario().question.clone();
            shown.push(Shown { name: scenario.name, question });
        }
        if self.format.json {
            return terminal::print_json(&shown);
        }
        let mut table = Table::pairs();
        for Shown { name, question } in shown {
            table.row([terminal::bold(name).to_string(), question]);
        }
        terminal::print(&table.render())
    }
}
