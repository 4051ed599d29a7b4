//! Agents on a real market, with a shell that crashes, forgets and sees reorganisations.

use alloy_primitives::{Address, Bytes, U256, keccak256};

use super::*;
use crate::{
    AttoFil, Time,
    model::{Command, Event, JobId, JobResult, Reason, Receipt, Settings, SpecCodec, Status, Terms},
    money::FIL,
    spec::{JobSpec, Limits, Link},
};

mod auctions;
mod caretaker;
mod clock;
mod cluster;
mod directed;
mod draining;
mod epochs;
mod faults;
mod filecoin_pay;
mod finality;
mod giving_up;
mod price;
mod resources;
mod spec_cache;

use cluster::*;

const CLIENT: Address = Address::repeat_byte(0xC1);
const CHEAP: Address = Address::repeat_byte(0xA1);
const DEAR: Address = Address::repeat_byte(0xA2);
const ARBITER: Address = Address::repeat_byte(0x3B);
const START: u64 = 1_000_000;
const GWEI: u64 = 1_000_000_000;

#[test]
fn the_cheaper_provider_gets_the_job_at_its_price_and_is_paid() {
    for (terms, reason) in
        [(terms(0, &spec(1_000_000)), Reason::Unreviewed), (reviewed(terms(0, &spec(1_000_000))), Reason::Accepted)]
    {
        is_done_by_the_cheaper_one(terms, reason);
    }
}

