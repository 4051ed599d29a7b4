//! One reader of the market's log on a chain.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt, stream};
use lota_market::{B256, Time, model::Event};
use tokio::{sync::watch, task::JoinSet, time::Instant};

use super::{
    bindings::{self, Unreadable},
    rpc::{Header, Log, MAX_RESULTS, ROUND_RESULTS, Refusal, Trouble},
    shared::{Live, Shared},
    trail::Trail,
};
use crate::{
    journal::Checkpoint,
    transport::{Cursor, Head, Landed, TransportError, Update, UpdateStream},
};

/// The most events that are taken into memory at once, roughly: ranges that hold more are made smaller.
const PAGE: usize = 5_000;
const HALF_PAGE: usize = PAGE / 2;

/// The first range, in blocks: the log may be dense, and an answer that is too long costs the connection.
const FIRST_RANGE: u64 = 64;

/// How often to look for news where a subscription tells of them: it may break without a word.
const HINTED_POLL: Duration = Duration::from_secs(10);

/// After so many answers a range is tried again that was refused before.
const TRUST: u32 = 32;

/// A log of the market, as far as it is understood.
#[derive(Debug)]
struct Found {
    block: u64,
    block_hash: B256,
    /// Timestamp of the block, where the node says so.
    time: Option<u64>,
    transaction: B256,
    event: Result<Event, Unreadable>,
}

impl From<Log> for Found {
    fn from(log: Log) -> Self {
        Self {
            block: log.block(),
            block_hash: log.block_hash,
            time: log.timestamp(),
            transaction: log.transaction_hash,
            event: bindings::event(&log.into_content()),
        }
    }
}

/// The market's logs of a range of blocks, in order.
async fn fetch(shared: Arc<Shared>, from: u64, to: u64) -> Result<Vec<Found>, Trouble> {
    let logs = shared.rpc.logs(shared.config.contract, from, to).await?;
    Ok(logs.into_iter().map(Found::from).collect())
}

/// A range that is asked for while the one before it is taken in.
#[derive(Debug)]
struct Ahead {
    from: u64,
    to: u64,
    /// One task; it ends with this value.
    logs: JoinSet<Result<Vec<Found>, Trouble>>,
}

/// The market's logs of one block.
#[derive(Debug)]
struct Logs {
    hash: B256,
    logs: Vec<Found>,
}

impl Logs {
    fn count(&self) -> u32 {
        // Bounded by what one answer holds.
        self.logs.len() as u32
    }
}

pub(super) struct Reader {
    shared: Arc<Shared>,
    wakes: watch::Receiver<u64>,
    /// Right after what was queued last; what was queued is yielded before anything else is read.
    position: Option<Cursor>,
    /// The first block that may hold something new.
    next: u64,
    /// From this block on the trail has every block with events.
    dense_from: u64,
    trail: Trail,
    /// Up to which number blocks were said to be final.
    finalized: u64,
    loaded: bool,
    /// The end of the trail that the journal has.
    kept: Option<Checkpoint>,
    range: u64,
    /// What the range may grow to: what the node has not refused lately.
    ceiling: u64,
    /// Ranges that were answered since the last refusal.
    answered: u32,
    ahead: Option<Ahead>,
    queue: VecDeque<Update>,
    announced: Option<Update>,
    /// Since when the chain ends below what was read.
    shorter_since: Option<Instant>,
    /// The newest block that was seen, and how often in a row it was found again.
    seen: Option<B256>,
    unchanged: u32,
    /// Held while it is as far as the chain is.
    live: Option<Live>,
    failures: u32,
    pause: Option<Duration>,
    ended: bool,
}

