//! `lota chain deploy`.

use std::path::PathBuf;

use clap::Args;
use lota_bridge::evm::Network;
use lota_market::{Address, model::Settings};

use crate::{
    chain::{default_settings, deploy, parse_network},
    context::Context,
    flags::Format,
    keystore::{Keystore, Password},
    terminal::{self, Progress, Table},
    units::Count,
};

/// Deploy the market's contract with a key of this home's keystore.
///
/// It deploys the bytecode that this version was built with, and compares what the chain then holds with it. The settings are
/// fixed for ever. Their defaults on Filecoin are estimates in FEVM's gas: measure with a deployment on
/// Calibration first (docs/chain.md).
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota chain deploy --rpc http://127.0.0.1:8545 --network anvil --key trading
  LOTA_PASSWORD=... lota chain deploy --rpc https://node.example/rpc/v1 --network calibration --key trading --json")]
pub(crate) struct Deploy {
    /// URL of a node's JSON-RPC: http, https, ws or wss
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
    #[command(flatten)]
    format: Format,
}

impl Deploy {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let password = Password::from(self.password_file.clone()).ask(&self.key)?;
        let keystore = Keystore::of(&context.home);
        let signer = {
            let (keystore, name) = (keystore.clone(), self.key.clone());
            tokio::task::spawn_blocking(move || keystore.open(&name, &password)).await??
        };
        let progress = Progress::start(self.format.json);
        progress.say("deploying the market");
        let sent = |transaction| {
            progress.aside(|| terminal::tell(&format!("Sent as transaction {transaction}; waiting for its block.")));
        };
        let settings = |network: &Network, quantum| self.settings(network, quantum);
        let asset = self.asset.filter(|asset| !asset.is_zero());
        let (deployed, market) = deploy(&self.rpc, self.network, signer, asset, settings, sent).await?;
        progress.finish();
        if self.format.json {
            return terminal::print_json(&deployed);
        }
        let mut table = Table::pairs();
        table.row(["contract", &deployed.contract.to_string()]);
        table.row(["network", &format!("{} (chain {})", deployed.network, deployed.chain_id)]);
        table.row(["block", &deployed.block.to_string()]);
        table.row(["transaction", &deployed.transaction.to_string()]);
        table.row(["paid by", &deployed.deployer.to_string()]);
        table.row(["gas", &format!("{}, for {}", Count(deployed.gas_used), deployed.fee)]);
        super::status::settings(&mut table, &market.settings());
        terminal::print(&table.render())?;
        if let Some(warning) = keystore.warning(&self.key).filter(|_| market.endpoint().network().is_public()) {
            terminal::tell(&warning);
        }
        let key = &self.key;
        terminal::tell(&format!(
            "Next, a node on this market, and money in it for jobs and collateral:\n  lota node run --key {key} --rpc {} --contract {} --from-block {}\n  lota wallet deposit '1 {}'     # in another terminal",
            shown_url(&self.rpc),
            deployed.contract,
            deployed.block,
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
