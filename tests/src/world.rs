//! A world of real nodes: a memory chain, a client, providers; everything over HTTP.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use lota_api::{JobDetail, JobSummary, TermsRequest, WalletInfo};
use lota_bridge::{
    AuctionRef, MarketRef, PrivateKeySigner, Transport,
    memory::{Chain, FileLedger, Genesis, Ledger, ManualClock, MemoryLedger, Options, SyncPolicy},
};
use lota_content::{Cid, ImportOptions, Store, StoreOptions};
use lota_market::{
    Address, AttoFil, B256, Time,
    agent::{Offer, Pricing},
    model::{JobId, Settings},
    money::FIL,
};
use lota_node::{
    Node, NodeConfig, Parts,
    executor::{
        Executors, WasmRun,
        wasm::{WasmExecutor, WasmSettings},
    },
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What everybody has outside the market at first.
pub const FUNDS: AttoFil = AttoFil(100 * FIL);

/// When the market begins.
pub const BEGINNING: Time = Time(1_700_000_000);

/// The auction, where there is one.
pub const AUCTION: AuctionRef = AuctionRef { contract: Address::repeat_byte(0x11), min_reveal_period: 10 };

/// The key of a party, always the same for the same number.
#[must_use]
pub fn key(number: u8) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(number.max(1))).expect("a small number is a valid key")
}

/// A chain for [`FUNDS`] and ten parties, with its log in a file or in memory.
#[must_use]
pub fn chain(ledger: Option<&Path>) -> Chain {
    let genesis = genesis(Settings { min_window: 1, max_callback_gas: 1_000_000, ..Settings::COIN });
    match ledger {
        Some(path) => {
            let ledger = FileLedger::open(path, SyncPolicy::default()).expect("the log opens");
            open(genesis, ledger, Options::default())
        }
        None => open(genesis, MemoryLedger::default(), Options::default()),
    }
}

/// The same in memory, of a market with settings of the test's own.
#[must_use]
pub fn chain_with(settings: Settings) -> Chain {
    open(genesis(settings), MemoryLedger::default(), Options::default())
}

/// The same in memory, where time passes when the test says so.
#[must_use]
pub fn chain_at(clock: &ManualClock) -> Chain {
    let settings = Settings { min_window: 1, max_callback_gas: 1_000_000, ..Settings::COIN };
    let options = Options { clock: Arc::new(clock.clone()), ..Options::default() };
    open(genesis(settings), MemoryLedger::default(), options)
}

/// The same with an auction beside the market.
#[must_use]
pub fn chain_with_auction(clock: &ManualClock) -> Chain {
    let settings = Settings { min_window: 1, max_callback_gas: 1_000_000, ..Settings::COIN };
    let options = Options { clock: Arc::new(clock.clone()), ..Options::default() };
    open(Genesis { auction: Some(AUCTION), ..genesis(settings) }, MemoryLedger::default(), options)
}

fn genesis(settings: Settings) -> Genesis {
    let market = MarketRef { chain_id: 31_337, contract: Address::repeat_byte(0x10), settings };
    let funds = (1..=10).map(|number| (key(number).address(), FUNDS)).collect();
    Genesis { market, time: BEGINNING, funds, auction: None }
}

fn open(genesis: Genesis, ledger: impl Ledger, options: Options) -> Chain {
    Chain::open(genesis, ledger, options).expect("the chain opens")
}

/// An offer that asks this much for every job.
#[must_use]
pub fn asking(amount: AttoFil) -> Offer {
    Offer { pricing: Pricing::flat(amount), ..Offer::default() }
}

/// Settings of a node in a test: short windows, private addresses allowed.
#[must_use]
pub fn config(name: &str, home: &Path) -> NodeConfig {
    NodeConfig {
        allow_private_addresses: true,
        terms: TermsRequest { ramp_period: Some(1), ..TermsRequest::default() },
        fetch_timeout: 20,
        ..NodeConfig::new(name, home.join(name))
    }
}

