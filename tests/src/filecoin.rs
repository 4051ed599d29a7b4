//! Real nodes on a chain like Filecoin. Its time is virtual: an epoch passes as soon as nobody has anything left to do in this one.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use lota_api::JobSummary;
use lota_bridge::{
    MarketRef,
    evm::Network,
    memory::{EpochChain, EpochOptions, Genesis, Scripted, Weather},
};
use lota_market::{
    Address, AttoFil,
    agent::{LookAfter, Offer},
    model::{Event, JobId, Settings},
    money::FIL,
};
use lota_node::{
    Activity, NodeConfig,
    executor::{Attached, CheckError, Executor, ExecutorError, Executors, Run, RunId, RunOutcome, WasmRun},
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};

use crate::world::{self, FUNDS, Party, key};

/// Seconds from one epoch to the next.
pub const EPOCH: u64 = 30;
/// How many epochs lie above what is final: more than a job is open for.
pub const FINALITY: u64 = 60;
/// For so long nodes may be busy in one epoch.
const PATIENCE: Duration = Duration::from_secs(300);

/// A chain, and the nodes on it.
#[derive(Debug)]
pub struct Filecoin {
    /// The chain.
    pub chain: EpochChain,
    home: TempDir,
    nodes: Mutex<BTreeMap<String, Watched>>,
}

/// What the nodes on a chain are waited for by.
#[derive(Debug)]
struct Watched {
    party: Address,
    activity: watch::Receiver<Activity>,
    asleep: Option<Arc<Slow>>,
}

/// A request on its way.
#[derive(Debug)]
pub struct Asked {
    /// The epoch in which it was made.
    pub epoch: u64,
    answer: JoinHandle<Result<JobSummary, (u16, Value)>>,
}

impl Filecoin {
    /// Begins a chain with the network preset of Filecoin's test network, and with [`FUNDS`] for ten parties, of whom
    /// [`CONTRACT`] stands for a contract that takes its callbacks.
    #[must_use]
    pub fn begin(seed: u64) -> Self {
        let settings = Settings { max_callback_gas: 1_000_000, ..Settings::COIN };
        let market =
            MarketRef { chain_id: Network::CALIBRATION.chain_id, contract: Address::repeat_byte(0x10), settings };
        let funds = (1..=10).map(|number| (key(number).address(), FUNDS)).collect();
        let genesis = Genesis { market, auction: None, time: world::BEGINNING, funds };
        let contracts = Scripted::default();
        contracts.refuse(key(CONTRACT).address(), false);
        let options = EpochOptions {
            epoch: EPOCH,
            finality: FINALITY,
            seed,
            contracts: Arc::new(contracts),
            ..EpochOptions::default()
        };
        let chain = EpochChain::new(&genesis, options).expect("little money");
        Self { chain, home: TempDir::new().expect("a folder"), nodes: Mutex::default() }
    }

    fn nodes(&self) -> MutexGuard<'_, BTreeMap<String, Watched>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // Nodes -----------------------------------------------------------------------------------------------------------

    fn watch(&self, name: &str, party: &Party, asleep: Option<Arc<Slow>>) {
        let watched = Watched { party: party.address, activity: party.node.activity(), asleep };
        self.nodes().insert(name.to_owned(), watched);
    }

    /// A node's settings: all windows are the network's.
    fn config(&self, name: &str) -> NodeConfig {
        NodeConfig { terms: lota_api::TermsRequest::default(), ..world::config(name, self.home.path()) }
    }

    /// Starts a client, again if it was there before.
    pub async fn client(&self, name: &str, number: u8, look_after: LookAfter) -> Arc<Party> {
        let transport = Arc::new(self.chain.connect(key(number)));
        let party = Party::with(transport, NodeConfig { look_after, ..self.config(name) }).await;
        self.watch(name, &party, None);
        Arc::new(party)
    }

    /// Starts a provider whose runs begin so many epochs later, again if it was there before.
    pub async fn provider(&self, name: &str, number: u8, offer: Offer, late: u64) -> Arc<Party> {
        let slow = Arc::new(Slow::new(self.chain.clone(), late, &world::executors(offer.slots)));
        let executors = Executors::none().with(WasmRun::ENGINE, Arc::clone(&slow) as Arc<dyn Executor>);
        // Measuring takes long, and is another suite's affair.
        let offer = Offer { fuel_per_second: 1_000_000_000, ..offer };
        let config = NodeConfig { provider: Some(offer), ..self.config(name) };
        let party = Party::with_executors(Arc::new(self.chain.connect(key(number))), config, executors).await;
        self.watch(name, &party, Some(slow));
        Arc::new(party)
    }

