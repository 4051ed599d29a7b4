//! A running node: its parts, started and stopped together.

use std::{
    fs::{File, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
    time::Duration,
};

use lota_api::ApiFile;
use lota_bridge::{AuctionRef, MarketRef, Transport, TransportError, evm::Network};
use lota_content::{StoreOptions, serve::serve};
use lota_market::{
    Address, AttoFil,
    agent::{Agent, Auctioneer, Job, Offer, Pace, PayVenue, PurseRecord, Rate, Resources, Specs},
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    activity::Activity,
    announcer::Announcer,
    api::{self, Api},
    benchmark,
    collecting::{self, Collector, GasIn, Reasons},
    config::NodeConfig,
    decisions::Decisions,
    directories::Directories,
    effects::{self, Performer},
    engines,
    event_loop::{self, EventLoop, PURSE, PURSE_HELD},
    executor::{Executors, WasmRun},
    fetch::{Downloader, Fetchers},
    gateways,
    health::Health,
    inbox::{Inbox, Message},
    local_steps::{self, LocalSteps},
    metrics::{Metrics, Sources},
    monitoring::{self, Monitored},
    observe,
    offers::{Offers, Published},
    order::Orders,
    public::{self, Public},
    publisher::Publisher,
    publishing::Publishing,
    resources::Capacity,
    salts::Salts,
    serving,
    store::{Store, StoreError},
    transfers::Transfers,
};

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another process uses its folder.
    #[error("{dir} is in use by another lota process{holder}; stop that one first, or use another $LOTA_HOME")]
    InUse {
        dir: PathBuf,
        /// ` (pid N)`, or nothing.
        holder: String,
    },
    /// Its folder cannot be used.
    #[error("{path} cannot be used: {source}")]
    Folder { path: PathBuf, source: std::io::Error },
    /// An address cannot be listened on.
    #[error("nothing can listen on {address}: {source}; choose another port")]
    Listen { address: SocketAddr, source: std::io::Error },
    /// The API is to listen on an address that others can reach.
    #[error("the API cannot listen on {0}: it serves loopback only (127.0.0.1 or [::1])")]
    NotLoopback(SocketAddr),
    /// Its folder holds the records of another market.
    #[error(
        "{dir} holds the records of a node on the market {before} (chain {before_chain}), not on {now} (chain {now_chain}); give the node another name, or remove the folder"
    )]
    OtherMarket {
        dir: PathBuf,
        /// The market's contract at that time.
        before: Address,
        /// Its chain's id.
        before_chain: u64,
        /// The contract now.
        now: Address,
        /// Its chain's id.
        now_chain: u64,
    },
    /// It has money in an auction that it is not to use any more.
    #[error(
        "{bids} of this node's bids in the auction {auction} are not over, and what it has there would be lost; start it with that auction (--auction-contract {auction}) until they are"
    )]
    AbandonedBids {
        auction: Address,
        /// How many.
        bids: usize,
    },
    /// Its account in an auction that it is not to use any more may hold money.
    #[error(
        "{} in this node's account in {}, which it is not started with; start it with that one and without bids (--auction-contract {}, and node.bids = false) until it has taken it back",
        .held.as_ref().map_or_else(|| "an amount that is not known may lie".to_owned(), |held| format!("{held} may lie")),
        .auction.map_or_else(|| "the auction that it used before".to_owned(), |auction| format!("the auction {auction}")),
        .auction.map_or_else(|| "ADDRESS".to_owned(), |auction| auction.to_string()),
    )]
    AbandonedMoney {
        /// `None`: the record is of a version that did not write it down.
        auction: Option<Address>,
        /// In the market's asset, when nothing was on its way; `None`: not known.
        held: Option<String>,
    },
    /// What is said of the token of orders cannot be reckoned with.
    #[error("orders are paid in {token}, and the setting `node.filecoin_pay.rate` is {problem}")]
    FilecoinPayRate { token: String, problem: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its block store.
    #[error(transparent)]
    Content(#[from] lota_content::StoreError),
    /// A part of it.
    #[error("{0}")]
    Part(String),
    #[error(transparent)]
    Market(#[from] TransportError),
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    api: ApiFile,
    gateway: String,
    monitoring: Option<SocketAddr>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    store: Store,
    activity: watch::Receiver<Activity>,
    inbox: Inbox,
    _lock: File,
}

/// What a node is made of that whoever starts it chooses.
#[derive(Clone)]
pub struct Parts {
    /// Its way to the market.
    pub transport: Arc<dyn Transport>,
    /// What it runs jobs with. A provider offers those engines only that are among them.
    pub executors: Executors,
    /// What makes its results available elsewhere, beside its own gateway.
    pub publishers: Vec<Arc<dyn Publisher>>,
}

impl Parts {
    /// A node on this market that runs no jobs, and that publishes by its own gateway.
    #[must_use]
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport, executors: Executors::none(), publishers: Vec::new() }
    }

    /// The same with executors.
    #[must_use]
    pub fn with_executors(self, executors: Executors) -> Self {
        Self { executors, ..self }
    }
}

