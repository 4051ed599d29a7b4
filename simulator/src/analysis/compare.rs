//! Two folders of runs compared, metric by metric.
//!
//! Runs of the same seed are pairs: each party draws from a stream of its own (see [`crate::chance`]), so that much of what chance
//! does is the same in both, and the difference of a pair has little of it. The difference's interval is Student's (for pairs), or
//! Welch's. The p-value is that of a permutation test, which assumes no distribution: signs of the pairs' differences are flipped,
//! or runs change folders, and it counts how often the difference of the means is at least as far from 0. It can therefore not be
//! less than 2^(1-pairs). Of many metrics some differ by chance: p-values are corrected by Holm's procedure.

use std::collections::BTreeMap;

use rand::Rng as _;
use serde::Serialize;
use statrs::distribution::{ContinuousCDF as _, StudentsT};

use super::{AnalysisError, Folder};
use crate::{
    chance::{Chance, Purpose, Seed},
    experiments::Estimate,
    scenario::Amount,
    summary::Summary,
};

/// Up to so many pairs all signs are tried.
const EXACT: usize = 16;
/// How many permutations are drawn otherwise.
const DRAWN: u64 = 20_000;
/// What the interval holds.
const CONFIDENCE: f64 = 0.95;

/// What a metric is in two folders.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    pub subset: u64,
    /// What was set in the subset, for people.
    pub set: String,
    pub metric: String,
    pub runs_a: u64,
    pub runs_b: u64,
    /// Whether runs were compared seed by seed.
    pub is_paired: bool,
    pub mean_a: f64,
    pub mean_b: f64,
    /// What the second has more.
    pub difference: f64,
    /// The 95 % interval of the difference; `None` when there are too few runs for one.
    pub interval: Option<(f64, f64)>,
    /// How likely a difference as large is by chance alone.
    pub p: f64,
    /// The same among all comparisons here (Holm).
    pub p_corrected: f64,
}

type Values = BTreeMap<u64, f64>;

/// Compares what runs came to.
///
/// # Errors
/// When the folders sweep different values.
pub fn compare(a: &Folder, b: &Folder) -> Result<Vec<Comparison>, AnalysisError> {
    if a.manifest.sweeps != b.manifest.sweeps {
        let (swept_a, swept_b) = (a.swept(), b.swept());
        return Err(AnalysisError::Sweeps { a: a.path.clone(), b: b.path.clone(), swept_a, swept_b });
    }
    let (mut in_a, in_b) = (metrics(a), metrics(b));
    in_a.retain(|key, _| in_b.contains_key(key));
    let sets: BTreeMap<u64, String> = a.runs.iter().map(|run| (run.subset, a.label(&run.set))).collect();
    let mut all: Vec<Comparison> = in_a
        .iter()
        .filter_map(|(key, a)| {
            let comparison = one(a, in_b.get(key)?);
            let (subset, _, metric) = key;
            let set = sets.get(subset).cloned().unwrap_or_default();
            Some(Comparison { subset: *subset, set, metric: metric.clone(), ..comparison })
        })
        .collect();
    holm(&mut all);
    Ok(all)
}

/// What is compared, by subset, place in the order of metrics, and name: a value for each seed.
fn metrics(folder: &Folder) -> BTreeMap<(u64, usize, String), Values> {
    let mut all: BTreeMap<_, Values> = BTreeMap::new();
    for run in &folder.runs {
        for (place, (metric, value)) in of(&run.summary).into_iter().enumerate() {
            all.entry((run.subset, place, metric)).or_default().insert(run.seed, value);
        }
    }
    all
}

fn of(summary: &Summary) -> Vec<(String, f64)> {
    let count = |name: &str, number: u64| (name.to_owned(), number as f64);
    let mut all = vec![
        ("welfare_fil".to_owned(), summary.welfare),
        ("mean_price_fil".to_owned(), summary.mean_price),
        ("mean_wait_s".to_owned(), summary.mean_wait),
        ("paid_fil".to_owned(), Amount::to_fil(summary.paid)),
        ("burned_fil".to_owned(), Amount::to_fil(summary.burned)),
        ("cost_fil".to_owned(), summary.cost),
        ("gini".to_owned(), summary.gini),
        count("settled", summary.settled),
        count("slashed", summary.slashed),
        count("cancelled", summary.cancelled),
        count("voided", summary.voided),
        count("wrong", summary.wrong),
        count("caught", summary.caught),
        count("missed", summary.missed),
        count("wronged", summary.wronged),
        count("failed_tasks", summary.failed_tasks),
        count("blocked", summary.blocked),
    ];
    all.extend(summary.populations.iter().map(|it| (format!("profit_fil {}", it.name), it.mean_profit)));
    all
}

