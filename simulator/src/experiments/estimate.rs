//! Means and their intervals.

/// A mean over independent runs, with what is needed for its interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Estimate {
    pub runs: u64,
    pub mean: f64,
    /// Standard error of the mean.
    pub error: f64,
}

/// How many standard errors make an interval that holds 99.9 % of all estimates: a test of a hundred numbers with fixed seeds
/// should not fail by chance.
const WIDTH: f64 = 3.29;

impl Estimate {
    /// From the values of independent runs.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        // Welford's: one pass, and no loss of digits.
        let (mut runs, mut mean, mut squares) = (0_u64, 0.0, 0.0);
        for value in values {
            runs += 1;
            let away = value - mean;
            mean += away / runs as f64;
            squares += away * (value - mean);
        }
        let error = if runs < 2 { f64::INFINITY } else { (squares / ((runs - 1) as f64 * runs as f64)).sqrt() };
        Self { runs, mean, error }
    }

    /// A number without chance.
    #[must_use]
    pub const fn exact(value: f64) -> Self {
        Self { runs: 1, mean: value, error: 0.0 }
    }

    /// Half of the interval's width.
    #[must_use]
    pub const fn half_width(&self) -> f64 {
        WIDTH * self.error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_mean_is_that_of_the_textbook() {
        let estimate = Estimate::of([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
        assert_eq!((estimate.runs, estimate.mean), (8, 5.0));
        assert!((estimate.error - (32.0_f64 / 7.0 / 8.0).sqrt()).abs() < 1e-12);
        assert_eq!(Estimate::of([1.0]).error, f64::INFINITY, "one value says nothing of its error");
    }
}
