//! How many events a second the simulator handles on one core, with so many pending.
//!
//! `cargo run --release -p lota-simulator --example bench_sim` prints JSON lines `{"name", "value", "unit"}`. The rows, from the least to the most:
//! the queue and one transfer between two of a thousand accounts; the queue and the contracts, each event a command of a
//! deal's life (open, lock, submit) with the digest over everything that they say; whole simulations with agents, strategies and ledger; a million
//! agents. An argument takes one of them: queue, contracts, agents, million; a second one, how many are pending.

#![allow(clippy::expect_used, reason = "a benchmark that cannot go on ends")]

use std::time::Instant;

use lota_market::{
    Address, AttoFil, B256, Bytes, U256,
    model::{Command, JobResult, SpecCodec, Terms},
    money::{FIL, GWEI},
    world::ContractCommand,
};
use lota_simulator::{
    Document, Plan, Seed,
    chain::{Chain, START, account},
    chance::Purpose,
    queue::{EventQueue, VirtualTime},
    run_all,
    scenario::ChainSettings,
    simulate,
};
use rand::Rng as _;

const PARTIES: u32 = 1_000;

fn figure(name: &str, value: f64, unit: &str) {
    println!("{{\"name\":\"{name}\",\"value\":{value:.0},\"unit\":\"{unit}\"}}");
}

/// The queue alone: each event moves an amount, and schedules the next one.
fn bare(pending: usize) -> f64 {
    const EVENTS: u32 = 4_000_000;
    let mut chance = Seed(1).stream(Purpose::Life, 0);
    let mut queue = EventQueue::default();
    let mut balances = vec![AttoFil(u128::from(u64::MAX)); PARTIES as usize];
    for number in 0..pending as u32 {
        queue.schedule(VirtualTime(chance.random_range(0..1_000_000)), number % PARTIES);
    }
    let begun = Instant::now();
    for _ in 0..EVENTS {
        let Some((now, from)) = queue.pop() else { break };
        let to = (from + 1) % PARTIES;
        let amount = AttoFil(GWEI.min(balances[from as usize].0));
        balances[from as usize] = balances[from as usize].saturating_sub(amount);
        balances[to as usize] = AttoFil(balances[to as usize].0.saturating_add(amount.0));
        queue.schedule(now.after(VirtualTime(chance.random_range(0..1_000_000))), from);
    }
    assert_eq!(queue.len(), pending);
    f64::from(EVENTS) / begun.elapsed().as_secs_f64()
}

fn terms(client: Address, salt: u64) -> Terms {
    Terms {
        client,
        salt: U256::from(salt),
        spec: B256::ZERO,
        spec_codec: SpecCodec::DagCbor.code(),
        min_price: AttoFil(FIL / 1_000),
        max_price: AttoFil(FIL / 1_000),
        ramp_start: START,
        ramp_period: 1,
        lock_by: START.after(30_000_000),
        run_for: 7_000_000,
        review_for: 0,
        rule_for: 0,
        collateral: AttoFil(FIL / 1_000),
        matcher: Address::ZERO,
        arbiter: Address::ZERO,
        callback_gas: 0,
        keep_record: false,
    }
}

/// A deal's next command.
#[derive(Clone, Copy)]
struct Next {
    client: u32,
    salt: u64,
    stage: u8,
}

