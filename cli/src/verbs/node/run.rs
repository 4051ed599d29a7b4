//! `lota node run`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::Args;
use lota_bridge::{PrivateKeySigner, TransportError, evm::Network, ws::MockClient};
use lota_market::{Address, AttoFil, agent::Pace, money::FIL};
use lota_node::{Node, Parts, executor::DockerRun};

use super::{
    benchmark,
    config::{config, prices, publishers},
    storage,
};
use crate::{
    chain::{ChainError, ChainMarket, Endpoint, default_callback_gas, parse_network},
    context::Context,
    failure::{self, Usage},
    host::{Account, Containers, Engines, Funds, HomeLock, LocalMarket, Signals, Sync},
    keystore::{Keystore, Password},
    settings::{self, Clients},
    terminal::{self, Table},
    units::{Amount, ByteSize, Count, Seconds},
    verbs::job::terms::terms_of,
};

/// The longest pause before a chain's node that does not answer is asked again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Where in its folder a node keeps compiled modules.
pub(super) const MODULES: &str = "modules";
/// What is said when the node has stopped by itself; service managers start it again.
const STOPPED: &str = "the node stopped, because its database cannot be written or read (the log says why); mend that, and start it again: nothing is lost";
/// The longest name of a node.
const MAX_NAME: usize = 64;
/// What a person must know who starts a node without naming a market.
const ALONE: &str = "This node is alone in a market of its own, so nobody will take its jobs and nobody will send it any: \
    `lota devnet` runs a market with providers, --mock URL joins a `lota mock-market`, and --rpc URL --contract ADDRESS joins one on a chain.";

/// Run a provider's or a client's node until Ctrl-C.
///
/// Told to end (Ctrl-C, SIGTERM), it takes no more jobs and finishes those that it has locked first; told again, it ends at once. What
/// is not finished goes on at its next start.
///
/// Without --rpc and --mock, the node has a market of its own, with play money, kept in its folder, in which nobody else takes part. (A node
/// does not run its own jobs: to see jobs run on one machine, use `lota devnet`.) On a chain, it acts with a key of the keystore:
/// its account pays for gas, and its money in the market (`lota wallet deposit`) pays for jobs and serves as collateral.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota node benchmark --cost-per-hour '0.05 FIL'
  lota node run --name laptop --min-price '0.002 FIL' --slots 2
  LOTA_PASSWORD=... lota node run --key trading --client-only
  lota node run --name laptop --mock ws://127.0.0.1:8646
  lota node run --key trading --rpc ws://127.0.0.1:8545 --contract 0x5FbDB2315678afecb367f032d93F642f64180aa3")]
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
    /// The chain that its market is on: URL of the JSON-RPC of one of its nodes, http, https, ws or wss; of several, with commas or
    /// repeated, the first that works is asked, and the others see that it says the truth
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    rpc: Vec<String>,
    /// The mock of the contracts that its market is (`lota mock-market`), instead of a chain: ws://HOST:PORT
    #[arg(long, value_name = "URL", conflicts_with_all = ["rpc", "contract", "auction_contract", "network"])]
    mock: Option<String>,
    /// Address of the market's contract there
    #[arg(long, value_name = "ADDRESS")]
    contract: Option<String>,
    /// Address of an auction's contract beside the market: it bids there, and its jobs can be auctioned [default: none]
    #[arg(long, value_name = "ADDRESS")]
    auction_contract: Option<String>,
    /// filecoin, calibration, filecoin-local or development (anvil) [default: what the chain's id says]
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
    /// Read the chain from this block on, that of the contract's deployment [default: 0]
    #[arg(long, value_name = "BLOCK")]
    from_block: Option<Count>,
    /// Ask for jobs only; run none for others
    #[arg(long)]
    client_only: bool,
    /// The least it asks for a job; what the job may use comes on top [default: 0.001 FIL]
    #[arg(long, value_name = "AMOUNT")]
    min_price: Option<Amount>,
    /// What it adds to what a job costs it, in percent [default: what `lota node benchmark` was told, or 0]
    #[arg(long, value_name = "PERCENT")]
    margin: Option<u32>,
    /// How many jobs it runs at once [default: one for each processor]
    #[arg(long, value_name = "COUNT")]
    slots: Option<u32>,
    /// The most gas of a client's callback that it accepts [default: 1,000,000; on Filecoin's networks 100,000,000]
    #[arg(long, value_name = "GAS")]
    max_callback_gas: Option<Count>,
    /// The longest windows of a job that it accepts: so long its collateral may lie [default: 1d]
    #[arg(long, value_name = "TIME")]
    max_window: Option<Seconds>,
    /// How long it finishes jobs that it has locked when it is told to end, before it leaves them for its next start; 0: not at all
    /// [default: 10m]
    #[arg(long, value_name = "TIME")]
    drain_for: Option<Seconds>,
    /// Where it serves content [default: 127.0.0.1:0, any free port]
    #[arg(long, value_name = "ADDRESS")]
    gateway: Option<String>,
    /// URL at which others reach what it serves [default: http:// and where it serves]
    #[arg(long, value_name = "URL")]
    gateway_url: Option<String>,
    /// Fetch from private addresses, too [default: only if the market's chain is on this machine]
    #[arg(long, value_name = "YES", num_args = 0..=1, default_missing_value = "true")]
    private_addresses: Option<bool>,
    /// Contracts whose overdue jobs it ends, and whose failed callbacks it retries; it pays the gas: addresses with commas
    /// between, or `everybody`
    #[arg(long, value_name = "CLIENTS")]
    look_after: Option<Clients>,
    /// Where it listens for this command line; loopback only [default: 127.0.0.1:0, any free port]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where it serves metrics for Prometheus and tells of its health, to everybody who can reach the address [default: nowhere]
    #[arg(long, value_name = "ADDRESS")]
    monitoring: Option<String>,
    /// The most it keeps in its block store [default: 10 GiB]
    #[arg(long, value_name = "SIZE")]
    store_capacity: Option<ByteSize>,
}

