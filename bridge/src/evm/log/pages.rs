//! How many blocks are asked for at once, and their logs, grouped.

use std::{collections::BTreeMap, sync::Arc};

use lota_market::{B256, Time};
use tokio::task::JoinSet;

use super::Source;
use crate::evm::chain::{Chain, Filter, Log, MAX_RESULTS, Refusal, RpcError};

/// The most logs that are taken into memory at once, roughly: ranges that hold more are made smaller.
const PAGE: usize = 5_000;
const HALF_PAGE: usize = PAGE / 2;
/// The first range, in blocks: the log may be dense, and an answer that is too long costs the connection.
const FIRST_RANGE: u64 = 64;
/// After so many answers a range is tried again that was refused before.
const TRUST: u32 = 32;
/// Numbers of logs that nodes may end an answer at are multiples of this.
const ROUND_RESULTS: usize = 1_000;

/// What logs are decoded to, in the task that fetches them.
pub(super) type Decode<T> = Arc<dyn Fn(&Log) -> T + Send + Sync>;

/// A log, and what it was decoded to.
#[derive(Debug)]
pub(super) struct Found<T> {
    pub log: Log,
    pub value: T,
}

/// The logs of one block.
#[derive(Debug)]
pub(super) struct BlockLogs<T> {
    pub hash: B256,
    pub logs: Vec<Found<T>>,
}

impl<T> BlockLogs<T> {
    pub(super) fn count(&self) -> u32 {
        // Bounded by what one answer holds.
        self.logs.len() as u32
    }

    /// The position after the last of them.
    pub(super) fn index(&self) -> u32 {
        self.logs.last().map_or(0, |found| after(&found.log))
    }

    /// The block's timestamp; `None` when the node does not know the block any more.
    pub(super) async fn time(&self, chain: &Chain) -> Result<Option<Time>, RpcError> {
        match self.logs.first().and_then(|found| found.log.time()) {
            Some(time) => Ok(Some(time)),
            None => Ok(chain.block_with_hash(self.hash).await?.map(|header| header.time())),
        }
    }
}

/// The position after a log within its block.
pub(super) fn after(log: &Log) -> u32 {
    log.index().saturating_add(1)
}

/// Logs by their blocks.
pub(super) type Page<T> = BTreeMap<u64, BlockLogs<T>>;

/// Whether an answer of so many logs may lack some: nodes that give no more than so many say a round number.
const fn may_be_cut_off(logs: usize) -> bool {
    logs >= MAX_RESULTS && logs.is_multiple_of(ROUND_RESULTS)
}

/// Whether a refusal may mean that a smaller range would do.
pub(super) fn is_too_much(refusal: &Refusal) -> bool {
    const WORDS: [&str; 10] = [
        "range",
        "limit",
        "too many",
        "too large",
        "more than",
        "exceed",
        "size",
        "timed out",
        "timeout",
        "perhaps more",
    ];
    let text = refusal.message.to_ascii_lowercase();
    refusal.code == 413 || WORDS.iter().any(|word| text.contains(word))
}

/// Whether a refusal means that this node does not have the range's end yet: another one answered for the newest block.
pub(super) fn is_ahead(refusal: &Refusal) -> bool {
    const WORDS: [&str; 5] = ["beyond", "future", "ahead of", "unknown block", "header not found"];
    let text = refusal.message.to_ascii_lowercase();
    WORDS.iter().any(|word| text.contains(word))
}

