//! One reader of a chain's log: pulled, with nothing but a position of its own.

use std::collections::VecDeque;

use futures::{StreamExt, stream};
use tokio::sync::watch;

use super::{Chain, Link};
use crate::transport::{Cursor, TransportError, Update, UpdateStream};

/// How many events are read at once.
const PAGE: usize = 64;

struct Reader {
    chain: Chain,
    /// Held so that `cuts` keeps its sender.
    _link: Link,
    changes: watch::Receiver<u64>,
    cuts: watch::Receiver<u64>,
    /// Right after what was yielded last.
    position: Option<Cursor>,
    page: VecDeque<Update>,
    announced: Option<Update>,
}

pub(super) fn updates(chain: Chain, link: &Link, from: Option<Cursor>) -> UpdateStream {
    let (changes, cuts) = (chain.changes(), link.cuts());
    let reader =
        Reader { chain, _link: link.clone(), changes, cuts, position: from, page: VecDeque::new(), announced: None };
    stream::unfold(reader, |mut reader| async move { reader.next().await.map(|update| (update, reader)) }).boxed()
}

impl Reader {
    async fn next(&mut self) -> Option<Result<Update, TransportError>> {
        loop {
            if self.cuts.has_changed().unwrap_or_default() {
                self.cuts.mark_unchanged();
                self.page.clear();
                self.announced = None;
                return Some(Err(TransportError::Unavailable("the connection was cut".into())));
            }
            if self.page.is_empty() {
                self.changes.mark_unchanged();
                self.page = self.chain.read(self.position.as_ref(), PAGE).into();
            }
            let update = self.page.pop_front()?;
            match &update {
                Update::Event { cursor, .. } | Update::Auction { cursor, .. } => self.position = Some(*cursor),
                Update::Rewind { to } => self.position = *to,
                Update::Head { cursor, latest, .. } => {
                    if self.announced.as_ref() == Some(&update) {
                        tokio::select! {
                            _ = self.changes.changed() => {}
                            _ = self.cuts.changed() => self.cuts.mark_changed(),
                            () = self.chain.clock().later_than(latest.time) => {}
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
