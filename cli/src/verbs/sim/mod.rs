//! `lota sim`.

mod experiments;
mod list;
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
            Self::List(verb) => verb.run(),
            Self::Search(verb) => verb.run(),
            Self::Experiments(verb) => verb.run(),
        }
    }
}
