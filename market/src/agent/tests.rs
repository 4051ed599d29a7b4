//! Agents on a real market, with a shell that crashes, forgets and sees reorganisations.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};

use super::*;
use crate::{
    AttoFil, Time,
    model::{Command, Event, JobId, JobResult, Market, Reason, Receipt, Settings, Signed, SpecCodec, Status, Terms},
    money::FIL,
    spec::{JobSpec, Limits, Link},
    world::{self, CallError, ContractEvent, Env, ExternalCall, Log, Occasion, Script},
};

mod faults;
mod price;
mod resources;
mod wards;

const CLIENT: Address = Address::repeat_byte(0xC1);
const CHEAP: Address = Address::repeat_byte(0xA1);
const DEAR: Address = Address::repeat_byte(0xA2);
const START: u64 = 1_000_000;

/// Where the market is.
const MARKET: Address = Address::repeat_byte(0x4d);

struct Chain {
    now: Time,
    callback_works: bool,
}

impl Env for Chain {
    fn now(&self) -> Time {
        self.now
    }
    fn job_id(&self, _: Address, terms: &Terms) -> JobId {
        id_of(terms)
    }
    fn spec_digest(&self, spec: &Bytes) -> B256 {
        keccak256(spec)
    }
    fn signature_valid(&self, _: Address, _: Address, _: &Signed<'_>, _: &Bytes) -> bool {
        false
    }
    fn script(&mut self, call: &ExternalCall<'_>) -> Script {
        Script::accepting(self.callback_works || matches!(call.occasion, Occasion::Payout { .. }))
    }
}

fn id_of(terms: &Terms) -> JobId {
    JobId(keccak256(serde_json::to_vec(terms).expect("terms serialise")))
}

fn spec(fuel: u64) -> Bytes {
    spec_with_memory(fuel, 1 << 20)
}

fn spec_with_memory(fuel: u64, memory: u64) -> Bytes {
    let module: Link = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e".parse().expect("a CID");
    let limits = Limits { fuel, memory, output: 1 << 20, entries: 10, wall: 5 };
    JobSpec::wasm(module, limits).validate().expect("a valid spec").to_dag_cbor().into()
}

fn terms(salt: u64, spec: &Bytes) -> Terms {
    Terms {
        client: CLIENT,
        salt: U256::from(salt),
        spec: keccak256(spec),
        spec_codec: SpecCodec::DagCbor.code(),
        min_price: AttoFil::ZERO,
        max_price: AttoFil(FIL),
        ramp_start: Time(START),
        ramp_period: 100,
        lock_by: Time(START + 120),
        run_for: 30,
        review_for: 20,
        rule_for: 0,
        collateral: AttoFil(FIL / 2),
        matcher: Address::ZERO,
        arbiter: Address::ZERO,
        callback_gas: 0,
    }
}

/// A party: its agent, and what its shell stored.
struct Party {
    agent: Agent,
    offer: Option<Offer>,
    wards: Wards,
    me: Address,
    stored: BTreeMap<JobId, Change>,
    read: usize,
    effects: VecDeque<Effect>,
    runs: usize,
    /// It dawdles: what is run never ends.
    stuck: bool,
    /// Its output cannot be had.
    withholds: bool,
}

impl Party {
    fn new(me: Address, offer: Option<Offer>) -> Self {
        Self {
            agent: Agent::new(me, SETTINGS, offer.clone()),
            offer,
            wards: Wards::Nobody,
            me,
            stored: BTreeMap::new(),
            read: 0,
            effects: VecDeque::new(),
            runs: 0,
            stuck: false,
            withholds: false,
        }
    }

    /// One who looks after the jobs of these clients.
    fn steward(me: Address, wards: Wards) -> Self {
        let party = Self::new(me, None);
        Self { agent: party.agent.looking_after(wards.clone()), wards, ..party }
    }

