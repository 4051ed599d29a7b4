//! `lota chain deploy-filecoin-pay-deals`.

use clap::Args;
use lota_bridge::evm::{Network, filecoin_pay_deals::Deployment};
use lota_market::{Address, asset::Asset};
use serde::Serialize;

use super::deploy_blessing::told;
use crate::{
    chain::{
        ChainMarket, ChainPayDeals, DeployedContract, Endpoint, default_pay_callback_gas, deploy_pay_deals,
        epoch_seconds, parse_network,
    },
    context::Context,
    failure::Usage,
    flags::Format,
    terminal::{self, Progress, Table},
    units::{Count, Seconds},
    verbs::blessing::KeyFlags,
};

/// Deploy the contract through which clients pay for jobs of a market from their Filecoin Pay accounts (docs/filecoin-pay.md).
///
/// It deploys the bytecode that this version was built with, and compares what the chain then holds with it. What it is deployed with
/// is fixed for ever. It holds no money, and nobody owns it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota chain deploy-filecoin-pay-deals --rpc http://127.0.0.1:8545 --key trading --beside 0x5FbD... --filecoin-pay 0x9fE4...
  lota chain deploy-filecoin-pay-deals --rpc https://node.example/rpc/v1 --network calibration --key trading --beside 0x5FbD... --filecoin-pay 0x09a0fDc2723fAd1A7b8e3e00eE5DF73841df55a0 --token 0x... --json")]
pub(crate) struct DeployFilecoinPayDeals {
    /// URL of a node's JSON-RPC: http, https, ws or wss; of several, with commas between, the first that works is asked
    #[arg(long, value_name = "URL")]
    rpc: String,
    /// filecoin, calibration, filecoin-local or development (anvil) [default: what the chain's id says]
    #[arg(long, value_name = "NAME", value_parser = parse_network)]
    network: Option<Network>,
    #[command(flatten)]
    key: KeyFlags,
    /// The market for whose jobs it pays
    #[arg(long, value_name = "ADDRESS")]
    beside: Address,
    /// The contract FilecoinPayV1, which keeps the accounts
    #[arg(long, value_name = "ADDRESS")]
    filecoin_pay: Address,
    /// The ERC-20 that prices are in [default: the chain's own coin]
    #[arg(long, value_name = "ADDRESS")]
    token: Option<Address>,
    /// The shortest time between two blocks, in seconds [default: 30 on Filecoin, else 1]
    #[arg(long, value_name = "SECONDS")]
    epoch_seconds: Option<u64>,
    /// How long what is due can still be paid when a client ends a rail as early as it can
    #[arg(long, value_name = "TIME", default_value = "30d")]
    grace: Seconds,
    /// Gas for the callback by which the market tells it of a job's end [default: 60 M on Filecoin, else 100,000]
    #[arg(long, value_name = "GAS")]
    callback_gas: Option<Count>,
    #[command(flatten)]
    format: Format,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    deployed: &'a DeployedContract,
    market: Address,
    network: &'static str,
    chain_id: u64,
    filecoin_pay: Address,
    /// Zero: the chain's coin.
    token: Address,
    /// What prices are in.
    unit: &'a Asset,
    epoch_seconds: u64,
    /// In seconds.
    grace: u64,
    callback_gas: u32,
}

impl DeployFilecoinPayDeals {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let callback_gas = match self.callback_gas {
            Some(Count(gas)) => Some(u32::try_from(gas).map_err(|_| {
                Usage(format!("--callback-gas {gas} is more than a callback can be given; name at most {}", u32::MAX))
            })?),
            None => None,
        };
        let signer = self.key.open(context).await?;
        let endpoint = Endpoint::connect(&self.rpc, self.network).await?;
        let network = *endpoint.network();
        let market = ChainMarket::find(endpoint, self.beside, 0).await?;
        let wanted = Deployment {
            market: self.beside,
            callback_gas: callback_gas.unwrap_or_else(|| default_pay_callback_gas(&network)),
            filecoin_pay: self.filecoin_pay,
            token: self.token.unwrap_or_default(),
            epoch_seconds: self.epoch_seconds.unwrap_or_else(|| epoch_seconds(&network)),
            grace: self.grace.0,
        };
        let progress = Progress::start(self.format.json);
        progress.say("deploying the contract");
        let sent = |transaction| {
            progress.aside(|| terminal::tell(&format!("Sent as transaction {transaction}; waiting for its block.")));
        };
        let (deployed, deals) = deploy_pay_deals(&market, signer, &wanted, sent).await?;
        progress.finish();
        self.tell(&deployed, &deals)
    }

    fn tell(&self, deployed: &DeployedContract, deals: &ChainPayDeals) -> anyhow::Result<()> {
        let network = deals.endpoint().network();
        if self.format.json {
            return terminal::print_json(&Told {
                deployed,
                market: deals.market().contract(),
                network: network.name,
                chain_id: network.chain_id,
                filecoin_pay: deals.filecoin_pay(),
                token: deals.token(),
                unit: deals.asset(),
                epoch_seconds: deals.epoch_seconds(),
                grace: deals.grace(),
                callback_gas: deals.callback_gas(),
            });
        }
        let mut table = Table::pairs();
        table.row(["contract", &deployed.contract.to_string()]);
        table.row(["market", &deals.market().contract().to_string()]);
        told(&mut table, network, deployed);
        table.row(["Filecoin Pay", &deals.filecoin_pay().to_string()]);
        let token = deals.token();
        let unit = deals.asset().symbol();
        table.row(["prices are in", &if token.is_zero() { unit.to_owned() } else { format!("{unit} ({token})") }]);
        table.row(["epoch", &Seconds(deals.epoch_seconds()).to_string()]);
        table.row(["grace", &Seconds(deals.grace()).to_string()]);
        table.row(["callback", &format!("{} gas", Count(deals.callback_gas().into()))]);
        terminal::print(&table.render())?;
        let rest = format!("--rpc URL --filecoin-pay-deals {} --key KEY", deployed.contract);
        terminal::tell(&format!(
            "Next, a client lets it lock money of its Filecoin Pay account, puts money there, and orders a job:\n  lota filecoin-pay approve '10 {unit}' {rest}\n  lota filecoin-pay deposit '10 {unit}' {rest}\n  lota filecoin-pay order job.json --max-price '1 {unit}' {rest}"
        ));
        Ok(())
    }
}
