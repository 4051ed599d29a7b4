//! Files and directories of the store.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use cid::multibase::Base;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{Digest, StoreError, SyncPolicy, Usage};
use crate::digest::MAX_BLOCK_SIZE;

/// The layout of `blocks/`, as Kubo's flatfs writes it.
pub(super) const SHARDING: &str = "/repo/flatfs/shard/v1/next-to-last/2";
/// First bytes of a sha2-256 multihash: code and length.
const MULTIHASH_PREFIX: [u8; 2] = [0x12, 0x20];
/// How the names of blocks end that are being written.
const TMP_SUFFIX: &str = ".tmp";
/// Disks give out space in pages of this many bytes.
const PAGE: u64 = 4096;

/// What a block of this length counts against the capacity.
pub(super) fn charge(length: u64) -> u64 {
    length.max(1).next_multiple_of(PAGE)
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// The block is new.
    New,
    /// It was there already.
    Existed,
    /// It took the place of a broken file of this length.
    Replaced(u64),
}

/// What a block's file holds, unchecked.
#[derive(Debug)]
pub(super) struct Stored {
    /// Its bytes; none if it is too long to be a block.
    pub(super) data: Option<Vec<u8>>,
    /// Its length in bytes.
    pub(super) length: u64,
}

#[derive(Debug)]
pub(super) struct Disk {
    dir: PathBuf,
    blocks: PathBuf,
    next_tmp: AtomicU64,
    sync: SyncPolicy,
}

impl Disk {
    pub(super) fn open(dir: &Path, sync: SyncPolicy) -> Result<(Self, File), StoreError> {
        let blocks = dir.join("blocks");
        fs::create_dir_all(dir).map_err(StoreError::io("create", dir))?;
        let lock_path = dir.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(StoreError::io("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse { dir: dir.to_owned() });
            }
            Err(TryLockError::Error(error)) => {
                return Err(StoreError::io("lock", lock_path)(error));
            }
        }
        fs::create_dir_all(&blocks).map_err(StoreError::io("create", &blocks))?;
        let disk = Self { dir: dir.to_owned(), blocks, next_tmp: AtomicU64::new(0), sync };
        disk.check_layout()?;
        Ok((disk, lock))
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    fn check_layout(&self) -> Result<(), StoreError> {
        let path = self.blocks.join("SHARDING");
        match fs::read_to_string(&path) {
            Ok(found) if found.trim_end() == SHARDING => Ok(()),
            // a store that died while it was made
            Ok(found) if found.is_empty() => self.write_layout(&path),
            Ok(found) => Err(StoreError::Layout { path, found }),
            Err(error) if error.kind() == ErrorKind::NotFound => self.write_layout(&path),
            Err(error) => Err(StoreError::io("read", path)(error)),
        }
    }

    fn write_layout(&self, path: &Path) -> Result<(), StoreError> {
        fs::write(path, format!("{SHARDING}\n")).map_err(StoreError::io("write", path))
    }

    /// Where a block lies.
    pub(super) fn path(&self, digest: &Digest) -> PathBuf {
        let mut multihash = [0; 34];
        multihash[..2].copy_from_slice(&MULTIHASH_PREFIX);
        multihash[2..].copy_from_slice(digest);
        let name = Base::Base32Upper.encode(multihash);
        let shard = &name[name.len() - 3..name.len() - 1];
        self.blocks.join(shard).join(format!("{name}.data"))
    }

    fn digest_of_name(name: &str) -> Option<Digest> {
        let multihash = Base::Base32Upper.decode(name.strip_suffix(".data")?).ok()?;
        multihash.strip_prefix(&MULTIHASH_PREFIX)?.try_into().ok()
    }

    /// The length of a block's file.
    pub(super) fn length(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        let path = self.path(digest);
        match fs::symlink_metadata(&path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io("inspect", path)(error)),
        }
    }