impl Run {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let provider = self.client_only.then_some(false);
        let rpc = (!self.rpc.is_empty()).then(|| self.rpc.join(","));
        let settings = context
            .layers
            .clone()
            .flag("--name", "node.name", self.name.as_ref())
            .flag("--key", "node.key", self.key.as_ref())
            .flag("--rpc", "node.rpc", rpc.as_ref())
            .flag("--mock", "node.mock", self.mock.as_ref())
            .flag("--contract", "node.contract", self.contract.as_ref())
            .flag("--auction-contract", "node.auction_contract", self.auction_contract.as_ref())
            .flag("--network", "node.network", self.network.as_ref())
            .flag("--from-block", "node.from_block", self.from_block.as_ref())
            .flag("--client-only", "node.provider", provider.as_ref())
            .flag("--min-price", "node.min_price", self.min_price.as_ref())
            .flag("--margin", "node.margin", self.margin.as_ref())
            .flag("--slots", "node.slots", self.slots.as_ref())
            .flag("--max-callback-gas", "node.max_callback_gas", self.max_callback_gas.as_ref())
            .flag("--max-window", "node.max_window", self.max_window.as_ref())
            .flag("--drain-for", "node.drain_for", self.drain_for.as_ref())
            .flag("--gateway", "node.gateway", self.gateway.as_ref())
            .flag("--gateway-url", "node.gateway_url", self.gateway_url.as_ref())
            .flag("--private-addresses", "node.private_addresses", self.private_addresses.as_ref())
            .flag("--look-after", "node.look_after", self.look_after.as_ref())
            .flag("--listen", "node.listen", self.listen.as_ref())
            .flag("--monitoring", "node.monitoring", self.monitoring.as_ref())
            .flag("--store-capacity", "node.store_capacity", self.store_capacity.as_ref())
            .settings()?;
        let mut config = config(context, &settings)?;
        let publishers = publishers(&settings.node)?;
        let place = place(&settings.node)?;
        let lock = HomeLock::take(&context.home)?;
        let signer = self.signer(context, &settings.node, &config.dir).await?;
        if let Some(offer) = &mut config.provider {
            benchmark::take_up(offer, &config.dir);
        }
        let mut signals = Signals::listen()?;
        let Joined { market, network, is_alone, account } = tokio::select! {
            joined = Joined::patiently(signer, &settings.node, place, &config.dir) => joined?,
            _ = signals.next() => return Ok(()),
        };
        if let (Some(offer), Some(network), None) = (&mut config.provider, network, settings.node.max_callback_gas) {
            offer.max_callback_gas = default_callback_gas(&network);
        }
        // What amounts are in, and so what they are, the market says.
        let (transport, quantum) = (account.transport(), account.transport().market().settings.quantum);
        let asset = transport.asset();
        config.terms = terms_of(&settings.job, &asset)?;
        config.provider = config.provider.map(|offer| offer.in_asset(&asset, quantum));
        if let Some(offer) = &mut config.provider {
            offer.pricing = prices(&settings.node, offer.pricing, &asset)?;
        }
        config.pace = network.map(|network| pace_of(&network, settings.node.final_blocks.map(|blocks| blocks.0)));
        let public = network.is_some_and(|network| network.is_public());
        config.allow_private_addresses = settings.node.private_addresses.unwrap_or(!public);
        let mut parts = Parts::new(account.transport());
        if let Some(offer) = &mut config.provider {
            parts.executors = Engines::start(&config.dir.join(MODULES))?.executors(offer.slots);
            parts.publishers = publishers;
            let mut containers = Containers::new(settings.node.docker.clone());
            if let Some(docker) = containers.executor(&config.dir, offer.slots).await {
                parts.executors = parts.executors.with(DockerRun::ENGINE, Arc::new(docker));
            }
            if let Some(problem) = containers.problem() {
                terminal::tell(&problem);
            }
            offer.engines = parts.executors.engines().map(str::to_owned).collect();
        }
        let node = Node::start(config, parts).await?;
        if public && !storage::is_reachable(&settings.node) {
            terminal::tell(&format!(
                "Nobody else can reach {}, so what this node adds and computes cannot be fetched; name an address with --gateway, and its URL with --gateway-url",
                node.gateway()
            ));
        }
        let warning = settings.node.key.as_deref().and_then(|name| Keystore::of(&context.home).warning(name));
        if let Some(warning) = warning.filter(|_| public) {
            terminal::tell(&warning);
        }
        let api = node.api().clone();
        context.home.write_api_file(&api)?;
        let mut table = Table::pairs();
        table.row(["node", &settings.node.name]);
        table.row(["account", &account.address().to_string()]);
        table.row(["gateway", node.gateway()]);
        table.row(["market", &market]);
        if let Some(address) = node.monitoring() {
            table.row(["monitoring", &format!("http://{address}")]);
        }
        if let Some(auction) = transport.auction().filter(|_| !is_alone) {
            table.row(["auction", &auction.contract.to_string()]);
        }
        if let Some(deals) = transport.filecoin_pay_deals() {
            table.row(["Filecoin Pay orders", &deals.contract.to_string()]);
        }
        if is_alone {
            terminal::tell(ALONE);
        }
        let mut ended = terminal::print(&table.render());
        if ended.is_ok() {
            let told_to_end = async {
                signals.next().await;
                finish(&node, settings.node.drain_for, &mut signals).await;
            };
            tokio::select! {
                () = told_to_end => {}
                () = node.stopped() => ended = Err(anyhow::anyhow!(STOPPED)),
            }
        }
        context.home.remove_api_file(&api);
        terminal::tell("Ending.");
        node.shutdown().await;
        drop(lock);
        ended
    }

    /// The key of the account.
    async fn signer(&self, context: &Context, node: &settings::Node, dir: &Path) -> anyhow::Result<PrivateKeySigner> {
        match &node.key {
            Some(name) => {
                let password = Password::from(self.password_file.clone()).ask(name)?;
                let (keystore, name) = (Keystore::of(&context.home), name.clone());
                tokio::task::spawn_blocking(move || keystore.open(&name, &password)).await?
            }
            None => Account::play_key(&dir.join("key")),
        }
    }
}