/// Why a step did not get anywhere.
enum Stop {
    Trouble(Trouble),
    Error(TransportError),
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl From<TransportError> for Stop {
    fn from(error: TransportError) -> Self {
        Self::Error(error)
    }
}

pub(super) fn updates(shared: Arc<Shared>, from: Option<Cursor>) -> UpdateStream {
    let reader = Reader::new(shared, from);
    stream::unfold(reader, |mut reader| async move { reader.next().await.map(|update| (update, reader)) }).boxed()
}

/// Whether an answer of so many logs may lack some: nodes that give no more than so many say a round number.
const fn may_be_cut_off(logs: usize) -> bool {
    logs >= MAX_RESULTS && logs.is_multiple_of(ROUND_RESULTS)
}

/// Whether a refusal may mean that a smaller range would do.
fn is_too_much(refusal: &Refusal) -> bool {
    const WORDS: [&str; 9] =
        ["range", "limit", "too many", "too large", "more than", "exceed", "size", "timed out", "timeout"];
    let text = refusal.message.to_ascii_lowercase();
    refusal.code == 413 || WORDS.iter().any(|word| text.contains(word))
}

/// Whether a refusal means that this node does not have the range's end yet: another one answered for the newest block.
fn is_ahead(refusal: &Refusal) -> bool {
    const WORDS: [&str; 5] = ["beyond", "future", "ahead of", "unknown block", "header not found"];
    let text = refusal.message.to_ascii_lowercase();
    WORDS.iter().any(|word| text.contains(word))
}

impl Reader {
    fn new(shared: Arc<Shared>, from: Option<Cursor>) -> Self {
        let next = from.map_or(shared.config.first_block, |from| from.block);
        Self {
            wakes: shared.wakes(),
            position: from,
            next,
            dense_from: next,
            trail: Trail::default(),
            finalized: 0,
            loaded: false,
            range: shared.config.max_range.clamp(1, FIRST_RANGE),
            ceiling: shared.config.max_range.max(1),
            answered: 0,
            ahead: None,
            kept: None,
            queue: VecDeque::new(),
            announced: None,
            shorter_since: None,
            seen: None,
            unchanged: 0,
            live: None,
            failures: 0,
            pause: None,
            ended: false,
            shared,
        }
    }

    async fn next(&mut self) -> Option<Result<Update, TransportError>> {
        loop {
            if let Some(update) = self.queue.pop_front() {
                return Some(Ok(update));
            }
            if self.ended {
                return None;
            }
            if let Some(pause) = self.pause.take() {
                self.shared.pause(&mut self.wakes, pause).await;
            }
            self.wakes.mark_unchanged();
            let error = match self.step().await {
                Ok(()) => {
                    self.failures = 0;
                    continue;
                }
                Err(Stop::Trouble(trouble)) => {
                    // Whoever is told of the trouble is to be told of its end.
                    self.announced = None;
                    self.ahead = None;
                    (self.live, self.seen) = (None, None);
                    self.shared.doubt();
                    let asked = if let Trouble::Down(_, asked) = &trouble { *asked } else { None };
                    self.failures = self.failures.saturating_add(1);
                    self.pause = Some(self.shared.pause_after(self.failures, asked));
                    trouble.into()
                }
                Err(Stop::Error(error)) => error,
            };
            self.ended = !error.is_temporary();
            return Some(Err(error));
        }
    }

    /// Reads some more into the queue, or finds that there is nothing and sets a pause.
    async fn step(&mut self) -> Result<(), Stop> {
        self.load().await?;
        let news = self.shared.headers().news(self.seen, self.shared.config.poll / 2);
        let (latest, is_told) = match news {
            Some(news) => news,
            None => (self.shared.latest().await?, false),
        };
        let is_new = self.seen.replace(latest.hash) != Some(latest.hash);
        self.unchanged = if is_new { 0 } else { self.unchanged.saturating_add(1) };
        let finalized = self.shared.finalized(&latest, self.awaits_finality()).await?;
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
            let asked = self.shared.latest().await?;
            if asked.number() < latest.number() {
                self.pause = Some(self.shared.config.poll);
                return Ok(());
            }
        }
        // After the logs: if the chain changed under them, this or the next step sees it.
        let anchor = self.anchor();
        let (mut are_known, mut are_elsewhere) = (true, false);
        for (block, logs) in page.range(self.next..) {
            let holds = self.shared.headers().holds(*block, logs.hash);
            are_known &= holds.is_some();
            are_elsewhere |= holds == Some(false);
        }
        if are_elsewhere {
            // The logs are of another fork than the newest block: one of them is older.
            self.seen = None;
            self.pause = Some(self.shared.config.poll);
            self.shared.headers().outdate();
            return Ok(());
        }
        let (holds, chain, reached) = tokio::join!(
            async {
                match anchor {
                    Some(anchor) => self.shared.still_holds(anchor.block, anchor.hash).await,
                    None => Ok(true),
                }
            },
            // Before anything is believed: the logs may be another chain's. Those of known blocks are not.
            async { if are_known { Ok(()) } else { self.shared.check_chain().await } },
            async { if to == latest.number() { Ok(Some(latest)) } else { self.shared.rpc.block_at(to).await } },
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
        self.take(page, to).await?;
        if let Some(header) = reached.filter(|_| to >= self.next) {
            let events = self.trail.find(to).filter(|point| point.hash == header.hash).map_or(0, |point| point.events);
            self.trail.push(to, header.hash, events);
        }
        self.next = self.next.max(to + 1);
        self.trail.thin(self.finalized);
        if to == latest.number() {
            self.announce(&latest);
        }
        self.keep().await
    }