    fn input(&mut self, input: Input, now: Time) {
        if let Input::Event { event, .. } = &input
            && let Some(job) = event.job()
        {
            self.know(job, now);
        }
        let effects = self.agent.handle(input, now);
        self.effects.extend(effects);
        self.store();
    }

    fn know(&mut self, job: JobId, now: Time) {
        if !self.agent.knows(job)
            && let Some(change) = self.stored.get(&job)
        {
            let effects = self.agent.restore(change.job.clone(), now);
            self.effects.extend(effects);
        }
    }

    fn store(&mut self) {
        for change in self.agent.take_changes() {
            self.stored.insert(change.job.id(), change);
        }
    }

    /// The process is killed and starts again: effects and memory are gone, what was stored is not.
    fn crash(&mut self, now: Time) {
        self.agent = Agent::new(self.me, SETTINGS, self.offer.clone()).looking_after(self.wards.clone());
        self.effects.clear();
        let live: Vec<_> = self.stored.values().filter(|change| change.live).map(|change| change.job.clone()).collect();
        for job in live {
            let effects = self.agent.restore(job, now);
            self.effects.extend(effects);
        }
        self.store();
    }
}

const SETTINGS: Settings = Settings { min_window: 1, max_callback_gas: 1_000_000 };

/// The chain as it was before a command: the log's length, the state, the keys that had landed.
type Snapshot = (usize, world::World, BTreeSet<(Address, EffectKey)>);

struct World {
    chain: world::World,
    snapshots: Vec<Snapshot>,
    log: Vec<(Time, Event)>,
    landed: BTreeSet<(Address, EffectKey)>,
    parties: Vec<Party>,
    now: Time,
    callback_works: bool,
}

impl World {
    fn new(parties: Vec<Party>) -> Self {
        let mut world = Self {
            chain: world::World::with_market(MARKET, SETTINGS),
            snapshots: Vec::new(),
            log: Vec::new(),
            landed: BTreeSet::new(),
            parties,
            now: Time(START),
            callback_works: true,
        };
        for account in [CHEAP, DEAR] {
            world.apply(account, &Command::Deposit { account }, AttoFil(10 * FIL)).expect("a deposit");
        }
        world
    }

    fn apply(&mut self, sender: Address, command: &Command, value: AttoFil) -> Result<(), crate::model::Rejection> {
        let mut env = Chain { now: self.now, callback_works: self.callback_works };
        let mut log = Vec::new();
        self.chain.mint(sender, value).expect("there is room for it");
        let outcome = self.chain.execute_on_market(sender, MARKET, value, command, &mut env, &mut log);
        self.log.extend(log.into_iter().map(|Log { event: ContractEvent::Market(event), .. }| (self.now, event)));
        outcome.map_err(|error| match error {
            CallError::Rejected(rejection) => rejection,
            other => panic!("{command:?}: {other}"),
        })
    }

    fn market(&self) -> &Market {
        self.chain.market(MARKET).expect("is there from the beginning")
    }

    fn request(&mut self, salt: u64) -> JobId {
        self.request_to_run_for(salt, 30)
    }

    fn request_to_run_for(&mut self, salt: u64, run_for: u32) -> JobId {
        let spec = spec(1_000_000);
        let terms = Terms { run_for, ..terms(salt, &spec) };
        let id = id_of(&terms);
        let value = terms.max_price;
        let now = self.now;
        self.party(CLIENT).input(Input::Request(Request { id, terms, spec, value }), now);
        id
    }

    fn party(&mut self, me: Address) -> &mut Party {
        self.parties.iter_mut().find(|party| party.me == me).expect("a known party")
    }

