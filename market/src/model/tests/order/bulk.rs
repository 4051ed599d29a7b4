//! Errors of batches, of lists, and of what is only said.

use alloy_primitives::{Address, Bytes, U256};

use super::{
    super::{
        plan::{Build, Plan},
        script::*,
    },
    check, fault,
};
use crate::{
    model::{
        BatchEntry, Command, Event, MAX_BATCH, MAX_INLINE_DATA, MAX_SALTS, MAX_SPEC, MAX_URL, Rejection, Status,
        TermsFault,
    },
    time::Time,
};

fn entry(plan: &Plan) -> BatchEntry {
    let (terms, receipt) = (plan.terms.clone(), plan.receipt.clone());
    let signature = if plan.forged { Bytes::new() } else { sign_acceptance(&terms, &receipt) };
    BatchEntry { terms, receipt, signature }
}

#[test]
fn a_batch_skips_an_entry_for_its_first_fault() {
    let mut plan = Plan::new(Status::None, STRANGER, START);
    plan.terms.callback_gas = 0;
    let out_of_range = |plan: &Plan| Rejection::PriceOutOfRange {
        price: plan.receipt.price,
        min_price: plan.terms.min_price,
        max_price: plan.terms.max_price,
    };
    let faults = [
        fault("a callback", |plan| plan.terms.callback_gas = 1, |_| Rejection::BadTerms(TermsFault::CallbackGas)),
        fault(
            "spent salt",
            |plan| plan.revoked = true,
            |plan| Rejection::SaltSpent { client: plan.terms.client, salt: plan.terms.salt },
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
    plan.terms.callback_gas = 0;
    let many = || fault("257 entries", |plan| plan.count = MAX_BATCH + 1, |_| Rejection::TooMany(MAX_BATCH as u64 + 1));
    let chain = fault("another chain", |plan| plan.foreign_chain = Some(5), |_| Rejection::WrongChain(5));
    check("batch", &plan, build, &[many(), chain]);

    let build: Build = |plan| Command::Revoke { salts: vec![U256::MAX; plan.count] };
    let salts = fault("257 salts", |plan| plan.count = MAX_SALTS + 1, |_| Rejection::TooMany(MAX_SALTS as u64 + 1));
    check("revoke", &plan, build, &[salts]);

    let build: Build = |plan| Command::Multicall { calls: vec![Command::Announce { url: String::new() }; plan.count] };
    check("multicall", &plan, build, &[many()]);
}

#[test]
fn publish_and_announce() {
    let plan = Plan { count: MAX_SPEC, ..Plan::new(Status::None, STRANGER, START) };
    let large = fault("8193 bytes", |plan| plan.count += 1, |_| Rejection::SpecTooLarge(MAX_SPEC as u64 + 1));
    check("publish", &plan, |plan| Command::PublishSpec { spec: Bytes::from(vec![1; plan.count]) }, &[large]);
    let plan = Plan { count: MAX_URL, ..plan };
    let long = fault("257 bytes", |plan| plan.count += 1, |_| Rejection::UrlTooLarge(MAX_URL as u64 + 1));
    check("announce", &plan, |plan| Command::Announce { url: "x".repeat(plan.count) }, &[long]);
}
