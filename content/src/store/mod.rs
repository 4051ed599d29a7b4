//! The block store: blocks on disk under their digest, with a limit, pins and garbage collection.
//!
//! ```text
//! <dir>/lock                     held while a process has the store open
//! <dir>/usage                    counters of a store that was closed cleanly; else they are recounted
//! <dir>/pins                     a log of pins and unpins, rewritten when it is mostly history
//! <dir>/blocks/SHARDING          /repo/flatfs/shard/v1/next-to-last/2, the layout of Kubo's flatfs
//! <dir>/blocks/VM/CIQ...VMY.data one block, named by its multihash in upper-case base32
//! <dir>/blocks/VM/4711-17.tmp    a block that is being written
//! ```
//!
//! A block is written beside its place and renamed, so a process that dies leaves whole blocks or none.
//! Every read hashes what it read: a block that a power failure tore, or a disk changed, is an
//! error, never data, and from then on counts as missing: whoever looks what has to be fetched fetches
//! it again, and the next put takes its place. Blocks are found by digest, so one block serves all
//! codecs that name it.

mod disk;
mod gc;
mod guard;
mod pins;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use cid::Cid;

pub use gc::{CheckReport, GcReport};
pub use guard::Guard;
pub use pins::{MAX_PIN_NAME, MAX_PINS};

use crate::digest::{Block, CidError, Hash, MAX_BLOCK_SIZE, codec, hash_of, verify};
use disk::{Disk, Stored, Written, charge};
use guard::Protected;
use pins::Pins;

/// A block's sha2-256 digest.
pub(crate) type Digest = [u8; 32];

/// Digests remembered as corrupt, so that the next put replaces them; beyond this many, every put
/// of a block that exists already reads and checks it.
const MAX_SUSPECTS: usize = 4096;

/// When written blocks are forced to the disk. Blocks survive the death of the process under
/// every policy, and a torn block is never served; this is about power failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SyncPolicy {
    /// Never: what was written in the last seconds before a power failure may be gone.
    Never,
    /// Before a pin is recorded, everything written before it is flushed (one `syncfs`), and the pin
    /// itself too: what is pinned survives. The right choice for a daemon.
    #[default]
    OnPin,
    /// Each block is flushed before `put` returns (two `fsync`s for each block; slow).
    EveryBlock,
}

/// How a store is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// Most bytes that blocks may occupy on disk. Each block counts with its length rounded up to
    /// whole pages of 4 KiB, as it does on the disk.
    pub capacity: u64,
    /// When blocks are forced to the disk.
    pub sync: SyncPolicy,
}

impl Default for StoreOptions {
    /// 10 GiB, flushed when pinned.
    fn default() -> Self {
        Self { capacity: 10 << 30, sync: SyncPolicy::default() }
    }
}

/// What a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Number of blocks.
    pub blocks: u64,
    /// Sum of the blocks' lengths, in bytes.
    pub bytes: u64,
    /// What counts against the capacity: lengths rounded up to whole pages of 4 KiB, in bytes.
    pub charged: u64,
}

/// Why the store refused.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file operation failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
    /// Another process has the store open.
    #[error("the block store {} is in use by another process; stop it, or ask it over its API", dir.display())]
    InUse {
        /// The store's directory.
        dir: PathBuf,
    },
    /// The directory holds another layout of blocks.
    #[error("{} says {found:?}; only {:?} is supported", path.display(), disk::SHARDING)]
    Layout {
        /// The file that names the layout.
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// A block's bytes no longer hash to its CID.
    ///
    /// The message may reach strangers, so it does not name the file.
    #[error("block {cid} is corrupt here: its {length} bytes hash to something else; fetch it or add it again")]
    Corrupt {
        /// The CID that was asked for.
        cid: Box<Cid>,
        /// The file that holds the wrong bytes.
        path: PathBuf,
        /// How many bytes it has.
        length: u64,
    },
    /// The limit would be exceeded, and garbage collection did not make room.
    #[error(
        "the block store is full: {needed} more bytes are needed, {used} of {capacity} are in use by pinned or protected blocks; unpin something or raise the capacity"
    )]
    StoreFull {
        /// Bytes that the refused block needs (whole pages).
        needed: u64,
        /// The limit in bytes.
        capacity: u64,
        /// Bytes in use after collecting garbage.
        used: u64,
    },
    /// The CID cannot be stored, or the bytes are not its block.
    #[error(transparent)]
    Cid(#[from] CidError),
    /// The name of a pin is empty, too long, or has control characters.
    #[error("{name:?} cannot name a pin: a name has 1 to {MAX_PIN_NAME} bytes and no control characters")]
    PinName {
        /// The name (shortened).
        name: String,
    },
    /// There are [`MAX_PINS`] pins.
    #[error("there are {MAX_PINS} pins already; unpin something first")]
    TooManyPins,
    /// The log of pins has a line that cannot be understood.
    #[error("line {line} of {} is no pin: {text:?}; restore the file, or remove the line", path.display())]
    PinsCorrupt {
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// The line (shortened).
        text: String,
    },
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}

