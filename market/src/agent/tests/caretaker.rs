//! Contracts as clients, and who looks after their jobs.

use super::*;

const CONTRACT: Address = Address::repeat_byte(0xCC);
const STEWARD: Address = Address::repeat_byte(0x5E);

fn these(clients: &[Address]) -> LookAfter {
    LookAfter::These(clients.iter().copied().collect())
}

/// A contract opens a job, as a transaction of somebody's made it; it does nothing else by itself.
fn opened(world: &mut World) -> JobId {
    opened_on(world, |terms| terms)
}

fn opened_on(world: &mut World, change: impl FnOnce(Terms) -> Terms) -> JobId {
    let spec = spec(1_000_000);
    let terms = change(Terms { client: CONTRACT, callback_gas: 1_000, ..terms(0, &spec) });
    world.apply(CONTRACT, &Command::Open { terms: terms.clone(), spec }, terms.max_price).expect("opened");
    id_of(&terms)
}

#[test]
fn an_untaken_job_is_expired_for_its_client_and_for_nobody_else() {
    for (look_after, cared_for) in [
        (these(&[CONTRACT]), true),
        (LookAfter::Everybody, true),
        (these(&[CLIENT]), false),
        (LookAfter::Nobody, false),
    ] {
        let mut world = World::new(vec![Party::steward(STEWARD, look_after.clone())]);
        let job = opened(&mut world);
        world.run(5);
        // A restart forgets nothing of it.
        let now = world.now;
        world.party(STEWARD).crash(now);
        world.run(400);
        let (status, refund) =
            if cared_for { (Status::Cancelled, AttoFil(FIL)) } else { (Status::Open, AttoFil::ZERO) };
        assert_eq!(world.status(job), status, "{look_after:?}");
        assert_eq!(world.market().balance(CONTRACT), refund, "{look_after:?}");
        assert!(world.party(STEWARD).agent.is_empty(), "{look_after:?}");
    }
}

#[test]
fn a_provider_that_is_late_with_a_contracts_job_is_slashed() {
    let stuck = Party { stuck: true, ..Party::new(CHEAP, Some(offer(FIL / 10))) };
    let mut world = World::new(vec![stuck, Party::steward(STEWARD, these(&[CONTRACT]))]);
    let job = opened(&mut world);
    world.run(400);
    assert_eq!(world.status(job), Status::Slashed);
    assert_eq!(world.market().balance(CONTRACT), AttoFil(FIL + FIL / 4), "its money and half the stake");
}

#[test]
fn the_provider_settles_itself_and_the_steward_when_it_is_gone() {
    for gone in [false, true] {
        let mut world =
            World::new(vec![Party::new(CHEAP, Some(offer(FIL / 10))), Party::steward(STEWARD, these(&[CONTRACT]))]);
        let job = opened_on(&mut world, reviewed);
        while world.status(job) != Status::Submitted {
            world.run(1);
        }
        if gone {
            world.parties.remove(0);
        }
        world.run(60);
        assert_eq!(world.status(job), Status::Settled);
        let senders: Vec<Address> =
            world.landed.iter().filter(|(_, key)| key.to_string().ends_with("/settle")).map(|(who, _)| *who).collect();
        assert_eq!(senders, [if gone { STEWARD } else { CHEAP }]);
    }
}

#[test]
fn a_callback_is_tried_again_for_a_contract_and_given_up_in_the_end() {
    for heals in [true, false] {
        let mut world =
            World::new(vec![Party::new(CHEAP, Some(offer(FIL / 10))), Party::steward(STEWARD, these(&[CONTRACT]))]);
        world.callback_works = false;
        let job = opened(&mut world);
        world.run(60);
        assert_eq!(world.status(job), Status::Settled, "a callback that fails holds nothing up");
        assert!(world.retries > 1);
        world.callback_works = heals;
        world.run(2_000);
        assert_eq!(world.market().deal(job).callback_pending, !heals);
        assert!(heals || world.retries == 10, "{} retries", world.retries);
        assert!(world.party(STEWARD).agent.is_empty(), "it is let go of");
    }
}

#[test]
fn a_client_whose_callbacks_fail_at_the_stewards_cost_is_dropped_after_two_and_that_is_remembered() {
    let provider = Party::new(CHEAP, Some(offer(FIL / 10)));
    let mut world = World::new(vec![provider, Party::steward(STEWARD, LookAfter::Everybody)]);
    (world.callback_works, world.callback_deceives) = (false, true);
    let open = |world: &mut World, client: Address, salt: u64| {
        let spec = spec(1_000_000);
        let lock_by = world.now.after(120);
        let terms = Terms { client, callback_gas: 1_000, ramp_start: world.now, lock_by, ..terms(salt, &spec) };
        world.apply(client, &Command::Open { terms: terms.clone(), spec }, terms.max_price).expect("opened");
        id_of(&terms)
    };
    let first = open(&mut world, CONTRACT, 0);
    world.run(300);
    assert_eq!((world.status(first), world.retries), (Status::Settled, 2));
    let failure = |world: &mut World, job| world.party(STEWARD).stored[&job].job.failed(Step::RetryCallback).cloned();
    assert_eq!(failure(&mut world, first), Some(Failure::ClientDropped { client: CONTRACT, failures: 2 }));
    assert!(world.party(STEWARD).agent.is_empty(), "it waits for nothing");

    // Nor are its other jobs' callbacks tried, also after a restart; those of others are.
    let now = world.now;
    world.party(STEWARD).crash(now);
    let second = open(&mut world, CONTRACT, 1);
    world.run(300);
    assert_eq!((world.status(second), world.retries), (Status::Settled, 2));
    world.callback_deceives = false;
    let other = open(&mut world, Address::repeat_byte(0xCE), 0);
    world.run(15);
    world.callback_works = true;
    world.run(300);
    assert!(!world.market().deal(other).callback_pending && world.retries > 2);
    assert!(world.market().deal(second).callback_pending);
}

#[test]
fn a_job_is_taken_up_again_when_its_client_is_looked_after() {
    let mut world = World::new(vec![Party::steward(STEWARD, LookAfter::Nobody)]);
    let job = opened(&mut world);
    world.run(2);
    let now = world.now;
    let steward = world.party(STEWARD);
    assert!(steward.agent.is_empty(), "it is not its affair");
    steward.look_after = these(&[CONTRACT]);
    steward.crash(now);
    let stored = steward.stored[&job].job.clone();
    assert!(steward.agent.wants(&stored));
    drop(steward.agent.restore(stored, now));
    world.run(400);
    assert_eq!(world.status(job), Status::Cancelled);
}
