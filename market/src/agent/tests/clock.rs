//! A chain whose clock jumps ahead, and whose blocks with the later times are undone: what time alone decided is decided anew.

use super::*;

fn one_provider() -> World {
    let parties = vec![Party::new(CLIENT, None), Party::new(CHEAP, Some(offer(FIL / 10)))];
    World { forks: true, ..World::new(parties) }
}

/// A block comes that is so many seconds later; time and block before.
pub(super) fn jump(world: &mut World, seconds: u64) -> (Time, u64) {
    let before = (world.now, world.block);
    (world.now, world.block) = (world.now.after(seconds), world.block + 1);
    before
}

/// The blocks above this one are undone, and another comes at this time; parties are told in the order in which nodes tell them.
pub(super) fn undo(world: &mut World, (time, block): (Time, u64)) {
    let late = std::mem::replace(&mut world.now, time);
    world.block = block + 1;
    let (finalized, latest) = (world.finalized(), At { block: world.block, time });
    for party in &mut world.parties {
        // What time it is, the next block says.
        party.input(Input::Rewind { block }, late);
        party.input(Input::Head { block: latest.block, finalized, latest }, time);
        let open: Vec<_> = party.stored.values().filter(|change| change.job.view.status == Status::Open).collect();
        let wanted: Vec<JobId> =
            open.iter().map(|change| &change.job).filter(|job| party.agent.wants(job)).map(Job::id).collect();
        for job in wanted {
            party.know(job, time);
        }
    }
}

#[test]
fn what_failed_at_a_time_that_was_undone_is_not_waited_for_until_that_time_comes_again() {
    let mut world = one_provider();
    world.party(CLIENT).withholds = true;
    let job = world.request(0);
    world.run(60);
    assert_eq!(world.status(job), Status::Settled);
    let before = jump(&mut world, 3_600);
    world.run(2);
    let state = |world: &mut World| world.party(CLIENT).stored[&job].job.steps[&Step::Verify].clone();
    assert!(matches!(state(&mut world), StepState::Waiting { until, .. } if until > before.0.after(3_600)));
    undo(&mut world, before);
    assert!(matches!(state(&mut world), StepState::Waiting { until, .. } if until <= before.0.after(60)));
    world.party(CLIENT).withholds = false;
    world.run(61);
    assert_eq!(state(&mut world), StepState::Done);
}

#[test]
fn a_record_with_a_time_that_was_undone_waits_no_longer_after_a_restart() {
    let mut world = one_provider();
    world.party(CLIENT).withholds = true;
    let job = world.request(0);
    world.run(60);
    let before = jump(&mut world, 3_600);
    world.run(2);
    // Killed before it hears that the blocks are undone.
    (world.now, world.block) = (before.0, before.1 + 1);
    world.party(CLIENT).crash(before.0);
    world.party(CLIENT).withholds = false;
    world.run(61);
    assert_eq!(world.party(CLIENT).stored[&job].job.steps[&Step::Verify], StepState::Done);
}

/// A job whose price begins to rise after ten minutes.
fn later(world: &mut World) -> JobId {
    let spec = spec(1_000_000);
    let terms = Terms { ramp_start: Time(START + 600), lock_by: Time(START + 1_000), ..terms(0, &spec) };
    let job = world.request_with(terms, spec);
    world.run(5);
    assert_eq!(world.party(CHEAP).decision(job), Some(Decision::Wanted));
    job
}

#[test]
fn a_job_that_was_too_late_only_on_blocks_that_are_undone_is_taken() {
    let mut world = one_provider();
    let job = later(&mut world);
    let before = jump(&mut world, 3_600);
    // The client, who would end it, hears nothing of this.
    while world.step(1) {}
    assert_eq!(world.party(CHEAP).decision(job), Some(Decision::Lost));
    assert!(world.party(CHEAP).agent.is_empty(), "it was let go of");
    undo(&mut world, before);
    world.run(800);
    assert_eq!((world.status(job), world.settled_events(job)), (Status::Settled, 1));
}

#[test]
fn a_lock_that_was_refused_for_being_too_late_on_blocks_that_are_undone_is_sent_again() {
    let mut world = one_provider();
    let job = later(&mut world);
    let before = jump(&mut world, 650);
    let latest = At { block: world.block, time: world.now };
    let party = world.party(CHEAP);
    party.input(Input::Head { block: latest.block, finalized: 0, latest }, latest.time);
    let lock = party.effects.pop_front();
    let Some(Effect::Do(key)) = lock.filter(|effect| matches!(effect, Effect::Do(key) if key.step == Step::Lock))
    else {
        panic!("it locks the job");
    };
    let rejection = crate::model::Rejection::TooLate { time: Time(START + 1_001), until: Time(START + 1_000) };
    let outcome = StepOutcome::Err(Failure::rejected(rejection, Some(latest.block)));
    party.input(Input::Done { key, outcome }, latest.time);
    assert!(party.stored[&job].job.failed(Step::Lock).is_some());
    undo(&mut world, before);
    world.run(800);
    assert_eq!((world.status(job), world.settled_events(job)), (Status::Settled, 1));
}