/// The queue and the contracts: commands and events a second.
fn market(pending: u32) -> (f64, f64) {
    const COMMANDS: u64 = 1_500_000;
    let mut chance = Seed(1).stream(Purpose::Life, 0);
    let mut chain = Chain::new(&ChainSettings::default()).expect("settings that work");
    let mut log = Vec::new();
    for number in 0..PARTIES {
        let party = account(number);
        chain.mint(party, AttoFil(100_000 * FIL)).expect("room");
        let deposit = ContractCommand::Market(Command::Deposit { account: party });
        chain.execute(party, &deposit, AttoFil(100_000 * FIL), &mut log).expect("a deposit");
    }
    let mut queue = EventQueue::default();
    // Each client's salts are used in order, in windows of 64: so many clients as there are deals for.
    let mut salts = vec![0_u64; PARTIES.max(pending / 8) as usize];
    let clients = salts.len() as u32;
    for number in PARTIES..clients {
        let party = account(number);
        chain.mint(party, AttoFil(1_000 * FIL)).expect("room");
        let deposit = ContractCommand::Market(Command::Deposit { account: party });
        chain.execute(party, &deposit, AttoFil(1_000 * FIL), &mut log).expect("a deposit");
        log.clear();
    }
    for number in 0..pending {
        let time = VirtualTime(1_000 + chance.random_range(0..1_000_000));
        queue.schedule(time, Next { client: number % clients, salt: 0, stage: 0 });
    }
    let (before, mut refused) = (chain.events(), 0);
    let begun = Instant::now();
    for _ in 0..COMMANDS {
        let Some((now, mut next)) = queue.pop() else { break };
        chain.advance(now);
        log.clear();
        let (client, provider) = (account(next.client), account((next.client + 1) % PARTIES));
        if next.stage == 0 {
            next.salt = salts[next.client as usize];
            salts[next.client as usize] += 1;
        }
        let terms = terms(client, next.salt);
        let (sender, command) = match next.stage {
            0 => (client, Command::Open { terms, spec: Bytes::new() }),
            1 => (provider, Command::Lock { terms }),
            _ => (provider, Command::SubmitResult { terms, result: JobResult::default() }),
        };
        refused +=
            u64::from(chain.execute(sender, &ContractCommand::Market(command), AttoFil::ZERO, &mut log).is_err());
        next.stage = (next.stage + 1) % 3;
        queue.schedule(now.after(VirtualTime(chance.random_range(0..1_000_000))), next);
    }
    let seconds = begun.elapsed().as_secs_f64();
    assert_eq!(refused, 0, "the market takes all of it");
    (COMMANDS as f64 / seconds, (chain.events() - before) as f64 / seconds)
}

/// A whole market with agents.
const MARKET: &str = r#"
job.gigafuel = { lognormal = { median = 5, sigma = 0.5 } }
clients.some = { count = 20, balance = 100000, jobs = 500, interval = { exponential = { mean = 20 } } }
providers.some = { count = 10, balance = 1000, cost = { uniform = [0.1, 0.5] }, slots = 8 }
"#;

fn whole() {
    let document = Document::parse("bench.toml", MARKET).expect("a scenario");
    let begun = Instant::now();
    let summary = simulate(document.scenario(), Seed(1), &mut ()).expect("it ends").summary;
    let seconds = begun.elapsed().as_secs_f64();
    assert_eq!(summary.settled, 10_000);
    figure(
        "with agents: contract events a second, 20 clients, 10 providers, 10,000 jobs",
        summary.events as f64 / seconds,
        "1/s",
    );
    figure("with agents: jobs a second, the same", summary.settled as f64 / seconds, "1/s");
    let timed = |threads| {
        let plan =
            Plan { document: &document, overrides: vec![], sweeps: vec![], seeds: Some(8), threads, output: None };
        let begun = Instant::now();
        run_all(&plan, &|_, _| {}).expect("it can be carried out");
        begun.elapsed().as_secs_f64()
    };
    let (one, two) = (timed(1), timed(2));
    figure("8 runs on two threads, in percent of the speed on one", 100.0 * one / two, "%");
}

/// Resident memory of this process, in bytes; 0 where the system does not say.
fn memory() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0.0);
    pages * 4_096.0
}

fn million() {
    let scenario = "providers.many = { count = 1000000, balance = 1, cost = 0.1 }\nclients.one = { count = 1, balance = 1, jobs = 0 }";
    let document = Document::parse("many.toml", scenario).expect("a scenario");
    let before = memory();
    let begun = Instant::now();
    let outcome = simulate(document.scenario(), Seed(1), &mut ()).expect("it ends");
    figure("a million providers: seconds to set up and count", begun.elapsed().as_secs_f64(), "s");
    let peak = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = peak
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    figure("a million providers: memory at the peak", peak.unwrap_or(0.0) * 1_024.0 - before, "bytes");
    assert_eq!(outcome.parties.len(), 1_000_001);
}

fn main() {
    let only = std::env::args().nth(1);
    let is_wanted = |part: &str| only.as_deref().is_none_or(|only| only == part);
    let pending = std::env::args().nth(2).map(|pending| pending.parse().expect("a number of pending events"));
    let pending: Vec<u32> = pending.map_or_else(|| vec![1_000, 100_000, 1_000_000], |pending| vec![pending]);
    for &pending in pending.iter().filter(|_| is_wanted("queue")) {
        figure(&format!("queue and one transfer: events a second, {pending} pending"), bare(pending as usize), "1/s");
    }
    for &pending in pending.iter().filter(|_| is_wanted("contracts")) {
        let (commands, events) = market(pending);
        figure(&format!("queue and contracts: commands a second, {pending} pending"), commands, "1/s");
        figure(&format!("queue and contracts: contract events a second, {pending} pending"), events, "1/s");
    }
    if is_wanted("agents") {
        whole();
    }
    if is_wanted("million") {
        million();
    }
}
