//! How many workers must agree.

use rand::Rng as _;

use super::{Estimate, Experiment, Kind, Measure, Published, over_draws, over_market};
use crate::chance::Seed;

const ORACLES: &str = "design/protocol.md, oracles";

/// How often most of `votes` are wrong when each is with probability `error`.
fn majority_error(votes: u32, error: f64, runs: u64, seed: Seed) -> Estimate {
    const VOTINGS: u32 = 1_000;
    over_draws(runs, seed, |chance| {
        let is_lost = |_: &u32| {
            let wrong = (0..votes).filter(|_| chance.random::<f64>() < error).count();
            2 * wrong > votes as usize
        };
        (0..VOTINGS).filter(is_lost).count() as f64 / f64::from(VOTINGS)
    })
}

const fn majority(value: f64) -> Published {
    Published { value, rounding: 0.0, source: ORACLES }
}

/// The share of tasks of which most results are wrong, where so many providers run each.
fn failed_tasks(replicas: u32, runs: u64, seed: Seed) -> Estimate {
    over_market("replicas", &[("job.replicas", replicas.into())], runs, seed, |outcome| {
        outcome.summary.failed_tasks as f64 / outcome.summary.tasks.max(1) as f64
    })
}

pub(super) const REPLICAS: Experiment = Experiment {
    name: "replicas",
    question: "How often are most of a task's results wrong, where replicas are jobs of the market?",
    formula: "that of `majority`",
    kind: Kind::Played,
    given: "how likely each result is wrong, and that all of them are paid",
    runs: 40,
    measures: &[
        Measure { name: "phi=0.2, m=2", published: majority(0.104), run: |r, s| failed_tasks(3, r, s) },
        Measure { name: "phi=0.2, m=3", published: majority(0.057_92), run: |r, s| failed_tasks(5, r, s) },
    ],
};

pub(super) const MAJORITY: Experiment = Experiment {
    name: "majority",
    question: "How often is a majority wrong whose members are wrong independently?",
    formula: "sum over k >= m of C(2m-1, k) phi^k (1-phi)^(2m-1-k)",
    kind: Kind::Drawn,
    given: "everything: votes are drawn, and counted, against the formula for that; `replicas` is the same on the market",
    runs: 200,
    measures: &[
        Measure { name: "phi=0.1, m=2", published: majority(0.028), run: |r, s| majority_error(3, 0.1, r, s) },
        Measure { name: "phi=0.1, m=3", published: majority(0.008_56), run: |r, s| majority_error(5, 0.1, r, s) },
        Measure { name: "phi=0.2, m=2", published: majority(0.104), run: |r, s| majority_error(3, 0.2, r, s) },
        Measure { name: "phi=0.2, m=3", published: majority(0.057_92), run: |r, s| majority_error(5, 0.2, r, s) },
    ],
};

/// How many workers of a score must agree, one after the other, until iExec's proof of contribution accepts their result.
fn workers(score: u64, trust: f64) -> Estimate {
    let weight = (score / 3).max(3) - 1;
    // What other results would weigh before anybody votes.
    let others = 1.0;
    let (mut group, mut agreed) = (0.0_f64, 0);
    while group * trust <= (others + group) * (trust - 1.0) {
        group = group.max(1.0) * weight as f64;
        agreed += 1;
    }
    Estimate::exact(f64::from(agreed))
}

const fn poco(value: f64) -> Published {
    Published { value, rounding: 0.0, source: "iExec PoCo, consensus weights; design/protocol.md, oracles" }
}

pub(super) const POCO: Experiment = Experiment {
    name: "poco",
    question: "How many workers of the same score must agree under iExec's proof of contribution?",
    formula: "least k with w^k > trust - 1, w = max(score/3, 3) - 1",
    kind: Kind::Computed,
    given: "everything: iExec's rule is followed, worker by worker, against its closed form",
    runs: 1,
    measures: &[
        Measure { name: "score 0, trust 100", published: poco(7.0), run: |_, _| workers(0, 1e2) },
        Measure { name: "score 30, trust 100", published: poco(3.0), run: |_, _| workers(30, 1e2) },
        Measure { name: "score 300, trust 100", published: poco(2.0), run: |_, _| workers(300, 1e2) },
        Measure { name: "score 0, trust 10^4", published: poco(14.0), run: |_, _| workers(0, 1e4) },
        Measure { name: "score 30, trust 10^4", published: poco(5.0), run: |_, _| workers(30, 1e4) },
        Measure { name: "score 300, trust 10^4", published: poco(3.0), run: |_, _| workers(300, 1e4) },
        Measure { name: "score 0, trust 10^6", published: poco(20.0), run: |_, _| workers(0, 1e6) },
        Measure { name: "score 30, trust 10^6", published: poco(7.0), run: |_, _| workers(30, 1e6) },
        Measure { name: "score 300, trust 10^6", published: poco(4.0), run: |_, _| workers(300, 1e6) },
    ],
};
