//! Errors of opening.

use alloy_primitives::{Address, B256, Bytes, U256};

use super::{
    super::{
        plan::{Build, LOCKED, Plan},
        script::*,
    },
    Fault, STRANGE_SENDER, check, fault, wrong_state,
};
use crate::{
    model::{
        Command, Event, MAX_LOCK_AHEAD, MAX_SPEC, Rejection, SALT_WINDOW, Settings, Status, Terms, TermsFault,
        is_masked_id,
    },
    money::AttoFil,
    time::Time,
};

/// The faults of terms, in their order.
fn terms_faults() -> [Fault; 13] {
    [
        fault("zero client", |plan| plan.terms.client = Address::ZERO, |_| Rejection::BadTerms(TermsFault::ZeroClient)),
        fault("masked arbiter", |plan| plan.terms.arbiter = MASKED, |_| Rejection::BadTerms(TermsFault::MaskedId)),
        fault("codec", |plan| plan.terms.spec_codec = 0x70, |_| Rejection::BadTerms(TermsFault::SpecCodec)),
        fault(
            "1 attoFIL above a gwei",
            |plan| plan.terms.max_price.0 += 1,
            |_| Rejection::BadTerms(TermsFault::NotWholeQuanta),
        ),
        fault(
            "2^48 gwei",
            |plan| plan.terms.collateral = gwei(1 << 48),
            |_| Rejection::BadTerms(TermsFault::AmountTooLarge),
        ),
        fault("price order", |plan| plan.terms.min_price = gwei(201), |_| Rejection::BadTerms(TermsFault::PriceOrder)),
        fault("no ramp", |plan| plan.terms.ramp_period = 0, |_| Rejection::BadTerms(TermsFault::ZeroRampPeriod)),
        fault(
            "ramp after lockBy",
            |plan| plan.terms.ramp_start = Time(u64::MAX),
            |_| Rejection::BadTerms(TermsFault::RampStart),
        ),
        fault("run window", |plan| plan.terms.run_for = 59, |_| Rejection::BadTerms(TermsFault::RunFor)),
        fault(
            "review window",
            |plan| plan.terms.review_for = 90 * 86_400 + 1,
            |_| Rejection::BadTerms(TermsFault::ReviewFor),
        ),
        fault("ruling window", |plan| plan.terms.rule_for = 0, |_| Rejection::BadTerms(TermsFault::RuleFor)),
        fault(
            "callback gas",
            |plan| plan.terms.callback_gas = 1_000_001,
            |_| Rejection::BadTerms(TermsFault::CallbackGas),
        ),
        fault(
            "the gas of a transfer",
            |plan| plan.terms.callback_gas = 2_300,
            |_| Rejection::BadTerms(TermsFault::CallbackGas),
        ),
    ]
}

/// What all ways of opening check first: terms and state.
fn unopened() -> Vec<Fault> {
    let mut faults = Vec::from(terms_faults());
    faults.push(Fault {
        group: 2,
        ..fault(
            "spent salt",
            |plan| plan.revoked = true,
            |plan| Rejection::SaltSpent { client: plan.terms.client, salt: plan.terms.salt },
        )
    });
    faults.push(Fault {
        group: 2,
        ..fault(
            "far salt",
            |plan| plan.terms.salt += U256::from(SALT_WINDOW),
            |plan| Rejection::SaltTooFar {
                client: plan.terms.client,
                salt: plan.terms.salt,
                next: plan.terms.salt - U256::from(SALT_WINDOW),
            },
        )
    });
    faults
}

fn lock_by_faults() -> [Fault; 2] {
    [
        Fault {
            group: 1,
            ..fault(
                "after lockBy",
                |plan| plan.now = plan.terms.lock_by.after(1),
                |plan| Rejection::TooLate { time: plan.now, until: plan.terms.lock_by },
            )
        },
        Fault {
            group: 1,
            ..fault(
                "lockBy more than a year ahead",
                |plan| plan.terms.lock_by = plan.now.after(MAX_LOCK_AHEAD + 1),
                |plan| Rejection::TooEarly { time: plan.now, from: plan.now.after(1) },
            )
        },
    ]
}

fn spec_faults() -> [Fault; 2] {
    [
        fault(
            "large spec",
            |plan| plan.spec = Bytes::from(vec![7; MAX_SPEC + 1]),
            |_| Rejection::SpecTooLarge(MAX_SPEC as u64 + 1),
        ),
        fault(
            "another spec",
            |plan| plan.terms.spec = B256::repeat_byte(1),
            |plan| Rejection::SpecMismatch { found: digest(&plan.spec), wanted: plan.terms.spec },
        ),
    ]
}