fn is_done_by_the_cheaper_one(terms: Terms, reason: Reason) {
    let mut world = world();
    let job = world.request_with(terms, spec(1_000_000));
    world.run(60);
    assert_eq!(folded(&world.log, job).map(|view| (view.status, view.reason)), Some((Status::Settled, reason)));
    assert_eq!(world.market().deals().count(), 0, "the market has forgotten it");
    // Without a review nobody sends anything after the result.
    let steps: Vec<String> = world.landed.iter().map(|(_, key)| key.to_string()).collect();
    let settles = |step: &str| steps.iter().any(|key| key.ends_with(step));
    assert_eq!((settles("/accept"), settles("/settle")), (reason == Reason::Accepted, false));
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
fn an_agent_says_when_it_is_to_be_called_again() {
    let mut world = World::new(vec![Party::new(CLIENT, None)]);
    assert_eq!(world.party(CLIENT).agent.next_wake(), None);
    let job = world.request(0);
    world.run(3);
    let (now, lock_by) = (world.now, folded(&world.log, job).expect("it was opened").terms.lock_by);
    let wake = world.party(CLIENT).agent.next_wake().expect("the job may expire");
    assert!(wake > now && wake >= lock_by, "{wake:?}");
    world.run(200);
    assert_eq!((world.status(job), world.party(CLIENT).agent.next_wake()), (Status::Cancelled, None));
}

#[test]
fn a_result_whose_output_cannot_be_had_is_settled_when_the_review_lapses() {
    let mut world = world();
    world.party(CLIENT).withholds = true;
    let spec = spec(1_000_000);
    let job = world.request_with(reviewed(terms(0, &spec)), spec);
    world.run(100);
    let view = folded(&world.log, job).expect("it was opened");
    assert_eq!((view.status, view.reason), (Status::Settled, Reason::Unchallenged));
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
    world.party(CLIENT).input(Input::Request(Box::new(Request { id, terms, spec, value })), now);
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
    let begin = |stuck, withholds, is_reviewed| {
        let mut world = World::new(vec![Party::new(CLIENT, None), Party::new(CHEAP, Some(offer(FIL / 10)))]);
        (world.party(CHEAP).stuck, world.party(CLIENT).withholds) = (stuck, withholds);
        let spec = spec(1_000_000);
        let terms = Terms { callback_gas: 1_000, ..terms(0, &spec) };
        let id = world.request_with(if is_reviewed { reviewed(terms) } else { terms }, spec);
        (world, id)
    };
    let bound = |world: &mut World| world.party(CHEAP).agent.commitments();
    for (is_reviewed, commands) in [(true, 2), (false, 1)] {
        let (mut world, id) = begin(true, false, is_reviewed);
        assert_eq!(bound(&mut world), Commitments::default());
        world.run(15);
        assert_eq!(world.status(id), Status::Locked);
        assert_eq!(bound(&mut world), Commitments { commands, callback_gas: 1_000 });
    }
    let (mut world, id) = begin(false, true, true);
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
    assert_eq!(check(&Terms { run_for: 0, ..good.clone() }), Err(Refusal::Window { seconds: 0, limit: 1 }));
    assert_eq!(check(&Terms { run_for: 86_400, ..good.clone() }), Ok(()));
    let long = Refusal::LongWindow { seconds: 86_401, limit: 86_400 };
    assert_eq!(check(&Terms { run_for: 86_401, ..good.clone() }), Err(long.clone()));
    assert!(long.to_string().contains("86401 s is longer than the 86400 s"), "{long}");
    for (review_for, rule_for) in [(86_401, 20), (20, 86_401)] {
        assert_eq!(check(&Terms { review_for, rule_for, ..reviewed(good.clone()) }), Err(long.clone()));
    }
    let bare = Terms { collateral: AttoFil::ZERO, ..good };
    assert_eq!(check(&bare), Err(Refusal::NoCollateral));
    let takes_all = Offer { accept_no_collateral: true, ..offer.clone() };
    assert_eq!(takes_all.match_terms(CHEAP, SETTINGS, &bare), Ok(()));
}

#[test]
fn an_offer_and_its_refusals_are_in_the_markets_asset() {
    let usd = crate::asset::Asset::token("USD", 6);
    let ours = offer(FIL / 10).in_asset(&usd, 1);
    assert_eq!((ours.pricing.base, ours.max_collateral), (AttoFil(100_000), AttoFil(10_000_000)));
    let settings = Settings { quantum: 1, ..SETTINGS };
    let bytes = spec(1_000_000);
    let parsed = crate::spec::parse(SpecCodec::DagCbor, &bytes).expect("valid");
    let terms = |max_price| Terms {
        min_price: AttoFil(max_price),
        max_price: AttoFil(max_price),
        collateral: AttoFil(50_000),
        ..terms(0, &bytes)
    };
    assert_eq!(ours.quote(CHEAP, settings, &terms(100_000), &parsed), Ok(AttoFil(100_000)));
    let refusal = ours.quote(CHEAP, settings, &terms(99_999), &parsed).expect_err("too little");
    let words = "the highest price, 0.099999 USD, is below the 0.1 USD that this provider asks";
    assert_eq!(refusal.words(&usd), words);
    let words = "the highest price, 99999 units, is below the 100000 units that this provider asks";
    assert_eq!(refusal.to_string(), words, "without an asset nothing is said to be FIL");
    let collateral = Refusal::Collateral { asked: AttoFil(FIL), limit: AttoFil(FIL / 2) };
    let words = "the collateral of 1 FIL is above the 0.5 FIL that this provider puts up at most";
    assert_eq!(collateral.words(&crate::asset::Asset::coin()), words);
    assert_eq!(Refusal::OwnJob.words(&usd), Refusal::OwnJob.to_string());
}

#[test]
fn the_gas_of_a_callback_is_asked_for_on_top_and_follows_what_gas_costs() {
    let settings = Settings { callback_reserve: 63_999, ..SETTINGS };
    let usage = Usage::of(&crate::spec::parse(SpecCodec::DagCbor, &spec(1)).expect("valid"), 0);
    let with = |per_megagas| Pricing { per_megagas: AttoFil(per_megagas), ..offer(FIL / 10).pricing };
    let asking = |per_megagas, gas| with(per_megagas).asking(&settings, &usage, gas);
    assert_eq!(asking(FIL, 0), AttoFil(FIL / 10), "no callback costs nothing");
    assert_eq!(asking(0, 63_000), AttoFil(FIL / 10));
    // 63,000 that are promised need 64,001 when the call is made, and the market's reserve beside that.
    assert_eq!(asking(FIL, 63_000), AttoFil(FIL / 10 + FIL * 128_000 / 1_000_000));
    let mut token = settings;
    token.quantum = 1;
    let asking = |per_megagas| with(per_megagas).asking(&token, &usage, 63_000);
    assert_eq!(asking(1), AttoFil(FIL / 10 + 1), "rounded up to the market's quantum, no gwei");
    assert_eq!((asking(7), asking(8)), (AttoFil(FIL / 10 + 1), AttoFil(FIL / 10 + 2)));

    // What it asks is that of the moment in which it looks at the job.
    let mut world = World::new(vec![Party::new(CLIENT, None), Party::new(CHEAP, Some(offer(FIL / 10)))]);
    let now = world.now;
    world.party(CHEAP).input(Input::CallbackPrice(AttoFil(FIL)), now);
    let bytes = cluster::spec(1_000_000);
    let terms = Terms { callback_gas: 500_000, ..terms(0, &bytes) };
    let job = world.request_with(terms, bytes);
    world.run(90);
    assert_eq!(world.status(job), Status::Settled);
    let paid = world.market().balance(CHEAP).0 - 10 * FIL;
    let gas = 500_000 + 500_000 / 63 + 1 + u128::from(SETTINGS.callback_reserve);
    let asked = FIL / 10 + FIL * gas / 1_000_000;
    assert!((asked..asked + FIL / 50).contains(&paid), "{paid} for {asked}");
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
            let at = offer::price_reached(&terms, AttoFil(asking), GWEI).expect("the ramp reaches it");
            assert!(terms.price_at(at, GWEI).0 >= asking, "at {at} the price is {}", terms.price_at(at, GWEI));
            if at > terms.ramp_start {
                assert!(terms.price_at(Time(at.0 - 1), GWEI).0 < asking, "a second before {at} it is reached already");
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
