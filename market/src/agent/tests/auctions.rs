//! Providers that bid: sealed, opened when that is safe, awarded, and their money back.

use super::*;
use crate::{B256, auction};

const LAZY: Address = Address::repeat_byte(0xA3);
/// When bids are opened, and until when, in the tests' terms.
const OPENS: u64 = START + 40;
const CLOSES: u64 = START + 80;

fn bidder(me: Address, price: u128) -> Party {
    Party::new(me, Some(Offer { matchers: vec![AUCTION.contract], ..offer(price) }))
}

fn bidders() -> World {
    World::new(vec![
        Party::new(CLIENT, None),
        bidder(CHEAP, FIL / 10),
        bidder(DEAR, FIL / 5),
        bidder(LAZY, 3 * FIL / 10),
    ])
}

/// Bids are sealed for 40 s, opened for 40 s, and awarded within 40 s.
fn auctioned(salt: u64, spec: &Bytes) -> Terms {
    Terms {
        matcher: AUCTION.contract,
        ramp_start: Time(OPENS),
        ramp_period: CLOSES - OPENS,
        collateral: AttoFil(FIL / 2),
        ..terms(salt, spec)
    }
}

fn request(world: &mut World) -> JobId {
    let spec = spec(1_000_000);
    world.request_with(auctioned(0, &spec), spec)
}

fn events(world: &World, is: impl Fn(&auction::Event) -> bool) -> Vec<Address> {
    let bidder = |event: &auction::Event| match event {
        auction::Event::BidCommitted { bidder, .. } | auction::Event::BidRevealed { bidder, .. } => Some(*bidder),
        auction::Event::AuctionAwarded { winner, .. } => Some(*winner),
        _ => None,
    };
    world.auction_log.iter().filter(|(_, _, event)| is(event)).filter_map(|(_, _, event)| bidder(event)).collect()
}

fn commits(world: &World) -> Vec<Address> {
    events(world, |event| matches!(event, auction::Event::BidCommitted { .. }))
}

fn reveals(world: &World) -> Vec<Address> {
    events(world, |event| matches!(event, auction::Event::BidRevealed { .. }))
}

/// The job was done by the cheapest at the price of the next, and nothing of anybody's is left in the auction.
fn assert_second_price(world: &mut World, job: JobId) {
    let view = folded(&world.log, job).expect("it was opened");
    assert_eq!((view.status, view.provider, view.price), (Status::Settled, CHEAP, AttoFil(FIL / 5)));
    assert_eq!(world.market().balance(CLIENT), AttoFil(FIL - FIL / 5));
    let auction = world.market.auction();
    assert_eq!((auction.held(), auction.commitments().count()), (AttoFil::ZERO, 0), "everything was taken back");
    for me in [CHEAP, DEAR, LAZY] {
        let bid = world.party(me).stored[&job].job.bid.clone().expect("it bid");
        assert!(bid.over, "{me}: {bid:?}");
    }
    // A deposit of 1 FIL each was brought from outside; the winner's collateral is in its account in the market now.
    assert_eq!([DEAR, LAZY].map(|me| world.market.wallet(me)), [AttoFil(FIL); 2]);
    assert_eq!(world.market.wallet(CHEAP), AttoFil(FIL - FIL / 2));
    assert_eq!(world.market().balance(CHEAP), AttoFil(10 * FIL + FIL / 2 + FIL / 5));
}

#[test]
fn the_lowest_of_three_bids_wins_at_the_second_price_and_losers_get_their_money_back() {
    let mut world = bidders();
    let job = request(&mut world);
    world.run(130);
    assert_second_price(&mut world, job);
    assert_eq!((commits(&world).len(), reveals(&world).len()), (3, 3));
    assert_eq!([CHEAP, DEAR, LAZY].map(|me| world.party(me).runs), [1, 0, 0]);
    assert!(world.parties.iter().all(|party| party.agent.is_empty()), "finished jobs leave the agents");
    let lost = world.party(DEAR).decision(job);
    assert_eq!(lost, Some(Decision::Lost));
}

#[test]
fn a_lone_bidder_is_paid_the_highest_price() {
    let mut world = World::new(vec![Party::new(CLIENT, None), bidder(CHEAP, FIL / 10)]);
    let job = request(&mut world);
    world.run(130);
    let view = folded(&world.log, job).expect("it was opened");
    assert_eq!((view.status, view.provider, view.price), (Status::Settled, CHEAP, AttoFil(FIL)));
}

