//! A devnet on a chain of its own that is killed in the middle of jobs: the whole of it, or its chain alone.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    anvil::{self, call_at},
    modules,
    support::{Devnet, Home},
};

/// How long a test waits for what must come, at most.
const PATIENCE: Duration = Duration::from_secs(300);
const ARGS: [&str; 4] = ["--chain", "anvil", "--providers", "1"];
/// How long the devnet lives on after a job was opened, in milliseconds: providers fetch, lock, run, publish, submit, the
/// client fetches and accepts.
const MOMENTS: [u64; 5] = [0, 100, 300, 700, 1_500];
/// What a party is given at first.
const GIVEN: u128 = 1_000_000_000_000_000_000_000;

/// Processes that a process started.
fn children(process: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
    let list = |task: PathBuf| std::fs::read_to_string(task.join("children")).unwrap_or_default();
    let lists: String = tasks.map(|task| list(task.expect("a task").path())).collect();
    lists.split_whitespace().map(|child| child.parse().expect("a number")).collect()
}

/// The devnet's Anvil: a child of its keeper.
fn anvil_of(devnet: &Devnet<'_>) -> u32 {
    let keepers = children(devnet.id());
    let found = keepers
        .iter()
        .flat_map(|keeper| children(*keeper))
        .find(|child| std::fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|name| name.trim() == "anvil"));
    found.expect("the devnet has an Anvil")
}

