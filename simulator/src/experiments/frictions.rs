//! What latency, failures and further accounts move, on the market.

use super::{Estimate, Experiment, Kind, Measure, Published, over_market, over_pairs, with};
use crate::{chance::Seed, simulation::Outcome};

const fn published(value: f64, source: &'static str) -> Published {
    // What is rounded here, and what a price in attoFIL loses as a double.
    Published { value, rounding: 1e-6, source }
}

fn price(seconds: i64, runs: u64, seed: Seed) -> Estimate {
    over_market("latency", &[("chain.latency", seconds.into())], runs, seed, |outcome| outcome.summary.mean_price)
}

pub(super) const LATENCY: Experiment = Experiment {
    name: "latency",
    question: "What does a client pay more since a lock takes time to reach the chain?",
    formula: "cost + latency (max_price - min_price) / ramp_for",
    kind: Kind::Played,
    given: "nothing happens by chance here: one provider, one latency; what latency does to welfare is played by `ramp-or-bids`",
    runs: 2,
    measures: &[
        Measure { name: "price, 0 s", published: published(0.3, "the ramp's formula"), run: |r, s| price(0, r, s) },
        Measure { name: "price, 6 s", published: published(0.4, "the ramp's formula"), run: |r, s| price(6, r, s) },
        Measure { name: "price, 12 s", published: published(0.5, "the ramp's formula"), run: |r, s| price(12, r, s) },
    ],
};

/// What a value is more where the providers' commands take no time to arrive, on the same seeds.
fn lost_to_latency(name: &str, runs: u64, seed: Seed, of: fn(&Outcome) -> f64) -> Estimate {
    let at_once = with(name, &[("providers.bidder.latency", 0.into())]);
    over_pairs([at_once, with(name, &[])], runs, seed, of)
}

const RACE: &str = "two exponential latencies between two uniform costs, integrated by hand";

/// Latencies have a mean of a fifth of the ramp.
pub(super) const RAMP_OR_BIDS: Experiment = Experiment {
    name: "ramp-or-bids",
    question: "What does latency do to price and welfare where who locks first wins, and what where bids are sealed?",
    formula: "two sellers who take their cost, costs U[0,1], latency exponential with mean l of the ramp: welfare lost \
              l^2 (1 - (1 + 1/l) e) - l^3 (2 - (2 + 2/l + 1/l^2) e), e = exp(-1/l); payment the integral of (1 - u + l (1 - exp(-u/l)))^2 \
              from 0 to 1. Sealed bids: nothing lost, payment 2/3",
    kind: Kind::Played,
    given: "that providers on the ramp take their cost, which is what a node does (`waiting` says that longer is better)",
    runs: 2_000,
    measures: &[
        Measure {
            name: "ramp: welfare lost",
            published: published(0.024_377, RACE),
            run: |r, s| lost_to_latency("ramp", r, s, |outcome| outcome.summary.welfare),
        },
        Measure {
            name: "ramp: payment",
            published: published(0.497_333, RACE),
            run: |r, s| over_market("ramp", &[], r, s, |outcome| outcome.summary.mean_price),
        },
        Measure {
            name: "ramp: payment without latency",
            published: published(1.0 / 3.0, "the lower of two uniform costs"),
            run: |r, s| {
                over_market("ramp", &[("providers.bidder.latency", 0.into())], r, s, |it| it.summary.mean_price)
            },
        },
        Measure {
            name: "bids: welfare lost",
            published: published(0.0, "who bids less wins, whenever the bid arrives"),
            run: |r, s| lost_to_latency("bids", r, s, |outcome| outcome.summary.welfare),
        },
        Measure {
            name: "bids: payment",
            published: published(2.0 / 3.0, "the higher of two uniform costs"),
            run: |r, s| over_market("bids", &[], r, s, |outcome| outcome.summary.mean_price),
        },
    ],
};

/// What a job costs a provider, as a multiple of a run that does not fail.
fn cost(failure: f64, runs: u64, seed: Seed) -> Estimate {
    let set = ("providers.it.failure", toml::Value::Float(failure));
    over_market("failures", &[set], runs, seed, |outcome| {
        outcome.summary.cost / outcome.summary.locked.max(1) as f64 / 0.1
    })
}

