//! When a mean of paired differences lies above zero although it was chosen among many.

/// The quantile of Student's distribution that is exceeded with a probability of `tail` (below one half), for so many degrees of freedom.
///
/// The normal quantile is Acklam's (relative error below 1.2e-9), its expansion for Student's distribution is 26.7.5 of Abramowitz and
/// Stegun. With 9 degrees of freedom or more it errs by less than 2 % down to tails of 10^-5.
fn quantile(tail: f64, degrees: f64) -> f64 {
    let z = normal_quantile(tail);
    let odd = |power: i32| z.powi(power);
    let n = degrees;
    z + (odd(3) + z) / (4.0 * n)
        + (5.0 * odd(5) + 16.0 * odd(3) + 3.0 * z) / (96.0 * n.powi(2))
        + (3.0 * odd(7) + 19.0 * odd(5) + 17.0 * odd(3) - 15.0 * z) / (384.0 * n.powi(3))
        + (79.0 * odd(9) + 776.0 * odd(7) + 1_482.0 * odd(5) - 1_920.0 * odd(3) - 945.0 * z) / (92_160.0 * n.powi(4))
}

fn normal_quantile(tail: f64) -> f64 {
    const LOW: f64 = 0.024_25;
    if tail < LOW {
        let q = (-2.0 * tail.max(f64::MIN_POSITIVE).ln()).sqrt();
        let above = [
            -7.784_894_002_430_293e-3,
            -3.223_964_580_411_365e-1,
            -2.400_758_277_161_838,
            -2.549_732_539_343_734,
            4.374_664_141_464_968,
            2.938_163_982_698_783,
        ];
        let below =
            [7.784_695_709_041_462e-3, 3.224_671_290_700_398e-1, 2.445_134_137_142_996, 3.754_408_661_907_416, 1.0];
        return -polynomial(&above, q) / polynomial(&below, q);
    }
    let q = 0.5 - tail;
    let r = q * q;
    let above = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    let below = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
        1.0,
    ];
    q * polynomial(&above, r) / polynomial(&below, r)
}

/// Horner's rule; the coefficient of the highest power comes first.
fn polynomial(coefficients: &[f64], at: f64) -> f64 {
    coefficients.iter().fold(0.0, |sum, coefficient| sum * at + coefficient)
}

/// The mean of differences, and the interval that holds the true one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Interval {
    pub(super) low: f64,
    pub(super) high: f64,
}

/// How likely it is at most that anything is reported that is no gain, over all candidates of a search.
pub(super) const ALPHA: f64 = 0.01;

impl Interval {
    /// Of independent differences, when there were so many candidates for the largest (Bonferroni's correction).
    pub(super) fn of(differences: &[f64], candidates: u64) -> Self {
        let count = differences.len() as f64;
        if differences.len() < 2 {
            return Self { low: f64::NEG_INFINITY, high: f64::INFINITY };
        }
        let mean = differences.iter().sum::<f64>() / count;
        let squares: f64 = differences.iter().map(|difference| (difference - mean).powi(2)).sum();
        let error = (squares / ((count - 1.0) * count)).sqrt();
        let half = quantile(ALPHA / candidates.max(1) as f64, count - 1.0) * error;
        Self { low: mean - half, high: mean + half }
    }
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution as _, StandardNormal};

    use super::*;
    use crate::chance::{Purpose, Seed};

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (tail, degrees, table) in [
            (0.025, 1e9, 1.959_964),
            (0.1, 1e9, 1.281_552),
            (0.001, 1e9, 3.090_232),
            (0.01, 9.0, 2.821_438),
            (0.001, 19.0, 3.579_400),
            (0.000_5, 29.0, 3.659_405),
        ] {
            let found = quantile(tail, degrees);
            assert!((found - table).abs() < 5e-3, "{tail} of {degrees}: {found}, not {table}");
        }
    }

    /// The best of a hundred that gain nothing would be called a gain nearly always without the correction.
    #[test]
    fn the_best_of_many_that_gain_nothing_is_seldom_called_a_gain() {
        let mut chance = Seed(7).stream(Purpose::Experiment, 1);
        let mut called = |candidates: u64| {
            let mut any = || {
                (0..100).any(|_| {
                    let differences: Vec<f64> = (0..12).map(|_| StandardNormal.sample(&mut chance)).collect();
                    Interval::of(&differences, candidates).low > 0.0
                })
            };
            (0..100).filter(|_| any()).count()
        };
        let (corrected, uncorrected) = (called(100), called(1));
        assert!(corrected <= 5, "{corrected} of 100");
        assert!(uncorrected > 40, "{uncorrected} of 100: the test could not fail otherwise");
    }
}
