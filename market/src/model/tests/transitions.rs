//! Every row of the transition table: from, command, money, to.

use alloy_primitives::{Address, Bytes};

use super::{
    plan::{DISPUTED, LIFE, LOCKED, Plan, SUBMITTED, life},
    script::*,
};
use crate::{
    model::{Command, Deal, Event, JobId, JobResult, Reason, Receipt, Rejection, Status, Terms, Verdict},
    money::{AttoFil, GWEI},
    time::Time,
};

/// Free balances (client, provider, matcher, arbiter), escrow, collateral and burned money, in gwei.
type Books = ([u64; 4], u64, u64, u64);

fn books(scene: &Scene) -> Books {
    let gwei = |amount: AttoFil| u64::try_from(amount.0 / GWEI).expect("small");
    let market = scene.market();
    (
        [CLIENT, PROVIDER, MATCHER, ARBITER].map(|account| gwei(market.balance(account))),
        gwei(market.escrowed()),
        gwei(market.collateral()),
        gwei(market.burned()),
    )
}

const JOB_PRICE: u64 = 150;

struct Row {
    name: &'static str,
    plan: Plan,
    command: &'static str,
    before: Books,
    after: Books,
    to: Status,
    reason: Reason,
    since: Time,
    /// The event, apart from that of the callback.
    event: fn(JobId) -> Event,
    /// What the client is called back with.
    called: Option<Result<JobResult, Reason>>,
}

