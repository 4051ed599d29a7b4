//! `lota canary`: jobs that go the whole way, failures that are told, and nothing that grows.

use std::{
    io::{BufRead as _, BufReader, Lines},
    path::Path,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    anvil::{Anvil, tools},
    outages::Node,
    support::{Home, get, metric_names},
};

/// How long a test waits for what must come, at most.
const PATIENCE: Duration = Duration::from_secs(300);

/// A canary; it is killed with the test.
struct Canary<'a> {
    home: &'a Home,
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Drop for Canary<'_> {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("the canary said:\n{}", self.said());
        }
    }
}

impl<'a> Canary<'a> {
    /// One whose runs follow each other at once.
    fn start(home: &'a Home, more: &[&str]) -> Self {
        let mut process = Command::new(assert_cmd::cargo::cargo_bin("lota"))
            .args(["canary", "--json", "--every", "0s", "--monitoring", "127.0.0.1:0"])
            .args(more)
            .env("LOTA_HOME", home.path())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(home.place("canary.txt")).expect("a file"))
            .spawn()
            .expect("starts");
        let lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        Self { home, process, lines }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.home.place("canary.txt")).expect("a text")
    }

    /// What the next run came to.
    fn run(&mut self) -> Value {
        let line = self.lines.next().expect("a line for each run").expect("UTF-8");
        serde_json::from_str(&line).expect("one JSON document in a line")
    }

    /// The first of the next runs that is as wanted.
    fn run_until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let run = self.run();
            if wanted(&run) {
                return run;
            }
            assert!(begun.elapsed() < PATIENCE, "still {run:#}");
        }
    }

    /// What it tells of itself at a path.
    fn get(&self, path: &str) -> (u16, String) {
        let said = self.said();
        let (_, address) = said.split_once("monitoring at http://").expect("it says where before it runs");
        get(address.lines().next().expect("a line"), path)
    }

    /// The value of a metric.
    fn metric(&self, name: &str) -> f64 {
        let (status, text) = self.get("/metrics");
        assert_eq!(status, 200);
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("{name} is not in\n{text}")).parse().expect("a number")
    }

    /// Ends it as a service manager does.
    fn end(mut self) -> ExitStatus {
        let told = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().expect("kill runs");
        assert!(told.success());
        self.process.wait().expect("a child")
    }
}

/// What a process holds: descriptors, and bytes of memory.
fn holds(process: u32) -> (usize, u64) {
    let descriptors = std::fs::read_dir(format!("/proc/{process}/fd")).expect("Linux").count();
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("Linux");
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB")?.trim().parse().ok());
    let kibibytes: u64 = memory.expect("Linux");
    (descriptors, kibibytes << 10)
}

fn is_ok(run: &Value) -> bool {
    run["outcome"] == "ok"
}

/// Descriptors more or less that say nothing: connections that are kept for the next request, of the database and of HTTP.
const SLACK: usize = 10;
/// Many runs, in which nothing may grow without a reason.
struct Soak<'a> {
    runs: u64,
    /// Runs until everything is there that stays: pools, caches, code. From then on it is compared.
    warm: u64,
    /// What the canary may grow by, in bytes.
    canary: u64,
    /// What the devnet may grow by in each run, in bytes; none: it was not warm yet.
    devnet: Option<u64>,
    /// Where Anvil is, if the market is to be on a chain.
    tools: Option<&'a Path>,
}

