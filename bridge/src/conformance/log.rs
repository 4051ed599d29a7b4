//! A reader's log: what it was told, folded.

use std::time::Duration;

use futures::StreamExt;
use lota_market::{B256, Time, model::Event};

use crate::{Cursor, Transport, Update, UpdateStream};

/// Longer than this nothing takes that goes on at all: a watchdog, so that a suite that hangs says where.
const HANGS: Duration = Duration::from_secs(180);

/// One event as it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Right after it.
    pub cursor: Cursor,
    /// Timestamp of its block.
    pub time: Time,
    pub transaction: B256,
    pub event: Event,
}

/// What a reader knows, and where it reads on.
pub struct Log {
    stream: UpdateStream,
    /// What happened, without what was undone.
    pub lines: Vec<Line>,
    /// Rewinds so far.
    pub rewinds: usize,
    /// Temporary errors so far.
    pub errors: usize,
    /// Where to resume from.
    pub position: Option<Cursor>,
    /// The newest time that was told.
    pub now: Time,
    /// Up to which block all is final, as was told last.
    pub finalized: u64,
    /// Whether the last update was a head.
    pub is_at_head: bool,
}

impl Log {
    /// Starts to read from a position, with what is known up to there.
    pub fn open(transport: &dyn Transport, from: Option<Cursor>, lines: Vec<Line>) -> Self {
        let stream = transport.updates(from);
        let now = Time(0);
        Self { stream, lines, rewinds: 0, errors: 0, position: from, now, finalized: 0, is_at_head: false }
    }

    /// Reads one update.
    pub async fn read(&mut self) -> Update {
        loop {
            let next = tokio::time::timeout(HANGS, self.stream.next()).await;
            let update = match next.expect("the stream goes on").expect("the stream does not end") {
                Ok(update) => update,
                Err(error) if error.is_temporary() => {
                    self.errors += 1;
                    continue;
                }
                Err(error) => panic!("the stream failed: {error}"),
            };
            self.take(&update);
            return update;
        }
    }

    fn take(&mut self, update: &Update) {
        self.is_at_head = matches!(update, Update::Head { .. });
        match update {
            Update::Event { cursor, time, transaction, event } => {
                assert!(cursor.is_above(self.position.as_ref()), "{cursor} comes after {:?}", self.position);
                assert!(cursor.index > 0, "an event's position is right after it");
                self.position = Some(*cursor);
                self.lines.push(Line { cursor: *cursor, time: *time, transaction: *transaction, event: event.clone() });
            }
            Update::Head { cursor, latest, finalized } => {
                assert!(
                    !self.position.is_some_and(|position| position.is_above(Some(cursor))),
                    "the head is above all"
                );
                assert!(latest.block >= cursor.block);
                assert!((self.finalized..=latest.block).contains(finalized), "what is final does not become unfinal");
                self.finalized = *finalized;
                assert!(latest.time >= self.now, "time does not go back");
                self.position = Some(*cursor);
                self.now = latest.time;
            }
            Update::Auction { event, .. } => panic!("{event:?} of an auction that nobody asked for"),
            Update::FilecoinPayDeals { event, .. } => panic!("{event:?} of a contract that nobody asked for"),
            Update::Rewind { to } => {
                self.rewinds += 1;
                self.lines.retain(|line| !line.cursor.is_above(to.as_ref()));
                self.position = *to;
                self.now = Time(0);
                self.finalized = self.finalized.min(to.map_or(0, |to| to.block));
            }
        }
    }

    /// Reads until everything up to `target` was told.
    pub async fn read_to(&mut self, target: Cursor) {
        while self.position.is_none_or(|position| position.position() < target.position()) {
            self.read().await;
        }
    }

    /// Reads until a condition holds.
    pub async fn read_until(&mut self, mut condition: impl FnMut(&Self) -> bool) {
        while !condition(self) {
            self.read().await;
        }
    }

    /// The events only.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.lines.iter().map(|line| line.event.clone()).collect()
    }

    /// How often an event with this URL was told.
    #[must_use]
    pub fn count(&self, wanted: &str) -> usize {
        let is_it = |line: &&Line| matches!(&line.event, Event::Announced { url, .. } if url == wanted);
        self.lines.iter().filter(is_it).count()
    }
}
