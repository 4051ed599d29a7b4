//! `lota chain status`.

use clap::Args;
use jiff::Timestamp;
use lota_bridge::evm::{Finality, Network, auction, bindings, chain::At, token};
use lota_market::{Address, AttoFil, asset::Asset, model::Settings};
use serde::Serialize;

use crate::{
    chain::{ChainMarket, Endpoint, parse_network},
    context::Context,
    flags::Format,
    terminal::{self, Table, age, plural},
    units::Count,
};

/// Show a chain and the market that is deployed there.
///
/// It checks that the node serves the right chain and that the code at the address is the one that this version was built
/// with, whatever its settings; it ends with exit code 1 when not. So it does with an auction, which must be this market's.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota chain status --rpc http://127.0.0.1:8545 --contract 0x5FbDB2315678afecb367f032d93F642f64180aa3
  lota chain status --rpc https://node.example/rpc/v1 --network filecoin --contract 0x... --json | jq .settings")]
pub(crate) struct Status {
    /// URL of a node's JSON-RPC: http, https, ws or wss; of several, with commas between, the first that works is asked
    #[arg(long, value_name = "URL")]
    rpc: String,
    /// The market's address
    #[arg(long, value_name = "ADDRESS")]
    contract: Address,
    /// The address of an auction beside it [default: none is looked at]
    #[arg(long, value_name = "ADDRESS")]
    auction_contract: Option<Address>,
    /// filecoin, calibration, filecoin-local or development (anvil) [default: what the chain's id says]
    #[arg(long, value_name = "NAME", value_parser = parse_network)]
    network: Option<Network>,
    #[command(flatten)]
    format: Format,
}

/// What is told.
#[derive(Debug, Serialize)]
struct Shown {
    node: String,
    network: &'static str,
    chain_id: u64,
    head: Head,
    finality: String,
    contract: Address,
    settings: SettingsShown,
    /// What amounts are in.
    unit: Asset,
    /// What the contract holds of what jobs are paid in, in its smallest unit.
    holds: AttoFil,
    /// What of it is burned.
    burned: AttoFil,
    /// The auction that was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    auction: Option<AuctionShown>,
}

#[derive(Debug, Serialize)]
struct AuctionShown {
    contract: Address,
    /// The shortest time to reveal bids in, in seconds.
    min_reveal_period: u32,
    holds: AttoFil,
    burned: AttoFil,
}

#[derive(Debug, Serialize)]
struct Head {
    block: u64,
    hash: String,
    time: Timestamp,
}

#[derive(Debug, Serialize)]
struct SettingsShown {
    asset: Address,
    quantum: u64,
    min_window: u32,
    max_callback_gas: u32,
    callback_reserve: u32,
    signature_gas: u32,
}

impl Status {
    pub(crate) async fn run(&self, _context: &Context) -> anyhow::Result<()> {
        let endpoint = Endpoint::connect(&self.rpc, self.network).await?;
        let network = *endpoint.network();
        let market = ChainMarket::find(endpoint, self.contract, 0).await?;
        let market = market.with_auction_at(self.auction_contract).await?;
        let endpoint = market.endpoint();
        let head = endpoint.chain().newest().await.map_err(|error| endpoint.failed(error))?;
        let found = market.settings();
        let auction = match market.auction().map(auction::Auction::reference) {
            Some(reference) => Some(AuctionShown {
                contract: reference.contract,
                min_reveal_period: reference.min_reveal_period,
                holds: holds(&market, reference.contract).await?,
                burned: endpoint.view(reference.contract, &auction::burned(), At::Latest).await?,
            }),
            None => None,
        };
        let shown = Shown {
            node: endpoint.node().to_owned(),
            network: network.name,
            chain_id: network.chain_id,
            head: Head {
                block: head.number(),
                hash: head.hash.to_string(),
                time: Timestamp::from_second(i64::try_from(head.time().0)?)?,
            },
            finality: finality(network.finality),
            contract: market.contract(),
            settings: SettingsShown {
                asset: found.asset,
                quantum: found.quantum,
                min_window: found.min_window,
                max_callback_gas: found.max_callback_gas,
                callback_reserve: found.callback_reserve,
                signature_gas: found.signature_gas,
            },
            unit: market.market().asset().clone(),
            holds: holds(&market, self.contract).await?,
            burned: endpoint.view(self.contract, &bindings::burned(), At::Latest).await?,
            auction,
        };
        if self.format.json {
            return terminal::print_json(&shown);
        }
        let mut table = Table::pairs();
        table.row(["node", &shown.node]);
        table.row(["network", &format!("{} (chain {})", shown.network, shown.chain_id)]);
        let age = age(shown.head.time, Timestamp::now());
        table.row(["newest block", &format!("{}, {age} old", shown.head.block)]);
        table.row(["final", &shown.finality]);
        table.row(["contract", &format!("{}, the code of this version", shown.contract)]);
        settings(&mut table, &found);
        let asset = market.market().asset();
        let held = |holds, burned| format!("{}, {} of it burned", asset.show(holds), asset.show(burned));
        table.row(["holds", &held(shown.holds, shown.burned)]);
        if let Some(auction) = &shown.auction {
            table.row(["auction", &format!("{}, the code of this version", auction.contract)]);
            table.row(["bids are opened", &format!("for {} s at least", auction.min_reveal_period)]);
            table.row(["it holds", &held(auction.holds, auction.burned)]);
        }
        terminal::print(&table.render())
    }
}

/// What a contract has of what the market is paid in.
async fn holds(market: &ChainMarket, contract: Address) -> anyhow::Result<AttoFil> {
    let (endpoint, settings) = (market.endpoint(), market.settings());
    Ok(if settings.is_token() {
        endpoint.view(settings.asset, &token::balance_of(contract), At::Latest).await?
    } else {
        endpoint.money(contract, At::Latest).await?
    })
}

/// Adds a market's settings to a table.
pub(super) fn settings(table: &mut Table, settings: &Settings) {
    let gas = |gas: u32| Count(gas.into()).to_string();
    let asset =
        if settings.is_token() { format!("the token {}", settings.asset) } else { "the chain's coin".to_owned() };
    table.row(["paid in", &asset]);
    table.row(["amounts in", &format!("multiples of {}", Count(settings.quantum))]);
    table.row(["shortest window", &format!("{} s", settings.min_window)]);
    table.row(["gas of a callback", &format!("at most {}", gas(settings.max_callback_gas))]);
    table.row(["gas beside it", &gas(settings.callback_reserve)]);
    table.row(["gas of a wallet", &gas(settings.signature_gas)]);
}

fn finality(finality: Finality) -> String {
    match finality {
        Finality::Depth(0) => "at once".to_owned(),
        Finality::Depth(depth) => format!("under {}", plural(depth, "block")),
        Finality::Safe => "what the node calls safe".to_owned(),
        Finality::Finalized => "what the node calls finalized".to_owned(),
    }
}
