//! Walking over the blocks of a DAG, in the order of a CAR.

use std::collections::HashSet;
use std::ops::Range;

use bytes::Bytes;
use cid::Cid;
use futures::stream::{Stream, StreamExt as _, TryStreamExt as _, try_unfold};

use crate::digest::{Hash, codec, hash_of};
use crate::links::{LinksError, links};
use crate::node::{DagError, Node, block, decode};
use crate::source::BlockSource;

/// Blocks that are fetched ahead.
const READAHEAD: usize = 4;

/// Which blocks of a DAG are meant (the `dag-scope` of the trustless gateway specification).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DagScope {
    /// The block of the CID alone.
    Block,
    /// What is needed to read the file, or to list the directory: all blocks of a file, all shards of
    /// a directory without its entries, the block alone of anything else.
    Entity,
    /// As [`DagScope::Entity`], but of a file only what is needed for some of its bytes.
    EntityBytes(ByteRange),
    /// Everything below the CID.
    #[default]
    All,
}

/// Some bytes of a file, as in `entity-bytes`: both ends are included, and negative numbers count
/// from the file's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// The first byte.
    pub from: i64,
    /// The last byte; `None` for the file's last.
    pub to: Option<i64>,
}

/// A text that differs for different scopes.
pub(crate) fn car_scope_name(scope: DagScope) -> String {
    match scope {
        DagScope::Block => "block".to_owned(),
        DagScope::Entity => "entity".to_owned(),
        DagScope::EntityBytes(range) => format!("entity {}:{:?}", range.from, range.to),
        DagScope::All => "all".to_owned(),
    }
}

impl ByteRange {
    /// The bytes meant in a file of `size` bytes, end exclusive; empty if there are none.
    #[must_use]
    pub fn of(&self, size: u64) -> Range<u64> {
        let place = |offset: i64| {
            if offset < 0 { size.saturating_sub(offset.unsigned_abs()) } else { offset.unsigned_abs() }
        };
        let from = place(self.from).min(size);
        let to = match self.to {
            None => size,
            Some(to) if to < 0 && to.unsigned_abs() > size => 0,
            Some(to) => place(to).saturating_add(1).min(size),
        };
        from..to.max(from)
    }
}

/// Why a walk ended early.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// A block cannot be read.
    #[error(transparent)]
    Dag(#[from] DagError),
    /// A block's links cannot be told.
    #[error(transparent)]
    Links(#[from] LinksError),
    /// There are more blocks than allowed.
    #[error("the DAG below {root} has more than {limit} blocks")]
    TooManyBlocks { root: Box<Cid>, limit: usize },
}

/// How much a DAG holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DagStat {
    /// Different blocks.
    pub blocks: u64,
    /// Their bytes together.
    pub bytes: u64,
}

/// Streams the blocks below `root` depth first, parents before children, each once. Blocks of
/// identity CIDs are followed and not given. `prefix` comes first: blocks of the path that led to
/// the root.
///
/// Memory: about a hundred bytes for each block, so `max_blocks` bounds it.
pub fn walk<S: BlockSource + Clone>(
    source: S,
    prefix: &[Cid],
    root: &Cid,
    scope: DagScope,
    max_blocks: usize,
) -> impl Stream<Item = Result<(Cid, Bytes), WalkError>> + Send + use<S> {
    let mut pending = vec![match scope {
        DagScope::Block => Step::Alone(*root),
        DagScope::Entity => Step::Entity(*root, None),
        DagScope::EntityBytes(range) => Step::Entity(*root, Some(range)),
        DagScope::All => Step::Dag(*root),
    }];
    pending.extend(prefix.iter().rev().map(|cid| Step::Alone(*cid)));
    let walk = Walk {
        source: source.clone(),
        root: *root,
        pending,
        sent: HashSet::new(),
        expanded: HashSet::new(),
        max_blocks,
    };
    try_unfold(walk, |mut walk| async move { Ok(walk.next().await?.map(|found| (found, walk))) })
        .map(move |found: Result<Found, WalkError>| {
            let source = source.clone();
            async move {
                match found? {
                    Found::Here(cid, data) => Ok((cid, data)),
                    Found::Leaf(cid) => Ok((cid, block(&source, &cid).await?)),
                }
            }
        })
        .buffered(READAHEAD)
}

/// Counts the blocks of a DAG and their bytes; every block must be there.
///
/// # Errors
/// [`WalkError`].
pub async fn dag_stat<S: BlockSource + Clone>(source: S, root: &Cid, max_blocks: usize) -> Result<DagStat, WalkError> {
    walk(source, &[], root, DagScope::All, max_blocks)
        .try_fold(DagStat::default(), |mut stat, (_, data)| async move {
            stat.blocks += 1;
            stat.bytes += data.len() as u64;
            Ok(stat)
        })
        .await
}

