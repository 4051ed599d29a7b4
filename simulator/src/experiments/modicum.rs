//! MODiCuM's game between a client that may verify and a provider that may deceive (arXiv 2005.11429).

use rand::Rng as _;

use super::{Estimate, Experiment, Kind, Measure, Published, over_draws};
use crate::chance::{Chance, Seed};

/// n = 1 replica's mediators, theta = 0, a mediator that always finds out (p_a = 1).
const N: f64 = 1.0;
const THETA: f64 = 0.0;
/// A job's price, what executing and deceiving cost the provider, what verifying costs the client, and the mediator's fee.
const PRICE: f64 = 2.0;
const EXECUTING: f64 = 1.5;
const DECEIVING: f64 = 0.1;
const VERIFYING: f64 = 0.5;
const FEE: f64 = 0.5;
/// What a deceiver who is found out pays to the client.
const FINE: f64 = PRICE * (N + THETA + 1.0);

/// What a round pays provider and client.
fn round(executes: bool, verifies: bool) -> (f64, f64) {
    let (mut provider, mut client) = (PRICE, -PRICE);
    provider -= if executes { EXECUTING } else { DECEIVING };
    if verifies {
        client -= VERIFYING;
        if !executes {
            provider -= FINE;
            client += FINE - FEE;
        }
    }
    (provider, client)
}

/// Where a difference of mean payoffs, a straight line in the other's probability, is zero: from draws at two probabilities.
fn indifference(chance: &mut Chance, difference: impl Fn(bool) -> f64) -> f64 {
    const ROUNDS: u32 = 2_000;
    let mut at = |probability: f64| {
        (0..ROUNDS).map(|_| difference(chance.random::<f64>() < probability)).sum::<f64>() / f64::from(ROUNDS)
    };
    let (low, high) = (at(0.1), at(0.9));
    0.1 + 0.8 * low / (low - high)
}

/// How often the client verifies when the provider gains as much by executing as by deceiving.
fn verifying(runs: u64, seed: Seed) -> Estimate {
    over_draws(runs, seed, |chance| indifference(chance, |verifies| round(true, verifies).0 - round(false, verifies).0))
}

/// How often the provider executes when the client gains as much by verifying as by not.
fn executing(runs: u64, seed: Seed) -> Estimate {
    over_draws(runs, seed, |chance| indifference(chance, |executes| round(executes, true).1 - round(executes, false).1))
}

pub(super) const EQUILIBRIUM: Experiment = Experiment {
    name: "modicum",
    question: "How often does a client verify, and a provider execute, when neither can gain by doing otherwise?",
    formula: "p_v pi_c (n + theta + 1) = c_e - c_d; (1 - p_e)(pi_c (n + theta + 1) - g_m) = c_v",
    kind: Kind::Formula,
    runs: 200,
    measures: &[
        Measure { name: "p_v", published: published(0.35, 0.0), run: verifying },
        Measure { name: "p_e", published: published(0.857_143, 5e-7), run: executing },
    ],
};

const fn published(value: f64, rounding: f64) -> Published {
    Published { value, rounding, source: "arXiv 2005.11429; design/protocol.md, oracles" }
}
