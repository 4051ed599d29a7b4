//! Events in a file, for an [audit](lota_market::replay): JSON lines, of which docs/replay.md says what is in them.
//!
//! The first line is a [`Header`], each other one an event ([`Recorded`]), in the chain's order.

use std::io::{self, BufRead, Write};

use lota_market::{
    Address, B256, Bytes,
    model::{JobId, Settings, Terms},
    replay::{Deployment, Oracle, Recorded},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    eip712,
    transport::{AuctionRef, MarketRef},
};

/// What the first line calls the format.
const FORMAT: &str = "lota-events";
/// The version of the format that is written and read.
pub const VERSION: u32 = 1;
/// The most bytes of a line: an event's largest part is a spec of 7 KiB, in hex.
pub const MAX_LINE: usize = 256 * 1024;

/// What was recorded, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub market: MarketRef,
    /// The auction beside it.
    pub auction: Option<AuctionRef>,
}

/// The first line.
#[derive(Serialize, Deserialize)]
struct FirstLine {
    format: String,
    version: u32,
    chain_id: u64,
    market: Address,
    settings: Settings,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    auction: Option<AuctionRef>,
}

impl Header {
    /// What is to be deployed to replay it.
    #[must_use]
    pub fn deployment(&self) -> Deployment {
        let MarketRef { contract: market, settings, .. } = self.market;
        let auction = self.auction.map(|auction| (auction.contract, auction.min_reveal_period));
        Deployment { market, settings, auction }
    }
}

/// The hashes of a market on its chain.
#[derive(Clone, Copy, Debug)]
pub struct Hashes(pub MarketRef);

impl Oracle for Hashes {
    fn job_id(&self, market: Address, terms: &Terms) -> JobId {
        eip712::job_id(&MarketRef { contract: market, ..self.0 }, terms)
    }

    fn spec_digest(&self, spec: &Bytes) -> B256 {
        B256::from_slice(&Sha256::digest(spec))
    }
}

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file cannot be read.
    #[error("it cannot be read at line {line}")]
    Io {
        /** Which line, from 1. */
        line: u64,
        /** What the operating system says. */
        source: io::Error,
    },
    /// A line is longer than any event.
    #[error("line {line} has more than {MAX_LINE} bytes: no event is so long")]
    TooLong { line: u64 },
    /// A line is something else.
    #[error("line {line} is no event: {problem}")]
    NoEvent { line: u64, problem: String },
    /// The first line is something else.
    #[error("its first line is not that of recorded events (`\"format\": \"{FORMAT}\"`): {problem}")]
    NoHeader { problem: String },
    /// A newer program wrote it.
    #[error("its format version is {found}; this program reads {VERSION}: use a newer one")]
    NewerVersion { found: u32 },
}

