//! Errors of the commands about a deal in progress.

use alloy_primitives::{Address, B256, Bytes};

use super::{
    super::{
        plan::{DISPUTED, LIFE, LOCKED, Plan, SUBMITTED, life},
        script::*,
    },
    Fault, RECEIPT, STRANGE_SENDER, UNKNOWN, check, fault, refused, wrong_state,
};
use crate::{
    model::{Command, MAX_INLINE_DATA, Receipt, Rejection, Status, Terms},
    time::Time,
};

#[test]
fn lock() {
    let faults = [
        UNKNOWN,
        fault("cancelled", |plan| plan.reach = Status::Cancelled, wrong_state),
        fault(
            "a matcher",
            |plan| plan.terms.matcher = MATCHER,
            |plan| Rejection::WrongSender { sender: plan.sender, wanted: MATCHER },
        ),
        Fault {
            group: 1,
            ..fault(
                "before rampStart",
                |plan| plan.now = Time(START.0 - 1),
                |plan| Rejection::TooEarly { time: plan.now, from: START },
            )
        },
        Fault {
            group: 1,
            ..fault(
                "after lockBy",
                |plan| plan.now = plan.terms.lock_by.after(1),
                |plan| Rejection::TooLate { time: plan.now, until: plan.terms.lock_by },
            )
        },
        fault(
            "poor provider",
            |plan| plan.poor.push(PROVIDER),
            |_| Rejection::InsufficientBalance { account: PROVIDER, balance: gwei(0), needed: gwei(51) },
        ),
    ];
    check("lock", &Plan::new(Status::Open, PROVIDER, LOCKED), life("lock"), &faults);
}

#[test]
fn locking_ones_own_job_counts_the_refund() {
    let lock = |min_price| {
        let mut plan = Plan::new(Status::Open, CLIENT, START);
        plan.terms.min_price = min_price;
        plan.poor.push(CLIENT);
        let mut scene = plan.scene();
        (scene.act(CLIENT, &Command::Lock { terms: plan.asked() }), scene.market().balance(CLIENT))
    };
    let needed = Rejection::InsufficientBalance { account: CLIENT, balance: gwei(50), needed: gwei(51) };
    assert_eq!(lock(gwei(150)), (Err(needed), gwei(0)));
    assert_eq!(lock(gwei(149)), (Ok(()), gwei(0)));
    assert_eq!(lock(gwei(100)), (Ok(()), gwei(49)));
}

#[test]
fn award() {
    let mut plan = Plan::new(Status::Open, MATCHER, LOCKED);
    plan.terms.matcher = MATCHER;
    let out_of_range = |plan: &Plan| Rejection::PriceOutOfRange {
        price: plan.amount,
        min_price: plan.terms.min_price,
        max_price: plan.terms.max_price,
    };
    let faults = [
        UNKNOWN,
        fault("cancelled", |plan| plan.reach = Status::Cancelled, wrong_state),
        fault("another sender", STRANGE_SENDER, |plan| Rejection::WrongSender {
            sender: STRANGER,
            wanted: plan.terms.matcher,
        }),
        fault(
            "after lockBy",
            |plan| plan.now = plan.terms.lock_by.after(1),
            |plan| Rejection::TooLate { time: plan.now, until: plan.terms.lock_by },
        ),
        Fault { group: 2, ..fault("zero provider", |plan| plan.to = Address::ZERO, |_| Rejection::InvalidProvider) },
        Fault { group: 2, ..fault("masked provider", |plan| plan.to = MASKED, |_| Rejection::InvalidProvider) },
        Fault { group: 1, ..fault("price too low", |plan| plan.amount = gwei(99), out_of_range) },
        Fault { group: 1, ..fault("price too high", |plan| plan.amount = gwei(201), out_of_range) },
        Fault { group: 1, ..fault("fraction of a gwei", |plan| plan.amount.0 += 1, out_of_range) },
        fault(
            "poor matcher",
            |plan| plan.poor.push(MATCHER),
            |_| Rejection::InsufficientBalance { account: MATCHER, balance: gwei(0), needed: gwei(51) },
        ),
    ];
    check("award", &plan, life("award"), &faults);
    // Both ends of the range are in it.
    for amount in [gwei(100), gwei(200)] {
        check("award at an end of the range", &Plan { amount, ..plan.clone() }, life("award"), &[]);
    }
    // Before rampStart a matcher may award all the same.
    plan.terms.ramp_start = plan.terms.lock_by;
    check("early award", &plan, life("award"), &[]);
    // Without a matcher nobody may.
    let open = Plan::new(Status::Open, STRANGER, LOCKED);
    let error = |plan: &Plan| Rejection::WrongSender { sender: plan.sender, wanted: Address::ZERO };
    for sender in [STRANGER, CLIENT, Address::ZERO] {
        refused("award without a matcher", &Plan { sender, ..open.clone() }, life("award"), error);
    }
}

