//! Importing files and directories into UnixFS DAGs.
//!
//! The CIDs are those of `ipfs add --cid-version=1` (with `--hidden` and `--preserve-mode=false`):
//! CIDv1, sha2-256, chunks of 256 KiB as raw leaves, balanced files with 174 links a node,
//! directories sharded (HAMT, fanout 256) when names and CIDs exceed 256 KiB. (Older releases of Kubo
//! shard a directory of exactly 256 KiB too. npm ipfs-unixfs-importer leaves links to directories
//! out of the count; `ipfs add` and Lota do not.)
//!
//! rust-unixfs gives the same CIDs, and the tests compare with it. It is not used here because it
//! copies each chunk into a block of its own and hashes it on the caller's thread, holds whole
//! directory trees in memory keyed by path, and can panic; here chunks are hashed where they were
//! read, on as many threads as there are cores, and only one directory's names are held for each
//! level of depth.

mod directory;
mod file;
mod pipeline;
mod walk;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cid::Cid;

pub(crate) use directory::check_name;
pub use directory::{DirBuilder, DirError, MAX_NAME};

use crate::source::{BlockSink, HashOnly};
use crate::store::{Store, StoreError};
use pipeline::with_pipeline;

/// What the importer does with symbolic links. They are never followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Symlinks {
    /// A link is an error that names its path.
    #[default]
    Refuse,
    /// A link is stored as a UnixFS symlink with its target as text, as `ipfs add` does.
    Keep,
}

/// Called with the number of content bytes read so far.
pub type Progress = Arc<dyn Fn(u64) + Send + Sync>;

/// How to import, and how much.
#[derive(Clone)]
pub struct ImportOptions {
    /// What to do with symbolic links.
    pub symlinks: Symlinks,
    /// Most files, directories and links together, the root included.
    pub max_entries: u64,
    /// Most bytes of content together.
    pub max_bytes: u64,
    /// Most directories between the root and an entry.
    pub max_depth: usize,
    /// Threads that hash; 0 means one for each core. The calling thread reads, and with 1 it hashes too.
    pub threads: usize,
    /// Pins the root under this name before the import returns (store only).
    pub pin: Option<String>,
    /// Called from the importing thread after each chunk.
    pub progress: Option<Progress>,
    /// Ends the import with [`ImportError::Cancelled`] at the next chunk once it is true.
    pub cancel: Option<Arc<AtomicBool>>,
}

impl Default for ImportOptions {
    /// A million entries, 1 TiB, 128 levels; links refused; all cores; no pin.
    fn default() -> Self {
        Self {
            symlinks: Symlinks::Refuse,
            max_entries: 1_000_000,
            max_bytes: 1 << 40,
            max_depth: 128,
            threads: 0,
            pin: None,
            progress: None,
            cancel: None,
        }
    }
}

impl std::fmt::Debug for ImportOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImportOptions")
            .field("symlinks", &self.symlinks)
            .field("max_entries", &self.max_entries)
            .field("max_bytes", &self.max_bytes)
            .field("max_depth", &self.max_depth)
            .field("threads", &self.threads)
            .field("pin", &self.pin)
            .finish_non_exhaustive()
    }
}

/// What was imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    /// CID of the root.
    pub cid: Cid,
    /// Bytes of content: the sum of all files' lengths.
    pub size: u64,
    /// Bytes of the whole DAG, blocks that occur twice counted twice: the `Tsize` of a link to it.
    pub dag_size: u64,
    /// Blocks that were made, blocks that occur twice counted twice.
    pub blocks: u64,
    /// Files, directories and links, the root included.
    pub entries: u64,
}

