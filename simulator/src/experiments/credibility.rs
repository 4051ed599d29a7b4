//! Sarmenta's spot checks: workers whose results are compared now and then with known ones, and who are dismissed for one that is wrong.

use rand::Rng as _;

use super::{Estimate, Experiment, Kind, Measure, Published, over_draws};
use crate::chance::Seed;

/// Among how many workers.
const WORKERS: u32 = 2_000;

/// The share of wrong results after `works` pieces of work each, of which a share `checks` was checked, where a share `saboteurs` of the
/// workers falsify a share `falsified` of their results.
fn wrong(checks: f64, works: u32, saboteurs: f64, falsified: f64, runs: u64, seed: Seed) -> Estimate {
    over_draws(runs, seed, |chance| {
        let (mut left, mut wrong) = (0.0, 0.0);
        for _ in 0..WORKERS {
            if chance.random::<f64>() >= saboteurs {
                left += 1.0;
                continue;
            }
            let is_found_out =
                (0..works).any(|_| chance.random::<f64>() < checks && chance.random::<f64>() < falsified);
            if !is_found_out {
                left += 1.0;
                wrong += f64::from(u8::from(chance.random::<f64>() < falsified));
            }
        }
        wrong / left
    })
}

/// s f (1-qs)^n / ((1-f) + f (1-qs)^n), computed by hand to six digits.
const fn published(value: f64) -> Published {
    Published {
        value,
        rounding: 1e-6,
        source: "Sarmenta, Sabotage-Tolerance Mechanisms (2002), spot-checking with blacklisting",
    }
}

pub(super) const SPOT_CHECKS: Experiment = Experiment {
    name: "spot-checks",
    question: "How many results are wrong where one in ten is checked, and who was wrong once is dismissed?",
    formula: "s f (1-qs)^n / ((1-f) + f (1-qs)^n)",
    kind: Kind::Drawn,
    given: "everything: workers, checks and dismissals are drawn, and none of it is the market's",
    runs: 200,
    measures: &[
        Measure {
            name: "q=0.1, f=0.2, s=0.5, n=20",
            published: published(0.041_125),
            run: |r, s| wrong(0.1, 20, 0.2, 0.5, r, s),
        },
        Measure {
            name: "q=0.1, f=0.2, s=0.1, n=20",
            published: published(0.016_976),
            run: |r, s| wrong(0.1, 20, 0.2, 0.1, r, s),
        },
    ],
};
