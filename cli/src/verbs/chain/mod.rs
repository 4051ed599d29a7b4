//! `lota chain`.

mod deploy;
mod deploy_blessing;
mod deploy_filecoin_pay_deals;
mod deploy_granter;
mod status;

use clap::Subcommand;

use crate::context::Context;

/// Deploy the market and its auction on a chain, or look at them.
#[derive(Debug, Subcommand)]
pub(crate) enum Chain {
    /// Deploy the market's contract, and an auction beside it, with a key of this home's keystore
    Deploy(deploy::Deploy),
    // These say themselves what they do.
    DeployBlessing(Box<deploy_blessing::DeployBlessing>),
    DeployGranter(Box<deploy_granter::DeployGranter>),
    DeployFilecoinPayDeals(Box<deploy_filecoin_pay_deals::DeployFilecoinPayDeals>),
    /// Show a chain and the market that is deployed there
    Status(status::Status),
}

impl Chain {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Deploy(verb) => verb.run(context).await,
            Self::DeployBlessing(verb) => verb.run(context).await,
            Self::DeployGranter(verb) => verb.run(context).await,
            Self::DeployFilecoinPayDeals(verb) => verb.run(context).await,
            Self::Status(verb) => verb.run(context).await,
        }
    }
}