fn one(a: &Values, b: &Values) -> Comparison {
    let is_paired = a.len() == b.len() && a.keys().eq(b.keys());
    let (in_a, in_b) = (Estimate::of(a.values().copied()), Estimate::of(b.values().copied()));
    let (difference, error, freedom, p);
    let mut chance = Seed(0).stream(Purpose::Experiment, 0);
    if is_paired {
        let differences: Vec<f64> = a.values().zip(b.values()).map(|(a, b)| b - a).collect();
        let estimate = Estimate::of(differences.iter().copied());
        (difference, error, freedom) = (estimate.mean, estimate.error, estimate.runs as f64 - 1.0);
        p = flip_signs(&differences, &mut chance);
    } else {
        difference = in_b.mean - in_a.mean;
        let (square_a, square_b) = (in_a.error.powi(2), in_b.error.powi(2));
        error = (square_a + square_b).sqrt();
        // Welch and Satterthwaite.
        let parts = square_a.powi(2) / (in_a.runs as f64 - 1.0) + square_b.powi(2) / (in_b.runs as f64 - 1.0);
        freedom =
            if error > 0.0 { (square_a + square_b).powi(2) / parts } else { (in_a.runs + in_b.runs) as f64 - 2.0 };
        let all: Vec<f64> = a.values().chain(b.values()).copied().collect();
        p = change_folders(all, a.len(), difference, &mut chance);
    }
    let quantile = StudentsT::new(0.0, 1.0, freedom).ok().filter(|_| error.is_finite() && freedom > 0.0);
    let interval = quantile.map(|t| {
        let half = t.inverse_cdf((1.0 + CONFIDENCE) / 2.0) * error;
        (difference - half, difference + half)
    });
    Comparison {
        subset: 0,
        set: String::new(),
        metric: String::new(),
        runs_a: in_a.runs,
        runs_b: in_b.runs,
        is_paired,
        mean_a: in_a.mean,
        mean_b: in_b.mean,
        difference,
        interval,
        p,
        p_corrected: p,
    }
}

/// What rounding may do to a sum, relative to its parts.
const ROUNDING: f64 = 1e-9;

/// How often the mean of differences is as far from 0 when each is as likely the other way round.
fn flip_signs(differences: &[f64], chance: &mut Chance) -> f64 {
    let differences: Vec<f64> = differences.iter().copied().filter(|difference| *difference != 0.0).collect();
    let scale: f64 = differences.iter().map(|difference| difference.abs()).sum();
    let as_far = differences.iter().sum::<f64>().abs() - ROUNDING * scale;
    let sum = |signs: &mut dyn FnMut(usize) -> bool| -> f64 {
        differences.iter().enumerate().map(|(at, difference)| if signs(at) { -difference } else { *difference }).sum()
    };
    if differences.len() <= EXACT {
        let all = 1_u64 << differences.len();
        let far = (0..all).filter(|signs| sum(&mut |at| (*signs >> at) & 1 == 1).abs() >= as_far).count();
        return far as f64 / all as f64;
    }
    let far = (0..DRAWN).filter(|_| sum(&mut |_| chance.random()).abs() >= as_far).count();
    // What was observed is one of the permutations.
    (far as f64 + 1.0) / (DRAWN as f64 + 1.0)
}

/// How often the difference of the means is as far from 0 when it is chance which of all are the first so many.
fn change_folders(mut all: Vec<f64>, first: usize, difference: f64, chance: &mut Chance) -> f64 {
    let (total, count) = (all.iter().sum::<f64>(), all.len());
    let scale: f64 = all.iter().map(|value| value.abs()).sum::<f64>() / count as f64;
    let as_far = difference.abs() - ROUNDING * scale;
    let far = (0..DRAWN)
        .filter(|_| {
            // The first so many of a shuffle.
            for at in 0..first {
                all.swap(at, chance.random_range(at..count));
            }
            let sum: f64 = all[..first].iter().sum();
            ((total - sum) / (count - first) as f64 - sum / first as f64).abs() >= as_far
        })
        .count();
    (far as f64 + 1.0) / (DRAWN as f64 + 1.0)
}

