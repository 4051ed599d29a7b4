//! `lota sim`.

mod audit;
mod compare;
mod experiments;
mod list;
mod page;
mod replay;
mod report;
mod run;
mod search;
mod source;

use clap::Subcommand;

use crate::context::Context;

/// Simulate markets: the contracts, the nodes' agents and those who cheat, in virtual time; and audit real ones.
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
    /// Fold what a market has recorded through the model, and name the first event that it cannot have said
    Replay(replay::Replay),
}

impl Sim {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        // What computes asks nobody.
        match self {
            Self::Run(verb) => tokio::task::block_in_place(|| verb.run()),
            Self::Compare(verb) => tokio::task::block_in_place(|| verb.run()),
            Self::Report(verb) => tokio::task::block_in_place(|| verb.run()),
            Self::List(verb) => tokio::task::block_in_place(|| verb.run()),
            Self::Search(verb) => tokio::task::block_in_place(|| verb.run()),
            Self::Experiments(verb) => tokio::task::block_in_place(|| verb.run()),
            Self::Replay(verb) => verb.run(context).await,
        }
    }
}
