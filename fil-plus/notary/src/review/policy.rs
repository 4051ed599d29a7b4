//! From where on a fact worries.

use core::fmt;

use lota_market::AttoFil;
use serde::{Deserialize, Serialize};

/// A part of a whole, in basis points (1/10,000).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Share(pub u32);

impl Share {
    /// The whole.
    pub const WHOLE: Self = Self(10_000);

    /// `part` of `whole`, rounded down; `None` of nothing. What exceeds the whole is the whole.
    #[must_use]
    pub fn of(part: AttoFil, whole: AttoFil) -> Option<Self> {
        if whole.0 == 0 {
            return None;
        }
        let part = part.0.min(whole.0);
        // Below 2^114 the product fits; above, the lowest bits of both do not matter to a ten thousandth.
        let shift = 128_u32.saturating_sub(part.leading_zeros()).saturating_sub(114);
        let points = (part >> shift) * u128::from(Self::WHOLE.0) / (whole.0 >> shift).max(1);
        Some(Self(u32::try_from(points).unwrap_or(Self::WHOLE.0).min(Self::WHOLE.0)))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02} %", self.0 / 100, self.0 % 100)
    }
}

/// From where on a notary is warned. The defaults are meant for a young market; nothing is refused by them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// From this part of the pair's volume on, money that comes back from the provider to the client is a warning.
    pub circle_warning: Share,
    /// From this part on, it speaks against the job.
    pub circle_failure: Share,
    /// From this part of what was blessed in the period on, one provider or client is a warning.
    pub share_warning: Share,
    /// With fewer blessings than this in the period, shares say nothing.
    pub share_from_blessings: u64,
    /// Parties that the market has known for less than this are a warning, in seconds.
    pub young: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            circle_warning: Share(1_000),
            circle_failure: Share(5_000),
            share_warning: Share(5_000),
            share_from_blessings: 5,
            young: 7 * 24 * 60 * 60,
        }
    }
}

/// Why a policy makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// More than the whole.
    #[error("{key} is {value} basis points; the most is 10,000, which is the whole")]
    AboveTheWhole { key: &'static str, value: u32 },
    /// It would fail before it warned.
    #[error("circle_warning ({warning}) is above circle_failure ({failure}); let it be at most that")]
    WarnsTooLate { warning: Share, failure: Share },
}

impl Policy {
    /// # Errors
    /// The first thing that makes no sense.
    pub fn validate(&self) -> Result<(), PolicyError> {
        let shares = [
            ("circle_warning", self.circle_warning),
            ("circle_failure", self.circle_failure),
            ("share_warning", self.share_warning),
        ];
        if let Some(&(key, Share(value))) = shares.iter().find(|(_, share)| *share > Share::WHOLE) {
            return Err(PolicyError::AboveTheWhole { key, value });
        }
        if self.circle_warning > self.circle_failure {
            return Err(PolicyError::WarnsTooLate { warning: self.circle_warning, failure: self.circle_failure });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_share_is_rounded_down_and_never_above_the_whole() {
        assert_eq!(Share::of(AttoFil(1), AttoFil(3)), Some(Share(3_333)));
        assert_eq!(Share::of(AttoFil(7), AttoFil(3)), Some(Share::WHOLE));
        assert_eq!(Share::of(AttoFil(0), AttoFil(0)), None);
        assert_eq!(Share(3_333).to_string(), "33.33 %");
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        assert_eq!(Policy::default().validate(), Ok(()));
        let above = Policy { share_warning: Share(10_001), ..Policy::default() }.validate();
        assert_eq!(
            above.expect_err("too much").to_string(),
            "share_warning is 10001 basis points; the most is 10,000, which is the whole"
        );
        let late = Policy { circle_warning: Share(6_000), ..Policy::default() }.validate();
        assert!(late.expect_err("too late").to_string().contains("60.00 %"));
    }

    proptest! {
        #[test]
        fn a_share_agrees_with_wide_arithmetic(part in any::<u128>(), whole in 1_u128..) {
            let exact = lota_market::U256::from(part.min(whole)) * lota_market::U256::from(10_000) / lota_market::U256::from(whole);
            let share = Share::of(AttoFil(part), AttoFil(whole)).expect("a whole");
            prop_assert!(exact.to::<u32>().abs_diff(share.0) <= 1, "{share:?} {exact}");
        }
    }
}