    /// One party takes one step: it reads an event, or performs an effect. Says whether there was anything to do.
    fn step(&mut self, index: usize) -> bool {
        let now = self.now;
        let free = self.market().balance(self.parties[index].me);
        let party = &mut self.parties[index];
        if let Some((time, event)) = self.log.get(party.read).cloned() {
            party.read += 1;
            party.input(Input::Event { time, event }, now);
            return true;
        }
        party.input(Input::Balance(free), now);
        party.input(Input::Tick, now);
        let Some(effect) = party.effects.pop_front() else { return false };
        match effect {
            Effect::Retire { .. } => {}
            Effect::Do { job, step } => {
                let outcome = match step {
                    Step::FetchSpec => Outcome::Err(Failure::Permanent("no spec".to_owned())),
                    Step::Run if party.stuck => return true,
                    Step::Run => {
                        party.runs += 1;
                        Outcome::Ran(RunReport { exit_code: 0, fuel_used: 7, ended: "exited".to_owned(), wall_ms: 1 })
                    }
                    Step::Publish => Outcome::Published(JobResult { fuel_used: 7, ..JobResult::default() }),
                    Step::Verify if party.withholds => {
                        Outcome::Err(Failure::Temporary("no gateway answers".to_owned()))
                    }
                    _ => Outcome::Ok,
                };
                party.know(job, now);
                party.input(Input::Done { job, step, outcome }, now);
            }
            Effect::Submit { job, step, key, command, value } => {
                let me = party.me;
                let outcome = if self.landed.contains(&(me, key.clone())) {
                    Outcome::Ok
                } else {
                    self.snapshots.push((self.log.len(), self.chain.clone(), self.landed.clone()));
                    match self.apply(me, &command, value) {
                        Ok(()) => {
                            self.landed.insert((me, key));
                            Outcome::Ok
                        }
                        Err(rejection) => Outcome::Err(Failure::Rejected(rejection)),
                    }
                };
                let party = &mut self.parties[index];
                party.know(job, now);
                party.input(Input::Done { job, step, outcome }, now);
            }
        }
        true
    }

    /// Drops the last `commands` commands from the chain; every party refolds what it had read.
    fn reorganise(&mut self, commands: usize) {
        let Some(at) = self.snapshots.len().checked_sub(commands) else { return };
        if commands == 0 {
            return;
        }
        let (length, chain, landed) = self.snapshots.swap_remove(at);
        self.snapshots.truncate(at);
        (self.chain, self.landed) = (chain, landed);
        let undone: BTreeSet<JobId> = self.log[length..].iter().filter_map(|(_, event)| event.job()).collect();
        self.log.truncate(length);
        let now = self.now;
        for party in &mut self.parties {
            if party.read > length {
                party.read = length;
                for job in &undone {
                    let events = self.log.iter().filter(|(_, event)| event.job() == Some(*job));
                    let view = JobView::fold(events.map(|(time, event)| (*time, event)));
                    party.know(*job, now);
                    let effects = party.agent.handle(Input::Refold { job: *job, view }, now);
                    party.effects.extend(effects);
                }
                party.store();
            }
        }
    }

    /// Lets everybody act until nothing happens for a while of market time.
    fn run(&mut self, seconds: u64) {
        for _ in 0..seconds {
            let mut busy = true;
            while busy {
                busy = false;
                for index in 0..self.parties.len() {
                    busy |= self.step(index);
                }
            }
            self.now = self.now.after(1);
        }
    }

    fn status(&self, job: JobId) -> Status {
        self.market().deal(job).status
    }

    fn settled_events(&self, job: JobId) -> usize {
        self.log.iter().filter(|(_, event)| matches!(event, Event::JobSettled { job: id, .. } if *id == job)).count()
    }
}

fn offer(base: u128) -> Offer {
    let pricing = Pricing {
        base: AttoFil(base),
        per_gigafuel: AttoFil::ZERO,
        per_gib_memory: AttoFil::ZERO,
        per_gib_output: AttoFil::ZERO,
    };
    Offer { pricing, ..Offer::default() }
}

fn world() -> World {
    World::new(vec![
        Party::new(CLIENT, None),
        Party::new(CHEAP, Some(offer(FIL / 10))),
        Party::new(DEAR, Some(offer(FIL / 5))),
    ])
}