impl Node {
    /// Starts a node. It runs until [`shutdown`](Self::shutdown); dropping it stops it too, less gently.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(mut config: NodeConfig, parts: Parts) -> Result<Self, StartError> {
        let Parts { transport, executors, publishers } = parts;
        if !config.api.ip().is_loopback() {
            return Err(StartError::NotLoopback(config.api));
        }
        let folder = |path: &Path| {
            let path = path.to_owned();
            move |source| StartError::Folder { path, source }
        };
        std::fs::create_dir_all(&config.dir).map_err(folder(&config.dir))?;
        restrict(&config.dir).map_err(folder(&config.dir))?;
        let lock = lock(&config.dir)?;
        let store = Store::open(&config.dir.join(crate::store::FILE)).await?;
        remember_market(&store, &config.dir, transport.market()).await?;
        let live = store.live_jobs().await?;
        check_bids(&live, transport.auction())?;
        check_purse(&store, &*transport).await?;
        let blocks = StoreOptions { capacity: config.store_capacity, ..StoreOptions::default() };
        let content = lota_content::Store::open(config.dir.join("blocks"), blocks)?;
        let fetcher = || gateways::fetcher(&config).map_err(StartError::Part);
        let (fetcher, strangers) = (fetcher()?, fetcher()?);
        let pace = config.pace.unwrap_or_else(|| pace_of(transport.market()));
        let orders_asset = match transport.filecoin_pay_deals() {
            Some(_) => Some(transport.filecoin_pay_asset().await?),
            None => None,
        };
        let venue = match &config.provider {
            Some(_) => pay_venue(&*transport, config.filecoin_pay_rate.as_deref()).await?,
            None => None,
        };
        if let Some(offer) = &mut config.provider {
            if let Some(venue) = &venue
                && !offer.matchers.contains(&venue.contract)
            {
                offer.matchers.push(venue.contract);
            }
            if config.bids
                && let Some(auction) = transport.auction().map(|auction| auction.contract)
                && !offer.matchers.contains(&auction)
            {
                offer.matchers.push(auction);
            }
            offer.engines.retain(|engine| executors.get(engine).is_some());
            let room = config.store_capacity.saturating_sub(content.usage().charged);
            offer.resources = benchmark::for_jobs(&config.dir, offer.resources, room, offer.slots, &executors);
            // What can never fit is not offered either.
            offer.max_memory = offer.max_memory.min(offer.resources.memory_bytes);
            offer.max_output = offer.max_output.min(offer.resources.disk_bytes);
            offer.min_window = offer.min_window.max(pace.min_window());
            if offer.fuel_per_second == 0
                && let Some(executor) = executors.get(WasmRun::ENGINE)
            {
                match benchmark::fuel::fuel_per_second(&**executor, &config.dir.join("benchmark")).await {
                    Ok(rate) => {
                        observe::calibrated(&config.name, rate);
                        offer.fuel_per_second = rate;
                    }
                    Err(error) => observe::not_calibrated(&config.name, &error),
                }
            }
            observe::offers(&config.name, &offer.engines, &offer.resources);
        }
        let downloader = Arc::new(Downloader::new(
            config.name.clone(),
            transport.party(),
            store.clone(),
            content.clone(),
            Fetchers { strangers, own: fetcher.clone(), patience: Duration::from_secs(config.fetch_timeout) },
            config.max_fetch_bytes,
        ));
        let gateway_listener = listen_again(&store, config.gateway).await?;
        let gateway_address = local_address(&gateway_listener, config.gateway)?;
        let gateway = config.gateway_url.clone().unwrap_or_else(|| format!("http://{gateway_address}"));
        let publishing = Publishing::new(&config.name, publishers, store.clone(), content.clone(), &gateway);
        publishing.resume().await?;
        let health = Arc::new(Health::new(&config.name));
        let engines = executors.clone();
        let steps = LocalSteps::new(local_steps::Parts {
            health: Arc::clone(&health),
            party: transport.party(),
            store: store.clone(),
            content: content.clone(),
            downloader: Arc::clone(&downloader),
            executors,
            publishing: publishing.clone(),
            directories: Arc::new(Directories::new(config.directories.clone(), config.max_fetch_bytes)),
            capacity: Capacity::new(&config.provider.as_ref().map_or(Resources::UNLIMITED, |offer| offer.resources)),
            work_dir: config.dir.join("work"),
            max_fetch_bytes: config.max_fetch_bytes,
        });
        steps.reap(live.iter().map(Job::id)).await;