fn wait_until_gone(process: u32) {
    let begun = Instant::now();
    while Path::new(&format!("/proc/{process}")).exists() {
        assert!(begun.elapsed() < PATIENCE, "process {process} is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn amount(value: &Value) -> u128 {
    value.as_str().expect("an amount").parse().expect("a number")
}

fn ask(home: &Home, hello: &str) -> String {
    // Taken at once, and with time for however slow a machine.
    let terms = ["--min-price", "0.01 FIL", "--lock-for", "10h", "--run-for", "10h"];
    home.stdout(&[&["wasm", "run", hello, "--detach"], &terms[..]].concat()).trim().to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the chain says about everything that happened.
struct Audit {
    url: String,
    market: String,
}

impl Audit {
    fn of(devnet: &Devnet<'_>) -> Self {
        let line = devnet.said("  export ETH_RPC_URL=");
        let line = line.split(" AUCTION=").next().expect("a line");
        let (url, market) = line.trim().trim_start_matches("export ETH_RPC_URL=").split_once(" MARKET=").expect("both");
        Self { url: url.to_owned(), market: market.to_owned() }
    }

    fn number(&self, method: &str, params: Value) -> u128 {
        let value = call_at(&self.url, method, params);
        u128::from_str_radix(value.as_str().expect("text").trim_start_matches("0x"), 16).expect("a number")
    }

    /// Waits until that many jobs were settled, of which the nodes may know before the chain does again.
    fn wait_until_settled(&self, jobs: usize) {
        const SETTLED: &str = "JobSettled(bytes32,address,uint256,uint8)";
        let topic = call_at(&self.url, "web3_sha3", json!([format!("0x{}", hex(SETTLED.as_bytes()))]));
        let filter = json!([{ "address": self.market, "fromBlock": "0x0", "topics": [topic] }]);
        let begun = Instant::now();
        while call_at(&self.url, "eth_getLogs", filter.clone()).as_array().expect("a list").len() < jobs {
            assert!(begun.elapsed() < PATIENCE, "not all of {jobs} jobs are settled");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// All money is where it should be: with the parties, in the market, or paid for gas; and every transaction that a party
    /// sent did something, once: none was sent again under another nonce.
    fn holds(&self, home: &Home, jobs: &[String]) {
        let node = home.json(&["node", "show", "--json"]);
        let parties: Vec<String> = node["parties"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|party| party["address"].as_str().expect("text").to_lowercase())
            .collect();
        assert_eq!(parties.len(), 2, "a client and a provider");
        let (mut gas, mut failed, mut sent) = (0, 0, 0);
        for block in 0..=self.number("eth_blockNumber", json!([])) {
            for receipt in
                call_at(&self.url, "eth_getBlockReceipts", json!([format!("{block:#x}")])).as_array().expect("a list")
            {
                if parties.contains(&receipt["from"].as_str().expect("text").to_lowercase()) {
                    let number = |name: &str| {
                        u128::from_str_radix(receipt[name].as_str().expect("text").trim_start_matches("0x"), 16)
                            .expect("a number")
                    };
                    gas += number("gasUsed") * number("effectiveGasPrice");
                    failed += usize::from(number("status") == 0);
                    sent += 1;
                }
            }
        }
        let outside: u128 = parties.iter().map(|party| self.number("eth_getBalance", json!([party, "latest"]))).sum();
        let held = self.number("eth_getBalance", json!([self.market, "latest"]));
        assert_eq!(outside + held + gas, 2 * GIVEN, "all money is there");
        // The settled jobs' money is free, and nothing else is held.
        let inside: u128 = parties
            .iter()
            .map(|party| {
                let data = format!("0x70a08231000000000000000000000000{}", party.trim_start_matches("0x"));
                self.number("eth_call", json!([{ "to": self.market, "data": data }, "latest"]))
            })
            .sum();
        assert_eq!(inside, held, "nothing is stuck in the market");
        // Two deposits, two announcements, and three commands for each job.
        assert_eq!(sent - failed, 4 + 3 * jobs.len(), "{sent} transactions, of which {failed} failed");
        assert!(failed <= 3 * jobs.len(), "{failed} transactions failed");
    }
}

/// Every job was opened, locked, submitted and settled once.
fn every_job_ended_once(home: &Home, ids: &[String]) {
    for id in ids {
        home.lota(&["job", "wait", id, "--timeout", "5m"]).assert().success();
        let job = home.json(&["job", "describe", id, "--json"]);
        let names: Vec<_> = job["events"].as_array().expect("events").iter().map(|event| &event["name"]).collect();
        assert_eq!(names, ["JobOpened", "JobLocked", "ResultSubmitted", "JobSettled"], "{id}");
        assert!(amount(&job["money"]["paid_to_provider"]) > 0, "{id}");
    }
}

#[test]
fn a_devnet_on_a_chain_that_is_killed_goes_on_where_it_was() {
    let Some(tools) = anvil::tools() else { return };
    let home = Home::new();
    let hello = home.file("hello.wasm", modules::hello());
    let hello = hello.to_str().expect("UTF-8");
    let mut devnet = home.devnet_with(&ARGS, tools);
    let mut ids = Vec::new();
    for moment in MOMENTS {
        for _ in 0..2 {
            ids.push(ask(&home, hello));
        }
        std::thread::sleep(Duration::from_millis(moment));
        let chain = anvil_of(&devnet);
        devnet.kill();
        // It writes its state and ends.
        wait_until_gone(chain);
        devnet = home.restarted_with(&ARGS, tools);
    }
    every_job_ended_once(&home, &ids);
    Audit::of(&devnet).holds(&home, &ids);
    devnet.end();
}

#[test]
fn a_chain_that_is_killed_and_forgets_is_a_reorganisation() {
    let Some(tools) = anvil::tools() else { return };
    let home = Home::new();
    let hello = home.file("hello.wasm", modules::hello());
    let hello = hello.to_str().expect("UTF-8");
    let devnet = home.devnet_with(&ARGS, tools);
    let mut ids = vec![ask(&home, hello)];
    every_job_ended_once(&home, &ids);
    devnet.end();
    let state = home.path().join("devnet-anvil/anvil.json");
    let kept = std::fs::read(&state).expect("the state is kept");

    // The chain knows nothing of these two when it begins again: one is over by then, one under way.
    let devnet = home.devnet_with(&ARGS, tools);
    ids.push(ask(&home, hello));
    every_job_ended_once(&home, &ids);
    ids.push(ask(&home, hello));
    let chain = anvil_of(&devnet);
    let killed = std::process::Command::new("kill").args(["-KILL", &chain.to_string()]).status().expect("kill runs");
    assert!(killed.success());
    let said = devnet.fails();
    assert!(said.contains("error: Anvil has ended, and without it there is no market"), "{said}");
    std::fs::write(&state, kept).expect("written");

    let devnet = home.devnet_with(&ARGS, tools);
    Audit::of(&devnet).wait_until_settled(ids.len());
    every_job_ended_once(&home, &ids);
    Audit::of(&devnet).holds(&home, &ids);
    devnet.end();

    // A state that was cut off in the middle of writing, and one that is gone.
    let whole = std::fs::read(&state).expect("the state is kept");
    std::fs::write(&state, &whole[..whole.len() / 2]).expect("written");
    let refused = || {
        let args = [&["devnet"], &ARGS[..]].concat();
        let run = home.lota(&args).env("PATH", anvil::path_with(tools)).assert().code(1);
        String::from_utf8(run.get_output().stderr.clone()).expect("UTF-8")
    };
    let line = refused();
    assert!(line.contains("begin anew with --reset") && line.contains("failed to parse"), "{line}");
    std::fs::remove_file(&state).expect("removed");
    let line = refused();
    assert!(line.contains("begin anew with --reset") && line.contains("no contract"), "{line}");
    let devnet = home.devnet_with(&[&ARGS[..], &["--reset"]].concat(), tools);
    let fresh = ask(&home, hello);
    every_job_ended_once(&home, &[fresh]);
    devnet.end();
}
