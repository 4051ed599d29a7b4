//! `lota chain deploy-blessing`.

use clap::Args;
use lota_bridge::evm::Network;
use lota_market::{Address, blessing::Settings};
use serde::Serialize;

use crate::{
    chain::{
        ChainBlessing, ChainMarket, DeployedContract, Endpoint, default_blessing_settings, deploy_blessing,
        parse_network,
    },
    context::Context,
    failure::Usage,
    flags::Format,
    terminal::{self, Progress, Table},
    units::{Amount, Count, Seconds},
    verbs::blessing::KeyFlags,
};

/// Deploy a blessing beside a market: notaries who bless settled jobs.
///
/// It deploys the bytecode that this version was built with, and compares what the chain then holds with it. The settings are
/// fixed for ever; notaries and quorum are changed by the notaries' ballots alone, who also admit granters (lota chain
/// deploy-granter, lota blessing ballot). docs/blessing.md says what it does.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota chain deploy-blessing --rpc http://127.0.0.1:8545 --key trading --beside 0x5FbD... --notaries 0x7099...,0x3C44...,0x90F7... --quorum 2
  lota chain deploy-blessing --rpc http://127.0.0.1:8545 --key trading --beside 0x5FbD... --notaries 0x7099... --quorum 1 --deposit '0.1 FIL' --vote-for 7d")]
pub(crate) struct DeployBlessing {
    /// URL of a node's JSON-RPC: http, https, ws or wss; of several, with commas between, the first that works is asked
    #[arg(long, value_name = "URL")]
    rpc: String,
    /// filecoin, calibration, filecoin-local or development (anvil) [default: what the chain's id says]
    #[arg(long, value_name = "NAME", value_parser = parse_network)]
    network: Option<Network>,
    #[command(flatten)]
    key: KeyFlags,
    /// The market whose jobs it blesses
    #[arg(long, value_name = "ADDRESS")]
    beside: Address,
    /// The notaries, with commas between; at most 32
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',', required = true)]
    notaries: Vec<Address>,
    /// How many of them decide
    #[arg(long, value_name = "K")]
    quorum: u32,
    /// What a nomination costs if it is refused [default: 1 of the market's asset]
    #[arg(long, value_name = "AMOUNT")]
    deposit: Option<Amount>,
    /// How long a nomination is voted on [default: 7d; on development chains 1d]
    #[arg(long, value_name = "TIME")]
    vote_for: Option<Seconds>,
    /// How long a blessing may be revoked before anything is granted [default: 2d; on development chains 10s]
    #[arg(long, value_name = "TIME")]
    revoke_for: Option<Seconds>,
    /// How long a grant may be tried after that [default: 30d]
    #[arg(long, value_name = "TIME")]
    grant_for: Option<Seconds>,
    /// The period in which a granter's limits count [default: 28d; on development chains 1d]
    #[arg(long, value_name = "TIME")]
    limit_period: Option<Seconds>,
    /// Gas that a granter is given at least [default: 100 M; on development chains 500,000]
    #[arg(long, value_name = "GAS")]
    granter_gas: Option<Count>,
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
    notaries: &'a [Address],
    quorum: u32,
    settings: Settings,
}

impl DeployBlessing {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let signer = self.key.open(context).await?;
        let endpoint = Endpoint::connect(&self.rpc, self.network).await?;
        let market = ChainMarket::find(endpoint, self.beside, 0).await?;
        let settings = self.settings(&market)?;
        let progress = Progress::start(self.format.json);
        progress.say("deploying the blessing");
        let sent = |transaction| {
            progress.aside(|| terminal::tell(&format!("Sent as transaction {transaction}; waiting for its block.")));
        };
        let (deployed, blessing) =
            deploy_blessing(&market, signer, settings, self.notaries.clone(), self.quorum, sent).await?;
        progress.finish();
        self.tell(&deployed, &blessing)
    }

    fn tell(&self, deployed: &DeployedContract, blessing: &ChainBlessing) -> anyhow::Result<()> {
        let network = blessing.endpoint().network();
        let (market, settings) = (blessing.market().contract(), blessing.blessing().settings());
        if self.format.json {
            return terminal::print_json(&Told {
                deployed,
                market,
                network: network.name,
                chain_id: network.chain_id,
                notaries: &self.notaries,
                quorum: self.quorum,
                settings,
            });
        }
        let mut table = Table::pairs();
        table.row(["blessing", &deployed.contract.to_string()]);
        table.row(["market", &market.to_string()]);
        told(&mut table, network, deployed);
        for notary in &self.notaries {
            table.row(["notary", &notary.to_string()]);
        }
        table.row(["quorum", &format!("{} of {}", self.quorum, self.notaries.len())]);
        crate::verbs::blessing::settings(&mut table, &settings, blessing.blessing().asset());
        terminal::print(&table.render())?;
        terminal::tell(&format!(
            "Next, a granter, which the notaries then admit:\n  lota chain deploy-granter request-only --rpc URL --key {} --blessing {}\n  lota blessing ballot set-granter --help",
            self.key.name(),
            deployed.contract
        ));
        Ok(())
    }

    /// What was asked for, and else what is usual there.
    fn settings(&self, market: &ChainMarket) -> anyhow::Result<Settings> {
        let asset = market.market().asset();
        let deposit = match &self.deposit {
            Some(deposit) => deposit.in_asset(asset),
            None => asset.parse("1"),
        };
        let usual = default_blessing_settings(
            market.endpoint().network(),
            deposit.map_err(|error| Usage(format!("--deposit: {error}")))?,
        );
        let seconds = |flag: &str, asked: Option<Seconds>, usual: u32| match asked {
            Some(Seconds(asked)) => {
                u32::try_from(asked).map_err(|_| Usage(format!("{flag} {} is longer than 365 days", Seconds(asked))))
            }
            None => Ok(usual),
        };
        let granter_gas = match self.granter_gas {
            Some(Count(gas)) => u32::try_from(gas)
                .map_err(|_| Usage(format!("--granter-gas {gas} is more than a contract can be given")))?,
            None => usual.granter_gas,
        };
        Ok(Settings {
            deposit: usual.deposit,
            vote_for: seconds("--vote-for", self.vote_for, usual.vote_for)?,
            revoke_for: seconds("--revoke-for", self.revoke_for, usual.revoke_for)?,
            grant_for: seconds("--grant-for", self.grant_for, usual.grant_for)?,
            limit_period: seconds("--limit-period", self.limit_period, usual.limit_period)?,
            granter_gas,
        })
    }
}

/// Adds what a deployment took to a table.
pub(super) fn told(table: &mut Table, network: &Network, deployed: &DeployedContract) {
    table.row(["network", &format!("{} (chain {})", network.name, network.chain_id)]);
    table.row(["block", &deployed.block.to_string()]);
    table.row(["transaction", &deployed.transaction.to_string()]);
    table.row(["paid by", &deployed.deployer.to_string()]);
    table.row(["gas", &format!("{}, for {}", Count(deployed.gas_used), deployed.fee)]);
}
