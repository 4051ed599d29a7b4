//! `lota node benchmark`, and what a node makes of its result.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::Home;

/// How long a test waits for what must come, at most.
const PATIENCE: Duration = Duration::from_secs(300);

fn file(home: &Home) -> PathBuf {
    home.path().join("nodes/main/benchmark.json")
}

/// What a node offers that is started alone in this home, and what it says on stderr.
fn offered(home: &Home, args: &[&str]) -> (Value, String) {
    let said = home.place("stderr.txt");
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("lota"))
        .args([&["node", "run"], args].concat())
        .env("LOTA_HOME", home.path())
        .env("NO_COLOR", "1")
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&said).expect("a file"))
        .spawn()
        .expect("starts");
    let begun = Instant::now();
    while !home.path().join("api.json").exists() {
        let ended = child.try_wait().expect("a child");
        let said = std::fs::read_to_string(&said).expect("a text");
        assert!(ended.is_none() && begun.elapsed() < PATIENCE, "the node does not start: {said}");
        std::thread::sleep(Duration::from_millis(20));
    }
    let node = home.json(&["node", "show", "--json"]);
    let url = format!("{}/lota/v1/offer", node["node"]["gateway"].as_str().expect("a URL"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let offer = runtime
        .block_on(async { lota_http::client().get(url).send().await.expect("it answers").json().await.expect("JSON") });
    let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill runs");
    assert!(told.success() && child.wait().expect("ends").success());
    (offer, std::fs::read_to_string(said).expect("a text"))
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn a_machine_is_measured_and_the_node_asks_what_it_costs() {
    let home = Home::new();
    let args = ["node", "benchmark", "--quick", "--json", "--cost-per-hour", "0.05 FIL", "--margin", "20"];
    let shown = home.json(&args);
    assert_eq!(shown["file"], file(&home).to_str().expect("UTF-8"));
    let measured = &shown["benchmark"];
    for rate in [
        "fuel_per_second",
        "native_fuel_per_second",
        "compile_bytes_per_second",
        "memory_bytes_per_second",
        "disk_write_bytes_per_second",
        "disk_read_bytes_per_second",
    ] {
        assert!(number(&measured["rates"][rate]) > 0, "{rate} in {measured:#}");
    }
    assert!(number(&measured["machine"]["processors"]) > 0 && number(&measured["disk_free"]) > 0, "{measured:#}");
    assert!(measured["engines"].as_array().expect("a list").contains(&json!("wasm")), "{measured:#}");
    assert!(measured["gpus"].is_array(), "none is fine");
    let (cost, pricing) = (&measured["cost"], &measured["cost"]["pricing"]);
    assert_eq!((&cost["per_hour"], &pricing["margin"]), (&json!("50000000000000000"), &json!(20)));
    let folder = file(&home);
    let names: Vec<_> = std::fs::read_dir(folder.parent().expect("a folder"))
        .expect("there")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(names, ["benchmark.json"], "nothing else is left");

    // A measurement that says nothing of costs keeps what was said; in a pipe nothing moves.
    let again = home.lota(&["node", "benchmark", "--quick"]).assert().success();
    let (stdout, stderr) = (&again.get_output().stdout, &again.get_output().stderr);
    let (stdout, stderr) = (String::from_utf8_lossy(stdout), String::from_utf8_lossy(stderr));
    for part in ["units of fuel/s", "graphics processors", "on a machine for 0.05 FIL an hour", "20 %"] {
        assert!(stdout.contains(part), "{part} is not in\n{stdout}");
    }
    assert!(!stderr.contains('\u{1b}') && stderr.contains("benchmark.json"), "{stderr}");

    let written: Value = serde_json::from_slice(&std::fs::read(file(&home)).expect("there")).expect("JSON");
    let (offer, said) = offered(&home, &[]);
    let pricing = &written["cost"]["pricing"];
    // A market counts in gwei or finer: what is asked is what was computed.
    for rate in ["base", "per_gigafuel", "per_cpu_hour", "per_gib_hour", "per_gib_output", "margin"] {
        assert_eq!(offer[rate], pricing[rate], "{rate}");
    }
    assert_eq!(offer["fuel_per_second"], written["rates"]["fuel_per_second"]);
    assert!(!said.contains("benchmark"), "{said}");
    // Settings take precedence, one by one.
    let (offer, _) = offered(&home, &["--min-price", "0.5 FIL", "--margin", "0"]);
    assert_eq!((&offer["base"], &offer["margin"]), (&json!("500000000000000000"), &json!(0)));
    assert_eq!(offer["per_gib_hour"], pricing["per_gib_hour"]);

    // Of another machine, of another version, and no benchmark at all: said, and done without.
    let usual = "500000000000000";
    let mut foreign = written.clone();
    foreign["machine"]["processors"] = json!(4_097);
    for (text, part) in [
        (foreign.to_string(), "of another machine (4097 ×"),
        (r#"{ "version": 99 }"#.to_owned(), "its version is 99"),
        ("{".to_owned(), "is no benchmark"),
    ] {
        std::fs::write(file(&home), text).expect("written");
        let (offer, said) = offered(&home, &[]);
        assert_eq!((&offer["per_gib_hour"], &offer["margin"]), (&json!(usual), &json!(0)), "{said}");
        assert!(number(&offer["fuel_per_second"]) > 0, "it is measured at the start");
        let line = said.lines().find(|line| line.contains("benchmark")).unwrap_or_else(|| panic!("not said: {said}"));
        assert!(line.contains(part) && line.contains("`lota node benchmark`"), "{line}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_measured() {
    let home = Home::new();
    for (args, part) in [
        (&["--margin", "20"][..], "--cost-per-hour AMOUNT"),
        (&["--cost-per-gib", "1"], "--cost-per-gib goes with"),
        (&["--cost-per-hour", "5 USD"], "--cost-per-hour"),
        (&["--name", "../x"], "`../x` cannot name a node"),
    ] {
        let (code, line) = home.failure(&[&["node", "benchmark", "--quick"], args].concat());
        assert!(code == 2 && line.contains(part), "{args:?}: {line}");
    }
    assert!(!home.path().exists(), "nothing was made");
}
