//! What the specification says, command by command.

use lota_market::{
    Address, AttoFil, B256, Time,
    auction::{AuctionFault, Command, MAX_SWEEP, Rejection},
    model::{self, Command as MarketCommand, Status, Terms},
    world::{CallError, Contract, DeployError, World},
};

use crate::town::*;

fn market(rejection: model::Rejection) -> Rejection {
    Rejection::Market(rejection)
}

fn too_early(now: Time, from: Time) -> Rejection {
    market(model::Rejection::TooEarly { time: now, from })
}

fn too_late(now: Time, until: Time) -> Rejection {
    market(model::Rejection::TooLate { time: now, until })
}

fn poor(account: Address, balance: AttoFil, needed: AttoFil) -> Rejection {
    market(model::Rejection::InsufficientBalance { account, balance, needed })
}

fn of(make: impl Fn(Terms) -> Command) -> impl Fn(&Terms) -> Command {
    move |terms| make(terms.clone())
}

/// An open job with these bids sealed, by the first bidders in order.
fn committed(prices: &[u64]) -> (Town, Terms) {
    let (mut town, terms) = (Town::new(5), terms(0));
    town.open(&terms);
    for (n, price) in prices.iter().enumerate() {
        town.commit(&terms, bidder(n), gwei(*price));
    }
    town.log.clear();
    (town, terms)
}

/// The same, all revealed in order, at the first moment when it can be awarded.
fn revealed_all(prices: &[u64]) -> (Town, Terms) {
    let (mut town, terms) = committed(prices);
    town.env.now = REVEAL_UNTIL;
    for (n, price) in prices.iter().enumerate() {
        town.reveal(&terms, bidder(n), gwei(*price));
    }
    town.env.now = REVEAL_UNTIL.after(1);
    town.log.clear();
    (town, terms)
}

#[test]
fn terms_are_refused_for_their_first_fault_by_every_command_but_cancel() {
    let commands: [&dyn Fn(&Terms) -> Command; 5] = [
        &of(|terms| Command::Commit { terms, commitment: B256::ZERO }),
        &of(|terms| Command::Reveal { terms, price: gwei(1_500), nonce: B256::ZERO }),
        &of(|terms| Command::Award { terms }),
        &of(|terms| Command::Release { terms }),
        &of(|terms| Command::Sweep { terms, bidders: Vec::new() }),
    ];
    let mut town = Town::new(1);
    for make in commands {
        let mut terms = Terms { lock_by: REVEAL_UNTIL, ..terms(0) };
        let mut refused = |terms: &Terms| town.refused(bidder(0), make(terms));
        assert_eq!(refused(&terms), Rejection::BadAuction(AuctionFault::TooLong));
        (terms.ramp_start, terms.ramp_period, terms.lock_by) = (Time(u64::MAX), u64::MAX, Time(u64::MAX));
        assert_eq!(refused(&terms), Rejection::BadAuction(AuctionFault::TooLong), "sums do not overflow");
        terms.ramp_period = u64::from(MIN_REVEAL_PERIOD) - 1;
        assert_eq!(refused(&terms), Rejection::BadAuction(AuctionFault::RevealPeriod));
        terms.min_price = terms.max_price;
        assert_eq!(refused(&terms), Rejection::BadAuction(AuctionFault::NoRange));
        terms.matcher = STRANGER;
        assert_eq!(refused(&terms), Rejection::NotTheMatcher(STRANGER));
    }
    let other = Terms { matcher: STRANGER, ..terms(0) };
    assert_eq!(town.refused(CLIENT, Command::Cancel { terms: other }), Rejection::NotTheMatcher(STRANGER));
}

