//! `lota sim`.

mod audit;
mod replay;

use clap::Subcommand;

use crate::context::Context;

/// Markets as models: replay what a real one has recorded.
#[derive(Debug, Subcommand)]
pub(crate) enum Sim {
    /// Fold what a market has recorded through the model, and name the first event that it cannot have said
    Replay(replay::Replay),
}

impl Sim {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Replay(verb) => verb.run(context).await,
        }
    }
}
