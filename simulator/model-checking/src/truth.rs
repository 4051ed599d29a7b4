//! Whether a bidder could gain by bidding anything but the true cost.
//!
//! All auctions of a few bidders on a grid of prices are held in the world itself: each bidder stays away, or commits to a price and
//! reveals it, or reveals it too late, or never; in each order of commits, with reveals in that order and backwards. What a bidder has more at the end
//! than at the beginning is what he was paid, with everything that he forfeited. With costs on a grid, no play may bring anybody more
//! than the truthful one against the same plays of the others.
//!
//! The others' plays are fixed: somebody who reveals, or not, depending on what another has revealed may make that one regret the
//! truth, at his own expense (docs/model-checking.md has an example).

use std::{collections::BTreeMap, fmt, time::Instant};

use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    auction::{self, Bid},
    model::{Command, JobResult, Status, Terms},
    world::{Call, ContractCommand, World},
};
use serde::Serialize;

use crate::scene::{AUCTION, Bounds, CLIENTS, Callbacks, MARKET, SETTINGS, STRANGER, Scene, Surroundings, commitment};

/// What a bidder does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Play {
    Absent,
    /// Commits, and never reveals.
    Hidden(u128),
    /// Commits, and tries to reveal after the last second.
    Late(u128),
    /// Commits and reveals in time.
    Open(u128),
}

/// The rule by which the winner is paid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rule {
    /// The contract's.
    #[default]
    SecondPrice,
    /// Planted: what he bid.
    FirstPrice,
    /// Planted: the second-lowest price, but a lone bid is paid what it was.
    LoneBidItsOwn,
}

/// How much is enumerated.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    pub bidders: usize,
    pub min_price: u128,
    /// What a lone bidder gets: the reserve price.
    pub max_price: u128,
    /// Bids from 0 to this.
    pub highest_bid: u128,
    /// Costs from 0 to this.
    pub highest_cost: u128,
}

impl Grid {
    /// The grids of some bounds.
    #[must_use]
    pub fn all(bounds: Bounds) -> Vec<Self> {
        let grid = |bidders, max_price| Self {
            bidders,
            min_price: 1,
            max_price,
            highest_bid: max_price + 1,
            highest_cost: max_price + 2,
        };
        match bounds {
            Bounds::Small => vec![grid(1, 4), grid(2, 4), grid(3, 2)],
            Bounds::Medium => vec![grid(2, 10), grid(3, 4)],
            Bounds::Large => vec![grid(2, 30), grid(3, 6), grid(4, 2)],
        }
    }
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Truth {
    pub bidders: usize,
    pub min_price: u128,
    pub max_price: u128,
    /// Plays of one bidder.
    pub plays: usize,
    /// Auctions that were held, from the opening to the payment.
    pub auctions: usize,
    /// Times that a play was compared with the truthful one.
    pub comparisons: usize,
    pub seconds: f64,
    /// What somebody gains by not bidding the cost; `None` when nobody does.
    pub deviation: Option<String>,
    /// An auction whose outcome depends on the order of the reveals; `None` when there is none.
    pub order_matters: Option<String>,
}

/// What an auction came to for one bidder, in attoFIL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Outcome {
    won: bool,
    /// What he has more than before; if he won: after he did the job.
    gain: i128,
    /// The same, if he won and did not do the job.
    gain_by_default: i128,
}

impl Outcome {
    /// The most that somebody gets out of it whom the job costs this much.
    fn profit(&self, cost: u128) -> i128 {
        if self.won { (self.gain - cost as i128).max(self.gain_by_default) } else { self.gain }
    }
}

/// The truthful play: the cost where it may be bid, the lowest price below it; where nothing that may be bid covers the cost, none.
fn truthful(grid: &Grid, cost: u128) -> Play {
    if cost > grid.max_price { Play::Absent } else { Play::Open(cost.max(grid.min_price)) }
}

