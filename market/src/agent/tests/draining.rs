//! A provider whose node is about to end: it finishes what it is bound to, and begins nothing.

use super::*;

fn drain(world: &mut World) -> usize {
    let now = world.now;
    world.party(CHEAP).input(Input::Drain, now);
    world.party(CHEAP).agent.bound()
}

/// Where the bidding is over after 40 seconds.
fn auctioned(salt: u64, spec: &Bytes) -> Terms {
    Terms { matcher: AUCTION.contract, ramp_start: Time(START + 40), ramp_period: 40, ..terms(salt, spec) }
}

fn bidder() -> Party {
    Party::new(CHEAP, Some(Offer { matchers: vec![AUCTION.contract], ..offer(FIL / 10) }))
}

fn one_provider() -> World {
    World { forks: true, ..World::new(vec![Party::new(CLIENT, None), Party::new(CHEAP, Some(offer(FIL / 10)))]) }
}

/// How many jobs the node stays for, while this step's transaction is out and the newest final block has this time.
fn stays_for(world: &mut World, job: JobId, step: Step, final_time: Time) -> usize {
    let party = world.party(CHEAP);
    let record = party.agent.job(job).unwrap_or(&party.stored[&job].job);
    let outstanding = party.agent.may_yet_be_bound(record, step, final_time);
    party.agent.bound().max(usize::from(outstanding))
}

/// The transaction of a step is executed, which is out from before: the node has no part in it.
fn land(world: &mut World, job: JobId, step: Step) -> StepOutcome {
    let key = EffectKey::of(&StepKey { subject: Subject::Job(job), step, round: 0, attempt: 1 });
    let record = world.party(CHEAP).stored[&job].job.clone();
    let sealing = |job, price| Some(seal(job, CHEAP, price));
    match record.auction_submission(step, sealing) {
        Some(bid) => world.submit_to_auction(1, key, &bid),
        None => world.submit(1, key, &record.submission(step).expect("a command")),
    }
}

/// The provider was told that its job is locked, and to end.
fn drained_with_a_lock() -> (World, JobId) {
    let mut world = one_provider();
    let job = world.request(0);
    run_until_locked(&mut world, job);
    while world.party(CHEAP).stored[&job].job.view.status != Status::Locked {
        assert!(world.step(1));
    }
    assert_eq!(drain(&mut world), 1);
    (world, job)
}

/// The provider was told to end after it had asked for a step, and nobody could say what had become of that.
fn drained_without_an_answer(step: Step) -> (World, JobId) {
    let mut world = World::new(vec![Party::new(CLIENT, None), bidder()]);
    let spec = spec(1_000_000);
    let job = world.request_with(if step == Step::Lock { terms(0, &spec) } else { auctioned(0, &spec) }, spec);
    let key = 'begun: loop {
        assert!(world.now < Time(START + 100), "{step} is not begun");
        loop {
            world.step(0);
            let now = world.now;
            let party = world.party(CHEAP);
            // What is due is begun, and not done in the same breath.
            party.input(Input::Tick, now);
            let begun = party.effects.iter().find_map(|effect| match effect {
                Effect::Do(key) if key.step == step => Some(*key),
                _ => None,
            });
            if let Some(key) = begun {
                break 'begun key;
            }
            if !world.step(1) {
                break;
            }
        }
        world.second();
    };
    world.party(CHEAP).effects.clear();
    let (now, outcome) = (world.now, StepOutcome::Err(Failure::Temporary("no answer".to_owned())));
    world.party(CHEAP).input(Input::Done { key, outcome }, now);
    drain(&mut world);
    (world, job)
}

fn sealed(world: &World) -> usize {
    world.auction_log.iter().filter(|it| matches!(it.2, crate::auction::Event::BidCommitted { .. })).count()
}

/// Until the job is locked, and no step further.
fn run_until_locked(world: &mut World, job: JobId) {
    for _ in 0..1_000 {
        for index in 0..world.parties.len() {
            while world.status(job) != Status::Locked && world.step(index) {}
        }
        if world.status(job) == Status::Locked {
            return;
        }
        world.second();
    }
    panic!("nobody locks the job");
}

