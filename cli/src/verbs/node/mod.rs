//! `lota node`.

mod amounts;
mod benchmark;
mod config;
mod doctor;
mod resume;
mod run;
pub(crate) mod show;
mod storage;

use clap::Subcommand;

pub(crate) use run::pace_of;

use crate::context::Context;

/// Run a provider's or a client's node, or show the running one.
#[derive(Debug, Subcommand)]
pub(crate) enum Node {
    /// Measure this machine, and what a job costs on it
    Benchmark(benchmark::Benchmark),
    /// Run a node until Ctrl-C
    Run(Box<run::Run>),
    /// Look for what could keep a node from its work
    Doctor(doctor::Doctor),
    /// Have a provider that was slashed lock jobs again
    Resume(resume::Resume),
    /// Show the running node and the parties of its market
    Show(show::Show),
}

impl Node {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Doctor(verb) => verb.run(context).await,
            Self::Benchmark(verb) => verb.run(context).await,
            Self::Resume(verb) => verb.run(context).await,
            Self::Run(verb) => verb.run(context).await,
            Self::Show(verb) => verb.run(context).await,
        }
    }
}
