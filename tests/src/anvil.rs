//! A market on Anvil, Foundry's development chain: instant mining, a block for each transaction.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
};

use lota_bridge::{
    Journal, PrivateKeySigner,
    evm::{Config, EvmTransport, Network, auction, bindings, filecoin_pay_deals::Deployment, token},
};
use lota_market::{Address, AttoFil, Bytes, model::Settings};
use lota_node::store::NodeJournal;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

/// Of how many blocks the whole state is kept: each costs a copy of it.
const KEPT_STATES: usize = 50;

/// A running chain with the market on it; it ends with this value.
#[derive(Debug)]
pub struct Anvil {
    _process: Child,
    address: String,
    http: reqwest::Client,
    contract: Address,
    auction: Option<Address>,
    orders: Option<Address>,
    calls: Arc<Mutex<BTreeMap<String, u64>>>,
}

/// Where the pinned anvil is; the script installs it into a cache the first time.
///
/// # Errors
/// What the script says when it cannot.
fn program(may_fetch: bool) -> Result<String, String> {
    let install = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contracts/scripts/install");
    let mut command = std::process::Command::new(install);
    if !may_fetch {
        command.env("npm_config_offline", "true");
    }
    let output = command.output().expect("the script runs");
    if !output.status.success() {
        return Err(format!("anvil cannot be installed: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(format!("{}/anvil", String::from_utf8_lossy(&output.stdout).trim()))
}

/// Reads a quantity of JSON-RPC.
#[must_use]
pub fn number(value: &Value) -> u64 {
    let text = value.as_str().expect("a quantity");
    u64::from_str_radix(text.trim_start_matches("0x"), 16).expect("a quantity")
}

/// What the market is deployed with: windows of a second and more.
const SETTINGS: Settings = Settings {
    min_window: 1,
    max_callback_gas: 5_000_000,
    callback_reserve: 20_000,
    signature_gas: 200_000,
    ..Settings::COIN
};

impl Anvil {
    /// Starts a chain and deploys a market with windows of a second and more.
    pub async fn spawn() -> Self {
        Self::run(&program(true).unwrap_or_else(|problem| panic!("{problem}"))).await
    }

    /// The same for a test; where anvil is missing it is skipped, and that is said. `scripts/test` installs it.
    pub async fn spawn_or_skip() -> Option<Self> {
        let required = std::env::var_os("LOTA_TEST_TOOLS").is_some();
        match program(required) {
            Ok(program) => Some(Self::run(&program).await),
            Err(problem) => {
                assert!(!required, "{problem}");
                // Not with `eprintln!`, which says nothing when a test passes.
                let _ =
                    writeln!(std::io::stderr(), "skipped: what needs a chain (scripts/test installs it): {problem}");
                None
            }
        }
    }

    async fn run(program: &str) -> Self {
        let chain_id = Network::DEVELOPMENT.chain_id.to_string();
        let mut process = Command::new(program)
            .args(["--host", "127.0.0.1", "--port", "0", "--chain-id", &chain_id, "--hardfork", "cancun"])
            .args(["--accounts", "2", &format!("--prune-history={KEPT_STATES}")])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("anvil starts");
        let mut lines = BufReader::new(process.stdout.take().expect("its output is piped")).lines();
        let address = loop {
            let line = lines.next_line().await.expect("it can be read").expect("anvil says where it listens");
            if let Some(address) = line.strip_prefix("Listening on ") {
                break address.to_owned();
            }
        };
        let calls = Arc::new(Mutex::new(BTreeMap::new()));
        let count = Arc::clone(&calls);
        // It writes down the name of every method that is called.
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if line.starts_with("eth_") {
                    *count.lock().unwrap_or_else(PoisonError::into_inner).entry(line).or_default() += 1;
                }
            }
        });
        let http = lota_http::client();
        let mut anvil =
            Self { _process: process, address, http, contract: Address::ZERO, auction: None, orders: None, calls };
        anvil.contract = anvil.deploy(SETTINGS).await;
        anvil
    }

    /// From now on its market is another one, paid in a test dollar, whose address is returned.
    pub async fn in_dollars(&mut self) -> Address {
        let asset = self.create(token::test_dollar()).await;
        self.contract = self.deploy(Settings { asset, quantum: 1, ..SETTINGS }).await;
        asset
    }

    /// From now on there is an auction beside its market, which everybody's transport reaches.
    pub async fn with_auction(&mut self) {
        self.auction = Some(self.create(auction::deployment(self.contract, 10)).await);
    }

    /// From now on there is a `FilecoinPayDeals` beside its market, which everybody's transport reaches: its address, and that of
    /// the stand-in of Filecoin Pay that it is beside. Prices are in the chain's coin if `token` is zero.
    pub async fn with_orders(&mut self, token: Address) -> (Address, Address) {
        let filecoin_pay = self.filecoin_pay().await;
        let deployment = Deployment {
            market: self.contract,
            callback_gas: 60_000,
            filecoin_pay,
            token,
            epoch_seconds: 1,
            grace: 600,
        };
        let orders = self.create(deployment.code()).await;
        self.orders = Some(orders);
        (orders, filecoin_pay)
    }

    /// Deploys the stand-in of Filecoin Pay.
    pub async fn filecoin_pay(&self) -> Address {
        let artifact = include_str!("../../contracts/test/artifacts/FilecoinPayStandIn.json");
        let artifact: Value = serde_json::from_str(artifact).expect("it is JSON");
        self.create(serde_json::from_value(artifact["bytecode"].clone()).expect("it has code")).await
    }

    /// So many seconds pass, with a block at their end.
    pub async fn advance(&self, seconds: u64) {
        self.call("evm_increaseTime", json!([seconds])).await;
        self.call("evm_mine", json!([])).await;
    }

    /// Gives an account so many of the test dollar's smallest unit.
    pub async fn mint(&self, dollar: Address, account: Address, amount: AttoFil) {
        let accounts = self.call("eth_accounts", json!([])).await;
        let mint = json!([{ "from": accounts[0], "to": dollar, "data": token::mint(account, amount) }]);
        let sent = self.call("eth_sendTransaction", mint).await;
        while self.call("eth_getTransactionReceipt", json!([sent])).await.is_null() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    async fn deploy(&self, settings: Settings) -> Address {
        self.create(bindings::deployment(&settings)).await
    }

    /// Has an account, whose key nobody needs to show, call a contract; `None`: one of the chain's own.
    pub async fn execute(&self, from: Option<Address>, to: Address, data: Bytes, value: AttoFil) {
        let from = match from {
            Some(account) => {
                self.call("anvil_impersonateAccount", json!([account])).await;
                json!(account)
            }
            None => self.call("eth_accounts", json!([])).await[0].clone(),
        };
        // Without an amount of gas Anvil estimates one for this second, and the next may take more.
        let value = format!("{:#x}", value.0);
        let call = json!([{ "from": from, "to": to, "data": data, "value": value, "gas": "0x1e8480" }]);
        let sent = self.call("eth_sendTransaction", call).await;
        let receipt = loop {
            let receipt = self.call("eth_getTransactionReceipt", json!([sent])).await;
            if !receipt.is_null() {
                break receipt;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        };
        assert_eq!(receipt["status"], "0x1", "{receipt}");
    }

    /// Deploys a contract.
    pub async fn create(&self, code: Bytes) -> Address {
        let accounts = self.call("eth_accounts", json!([])).await;
        let sent = self.call("eth_sendTransaction", json!([{ "from": accounts[0], "data": code }])).await;
        loop {
            let receipt = self.call("eth_getTransactionReceipt", json!([sent])).await;
            if !receipt.is_null() {
                return serde_json::from_value(receipt["contractAddress"].clone()).expect("it is deployed");
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn http_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its host and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The market.
    #[must_use]
    pub const fn contract(&self) -> Address {
        self.contract
    }

    /// How the devnet's nodes reach the market: told of new blocks by websocket.
    #[must_use]
    pub fn config(&self) -> Config {
        let hints = Some(format!("ws://{}", self.address));
        Config { hints, ..Config::new(&Network::DEVELOPMENT, self.http_url()) }
    }

    /// A party's transport, with its journal in the database of the node in `dir`. The account gets money for gas.
    pub async fn connect(&self, key: PrivateKeySigner, dir: &Path, money: AttoFil) -> Arc<EvmTransport> {
        self.connect_with(self.config(), key, dir, money).await
    }

    /// The same with settings of the test's own.
    pub async fn connect_with(
        &self,
        config: Config,
        key: PrivateKeySigner,
        dir: &Path,
        money: AttoFil,
    ) -> Arc<EvmTransport> {
        std::fs::create_dir_all(dir).expect("the folder is made");
        let journal: Arc<dyn Journal> = Arc::new(NodeJournal::open(dir).await.expect("the journal opens"));
        self.set_balance(key.address(), money).await;
        let transport =
            EvmTransport::connect(config, self.contract, 0, key, journal).await.expect("the market is there");
        let transport = match self.auction {
            Some(auction) => transport.with_auction_at(auction).await.expect("the auction is there"),
            None => transport,
        };
        Arc::new(match self.orders {
            Some(orders) => transport.with_filecoin_pay_deals_at(orders).await.expect("it is there"),
            None => transport,
        })
    }

    /// Gives an account this much money.
    pub async fn set_balance(&self, account: Address, money: AttoFil) {
        self.call("anvil_setBalance", json!([account, format!("{:#x}", money.0)])).await;
    }

    /// Calls a method.
    pub async fn call(&self, method: &str, params: Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer = self.http.post(self.http_url()).json(&request).send().await.expect("anvil answers");
        let mut answer: Value = answer.json().await.expect("anvil answers in JSON");
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].take()
    }

    /// Number of the newest block.
    pub async fn height(&self) -> u64 {
        number(&self.call("eth_blockNumber", json!([])).await)
    }

    /// How many transactions of an account are in blocks.
    pub async fn count(&self, account: Address) -> u64 {
        number(&self.call("eth_getTransactionCount", json!([account, "latest"])).await)
    }

    /// How often each method was called so far.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
