//! Writing DAGs to disk as files and directories.

mod disk;
mod measure;

use std::path::{Path, PathBuf};

use cid::Cid;
use futures::StreamExt as _;
use tokio::sync::mpsc;

use crate::import::check_name;
use crate::list::{ListError, list};
use crate::node::{DagError, Node, load};
use crate::read::{ReadError, read};
use crate::source::BlockSource;
use disk::Command;

pub use measure::{Measure, measure};

/// Commands that may wait for the writing thread; each carries at most one block.
const QUEUE: usize = 8;

/// What becomes of UnixFS symlinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExportSymlinks {
    /// A link is an error.
    #[default]
    Refuse,
    /// A link is made with the target that it states, wherever that points. Nothing is ever written
    /// through it, but whoever reads the result later must not follow it blindly.
    Create,
}

/// How much is exported at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportLimits {
    /// Most bytes of content together.
    pub max_bytes: u64,
    /// Most files, directories and links together, the root included.
    pub max_entries: u64,
    /// Most entries for each different one: a directory that occurs a thousand times in others makes a thousand times its
    /// entries. The first [`ExportLimits::FREE_ENTRIES`] are free. So it is with blocks, of which one for each 16 KiB is free as well: a
    /// file may be a few blocks of one byte, over and over.
    pub max_repetition: u64,
    /// Most directories between the root and an entry.
    pub max_depth: usize,
    /// Most bytes of an entry's path, from the root on.
    pub max_path: usize,
    /// What becomes of symlinks.
    pub symlinks: ExportSymlinks,
}

impl ExportLimits {
    /// Entries that are written however often the content repeats itself.
    pub const FREE_ENTRIES: u64 = 1_000;
}

impl Default for ExportLimits {
    /// 1 TiB, a million entries, 16 for each different one, 128 levels, paths of any length; links refused.
    fn default() -> Self {
        Self {
            max_bytes: 1 << 40,
            max_entries: 1_000_000,
            max_repetition: 16,
            max_depth: 128,
            max_path: usize::MAX,
            symlinks: ExportSymlinks::Refuse,
        }
    }
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exported {
    /// Bytes of content.
    pub bytes: u64,
    /// Files, directories and links, the root included.
    pub entries: u64,
}

/// Why an export was refused. What had been written is removed again.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A block cannot be read.
    #[error(transparent)]
    Dag(#[from] DagError),
    /// There is something at the destination already.
    #[error("{} exists already; nothing is overwritten, name another destination", path.display())]
    Exists {
        /// The file or directory in the way.
        path: PathBuf,
    },
    /// An entry's name cannot be that of a file.
    #[error("the directory {directory} has an entry named {name:?}, which cannot be the name of a file")]
    Name {
        directory: Box<Cid>,
        /// The name (shortened).
        name: String,
    },
    /// The DAG has a symbolic link.
    #[error("{} would be a symbolic link; links are refused", path.display())]
    Symlink {
        /// Where it would be.
        path: PathBuf,
    },
    /// There are more entries than allowed.
    #[error("the content has {entries} entries or more; at most {limit} files and directories are written")]
    TooManyEntries {
        /// The entries that were counted.
        entries: u64,
        limit: u64,
    },
    /// A few directories, over and over.
    #[error(
        "the content repeats itself: {distinct} different entries make {entries}; at most {limit} are written for so few"
    )]
    Repetitive {
        /// The entries that there would be.
        entries: u64,
        /// Entries of the different directories.
        distinct: u64,
        limit: u64,
    },
    /// A few small blocks, over and over.
    #[error(
        "the content repeats itself: for its {bytes} bytes {reads} blocks would be read; at most {limit} are read for so few"
    )]
    Fragmented {
        /// The blocks that would be read, each as often as it occurs.
        reads: u64,
        bytes: u64,
        limit: u64,
    },
    /// There are more bytes than allowed.
    #[error("the content has {bytes} bytes or more; at most {limit} are written")]
    TooManyBytes {
        /// The bytes that were counted.
        bytes: u64,
        limit: u64,
    },
    /// Directories are nested deeper than allowed.
    #[error("{} is nested deeper than {limit} directories", path.display())]
    TooDeep { path: PathBuf, limit: usize },
    /// A path is longer than allowed.
    #[error("the content has a path of {bytes} bytes; at most {limit} are written")]
    LongPath { bytes: usize, limit: usize },
    /// A file cannot be written.
    #[error("cannot {action} {}", path.display())]
    Io {
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
    /// The task that was writing ended early, because the runtime is shutting down.
    #[error("the export was interrupted by the shutdown of the program")]
    Interrupted,
}

impl From<ReadError> for ExportError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Dag(error) => Self::Dag(error),
            ReadError::NotAFile { cid, kind } => {
                Self::Dag(DagError::malformed(&cid, format!("it is part of a file and a {kind}")))
            }
            ReadError::TooLarge { cid, .. } => Self::Dag(DagError::malformed(&cid, "its size changed")),
        }
    }
}

