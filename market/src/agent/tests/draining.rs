//! A provider whose node is about to end: it finishes what it is bound to, and begins nothing.

use super::*;

fn drain(world: &mut World) -> usize {
    let now = world.now;
    world.party(CHEAP).input(Input::Drain, now);
    world.party(CHEAP).agent.bound()
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
    let auctioned = |salt, spec: &Bytes| Terms {
        matcher: AUCTION.contract,
        ramp_start: Time(START + 40),
        ramp_period: 40,
        ..terms(salt, spec)
    };
    let bidder = Party::new(CHEAP, Some(Offer { matchers: vec![AUCTION.contract], ..offer(FIL / 10) }));
    let mut world = World::new(vec![Party::new(CLIENT, None), bidder]);
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
