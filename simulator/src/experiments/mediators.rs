//! Lazy mediators: votes that are bare bits.

use rand::Rng as _;

use super::{Estimate, Experiment, Kind, Measure, Published, over_draws};
use crate::chance::Seed;

/// What a vote with the majority pays, what one against it costs, and what executing the job costs.
const FEE: f64 = 1.0;
const SLASH: f64 = 2.0;
const COST: f64 = 0.5;
/// The share of disputes in which the result was wrong.
const JUSTIFIED: f64 = 0.1;

/// What a mediator gains for each dispute beside two who execute the job.
fn gain(executes: bool, runs: u64, seed: Seed) -> Estimate {
    const DISPUTES: u32 = 1_000;
    over_draws(runs, seed, |chance| {
        let dispute = |_| {
            let is_wrong = chance.random::<f64>() < JUSTIFIED;
            // The two others vote for what is so, and are the majority. "Upheld" is right unless the result is wrong.
            let agrees = executes || !is_wrong;
            (if agrees { FEE } else { -SLASH }) - if executes { COST } else { 0.0 }
        };
        (0..DISPUTES).map(dispute).sum::<f64>() / f64::from(DISPUTES)
    })
}

const fn published(value: f64) -> Published {
    Published { value, rounding: 0.0, source: "design/protocol.md, oracles" }
}

pub(super) const LAZY: Experiment = Experiment {
    name: "lazy-mediators",
    question: "What does a mediator gain that always votes for the result, where votes are bare bits?",
    formula: "(1-j) fee - j slash against fee - cost; a vote that needs the digest of the memory closes it",
    kind: Kind::Drawn,
    given: "everything: no mediators exist on the market yet, and two others who execute are taken for granted",
    runs: 200,
    measures: &[
        Measure { name: "always upheld", published: published(0.70), run: |r, s| gain(false, r, s) },
        Measure { name: "executing", published: published(0.50), run: |r, s| gain(true, r, s) },
    ],
};
