//! Figures of real nodes on a real chain (Anvil, instant mining), one JSON object a line: `{"name": .., "value": .., "unit": ..}`.
//!
//! `cargo run --release -p lota-tests --example bench_chain`; with `jobs` or `events` as an argument, only those. Anvil comes
//! from `contracts/scripts/install`.

#![allow(missing_docs, clippy::expect_used, clippy::panic, reason = "a benchmark stops with what went wrong")]

mod events;
mod jobs;
mod raw;

use serde_json::json;

fn main() {
    let only = std::env::args().nth(1);
    let wanted = |part: &str| only.as_deref().is_none_or(|only| only == part);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        report_load("before");
        if wanted("jobs") {
            jobs::measure().await;
        }
        if wanted("events") {
            events::measure().await;
        }
        report_load("after");
    });
}

fn report(name: &str, value: f64, unit: &str) {
    println!("{}", json!({ "name": name, "value": (value * 100.0).round() / 100.0, "unit": unit }));
}

/// What else the machine had to do: figures taken under load say little.
fn report_load(when: &str) {
    let load = std::fs::read_to_string("/proc/loadavg").ok();
    if let Some(load) = load.and_then(|text| text.split(' ').next()?.parse().ok()) {
        report(&format!("load average of the last minute, {when}"), load, "processes");
    }
}
