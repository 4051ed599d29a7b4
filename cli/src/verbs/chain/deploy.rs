//! `lota chain deploy`.

use std::path::PathBuf;

use clap::Args;
use lota_bridge::evm::Network;
use lota_market::{Address, auction::MAX_REVEAL_PERIOD, model::Settings};
use serde::Serialize;

use crate::{
    chain::{
        ChainMarket, Deployed, DeployedAuction, Endpoint, default_reveal_period, default_settings, deploy,
        deploy_auction, parse_network,
    },
    context::Context,
    flags::Format,
    keystore::{Keystore, Password},
    terminal::{self, Progress, Table},
    units::Count,
};

/// Deploy the market's contract, and an auction beside it, with a key of this home's keystore.
///
/// It deploys the bytecode that this version was built with, and compares what the chain then holds with it. The settings are
/// fixed for ever. Their defaults on Filecoin are estimates in FEVM's gas: measure with a deployment on
/// Calibration first (docs/chain.md). The auction takes a second transaction, and about half as much gas; --no-auction leaves it
/// out, and --beside deploys one for a market that is there.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota chain deploy --rpc http://127.0.0.1:8545 --network anvil --key trading
  lota chain deploy --rpc http://127.0.0.1:8545 --key trading --beside 0x5FbDB2315678afecb367f032d93F642f64180aa3
  LOTA_PASSWORD=... lota chain deploy --rpc https://node.example/rpc/v1 --network calibration --key trading --json")]
pub(crate) struct Deploy {
    /// URL of a node's JSON-RPC: http, https, ws or wss; of several, with commas between, the first that works is asked
    #[arg(long, value_name = "URL")]
    rpc: String,
    /// filecoin, calibration, filecoin-local or development (anvil) [default: what the chain's id says]
    #[arg(long, value_name = "NAME", value_parser = parse_network)]
    network: Option<Network>,
    /// The key in the keystore that pays
    #[arg(long, value_name = "NAME")]
    key: String,
    /// Take the key's password from the first line of this file instead of LOTA_PASSWORD or a prompt
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The ERC-20 that jobs are paid in [default: none, the chain's own coin]
    #[arg(long, value_name = "ADDRESS")]
    asset: Option<Address>,
    /// What all amounts of terms are multiples of, in the asset's smallest unit [default: 1 gwei for 18 decimals, 1 for 6]
    #[arg(long, value_name = "UNITS")]
    quantum: Option<u64>,
    /// The shortest window that terms may name, in seconds [default: 60 on Filecoin, 1 on development chains]
    #[arg(long, value_name = "SECONDS")]
    min_window: Option<u32>,
    /// The most gas that a client's callback may be promised [default: 1 G on Filecoin, 5 M on development chains]
    #[arg(long, value_name = "GAS")]
    max_callback_gas: Option<u32>,
    /// Gas that must be left over besides a callback's [default: 25 M on Filecoin, 20,000 on development chains]
    #[arg(long, value_name = "GAS")]
    callback_reserve: Option<u32>,
    /// Gas that an ERC-1271 wallet may use to check a signature [default: 60 M on Filecoin, 200,000 on development chains]
    #[arg(long, value_name = "GAS")]
    signature_gas: Option<u32>,
    /// The shortest time to reveal bids in, in seconds, that jobs in the auction may name [default: 600 on Filecoin, 10 on development chains]
    #[arg(long, value_name = "SECONDS", conflicts_with = "no_auction")]
    min_reveal_period: Option<u32>,
    /// Deploy the market alone
    #[arg(long)]
    no_auction: bool,
    /// Deploy an auction alone, beside the market at this address
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = [
        "no_auction", "asset", "quantum", "min_window", "max_callback_gas", "callback_reserve", "signature_gas",
    ])]
    beside: Option<Address>,
    #[command(flatten)]
    format: Format,
}

/// What `--json` prints. Of a market that was there before, what its deployment took is not known.
#[derive(Debug, Serialize)]
struct Told<'a> {
    contract: Address,
    network: &'static str,
    chain_id: u64,
    #[serde(flatten)]
    market: Option<&'a Deployed>,
    auction: Option<&'a DeployedAuction>,
}

