//! `lota chain`.

mod deploy;
mod status;

use clap::Subcommand;

use crate::context::Context;

/// Deploy the market and its auction on a chain, or look at them.
#[derive(Debug, Subcommand)]
pub(crate) enum Chain {
    /// Deploy the market's contract, and an auction beside it, with a key of this home's keystore
    Deploy(deploy::Deploy),
    /// Show a chain and the market that is deployed there
    Status(status::Status),
}

impl Chain {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Deploy(verb) => verb.run(context).await,
            Self::Status(verb) => verb.run(context).await,
        }
    }
}
