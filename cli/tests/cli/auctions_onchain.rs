//! Jobs that are auctioned on a chain, by the command's own processes.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::{
    anvil::{self, Anvil},
    chain::{deploy, rich_key},
    modules,
    support::Home,
};

/// As long as the auction of a development chain demands, and as short as all of it may be then.
const SHORT: [&str; 5] = ["--auction", "--ramp-period", "10s", "--lock-for", "60s"];

#[test]
fn the_demo_with_an_auction_keeps_its_word_on_a_chain() {
    let Some(tools) = anvil::tools() else { return };
    let home = Home::new();
    let run = home
        .lota(&["demo", "--auction", "--chain", "anvil", "--json"])
        .env("PATH", anvil::path_with(tools))
        .assert()
        .success();
    let report: Value = serde_json::from_slice(&run.get_output().stdout).expect("JSON");
    assert_eq!(report["ok"], true, "{report:#}");
    let checks: Vec<_> = report["checks"].as_array().expect("a list").iter().map(|check| &check["what"]).collect();
    for what in ["three sealed bids were opened", "the lowest bid won the auction", "the second-lowest bid was paid"] {
        assert!(checks.contains(&&json!(what)), "{what} is not in {checks:?}");
    }
    let job = &report["jobs"][0]["job"];
    assert_eq!(job["auction"]["bids"].as_array().expect("a list").len(), 3);
    assert_eq!(job["price"], job["auction"]["awarded"]["price"]);
    assert_eq!(
        job["events"].as_array().expect("a list").iter().filter(|event| event["name"] == "JobLocked").count(),
        1
    );
    let money = &report["money"];
    assert_eq!(money["accounted"], true, "nothing is left in the auction");
    assert_ne!(money["gas"], "0", "a chain is not free");
}

#[test]
fn a_devnet_on_a_chain_has_an_auction() {
    let Some(tools) = anvil::tools() else { return };
    let home = Home::new();
    let args = ["--chain", "anvil", "--providers", "2"];
    let devnet = home.devnet_with(&args, tools);
    let market = home.json(&["node", "show", "--json"])["node"]["market"].clone();
    let auction = market["auction"].as_str().expect("it has one").to_owned();
    let variables = devnet.said("  export ETH_RPC_URL=").to_lowercase();
    assert!(variables.trim().ends_with(&format!(" auction={auction}").to_lowercase()), "{variables}");
    let hello = home.file("hello.wasm", modules::hello());
    let id = home.stdout(&[&["wasm", "run", hello.to_str().expect("UTF-8"), "--detach"][..], &SHORT].concat());
    let id = id.trim();
    home.lota(&["job", "wait", id]).assert().success();
    let job = home.json(&["job", "describe", id, "--json"]);
    let mut prices: Vec<u128> = job["auction"]["bids"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|bid| bid["price"].as_str().expect("it was opened").parse().expect("a number"))
        .collect();
    prices.sort_unstable();
    assert_eq!(prices.len(), 2, "{job:#}");
    assert!(prices[0] < prices[1], "they ask differently: {prices:?}");
    assert_eq!(job["price"], prices[1].to_string());
    devnet.end();
}

#[test]
fn a_devnet_that_was_kept_before_there_were_auctions_gets_one() {
    let Some(tools) = anvil::tools() else { return };
    let home = Home::new();
    let args = ["--chain", "anvil", "--providers", "2"];
    let devnet = home.devnet_with(&args, tools);
    let market = home.json(&["node", "show", "--json"])["node"]["market"].clone();
    let auction = market["auction"].as_str().expect("it has one").to_owned();
    devnet.end();
    let file = home.path().join("devnet-anvil/market.json");
    let mut place: Value = serde_json::from_slice(&std::fs::read(&file).expect("there")).expect("JSON");
    assert_eq!(place["auction"].as_str().map(str::to_lowercase), Some(auction.to_lowercase()));
    place.as_object_mut().expect("an object").remove("auction");
    std::fs::write(&file, place.to_string()).expect("written");
    let devnet = home.devnet_with(&args, tools);
    let again = home.json(&["node", "show", "--json"])["node"]["market"].clone();
    assert_eq!(again["contract"], market["contract"], "the market is the same");
    assert!(again["auction"].is_string() && again["auction"] != market["auction"], "{again}");
    devnet.end();
}

