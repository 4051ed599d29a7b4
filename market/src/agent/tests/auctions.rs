//! Providers that bid: sealed, opened when that is safe, awarded, and their money back.

use super::*;
use crate::{B256, auction};

mod bid_money;

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

/// How often somebody's money moved into its account in the auction, or out of it.
fn transfers(world: &World, me: Address) -> (usize, usize) {
    let count = |is: fn(&auction::Event) -> Option<Address>| {
        world.auction_log.iter().filter(|(_, _, event)| is(event) == Some(me)).count()
    };
    let funded = |event: &auction::Event| match event {
        auction::Event::Funded { account, .. } => Some(*account),
        _ => None,
    };
    let defunded = |event: &auction::Event| match event {
        auction::Event::Defunded { account, .. } => Some(*account),
        _ => None,
    };
    (count(funded), count(defunded))
}

/// An auction that begins now.
fn auctioned_now(world: &mut World, salt: u64) -> JobId {
    let (now, spec) = (world.now, spec(1_000_000));
    let terms = auctioned(salt, &spec);
    world.request_with(Terms { ramp_start: now.after(40), lock_by: now.after(120), ..terms }, spec)
}

fn in_auction(world: &World, me: Address) -> AttoFil {
    world.market.auction().balance(me)
}

#[test]
fn money_stays_in_the_auction_for_the_next_bid_and_comes_back_when_it_is_not_needed_for_long() {
    let keep = |party: Party| party.keeping_bid_money(500);
    let parties = vec![Party::new(CLIENT, None), keep(bidder(CHEAP, FIL / 10)), keep(bidder(DEAR, FIL / 5))];
    let mut world = World::new(parties);
    for salt in 0..3 {
        let job = auctioned_now(&mut world, salt);
        world.run(130);
        let view = folded(&world.log, job).expect("it was opened");
        assert_eq!((view.status, view.provider, view.price), (Status::Settled, CHEAP, AttoFil(FIL / 5)));
        let now = world.now;
        world.party(DEAR).crash(now);
    }
    assert_eq!(commits(&world).len(), 6);
    assert_eq!(transfers(&world, DEAR), (1, 0), "what one auction left is enough for the next");
    // Its collateral left the auction with each job that it won: only that is brought again.
    assert_eq!(transfers(&world, CHEAP), (3, 0));
    assert_eq!([CHEAP, DEAR].map(|me| in_auction(&world, me)), [AttoFil(FIL / 2), AttoFil(FIL)]);
    world.run(400);
    assert_eq!(transfers(&world, DEAR), (1, 0), "it is not long yet");
    world.run(120);
    assert_eq!([CHEAP, DEAR].map(|me| in_auction(&world, me)), [AttoFil::ZERO; 2]);
    assert_eq!([CHEAP, DEAR].map(|me| transfers(&world, me)), [(3, 1), (1, 1)]);
}

#[test]
fn who_does_not_bid_any_more_takes_its_money_out_at_once() {
    let mut world = World::new(vec![Party::new(CLIENT, None), bidder(CHEAP, FIL / 10).keeping_bid_money(1_000_000)]);
    auctioned_now(&mut world, 0);
    world.run(130);
    assert_eq!(in_auction(&world, CHEAP), AttoFil(FIL / 2));
    // Its operator has it bid no more: its offer does not name the auction.
    let now = world.now;
    world.party(CHEAP).offer = Some(offer(FIL / 10));
    world.party(CHEAP).crash(now);
    world.run(5);
    assert_eq!((in_auction(&world, CHEAP), transfers(&world, CHEAP)), (AttoFil::ZERO, (1, 1)));
}

