//! Values in words.

use jiff::{SignedDuration, Timestamp};
use lota_market::{
    Address, AttoFil,
    asset::Asset,
    model::{JobId, Status},
};

use crate::units::Seconds;

/// The first ten digits of an id: enough to name it again.
pub(crate) fn short_id(id: JobId) -> String {
    let full = id.to_string();
    full.get(..12).unwrap_or(&full).to_owned()
}

/// Both ends of an account's address.
pub(crate) fn short_address(address: Address) -> String {
    let full = address.to_string();
    match (full.get(..6), full.get(full.len().saturating_sub(4)..)) {
        (Some(start), Some(end)) => format!("{start}…{end}"),
        _ => full,
    }
}

/// A state's name, as in JSON.
pub(crate) const fn status_name(status: Status) -> &'static str {
    match status {
        Status::None => "none",
        Status::Open => "open",
        Status::Locked => "locked",
        Status::Submitted => "submitted",
        Status::Disputed => "disputed",
        Status::Settled => "settled",
        Status::Cancelled => "cancelled",
        Status::Slashed => "slashed",
        Status::Void => "void",
    }
}

/// `1 job`, `2 jobs`.
pub(crate) fn plural(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// `1 file`, or how many files and folders.
pub(crate) fn file_count(entries: u64) -> String {
    if entries == 1 { "1 file".to_owned() } else { format!("{entries} files and folders") }
}

/// How long ago something was, in its largest unit: `12s`, `3m`, `5h`, `2d`.
pub(crate) fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(since).max(SignedDuration::ZERO).as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// An amount, or a dash for none.
pub(crate) fn money(amount: Option<AttoFil>, asset: &Asset) -> String {
    amount.map_or_else(|| "-".to_owned(), |amount| asset.show(amount))
}

/// A span of seconds.
pub(crate) fn span(seconds: u64) -> String {
    Seconds(seconds).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_in_its_largest_unit() {
        let now = Timestamp::from_second(1_000_000).expect("in range");
        for (seconds, text) in [(0, "0s"), (59, "59s"), (60, "1m"), (7200, "2h"), (200_000, "2d")] {
            assert_eq!(age(Timestamp::from_second(1_000_000 - seconds).expect("in range"), now), text);
        }
        assert_eq!(age(Timestamp::from_second(1_000_100).expect("in range"), now), "0s");
    }

    #[test]
    fn long_names_keep_both_ends() {
        assert_eq!(short_address(Address::ZERO), "0x0000…0000");
        assert_eq!(short_id(JobId::default()), "0x0000000000");
    }
}
