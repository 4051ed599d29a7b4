//! Markets on chains.

use serde_json::json;

use crate::{anvil::Anvil, support::Home};

const FIL: u128 = 1_000_000_000_000_000_000;

/// A key in the keystore, with money on the chain.
pub fn rich_key(home: &Home, anvil: &Anvil) -> String {
    let made = home.lota(&["wallet", "new", "trading"]).env("LOTA_PASSWORD", "long secret").assert().success();
    let address = String::from_utf8(made.get_output().stdout.clone()).expect("UTF-8").trim().to_owned();
    anvil.give(&address, 10 * FIL);
    address
}

/// Deploys with that key.
pub fn deploy(home: &Home, anvil: &Anvil, more: &[&str]) -> serde_json::Value {
    let args = [&["chain", "deploy", "--rpc", &anvil.url, "--key", "trading", "--json"], more].concat();
    let run = home.lota(&args).env("LOTA_PASSWORD", "long secret").assert().success();
    serde_json::from_slice(&run.get_output().stdout).expect("JSON")
}

#[test]
fn a_market_is_deployed_and_recognised() {
    let Some(anvil) = Anvil::start(31_337) else { return };
    let home = Home::new();
    let deployer = rich_key(&home, &anvil);
    let deployed = deploy(&home, &anvil, &["--network", "anvil", "--max-callback-gas", "3000000"]);
    assert_eq!(deployed["chain_id"], 31_337);
    assert_eq!(deployed["block"], 1);
    assert_eq!(deployed["deployer"].as_str().expect("text").to_lowercase(), deployer.to_lowercase());
    let fee = |of: &serde_json::Value| of["fee"].as_str().expect("text").parse::<u128>().expect("a number");
    let left: u128 = 10 * FIL - fee(&deployed) - fee(&deployed["auction"]);
    let balance = anvil.call("eth_getBalance", json!([deployer, "latest"]));
    assert_eq!(balance, format!("{left:#x}"), "the fee is what was paid");

    let contract = deployed["contract"].as_str().expect("text");
    let status = home.json(&["chain", "status", "--rpc", &anvil.url, "--contract", contract, "--json"]);
    assert_eq!(status["network"], "development");
    assert_eq!(
        status["settings"],
        json!({
            "asset": "0x0000000000000000000000000000000000000000",
            "quantum": 1_000_000_000,
            "min_window": 1,
            "max_callback_gas": 3_000_000,
            "callback_reserve": 20_000,
            "signature_gas": 200_000
        })
    );
    assert_eq!((&status["holds"], &status["burned"]), (&json!("0"), &json!("0")));
    let text = home.stdout(&["chain", "status", "--rpc", &anvil.url, "--contract", contract]);
    for part in ["development (chain 31337)", "the code of this version", "at once", "1 s"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }

    // One byte of the code is another: it is not trusted.
    let code = anvil.call("eth_getCode", json!([contract, "latest"]));
    let mut code = code.as_str().expect("text").to_owned();
    let bytes = format!("{} bytes", (code.len() - 2) / 2);
    let last = code.pop().expect("code");
    code.push(if last == '0' { '1' } else { '0' });
    anvil.call("anvil_setCode", json!([contract, code]));
    let (exit, line) = home.failure(&["chain", "status", "--rpc", &anvil.url, "--contract", contract]);
    assert!(exit == 1 && line.contains("is another") && line.contains(&bytes), "{line}");
}

#[test]
fn settings_out_of_range_are_refused_in_one_line_and_nothing_is_sent() {
    let Some(anvil) = Anvil::start(31_337) else { return };
    let home = Home::new();
    let deployer = rich_key(&home, &anvil);
    let nobody = "0x00000000000000000000000000000000000000aa";
    // A contract that says nothing of decimals.
    let mute = "0x00000000000000000000000000000000000000bb";
    anvil.call("anvil_setCode", json!([mute, "0x00"]));
    for (more, part) in [
        (&["--asset", nobody][..], "there is no contract at 0x00000000000000000000000000000000000000AA on development"),
        (&["--asset", mute], "does not say how many decimals its amounts have"),
        (&["--quantum", "0"], "the quantum is 0"),
        (&["--min-window", "0"], "window"),
        (&["--min-window", "4000000000"], "window"),
        (&["--callback-reserve", "0"], "reserve"),
        (&["--signature-gas", "0"], "signature"),
    ] {
        let args = [&["chain", "deploy", "--rpc", &anvil.url, "--key", "trading"], more].concat();
        let run = home.lota(&args).env("LOTA_PASSWORD", "long secret").assert().code(1);
        let told = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
        let errors: Vec<&str> = told.lines().filter(|line| line.starts_with("error: ")).collect();
        assert!(errors.len() == 1 && errors[0].contains(part), "{more:?}: {told}");
    }
    assert_eq!(anvil.call("eth_getTransactionCount", json!([deployer, "latest"])), "0x0");
}