        let api_listener = listen(config.api).await?;
        let api_address = local_address(&api_listener, config.api)?;
        let monitoring = match config.monitoring {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let monitoring_address = match (&monitoring, config.monitoring) {
            (Some(listener), Some(address)) => Some(local_address(listener, address)?),
            _ => None,
        };
        store.set_meta(GATEWAY_PORT, &gateway_address.port()).await?;
        let token = hex::encode(rand::random::<[u8; 32]>());
        let api =
            ApiFile { url: format!("http://{api_address}"), token, pid: std::process::id(), node: config.name.clone() };

        let stop = CancellationToken::new();
        let metrics = Metrics::new(transport.party(), transport.asset());
        let salts = Salts::of(&store).await?;
        let offers =
            Arc::new(Offers::new(transport.party(), transport.market().settings, store.clone(), fetcher.clone()));
        let decisions = Arc::new(Decisions {
            party: transport.party(),
            name: config.name.clone(),
            health: Arc::clone(&health),
            offers: Arc::clone(&offers),
            fetcher,
            asset: transport.asset(),
        });
        let auctioneer = transport.auction().map(|AuctionRef { contract, min_reveal_period }| Auctioneer {
            contract,
            min_reveal_period,
            bid_gas: transport.bid_gas(),
        });
        let agent = Agent::new(transport.party(), transport.market().settings, config.provider.clone())
            .at_pace(pace)
            .bidding_in(auctioneer)
            .taking_orders_of(venue)
            .keeping_bid_money(config.keep_bid_money)
            .sharing(SPECS.clone())
            .looking_after(config.look_after.clone());
        let (sender, receiver) = mpsc::channel(crate::inbox::INBOX);
        let inbox = Inbox::new(sender);
        let commands = effects::Parts {
            name: config.name.clone(),
            dir: config.dir.clone(),
            transport: Arc::clone(&transport),
            store: store.clone(),
            health: Arc::clone(&health),
            salts: Arc::clone(&salts),
            stop: stop.clone(),
        };
        let performer = Performer::new(commands, steps, inbox.clone());
        let reasons = Arc::new(Reasons::default());
        let collector = match (config.collect_within, &venue) {
            (Some(within), Some(venue)) => Some(
                Collector::of(collecting::Parts {
                    name: config.name.clone(),
                    transport: Arc::clone(&transport),
                    store: store.clone(),
                    health: Arc::clone(&health),
                    reserve: performer.reserved(),
                    rate: venue.rate,
                    gas_in: gas_in(&*transport, config.provider.as_ref()),
                    within,
                    reasons: Arc::clone(&reasons),
                })
                .await?,
            ),
            _ => None,
        };
        let parts = event_loop::Parts {
            name: config.name.clone(),
            transport: Arc::clone(&transport),
            store: store.clone(),
            health: Arc::clone(&health),
            metrics: metrics.clone(),
            offers: Arc::clone(&offers),
            look_after: config.look_after,
            provides: config.provider.is_some(),
            callback_margin: (config.callback_margin > 0 && transport.market().settings.asset.is_zero())
                .then_some(config.callback_margin),
            orders_asset: orders_asset.clone(),
            keep_for: config.keep_for,
            stop: stop.clone(),
        };
        let (watched, activity) = watch::channel(Activity::default());
        let event_loop = EventLoop::new(parts, agent, performer, inbox.changes(), watched);
        let announcer = Announcer {
            name: config.name.clone(),
            transport: Arc::clone(&transport),
            store: store.clone(),
            gateway: gateway.clone(),
            activity: activity.clone(),
            stop: stop.clone(),
        };
        let (way, told) = (Arc::clone(&transport), Arc::clone(&health));
        let transfers =
            Arc::new(Transfers::of(&config.name, way, store.clone(), told, inbox.clone(), stop.clone()).await?);
        let public = Public::new(store.clone(), Arc::clone(&decisions), config.provider.as_ref().map(Published::from));
        let orders = Orders {
            transport: Arc::clone(&transport),
            store: store.clone(),
            content: content.clone(),
            downloader: Arc::clone(&downloader),
            health: Arc::clone(&health),
            offers,
            inbox: inbox.clone(),
            pace,
            terms: config.terms,
            fuel_per_second: config.provider.as_ref().map(|offer| offer.fuel_per_second).filter(|rate| *rate > 0),
            max_fetch_bytes: config.max_fetch_bytes,
            salts,
        };
        let metrics_of_node = Sources {
            asset: transport.asset(),
            health: Arc::clone(&health),
            content: content.clone(),
            activity: activity.clone(),
        };
        let watched_health = Arc::clone(&health);
        let monitored = Monitored { health: Arc::clone(&health), registry: metrics.registry(metrics_of_node) };
        let private = Api {
            name: config.name,
            offer: config.provider,
            gateway: gateway.clone(),
            transport,
            store: store.clone(),
            content: content.clone(),
            downloader,
            max_fetch_bytes: config.max_fetch_bytes,
            health,
            decisions,
            orders,
            inbox: inbox.clone(),
            transfers: Arc::clone(&transfers),
            orders_asset,
            uncollected: reasons,
            publishing: publishing.clone(),
        };

        let mut tasks = JoinSet::new();
        tasks.spawn(serve(gateway_listener, public::router(public, content), serving::public(), stop.clone()));
        tasks.spawn(serve(api_listener, api::router(private, &api.token), serving::private(), stop.clone()));
        if let Some(listener) = monitoring {
            tasks.spawn(serve(listener, monitoring::router(monitored), serving::private(), stop.clone()));
        }
        tasks.spawn(event_loop.run(receiver));
        tasks.spawn(announcer.run());
        tasks.spawn(engines::watch(engines, watched_health, stop.clone()));
        tasks.spawn(transfers.run(activity.clone(), stop.clone()));
        tasks.spawn(publishing.run(stop.clone()));
        if let Some(collector) = collector {
            tasks.spawn(collector.run(activity.clone(), stop.clone()));
        }
        Ok(Self { api, gateway, monitoring: monitoring_address, stop, tasks, store, activity, inbox, _lock: lock })
    }