/// A block store on disk. Cloning it is cheap and gives the same store; all methods may be called
/// from any thread. They block on the disk: in async code call them in `spawn_blocking`, or use the
/// store as a [`BlockSource`](crate::BlockSource).
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    disk: Disk,
    options: StoreOptions,
    usage: Counters,
    protected: Mutex<Protected>,
    pins: Mutex<Pins>,
    /// Held while garbage is collected, and while pins are added; locked before `pins`.
    collecting: Mutex<()>,
    /// Counts events that may have made garbage: unpins, guards that ended, puts without a guard.
    garbage: AtomicU64,
    /// The value of `garbage` that the last collection saw.
    collected: AtomicU64,
    /// Set when more corrupt blocks were met than are remembered.
    distrust: AtomicBool,
    /// Locked for as long as the store is open.
    _lock: File,
}

#[derive(Debug, Default)]
struct Counters {
    blocks: AtomicU64,
    bytes: AtomicU64,
    charged: AtomicU64,
}

impl Store {
    /// Opens the store in `dir`, making it if need be.
    ///
    /// Removes what an earlier process left half-written, and recounts the blocks if it did not
    /// close the store cleanly (a second or so for a million blocks).
    ///
    /// # Errors
    /// [`StoreError::InUse`] if another process has it open; [`StoreError::Io`],
    /// [`StoreError::Layout`] and [`StoreError::PinsCorrupt`] if its files cannot be used.
    pub fn open(dir: impl AsRef<Path>, options: StoreOptions) -> Result<Self, StoreError> {
        let dir = dir.as_ref();
        let (disk, lock) = Disk::open(dir, options.sync)?;
        let usage = disk.initial_usage()?;
        let pins = Pins::open(dir.join("pins"), options.sync)?;
        Ok(Self {
            inner: Arc::new(Inner {
                disk,
                options,
                usage: Counters {
                    blocks: usage.blocks.into(),
                    bytes: usage.bytes.into(),
                    charged: usage.charged.into(),
                },
                protected: Mutex::default(),
                pins: Mutex::new(pins),
                collecting: Mutex::new(()),
                garbage: AtomicU64::new(1),
                collected: AtomicU64::new(0),
                distrust: AtomicBool::new(false),
                _lock: lock,
            }),
        })
    }

