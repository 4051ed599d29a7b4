//! Errors of batches, of lists, and of what is only said.

use alloy_primitives::{Address, Bytes};

use super::{
    super::{
        plan::{Build, Plan},
        script::*,
    },
    check, fault,
};
use crate::{
    model::{
        BatchEntry, Command, Event, MAX_BATCH, MAX_INLINE_DATA, MAX_SPEC, MAX_URL, Rejection, SALT_WINDOW, Status,
        TermsFault, lane_of, salt,
    },
    time::Time,
};

fn entry(plan: &Plan) -> BatchEntry {
    let (terms, receipt) = (plan.terms.clone(), plan.receipt.clone());
    let entry = accepted(terms, receipt, plan.until);
    if plan.forged { BatchEntry { signature: Bytes::new(), ..entry } } else { entry }
}

#[test]
fn a_batch_skips_an_entry_for_its_first_fault() {
    let mut plan = Plan::new(Status::None, STRANGER, START);
    (plan.terms.callback_gas, plan.terms.keep_record, plan.until) = (0, false, START);
    let out_of_range = |plan: &Plan| Rejection::PriceOutOfRange {
        price: plan.receipt.price,
        min_price: plan.terms.min_price,
        max_price: plan.terms.max_price,
    };
    let faults = [
        fault("masked arbiter", |plan| plan.terms.arbiter = MASKED, |_| Rejection::BadTerms(TermsFault::MaskedId)),
        fault("a callback", |plan| plan.terms.callback_gas = 1, |_| Rejection::BadTerms(TermsFault::CallbackGas)),
        fault("a record", |plan| plan.terms.keep_record = true, |_| Rejection::BadTerms(TermsFault::KeepRecord)),
        fault(
            "spent salt",
            |plan| plan.revoked = true,
            |plan| Rejection::SaltSpent { client: plan.terms.client, salt: plan.terms.salt },
        ),
        fault(
            "after `until`",
            |plan| plan.until = Time(START.0 - 1),
            |_| Rejection::TooLate { time: START, until: Time(START.0 - 1) },
        ),
        fault("zero provider", |plan| plan.receipt.provider = Address::ZERO, |_| Rejection::InvalidProvider),
        fault("price too high", |plan| plan.receipt.price = gwei(201), out_of_range),
        fault(
            "large inline data",
            |plan| plan.receipt.result.inline_data = Bytes::from(vec![0; MAX_INLINE_DATA + 1]),
            |_| Rejection::InlineTooLarge(MAX_INLINE_DATA as u64 + 1),
        ),
        fault("forged signature", |plan| plan.forged = true, |plan| Rejection::BadSignature(plan.terms.client)),
        fault(
            "poor client",
            |plan| plan.poor.push(CLIENT),
            |plan| Rejection::InsufficientBalance { account: CLIENT, balance: gwei(0), needed: plan.receipt.price },
        ),
    ];
    let settle = |plan: &Plan| {
        let mut scene = plan.scene();
        let before = scene.market().clone();
        scene.act(STRANGER, &Command::SettleBatch { entries: vec![entry(plan)] }).expect("batches skip");
        let events = scene.news();
        (events, *scene.market() == before)
    };
    let (events, unchanged) = settle(&plan);
    assert!(matches!(events[..], [Event::BatchSettled { .. }]) && !unchanged);
    for (i, first) in faults.iter().enumerate() {
        for second in &faults[i..] {
            let mut spoiled = plan.clone();
            (first.spoil)(&mut spoiled);
            (second.spoil)(&mut spoiled);
            let (job, why) = (job_of(&spoiled.terms), (first.error)(&spoiled).selector());
            let name = format!("{} and {}", first.name, second.name);
            assert_eq!(settle(&spoiled), (vec![Event::BatchSkipped { job, why }], true), "{name}");
        }
    }
    // A salt beyond the window is no other fault than one that is spent, so it has its own turn.
    let mut far = plan.clone();
    far.terms.salt = salt(lane_of(plan.terms.salt).0, SALT_WINDOW);
    let why = Rejection::SaltTooFar { client: CLIENT, salt: far.terms.salt, next: plan.terms.salt }.selector();
    assert_eq!(settle(&far), (vec![Event::BatchSkipped { job: job_of(&far.terms), why }], true));
    far.until = Time(0);
    assert_eq!(settle(&far), (vec![Event::BatchSkipped { job: job_of(&far.terms), why }], true));
    let mut masked = plan.clone();
    masked.receipt.provider = MASKED;
    let why = Rejection::InvalidProvider.selector();
    assert_eq!(settle(&masked), (vec![Event::BatchSkipped { job: job_of(&plan.terms), why }], true));
    // No other bound of terms is checked: the client signed the outcome.
    plan.terms.run_for = 0;
    plan.terms.lock_by = Time(0);
    plan.terms.spec_codec = 0;
    assert!(matches!(settle(&plan).0[..], [Event::BatchSettled { .. }]));
}

#[test]
fn too_many_at_once_are_refused_before_anything_else() {
    let build: Build = |plan| Command::SettleBatch { entries: vec![entry(plan); plan.count] };
    let mut plan = Plan { count: MAX_BATCH, ..Plan::new(Status::None, STRANGER, START) };
    (plan.terms.callback_gas, plan.terms.keep_record) = (0, false);
    let many =
        || fault("one entry more", |plan| plan.count = MAX_BATCH + 1, |_| Rejection::TooMany(MAX_BATCH as u64 + 1));
    let chain = fault("another chain", |plan| plan.foreign_chain = Some(5), |_| Rejection::WrongChain(5));
    check("batch", &plan, build, &[many(), chain]);

    let build: Build = |plan| Command::Multicall { calls: vec![Command::Announce { url: String::new() }; plan.count] };
    check("multicall", &plan, build, &[many()]);
}

#[test]
fn publish_and_announce() {
    let plan = Plan { count: MAX_SPEC, ..Plan::new(Status::None, STRANGER, START) };
    let large = fault("one byte more", |plan| plan.count += 1, |_| Rejection::SpecTooLarge(MAX_SPEC as u64 + 1));
    check("publish", &plan, |plan| Command::PublishSpec { spec: Bytes::from(vec![1; plan.count]) }, &[large]);
    let plan = Plan { count: MAX_URL, ..plan };
    let long = fault("one byte more", |plan| plan.count += 1, |_| Rejection::UrlTooLarge(MAX_URL as u64 + 1));
    check("announce", &plan, |plan| Command::Announce { url: "x".repeat(plan.count) }, &[long]);
}
