//! The known faults of the predecessors that the core must not have: one test each.

use alloy_primitives::Bytes;

use super::{
    plan::{DISPUTED, LOCKED, Plan, SUBMITTED, life},
    script::*,
};
use crate::model::{Command, Event, Lane, Receipt, Rejection, Status, Terms};

#[test]
fn results_are_accepted_from_the_provider_alone() {
    let plan = Plan::new(Status::Locked, STRANGER, SUBMITTED);
    for sender in [STRANGER, CLIENT, MATCHER, ARBITER] {
        let outcome = plan.scene().act(sender, &life("submit")(&plan));
        assert_eq!(outcome, Err(Rejection::WrongSender { sender, wanted: PROVIDER }));
    }
}

#[test]
fn two_jobs_in_one_transaction_are_two_jobs() {
    let mut scene = Scene::new();
    let opens = [0, 1].map(|salt| Command::Open { terms: terms(salt), spec: spec() });
    scene.act(CLIENT, &Command::Multicall { calls: opens.to_vec() }).expect("opens both");
    let jobs: Vec<_> = scene.news().iter().map(|event| event.job().expect("about a job")).collect();
    assert_eq!(jobs, [job_of(&terms(0)), job_of(&terms(1))]);
    assert!(jobs.iter().all(|job| scene.market().deal(*job).status == Status::Open));
}

#[test]
fn submitting_pays_nothing_settling_does() {
    let plan = Plan::new(Status::Submitted, CLIENT, SUBMITTED);
    let mut scene = plan.scene();
    assert_eq!(scene.market().balance(PROVIDER), gwei(949));
    scene.act(CLIENT, &life("accept")(&plan)).expect("accepts");
    assert_eq!(scene.market().balance(PROVIDER), gwei(1_150));
    scene.act(PROVIDER, &Command::Withdraw { to: PROVIDER, amount: gwei(1_150) }).expect("is paid out");
    assert_eq!(scene.env.paid, gwei(1_150));
}

#[test]
fn a_refund_is_money_that_can_be_withdrawn() {
    for (reach, now, back) in [(Status::Open, START.after(1_001), 1_000), (Status::Locked, LOCKED.after(101), 1_025)] {
        let plan = Plan::new(reach, STRANGER, now);
        let mut scene = plan.scene();
        scene.act(STRANGER, &life("expire")(&plan)).expect("expires");
        scene.act(CLIENT, &Command::Withdraw { to: CLIENT, amount: gwei(back) }).expect("withdraws");
        assert_eq!(scene.env.paid, gwei(back));
    }
}

#[test]
fn a_callback_that_fails_does_not_undo_the_settlement_and_is_tried_again() {
    let plan = Plan { callbacks: false, ..Plan::new(Status::Submitted, CLIENT, SUBMITTED) };
    let (job, mut scene) = (job_of(&plan.terms), plan.scene());
    scene.act(CLIENT, &life("accept")(&plan)).expect("settles all the same");
    assert_eq!(scene.market().balance(PROVIDER), gwei(1_150));
    assert_eq!(scene.news().last(), Some(&Event::CallbackFailed { job }));
    let settled = scene.market().clone();
    assert_eq!(scene.act(STRANGER, &life("retry")(&plan)), Err(Rejection::CallbackReverted(job)));
    assert_eq!(scene.news(), []);
    assert_eq!(*scene.market(), settled, "nothing but the callback is at stake");
    scene.env.callbacks = true;
    scene.act(STRANGER, &life("retry")(&plan)).expect("tries again");
    assert_eq!(scene.news(), [Event::CallbackDelivered { job }]);
    assert_eq!(scene.env.calls.len(), 3);
    assert!(scene.env.calls.iter().all(|(_, _, _, outcome)| *outcome == Ok(result())));
    let outcome = scene.act(STRANGER, &life("retry")(&plan));
    assert_eq!(outcome, Err(Rejection::WrongState { job, found: Status::Settled }), "it succeeds once");
}

#[test]
fn every_state_has_an_exit_that_a_stranger_can_take_once_its_deadline_has_passed() {
    for (reach, now, command, to) in [
        (Status::Open, START.after(1_001), "expire", Status::Cancelled),
        (Status::Locked, LOCKED.after(101), "expire", Status::Slashed),
        (Status::Submitted, SUBMITTED.after(201), "settle", Status::Settled),
        (Status::Disputed, DISPUTED.after(301), "lapse", Status::Void),
    ] {
        let plan = Plan { callbacks: false, ..Plan::new(reach, STRANGER, now) };
        let mut scene = plan.scene();
        scene.act(STRANGER, &life(command)(&plan)).expect("ends");
        assert_eq!(scene.deal(&plan.terms).status, to);
    }
}

