//! Figures of the websocket mock, one JSON object a line: `{"name": .., "value": .., "unit": ..}`.
//!
//! `cargo run --release -p lota-bridge --example bench_mock [EVENTS]`; EVENTS is how many a log has that is opened again (10,000,000).

#![allow(missing_docs, clippy::expect_used, reason = "a benchmark stops with what went wrong")]

use std::{
    fs::{self, File},
    io::Write as _,
    net::SocketAddr,
    path::Path,
    process::Command as Process,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, future::join_all};
use lota_bridge::{
    AuctionRef, MarketRef, PrivateKeySigner,
    eip712::SignedCommand,
    encoding,
    memory::{Chain, FileLedger, Genesis, Options, SyncPolicy},
    mock::{Server, ServerOptions},
    ws::MockClient,
};
use lota_market::{
    Address, AttoFil, B256, Time,
    agent::EffectKey,
    model::{Command, MAX_BATCH, Settings},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Commands of one client after another, and of all clients together.
const SINGLE: usize = 1_000;
const MANY: usize = 20_000;
const CLIENTS: usize = 100;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    if let (Some("start"), Some(folder)) = (first.as_deref(), arguments.next()) {
        return started(Path::new(&folder));
    }
    let events = first.map_or(10_000_000, |text| text.parse().expect("a number of events"));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(acknowledged());
    restart(events);
}

fn report(name: &str, value: f64, unit: &str) {
    println!("{}", json!({ "name": name, "value": (value * 100.0).round() / 100.0, "unit": unit }));
}

fn open(folder: &Path, sync: SyncPolicy) -> Chain {
    let market = MarketRef { chain_id: 1_337, contract: Address::repeat_byte(0x10), settings: Settings::COIN };
    let auction = Some(AuctionRef { contract: Address::repeat_byte(0xa0), min_reveal_period: 60 });
    let genesis = Genesis { market, time: Time(1_800_000_000), funds: Vec::new(), auction };
    let ledger = FileLedger::open(folder.join("market.log"), sync).expect("the log opens");
    Chain::open(genesis, ledger, Options { max_blocks: 50_000_000, ..Options::default() }).expect("the log adds up")
}

fn signed(chain: &Chain, signer: &PrivateKeySigner, key: usize, command: &Command) -> SignedCommand {
    let bytes = encoding::encode(command, AttoFil::ZERO).expect("within limits");
    let key = EffectKey::named(&key.to_string());
    SignedCommand::sign(signer, &chain.market(), key, AttoFil::ZERO, bytes).expect("signs")
}

fn signer(number: usize) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::left_padding_from(&(number as u64 + 1).to_be_bytes())).expect("a valid key")
}

/// One command after another; how long each took.
async fn send(client: &MockClient, commands: &[SignedCommand]) -> Vec<Duration> {
    futures::stream::iter(commands)
        .then(|command| async move {
            let begun = Instant::now();
            client.send(command).await.expect("it lands");
            begun.elapsed()
        })
        .collect()
        .await
}