/// What to visit next.
enum Step {
    /// A block and all below it.
    Dag(Cid),
    /// A block without what it links to.
    Alone(Cid),
    /// A file or directory without its entries.
    Entity(Cid, Option<ByteRange>),
    /// A part of a file that begins at `start`, of which `range` is wanted.
    File { cid: Cid, start: u64, range: Range<u64> },
    /// A shard and the shards below it.
    Shard(Cid),
}

enum Found {
    Here(Cid, Bytes),
    Leaf(Cid),
}

/// A block that was met: with several codecs, one digest has several meanings.
type Key = (u64, [u8; 32]);

struct Walk<S> {
    source: S,
    root: Cid,
    pending: Vec<Step>,
    sent: HashSet<Key>,
    /// Nodes below which everything is sent or pending.
    expanded: HashSet<Key>,
    max_blocks: usize,
}

impl<S: BlockSource> Walk<S> {
    async fn next(&mut self) -> Result<Option<Found>, WalkError> {
        while let Some(step) = self.pending.pop() {
            if self.sent.len() > self.max_blocks || self.pending.len() > self.max_blocks {
                return Err(WalkError::TooManyBlocks { root: Box::new(self.root), limit: self.max_blocks });
            }
            let cid = match step {
                Step::Dag(cid)
                | Step::Alone(cid)
                | Step::Entity(cid, _)
                | Step::File { cid, .. }
                | Step::Shard(cid) => cid,
            };
            // an identity block can have links, and is itself never sent
            let key = match hash_of(&cid).map_err(|error| DagError::Source(error.into()))? {
                Hash::Sha2(digest) => Some((cid.codec(), digest)),
                Hash::Identity(_) => None,
            };
            let leaf = matches!(step, Step::Alone(_)) || matches!(cid.codec(), codec::RAW | codec::JSON);
            if leaf {
                match key {
                    Some(key) if self.sent.insert(key) => return Ok(Some(Found::Leaf(cid))),
                    _ => continue,
                }
            }
            let whole = matches!(step, Step::Dag(_));
            if whole
                && let Some(key) = key
                && !self.expanded.insert(key)
            {
                continue;
            }
            let data = block(&self.source, &cid).await?;
            self.expand(step, &cid, &data)?;
            if let Some(key) = key
                && self.sent.insert(key)
            {
                return Ok(Some(Found::Here(cid, data)));
            }
        }
        Ok(None)
    }

    /// Queues what a block leads to.
    fn expand(&mut self, step: Step, cid: &Cid, data: &Bytes) -> Result<(), WalkError> {
        match step {
            Step::Alone(_) => {}
            Step::Dag(_) => {
                let below = links(cid, data)?;
                self.pending.extend(below.into_iter().rev().map(Step::Dag));
            }
            Step::Entity(_, wanted) => match decode(cid, data.clone())? {
                Node::File(file) => {
                    let range = wanted.map_or(0..file.size, |wanted| wanted.of(file.size));
                    self.queue_parts(&file, 0, &range);
                }
                Node::Shard(shard) => self.queue_shards(&shard),
                Node::Directory(_) | Node::Symlink(_) | Node::Opaque(_) => {}
            },
            Step::File { start, range, .. } => match decode(cid, data.clone())? {
                Node::File(file) => self.queue_parts(&file, start, &range),
                _ => {
                    return Err(DagError::malformed(cid, "it is part of a file and no file").into());
                }
            },
            Step::Shard(_) => match decode(cid, data.clone())? {
                Node::Shard(shard) => self.queue_shards(&shard),
                _ => {
                    return Err(DagError::malformed(cid, "it stands in for a shard of a directory and is none").into());
                }
            },
        }
        Ok(())
    }

    /// Queues those children of a file's node that hold wanted bytes.
    fn queue_parts(&mut self, file: &crate::node::FileNode, start: u64, range: &Range<u64>) {
        let mut end = start.saturating_add(file.data.len() as u64);
        let mut steps = Vec::new();
        for (cid, size) in &file.children {
            let from = end;
            end = end.saturating_add(*size);
            if range.start <= from && end <= range.end {
                steps.push(Step::Dag(*cid));
            } else if range.start < end && from < range.end {
                steps.push(Step::File { cid: *cid, start: from, range: range.clone() });
            }
        }
        self.pending.extend(steps.into_iter().rev());
    }

    fn queue_shards(&mut self, shard: &crate::node::ShardNode) {
        let shards = shard
            .links
            .iter()
            .rev()
            .filter(|link| matches!(shard.split(link), Some((_, ""))))
            .map(|link| Step::Shard(link.cid));
        self.pending.extend(shards);
    }
}

#[cfg(test)]
mod tests;