/// Holds all auctions of a grid, and looks for a play that beats the truth.
#[must_use]
pub fn check_truth(grid: &Grid, rule: Rule) -> Truth {
    let begun = Instant::now();
    let prices = 0..=grid.highest_bid;
    let plays: Vec<Play> = [Play::Absent]
        .into_iter()
        .chain(prices.flat_map(|price| [Play::Hidden(price), Play::Late(price), Play::Open(price)]))
        .collect();
    let orders = permutations(grid.bidders);
    let mut outcomes: BTreeMap<(Vec<Play>, usize), Vec<Outcome>> = BTreeMap::new();
    let (mut auctions, mut order_matters) = (0, None);
    for profile in profiles(&plays, grid.bidders) {
        for (number, order) in orders.iter().enumerate() {
            let backwards: Vec<usize> = order.iter().rev().copied().collect();
            let outcome = hold(grid, &profile, order, order, rule);
            auctions += 2;
            if hold(grid, &profile, order, &backwards, rule) != outcome {
                order_matters = Some(format!("{profile:?}, committed in the order {order:?}"));
            }
            outcomes.insert((profile.clone(), number), outcome);
        }
    }
    let (mut comparisons, mut deviation) = (0, None);
    for ((profile, order), outcome) in &outcomes {
        for bidder in 0..grid.bidders {
            for cost in 0..=grid.highest_cost {
                let mut honest = profile.clone();
                honest[bidder] = truthful(grid, cost);
                let Some(truth) = outcomes.get(&(honest, *order)) else { continue };
                let (gain, honest) = (outcome[bidder].profit(cost), truth[bidder].profit(cost));
                comparisons += 1;
                if gain > honest && deviation.is_none() {
                    deviation = Some(format!(
                        "bidder {bidder} has costs of {cost}, and gets {gain} instead of {honest} in {profile:?}, committed in \
                         the order {:?}",
                        orders[*order]
                    ));
                }
            }
        }
    }
    Truth {
        bidders: grid.bidders,
        min_price: grid.min_price,
        max_price: grid.max_price,
        plays: plays.len(),
        auctions,
        comparisons,
        seconds: begun.elapsed().as_secs_f64(),
        deviation,
        order_matters,
    }
}

const COLLATERAL: u128 = 3;
const PURSE: u128 = 1_000;

fn bidder(index: usize) -> Address {
    Address::repeat_byte(0xd1 + index as u8)
}

fn wealth(world: &World, account: Address) -> i128 {
    let held = [
        world.wallet(account),
        world.market(MARKET).map_or(AttoFil::ZERO, |market| market.balance(account)),
        world.auction(AUCTION).map_or(AttoFil::ZERO, |auction| auction.balance(account)),
    ];
    held.iter().map(|amount| amount.0 as i128).sum()
}

/// An auction in the making.
struct Floor {
    scene: Scene,
    world: World,
    now: Time,
}

impl Floor {
    fn call(&mut self, sender: Address, value: u128, command: impl Into<ContractCommand>) -> bool {
        let command = command.into();
        let contract = if matches!(command, ContractCommand::Auction(_)) { AUCTION } else { MARKET };
        let call = Call { sender, contract, value: AttoFil(value), command };
        let mut env = Surroundings { scene: &self.scene, now: self.now, callbacks: Callbacks::Fail };
        self.world.execute(&call, &mut env, &mut Vec::new()).is_ok()
    }
}

