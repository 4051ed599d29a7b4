//! What an operator takes out of the auction by hand while the provider bids.

use super::*;

const INDEX: usize = 1;

fn one_bidder() -> World {
    World::new(vec![Party::new(CLIENT, None), bidder(CHEAP, FIL / 10).keeping_bid_money(1_000_000)])
}

/// What is free, as the bidder's node asks when its operator wants some.
fn free(world: &mut World) -> BidMoney {
    let (held, now) = (in_auction(world, CHEAP), world.now);
    let party = world.party(CHEAP);
    party.input(Input::AuctionBalance(held), now);
    party.agent.bid_money().expect("it was told")
}

/// The operator takes money out, which leaves by a command that is none of the agent's.
fn take(world: &mut World, amount: AttoFil, filling: Filling) {
    let now = world.now;
    world.party(CHEAP).input(Input::TakeBidMoney { amount, filling }, now);
    // Meanwhile it does what it likes.
    while world.step(INDEX) {}
    let command = auction::Command::Withdraw { to: CHEAP, amount };
    let key = EffectKey::named(&format!("by hand at {now}"));
    let outcome = world.submit_to_auction(INDEX, key, &AuctionSubmission { command, value: AttoFil::ZERO });
    assert_eq!(outcome, StepOutcome::Ok, "nobody else has taken it");
    world.party(CHEAP).input(Input::BidMoneyLeaving(AttoFil::ZERO), now);
}

#[test]
fn what_is_taken_out_between_auctions_stays_out_until_the_operator_resumes() {
    let mut world = one_bidder();
    auctioned_now(&mut world, 0);
    world.run(130);
    let money = free(&mut world);
    assert_eq!((money.held, money.bound, money.free()), (AttoFil(FIL / 2), AttoFil::ZERO, AttoFil(FIL / 2)));
    take(&mut world, AttoFil(FIL / 5), Filling::Stopped);
    assert_eq!(in_auction(&world, CHEAP), AttoFil(3 * FIL / 10));
    for salt in 1..3 {
        let job = auctioned_now(&mut world, salt);
        world.run(130);
        assert_eq!(world.party(CHEAP).decision(job), Some(Decision::Refused(Refusal::NoBidMoney)));
        assert_eq!(transfers(&world, CHEAP), (1, 1), "nothing is brought, and nothing more is taken");
        let now = world.now;
        world.party(CHEAP).crash(now);
    }
    let now = world.now;
    world.party(CHEAP).input(Input::Resume, now);
    let job = auctioned_now(&mut world, 3);
    world.run(130);
    assert_eq!(world.status(job), Status::Settled);
    assert_eq!(transfers(&world, CHEAP), (2, 1), "what is missing is brought again");
    let now = world.now;
    world.party(CHEAP).crash(now);
    assert!(world.party(CHEAP).agent.purse().filling.is_as_needed(), "also for the next process");
}

#[test]
fn what_is_left_there_further_bids_use() {
    let mut world = one_bidder();
    // Three at a time: what these leave is more than one bid needs.
    let jobs: Vec<_> = (0..3).map(|salt| auctioned_now(&mut world, salt)).collect();
    world.run(130);
    assert!(jobs.into_iter().all(|job| world.status(job) == Status::Settled));
    let free = free(&mut world).free();
    let brought = transfers(&world, CHEAP).0;
    take(&mut world, free.saturating_sub(AttoFil(FIL)), Filling::Stopped);
    let jobs = [7, 8].map(|salt| auctioned_now(&mut world, salt));
    world.run(130);
    let done = jobs.into_iter().filter(|job| world.status(*job) == Status::Settled).count();
    assert_eq!(done, 1, "there is enough for one bid");
    assert_eq!(transfers(&world, CHEAP), (brought, 1));
}

#[test]
fn what_sealed_bids_need_stays_and_comes_back_by_itself_when_they_are_over() {
    // Crashes at every step: the first one after which nothing happens any more ends it.
    for crash_at in 1.. {
        let mut world = World::new(vec![
            Party::new(CLIENT, None),
            bidder(CHEAP, FIL / 10).keeping_bid_money(1_000_000),
            bidder(DEAR, FIL / 5),
        ]);
        let dear = |world: &mut World, terms: Terms| {
            let spec = spec(1_000_000);
            world.request_with(Terms { collateral: AttoFil(3 * FIL / 2), ..terms }, spec)
        };
        let terms = auctioned(0, &spec(1_000_000));
        let job = dear(&mut world, terms);
        world.run(5);
        assert_eq!(commits(&world).len(), 2);
        // The deposit of 1 FIL is out; half a FIL is for the collateral.
        let money = free(&mut world);
        assert_eq!((money.held, money.bound, money.bids), (AttoFil(FIL / 2), AttoFil(FIL / 2), 1));
        take(&mut world, AttoFil::ZERO, Filling::Emptied);
        let (mut steps, mut crashed) = (0, false);
        for _ in 0..130 {
            while (0..world.parties.len()).any(|index| world.step(index)) {
                steps += 1;
                if steps == crash_at {
                    let now = world.now;
                    world.party(CHEAP).crash(now);
                    crashed = true;
                }
            }
            world.second();
        }
        let view = folded(&world.log, job).expect("it was opened");
        assert_eq!((view.status, view.provider), (Status::Settled, CHEAP), "its bid was not let down ({crash_at})");
        assert_eq!(in_auction(&world, CHEAP), AttoFil::ZERO, "{crash_at}");
        let next = auctioned_now(&mut world, 9);
        world.run(130);
        assert_eq!(world.party(CHEAP).decision(next), Some(Decision::Refused(Refusal::NoBidMoney)));
        assert_eq!((in_auction(&world, CHEAP), transfers(&world, CHEAP).0), (AttoFil::ZERO, 1), "{crash_at}");
        if !crashed {
            assert!(crash_at > 10, "it did something: {crash_at}");
            return;
        }
    }
}
