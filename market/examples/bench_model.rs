//! How many commands a second the world executes on one core, with one market in it.
//!
//! `cargo run --release -p lota-market --example bench_model` prints JSON lines `{"name", "value", "unit"}`. The whole lives of
//! 500 deals at a time are interleaved, in books that already hold the records of as many deals as the name says; identities are cheap (no hashing),
//! so that only the world and the model are measured.

use std::hint::black_box;

use alloy_primitives::{Address, B256, Bytes, U256};
use lota_market::{
    AttoFil, Time,
    model::{BatchEntry, Command, JobId, JobResult, Receipt, Settings, Signed, Terms, Verdict},
    world::{Env, ExternalCall, Script, World},
};
use rustix::time::{ClockId, clock_gettime};

const START: Time = Time(1_800_000_000);
const SETTINGS: Settings = Settings { max_callback_gas: 1_000_000, ..Settings::COIN };
const PARTIES: u64 = 1_000;

/// Where the market is.
const MARKET: Address = Address::repeat_byte(0x4d);

struct Cheap {
    now: Time,
}

/// SplitMix64: spreads neighbouring numbers over the whole range, as hashes do.
const fn spread(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn address(role: u64, number: u64) -> Address {
    let mut bytes = [0; 20];
    bytes[..8].copy_from_slice(&spread(role << 32 | number).to_be_bytes());
    bytes[12..].copy_from_slice(&(role << 32 | number).to_be_bytes());
    Address::from(bytes)
}

impl Env for Cheap {
    fn now(&self) -> Time {
        self.now
    }
    fn job_id(&self, _: Address, terms: &Terms) -> JobId {
        // The specs of these terms are their numbers.
        let mut id = terms.spec;
        let number = u64::from_be_bytes([id[24], id[25], id[26], id[27], id[28], id[29], id[30], id[31]]);
        id[..8].copy_from_slice(&spread(number).to_be_bytes());
        JobId(id)
    }
    fn spec_digest(&self, _: &Bytes) -> B256 {
        B256::ZERO
    }
    fn signature_valid(&self, _: Address, _: Address, _: &Signed<'_>, _: &Bytes) -> bool {
        true
    }
    fn has_code(&self, _: Address) -> bool {
        true
    }
    fn script(&mut self, _: &ExternalCall<'_>) -> Script {
        Script::default()
    }
}

fn terms(number: u64, arbiter: Address, keep_record: bool) -> Terms {
    Terms {
        client: address(1, number % PARTIES),
        salt: U256::from(number / PARTIES),
        spec: B256::from(U256::from(number)),
        spec_codec: 0x71,
        min_price: AttoFil::from_gwei(100),
        max_price: AttoFil::from_gwei(200),
        ramp_start: START,
        ramp_period: 100,
        lock_by: START.after(1_000),
        run_for: 600,
        review_for: 600,
        rule_for: 600,
        collateral: AttoFil::from_gwei(50),
        matcher: Address::ZERO,
        arbiter,
        callback_gas: if number.is_multiple_of(4) { 100_000 } else { 0 },
        keep_record,
    }
}

fn receipt(number: u64, provider: Address) -> Receipt {
    let result = JobResult {
        output: B256::repeat_byte(number as u8),
        exit_code: 0,
        fuel_used: number,
        inline_data: Bytes::new(),
    };
    // Everything happens at START + 50, in the middle of the ramp.
    Receipt { provider, price: AttoFil::from_gwei(150), result }
}

/// Seconds this thread has spent on a CPU, so that a busy machine does not count.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// A command and its sender.
type Step = (Address, Command);

/// The lives of deals `from..to`, each step of all of them in turn: half are accepted, a quarter disputed and upheld, an
/// eighth each disputed and overturned, and cancelled.
fn lives(from: u64, to: u64, keep_record: bool) -> Vec<Step> {
    let arbiter = address(3, 0);
    let mut steps = Vec::new();
    let numbers = || (from..to).map(|n| (n, terms(n, arbiter, keep_record), address(2, spread(n) % PARTIES)));
    for (_, terms, _) in numbers() {
        steps.push((terms.client, Command::Open { terms, spec: Bytes::new() }));
    }
    for (n, terms, provider) in numbers() {
        steps.push(match n % 8 {
            7 => (terms.client, Command::Cancel { terms }),
            _ => (provider, Command::Lock { terms }),
        });
    }
    let running = || numbers().filter(|(n, _, _)| n % 8 != 7);
    for (n, terms, provider) in running() {
        steps.push((provider, Command::SubmitResult { terms, result: receipt(n, provider).result }));
    }
    for (n, terms, provider) in running() {
        steps.push(match n % 8 {
            0..4 => (terms.client, Command::Accept { terms, receipt: receipt(n, provider) }),
            _ => (arbiter, Command::Dispute { terms }),
        });
    }
    for (n, terms, provider) in running().filter(|(n, _, _)| n % 8 > 3) {
        let verdict = if n % 8 == 6 { Verdict::Overturned } else { Verdict::Upheld };
        steps.push((arbiter, Command::Rule { terms, receipt: receipt(n, provider), verdict }));
    }
    steps
}

fn world() -> (World, Cheap) {
    let (mut world, mut env) = (World::with_market(MARKET, SETTINGS), Cheap { now: START });
    let (payer, value) = (address(4, 0), AttoFil::from_fil(1_000).unwrap_or_default());
    let parties = (1..=2).flat_map(|role| (0..PARTIES).map(move |number| address(role, number)));
    for account in parties {
        let deposit = Command::Deposit { account };
        let minted = world.mint(payer, value);
        let paid = world.execute_on_market(payer, MARKET, value, &deposit, &mut env, &mut Vec::new());
        assert!(minted.is_ok() && paid.is_ok(), "{minted:?}, {paid:?}");
    }
    env.now = START.after(50);
    (world, env)
}

/// Executes steps, all of which must be accepted; returns how many events there were.
fn run(world: &mut World, env: &mut Cheap, steps: &[Step]) -> usize {
    let mut events = 0;
    let mut log = Vec::new();
    for (sender, command) in steps {
        let outcome = world.execute_on_market(*sender, MARKET, AttoFil::ZERO, command, env, &mut log);
        assert!(outcome.is_ok(), "{command:?}: {outcome:?}");
        events += black_box(&log).len();
        log.clear();
    }
    events
}

fn report(name: &str, value: f64, unit: &str) {
    println!("{{\"name\": \"{name}\", \"value\": {value:.0}, \"unit\": \"{unit}\"}}");
}

/// The best of several runs, in commands per second.
fn measure(name: &str, prepared: &World, env: &mut Cheap, steps: &[Step]) {
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let mut world = prepared.clone();
        let start = cpu_seconds();
        black_box(run(&mut world, env, steps));
        best = best.min(cpu_seconds() - start);
    }
    report(name, steps.len() as f64 / best, "commands/s");
}