/// Holds one auction, from the opening to the payment: what it comes to for each bidder.
#[expect(clippy::expect_used, reason = "everybody has what his commands need; where not, this file is wrong")]
fn hold(grid: &Grid, plays: &[Play], commits: &[usize], reveals: &[usize], rule: Rule) -> Vec<Outcome> {
    let terms = Terms {
        client: CLIENTS[1],
        salt: U256::ZERO,
        spec: B256::ZERO,
        spec_codec: 0x71,
        min_price: AttoFil(grid.min_price),
        max_price: AttoFil(grid.max_price),
        ramp_start: Time(1),
        ramp_period: 1,
        lock_by: Time(4),
        run_for: 1,
        review_for: 0,
        rule_for: 0,
        collateral: AttoFil(COLLATERAL),
        matcher: AUCTION,
        arbiter: Address::ZERO,
        callback_gas: 0,
        keep_record: false,
    };
    let scene = Scene {
        name: "an auction",
        about: "",
        jobs: vec![terms.clone()],
        bids: Vec::new(),
        endowment: 0,
        purse: 0,
        signatures: false,
        withdrawals: false,
    };
    let mut world = World::with_market(MARKET, SETTINGS);
    world.deploy_auction(AUCTION, MARKET, 1).expect("the market is there");
    let mut floor = Floor { scene, world, now: Time(0) };
    floor.world.mint(CLIENTS[1], AttoFil(grid.max_price)).expect("a few attoFIL");
    for index in 0..plays.len() {
        floor.world.mint(bidder(index), AttoFil(PURSE)).expect("a few attoFIL");
        assert!(floor.call(bidder(index), PURSE, auction::Command::Fund), "bidders have what they bring");
    }
    let open = Command::Open { terms: terms.clone(), spec: Bytes::new() };
    assert!(floor.call(CLIENTS[1], grid.max_price, open), "the client opens the job");

    let bid = |index: usize, price: u128| Bid {
        job: Scene::job(0),
        bidder: bidder(index),
        price: AttoFil(price),
        nonce: B256::ZERO,
    };
    for index in commits.iter().copied() {
        let (Play::Hidden(price) | Play::Late(price) | Play::Open(price)) = plays[index] else { continue };
        let commitment = commitment(&bid(index, price));
        let command = auction::Command::Commit { terms: terms.clone(), commitment };
        assert!(floor.call(bidder(index), 0, command), "anybody may commit, to whatever he likes");
    }
    let reveal = |floor: &mut Floor, index: usize, price: u128| {
        let command = auction::Command::Reveal { terms: terms.clone(), price: AttoFil(price), nonce: B256::ZERO };
        floor.call(bidder(index), 0, command)
    };
    floor.now = Time(2);
    for index in reveals.iter().copied() {
        if let Play::Open(price) = plays[index] {
            // Out of the terms' range it is refused, and the deposit lost.
            let accepted = reveal(&mut floor, index, price);
            assert_eq!(accepted, (grid.min_price..=grid.max_price).contains(&price), "{plays:?}");
        }
    }
    floor.now = Time(3);
    for index in reveals.iter().copied() {
        if let Play::Late(price) = plays[index] {
            assert!(!reveal(&mut floor, index, price), "the reveals are over");
        }
    }
    floor.call(STRANGER, 0, auction::Command::Award { terms: terms.clone() });
    let market = floor.world.market(MARKET).expect("it is there");
    let deal = market.deal(Scene::job(0));
    let (locked, winner, price) = (deal.status == Status::Locked, deal.provider, deal.price.0);

    // One world in which the job is done, and one in which it is not.
    let mut default = Floor { scene: floor.scene.clone(), world: floor.world.clone(), now: Time(9) };
    if locked {
        let submit = Command::SubmitResult { terms: terms.clone(), result: JobResult::default() };
        assert!(floor.call(winner, 0, submit), "the winner submits");
        assert!(default.call(STRANGER, 0, Command::Expire { terms }), "anybody slashes who did not");
    }
    let alone = plays.iter().filter(|play| is_valid(grid, **play)).count() == 1;
    let outcome = |index: usize| {
        let account = bidder(index);
        let won = locked && winner == account;
        let Play::Open(own) = plays[index] else {
            let gain = wealth(&floor.world, account) - PURSE as i128;
            return Outcome { won, gain, gain_by_default: gain };
        };
        let less = match rule {
            Rule::FirstPrice if won => price - own,
            Rule::LoneBidItsOwn if won && alone => price - own,
            _ => 0,
        };
        Outcome {
            won,
            gain: wealth(&floor.world, account) - PURSE as i128 - less as i128,
            gain_by_default: wealth(&default.world, account) - PURSE as i128,
        }
    };
    (0..plays.len()).map(outcome).collect()
}

fn is_valid(grid: &Grid, play: Play) -> bool {
    matches!(play, Play::Open(price) if (grid.min_price..=grid.max_price).contains(&price))
}

/// All choices of a play for each bidder.
fn profiles(plays: &[Play], bidders: usize) -> Vec<Vec<Play>> {
    (0..bidders).fold(vec![Vec::new()], |profiles, _| {
        let longer = |profile: Vec<Play>| plays.iter().map(move |play| [profile.as_slice(), &[*play]].concat());
        profiles.into_iter().flat_map(longer).collect()
    })
}

fn permutations(count: usize) -> Vec<Vec<usize>> {
    (0..count).fold(vec![Vec::new()], |orders, new| {
        let inserted = |order: Vec<usize>| {
            (0..=order.len()).map(move |at| {
                let mut longer = order.clone();
                longer.insert(at, new);
                longer
            })
        };
        orders.into_iter().flat_map(inserted).collect()
    })
}

impl fmt::Display for Truth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} bidders with {} plays each, prices from {} to {}: {} auctions held, {} comparisons, {:.1} s",
            self.bidders, self.plays, self.min_price, self.max_price, self.auctions, self.comparisons, self.seconds
        )?;
        match &self.deviation {
            None => writeln!(f, "  nobody gains by bidding anything but the true cost"),
            Some(deviation) => writeln!(f, "  THE TRUTH IS BEATEN: {deviation}"),
        }?;
        match &self.order_matters {
            None => writeln!(f, "  the order of the reveals changes nothing"),
            Some(auction) => writeln!(f, "  THE ORDER OF THE REVEALS MATTERS in {auction}"),
        }
    }
}
