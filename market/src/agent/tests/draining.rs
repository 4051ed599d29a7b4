//! A provider whose node is about to end: it finishes what it is bound to, and begins nothing.

use super::*;

fn drain(world: &mut World) -> usize {
    let now = world.now;
    world.party(CHEAP).input(Input::Drain, now);
    world.party(CHEAP).agent.bound()
}

fn auctioned(salt: u64, spec: &Bytes) -> Terms {
    Terms { matcher: AUCTION.contract, ramp_start: Time(START + 40), ramp_period: 40, ..terms(salt, spec) }
}

fn bidder() -> Party {
    Party::new(CHEAP, Some(Offer { matchers: vec![AUCTION.contract], ..offer(FIL / 10) }))
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
fn a_lock_that_a_reorganisation_undoes_binds_a_node_that_ends_since_it_may_land_again() {
    // Undone are the lock alone, or the job's opening with it.
    for undone in [1, 2] {
        let mut world = World::new(vec![Party::new(CLIENT, None), Party::new(CHEAP, Some(offer(FIL / 10)))]);
        world.forks = true;
        let job = world.request(0);
        run_until_locked(&mut world, job);
        while world.party(CHEAP).stored[&job].job.view.status != Status::Locked {
            world.step(1);
        }
        assert_eq!(drain(&mut world), 1);
        world.reorganise(undone);
        assert_ne!(world.party(CHEAP).stored[&job].job.view.status, Status::Locked);
        assert_eq!(world.party(CHEAP).agent.bound(), 1, "{undone} undone: its transaction is still out");
        world.forks = false;
        world.run(20);
        assert_eq!((world.status(job), world.party(CHEAP).agent.bound()), (Status::Settled, 0));
    }
}

#[test]
fn a_lock_that_was_undone_is_not_waited_for_when_it_can_land_no_more() {
    let mut world = World::new(vec![Party::new(CLIENT, None), Party::new(CHEAP, Some(offer(FIL / 10)))]);
    world.forks = true;
    let job = world.request(0);
    run_until_locked(&mut world, job);
    while world.party(CHEAP).stored[&job].job.view.status != Status::Locked {
        world.step(1);
    }
    drain(&mut world);
    world.reorganise(2);
    // The client opens it no more.
    for last in [true, false] {
        while world.step(1) {}
        assert_eq!(world.party(CHEAP).agent.bound(), usize::from(last));
        world.now = Time(START + 200);
    }
}

#[test]
fn a_sealed_bid_that_a_reorganisation_undoes_is_sealed_again_by_a_node_that_ends() {
    let mut world = World::new(vec![Party::new(CLIENT, None), bidder()]);
    world.forks = true;
    let spec = spec(1_000_000);
    let job = world.request_with(auctioned(0, &spec), spec);
    world.run(10);
    assert_eq!(drain(&mut world), 1, "its bid is sealed");
    let sealed = |world: &World| {
        world.auction_log.iter().filter(|it| matches!(it.2, crate::auction::Event::BidCommitted { .. })).count()
    };
    world.reorganise(1);
    assert_eq!((sealed(&world), world.party(CHEAP).agent.bound()), (0, 1));
    world.run(5);
    assert_eq!(sealed(&world), 1);
    world.forks = false;
    world.run(120);
    assert_eq!((world.status(job), world.party(CHEAP).agent.bound()), (Status::Settled, 0));
}

#[test]
fn a_lock_or_a_bid_whose_fate_nobody_heard_binds_a_node_that_ends() {
    for step in [Step::Lock, Step::CommitBid] {
        let mut world = World::new(vec![Party::new(CLIENT, None), bidder()]);
        let spec = spec(1_000_000);
        let terms = if step == Step::Lock { terms(0, &spec) } else { auctioned(0, &spec) };
        let job = world.request_with(terms, spec);
        let key = 'begun: loop {
            for _ in 0..100 {
                world.step(0);
                if let Some(Effect::Do(key)) = world.party(CHEAP).effects.front().copied()
                    && key.step == step
                {
                    break 'begun key;
                }
                world.step(1);
            }
            assert!(world.now < Time(START + 100), "{step} is not begun");
            world.second();
        };
        world.party(CHEAP).effects.clear();
        let (now, outcome) = (world.now, StepOutcome::Err(Failure::Temporary("no answer".to_owned())));
        world.party(CHEAP).input(Input::Done { key, outcome }, now);
        assert_eq!(drain(&mut world), 1, "{step}");
        world.run(120);
        assert_eq!((world.status(job), world.party(CHEAP).agent.bound()), (Status::Settled, 0), "{step}");
    }
}
