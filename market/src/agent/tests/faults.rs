//! Parties that crash whenever, on a chain that is reorganised however often.

use std::cell::Cell;

use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};

use super::{super::provider::Provider, *};

/// What goes wrong between steps.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Crash {
        party: usize,
    },
    /// Its node is told to end; it does when it crashes the next time.
    Drain {
        party: usize,
    },
    Reorganisation {
        commands: usize,
    },
    Second,
    None,
}

fn faults() -> impl Strategy<Value = Vec<(Fault, usize)>> {
    let fault = prop_oneof![
        (0usize..3).prop_map(|party| Fault::Crash { party }),
        (0usize..3).prop_map(|party| Fault::Drain { party }),
        (0usize..6).prop_map(|commands| Fault::Reorganisation { commands }),
        Just(Fault::Second),
        Just(Fault::None),
    ];
    prop::collection::vec((fault, 1usize..12), 0..40)
}

/// How many jobs ended how.
#[derive(Debug, Default)]
struct Ends {
    settled: Cell<u64>,
    otherwise: Cell<u64>,
}

/// Every job ends once, everybody is paid once, and all the money is there. While the time that was lost, and that in which a
/// command may have been undone unnoticed, is less than a run may take, every job is settled.
fn nothing_is_lost(faults: &[(Fault, usize)], jobs: u64, run_for: u32, ends: &Ends) -> Result<(), TestCaseError> {
    let mut world = World { forks: true, ..world() };
    // Every other job is reviewed.
    let spec = spec(1_000_000);
    let terms = |salt: u64| {
        let terms = Terms { run_for, ..terms(salt, &spec) };
        // One in three is directed to a provider.
        let terms = if salt % 3 == 2 { Terms { matcher: DEAR, ..terms } } else { terms };
        if salt.is_multiple_of(2) { terms } else { reviewed(terms) }
    };
    let ids: Vec<JobId> = (0..jobs).map(|salt| world.request_with(terms(salt), spec.clone())).collect();
    let mut drained = [false; 3];
    for (fault, steps) in faults {
        for index in 0..*steps {
            world.step(index % 3);
        }
        match fault {
            Fault::Crash { party } => {
                let now = world.now;
                world.parties[*party].crash(now);
            }
            Fault::Drain { party } => {
                let now = world.now;
                world.parties[*party].input(Input::Drain, now);
                drained[*party] = true;
            }
            Fault::Reorganisation { commands } => world.reorganise(*commands),
            Fault::Second => world.second(),
            Fault::None => {}
        }
    }
    for (party, is_drained) in drained.into_iter().enumerate() {
        if is_drained {
            let now = world.now;
            world.parties[party].crash(now);
        }
    }
    let lost = world.now.since(Time(START));
    let in_time = lost + Pace::INSTANT.recheck() < u64::from(run_for);
    world.forks = false;
    world.run(400);
    for id in &ids {
        let status = world.status(*id);
        prop_assert!(status.is_final(), "{id} is {status:?}");
        prop_assert_eq!(world.settled_events(*id), usize::from(status == Status::Settled));
        prop_assert!(!in_time || status == Status::Settled, "nobody was late, and {} is {:?}", id, status);
        let count = if status == Status::Settled { &ends.settled } else { &ends.otherwise };
        count.set(count.get() + 1);
    }
    let paid_in = 20 * FIL + u128::from(jobs) * FIL;
    let accounts: AttoFil = [CLIENT, CHEAP, DEAR].map(|account| world.market().balance(account)).into_iter().sum();
    prop_assert_eq!(accounts.0 + world.market().burned().0, paid_in);
    prop_assert_eq!(world.market().escrowed().0 + world.market().collateral().0, 0);
    prop_assert_eq!(world.market().deals().count(), 0, "the market keeps something of jobs that are over");
    for party in &world.parties {
        let agent = &party.agent;
        prop_assert!(agent.is_empty(), "{} still holds {} jobs", party.me, agent.len());
        prop_assert_eq!(kept(agent), [0; 6], "{} keeps something of jobs that are over", party.me);
        prop_assert!(party.pinned.is_empty(), "{} holds the inputs of jobs that are over", party.me);
    }
    Ok(())
}

/// How many jobs an agent keeps something of.
fn kept(agent: &Agent) -> [usize; 6] {
    let Provider { running, queue, .. } = &agent.provider;
    [agent.len(), agent.times.len(), agent.blocks.len(), agent.unsettled.len(), running.len(), queue.len()]
}

#[test]
fn crashes_and_reorganisations_lose_nothing() {
    let ends = Ends::default();
    let mut runner = TestRunner::new(Config { source_file: Some(file!()), ..Config::default() });
    let outcome = runner.run(&(faults(), 1u64..4, prop_oneof![Just(30u32), Just(90)]), |(faults, jobs, run_for)| {
        nothing_is_lost(&faults, jobs, run_for, &ends)
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    let (settled, otherwise) = (ends.settled.get(), ends.otherwise.get());
    assert!(settled > 9 * otherwise, "{settled} jobs were settled, {otherwise} ended otherwise");
}

#[test]
fn nothing_is_kept_of_jobs_that_are_over() {
    let mut world = world();
    let far = 364 * 86_400;
    let mut ids = Vec::new();
    for salt in 0..60 {
        let spec = spec(1_000_000);
        // They may be locked for a year, but are over at once.
        let terms = Terms { lock_by: Time(START + far), ramp_start: world.now, ramp_period: 1, ..terms(salt, &spec) };
        let (id, value, now) = (id_of(&terms), terms.max_price, world.now);
        world.party(CLIENT).input(Input::Request(Box::new(Request { id, terms, spec, value })), now);
        ids.push(id);
        if salt % 3 == 0 {
            // One in three is withdrawn.
            world.step(0);
            let now = world.now;
            world.party(CLIENT).input(Input::Cancel(id), now);
        }
        world.run(2);
        for party in &world.parties {
            let (wakes, jobs) = (party.agent.times.len(), party.agent.len());
            assert!(wakes <= jobs, "{} is to be woken {wakes} times for {jobs} jobs", party.me);
        }
    }
    world.run(60);
    let ended = |status| ids.iter().filter(|id| world.status(**id) == status).count();
    assert_eq!((ended(Status::Settled), ended(Status::Cancelled)), (40, 20));
    for party in &world.parties {
        assert_eq!(kept(&party.agent), [0; 6]);
    }
}