    /// The store's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.inner.disk.dir()
    }

    /// The most bytes that blocks may occupy.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.inner.options.capacity
    }

    /// What the store holds now.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let counters = &self.inner.usage;
        Usage {
            blocks: counters.blocks.load(Ordering::Relaxed),
            bytes: counters.bytes.load(Ordering::Relaxed),
            charged: counters.charged.load(Ordering::Relaxed),
        }
    }

    /// Checks `data` against `cid` and stores it. Nothing protects the block from the next garbage
    /// collection; hold a [`Guard`] until what belongs together is there and pinned.
    ///
    /// # Errors
    /// [`StoreError::Cid`] if the bytes are not the block of `cid`, [`StoreError::StoreFull`] if
    /// there is no room for it, [`StoreError::Io`] if it cannot be written.
    pub fn put(&self, cid: &Cid, data: &[u8]) -> Result<(), StoreError> {
        let block = Block::verified(cid, data)?;
        if self.insert(block)? {
            self.inner.garbage.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Hashes `data`, stores it and returns its CID. Not protected, as with [`Store::put`].
    ///
    /// # Errors
    /// As [`Store::put`].
    pub fn put_new(&self, codec: u64, data: &[u8]) -> Result<Cid, StoreError> {
        let block = Block::new(codec, data);
        if self.insert(block)? {
            self.inner.garbage.fetch_add(1, Ordering::Relaxed);
        }
        Ok(block.cid())
    }

    /// Reads a block and checks it; `None` if the store does not have it. The block of an identity
    /// CID is always there.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the file's bytes are not the block: it counts as missing from now on, and putting it
    /// again replaces them. [`StoreError::Cid`] for a CID of another hash, [`StoreError::Io`] if reading fails.
    pub fn get(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        let digest = match hash_of(cid)? {
            Hash::Identity(data) => return Ok(Some(Bytes::copy_from_slice(data))),
            Hash::Sha2(digest) => digest,
        };
        let Some(Stored { data, length }) = self.inner.disk.read(&digest)? else {
            return Ok(None);
        };
        match data {
            Some(data) if verify(cid, &data).is_ok() => Ok(Some(data.into())),
            _ => {
                let path = self.inner.disk.path(&digest);
                self.distrust(digest);
                tracing::error!(%cid, path = %path.display(), length, "corrupt block");
                Err(StoreError::Corrupt { cid: Box::new(*cid), path, length })
            }
        }
    }

    /// Whether a block is there. Its bytes are not checked; if a read found them corrupt, it is not.
    ///
    /// # Errors
    /// [`StoreError::Cid`] for a CID of another hash, [`StoreError::Io`] if the disk does not answer.
    pub fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        Ok(self.size(cid)?.is_some())
    }

    /// The length of a block in bytes; `None` if the store does not have it.
    ///
    /// # Errors
    /// As [`Store::has`].
    pub fn size(&self, cid: &Cid) -> Result<Option<u64>, StoreError> {
        match hash_of(cid)? {
            Hash::Identity(data) => Ok(Some(data.len() as u64)),
            Hash::Sha2(digest) if lock(&self.inner.protected).suspects.contains(&digest) => Ok(None),
            Hash::Sha2(digest) => self.inner.disk.length(&digest),
        }
    }

    /// All blocks, in no particular order: CID and length in bytes. The store knows digests only,
    /// so the CIDs have the codec `raw`, as with `ipfs refs local`.
    pub fn blocks(&self) -> impl Iterator<Item = Result<(Cid, u64), StoreError>> + use<> {
        let store = self.clone();
        self.inner
            .disk
            .shards()
            .flat_map(move |shard| match store.inner.disk.list(&shard) {
                Ok(blocks) => blocks.into_iter().map(Ok).collect::<Vec<_>>(),
                Err(error) => vec![Err(error)],
            })
            .map(|block| block.map(|(digest, length)| (crate::digest::cid_from_digest(codec::RAW, digest), length)))
    }

    /// Forces everything written so far to the disk, whatever the policy.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn flush(&self) -> Result<(), StoreError> {
        self.inner.disk.flush()
    }

    /// Protects `cid` and all it links to from garbage collection, under a name. The name is unique:
    /// pinning another CID under it moves the pin, and the CID it pinned before is returned.
    /// Pinning the same again changes nothing. The blocks need not be there yet. Waits for a collection
    /// of garbage that is running.
    ///
    /// # Errors
    /// [`StoreError::PinName`], [`StoreError::TooManyPins`], [`StoreError::Cid`] or [`StoreError::Io`].
    pub fn pin(&self, cid: &Cid, name: &str) -> Result<Option<Cid>, StoreError> {
        hash_of(cid)?;
        pins::check_name(name)?;
        if self.pinned(name) == Some(*cid) {
            return Ok(Some(*cid));
        }
        if self.inner.options.sync == SyncPolicy::OnPin {
            self.inner.disk.flush()?;
        }
        // a collection that runs has read the pins already
        let _collecting = lock(&self.inner.collecting);
        let previous = lock(&self.inner.pins).insert(name, cid)?;
        if previous.is_some_and(|previous| previous != *cid) {
            self.inner.garbage.fetch_add(1, Ordering::Relaxed);
        }
        Ok(previous)
    }

    /// Removes a pin and returns what it pinned; `None` if there is no pin of that name. The blocks
    /// stay until garbage is collected.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn unpin(&self, name: &str) -> Result<Option<Cid>, StoreError> {
        let previous = lock(&self.inner.pins).remove(name)?;
        if previous.is_some() {
            self.inner.garbage.fetch_add(1, Ordering::Relaxed);
        }
        Ok(previous)
    }

    /// What is pinned under a name.
    #[must_use]
    pub fn pinned(&self, name: &str) -> Option<Cid> {
        lock(&self.inner.pins).get(name)
    }

    /// All pins, sorted by name.
    #[must_use]
    pub fn pins(&self) -> Vec<(String, Cid)> {
        lock(&self.inner.pins).all()
    }

    fn distrust(&self, digest: Digest) {
        let mut protected = lock(&self.inner.protected);
        if protected.suspects.len() < MAX_SUSPECTS {
            protected.suspects.insert(digest);
        } else {
            self.inner.distrust.store(true, Ordering::Relaxed);
        }
    }

    /// Stores a block; `true` if it was not there before.
    fn insert(&self, block: Block<'_>) -> Result<bool, StoreError> {
        if block.data().len() > MAX_BLOCK_SIZE {
            return Err(CidError::TooLarge { cid: Box::new(block.cid()), length: block.data().len() }.into());
        }
        let digest = match hash_of(&block.cid())? {
            Hash::Sha2(digest) => digest,
            Hash::Identity(_) => return Ok(false),
        };
        let mut suspect = {
            let mut protected = lock(&self.inner.protected);
            // before the look whether it exists: a collector that comes between sees it
            protected.touch(digest);
            protected.suspects.contains(&digest)
        };
        let inner = &*self.inner;
        let length = block.data().len() as u64;
        if !suspect && inner.disk.length(&digest)? == Some(length) {
            if !inner.distrust.load(Ordering::Relaxed) {
                return Ok(false);
            }
            suspect = !matches!(
                inner.disk.read(&digest)?,
                Some(Stored { data: Some(data), .. }) if data == block.data()
            );
            if !suspect {
                return Ok(false);
            }
        }
        let needed = charge(length);
        self.reserve(needed)?;
        match inner.disk.write(&digest, block.data(), suspect) {
            Ok(Written::New) => {
                inner.usage.blocks.fetch_add(1, Ordering::Relaxed);
                inner.usage.bytes.fetch_add(length, Ordering::Relaxed);
                if suspect {
                    lock(&inner.protected).suspects.remove(&digest);
                }
                Ok(true)
            }
            Ok(Written::Existed) => {
                inner.usage.charged.fetch_sub(needed, Ordering::Relaxed);
                Ok(false)
            }
            Ok(Written::Replaced(old)) => {
                inner.usage.bytes.fetch_add(length, Ordering::Relaxed);
                inner.usage.bytes.fetch_sub(old, Ordering::Relaxed);
                inner.usage.charged.fetch_sub(charge(old), Ordering::Relaxed);
                lock(&inner.protected).suspects.remove(&digest);
                Ok(true)
            }
            Err(error) => {
                inner.usage.charged.fetch_sub(needed, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    /// Counts `needed` bytes as used, collecting garbage once if they do not fit.
    fn reserve(&self, needed: u64) -> Result<(), StoreError> {
        let capacity = self.inner.options.capacity;
        let charged = &self.inner.usage.charged;
        let reserve = || {
            charged.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(needed).filter(|sum| *sum <= capacity)
            })
        };
        let full = |used| StoreError::StoreFull { needed, capacity, used };
        match reserve() {
            Ok(_) => return Ok(()),
            Err(used) if needed > capacity => return Err(full(used)),
            Err(_) => {}
        }
        self.collect_if_useful()?;
        reserve().map(|_| ()).map_err(full)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let usage = Usage {
            blocks: *self.usage.blocks.get_mut(),
            bytes: *self.usage.bytes.get_mut(),
            charged: *self.usage.charged.get_mut(),
        };
        if let Err(error) = self.disk.record_usage(&usage) {
            tracing::warn!(%error, "the next start will recount the blocks");
        }
    }
}

/// Locks a mutex whose data is consistent between any two statements, so that a panic elsewhere
/// does not matter.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
