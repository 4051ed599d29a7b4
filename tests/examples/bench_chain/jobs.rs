//! Whole jobs: from the request to the settled deal, by nodes with their databases, through the contract.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use lota_market::{Address, AttoFil, Bytes, agent::Offer, model::Status, money::FIL};
use lota_node::NodeConfig;
use lota_tests::{
    anvil::Anvil,
    programs,
    world::{self, Party, asking, key, spec},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{raw, report};

/// Jobs whose time is taken one after the other.
const SINGLE: usize = 100;
/// Jobs in flight at once, and how many of them in all.
const IN_FLIGHT: usize = 32;
const MANY: usize = 960;
/// Plain transfers that say what the chain can do.
const TRANSFERS: u64 = 2_000;
/// How long they may take: beyond that there is no figure.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a job costs, in attoFIL.
const PRICE: u128 = FIL / 1_000_000;
const MONEY: AttoFil = AttoFil(1_000 * FIL);

pub(crate) async fn measure() {
    let home = TempDir::new().expect("a temporary folder");
    let anvil = Anvil::spawn().await;
    let start = async |number: u8, config: NodeConfig| {
        let transport = anvil.connect(key(number), &config.dir, MONEY).await;
        Party::with(transport, config).await
    };
    let provider = Some(Offer { slots: 64, ..asking(AttoFil(PRICE)) });
    let provider = start(2, NodeConfig { provider, ..world::config("provider", home.path()) }).await;
    provider.deposit(AttoFil(10 * FIL)).await;
    let client = start(1, world::config("client", home.path())).await;
    client.deposit(AttoFil(50 * FIL)).await;
    let module = client.add(&programs::says("", 0)).await;
    let spec = spec(&module);
    // A flat price: what is measured is the way, not the wait for the ramp.
    let price = PRICE.to_string();
    let terms = json!({ "min_price": price, "max_price": price, "collateral": price });
    settle(&client, &spec, &terms).await;

    let before = anvil.calls();
    let mut times = Vec::with_capacity(SINGLE);
    for _ in 0..SINGLE {
        times.push(settle(&client, &spec, &terms).await);
    }
    times.sort_unstable();
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    report("Anvil: request to settled, trivial WASM job, median", millis(times[SINGLE / 2]), "ms");
    report("Anvil: request to settled, trivial WASM job, p95", millis(times[SINGLE * 95 / 100]), "ms");
    report_calls(&anvil, &before, SINGLE, "one after the other");

    let parties = [client.address, provider.address];
    let (before, sent) = (anvil.calls(), transactions(&anvil, &parties).await);
    let begun = Instant::now();
    let all = stream::iter(0..MANY).map(|_| settle(&client, &spec, &terms)).buffer_unordered(IN_FLIGHT).count().await;
    let took = begun.elapsed().as_secs_f64();
    assert_eq!(all, MANY);
    let sent = (transactions(&anvil, &parties).await - sent) as f64;
    report("Anvil: jobs settled a second with 32 in flight", MANY as f64 / took, "jobs/s");
    report("Anvil: transactions a job, 32 in flight", sent / MANY as f64, "transactions");
    report_calls(&anvil, &before, MANY, "32 in flight");
    client.node.shutdown().await;
    provider.node.shutdown().await;

    drop(anvil);
    let alone = transfers().await;
    report("Anvil: plain transfers a second, one client, one after another", alone, "transactions/s");
    report("Anvil: the jobs' transactions a second to that", sent / took / alone, "ratio");
}

async fn settle(client: &Party, spec: &Value, terms: &Value) -> Duration {
    let begun = Instant::now();
    let job = client.request(spec.clone(), terms.clone()).await.expect("the job is opened");
    let detail = client.wait_quietly(&job).await;
    assert_eq!(detail.status, Status::Settled, "{detail:?}");
    begun.elapsed()
}

async fn transactions(anvil: &Anvil, parties: &[Address]) -> u64 {
    let mut sum = 0;
    for party in parties {
        sum += anvil.count(*party).await;
    }
    sum
}

/// How many calls the nodes made to the chain for a job; the details on stderr.
fn report_calls(anvil: &Anvil, before: &std::collections::BTreeMap<String, u64>, jobs: usize, how: &str) {
    let mut all = 0;
    for (method, count) in anvil.calls() {
        let count = count - before.get(&method).copied().unwrap_or_default();
        all += count;
        eprintln!("#   {method}: {:.2} a job", count as f64 / jobs as f64);
    }
    report(&format!("Anvil: RPC calls a job, {how}"), all as f64 / jobs as f64, "calls");
}

/// Plain transfers a second on a new chain: signed before, sent by one client one after another, as nodes do, until the last is in
/// a block. With several on their way at once Anvil forgets about one sooner or later, and mines none of the later ones.
async fn transfers() -> f64 {
    let anvil = Anvil::spawn().await;
    let sender = key(9);
    anvil.set_balance(sender.address(), MONEY).await;
    let transfer = |nonce| raw::signed(&sender, nonce, Address::repeat_byte(7), 21_000, 1, Bytes::new());
    let signed: Vec<_> = (0..TRANSFERS).map(transfer).collect();
    let begun = Instant::now();
    for raw in signed {
        anvil.call("eth_sendRawTransaction", json!([raw])).await;
    }
    while anvil.count(sender.address()).await < TRANSFERS {
        assert!(
            begun.elapsed() < PATIENCE,
            "Anvil does not mine {TRANSFERS} transfers within {} s",
            PATIENCE.as_secs()
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    TRANSFERS as f64 / begun.elapsed().as_secs_f64()
}