#[test]
fn the_cheaper_provider_gets_the_job_at_its_price_and_is_paid() {
    let mut world = world();
    let job = world.request(0);
    world.run(60);
    assert_eq!(world.status(job), Status::Settled);
    assert_eq!(world.market().balance(CHEAP), AttoFil(10 * FIL + FIL / 10));
    assert_eq!(world.market().balance(CLIENT), AttoFil(FIL - FIL / 10));
    assert_eq!(world.party(CHEAP).runs, 1);
    assert_eq!(world.party(DEAR).runs, 0);
    let lost = &world.party(DEAR).stored[&job].job;
    assert_eq!(lost.work.as_ref().map(|work| &work.decision), Some(&Decision::Lost));
    assert!(world.parties.iter().all(|party| party.agent.is_empty()), "finished jobs leave the agents");
}

#[test]
fn a_provider_that_does_not_deliver_is_slashed_by_the_client() {
    let mut world = world();
    world.party(CHEAP).stuck = true;
    let job = world.request(0);
    world.run(100);
    assert_eq!(world.status(job), Status::Slashed);
    assert_eq!(world.market().balance(CHEAP), AttoFil(10 * FIL - FIL / 2));
    assert_eq!(world.market().balance(CLIENT), AttoFil(FIL + FIL / 4));
    assert_eq!(world.market().burned(), AttoFil(FIL / 4));
}

#[test]
fn a_job_that_nobody_wants_expires_and_the_reasons_are_kept() {
    let mut world = World::new(vec![Party::new(CLIENT, None), Party::new(CHEAP, Some(offer(2 * FIL)))]);
    let job = world.request(0);
    world.run(200);
    assert_eq!(world.status(job), Status::Cancelled);
    assert_eq!(world.market().balance(CLIENT), AttoFil(FIL));
    let decision = world.party(CHEAP).stored[&job].job.work.clone().expect("it looked at the job").decision;
    assert_eq!(decision, Decision::Refused(Refusal::Price { offered: AttoFil(FIL), asking: AttoFil(2 * FIL) }));
}

#[test]
fn a_result_whose_output_cannot_be_had_is_settled_when_the_review_lapses() {
    let mut world = world();
    world.party(CLIENT).withholds = true;
    let job = world.request(0);
    world.run(100);
    assert_eq!(world.status(job), Status::Settled);
    assert_eq!(world.market().deal(job).reason, Reason::Unchallenged);
}

#[test]
fn a_job_is_cancelled_while_it_is_open() {
    let mut world = World::new(vec![Party::new(CLIENT, None)]);
    let job = world.request(0);
    world.run(3);
    let now = world.now;
    world.party(CLIENT).input(Input::Cancel(job), now);
    world.run(3);
    assert_eq!(world.status(job), Status::Cancelled);
    assert_eq!(world.market().balance(CLIENT), AttoFil(FIL));
}

#[test]
fn a_cancellation_that_comes_too_late_changes_nothing() {
    let mut world = world();
    let job = world.request(0);
    // A provider locks it, of which the client has not heard.
    while matches!(world.status(job), Status::None | Status::Open) {
        for index in [1, 2] {
            while world.step(index) {}
        }
        while world.status(job) == Status::None && world.step(0) {}
        if world.status(job) == Status::Open {
            world.now = world.now.after(1);
        }
    }
    let now = world.now;
    world.party(CLIENT).input(Input::Cancel(job), now);
    world.run(60);
    assert_eq!(world.status(job), Status::Settled);
    assert_eq!(world.party(CLIENT).stored[&job].job.view.status, Status::Settled);
    assert_eq!(world.market().balance(CLIENT), AttoFil(FIL - FIL / 10), "it pays for what was done");
}