impl Joined {
    /// The account on the market, as soon as the chain's node answers.
    async fn patiently(
        signer: PrivateKeySigner,
        node: &settings::Node,
        place: Option<Place<'_>>,
        dir: &Path,
    ) -> anyhow::Result<Self> {
        let mut pause = Duration::from_secs(1);
        loop {
            let error = match Self::at(signer.clone(), node, place, dir).await {
                Err(error) if is_away(&error) => error,
                other => return other,
            };
            if pause == Duration::from_secs(1) {
                terminal::tell(&format!("{}; trying again until it answers (Ctrl-C ends it)", failure::line(&error)));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The account on the market.
    async fn at(
        signer: PrivateKeySigner,
        node: &settings::Node,
        place: Option<Place<'_>>,
        dir: &Path,
    ) -> anyhow::Result<Self> {
        if let Some(Place { url, contract, auction, filecoin_pay, network }) = place {
            let endpoint = Endpoint::connect(url, network).await?;
            let market = ChainMarket::find(endpoint, contract, node.from_block.0).await?;
            let market = market.with_auction_at(auction).await?.with_filecoin_pay_deals_at(filecoin_pay).await?;
            let account = Account::on_chain(&market, signer, dir, node.max_retry_gas.map(|gas| gas.0)).await?;
            let network = *market.endpoint().network();
            let described = format!("{contract} on {} (chain {})", network.name, network.chain_id);
            return Ok(Self { market: described, network: Some(network), is_alone: false, account });
        }
        let funds = Funds { market: AttoFil(100 * FIL), wallet: AttoFil(900 * FIL) };
        if let Some(url) = &node.mock {
            let client = MockClient::connect(url).await?;
            let account = Account::at_mock(&client, signer);
            account.fund_at_mock(&client, funds).await?;
            let described =
                format!("the mock at {} (chain {})", terminal::printable(url), client.info().market.chain_id);
            return Ok(Self { market: described, network: None, is_alone: false, account });
        }
        let folder = dir.join("market");
        let market = tokio::task::spawn_blocking(move || LocalMarket::open(&folder, Sync::Always)).await??;
        let account = Account::of(&market, signer);
        account.fund(&market, funds).await?;
        let described = format!("its own, with play money (chain {})", market.chain.market().chain_id);
        Ok(Self { market: described, network: None, is_alone: true, account })
    }
}

/// Has a node finish what it has locked, for so long at most, unless another signal comes. Whatever is left it takes up at its next
/// start, if that is soon enough.
async fn finish(node: &Node, at_most: Seconds, signals: &mut Signals) {
    if at_most.0 == 0 {
        return;
    }
    let finished = async {
        let jobs = node.drain().await;
        if jobs > 0 {
            terminal::tell(&format!(
                "Finishing {} that {} locked, for {at_most} at most; another signal ends the node at once.",
                terminal::plural(jobs as u64, "job"),
                if jobs == 1 { "is" } else { "are" }
            ));
        }
        node.drained().await;
    };
    tokio::select! {
        result = tokio::time::timeout(at_most.duration(), finished) => {
            if result.is_err() {
                terminal::tell("Not everything is finished: the rest goes on at the next start, and must end before its deadline.");
            }
        }
        _ = signals.next() => {}
    }
}

/// How time passes on a network.
pub(crate) fn pace_of(network: &Network, final_blocks: Option<u64>) -> Pace {
    if network.block_time.is_zero() {
        return Pace::INSTANT;
    }
    let usual = Pace::FILECOIN;
    let final_blocks = final_blocks.unwrap_or(usual.final_blocks);
    Pace { epoch: network.block_time.as_secs(), final_blocks, ..usual }
}

/// An account on a market.
struct Joined {
    /// The market in words.
    market: String,
    /// The chain's network; none: there is no chain.
    network: Option<Network>,
    /// Whether nobody else takes part.
    is_alone: bool,
    account: Account,
}

/// Whether the chain's node may answer later. One that refuses may be starting itself, or be confused for a while, as it may be later,
/// when that ends no daemon either.
fn is_away(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(ChainError::Down { .. } | ChainError::Refused { .. }))
        || error.downcast_ref().is_some_and(TransportError::is_temporary)
}

/// A market on a chain, as it was named.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) url: &'a str,
    pub(super) contract: Address,
    auction: Option<Address>,
    filecoin_pay: Option<Address>,
    pub(super) network: Option<Network>,
}

/// The market on a chain that the settings name; none: the node has one of its own.
pub(super) fn place(node: &settings::Node) -> Result<Option<Place<'_>>, Usage> {
    if node.mock.is_some() && node.rpc.is_some() {
        return Err(Usage(
            "settings `node.mock` and `node.rpc` name two markets; a node is on one: leave one of them out".to_owned(),
        ));
    }
    let Some(url) = &node.rpc else {
        let alone = [
            ("contract", &node.contract),
            ("auction_contract", &node.auction_contract),
            ("filecoin_pay.contract", &node.filecoin_pay.contract),
            ("network", &node.network),
        ]
        .into_iter()
        .find(|(_, value)| value.is_some());
        return match alone {
            Some((name, _)) => Err(Usage(format!("setting `node.{name}` says nothing without `node.rpc` (--rpc URL)"))),
            None => Ok(None),
        };
    };
    let Some(contract) = &node.contract else {
        return Err(Usage(
            "a node on a chain needs the address of the market's contract: --contract ADDRESS (`lota chain deploy` makes one)"
                .to_owned(),
        ));
    };
    let address_of = |key: &str, text: &str| {
        text.parse().map_err(|_| {
            let shown = terminal::printable(text);
            Usage(format!("setting `{key}`: `{shown}` is no address; write 0x and 40 hex digits"))
        })
    };
    let contract = address_of("node.contract", contract)?;
    let auction = node.auction_contract.as_deref().map(|text| address_of("node.auction_contract", text)).transpose()?;
    let filecoin_pay = &node.filecoin_pay;
    let address = filecoin_pay.contract.as_deref().map(|text| address_of("node.filecoin_pay.contract", text));
    let filecoin_pay_contract = address.transpose()?;
    if filecoin_pay.rate.is_some() && filecoin_pay_contract.is_none() {
        return Err(Usage(
            "setting `node.filecoin_pay.rate` says nothing without `node.filecoin_pay.contract`".to_owned(),
        ));
    }
    let network =
        match &node.network {
            None => None,
            Some(name) => Some(parse_network(name).map_err(|problem| {
                Usage(format!("setting `node.network`: `{}`: {problem}", terminal::printable(name)))
            })?),
        };
    if node.key.is_none() {
        return Err(Usage(
            "a node on a chain acts with a key of the keystore: --key NAME (`lota wallet new NAME` makes one)"
                .to_owned(),
        ));
    }
    Ok(Some(Place { url, contract, auction, filecoin_pay: filecoin_pay_contract, network }))
}

/// Whether this may be the name of a node: it is that of a folder, too.
pub(super) fn check_name(name: &str) -> Result<(), Usage> {
    let ok = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(ok) {
        return Err(Usage(format!(
            "`{}` cannot name a node; take 1 to {MAX_NAME} letters, digits, `-` or `_`",
            terminal::printable(name)
        )));
    }
    Ok(())
}
