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

/// How often the provider executes when the client gains as much by verifying as by not.
fn executing(runs: u64, seed: Seed) -> Estimate {
    over_draws(runs, seed, |chance| indifference(chance, |executes| round(executes, true).1 - round(executes, false).1))
}

pub(super) const CLIENT: Experiment = Experiment {
    name: "modicum-client",
    question: "How often must a provider execute so that a client gains as much by verifying as by not?",
    formula: "(1 - p_e)(pi_c (n + theta + 1) - g_m) = c_v",
    kind: Kind::Drawn,
    given: "everything: rounds are drawn from the table of payoffs that the formula was derived from; the provider's side, `modicum`, is played",
    runs: 200,
    measures: &[Measure { name: "p_e", published: published(0.857_143, 5e-7), run: executing }],
};

/// What a client gains that asks for a job of no use to it, whose result is ambiguous: each execution gives the usual output with a
/// probability. If the provider's output is the usual one, it is paid. If not, the client has the job executed `again` times by the
/// mediator: when all of them give the usual output, the provider is found guilty and the client gets the price as damages; when not, the job is,
/// and the client is fined as many prices as there were executions. The price is 1. All outcomes are gone through.
fn ambiguous(usual: f64, again: u32) -> f64 {
    let executions = again + 1;
    let gain = |outcome: u32| match (outcome & 1, outcome >> 1) {
        (0, _) => -1.0,
        (_, 0) => 1.0,
        _ => -f64::from(again),
    };
    let likely = |outcome: u32| -> f64 {
        (0..executions).map(|at| if outcome >> at & 1 == 0 { usual } else { 1.0 - usual }).product()
    };
    // A bit for each execution, set for the unusual output; the first is the provider's.
    (0..1 << executions).map(|outcome| likely(outcome) * gain(outcome)).sum()
}

/// Which probability suits such a client best.
fn most_ambiguous(again: u32) -> Estimate {
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    // The gain rises and then falls; a third is cut off each time.
    for _ in 0..100 {
        let (left, right) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
        if ambiguous(left, again) < ambiguous(right, again) {
            low = left;
        } else {
            high = right;
        }
    }
    Estimate::exact((low + high) / 2.0)
}

pub(super) const AMBIGUOUS: Experiment = Experiment {
    name: "modicum-ambiguous",
    question: "How ambiguous are the jobs of a client that asks for them to have providers fined?",
    formula: "p_a that maximises -p + (1 - p)(p^n - n (1 - p^n)), for n executions by the mediator",
    kind: Kind::Computed,
    given: "everything: all outcomes of the game are gone through. The fine of n prices is inferred: with it both numbers come out",
    runs: 1,
    measures: &[
        Measure { name: "p_a, n=1", published: published(0.5, 0.0005), run: |_, _| most_ambiguous(1) },
        Measure { name: "p_a, n=4", published: published(0.943, 0.0005), run: |_, _| most_ambiguous(4) },
    ],
};

const fn published(value: f64, rounding: f64) -> Published {
    Published { value, rounding, source: "arXiv 2005.11429; design/protocol.md, oracles" }
}
