//! What waits until a block is final, and what does not.

use super::*;

const MATCHER: Address = Address::repeat_byte(0x3A);

fn one_provider() -> World {
    World::new(vec![Party::new(CLIENT, None), Party::new(CHEAP, Some(offer(FIL / 10)))])
}

#[test]
fn inputs_are_held_until_the_end_is_final_and_so_is_the_record() {
    let mut world = World { forks: true, ..world() };
    let job = world.request(0);
    world.run(60);
    assert_eq!(world.status(job), Status::Settled);
    for me in [CHEAP, DEAR] {
        let party = world.party(me);
        assert!(party.pinned.contains(&job), "{me} may have to run it after a reorganisation");
        assert!(party.stored[&job].live, "it wants the record back after a restart");
        assert!(party.agent.is_empty(), "and does not hold it meanwhile");
    }
    // Also if it crashes, and the end is undone.
    let now = world.now;
    world.party(CHEAP).crash(now);
    world.reorganise(3);
    assert_ne!(world.status(job), Status::Settled);
    world.run(60);
    assert_eq!((world.status(job), world.settled_events(job)), (Status::Settled, 1));
    world.forks = false;
    world.run(1);
    for me in [CHEAP, DEAR] {
        let party = world.party(me);
        assert!(party.pinned.is_empty() && !party.stored[&job].live, "{me}");
    }
}

#[test]
fn a_chain_that_undoes_what_it_called_final_is_believed_again_from_its_next_word_on() {
    let mut world = World { forks: true, ..world() };
    let (now, block) = (world.now, world.block);
    let cheap = world.party(CHEAP);
    cheap.input(Input::Head { block, finalized: block + 10_000, latest: At { block, time: now } }, now);
    cheap.input(Input::Rewind { block }, now);
    let job = world.request(0);
    world.run(60);
    assert_eq!(world.status(job), Status::Settled);
    assert!(world.party(CHEAP).pinned.contains(&job), "its end may be undone");
}

#[test]
fn a_provider_that_was_slashed_stops_when_that_is_final_until_it_is_told_to_go_on() {
    let mut world = World { forks: true, ..one_provider() };
    world.party(CHEAP).stuck = true;
    let lost = world.request(0);
    world.run(60);
    assert_eq!(world.status(lost), Status::Slashed);
    assert_eq!(world.party(CHEAP).suspended, None, "it may be undone");
    world.forks = false;
    world.run(1);
    let now = world.now;
    assert_eq!(world.party(CHEAP).suspended, Some(lost));
    world.party(CHEAP).stuck = false;
    world.party(CHEAP).crash(now);
    let spec = spec(1_000_000);
    let soon = |salt, now: Time| Terms { ramp_start: now, lock_by: now.after(120), ..terms(salt, &spec) };
    let refused = world.request_with(soon(1, now), spec.clone());
    world.run(130);
    assert_eq!(world.status(refused), Status::Cancelled);
    assert_eq!(world.party(CHEAP).decision(refused), Some(Decision::Refused(Refusal::Suspended(lost))));
    let now = world.now;
    world.party(CHEAP).suspended = None;
    world.party(CHEAP).input(Input::Resume, now);
    let done = world.request_with(soon(2, now), spec.clone());
    world.run(60);
    assert_eq!(world.status(done), Status::Settled);
    assert_eq!(world.party(CHEAP).suspended, None, "it was told once");
}

#[test]
fn a_slash_that_is_undone_stops_nobody() {
    let mut world = World { forks: true, ..one_provider() };
    world.party(CHEAP).stuck = true;
    let job = world.request(0);
    while world.status(job) != Status::Slashed {
        world.run(1);
    }
    // The lock lands later on the other fork, and the run ends in time.
    world.reorganise(2);
    let now = world.now;
    world.party(CHEAP).stuck = false;
    world.party(CHEAP).crash(now);
    world.run(60);
    world.forks = false;
    world.run(1);
    assert_eq!((world.status(job), world.party(CHEAP).suspended), (Status::Settled, None));
}

#[test]
fn an_award_that_it_bid_for_is_work() {
    let listed = Offer { matchers: vec![MATCHER], ..offer(FIL / 10) };
    let mut world = World::new(vec![Party::new(CHEAP, Some(listed))]);
    world.apply(MATCHER, &Command::Deposit { account: MATCHER }, AttoFil(FIL)).expect("a deposit");
    let spec = spec(1_000_000);
    let terms = Terms { matcher: MATCHER, ..terms(0, &spec) };
    world.apply(CLIENT, &Command::Open { terms: terms.clone(), spec }, terms.max_price).expect("opened");
    world.run(2);
    let (id, now) = (id_of(&terms), world.now);
    // What the bidder's role will write down.
    let party = world.party(CHEAP);
    party.stored.get_mut(&id).and_then(|change| change.job.work.as_mut()).expect("it wants the job").bid =
        Some(AttoFil(FIL / 10));
    party.crash(now);
    let price = AttoFil(FIL / 10);
    world.apply(MATCHER, &Command::Award { terms, provider: CHEAP, price }, AttoFil::ZERO).expect("awarded");
    world.run(5);
    assert_eq!((world.status(id), world.party(CHEAP).runs), (Status::Settled, 1));
}