fn rows() -> Vec<Row> {
    let matched = |plan: Plan| Plan { terms: Terms { matcher: MATCHER, ..plan.terms }, ..plan };
    let unreviewed =
        |plan: Plan| Plan { terms: Terms { arbiter: Address::ZERO, review_for: 0, rule_for: 0, ..plan.terms }, ..plan };
    let ruling = |verdict| Plan { verdict, ..Plan::new(Status::Disputed, ARBITER, DISPUTED.after(300)) };
    let open: Books = ([800, 1000, 1000, 1000], 200, 0, 0);
    let locked: Books = ([850, 949, 1000, 1000], 150, 51, 0);
    let awarded: Books = ([850, 1000, 949, 1000], 150, 51, 0);
    let paid: Books = ([850, 1150, 1000, 1000], 0, 0, 0);
    let back: Books = ([1000, 1000, 1000, 1000], 0, 0, 0);
    let price = gwei(JOB_PRICE);
    // Half of 51 gwei is 25.5: amounts are exact, `books` shows whole gwei.
    let half = AttoFil(51 * GWEI / 2);
    assert_eq!(half, gwei(51).half());
    vec![
        Row {
            name: "lock",
            plan: Plan::new(Status::Open, PROVIDER, LOCKED),
            command: "lock",
            before: open,
            after: locked,
            to: Status::Locked,
            reason: Reason::None,
            since: LOCKED,
            event: |job| Event::JobLocked { job, provider: PROVIDER, payer: PROVIDER, price: gwei(JOB_PRICE) },
            called: None,
        },
        Row {
            name: "award",
            plan: matched(Plan::new(Status::Open, MATCHER, LOCKED)),
            command: "award",
            before: open,
            after: awarded,
            to: Status::Locked,
            reason: Reason::None,
            since: LOCKED,
            event: |job| Event::JobLocked { job, provider: PROVIDER, payer: MATCHER, price: gwei(JOB_PRICE) },
            called: None,
        },
        Row {
            name: "cancel by the client",
            plan: Plan::new(Status::Open, CLIENT, START),
            command: "cancel",
            before: open,
            after: back,
            to: Status::Cancelled,
            reason: Reason::Withdrawn,
            since: Time(0),
            event: |job| Event::JobCancelled { job, reason: Reason::Withdrawn },
            called: Some(Err(Reason::Withdrawn)),
        },
        Row {
            name: "cancel by the matcher",
            plan: matched(Plan::new(Status::Open, MATCHER, START.after(5_000))),
            command: "cancel",
            before: open,
            after: back,
            to: Status::Cancelled,
            reason: Reason::Withdrawn,
            since: Time(0),
            event: |job| Event::JobCancelled { job, reason: Reason::Withdrawn },
            called: Some(Err(Reason::Withdrawn)),
        },
        Row {
            name: "expire an open job",
            plan: Plan::new(Status::Open, STRANGER, START.after(1_001)),
            command: "expire",
            before: open,
            after: back,
            to: Status::Cancelled,
            reason: Reason::NotLocked,
            since: Time(0),
            event: |job| Event::JobCancelled { job, reason: Reason::NotLocked },
            called: Some(Err(Reason::NotLocked)),
        },
        Row {
            name: "submit",
            plan: Plan::new(Status::Locked, PROVIDER, SUBMITTED),
            command: "submit",
            before: locked,
            after: locked,
            to: Status::Submitted,
            reason: Reason::None,
            since: SUBMITTED,
            event: |job| Event::ResultSubmitted { job, provider: PROVIDER, result: result() },
            called: None,
        },
        Row {
            name: "submit without an arbiter",
            plan: unreviewed(Plan::new(Status::Locked, PROVIDER, SUBMITTED)),
            command: "submit",
            before: locked,
            after: paid,
            to: Status::Settled,
            reason: Reason::Unreviewed,
            since: Time(0),
            event: |job| Event::JobSettled {
                job,
                provider: PROVIDER,
                price: gwei(JOB_PRICE),
                reason: Reason::Unreviewed,
            },
            called: Some(Ok(result())),
        },
        Row {
            name: "give up",
            plan: Plan::new(Status::Locked, PROVIDER, LOCKED),
            command: "give up",
            before: locked,
            after: ([1025, 949, 1000, 1000], 0, 0, 25),
            to: Status::Slashed,
            reason: Reason::NotSubmitted,
            since: Time(0),
            event: |job| Event::JobSlashed {
                job,
                provider: PROVIDER,
                to_client: AttoFil(JOB_PRICE as u128 * GWEI + 51 * GWEI / 2),
                to_arbiter: AttoFil::ZERO,
                to_burn: AttoFil(51 * GWEI / 2),
                reason: Reason::NotSubmitted,
            },
            called: Some(Err(Reason::NotSubmitted)),
        },
        Row {
            name: "expire a locked job",
            plan: Plan::new(Status::Locked, STRANGER, LOCKED.after(101)),
            command: "expire",
            before: locked,
            after: ([1025, 949, 1000, 1000], 0, 0, 25),
            to: Status::Slashed,
            reason: Reason::NotSubmitted,
            since: Time(0),
            event: |job| Event::JobSlashed {
                job,
                provider: PROVIDER,
                to_client: AttoFil(JOB_PRICE as u128 * GWEI + 51 * GWEI / 2),
                to_arbiter: AttoFil::ZERO,
                to_burn: AttoFil(51 * GWEI / 2),
                reason: Reason::NotSubmitted,
            },
            called: Some(Err(Reason::NotSubmitted)),
        },
        Row {
            name: "accept",
            plan: Plan::new(Status::Submitted, CLIENT, SUBMITTED.after(5_000)),
            command: "accept",
            before: locked,
            after: paid,
            to: Status::Settled,
            reason: Reason::Accepted,
            since: Time(0),
            event: |job| Event::JobSettled {
                job,
                provider: PROVIDER,
                price: gwei(JOB_PRICE),
                reason: Reason::Accepted,
            },
            called: Some(Ok(result())),
        },
        Row {
            name: "settle",
            plan: Plan::new(Status::Submitted, STRANGER, SUBMITTED.after(201)),
            command: "settle",
            before: locked,
            after: paid,
            to: Status::Settled,
            reason: Reason::Unchallenged,
            since: Time(0),
            event: |job| Event::JobSettled {
                job,
                provider: PROVIDER,
                price: gwei(JOB_PRICE),
                reason: Reason::Unchallenged,
            },
            called: Some(Ok(result())),
        },
        Row {
            name: "dispute",
            plan: Plan::new(Status::Submitted, ARBITER, DISPUTED),
            command: "dispute",
            before: locked,
            after: locked,
            to: Status::Disputed,
            reason: Reason::None,
            since: DISPUTED,
            event: |job| Event::JobDisputed { job },
            called: None,
        },
        Row {
            name: "rule upheld",
            plan: ruling(Verdict::Upheld),
            command: "rule",
            before: locked,
            after: paid,
            to: Status::Settled,
            reason: Reason::Upheld,
            since: Time(0),
            event: |job| Event::JobSettled { job, provider: PROVIDER, price: gwei(JOB_PRICE), reason: Reason::Upheld },
            called: Some(Ok(result())),
        },
        Row {
            name: "rule overturned",
            plan: ruling(Verdict::Overturned),
            command: "rule",
            before: locked,
            after: ([1025, 949, 1000, 1025], 0, 0, 0),
            to: Status::Slashed,
            reason: Reason::Overturned,
            since: Time(0),
            event: |job| Event::JobSlashed {
                job,
                provider: PROVIDER,
                to_client: AttoFil(JOB_PRICE as u128 * GWEI + 51 * GWEI / 2),
                to_arbiter: AttoFil(51 * GWEI / 2),
                to_burn: AttoFil::ZERO,
                reason: Reason::Overturned,
            },
            called: Some(Err(Reason::Overturned)),
        },
        Row {
            name: "rule void",
            plan: ruling(Verdict::Void),
            command: "rule",
            before: locked,
            after: back,
            to: Status::Void,
            reason: Reason::Undecided,
            since: Time(0),
            event: |job| Event::JobVoided {
                job,
                provider: PROVIDER,
                price: gwei(JOB_PRICE),
                reason: Reason::Undecided,
            },
            called: Some(Err(Reason::Undecided)),
        },
        Row {
            name: "lapse",
            plan: Plan::new(Status::Disputed, STRANGER, DISPUTED.after(301)),
            command: "lapse",
            before: locked,
            after: back,
            to: Status::Void,
            reason: Reason::NotRuled,
            since: Time(0),
            event: |job| Event::JobVoided { job, provider: PROVIDER, price: gwei(JOB_PRICE), reason: Reason::NotRuled },
            called: Some(Err(Reason::NotRuled)),
        },
    ]
    .into_iter()
    .inspect(|row| assert!(row.plan.amount == price, "{}", row.name))
    .collect()
}