#[test]
fn a_failed_callback_is_tried_until_it_succeeds() {
    let mut world = world();
    world.callback_works = false;
    let spec = spec(1_000_000);
    let terms = Terms { callback_gas: 1_000, ..terms(0, &spec) };
    let (id, value, now) = (id_of(&terms), terms.max_price, world.now);
    world.party(CLIENT).input(Input::Request(Request { id, terms, spec, value }), now);
    world.run(60);
    assert_eq!(world.status(id), Status::Settled);
    assert!(world.market().deal(id).callback_pending);
    world.callback_works = true;
    world.run(130);
    assert!(!world.market().deal(id).callback_pending);
}

#[test]
fn a_provider_runs_no_more_jobs_at_once_than_it_has_slots_and_serves_the_oldest_first() {
    let one_slot = Offer { slots: 1, ..offer(FIL / 10) };
    let mut world = World::new(vec![Party::new(CLIENT, None), Party::new(CHEAP, Some(one_slot))]);
    let jobs: Vec<JobId> = (0..5).map(|salt| world.request(salt)).collect();
    for _ in 0..200 {
        world.run(1);
        let locked = jobs.iter().filter(|job| world.status(**job) == Status::Locked).count();
        assert!(locked <= 1, "{locked} jobs are locked at once");
    }
    assert!(jobs.iter().all(|job| world.status(*job) == Status::Settled));
}

#[test]
fn a_provider_does_not_lock_what_it_cannot_stake() {
    let mut world = world();
    let out = Command::Withdraw { to: CHEAP, amount: AttoFil(10 * FIL) };
    world.apply(CHEAP, &out, AttoFil::ZERO).expect("it is its money");
    let job = world.request(0);
    world.run(60);
    assert_eq!(world.status(job), Status::Settled);
    assert_eq!(world.market().balance(DEAR), AttoFil(10 * FIL + FIL / 5), "the dearer one got the job");
}

#[test]
fn a_provider_is_bound_to_a_result_and_a_settlement_of_each_job_that_it_has() {
    let begin = |stuck, withholds| {
        let mut world = World::new(vec![Party::new(CLIENT, None), Party::new(CHEAP, Some(offer(FIL / 10)))]);
        (world.party(CHEAP).stuck, world.party(CLIENT).withholds) = (stuck, withholds);
        let spec = spec(1_000_000);
        let terms = Terms { callback_gas: 1_000, ..terms(0, &spec) };
        let (id, value, now) = (id_of(&terms), terms.max_price, world.now);
        world.party(CLIENT).input(Input::Request(Request { id, terms, spec, value }), now);
        (world, id)
    };
    let bound = |world: &mut World| world.party(CHEAP).agent.commitments();
    let (mut world, id) = begin(true, false);
    assert_eq!(bound(&mut world), Commitments::default());
    world.run(15);
    assert_eq!(world.status(id), Status::Locked);
    assert_eq!(bound(&mut world), Commitments { commands: 2, callback_gas: 1_000 });
    let (mut world, id) = begin(false, true);
    world.run(15);
    assert_eq!(world.status(id), Status::Submitted);
    assert_eq!(bound(&mut world), Commitments { commands: 1, callback_gas: 1_000 });
    world.run(60);
    assert_eq!(world.status(id), Status::Settled);
    assert_eq!(bound(&mut world), Commitments::default());
}

#[test]
fn an_award_that_a_provider_did_not_bid_for_is_ignored() {
    let matcher = Address::repeat_byte(0x3A);
    let mut world = World::new(vec![Party::new(CHEAP, Some(Offer { matchers: vec![matcher], ..offer(FIL / 10) }))]);
    world.apply(matcher, &Command::Deposit { account: matcher }, AttoFil(FIL)).expect("a deposit");
    let spec = spec(1_000_000);
    let terms = Terms { matcher, ..terms(0, &spec) };
    world.apply(CLIENT, &Command::Open { terms: terms.clone(), spec }, terms.max_price).expect("opened");
    world.run(2);
    let id = id_of(&terms);
    let decision = |world: &mut World| world.party(CHEAP).stored[&id].job.work.clone().map(|work| work.decision);
    assert_eq!(decision(&mut world), Some(Decision::Wanted));
    world
        .apply(matcher, &Command::Award { terms, provider: CHEAP, price: AttoFil::ZERO }, AttoFil::ZERO)
        .expect("awarded");
    world.run(5);
    assert_eq!((decision(&mut world), world.party(CHEAP).runs), (Some(Decision::Lost), 0));
    assert!(world.party(CHEAP).agent.is_empty(), "it does not wait for anything");
}

