//! `lota devnet`.

mod notaries;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use clap::Args;
use lota_api::ApiFile;
use lota_market::{
    AttoFil,
    agent::{LookAfter, Offer, Pricing},
    money::FIL,
};
use lota_node::{
    Node, NodeConfig, Parts,
    executor::{DockerRun, Executors},
};

use crate::{
    chain::{GranterKind, PaidIn, USUAL_PORT},
    context::Context,
    failure::Usage,
    home::Home,
    host::{Account, Containers, Engines, Funds, Ground, HomeLock, MOCK_PORT, Venue, ended_by_user},
    settings::{self, Settings},
    terminal::{self, Column, Progress, Table, bold, plural},
    verbs::notary::register_on_development_chain,
};
use notaries::{Notaries, NotariesPlace};

/// The most providers: each is a whole node with a database and a gateway of its own.
const MAX_PROVIDERS: u32 = 32;
/// The node that the other verbs speak to.
const CLIENT: &str = "client";

/// Run a market with several providers on this machine, until Ctrl-C.
///
/// A client's node, providers' nodes and the market they meet on run in this process; bytes move between the nodes over HTTP.
/// The other verbs then work from another terminal, with no further settings. What happened is kept for the next start, in
/// `devnet/` of the home (`devnet-mock/` with `--chain mock`, `devnet-anvil/` with `--chain anvil`, `devnet-anvil-usd/` if its jobs are
/// paid in dollars).
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota devnet --providers 5
  lota devnet --chain mock      # nodes reach the market by a websocket; others can join it
  lota devnet --chain anvil     # on a real chain: needs Foundry's anvil
  lota devnet --chain anvil --asset usd
  lota devnet --fil-plus        # with notaries, their page and a FIL+ registry; on Anvil
  lota job list                 # in another terminal")]
pub(crate) struct Devnet {
    /// How many providers [default: 3]
    #[arg(long, value_name = "COUNT")]
    providers: Option<u32>,
    /// What the market runs on [default: memory; with --fil-plus anvil]
    #[arg(long, value_name = "CHAIN", value_enum)]
    chain: Option<Ground>,
    /// What jobs are paid in; dollars need `--chain anvil`
    #[arg(long, value_name = "ASSET", value_enum, default_value_t)]
    asset: PaidIn,
    /// With notaries who bless jobs (opened with --bless), the page of their service, and a registry of FIL+ data
    #[arg(long)]
    fil_plus: bool,
    /// How the notaries reward providers [default: filecoin-pay, or what the devnet was begun with]
    #[arg(long, value_name = "GRANTER", value_enum, requires = "fil_plus")]
    granter: Option<GranterKind>,
    /// Begin anew: forget what happened before
    #[arg(long)]
    reset: bool,
}

/// One node of the devnet.
struct Running {
    name: String,
    account: Account,
    node: Node,
}

