//! What notaries and their service did, as lines that each name the digest of the line before.
//!
//! A line is JSON, kept and exported byte for byte as it was written; `previous` in it is the sha2-256 of the line before, without its
//! line break. So nobody needs this program to check a log: `sha256sum` of each line does. Whoever holds the digest of a line, as
//! [attestations](crate::attestation) do, holds all that lies before it.

use std::io::BufRead;

use lota_market::{B256, Time};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The longest line, in bytes: texts in it are bounded where they come in.
pub const MAX_LINE: usize = 64 * 1024;

/// The `previous` of the first entry.
pub const BEGINNING: B256 = B256::ZERO;

/// One thing that was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// From 1 on, without gaps.
    pub number: u64,
    /// When, in Unix seconds; never before the entry before.
    pub at: Time,
    /// Who: a notary's account as `0x…`, or `service`.
    pub actor: String,
    /// What: `nominated`, `voted`, `granted`, …
    pub action: String,
    /// To what: a job's or nomination's id.
    pub subject: String,
    /// All else, as the action has it.
    pub details: serde_json::Value,
    /// sha2-256 of the line before; of the first, zeros.
    pub previous: B256,
}

/// The end of a log: what the next entry is linked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// How many entries there are.
    pub entries: u64,
    /// sha2-256 of the last line; of an empty log, zeros.
    pub digest: B256,
    /// When the last one was written.
    pub at: Time,
}

impl Head {
    /// That of an empty log.
    pub const EMPTY: Self = Self { entries: 0, digest: BEGINNING, at: Time(0) };
}

/// Why an entry cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    #[error("an entry of {bytes} bytes in the audit log; at most {MAX_LINE} are allowed: shorten the reason")]
    TooLong { bytes: usize },
    #[error("an entry of the audit log cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

/// The next line of a log and its new end. Time does not run backwards in a log: an earlier `at` becomes the last entry's.
///
/// # Errors
/// If the line would be too long.
pub fn append(
    head: Head,
    at: Time,
    actor: &str,
    action: &str,
    subject: &str,
    details: serde_json::Value,
) -> Result<(String, Head), EntryError> {
    let at = at.max(head.at);
    let number = head.entries + 1;
    let (actor, action, subject) = (actor.to_owned(), action.to_owned(), subject.to_owned());
    let line = serde_json::to_string(&Entry { number, at, actor, action, subject, details, previous: head.digest })?;
    if line.len() > MAX_LINE {
        return Err(EntryError::TooLong { bytes: line.len() });
    }
    let digest = digest(line.as_bytes());
    Ok((line, Head { entries: number, digest, at }))
}

fn digest(line: &[u8]) -> B256 {
    B256::from_slice(&Sha256::digest(line))
}

/// Why a log is not what was written.
#[derive(Debug, thiserror::Error)]
pub enum BrokenLog {
    #[error("line {line} of the audit log cannot be read")]
    Read {
        line: u64,
        #[source]
        source: std::io::Error,
    },
    #[error("line {line} of the audit log has more than {MAX_LINE} bytes")]
    TooLong { line: u64 },
    #[error("line {line} of the audit log is no entry: {problem}")]
    Entry { line: u64, problem: String },
    #[error("line {line} of the audit log has number {number}: entries are missing, or were put in")]
    Number { line: u64, number: u64 },
    #[error(
        "line {line} of the audit log names {named} as the digest of the line before, which is {is}: a line was changed"
    )]
    Link { line: u64, named: B256, is: B256 },
    #[error("line {line} of the audit log was written at {at}, before the line before ({before})")]
    Time { line: u64, at: Time, before: Time },
}