    /// Whether anything that was told may still be undone.
    fn awaits_finality(&self) -> bool {
        let newest = self.trail.points().iter().rev().find(|point| point.events > 0);
        newest.is_some_and(|point| point.block > self.finalized)
    }

    /// Whether the newest block was read a while ago. Logs that came late are looked for again now and then, ever more seldom,
    /// until there is a new block, with which they are.
    const fn is_stale(&self) -> bool {
        self.unchanged == 1 || self.unchanged > 1 && !self.unchanged.is_power_of_two()
    }

    /// How long to wait after everything was read.
    fn pause(&self) -> Duration {
        let poll = self.shared.config.poll;
        if self.shared.is_hinted() {
            poll.max(HINTED_POLL)
        } else if self.unchanged == 0 {
            // There will hardly be another one before its time.
            self.shared.config.block_time.saturating_sub(poll).max(poll)
        } else {
            poll
        }
    }

    /// The newest block that what was read rests on.
    fn anchor(&self) -> Option<Checkpoint> {
        let position = self.position.map(|at| Checkpoint { block: at.block, hash: at.block_hash, events: at.index });
        let last = self.trail.points().last().copied();
        last.into_iter().chain(position).max_by_key(|point| point.block)
    }

    async fn load(&mut self) -> Result<(), Stop> {
        if !self.loaded {
            if let Some(position) = &self.position {
                let points = self.shared.journal.checkpoints(self.shared.key()).await.map_err(storage)?;
                self.trail = Trail::up_to(points, position);
            }
            self.loaded = true;
        }
        Ok(())
    }

    /// Writes the trail down, before anything is yielded that rests on it.
    async fn keep(&mut self) -> Result<(), Stop> {
        let end = self.trail.points().last().copied();
        if self.kept != end {
            let (journal, market) = (&self.shared.journal, self.shared.key());
            journal.put_checkpoints(market, self.trail.points()).await.map_err(storage)?;
            self.kept = end;
        }
        Ok(())
    }

    /// The chain ends below what was read: this node is behind, or what was read is gone.
    async fn shorter(&mut self, latest: &Header, anchor: Checkpoint) -> Result<(), Stop> {
        let highest = self.trail.points().iter().rev().find(|point| point.block <= latest.number()).copied();
        if let Some(point) = highest
            && !self.shared.still_holds(point.block, point.hash).await?
        {
            return self.back_below(point.block).await;
        }
        let since = *self.shorter_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= self.shared.config.fees.patience {
            // Nodes do not stay behind that long: the chain itself went back.
            self.shorter_since = None;
            return self.back_below(latest.number() + 1).await;
        }
        let (found, read) = (latest.number(), anchor.block);
        Err(Trouble::down(format!("the node is behind: it is at block {found}, and block {read} was read before"))
            .into())
    }

    /// The next range, and some blocks before it.
    fn range_from(&self, next: u64, latest: u64) -> (u64, u64) {
        // Only nodes that are not as far as the chain leave something out, and only there.
        let is_near = next.saturating_add(self.range) > latest;
        let look_back = if is_near { self.shared.config.look_back.min(self.range / 2) } else { 0 };
        let from = next.saturating_sub(look_back).max(self.dense_from.min(next));
        (from, latest.min(next.saturating_add(self.range - look_back - 1)))
    }

    /// The logs of a range: those that were asked for before, or new ones.
    async fn fetched(&mut self, from: u64, to: u64) -> Result<Vec<Found>, Trouble> {
        if let Some(mut ahead) = self.ahead.take()
            && (ahead.from, ahead.to) == (from, to)
            && let Some(Ok(logs)) = ahead.logs.join_next().await
        {
            return logs;
        }
        fetch(self.shared.clone(), from, to).await
    }

    /// Asks for the range after this one, unless it reaches to the newest block: by then there may be more.
    fn look_ahead(&mut self, to: u64, latest: u64) {
        let (from, to) = self.range_from(self.next.max(to + 1), latest);
        if to < latest {
            let mut logs = JoinSet::new();
            logs.spawn(fetch(self.shared.clone(), from, to));
            self.ahead = Some(Ahead { from, to, logs });
        }
    }

