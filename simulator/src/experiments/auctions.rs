//! What sellers are paid: the market's sealed-bid auction and its ramp, against the theory of auctions.

use super::{Estimate, Experiment, Kind, Measure, Published, over_market, over_pairs, with};
use crate::{
    chance::Seed,
    scenario::{Amount, Scenario},
    simulation::Outcome,
    summary::PartyOutcome,
};

const THEORY: &str = "order statistics of the uniform distribution (Krishna, Auction Theory, ch. 2)";

const fn at(name: &'static str, value: f64, run: fn(u64, Seed) -> Estimate) -> Measure {
    Measure { name, published: Published { value, rounding: 0.0, source: THEORY }, run }
}

fn price(outcome: &Outcome) -> f64 {
    outcome.summary.mean_price
}

/// What the job was worth, less what running it cost.
fn welfare(outcome: &Outcome) -> f64 {
    outcome.summary.welfare
}

/// Profit of the one who won; the others have none.
fn surplus(outcome: &Outcome) -> f64 {
    outcome.parties.iter().filter(|party| party.name.starts_with("bidder/")).map(|party| party.profit()).sum()
}

fn of(name: &str, bidders: i64, runs: u64, seed: Seed, what: fn(&Outcome) -> f64) -> Estimate {
    over_market(name, &[("providers.bidder.count", bidders.into())], runs, seed, what)
}

pub(super) const SECOND_PRICE: Experiment = Experiment {
    name: "second-price",
    question: "What does a client pay in a sealed-bid auction at the second price, and what does the winner gain?",
    formula: "n sellers, costs U[0,1]: payment 2/(n+1), surplus 1/(n+1)",
    kind: Kind::Played,
    given: "that a bidder seals its cost, which is what a node does (`misreport` and `lota sim search` look for better)",
    runs: 600,
    measures: &[
        at("payment, n=2", 2.0 / 3.0, |r, s| of("second-price", 2, r, s, price)),
        at("payment, n=3", 0.5, |r, s| of("second-price", 3, r, s, price)),
        at("payment, n=5", 1.0 / 3.0, |r, s| of("second-price", 5, r, s, price)),
        at("surplus, n=2", 1.0 / 3.0, |r, s| of("second-price", 2, r, s, surplus)),
        at("surplus, n=5", 1.0 / 6.0, |r, s| of("second-price", 5, r, s, surplus)),
        at("welfare, n=2", 2.0 / 3.0, |r, s| of("second-price", 2, r, s, welfare)),
    ],
};

pub(super) const FIRST_PRICE: Experiment = Experiment {
    name: "first-price",
    question: "What does a client pay on a rising price, where who locks first is paid what the price is then?",
    formula: "each waits for ((n-1)c + 1)/n: payment 2/(n+1), as at the second price",
    kind: Kind::Played,
    given: "how long each waits is the formula itself, not found by anybody; that it is a best response is what `waiting` plays",
    runs: 600,
    measures: &[
        at("payment, n=2", 2.0 / 3.0, |r, s| of("first-price", 2, r, s, price)),
        at("payment, n=3", 0.5, |r, s| of("first-price", 3, r, s, price)),
        at("payment, n=5", 1.0 / 3.0, |r, s| of("first-price", 5, r, s, price)),
        at("welfare, n=2", 2.0 / 3.0, |r, s| of("first-price", 2, r, s, welfare)),
    ],
};

/// A scenario whose liar asks this multiple of its cost.
fn liar(name: &str, share: f64) -> Option<Scenario> {
    with(name, &[("providers.liar.strategy", "underbidder".into()), ("providers.liar.undercut", share.into())])
}

/// What the liar gains more in one scenario than in another, on the same seeds.
fn gain(lying: Option<Scenario>, honest: Option<Scenario>, runs: u64, seed: Seed) -> Estimate {
    over_pairs([lying, honest], runs, seed, |outcome| {
        let liar = outcome.parties.iter().find(|party| party.name == "liar/0");
        liar.map_or(f64::NAN, PartyOutcome::profit)
    })
}

pub(super) const MISREPORT: Experiment = Experiment {
    name: "misreport",
    question: "What does a bidder gain that asks more or less than its cost, in an auction at the second price?",
    formula: "two bidders, costs U[0,1]: -(1-a)^2/6 when it asks a < 1 of its cost; -1/54 when it asks 1.5",
    kind: Kind::Played,
    given: "the liar's factor; who wins, at which price and with which profit comes from the contracts, on the same seeds as without the lie",
    runs: 1_500,
    measures: &[
        at("asks half", -1.0 / 24.0, |r, s| gain(liar("misreport", 0.5), liar("misreport", 1.0), r, s)),
        at("asks half more", -1.0 / 54.0, |r, s| gain(liar("misreport", 1.5), liar("misreport", 1.0), r, s)),
    ],
};

pub(super) const WAITING: Experiment = Experiment {
    name: "waiting",
    question: "On a rising price, what does a provider gain that does not wait as long as theory says?",
    formula: "two sellers, costs U[0,1]: -1/6 when it takes its cost, -3/32 when it waits for twice of that",
    kind: Kind::Played,
    given: "the other one's strategy; that no multiple of the cost does better than ((n-1)c + 1)/n is what it finds",
    runs: 3_000,
    measures: &[
        at("takes its cost", -1.0 / 6.0, |r, s| gain(liar("waiting", 1.0), with("waiting", &[]), r, s)),
        at("waits for twice its cost", -3.0 / 32.0, |r, s| gain(liar("waiting", 2.0), with("waiting", &[]), r, s)),
    ],
};

/// What the client's other accounts lost.
fn forfeited(outcome: &Outcome) -> f64 {
    Amount::to_fil(outcome.summary.burned)
}

pub(super) const SHILL: Experiment = Experiment {
    name: "shill",
    question: "What does a client gain that seals bids of its own at many prices, and opens the one just above the lowest bid?",
    formula: "payment 1/3 + s/2 - s^2/6 with two sellers and bids at steps of s; each bid that is not opened forfeits its deposit",
    kind: Kind::Played,
    given: "the client's rule; bids, prices and forfeits are the contracts'",
    runs: 400,
    measures: &[
        Measure {
            name: "payment, honest",
            published: Published { value: 0.667, rounding: 0.0005, source: "design/protocol.md, oracles" },
            run: |r, s| of("second-price", 2, r, s, price),
        },
        Measure {
            name: "payment, 19 bids of its own",
            published: Published { value: 0.36, rounding: 0.005, source: "design/protocol.md, oracles" },
            run: |r, s| over_market("shill", &[], r, s, price),
        },
        Measure {
            name: "forfeited, in highest prices",
            published: Published { value: 19.0 - OPENED, rounding: 0.0, source: "the same formula" },
            run: |r, s| over_market("shill", &[], r, s, forfeited),
        },
    ],
};

/// How likely a bid of its own is opened: one of the steps lies between the two bids. With m cells they share one with 1/m.
const OPENED: f64 = 1.0 - 1.0 / 20.0;