#[test]
fn bids_in_a_market_of_dollars_are_dollars() {
    let Some(tools) = anvil::tools() else { return };
    let home = Home::new();
    let devnet = home.devnet_with(&["--chain", "anvil", "--asset", "usd", "--providers", "2"], tools);
    let hello = home.file("hello.wasm", modules::hello());
    let module = hello.to_str().expect("UTF-8");
    let low = ["wasm", "run", module, "--auction", "--min-price", "0.5 tUSD", "--max-price", "0.5 tUSD"];
    let (_, line) = home.failure(&low);
    assert!(line.contains("the lowest price, 0.5 tUSD, is not below") && !line.contains("FIL"), "{line}");
    let id = home.stdout(&[&["wasm", "run", module, "--detach", "--max-price", "0.5 tUSD"][..], &SHORT].concat());
    let id = id.trim();
    home.lota(&["job", "wait", id]).assert().success();
    let told = home.stdout(&["job", "describe", id]);
    let auction = told.split("Auction\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("it is told");
    assert_eq!(auction.matches(" tUSD\n").count(), 2, "two bids: {auction}");
    assert!(auction.contains("the second-lowest bid, 0.") && !told.contains("FIL"), "{told}");
    devnet.end();
}

#[test]
fn an_auction_is_deployed_and_another_contract_in_its_place_is_said() {
    let Some(anvil) = Anvil::start(31_337) else { return };
    let home = Home::new();
    rich_key(&home, &anvil);
    let [first, second] =
        [&["--min-reveal-period", "7"][..], &["--no-auction"]].map(|more| deploy(&home, &anvil, more));
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let (market, other) = (text(&first["contract"]), text(&second["contract"]));
    assert!(second["auction"].is_null(), "{second}");
    assert_eq!((&first["auction"]["min_reveal_period"], &first["auction"]["block"]), (&json!(7), &json!(2)));
    assert!(first["auction"]["gas_used"].as_u64().is_some_and(|gas| gas > 500_000), "{first}");
    let auction = text(&first["auction"]["contract"]);

    let right = ["chain", "status", "--rpc", &anvil.url, "--contract", &market, "--auction-contract", &auction];
    let shown = home.json(&[&right[..], &["--json"]].concat());
    assert_eq!(
        shown["auction"],
        json!({ "contract": first["auction"]["contract"], "min_reveal_period": 7, "holds": "0", "burned": "0" })
    );
    let told = home.stdout(&right);
    assert!(told.contains("for 7 s at least") && told.matches("the code of this version").count() == 2, "{told}");

    let nobody = "0x00000000000000000000000000000000000000aa";
    let beside = format!("`lota chain deploy --beside {other}`").to_lowercase();
    for (contract, named, part) in [
        (&market, nobody, "where the auction should be"),
        (&market, &*other, "is a market, not an auction"),
        (&other, &*auction, "is for the jobs of another market"),
        (&other, &*auction, &*beside),
        (&auction, &*auction, "is an auction, not a market"),
    ] {
        let wrong = ["chain", "status", "--rpc", &anvil.url, "--contract", contract, "--auction-contract", named];
        let (code, line) = home.failure(&wrong);
        assert!(code == 1 && line.to_lowercase().contains(part), "{part}: {line}");
        let node = ["node", "run", "--key", "trading", "--rpc", &anvil.url, "--contract", contract];
        let run = home
            .lota(&[&node[..], &["--auction-contract", named]].concat())
            .env("LOTA_PASSWORD", "long secret")
            .assert()
            .code(1);
        let line = String::from_utf8_lossy(&run.get_output().stderr).to_lowercase();
        assert!(line.contains(part), "{part}: {line}");
    }
    let more = ["node", "run", "--key", "trading", "--rpc", &anvil.url, "--contract", &market, "--auction-contract"];
    let (code, line) = home.failure(&[&more[..], &["0x12"]].concat());
    assert!(code == 2 && line.contains("setting `node.auction_contract`: `0x12` is no address"), "{line}");

    // The market that had none gets one, and so it can be named.
    let third = deploy(&home, &anvil, &["--beside", &other]);
    assert!(third["contract"] == second["contract"] && third.get("gas_used").is_none(), "{third}");
    let auction = text(&third["auction"]["contract"]);
    home.stdout(&["chain", "status", "--rpc", &anvil.url, "--contract", &other, "--auction-contract", &auction]);

    // One byte of its code is another: it is not trusted.
    let auction = text(&first["auction"]["contract"]);
    let code = anvil.call("eth_getCode", json!([auction, "latest"]));
    let mut code = code.as_str().expect("text").to_owned();
    let last = code.pop().expect("code");
    code.push(if last == '0' { '1' } else { '0' });
    anvil.call("anvil_setCode", json!([auction, code]));
    let (exit, line) = home.failure(&right);
    assert!(exit == 1 && line.contains("that are not SealedBidAuction's of this version"), "{line}");
}

#[test]
fn a_market_whose_auction_fails_is_told_all_the_same() {
    let Some(anvil) = Anvil::start(31_337) else { return };
    let home = Home::new();
    let deployer = rich_key(&home, &anvil);
    let run = |more: &[&str]| {
        let args = [&["chain", "deploy", "--rpc", &anvil.url, "--key", "trading", "--json"], more].concat();
        home.lota(&args).env("LOTA_PASSWORD", "long secret").assert()
    };
    let refused = run(&["--min-reveal-period", "0"]).code(1);
    let line = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    assert!(line.contains("a reveal period of 0 s; name 1 to 7776000 s"), "{line}");
    run(&["--no-auction", "--min-reveal-period", "9"]).code(2);
    assert_eq!(anvil.call("eth_getTransactionCount", json!([deployer, "latest"])), "0x0", "nothing was sent");

    // Gas becomes so dear that the money is gone with the market.
    anvil.call("evm_setAutomine", json!([false]));
    let child = std::process::Command::new(assert_cmd::cargo::cargo_bin("lota"))
        .args(["chain", "deploy", "--rpc", &anvil.url, "--key", "trading", "--json"])
        .env("LOTA_HOME", home.path())
        .env("LOTA_PASSWORD", "long secret")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let sent = loop {
        let pool = anvil.call("txpool_content", json!([]));
        let pending = pool["pending"].as_object().expect("an object").values().next();
        if let Some(sent) = pending.and_then(|of| of.as_object()?.values().next().cloned()) {
            break sent;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let number = |name: &str| {
        let text = sent[name].as_str().expect("a quantity").trim_start_matches("0x").to_owned();
        u128::from_str_radix(&text, 16).expect("a quantity")
    };
    let (most, tip) = (number("maxFeePerGas"), number("maxPriorityFeePerGas"));
    anvil.give(&deployer, number("gas") * most);
    anvil.call("anvil_setNextBlockBaseFeePerGas", json!([format!("{:#x}", most - tip)]));
    anvil.call("evm_mine", json!([]));
    let output = child.wait_with_output().expect("it ends");
    let line = String::from_utf8_lossy(&output.stderr).to_lowercase();
    assert_eq!(output.status.code(), Some(1), "{line}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {line}"));
    let contract = told["contract"].as_str().expect("it is told");
    assert!(told["auction"].is_null() && told["block"] == 1, "{told}");
    let again = format!("lota chain deploy --beside {contract}").to_lowercase();
    assert!(line.contains("there is no auction beside it") && line.contains(&again), "{line}");
    anvil.call("evm_setAutomine", json!([true]));
    anvil.give(&deployer, 10_u128.pow(19));
    let beside = run(&["--beside", contract]).success();
    let told: Value = serde_json::from_slice(&beside.get_output().stdout).expect("JSON");
    assert!(told["auction"]["contract"].is_string(), "{told}");
}

#[test]
fn an_operator_takes_the_money_for_bids_back_while_the_provider_runs() {
    let home = Home::new();
    let devnet = home.devnet(&["--providers", "2"]);
    let hello = home.file("hello.wasm", modules::hello());
    let id = home.stdout(&[&["wasm", "run", hello.to_str().expect("UTF-8"), "--detach"][..], &SHORT].concat());
    home.lota(&["job", "wait", id.trim()]).assert().success();
    // A provider of a devnet is spoken to by its folder. This one asks more than the other, and has lost the auction.
    let folder = home.path().join("devnet/nodes/provider-2");
    let provider = |args: &[&'static str]| [&["--home", folder.to_str().expect("UTF-8")][..], args].concat();
    let account = home.json(&provider(&["wallet", "show", "--json"]))["account"].clone();
    let amount = |value: &Value| value.as_str().expect("text").parse::<u128>().expect("a number");
    let (held, outside) = (amount(&account["auction"]), amount(&account["wallet"]));
    assert!(held > 0, "what the bid left is kept for the next: {account}");
    let (code, line) = home.failure(&provider(&["wallet", "withdraw", "800 FIL", "--from-auction"]));
    assert!(code == 1 && line.contains("the account has only") && line.contains("in the auction"), "{line}");
    let (code, line) = home.failure(&provider(&["wallet", "withdraw", "all"]));
    assert!(code == 2 && line.contains("--from-auction"), "{line}");
    let told = home.stdout(&provider(&["wallet", "withdraw", "all", "--from-auction"]));
    assert!(told.contains("0 FIL (what bids leave goes back") && told.contains("lota node resume"), "{told}");
    let account = home.json(&provider(&["wallet", "show", "--json"]))["account"].clone();
    assert_eq!((amount(&account["auction"]), amount(&account["wallet"])), (0, outside + held), "{account}");
    assert_eq!(account["bid_money"], "emptied");
    assert_eq!(home.json(&provider(&["node", "resume", "--json"])), json!({ "bid_money": "emptied" }));
    let account = home.json(&provider(&["wallet", "show", "--json"]))["account"].clone();
    assert!(account["bid_money"].is_null(), "{account}");
    devnet.end();
    assert!(!folder.join("api.json").exists(), "nobody listens there any more");
}