async fn acknowledged() {
    let dir = TempDir::new().expect("a temporary folder");
    let chain = open(dir.path(), SyncPolicy::EveryEntry);
    let server = Server::start(chain.clone(), SocketAddr::from(([127, 0, 0, 1], 0)), ServerOptions::default());
    let server = server.await.expect("a free port");
    let announce = Command::Announce { url: "https://provider.example/gateway".into() };
    let millis = |mut times: Vec<Duration>, percent: usize| {
        times.sort_unstable();
        times[(times.len() * percent / 100).min(times.len() - 1)].as_secs_f64() * 1e3
    };
    for (clients, commands) in [(1, SINGLE), (CLIENTS, MANY)] {
        // Signed before: what clients do is not measured.
        let batches: Vec<Vec<SignedCommand>> = (0..clients)
            .map(|client| {
                let signer = signer(clients * 1_000 + client);
                (0..commands / clients).map(|number| signed(&chain, &signer, number, &announce)).collect()
            })
            .collect();
        let url = server.url();
        let connected = join_all((0..clients).map(|_| MockClient::connect(&url))).await;
        let connected: Vec<MockClient> = connected.into_iter().map(|client| client.expect("connects")).collect();
        let begun = Instant::now();
        let times = join_all(connected.iter().zip(&batches).map(|(client, batch)| send(client, batch))).await.concat();
        let name = if clients == 1 { "1 client".to_owned() } else { format!("{clients} clients") };
        let rate = times.len() as f64 / begun.elapsed().as_secs_f64();
        report(&format!("commands acknowledged durably a second, {name}"), rate, "commands/s");
        report(&format!("the same, median, {name}"), millis(times.clone(), 50), "ms");
        report(&format!("the same, p99, {name}"), millis(times, 99), "ms");
    }
    server.stop().await;
    // What the disk can do, in the same run.
    let mut file = File::create(dir.path().join("plain")).expect("a file");
    let begun = Instant::now();
    for _ in 0..500 {
        file.write_all(&[7; 500]).and_then(|()| file.sync_data()).expect("written");
    }
    report(
        "appends of 500 bytes with fdatasync a second, same disk",
        500.0 / begun.elapsed().as_secs_f64(),
        "appends/s",
    );
}

fn restart(events: usize) {
    let dir = TempDir::new().expect("a temporary folder");
    let chain = open(dir.path(), SyncPolicy::OperatingSystem);
    let signer = signer(0);
    let calls = vec![Command::Announce { url: "https://provider.example/gateway".into() }; MAX_BATCH];
    let command = Command::Multicall { calls };
    let blocks = events.div_ceil(MAX_BATCH);
    let begun = Instant::now();
    for first in (0..blocks).step_by(64) {
        let batch = (first..blocks.min(first + 64))
            .map(|number| chain.check(signed(&chain, &signer, number, &command)).expect("signed"))
            .collect();
        assert!(chain.execute_all(batch).iter().all(Result::is_ok), "they land");
    }
    report(
        "events written a second, 62 in a block, signing included",
        (blocks * MAX_BATCH) as f64 / begun.elapsed().as_secs_f64(),
        "events/s",
    );
    drop(chain);
    let size = fs::metadata(dir.path().join("market.log")).expect("there").len();
    report("bytes of a log of so many events", size as f64, "bytes");
    let events = blocks * MAX_BATCH;
    for how in [
        "after a crash: the newest snapshot and what follows it",
        "after a clean end",
        "without a snapshot: everything is replayed",
    ] {
        let snapshot = dir.path().join("market.snapshot");
        match how {
            "after a clean end" => open(dir.path(), SyncPolicy::OperatingSystem).keep_snapshot().expect("kept"),
            "without a snapshot: everything is replayed" => fs::remove_file(snapshot).expect("there"),
            _ => {}
        }
        // A process of its own: its memory is that of the start alone.
        let started =
            Process::new(std::env::current_exe().expect("this program")).arg("start").arg(dir.path()).output();
        let output = started.expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(found["block"], blocks);
        let name = format!("start with a log of {events} events, {how}");
        report(&name, found["seconds"].as_f64().expect("a number"), "s");
        report(&format!("{name}: most resident memory"), found["memory"].as_f64().expect("a number"), "bytes");
    }
}

/// Opens the log in a folder, and says how long that took and how much memory.
fn started(folder: &Path) {
    let begun = Instant::now();
    let chain = open(folder, SyncPolicy::OperatingSystem);
    let seconds = begun.elapsed().as_secs_f64();
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it says so");
    let memory: u64 = most.trim().trim_end_matches(" kB").parse().expect("a number");
    println!("{}", json!({ "block": chain.head().block, "seconds": seconds, "memory": memory * 1_024 }));
}