    /// Where its API is, and the token for it.
    #[must_use]
    pub const fn api(&self) -> &ApiFile {
        &self.api
    }

    /// Where it serves content.
    #[must_use]
    pub fn gateway(&self) -> &str {
        &self.gateway
    }

    /// Where it serves metrics and tells of its health.
    #[must_use]
    pub const fn monitoring(&self) -> Option<SocketAddr> {
        self.monitoring
    }

    /// Ready when it has stopped by itself, as it does when its database fails; the log says why.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// What it is busy with: for whoever drives the time of its market.
    #[must_use]
    pub fn activity(&self) -> watch::Receiver<Activity> {
        self.activity.clone()
    }

    /// Has it take no more jobs, and says how many it has to finish: those that it would lose its collateral by, or the deposit of its
    /// bid. Everything else goes on after the next start.
    pub async fn drain(&self) -> usize {
        let mut activity = self.activity.clone();
        if !self.inbox.send(Message::Drain).await {
            return 0;
        }
        // An error: its loop has ended, and with that all that it could finish.
        let told = activity.wait_for(|activity| activity.unfinished.is_some()).await;
        told.map_or(0, |activity| activity.unfinished.unwrap_or(0))
    }

    /// Ready when a node that was told to [`drain`](Self::drain) has finished what it has to.
    pub async fn drained(&self) {
        let mut activity = self.activity.clone();
        // As above.
        let _ = activity.wait_for(|activity| activity.unfinished == Some(0)).await;
    }