#[test]
fn a_commit_is_refused_for_its_first_fault() {
    let (mut town, mut terms) = (Town::new(2), terms(0));
    let job = job_of(&terms);
    let ann = bidder(0);
    assert_eq!(
        town.refused(CLIENT, sealed(&terms, CLIENT, gwei(1))),
        market(model::Rejection::UnknownJob(job)),
        "state comes before the sender"
    );
    town.open(&terms);
    town.commit(&terms, ann, gwei(1_500));
    assert_eq!(town.refused(ann, sealed(&terms, ann, gwei(1_400))), Rejection::AlreadyCommitted { job, bidder: ann });
    town.env.now = REVEAL_FROM;
    let masked = Address::from_word(B256::from(lota_market::U256::from(0xff_u64) << 152));
    for stranger in [CLIENT, Address::ZERO, masked] {
        assert_eq!(town.refused(stranger, sealed(&terms, stranger, gwei(1))), Rejection::InvalidBidder(stranger));
    }
    let too_late_now = too_late(REVEAL_FROM, Time(REVEAL_FROM.0 - 1));
    assert_eq!(town.refused(STRANGER, sealed(&terms, STRANGER, gwei(1))), too_late_now);
    town.env.now = Time(REVEAL_FROM.0 - 1);
    assert_eq!(town.refused(STRANGER, sealed(&terms, STRANGER, gwei(1))), poor(STRANGER, AttoFil::ZERO, DEPOSIT));
    assert_eq!(town.news(), ["JobOpened", "BidCommitted"]);

    terms = Terms { ramp_start: Time(0), salt: lota_market::U256::from(1), ..terms };
    town.open(&terms);
    assert_eq!(town.refused(ann, sealed(&terms, ann, gwei(1))), too_late(town.env.now, Time(0)));

    terms = Terms { keep_record: true, salt: lota_market::U256::from(2), ..crate::town::terms(2) };
    town.open(&terms);
    town.act(CLIENT, Command::Cancel { terms: terms.clone() }).expect("nobody has bid");
    assert_eq!(
        town.refused(ann, sealed(&terms, ann, gwei(1))),
        Rejection::NotOpen { job: job_of(&terms), found: Status::Cancelled }
    );
}

#[test]
fn a_reveal_is_refused_for_its_first_fault() {
    let (mut town, terms) = committed(&[1_500, 999, 1_500]);
    let (job, ann, bob, eve) = (job_of(&terms), bidder(0), bidder(1), bidder(4));
    let wrong = Rejection::WrongReveal { job, bidder: ann };
    assert_eq!(
        town.refused(eve, revealed(&terms, eve, gwei(1))),
        Rejection::NoCommitment { job, bidder: eve },
        "state comes before time"
    );
    assert_eq!(town.refused(ann, revealed(&terms, ann, gwei(1))), too_early(START, REVEAL_FROM));
    town.env.now = REVEAL_UNTIL.after(1);
    assert_eq!(town.refused(ann, revealed(&terms, ann, gwei(1))), too_late(town.env.now, REVEAL_UNTIL));
    town.env.now = REVEAL_UNTIL;
    assert_eq!(town.refused(ann, revealed(&terms, ann, gwei(1_499))), wrong);
    let other_nonce = Command::Reveal { terms: terms.clone(), price: gwei(1_500), nonce: nonce(bob) };
    assert_eq!(town.refused(ann, other_nonce), wrong);
    let (min_price, max_price) = (terms.min_price, terms.max_price);
    let out_of_range = model::Rejection::PriceOutOfRange { price: gwei(999), min_price, max_price };
    assert_eq!(town.refused(bob, revealed(&terms, bob, gwei(999))), market(out_of_range));
    // Exactly one unit short of the collateral, the deposit included.
    let almost = AttoFil(town.account(0).0 + DEPOSIT.0 + 1 - COLLATERAL.0);
    town.act(ann, Command::Withdraw { to: ann, amount: almost }).expect("it has as much");
    let short = poor(ann, AttoFil(COLLATERAL.0 - 1), COLLATERAL);
    assert_eq!(town.refused(ann, revealed(&terms, ann, gwei(1_500))), short);
    town.fund(ann, AttoFil(1)).expect("it took out more");
    town.reveal(&terms, ann, gwei(1_500));
    assert_eq!(town.account(0), AttoFil::ZERO);
    assert_eq!(town.refused(ann, revealed(&terms, ann, gwei(1_500))), Rejection::NoCommitment { job, bidder: ann });
    // Bob cannot reveal any more: its deposit is burned.
    assert_eq!(town.auction().burned(), AttoFil(2 * DEPOSIT.0), "of bob and cid");
    town.money_is_accounted_for();
}

