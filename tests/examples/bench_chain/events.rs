//! The market's log, read from its beginning: how fast a new node catches up, and which part takes how long.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use lota_bridge::{PrivateKeySigner, Transport as _, Update, evm::EvmTransport, evm::bindings, journal::MemoryJournal};
use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    model::{Command, JobResult, Receipt, Terms},
    money::FIL,
};
use lota_node::store::Store;
use lota_tests::{
    anvil::Anvil,
    world::{self, Party, key},
};
use serde_json::json;
use tempfile::TempDir;

use crate::{raw, report};

/// Events on the chain, roughly: whole multicalls.
const EVENTS: usize = 100_000;
/// Calls of a multicall (the contract allows 256), and multicalls of a block.
const CALLS: usize = 256;
const MULTICALLS: usize = 4;
/// Gas of a multicall: more than 64 jobs from opening to settlement need.
const GAS: u64 = 25_000_000;
/// Events of one transaction of the database.
const ROUND: usize = 256;
const MONEY: AttoFil = AttoFil(100_000 * FIL);

/// What the chain is full of.
#[derive(Clone, Copy)]
enum Kind {
    /// Deposits and announcements.
    Loose,
    /// Jobs of strangers, each opened, locked, submitted and settled.
    Jobs,
}

pub(crate) async fn measure() {
    for (kind, what) in [(Kind::Loose, "deposits and announcements"), (Kind::Jobs, "strangers' jobs")] {
        let anvil = Anvil::spawn().await;
        let events = fill(&anvil, kind).await;
        let rate = |took: Duration| events as f64 / took.as_secs_f64();
        let (took, bytes) = over_http(&anvil).await;
        report(&format!("Anvil: eth_getLogs alone, {what}"), rate(took), "events/s");
        report("Anvil: JSON of an event's log", bytes as f64 / events as f64, "bytes");
        let (took, updates) = decoded(&anvil, events).await;
        report(&format!("Anvil: read and decoded, {what}"), rate(took), "events/s");
        report(&format!("Anvil: stored alone, {what}"), rate(stored(&updates).await), "events/s");
        drop(updates);
        report(&format!("Anvil: read, decoded and stored by a node, {what}"), rate(ingested(&anvil).await), "events/s");
    }
}

/// Fills the chain; how many events there are.
async fn fill(anvil: &Anvil, kind: Kind) -> usize {
    let party = key(8);
    anvil.set_balance(party.address(), MONEY).await;
    anvil.call("evm_setAutomine", json!([false])).await;
    anvil.call("evm_setBlockGasLimit", json!([format!("{:#x}", GAS * MULTICALLS as u64)])).await;
    let transport = connect(anvil, party.clone()).await;
    let now = transport.head().await.expect("it answers").time;
    let count = EVENTS.div_ceil(CALLS);
    let multicalls = (0..count).map(|number| {
        let calls = match kind {
            Kind::Loose => loose(&party, number),
            Kind::Jobs => jobs(&party, number, now),
        };
        let data = bindings::call_data(&Command::Multicall { calls });
        raw::signed(&party, number as u64, anvil.contract(), GAS, 0, data)
    });
    let multicalls: Vec<Bytes> = multicalls.collect();
    for block in multicalls.chunks(MULTICALLS) {
        for raw in block {
            anvil.call("eth_sendRawTransaction", json!([raw])).await;
        }
        anvil.call("evm_mine", json!([])).await;
    }
    anvil.call("evm_setAutomine", json!([true])).await;
    assert_eq!(anvil.count(party.address()).await, count as u64);
    count * CALLS
}

fn loose(party: &PrivateKeySigner, number: usize) -> Vec<Command> {
    let announce = |n| Command::Announce { url: format!("https://gateway-{number}-{n}.example") };
    let deposit = Command::Deposit { account: party.address() };
    (0..CALLS).map(|n| if n % 2 == 0 { announce(n) } else { deposit.clone() }).collect()
}