#[test]
fn terms_that_a_provider_did_not_agree_to_are_refused() {
    let stranger = Address::repeat_byte(9);
    let good = terms(0, &spec(1));
    let offer = offer(1);
    let check = |terms: &Terms| offer.match_terms(CHEAP, SETTINGS, terms);
    assert_eq!(check(&good), Ok(()));
    assert_eq!(check(&Terms { matcher: stranger, ..good.clone() }), Err(Refusal::Matcher(stranger)));
    assert_eq!(check(&Terms { arbiter: stranger, ..good.clone() }), Err(Refusal::Arbiter(stranger)));
    assert_eq!(check(&Terms { client: CHEAP, ..good.clone() }), Err(Refusal::OwnJob));
    assert_eq!(check(&Terms { spec_codec: 1, ..good.clone() }), Err(Refusal::Codec(1)));
    let high = AttoFil(100 * FIL);
    assert!(matches!(check(&Terms { collateral: high, ..good.clone() }), Err(Refusal::Collateral { .. })));
    let limit = offer.max_callback_gas;
    let callback = |callback_gas| Terms { callback_gas, ..good.clone() };
    assert_eq!(check(&callback(limit)), Ok(()));
    let refusal = check(&callback(limit + 1)).expect_err("the callback costs too much");
    assert_eq!(refusal, Refusal::CallbackGas { asked: limit + 1, limit });
    assert_eq!(
        refusal.to_string(),
        "the callback may use 1000001 gas; this provider, who may have to pay for it, accepts 1000000"
    );
    assert_eq!(check(&Terms { run_for: 0, ..good }), Err(Refusal::Window { seconds: 0, limit: 1 }));
}

#[test]
fn the_time_at_which_the_ramp_reaches_a_price_is_exact() {
    let mut terms = terms(0, &spec(1));
    for (min, max, period) in
        [(0, FIL, 100), (FIL / 3 / 1_000_000_000 * 1_000_000_000, FIL, 7), (FIL, FIL, 1), (0, 1_000_000_000, 50)]
    {
        (terms.min_price, terms.max_price, terms.ramp_period) = (AttoFil(min), AttoFil(max), period);
        for asking in [0, 1_000_000_000, FIL / 7 / 1_000_000_000 * 1_000_000_000, max] {
            if asking > max {
                continue;
            }
            let at = offer::price_reached(&terms, AttoFil(asking)).expect("the ramp reaches it");
            assert!(terms.price_at(at).0 >= asking, "at {at} the price is {}", terms.price_at(at));
            if at > terms.ramp_start {
                assert!(terms.price_at(Time(at.0 - 1)).0 < asking, "a second before {at} it is reached already");
            }
        }
    }
}

#[test]
fn records_survive_encoding() {
    let mut world = world();
    let job = world.request(0);
    world.run(60);
    for party in &world.parties {
        let record = &party.stored[&job].job;
        let json = serde_json::to_vec(record).expect("records serialise");
        assert_eq!(&serde_json::from_slice::<Job>(&json).expect("records read back"), record);
    }
    let receipt = world.party(CHEAP).stored[&job].job.view.receipt();
    assert_eq!(
        receipt,
        Receipt {
            provider: CHEAP,
            price: AttoFil(FIL / 10),
            result: JobResult { fuel_used: 7, ..JobResult::default() }
        }
    );
}