impl Devnet {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let settings =
            context.layers.clone().flag("--providers", "devnet.providers", self.providers.as_ref()).settings()?;
        let providers = settings.devnet.providers;
        if providers > MAX_PROVIDERS {
            return Err(Usage(format!("{providers} providers are too many; at most {MAX_PROVIDERS}")).into());
        }
        let ground = match (self.chain, self.fil_plus) {
            (Some(Ground::Memory | Ground::Mock), true) => {
                let text = "notaries need a chain with contracts: say `--fil-plus --chain anvil`, or leave --chain out";
                return Err(Usage(text.to_owned()).into());
            }
            (ground, true) => ground.unwrap_or(Ground::Anvil),
            (ground, false) => ground.unwrap_or_default(),
        };
        let folder = match (ground, self.asset) {
            (Ground::Memory, PaidIn::Coin) => context.home.devnet(),
            (Ground::Anvil, PaidIn::Coin) => context.home.devnet_on_anvil(),
            (Ground::Anvil, PaidIn::Usd) => context.home.devnet_in_dollars(),
            (Ground::Mock, PaidIn::Coin) => context.home.devnet_on_mock(),
            (Ground::Memory | Ground::Mock, PaidIn::Usd) => {
                return Err(Usage("tokens need a chain: say `--chain anvil --asset usd`".to_owned()).into());
            }
        };
        let lock = HomeLock::take(&context.home)?;
        if self.reset {
            forget(&folder)?;
        }
        let ended = ended_by_user();
        let mut ended = std::pin::pin!(ended);
        let progress = Progress::start(false);
        progress.say("starting the market and its nodes");
        let port = if ground == Ground::Mock { MOCK_PORT } else { USUAL_PORT };
        let venue = tokio::select! {
            venue = Venue::open(ground, self.asset, &folder, port) => venue?,
            signal = &mut ended => return signal,
        };
        let begun = async {
            let place =
                if self.fil_plus { Some(NotariesPlace::open(&venue, &folder, self.granter).await?) } else { None };
            let nodes = start(&venue, &folder, &settings, place.as_ref()).await?;
            let notaries = match place {
                Some(place) => Some(Notaries::start(place, &venue, &folder).await?),
                None => None,
            };
            anyhow::Ok((nodes, notaries))
        };
        let nodes = tokio::select! {
            nodes = begun => nodes,
            signal = &mut ended => {
                venue.end().await?;
                return signal;
            }
        };
        let (nodes, mut notaries) = match nodes {
            Ok(begun) => begun,
            Err(error) => {
                venue.end().await?;
                return Err(error);
            }
        };
        let served = serve(context, &venue, &folder, &nodes, notaries.as_mut(), &progress, ended).await;
        terminal::tell("Ending.");
        if let Some(notaries) = notaries {
            notaries.end().await?;
        }
        for running in nodes {
            running.node.shutdown().await;
        }
        venue.end().await?;
        drop(lock);
        served
    }
}

/// Says where everything is, and waits for the end.
async fn serve(
    context: &Context,
    venue: &Venue,
    folder: &Path,
    nodes: &[Running],
    notaries: Option<&mut Notaries>,
    progress: &Progress,
    ended: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let Some(client) = nodes.first() else { bail!("the devnet has no nodes") };
    let api = client.node.api().clone();
    context.home.write_api_file(&api)?;
    // Who wants to speak to a provider names its folder as the home.
    let homes = providers(folder, nodes)?;
    for (home, api) in &homes {
        home.write_api_file(api)?;
    }
    progress.finish();
    let served = match show(&context.home, folder, venue, nodes, notaries.as_deref()).await {
        Ok(()) => tokio::select! {
            signal = ended => signal,
            () = venue.ended() => Err(anyhow::anyhow!("Anvil has ended, and without it there is no market")),
            error = notaries::ended(notaries) => Err(error),
        },
        Err(error) => Err(error),
    };
    context.home.remove_api_file(&api);
    for (home, api) in &homes {
        home.remove_api_file(api);
    }
    served
}

/// The providers' own homes, and where these listen.
fn providers(folder: &Path, nodes: &[Running]) -> anyhow::Result<Vec<(Home, ApiFile)>> {
    let home = |running: &Running| Ok((Home::find(Some(node_dir(folder, &running.name)))?, running.node.api().clone()));
    nodes.iter().skip(1).map(home).collect()
}

/// The folder of a node.
fn node_dir(folder: &Path, name: &str) -> PathBuf {
    folder.join("nodes").join(name)
}

/// Starts all nodes, the client's first.
async fn start(
    venue: &Venue,
    folder: &Path,
    settings: &Settings,
    place: Option<&NotariesPlace>,
) -> anyhow::Result<Vec<Running>> {
    let mut containers = Containers::new(settings.node.docker.clone());
    let settings = &settings.devnet;
    let engines = Engines::start(&folder.join("modules"))?;
    let mut nodes = vec![start_node(venue, folder, CLIENT.to_owned(), None, settings, None).await?];
    for number in 1..=settings.providers {
        let (asset, quantum) = venue.asset();
        let mut offer = offer(number).in_asset(&asset, quantum);
        let name = format!("provider-{number}");
        let mut executors = engines.executors(offer.slots);
        if let Some(docker) = containers.executor(&node_dir(folder, &name), offer.slots).await {
            executors = executors.with(DockerRun::ENGINE, Arc::new(docker));
        }
        offer.engines = executors.engines().map(str::to_owned).collect();
        nodes.push(start_node(venue, folder, name, Some((executors, offer)), settings, place).await?);
    }
    Ok(nodes)
}