/// Writes what `cid` names to `dest`, which must not exist: a file becomes a file, a directory a
/// directory. `source` is read while a thread writes.
///
/// Names are checked, nothing is overwritten, and nothing is written through a link. The directories
/// are counted first ([`measure`]): content that exceeds a limit, such as a small DAG that repeats itself
/// without end, is refused before anything is written. If anything fails, or the future is dropped, what was written is removed.
///
/// # Errors
/// [`ExportError`].
pub async fn export_to<S: BlockSource + Clone>(
    source: S,
    cid: &Cid,
    dest: impl AsRef<Path>,
    limits: &ExportLimits,
) -> Result<Exported, ExportError> {
    let dest = dest.as_ref().to_owned();
    measure(&source, cid, limits).await?;
    let (commands, queue) = mpsc::channel(QUEUE);
    let writer = tokio::task::spawn_blocking({
        let dest = dest.clone();
        move || disk::write(&dest, queue)
    });
    let mut export = Export { source, limits, commands, path: dest, written: Exported::default() };
    let outcome = export.run(*cid).await;
    let written = export.written;
    match outcome {
        Ok(()) => {
            // a writer that failed has closed the queue, and says why
            let _ = export.commands.send(Command::Finish).await;
            drop(export);
            writer.await.map_err(|_| ExportError::Interrupted)??;
            Ok(written)
        }
        Err(error) => {
            drop(export);
            match writer.await {
                Ok(Err(cause)) if matches!(error, Stopped::WriterGone) => Err(cause),
                _ => Err(match error {
                    Stopped::Because(error) => error,
                    Stopped::WriterGone => ExportError::Interrupted,
                }),
            }
        }
    }
}

enum Stopped {
    Because(ExportError),
    /// The writer ended; its error is the cause.
    WriterGone,
}

impl<E: Into<ExportError>> From<E> for Stopped {
    fn from(error: E) -> Self {
        Self::Because(error.into())
    }
}

struct Export<'a, S> {
    source: S,
    limits: &'a ExportLimits,
    commands: mpsc::Sender<Command>,
    /// Where the current entry is written; for messages.
    path: PathBuf,
    written: Exported,
}

/// A directory whose entries are being written.
type OpenDirectory<'a> = (Cid, futures::stream::BoxStream<'a, Result<crate::list::DirEntry, ListError>>);

impl<S: BlockSource + Clone> Export<'_, S> {
    async fn run(&mut self, root: Cid) -> Result<(), Stopped> {
        let mut open: Vec<OpenDirectory<'_>> = Vec::new();
        if self.entry(root, String::new(), 0).await? {
            open.push((root, list(self.source.clone(), &root).boxed()));
        }
        while let Some((directory, entries)) = open.last_mut() {
            let Some(entry) = entries.next().await else {
                open.pop();
                self.send(Command::Leave).await?;
                self.path.pop();
                continue;
            };
            let entry = entry.map_err(|error| match error {
                ListError::Dag(error) => error,
                ListError::NotADirectory { cid } => DagError::malformed(&cid, "it is no directory any more"),
            })?;
            if check_name(&entry.name).is_err() {
                return Err(Stopped::Because(ExportError::Name {
                    directory: Box::new(*directory),
                    name: entry.name.chars().take(80).collect(),
                }));
            }
            self.path.push(&entry.name);
            if self.entry(entry.cid, entry.name, open.len()).await? {
                open.push((entry.cid, list(self.source.clone(), &entry.cid).boxed()));
            } else {
                self.path.pop();
            }
        }
        Ok(())
    }

    /// Writes an entry; `true` if it is a directory, which is then open.
    async fn entry(&mut self, cid: Cid, name: String, depth: usize) -> Result<bool, Stopped> {
        if self.written.entries >= self.limits.max_entries {
            let limit = self.limits.max_entries;
            return Err(Stopped::Because(ExportError::TooManyEntries { entries: limit.saturating_add(1), limit }));
        }
        self.written.entries += 1;
        let size = match load(&self.source, &cid).await? {
            Node::File(file) if file.children.is_empty() => {
                self.count_bytes(file.size)?;
                self.send(Command::File(name)).await?;
                self.send(Command::Write(file.data)).await?;
                self.send(Command::Close).await?;
                return Ok(false);
            }
            Node::File(file) => file.size,
            Node::Opaque(data) => data.len() as u64,
            Node::Directory(_) | Node::Shard(_) => {
                if depth > self.limits.max_depth {
                    return Err(Stopped::Because(ExportError::TooDeep {
                        path: self.path.clone(),
                        limit: self.limits.max_depth,
                    }));
                }
                self.send(Command::Enter(name)).await?;
                return Ok(true);
            }
            Node::Symlink(target) => {
                if self.limits.symlinks == ExportSymlinks::Refuse {
                    return Err(Stopped::Because(ExportError::Symlink { path: self.path.clone() }));
                }
                self.send(Command::Symlink(name, target)).await?;
                return Ok(false);
            }
        };
        self.count_bytes(size)?;
        self.send(Command::File(name)).await?;
        let source = self.source.clone();
        let mut pieces = std::pin::pin!(read(source, &cid, 0..size));
        while let Some(piece) = pieces.next().await {
            self.send(Command::Write(piece?)).await?;
        }
        self.send(Command::Close).await?;
        Ok(false)
    }

    fn count_bytes(&mut self, size: u64) -> Result<(), ExportError> {
        let sum = self.written.bytes.saturating_add(size);
        if sum > self.limits.max_bytes {
            return Err(ExportError::TooManyBytes { bytes: sum, limit: self.limits.max_bytes });
        }
        self.written.bytes = sum;
        Ok(())
    }

    async fn send(&self, command: Command) -> Result<(), Stopped> {
        self.commands.send(command).await.map_err(|_| Stopped::WriterGone)
    }
}

#[cfg(test)]
mod tests;
