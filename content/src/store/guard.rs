//! Guards: while work is in progress, what it stored is not collected.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::Ordering;

use cid::Cid;

use super::{Digest, Store, StoreError, lock};
use crate::digest::{Block, Hash, hash_of};

/// Most blocks that are remembered one by one while guards live (64 MiB of memory). Beyond that, all
/// blocks are protected until the guards that live then have ended.
const MAX_RECENT: usize = 1 << 20;

/// What must not be collected though nothing pins it, and what must not be trusted.
#[derive(Debug, Default)]
pub(super) struct Protected {
    /// Grows with every guard that begins; names it.
    epoch: u64,
    /// The guards that live.
    guards: BTreeSet<u64>,
    /// Blocks that were put or kept while guards lived, with the epoch of the last time.
    recent: HashMap<Digest, u64>,
    /// Set when there were too many to remember: guards up to this one protect everything.
    flooded: Option<u64>,
    /// Blocks whose files held wrong bytes.
    pub(super) suspects: HashSet<Digest>,
}

impl Protected {
    fn begin(&mut self) -> u64 {
        self.epoch += 1;
        self.guards.insert(self.epoch);
        self.epoch
    }

    fn end(&mut self, guard: u64) {
        self.guards.remove(&guard);
        if self.guards.is_empty() {
            self.recent = HashMap::new();
            self.flooded = None;
        }
    }

    /// Notes a block that was put or kept.
    pub(super) fn touch(&mut self, digest: Digest) {
        self.touch_within(digest, MAX_RECENT);
    }

    fn touch_within(&mut self, digest: Digest, limit: usize) {
        let Some(oldest) = self.guards.first().copied() else {
            return;
        };
        self.recent.insert(digest, self.epoch);
        if self.recent.len() > limit {
            self.recent.retain(|_, epoch| *epoch >= oldest);
            // a table that stays nearly full would be swept at each put
            if self.recent.len() > limit / 2 {
                self.recent.clear();
                self.flooded = Some(self.epoch);
            }
        }
    }

    /// Whether a guard protects the block: one that lived already when it was put or kept.
    pub(super) fn contains(&self, digest: &Digest) -> bool {
        let Some(oldest) = self.guards.first() else {
            return false;
        };
        self.flooded.is_some_and(|epoch| epoch >= *oldest)
            || self.recent.get(digest).is_some_and(|epoch| epoch >= oldest)
    }
}

/// While it lives, no block is collected that was put into its store, or kept, since it was made:
/// neither what was put through it, nor what was put otherwise. Pin the roots before it goes.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// use lota_content::{DirBuilder, ImportOptions, Store, StoreOptions, import_bytes};
/// let store = Store::open(dir.path(), StoreOptions::default())?;
/// let guard = store.guard();
/// let hello = import_bytes(&store, b"hello", &ImportOptions::default())?;
/// let mut directory = DirBuilder::new();
/// directory.insert("hello.txt", &hello.cid, hello.dag_size)?;
/// let root = directory.build(&guard)?;
/// store.pin(&root.cid, "greeting")?;
/// drop(guard);
/// assert_eq!(store.gc()?.removed_blocks, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Guard {
    store: Store,
    epoch: u64,
}

impl Store {
    /// Begins work whose blocks are not collected while the guard lives.
    #[must_use]
    pub fn guard(&self) -> Guard {
        let epoch = lock(&self.inner.protected).begin();
        Guard { store: self.clone(), epoch }
    }
}

impl Guard {
    /// The store that is written to.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Checks `data` against `cid` and stores it.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub fn put(&self, cid: &Cid, data: &[u8]) -> Result<(), StoreError> {
        self.insert(Block::verified(cid, data)?)
    }

    /// Protects a block that may be in the store already (this block, not what it links to), and
    /// says whether it is there.
    ///
    /// # Errors
    /// As [`Store::has`].
    pub fn keep(&self, cid: &Cid) -> Result<bool, StoreError> {
        Ok(self.keep_size(cid)?.is_some())
    }

    /// As [`Guard::keep`]; the block's length in bytes if it is there.
    pub(crate) fn keep_size(&self, cid: &Cid) -> Result<Option<u64>, StoreError> {
        if let Hash::Sha2(digest) = hash_of(cid)? {
            lock(&self.store.inner.protected).touch(digest);
        }
        self.store.size(cid)
    }

    pub(crate) fn insert(&self, block: Block<'_>) -> Result<(), StoreError> {
        self.store.insert(block).map(|_| ())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        lock(&self.store.inner.protected).end(self.epoch);
        self.store.inner.garbage.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_protected_by_the_guards_that_saw_it() {
        let mut protected = Protected::default();
        let block = |number: u8| [number; 32];
        protected.touch(block(0));
        assert!(!protected.contains(&block(0)));
        let first = protected.begin();
        protected.touch(block(1));
        let second = protected.begin();
        protected.touch(block(2));
        assert!(protected.contains(&block(1)) && protected.contains(&block(2)));
        protected.end(first);
        assert!(!protected.contains(&block(1)), "the second guard began later");
        assert!(protected.contains(&block(2)));
        protected.touch(block(1));
        assert!(protected.contains(&block(1)));
        protected.end(second);
        assert!(!protected.contains(&block(2)));
        assert!(protected.recent.is_empty());
    }

    #[test]
    fn a_flood_protects_everything_until_its_guards_end() {
        let mut protected = Protected::default();
        let flooded = protected.begin();
        for number in 0..11 {
            protected.touch_within([number; 32], 10);
        }
        assert!(protected.contains(&[99; 32]));
        let later = protected.begin();
        protected.touch_within([50; 32], 10);
        protected.end(flooded);
        assert!(!protected.contains(&[99; 32]));
        assert!(protected.contains(&[50; 32]));
        // what old guards left behind makes room
        for round in 0..5_u8 {
            let old = protected.begin();
            for number in 0..4 {
                protected.touch_within([100 + number + 10 * round; 32], 10);
            }
            protected.end(old);
        }
        assert!(protected.contains(&[50; 32]));
        protected.end(later);
        assert!(!protected.contains(&[50; 32]));
    }
}
