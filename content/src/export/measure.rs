//! What an export would write, found out without writing.

use std::collections::HashMap;
use std::path::PathBuf;

use cid::Cid;
use futures::StreamExt as _;
use futures::stream::BoxStream;

use super::{ExportError, ExportLimits};
use crate::digest::codec;
use crate::list::{DirEntry, ListError, list};
use crate::node::{DagError, Node, load};
use crate::source::BlockSource;

/// What an export would write. Figures that do not fit stand at the largest number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Measure {
    /// Bytes of content.
    pub bytes: u64,
    /// Files, directories and links, the root included.
    pub entries: u64,
    /// Entries of the different directories, the root included: what is left when each is counted once.
    pub distinct: u64,
}

/// What lies below a CID, itself included.
#[derive(Debug, Clone, Copy)]
struct Tree {
    bytes: u64,
    entries: u64,
    /// Levels of directories: 0 for a file.
    height: usize,
}

/// A directory that is being counted.
struct Open<'a> {
    cid: Cid,
    name: String,
    entries: BoxStream<'a, Result<DirEntry, ListError>>,
    sum: Tree,
}

/// Counts what [`export_to`](super::export_to) would write, each different directory and file once, however often it
/// occurs: the work is that of reading the different directories and the roots of files. No content is read.
///
/// Memory: some 100 bytes for each different entry, so `max_entries` bounds it.
///
/// # Errors
/// [`ExportError::TooManyEntries`], [`ExportError::Repetitive`], [`ExportError::TooManyBytes`] and
/// [`ExportError::TooDeep`] for content that exceeds the limits; [`ExportError::Dag`] if a block cannot be read.
pub async fn measure<S: BlockSource>(source: S, root: &Cid, limits: &ExportLimits) -> Result<Measure, ExportError> {
    let source = &source;
    let mut known: HashMap<Cid, Tree> = HashMap::new();
    let mut distinct = 1_u64;
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut done = match look(source, root).await? {
        Some(tree) => tree,
        None => {
            open.push(begin(source, *root, String::new()));
            Tree { bytes: 0, entries: 1, height: 1 }
        }
    };
    while let Some(directory) = open.last_mut() {
        let Some(entry) = directory.entries.next().await else {
            done = directory.sum;
            known.insert(directory.cid, done);
            open.pop();
            if let Some(parent) = open.last_mut() {
                parent.sum.add(done);
            }
            continue;
        };
        let entry = entry.map_err(|error| match error {
            ListError::Dag(error) => error,
            ListError::NotADirectory { cid } => DagError::malformed(&cid, "it is no directory any more"),
        })?;
        distinct = distinct.saturating_add(1);
        if distinct > limits.max_entries {
            return Err(ExportError::TooManyEntries { entries: distinct, limit: limits.max_entries });
        }
        let tree = match known.get(&entry.cid) {
            Some(tree) => Some(*tree),
            None => look(source, &entry.cid).await?,
        };
        let depth = open.len() + tree.map_or(1, |tree| tree.height);
        if depth > limits.max_depth.saturating_add(1) {
            let names = open.iter().map(|directory| &directory.name).chain([&entry.name]);
            return Err(ExportError::TooDeep { path: names.collect::<PathBuf>(), limit: limits.max_depth });
        }
        match tree {
            Some(tree) => {
                known.insert(entry.cid, tree);
                if let Some(directory) = open.last_mut() {
                    directory.sum.add(tree);
                }
            }
            None => open.push(begin(source, entry.cid, entry.name)),
        }
    }
    let Tree { bytes, entries, .. } = done;
    if entries > limits.max_entries {
        return Err(ExportError::TooManyEntries { entries, limit: limits.max_entries });
    }
    let limit = distinct.saturating_mul(limits.max_repetition).max(ExportLimits::FREE_ENTRIES);
    if entries > limit {
        return Err(ExportError::Repetitive { entries, distinct, limit });
    }
    if bytes > limits.max_bytes {
        return Err(ExportError::TooManyBytes { bytes, limit: limits.max_bytes });
    }
    Ok(Measure { bytes, entries, distinct })
}

/// What lies below a CID; `None` if it is a directory.
async fn look<S: BlockSource>(source: &S, cid: &Cid) -> Result<Option<Tree>, ExportError> {
    let leaf = |bytes| Some(Tree { bytes, entries: 1, height: 0 });
    if cid.codec() == codec::RAW {
        let length = source.length(cid).await.map_err(DagError::Source)?;
        return Ok(leaf(length.ok_or(DagError::Missing { cid: Box::new(*cid) })?));
    }
    Ok(match load(source, cid).await? {
        Node::File(file) => leaf(file.size),
        Node::Opaque(data) => leaf(data.len() as u64),
        Node::Symlink(_) => leaf(0),
        Node::Directory(_) | Node::Shard(_) => None,
    })
}

fn begin<S: BlockSource>(source: &S, cid: Cid, name: String) -> Open<'_> {
    let entries = list(source, &cid).boxed();
    Open { cid, name, entries, sum: Tree { bytes: 0, entries: 1, height: 1 } }
}

impl Tree {
    /// Adds a child.
    fn add(&mut self, child: Self) {
        self.bytes = self.bytes.saturating_add(child.bytes);
        self.entries = self.entries.saturating_add(child.entries);
        self.height = self.height.max(child.height.saturating_add(1));
    }
}