/// How the client of a row is called back, and whether a record is kept.
#[derive(Clone, Copy, Debug)]
struct Manner {
    callback_gas: u32,
    /// The client has code.
    code: bool,
    /// Its code succeeds.
    callbacks: bool,
    keep_record: bool,
}

#[test]
fn every_row_of_the_transition_table_moves_the_money_it_says() {
    let both = [true, false];
    let manners = both.into_iter().flat_map(|keep_record| {
        [(500_000, true, true), (500_000, true, false), (500_000, false, false), (0, true, true)]
            .map(|(callback_gas, code, callbacks)| Manner { callback_gas, code, callbacks, keep_record })
    });
    for manner in manners {
        rows().into_iter().for_each(|row| try_row(row, manner));
    }
}

fn try_row(Row { name, mut plan, command, before, after, to, reason, since, event, called }: Row, manner: Manner) {
    let Manner { callback_gas, code, callbacks, keep_record } = manner;
    let name = format!("{name}, {manner:?}");
    (plan.terms.callback_gas, plan.terms.keep_record, plan.callbacks) = (callback_gas, keep_record, callbacks);
    let mut scene = plan.scene();
    scene.env.code = code;
    let job = job_of(&plan.terms);
    assert_eq!(books(&scene), before, "{name}: before");
    scene.act(plan.sender, &life(command)(&plan)).unwrap_or_else(|rejection| panic!("{name}: {rejection}"));
    assert_eq!(books(&scene), after, "{name}: after");

    let called = if callback_gas == 0 || !code { None } else { called };
    let mut events = vec![event(job)];
    if reason == Reason::Unreviewed {
        events.insert(0, Event::ResultSubmitted { job, provider: PROVIDER, result: result() });
    }
    events.extend(called.is_some().then_some(match callbacks {
        true => Event::CallbackDelivered { job },
        false => Event::CallbackFailed { job },
    }));
    assert_eq!(scene.news(), events, "{name}");
    let pending = called.is_some() && !callbacks;
    let calls: Vec<_> = called.into_iter().map(|outcome| (CLIENT, job, callback_gas, outcome)).collect();
    assert_eq!(scene.env.calls, calls, "{name}");

    let deal = scene.market().deal(job);
    if to.is_final() && !keep_record && !pending {
        assert_eq!(deal, Deal::NONE, "{name}: nothing is kept");
        assert_eq!(scene.market().deals().count(), 0, "{name}");
        return;
    }
    assert_eq!((deal.status, deal.reason, deal.since), (to, reason, since), "{name}");
    assert_eq!(deal.callback_pending, pending, "{name}");
    let locked = to == Status::Locked;
    assert_eq!(deal.provider, if locked { PROVIDER } else { Address::ZERO }, "{name}");
    assert_eq!(deal.price, if locked { gwei(JOB_PRICE) } else { gwei(0) }, "{name}");
    let kept = matches!(to, Status::Submitted | Status::Disputed | Status::Settled | Status::Void)
        || reason == Reason::Overturned;
    let receipt = Receipt { provider: PROVIDER, price: gwei(JOB_PRICE), result: result() };
    assert_eq!(deal.receipt, kept.then_some(&receipt), "{name}");

    // Once the callback is delivered, only a record that was asked for stays.
    if pending {
        scene.env.callbacks = true;
        scene.act(STRANGER, &Command::RetryCallback { terms: plan.terms.clone(), receipt }).expect("delivers");
        let deal = scene.market().deal(job);
        assert_eq!(
            (deal.status, deal.callback_pending),
            (if keep_record { to } else { Status::None }, false),
            "{name}"
        );
        assert_eq!(books(&scene), after, "{name}: delivered");
    }
}