#[test]
fn a_copied_commitment_reveals_for_its_bidder_only() {
    let (mut town, terms) = committed(&[]);
    let (ann, bob) = (bidder(0), bidder(1));
    let copied = sealed(&terms, bob, gwei(1_500));
    town.act(ann, copied.clone()).expect("whatever it is");
    town.act(bob, copied).expect("it is bob's");
    town.env.now = REVEAL_FROM;
    town.reveal(&terms, bob, gwei(1_500));
    let copy = Command::Reveal { terms: terms.clone(), price: gwei(1_500), nonce: nonce(bob) };
    assert_eq!(town.refused(ann, copy), Rejection::WrongReveal { job: job_of(&terms), bidder: ann });
}

#[test]
fn the_best_two_stake_and_whom_they_displace_gets_it_back() {
    let (town, terms) = revealed_all(&[1_700, 1_500, 1_200, 1_600, 1_500]);
    let auction = town.auction().auction(job_of(&terms));
    let best = auction.best.expect("a best");
    let second = auction.second.expect("a second");
    assert_eq!((best.bidder, best.price, best.order), (bidder(2), gwei(1_200), 3));
    assert_eq!((second.bidder, second.price, second.order), (bidder(1), gwei(1_500), 2), "a tie goes to the earlier");
    assert_eq!(auction.commits, 5);
    let staked = AttoFil(ACCOUNT.0 - COLLATERAL.0);
    assert_eq!([0, 1, 2, 3, 4].map(|n| town.account(n)), [ACCOUNT, staked, staked, ACCOUNT, ACCOUNT]);
    assert_eq!(town.auction().burned(), AttoFil::ZERO);
    town.money_is_accounted_for();
}

#[test]
fn an_award_ends_the_auction() {
    let (mut town, terms) = revealed_all(&[1_600, 1_200]);
    assert_eq!(town.award(&terms), Ok(()));
    assert_eq!(town.news(), ["AuctionAwarded", "Deposited", "JobLocked"]);
    assert_eq!(town.locked(&terms), (bidder(1), gwei(1_600)));
    assert_eq!([town.account(0), town.account(1)], [ACCOUNT, AttoFil(ACCOUNT.0 - COLLATERAL.0)]);
    assert!(town.is_empty());
    town.money_is_accounted_for();
    let again = Command::Award { terms: terms.clone() };
    assert_eq!(town.refused(STRANGER, again), Rejection::NothingToAward(job_of(&terms)));
    let cancel = Command::Cancel { terms: terms.clone() };
    let locked = model::Rejection::WrongState { job: job_of(&terms), found: Status::Locked };
    assert_eq!(town.refused(CLIENT, cancel), market(locked), "the market's word");

    let (mut town, terms) = revealed_all(&[1_000]);
    assert_eq!(town.award(&terms), Ok(()));
    assert_eq!(town.locked(&terms), (bidder(0), terms.max_price), "a lone bid");
}

#[test]
fn an_award_has_its_time() {
    let (mut town, terms) = revealed_all(&[1_600, 1_200]);
    let award = Command::Award { terms: terms.clone() };
    town.env.now = REVEAL_UNTIL;
    assert_eq!(town.refused(STRANGER, award.clone()), too_early(REVEAL_UNTIL, REVEAL_UNTIL.after(1)));
    town.env.now = LOCK_BY.after(1);
    assert_eq!(town.refused(STRANGER, award), too_late(LOCK_BY.after(1), LOCK_BY));
    town.env.now = LOCK_BY;
    assert_eq!(town.award(&terms), Ok(()));
}