#[test]
fn bidders_that_are_killed_at_any_moment_bid_once_and_lose_nothing() {
    let mut world = bidders();
    let job = request(&mut world);
    for second in 0..130 {
        let mut index = 0;
        // After each single step the process of whoever took it is killed.
        for _ in 0..400 {
            index = (index + 1) % world.parties.len();
            world.step(index);
            if second % 2 == 0 {
                let now = world.now;
                world.parties[index].crash(now);
            }
        }
        world.second();
    }
    world.run(10);
    assert_second_price(&mut world, job);
    assert_eq!((commits(&world).len(), reveals(&world).len()), (3, 3), "no bid is sealed twice");
}

#[test]
fn a_commit_that_is_undone_is_made_again_with_the_same_price_and_nonce() {
    let mut world = World { forks: true, ..bidders() };
    let job = request(&mut world);
    while commits(&world).len() < 3 {
        world.run(1);
    }
    let sealed = |world: &World| -> std::collections::BTreeSet<B256> {
        let of = |event: &auction::Event| match event {
            auction::Event::BidCommitted { commitment, .. } => Some(*commitment),
            _ => None,
        };
        world.auction_log.iter().filter_map(|(_, _, event)| of(event)).collect()
    };
    let before = sealed(&world);
    world.reorganise(5);
    assert!(commits(&world).len() < 3, "at least one commit is undone");
    // Some of them are killed meanwhile.
    let now = world.now;
    world.party(DEAR).crash(now);
    while world.now < Time(OPENS - 1) {
        world.run(1);
    }
    assert_eq!((commits(&world).len(), sealed(&world)), (3, before));
    world.forks = false;
    world.run(100);
    assert_second_price(&mut world, job);
}

#[test]
fn no_bid_is_opened_before_the_last_block_of_the_phase_before_is_final() {
    let mut world = World { forks: true, ..bidders() };
    request(&mut world);
    while world.now < Time(OPENS + 30) {
        world.run(1);
    }
    assert_eq!(commits(&world).len(), 3);
    assert!(reveals(&world).is_empty(), "a commit may still be undone");
    // Nor by one who has just started.
    let now = world.now;
    world.party(CHEAP).crash(now);
    world.run(2);
    assert!(reveals(&world).is_empty());
    world.forks = false;
    world.run(2);
    assert_eq!(reveals(&world).len(), 3, "and then they are");
    assert_eq!(events(&world, |event| matches!(event, auction::Event::AuctionAwarded { .. })), [Address::ZERO; 0]);
    world.run(15);
    assert_eq!(events(&world, |event| matches!(event, auction::Event::AuctionAwarded { .. })), [CHEAP]);
}

#[test]
fn a_bid_that_could_not_be_opened_safely_costs_its_deposit_and_nothing_else() {
    let mut world = World { forks: true, ..bidders() };
    let job = request(&mut world);
    while world.now < Time(CLOSES + 1) {
        world.run(1);
    }
    world.forks = false;
    world.run(60);
    assert!(reveals(&world).is_empty());
    assert_eq!((world.status(job), world.market().balance(CLIENT)), (Status::Cancelled, AttoFil(FIL)));
    assert_eq!(world.market.auction().burned(), AttoFil(3 * FIL));
    assert!(world.parties.iter().all(|party| party.agent.is_empty()), "nobody waits for anything");
}

#[test]
fn an_auction_that_nobody_awards_is_released_and_everybody_gets_the_stake_back() {
    let mut world = bidders();
    let job = request(&mut world);
    while reveals(&world).len() < 3 {
        world.run(1);
    }
    // Nobody does anything until it is too late.
    world.now = Time(START + 121);
    world.run(30);
    assert_eq!((world.status(job), world.market().balance(CLIENT)), (Status::Cancelled, AttoFil(FIL)));
    assert_eq!(world.market.auction().held(), AttoFil::ZERO);
    assert_eq!([CHEAP, DEAR, LAZY].map(|me| world.market.wallet(me)), [AttoFil(FIL); 3]);
}

#[test]
fn when_the_winner_is_gone_another_bidder_awards() {
    let mut world = bidders();
    let job = request(&mut world);
    while reveals(&world).len() < 3 {
        world.run(1);
    }
    world.parties.retain(|party| party.me != CHEAP);
    while world.now < Time(START + 118) {
        world.run(1);
    }
    assert_eq!(folded(&world.log, job).map(|view| (view.status, view.provider)), Some((Status::Locked, CHEAP)));
}

