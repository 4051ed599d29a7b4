//! The balanced tree of a file's chunks.

use cid::Cid;

use crate::dagpb;
use crate::digest::{Block, codec};
use crate::source::BlockSink;
use crate::store::StoreError;
use crate::unixfs::{LINKS_PER_NODE, encode_file};

/// A subtree of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Subtree {
    pub(super) cid: Cid,
    /// Bytes of content.
    pub(super) size: u64,
    /// Bytes of all its blocks.
    pub(super) dag_size: u64,
    /// Number of its blocks.
    pub(super) blocks: u64,
}

/// Collects subtrees level by level; a level that is full becomes one node of the level above.
#[derive(Debug, Default)]
pub(super) struct BalancedTree {
    levels: Vec<Vec<Subtree>>,
}

impl BalancedTree {
    /// Appends a leaf.
    pub(super) fn push<S: BlockSink>(&mut self, sink: &S, leaf: Subtree) -> Result<(), StoreError> {
        self.push_at(sink, 0, leaf)
    }

    fn push_at<S: BlockSink>(&mut self, sink: &S, mut level: usize, mut subtree: Subtree) -> Result<(), StoreError> {
        // a full level is closed only when one more comes: exactly 174 chunks have one node above
        loop {
            if level == self.levels.len() {
                self.levels.push(Vec::with_capacity(LINKS_PER_NODE));
            }
            if self.levels[level].len() < LINKS_PER_NODE {
                self.levels[level].push(subtree);
                return Ok(());
            }
            let parent = node(sink, &self.levels[level])?;
            self.levels[level].clear();
            self.levels[level].push(subtree);
            subtree = parent;
            level += 1;
        }
    }

    /// Closes the tree and returns its root; `None` if there was no leaf.
    pub(super) fn finish<S: BlockSink>(mut self, sink: &S) -> Result<Option<Subtree>, StoreError> {
        let mut level = 0;
        while level < self.levels.len() {
            if level + 1 == self.levels.len() && self.levels[level].len() == 1 {
                return Ok(self.levels[level].pop());
            }
            let parent = node(sink, &self.levels[level])?;
            self.push_at(sink, level + 1, parent)?;
            level += 1;
        }
        Ok(None)
    }
}

fn node<S: BlockSink>(sink: &S, children: &[Subtree]) -> Result<Subtree, StoreError> {
    let data = encode_file(children.iter().map(|child| child.size));
    let encoded = dagpb::encode(children.iter().map(|child| (&child.cid, "", child.dag_size)), &data);
    let block = Block::new(codec::DAG_PB, &encoded);
    sink.accept(block)?;
    Ok(Subtree {
        cid: block.cid(),
        size: children.iter().map(|child| child.size).sum(),
        dag_size: children.iter().fold(encoded.len() as u64, |sum, child| sum.saturating_add(child.dag_size)),
        blocks: 1 + children.iter().map(|child| child.blocks).sum::<u64>(),
    })
}
