//! A devnet that is killed in the middle of jobs.

use std::time::Duration;

use lota_bridge::memory::{Block, Chain, Entry, FileLedger, Ledger as _, Options, Origin, SyncPolicy};
use lota_market::{Address, AttoFil};
use serde_json::Value;

use crate::{modules, support::Home};

/// Jobs between two kills.
const JOBS: usize = 6;
/// How long the devnet lives on after the last of them was opened, in milliseconds: providers fetch, lock, run, publish,
/// submit, the client fetches and accepts.
const MOMENTS: [u64; 5] = [0, 60, 150, 400, 1_000];

fn atto(value: &Value) -> i128 {
    value.as_str().expect("an amount").parse().expect("a number")
}

#[test]
fn every_job_is_settled_exactly_once_and_all_money_is_accounted_for() {
    let home = Home::new();
    let hello = home.file("hello.wasm", modules::hello());
    let hello = hello.to_str().expect("UTF-8");
    let mut devnet = home.devnet(&["--providers", "2"]);
    let before = home.json(&["wallet", "show", "--json"])["account"].clone();
    let mut ids = Vec::new();
    for moment in MOMENTS {
        for _ in 0..JOBS {
            // At a price that is taken at once, and with time for however slow a machine: nobody is late, and nobody cancels.
            let terms = ["--min-price", "0.01 FIL", "--lock-for", "10h", "--run-for", "10h"];
            let id = home.stdout(&[&["wasm", "run", hello, "--detach"], &terms[..]].concat());
            ids.push(id.trim().to_owned());
        }
        std::thread::sleep(Duration::from_millis(moment));
        devnet.kill();
        devnet = home.restarted(&["--providers", "2"]);
    }
    let mut spent = 0;
    for id in &ids {
        home.lota(&["job", "wait", id, "--timeout", "5m"]).assert().success();
        let job = home.json(&["job", "describe", id, "--json"]);
        assert_eq!((job["status"].as_str(), job["output_verified"].as_bool()), (Some("settled"), Some(true)), "{id}");
        let count =
            |name: &str| job["events"].as_array().expect("events").iter().filter(|event| event["name"] == name).count();
        let ends = ["JobSettled", "JobCancelled", "JobSlashed", "JobVoided"].map(count);
        assert_eq!(ends, [1, 0, 0, 0], "{id}");
        assert_eq!((count("JobOpened"), count("JobLocked"), count("ResultSubmitted")), (1, 1, 1), "{id}");
        let paid = atto(&job["money"]["paid_to_provider"]);
        assert!(paid > 0, "{id}");
        spent += paid;
        assert_eq!((atto(&job["money"]["in_escrow"]), atto(&job["money"]["collateral_held"])), (0, 0), "{id}");
    }
    let after = home.json(&["wallet", "show", "--json"])["account"].clone();
    let sum = |wallet: &Value| atto(&wallet["wallet"]) + atto(&wallet["market"]);
    assert_eq!(sum(&before) - sum(&after), spent, "what is gone was paid for jobs");
    let listed = home.json(&["job", "list", "--json", "-n", "1000"]);
    assert_eq!(listed.as_array().expect("a list").len(), ids.len());
    devnet.end();
    no_money_is_lost(&home);
}

/// Replays the market's own log: what came from the faucet is in wallets, in balances, or burned.
fn no_money_is_lost(home: &Home) {
    let log = home.path().join("devnet/market.log");
    let mut genesis = None;
    let mut funded: Vec<(Address, AttoFil)> = Vec::new();
    let mut ledger = FileLedger::open(&log, SyncPolicy::OperatingSystem).expect("the log is whole");
    ledger
        .load(0, &mut |_, entry| {
            match entry {
                Entry::Genesis(first) => genesis = Some(first),
                Entry::Block(Block { origin: Origin::Fund { account, amount }, .. }) => funded.push((account, amount)),
                Entry::Block(_) | Entry::Rewind { .. } => {}
            }
            Ok(())
        })
        .expect("the log is whole");
    drop(ledger);
    assert_eq!(funded.len(), 3, "three parties were given money once: {funded:?}");
    let ledger = FileLedger::open(&log, SyncPolicy::OperatingSystem).expect("the log is whole");
    let chain = Chain::open(genesis.expect("a beginning"), ledger, Options::default()).expect("the log adds up");
    let market = chain.snapshot();
    assert_eq!((market.escrowed(), market.collateral()), (AttoFil::ZERO, AttoFil::ZERO));
    let balances: AttoFil = market.balances().map(|(_, balance)| balance).sum();
    assert_eq!(balances.checked_add(market.burned()), Some(market.held()));
    let wallets: AttoFil = funded.iter().map(|(account, _)| chain.wallet(*account)).sum();
    let given: AttoFil = funded.iter().map(|(_, amount)| *amount).sum();
    assert_eq!(wallets.checked_add(market.held()), Some(given));
}