impl Soak<'_> {
    /// Of these runs none may fail, and nothing may grow: descriptors, memory, what is remembered of jobs, the stores.
    fn run(&self) {
        let Self { runs, warm, .. } = *self;
        let home = Home::new();
        // Small enough for a long run to fill the stores many times over.
        home.file("home/config.toml", "[devnet]\nkeep_for = \"15s\"\nstore_capacity = \"8 MiB\"\n");
        let devnet = match self.tools {
            Some(tools) => home.devnet_with(&["--chain", "anvil", "--providers", "1"], tools),
            None => home.devnet(&["--providers", "1"]),
        };
        let mut canary = Canary::start(&home, &[]);
        let (process, begun) = (canary.process.id(), Instant::now());
        let mut before = (holds(process), holds(devnet.id()));
        for number in 1..=runs {
            let run = canary.run();
            assert!(is_ok(&run) && run["run"] == number, "{run:#}");
            if number == warm {
                before = (holds(process), holds(devnet.id()));
            }
            if number.is_multiple_of(500) {
                let ((files, memory), (devnet_files, devnet_memory)) = (holds(process), holds(devnet.id()));
                println!(
                    "{number} runs in {:.0?}; descriptors and KiB of the canary {files}, {}, of the devnet {devnet_files}, {}",
                    begun.elapsed(),
                    memory >> 10,
                    devnet_memory >> 10
                );
            }
        }
        let after = (holds(process), holds(devnet.id()));
        let took = begun.elapsed();
        let most = "1000";
        let count = |text: &str| {
            let page: Value = serde_json::from_str(text).expect("JSON");
            page.as_array().expect("jobs").len()
        };
        let list = ["job", "list", "--all", "--limit", most, "--json"];
        let remembered = count(&home.stdout(&list));
        let each = after.1.1.saturating_sub(before.1.1) / (runs - warm).max(1);
        println!(
            "{runs} runs in {took:.1?}; since run {warm}, descriptors and bytes of memory of the canary {:?} -> {:?}, of the devnet {:?} -> {:?}: {each} bytes a run; {remembered} jobs remembered",
            before.0, after.0, before.1, after.1
        );
        assert!(canary.metric("lota_canary_runs_total{outcome=\"ok\"}") >= runs as f64);
        assert_eq!(canary.metric("lota_canary_runs_total{outcome=\"failed\"}"), 0.0);
        assert!(canary.metric("lota_canary_phase_duration_seconds_count{phase=\"fetched\"}") >= runs as f64);
        assert!(canary.end().success(), "told to end, it ends well");
        for ((before, _), (after, _)) in [(before.0, after.0), (before.1, after.1)] {
            assert!(after <= before + SLACK, "{before} descriptors became {after} in {runs} runs");
        }
        assert!(after.0.1 <= before.0.1 + self.canary, "{} bytes became {}", before.0.1, after.0.1);
        if let Some(most) = self.devnet {
            assert!(each <= most, "the devnet grows by {each} bytes a run, and {most} are explained");
        }
        // Nothing is left to remember, once it is old enough.
        home.wait_for(&list, |text| count(text) == 0);
        devnet.end();
    }

    /// As many runs as the environment says.
    fn long(tools: Option<&Path>, devnet: u64) {
        let runs = std::env::var("LOTA_SOAK_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(10_000);
        // A short one is not warm in the end.
        let (warm, devnet) = if runs >= 5_000 { (2_000, Some(devnet)) } else { (runs / 2, None) };
        Soak { runs, warm, canary: 16 << 20, devnet, tools }.run();
    }
}

#[test]
fn runs_follow_each_other_and_nothing_grows() {
    Soak { runs: 40, warm: 10, canary: 16 << 20, devnet: None, tools: None }.run();
}

/// What the nodes keep of a run: until there are 4,096, what they have parsed of its spec, some 2 KiB.
const KEPT_BY_NODES: u64 = 1 << 10;
/// The market of a devnet is in the same process, and a chain keeps everything: six blocks a run.
const KEPT_BY_CHAIN: u64 = 7 << 10;

/// `LOTA_SOAK_RUNS=10000 cargo test --test cli -- canary::nothing_leaks_in_ten_thousand_runs --exact --ignored --nocapture`
#[test]
#[ignore = "takes half an hour"]
fn nothing_leaks_in_ten_thousand_runs() {
    Soak::long(None, KEPT_BY_NODES + KEPT_BY_CHAIN);
}

/// The nodes alone: the chain is Anvil's.
#[test]
#[ignore = "takes an hour"]
fn nothing_leaks_in_ten_thousand_runs_on_a_chain() {
    let Some(tools) = tools() else { return };
    Soak::long(Some(tools), KEPT_BY_NODES);
}

#[test]
fn an_output_is_let_go_of_and_no_other_is() {
    let home = Home::new();
    let _devnet = home.devnet(&["--providers", "1"]);
    let mut canary = Canary::start(&home, &["--count", "1"]);
    let run = canary.run();
    assert!(is_ok(&run), "{run:#}");
    let phases = run["phases"].as_object().expect("phases");
    for phase in ["opened", "locked", "result", "settled", "verified", "fetched"] {
        assert!(phases[phase].is_number(), "{run:#}");
    }
    assert!(canary.process.wait().expect("a child").success(), "the last run is done");
    let id = run["job"].as_str().expect("an id");
    let published = |id: &str| home.json(&["job", "describe", id, "--json"])["published"].clone();
    assert_eq!(published(id), Value::Null, "the daemon does not keep it");
    // It can be had all the same, while there is room, or from the provider.
    assert!(home.stdout(&["job", "cat", id, "stdout"]).starts_with("job\0"));
    let module = home.file("hello.wasm", crate::modules::hello());
    let other = home.stdout(&["wasm", "run", module.to_str().expect("UTF-8"), "--detach"]);
    home.stdout(&["job", "wait", other.trim()]);
    assert_eq!(published(other.trim())[0]["publisher"], "gateway", "an output is kept otherwise");
}