#[test]
fn cancel() {
    let state = || fault("locked", |plan| plan.reach = Status::Locked, wrong_state);
    let plan = Plan::new(Status::Open, CLIENT, START);
    let sender = fault("another sender", STRANGE_SENDER, |plan| Rejection::WrongSender {
        sender: STRANGER,
        wanted: plan.terms.client,
    });
    check("cancel", &plan, life("cancel"), &[UNKNOWN, state(), sender]);
    let mut plan = Plan::new(Status::Open, MATCHER, START);
    plan.terms.matcher = MATCHER;
    let client = fault(
        "the client",
        |plan| plan.sender = CLIENT,
        |_| Rejection::WrongSender { sender: CLIENT, wanted: MATCHER },
    );
    check("cancel by the matcher", &plan, life("cancel"), &[UNKNOWN, state(), client]);
}

#[test]
fn expire() {
    let state = || fault("submitted", |plan| plan.reach = Status::Submitted, wrong_state);
    let open = Plan::new(Status::Open, STRANGER, START.after(1_001));
    let early = fault(
        "at lockBy",
        |plan| plan.now = plan.terms.lock_by,
        |plan| Rejection::TooEarly { time: plan.now, from: plan.now.after(1) },
    );
    check("expire an open job", &open, life("expire"), &[UNKNOWN, state(), early]);
    let locked = Plan::new(Status::Locked, STRANGER, LOCKED.after(101));
    let early = fault(
        "at lockedAt + runFor",
        |plan| plan.now = LOCKED.after(100),
        |plan| Rejection::TooEarly { time: plan.now, from: plan.now.after(1) },
    );
    check("expire a locked job", &locked, life("expire"), &[UNKNOWN, state(), early]);
}

#[test]
fn submit_result() {
    let faults = [
        UNKNOWN,
        fault("submitted", |plan| plan.reach = Status::Submitted, wrong_state),
        fault("another sender", STRANGE_SENDER, |_| Rejection::WrongSender { sender: STRANGER, wanted: PROVIDER }),
        fault(
            "after lockedAt + runFor",
            |plan| plan.now = LOCKED.after(101),
            |_| Rejection::TooLate { time: LOCKED.after(101), until: LOCKED.after(100) },
        ),
        fault(
            "large inline data",
            |plan| plan.result.inline_data = Bytes::from(vec![0; MAX_INLINE_DATA + 1]),
            |_| Rejection::InlineTooLarge(MAX_INLINE_DATA as u64 + 1),
        ),
    ];
    let mut plan = Plan::new(Status::Locked, PROVIDER, LOCKED.after(100));
    plan.result.inline_data = Bytes::from(vec![0; MAX_INLINE_DATA]);
    check("submit", &plan, life("submit"), &faults);
    // Without an arbiter nothing else is checked. It is over then.
    unreviewed(&mut plan.terms);
    check("submit without an arbiter", &plan, life("submit"), &[UNKNOWN, faults[2], faults[3], faults[4]]);
}

#[test]
fn give_up() {
    let faults = [
        UNKNOWN,
        fault("submitted", |plan| plan.reach = Status::Submitted, wrong_state),
        fault("another sender", STRANGE_SENDER, |_| Rejection::WrongSender { sender: STRANGER, wanted: PROVIDER }),
    ];
    for now in [LOCKED, LOCKED.after(5_000)] {
        check("give up", &Plan::new(Status::Locked, PROVIDER, now), life("give up"), &faults);
    }
}

/// The terms of a deal that is paid without a review.
fn unreviewed(terms: &mut Terms) {
    (terms.arbiter, terms.review_for, terms.rule_for) = (Address::ZERO, 0, 0);
}

#[test]
fn what_is_no_longer_stored_is_named_by_its_salt() {
    for reach in [Status::Settled, Status::Cancelled, Status::Slashed, Status::Void] {
        for (name, build) in LIFE {
            let mut plan = Plan::new(reach, CLIENT, DISPUTED.after(301));
            (plan.terms.keep_record, plan.terms.callback_gas) = (false, 0);
            let spent = |plan: &Plan| Rejection::SaltSpent { client: CLIENT, salt: plan.terms.salt };
            refused(&format!("{name} after {reach:?}"), &plan, build, spent);
        }
    }
}

