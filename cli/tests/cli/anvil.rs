//! A development chain for tests. Where anvil is missing they are skipped and say so.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use serde_json::{Value, json};

/// The folder with the pinned anvil; none: it cannot be had here, which was said.
pub fn tools() -> Option<&'static Path> {
    static TOOLS: OnceLock<Option<PathBuf>> = OnceLock::new();
    TOOLS.get_or_init(find).as_deref()
}

fn find() -> Option<PathBuf> {
    let install = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contracts/scripts/install");
    let required = std::env::var_os("LOTA_TEST_TOOLS").is_some();
    let mut command = Command::new(install);
    if !required {
        // `cargo test` alone fetches nothing, and does not wait for a network that is not there.
        command.env("npm_config_offline", "true");
    }
    let output = command.output().expect("the script runs");
    if output.status.success() {
        return Some(String::from_utf8(output.stdout).expect("a path").trim().into());
    }
    let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    assert!(!required, "anvil is missing: {why}");
    // Not with `eprintln!`, which says nothing when a test passes.
    let _ = writeln!(
        std::io::stderr(),
        "skipped: what needs a chain, for anvil is missing (scripts/test installs it): {why}"
    );
    None
}

/// A `PATH` on which anvil is found.
pub fn path_with(tools: &Path) -> String {
    format!("{}:{}", tools.display(), std::env::var("PATH").unwrap_or_default())
}

/// A running chain; it ends with the test.
pub struct Anvil {
    process: Child,
    pub url: String,
    client: tokio::runtime::Runtime,
}

impl Anvil {
    /// Starts one; none: there is no anvil here.
    pub fn start(chain_id: u64) -> Option<Self> {
        Self::start_with(chain_id, &[])
    }

    /// Starts one that mines a block every second besides, so that time passes; none: there is no anvil here.
    pub fn with_blocks(chain_id: u64) -> Option<Self> {
        Self::start_with(chain_id, &["--block-time", "1", "--mixed-mining"])
    }

    /// Ends it; its port.
    pub fn stop(mut self) -> String {
        let killed = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().expect("kill runs");
        assert!(killed.success());
        self.process.wait().expect("it ends");
        self.url.rsplit(':').next().expect("a port").to_owned()
    }

    /// One with more arguments; none: there is no anvil here.
    pub fn start_with(chain_id: u64, more: &[&str]) -> Option<Self> {
        let port: &[&str] = if more.contains(&"--port") { &[] } else { &["--port", "0"] };
        let mut process = Command::new(tools()?.join("anvil"))
            .args(more)
            .args(port)
            .args(["--chain-id", &chain_id.to_string(), "--hardfork", "cancun", "--accounts", "1"])
            // States are kept in memory: on the disk they would stay when it is killed.
            .arg("--prune-history=1000")
            .stdout(Stdio::piped())
            .spawn()
            .expect("anvil starts");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let address = lines
            .by_ref()
            .find_map(|line| line.expect("text").strip_prefix("Listening on ").map(str::to_owned))
            .expect("anvil says where it listens");
        std::thread::spawn(move || lines.for_each(drop));
        let client = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Some(Self { process, url: format!("http://{address}"), client })
    }

    /// Calls a method.
    pub fn call(&self, method: &str, params: Value) -> Value {
        call(&self.client, &self.url, method, params)
    }

    /// Calls a method that may be refused; the whole answer.
    #[allow(dead_code, reason = "the suite `exactness` has this module, too, and uses it")]
    pub fn try_call(&self, method: &str, params: Value) -> Value {
        answer(&self.client, &self.url, method, params)
    }

    /// Gives an account money.
    pub fn give(&self, account: &str, atto: u128) {
        self.call("anvil_setBalance", json!([account, format!("{atto:#x}")]));
    }
}

/// Calls a method of a chain that somebody else started.
pub fn call_at(url: &str, method: &str, params: Value) -> Value {
    let client = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    call(&client, url, method, params)
}

fn answer(client: &tokio::runtime::Runtime, url: &str, method: &str, params: Value) -> Value {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    client.block_on(async {
        let answer = lota_http::client().post(url).json(&request).send().await.expect("it answers");
        answer.json().await.expect("JSON")
    })
}

fn call(client: &tokio::runtime::Runtime, url: &str, method: &str, params: Value) -> Value {
    let mut answer = answer(client, url, method, params);
    assert!(answer.get("error").is_none(), "{method}: {answer}");
    answer["result"].take()
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