    /// Reads the logs of the next range, of some blocks before it, and groups them. `None` when the node asked for less.
    async fn read(&mut self, latest: u64) -> Result<Option<(BTreeMap<u64, Logs>, u64, u64)>, Stop> {
        let (from, to) = self.range_from(self.next, latest);
        if from > to {
            return Ok(Some((BTreeMap::new(), from, to)));
        }
        let refused = match self.fetched(from, to).await {
            Ok(logs) if !may_be_cut_off(logs.len()) || from == to => {
                self.accepted(to - from + 1, logs.len());
                self.look_ahead(to, latest);
                return Ok(Some((group(logs)?, from, to)));
            }
            Ok(logs) => Refusal { code: 0, message: format!("{} results, and perhaps more", logs.len()), data: None },
            Err(Trouble::Refused(refusal)) if is_ahead(&refusal) => {
                return Err(Trouble::down(format!("the node is behind: {}", refusal.message)).into());
            }
            Err(Trouble::Refused(refusal)) if is_too_much(&refusal) => refusal,
            Err(trouble) => {
                // Perhaps the answer was too long for the connection, or for the time-out.
                self.range = (self.range / 2).max(1);
                return Err(trouble.into());
            }
        };
        if from == to {
            return Err(Trouble::Refused(refused).into());
        }
        self.range = ((to - from).div_ceil(2)).max(1);
        (self.ceiling, self.answered) = (self.range, 0);
        tracing::debug!(
            range = self.range,
            message = refused.message,
            "the node refuses a range of logs; it is halved"
        );
        Ok(None)
    }

    /// Chooses the next range after one of so many blocks that was answered with so many logs.
    fn accepted(&mut self, blocks: u64, logs: usize) {
        self.answered += 1;
        if self.answered >= TRUST {
            self.answered = 0;
            self.ceiling = self.ceiling.saturating_mul(2).min(self.shared.config.max_range.max(1));
        }
        let range = match logs {
            0..=HALF_PAGE => self.range.saturating_mul(2),
            _ if logs <= PAGE => self.range,
            // As many blocks as may fill a page.
            _ => blocks.saturating_mul(PAGE as u64) / logs as u64,
        };
        self.range = range.clamp(1, self.ceiling);
    }

    /// Compares what is read again with what was read before; a block from which on everything must be read again.
    fn compare(&self, page: &BTreeMap<u64, Logs>, from: u64, to: u64) -> Result<Option<u64>, Trouble> {
        for block in from..self.next.min(to + 1) {
            let known = self.trail.find(block);
            match (page.get(&block), known) {
                (None, None) => {}
                (None, Some(known)) if known.events == 0 => {}
                (None, Some(_)) => {
                    return Err(Trouble::down(format!("the node's logs of block {block} are incomplete")));
                }
                (Some(found), Some(known)) if found.hash == known.hash && found.count() <= known.events => {
                    if found.count() < known.events {
                        return Err(Trouble::down(format!("the node's logs of block {block} are incomplete")));
                    }
                }
                (Some(_), _) => return Ok(Some(block)),
            }
        }
        Ok(None)
    }

    /// Queues what is new in a page that reaches up to block `to`.
    async fn take(&mut self, page: BTreeMap<u64, Logs>, to: u64) -> Result<(), Stop> {
        let mut fresh = Vec::new();
        let half_read =
            self.position.filter(|position| (self.next..=to).contains(&position.block) && position.index > 0);
        if let Some(position) = half_read
            && page
                .get(&position.block)
                .is_none_or(|found| found.hash != position.block_hash || found.count() < position.index)
        {
            return Err(Trouble::down(format!("the node's logs of block {} are incomplete", position.block)).into());
        }
        for (block, Logs { hash, logs }) in page.into_iter().filter(|(block, _)| *block >= self.next) {
            let time = match logs.first().and_then(|log| log.time) {
                Some(time) => time,
                None => match self.shared.rpc.block_with_hash(hash).await? {
                    Some(header) => header.timestamp(),
                    None => return Err(Trouble::down(format!("the node does not know block {hash} any more")).into()),
                },
            };
            self.sight(block, hash, time, &logs);
            let skip = self.position.filter(|position| position.block == block).map_or(0, |position| position.index);
            let events = logs.len() as u32;
            for (index, log) in logs.into_iter().enumerate().skip(skip as usize) {
                let event = log.event.map_err(|error| TransportError::Malformed(error.to_string()))?;
                let cursor = Cursor { block, block_hash: hash, index: index as u32 + 1 };
                let transaction = log.transaction;
                fresh.push(Update::Event { cursor, time: Time(time), transaction, event });
            }
            self.trail.push(block, hash, events);
        }
        if let Some(Update::Event { cursor, .. }) = fresh.last() {
            self.position = Some(*cursor);
            self.announced = None;
        }
        self.queue.extend(fresh);
        Ok(())
    }