#[test]
fn without_collateral_nothing_is_deposited() {
    let (mut town, terms) = (Town::new(2), Terms { collateral: AttoFil::ZERO, ..terms(0) });
    town.open(&terms);
    town.commit(&terms, bidder(0), gwei(1_500));
    town.env.now = REVEAL_FROM;
    town.reveal(&terms, bidder(0), gwei(1_500));
    town.env.now = LOCK_BY;
    town.log.clear();
    assert_eq!(town.award(&terms), Ok(()));
    assert_eq!(town.news(), ["AuctionAwarded", "JobLocked"]);
    town.money_is_accounted_for();
}

#[test]
fn a_job_is_cancelled_by_the_client_before_the_first_bid_and_by_anyone_when_none_was_revealed() {
    let (mut town, terms) = committed(&[]);
    let cancel = Command::Cancel { terms: terms.clone() };
    town.env.now = REVEAL_UNTIL;
    let not_you = model::Rejection::WrongSender { sender: STRANGER, wanted: CLIENT };
    assert_eq!(town.refused(STRANGER, cancel.clone()), market(not_you));
    town.act(CLIENT, cancel.clone()).expect("nobody has bid");
    assert_eq!(town.news(), ["AuctionCancelled", "JobCancelled"]);
    assert_eq!(town.market().balance(CLIENT), ACCOUNT);

    let (mut town, terms) = committed(&[1_500]);
    for now in [START, REVEAL_UNTIL] {
        town.env.now = now;
        for sender in [CLIENT, STRANGER] {
            assert_eq!(town.refused(sender, cancel.clone()), too_early(now, REVEAL_UNTIL.after(1)));
        }
    }
    town.env.now = REVEAL_UNTIL.after(1);
    town.act(STRANGER, cancel.clone()).expect("no bid was revealed");
    assert_eq!(town.auction().burned(), DEPOSIT);
    assert_eq!(town.auction().auction(job_of(&terms)).commits, 0);

    let (mut town, terms) = revealed_all(&[1_500]);
    assert_eq!(town.refused(CLIENT, cancel), Rejection::HasBids(job_of(&terms)));
}

#[test]
fn terms_that_cannot_be_auctioned_are_cancelled_by_the_client_at_any_time() {
    let mut town = Town::new(1);
    let faults = [
        Terms { min_price: gwei(2_000), ..terms(0) },
        Terms { ramp_period: 1, ramp_start: LOCK_BY, ..terms(1) },
        Terms { ramp_period: u64::MAX, ..terms(2) },
    ];
    for terms in faults {
        town.env.now = START;
        town.open(&terms);
        let cancel = Command::Cancel { terms: terms.clone() };
        if terms.ramp_period == u64::MAX {
            // Its reveals never end: time cannot count that far.
            town.env.now = Time(u64::MAX);
            let not_you = model::Rejection::WrongSender { sender: STRANGER, wanted: CLIENT };
            assert_eq!(town.refused(STRANGER, cancel.clone()), market(not_you));
        }
        town.act(CLIENT, cancel).expect("nobody can bid");
    }
    assert_eq!(town.market().balance(CLIENT), ACCOUNT);
}

#[test]
fn what_was_not_awarded_in_time_is_released() {
    let (mut town, terms) = revealed_all(&[1_500, 1_600, 1_700]);
    let release = Command::Release { terms: terms.clone() };
    town.env.now = LOCK_BY;
    assert_eq!(town.refused(STRANGER, release.clone()), too_early(LOCK_BY, LOCK_BY.after(1)));
    town.env.now = LOCK_BY.after(1);
    town.act(STRANGER, release.clone()).expect("it is time");
    assert_eq!(town.news(), ["AuctionReleased"]);
    assert_eq!([0, 1, 2].map(|n| town.account(n)), [ACCOUNT; 3]);
    assert!(town.is_empty());
    assert_eq!(town.refused(STRANGER, release.clone()), Rejection::NoAuction(job_of(&terms)));
    town.money_is_accounted_for();

    // Without a revealed bid, behind the back of the auction.
    let (mut town, terms) = committed(&[1_500]);
    town.env.now = LOCK_BY.after(1);
    town.ask_market(STRANGER, AttoFil::ZERO, MarketCommand::Expire { terms }).expect("it is time");
    town.act(STRANGER, release).expect("its record is left");
    assert_eq!(town.auction().auctions().count(), 0);
    town.money_is_accounted_for();
}

