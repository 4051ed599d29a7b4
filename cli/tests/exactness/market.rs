//! A market on a chain of its own with one client and one provider, and the jobs that somebody asks the client for.

use std::{
    collections::BTreeMap,
    io::Write as _,
    os::unix::net::UnixStream,
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    anvil::Anvil,
    modules,
    party::{Api, DEPOSIT, Party, patience, soon},
    wire::Faults,
};

/// So deep a reorganisation may go without undoing how the market began.
pub const DEEPEST: u64 = 20;
/// Windows with time for however slow a machine, and for all jumps of a clock.
const WINDOW: u64 = 20 * 3_600;

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Prints its argument.
    Echo,
    /// The same, after it was busy for some time.
    Busy,
    /// The same, with an input of some blocks that the provider fetches.
    Fetch,
    /// The same, in a container.
    Container,
}

/// What happened in a run.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub kills: u64,
    pub reorganisations: u64,
    pub faults: Faults,
    /// What else happened, by its name.
    pub others: Faults,
    pub jobs: usize,
    pub failed_transactions: usize,
}

impl Figures {
    /// One line that `scripts/bench` passes on.
    pub fn print(&self, name: &str) {
        let faults: u64 = self.faults.values().chain(self.others.values()).sum();
        // What comes here has passed the audit.
        let line = json!({
            "name": format!("survived, {name}"), "value": self.kills + self.reorganisations + faults, "unit": "count",
            "kills": self.kills, "reorganisations": self.reorganisations, "faults": faults,
            "jobs done": self.jobs, "jobs lost": 0, "double payments": 0, "left behind": 0,
            "transactions that failed": self.failed_transactions,
        });
        // On a line of its own, whatever the test runner has written.
        let _ = writeln!(std::io::stderr(), "\n{line}\n# {:?} {:?}", self.faults, self.others);
    }
}

/// A job that was asked for.
pub struct Asked {
    pub kind: Kind,
    /// What it prints.
    pub words: String,
    waiting: Option<JoinHandle<Option<String>>>,
    id: Option<String>,
    /// The client said so; one with a database of yesterday may say less.
    done: bool,
}

pub struct Market {
    pub anvil: Anvil,
    pub contract: String,
    pub client: Party,
    pub provider: Party,
    pub asked: Vec<Asked>,
    /// The block below which no reorganisation goes.
    pub base: u64,
    /// The latest time that a block had, also one that was undone since.
    pub latest: u64,
    pub figures: Figures,
    contents: BTreeMap<&'static str, String>,
    /// Until when requests are made again.
    over: Arc<AtomicBool>,
    pub docker: bool,
    problems: Arc<Mutex<BTreeMap<String, u64>>>,
}

/// Whether there is a container engine; said where there is none.
fn has_engine() -> bool {
    let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    let reached = host.strip_prefix("unix://").is_some_and(|path| UnixStream::connect(path).is_ok());
    if !reached {
        let impossible = std::env::var("LOTA_TEST_NO_DOCKER");
        let is_needed = std::env::var_os("LOTA_TEST_TOOLS").is_some() && impossible.is_err();
        assert!(!is_needed, "no container engine answers at {host}, and LOTA_TEST_TOOLS is set");
        // Not with `eprintln!`, which says nothing when a test passes.
        let _ = writeln!(std::io::stderr(), "skipped: containers among the jobs: no engine answers at {host}");
    }
    reached
}