/// One provider that waits until the price is what a run costs it, in the scenario's other terms.
fn failing(failure: f64, runs: u64, seed: Seed, of: fn(&Outcome) -> f64) -> Estimate {
    let sets = [("providers.it.failure", failure.into()), ("job.min_price", 0.into())];
    over_market("failures", &sets, runs, seed, of)
}

/// The share of jobs that are paid where there is time for three runs, each so long that pauses between them do not matter.
fn paid_in_time(failure: f64, runs: u64, seed: Seed) -> Estimate {
    let sets = [
        ("providers.it.failure", toml::Value::from(failure)),
        ("job.gigafuel", 100_000.into()),
        ("job.run_for", 300_000.into()),
        ("clients.client.interval", 400_000.into()),
        ("until", 1_000_000_000.into()),
    ];
    over_market("failures", &sets, runs, seed, |outcome| {
        outcome.summary.settled as f64 / outcome.summary.locked.max(1) as f64
    })
}

const SERIES: &str = "a geometric series";

pub(super) const FAILURES: Experiment = Experiment {
    name: "failures",
    question: "What do failures cost, when runs fail somewhere on the way and are made again?",
    formula: "runs a job 1 + f / (2 (1 - f)); the price stays what it is, and welfare falls by what runs cost more; with time for three \
              runs (1 - f) times the sum of f^k P(U1 + .. + Uk <= 2) of the jobs are paid, the others slashed",
    kind: Kind::Played,
    given: "the rate of failures, which the node's ask does not know of: so prices do not move",
    runs: 30,
    measures: &[
        Measure { name: "runs, f=0.2", published: published(1.125, SERIES), run: |r, s| cost(0.2, r, s) },
        Measure { name: "runs, f=0.4", published: published(4.0 / 3.0, SERIES), run: |r, s| cost(0.4, r, s) },
        Measure {
            name: "price, f=0",
            published: published(0.1, "cost"),
            run: |r, s| failing(0.0, r, s, |outcome| outcome.summary.mean_price),
        },
        Measure {
            name: "price, f=0.4",
            published: published(0.1, "cost"),
            run: |r, s| failing(0.4, r, s, |outcome| outcome.summary.mean_price),
        },
        Measure {
            name: "welfare a job, f=0",
            published: published(0.9, "value less cost"),
            run: |r, s| failing(0.0, r, s, |outcome| outcome.summary.welfare / outcome.summary.tasks.max(1) as f64),
        },
        Measure {
            name: "welfare a job, f=0.4",
            published: published(1.0 - 0.1 * 4.0 / 3.0, SERIES),
            run: |r, s| failing(0.4, r, s, |outcome| outcome.summary.welfare / outcome.summary.tasks.max(1) as f64),
        },
        Measure {
            name: "paid in time, f=0.7",
            published: published(
                0.793_672,
                "sums of uniform numbers (Irwin and Hall), mixed by a geometric distribution",
            ),
            run: |r, s| paid_in_time(0.7, r, s),
        },
    ],
};

/// The share of a provider that a client gets which is so many accounts, beside one that is one.
fn share(identities: i64, runs: u64, seed: Seed) -> Estimate {
    over_market("sybils", &[("clients.sybil.identities", identities.into())], runs, seed, |outcome: &Outcome| {
        let of = |name: &str| -> u64 {
            outcome.parties.iter().filter(|party| party.name.starts_with(name)).map(|party| party.settled).sum()
        };
        let (sybil, honest) = (of("sybil/") as f64, of("honest/") as f64);
        sybil / (sybil + honest)
    })
}

/// A run is as long as it takes until the beginning hardly counts.
const fn fair(identities: f64) -> Published {
    Published { value: identities / (identities + 1.0), rounding: 0.02, source: "max-min fairness among accounts" }
}

pub(super) const SYBILS: Experiment = Experiment {
    name: "sybils",
    question: "How much of a busy provider does a client get that is k accounts, beside one that is one?",
    formula: "k / (k + 1): accounts cost nothing, so fairness among them is none among people",
    kind: Kind::Played,
    given: "that a provider shares itself out among accounts, which is what a node does",
    runs: 2,
    measures: &[
        Measure { name: "share, k=1", published: fair(1.0), run: |r, s| share(1, r, s) },
        Measure { name: "share, k=4", published: fair(4.0), run: |r, s| share(4, r, s) },
    ],
};
