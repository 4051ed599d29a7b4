//! `lota filecoin-pay`.

mod end;
mod money;
mod order;
mod outcome;
mod rails;
mod ready;
mod status;

use clap::{Args, Subcommand};
use lota_bridge::{PrivateKeySigner, evm::Network};
use lota_market::{Address, AttoFil, B256, asset::Asset};

use super::blessing::{KeyFlags, parse_job};
use crate::{
    chain::{ChainPayDeals, Endpoint, ReadSoFar, parse_network},
    context::Context,
    failure::Usage,
    flags::Format,
    terminal::{self, Progress, printable},
    units::Amount,
};

/// Have jobs run that are paid from your Filecoin Pay account, and see to the money of that account.
#[derive(Debug, Subcommand)]
// Each verb says itself what it does.
pub(crate) enum FilecoinPay {
    Status(status::Status),
    Approve(money::Approve),
    Deposit(money::Deposit),
    Withdraw(money::Withdraw),
    Order(Box<order::Order>),
    Wait(outcome::Wait),
    Cancel(end::Cancel),
    Revoke(end::Revoke),
    Expire(end::Expire),
    Pay(rails::Pay),
    Release(rails::Release),
    Renew(rails::Renew),
    Claim(end::Claim),
}

impl FilecoinPay {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Status(verb) => verb.run(context).await,
            Self::Approve(verb) => verb.run(context).await,
            Self::Deposit(verb) => verb.run(context).await,
            Self::Withdraw(verb) => verb.run(context).await,
            Self::Order(verb) => verb.run(context).await,
            Self::Wait(verb) => verb.run(context).await,
            Self::Cancel(verb) => verb.run(context).await,
            Self::Revoke(verb) => verb.run(context).await,
            Self::Expire(verb) => verb.run(context).await,
            Self::Pay(verb) => verb.run(context).await,
            Self::Release(verb) => verb.run(context).await,
            Self::Renew(verb) => verb.run(context).await,
            Self::Claim(verb) => verb.run(context).await,
        }
    }
}

/// Which contract.
#[derive(Debug, Args)]
struct PlaceFlags {
    /// URL of a node's JSON-RPC: http, https, ws or wss; of several, with commas between, the first that works is asked
    /// [default: the setting node.rpc]
    #[arg(long, value_name = "URL")]
    rpc: Option<String>,
    /// filecoin, calibration, filecoin-local or development (anvil) [default: what the chain's id says]
    #[arg(long, value_name = "NAME", value_parser = parse_network)]
    network: Option<Network>,
    /// The contract FilecoinPayDeals: its address [default: the setting node.filecoin_pay.contract]
    #[arg(long, value_name = "ADDRESS")]
    filecoin_pay_deals: Option<Address>,
    /// What happened is read from this block on: that of the market's deployment, or an earlier one
    #[arg(long, value_name = "N", default_value_t = 0)]
    from_block: u64,
}

impl PlaceFlags {
    async fn find(&self, context: &Context) -> anyhow::Result<ChainPayDeals> {
        let node = context.settings()?.node;
        let missing = |what: &str, flag: &str, key: &str| {
            Usage(format!("{what} is not known; name it with {flag}, or with the setting {key}"))
        };
        let url = self.rpc.as_ref().or(node.rpc.as_ref());
        let url = url.ok_or_else(|| missing("the URL of a chain's node", "--rpc", "node.rpc"))?;
        let contract = match (self.filecoin_pay_deals, &node.filecoin_pay.contract) {
            (Some(contract), _) => contract,
            (None, Some(set)) => set.parse().map_err(|_| {
                Usage(format!("setting `node.filecoin_pay.contract`: `{}` is no address", printable(set)))
            })?,
            (None, None) => {
                let key = "node.filecoin_pay.contract";
                return Err(missing("which FilecoinPayDeals is meant", "--filecoin-pay-deals", key).into());
            }
        };
        let endpoint = Endpoint::connect(url, self.network).await?;
        ChainPayDeals::find(endpoint, contract, self.from_block).await
    }
}

/// What every verb that sends something takes.
#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    place: PlaceFlags,
    #[command(flatten)]
    key: KeyFlags,
    #[command(flatten)]
    format: Format,
}

impl Common {
    async fn open(&self, context: &Context) -> anyhow::Result<(ChainPayDeals, PrivateKeySigner)> {
        let signer = self.key.open(context).await?;
        Ok((self.place.find(context).await?, signer))
    }

    /// The line that says what is going on, until the transaction is in a block.
    fn progress(&self, doing: &str) -> Progress {
        let progress = Progress::start(self.format.json);
        progress.say(doing);
        progress
    }
}

/// Tells that a transaction is on its way.
fn told(progress: &Progress) -> impl FnOnce(B256) {
    let progress = progress.clone();
    move |transaction| {
        progress.aside(|| terminal::tell(&format!("Sent as transaction {transaction}; waiting for its block.")));
    }
}

/// Tells how far an account's rails are looked for.
fn told_of_reading(progress: &Progress) -> impl Fn(ReadSoFar) {
    let progress = progress.clone();
    move |ReadSoFar { block, newest }| progress.say(format!("looking for rails: block {block} of {newest}"))
}

/// An amount that is more than nothing, of what the rails are paid in, or of the market's asset.
fn in_asset(amount: &Amount, asset: &Asset) -> Result<AttoFil, Usage> {
    amount.in_asset(asset).map_err(|error| Usage(printable(&error.to_string())))
}
