//! A reorganisation-safe log of several contracts.
//!
//! Logs are polled by range; a cursor with block hashes is the truth, subscriptions only wake the poller up, and block numbers are never
//! walked (a Filecoin epoch without blocks answers error 12). What is in the newest block is told at once. A trail of blocks that
//! were seen leads back to where the forks part when the chain is reorganised: then an [`Update::Rewind`] comes, and what is there
//! instead. [`Update::Head`] says up to which block nothing will be undone any more.
//!
//! A position ([`Cursor`]) is a place in the chain: block, hash, and the chain's own index of a log within the block, plus one. It does
//! not depend on which contracts are followed. A contract that is followed later is read alone from its first block up to where the
//! others are; meanwhile these go on.
//!
//! ```no_run
//! # use std::sync::Arc;
//! use lota_bridge::evm::{Chain, EventLog, LogUpdate, Source};
//! use lota_bridge::{Cursor, Journal};
//! use lota_market::Address;
//!
//! # async fn follow(chain: Chain, journal: Arc<dyn Journal>, one: Address, two: Address, kept: Option<Cursor>) {
//! let mut log = EventLog::open(&chain, journal, "grants");
//! // Each source goes on after what was kept of it.
//! log.follow(Source::new(one, 1_000), kept);
//! log.follow(Source::new(two, 2_000), None);
//! while let Some(update) = log.next().await {
//!     match update {
//!         // Keep it together with its cursor.
//!         Ok(LogUpdate::Log { cursor, log, .. }) => println!("{} said {:?} at {cursor}", log.address, log.topics),
//!         // Forget all that lies above.
//!         Ok(LogUpdate::Rewind { to }) => println!("undone down to {to:?}"),
//!         Ok(LogUpdate::CaughtUp { address, .. }) => println!("{address} was read as far as the others"),
//!         Ok(LogUpdate::Head { finalized, .. }) => println!("final up to {finalized}"),
//!         // What is temporary passes: the log goes on where it was.
//!         Err(error) => eprintln!("{error}"),
//!     }
//! }
//! # }
//! ```

mod late;
mod pages;
mod reading;
mod reorganisation;
mod telling;
mod trail;
mod update;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use lota_market::B256;
use tokio::{sync::watch, time::Instant};

pub use self::update::{LogError, Source, Update};
use self::{
    late::Late,
    pages::{Ahead, Decode, Range},
    trail::Trail,
};
use super::chain::{Chain, Live, Log, RpcError};
use crate::{
    Journal,
    journal::{Checkpoint, LogId},
    transport::{Cursor, Head},
};

/// How often to look for news where a subscription tells of them: it may break without a word.
const HINTED_POLL: Duration = Duration::from_secs(10);

/// A log of several contracts; see [the module](self). It is pulled: a slow reader loses nothing and makes nothing grow.
pub struct EventLog<T = ()> {
    chain: Chain,
    journal: Arc<dyn Journal>,
    id: LogId,
    decode: Decode<T>,
    wakes: watch::Receiver<u64>,
    /// Sources that are followed and were not looked at yet, and where they go on.
    added: Vec<(Source, Option<Cursor>)>,
    /// Sources that are read together.
    sources: Arc<[Source]>,
    /// Sources that are to catch up with them.
    late: VecDeque<Late>,
    /// Right after what was queued last; what was queued is yielded before anything else is read.
    position: Option<Cursor>,
    /// The first block that may hold something new.
    next: u64,
    /// From this block on the trail has every block with logs.
    dense_from: u64,
    trail: Trail,
    /// Up to which number blocks were said to be final.
    finalized: u64,
    begun: bool,
    /// The trail as the journal has it.
    kept: Option<Checkpoint>,
    range: Range,
    ahead: Option<Ahead<T>>,
    queue: VecDeque<Update<T>>,
    announced: Option<(Cursor, Head, u64)>,
    /// Since when the chain ends below what was read.
    shorter_since: Option<Instant>,
    /// The newest block that was seen, and how often in a row it was found again.
    seen: Option<B256>,
    unchanged: u32,
    /// Held while it is as far as the chain is.
    live: Option<Live>,
    failures: u32,
    pause_until: Option<Instant>,
    ended: bool,
}

impl<T> std::fmt::Debug for EventLog<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventLog").field("id", &self.id).field("position", &self.position).finish_non_exhaustive()
    }
}

impl EventLog {
    /// A log of nothing yet. What it must remember is kept under this name, which no other log with the same journal has.
    #[must_use]
    pub fn open(chain: &Chain, journal: Arc<dyn Journal>, name: &str) -> Self {
        Self::decoding(chain, journal, name, |_| ())
    }
}

