//! The verbs on Anvil, as they are without a chain.

use std::{io::Read as _, process::Stdio};

use serde_json::json;

use crate::{
    anvil::{self, Anvil},
    modules,
    support::Home,
};

const FIL: u128 = 1_000_000_000_000_000_000;

#[test]
fn the_demo_keeps_its_word_on_a_chain() {
    let Some(tools) = anvil::tools() else { return };
    let home = Home::new();
    let run =
        home.lota(&["demo", "--chain", "anvil", "--json"]).env("PATH", anvil::path_with(tools)).assert().success();
    let report: serde_json::Value = serde_json::from_slice(&run.get_output().stdout).expect("JSON");
    assert_eq!(report["ok"], true, "{report:#}");
    let statuses: Vec<_> = report["jobs"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|job| job["job"]["status"].as_str().expect("a status"))
        .collect();
    assert_eq!(statuses, ["settled", "settled", "slashed", "settled"]);
    let (asked, job) = (&report["asked"], &report["jobs"][3]["job"]);
    assert_eq!(asked["answered"], true);
    assert_eq!(asked["answer"], "10\n", "a person counts as many");
    assert_eq!(job["client"], asked["contract"], "the contract is the client, and nobody for it");
    assert_eq!(job["reason"], "unreviewed");
    let money = &report["money"];
    assert_eq!(money["accounted"], true);
    assert_eq!(money["burned"], "25000000000000000");
    assert_ne!(money["gas"], "0", "a chain is not free");
    assert!(!home.path().exists(), "the demo leaves the home alone");
}

#[test]
fn a_devnet_on_a_chain_serves_the_verbs_and_keeps_its_state() {
    let Some(tools) = anvil::tools() else { return };
    let home = Home::new();
    let devnet = home.devnet_with(&["--chain", "anvil", "--providers", "1"], tools);
    let node = home.json(&["node", "show", "--json"]);
    assert_eq!(node["node"]["market"]["chain_id"], 31_337);
    let hello = home.file("hello.wasm", modules::hello());
    let id = home.stdout(&["wasm", "run", hello.to_str().expect("UTF-8"), "--detach"]).trim().to_owned();
    home.lota(&["job", "wait", &id]).assert().success();
    assert_eq!(home.stdout(&["job", "cat", &id, "stdout"]), "hello\n");
    let job = home.json(&["job", "describe", &id, "--json"]);
    let wallet = home.json(&["wallet", "show", "--json"]);
    let outside: u128 = wallet["account"]["wallet"].as_str().expect("text").parse().expect("a number");
    assert!(outside < 900 * FIL && outside > 899 * FIL, "{outside}: 900 FIL without gas");
    devnet.end();

    let devnet = home.devnet_with(&["--chain", "anvil", "--providers", "1"], tools);
    let again = home.json(&["node", "show", "--json"]);
    assert_eq!(again["node"]["market"], node["node"]["market"], "the market is not deployed again");
    assert_eq!(again["node"]["party"], node["node"]["party"]);
    assert_eq!(home.json(&["wallet", "show", "--json"])["account"], wallet["account"]);
    let told = home.json(&["job", "describe", &id, "--json"]);
    for part in ["status", "price", "output", "events", "money"] {
        assert_eq!(told[part], job[part], "{part}");
    }
    let hello = home.stdout(&["wasm", "run", hello.to_str().expect("UTF-8")]);
    assert_eq!(hello, "hello\n", "the market goes on");
    devnet.end();
}