#[test]
fn every_other_command_in_every_state_is_refused_for_the_state() {
    let all = [
        (Status::None, &[][..]),
        (Status::Open, &["lock", "award", "cancel", "expire"]),
        (Status::Locked, &["expire", "give up", "submit"]),
        (Status::Submitted, &["accept", "settle", "dispute"]),
        (Status::Disputed, &["rule", "lapse"]),
        (Status::Settled, &["retry"]),
        (Status::Cancelled, &["retry"]),
        (Status::Slashed, &["retry"]),
        (Status::Void, &["retry"]),
    ];
    for (reach, fitting) in all {
        for (name, build) in LIFE.iter().filter(|(name, _)| !fitting.contains(name)) {
            let plan = Plan::new(reach, CLIENT, DISPUTED.after(10_000));
            let mut scene = plan.scene();
            let (job, before) = (job_of(&plan.terms), scene.market().clone());
            let wanted = match reach {
                Status::None => Rejection::UnknownJob(job),
                found => Rejection::WrongState { job, found },
            };
            assert_eq!(scene.act(plan.sender, &build(&plan)), Err(wanted), "{name} on {reach:?}");
            assert_eq!(*scene.market(), before, "{name} on {reach:?}");
        }
    }
}

#[test]
fn opening_takes_the_highest_price_into_escrow() {
    let (terms, mut scene) = (terms(0), Scene::new());
    let job = job_of(&terms);
    scene.pay(CLIENT, gwei(30), &Command::Open { terms: terms.clone(), spec: spec() }).expect("opens");
    let deposited = Event::Deposited { account: CLIENT, payer: CLIENT, amount: gwei(30) };
    assert_eq!(scene.news(), [deposited, Event::JobOpened { job, terms: terms.clone(), spec: spec() }]);
    assert_eq!(books(&scene), ([830, 1000, 1000, 1000], 200, 0, 0));
    assert!(scene.market().is_spent(CLIENT, terms.salt) && !scene.market().is_spent(PROVIDER, terms.salt));
    assert_eq!(scene.deal(&terms).status, Status::Open);

    let (signed, mut scene) = (sign_terms(&terms), Scene::new());
    let open = Command::OpenSigned { terms: terms.clone(), spec: Bytes::new(), signature: signed.clone() };
    scene.act(STRANGER, &open).expect("opens");
    assert_eq!(scene.news(), [Event::JobOpened { job, terms: terms.clone(), spec: Bytes::new() }]);
    assert_eq!(books(&scene), ([800, 1000, 1000, 1000], 200, 0, 0));

    let mut scene = Scene::new();
    let open = Command::OpenSignedAndLock { terms: terms.clone(), spec: spec(), signature: signed };
    scene.at(LOCKED).act(PROVIDER, &open).expect("opens and locks");
    let opened = Event::JobOpened { job, terms: terms.clone(), spec: spec() };
    assert_eq!(scene.news(), [opened, Event::JobLocked { job, provider: PROVIDER, payer: PROVIDER, price: gwei(150) }]);
    assert_eq!(books(&scene), ([850, 949, 1000, 1000], 150, 51, 0));
    // A second provider comes too late, and is told so.
    let again = scene.act(MATCHER, &open);
    assert_eq!(again, Err(Rejection::WrongState { job, found: Status::Locked }));
}