fn jobs(party: &PrivateKeySigner, number: usize, now: Time) -> Vec<Command> {
    let mut calls = Vec::with_capacity(CALLS);
    for n in 0..CALLS / 4 {
        let terms = terms(party, U256::from(number * CALLS / 4 + n), now);
        let result =
            JobResult { output: B256::repeat_byte(7), exit_code: 0, fuel_used: 1_234_567, inline_data: Bytes::new() };
        let receipt = Receipt { provider: party.address(), price: AttoFil::ZERO, result: result.clone() };
        calls.push(Command::Open { terms: terms.clone(), spec: Bytes::new() });
        calls.push(Command::Lock { terms: terms.clone() });
        calls.push(Command::SubmitResult { terms: terms.clone(), result });
        calls.push(Command::Accept { terms, receipt });
    }
    calls
}

fn terms(party: &PrivateKeySigner, salt: U256, now: Time) -> Terms {
    Terms {
        client: party.address(),
        salt,
        spec: B256::repeat_byte(5),
        spec_codec: 0x71,
        min_price: AttoFil::ZERO,
        max_price: AttoFil::ZERO,
        ramp_start: now,
        ramp_period: 1,
        lock_by: now.after(86_400),
        run_for: 3_600,
        review_for: 0,
        rule_for: 0,
        collateral: AttoFil::ZERO,
        matcher: Address::ZERO,
        arbiter: Address::ZERO,
        callback_gas: 0,
        keep_record: false,
    }
}

/// A transport that remembers nothing.
async fn connect(anvil: &Anvil, party: PrivateKeySigner) -> EvmTransport {
    let journal = Arc::new(MemoryJournal::default());
    EvmTransport::connect(anvil.config(), anvil.contract(), 0, party, journal).await.expect("the market is there")
}

/// The time that the chain takes to answer, block by block, and the bytes of its answers.
async fn over_http(anvil: &Anvil) -> (Duration, usize) {
    let http = lota_http::client();
    let height = anvil.height().await;
    let begun = Instant::now();
    let mut bytes = 0;
    for block in 0..=height {
        let block = format!("{block:#x}");
        let filter = json!({ "address": anvil.contract(), "fromBlock": block, "toBlock": block });
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [filter] });
        let answer = http.post(anvil.http_url()).json(&request).send().await.expect("it answers");
        bytes += answer.bytes().await.expect("all of it").len();
    }
    (begun.elapsed(), bytes)
}

/// The time until a transport has yielded that many events, and they.
async fn decoded(anvil: &Anvil, events: usize) -> (Duration, Vec<Update>) {
    let transport = connect(anvil, key(7)).await;
    let begun = Instant::now();
    let updates = transport.updates(None).filter_map(async |update| match update {
        Ok(update @ Update::Event { .. }) => Some(update),
        _ => None,
    });
    let updates = updates.take(events).collect::<Vec<_>>().await;
    (begun.elapsed(), updates)
}

/// The time that the node's database takes for events, in rounds as long as those of its loop.
async fn stored(updates: &[Update]) -> Duration {
    let folder = TempDir::new().expect("a temporary folder");
    let store = Store::open(&folder.path().join("node.db")).await.expect("the database opens");
    let begun = Instant::now();
    for round in updates.chunks(ROUND) {
        let mut batch = store.begin().await.expect("it begins");
        let mut last = None;
        for update in round {
            let Update::Event { cursor, time, event, .. } = update else { continue };
            batch.add_event(cursor, *time, event).await.expect("it is stored");
            last = Some(*cursor);
        }
        batch.set_cursor(last).await.expect("it is stored");
        batch.commit().await.expect("it is kept");
    }
    begun.elapsed()
}

/// The time from a new node's start until its database has the whole log.
async fn ingested(anvil: &Anvil) -> Duration {
    let home = TempDir::new().expect("a temporary folder");
    let config = world::config("reader", home.path());
    let transport = anvil.connect(key(6), &config.dir, MONEY).await;
    let height = anvil.height().await;
    let database = config.dir.join("node.db");
    let begun = Instant::now();
    let party = Party::with(transport, config).await;
    let took = until_stored(&database, height, begun).await;
    party.node.shutdown().await;
    took
}

async fn until_stored(database: &Path, height: u64, begun: Instant) -> Duration {
    let store = Store::open(database).await.expect("the database opens");
    while store.cursor().await.expect("it reads").is_none_or(|cursor| cursor.block < height) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let took = begun.elapsed();
    store.close().await;
    took
}
