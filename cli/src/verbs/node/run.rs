//! `lota node run`.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use lota_market::{
    AttoFil,
    agent::{Offer, Pricing},
    money::FIL,
};
use lota_node::{Node, NodeConfig, ProviderConfig};

use crate::{
    context::Context,
    failure::Usage,
    host::{Account, Funds, HomeLock, LocalMarket, Sync, ended_by_user},
    keystore::{Keystore, Password},
    settings::{self, Settings},
    terminal::{self, Table},
    units::{Amount, ByteSize},
    verbs::job::terms::terms_of,
};

/// The longest name of a node.
const MAX_NAME: usize = 64;

/// Run a node of a provider or client until Ctrl-C.
///
/// Without a chain the node has a market of its own, with play money, kept in its folder. (A node does not run its own jobs:
/// to see jobs run on one machine, use `lota devnet`.)
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota node run --name laptop --min-price '0.002 FIL' --slots 2
  LOTA_PASSWORD=... lota node run --key trading --client-only")]
pub(crate) struct Run {
    /// Its name: the folder under `nodes/` of the home [default: main]
    #[arg(long)]
    name: Option<String>,
    /// The key in the keystore that it acts with [default: one of its own, for play money]
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// Take the key's password from the first line of this file instead of LOTA_PASSWORD or a prompt
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// URL of the chain that its market is on
    #[arg(long, value_name = "URL")]
    chain: Option<String>,
    /// Ask for jobs only; run none for others
    #[arg(long)]
    client_only: bool,
    /// The least it asks for a job [default: 0.001 FIL]
    #[arg(long, value_name = "AMOUNT")]
    min_price: Option<Amount>,
    /// How many jobs it runs at once [default: 4]
    #[arg(long, value_name = "COUNT")]
    slots: Option<u32>,
    /// Where it serves content [default: 127.0.0.1:0, any free port]
    #[arg(long, value_name = "ADDRESS")]
    gateway: Option<String>,
    /// Where it listens for this command line; loopback only [default: 127.0.0.1:0, any free port]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// The most it keeps in its block store [default: 10 GiB]
    #[arg(long, value_name = "SIZE")]
    store_capacity: Option<ByteSize>,
}

impl Run {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let provider = self.client_only.then_some(false);
        let settings = context
            .layers
            .clone()
            .flag("--name", "node.name", self.name.as_ref())
            .flag("--key", "node.key", self.key.as_ref())
            .flag("--chain", "node.chain", self.chain.as_ref())
            .flag("--client-only", "node.provider", provider.as_ref())
            .flag("--min-price", "node.min_price", self.min_price.as_ref())
            .flag("--slots", "node.slots", self.slots.as_ref())
            .flag("--gateway", "node.gateway", self.gateway.as_ref())
            .flag("--listen", "node.listen", self.listen.as_ref())
            .flag("--store-capacity", "node.store_capacity", self.store_capacity.as_ref())
            .settings()?;
        let config = config(context, &settings)?;
        let lock = HomeLock::take(&context.home)?;
        let (market, account) = self.connect(context, &settings.node, &config).await?;
        let node = Node::start(config, account.transport()).await?;
        let api = node.api().clone();
        context.home.write_api_file(&api)?;
        let mut table = Table::pairs();
        table.row(["node", &settings.node.name]);
        table.row(["account", &account.address().to_string()]);
        table.row(["gateway", node.gateway()]);
        table.row(["market", &format!("its own, with play money (chain {})", market.chain.market().chain_id)]);
        let ended = match terminal::print(&table.render()) {
            Ok(()) => ended_by_user().await,
            Err(error) => Err(error),
        };
        context.home.remove_api_file(&api);
        terminal::tell("Ending.");
        node.shutdown().await;
        drop(lock);
        ended
    }

    /// The market, and the account on it.
    async fn connect(
        &self,
        context: &Context,
        node: &settings::Node,
        config: &NodeConfig,
    ) -> anyhow::Result<(LocalMarket, Account)> {
        if let Some(chain) = &node.chain {
            return Err(Usage(format!(
                "setting `node.chain` is {chain}, but this version reaches no chain yet; leave it out for a market of the node's own"
            ))
            .into());
        }
        let signer = match &node.key {
            Some(name) => {
                let password = Password::from(self.password_file.clone()).ask(name)?;
                let (keystore, name) = (Keystore::of(&context.home), name.clone());
                tokio::task::spawn_blocking(move || keystore.open(&name, &password)).await??
            }
            None => Account::play_key(&config.dir.join("key"))?,
        };
        let folder = config.dir.join("market");
        let market = tokio::task::spawn_blocking(move || LocalMarket::open(&folder, Sync::Always)).await??;
        let account = Account::of(&market, signer);
        account.fund(&market, Funds { market: AttoFil(100 * FIL), wallet: AttoFil(900 * FIL) }).await?;
        Ok((market, account))
    }
}

/// The node's configuration.
fn config(context: &Context, settings: &Settings) -> anyhow::Result<NodeConfig> {
    let node = &settings.node;
    let ok = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if node.name.is_empty() || node.name.len() > MAX_NAME || !node.name.chars().all(ok) {
        return Err(Usage(format!(
            "`{}` cannot name a node; take 1 to {MAX_NAME} letters, digits, `-` or `_`",
            terminal::printable(&node.name)
        ))
        .into());
    }
    let pricing = Pricing::default();
    let offer = Offer { pricing: Pricing { base: node.min_price.0, ..pricing }, slots: node.slots, ..Offer::default() };
    Ok(NodeConfig {
        provider: node.provider.then(|| ProviderConfig { offer, ..ProviderConfig::default() }),
        terms: terms_of(&settings.job)?,
        gateway: address("node.gateway", &node.gateway)?,
        api: address("node.listen", &node.listen)?,
        store_capacity: node.store_capacity.0,
        allow_private_addresses: true,
        ..NodeConfig::new(node.name.clone(), context.home.node(&node.name))
    })
}

fn address(key: &str, text: &str) -> anyhow::Result<SocketAddr> {
    text.parse().map_err(|_| {
        Usage(format!("setting `{key}`: `{text}` is not an address; write for example 127.0.0.1:4001")).into()
    })
}