#[test]
fn a_time_to_award_that_holds_no_block_costs_nobody_but_gas() {
    let (mut town, terms) = (Town::new(5), Terms { lock_by: REVEAL_UNTIL.after(1), ..terms(0) });
    town.open(&terms);
    for (n, price) in [1_500, 1_600].into_iter().enumerate() {
        town.commit(&terms, bidder(n), gwei(price));
    }
    town.env.now = REVEAL_UNTIL;
    for (n, price) in [1_500, 1_600].into_iter().enumerate() {
        town.reveal(&terms, bidder(n), gwei(price));
    }
    let award = Command::Award { terms: terms.clone() };
    assert_eq!(town.refused(STRANGER, award.clone()), too_early(REVEAL_UNTIL, REVEAL_UNTIL.after(1)));
    // The next block comes two seconds later.
    town.env.now = REVEAL_UNTIL.after(2);
    assert_eq!(town.refused(STRANGER, award), too_late(REVEAL_UNTIL.after(2), terms.lock_by));
    town.act(STRANGER, Command::Release { terms: terms.clone() }).expect("it is time");
    town.ask_market(STRANGER, AttoFil::ZERO, MarketCommand::Expire { terms }).expect("it is time");
    assert_eq!([0, 1].map(|n| town.account(n)), [ACCOUNT; 2]);
    assert!(town.is_empty());
    town.money_is_accounted_for();
}

#[test]
fn what_was_not_revealed_is_swept() {
    let (mut town, terms) = committed(&[1_500, 1_600, 1_700]);
    let sweep = |bidders: Vec<Address>| Command::Sweep { terms: terms.clone(), bidders };
    let too_many = vec![bidder(0); MAX_SWEEP + 1];
    assert_eq!(town.refused(STRANGER, sweep(too_many.clone())), too_early(START, REVEAL_UNTIL.after(1)));
    town.env.now = REVEAL_FROM;
    town.reveal(&terms, bidder(0), gwei(1_500));
    town.env.now = REVEAL_UNTIL.after(1);
    assert_eq!(town.refused(STRANGER, sweep(too_many)), market(model::Rejection::TooMany(63)));
    town.log.clear();
    let bidders = vec![bidder(2), bidder(0), bidder(1), bidder(2), bidder(4)];
    town.act(STRANGER, sweep(bidders)).expect("it is time");
    assert_eq!(town.news(), ["CommitmentSwept", "CommitmentSwept"]);
    assert_eq!(town.auction().commitments().count(), 0);
    assert_eq!(town.auction().burned(), AttoFil(2 * DEPOSIT.0));
    assert_eq!(town.award(&terms), Ok(()));
    assert!(town.is_empty());
    town.money_is_accounted_for();
}