#[test]
fn what_nobody_could_confirm_is_run_again_where_somebody_may_rule_on_it() {
    for (has_arbiter, runs) in [(false, 1), (true, 3)] {
        let mut world = one_provider();
        world.parties[1] = Party { reproducible: false, ..Party::new(CHEAP, Some(offer(FIL / 10))) };
        let spec = spec(1_000_000);
        let terms = terms(0, &spec);
        let job = world.request_with(if has_arbiter { reviewed(terms) } else { terms }, spec);
        world.run(60);
        assert_eq!((world.status(job), world.party(CHEAP).runs), (Status::Settled, runs), "{has_arbiter}");
    }
}

#[test]
fn a_dear_jobs_result_waits_until_its_lock_lies_deep_and_no_longer_than_the_window_allows() {
    for (careful_from, waits) in [(None, false), (Some(AttoFil(FIL)), false), (Some(AttoFil(FIL / 10)), true)] {
        let pace = Pace { epoch: 1, undo_depth: 8, final_blocks: 10, careful_from };
        let mut world = one_provider();
        world.parties[1] = Party::new(CHEAP, Some(offer(FIL / 10))).at_pace(pace);
        let job = world.request(0);
        // The price is reached after ten seconds.
        world.run(14);
        assert_eq!(world.status(job), if waits { Status::Locked } else { Status::Settled });
        world.run(30);
        assert_eq!((world.status(job), world.settled_events(job)), (Status::Settled, 1));
    }
}

#[test]
fn a_refusal_of_a_node_that_is_behind_is_no_answer() {
    let mut world = World { behind: 1, ..world() };
    let job = world.request(0);
    world.run(120);
    assert_eq!(world.status(job), Status::Settled);
    assert!(world.refusals > 0);
}

#[test]
fn what_came_of_a_step_before_a_reorganisation_says_nothing_about_the_one_after_it() {
    let mut world = World { forks: true, ..one_provider() };
    let job = world.request(0);
    while world.status(job) != Status::Locked {
        world.step(0);
        if !world.step(1) {
            world.second();
        }
    }
    // The lock landed, and is undone before anybody hears that it did.
    let (now, key) = (world.now, StepKey { subject: Subject::Job(job), step: Step::Lock, round: 0, attempt: 1 });
    world.party(CHEAP).input(Input::Refold { job, view: None }, now);
    let view = folded(&world.log[..world.log.len() - 1], job);
    world.party(CHEAP).input(Input::Refold { job, view: view.map(Box::new) }, now);
    let state =
        |world: &mut World| world.party(CHEAP).agent.job(job).and_then(|job| job.steps.get(&Step::Lock).cloned());
    assert_eq!(state(&mut world), Some(StepState::InFlight { attempt: 1, round: 2 }));
    let stale = Failure::Permanent("of before".to_owned());
    world.party(CHEAP).input(Input::Done { key, outcome: StepOutcome::Err(stale) }, now);
    assert_eq!(state(&mut world), Some(StepState::InFlight { attempt: 1, round: 2 }), "it is still waited for");
}

#[test]
fn a_job_whose_fuel_does_not_fit_its_wall_limit_is_refused_with_numbers() {
    let measured = Offer { fuel_per_second: 10_000_000, ..offer(FIL / 10) };
    let parse = |fuel| crate::spec::parse(SpecCodec::DagCbor, &spec(fuel)).expect("valid");
    let terms = terms(0, &spec(1));
    // The wall limit is 5 s; twice the time that was measured must fit.
    assert!(measured.match_spec(CHEAP, SETTINGS, &terms, &parse(25_000_000)).is_ok());
    let refusal =
        measured.match_spec(CHEAP, SETTINGS, &terms, &parse(1_000_000_000)).expect_err("it cannot be done in time");
    assert_eq!(
        refusal.to_string(),
        "1000000000 units of fuel may take this provider 200 s, and the job may take 5 s; name at least that wall time, or less fuel"
    );
    assert!(
        Offer { fuel_per_second: 0, ..measured }.match_spec(CHEAP, SETTINGS, &terms, &parse(1_000_000_000)).is_ok(),
        "not measured"
    );
}

#[test]
fn a_run_window_must_leave_time_to_land_the_result_again() {
    let careful = Offer { min_window: Pace::FILECOIN.min_window(), ..offer(FIL / 10) };
    let spec = crate::spec::parse(SpecCodec::DagCbor, &spec(1)).expect("valid");
    let check = |run_for| careful.match_spec(CHEAP, SETTINGS, &Terms { run_for, ..terms(0, &Bytes::new()) }, &spec);
    assert_eq!(check(274), Err(Refusal::RunWindow { run_for: 274, wall: 5, needed: 275 }));
    assert!(check(275).is_ok());
    assert!(check(5 + u32::try_from(Pace::FILECOIN.run_margin()).expect("small")).is_ok(), "the default will do");
}