    /// Stops a node.
    ///
    /// # Panics
    /// If somebody else holds it.
    pub async fn stop(&self, name: &str, party: Arc<Party>) {
        self.nodes().remove(name);
        Arc::try_unwrap(party).expect("nobody else holds it").node.shutdown().await;
    }

    /// Has a party pay into the market, and waits until that is done.
    pub async fn deposit(&self, party: &Arc<Party>, amount: AttoFil) {
        let depositor = Arc::clone(party);
        let sent = tokio::spawn(async move { depositor.deposit(amount).await });
        self.until("the deposit is made", 10, async || sent.is_finished()).await;
        sent.await.expect("no panic");
    }

    // Time ------------------------------------------------------------------------------------------------------------

    /// Waits until no node has anything left to do in this epoch.
    pub async fn quiet(&self) {
        let begun = Instant::now();
        loop {
            let busy =
                self.nodes().iter().find_map(|(name, node)| node.busy(&self.chain).map(|why| format!("{name} {why}")));
            let Some(busy) = busy else { return };
            assert!(begun.elapsed() < PATIENCE, "epoch {} does not end: {busy}", self.chain.epoch());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// An epoch passes, once nobody has anything left to do in the one before.
    pub async fn pass(&self) {
        self.quiet().await;
        self.chain.pass();
    }

    /// So many epochs pass.
    pub async fn pass_many(&self, epochs: u64) {
        for _ in 0..epochs {
            self.pass().await;
        }
        self.quiet().await;
    }

    /// Epochs pass until something is so, `most` of them.
    pub async fn until(&self, what: &str, most: u64, mut is_so: impl AsyncFnMut() -> bool) {
        for _ in 0..most {
            self.quiet().await;
            if is_so().await {
                return;
            }
            self.pass().await;
            // Who waits for an answer of a node gets it meanwhile.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert!(is_so().await, "after {most} epochs it is not so: {what}");
    }

    // Jobs ------------------------------------------------------------------------------------------------------------

    /// Requests a job, and goes on when the command that opens it is on its way.
    pub async fn ask(&self, client: &Arc<Party>, spec: Value, terms: Value) -> Asked {
        let opened = || self.chain.messages().iter().filter(|sent| sent.sender == client.address).count();
        let before = opened();
        let asker = Arc::clone(client);
        let answer = tokio::spawn(async move { asker.request(spec, terms).await });
        while opened() == before {
            if answer.is_finished() {
                panic!("it was not opened: {:?}", answer.await);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Asked { epoch: self.chain.epoch(), answer }
    }

    /// The job of a request, once it is open.
    pub async fn opened(&self, asked: Asked) -> JobSummary {
        self.until("the job is open", 40, async || asked.answer.is_finished()).await;
        asked.answer.await.expect("no panic").expect("it is opened")
    }

    /// In how many blocks something happened to a job.
    #[must_use]
    pub fn count(&self, job: JobId, is_it: impl Fn(&Event) -> bool) -> usize {
        self.chain.events().iter().filter(|(_, event)| event.job() == Some(job) && is_it(event)).count()
    }

    /// Whether a job has ended, in the chain's newest block.
    #[must_use]
    pub fn is_over(&self, job: JobId) -> bool {
        let is_end = |event: &Event| {
            matches!(
                event,
                Event::JobSettled { .. }
                    | Event::JobCancelled { .. }
                    | Event::JobSlashed { .. }
                    | Event::JobVoided { .. }
            )
        };
        self.count(job, is_end) > 0
    }

    // Money -----------------------------------------------------------------------------------------------------------

    /// What a party has, outside the market and free in it, as the chain says.
    #[must_use]
    pub fn money(&self, party: Address) -> AttoFil {
        AttoFil(self.chain.wallet(party).0 + self.chain.balance(party).0)
    }

    /// Asserts that each command was sent under one key, and took effect once.
    ///
    /// # Panics
    /// If not.
    pub fn assert_nothing_was_done_twice(&self) {
        let mut keys = HashMap::new();
        let mut done = HashSet::new();
        for sent in self.chain.messages() {
            let content = (sent.sender, sent.command.clone(), sent.value);
            let key = keys.entry(content.clone()).or_insert_with(|| sent.key.clone());
            assert_eq!(*key, sent.key, "{} sent a command under two keys", sent.sender);
            if sent.epoch.is_some() && !sent.refused {
                assert!(done.insert(content), "{} of {} took effect twice", sent.key, sent.sender);
            }
        }
    }
}

impl Watched {
    /// What a node has to do in this epoch, if it has anything.
    fn busy(&self, chain: &EpochChain) -> Option<String> {
        let Activity { head, local_steps, commands, .. } = *self.activity.borrow();
        let asleep = self.asleep.as_ref().map_or(0, |slow| slow.asleep());
        let awaited = chain.awaited(self.party);
        // Keys of jobs begin with the job's id; others are of what people and the node itself do.
        let awaited = awaited.iter().filter(|key| key.as_str().starts_with("0x")).count();
        if head != Some(chain.head()) {
            Some(format!("has not taken in the newest block, only {head:?}"))
        } else if local_steps > asleep {
            Some(format!("does {local_steps} steps itself, of which {asleep} wait for time to pass"))
        } else if commands != awaited {
            Some(format!("has {commands} commands on their way, and the chain knows of {awaited}"))
        } else {
            None
        }
    }
}

/// Another executor that does nothing for some epochs before it begins a run.
pub struct Slow {
    chain: EpochChain,
    late: u64,
    /// Runs that wait: until which epoch, and how they are aborted.
    waiting: Mutex<HashMap<RunId, (u64, Arc<Notify>)>>,
    executor: Arc<dyn Executor>,
}

impl std::fmt::Debug for Slow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slow").field("late", &self.late).finish_non_exhaustive()
    }
}

/// A run that waits; no longer, when this is dropped.
struct Place<'a>(&'a Slow, RunId);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting().remove(&self.1);
    }
}

