//! Measures a fetch from one and from three gateways that send only so much a second, and prints JSON lines:
//! `{"name": ..., "value": ..., "unit": ...}`.
//!
//! ```text
//! cargo run --release -p lota-content --example bench_fetch [MiB] [MB/s of each gateway]
//! ```

#![allow(clippy::unwrap_used, reason = "a measurement that fails should stop")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::Response;
use futures::StreamExt as _;
use lota_content::fetch::{FetchLimits, FetchOptions, Fetcher};
use lota_content::gateway::{GatewayOptions, router};
use lota_content::{Cid, ImportOptions, Store, StoreOptions, SyncPolicy, import_bytes};
use tokio::sync::Mutex;
use url::Url;

fn store(dir: &std::path::Path, name: &str) -> Store {
    Store::open(dir.join(name), StoreOptions { capacity: 1 << 40, sync: SyncPolicy::Never }).unwrap()
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state ^ (state >> 29)).to_le_bytes()
    };
    (0..length.div_ceil(8)).flat_map(|_| next()).take(length).collect()
}

/// Serves a store's blocks, so many bytes a second over all connections.
async fn throttled(store: &Store, rate: f64) -> Url {
    let free = Arc::new(Mutex::new(Instant::now()));
    let slow = move |response: Response| {
        let free = Arc::clone(&free);
        let (parts, body) = response.into_parts();
        let pieces = body.into_data_stream().then(move |piece| {
            let free = Arc::clone(&free);
            async move {
                let length = piece.as_ref().map_or(0, bytes::Bytes::len);
                let turn = {
                    let mut free = free.lock().await;
                    *free = (*free).max(Instant::now()) + Duration::from_secs_f64(length as f64 / rate);
                    *free
                };
                tokio::time::sleep_until(turn.into()).await;
                piece
            }
        });
        async move { Response::from_parts(parts, Body::from_stream(pieces)) }
    };
    let routes = router(store.clone(), GatewayOptions::default()).layer(axum::middleware::map_response(slow));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url.parse().unwrap()
}

async fn fetch(dir: &std::path::Path, name: &str, cid: &Cid, sources: &[Url], bytes: u64) -> Duration {
    let here = store(dir, name);
    let fetcher = Fetcher::new(FetchOptions { allow_private_addresses: true, ..FetchOptions::default() }).unwrap();
    let start = Instant::now();
    let fetched = fetcher.fetch_dag(&here, cid, sources, &FetchLimits::default()).await.unwrap();
    let taken = start.elapsed();
    assert_eq!((fetched.fetched_bytes, fetched.failures.len()), (bytes, 0));
    taken
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let mib: usize = arguments.next().map_or(64, |text| text.parse().unwrap());
    let rate: f64 = arguments.next().map_or(10.0, |text| text.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let there = store(dir.path(), "there");
    let file = import_bytes(&there, &noise(mib << 20), &ImportOptions::default()).unwrap();
    for count in [1, 3] {
        let mut sources = Vec::new();
        for _ in 0..count {
            sources.push(throttled(&there, rate * 1e6).await);
        }
        let taken = fetch(dir.path(), &format!("here-{count}"), &file.cid, &sources, file.dag_size).await;
        let name = format!("fetch_{mib}_mib_from_{count}_gateways_of_{rate}_mb_s");
        println!("{{\"name\": \"{name}\", \"value\": {:.2}, \"unit\": \"s\"}}", taken.as_secs_f64());
    }
}
