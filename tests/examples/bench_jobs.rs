//! Figures of whole jobs on real nodes and a memory chain, one JSON object a line: `{"name": .., "value": .., "unit": ..}`.
//!
//! `cargo run --release -p lota-tests --example bench_jobs`

#![allow(missing_docs, clippy::expect_used, reason = "a benchmark stops with what went wrong")]

use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use lota_market::{AttoFil, agent::Offer, model::Status, money::FIL};
use lota_tests::{
    programs,
    world::{self, Party, asking, chain, spec},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Jobs whose time is taken one after the other.
const SINGLE: usize = 100;
/// Jobs in flight at once, and how many of them in all.
const IN_FLIGHT: usize = 32;
const MANY: usize = 640;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(measure());
}

async fn measure() {
    let home = TempDir::new().expect("a temporary folder");
    let chain = chain(None);
    let offer = Offer { slots: 64, ..asking(AttoFil(FIL / 1_000_000)) };
    let provider = Party::provider(&chain, 2, home.path(), offer).await;
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    client.deposit(AttoFil(50 * FIL)).await;
    let module = client.add(&programs::says("", 0)).await;
    let spec = spec(&module);
    // A flat price: what is measured is the way, not the wait for the ramp.
    let price = (FIL / 1_000_000).to_string();
    let terms = json!({ "min_price": price, "max_price": price, "collateral": price });
    settle(&client, &spec, &terms).await;

    let mut times = Vec::with_capacity(SINGLE);
    for _ in 0..SINGLE {
        times.push(settle(&client, &spec, &terms).await);
    }
    times.sort_unstable();
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    report("request to settled, trivial WASM job, median", millis(times[SINGLE / 2]), "ms");
    report("request to settled, trivial WASM job, p95", millis(times[SINGLE * 95 / 100]), "ms");

    let begun = Instant::now();
    let all = stream::iter(0..MANY).map(|_| settle(&client, &spec, &terms)).buffer_unordered(IN_FLIGHT).count().await;
    assert_eq!(all, MANY);
    report("jobs settled a second with 32 in flight", MANY as f64 / begun.elapsed().as_secs_f64(), "jobs/s");
    client.node.shutdown().await;
    provider.node.shutdown().await;
}

async fn settle(client: &Party, spec: &Value, terms: &Value) -> Duration {
    let begun = Instant::now();
    let job = client.request(spec.clone(), terms.clone()).await.expect("the job is opened");
    let detail = client.wait_quietly(&job).await;
    assert_eq!(detail.status, Status::Settled, "{detail:?}");
    begun.elapsed()
}

fn report(name: &str, value: f64, unit: &str) {
    println!("{}", json!({ "name": name, "value": (value * 100.0).round() / 100.0, "unit": unit }));
}
