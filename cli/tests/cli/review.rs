//! What a notary is told of settled jobs.

use serde_json::Value;

use crate::{modules, support::Home};

/// The answer to a question of a review.
fn outcome<'a>(review: &'a Value, question: &str) -> &'a str {
    let checks = review["checks"].as_array().expect("checks");
    let check = checks.iter().find(|check| check["question"] == question);
    check.and_then(|check| check["outcome"].as_str()).unwrap_or_else(|| panic!("no {question} in {review:#}"))
}

#[test]
fn jobs_that_can_be_nominated_are_listed_and_reviewed() {
    let home = Home::new();
    let hello = home.file("hello.wasm", modules::hello());
    let hello = hello.to_str().expect("UTF-8");
    let devnet = home.devnet(&["--providers", "1"]);
    home.lota(&["wasm", "run", hello]).assert().success();
    for _ in 0..2 {
        home.lota(&["wasm", "run", "--bless", hello]).assert().success();
    }
    let log = home.path().join("devnet/market.log");
    let log = log.to_str().expect("UTF-8");
    // While the parties serve what they have, all that follows from it can be found out.
    let all = home.json(&["fil-plus", "review", log, "--json"]);
    let id = all[0]["job"].as_str().expect("an id").to_owned();
    let gathered = ["fil-plus", "review", log, "--job", &id, "--fetch", "--run-again", "--json"];
    let output = home.lota(&gathered).assert().code(4);
    let review: Value = serde_json::from_slice(&output.get_output().stdout).expect("JSON");
    assert_eq!(outcome(&review, "output_retrievable"), "passed", "{review:#}");
    assert_eq!(outcome(&review, "re_execution"), "passed", "{review:#}");
    devnet.end();
    let output = home.lota(&gathered).assert().code(4);
    let review: Value = serde_json::from_slice(&output.get_output().stdout).expect("JSON");
    assert_eq!(outcome(&review, "output_retrievable"), "failed", "nobody serves it any more: {review:#}");
    assert_eq!(outcome(&review, "re_execution"), "unknown", "nor the module: {review:#}");

    let all = home.json(&["fil-plus", "review", log, "--json"]);
    let all = all.as_array().expect("a list");
    assert_eq!(all.len(), 2, "the one without --bless has no record: {all:#?}");
    assert!(all[0]["settled_at"].as_u64() >= all[1]["settled_at"].as_u64(), "the newest first: {all:#?}");
    let newest = home.json(&["fil-plus", "review", log, "--json", "--limit", "1"]);
    assert_eq!(newest.as_array().map(Vec::len), Some(1));
    assert_eq!(newest[0]["job"], all[0]["job"]);

    // It reads nothing, so nothing of it is FIL+ data: the risk is high, and the exit code says so.
    let id = all[0]["job"].as_str().expect("an id");
    let output = home.lota(&["fil-plus", "review", log, "--job", &id[..20], "--json"]).assert().code(4);
    let review: Value = serde_json::from_slice(&output.get_output().stdout).expect("JSON");
    assert_eq!((&review["job"], &review["risk"]), (&id.into(), &"high".into()));
    assert_eq!(outcome(&review, "fil_plus_data"), "failed");
    assert_eq!(outcome(&review, "output_retrievable"), "unknown", "nobody asked");
    assert_eq!(outcome(&review, "same_party"), "passed");
    assert_eq!(outcome(&review, "circle"), "passed");
    assert_eq!(outcome(&review, "duplicate"), "warning", "an earlier job had the same spec and output");
    let pair = review["checks"].as_array().expect("checks").iter().find(|check| check["question"] == "pair_volume");
    assert_eq!(pair.expect("asked")["evidence"][0]["value"], "3", "the job without a record counts, too");
    let first = all[1]["job"].as_str().expect("an id");
    let output = home.lota(&["fil-plus", "review", log, "--job", first]).assert().code(4);
    let text = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
    assert!(text.contains("Was the same work blessed before? No."), "{text}");

    for (job, code, said) in
        [("0xzz", 2, "is no job's id"), ("0x00000000ff", 1, "no settled job"), (&id[..2], 2, "is no job's id")]
    {
        let (exit, line) = home.failure(&["fil-plus", "review", log, "--job", job]);
        assert!(exit == code && line.contains(said), "{job}: {exit} {line}");
    }
    let (exit, line) = home.failure(&["fil-plus", "review", hello]);
    assert!(exit == 1 && line.contains("neither the log of a market nor recorded events"), "{line}");
}
