//! A key that two daemons use, each with a store of its own, or a person's wallet beside one.

use serde_json::json;

use crate::{
    anvil::Anvil,
    outages::{FIL, Node, hello},
};

#[test]
fn a_key_that_two_daemons_use_is_noticed_by_both_and_neither_takes_jobs_until_it_is_told_to_go_on() {
    let Some(anvil) = Anvil::with_blocks(31_337) else { return };
    let (mut client, mut provider) = (Node::new(&anvil), Node::new(&anvil));
    let contract = client.deploy(&anvil.url);
    client.start(&anvil.url, &contract, &["--client-only"]);
    provider.start(&anvil.url, &contract, &[]);
    for node in [&mut client, &mut provider] {
        node.wait_until_it_runs();
        node.home.json(&["wallet", "deposit", "5 FIL", "--json"]);
    }
    let hello = hello(&client.home);
    // A payment from a person's wallet is nobody's concern.
    anvil.call("anvil_impersonateAccount", json!([provider.address]));
    let paid = json!({ "from": provider.address, "to": client.address, "value": format!("{:#x}", FIL / 10) });
    anvil.call("eth_sendTransaction", json!([paid]));
    let job = client.ask(&hello, &["--lock-for", "10m"]);
    client.home.lota(&["job", "wait", &job, "--timeout", "4m"]).assert().success();
    provider.wait_for_problems(&[]);

    let mut twin = provider.twin();
    twin.start(&anvil.url, &contract, &[]);
    twin.wait_until_it_runs();
    // What the other does on the market shows itself to each; what was before the twin's start does not.
    twin.home.json(&["wallet", "deposit", "1 FIL", "--json"]);
    provider.wait_for_problems(&["key_shared"]);
    provider.home.json(&["wallet", "deposit", "1 FIL", "--json"]);
    twin.wait_for_problems(&["key_shared"]);
    let shown = provider.home.stdout(&["node", "show"]);
    for part in [provider.address.as_str(), "transaction 0x", "nonce ", "Stop the other daemon", "lota node resume"] {
        assert!(shown.to_lowercase().contains(&part.to_lowercase()), "{part} is not in\n{shown}");
    }
    let said = provider.said();
    assert_eq!(said.matches("somebody else sends to the market with the key").count(), 1, "{said}");
    let waiting = client.ask(&hello, &["--lock-for", "10m"]);
    std::thread::sleep(std::time::Duration::from_secs(5));
    let status = |job: &str| client.home.json(&["job", "describe", job, "--json"])["status"].clone();
    assert_eq!(status(&waiting), "open", "neither takes it");

    // A restart does not make it forget.
    let mut process = twin.process.take().expect("it runs");
    process.kill().and_then(|()| process.wait().map(drop)).expect("it ends");
    let mut process = provider.process.take().expect("it runs");
    process.kill().and_then(|()| process.wait().map(drop)).expect("it ends");
    // What names the process that was killed.
    std::fs::remove_file(provider.home.path().join("api.json")).expect("it is there");
    provider.start(&anvil.url, &contract, &[]);
    provider.wait_until_it_runs();
    provider.wait_for_problems(&["key_shared"]);
    let resumed = provider.home.json(&["node", "resume", "--json"]);
    assert!(resumed["key_shared"].is_string(), "{resumed}");
    client.home.lota(&["job", "wait", &waiting, "--timeout", "4m"]).assert().success();
    provider.wait_for_problems(&[]);
}
