//! Nodes that know several nodes of their chain, of which one is away, busy, behind, another chain's, or lies.

use std::time::Instant;

use serde_json::json;

use crate::{
    anvil::Anvil,
    mean::{Mean, Mood},
    outages::{FIL, Node, PATIENCE, hello},
};

/// A client and a provider who reach the chain through so many proxies, with 5 FIL each in the market.
fn market(anvil: &Anvil, count: usize) -> (Vec<Mean>, Node, Node) {
    let means: Vec<_> = (0..count).map(|_| Mean::in_front_of(&anvil.url)).collect();
    let urls = means.iter().map(Mean::url).collect::<Vec<_>>();
    let (mut client, mut provider) = (Node::new(anvil), Node::new(anvil));
    let contract = client.deploy(&anvil.url);
    client.start(&urls.join(","), &contract, &["--client-only"]);
    // Or repeated.
    let more: Vec<_> = urls[1..].iter().flat_map(|url| ["--rpc", url]).collect();
    provider.start(&urls[0], &contract, &more);
    for node in [&mut client, &mut provider] {
        node.wait_until_it_runs();
        node.home.json(&["wallet", "deposit", "5 FIL", "--json"]);
    }
    (means, client, provider)
}

fn done(client: &Node, id: &str) {
    client.home.lota(&["job", "wait", id, "--timeout", "4m"]).assert().success();
}

/// Each of these jobs was paid once, and nothing was sent twice.
fn check(anvil: &Anvil, client: &Node, provider: &Node, ids: &[String]) {
    let mut paid = 0;
    for id in ids {
        let job = client.home.json(&["job", "describe", id, "--json"]);
        let names: Vec<_> = job["events"].as_array().expect("events").iter().map(|event| &event["name"]).collect();
        assert_eq!(names, ["JobOpened", "JobLocked", "ResultSubmitted", "JobSettled"], "{id}");
        paid += job["money"]["paid_to_provider"].as_str().expect("text").parse::<u128>().expect("a number");
    }
    let begun = Instant::now();
    while provider.money().1 != 5 * FIL + paid {
        assert!(begun.elapsed() < PATIENCE, "each job is paid once: {:?}, {paid}", provider.money());
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    // An announcement, a deposit, and for each job two commands.
    let count = anvil.call("eth_getTransactionCount", json!([provider.address, "latest"]));
    assert_eq!(count, format!("{:#x}", 2 + 2 * ids.len()));
}

#[test]
fn when_the_preferred_node_fails_jobs_go_on_with_the_next_one() {
    let Some(anvil) = Anvil::with_blocks(31_337) else { return };
    let Some(other) = Anvil::with_blocks(31_338) else { return };
    let (means, client, provider) = market(&anvil, 2);
    let hello = hello(&client.home);
    let mut ids = Vec::new();
    let top = || anvil.call("eth_blockNumber", json!([])).as_str().map(|text| text[2..].to_owned());
    for mood in [
        Mood::Away,
        Mood::Page,
        Mood::Truncated,
        Mood::TooMany(Some(3)),
        Mood::Limited,
        Mood::Elsewhere(other.url.clone()),
        Mood::Stuck(u64::from_str_radix(&top().expect("a block"), 16).expect("a number")),
    ] {
        let id = client.ask(&hello, &[]);
        means[0].be(mood.clone());
        done(&client, &id);
        // Begun and ended without it.
        let more = client.ask(&hello, &[]);
        done(&client, &more);
        for node in [&client, &provider] {
            node.wait_for_problems(&[]);
            let said = node.said();
            assert!(said.contains(&means[0].url()) && !said.contains(&means[1].url()), "{mood:?}: {said}");
        }
        means[0].be(Mood::Well);
        ids.extend([id, more]);
    }
    // It is asked again, and now the other one fails.
    for node in [&client, &provider] {
        let begun = Instant::now();
        let words = ["is left aside", "is asked again"];
        let counts = || words.map(|words| node.said().lines().filter(|line| line.contains(words)).count());
        while counts()[0] != counts()[1] {
            assert!(begun.elapsed() < PATIENCE, "{}", node.said());
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
    means[1].be(Mood::Away);
    let id = client.ask(&hello, &[]);
    done(&client, &id);
    ids.push(id);
    check(&anvil, &client, &provider, &ids);
}

#[test]
fn of_three_nodes_the_one_that_lies_about_receipts_is_not_believed() {
    let Some(anvil) = Anvil::with_blocks(31_337) else { return };
    let (means, client, provider) = market(&anvil, 3);
    let hello = hello(&client.home);
    means[0].be(Mood::Lying);
    let ids: Vec<_> = (0..3).map(|_| client.ask(&hello, &[])).collect();
    ids.iter().for_each(|id| done(&client, id));
    for node in [&client, &provider] {
        node.wait_for_problems(&[]);
        let said = node.said();
        assert!(said.contains("most others deny what it says about transaction 0x"), "{said}");
    }
    check(&anvil, &client, &provider, &ids);
}

#[test]
fn of_two_nodes_that_disagree_none_is_believed() {
    let Some(anvil) = Anvil::with_blocks(31_337) else { return };
    // A chain with the same id and other blocks.
    let Some(twin) = Anvil::with_blocks(31_337) else { return };
    let (means, client, provider) = market(&anvil, 2);
    let hello = hello(&client.home);
    let sent = || anvil.call("eth_getTransactionCount", json!([provider.address, "latest"]));
    twin.call("anvil_mine", json!(["0x100"]));
    means[1].be(Mood::Elsewhere(twin.url.clone()));
    for node in [&client, &provider] {
        node.wait_for_problems(&["unreachable"]);
        let shown = node.home.stdout(&["node", "show"]);
        assert!(shown.contains("disagree about block"), "{shown}");
    }
    let before = sent();
    means[0].be(Mood::Away);
    std::thread::sleep(std::time::Duration::from_secs(3));
    means[0].be(Mood::Well);
    assert_eq!(sent(), before, "that one of them is away proves nothing");
    client.wait_for_problems(&["unreachable"]);
    means[1].be(Mood::Well);
    for node in [&client, &provider] {
        node.wait_for_problems(&[]);
    }
    let id = client.ask(&hello, &[]);
    done(&client, &id);
    check(&anvil, &client, &provider, &[id]);
}
