//! Guards: blocks of work in progress that no collection touches.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use cid::Cid;

use super::{Digest, Store, StoreError, lock};
use crate::digest::{Block, Hash, hash_of};

/// Most blocks that one guard remembers one by one (48 MiB of memory). A guard that has seen more
/// protects the whole store instead: until it ends, nothing is collected.
const MAX_KEPT: usize = 1 << 20;

/// What one guard protects.
#[derive(Debug)]
pub(super) enum Kept {
    /// These blocks.
    Blocks(HashSet<Digest>),
    /// Every block.
    Everything,
}

impl Kept {
    pub(super) fn add(&mut self, digest: Digest) {
        if let Kept::Blocks(blocks) = self {
            blocks.insert(digest);
            if blocks.len() > MAX_KEPT {
                *self = Kept::Everything;
            }
        }
    }

    pub(super) fn contains(&self, digest: &Digest) -> bool {
        match self {
            Kept::Blocks(blocks) => blocks.contains(digest),
            Kept::Everything => true,
        }
    }
}

/// Protects what is put through it until it is dropped. Pin the root before that.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// use lota_content::{BlockSink as _, Block, DirBuilder, Store, StoreOptions, codec};
/// let store = Store::open(dir.path(), StoreOptions::default())?;
/// let guard = store.guard();
/// let hello = Block::new(codec::RAW, b"hello");
/// guard.accept(hello)?;
/// let mut directory = DirBuilder::new();
/// directory.insert("hello.txt", &hello.cid(), 5)?;
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
    id: u64,
}

impl Store {
    /// Begins work whose blocks are not collected while the guard lives.
    #[must_use]
    pub fn guard(&self) -> Guard {
        let mut protected = lock(&self.inner.protected);
        let id = protected.next_guard;
        protected.next_guard += 1;
        protected.guards.insert(id, Kept::Blocks(HashSet::default()));
        Guard { store: self.clone(), id }
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
        if let Hash::Sha2(digest) = hash_of(cid)?
            && let Some(kept) = lock(&self.store.inner.protected).guards.get_mut(&self.id)
        {
            kept.add(digest);
        }
        self.store.size(cid)
    }

    pub(crate) fn insert(&self, block: Block<'_>) -> Result<(), StoreError> {
        self.store.insert(block, Some(self.id)).map(|_| ())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        lock(&self.store.inner.protected).guards.remove(&self.id);
        self.store.inner.garbage.fetch_add(1, Ordering::Relaxed);
    }
}