impl<T: Send + 'static> EventLog<T> {
    /// The same; logs are decoded in the task that fetches them.
    #[must_use]
    pub fn decoding(
        chain: &Chain,
        journal: Arc<dyn Journal>,
        name: &str,
        decode: impl Fn(&Log) -> T + Send + Sync + 'static,
    ) -> Self {
        chain.listen();
        Self {
            id: LogId { chain_id: chain.id(), name: name.to_owned() },
            journal,
            decode: Arc::new(decode),
            wakes: chain.wakes(),
            added: Vec::new(),
            sources: Arc::new([]),
            late: VecDeque::new(),
            position: None,
            next: 0,
            dense_from: 0,
            trail: Trail::default(),
            finalized: 0,
            begun: false,
            kept: None,
            range: Range::new(chain.config().max_range),
            ahead: None,
            queue: VecDeque::new(),
            announced: None,
            shorter_since: None,
            seen: None,
            unchanged: 0,
            live: None,
            failures: 0,
            pause_until: None,
            ended: false,
            chain: chain.clone(),
        }
    }

    /// Follows a contract, from right after `from` (from its first block, if `None`). Sources that begin at the same position are read
    /// together; those that begin earlier than others, or are added later, catch up with them first.
    pub fn follow(&mut self, source: Source, from: Option<Cursor>) {
        self.added.push((source, from));
    }

    /// What comes next; `None` after an error that is not temporary. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// See [`LogError`]. A temporary error is news, not the end: the log goes on from where it was.
    pub async fn next(&mut self) -> Option<Result<Update<T>, LogError>> {
        loop {
            // Before anything is yielded that rests on it; it was not, if an earlier call was dropped.
            if !self.queue.is_empty()
                && let Err(error) = self.keep().await
            {
                self.ended = true;
                return Some(Err(error));
            }
            if let Some(update) = self.queue.pop_front() {
                return Some(Ok(update));
            }
            if self.ended {
                return None;
            }
            let result = match self.rest().await {
                // There is something new to be read first.
                Ok(false) => continue,
                Ok(true) => {
                    self.wakes.mark_unchanged();
                    self.step().await
                }
                Err(error) => Err(error),
            };
            let Err(error) = result else {
                self.failures = 0;
                continue;
            };
            if let LogError::Rpc(error) = &error {
                // Whoever is told of the trouble is to be told of its end.
                self.announced = None;
                self.ahead = None;
                (self.live, self.seen) = (None, None);
                self.chain.doubt();
                let asked = if let RpcError::Unavailable { retry_after, .. } = error { *retry_after } else { None };
                self.failures = self.failures.saturating_add(1);
                self.pause_until = Some(Instant::now() + self.chain.pause_after(self.failures, asked));
            }
            self.ended = !error.is_temporary();
            return Some(Err(error));
        }
    }

    /// Waits until it is worth looking again; meanwhile late sources catch up. True when it is time for the next step.
    async fn rest(&mut self) -> Result<bool, LogError> {
        let Some(until) = self.pause_until else { return Ok(true) };
        let left = until.saturating_duration_since(Instant::now());
        if self.failures == 0 && self.begun && !left.is_zero() && !self.wakes.has_changed().unwrap_or_default() {
            self.begin_late();
            if !self.late.is_empty() {
                self.catch_up().await?;
                return Ok(false);
            }
        }
        self.chain.pause(&mut self.wakes, left).await;
        self.pause_until = None;
        Ok(true)
    }

    fn pause(&mut self, pause: Duration) {
        self.pause_until = Some(Instant::now() + pause);
    }

    /// Reads some more into the queue, or finds that there is nothing and sets a pause.
    async fn step(&mut self) -> Result<(), LogError> {
        self.begin().await?;
        let poll = self.chain.config().poll;
        let news = self.chain.headers().news(self.seen, poll / 2);
        let (latest, is_told) = match news {
            Some(news) => news,
            None => (self.chain.latest().await?, false),
        };
        let is_new = self.seen.replace(latest.hash) != Some(latest.hash);
        self.unchanged = if is_new { 0 } else { self.unchanged.saturating_add(1) };
        let finalized = self.chain.finalized(&latest, self.awaits_finality()).await?;
        if let Some(anchor) = self.anchor().filter(|anchor| anchor.block > latest.number()) {
            return self.shorter(&latest, anchor).await;
        }
        self.shorter_since = None;
        // Nodes may differ in what they call final; what was told stays told.
        self.finalized = self.finalized.max(finalized);
        if self.is_stale() && self.next > latest.number() {
            self.announce(&latest);
            return Ok(());
        }
        let Some((page, from, to)) = self.read(latest.number()).await? else { return Ok(()) };
        if is_told && page.get(&latest.number()).is_none_or(|logs| logs.hash != latest.hash) {
            // It was a subscription that told of the block, and nothing of it is in the logs: the node may not be as far, or
            // serve another chain by now.
            let asked = self.chain.latest().await?;
            if asked.number() < latest.number() {
                self.pause(poll);
                return Ok(());
            }
        }
        // After the logs: if the chain changed under them, this or the next step sees it.
        let anchor = self.anchor();
        let (mut are_known, mut are_elsewhere) = (true, false);
        for (block, logs) in page.range(self.next..) {
            let holds = self.chain.headers().holds(*block, logs.hash);
            are_known &= holds.is_some();
            are_elsewhere |= holds == Some(false);
        }
        if are_elsewhere {
            // The logs are of another fork than the newest block: one of them is older.
            self.seen = None;
            self.pause(poll);
            self.chain.headers().outdate();
            return Ok(());
        }
        let (holds, chain, reached) = tokio::join!(
            async {
                match anchor {
                    Some(anchor) => self.chain.still_holds(anchor.block, anchor.hash).await,
                    None => Ok(true),
                }
            },
            // Before anything is believed: the logs may be another chain's. Those of known blocks are not.
            async { if are_known { Ok(()) } else { self.chain.check_id().await } },
            async { if to == latest.number() { Ok(Some(latest)) } else { self.chain.block_at(to).await } },
        );
        if let Some(anchor) = anchor
            && !holds?
        {
            return self.back_below(anchor.block).await;
        }
        if let Some(block) = self.compare(&page, from, to)? {
            return self.back_below(block).await;
        }
        chain?;
        let reached = reached?;
        self.check_resumed(&page, to, latest.number())?;
        let times = self.times(&page).await?;
        if let Some(at) = self.position
            && self.trail.points().is_empty()
            && (self.next..=to).contains(&at.block)
        {
            // Nothing was known of the way to it; it holds, and a reorganisation above it leads back to it.
            self.trail.push(Checkpoint { block: at.block, hash: at.block_hash, logs: 0, index: at.index });
        }
        self.take(page, &times);
        if let Some(header) = reached.filter(|_| to >= self.next) {
            let known = self.trail.find(to).filter(|point| point.hash == header.hash).copied();
            self.trail.push(known.unwrap_or(Checkpoint { block: to, hash: header.hash, logs: 0, index: 0 }));
        }
        self.next = self.next.max(to + 1);
        self.trail.thin(self.finalized);
        if to == latest.number() {
            self.announce(&latest);
        }
        Ok(())
    }

    /// Whether anything that was told may still be undone.
    fn awaits_finality(&self) -> bool {
        let newest = self.trail.points().iter().rev().find(|point| point.logs > 0);
        newest.is_some_and(|point| point.block > self.finalized)
    }

    /// Whether the newest block was read a while ago. Logs that came late are looked for again now and then, ever more seldom,
    /// until there is a new block, with which they are.
    const fn is_stale(&self) -> bool {
        self.unchanged == 1 || self.unchanged > 1 && !self.unchanged.is_power_of_two()
    }

    /// How long to wait after everything was read.
    fn idle(&self) -> Duration {
        let config = self.chain.config();
        if self.chain.is_hinted() {
            config.poll.max(HINTED_POLL)
        } else if self.unchanged == 0 {
            // There will hardly be another one before its time.
            config.block_time.saturating_sub(config.poll).max(config.poll)
        } else {
            config.poll
        }
    }

    /// The newest block that what was read rests on.
    fn anchor(&self) -> Option<Checkpoint> {
        let of = |at: Cursor| Checkpoint { block: at.block, hash: at.block_hash, logs: 0, index: at.index };
        let last = self.trail.points().last().copied();
        last.into_iter().chain(self.position.map(of)).max_by_key(|point| point.block)
    }

    /// Sorts the sources at the beginning: those that are furthest are read together, and the others catch up with them.
    async fn begin(&mut self) -> Result<(), LogError> {
        if self.begun {
            return Ok(());
        }
        let position = self.added.iter().filter_map(|(_, from)| *from).max_by_key(Cursor::position);
        if let Some(position) = &position {
            let points = self.journal.checkpoints(&self.id).await?;
            self.trail = Trail::up_to(points, position);
        }
        let (together, late): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.added).into_iter().partition(|(_, from)| *from == position);
        self.sources = together.into_iter().map(|(source, _)| source).collect();
        self.added = late;
        self.position = position;
        self.next = position.map_or_else(|| self.first_block(), |position| position.block);
        (self.dense_from, self.begun) = (self.next, true);
        Ok(())
    }

    fn first_block(&self) -> u64 {
        self.sources.iter().map(|source| source.first_block).min().unwrap_or_default()
    }

    /// Writes the trail down, before anything is yielded that rests on it.
    async fn keep(&mut self) -> Result<(), LogError> {
        let end = self.trail.points().last().copied();
        if self.kept != end {
            self.journal.put_checkpoints(&self.id, self.trail.points()).await?;
            self.kept = end;
        }
        Ok(())
    }
}

fn incomplete(block: u64) -> RpcError {
    RpcError::unavailable(format!("the node's logs of block {block} are incomplete"))
}