/// A provider's executors, for so many jobs at once. All that are asked for in one process share compiled modules, and modules are
/// compiled in this process: tests trust theirs.
#[must_use]
pub fn executors(slots: u32) -> Executors {
    static WASM: OnceLock<WasmExecutor> = OnceLock::new();
    let wasm = WASM.get_or_init(|| WasmExecutor::new(&WasmSettings::default()).expect("the engine works here"));
    Executors::none().with(WasmRun::ENGINE, Arc::new(wasm.sharing_modules(slots as usize)))
}

/// The same with an engine that remembers nothing of others.
#[must_use]
pub fn fresh_executors() -> Executors {
    let wasm = WasmExecutor::new(&WasmSettings::default()).expect("the engine works here");
    Executors::none().with(WasmRun::ENGINE, Arc::new(wasm))
}

/// A running node and the way to its API.
#[derive(Debug)]
pub struct Party {
    /// The node.
    pub node: Node,
    /// Its account.
    pub address: Address,
    http: reqwest::Client,
}

impl Party {
    /// Starts a node of the party with this key number.
    pub async fn start(chain: &Chain, number: u8, config: NodeConfig) -> Self {
        Self::with(Arc::new(chain.connect(key(number))), config).await
    }

    /// Starts a node on a transport; a provider with the executors that such a one has in tests.
    pub async fn with(transport: Arc<dyn Transport>, config: NodeConfig) -> Self {
        let executors = config.provider.as_ref().map_or_else(Executors::none, |offer| executors(offer.slots));
        Self::with_executors(transport, config, executors).await
    }

    /// Starts a node on a transport that runs jobs with these executors.
    pub async fn with_executors(transport: Arc<dyn Transport>, config: NodeConfig, executors: Executors) -> Self {
        let address = transport.party();
        let parts = Parts::new(transport).with_executors(executors);
        Self::of(Node::start(config, parts).await.expect("the node starts"), address)
    }

    /// A node that was started otherwise, and whose account this is.
    #[must_use]
    pub fn of(node: Node, address: Address) -> Self {
        Self { node, address, http: lota_http::client() }
    }

    /// Starts a provider that asks `asking` and deposits 10 FIL.
    pub async fn provider(chain: &Chain, number: u8, home: &Path, offer: Offer) -> Self {
        let config = NodeConfig { provider: Some(offer), ..config(&format!("provider-{number}"), home) };
        let party = Self::start(chain, number, config).await;
        party.deposit(AttoFil(10 * FIL)).await;
        party
    }

    /// Pays into the market.
    pub async fn deposit(&self, amount: AttoFil) -> WalletInfo {
        self.post("/v1/wallet/deposit", &json!({ "amount": amount })).await.expect("the deposit is taken")
    }

    /// `POST`s JSON.
    ///
    /// # Errors
    /// The status and the body of an answer that is not a success.
    pub async fn post<T: serde::de::DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, (u16, Value)> {
        let request = self.http.post(format!("{}{path}", self.node.api().url)).json(body);
        answer(request.bearer_auth(&self.node.api().token)).await
    }

    /// `GET`s JSON.
    ///
    /// # Errors
    /// The status and the body of an answer that is not a success.
    pub async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, (u16, Value)> {
        let request = self.http.get(format!("{}{path}", self.node.api().url));
        answer(request.bearer_auth(&self.node.api().token)).await
    }

    /// `GET`s bytes.
    pub async fn bytes(&self, path: &str) -> Vec<u8> {
        let request = self.http.get(format!("{}{path}", self.node.api().url)).bearer_auth(&self.node.api().token);
        let response = request.send().await.expect("the API answers");
        assert!(response.status().is_success(), "{path}: {}", response.status());
        response.bytes().await.expect("the body arrives").to_vec()
    }

    /// `DELETE`s, and returns the status.
    pub async fn delete(&self, path: &str) -> u16 {
        let request = self.http.delete(format!("{}{path}", self.node.api().url)).bearer_auth(&self.node.api().token);
        request.send().await.expect("the API answers").status().as_u16()
    }