#[test]
fn a_devnet_in_dollars_shows_and_takes_dollars() {
    let home = Home::new();
    let (code, line) = home.failure(&["devnet", "--asset", "usd"]);
    assert!(code == 2 && line.contains("tokens need a chain: say `--chain anvil --asset usd`"), "{line}");
    let Some(tools) = anvil::tools() else { return };
    let devnet = home.devnet_with(&["--chain", "anvil", "--asset", "usd", "--providers", "1"], tools);
    assert!(home.path().join("devnet-anvil-usd").exists() && !home.path().join("devnet-anvil").exists());
    let wallet = home.stdout(&["wallet", "show"]);
    for part in ["100 tUSD", "900 tUSD", "for gas"] {
        assert!(wallet.contains(part), "{part} is not in\n{wallet}");
    }
    let wallet = home.stdout(&["wallet", "deposit", "2.5"]);
    assert!(wallet.contains("102.5 tUSD") && wallet.contains("897.5 tUSD"), "{wallet}");
    let (code, line) = home.failure(&["wallet", "deposit", "1 FIL"]);
    assert!(code == 2 && line.contains("`1 FIL` is not an amount of tUSD"), "{line}");
    let hello = home.file("hello.wasm", modules::hello());
    let module = hello.to_str().expect("UTF-8");
    let (code, line) = home.failure(&["wasm", "run", module, "--max-price", "1 gwei"]);
    assert!(code == 2 && line.contains("another unit"), "{line}");
    let run = home.lota(&["wasm", "run", module, "--max-price", "0.5 tUSD"]).assert().success();
    let output = run.get_output();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.stdout, b"hello\n");
    assert_eq!(told.matches("unverified: any provider is trusted").count(), 1, "{told}");
    assert!(told.contains("tUSD") && !told.contains("FIL"), "{told}");
    let id = home.stdout(&["job", "list", "--quiet"]).trim().to_owned();
    let (list, described) = (home.stdout(&["job", "list"]), home.stdout(&["job", "describe", &id]));
    assert!(list.contains(" tUSD"), "{list}");
    assert!(described.contains("unverified: any provider is trusted"), "{described}");
    assert!(described.contains("0.05 tUSD") && !described.contains("FIL"), "{described}");
    let (code, line) = home.failure(&["wallet", "withdraw", "1000"]);
    assert!(code == 1 && line.contains("needs 1000 tUSD") && !line.contains("FIL"), "{line}");
    devnet.end();

    let folder = home.path().join("devnet-anvil-usd");
    let market = std::fs::read(folder.join("market.json")).expect("it is kept");
    let market: serde_json::Value = serde_json::from_slice(&market).expect("JSON");
    let state = folder.join("anvil.json");
    let chain = Anvil::start_with(31_337, &["--state", state.to_str().expect("UTF-8")]).expect("it was here before");
    let status = ["chain", "status", "--rpc", &chain.url, "--contract", market["contract"].as_str().expect("text")];
    let (text, json) = (home.stdout(&status), home.json(&[&status[..], &["--json"]].concat()));
    assert!(text.contains(" tUSD, 0 tUSD of it burned") && !text.contains("FIL"), "{text}");
    assert_eq!(json["unit"], serde_json::json!({ "symbol": "tUSD", "decimals": 6 }));
    let held: u128 = json["holds"].as_str().expect("text").parse().expect("a number");
    assert!(held >= 102_000_000, "{held} units: what was deposited");
}

#[test]
fn without_anvil_it_is_said_how_to_get_it() {
    let home = Home::new();
    for verb in ["demo", "devnet"] {
        let run = home.lota(&[verb, "--chain", "anvil"]).env("PATH", "/nowhere").assert().code(1);
        let line = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
        let told = line.lines().filter(|line| line.starts_with("error: there is no anvil on the PATH")).count();
        assert!(told == 1 && line.contains("getfoundry.sh"), "{line}");
    }
}

#[test]
fn a_node_runs_on_an_existing_market() {
    let home = Home::new();
    for (args, part) in [
        (&["--rpc", "http://127.0.0.1:1"][..], "--contract ADDRESS"),
        (&["--rpc", "http://127.0.0.1:1", "--contract", "0x12"], "`0x12` is no address"),
        (&["--contract", "0x00000000000000000000000000000000000000aa"], "without `node.rpc`"),
        (&["--rpc", "http://127.0.0.1:1", "--contract", "0x00000000000000000000000000000000000000aa"], "--key NAME"),
    ] {
        let (code, line) = home.failure(&[&["node", "run"], args].concat());
        assert!(code == 2 && line.contains(part), "{args:?}: {line}");
    }

    let Some(anvil) = Anvil::start(31_337) else { return };
    let made = home.lota(&["wallet", "new", "main"]).env("LOTA_PASSWORD", "long secret").assert().success();
    let address = String::from_utf8(made.get_output().stdout.clone()).expect("UTF-8").trim().to_owned();
    anvil.give(&address, 10 * FIL);
    let args = ["chain", "deploy", "--rpc", &anvil.url, "--key", "main", "--json"];
    let run = home.lota(&args).env("LOTA_PASSWORD", "long secret").assert().success();
    let deployed: serde_json::Value = serde_json::from_slice(&run.get_output().stdout).expect("JSON");
    let contract = deployed["contract"].as_str().expect("text");

    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("lota"))
        .args(["node", "run", "--key", "main", "--rpc", &anvil.url, "--contract", contract])
        .args(["--network", "development", "--from-block", &deployed["block"].to_string()])
        .env("LOTA_HOME", home.path())
        .env("LOTA_PASSWORD", "long secret")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let begun = std::time::Instant::now();
    while !home.path().join("api.json").exists() {
        if let Some(status) = child.try_wait().expect("a child") {
            let mut text = String::new();
            child.stderr.take().expect("piped").read_to_string(&mut text).expect("UTF-8");
            panic!("the node ended with {status}: {text}");
        }
        assert!(begun.elapsed().as_secs() < 300, "the node does not start");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let node = home.json(&["node", "show", "--json"]);
    assert_eq!(node["node"]["market"]["chain_id"], 31_337);
    assert_eq!(node["node"]["party"].as_str().expect("text").to_lowercase(), address.to_lowercase());
    let moved = home.json(&["wallet", "deposit", "2 FIL", "--json"]);
    assert_eq!(moved["market"], json!((2 * FIL).to_string()));
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("runs");
    assert!(killed.success() && child.wait().expect("ends").success());
}