    /// Ends it: what is under way is left, and taken up again at the next start.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.store.close().await;
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// One folder is for one market: events, jobs and the position in the log mean nothing on another.
async fn remember_market(store: &Store, dir: &Path, market: MarketRef) -> Result<(), StartError> {
    match store.meta::<MarketRef>(MARKET).await? {
        None => Ok(store.set_meta(MARKET, &market).await?),
        Some(before) if (before.chain_id, before.contract) == (market.chain_id, market.contract) => Ok(()),
        Some(before) => Err(StartError::OtherMarket {
            dir: dir.to_owned(),
            before: before.contract,
            before_chain: before.chain_id,
            now: market.contract,
            now_chain: market.chain_id,
        }),
    }
}

/// Whose orders the node takes, and what their token is worth.
async fn pay_venue(transport: &dyn Transport, rate: Option<&str>) -> Result<Option<PayVenue>, StartError> {
    let Some(deals) = transport.filecoin_pay_deals() else { return Ok(None) };
    let (token, asset) = (transport.filecoin_pay_asset().await?, transport.asset());
    let is_same = deals.token == transport.market().settings.asset;
    let wrong = |problem: String| StartError::FilecoinPayRate { token: token.symbol().to_owned(), problem };
    let rate = rate.or(is_same.then_some("1")).ok_or_else(|| {
        wrong(format!("missing; say what 1 {} is worth in {}, such as 0.25", token.symbol(), asset.symbol()))
    })?;
    let decimals = [token.decimals(), asset.decimals()];
    let rate = Rate::parse(rate, decimals).map_err(|error| wrong(format!("`{}`: {error}", rate.escape_debug())))?;
    Ok(Some(PayVenue { contract: deals.contract, rate, order_gas: transport.order_gas() }))
}

/// In what it is reckoned what collecting costs.
fn gas_in(transport: &dyn Transport, offer: Option<&Offer>) -> GasIn {
    let per_megagas = offer.map_or(AttoFil::ZERO, |offer| offer.pricing.per_megagas);
    if transport.filecoin_pay_deals().is_some_and(|deals| deals.token.is_zero()) {
        GasIn::Paid
    } else if !transport.market().settings.is_token() {
        GasIn::Asset
    } else if per_megagas > AttoFil::ZERO {
        GasIn::Megagas(per_megagas)
    } else {
        GasIn::Unknown
    }
}

/// Refuses to leave money behind in an auction that the node cannot reach.
fn check_bids(live: &[Job], auction: Option<AuctionRef>) -> Result<(), StartError> {
    let here = auction.map(|auction| auction.contract);
    let elsewhere = |job: &&Job| job.bid.as_ref().is_some_and(|bid| !bid.over) && Some(job.view.terms.matcher) != here;
    let mut abandoned = live.iter().filter(elsewhere).map(|job| job.view.terms.matcher);
    let Some(auction) = abandoned.next() else { return Ok(()) };
    Err(StartError::AbandonedBids { auction, bids: 1 + abandoned.filter(|other| *other == auction).count() })
}

/// The same for what its account there may hold beside its bids.
async fn check_purse(store: &Store, transport: &dyn Transport) -> Result<(), StartError> {
    let Some(purse) = store.meta::<PurseRecord>(PURSE).await? else { return Ok(()) };
    let here = transport.auction().map(|auction| auction.contract);
    // A record that does not say where it was kept is taken for one of the auction that is named.
    if purse.is_unused() || here.is_some_and(|here| purse.auction.is_none_or(|before| before == here)) {
        return Ok(());
    }
    let held: Option<AttoFil> = store.meta(PURSE_HELD).await?;
    if purse.is_at_rest() && held == Some(AttoFil::ZERO) {
        return Ok(());
    }
    let held = held.map(|held| transport.asset().show(held));
    Err(StartError::AbandonedMoney { auction: purse.auction, held })
}

/// How time passes on a market's chain, as far as the chain is known.
fn pace_of(market: MarketRef) -> Pace {
    match Network::with_chain_id(market.chain_id) {
        Some(network) if !network.block_time.is_zero() => {
            Pace { epoch: network.block_time.as_secs(), ..Pace::FILECOIN }
        }
        _ => Pace::INSTANT,
    }
}

/// The specs that the nodes of this process have parsed.
static SPECS: LazyLock<Specs> = LazyLock::new(Specs::default);

const MARKET: &str = "market";
const GATEWAY_PORT: &str = "gateway_port";

/// Only the owner may look into a node's folder: it holds keys.
fn restrict(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))
}

/// Takes the folder for this process; the lock goes with the file handle.
fn lock(dir: &Path) -> Result<File, StartError> {
    let path = dir.join("lock");
    let failed = |source| StartError::Folder { path: path.clone(), source };
    let mut file = File::options().create(true).truncate(false).read(true).write(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0).map_err(failed)?;
            file.rewind().map_err(failed)?;
            write!(file, "{}", std::process::id()).map_err(failed)?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let read = file.read_to_string(&mut pid);
            let holder =
                if read.is_ok() && pid.parse::<u32>().is_ok() { format!(" (pid {pid})") } else { String::new() };
            Err(StartError::InUse { dir: dir.to_owned(), holder })
        }
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })
}