#[test]
fn what_is_locked_is_finished_and_what_waits_is_done_after_the_next_start() {
    let mut world =
        World::new(vec![Party::new(CLIENT, None), Party::new(CHEAP, Some(Offer { slots: 1, ..offer(FIL / 10) }))]);
    let first = world.request(0);
    run_until_locked(&mut world, first);
    let waiting = world.request(1);
    assert_eq!(drain(&mut world), 1, "it has not even heard that its lock landed");
    world.run(20);
    assert_eq!((world.status(first), world.status(waiting)), (Status::Settled, Status::Open));
    assert_eq!(world.party(CHEAP).agent.bound(), 0);
    assert_eq!(world.party(CHEAP).runs, 1);

    let now = world.now;
    world.party(CHEAP).crash(now);
    world.run(30);
    assert_eq!(world.status(waiting), Status::Settled, "the next process takes it up");
}

#[test]
fn a_node_that_ends_too_early_goes_on_with_what_it_has_locked() {
    let mut world = World::new(vec![Party::new(CLIENT, None), Party::new(CHEAP, Some(offer(FIL / 10)))]);
    let job = world.request(0);
    run_until_locked(&mut world, job);
    assert_eq!(drain(&mut world), 1);
    let now = world.now;
    world.party(CHEAP).crash(now);
    world.run(20);
    assert_eq!((world.status(job), world.settled_events(job)), (Status::Settled, 1));
}

#[test]
fn a_job_whose_window_has_passed_is_not_waited_for() {
    let mut world = World::new(vec![Party::new(CLIENT, None), Party::new(CHEAP, Some(offer(FIL / 10)))]);
    world.party(CHEAP).stuck = true;
    let job = world.request(0);
    run_until_locked(&mut world, job);
    assert_eq!(drain(&mut world), 1);
    // The client does nothing, so that the job stays as it is on the market.
    for _ in 0..40 {
        while world.step(1) {}
        world.second();
    }
    while world.step(1) {}
    assert_eq!((world.status(job), world.party(CHEAP).agent.bound()), (Status::Locked, 0));
}

#[test]
fn a_bid_that_is_sealed_is_seen_through_and_none_is_sealed_any_more() {
    let mut world = World::new(vec![Party::new(CLIENT, None), bidder()]);
    let spec = spec(1_000_000);
    let first = world.request_with(auctioned(0, &spec), spec.clone());
    world.run(10);
    assert_eq!(drain(&mut world), 1, "its bid is sealed");
    let second = world.request_with(auctioned(1, &spec), spec);
    world.run(100);
    assert_eq!(world.status(first), Status::Settled, "it opened its bid, won, and did the job");
    let bid = |world: &mut World, job: JobId| world.party(CHEAP).stored[&job].job.bid.clone();
    assert!(bid(&mut world, first).is_some() && bid(&mut world, second).is_none());
    assert_eq!(world.party(CHEAP).agent.bound(), 0);
}

#[test]
fn a_lock_that_is_undone_and_lands_again_is_waited_for_and_the_job_is_done() {
    // Undone are the lock alone, or the job's opening with it.
    for undone in [1, 2] {
        let (mut world, job) = drained_with_a_lock();
        world.reorganise(undone);
        assert_ne!(world.party(CHEAP).stored[&job].job.view.status, Status::Locked);
        assert_eq!(world.party(CHEAP).agent.bound(), 0, "its agent has no lock under way");
        assert_eq!(stays_for(&mut world, job, Step::Lock, Time(START)), 1, "{undone} undone: it may land again");
        world.run(3);
        assert_eq!(world.status(job), Status::Open, "it does nothing for that");
        assert_eq!(land(&mut world, job, Step::Lock), StepOutcome::Ok);
        assert_eq!(stays_for(&mut world, job, Step::Lock, Time(START)), 1);
        world.run(20);
        assert_eq!((world.status(job), world.settled_events(job)), (Status::Settled, 1));
        assert_eq!(stays_for(&mut world, job, Step::Lock, Time(START)), 0);
    }
}

#[test]
fn a_lock_or_a_bid_whose_fate_nobody_knew_is_waited_for_and_the_job_is_done() {
    for step in Step::BINDING {
        let (mut world, job) = drained_without_an_answer(step);
        assert_eq!(stays_for(&mut world, job, step, Time(START)), 1, "{step}");
        assert_eq!(land(&mut world, job, step), StepOutcome::Ok);
        assert_eq!(stays_for(&mut world, job, step, Time(START)), 1, "{step}");
        world.run(120);
        assert_eq!((world.status(job), stays_for(&mut world, job, step, Time(START))), (Status::Settled, 0), "{step}");
    }
}