/// Holm's procedure: the smallest of m p-values times m, the next times m - 1, and none smaller than the one before it. What
/// is the same in all runs of both is no test, and does not count.
fn holm(all: &mut [Comparison]) {
    let is_test = |it: &Comparison| it.difference != 0.0 || it.interval.is_none_or(|(low, high)| low != high);
    let mut order: Vec<usize> = (0..all.len()).filter(|at| is_test(&all[*at])).collect();
    order.sort_by(|x, y| all[*x].p.total_cmp(&all[*y].p));
    let (count, mut least) = (order.len(), 0.0_f64);
    for (rank, at) in order.into_iter().enumerate() {
        least = least.max((all[at].p * (count - rank) as f64).min(1.0));
        all[at].p_corrected = least;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(values: &[f64]) -> Values {
        (1..).zip(values.iter().copied()).collect()
    }

    #[test]
    fn pairs_are_tested_by_their_differences() {
        // Student's interval of 1, 2, 3, 4, 5: 3 ± 2.776 * sqrt(2.5 / 5).
        let comparison = one(&values(&[10.0, 20.0, 30.0, 40.0, 50.0]), &values(&[11.0, 22.0, 33.0, 44.0, 55.0]));
        assert!(comparison.is_paired);
        assert_eq!((comparison.mean_a, comparison.mean_b, comparison.difference), (30.0, 33.0, 3.0));
        let (low, high) = comparison.interval.expect("an interval");
        assert!((low - 1.036_757).abs() < 1e-4 && (high - 4.963_243).abs() < 1e-4, "{low} {high}");
        // Of 32 ways to choose signs, two are as far: all as they are, and all the other way.
        assert_eq!(comparison.p, 2.0 / 32.0);
    }

    #[test]
    fn other_seeds_are_no_pairs_and_take_welchs_interval() {
        let a = values(&[1.0, 2.0, 3.0, 4.0]);
        let b: Values = [(7, 11.0), (8, 12.0), (9, 13.0), (10, 16.0)].into();
        let comparison = one(&a, &b);
        assert!(!comparison.is_paired);
        assert_eq!(comparison.difference, 10.5);
        // 10.5 ± t(4.90) * sqrt(5 / 12 + 7 / 6).
        let (low, high) = comparison.interval.expect("an interval");
        assert!((low - 7.244).abs() < 0.02 && (high - 13.756).abs() < 0.02, "{low} {high}");
        // 2 of 70 ways to share them out.
        assert!((comparison.p - 2.0 / 70.0).abs() < 0.01, "{}", comparison.p);
    }

    #[test]
    fn the_same_runs_do_not_differ_and_one_run_proves_nothing() {
        let same = one(&values(&[1.0, 2.0]), &values(&[1.0, 2.0]));
        assert_eq!((same.p, same.interval), (1.0, Some((0.0, 0.0))));
        let single = one(&values(&[1.0]), &values(&[5.0]));
        assert_eq!((single.p, single.interval), (1.0, None));
    }

    #[test]
    fn chance_is_seldom_significant_and_an_effect_is_found() {
        let mut chance = Seed(3).stream(Purpose::Experiment, 1);
        let mut found = |effect: f64| {
            let significant = (0..60).filter(|_| {
                let a: Values = (0..20).map(|seed| (seed, chance.random())).collect();
                let b: Values = (0..20).map(|seed| (seed, chance.random::<f64>() + effect)).collect();
                one(&a, &b).p < 0.05
            });
            significant.count()
        };
        let (by_chance, by_effect) = (found(0.0), found(0.5));
        assert!(by_chance <= 9, "{by_chance} of 60 at 5 %");
        assert!(by_effect > 55, "{by_effect} of 60");
    }

    #[test]
    fn holm_multiplies_the_smallest_the_most() {
        let mut all: Vec<Comparison> = [0.01, 0.04, 0.03]
            .map(|p| Comparison { p, difference: 1.0, ..one(&values(&[1.0]), &values(&[2.0])) })
            .into();
        holm(&mut all);
        let corrected: Vec<f64> = all.iter().map(|it| it.p_corrected).collect();
        assert_eq!(corrected, [0.03, 0.06, 0.06]);
    }
}
