//! What of a DAG is wanted, and which gateway was given what.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use cid::Cid;

use super::FetchError;
use crate::digest::{Hash, codec, hash_of};

/// What is said to be this small below a node comes in one CAR from one gateway, in bytes; of what is larger, several gateways
/// bring parts.
pub(super) const TREE: u64 = 8 << 20;

/// What a gateway is asked for.
#[derive(Debug, Clone)]
pub(super) enum Work {
    /// One block.
    Block(Cid),
    /// The CAR of a node and all below it.
    Tree(Cid),
    /// The CAR of a node that is here already, for these children of it, which are small.
    Children(Cid, Arc<[Cid]>),
}

impl Work {
    /// The blocks that it is about.
    pub(super) fn cids(&self) -> &[Cid] {
        match self {
            Self::Block(cid) | Self::Tree(cid) => std::slice::from_ref(cid),
            Self::Children(_, children) => children,
        }
    }
}

/// How a gateway is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// It serves CARs, as far as is known.
    pub(super) cars: bool,
    /// No other gateway is asked at the same time.
    pub(super) alone: bool,
}

/// A piece of work that a gateway was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) id: u64,
    /// The gateway's number.
    pub(super) source: usize,
}

pub(super) struct Claimed {
    pub(super) source: usize,
    pub(super) work: Work,
    pub(super) since: Instant,
    /// Another gateway does it as well.
    pub(super) overtaken: bool,
    /// What a CAR's blocks lead to, which the same CAR is to bring.
    pub(super) below: Vec<Item>,
}

/// A block that is linked to, and how many bytes the link says are below it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub(super) cid: Cid,
    pub(super) size: u64,
}

/// A block met in the DAG: one digest has several meanings with several codecs.
pub(super) type Key = (u64, [u8; 32]);

#[derive(Default)]
pub(super) struct State {
    /// All that was met, there or wanted.
    pub(super) known: HashSet<Key>,
    pub(super) wanted: HashSet<Key>,
    /// Blocks that came and whose children are still being looked up: some of these may be wanted soon, and nobody else looks for
    /// them.
    pub(super) absorbing: usize,
    /// Why the fetch is over, if a block's children could not be looked up: whoever brought it may be gone by then.
    pub(super) failure: Option<FetchError>,
    /// Wanted blocks that link to others and that nobody was given; may hold some that came meanwhile.
    pub(super) nodes: Vec<Item>,
    /// Wanted blocks that do not.
    pub(super) leaves: Vec<Cid>,
    /// Nodes that are here, and their small children.
    pub(super) bunches: Vec<(Cid, Arc<[Cid]>)>,
    pub(super) claims: HashMap<u64, Claimed>,
    pub(super) last_claim: u64,
    /// What the claims are about.
    pub(super) busy: HashSet<Key>,
    /// How many blocks each gateway brought.
    pub(super) taken: HashMap<usize, u64>,
    pub(super) bytes: u64,
    pub(super) blocks: u64,
    pub(super) fetched_bytes: u64,
    pub(super) fetched_blocks: u64,
}

/// The key of a block; of an identity CID, which is never wanted, one that no block has.
pub(super) fn key(cid: &Cid) -> Key {
    match hash_of(cid) {
        Ok(Hash::Sha2(digest)) => (cid.codec(), digest),
        _ => (u64::MAX, [0; 32]),
    }
}

pub(super) fn is_leaf(cid: &Cid) -> bool {
    matches!(cid.codec(), codec::RAW | codec::JSON)
}

impl State {
    /// Whether all is here.
    pub(super) fn is_complete(&self) -> bool {
        self.wanted.is_empty() && self.absorbing == 0 && self.failure.is_none()
    }

    /// Whether somebody is to be asked for a block.
    fn is_free(&self, cid: &Cid) -> bool {
        let key = key(cid);
        self.wanted.contains(&key) && !self.busy.contains(&key)
    }

    /// The next thing to ask a gateway for.
    pub(super) fn next(&mut self, manner: Manner, idle: bool) -> Option<Work> {
        if !manner.cars {
            // Leaves first, so that few are wanted at a time.
            let bunches = std::mem::take(&mut self.bunches);
            self.leaves.extend(bunches.iter().flat_map(|(_, children)| children.iter().rev()));
            return self.pop_leaf().map(Work::Block).or_else(|| self.pop_node().map(|node| Work::Block(node.cid)));
        }
        if manner.alone {
            // One CAR at a time, of a node that brings the leaves along.
            let Some(node) = self.pop_node() else {
                return self.pop_bunch().or_else(|| self.pop_leaf().map(Work::Block));
            };
            if idle {
                return Some(Work::Tree(node.cid));
            }
            self.nodes.push(node);
            return None;
        }
        let small = |node: Item| if node.size <= TREE { Work::Tree(node.cid) } else { Work::Block(node.cid) };
        self.pop_bunch().or_else(|| self.pop_leaf().map(Work::Block)).or_else(|| self.pop_node().map(small))
    }

    fn pop_leaf(&mut self) -> Option<Cid> {
        while let Some(cid) = self.leaves.pop() {
            if self.is_free(&cid) {
                return Some(cid);
            }
        }
        None
    }

    fn pop_node(&mut self) -> Option<Item> {
        while let Some(node) = self.nodes.pop() {
            if self.is_free(&node.cid) {
                return Some(node);
            }
        }
        None
    }

    fn pop_bunch(&mut self) -> Option<Work> {
        while let Some((node, children)) = self.bunches.pop() {
            if children.iter().any(|cid| self.is_free(cid)) {
                return Some(Work::Children(node, children));
            }
        }
        None
    }

    pub(super) fn claim(&mut self, source: usize, work: Work) -> Claim {
        self.busy.extend(work.cids().iter().map(key));
        self.last_claim += 1;
        let claimed = Claimed { source, work, since: Instant::now(), overtaken: false, below: Vec::new() };
        self.claims.insert(self.last_claim, claimed);
        Claim { id: self.last_claim, source }
    }

    /// Whoever had this piece of work does it no more; what of it is still wanted, others may do.
    pub(super) fn give_back(&mut self, id: u64) {
        let Some(Claimed { work, below, .. }) = self.claims.remove(&id) else { return };
        for cid in work.cids() {
            self.busy.remove(&key(cid));
        }
        let whole = matches!(work, Work::Children(..));
        let again = work.cids().iter().rev().map(|cid| Item { cid: *cid, size: if whole { 0 } else { u64::MAX } });
        let again: Vec<Item> = below.into_iter().rev().chain(again).collect();
        self.offer(again);
    }

    /// Lays out what is wanted; the last one is taken first.
    pub(super) fn offer(&mut self, items: Vec<Item>) {
        for item in items {
            if !self.wanted.contains(&key(&item.cid)) {
                continue;
            }
            if is_leaf(&item.cid) {
                self.leaves.push(item.cid);
            } else {
                self.nodes.push(item);
            }
        }
    }
}