#[test]
fn what_is_wrong_with_a_chain_is_said_in_one_line() {
    let home = Home::new();
    let nowhere = "0x00000000000000000000000000000000000000aa";
    let status = |rpc: &str, more: &[&str]| {
        home.failure(&[&["chain", "status", "--rpc", rpc, "--contract", nowhere], more].concat())
    };
    let (exit, line) = status("http://127.0.0.1:1/SECRET", &[]);
    assert!(exit == 1 && line.contains("http://127.0.0.1:1 does not answer"), "{line}");
    assert!(!line.contains("SECRET"), "{line}");
    let (exit, line) = status("ws://127.0.0.1:1", &[]);
    assert!(exit == 1 && line.contains("ws://127.0.0.1:1 does not answer"), "{line}");
    let (exit, line) = status("localhost", &[]);
    assert!(exit == 2 && line.contains("no URL"), "{line}");
    let args = ["chain", "status", "--rpc", "http://127.0.0.1:1", "--contract", nowhere, "--network", "mainnet"];
    home.lota(&args).assert().code(2).stderr(predicates::str::contains("calibration"));

    let Some(anvil) = Anvil::start(314_159) else { return };
    let (exit, line) = status(&anvil.url, &["--network", "filecoin"]);
    assert!(exit == 1 && line.contains("serves chain 314159 (calibration), not filecoin (chain 314)"), "{line}");
    let (exit, line) = status(&anvil.url, &[]);
    assert!(exit == 1 && line.contains("no contract at 0x") && line.contains("calibration (chain 314159)"), "{line}");
    let Some(unknown) = Anvil::start(5) else { return };
    let (exit, line) = status(&unknown.url, &[]);
    assert!(exit == 1 && line.contains("serves chain 5") && line.contains("filecoin-local (31415926)"), "{line}");

    let address = rich_key(&home, &anvil);
    anvil.give(&address, 0);
    let poor = home
        .lota(&["chain", "deploy", "--rpc", &anvil.url, "--key", "trading"])
        .env("LOTA_PASSWORD", "long secret")
        .assert()
        .code(1);
    let line = String::from_utf8_lossy(&poor.get_output().stderr).into_owned();
    assert!(
        line.to_lowercase().contains(&address.to_lowercase()) && line.contains("no money on calibration"),
        "{line}"
    );
    anvil.give(&address, 10 * FIL);
    assert_eq!(deploy(&home, &anvil, &[])["network"], "calibration");

    // A key for play money is warned of where money has worth; and what comes next is said.
    let made = home.lota(&["wallet", "new", "play", "--light"]).env("LOTA_PASSWORD", "long secret").assert().success();
    anvil.give(String::from_utf8_lossy(&made.get_output().stdout).trim(), 10 * FIL);
    let args = ["chain", "deploy", "--rpc", &anvil.url, "--key", "play"];
    let run = home.lota(&args).env("LOTA_PASSWORD", "long secret").assert().success();
    let output = run.get_output();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(stderr.contains("Key `play` is encrypted lightly"), "{stderr}");
    let value = |name: &str| {
        let line = stdout.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}:\n{stdout}"));
        line.split_whitespace().last().expect("a value").to_owned()
    };
    let next = format!(
        "lota node run --key play --rpc {} --contract {} --from-block {} --auction-contract {}\n",
        anvil.url,
        value("contract"),
        value("block"),
        value("auction")
    );
    assert!(stderr.contains(&next), "{next} is not in\n{stderr}");
}