#[test]
fn however_many_auctions_there_are_no_more_money_is_in_the_account_than_the_slots_could_need() {
    let small = Offer { slots: 2, max_collateral: AttoFil(FIL), matchers: vec![AUCTION.contract], ..offer(FIL / 10) };
    let limit = AttoFil(2 * FIL);
    let mut world = World::new(vec![
        Party::new(CLIENT, None),
        Party::new(CHEAP, Some(small)).keeping_bid_money(1_000_000),
        bidder(DEAR, FIL / 20),
    ]);
    let spec = spec(1_000_000);
    for salt in 0..8 {
        let (now, terms) = (world.now, auctioned(salt, &spec));
        let terms = Terms { ramp_start: now.after(40), lock_by: now.after(120), ..terms };
        world.request_with(terms, spec.clone());
        for _ in 0..30 {
            world.run(1);
            let now = world.now;
            if now.0.is_multiple_of(7) {
                world.party(CHEAP).crash(now);
            }
            assert!(in_auction(&world, CHEAP) <= limit, "{} at {now}", in_auction(&world, CHEAP));
        }
    }
    world.run(130);
    let by_cheap = commits(&world).into_iter().filter(|who| *who == CHEAP).count();
    assert!(by_cheap >= 4, "it bid {by_cheap} times");
    let brought = transfers(&world, CHEAP).0;
    assert!(brought <= 3, "its money came back to the account, and still it brought more {brought} times");
}

/// Lets a party act until something is so.
fn until(world: &mut World, index: usize, mut is_so: impl FnMut(&mut World) -> bool) {
    for _ in 0..1_000 {
        if is_so(world) {
            return;
        }
        world.step(index);
    }
    panic!("it does not come to that");
}

fn is_about_to(world: &mut World, me: Address, step: Step) -> bool {
    let front = world.party(me).effects.front().copied();
    matches!(front, Some(Effect::Do(key)) if key.step == step)
}

/// A client cancels its auction when a bidder has come so far.
fn cancelled_when(world: &mut World, salt: u64, is_so: impl FnMut(&mut World) -> bool) -> JobId {
    let job = auctioned_now(world, salt);
    until(world, 0, |world| world.status(job) == Status::Open);
    until(world, 1, is_so);
    let now = world.now;
    world.party(CLIENT).input(Input::Cancel(job), now);
    until(world, 0, |world| world.status(job) == Status::Cancelled);
    world.run(3);
    job
}

#[test]
fn a_client_that_cancels_when_gas_was_spent_on_a_bid_is_remembered_and_not_bid_for() {
    let mut world = World::new(vec![Party::new(CLIENT, None), bidder(CHEAP, FIL / 10).keeping_bid_money(1_000_000)]);
    // While nothing was sent it may cancel as often as it likes.
    for salt in 0..3 {
        let job = cancelled_when(&mut world, salt, |world| world.party(CHEAP).agent.wants_auction_balance());
        assert!(world.party(CHEAP).stored[&job].job.bid.as_ref().is_some_and(|bid| bid.over), "it was about to bid");
    }
    assert_eq!(world.party(CHEAP).fickle, CostlyClients::default());
    cancelled_when(&mut world, 3, |world| transfers(world, CHEAP) == (1, 0));
    assert_eq!(world.party(CHEAP).agent.fickle_clients().dropped(CLIENT), None, "once may be bad luck");
    assert_eq!(transfers(&world, CHEAP), (1, 0), "what was brought stays for the next bid");
    let again = cancelled_when(&mut world, 4, |world| is_about_to(world, CHEAP, Step::CommitBid));
    assert!(world.party(CHEAP).stored[&again].job.bid.as_ref().is_some_and(|bid| bid.over));
    let now = world.now;
    world.party(CHEAP).crash(now);
    let job = auctioned_now(&mut world, 5);
    world.run(60);
    let refusal = Refusal::Fickle { client: CLIENT, times: 2 };
    assert_eq!(world.party(CHEAP).decision(job), Some(Decision::Refused(refusal)));
    assert!(commits(&world).is_empty() && world.party(CHEAP).agent.is_empty());
}

#[test]
fn a_client_is_not_blamed_for_what_its_bidder_could_not_pay_for() {
    let mut world = World::new(vec![Party::new(CLIENT, None), bidder(CHEAP, FIL / 10)]);
    for salt in 0..3 {
        cancelled_when(&mut world, salt, |world| {
            let is_begun = is_about_to(world, CHEAP, Step::FundBid);
            if is_begun && let Some(Effect::Do(key)) = world.party(CHEAP).effects.pop_front() {
                let poor = Failure::Unaffordable { account: CHEAP, wallet: AttoFil::ZERO, needed: AttoFil(FIL) };
                let (now, outcome) = (world.now, StepOutcome::Err(poor));
                world.party(CHEAP).input(Input::Done { key, outcome }, now);
            }
            is_begun
        });
    }
    assert_eq!(world.party(CHEAP).fickle, CostlyClients::default());
    assert_eq!(transfers(&world, CHEAP), (0, 0));
    auctioned_now(&mut world, 3);
    world.run(5);
    assert_eq!((commits(&world), transfers(&world, CHEAP)), (vec![CHEAP], (1, 0)), "it bids once it has money");
}