#[test]
fn collateral_goes_back_to_the_party_that_it_belongs_to() {
    // Two providers, one of whom delivers; a third party awards neither job and gets nothing.
    let (kept, broken) = (terms(0), terms(1));
    let mut scene = Scene::new();
    for terms in [&kept, &broken] {
        scene.act(CLIENT, &Command::Open { terms: terms.clone(), spec: Bytes::new() }).expect("opens");
    }
    scene.at(LOCKED).act(PROVIDER, &Command::Lock { terms: kept.clone() }).expect("locks");
    scene.at(LOCKED).act(MATCHER, &Command::Lock { terms: broken.clone() }).expect("locks");
    scene.act(PROVIDER, &Command::SubmitResult { terms: kept.clone(), result: result() }).expect("submits");
    scene.at(LOCKED.after(101)).act(STRANGER, &Command::Expire { terms: broken }).expect("slashes");
    let receipt = Receipt { provider: PROVIDER, price: gwei(150), result: result() };
    scene.act(CLIENT, &Command::Accept { terms: kept, receipt }).expect("accepts");
    assert_eq!(scene.market().balance(PROVIDER), gwei(1_150));
    assert_eq!(scene.market().balance(MATCHER), gwei(949));
}

#[test]
fn what_a_provider_says_about_fuel_sets_no_price() {
    for fuel_used in [0, u64::MAX] {
        let mut plan = Plan::new(Status::Locked, PROVIDER, SUBMITTED);
        plan.result.fuel_used = fuel_used;
        plan.receipt.result.fuel_used = fuel_used;
        let mut scene = plan.scene();
        scene.act(PROVIDER, &life("submit")(&plan)).expect("submits");
        scene.act(CLIENT, &life("accept")(&plan)).expect("accepts");
        assert_eq!(scene.market().balance(PROVIDER), gwei(1_150));
    }
}

#[test]
fn callbacks_of_concurrent_jobs_are_kept_apart() {
    let mut scene = Scene::new();
    scene.env.callbacks = false;
    for salt in 0..3 {
        scene.act(CLIENT, &Command::Open { terms: terms(salt), spec: Bytes::new() }).expect("opens");
        scene.act(CLIENT, &Command::Cancel { terms: terms(salt) }).expect("cancels");
    }
    scene.env.callbacks = true;
    let pending = |scene: &Scene| [0, 1, 2].map(|salt| scene.deal(&terms(salt)).callback_pending);
    assert_eq!(pending(&scene), [true; 3]);
    scene.act(STRANGER, &Command::RetryCallback { terms: terms(1), receipt: Receipt::default() }).expect("retries");
    assert_eq!(pending(&scene), [true, false, true]);
}

#[test]
fn a_lock_that_landed_is_seen_and_not_repeated() {
    let plan = Plan::new(Status::Locked, PROVIDER, LOCKED);
    let (job, mut scene) = (job_of(&plan.terms), plan.scene());
    let deal = scene.deal(&plan.terms);
    assert_eq!((deal.status, deal.provider, deal.since), (Status::Locked, PROVIDER, LOCKED));
    let outcome = scene.act(PROVIDER, &life("lock")(&plan));
    assert_eq!(outcome, Err(Rejection::WrongState { job, found: Status::Locked }));
    assert_eq!(scene.market().collateral(), gwei(51), "the collateral was taken once");
}

#[test]
fn what_is_fulfilled_is_not_fulfilled_again() {
    let plan = Plan::new(Status::Submitted, PROVIDER, SUBMITTED);
    let (job, mut scene) = (job_of(&plan.terms), plan.scene());
    let outcome = scene.act(PROVIDER, &life("submit")(&plan));
    assert_eq!(outcome, Err(Rejection::WrongState { job, found: Status::Submitted }));
    let plan = Plan::new(Status::Settled, CLIENT, SUBMITTED);
    let mut scene = plan.scene();
    for command in ["accept", "settle", "submit", "expire"] {
        let outcome = scene.act(CLIENT, &life(command)(&plan));
        assert_eq!(outcome, Err(Rejection::WrongState { job, found: Status::Settled }), "{command}");
    }
}

#[test]
fn a_salt_moves_money_once_whichever_way_comes_first() {
    let terms = Terms { callback_gas: 0, keep_record: false, ..terms(0) };
    let receipt = Receipt { provider: PROVIDER, price: gwei(150), result: result() };
    let entry = accepted(terms.clone(), receipt, START);
    let signature = sign_terms(&terms);
    let ways = [
        (CLIENT, Command::Open { terms: terms.clone(), spec: Bytes::new() }),
        (STRANGER, Command::OpenSigned { terms: terms.clone(), spec: Bytes::new(), signature: signature.clone() }),
        (STRANGER, Command::SettleBatch { entries: vec![entry] }),
        (CLIENT, Command::Revoke { lane: Lane::ZERO, up_to: 1 }),
        (PROVIDER, Command::OpenSignedAndLock { terms: terms.clone(), spec: Bytes::new(), signature }),
    ];
    for (first_sender, first) in &ways {
        // Locking an open job is not opening it again: `OpenSignedAndLock` comes last, and is left out as the second.
        for (sender, second) in &ways[..4] {
            let mut scene = Scene::new();
            scene.act(*first_sender, first).expect("the first way works");
            let (balance, escrowed) = (scene.market().balance(CLIENT), scene.market().escrowed());
            if let Err(rejection) = scene.act(*sender, second) {
                assert_eq!(
                    rejection,
                    Rejection::SaltSpent { client: CLIENT, salt: terms.salt },
                    "{first:?} {second:?}"
                );
            }
            let after = (scene.market().balance(CLIENT), scene.market().escrowed());
            assert_eq!(after, (balance, escrowed), "{first:?} {second:?}");
        }
    }
}