#[test]
fn accept() {
    let faults = [
        UNKNOWN,
        fault("disputed", |plan| plan.reach = Status::Disputed, wrong_state),
        fault("another sender", STRANGE_SENDER, |plan| Rejection::WrongSender {
            sender: STRANGER,
            wanted: plan.terms.client,
        }),
        RECEIPT,
    ];
    check("accept", &Plan::new(Status::Submitted, CLIENT, SUBMITTED), life("accept"), &faults);
    // Every field of the receipt counts.
    let spoils: [fn(&mut Receipt); 5] = [
        |receipt| receipt.provider = STRANGER,
        |receipt| receipt.price = gwei(149),
        |receipt| receipt.result.output = B256::ZERO,
        |receipt| receipt.result.exit_code = 0,
        |receipt| receipt.result.inline_data = Bytes::new(),
    ];
    for spoil in spoils {
        let mut plan = Plan::new(Status::Submitted, CLIENT, SUBMITTED);
        spoil(&mut plan.receipt);
        refused("accept another receipt", &plan, life("accept"), RECEIPT.error);
    }
}

#[test]
fn settle() {
    let faults = [
        UNKNOWN,
        fault("disputed", |plan| plan.reach = Status::Disputed, wrong_state),
        fault(
            "at submittedAt + reviewFor",
            |plan| plan.now = SUBMITTED.after(200),
            |plan| Rejection::TooEarly { time: plan.now, from: plan.now.after(1) },
        ),
        RECEIPT,
    ];
    check("settle", &Plan::new(Status::Submitted, STRANGER, SUBMITTED.after(201)), life("settle"), &faults);
}

#[test]
fn dispute() {
    let faults = [
        UNKNOWN,
        fault("disputed", |plan| plan.reach = Status::Disputed, wrong_state),
        fault(
            "another sender",
            |plan| plan.sender = CLIENT,
            |plan| Rejection::WrongSender { sender: CLIENT, wanted: plan.terms.arbiter },
        ),
        fault(
            "after submittedAt + reviewFor",
            |plan| plan.now = SUBMITTED.after(201),
            |plan| Rejection::TooLate { time: plan.now, until: SUBMITTED.after(200) },
        ),
    ];
    check("dispute", &Plan::new(Status::Submitted, ARBITER, SUBMITTED.after(200)), life("dispute"), &faults);
}

#[test]
fn rule() {
    let faults = [
        UNKNOWN,
        fault("submitted", |plan| plan.reach = Status::Submitted, wrong_state),
        fault(
            "another sender",
            |plan| plan.sender = CLIENT,
            |plan| Rejection::WrongSender { sender: CLIENT, wanted: plan.terms.arbiter },
        ),
        fault(
            "after disputedAt + ruleFor",
            |plan| plan.now = DISPUTED.after(301),
            |plan| Rejection::TooLate { time: plan.now, until: DISPUTED.after(300) },
        ),
        RECEIPT,
    ];
    check("rule", &Plan::new(Status::Disputed, ARBITER, DISPUTED.after(300)), life("rule"), &faults);
}

#[test]
fn lapse() {
    let faults = [
        UNKNOWN,
        fault("submitted", |plan| plan.reach = Status::Submitted, wrong_state),
        fault(
            "at disputedAt + ruleFor",
            |plan| plan.now = DISPUTED.after(300),
            |plan| Rejection::TooEarly { time: plan.now, from: plan.now.after(1) },
        ),
        RECEIPT,
    ];
    check("lapse", &Plan::new(Status::Disputed, STRANGER, DISPUTED.after(301)), life("lapse"), &faults);
}

#[test]
fn retry_callback() {
    let faults = [UNKNOWN, fault("submitted", |plan| plan.reach = Status::Submitted, wrong_state), RECEIPT];
    check("retry", &Plan::new(Status::Settled, STRANGER, SUBMITTED), life("retry"), &faults);
    // On the other ends there may be no receipt, and none is compared.
    for reach in [Status::Cancelled, Status::Slashed, Status::Void] {
        let plan = Plan { receipt: Receipt::default(), ..Plan::new(reach, STRANGER, DISPUTED.after(301)) };
        check("retry", &plan, life("retry"), &[UNKNOWN]);
    }
    // Nothing is pending once it was delivered, or where none was asked for.
    let mut plan = Plan::new(Status::Settled, STRANGER, SUBMITTED);
    plan.terms.callback_gas = 0;
    refused("retry without a callback", &plan, life("retry"), wrong_state);
    // One that fails again has not happened; but for that it comes after all other checks.
    for (spoil, called) in [(None, 1), (Some(RECEIPT.spoil), 0)] {
        let mut plan = Plan { callbacks: false, ..Plan::new(Status::Settled, STRANGER, SUBMITTED) };
        let mut wanted = Rejection::CallbackReverted(job_of(&plan.terms));
        if let Some(spoil) = spoil {
            spoil(&mut plan);
            wanted = (RECEIPT.error)(&plan);
        }
        let mut scene = plan.scene();
        let before = scene.world.clone();
        assert_eq!(scene.act(STRANGER, &life("retry")(&plan)), Err(wanted));
        assert_eq!((scene.news(), scene.env.calls.len()), (vec![], called));
        assert_eq!(scene.world, before);
    }
}
