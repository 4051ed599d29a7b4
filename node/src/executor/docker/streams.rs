//! What a container prints: two streams, each of which ends with the keeper's line.

use bytes::Bytes;
use tokio::fs::File;
use tokio::io::{AsyncWriteExt as _, BufWriter};

use crate::executor::{LogPiece, LogSink, StandardStream};

/// The longest rest of the keeper's line behind the marker.
const LONGEST: usize = 80;

/// How the keeper says that the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Exit(u8),
    Signal(u8),
    /// It could not be run: the system's error number.
    NotRun(u8),
}

/// What the keeper says at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    pub(super) how: How,
    /// Processor time of all processes, in microseconds.
    pub(super) processor_micros: u64,
    /// Processes that were killed for want of memory.
    pub(super) killed_for_memory: u64,
}

impl End {
    /// ` x0 1234 0`, without the line's end.
    fn parse(line: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(line).ok()?.strip_prefix(' ')?.split(' ');
        let (how, micros, killed) = (parts.next()?, parts.next()?, parts.next()?);
        let (letter, number) = how.split_at_checked(1)?;
        let number = number.parse().ok()?;
        let how = match letter {
            "x" => How::Exit(number),
            "s" => How::Signal(number),
            "e" => How::NotRun(number),
            _ => return None,
        };
        Some(Self { how, processor_micros: micros.parse().ok()?, killed_for_memory: killed.parse().ok()? })
    }
}

/// Finds the keeper's line at the end of a stream.
#[derive(Debug)]
pub(super) struct Watch {
    marker: Vec<u8>,
    /// What may be the beginning of the line.
    held: Vec<u8>,
}

impl Watch {
    pub(super) fn new(marker: &str) -> Self {
        Self { marker: marker.as_bytes().to_vec(), held: Vec::new() }
    }

    /// Takes a piece; answers what the program printed, and the end if this was it.
    pub(super) fn take(&mut self, piece: &[u8]) -> (Bytes, Option<End>) {
        self.held.extend_from_slice(piece);
        let mut from = 0;
        loop {
            let Some(start) = self.held[from..].iter().position(|byte| *byte == self.marker[0]).map(|at| from + at)
            else {
                return (Bytes::from(std::mem::take(&mut self.held)), None);
            };
            let rest = &self.held[start..];
            let compared = rest.len().min(self.marker.len());
            if rest[..compared] != self.marker[..compared] {
                from = start + 1;
                continue;
            }
            let line = rest.get(self.marker.len()..).unwrap_or_default();
            match line.iter().take(LONGEST).position(|byte| *byte == b'\n') {
                Some(end) => match End::parse(&line[..end]) {
                    Some(end) => {
                        self.held.truncate(start);
                        return (Bytes::from(std::mem::take(&mut self.held)), Some(end));
                    }
                    None => from = start + 1,
                },
                // The rest of the line is yet to come.
                None if line.len() < LONGEST => {
                    let held = self.held.split_off(start);
                    return (Bytes::from(std::mem::replace(&mut self.held, held)), None);
                }
                None => from = start + 1,
            }
        }
    }
}

/// A stream on its way into the result.
pub(super) struct Stream {
    which: StandardStream,
    watch: Watch,
    file: BufWriter<File>,
    logs: Option<LogSink>,
    pub(super) written: u64,
    pub(super) end: Option<End>,
}

impl Stream {
    pub(super) fn new(which: StandardStream, marker: &str, file: std::fs::File, logs: Option<LogSink>) -> Self {
        let file = BufWriter::new(File::from_std(file));
        Self { which, watch: Watch::new(marker), file, logs, written: 0, end: None }
    }

    /// Writes a piece, as far as there is room for it; says whether there was.
    pub(super) async fn take(&mut self, piece: &[u8], room: u64) -> std::io::Result<bool> {
        if self.end.is_some() {
            return Ok(true);
        }
        let (mut printed, end) = self.watch.take(piece);
        self.end = end;
        let fits = printed.len() as u64 <= room;
        printed.truncate(usize::try_from(room).unwrap_or(usize::MAX));
        if !printed.is_empty() {
            self.file.write_all(&printed).await?;
            self.written += printed.len() as u64;
            if let Some(logs) = &self.logs {
                // A reader that is slow or gone misses it.
                let _ = logs.try_send(LogPiece { stream: self.which, bytes: printed });
            }
        }
        Ok(fits)
    }

    pub(super) async fn finish(&mut self) -> std::io::Result<()> {
        self.file.flush().await
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MARKER: &str = "\u{1}lota-end:0123";

    fn all(pieces: &[&[u8]]) -> (Vec<u8>, Option<End>) {
        let mut watch = Watch::new(MARKER);
        let (mut printed, mut found) = (Vec::new(), None);
        for piece in pieces {
            let (bytes, end) = watch.take(piece);
            printed.extend_from_slice(&bytes);
            found = found.or(end);
        }
        (printed, found)
    }

    #[test]
    fn the_keepers_line_is_no_output() {
        let text = format!("hello\n{MARKER} x7 1500 0\n");
        let end = End { how: How::Exit(7), processor_micros: 1_500, killed_for_memory: 0 };
        assert_eq!(all(&[text.as_bytes()]), (b"hello\n".to_vec(), Some(end)));
        let text = format!("{MARKER} s9 1 3\n");
        assert_eq!(all(&[text.as_bytes()]).1.expect("an end").how, How::Signal(9));
        assert_eq!(all(&[format!("{MARKER} e2 0 0\n").as_bytes()]).1.expect("an end").how, How::NotRun(2));
    }

    #[test]
    fn what_only_looks_like_it_is_output() {
        for text in [
            "\u{1}lota-end:".to_owned() + "9999 x0 0 0\n",
            format!("{MARKER} y0 0 0\n"),
            format!("{MARKER} x999 0 0\n"),
            format!("{MARKER}{}", "x".repeat(LONGEST + 1)),
            "\u{1}\u{1}\u{1}".to_owned() + "x",
        ] {
            assert_eq!(all(&[text.as_bytes()]), (text.as_bytes().to_vec(), None), "{text:?}");
        }
    }

    #[test]
    fn nothing_is_held_back_that_cannot_be_the_line() {
        let mut watch = Watch::new(MARKER);
        assert_eq!(watch.take(b"no end of line"), (Bytes::from_static(b"no end of line"), None));
        assert_eq!(watch.take(b"a\x01lota"), (Bytes::from_static(b"a"), None));
        assert_eq!(watch.take(b"!"), (Bytes::from_static(b"\x01lota!"), None));
    }

    proptest! {
        #[test]
        fn it_is_found_however_the_stream_is_cut(
            before in proptest::collection::vec(prop_oneof![any::<u8>(), Just(1)], 0..60),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let stream = [before.as_slice(), MARKER.as_bytes(), b" x3 12 1\n"].concat();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]).collect();
            let end = End { how: How::Exit(3), processor_micros: 12, killed_for_memory: 1 };
            prop_assert_eq!(all(&pieces), (before, Some(end)));
        }
    }
}