/// The lines that docker prints.
pub fn docker(args: &[&str]) -> Vec<String> {
    let output = Command::new("docker").args(args).output().expect("docker runs");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

impl Market {
    /// With a client and a provider that run; none: there is no anvil here.
    pub fn open(containers: bool) -> Option<Self> {
        Self::open_on(Anvil::start_with(31_337, &["--block-time", "1", "--mixed-mining"])?, containers)
    }

    /// The same on this chain.
    pub fn open_on(anvil: Anvil, containers: bool) -> Option<Self> {
        let (client, provider) = (Party::new(&anvil), Party::new(&anvil));
        Some(Self::with(anvil, client, provider, containers))
    }

    /// The same with parties who have homes already.
    pub fn with(anvil: Anvil, mut client: Party, mut provider: Party, containers: bool) -> Self {
        let docker = containers && has_engine();
        let contract = client.deploy(&anvil.url);
        client.will_run(&contract, &["--client-only"], false);
        provider.will_run(&contract, &["--slots", "2"], docker);
        for party in [&mut client, &mut provider] {
            party.start();
            party.wait();
            party.deposit(DEPOSIT);
        }
        let mut market = Self {
            anvil,
            contract: contract.to_lowercase(),
            client,
            provider,
            asked: Vec::new(),
            base: 0,
            latest: 0,
            figures: Figures::default(),
            contents: BTreeMap::new(),
            over: Arc::new(AtomicBool::new(false)),
            docker,
            problems: Arc::default(),
        };
        market.add_contents();
        // The provider is known before it is asked for anything.
        soon("the provider's announcement", || {
            let parties = market.client.api().get("/v1/parties");
            parties.to_string().to_lowercase().contains(&market.provider.address).then_some(())
        });
        // No reorganisation undoes all this.
        market.base = market.height();
        market.anvil.call("anvil_mine", json!([format!("{:#x}", DEEPEST + 2)]));
        market
    }

    fn add_contents(&mut self) {
        let home = &self.client.home;
        let add = |path: &Path| home.stdout(&["content", "add", path.to_str().expect("UTF-8")]).trim().to_owned();
        let pattern = |bytes: u32| {
            (0..bytes).flat_map(|word| word.wrapping_mul(2_654_435_761).to_le_bytes()).collect::<Vec<u8>>()
        };
        self.contents.insert("echo", add(&home.file("echo.wasm", modules::echo())));
        self.contents.insert("busy", add(&home.file("busy.wasm", busy())));
        self.contents.insert("input", add(&home.file("input", pattern(400_000))));
        if self.docker {
            let archive = home.place("busybox.tar");
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/test-image");
            assert!(Command::new(script).arg(&archive).status().expect("the script runs").success());
            self.contents.insert("image", add(&archive));
        }
    }

    fn spec(&self, kind: Kind, words: &str) -> Value {
        let content = |name: &str| self.contents[name].clone();
        let wasm = |name: &str| json!({ "type": "wasm", "module": content(name), "entry": "_start" });
        let (engine, args) = match kind {
            Kind::Echo | Kind::Fetch => (wasm("echo"), json!([words])),
            Kind::Busy => (wasm("busy"), json!([words])),
            Kind::Container => {
                let script = format!("printf '{words}\\0'; sleep 0.4; echo made > /outputs/made");
                (json!({ "type": "docker", "image": content("image") }), json!(["sh", "-c", script]))
            }
        };
        let inputs = if kind == Kind::Fetch { json!([{ "cid": content("input") }]) } else { json!([]) };
        json!({
            "version": 1, "engine": engine, "args": args, "inputs": inputs,
            "limits": { "fuel": 4_000_000_000_u64, "memory": 64 << 20, "output": 1 << 20, "entries": 100, "wall": 600 },
        })
    }

    /// Somebody asks the client for a job, again and again until the answer comes, always under one key.
    pub fn ask(&mut self, kind: Kind) -> usize {
        let number = self.asked.len();
        let words = format!("job-{number}");
        let body = json!({
            "spec": self.spec(kind, &words),
            "terms": {
                // So that it is taken at once.
                "min_price": "40000000000000000",
                "lock_for": WINDOW, "run_for": WINDOW,
            },
            "idempotency_key": words,
        });
        let (api, over, problems) = (self.client.api(), Arc::clone(&self.over), Arc::clone(&self.problems));
        let waiting = Some(thread::spawn(move || request(&api, &body, &over, &problems)));
        self.asked.push(Asked { kind, words, waiting, id: None, done: false });
        number
    }

    /// The id of a job that was asked for, as soon as the client has answered.
    pub fn id(&mut self, number: usize) -> String {
        let asked = &mut self.asked[number];
        if let Some(waiting) = asked.waiting.take() {
            asked.id = waiting.join().expect("the request is answered");
        }
        asked.id.clone().expect("the request was answered")
    }

    /// The same, if it has answered already.
    pub fn known_id(&self, number: usize) -> Option<String> {
        self.asked[number].id.clone()
    }

    /// Whether the client says that this job was settled, and has its output.
    pub fn is_done(&mut self, number: usize) -> bool {
        if self.asked[number].done {
            return true;
        }
        if self.asked[number].waiting.as_ref().is_some_and(|waiting| !waiting.is_finished()) {
            return false;
        }
        let id = self.id(number);
        let told = self.client.api().call("GET", &format!("/v1/jobs/{id}"), None);
        let done = told.is_some_and(|(_, job)| job["phase"] == "settled" && job["output_verified"] == true);
        self.asked[number].done = done;
        done
    }

    /// Waits until all jobs are done; `meanwhile` is called again and again.
    pub fn wait_until_done(&mut self, mut meanwhile: impl FnMut(&mut Self)) {
        let begun = Instant::now();
        for number in 0..self.asked.len() {
            while !self.is_done(number) {
                meanwhile(self);
                self.give_up_after(begun, number);
                thread::sleep(Duration::from_millis(50));
            }
        }
    }

    /// Fails, and says what is known about a job, when it was waited for long enough.
    pub fn give_up_after(&self, begun: Instant, number: usize) {
        if begun.elapsed() > patience() {
            let asked = &self.asked[number];
            let told = asked.id.as_ref().and_then(|id| self.client.api().call("GET", &format!("/v1/jobs/{id}"), None));
            panic!(
                "{} ({:?}) is not done: {told:?}; answers to requests: {:?}",
                asked.words, asked.kind, self.problems
            );
        }
    }

    /// What the engine calls this market's provider; none: it brought no image there yet.
    pub fn node_in_engine(&self) -> Option<String> {
        let names = images_of(&self.provider.folder());
        names.first().and_then(|name| Some(name.strip_prefix("lota/")?.split_once(':')?.0.to_owned()))
    }

    /// The provider's images that are in the engine; others use it, too.
    pub fn images_in_engine(&self) -> Vec<String> {
        let Some(node) = self.node_in_engine() else { return Vec::new() };
        docker(&["images", "--format", "{{.Repository}}:{{.Tag}}", &format!("lota/{node}")])
    }

    /// Adds up what went wrong on the wires.
    pub fn count_faults(&mut self) {
        self.figures.faults.clear();
        for party in [&self.client, &self.provider] {
            for (name, count) in party.wire.faults() {
                *self.figures.faults.entry(name).or_default() += count;
            }
        }
    }
}

impl Drop for Market {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        if self.docker {
            for image in self.images_in_engine() {
                let _ = Command::new("docker").args(["rmi", "-f", &image]).output();
            }
        }
    }
}

