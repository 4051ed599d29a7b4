//! A development chain of our own for each test.

use std::{path::Path, process::Stdio, sync::OnceLock};

use lota_market::{Address, B256};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// The chain id of a local Filecoin network.
pub(crate) const CHAIN_ID: u64 = 31_415_926;

/// Where the pinned anvil is; the script installs it into a cache the first time.
fn program() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let install = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contracts/scripts/install");
        let output = std::process::Command::new(install).stderr(Stdio::inherit()).output().expect("the script runs");
        assert!(output.status.success(), "anvil cannot be installed; contracts/scripts/install says why");
        format!("{}/anvil", String::from_utf8_lossy(&output.stdout).trim())
    })
}

/// A running chain; it ends with the test.
pub(crate) struct Anvil {
    _process: Child,
    address: String,
    http: reqwest::Client,
}

impl Anvil {
    pub(crate) async fn spawn() -> Self {
        Self::spawn_with(CHAIN_ID).await
    }

    pub(crate) async fn spawn_with(chain_id: u64) -> Self {
        let chain_id = chain_id.to_string();
        let mut process = Command::new(program())
            .args(["--port", "0", "--chain-id", &chain_id, "--hardfork", "cancun", "--accounts", "2"])
            // States are kept in memory: on the disk they would stay when it is killed.
            .arg("--prune-history=2000")
            .stdout(Stdio::piped())
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
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { _process: process, address, http: lota_http::client() }
    }

    pub(crate) fn http_url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn ws_url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Calls a method.
    pub(crate) async fn call(&self, method: &str, params: Value) -> Value {
        let mut answer = self.try_call(method, params).await;
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].take()
    }

    /// Calls a method; the whole answer, which may be an error.
    pub(crate) async fn try_call(&self, method: &str, params: Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer = self.http.post(self.http_url()).json(&request).send().await.expect("anvil answers");
        answer.json().await.expect("anvil answers in JSON")
    }

    /// Number of the newest block.
    pub(crate) async fn height(&self) -> u64 {
        number(&self.call("eth_blockNumber", json!([])).await)
    }

    /// Hash of the block at a height.
    pub(crate) async fn hash_at(&self, height: u64) -> B256 {
        let block = self.call("eth_getBlockByNumber", json!([format!("{height:#x}"), false])).await;
        serde_json::from_value(block["hash"].clone()).expect("there is a block")
    }

    pub(crate) async fn mine(&self, blocks: u64) {
        self.call("anvil_mine", json!([format!("{blocks:#x}")])).await;
    }

    pub(crate) async fn automine(&self, on: bool) {
        self.call("evm_setAutomine", json!([on])).await;
    }

    pub(crate) async fn set_balance(&self, account: Address, atto: u128) {
        self.call("anvil_setBalance", json!([account, format!("{atto:#x}")])).await;
    }

    /// Deploys code with an account of anvil's.
    pub(crate) async fn deploy(&self, code: &[u8]) -> Address {
        let accounts = self.call("eth_accounts", json!([])).await;
        let code = lota_market::Bytes::copy_from_slice(code);
        let sent = self.call("eth_sendTransaction", json!([{ "from": accounts[0], "data": code }])).await;
        loop {
            let receipt = self.call("eth_getTransactionReceipt", json!([sent])).await;
            if !receipt.is_null() {
                return serde_json::from_value(receipt["contractAddress"].clone()).expect("it is deployed");
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// Makes the next blocks other ones: an empty block in the place of an empty one, in the same second, would be the same.
    async fn pay_another_miner(&self, dropped: B256) {
        self.call("anvil_setCoinbase", json!([Address::from_word(dropped)])).await;
    }

    /// Drops the blocks above `block`, of which there must be some, and puts more, empty ones in their place.
    pub(crate) async fn fork_above(&self, block: u64) {
        let before = self.height().await;
        let (kept, dropped) = (self.hash_at(block).await, self.hash_at(block + 1).await);
        self.pay_another_miner(dropped).await;
        self.call("anvil_rollback", json!([before - block])).await;
        self.mine(before - block + 2).await;
        assert_eq!(self.hash_at(block).await, kept);
        assert_ne!(self.hash_at(block + 1).await, dropped, "the chain was reorganised");
    }

    /// Puts other, empty blocks in the place of the newest ones.
    pub(crate) async fn reorganise(&self, blocks: u64) {
        let height = self.height().await;
        let (kept, dropped) = (self.hash_at(height - blocks).await, self.hash_at(height - blocks + 1).await);
        self.pay_another_miner(dropped).await;
        self.call("anvil_reorg", json!([blocks, []])).await;
        assert_eq!(self.height().await, height);
        assert_eq!(self.hash_at(height - blocks).await, kept);
        assert_ne!(self.hash_at(height - blocks + 1).await, dropped, "the chain was reorganised");
    }
}

/// Reads a quantity.
pub(crate) fn number(value: &Value) -> u64 {
    let text = value.as_str().expect("a quantity");
    u64::from_str_radix(text.trim_start_matches("0x"), 16).expect("a quantity")
}
