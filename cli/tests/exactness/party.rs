//! A process of `lota node run` that is killed and started again.

use std::{
    fs::{File, OpenOptions},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    anvil::Anvil,
    support::Home,
    wire::{self, Wire},
};

/// How long anything may take that must come; no test fails for being slow.
pub fn patience() -> Duration {
    Duration::from_secs(
        std::env::var("LOTA_PATIENCE").map_or(300, |text| text.parse().expect("LOTA_PATIENCE is a number")),
    )
}
const PASSWORD: &str = "long secret";
pub const FIL: u128 = 1_000_000_000_000_000_000;
/// What each party has on the chain at first.
pub const GIVEN: u128 = 1_000 * FIL;
/// Of which it pays so much into the market.
pub const DEPOSIT: u128 = 100 * FIL;

/// Waits for what must come.
pub fn soon<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(begun.elapsed() < patience(), "{what} does not happen");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// How a daemon's HTTP API is reached, which changes with each start.
#[derive(Clone)]
pub struct Api {
    file: PathBuf,
}

impl Api {
    /// Status and answer; none: nobody answers.
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Option<(u16, Value)> {
        let told: Value = serde_json::from_slice(&std::fs::read(&self.file).ok()?).ok()?;
        let (url, token) = (told["url"].as_str()?, told["token"].as_str()?);
        // One for all, since making them takes long.
        static CLIENT: OnceLock<(Runtime, reqwest::Client)> = OnceLock::new();
        let (runtime, client) = CLIENT.get_or_init(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
            (runtime.expect("a runtime"), lota_http::client())
        });
        runtime.block_on(async {
            let method = method.parse().expect("a method");
            let mut request = client.request(method, format!("{url}{path}")).bearer_auth(token);
            if let Some(body) = body {
                request = request.json(body);
            }
            let answer = request.timeout(Duration::from_secs(60)).send().await.ok()?;
            let status = answer.status().as_u16();
            Some((status, answer.json().await.unwrap_or(Value::Null)))
        })
    }

    /// An answer that must come; the process may be killed meanwhile.
    pub fn get(&self, path: &str) -> Value {
        let mut last = None;
        let begun = Instant::now();
        loop {
            match self.call("GET", path, None) {
                Some((200, value)) => return value,
                other => last = other.or(last),
            }
            assert!(begun.elapsed() < patience(), "{path}: {last:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// A node in a home of its own, behind a wire of its own.
pub struct Party {
    pub home: Home,
    pub address: String,
    pub wire: Wire,
    /// Where it reaches the chain, if not by its wire.
    pub rpc: Option<String>,
    args: Vec<String>,
    process: Option<Child>,
    docker: bool,
}

impl Party {
    /// Its key has [`GIVEN`] on the chain.
    pub fn new(anvil: &Anvil) -> Self {
        Self::in_home(anvil, Home::new())
    }

    /// The same in this home.
    pub fn in_home(anvil: &Anvil, home: Home) -> Self {
        let made = home.lota(&["wallet", "new", "main", "--light"]).env("LOTA_PASSWORD", PASSWORD).assert().success();
        let address = String::from_utf8(made.get_output().stdout.clone()).expect("UTF-8").trim().to_lowercase();
        anvil.give(&address, GIVEN);
        Self { home, address, wire: Wire::to(&anvil.url), rpc: None, args: Vec::new(), process: None, docker: false }
    }

    /// The market that it deployed.
    pub fn deploy(&self, url: &str) -> String {
        let args = ["chain", "deploy", "--rpc", url, "--key", "main", "--no-auction", "--json"];
        let run = self.home.lota(&args).env("LOTA_PASSWORD", PASSWORD).assert().success();
        let deployed: Value = serde_json::from_slice(&run.get_output().stdout).expect("JSON");
        deployed["contract"].as_str().expect("text").to_owned()
    }

    /// With which arguments it runs, and whether it uses the container engine.
    pub fn will_run(&mut self, contract: &str, more: &[&str], docker: bool) {
        // The same place after each start, so that it announces it once.
        let gateway = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
        let (rpc, gateway) = (self.rpc.clone().unwrap_or_else(|| self.wire.url()), gateway.to_string());
        let args = ["node", "run", "--key", "main", "--rpc", &rpc, "--contract", contract, "--gateway", &gateway];
        self.args = args.iter().chain(more).map(|&arg| arg.to_owned()).collect();
        self.docker = docker;
    }

    /// Starts it; does not wait.
    pub fn start(&mut self) {
        assert!(self.process.is_none(), "it runs");
        // A killed node leaves its file.
        let _ = std::fs::remove_file(self.home.path().join("api.json"));
        let log = OpenOptions::new().create(true).append(true).open(self.log()).expect("a file");
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("lota"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LOTA_")) {
            command.env_remove(name);
        }
        let process = command
            .args(&self.args)
            .env("LOTA_HOME", self.home.path())
            .env("LOTA_PASSWORD", PASSWORD)
            .env("NO_COLOR", "1")
            .env("LOTA_LOG", std::env::var("EXACTNESS_LOG").unwrap_or_else(|_| "warn".to_owned()))
            .env("LOTA_NODE_DOCKER_ON", if self.docker { "true" } else { "false" })
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the command starts");
        self.process = Some(process);
    }

    /// Waits until it answers.
    pub fn wait(&mut self) {
        soon("the start of a node", || {
            let ended = self.process.as_mut().expect("started").try_wait().expect("a child");
            assert!(ended.is_none(), "the node ended by itself with {ended:?}");
            self.api().call("GET", "/v1/node", None).filter(|(status, _)| *status == 200)
        });
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Kills it without warning, if it is not dead already, and waits until it is gone.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        wire::kill(process.id());
        process.wait().expect("a child");
    }

    /// Whether it ended by itself meanwhile.
    pub fn has_ended(&mut self) -> bool {
        let ended = self.process.as_mut().is_none_or(|process| process.try_wait().expect("a child").is_some());
        if ended {
            self.process = None;
        }
        ended
    }

    pub fn restart(&mut self) {
        self.kill();
        self.start();
    }

    pub fn api(&self) -> Api {
        Api { file: self.home.path().join("api.json") }
    }

    /// The folder of its database, blocks and work.
    pub fn folder(&self) -> PathBuf {
        self.home.path().join("nodes/main")
    }

    fn log(&self) -> PathBuf {
        self.home.place("stderr.txt")
    }

    /// What it said on stderr, since its first start.
    pub fn said(&self) -> String {
        std::fs::read(self.log()).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default()
    }

    /// Pays money into the market.
    pub fn deposit(&self, amount: u128) {
        let body = json!({ "amount": amount.to_string() });
        soon("a deposit", || {
            let answer = self.api().call("POST", "/v1/wallet/deposit", Some(&body));
            answer.filter(|(status, _)| *status == 200)
        });
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
        if std::thread::panicking() {
            let said = self.said();
            let lines: Vec<_> = said.lines().collect();
            eprintln!("{} said at last:", self.address);
            lines[lines.len().saturating_sub(25)..].iter().for_each(|line| eprintln!("  {line}"));
            if std::env::var_os("EXACTNESS_KEEP").is_some() {
                let kept = std::env::temp_dir().join(format!("exactness-{}", self.address));
                copy(&self.home.path(), &kept);
                let _ = std::fs::copy(self.log(), kept.join("stderr.txt"));
            }
        }
    }
}

/// Copies a folder with all that is in it, and the rights to it, to where nothing is.
pub fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().expect("cp runs").success());
}

/// All files and empty folders below a folder, named from it; of links only what they are called.
pub fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return found };
    for entry in entries.map_while(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let within = files(&entry.path());
            if within.is_empty() {
                found.push(format!("{name}/"));
            }
            found.extend(within.iter().map(|file| format!("{name}/{file}")));
        } else {
            found.push(name);
        }
    }
    found.sort();
    found
}

/// Makes a file of so many bytes, as far as there is room; whether there was.
pub fn fill(path: &Path, bytes: u64) -> bool {
    use std::io::Write as _;
    let Ok(mut file) = File::create(path) else { return false };
    let block = vec![7; 64 << 10];
    let mut left = bytes;
    while left > 0 {
        let now = usize::try_from(left).unwrap_or(block.len()).min(block.len());
        match file.write(&block[..now]) {
            Ok(0) | Err(_) => return false,
            Ok(written) => left -= written as u64,
        }
    }
    file.sync_all().is_ok()
}