/// Port 0 means: the port of the last time if it is free, so that the announced URL stays true.
async fn listen_again(store: &Store, mut address: SocketAddr) -> Result<TcpListener, StartError> {
    if address.port() == 0
        && let Some(port) = store.meta::<u16>(GATEWAY_PORT).await?
    {
        let before = SocketAddr::new(address.ip(), port);
        if let Ok(listener) = TcpListener::bind(before).await {
            return Ok(listener);
        }
        address.set_port(0);
    }
    listen(address).await
}

fn local_address(listener: &TcpListener, address: SocketAddr) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(|source| StartError::Listen { address, source })
}

#[cfg(test)]
mod tests {
    use lota_bridge::{
        PrivateKeySigner,
        memory::{Chain, Genesis, Options},
    };
    use lota_market::{Time, model::Settings};
    use tempfile::TempDir;

    use super::*;

    #[tokio::test]
    async fn money_in_an_auction_is_not_left_behind_without_a_word() {
        let key = || PrivateKeySigner::from_bytes(&[7; 32].into()).expect("a key");
        let at = |auction: Option<u8>| {
            let market = MarketRef { chain_id: 1, contract: Address::repeat_byte(1), settings: Settings::COIN };
            let auction =
                auction.map(|byte| AuctionRef { contract: Address::repeat_byte(byte), min_reveal_period: 10 });
            let genesis = Genesis { market, auction, time: Time(9), funds: Vec::new() };
            Chain::in_memory(genesis, Options::default()).expect("a chain").connect(key())
        };
        let folder = TempDir::new().expect("a folder");
        let store = Store::open(&folder.path().join("node.sqlite")).await.expect("it opens");
        let starts = async |auction| check_purse(&store, &at(auction)).await.map_err(|error| error.to_string());
        assert_eq!(starts(None).await, Ok(()), "it never bid");
        let (here, there) = (Some(Address::repeat_byte(2)), Some(Address::repeat_byte(3)));
        let record = |begun: u32, landed: Option<u64>| {
            let last =
                serde_json::json!({ "number": begun, "direction": "in", "amount": AttoFil(7), "landed": landed });
            let record = serde_json::json!({ "begun": begun, "last": last, "idle_since": Time(5), "auction": Address::repeat_byte(2) });
            serde_json::from_value::<PurseRecord>(record).expect("it is a record")
        };
        store.set_meta(PURSE, &record(0, Some(1))).await.expect("kept");
        assert_eq!(starts(Some(3)).await, Ok(()), "it brought nothing");
        store.set_meta(PURSE, &record(1, Some(1))).await.expect("kept");
        for elsewhere in [None, Some(3)] {
            let error = starts(elsewhere).await.expect_err("its money is elsewhere");
            assert!(error.starts_with("an amount that is not known may lie"), "{error}");
            assert!(error.contains(&format!("--auction-contract {}", Address::repeat_byte(2))), "{error}");
            assert!(error.contains("node.bids = false"), "{error}");
        }
        assert_eq!(starts(Some(2)).await, Ok(()));
        store.set_meta(PURSE_HELD, &AttoFil(3_000_000_000)).await.expect("kept");
        let error = starts(None).await.expect_err("it holds something");
        assert!(error.starts_with("0.000000003 FIL may lie"), "{error}");
        store.set_meta(PURSE_HELD, &AttoFil::ZERO).await.expect("kept");
        assert_eq!((starts(None).await, starts(Some(3)).await), (Ok(()), Ok(())), "it is known to be empty");
        store.set_meta(PURSE, &record(2, None)).await.expect("kept");
        assert!(starts(Some(3)).await.is_err(), "something is on its way");
        let kept: PurseRecord = store.meta(PURSE).await.expect("read").expect("it is there");
        assert_eq!((kept.in_auction(here), kept.in_auction(None)), (kept, kept));
        let begun = serde_json::to_value(kept.in_auction(there)).expect("it is JSON");
        let new = serde_json::json!({ "begun": 2, "last": null, "idle_since": null, "auction": there });
        assert_eq!(begun, new, "the old transfer is not made there, and its key is not used again");
    }
}
