//! What latency, failures and further accounts move, on the market.

use super::{Estimate, Experiment, Kind, Measure, Published, over_market};
use crate::{chance::Seed, simulation::Outcome};

const fn published(value: f64, source: &'static str) -> Published {
    // What a price in attoFIL loses as a double.
    Published { value, rounding: 1e-9, source }
}

fn price(seconds: i64, runs: u64, seed: Seed) -> Estimate {
    over_market("latency", &[("chain.latency", seconds.into())], runs, seed, |outcome| outcome.summary.mean_price)
}

pub(super) const LATENCY: Experiment = Experiment {
    name: "latency",
    question: "What does a client pay more since a lock takes time to reach the chain?",
    formula: "cost + latency (max_price - min_price) / ramp_for",
    kind: Kind::Market,
    runs: 2,
    measures: &[
        Measure { name: "price, 0 s", published: published(0.3, "the ramp's formula"), run: |r, s| price(0, r, s) },
        Measure { name: "price, 6 s", published: published(0.4, "the ramp's formula"), run: |r, s| price(6, r, s) },
        Measure { name: "price, 12 s", published: published(0.5, "the ramp's formula"), run: |r, s| price(12, r, s) },
    ],
};

/// What a job costs a provider, as a multiple of a run that does not fail.
fn cost(failure: f64, runs: u64, seed: Seed) -> Estimate {
    let set = ("providers.it.failure", toml::Value::Float(failure));
    over_market("failures", &[set], runs, seed, |outcome| {
        outcome.summary.cost / outcome.summary.locked.max(1) as f64 / 0.1
    })
}

pub(super) const FAILURES: Experiment = Experiment {
    name: "failures",
    question: "What does a job cost a provider whose runs fail somewhere on the way, and are made again?",
    formula: "1 + f / (2 (1 - f)) runs",
    kind: Kind::Market,
    runs: 30,
    measures: &[
        Measure { name: "runs, f=0.2", published: published(1.125, "a geometric series"), run: |r, s| cost(0.2, r, s) },
        Measure {
            name: "runs, f=0.4",
            published: published(4.0 / 3.0, "a geometric series"),
            run: |r, s| cost(0.4, r, s),
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
    kind: Kind::Market,
    runs: 2,
    measures: &[
        Measure { name: "share, k=1", published: fair(1.0), run: |r, s| share(1, r, s) },
        Measure { name: "share, k=4", published: fair(4.0), run: |r, s| share(4, r, s) },
    ],
};
