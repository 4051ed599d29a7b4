//! `lota notary`.

mod engine;
mod serve;
mod service;

use clap::Subcommand;

use crate::context::Context;

/// A notary's service: what it knows of settled jobs, nominations, votes and grants.
#[derive(Debug, Subcommand)]
// Each verb says itself what it does.
pub(crate) enum Notary {
    Serve(serve::Serve),
}

impl Notary {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Serve(verb) => verb.run(context).await,
        }
    }
}