    /// Reads a block's file.
    pub(super) fn read(&self, digest: &Digest) -> Result<Option<Stored>, StoreError> {
        let path = self.path(digest);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io("open", path)(error)),
        };
        let read = StoreError::io("read", &path);
        let length = match file.metadata() {
            Ok(metadata) => metadata.len(),
            Err(error) => return Err(read(error)),
        };
        if length > MAX_BLOCK_SIZE as u64 {
            return Ok(Some(Stored { data: None, length }));
        }
        let mut data = Vec::with_capacity(length as usize);
        match (&file).take(MAX_BLOCK_SIZE as u64).read_to_end(&mut data) {
            Ok(_) => Ok(Some(Stored { data: Some(data), length })),
            Err(error) => Err(read(error)),
        }
    }

    /// Writes a block beside its place and renames it. A file that is there already is kept, unless
    /// its length is wrong or `replace` is set.
    pub(super) fn write(&self, digest: &Digest, data: &[u8], replace: bool) -> Result<Written, StoreError> {
        let path = self.path(digest);
        let shard = path.parent().unwrap_or(&self.blocks);
        let number = self.next_tmp.fetch_add(1, Ordering::Relaxed);
        // in the same directory: renames between directories wait for each other, and a directory
        // that all blocks pass through is a bottleneck
        let tmp = shard.join(format!("{}-{number}{TMP_SUFFIX}", std::process::id()));
        let mut file = self.create(&tmp);
        if let Err(StoreError::Io { source, .. }) = &file
            && source.kind() == ErrorKind::NotFound
        {
            fs::create_dir_all(shard).map_err(StoreError::io("create", shard))?;
            if self.sync == SyncPolicy::EveryBlock {
                sync_dir(&self.blocks)?;
            }
            file = self.create(&tmp);
        }
        let result = file
            .and_then(|file| self.fill(file, &tmp, data))
            .and_then(|()| self.move_in(&tmp, &path, digest, data.len() as u64, replace));
        if !matches!(result, Ok(Written::New | Written::Replaced(_))) {
            // what stays behind is removed when the store is opened again
            let _ = fs::remove_file(&tmp);
        }
        result
    }

    fn create(&self, tmp: &Path) -> Result<File, StoreError> {
        OpenOptions::new().write(true).create_new(true).open(tmp).map_err(StoreError::io("create", tmp))
    }

    fn fill(&self, mut file: File, tmp: &Path, data: &[u8]) -> Result<(), StoreError> {
        file.write_all(data).map_err(StoreError::io("write", tmp))?;
        if self.sync == SyncPolicy::EveryBlock {
            file.sync_all().map_err(StoreError::io("flush", tmp))?;
        }
        Ok(())
    }

    fn move_in(
        &self,
        tmp: &Path,
        path: &Path,
        digest: &Digest,
        length: u64,
        replace: bool,
    ) -> Result<Written, StoreError> {
        let written = match renameat_with(CWD, tmp, CWD, path, RenameFlags::NOREPLACE) {
            Ok(()) => Written::New,
            Err(rustix::io::Errno::EXIST) => match self.length(digest)? {
                Some(old) if old == length && !replace => return Ok(Written::Existed),
                old => {
                    fs::rename(tmp, path).map_err(StoreError::io("replace", path))?;
                    old.map_or(Written::New, Written::Replaced)
                }
            },
            Err(error) => return Err(StoreError::io("rename a new block to", path)(error.into())),
        };
        if self.sync == SyncPolicy::EveryBlock {
            sync_dir(path.parent().unwrap_or(&self.blocks))?;
        }
        Ok(written)
    }

    /// Removes a block's file and returns its length; `None` if it is gone already.
    pub(super) fn remove(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        let Some(length) = self.length(digest)? else {
            return Ok(None);
        };
        let path = self.path(digest);
        fs::remove_file(&path).map_err(StoreError::io("remove", path))?;
        Ok(Some(length))
    }

    /// The directories that may hold blocks.
    pub(super) fn shards(&self) -> impl Iterator<Item = PathBuf> + use<> {
        const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let blocks = self.blocks.clone();
        (0..1024_usize).map(move |index| {
            let name = [ALPHABET[index / 32] as char, ALPHABET[index % 32] as char];
            blocks.join(String::from_iter(name))
        })
    }

    /// Digest and length of the blocks in one directory. Other files are passed over.
    pub(super) fn list(&self, shard: &Path) -> Result<Vec<(Digest, u64)>, StoreError> {
        let entries = match fs::read_dir(shard) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(StoreError::io("read", shard)(error)),
        };
        let mut blocks = Vec::new();
        for entry in entries {
            let entry = entry.map_err(StoreError::io("read", shard))?;
            let Some(digest) = entry.file_name().to_str().and_then(Self::digest_of_name) else {
                continue;
            };
            match entry.metadata() {
                Ok(metadata) => blocks.push((digest, metadata.len())),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(StoreError::io("inspect", entry.path())(error)),
            }
        }
        Ok(blocks)
    }

    /// The counters as the last process left them, or, if it died, counted anew. What it left
    /// half-written is removed then.
    pub(super) fn initial_usage(&self) -> Result<Usage, StoreError> {
        let path = self.dir.join("usage");
        let recorded = match fs::read_to_string(&path) {
            Ok(text) => {
                fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
                parse_usage(&text)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(StoreError::io("read", path)(error)),
        };
        match recorded {
            Some(usage) => Ok(usage),
            None => {
                self.remove_unfinished()?;
                self.count()
            }
        }
    }

    fn remove_unfinished(&self) -> Result<(), StoreError> {
        for shard in self.shards() {
            let entries = match fs::read_dir(&shard) {
                Ok(entries) => entries,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(StoreError::io("read", shard)(error)),
            };
            for entry in entries {
                let path = entry.map_err(StoreError::io("read", &shard))?.path();
                if path.to_str().is_some_and(|path| path.ends_with(TMP_SUFFIX)) {
                    fs::remove_file(&path).map_err(StoreError::io("remove", path))?;
                }
            }
        }
        Ok(())
    }

    /// Counts all blocks.
    pub(super) fn count(&self) -> Result<Usage, StoreError> {
        let mut usage = Usage::default();
        for shard in self.shards() {
            for (_, length) in self.list(&shard)? {
                usage.blocks += 1;
                usage.bytes += length;
                usage.charged += charge(length);
            }
        }
        Ok(usage)
    }

    /// Leaves the counters for the next process.
    pub(super) fn record_usage(&self, usage: &Usage) -> Result<(), StoreError> {
        let path = self.dir.join("usage");
        let text = format!("v1 {} {} {}\n", usage.blocks, usage.bytes, usage.charged);
        fs::write(&path, text).map_err(StoreError::io("write", path))
    }

    /// Flushes the file system that holds the store.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        File::open(&self.blocks)
            .and_then(|dir| rustix::fs::syncfs(dir).map_err(Into::into))
            .map_err(StoreError::io("flush", &self.blocks))
    }
}

fn parse_usage(text: &str) -> Option<Usage> {
    let mut words = text.strip_suffix('\n')?.split(' ');
    if words.next()? != "v1" {
        return None;
    }
    let mut number = || words.next()?.parse().ok();
    Some(Usage { blocks: number()?, bytes: number()?, charged: number()? })
}

/// Flushes the names in a directory.
pub(super) fn sync_dir(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(StoreError::io("flush", path))
}
