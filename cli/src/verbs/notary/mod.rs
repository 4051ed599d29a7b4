//! `lota notary`.

mod running;
mod serve;
mod service;

use clap::Subcommand;

pub(crate) use running::RunningNotary;

use crate::{
    chain::{BONUS, DevelopmentBlessing},
    context::Context,
    settings,
    units::Count,
};

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

/// The settings of a service for a blessing on a development chain: it nominates every job for a bonus, and asks this registry.
pub(crate) fn on_development_chain(blessing: &DevelopmentBlessing, registry: &str) -> settings::Notary {
    let granter = blessing.granter.to_string();
    settings::Notary {
        blessing: Some(blessing.blessing.blessing().contract().to_string()),
        from_block: Count(blessing.first_block),
        registry: Some(registry.to_owned()),
        granters: Some(format!("{granter}=bonus/FIL/18")),
        granter: Some(granter),
        amount: Some(BONUS.0.to_string()),
        ..settings::Notary::default()
    }
}
