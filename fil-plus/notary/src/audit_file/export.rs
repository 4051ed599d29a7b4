//! The lines of a log, as they go out.

use std::{
    io::{self, Read},
    time::Duration,
};

use axum::body::Bytes;
use futures::{Stream, StreamExt as _};

use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use crate::audit_log::Head;

/// So much is read at once.
const CHUNK: usize = 64 * 1024;
/// How many of them wait for a reader.
const AHEAD: usize = 2;
/// Who takes fewer bytes than this in a second, in the mean, is left without the rest; but not before this.
const LEAST: u64 = 32 * 1024;
const AT_FIRST: Duration = Duration::from_secs(15);

/// The lines of a log up to an entry, byte by byte: as `sha256sum` and [`verify`](crate::audit_log::verify) check them. Never
/// all of it is in memory.
pub struct Export {
    head: Head,
    bytes: u64,
    lines: Box<dyn Read + Send>,
}

impl std::fmt::Debug for Export {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Export").field("head", &self.head).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Export {
    /// The first so many bytes of `lines`, which end with `head`.
    #[must_use]
    pub fn new(head: Head, bytes: u64, lines: impl Read + Send + 'static) -> Self {
        Self { head, bytes, lines: Box::new(lines) }
    }

    /// The end of what it holds.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head
    }

    /// How long it is.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// To be read where waiting for a disk holds nobody up.
    pub fn into_reader(self) -> impl Read + Send {
        self.lines.take(self.bytes)
    }

    /// The body of an answer. `held` is dropped when all of it was taken, or its reader is gone, or is too slow: then it ends early.
    pub fn stream(self, held: impl Send + 'static) -> impl Stream<Item = io::Result<Bytes>> + Send {
        self.stream_within(held, AT_FIRST)
    }

    fn stream_within(
        self,
        held: impl Send + 'static,
        at_first: Duration,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send {
        let (to, from) = mpsc::channel(AHEAD);
        // Of its own: nobody asks a body for more whose reader does not read.
        tokio::spawn(async move {
            let _held = held;
            self.send(&to, at_first).await;
        });
        futures::stream::unfold(from, |mut from| async move { Some((from.recv().await?, from)) }).fuse()
    }

    async fn send(self, to: &mpsc::Sender<io::Result<Bytes>>, at_first: Duration) {
        let begun = Instant::now();
        let (mut lines, mut sent) = (self.into_reader(), 0);
        loop {
            let read = tokio::task::spawn_blocking(move || {
                let mut chunk = vec![0; CHUNK];
                let read = lines.read(&mut chunk);
                chunk.truncate(*read.as_ref().unwrap_or(&0));
                (read.map(|_| Bytes::from(chunk)), lines)
            });
            let Ok((chunk, rest)) = read.await else { return };
            lines = rest;
            let is_last = chunk.as_ref().map_or(true, |chunk| chunk.is_empty());
            if matches!(&chunk, Ok(chunk) if chunk.is_empty()) {
                return;
            }
            sent += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
            let until = begun + at_first + Duration::from_secs(sent / LEAST);
            if !matches!(timeout_at(until, to.send(chunk)).await, Ok(Ok(()))) || is_last {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    };

    use super::*;

    /// Bytes without end, and how many were read of them.
    struct Endless(Arc<AtomicU64>);

    impl Read for Endless {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            into.fill(b'x');
            self.0.fetch_add(into.len() as u64, Ordering::SeqCst);
            Ok(into.len())
        }
    }

    #[tokio::test]
    async fn a_reader_that_does_not_read_holds_little_and_not_for_long() {
        let read = Arc::new(AtomicU64::new(0));
        let held = Arc::new(());
        let export = Export::new(Head::EMPTY, 1 << 40, Endless(Arc::clone(&read)));
        let mut body = Box::pin(export.stream_within(Arc::clone(&held), Duration::from_millis(1)));
        // Nothing is taken; its place is another's nevertheless.
        while Arc::strong_count(&held) > 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let most = ((AHEAD + 1) * CHUNK) as u64;
        assert!(read.load(Ordering::SeqCst) <= most, "{read:?} bytes were in memory");
        let mut left = 0;
        while let Some(chunk) = body.next().await {
            left += chunk.expect("what was read").len();
        }
        assert!(left <= AHEAD * CHUNK, "{left}");
    }

    #[tokio::test]
    async fn all_of_it_goes_out_and_no_more() {
        let held = Arc::new(());
        let bytes = 5 * CHUNK as u64 + 7;
        let export = Export::new(Head::EMPTY, bytes, Endless(Arc::default()));
        let mut body = Box::pin(export.stream(Arc::clone(&held)));
        let mut taken = 0;
        while let Some(chunk) = body.next().await {
            taken += chunk.expect("a piece").len() as u64;
        }
        assert_eq!((taken, Arc::strong_count(&held)), (bytes, 1));
        // A disk that fails is no end of the log.
        let broken = Export::new(Head::EMPTY, 9, io::Read::chain(&b"abc"[..], Broken));
        let pieces: Vec<_> = broken.stream(()).collect().await;
        assert!(pieces.len() == 2 && pieces[0].is_ok() && pieces[1].is_err(), "{pieces:?}");
    }

    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
}
