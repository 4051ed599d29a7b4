//! `lota docker`.

mod cpus;
mod run;

use clap::Subcommand;

use crate::context::Context;

/// Jobs in containers.
#[derive(Debug, Subcommand)]
pub(crate) enum Docker {
    /// Run a container image on the market, as if it were a program on this machine
    Run(Box<run::Run>),
}

impl Docker {
    /// Whether stderr is for what the job writes there.
    pub(crate) const fn is_quiet(&self) -> bool {
        let Self::Run(verb) = self;
        verb.is_quiet()
    }

    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Run(verb) => verb.run(context).await,
        }
    }
}