#[test]
fn accounts_are_in_the_markets_asset() {
    let ann = bidder(0);
    let mut coins = Town::new(1);
    let wrong = |asset| market(model::Rejection::WrongAsset(asset));
    assert_eq!(coins.refused(ann, Command::FundToken { amount: AttoFil(1) }), wrong(Address::ZERO));
    let mut tokens = Town::with(2, true);
    assert_eq!(tokens.refused(ann, Command::Fund), wrong(TOKEN));
    for town in [&mut coins, &mut tokens] {
        let withdraw = |to, amount| Command::Withdraw { to, amount };
        let invalid = market(model::Rejection::InvalidRecipient);
        assert_eq!(town.refused(ann, withdraw(Address::ZERO, ACCOUNT)), invalid);
        let more = AttoFil(ACCOUNT.0 + 1);
        assert_eq!(town.refused(ann, withdraw(ann, more)), poor(ann, ACCOUNT, more));
        town.act(ann, withdraw(STRANGER, AttoFil(7))).expect("it has as much");
        town.money_is_accounted_for();
    }
    assert_eq!((coins.world.wallet(STRANGER), tokens.world.token_wallet(TOKEN, STRANGER)), (AttoFil(7), AttoFil(7)));
    let not_approved = Command::FundToken { amount: AttoFil(1) };
    assert_eq!(tokens.refused(ann, not_approved), market(model::Rejection::TransferFailed(AUCTION)));

    let terms = terms(0);
    tokens.open(&terms);
    tokens.commit(&terms, bidder(0), gwei(1_500));
    tokens.commit(&terms, bidder(1), gwei(1_600));
    tokens.env.now = REVEAL_FROM;
    tokens.reveal(&terms, bidder(0), gwei(1_500));
    tokens.reveal(&terms, bidder(1), gwei(1_600));
    tokens.env.now = LOCK_BY;
    assert_eq!(tokens.award(&terms), Ok(()));
    assert_eq!(tokens.locked(&terms), (bidder(0), gwei(1_600)));
    assert_eq!(tokens.world.allowance(TOKEN, AUCTION, MARKET), AttoFil::ZERO);
    tokens.money_is_accounted_for();
}

#[test]
fn value_goes_with_fund_only_and_commands_to_their_own_kind_of_contract() {
    let (mut town, terms) = committed(&[]);
    town.world.mint(STRANGER, gwei(5)).expect("there is room");
    let value = gwei(1);
    let sent = town.send(STRANGER, value, Command::Award { terms });
    assert_eq!(sent, Err(CallError::NotPayable { value }));
    let mut call =
        lota_market::world::Call { sender: STRANGER, contract: MARKET, value, command: Command::Fund.into() };
    let (mut env, mut log) = (town.env.clone(), Vec::new());
    assert_eq!(town.world.execute(&call, &mut env, &mut log), Err(CallError::NoSuchFunction(MARKET)));
    (call.contract, call.command) = (AUCTION, MarketCommand::Deposit { account: STRANGER }.into());
    assert_eq!(town.world.execute(&call, &mut env, &mut log), Err(CallError::NoSuchFunction(AUCTION)));
    call.sender = AUCTION;
    call.contract = MARKET;
    assert_eq!(town.world.execute(&call, &mut env, &mut log), Err(CallError::SenderIsContract(AUCTION)));
    assert_eq!(town.world.wallet(STRANGER), gwei(5));
}

#[test]
fn an_auction_is_deployed_beside_a_market_with_a_reveal_period() {
    let town = Town::new(0);
    let at = Address::repeat_byte(0xdd);
    let mut world = town.world;
    for (market, min_reveal_period) in [(STRANGER, 60), (AUCTION, 60), (MARKET, 0), (MARKET, 90 * 86_400 + 1)] {
        let bad = DeployError::BadAuctionSettings { market, min_reveal_period };
        assert_eq!(world.deploy_auction(at, market, min_reveal_period), Err(bad));
    }
    let settings = model::Settings { quantum: 7, ..model::Settings::COIN };
    let other = lota_market::auction::SealedBidAuction::new(MARKET, &settings, 60);
    let bad = DeployError::BadAuctionSettings { market: MARKET, min_reveal_period: 60 };
    assert_eq!(world.deploy(at, Contract::Auction(other)), Err(bad), "made for another market");
    assert_eq!(world.deploy_auction(at, MARKET, 90 * 86_400), Ok(()));
    let json = serde_json::to_string(&world).expect("serialises");
    assert_eq!(serde_json::from_str::<World>(&json).expect("reads back"), world);
}
