//! The award against a formula that looks at all bids at once, and against what auction theory says of it.

use lota_market::{Address, AttoFil, model::Terms};

use crate::town::*;

#[derive(Clone, Copy)]
struct Bid {
    bidder: Address,
    price: AttoFil,
    revealed: bool,
}

/// The lowest of (price, order), at the price of the next.
fn formula(bids: &[Bid], max_price: AttoFil) -> Option<(Address, AttoFil)> {
    let mut revealed: Vec<_> = bids.iter().filter(|bid| bid.revealed).collect();
    revealed.sort_by_key(|bid| bid.price); // stable: the earlier comes first
    let winner = revealed.first()?;
    Some((winner.bidder, revealed.get(1).map_or(max_price, |second| second.price)))
}

/// Commits in the order of the list, reveals in a random one, awards by a random caller at a random time.
fn auction(town: &mut Town, terms: &Terms, bids: &[Bid], dice: &mut Dice) -> Option<(Address, AttoFil)> {
    town.env.now = START;
    town.open(terms);
    for bid in bids {
        town.commit(terms, bid.bidder, bid.price);
    }
    let mut order: Vec<_> = bids.iter().filter(|bid| bid.revealed).collect();
    dice.shuffle(&mut order);
    for bid in order {
        town.env.now = REVEAL_FROM.after(dice.below(600));
        town.reveal(terms, bid.bidder, bid.price);
    }
    town.env.now = REVEAL_UNTIL.after(1 + dice.below(LOCK_BY.0 - REVEAL_UNTIL.0));
    let caller = bidder(dice.below(100) as usize);
    town.act(caller, lota_market::auction::Command::Award { terms: terms.clone() }).ok()?;
    Some(town.locked(terms))
}

#[test]
fn the_lowest_bid_wins_at_the_second_lowest_price() {
    let mut dice = Dice(7);
    let (mut ties, mut hidden, mut lone, mut none) = (0, 0, 0, 0);
    for round in 0..400 {
        let count = 1 + dice.below(12) as usize;
        let terms = Terms { collateral: gwei(dice.below(3) * 1_000), ..terms(0) };
        let bids: Vec<_> = (0..count)
            .map(|n| Bid { bidder: bidder(n), price: gwei(1_000 + 125 * dice.below(9)), revealed: dice.below(5) > 0 })
            .collect();
        let wanted = formula(&bids, terms.max_price);
        // Twice: the order of the reveals, the caller and the time change nothing.
        let mut towns = [Town::new(count), Town::new(count)];
        for town in &mut towns {
            assert_eq!(auction(town, &terms, &bids, &mut dice), wanted, "round {round}");
            for (n, bid) in bids.iter().enumerate() {
                let burned = if bid.revealed { 0 } else { DEPOSIT.0 };
                let staked =
                    if wanted.is_some_and(|(winner, _)| winner == bid.bidder) { terms.collateral.0 } else { 0 };
                assert_eq!(town.account(n).0, ACCOUNT.0 - burned - staked, "round {round}, bidder {n}");
            }
            town.money_is_accounted_for();
        }
        assert_eq!(towns[0].auction(), towns[1].auction());
        let revealed: Vec<_> = bids.iter().filter(|bid| bid.revealed).map(|bid| bid.price).collect();
        let lowest = revealed.iter().min();
        ties += usize::from(lowest.is_some_and(|low| revealed.iter().filter(|price| *price == low).count() > 1));
        hidden += bids.len() - revealed.len();
        lone += usize::from(revealed.len() == 1);
        none += usize::from(revealed.is_empty());
    }
    assert!(ties > 50 && hidden > 100 && lone > 20 && none > 3, "{ties} {hidden} {lone} {none}");
}

/// A cost between 0 and 1 as a price.
const ONE: u64 = 1 << 40;

fn uniform(town: &mut Town, costs: &[u64], dice: &mut Dice, salt: u64) -> (Address, AttoFil) {
    // As many quanta as terms can hold, so that a uniform cost is hardly rounded.
    let terms = Terms { min_price: AttoFil::ZERO, max_price: gwei(ONE), collateral: AttoFil::ZERO, ..terms(salt) };
    let bids: Vec<_> =
        (0..costs.len()).map(|n| Bid { bidder: bidder(n), price: gwei(costs[n]), revealed: true }).collect();
    auction(town, &terms, &bids, dice).expect("there are bids")
}

/// Bidders and a client who can pay for that.
fn rich(bidders: usize) -> Town {
    let mut town = Town::new(bidders);
    for account in (0..bidders).map(bidder).chain([CLIENT]) {
        town.world.mint(account, gwei(3 * ONE)).expect("there is room");
    }
    for account in (0..bidders).map(bidder) {
        town.fund(account, gwei(ONE)).expect("it owns as much");
    }
    let deposit = lota_market::model::Command::Deposit { account: CLIENT };
    town.ask_market(CLIENT, gwei(ONE), deposit).expect("it owns as much");
    town
}

#[test]
fn costs_between_0_and_1_are_paid_2_of_n_plus_1_on_average() {
    const ROUNDS: u64 = 1_500;
    let mut dice = Dice(2026);
    for sellers in 2..=6_usize {
        let town = rich(sellers);
        let (mut paid, mut surplus) = (0.0, 0.0);
        for _ in 0..ROUNDS {
            let costs: Vec<u64> = (0..sellers).map(|_| dice.below(ONE)).collect();
            let (winner, price) = uniform(&mut town.clone(), &costs, &mut dice, 0);
            let cost = (0..sellers).find(|n| bidder(*n) == winner).map(|n| costs[n]).expect("one of them");
            let price = price.to_gwei().expect("whole") as f64;
            paid += price / ONE as f64;
            surplus += (price - cost as f64) / ONE as f64;
        }
        let (paid, surplus) = (paid / ROUNDS as f64, surplus / ROUNDS as f64);
        let n = sellers as f64;
        // The variance of one payment is 2(n-1)/((n+1)^2 (n+2)) <= 0.056: four standard deviations of the mean.
        assert!((paid - 2.0 / (n + 1.0)).abs() < 4.0 * (0.056 / ROUNDS as f64).sqrt(), "{sellers} sellers: {paid}");
        assert!((surplus - 1.0 / (n + 1.0)).abs() < 4.0 * (0.06 / ROUNDS as f64).sqrt(), "{sellers}: {surplus}");
    }
}

#[test]
fn no_other_bid_earns_more_than_the_true_cost_whatever_the_others_bid() {
    let mut dice = Dice(11);
    let town = rich(4);
    let mut improper = 0;
    for round in 0..600 {
        let mut costs: Vec<u64> = (0..4).map(|_| dice.below(ONE)).collect();
        let cost = costs[0];
        let earned = |outcome: (Address, AttoFil)| {
            let (winner, price) = outcome;
            if winner == bidder(0) { price.to_gwei().expect("whole") as i128 - i128::from(cost) } else { 0 }
        };
        let honest = earned(uniform(&mut town.clone(), &costs, &mut dice, 0));
        costs[0] = dice.below(ONE);
        let misreported = earned(uniform(&mut town.clone(), &costs, &mut dice, 0));
        assert!(misreported <= honest, "round {round}: cost {cost}, bid {}", costs[0]);
        assert!(honest >= 0, "the true cost never loses money");
        improper += usize::from(misreported < honest);
    }
    assert!(improper > 100, "a misreport often costs: {improper}");
}
