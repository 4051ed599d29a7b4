//! When cheating pays: the market with an arbiter that audits.

use super::{Estimate, Experiment, Kind, Measure, Published, over_market};
use crate::{chance::Seed, simulation::Outcome};

/// A value to set, and its key.
type Set = (&'static str, toml::Value);

/// At which audit rate a provider that guesses gains as much as one that runs its jobs: a straight line through the profits at two
/// rates says where it crosses what the honest gain.
fn threshold(sets: &[Set], guesses: &[Set], runs: u64, seed: Seed) -> Estimate {
    let at = |audit: f64, more: &[Set]| {
        let all: Vec<Set> = sets.iter().chain(more).cloned().chain([("mediation.audit", audit.into())]).collect();
        over_market("audits", &all, runs, seed, profit)
    };
    let honest = at(0.5, &[("providers.lazy.strategy", "honest".into())]);
    let (never, half) = (at(0.0, guesses), at(0.5, guesses));
    let slope = (never.mean - half.mean) / 0.5;
    let more = never.mean - honest.mean;
    Estimate { runs, mean: more / slope, error: half.error * more / (slope * slope * 0.5) }
}

fn with_collateral(collateral: f64, runs: u64, seed: Seed) -> Estimate {
    threshold(&[("job.collateral", collateral.into())], &[], runs, seed)
}

/// MODiCuM's numbers as a market: a price of 2, collateral as much again, so that who is found out loses 4; executing costs 1.5,
/// deceiving 0.1.
fn modicum(runs: u64, seed: Seed) -> Estimate {
    let sets = [
        ("job.max_price", 2.into()),
        ("job.min_price", 2.into()),
        ("job.collateral", 2.into()),
        ("providers.lazy.cost", 1.5.into()),
    ];
    threshold(&sets, &[("providers.lazy.effort", (0.1 / 1.5).into())], runs, seed)
}

/// What the guessers gain for each of their jobs.
fn profit(outcome: &Outcome) -> f64 {
    let sum: f64 =
        outcome.parties.iter().filter(|party| party.name.starts_with("lazy/")).map(|party| party.profit()).sum();
    sum / outcome.summary.locked.max(1) as f64
}

pub(super) const DETERRENCE: Experiment = Experiment {
    name: "audits",
    question: "How often must results be checked so that guessing them does not pay?",
    formula: "p (collateral + price) >= cost saved",
    kind: Kind::Played,
    given: "the arbiter is a formula that disputes with the rate and rules rightly; what guessers and honest providers have in the end is the contracts'",
    runs: 40,
    measures: &[
        Measure { name: "audit rate, collateral 0.5", published: rate(0.5), run: |r, s| with_collateral(0.5, r, s) },
        Measure { name: "audit rate, collateral 2", published: rate(2.0), run: |r, s| with_collateral(2.0, r, s) },
    ],
};

pub(super) const MODICUM: Experiment = Experiment {
    name: "modicum",
    question: "How often must a client verify so that a provider gains as much by executing as by deceiving?",
    formula: "p_v pi_c (n + theta + 1) = c_e - c_d, with n = 1 and theta = 0",
    kind: Kind::Played,
    given: "the arbiter is a formula that verifies with the rate; the fine is the market's: price and collateral",
    runs: 40,
    measures: &[Measure {
        name: "p_v",
        published: Published { value: 0.35, rounding: 0.0, source: "arXiv 2005.11429; design/protocol.md, oracles" },
        run: modicum,
    }],
};

/// Cost and price are 0.3 in the scenario.
const fn rate(collateral: f64) -> Published {
    Published { value: 0.3 / (collateral + 0.3), rounding: 0.0, source: "design/protocol.md, oracles" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{experiments::with, scenario::Amount};

    #[test]
    fn cost_and_price_are_what_the_formula_takes_them_for() {
        let scenario = with("audits", &[]).expect("it comes along");
        assert_eq!(scenario.providers["lazy"].cost, crate::distribution::Distribution::Fixed(0.3));
        let outcome = crate::simulate(&scenario, Seed(1), &mut ()).expect("it ends");
        assert!((Amount::to_fil(outcome.summary.paid) / outcome.summary.settled as f64 - 0.3).abs() < 1e-9);
    }
}
