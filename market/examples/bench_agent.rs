//! How many events a second one agent takes in on one core.
//!
//! `cargo run --release -p lota-market --example bench_agent` prints JSON lines `{"name", "value", "unit"}`. Jobs live whole lives
//! (opened, locked, submitted, settled), a hundred at a time. Strangers' jobs: those that concern none of the agent's roles. Its
//! own: those that it runs itself, with all its steps answered at once.

use std::hint::black_box;

use alloy_primitives::{Address, B256, Bytes, U256};
use lota_market::{
    AttoFil, Time,
    agent::{Agent, At, Effect, Input, Offer, RunReport, Step, StepOutcome},
    model::{Event, JobId, JobResult, Reason, Settings, SpecCodec, Terms},
    spec::{JobSpec, Limits, Link},
};
use rustix::time::{ClockId, clock_gettime};

const ME: Address = Address::repeat_byte(0xA1);
const OTHER: Address = Address::repeat_byte(0xA2);
const NOW: Time = Time(1_800_000_000);
const SETTINGS: Settings = Settings { min_window: 1, ..Settings::COIN };
/// Jobs at a time.
const AT_ONCE: u64 = 100;

/// SplitMix64: ids lie as hashes do.
const fn spread(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn id(number: u64) -> JobId {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&spread(number).to_be_bytes());
    id[24..].copy_from_slice(&number.to_be_bytes());
    JobId(B256::from(id))
}

fn spec() -> Option<Bytes> {
    let module: Link = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e".parse().ok()?;
    let limits = Limits { fuel: 1_000_000, memory: 1 << 20, output: 1 << 20, entries: 10, wall: 5, ..Limits::LEAST };
    Some(JobSpec::wasm(module, limits).validate().ok()?.to_dag_cbor().into())
}

fn terms(number: u64, matcher: Address) -> Terms {
    Terms {
        client: Address::repeat_byte(0xC1),
        salt: U256::from(number),
        spec: B256::repeat_byte(7),
        spec_codec: SpecCodec::DagCbor.code(),
        min_price: AttoFil::from_gwei(10_000_000),
        max_price: AttoFil::from_gwei(10_000_000),
        ramp_start: NOW,
        ramp_period: 100,
        lock_by: NOW.after(120),
        run_for: 60,
        review_for: 0,
        rule_for: 0,
        collateral: AttoFil::from_gwei(1),
        matcher,
        arbiter: Address::ZERO,
        callback_gas: 0,
        keep_record: false,
    }
}

/// The lives of `jobs` jobs, run by `provider`.
fn lives(jobs: u64, provider: Address, matcher: Address, spec: &Bytes) -> Vec<Event> {
    let mut events = Vec::new();
    for first in (0..jobs).step_by(AT_ONCE as usize) {
        let some = || (first..first + AT_ONCE).map(|number| (number, id(number)));
        let price = AttoFil::from_gwei(10_000_000);
        events.extend(some().map(|(number, job)| Event::JobOpened {
            job,
            terms: terms(number, matcher),
            spec: spec.clone(),
        }));
        events.extend(some().map(|(_, job)| Event::JobLocked { job, provider, payer: provider, price }));
        let result = JobResult::default();
        events.extend(some().map(|(_, job)| Event::ResultSubmitted { job, provider, result: result.clone() }));
        let reason = Reason::Unreviewed;
        events.extend(some().map(|(_, job)| Event::JobSettled { job, provider, price, reason }));
    }
    events
}

/// Seconds this thread has spent on a CPU, so that a busy machine does not count.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Gives an agent all events, and answers what it wants done; returns how many effects there were.
fn run(agent: &mut Agent, events: &[Event]) -> usize {
    let mut count = 0;
    for (number, event) in events.iter().enumerate() {
        let block = 1 + number as u64;
        let mut effects = agent.handle(Input::Event { block, time: NOW, event }, NOW);
        while let Some(effect) = effects.pop() {
            count += 1;
            let Effect::Do(key) = effect else { continue };
            let outcome = match key.step {
                Step::Run => StepOutcome::Ran(RunReport {
                    exit_code: 0,
                    fuel_used: 1,
                    ended: String::new(),
                    reproducible: true,
                    wall_ms: 1,
                }),
                Step::Publish => StepOutcome::Published(JobResult::default()),
                _ => StepOutcome::Ok,
            };
            effects.extend(agent.handle(Input::Done { key, outcome }, NOW));
        }
        if number % 64 == 63 {
            black_box(agent.take_changes());
            black_box(agent.handle(Input::Head { block, finalized: block, latest: At { block, time: NOW } }, NOW));
        }
    }
    count
}

/// The best of several runs, in events a second.
fn measure(name: &str, agent: &Agent, events: &[Event]) {
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let mut agent = agent.clone();
        let start = cpu_seconds();
        black_box(run(&mut agent, events));
        best = best.min(cpu_seconds() - start);
    }
    println!("{{\"name\": \"{name}\", \"value\": {:.0}, \"unit\": \"events/s\"}}", events.len() as f64 / best);
}

fn main() {
    let Some(spec) = spec() else { return };
    let offer = Offer { slots: 1_000, ..Offer::default() };
    let mut provider = Agent::new(ME, SETTINGS, Some(offer));
    drop(provider.handle(Input::Balance(AttoFil::from_gwei(1 << 50)), NOW));
    let client = Agent::new(ME, SETTINGS, None);
    let strangers = lives(100_000, OTHER, Address::ZERO, &spec);
    measure("agent_strangers_jobs_client", &client, &strangers);
    let unwanted = lives(100_000, OTHER, Address::repeat_byte(0x3A), &spec);
    measure("agent_strangers_jobs_provider_that_refuses_their_terms", &provider, &unwanted);
    let own = lives(20_000, ME, Address::ZERO, &spec);
    measure("agent_own_jobs", &provider, &own);
}