fn main() {
    for (name, deals) in [("1k", 1_000), ("100k", 100_000), ("1M", 1_000_000)] {
        let (mut world, mut env) = world();
        for first in (0..deals).step_by(10_000) {
            run(&mut world, &mut env, &lives(first, (first + 10_000).min(deals), true));
        }
        let steps: Vec<Step> =
            (0..50).flat_map(|round| lives(deals + round * 500, deals + round * 500 + 500, false)).collect();
        measure(&format!("model_mixed_{name}_deals"), &world, &mut env, &steps);
        if deals == 100_000 {
            for (kind, pick) in kinds() {
                // Each kind needs the steps before it: time only the slices of its kind.
                let mut world = world.clone();
                let (mut count, mut spent) = (0, 0.0);
                for chunk in steps.chunk_by(|a, b| pick(&a.1) == pick(&b.1)) {
                    let start = cpu_seconds();
                    run(&mut world, &mut env, chunk);
                    if pick(&chunk[0].1) {
                        spent += cpu_seconds() - start;
                        count += chunk.len();
                    }
                }
                report(&format!("model_{kind}_{name}_deals"), spent * 1e9 / count as f64, "ns/command");
            }
        }
    }
    let (world, mut env) = world();
    let entry = |n: u64| {
        let terms = Terms { callback_gas: 0, ..terms(n, Address::ZERO, false) };
        let receipt = receipt(n, address(2, spread(n) % PARTIES));
        BatchEntry { terms, receipt, until: START.after(1_000), signature: Bytes::new() }
    };
    let batches: Vec<Step> = (0..1_000)
        .map(|batch| {
            (address(4, 0), Command::SettleBatch { entries: (batch * 50..(batch + 1) * 50).map(entry).collect() })
        })
        .collect();
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let mut world = world.clone();
        let start = cpu_seconds();
        run(&mut world, &mut env, &batches);
        best = best.min(cpu_seconds() - start);
    }
    report("model_batched_deals", 1_000.0 * 50.0 / best, "deals/s");
}

type Kind = (&'static str, fn(&Command) -> bool);

/// Which commands to time on their own: those that come in long runs.
fn kinds() -> [Kind; 4] {
    [
        ("open", |command| matches!(command, Command::Open { .. })),
        ("lock_or_cancel", |command| matches!(command, Command::Lock { .. } | Command::Cancel { .. })),
        ("submit", |command| matches!(command, Command::SubmitResult { .. })),
        ("accept_or_dispute", |command| matches!(command, Command::Accept { .. } | Command::Dispute { .. })),
    ]
}
