//! A provider whose own machine fails it, so that no result can come.

use super::*;

fn broken() -> Failure {
    Failure::OwnFault { fault: OwnFault::Executor, problem: "it does not start".to_owned() }
}

fn gave_up(world: &World) -> usize {
    world.landed.iter().filter(|(_, key)| key.to_string().ends_with("/give-up")).count()
}

/// A world in which the cheaper provider has locked a job with a long window and cannot run it.
fn locked(forks: bool) -> (World, JobId) {
    let mut world = World { forks, ..world() };
    world.party(CHEAP).fails = Some(broken());
    let bytes = spec(1_000_000);
    let lock_by = Time(START + 10_000);
    let job = world.request_with(Terms { run_for: 10_000, lock_by, ..terms(0, &bytes) }, bytes);
    while world.status(job) != Status::Locked {
        world.run(1);
    }
    (world, job)
}

#[test]
fn it_gives_up_once_and_the_client_need_not_wait_for_the_window() {
    let (mut world, job) = locked(false);
    let begun = world.now;
    while world.status(job) == Status::Locked {
        world.run(1);
    }
    let waited = world.now.since(begun);
    assert!(
        (60..200).contains(&waited),
        "what is wrong has time to pass, and the window is not waited for: {waited} s"
    );
    assert_eq!(world.party(CHEAP).runs, 8, "it tries again first");
    let view = folded(&world.log, job).expect("it was opened");
    assert_eq!((view.status, view.reason), (Status::Slashed, Reason::NotSubmitted));
    assert_eq!(world.market().balance(CLIENT), AttoFil(FIL + FIL / 4));
    assert_eq!(gave_up(&world), 1);
    world.run(20);
    assert_eq!(world.party(CHEAP).agent.suspended(), Some(job), "it locks nothing more until somebody has looked");
    assert!(world.parties.iter().all(|party| party.agent.is_empty()));
}

#[test]
fn what_passes_in_time_is_no_reason_to_give_up() {
    let (mut world, job) = locked(false);
    world.run(10);
    assert!(world.party(CHEAP).runs > 2);
    world.party(CHEAP).fails = None;
    world.run(60);
    assert_eq!((world.status(job), gave_up(&world)), (Status::Settled, 0));
}

#[test]
fn it_gives_up_before_the_window_ends_if_that_is_short() {
    let mut world = world();
    world.party(CHEAP).fails = Some(broken());
    let job = world.request_to_run_for(0, 20);
    world.run(60);
    assert_eq!((world.status(job), gave_up(&world)), (Status::Slashed, 1));
    assert!(world.party(CHEAP).runs < 8);
}

#[test]
fn for_what_is_not_its_own_fault_it_does_not_give_up() {
    for failure in [Failure::Permanent("so be it".to_owned()), Failure::Temporary("not now".to_owned())] {
        let mut world = world();
        world.party(CHEAP).fails = Some(failure);
        let job = world.request_to_run_for(0, 300);
        world.run(200);
        assert_eq!((world.status(job), gave_up(&world)), (Status::Locked, 0));
    }
}

#[test]
fn a_result_is_never_given_up_for() {
    let (mut world, job) = locked(false);
    world.party(CHEAP).fails = None;
    world.party(CHEAP).cannot_publish = Some(broken());
    world.run(400);
    assert_eq!(
        (world.status(job), gave_up(&world)),
        (Status::Locked, 0),
        "publishing is tried as long as there is time"
    );
    world.party(CHEAP).cannot_publish = None;
    world.run(70);
    assert_eq!(world.status(job), Status::Settled);
}

#[test]
fn across_crashes_and_reorganisations_it_gives_up_once() {
    let (mut world, job) = locked(true);
    let give_up = |world: &mut World| {
        for _ in 0..200 {
            let now = world.now;
            world.party(CHEAP).crash(now);
            world.run(1);
            if world.status(job) == Status::Slashed {
                return;
            }
        }
        panic!("it does not give up: {:?}", world.status(job));
    };
    give_up(&mut world);
    // The command is undone, the lock is not.
    world.reorganise(1);
    assert_eq!((world.status(job), gave_up(&world)), (Status::Locked, 0));
    give_up(&mut world);
    world.run(5);
    let slashes = world.log.iter().filter(|(_, _, event)| matches!(event, Event::JobSlashed { .. })).count();
    assert_eq!((slashes, gave_up(&world)), (1, 1));
}

#[test]
fn a_job_that_it_could_not_run_it_does_not_lock_on_another_fork() {
    let (mut world, job) = locked(true);
    while world.status(job) != Status::Slashed {
        world.run(1);
    }
    // Both the lock and the end are undone.
    world.reorganise(2);
    assert_eq!(world.status(job), Status::Open);
    world.run(60);
    assert_eq!(world.market().balance(DEAR), AttoFil(11 * FIL), "somebody else runs it, at the ramp's end");
    assert!(matches!(world.party(CHEAP).decision(job), Some(Decision::Refused(Refusal::Content(_)))));
    assert_eq!((world.status(job), gave_up(&world)), (Status::Settled, 0));
}
