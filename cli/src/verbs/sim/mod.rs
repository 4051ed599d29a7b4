//! `lota sim`.

mod compare;
mod experiments;
mod list;
mod page;
mod report;
mod run;
mod search;
mod source;

use clap::Subcommand;

/// Simulate markets: the contracts, the nodes' agents and those who cheat, in virtual time.
#[derive(Debug, Subcommand)]
pub(crate) enum Sim {
    /// Run a scenario, from a file or one that comes with this program
    Run(run::Run),
    /// Compare what the runs of two folders came to, with significance
    Compare(compare::Compare),
    /// Write what the runs of a folder came to as a page with plots
    Report(page::Report),
    /// List the scenarios that come with this program, or print one
    List(list::List),
    /// Look for cheats: what somebody could do otherwise to have more
    Search(search::Search),
    /// Hold the simulator against published numbers
    Experiments(experiments::Experiments),
}

impl Sim {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match self {
            Self::Run(verb) => verb.run(),
            Self::Compare(verb) => verb.run(),
            Self::Report(verb) => verb.run(),
            Self::List(verb) => verb.run(),
            Self::Search(verb) => verb.run(),
            Self::Experiments(verb) => verb.run(),
        }
    }
}