async fn start_node(
    venue: &Venue,
    folder: &Path,
    name: String,
    provider: Option<(Executors, Offer)>,
    settings: &settings::Devnet,
    place: Option<&NotariesPlace>,
) -> anyhow::Result<Running> {
    let dir = node_dir(folder, &name);
    let funds = Funds { market: AttoFil(100 * FIL), wallet: AttoFil(900 * FIL) };
    let account = venue.join(Account::play_key(&dir.join("key"))?, &dir, funds).await?;
    if let Some(place) = place {
        register_on_development_chain(&place.blessing, &account).await?;
    }
    // Contracts are asleep until somebody calls them: on a devnet the client's node does.
    let look_after = if provider.is_none() { LookAfter::Everybody } else { LookAfter::Nobody };
    let (executors, offer) = provider.unzip();
    let parts = Parts::new(account.transport()).with_executors(executors.unwrap_or_default());
    let config = NodeConfig {
        provider: offer,
        look_after,
        allow_private_addresses: true,
        http_urls: true,
        store_capacity: settings.store_capacity.0,
        keep_for: settings.keep_for.0,
        ..NodeConfig::new(name.clone(), dir)
    };
    let node = Node::start(config, parts).await.with_context(|| format!("node {name} did not start"))?;
    Ok(Running { name, account, node })
}

/// What provider `number` (from 1) offers: each asks a quarter of the first one's price more than the one before.
fn offer(number: u32) -> Offer {
    let raised = |price: AttoFil| AttoFil(price.0 + price.0 / 4 * u128::from(number - 1));
    let pricing = Pricing::default().map(raised);
    Offer { pricing, ..Offer::default() }
}

/// Removes the devnet's folder.
fn forget(folder: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

async fn show(
    home: &Home,
    folder: &Path,
    venue: &Venue,
    nodes: &[Running],
    notaries: Option<&Notaries>,
) -> anyhow::Result<()> {
    let providers = nodes.len().saturating_sub(1) as u64;
    let mut text =
        format!("{} with a client and {}, in {}\n\n", bold("Devnet"), plural(providers, "provider"), folder.display());
    if let Some(chain) = venue.describe() {
        text.push_str(&format!("{chain}\n\n"));
    }
    let mut table = Table::new([Column::Left, Column::Left, Column::Right, Column::Left])
        .heading(&["NODE", "ACCOUNT", "IN THE MARKET", "GATEWAY"])
        .indent(2);
    for running in nodes {
        let balance = running.account.transport().balance(running.account.address()).await?;
        table.row([
            running.name.clone(),
            running.account.address().to_string(),
            venue.asset().0.show(balance),
            running.node.gateway().to_owned(),
        ]);
    }
    text.push_str(&table.render());
    let env = if Home::find(None).is_ok_and(|default| default.path() == home.path()) {
        String::new()
    } else {
        format!("LOTA_HOME={} ", home.path().display())
    };
    let bless = if notaries.is_some() { " --bless" } else { "" };
    text.push_str(&format!(
        "\nIn another terminal:\n  \
         {env}lota demo --files lota-demo\n  \
         {env}lota wasm run lota-demo/wordcount.wasm -i lota-demo/texts{bless} --output-dir counts\n  \
         {env}lota job list\n"
    ));
    if let Some(notaries) = notaries {
        text.push_str(&notaries.told());
    }
    if let Some(provider) = nodes.get(1) {
        let home = node_dir(folder, &provider.name);
        text.push_str(&format!("\nOf a provider's own daemon:\n  lota --home {} node show\n", home.display()));
    }
    if let Some(variables) = venue.variables() {
        text.push_str(&format!("\nFor forge and cast:\n  {variables}\n"));
    }
    text.push_str("\nCtrl-C ends it; what happened is kept for the next start.\n");
    terminal::print(&text)
}