fn signature_faults() -> [Fault; 2] {
    [
        fault("another chain", |plan| plan.foreign_chain = Some(315), |_| Rejection::WrongChain(315)),
        fault("forged signature", |plan| plan.forged = true, |plan| Rejection::BadSignature(plan.terms.client)),
    ]
}

const POOR_CLIENT: Fault = fault(
    "poor client",
    |plan| plan.poor.push(CLIENT),
    |plan| Rejection::InsufficientBalance { account: CLIENT, balance: gwei(0), needed: plan.terms.max_price },
);

#[test]
fn open() {
    let mut faults = unopened();
    faults.push(fault("another sender", STRANGE_SENDER, |plan| Rejection::WrongSender {
        sender: STRANGER,
        wanted: plan.terms.client,
    }));
    faults.extend(lock_by_faults());
    faults.extend(spec_faults());
    faults.push(POOR_CLIENT);
    let build: Build = |plan| Command::Open { terms: plan.asked(), spec: plan.spec.clone() };
    check("open", &Plan::new(Status::None, CLIENT, START), build, &faults);
    // Until lockBy, and exactly a year ahead of it, a job may be opened.
    for lock_by in [START, START.after(MAX_LOCK_AHEAD)] {
        let mut plan = Plan::new(Status::None, CLIENT, START);
        plan.terms.lock_by = lock_by;
        check("open", &plan, build, &[]);
    }
    // The value that is sent counts towards the client's balance; 1 gwei too little is named with it.
    let plan = Plan { poor: vec![CLIENT], value: gwei(200), ..Plan::new(Status::None, CLIENT, START) };
    check(
        "open with value",
        &plan,
        build,
        &[fault(
            "too little value",
            |plan| plan.value = gwei(199),
            |_| Rejection::InsufficientBalance { account: CLIENT, balance: gwei(199), needed: gwei(200) },
        )],
    );
}

#[test]
fn open_signed() {
    let mut faults = unopened();
    faults.extend(lock_by_faults());
    faults.extend(spec_faults());
    faults.extend(signature_faults());
    faults.push(POOR_CLIENT);
    let build: Build =
        |plan| Command::OpenSigned { terms: plan.asked(), spec: plan.spec.clone(), signature: plan.signature() };
    check("open signed", &Plan::new(Status::None, STRANGER, START), build, &faults);
}

#[test]
fn open_signed_and_lock() {
    let matcher = || {
        fault(
            "a matcher",
            |plan| plan.terms.matcher = MATCHER,
            |plan| Rejection::WrongSender { sender: plan.sender, wanted: MATCHER },
        )
    };
    let early = || Fault {
        group: 1,
        ..fault(
            "before rampStart",
            |plan| plan.now = Time(plan.terms.ramp_start.0 - 1),
            |plan| Rejection::TooEarly { time: plan.now, from: plan.terms.ramp_start },
        )
    };
    let poor = || {
        fault(
            "poor provider",
            |plan| plan.poor.push(PROVIDER),
            |_| Rejection::InsufficientBalance { account: PROVIDER, balance: gwei(0), needed: gwei(51) },
        )
    };
    let mut faults = unopened();
    faults.push(matcher());
    faults.extend(lock_by_faults());
    faults.push(early());
    faults.extend(spec_faults());
    faults.extend(signature_faults());
    faults.push(POOR_CLIENT);
    faults.push(poor());
    let build: Build =
        |plan| Command::OpenSignedAndLock { terms: plan.asked(), spec: plan.spec.clone(), signature: plan.signature() };
    check("open signed and lock", &Plan::new(Status::None, PROVIDER, LOCKED), build, &faults);

    // Once opened by somebody else it is a lock: signature and chain do not matter any more; the spec does.
    let plan = Plan { forged: true, foreign_chain: Some(315), ..Plan::new(Status::Open, PROVIDER, LOCKED) };
    let [late, _] = lock_by_faults();
    let state = fault("cancelled", |plan| plan.reach = Status::Cancelled, wrong_state);
    let other_spec = fault(
        "another spec",
        |plan| plan.spec = Bytes::from_static(b"whatever"),
        |plan| Rejection::SpecMismatch { found: digest(&plan.spec), wanted: plan.terms.spec },
    );
    let [large_spec, _] = spec_faults();
    let other_spec = Fault { group: 3, ..other_spec };
    let large_spec = Fault { group: 3, ..large_spec };
    let faults = [state, matcher(), early(), late, large_spec, other_spec, poor()];
    check("open signed and lock an open job", &plan, build, &faults);
    let mut scene = plan.scene();
    scene.act(PROVIDER, &build(&plan)).expect("locks");
    let published = Event::SpecPublished { spec: plan.terms.spec, data: plan.spec.clone() };
    assert!(matches!(&scene.news()[..], [first, Event::JobLocked { .. }] if *first == published));
    let mut scene = plan.scene();
    scene.act(PROVIDER, &build(&Plan { spec: Bytes::new(), ..plan })).expect("locks");
    assert!(matches!(scene.news()[..], [Event::JobLocked { .. }]));
}

