//! `--since`: how long ago, or when.

use core::str::FromStr;

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};

use crate::units::Seconds;

/// A moment, as a person writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// So long ago.
    Ago(Seconds),
    /// Then.
    At(Timestamp),
}

/// Why a text is no moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no moment; write how long ago it was, such as `2h`, or when, such as `2026-01-31` or `2026-01-31T12:00:00Z`"
)]
pub(crate) struct ParseSinceError(String);

impl FromStr for Since {
    type Err = ParseSinceError;

    /// A date, or a time without its zone, is one of this machine's zone.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let trimmed = text.trim();
        if let Ok(ago) = trimmed.parse() {
            return Ok(Self::Ago(ago));
        }
        if let Ok(then) = trimmed.parse() {
            return Ok(Self::At(then));
        }
        let local: Option<DateTime> = trimmed.parse().ok();
        local
            .and_then(|local| local.to_zoned(TimeZone::system()).ok())
            .map(|zoned| Self::At(zoned.timestamp()))
            .ok_or_else(|| ParseSinceError(text.to_owned()))
    }
}

impl Since {
    /// The moment; what is longer ago than time reaches is its beginning.
    pub(crate) fn moment(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(Seconds(seconds)) => i64::try_from(seconds)
                .ok()
                .and_then(|seconds| now.checked_sub(SignedDuration::from_secs(seconds)).ok())
                .unwrap_or(Timestamp::MIN),
            Self::At(then) => then,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_ago_or_a_date() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().expect("a time");
        let moment = |text: &str| text.parse::<Since>().expect(text).moment(now).to_string();
        assert_eq!(moment("2h"), "2026-01-31T10:00:00Z");
        assert_eq!(moment("1h 30m"), "2026-01-31T10:30:00Z");
        assert_eq!(moment("2026-01-30T01:02:03+01:00"), "2026-01-30T00:02:03Z");
        assert!(matches!("2026-01-30".parse(), Ok(Since::At(_))));
        assert!(matches!("2026-01-30 08:00".parse(), Ok(Since::At(_))));
        assert_eq!(Since::Ago(Seconds(u64::MAX)).moment(now), Timestamp::MIN);
        assert!("yesterday".parse::<Since>().expect_err("no moment").to_string().contains("`2h`"));
    }
}