/// Why an import was refused.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file or directory cannot be read.
    #[error("cannot {action} {}", path.display())]
    Io {
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
    /// The reader that content came from failed.
    #[error("cannot read the content to import")]
    Read {
        /// What it answered.
        source: std::io::Error,
    },
    /// The path, or something below it, is a symbolic link.
    #[error("{} is a symbolic link; links are not followed: remove it, or import with links kept as links", path.display())]
    Symlink { path: PathBuf },
    /// The path, or something below it, is a device, a pipe or a socket.
    #[error("{} is a {kind}; only files and directories can be imported", path.display())]
    SpecialFile { path: PathBuf, kind: &'static str },
    /// A name is not UTF-8, which UnixFS requires.
    #[error("the name of {} is not UTF-8; rename it", path.display())]
    Name { path: PathBuf },
    /// Something was replaced by something else while it was being read.
    #[error("{} was replaced while it was being imported; import it when nothing changes it", path.display())]
    Changed { path: PathBuf },
    /// There are more entries than allowed.
    #[error("{} has more than {limit} entries", path.display())]
    TooManyEntries {
        /// The root of the import.
        path: PathBuf,
        limit: u64,
    },
    /// There are more bytes than allowed.
    #[error("the content exceeds {limit} bytes (at {})", path.display())]
    TooManyBytes {
        /// The file with which the limit was passed.
        path: PathBuf,
        limit: u64,
    },
    /// Directories are nested deeper than allowed.
    #[error("{} is nested deeper than {limit} directories", path.display())]
    TooDeep { path: PathBuf, limit: usize },
    /// A directory cannot be built.
    #[error(transparent)]
    Directory(#[from] DirError),
    /// The store refused a block or the pin.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The import was cancelled by its caller.
    #[error("the import was cancelled")]
    Cancelled,
    /// The task that was importing ended early, because the runtime is shutting down.
    #[error("the import was interrupted by the shutdown of the program")]
    Interrupted,
}

/// Imports a file or a directory with all that it contains. Entries are taken in the order of
/// their names; nothing outside of `path` is read.
///
/// Blocks: it reads, hashes and writes on the calling thread and on threads of its own. In async
/// code call it in `spawn_blocking`.
///
/// # Errors
/// [`ImportError`]: links (by default), special files, exceeded limits, unreadable files, a full store.
pub fn import_path(store: &Store, path: impl AsRef<Path>, options: &ImportOptions) -> Result<Imported, ImportError> {
    pinned(store, options, |sink| import_path_into(sink, path.as_ref(), options))
}

/// As [`import_path`], into any sink. A [`Guard`](crate::Guard) keeps the blocks safe while more
/// is imported; `options.pin` is not used.
///
/// # Errors
/// As [`import_path`].
pub fn import_path_into<S: BlockSink>(
    sink: &S,
    path: impl AsRef<Path>,
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    with_pipeline(sink, options, |pipeline| walk::import(pipeline, path.as_ref(), options))
}

/// Imports a file's content from a reader.
///
/// # Errors
/// [`ImportError::Read`] if the reader fails, [`ImportError::TooManyBytes`], [`ImportError::Store`].
pub fn import_reader(store: &Store, reader: impl Read, options: &ImportOptions) -> Result<Imported, ImportError> {
    pinned(store, options, |sink| import_reader_into(sink, reader, options))
}

/// As [`import_reader`], into any sink.
///
/// # Errors
/// As [`import_reader`].
pub fn import_reader_into<S: BlockSink>(
    sink: &S,
    reader: impl Read,
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    with_pipeline(sink, options, |pipeline| {
        pipeline.read_file(reader, None)?;
        pipeline.end_file("")
    })
}

/// Imports a file's content from memory.
///
/// # Errors
/// As [`import_reader`].
pub fn import_bytes(store: &Store, content: &[u8], options: &ImportOptions) -> Result<Imported, ImportError> {
    pinned(store, options, |sink| import_bytes_into(sink, content, options))
}

/// As [`import_bytes`], into any sink. The content is hashed where it lies.
///
/// # Errors
/// As [`import_reader`].
pub fn import_bytes_into<S: BlockSink>(
    sink: &S,
    content: &[u8],
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    with_pipeline(sink, options, |pipeline| {
        pipeline.slice_file(content)?;
        pipeline.end_file("")
    })
}

/// Imports a file's content from an async reader.
///
/// # Errors
/// As [`import_reader`].
pub async fn import_async_reader<R>(store: &Store, reader: R, options: &ImportOptions) -> Result<Imported, ImportError>
where
    R: tokio::io::AsyncRead + Send + Unpin + 'static,
{
    let store = store.clone();
    let options = options.clone();
    let reader = tokio_util::io::SyncIoBridge::new(reader);
    tokio::task::spawn_blocking(move || import_reader(&store, reader, &options))
        .await
        .unwrap_or(Err(ImportError::Interrupted))
}

/// The CID that [`import_path`] would give, without storing anything.
///
/// # Errors
/// As [`import_path`].
pub fn cid_of_path(path: impl AsRef<Path>, options: &ImportOptions) -> Result<Imported, ImportError> {
    import_path_into(&HashOnly, path, options)
}

/// The CID that [`import_reader`] would give, without storing anything.
///
/// # Errors
/// As [`import_reader`].
pub fn cid_of_reader(reader: impl Read, options: &ImportOptions) -> Result<Imported, ImportError> {
    import_reader_into(&HashOnly, reader, options)
}

/// The CID that [`import_bytes`] would give, without storing anything.
///
/// # Errors
/// [`ImportError::TooManyBytes`].
pub fn cid_of_bytes(content: &[u8], options: &ImportOptions) -> Result<Imported, ImportError> {
    import_bytes_into(&HashOnly, content, options)
}

/// Imports under a guard and pins the root before the guard goes.
fn pinned(
    store: &Store,
    options: &ImportOptions,
    import: impl FnOnce(&crate::store::Guard) -> Result<Imported, ImportError>,
) -> Result<Imported, ImportError> {
    let guard = store.guard();
    let imported = import(&guard)?;
    if let Some(name) = &options.pin {
        store.pin(&imported.cid, name)?;
    }
    Ok(imported)
}

/// Counts content bytes, reports them and obeys the caller's wish to stop.
struct Meter<'a> {
    options: &'a ImportOptions,
    bytes: u64,
    entries: u64,
}

impl Meter<'_> {
    /// Counts a chunk.
    fn add_bytes(&mut self, count: usize, path: Option<&Path>) -> Result<(), ImportError> {
        self.bytes += count as u64;
        if self.bytes > self.options.max_bytes {
            return Err(ImportError::TooManyBytes {
                path: path.unwrap_or(Path::new("the reader")).to_owned(),
                limit: self.options.max_bytes,
            });
        }
        if let Some(progress) = &self.options.progress {
            progress(self.bytes);
        }
        self.check_cancelled()
    }

    fn check_cancelled(&self) -> Result<(), ImportError> {
        match &self.options.cancel {
            Some(cancel) if cancel.load(Ordering::Relaxed) => Err(ImportError::Cancelled),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