#[test]
fn a_sealed_bid_that_is_undone_and_lands_again_is_opened_and_the_job_is_done() {
    let mut world = World::new(vec![Party::new(CLIENT, None), bidder()]);
    world.forks = true;
    let spec = spec(1_000_000);
    let job = world.request_with(auctioned(0, &spec), spec);
    world.run(10);
    assert_eq!((drain(&mut world), sealed(&world)), (1, 1));
    world.reorganise(1);
    assert_eq!((sealed(&world), world.party(CHEAP).agent.bound()), (0, 0), "its agent seals no more");
    assert_eq!(stays_for(&mut world, job, Step::CommitBid, Time(START)), 1);
    assert_eq!(land(&mut world, job, Step::CommitBid), StepOutcome::Ok);
    assert_eq!(stays_for(&mut world, job, Step::CommitBid, Time(START)), 1);
    world.forks = false;
    world.run(120);
    assert_eq!((world.status(job), stays_for(&mut world, job, Step::CommitBid, Time(START))), (Status::Settled, 0));
}

#[test]
fn what_can_land_no_more_is_not_waited_for() {
    let (mut world, job) = drained_with_a_lock();
    world.reorganise(1);
    let lock_by = world.party(CHEAP).stored[&job].job.view.terms.lock_by;
    assert_eq!(stays_for(&mut world, job, Step::Lock, lock_by), 1, "it may land in this very second");
    assert_eq!(stays_for(&mut world, job, Step::Lock, lock_by.after(1)), 0);
    assert_eq!(stays_for(&mut world, job, Step::CommitBid, lock_by), 0, "there is no bidding any more");

    let (mut world, job) = drained_without_an_answer(Step::CommitBid);
    let ramp_start = world.party(CHEAP).stored[&job].job.view.terms.ramp_start;
    assert_eq!(stays_for(&mut world, job, Step::CommitBid, Time(ramp_start.0 - 1)), 1);
    assert_eq!(stays_for(&mut world, job, Step::CommitBid, ramp_start), 0);
}

#[test]
fn a_job_that_somebody_else_has_for_good_is_not_waited_for() {
    let (mut world, job) = drained_with_a_lock();
    world.reorganise(1);
    let lock = world.party(CHEAP).stored[&job].job.submission(Step::Lock).expect("a command");
    world.apply(DEAR, &lock.command, AttoFil::ZERO).expect("it is open");
    while world.step(1) {}
    assert_eq!(world.party(CHEAP).decision(job), Some(Decision::Lost));
    assert_eq!(stays_for(&mut world, job, Step::Lock, Time(START)), 1, "that may be undone, too");
    world.forks = false;
    while world.step(1) {}
    assert_eq!(stays_for(&mut world, job, Step::Lock, Time(START)), 0);
}

#[test]
fn a_provider_whose_key_somebody_else_uses_finishes_its_jobs_and_takes_others_when_it_is_told_to_go_on() {
    for kind in [Step::Lock, Step::CommitBid] {
        let mut world = World::new(vec![Party::new(CLIENT, None), bidder()]);
        let spec = spec(1_000_000);
        let of_kind = |salt, spec: &Bytes| if kind == Step::Lock { terms(salt, spec) } else { auctioned(salt, spec) };
        let first = world.request_with(of_kind(0, &spec), spec.clone());
        world.run(12);
        let now = world.now;
        world.party(CHEAP).input(Input::KeyShared, now);
        let later = |salt, now: Time, spec: &Bytes| Terms {
            ramp_start: if kind == Step::Lock { now } else { now.after(40) },
            lock_by: now.after(150),
            ..of_kind(salt, spec)
        };
        let second = world.request_with(later(1, now, &spec), spec.clone());
        world.run(100);
        assert_eq!((world.status(first), world.status(second)), (Status::Settled, Status::Open), "{kind}");
        let now = world.now;
        world.party(CHEAP).input(Input::Resume, now);
        let third = world.request_with(later(2, now, &spec), spec.clone());
        world.run(140);
        assert_eq!(world.status(third), Status::Settled, "{kind}");
    }
}