impl Deploy {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        if let Some(period) = self.min_reveal_period
            && !(1..=MAX_REVEAL_PERIOD).contains(&u64::from(period))
        {
            anyhow::bail!(
                "the auction cannot be deployed with a reveal period of {period} s; name 1 to {MAX_REVEAL_PERIOD} s (90 days) with --min-reveal-period"
            );
        }
        let password = Password::from(self.password_file.clone()).ask(&self.key)?;
        let keystore = Keystore::of(&context.home);
        let signer = {
            let (keystore, name) = (keystore.clone(), self.key.clone());
            tokio::task::spawn_blocking(move || keystore.open(&name, &password)).await??
        };
        let progress = Progress::start(self.format.json);
        let sent = |transaction| {
            progress.aside(|| terminal::tell(&format!("Sent as transaction {transaction}; waiting for its block.")));
        };
        let (deployed, market) = match self.beside {
            Some(contract) => {
                let endpoint = Endpoint::connect(&self.rpc, self.network).await?;
                (None, ChainMarket::find(endpoint, contract, 0).await?)
            }
            None => {
                progress.say("deploying the market");
                let settings = |network: &Network, quantum| self.settings(network, quantum);
                let asset = self.asset.filter(|asset| !asset.is_zero());
                let (deployed, market) = deploy(&self.rpc, self.network, signer.clone(), asset, settings, sent).await?;
                (Some(deployed), market)
            }
        };
        let auction = if self.no_auction {
            Ok(None)
        } else {
            progress.say("deploying the auction");
            let usual = default_reveal_period(market.endpoint().network());
            let period = self.min_reveal_period.unwrap_or(usual);
            deploy_auction(&market, signer, period, sent).await.map(Some)
        };
        progress.finish();
        // Whatever became of the auction: the market is there, and is told.
        let told = match (&auction, &deployed) {
            (Err(_), None) => None,
            (auction, _) => Some(auction.as_ref().ok().and_then(Option::as_ref)),
        };
        if let Some(auction) = told {
            self.tell(&keystore, &market, deployed.as_ref(), auction)?;
        }
        match (auction, deployed) {
            (Err(error), Some(_)) => Err(error.context(format!(
                "the market is at {contract}, but there is no auction beside it; try again with `lota chain deploy --beside {contract} --rpc {} --key {}`",
                shown_url(&self.rpc),
                self.key,
                contract = market.contract(),
            ))),
            (Err(error), None) => Err(error),
            (Ok(_), _) => Ok(()),
        }
    }

    /// Tells what was deployed, and what comes next.
    fn tell(
        &self,
        keystore: &Keystore,
        market: &ChainMarket,
        deployed: Option<&Deployed>,
        auction: Option<&DeployedAuction>,
    ) -> anyhow::Result<()> {
        let network = market.endpoint().network();
        if self.format.json {
            return terminal::print_json(&Told {
                contract: market.contract(),
                network: network.name,
                chain_id: network.chain_id,
                market: deployed,
                auction,
            });
        }
        let mut table = Table::pairs();
        table.row(["contract", &market.contract().to_string()]);
        table.row(["network", &format!("{} (chain {})", network.name, network.chain_id)]);
        if let Some(deployed) = deployed {
            table.row(["block", &deployed.block.to_string()]);
            table.row(["transaction", &deployed.transaction.to_string()]);
            table.row(["paid by", &deployed.deployer.to_string()]);
            table.row(["gas", &format!("{}, for {}", Count(deployed.gas_used), deployed.fee)]);
        }
        super::status::settings(&mut table, &market.settings());
        if let Some(auction) = auction {
            table.row(["auction", &auction.contract.to_string()]);
            table.row(["bids are opened", &format!("for {} s at least", auction.min_reveal_period)]);
            table.row(["its block", &auction.block.to_string()]);
            table.row(["its transaction", &auction.transaction.to_string()]);
            table.row(["its gas", &format!("{}, for {}", Count(auction.gas_used), auction.fee)]);
        }
        terminal::print(&table.render())?;
        if let Some(warning) = keystore.warning(&self.key).filter(|_| network.is_public()) {
            terminal::tell(&warning);
        }
        // When a market that was there before was deployed, its deployer knows.
        let from_block = deployed.map_or_else(|| "BLOCK".to_owned(), |deployed| deployed.block.to_string());
        let with_auction =
            auction.map_or_else(String::new, |auction| format!(" --auction-contract {}", auction.contract));
        terminal::tell(&format!(
            "Next, a node on this market, and money in it for jobs and collateral:\n  lota node run --key {} --rpc {} --contract {} --from-block {from_block}{with_auction}\n  lota wallet deposit '1 {}'     # in another terminal",
            self.key,
            shown_url(&self.rpc),
            market.contract(),
            market.market().asset(),
        ));
        Ok(())
    }

    /// What was asked for, and else what is usual there.
    fn settings(&self, network: &Network, quantum: u64) -> Settings {
        let usual = default_settings(network);
        Settings {
            asset: self.asset.unwrap_or(usual.asset),
            quantum: self.quantum.unwrap_or(quantum),
            min_window: self.min_window.unwrap_or(usual.min_window),
            max_callback_gas: self.max_callback_gas.unwrap_or(usual.max_callback_gas),
            callback_reserve: self.callback_reserve.unwrap_or(usual.callback_reserve),
            signature_gas: self.signature_gas.unwrap_or(usual.signature_gas),
        }
    }
}

/// A URL that may stay on a screen: of one with a path or a query, which may be a key, its place.
fn shown_url(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let bare = rest
        .trim_end_matches('/')
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']'));
    if bare { url } else { "URL" }
}

#[cfg(test)]
mod tests {
    use super::shown_url;

    #[test]
    fn a_url_that_may_hold_a_key_is_not_shown() {
        for url in ["http://127.0.0.1:8545", "ws://node.example:1/", "http://[::1]:8545"] {
            assert_eq!(shown_url(url), url);
        }
        for url in
            ["https://node.example/v2/SECRET", "https://a:SECRET@node.example", "https://node.example?key=SECRET"]
        {
            assert_eq!(shown_url(url), "URL");
        }
    }
}