#[test]
fn failures_are_told_and_counted_and_it_goes_on() {
    let home = Home::new();
    let devnet = home.devnet(&["--providers", "1"]);
    let mut canary = Canary::start(&home, &["--timeout", "8s"]);
    canary.run_until(is_ok);
    assert_eq!(canary.get("/ready"), (200, r#"{"ready":true}"#.to_owned()));

    devnet.end();
    let away = canary.run_until(|run| run["failed"] == "opened");
    assert!(away["reason"].as_str().expect("a reason").contains("daemon"), "{away:#}");
    let (status, ready) = canary.get("/ready");
    assert!(status == 503 && ready.contains(r#""ready":false,"failed":"opened","reason":""#), "{ready}");
    assert_eq!(canary.get("/health").0, 200, "it is alive");

    let devnet = home.devnet(&["--providers", "0"]);
    let alone = canary.run_until(|run| run["failed"] == "locked");
    assert!(alone["reason"].as_str().expect("a reason").contains("waiting for a provider"), "{alone:#}");
    assert!(alone["phases"]["opened"].is_number() && alone["phases"]["locked"].is_null(), "{alone:#}");
    let id = alone["job"].as_str().expect("an id");
    home.wait_for(&["job", "describe", id, "--json"], |text| text.contains("\"status\": \"cancelled\""));

    devnet.end();
    let _devnet = home.devnet(&["--providers", "1"]);
    canary.run_until(is_ok);
    let failed = |phase: &str| format!("lota_canary_phases_total{{phase=\"{phase}\",outcome=\"failed\"}}");
    for phase in ["opened", "locked"] {
        assert!(canary.metric(&failed(phase)) >= 1.0, "{phase}");
    }
    assert_eq!(canary.metric(&failed("fetched")), 0.0);
    assert!(canary.metric("lota_canary_runs_total{outcome=\"ok\"}") >= 2.0);
    let (last, success) = ("lota_canary_last_run_time_seconds", "lota_canary_last_success_time_seconds");
    assert!(canary.metric(success) > 1.7e9 && canary.metric(last) >= canary.metric(success));

    // What warns of a canary and what shows it ask for what there is.
    let (_, metrics) = canary.get("/metrics");
    for file in ["alerts.yml", "grafana.json"] {
        let service = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/service");
        let text = std::fs::read_to_string(format!("{service}/{file}")).expect("it is there");
        let mut asked_for = 0;
        for name in metric_names(&text).filter(|name| name.starts_with("lota_canary_")) {
            let family = ["_total", "_bucket"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            assert!(metrics.contains(&format!("# TYPE {family} ")), "{file}: {name} is not in\n{metrics}");
            asked_for += 1;
        }
        assert!(asked_for > 1, "{file} asks for nothing of a canary's");
    }
    assert!(canary.end().success());
}

#[test]
fn told_to_end_in_the_middle_it_leaves_no_job_open() {
    let home = Home::new();
    let _devnet = home.devnet(&["--providers", "0"]);
    let open = ["job", "list", "--status", "open", "--json"];
    let canary = Canary::start(&home, &[]);
    home.wait_for(&open, |text| text.contains("\"canary\""));
    assert!(canary.end().success());
    home.wait_for(&open, |text| !text.contains("\"canary\""));
    let jobs = home.json(&["job", "list", "--status", "cancelled", "--json"]);
    assert_eq!(jobs.as_array().expect("jobs").len(), 1, "{jobs:#}");
}

#[test]
fn without_a_daemon_counted_runs_fail_with_exit_code_1() {
    let home = Home::new();
    let failed = home.lota(&["canary", "--count", "2", "--every", "0s"]).assert().code(1);
    let output = failed.get_output();
    assert!(output.stdout.is_empty());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.lines().count(), 3, "{said}");
    assert!(said.contains("run 2 is not opened") && said.contains("no daemon is running"), "{said}");
    assert!(said.ends_with("error: 2 of 2 runs failed\n"), "{said}");
    for wrong in [&["--timeout", "0s"][..], &["--count", "0"], &["--monitoring", "here"], &["--max-price", "much"]] {
        home.lota(&[&["canary"][..], wrong].concat()).assert().code(2);
    }
}

#[test]
fn a_provider_that_is_killed_is_missed_until_it_is_back() {
    let Some(anvil) = Anvil::with_blocks(31_337) else { return };
    let (mut client, mut provider) = (Node::new(&anvil), Node::new(&anvil));
    let contract = client.deploy(&anvil.url);
    client.start(&anvil.url, &contract, &["--client-only"]);
    provider.start(&anvil.url, &contract, &["--slots", "1"]);
    for node in [&mut client, &mut provider] {
        node.wait_until_it_runs();
        node.home.json(&["wallet", "deposit", "5 FIL", "--json"]);
    }
    let mut canary = Canary::start(&client.home, &["--timeout", "20s"]);
    canary.run_until(is_ok);
    let mut process = provider.process.take().expect("it runs");
    process.kill().expect("killed");
    process.wait().expect("a child");
    // One that it had locked is not finished; the others nobody takes.
    canary.run_until(|run| run["failed"] == "locked");
    std::fs::remove_file(provider.home.path().join("api.json")).expect("the killed node left its file");
    provider.start(&anvil.url, &contract, &["--slots", "1"]);
    provider.wait_until_it_runs();
    canary.run_until(is_ok);
    assert!(canary.end().success());
}