/// The images that a provider brought to the engine, as it knows them.
pub fn images_of(folder: &Path) -> Vec<String> {
    let Ok(known) = std::fs::read(folder.join("docker/images.json")) else { return Vec::new() };
    let known: Value = serde_json::from_slice(&known).expect("JSON");
    known["images"].as_object().expect("images").keys().cloned().collect()
}

/// The job's id, when the daemon has answered; none: the test is over.
fn request(api: &Api, body: &Value, over: &AtomicBool, problems: &Mutex<BTreeMap<String, u64>>) -> Option<String> {
    while !over.load(Ordering::SeqCst) {
        match api.call("POST", "/v1/jobs", Some(body)) {
            Some((201, job)) => return job["id"].as_str().map(str::to_owned),
            Some((status, problem)) => {
                assert_ne!(problem["code"], "key_reused", "{problem}");
                *problems.lock().expect("no panic").entry(format!("{status} {problem}")).or_default() += 1;
            }
            None => {}
        }
        thread::sleep(Duration::from_millis(100));
    }
    None
}

/// Prints its arguments after a loop that takes some tenths of a second.
fn busy() -> Vec<u8> {
    let text = r#"(module
      (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
      (memory (export "memory") 1)
      (func (export "_start") (local $left i32)
        (local.set $left (i32.const 200000000))
        (loop $again (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (drop (call $sizes (i32.const 8) (i32.const 4)))
        (drop (call $args (i32.const 1024) (i32.const 4096)))
        (i32.store (i32.const 0) (i32.const 4096))
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))))"#;
    wat::parse_str(text).expect("the module is valid")
}
