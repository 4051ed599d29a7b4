//! What sellers are paid: the market's sealed-bid auction and its ramp, against the theory of auctions.

use rayon::prelude::*;

use super::{Estimate, Experiment, Kind, Measure, Published, over_market, with};
use crate::{
    chance::Seed,
    scenario::{Amount, Scenario},
    simulation::{Outcome, simulate},
    summary::PartyOutcome,
};

const THEORY: &str = "order statistics of the uniform distribution (Krishna, Auction Theory, ch. 2)";

const fn published(value: f64) -> Published {
    Published { value, rounding: 0.0, source: THEORY }
}

fn price(outcome: &Outcome) -> f64 {
    outcome.summary.mean_price
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
    kind: Kind::Market,
    runs: 600,
    measures: &[
        Measure {
            name: "payment, n=2",
            published: published(2.0 / 3.0),
            run: |r, s| of("second-price", 2, r, s, price),
        },
        Measure { name: "payment, n=3", published: published(0.5), run: |r, s| of("second-price", 3, r, s, price) },
        Measure {
            name: "payment, n=5",
            published: published(1.0 / 3.0),
            run: |r, s| of("second-price", 5, r, s, price),
        },
        Measure {
            name: "surplus, n=2",
            published: published(1.0 / 3.0),
            run: |r, s| of("second-price", 2, r, s, surplus),
        },
        Measure {
            name: "surplus, n=5",
            published: published(1.0 / 6.0),
            run: |r, s| of("second-price", 5, r, s, surplus),
        },
    ],
};

pub(super) const FIRST_PRICE: Experiment = Experiment {
    name: "first-price",
    question: "What does a client pay on a rising price, where who locks first is paid what the price is then?",
    formula: "each waits for ((n-1)c + 1)/n: payment 2/(n+1), as at the second price",
    kind: Kind::Market,
    runs: 600,
    measures: &[
        Measure {
            name: "payment, n=2",
            published: published(2.0 / 3.0),
            run: |r, s| of("first-price", 2, r, s, price),
        },
        Measure { name: "payment, n=3", published: published(0.5), run: |r, s| of("first-price", 3, r, s, price) },
        Measure {
            name: "payment, n=5",
            published: published(1.0 / 3.0),
            run: |r, s| of("first-price", 5, r, s, price),
        },
    ],
};

/// What a bidder gains more that asks this multiple of its cost: the same runs with and without.
fn misreporting(share: f64, runs: u64, seed: Seed) -> Estimate {
    let scenario = |share: f64| with("misreport", &[("providers.liar.undercut", toml::Value::Float(share))]);
    let (Some(lying), Some(honest)) = (scenario(share), scenario(1.0)) else { return Estimate::exact(f64::NAN) };
    let profit = |scenario: &Scenario, run| {
        let outcome = simulate(scenario, seed.of_run(run), &mut ());
        let liar =
            |outcome: Outcome| outcome.parties.iter().find(|party| party.name == "liar/0").map(PartyOutcome::profit);
        outcome.ok().and_then(liar).unwrap_or(f64::NAN)
    };
    let one = |run| profit(&lying, run) - profit(&honest, run);
    Estimate::of((0..runs).into_par_iter().map(one).collect::<Vec<f64>>())
}

pub(super) const MISREPORT: Experiment = Experiment {
    name: "misreport",
    question: "What does a bidder gain that asks more or less than its cost, in an auction at the second price?",
    formula: "two bidders, costs U[0,1]: -(1-a)^2/6 when it asks a < 1 of its cost; -1/54 when it asks 1.5",
    kind: Kind::Market,
    runs: 1_500,
    measures: &[
        Measure { name: "asks half", published: published(-1.0 / 24.0), run: |r, s| misreporting(0.5, r, s) },
        Measure { name: "asks half more", published: published(-1.0 / 54.0), run: |r, s| misreporting(1.5, r, s) },
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
    kind: Kind::Market,
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
