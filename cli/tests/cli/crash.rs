//! A devnet that is killed in the middle of jobs.

use std::time::Duration;

use serde_json::Value;

use crate::{modules, support::Home};

const JOBS: usize = 8;

fn atto(value: &Value) -> i128 {
    value.as_str().expect("an amount").parse().expect("a number")
}

#[test]
fn every_job_ends_exactly_once_and_all_money_is_accounted_for() {
    let home = Home::new();
    let hello = home.file("hello.wasm", modules::hello());
    let hello = hello.to_str().expect("UTF-8");
    let mut devnet = home.devnet(&["--providers", "2"]);
    let before = home.json(&["wallet", "show", "--json"])["account"].clone();
    let mut ids = Vec::new();
    for round in 0..3u64 {
        for _ in 0..JOBS {
            ids.push(home.stdout(&["wasm", "run", hello, "--detach"]).trim().to_owned());
        }
        // Another moment each round: while providers fetch, lock, run, publish.
        std::thread::sleep(Duration::from_millis(300 * round));
        devnet.kill();
        devnet = home.restarted(&["--providers", "2"]);
    }
    let mut spent = 0;
    for id in &ids {
        home.lota(&["job", "wait", id, "--timeout", "5m"]).ok().ok();
        let job = home.json(&["job", "describe", id, "--json"]);
        let status = job["status"].as_str().expect("a status");
        assert!(["settled", "cancelled", "slashed", "void"].contains(&status), "{id} is {status}");
        let count =
            |name: &str| job["events"].as_array().expect("events").iter().filter(|event| event["name"] == name).count();
        let ends = ["JobSettled", "JobCancelled", "JobSlashed", "JobVoided"].map(count);
        assert_eq!(ends.iter().sum::<usize>(), 1, "{id} ended {ends:?}");
        assert_eq!((count("JobOpened"), count("JobLocked") <= 1), (1, true), "{id}");
        spent += atto(&job["money"]["paid_to_provider"]) - atto(&job["money"]["compensation"]);
        assert_eq!((atto(&job["money"]["in_escrow"]), atto(&job["money"]["collateral_held"])), (0, 0), "{id}");
    }
    let after = home.json(&["wallet", "show", "--json"])["account"].clone();
    let sum = |wallet: &Value| atto(&wallet["wallet"]) + atto(&wallet["market"]);
    assert_eq!(sum(&before) - sum(&after), spent, "what is gone was paid for jobs");
    assert_eq!(home.json(&["job", "list", "--json", "-n", "1000"]).as_array().expect("a list").len(), ids.len());
    devnet.end();
}