    /// Gives the node content, as a CAR, and returns its CID.
    pub async fn add(&self, content: &[u8]) -> Cid {
        let scratch = TempDir::new().expect("a folder");
        let store = Store::open(scratch.path(), StoreOptions::default()).expect("a store");
        let cid = lota_content::import_bytes(&store, content, &ImportOptions::default()).expect("an import").cid;
        let mut car = Vec::new();
        lota_content::car_export(store, &cid, lota_content::DagScope::All, 1_000_000, &mut car).await.expect("a CAR");
        self.add_car(&cid, car).await;
        cid
    }

    /// Gives the node a CAR with this root.
    pub async fn add_car(&self, cid: &Cid, car: Vec<u8>) {
        let request = self.http.post(format!("{}/v1/content", self.node.api().url)).body(car);
        let stored: Result<Value, _> = answer(request.bearer_auth(&self.node.api().token)).await;
        assert_eq!(stored.expect("the CAR is taken")["roots"][0], cid.to_string());
    }

    /// Requests a job that runs a module.
    ///
    /// # Errors
    /// The status and the body of an answer that is not a success.
    pub async fn request(&self, spec: Value, terms: Value) -> Result<JobSummary, (u16, Value)> {
        self.post("/v1/jobs", &json!({ "spec": spec, "terms": terms })).await
    }

    /// Waits until it has read so many announcements of gateways.
    pub async fn knows(&self, parties: usize) {
        let patience = tokio::time::Instant::now() + Duration::from_secs(300);
        loop {
            let known: Vec<Value> = self.get("/v1/parties").await.expect("the parties");
            if known.len() >= parties {
                return;
            }
            assert!(tokio::time::Instant::now() < patience, "{} of {parties} parties are known", known.len());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the job is over.
    pub async fn wait(&self, job: &JobSummary) -> JobDetail {
        self.wait_for(job.id).await
    }

    /// Waits until a job is known here, and over.
    pub async fn wait_for(&self, job: JobId) -> JobDetail {
        let patience = tokio::time::Instant::now() + Duration::from_secs(300);
        while tokio::time::Instant::now() < patience {
            match self.get::<JobDetail>(&format!("/v1/jobs/{job}/wait?timeout=30")).await {
                Ok(detail) if detail.summary.status.is_final() => return detail,
                Ok(_) => {}
                Err((404, _)) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(error) => panic!("job {job}: {error:?}"),
            }
        }
        panic!("job {job} is not over after five minutes");
    }

    /// Waits until the job is over, without asking the providers about it.
    pub async fn wait_quietly(&self, job: &JobSummary) -> JobSummary {
        self.get(&format!("/v1/jobs/{}/wait?timeout=120&brief=true", job.id)).await.expect("the job is known")
    }

    /// All its money, outside the market and free in it.
    pub async fn money(&self) -> AttoFil {
        let wallet: WalletInfo = self.get("/v1/wallet").await.expect("the wallet is shown");
        AttoFil(wallet.wallet.0 + wallet.market.0)
    }
}

async fn answer<T: serde::de::DeserializeOwned>(request: reqwest::RequestBuilder) -> Result<T, (u16, Value)> {
    let response = request.timeout(Duration::from_secs(150)).send().await.expect("the API answers");
    let status = response.status();
    let body: Value = response.json().await.expect("the API speaks JSON");
    if status.is_success() {
        Ok(serde_json::from_value(body).expect("the answer has the documented form"))
    } else {
        Err((status.as_u16(), body))
    }
}

/// A spec that runs a module within small limits.
#[must_use]
pub fn spec(module: &Cid) -> Value {
    json!({
        "version": 1,
        "engine": { "type": "wasm", "module": module.to_string() },
        "limits": { "fuel": 100_000_000, "memory": 16 << 20, "output": 1 << 20, "entries": 100, "wall": 10 }
    })
}