#[test]
fn money_comes_and_goes() {
    let mut scene = Scene::new();
    scene.pay(STRANGER, gwei(7), &Command::Deposit { account: PROVIDER }).expect("deposits");
    scene.act(PROVIDER, &Command::Withdraw { to: MATCHER, amount: gwei(1_007) }).expect("withdraws");
    let deposited = Event::Deposited { account: PROVIDER, payer: STRANGER, amount: gwei(7) };
    let withdrawn = Event::Withdrawn { account: PROVIDER, to: MATCHER, amount: gwei(1_007) };
    assert_eq!(scene.news(), [deposited, withdrawn]);
    assert_eq!((scene.env.paid, scene.market().held()), (gwei(1_007), gwei(3_000)));
    assert_eq!(books(&scene), ([1000, 0, 1000, 1000], 0, 0, 0));
    // An account without money leaves no trace: equal books are equal states.
    assert_eq!(scene.market().balances().count(), 3);
}

#[test]
fn signed_acceptances_settle_deals_that_were_never_opened() {
    let mut scene = Scene::new();
    let terms = Terms { callback_gas: 0, keep_record: false, ..terms(1) };
    let receipt = Receipt { provider: PROVIDER, price: gwei(120), result: result() };
    let entry = accepted(terms.clone(), receipt, START);
    scene.act(STRANGER, &Command::SettleBatch { entries: vec![entry.clone(), entry] }).expect("settles");
    let job = job_of(&terms);
    let paid = Event::BatchSettled {
        job,
        client: CLIENT,
        provider: PROVIDER,
        salt: terms.salt,
        price: gwei(120),
        output: result().output,
        exit_code: result().exit_code,
    };
    let spent = Rejection::SaltSpent { client: CLIENT, salt: terms.salt };
    assert_eq!(scene.news(), [paid, Event::BatchSkipped { job, why: spent.selector() }]);
    assert_eq!(books(&scene), ([880, 1120, 1000, 1000], 0, 0, 0));
    assert_eq!(scene.deal(&terms).status, Status::None, "the spent salt is the only record");
}

#[test]
fn specs_and_gateways_are_only_said() {
    let mut scene = Scene::new();
    let before = scene.market().clone();
    scene.act(STRANGER, &Command::PublishSpec { spec: spec() }).expect("publishes");
    scene.act(PROVIDER, &Command::Announce { url: "https://node.example".to_owned() }).expect("announces");
    let published = Event::SpecPublished { spec: digest(&spec()), data: spec() };
    assert_eq!(scene.news(), [published, Event::Announced { party: PROVIDER, url: "https://node.example".to_owned() }]);
    assert_eq!(*scene.market(), before);
}
