//! When cheating pays: the market with an arbiter that audits.

use super::{Estimate, Experiment, Kind, Measure, Published, over_market};
use crate::{chance::Seed, simulation::Outcome};

/// At which audit rate a provider that guesses gains as much as one that runs its jobs: a straight line through the profits at two
/// rates says where.
fn threshold(collateral: f64, runs: u64, seed: Seed) -> Estimate {
    let set = ("job.collateral", toml::Value::Float(collateral));
    let at = |audit: f64, of: fn(&Outcome) -> f64| {
        over_market("audits", &[set.clone(), ("mediation.audit", toml::Value::Float(audit))], runs, seed, of)
    };
    let (never, half) = (at(0.0, profit), at(0.5, profit));
    // Honest providers ask what jobs cost them, and gain nothing.
    let slope = (never.mean - half.mean) / 0.5;
    Estimate { runs, mean: never.mean / slope, error: half.error * never.mean / (slope * slope * 0.5) }
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
    kind: Kind::Market,
    runs: 40,
    measures: &[
        Measure { name: "audit rate, collateral 0.5", published: rate(0.5), run: |r, s| threshold(0.5, r, s) },
        Measure { name: "audit rate, collateral 2", published: rate(2.0), run: |r, s| threshold(2.0, r, s) },
    ],
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