    /// Tells the sender of what it waits for.
    fn sight(&self, block: u64, block_hash: B256, time: u64, logs: &[Found]) {
        let wanted = self.shared.sightings.wanted_of(logs.iter().map(|log| log.transaction));
        let landed = wanted.into_iter().collect::<BTreeSet<_>>().into_iter().filter_map(|transaction| {
            let last = logs.iter().rposition(|log| log.transaction == transaction)?;
            let events = logs.iter().filter(|log| log.transaction == transaction).map(|log| log.event.clone());
            let cursor = Cursor { block, block_hash, index: last as u32 + 1 };
            Some(Landed { transaction, cursor, time: Time(time), events: events.collect::<Result<_, _>>().ok()? })
        });
        self.shared.sightings.found(landed.collect());
    }

    /// Queues the head if it says anything new, and a pause before the next step.
    fn announce(&mut self, latest: &Header) {
        let events = self.trail.find(latest.number()).map_or(0, |point| point.events);
        let cursor = Cursor { block: latest.number(), block_hash: latest.hash, index: events };
        let at = Head { block: latest.number(), hash: latest.hash, time: Time(latest.timestamp()) };
        let head = Update::Head { cursor, latest: at, finalized: self.finalized };
        if self.announced.as_ref() != Some(&head) {
            self.position = Some(cursor);
            self.announced = Some(head.clone());
            self.queue.push_back(head);
        }
        if self.live.is_none() {
            self.live = Some(self.shared.read_live());
        }
        self.pause = Some(self.pause());
    }

    /// Goes back to the highest block below `bad` that is still on the chain.
    async fn back_below(&mut self, bad: u64) -> Result<(), Stop> {
        let points = self.trail.points();
        let points = &points[..points.partition_point(|point| point.block < bad)];
        self.ahead = None;
        // A balancer that switched to another chain must not undo this one.
        self.shared.check_chain().await?;
        // Points of one fork: those that hold come first.
        let (mut low, mut high) = (0, points.len());
        while low < high {
            let middle = (low + high) / 2;
            let Some(point) = points.get(middle) else { break };
            if self.shared.still_holds(point.block, point.hash).await? {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        self.shared.check_chain().await?;
        let holds = low.checked_sub(1).and_then(|index| points.get(index)).copied();
        let to = holds.map(|point| Cursor { block: point.block, block_hash: point.hash, index: point.events });
        let first_undone = self.trail.points().get(low).map(|point| point.block);
        if let Some(block) = first_undone.filter(|block| *block <= self.finalized) {
            tracing::warn!(block, finalized = self.finalized, "the chain undid a block that was said to be final");
            self.finalized = holds.map_or(0, |point| point.block);
        }
        self.trail.cut(holds.map(|point| point.block));
        self.next = holds.map_or(self.shared.config.first_block, |point| point.block + 1);
        self.dense_from = self.dense_from.min(self.next);
        self.announced = None;
        if let Some(position) = self.position.filter(|position| position.is_above(to.as_ref())) {
            tracing::info!(from = %position, to = ?to, "the chain was reorganised");
            self.position = to;
            self.queue.push_back(Update::Rewind { to });
        }
        self.keep().await
    }
}

fn storage(error: crate::JournalError) -> TransportError {
    TransportError::Storage(error.to_string())
}

/// Logs by their blocks; they come in order.
fn group(logs: Vec<Found>) -> Result<BTreeMap<u64, Logs>, Trouble> {
    let mut blocks = BTreeMap::new();
    for log in logs {
        let (number, hash) = (log.block, log.block_hash);
        let block = blocks.entry(number).or_insert_with(|| Logs { hash, logs: Vec::new() });
        if block.hash != hash {
            return Err(Trouble::down(format!("the node's logs of block {number} are from two forks")));
        }
        block.logs.push(log);
    }
    Ok(blocks)
}
