//! Jobs that are directed to one provider: it alone may take them, or end them.

use super::*;

fn directed(provider: Address, terms: Terms) -> Terms {
    Terms { matcher: provider, ..terms }
}

fn request(world: &mut World, change: impl FnOnce(Terms) -> Terms) -> JobId {
    let spec = spec(1_000_000);
    let terms = change(terms(0, &spec));
    world.request_with(terms, spec)
}

#[test]
fn the_provider_that_is_named_takes_the_job_at_the_highest_price_and_others_leave_it() {
    // The dearer one: without its name the cheaper one would be first.
    for is_reviewed in [false, true] {
        let mut world = world();
        let job = request(&mut world, |terms| directed(DEAR, if is_reviewed { reviewed(terms) } else { terms }));
        world.run(60);
        assert_eq!(world.status(job), Status::Settled);
        assert_eq!(world.market().balance(DEAR), AttoFil(11 * FIL), "a fixed offer: the highest price");
        assert_eq!((world.party(DEAR).runs, world.party(CHEAP).runs), (1, 0));
        assert_eq!(world.party(CHEAP).decision(job), Some(Decision::Refused(Refusal::Matcher(DEAR))));
        let refusal = Refusal::Matcher(DEAR).to_string();
        assert!(refusal.starts_with(&format!("the job is directed to {DEAR}")), "{refusal}");
        assert_eq!(world.market().deals().count(), 0);
        assert!(world.parties.iter().all(|party| party.agent.is_empty()));
    }
}

#[test]
fn it_is_taken_before_the_ramp_begins_and_with_the_providers_own_collateral() {
    let mut world = world();
    let job = request(&mut world, |terms| directed(CHEAP, Terms { ramp_start: Time(START + 60), ..terms }));
    world.party(CHEAP).stuck = true;
    world.run(5);
    assert_eq!(world.status(job), Status::Locked);
    assert_eq!(world.market().balance(CHEAP), AttoFil(10 * FIL - FIL / 2));
    assert_eq!(world.market().collateral(), AttoFil(FIL / 2));
}

#[test]
fn what_it_refuses_it_cancels_so_that_the_client_need_not_wait() {
    let mut world = world();
    // It asks 0.2 FIL.
    let poor = |terms| directed(DEAR, Terms { max_price: AttoFil(FIL / 10), ..terms });
    let job = request(&mut world, poor);
    world.run(3);
    assert_eq!(world.status(job), Status::Cancelled);
    assert_eq!(world.market().balance(CLIENT), AttoFil(FIL / 10), "the escrow came back");
    let refusal = Refusal::Price { offered: AttoFil(FIL / 10), asking: AttoFil(FIL / 5) };
    assert_eq!(world.party(DEAR).decision(job), Some(Decision::Refused(refusal)));
    let cancelled = world.landed.iter().filter(|(_, key)| key.to_string().ends_with("/cancel"));
    assert_eq!(cancelled.map(|(who, _)| *who).collect::<Vec<_>>(), [DEAR]);
    assert!(world.parties.iter().all(|party| party.agent.is_empty()));
}

#[test]
fn by_its_settings_it_pays_for_no_cancellation_and_the_job_expires() {
    let offer = Offer { cancel_refused: false, ..offer(FIL / 5) };
    let mut world = World::new(vec![Party::new(CLIENT, None), Party::new(DEAR, Some(offer))]);
    let job = request(&mut world, |terms| directed(DEAR, Terms { max_price: AttoFil(FIL / 10), ..terms }));
    world.run(5);
    assert_eq!(world.status(job), Status::Open);
    assert!(world.party(DEAR).agent.is_empty());
    world.run(200);
    assert_eq!(world.status(job), Status::Cancelled, "the client ends it after lock_by");
    assert!(!world.landed.iter().any(|(_, key)| key.to_string().ends_with("/cancel")));
}

#[test]
fn it_pays_for_no_callback_of_a_job_that_it_refuses() {
    let mut world = world();
    let hungry = |terms| {
        directed(DEAR, Terms { callback_gas: SETTINGS.max_callback_gas, max_price: AttoFil(FIL / 10), ..terms })
    };
    let job = request(&mut world, hungry);
    world.run(5);
    assert!(matches!(world.party(DEAR).decision(job), Some(Decision::Refused(_))));
    assert_eq!(world.status(job), Status::Open);
    assert!(
        world.landed.iter().all(|(who, _)| *who != DEAR),
        "a cancellation would call the stranger back at its cost"
    );
}

#[test]
fn its_client_cannot_cancel_it_and_does_not_try() {
    // Directed to somebody who is not there.
    let mut world = World::new(vec![Party::new(CLIENT, None)]);
    let job = request(&mut world, |terms| directed(DEAR, terms));
    world.run(2);
    let now = world.now;
    world.party(CLIENT).input(Input::Cancel(job), now);
    world.run(20);
    assert_eq!((world.status(job), world.refusals), (Status::Open, 0));
    world.run(200);
    assert_eq!(world.status(job), Status::Cancelled);
    assert_eq!(folded(&world.log, job).map(|view| view.reason), Some(Reason::NotLocked));
}

#[test]
fn a_cancellation_is_sent_again_on_another_fork_and_after_a_crash() {
    let mut world = World { forks: true, ..world() };
    let job = request(&mut world, |terms| directed(DEAR, Terms { max_price: AttoFil(FIL / 10), ..terms }));
    world.run(3);
    assert_eq!(world.status(job), Status::Cancelled);
    // The cancellation is undone, the opening is not.
    world.reorganise(1);
    assert_eq!(world.status(job), Status::Open);
    let now = world.now;
    world.party(DEAR).crash(now);
    world.run(3);
    assert_eq!(world.status(job), Status::Cancelled);
    let events = world.log.iter().filter(|(_, _, event)| matches!(event, Event::JobCancelled { .. })).count();
    assert_eq!(events, 1);
}