impl Slow {
    fn new(chain: EpochChain, late: u64, executors: &Executors) -> Self {
        let executor = Arc::clone(executors.get(WasmRun::ENGINE).expect("there is one"));
        Self { chain, late, waiting: Mutex::default(), executor }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<RunId, (u64, Arc<Notify>)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many runs wait for a later epoch.
    fn asleep(&self) -> usize {
        let now = self.chain.epoch();
        self.waiting().values().filter(|(until, _)| *until > now).count()
    }
}

#[async_trait]
impl Executor for Slow {
    async fn check(&self, run: &Run) -> Result<(), CheckError> {
        self.executor.check(run).await
    }

    async fn run(&self, run: Run) -> Result<RunOutcome, ExecutorError> {
        let (until, aborted) = (self.chain.epoch() + self.late, Arc::new(Notify::new()));
        self.waiting().insert(run.job, (until, Arc::clone(&aborted)));
        let place = Place(self, run.job);
        let mut changes = self.chain.changes();
        while self.chain.epoch() < until {
            tokio::select! {
                _ = changes.changed() => {}
                () = aborted.notified() => return Err(ExecutorError::Aborted),
            }
        }
        drop(place);
        self.executor.run(run).await
    }

    async fn attach(&self, run: &Run) -> Result<Attached, ExecutorError> {
        self.executor.attach(run).await
    }

    async fn abort(&self, job: RunId) {
        if let Some((until, aborted)) = self.waiting().get_mut(&job) {
            *until = 0;
            aborted.notify_one();
        }
        self.executor.abort(job).await;
    }

    async fn reap(&self, live: &HashSet<RunId>) -> Result<(), ExecutorError> {
        self.executor.reap(live).await
    }
}

/// In how many epochs after its request each job was settled for the first time.
#[derive(Debug, Default)]
pub struct Settlements {
    asked: BTreeMap<JobId, u64>,
    took: BTreeMap<JobId, u64>,
}

impl Settlements {
    /// Adds a job.
    pub fn of(&mut self, job: JobId, asked: u64) {
        self.asked.insert(job, asked);
    }

    /// Takes note of what is settled in the chain's newest block.
    pub fn note(&mut self, chain: &EpochChain) {
        let events = chain.events();
        for (block, event) in &events {
            if let Event::JobSettled { job, .. } = event
                && let Some(asked) = self.asked.get(job)
            {
                self.took.entry(*job).or_insert(block - asked);
            }
        }
    }

    /// In how many epochs a job was settled, if it was.
    #[must_use]
    pub fn epochs(&self, job: JobId) -> Option<u64> {
        self.took.get(&job).copied()
    }
}

/// The number of the key whose account has code.
pub const CONTRACT: u8 = 6;

/// What a job costs at the most in these suites.
pub const MAX_PRICE: AttoFil = AttoFil(FIL / 50);

/// The weather in which jobs are to be settled within ten epochs: rougher than Filecoin's.
pub const ROUGH: Weather = Weather::ROUGH;