#[test]
fn money_whose_way_is_not_known_is_not_sent_when_it_is_not_needed_any_more() {
    let mut world = World::new(vec![Party::new(CLIENT, None), bidder(CHEAP, FIL / 10)]);
    let job = auctioned_now(&mut world, 0);
    until(&mut world, 0, |world| world.status(job) == Status::Open);
    // It has decided, and stored, what it brings; then it is killed, and knows not whether that was sent.
    until(&mut world, 1, |world| is_about_to(world, CHEAP, Step::FundBid));
    let now = world.now;
    world.party(CHEAP).crash(now);
    world.party(CLIENT).input(Input::Cancel(job), now);
    until(&mut world, 0, |world| world.status(job) == Status::Cancelled);
    world.run(5);
    assert_eq!((world.party(CHEAP).inquiries, transfers(&world, CHEAP)), (1, (0, 0)));
    assert!(world.party(CHEAP).agent.is_empty());
    // It bids for the next one as if nothing had been.
    auctioned_now(&mut world, 1);
    world.run(5);
    assert_eq!((commits(&world), transfers(&world, CHEAP)), (vec![CHEAP], (1, 0)));
}

#[test]
fn a_bid_covers_the_gas_that_it_costs() {
    assert_eq!(gas_cost(AttoFil(FIL), 300_000), AttoFil(3 * FIL / 10));
    assert_eq!(gas_cost(AttoFil(1), 1), AttoFil(1), "rounded up");
    assert_eq!(gas_cost(AttoFil(u128::MAX), u64::MAX).0, u128::MAX.div_ceil(1_000_000));
    let mut world = World::new(vec![Party::new(CLIENT, None), bidder(CHEAP, FIL / 10), bidder(DEAR, FIL / 5)]);
    let now = world.now;
    // 300,000 units of gas at 0.5 FIL for 10^6 of them.
    world.party(CHEAP).input(Input::CallbackPrice(AttoFil(FIL / 2)), now);
    let jobs = [0, 1].map(|salt| auctioned_now(&mut world, salt));
    world.run(60);
    let price = |me: Address, world: &mut World| world.party(me).stored[&jobs[0]].job.bid.clone().map(|bid| bid.price);
    assert_eq!(price(CHEAP, &mut world), Some(AttoFil(FIL / 10 + 3 * FIL / 20)));
    assert_eq!(price(DEAR, &mut world), Some(AttoFil(FIL / 5)));
    // What comes to more than is paid at the most is not bid.
    world.party(CHEAP).input(Input::CallbackPrice(AttoFil(4 * FIL)), now);
    let job = auctioned_now(&mut world, 2);
    world.run(5);
    let asking = AttoFil(FIL / 10 + 12 * FIL / 10);
    let refusal = Refusal::Price { offered: AttoFil(FIL), asking };
    assert_eq!(world.party(CHEAP).decision(job), Some(Decision::Refused(refusal)));
}

#[test]
fn a_bidder_is_bound_to_what_is_left_of_its_bids_and_to_results_of_what_it_may_win() {
    let mut world = World::new(vec![Party::new(CLIENT, None), bidder(CHEAP, FIL / 10)]);
    let bound = |world: &mut World| world.party(CHEAP).agent.commitments().commands;
    let job = request(&mut world);
    until(&mut world, 0, |world| world.status(job) == Status::Open);
    until(&mut world, 1, |world| is_about_to(world, CHEAP, Step::FundBid));
    assert_eq!(bound(&mut world), 4, "commit, reveal, award, result");
    world.run(3);
    assert_eq!((commits(&world).len(), bound(&mut world)), (1, 3));
    while reveals(&world).is_empty() {
        world.run(1);
    }
    assert_eq!(bound(&mut world), 2);
    world.run(100);
    assert_eq!((world.status(job), bound(&mut world)), (Status::Settled, 0));
}