/// The sources' logs of a range of blocks, in order: one call for all sources that want the same topics.
pub(super) async fn fetch<T>(
    chain: &Chain,
    sources: &[Source],
    decode: &Decode<T>,
    from: u64,
    to: u64,
) -> Result<Vec<Found<T>>, RpcError> {
    let mut filters: Vec<Filter> = Vec::new();
    for source in sources {
        match filters.iter_mut().find(|filter| filter.topics == source.topics) {
            Some(filter) => filter.addresses.push(source.address),
            None => filters.push(Filter { addresses: vec![source.address], topics: source.topics.clone() }),
        }
    }
    let mut all = Vec::new();
    for filter in &filters {
        let logs = chain.logs(filter, from, to).await?;
        if may_be_cut_off(logs.len()) && from < to {
            let message = format!("{} results, and perhaps more", logs.len());
            return Err(RpcError::Refused(Refusal { code: 0, message, data: None }));
        }
        all.extend(logs);
    }
    if filters.len() > 1 {
        all.sort_unstable_by_key(|log| (log.block(), log.index()));
    }
    let is_early = |log: &Log| sources.iter().any(|s| s.address == log.address && log.block() < s.first_block);
    all.retain(|log| !is_early(log));
    Ok(all.into_iter().map(|log| Found { value: decode(&log), log }).collect())
}

/// Logs by their blocks; they come in order.
pub(super) fn group<T>(logs: Vec<Found<T>>) -> Result<Page<T>, RpcError> {
    let mut blocks = BTreeMap::new();
    for found in logs {
        let (number, hash) = (found.log.block(), found.log.block_hash);
        let block = blocks.entry(number).or_insert_with(|| BlockLogs { hash, logs: Vec::new() });
        if block.hash != hash {
            return Err(RpcError::unavailable(format!("the node's logs of block {number} are from two forks")));
        }
        block.logs.push(found);
    }
    Ok(blocks)
}

/// A range that is asked for while the one before it is taken in.
#[derive(Debug)]
pub(super) struct Ahead<T> {
    from: u64,
    to: u64,
    /// One task; it ends with this value.
    logs: JoinSet<Result<Vec<Found<T>>, RpcError>>,
}

impl<T: Send + 'static> Ahead<T> {
    pub(super) fn ask(chain: &Chain, sources: Arc<[Source]>, decode: &Decode<T>, from: u64, to: u64) -> Self {
        let (chain, decode) = (chain.clone(), Arc::clone(decode));
        let mut logs = JoinSet::new();
        logs.spawn(async move { fetch(&chain, &sources, &decode, from, to).await });
        Self { from, to, logs }
    }

    /// The answer, if it is for this range.
    pub(super) async fn take(mut self, from: u64, to: u64) -> Option<Result<Vec<Found<T>>, RpcError>> {
        if (self.from, self.to) != (from, to) {
            return None;
        }
        self.logs.join_next().await?.ok()
    }
}

/// How many blocks to ask for.
#[derive(Debug)]
pub(super) struct Range {
    pub size: u64,
    /// What it may grow to: what the node has not refused lately.
    ceiling: u64,
    most: u64,
    /// Ranges that were answered since the last refusal.
    answered: u32,
}

impl Range {
    pub(super) fn new(most: u64) -> Self {
        let most = most.max(1);
        Self { size: most.min(FIRST_RANGE), ceiling: most, most, answered: 0 }
    }

    /// Chooses the next range after one of so many blocks that was answered with so many logs.
    pub(super) fn accepted(&mut self, blocks: u64, logs: usize) {
        self.answered += 1;
        if self.answered >= TRUST {
            self.answered = 0;
            self.ceiling = self.ceiling.saturating_mul(2).min(self.most);
        }
        let size = match logs {
            0..=HALF_PAGE => self.size.saturating_mul(2),
            _ if logs <= PAGE => self.size,
            // As many blocks as may fill a page.
            _ => blocks.saturating_mul(PAGE as u64) / logs as u64,
        };
        self.size = size.clamp(1, self.ceiling);
    }

    /// Halves it after the node refused so many blocks; false when there is nothing to halve.
    pub(super) fn refused(&mut self, blocks: u64, message: &str) -> bool {
        if blocks <= 1 {
            return false;
        }
        self.size = (blocks - 1).div_ceil(2).max(1);
        (self.ceiling, self.answered) = (self.size, 0);
        tracing::debug!(range = self.size, message, "the node refuses a range of logs; it is halved");
        true
    }

    /// Halves it after an answer that did not come: perhaps it was too long for the connection, or for the time-out.
    pub(super) fn lost(&mut self) {
        self.size = (self.size / 2).max(1);
    }
}