#[test]
fn opening_and_locking_for_oneself_needs_the_money_for_both() {
    let open_and_lock = |balance: u64| {
        let mut plan = Plan::new(Status::None, CLIENT, LOCKED);
        plan.poor.push(CLIENT);
        let mut scene = plan.scene();
        scene.pay(STRANGER, gwei(balance), &Command::Deposit { account: CLIENT }).expect("deposits");
        let (terms, spec, signature) = (plan.asked(), spec(), plan.signature());
        (scene.act(CLIENT, &Command::OpenSignedAndLock { terms, spec, signature }), scene.market().balance(CLIENT))
    };
    let short = |balance, needed| Err(Rejection::InsufficientBalance { account: CLIENT, balance, needed });
    assert_eq!(open_and_lock(199), (short(gwei(199), gwei(200)), gwei(199)));
    assert_eq!(open_and_lock(200), (short(gwei(50), gwei(51)), gwei(200)));
    assert_eq!(open_and_lock(201), (Ok(()), gwei(0)));
}

#[test]
fn windows_are_zero_without_an_arbiter_and_not_too_short_with_one() {
    let unreviewed = Terms { arbiter: Address::ZERO, review_for: 0, rule_for: 0, ..terms(0) };
    let fault = |terms: &Terms| terms.fault(&SETTINGS, CLIENT);
    assert_eq!(fault(&unreviewed), None);
    assert_eq!(Terms { review_for: 60, ..unreviewed.clone() }.fault(&SETTINGS, CLIENT), Some(TermsFault::ReviewFor));
    assert_eq!(Terms { rule_for: 60, ..unreviewed.clone() }.fault(&SETTINGS, CLIENT), Some(TermsFault::RuleFor));
    assert_eq!(Terms { review_for: 59, ..unreviewed.clone() }.fault(&SETTINGS, CLIENT), Some(TermsFault::ReviewFor));
    assert_eq!(Terms { rule_for: 59, ..unreviewed.clone() }.fault(&SETTINGS, CLIENT), Some(TermsFault::RuleFor));
    assert_eq!(Terms { arbiter: ARBITER, ..unreviewed }.fault(&SETTINGS, CLIENT), Some(TermsFault::ReviewFor));
    for run_for in [60, 90 * 86_400] {
        assert_eq!(Terms { run_for, ..terms(0) }.fault(&SETTINGS, CLIENT), None);
    }
    assert_eq!(Terms { run_for: 90 * 86_400 + 1, ..terms(0) }.fault(&SETTINGS, CLIENT), Some(TermsFault::RunFor));
    assert_eq!(Terms { max_price: gwei((1 << 48) - 1), ..terms(0) }.fault(&SETTINGS, CLIENT), None);
}

#[test]
fn masked_ids_are_parties_only_when_they_send() {
    assert!(is_masked_id(MASKED) && !is_masked_id(Address::repeat_byte(0xff)) && !is_masked_id(Address::ZERO));
    let parties: [fn(&mut Terms); 3] =
        [|terms| terms.client = MASKED, |terms| terms.matcher = MASKED, |terms| terms.arbiter = MASKED];
    for spoil in parties {
        let mut terms = terms(0);
        spoil(&mut terms);
        assert_eq!(terms.fault(&SETTINGS, STRANGER), Some(TermsFault::MaskedId));
        assert_eq!(terms.fault(&SETTINGS, MASKED), None);
    }
}

#[test]
fn amounts_are_whole_quanta_below_a_limit() {
    for quantum in [1, 1_000_000, 1_000_000_000, u64::MAX] {
        let settings = Settings { quantum, ..SETTINGS };
        let of = |quanta| AttoFil::from_quanta(quanta, quantum);
        let fault =
            |max_price| Terms { max_price, min_price: of(1), collateral: of(0), ..terms(0) }.fault(&settings, CLIENT);
        assert_eq!(fault(of((1 << 48) - 1)), None);
        assert_eq!(fault(of(1 << 48)), Some(TermsFault::AmountTooLarge));
        if quantum > 1 {
            assert_eq!(fault(AttoFil(of(5).0 + 1)), Some(TermsFault::NotWholeQuanta));
        }
    }
}