/// Reads a log to its end, checks each link, and hands on each entry.
///
/// # Errors
/// The first line that is not what was written, by its number.
pub fn verify(mut log: impl BufRead, mut each: impl FnMut(Entry)) -> Result<Head, BrokenLog> {
    let mut head = Head::EMPTY;
    let mut bytes = Vec::new();
    loop {
        let line = head.entries + 1;
        bytes.clear();
        let most = u64::try_from(MAX_LINE).unwrap_or(u64::MAX) + 1;
        let read = std::io::Read::take(&mut log, most)
            .read_until(b'\n', &mut bytes)
            .map_err(|source| BrokenLog::Read { line, source })?;
        if read == 0 {
            return Ok(head);
        }
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        } else if bytes.len() > MAX_LINE {
            return Err(BrokenLog::TooLong { line });
        }
        let entry: Entry =
            serde_json::from_slice(&bytes).map_err(|error| BrokenLog::Entry { line, problem: error.to_string() })?;
        if entry.number != line {
            return Err(BrokenLog::Number { line, number: entry.number });
        }
        if entry.previous != head.digest {
            return Err(BrokenLog::Link { line, named: entry.previous, is: head.digest });
        }
        if entry.at < head.at {
            return Err(BrokenLog::Time { line, at: entry.at, before: head.at });
        }
        head = Head { entries: line, digest: digest(&bytes), at: entry.at };
        each(entry);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn log(entries: u64) -> (Vec<String>, Head) {
        let mut head = Head::EMPTY;
        let mut lines = Vec::new();
        for number in 0..entries {
            let (line, next) = append(head, Time(100 + number), "service", "nominated", "0x01", json!({ "n": number }))
                .expect("short");
            lines.push(line);
            head = next;
        }
        (lines, head)
    }

    fn read(lines: &[String]) -> Result<(Head, u64), BrokenLog> {
        let mut count = 0;
        let head = verify(lines.join("\n").as_bytes(), |_| count += 1)?;
        Ok((head, count))
    }

    #[test]
    fn a_log_reads_as_it_was_written() {
        let (lines, head) = log(5);
        assert_eq!(read(&lines).expect("whole"), (head, 5));
        assert_eq!(read(&[]).expect("empty"), (Head::EMPTY, 0));
        let mut ended = lines.join("\n");
        ended.push('\n');
        assert_eq!(verify(ended.as_bytes(), |_| ()).expect("whole"), head);
    }

    #[test]
    fn time_never_runs_backwards() {
        let (_, head) = append(Head::EMPTY, Time(9), "service", "a", "b", json!({})).expect("short");
        let (line, _) = append(head, Time(3), "service", "a", "b", json!({})).expect("short");
        assert!(line.contains("\"at\":9"), "{line}");
    }

    #[test]
    fn what_was_changed_left_out_or_moved_is_named() {
        let (lines, _) = log(4);
        let mut changed = lines.clone();
        changed[1] = changed[1].replace("nominated", "rejected!");
        assert!(matches!(read(&changed), Err(BrokenLog::Link { line: 3, .. })));
        let mut short = lines.clone();
        short.remove(1);
        assert!(matches!(read(&short), Err(BrokenLog::Number { line: 2, number: 3 })));
        let mut moved = lines.clone();
        moved.swap(1, 2);
        assert!(matches!(read(&moved), Err(BrokenLog::Number { line: 2, .. })));
        let mut garbage = lines;
        garbage[3] = "<html>".into();
        assert!(matches!(read(&garbage), Err(BrokenLog::Entry { line: 4, .. })));
    }

    #[test]
    fn a_line_without_end_is_refused_before_it_is_read() {
        let endless = std::io::BufReader::new(std::io::repeat(b'x'));
        assert!(matches!(verify(endless, |_| ()), Err(BrokenLog::TooLong { line: 1 })));
        let long = append(Head::EMPTY, Time(0), "service", "a", "b", json!("x".repeat(MAX_LINE)));
        assert!(matches!(long, Err(EntryError::TooLong { .. })));
    }

    proptest! {
        #[test]
        fn no_byte_of_it_can_be_changed(entries in 2_u64..5, at in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let (lines, head) = log(entries);
            let mut bytes = lines.join("\n").into_bytes();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let mut changed = Vec::new();
            // Of the last line, nobody but who holds its digest knows.
            prop_assert!(verify(&bytes[..], |entry| changed.push(entry)).map_or(true, |read| read != head));
        }
    }
}