/// Writes a recording.
///
/// # Errors
/// Those of `out`.
pub fn write<'a>(
    out: &mut impl Write,
    header: &Header,
    record: impl IntoIterator<Item = &'a Recorded>,
) -> io::Result<()> {
    let MarketRef { chain_id, contract: market, settings } = header.market;
    let (format, auction) = (FORMAT.to_owned(), header.auction);
    serde_json::to_writer(&mut *out, &FirstLine { format, version: VERSION, chain_id, market, settings, auction })?;
    out.write_all(b"\n")?;
    for event in record {
        serde_json::to_writer(&mut *out, event)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// A recording that is read line by line.
#[derive(Debug)]
pub struct Recording<R> {
    lines: R,
    line: u64,
    /// What was recorded.
    pub header: Header,
}

impl<R: BufRead> Recording<R> {
    /// Reads the first line.
    ///
    /// # Errors
    /// When there is none, or it is another file's.
    pub fn open(mut lines: R) -> Result<Self, RecordingError> {
        let mut line = 0;
        let none = |problem: String| RecordingError::NoHeader { problem };
        let text = next_line(&mut lines, &mut line)?.ok_or_else(|| none("the file is empty".into()))?;
        let first: FirstLine = serde_json::from_slice(&text).map_err(|error| none(error.to_string()))?;
        let FirstLine { format, version, chain_id, market, settings, auction } = first;
        if format != FORMAT {
            return Err(none(format!("it says {format:?}")));
        }
        if version != VERSION {
            return Err(RecordingError::NewerVersion { found: version });
        }
        let header = Header { market: MarketRef { chain_id, contract: market, settings }, auction };
        Ok(Self { lines, line, header })
    }
}

impl<R: BufRead> Iterator for Recording<R> {
    type Item = Result<Recorded, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        let text = match next_line(&mut self.lines, &mut self.line) {
            Ok(text) => text?,
            Err(error) => return Some(Err(error)),
        };
        let line = self.line;
        let event = serde_json::from_slice(&text);
        Some(event.map_err(|error| RecordingError::NoEvent { line, problem: error.to_string() }))
    }
}

/// The next line without its end; `None` when there is none. Takes no more memory than a line may have.
fn next_line(lines: &mut impl BufRead, line: &mut u64) -> Result<Option<Vec<u8>>, RecordingError> {
    *line += 1;
    let mut text = Vec::new();
    let read = io::Read::take(&mut *lines, MAX_LINE as u64 + 1).read_until(b'\n', &mut text);
    read.map_err(|source| RecordingError::Io { line: *line, source })?;
    if text.len() > MAX_LINE {
        return Err(RecordingError::TooLong { line: *line });
    }
    Ok((!text.is_empty()).then_some(text))
}

#[cfg(test)]
mod tests {
    use lota_market::{AttoFil, Time, model::Event, world::Log};

    use super::*;

    fn header() -> Header {
        let (contract, settings) = (Address::repeat_byte(1), Settings::COIN);
        let auction = AuctionRef { contract: Address::repeat_byte(2), min_reveal_period: 10 };
        Header { market: MarketRef { chain_id: 314, contract, settings }, auction: Some(auction) }
    }

    fn deposit(index: u32) -> Recorded {
        let account = Address::repeat_byte(3);
        let event = Event::Deposited { account, payer: account, amount: AttoFil(u128::MAX) };
        let log = Log { contract: Address::repeat_byte(1), event: event.into() };
        Recorded { block: 7, index, time: Time(9), transaction: B256::repeat_byte(4), log }
    }

    fn text(record: &[Recorded]) -> Vec<u8> {
        let mut text = Vec::new();
        write(&mut text, &header(), record).expect("memory takes it");
        text
    }

    #[test]
    fn what_was_written_is_read_again() {
        let record = [deposit(0), deposit(1)];
        let text = text(&record);
        assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), 3, "a line for each");
        let recording = Recording::open(text.as_slice()).expect("a first line");
        assert_eq!(recording.header, header());
        assert_eq!(recording.collect::<Result<Vec<_>, _>>().expect("events"), record);
    }

    #[test]
    fn what_is_no_recording_is_refused_with_its_line() {
        let good = text(&[deposit(0)]);
        let with = |more: &[u8]| [good.as_slice(), more].concat();
        for (file, words) in [
            (Vec::new(), "empty"),
            (b"{}\n".to_vec(), "first line"),
            (b"\xff\xfe".to_vec(), "first line"),
            (String::from_utf8_lossy(&good).replace(FORMAT, "diary").into_bytes(), "\"diary\""),
            (String::from_utf8_lossy(&good).replace("\"version\":1", "\"version\":9").into_bytes(), "version is 9"),
            (with(b"{\"block\":1}\n"), "line 3 is no event"),
            (with(&vec![b'['; MAX_LINE + 5]), "line 3 has more than"),
            (with(b"\n"), "line 3 is no event"),
        ] {
            let error = match Recording::open(file.as_slice()) {
                Ok(recording) => recording.collect::<Result<Vec<_>, _>>().expect_err(words),
                Err(error) => error,
            };
            assert!(error.to_string().contains(words), "{error}: {words}");
        }
    }
}
