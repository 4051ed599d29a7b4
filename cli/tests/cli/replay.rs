//! Audits of markets after the fact.

use std::fs;

use serde_json::Value;

use crate::{anvil, modules, support::Home};

fn count(report: &Value, field: &str) -> u64 {
    report[field].as_u64().unwrap_or_else(|| panic!("{field} of {report:#}"))
}

/// A recording with one text in place of another, in its first line that has it; and that line's event.
fn tampered(recording: &str, from: &str, to: &str) -> (String, Value) {
    let line = recording.lines().find(|line| line.contains(from)).expect("there is such an event");
    (recording.replacen(line, &line.replacen(from, to, 1), 1), serde_json::from_str(line).expect("an event"))
}

#[test]
fn a_devnets_log_replays_and_tampering_is_named() {
    let home = Home::new();
    let hello = home.file("hello.wasm", modules::hello());
    let hello = hello.to_str().expect("UTF-8");
    let devnet = home.devnet(&["--providers", "2"]);
    for more in [&[][..], &["--auction", "--ramp-period", "10s", "--lock-for", "60s"]] {
        home.lota(&[&["wasm", "run", hello], more].concat()).assert().success();
    }
    devnet.end();

    let log = home.path().join("devnet/market.log");
    let bytes = fs::read(&log).expect("the log");
    let log = log.to_str().expect("UTF-8");
    let events = home.place("events.jsonl");
    let events = events.to_str().expect("UTF-8");
    let report = home.json(&["sim", "replay", log, "--export", events, "--json"]);
    assert_eq!((&report["consistent"], &report["compared"]), (&true.into(), &true.into()), "{report:#}");
    assert_eq!((count(&report, "jobs"), count(&report, "running")), (2, 0), "{report:#}");
    let settled: u64 = report["ends"].as_object().expect("ends").values().filter_map(Value::as_u64).sum();
    assert_eq!(settled, 2);
    let nets = report["parties"].as_array().expect("parties").iter().map(|party| party["net"].as_str().expect("text"));
    let nets: Vec<i128> = nets.map(|net| net.parse().expect("a number")).collect();
    assert!(nets.iter().any(|net| *net > 0) && nets.iter().any(|net| *net < 0), "{nets:?}: somebody paid somebody");
    assert_eq!(nets.iter().sum::<i128>(), 0, "nothing was burned, and nothing is in escrow");
    assert_eq!(bytes, fs::read(log).expect("the log"), "an audit changes nothing");
    let text = home.stdout(&["sim", "replay", log]);
    assert!(text.contains("consistent: every event is what the model says, and the books agree"), "{text}");

    // What was written is read again, and what is changed in it is named where it is.
    let again = home.json(&["sim", "replay", events, "--json"]);
    assert_eq!((&again["consistent"], &again["events"]), (&true.into(), &report["events"]));
    let recording = fs::read_to_string(events).expect("the events");
    for (from, to) in
        [("\"job_settled\":{\"job\":\"0x", "\"job_settled\":{\"job\":\"0x00"), ("\"reason\":\"", "\"reason\":\"over")]
    {
        let (bad, _) = tampered(&recording, from, to);
        fs::write(events, bad).expect("it is written");
        let (exit, line) = home.failure(&["sim", "replay", events]);
        assert!(exit == 1 && line.contains("is no event"), "{line}");
    }
    let line = recording.lines().find(|line| line.contains("job_settled")).expect("a job was settled");
    let event: Value = serde_json::from_str(line).expect("an event");
    let price = event["event"]["market"]["job_settled"]["price"].as_str().expect("text");
    let (bad, _) = tampered(&recording, line, &line.replacen(&format!("\"{price}\""), "\"1000000000\"", 1));
    fs::write(events, bad).expect("it is written");
    let output = home.lota(&["sim", "replay", events, "--json"]).assert().code(1);
    let report: Value = serde_json::from_slice(&output.get_output().stdout).expect("JSON");
    assert_eq!((&report["divergence"]["block"], &report["divergence"]["index"]), (&event["block"], &event["index"]));
    assert!(report["divergence"]["problem"].as_str().expect("text").contains(price), "{report:#}");

    // What is read is not written over, whatever it is called.
    let link = home.place("link.log");
    std::os::unix::fs::symlink(log, &link).expect("a link");
    let (exit, line) = home.failure(&["sim", "replay", log, "--export", link.to_str().expect("UTF-8")]);
    assert!(exit == 2 && line.contains("would write over"), "{line}");
    assert_eq!(bytes, fs::read(log).expect("the log"));

    // A log with a byte of a command changed is damaged, or does not follow.
    let damaged = home.file("damaged.log", {
        let mut bytes = bytes.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        bytes
    });
    let (exit, line) = home.failure(&["sim", "replay", damaged.to_str().expect("UTF-8")]);
    assert!(exit == 1 && line.contains("is damaged at byte"), "{line}");
}

#[test]
fn what_is_no_log_is_said_so() {
    let home = Home::new();
    let diary = home.file("diary.txt", "dear diary\n");
    for (args, words) in [
        (&[diary.to_str().expect("UTF-8")][..], "neither the log of a market nor recorded events"),
        (&["/nowhere/at/all"], "opening /nowhere/at/all failed"),
    ] {
        let (exit, line) = home.failure(&[&["sim", "replay"], args].concat());
        assert!(exit == 1 && line.contains(words), "{line}");
    }
    home.lota(&["sim", "replay"]).assert().code(2);
    home.lota(&["sim", "replay", "--rpc", "http://127.0.0.1:1"]).assert().code(2);
}

#[test]
fn a_market_on_a_chain_replays() {
    let Some(tools) = anvil::tools() else { return };
    let home = Home::new();
    let devnet = home.devnet_with(&["--chain", "anvil", "--providers", "2"], tools);
    let market = home.json(&["node", "show", "--json"])["node"]["market"].clone();
    let (contract, auction) = (market["contract"].as_str().expect("text"), market["auction"].as_str().expect("text"));
    let variables = devnet.said("  export ETH_RPC_URL=");
    let (_, url) = variables.split_once('=').expect("a variable");
    let url = url.split_whitespace().next().expect("a URL").to_owned();
    let hello = home.file("hello.wasm", modules::hello());
    let hello = hello.to_str().expect("UTF-8");
    for more in [&[][..], &["--auction", "--ramp-period", "10s", "--lock-for", "60s"]] {
        home.lota(&[&["wasm", "run", hello], more].concat()).assert().success();
    }
    let chain = ["sim", "replay", "--rpc", &url, "--contract", contract];
    let report = home.json(&[&chain[..], &["--auction-contract", auction, "--json"]].concat());
    assert_eq!((&report["consistent"], &report["compared"]), (&true.into(), &true.into()), "{report:#}");
    assert_eq!(count(&report, "jobs"), 2, "{report:#}");
    // Without the auction its awards are taken as they come.
    let report = home.json(&[&chain[..], &["--json"]].concat());
    assert_eq!(report["consistent"], true, "{report:#}");
    // Up to a block, compared with the books of that block.
    let report = home.json(&[&chain[..], &["--to-block", "9", "--json"]].concat());
    assert_eq!((&report["consistent"], &report["compared"]), (&true.into(), &true.into()), "{report:#}");
    devnet.end();
}