#[test]
fn phases_that_are_too_short_for_the_network_are_refused_with_numbers() {
    let pace = Pace { epoch: 1, undo_depth: 5, final_blocks: 10, careful_from: None };
    // Two landings and five blocks; ten blocks and a landing after five more; a landing after five blocks.
    assert_eq!((pace.sealing(), pace.opening(), pace.awarding()), (13, 19, 9));
    let refusal = |change: fn(&mut Terms)| {
        let mut world = World::new(vec![Party::new(CLIENT, None), bidder(CHEAP, FIL / 10).at_pace(pace)]);
        let spec = spec(1_000_000);
        let mut terms = auctioned(0, &spec);
        change(&mut terms);
        let job = world.request_with(terms, spec);
        world.run(3);
        match world.party(CHEAP).decision(job) {
            Some(Decision::Refused(refusal)) => Some(refusal),
            _ => None,
        }
    };
    let phase = |phase, seconds, needed| Some(Refusal::AuctionPhase { phase, seconds, needed });
    assert_eq!(refusal(|_| {}), None);
    assert_eq!(refusal(|terms| terms.ramp_start = Time(START + 12)), phase(Phase::Sealing, 12, 13));
    assert_eq!(refusal(|terms| terms.ramp_period = 18), phase(Phase::Opening, 18, 19));
    assert_eq!(refusal(|terms| terms.ramp_period = 19), None);
    assert_eq!(refusal(|terms| terms.lock_by = Time(CLOSES + 8)), phase(Phase::Awarding, 8, 9));
    let faulty = |fault| Some(Refusal::NoAuction(fault));
    assert_eq!(refusal(|terms| terms.min_price = terms.max_price), faulty(auction::AuctionFault::NoRange));
    assert_eq!(refusal(|terms| terms.ramp_period = 4), faulty(auction::AuctionFault::RevealPeriod));
    assert_eq!(refusal(|terms| terms.lock_by = Time(CLOSES)), faulty(auction::AuctionFault::TooLong));
    assert_eq!(Pace::FILECOIN.opening(), 570, "20 epochs will do");
}

#[test]
fn a_stranger_binds_neither_a_slot_for_long_nor_more_money_than_the_provider_says() {
    let refusal = |change: fn(&mut Terms)| {
        let matchers = vec![AUCTION.contract];
        let careful = Offer { matchers, max_window: 3_600, max_collateral: AttoFil(FIL / 2), ..offer(FIL / 10) };
        let mut world = World::new(vec![Party::new(CLIENT, None), Party::new(CHEAP, Some(careful))]);
        let spec = spec(1_000_000);
        let mut terms = auctioned(0, &spec);
        (terms.run_for, terms.min_price) = (600, AttoFil(terms.max_price.0 - FIL / 2));
        change(&mut terms);
        let job = world.request_with(terms, spec);
        world.run(3);
        match world.party(CHEAP).decision(job) {
            Some(Decision::Refused(refusal)) => Some(refusal),
            _ => None,
        }
    };
    assert_eq!(refusal(|_| {}), None);
    let long = refusal(|terms| terms.lock_by = Time(START + 2 * 3_600));
    assert!(matches!(long, Some(Refusal::LongAuction { seconds: 3_601.., limit: 3_600 })), "{long:?}");
    let dear = refusal(|terms| terms.min_price.0 -= FIL / 10);
    let (asked, limit) = (AttoFil(FIL / 2 + FIL / 10), AttoFil(FIL / 2));
    assert_eq!(dear, Some(Refusal::Deposit { asked, limit }));
}

#[test]
fn who_does_not_name_the_auction_does_not_bid() {
    let mut world = World::new(vec![Party::new(CLIENT, None), Party::new(CHEAP, Some(offer(FIL / 10)))]);
    let job = request(&mut world);
    world.run(60);
    assert_eq!(world.party(CHEAP).decision(job), Some(Decision::Refused(Refusal::Matcher(AUCTION.contract))));
    assert!(commits(&world).is_empty());
}

#[test]
fn a_client_cancels_an_auction_while_nobody_has_bid() {
    let mut world = World::new(vec![Party::new(CLIENT, None)]);
    let job = request(&mut world);
    world.run(3);
    let now = world.now;
    world.party(CLIENT).input(Input::Cancel(job), now);
    world.run(3);
    assert_eq!((world.status(job), world.market().balance(CLIENT)), (Status::Cancelled, AttoFil(FIL)));
}

#[test]
fn a_provider_seals_no_more_bids_than_it_can_run_jobs() {
    let one_slot = Offer { slots: 1, matchers: vec![AUCTION.contract], ..offer(FIL / 10) };
    let mut world = World::new(vec![Party::new(CLIENT, None), Party::new(CHEAP, Some(one_slot))]);
    let spec = spec(1_000_000);
    let jobs: Vec<JobId> = (0..3).map(|salt| world.request_with(auctioned(salt, &spec), spec.clone())).collect();
    world.run(130);
    assert_eq!(commits(&world).len(), 1);
    let ended = |status| jobs.iter().filter(|job| world.status(**job) == status).count();
    assert_eq!((ended(Status::Settled), ended(Status::Cancelled)), (1, 2));
}
