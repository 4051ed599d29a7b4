//! How often nodes call the chain's node: public ones are paid by the call, or give only so many.

#![allow(missing_docs, clippy::expect_used, clippy::panic, reason = "this is test code")]

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use lota_bridge::evm::{Config, Finality};
use lota_market::{AttoFil, agent::Offer, model::Status, money::FIL};
use lota_node::NodeConfig;
use lota_tests::{
    anvil::Anvil,
    counting::Counting,
    programs,
    world::{self, Party, asking, key, spec},
};
use serde_json::{Value, json};
use tempfile::TempDir;

const MONEY: AttoFil = AttoFil(1_000 * FIL);
/// What a job costs, in attoFIL.
const PRICE: u128 = FIL / 1_000_000;

/// The calls that a job may take, from the request to the settled deal: the client's and the provider's together.
const MOST_OF_A_JOB: u64 = 25;
/// The calls that an idle node may make in the time of a block.
const MOST_OF_AN_EPOCH: f64 = 3.0;

fn sum(calls: &BTreeMap<String, u64>) -> u64 {
    calls.values().sum()
}

async fn provider(anvil: &Anvil, config: Config, home: &TempDir) -> Party {
    let provider = Some(Offer { slots: 8, ..asking(AttoFil(PRICE)) });
    let node = NodeConfig { provider, ..world::config("provider", home.path()) };
    let transport = anvil.connect_with(config, key(2), &node.dir, MONEY).await;
    Party::with(transport, node).await
}

async fn client(anvil: &Anvil, config: Config, home: &TempDir) -> Party {
    let node = world::config("client", home.path());
    let transport = anvil.connect_with(config, key(1), &node.dir, MONEY).await;
    Party::with(transport, node).await
}

async fn settle(client: &Party, spec: &Value, terms: &Value) {
    let job = client.request(spec.clone(), terms.clone()).await.expect("the job is opened");
    assert_eq!(client.wait_quietly(&job).await.status, Status::Settled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_takes_few_calls() {
    let Some(anvil) = Anvil::spawn_or_skip().await else { return };
    let home = TempDir::new().expect("a temporary folder");
    let counters = [Counting::in_front_of(anvil.address()).await, Counting::in_front_of(anvil.address()).await];
    // Told of new blocks by websocket, nodes need no clock, and what is counted does not depend on how fast the machine is.
    let through = |counter: &Counting| Config { url: counter.url(), poll: Duration::from_secs(20), ..anvil.config() };
    let provider = provider(&anvil, through(&counters[1]), &home).await;
    provider.deposit(AttoFil(10 * FIL)).await;
    let client = client(&anvil, through(&counters[0]), &home).await;
    client.deposit(AttoFil(50 * FIL)).await;
    let spec = spec(&client.add(&programs::says("", 0)).await);
    let price = PRICE.to_string();
    let terms = json!({ "min_price": price, "max_price": price, "collateral": price });
    settle(&client, &spec, &terms).await;

    let jobs = 12;
    counters.iter().for_each(|counter| drop(counter.take()));
    for _ in 0..jobs {
        settle(&client, &spec, &terms).await;
    }
    let [of_client, of_provider] = counters.each_ref().map(Counting::take);
    let all = sum(&of_client) + sum(&of_provider);
    // Opened by the one; locked, and settled by its result, by the other.
    assert!(of_client["eth_sendRawTransaction"] >= jobs && of_provider["eth_sendRawTransaction"] >= 2 * jobs);
    eprintln!("{:.1} calls a job", all as f64 / jobs as f64);
    assert!(
        all <= MOST_OF_A_JOB * jobs,
        "{:.1} calls a job; in {jobs} jobs the client {of_client:?}, the provider {of_provider:?}",
        all as f64 / jobs as f64
    );
    // Some may be left for what is asked now and then, but not for each job.
    for calls in [&of_client, &of_provider] {
        assert!(calls.get("eth_chainId").is_none_or(|count| *count <= jobs / 2), "{calls:?}");
    }
    client.node.shutdown().await;
    provider.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_node_makes_few_calls() {
    let Some(anvil) = Anvil::spawn_or_skip().await else { return };
    let home = TempDir::new().expect("a temporary folder");
    let counters = [Counting::in_front_of(anvil.address()).await, Counting::in_front_of(anvil.address()).await];
    // Filecoin at fifty times its speed: a block every 30 s, a look every 10 s, settled with 10 blocks above it.
    let (block_time, poll) = (Duration::from_millis(600), Duration::from_millis(200));
    let through = |counter: &Counting| Config {
        url: counter.url(),
        hints: None,
        poll,
        block_time,
        finality: Finality::Depth(10),
        ..anvil.config()
    };
    let mut blocks = tokio::time::interval(block_time);
    blocks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mine = async |count: u32, blocks: &mut tokio::time::Interval| {
        for _ in 0..count {
            blocks.tick().await;
            anvil.call("evm_mine", json!([])).await;
        }
    };
    let starting = async {
        let provider = provider(&anvil, through(&counters[1]), &home).await;
        (client(&anvil, through(&counters[0]), &home).await, provider)
    };
    let (client, provider) = tokio::join!(starting, mine(5, &mut blocks)).0;
    // Until what they say of themselves at first is settled.
    mine(20, &mut blocks).await;
    counters.iter().for_each(|counter| drop(counter.take()));
    let begun = Instant::now();
    mine(20, &mut blocks).await;
    let epochs = begun.elapsed().as_secs_f64() / block_time.as_secs_f64();
    for (counter, who) in counters.iter().zip(["client", "provider"]) {
        let calls = counter.take();
        assert!(calls.get("eth_getLogs").is_some_and(|count| *count >= 10), "the {who} reads: {calls:?}");
        let most = MOST_OF_AN_EPOCH * (epochs + 1.0);
        assert!(sum(&calls) as f64 <= most, "the {who} made {calls:?} in {epochs:.1} epochs");
    }
    client.node.shutdown().await;
    provider.node.shutdown().await;
}
