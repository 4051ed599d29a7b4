//! One reader of a chain's log: pulled, with nothing but a position of its own.

use std::{collections::VecDeque, sync::Arc};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream};
use lota_market::Time;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::{Chain, EpochChain, Link};
use crate::transport::{Cursor, TransportError, Update, UpdateStream};

/// How many events are read at once.
const PAGE: usize = 64;

/// What a reader reads.
pub(super) trait Log: Send + Sync + 'static {
    /// What comes after `from`, at most `limit` updates: a rewind, events, or the head when there are none.
    fn read(&self, from: Option<&Cursor>, limit: usize) -> Result<Vec<Update>, TransportError>;
    /// Changes whenever the log does.
    fn changes(&self) -> watch::Receiver<u64>;
    /// Ready once the time is later than `time`, should it pass between blocks.
    fn later_than(&self, time: Time) -> BoxFuture<'static, ()>;
}

impl Log for Chain {
    fn read(&self, from: Option<&Cursor>, limit: usize) -> Result<Vec<Update>, TransportError> {
        self.read(from, limit)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes()
    }

    fn later_than(&self, time: Time) -> BoxFuture<'static, ()> {
        self.clock().later_than(time)
    }
}

impl Log for EpochChain {
    fn read(&self, from: Option<&Cursor>, limit: usize) -> Result<Vec<Update>, TransportError> {
        Ok(self.read(from, limit))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes()
    }

    fn later_than(&self, _: Time) -> BoxFuture<'static, ()> {
        std::future::pending().boxed()
    }
}

struct Reader<L> {
    chain: L,
    /// Held so that `cuts` keeps its sender.
    _link: Link,
    changes: watch::Receiver<u64>,
    cuts: watch::Receiver<u64>,
    /// Right after what was yielded last.
    position: Option<Cursor>,
    page: VecDeque<Update>,
    announced: Option<Update>,
    /// Who reads with others holds one of these while he has a page.
    pages: Option<Arc<Semaphore>>,
    held: Option<OwnedSemaphorePermit>,
}

/// With `pages`, at most as many pages are in memory as it has permits, of all readers that share it.
pub(super) fn updates(
    chain: impl Log,
    link: &Link,
    from: Option<Cursor>,
    pages: Option<Arc<Semaphore>>,
) -> UpdateStream {
    let (changes, cuts) = (chain.changes(), link.cuts());
    let (page, announced, held) = (VecDeque::new(), None, None);
    let reader = Reader { chain, _link: link.clone(), changes, cuts, position: from, page, announced, pages, held };
    stream::unfold(reader, |mut reader| async move { reader.next().await.map(|update| (update, reader)) }).boxed()
}

impl<L: Log> Reader<L> {
    async fn next(&mut self) -> Option<Result<Update, TransportError>> {
        loop {
            if self.cuts.has_changed().unwrap_or_default() {
                self.cuts.mark_unchanged();
                self.page.clear();
                self.held = None;
                self.announced = None;
                return Some(Err(TransportError::Unavailable("the connection was cut".into())));
            }
            if self.page.is_empty() {
                if let Some(pages) = &self.pages {
                    self.held = Some(Arc::clone(pages).acquire_owned().await.ok()?);
                }
                self.changes.mark_unchanged();
                self.page = match self.chain.read(self.position.as_ref(), PAGE) {
                    Ok(page) => page.into(),
                    Err(error) => {
                        // There is no page: others may read theirs, and so may this one when it goes on.
                        self.held = None;
                        return Some(Err(error));
                    }
                };
            }
            let update = self.page.pop_front()?;
            if self.page.is_empty() {
                self.held = None;
            }
            match &update {
                Update::Event { cursor, .. }
                | Update::Auction { cursor, .. }
                | Update::FilecoinPayDeals { cursor, .. } => self.position = Some(*cursor),
                Update::Rewind { to } => self.position = *to,
                Update::Head { cursor, latest, .. } => {
                    if self.announced.as_ref() == Some(&update) {
                        tokio::select! {
                            _ = self.changes.changed() => {}
                            _ = self.cuts.changed() => self.cuts.mark_changed(),
                            () = self.chain.later_than(latest.time) => {}
                        }
                        continue;
                    }
                    self.position = Some(*cursor);
                    self.announced = Some(update.clone());
                }
            }
            return Some(Ok(update));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use lota_market::B256;

    use super::*;

    /// Cannot be read the first time.
    struct Stumbling(Arc<AtomicBool>, watch::Receiver<u64>);

    impl Log for Stumbling {
        fn read(&self, _: Option<&Cursor>, _: usize) -> Result<Vec<Update>, TransportError> {
            if !self.0.swap(true, Ordering::Relaxed) {
                return Err(TransportError::Unavailable("the disk stumbles".into()));
            }
            Ok(vec![Update::Rewind { to: Some(Cursor { block: 1, block_hash: B256::ZERO, index: 0 }) }; 2])
        }

        fn changes(&self) -> watch::Receiver<u64> {
            self.1.clone()
        }

        fn later_than(&self, _: Time) -> BoxFuture<'static, ()> {
            std::future::pending().boxed()
        }
    }

    #[test]
    fn a_reader_that_could_not_read_goes_on_and_keeps_nobody_else_waiting() {
        let (_sender, changes) = watch::channel(0);
        let pages = Arc::new(Semaphore::new(1));
        let link = Link::default();
        let reader = |has_stumbled| {
            let log = Stumbling(Arc::new(AtomicBool::new(has_stumbled)), changes.clone());
            updates(log, &link, None, Some(Arc::clone(&pages)))
        };
        let (mut first, mut second) = (reader(false), reader(true));
        let ready = |stream: &mut UpdateStream| stream.next().now_or_never().flatten().map(|update| update.is_ok());
        assert_eq!(ready(&mut first), Some(false), "it says so");
        assert_eq!(ready(&mut second), Some(true), "somebody else has a page");
        assert_eq!(ready(&mut first), None, "there is one page for both");
        assert_eq!(ready(&mut second), Some(true), "and that was the page");
        assert_eq!(ready(&mut first), Some(true), "it goes on");
    }
}
