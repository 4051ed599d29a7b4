//! `lota fil-plus`.

mod check;
mod elsewhere;
mod registry;
mod review;
mod serve;
mod words;

use clap::Subcommand;

use crate::context::Context;

/// What is FIL+ data, and what to know of jobs on it.
#[derive(Debug, Subcommand)]
// Each verb says itself what it does.
pub(crate) enum FilPlus {
    Serve(serve::Serve),
    Check(check::Check),
    Review(review::Review),
}

impl FilPlus {
    /// Whether it runs until it is told to end.
    pub(crate) const fn is_server(&self) -> bool {
        matches!(self, Self::Serve(_))
    }

    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Serve(verb) => verb.run(context).await,
            Self::Check(verb) => verb.run(context).await,
            Self::Review(verb) => verb.run().await,
        }
    }
}
