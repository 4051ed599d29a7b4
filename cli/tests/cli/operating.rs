//! What an operator has: metrics, health, a log in JSON, the doctor, and a node that ends when it cannot go on.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::support::{Home, get, metric_names};

/// A node in a market of its own, which is monitored; it is killed with the test.
struct Monitored<'a> {
    home: &'a Home,
    process: Child,
    /// Where its metrics are.
    address: String,
}

impl Drop for Monitored<'_> {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl<'a> Monitored<'a> {
    fn start(home: &'a Home) -> Self {
        let log = std::fs::File::create(home.place("stderr.txt")).expect("a file");
        let mut process = Command::new(assert_cmd::cargo::cargo_bin("lota"))
            .args(["node", "run", "--monitoring", "127.0.0.1:0", "--log", "lota_node=info"])
            .env("LOTA_HOME", home.path())
            .env("LOTA_LOG_FORMAT", "json")
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("starts");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let address = lines
            .find_map(|line| {
                line.expect("UTF-8")
                    .split_once("http://")
                    .filter(|(name, _)| name.trim() == "monitoring")
                    .map(|(_, at)| at.trim().to_owned())
            })
            .expect("it says where");
        Self { home, process, address }
    }

    /// Status and body of an answer.
    fn get(&self, path: &str) -> (u16, String) {
        get(&self.address, path)
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.home.place("stderr.txt")).expect("a text")
    }
}

#[test]
fn a_monitored_node_tells_how_it_is_and_its_board_asks_for_what_it_tells() {
    let home = Home::new();
    let node = Monitored::start(&home);
    // It asks the market what it has when it has started.
    let begun = std::time::Instant::now();
    while node.get("/ready").0 != 200 || !node.get("/metrics").1.contains("lota_market_balance") {
        assert!(begun.elapsed().as_secs() < 300, "{}", node.get("/metrics").1);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let (status, metrics) = node.get("/metrics");
    assert_eq!(status, 200);
    assert!(metrics.ends_with("# EOF\n") || metrics.contains("# EOF\n"), "{metrics}");
    assert!(metrics.contains("lota_problem{problem=\"unreachable\"} 0\n"), "{metrics}");
    assert!(metrics.contains("lota_market_balance{asset=\"FIL\"} 100.0\n"), "{metrics}");
    let service = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/service");
    let mut asked_for = 0;
    for file in ["grafana.json", "alerts.yml"] {
        let text = std::fs::read_to_string(format!("{service}/{file}")).expect("it is there");
        // What a canary tells is another process's; its tests look for it.
        for name in metric_names(&text).filter(|name| !name.starts_with("lota_canary_")) {
            // What was never counted has no line with a value, but its help is there. OpenMetrics leaves the suffix out there.
            let family = ["_total", "_bucket", "_info"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            assert!(
                metrics.contains(&format!("# TYPE {family} ")),
                "{file} asks for {name}, which is not in\n{metrics}"
            );
            asked_for += 1;
        }
    }
    assert!(asked_for > 20, "{asked_for}");
    let board: Value =
        serde_json::from_str(&std::fs::read_to_string(format!("{service}/grafana.json")).expect("there"))
            .expect("JSON");
    assert!(board["panels"].as_array().expect("panels").len() > 10);

    let (status, health) = node.get("/health");
    assert_eq!((status, health.trim()), (200, r#"{"alive":true}"#));
    let (status, ready) = node.get("/ready");
    assert_eq!((status, ready.trim()), (200, r#"{"ready":true,"problems":[]}"#));
    assert_eq!(node.get("/v1/wallet").0, 404, "the API is elsewhere");

    // What it offers is told at the start, and every line of the log is an object.
    let said = node.said();
    let logged: Vec<Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(logged.iter().any(|line| line["fields"]["message"] == "what it offers at once"), "{said}");
    assert!(logged.iter().all(|line| line["level"].is_string() && line["timestamp"].is_string()));
}

#[test]
fn a_node_whose_database_is_damaged_ends_and_says_so() {
    let home = Home::new();
    let mut node = Monitored::start(&home);
    let folder = home.path().join("nodes/main");
    for name in ["node.db", "node.db-wal", "node.db-shm"] {
        // Whatever the process has of it in memory, the next thing that it reads or writes is wrong. It is not cut: SQLite maps the
        // index of its log into memory, and who reads there where a file has ended is killed by the system (SIGBUS).
        let file = std::fs::File::options().write(true).open(folder.join(name)).expect("it is there");
        let length = file.metadata().expect("it is there").len();
        (&file)
            .write_all(&vec![0xee; usize::try_from(length).expect("small").min(1 << 20)])
            .expect("it can be written");
    }
    let status = node.process.wait().expect("it ends");
    let said = node.said();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("the node stopped, because its database"), "{said}");
}

#[test]
fn the_doctor_finds_what_is_wrong_and_says_what_mends_it() {
    let home = Home::new();
    let healthy = home.json(&["node", "doctor", "--json"]);
    assert_eq!(healthy["healthy"], true, "{healthy:#}");
    let verdict = |report: &Value, subject: &str| {
        let findings = report["findings"].as_array().expect("findings").clone();
        findings
            .iter()
            .find(|finding| finding["subject"] == subject)
            .map(|finding| finding["verdict"].as_str().expect("text").to_owned())
    };
    assert_eq!(verdict(&healthy, "engine wasm").as_deref(), Some("good"));
    assert_eq!(verdict(&healthy, "disk").as_deref(), Some("good"), "{healthy:#}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("it has one").to_string();
    let run = home
        .lota(&["node", "doctor", "--json"])
        .env("LOTA_NODE_GATEWAY", &port)
        .env("LOTA_NODE_RPC", "http://127.0.0.1:1")
        .env("LOTA_NODE_CONTRACT", "0x5FbDB2315678afecb367f032d93F642f64180aa3")
        .env("LOTA_NODE_KEY", "nobody")
        .assert()
        .code(1);
    let report: Value = serde_json::from_slice(&run.get_output().stdout).expect("JSON");
    assert_eq!(report["healthy"], false);
    for subject in ["key", "port", "chain"] {
        assert_eq!(verdict(&report, subject).as_deref(), Some("bad"), "{subject}: {report:#}");
    }
    let findings = report["findings"].as_array().expect("findings");
    let remedies = findings.iter().filter(|finding| finding["verdict"] == "bad").map(|finding| &finding["remedy"]);
    assert!(remedies.clone().all(|remedy| remedy.as_str().is_some_and(|text| !text.is_empty())), "{report:#}");
    assert!(remedies.clone().any(|remedy| remedy.as_str().is_some_and(|text| text.contains("lota wallet new nobody"))));

    // While a node runs, its ports are its own, and what it serves is asked for.
    let node = Monitored::start(&home);
    let running = home.json(&["node", "doctor", "--json"]);
    assert_eq!(running["healthy"], true, "{running:#}");
    assert_eq!(verdict(&running, "node").as_deref(), Some("good"));
    assert_eq!(verdict(&running, "reachable").as_deref(), Some("good"), "{running:#}");
    assert_eq!(verdict(&running, "port"), None);
    drop(node);
}
