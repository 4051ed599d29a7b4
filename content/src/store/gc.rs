//! Garbage collection (mark from the pins, sweep the rest) and the check of all blocks.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use cid::Cid;

use super::{Digest, Store, StoreError, charge, lock};
use crate::digest::{Hash, cid_from_digest, codec, hash_of};
use crate::links::{LinksError, links};

/// Corrupt blocks that one check lists by name.
const MAX_LISTED: usize = 1000;

/// What a collection did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GcReport {
    /// Blocks that pins reach.
    pub pinned_blocks: u64,
    /// Blocks that were removed.
    pub removed_blocks: u64,
    /// Bytes of the blocks that were removed.
    pub removed_bytes: u64,
    /// Blocks that pins reach and that are not in the store.
    pub missing_blocks: u64,
}

/// What a check of all blocks found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckReport {
    /// Blocks that were read.
    pub blocks: u64,
    /// Blocks whose bytes were wrong.
    pub corrupt_blocks: u64,
    /// The files of the corrupt blocks (the first thousand).
    pub corrupt: Vec<PathBuf>,
}

impl Store {
    /// Removes every block that no pin reaches and no guard protects.
    ///
    /// New pins wait for it. Memory: 32 bytes and a little for each pinned block.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if a pinned node cannot be read, because what it links to is then
    /// unknown: nothing is removed. [`StoreError::Io`].
    pub fn gc(&self) -> Result<GcReport, StoreError> {
        let _collecting = lock(&self.inner.collecting);
        self.collect()
    }

    /// Collects garbage unless nothing happened since the last time that could have made any.
    pub(super) fn collect_if_useful(&self) -> Result<(), StoreError> {
        let _collecting = lock(&self.inner.collecting);
        let garbage = self.inner.garbage.load(Ordering::Relaxed);
        if garbage != self.inner.collected.load(Ordering::Relaxed) {
            let report = self.collect()?;
            tracing::info!(?report, "the block store was full: collected garbage");
        }
        Ok(())
    }

    /// `collecting` must be locked.
    fn collect(&self) -> Result<GcReport, StoreError> {
        let inner = &*self.inner;
        let garbage = inner.garbage.load(Ordering::Relaxed);
        let mut report = GcReport::default();
        let marked = self.mark()?;
        for shard in inner.disk.shards() {
            for (digest, _) in inner.disk.list(&shard)? {
                if marked.contains(&digest) {
                    report.pinned_blocks += 1;
                    continue;
                }
                let mut protected = lock(&inner.protected);
                if protected.contains(&digest) {
                    continue;
                }
                // still locked: whoever puts this block again sees it gone
                if let Some(length) = inner.disk.remove(&digest)? {
                    protected.suspects.remove(&digest);
                    report.removed_blocks += 1;
                    report.removed_bytes += length;
                    inner.usage.blocks.fetch_sub(1, Ordering::Relaxed);
                    inner.usage.bytes.fetch_sub(length, Ordering::Relaxed);
                    inner.usage.charged.fetch_sub(charge(length), Ordering::Relaxed);
                }
            }
        }
        report.missing_blocks = (marked.len() as u64).saturating_sub(report.pinned_blocks);
        inner.collected.store(garbage, Ordering::Relaxed);
        Ok(report)
    }

    /// The digests of all blocks that pins reach.
    fn mark(&self) -> Result<HashSet<Digest>, StoreError> {
        let mut marked = HashSet::new();
        // one block may be named with several codecs; only those with links are read
        let mut expanded: HashSet<Digest> = HashSet::new();
        let mut pending: Vec<Cid> = Vec::new();
        let roots: Vec<Cid> = lock(&self.inner.pins).roots().collect();
        for root in roots {
            pending.push(root);
            while let Some(cid) = pending.pop() {
                let Hash::Sha2(digest) = hash_of(&cid)? else {
                    continue;
                };
                marked.insert(digest);
                if !matches!(cid.codec(), codec::DAG_PB | codec::DAG_CBOR) || !expanded.insert(digest) {
                    continue;
                }
                let Some(block) = self.get(&cid)? else {
                    continue;
                };
                match links(&cid, &block) {
                    Ok(found) => pending.extend(found.into_iter().filter(|cid| {
                        // what this store cannot hold it cannot lose
                        hash_of(cid).is_ok()
                    })),
                    // a block that no one can walk protects nothing but itself
                    Err(LinksError::Malformed { .. } | LinksError::UnknownCodec { .. }) => {}
                }
            }
        }
        Ok(marked)
    }

    /// Reads and hashes every block. With `remove`, corrupt ones are removed, so that they can be
    /// fetched again.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn check(&self, remove: bool) -> Result<CheckReport, StoreError> {
        let inner = &*self.inner;
        let mut report = CheckReport::default();
        for shard in inner.disk.shards() {
            for (digest, _) in inner.disk.list(&shard)? {
                match self.get(&cid_from_digest(codec::RAW, digest)) {
                    Ok(Some(_)) => report.blocks += 1,
                    Ok(None) => {}
                    Err(StoreError::Corrupt { path, .. }) => {
                        report.blocks += 1;
                        report.corrupt_blocks += 1;
                        if report.corrupt.len() < MAX_LISTED {
                            report.corrupt.push(path);
                        }
                        if remove {
                            let mut protected = lock(&inner.protected);
                            if let Some(length) = inner.disk.remove(&digest)? {
                                protected.suspects.remove(&digest);
                                inner.usage.blocks.fetch_sub(1, Ordering::Relaxed);
                                inner.usage.bytes.fetch_sub(length, Ordering::Relaxed);
                                inner.usage.charged.fetch_sub(charge(length), Ordering::Relaxed);
                            }
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(report)
    }
}
