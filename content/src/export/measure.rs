//! What an export would write, found out without writing: and whether it could be written at all.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use cid::Cid;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use sha2::{Digest as _, Sha256};

use super::{ExportError, ExportLimits, check_name};
use crate::digest::codec;
use crate::list::{DirEntry, ListError, list};
use crate::node::{DagError, FileNode, Node, load};
use crate::read::{MAX_DEPTH, check_size, not_a_file};
use crate::source::BlockSource;

/// Bytes of a file that one block more than its share may hold: below that, reading it is the work, and not its bytes.
const PIECE: u64 = 16 << 10;

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
    /// Blocks that are read, each as often as it occurs.
    reads: u64,
    /// Levels of directories: 0 for a file.
    height: usize,
    /// Bytes of the longest path, from here on.
    path: usize,
}

impl Tree {
    /// Adds a child of this name.
    fn add(&mut self, name: &str, child: Self) {
        self.bytes = self.bytes.saturating_add(child.bytes);
        self.entries = self.entries.saturating_add(child.entries);
        self.reads = self.reads.saturating_add(child.reads);
        self.height = self.height.max(child.height.saturating_add(1));
        self.path = self.path.max(child.path.saturating_add(name.len() + 1));
    }
}

/// A directory that is being counted.
struct Open<'a> {
    cid: Cid,
    name: String,
    entries: BoxStream<'a, Result<DirEntry, ListError>>,
    /// Digests of the names so far.
    names: HashSet<[u8; 16]>,
    sum: Tree,
}

fn begin<S: BlockSource>(source: &S, cid: Cid, name: String) -> Open<'_> {
    let sum = Tree { bytes: 0, entries: 1, reads: 1, height: 1, path: 0 };
    Open { cid, name, entries: list(source, &cid).boxed(), names: HashSet::new(), sum }
}

impl Open<'_> {
    /// Makes sure that an entry can be made beside the others.
    fn check(&mut self, name: &str) -> Result<(), ExportError> {
        let shortened = || name.chars().take(80).collect::<String>();
        if check_name(name).is_err() {
            return Err(ExportError::Name { directory: Box::new(self.cid), name: shortened() });
        }
        let digest = Sha256::digest(name);
        let mut short = [0; 16];
        short.copy_from_slice(&digest[..16]);
        if self.names.insert(short) {
            return Ok(());
        }
        Err(DagError::malformed(&self.cid, format!("it has two entries named {:?}", shortened())).into())
    }
}

/// A part of a file: what is below its node, each block as often as it occurs.
#[derive(Debug, Clone, Copy)]
struct Part {
    size: u64,
    reads: u64,
    /// Levels of nodes with children.
    levels: usize,
}

/// A node of a file whose children are being looked at.
struct OpenPart {
    cid: Cid,
    children: std::vec::IntoIter<(Cid, u64)>,
    sum: Part,
}

impl OpenPart {
    fn new(cid: Cid, file: FileNode) -> Self {
        let levels = usize::from(!file.children.is_empty());
        Self { cid, children: file.children.into_iter(), sum: Part { size: file.size, reads: 1, levels } }
    }
}

/// What was looked at, each block once.
struct Measuring<'a, S> {
    source: &'a S,
    limits: &'a ExportLimits,
    /// Entries of directories.
    known: HashMap<Cid, Tree>,
    /// Parts of files.
    parts: HashMap<Cid, Part>,
    /// Lengths of leaves.
    leaves: HashMap<Cid, u64>,
}

/// Counts what [`export_to`](super::export_to) would write, each different directory and part of a file once, however often it
/// occurs: the work is that of reading the different directories and inner nodes of files. No content is read. What passes can be
/// written, if blocks and disk do not fail.
///
/// Memory: some 200 bytes for each different entry and block, so `max_entries` and the size of the DAG bound it.
///
/// # Errors
/// [`ExportError::TooManyEntries`], [`ExportError::Repetitive`], [`ExportError::Fragmented`], [`ExportError::TooManyBytes`],
/// [`ExportError::TooDeep`] and [`ExportError::LongPath`] for content that exceeds the limits; [`ExportError::Name`] and
/// [`ExportError::Symlink`] for what is not written; [`ExportError::Dag`] if a block cannot be read, or is not what its parent says.
pub async fn measure<S: BlockSource>(source: S, root: &Cid, limits: &ExportLimits) -> Result<Measure, ExportError> {
    let source = &source;
    let mut measuring =
        Measuring { source, limits, known: HashMap::new(), parts: HashMap::new(), leaves: HashMap::new() };
    let mut distinct = 1_u64;
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut done = match measuring.look(root).await? {
        Some(tree) => tree,
        None => {
            open.push(begin(source, *root, String::new()));
            Tree { bytes: 0, entries: 1, reads: 1, height: 1, path: 0 }
        }
    };
    while let Some(directory) = open.last_mut() {
        let Some(entry) = directory.entries.next().await else {
            done = directory.sum;
            measuring.known.insert(directory.cid, done);
            let name = std::mem::take(&mut directory.name);
            open.pop();
            if let Some(parent) = open.last_mut() {
                parent.sum.add(&name, done);
            }
            continue;
        };
        let entry = entry.map_err(|error| match error {
            ListError::Dag(error) => error,
            ListError::NotADirectory { cid } => DagError::malformed(&cid, "it is no directory any more"),
        })?;
        directory.check(&entry.name)?;
        distinct = distinct.saturating_add(1);
        if distinct > limits.max_entries {
            return Err(ExportError::TooManyEntries { entries: distinct, limit: limits.max_entries });
        }
        let tree = match measuring.known.get(&entry.cid) {
            Some(tree) => Some(*tree),
            None => measuring.look(&entry.cid).await.map_err(|error| match error {
                ExportError::Symlink { .. } => ExportError::Symlink { path: path_of(&open, &entry.name) },
                error => error,
            })?,
        };
        let depth = open.len() + tree.map_or(1, |tree| tree.height);
        if depth > limits.max_depth.saturating_add(1) {
            return Err(ExportError::TooDeep { path: path_of(&open, &entry.name), limit: limits.max_depth });
        }
        match tree {
            Some(tree) => {
                measuring.known.insert(entry.cid, tree);
                if let Some(directory) = open.last_mut() {
                    directory.sum.add(&entry.name, tree);
                }
            }
            None => open.push(begin(source, entry.cid, entry.name)),
        }
    }
    measuring.judge(done, distinct)?;
    Ok(Measure { bytes: done.bytes, entries: done.entries, distinct })
}

fn path_of(open: &[Open<'_>], name: &str) -> PathBuf {
    open.iter().map(|directory| directory.name.as_str()).chain([name]).collect()
}

impl<S: BlockSource> Measuring<'_, S> {
    /// Whether so much may be written.
    fn judge(&self, tree: Tree, distinct: u64) -> Result<(), ExportError> {
        let limits = self.limits;
        let Tree { bytes, entries, reads, path, .. } = tree;
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
        if path > limits.max_path {
            return Err(ExportError::LongPath { bytes: path, limit: limits.max_path });
        }
        let blocks = (self.parts.len() as u64).saturating_add(self.leaves.len() as u64).saturating_add(distinct);
        let limit = blocks.saturating_mul(limits.max_repetition).max(ExportLimits::FREE_ENTRIES).max(bytes / PIECE);
        if reads > limit {
            return Err(ExportError::Fragmented { reads, bytes, limit });
        }
        Ok(())
    }

    /// What lies below a CID; `None` if it is a directory. It does not know where a symbolic link would be.
    async fn look(&mut self, cid: &Cid) -> Result<Option<Tree>, ExportError> {
        let leaf = |bytes, reads| Some(Tree { bytes, entries: 1, reads, height: 0, path: 0 });
        if cid.codec() == codec::RAW {
            return Ok(leaf(self.length(cid).await?, 1));
        }
        Ok(match load(self.source, cid).await? {
            Node::File(file) => {
                if file.size > self.limits.max_bytes {
                    return Err(ExportError::TooManyBytes { bytes: file.size, limit: self.limits.max_bytes });
                }
                let part = self.part(cid, file).await?;
                leaf(part.size, part.reads)
            }
            Node::Opaque(data) => leaf(data.len() as u64, 1),
            Node::Symlink(_) if self.limits.symlinks == super::ExportSymlinks::Refuse => {
                return Err(ExportError::Symlink { path: PathBuf::new() });
            }
            Node::Symlink(_) => leaf(0, 1),
            Node::Directory(_) | Node::Shard(_) => None,
        })
    }

    async fn length(&mut self, cid: &Cid) -> Result<u64, DagError> {
        if let Some(length) = self.leaves.get(cid) {
            return Ok(*length);
        }
        let length = self.source.length(cid).await.map_err(DagError::Source)?;
        let length = length.ok_or(DagError::Missing { cid: Box::new(*cid) })?;
        self.leaves.insert(*cid, length);
        Ok(length)
    }

    /// Looks at all nodes of a file, as [`read`](crate::read::read) will: what it would stumble over is found here.
    async fn part(&mut self, root: &Cid, file: FileNode) -> Result<Part, ExportError> {
        let mut open = vec![OpenPart::new(*root, file)];
        loop {
            let Some(node) = open.last_mut() else {
                return Err(DagError::malformed(root, "it has no end").into());
            };
            let Some((cid, stated)) = node.children.next() else {
                let (cid, done) = (node.cid, node.sum);
                self.parts.insert(cid, done);
                open.pop();
                match open.last_mut() {
                    Some(parent) => parent.sum.add(done),
                    None => return Ok(done),
                }
                continue;
            };
            // An empty child is never fetched.
            if stated == 0 {
                continue;
            }
            if cid.codec() == codec::RAW {
                check_size(&cid, stated, self.length(&cid).await?)?;
                if let Some(node) = open.last_mut() {
                    node.sum.reads = node.sum.reads.saturating_add(1);
                }
                continue;
            }
            if let Some(known) = self.parts.get(&cid).copied() {
                check_size(&cid, stated, known.size)?;
                if open.len() + known.levels >= MAX_DEPTH {
                    return Err(too_many_levels(&cid).into());
                }
                if let Some(node) = open.last_mut() {
                    node.sum.add(known);
                }
                continue;
            }
            let below = match load(self.source, &cid).await? {
                Node::File(below) => below,
                Node::Opaque(_) => return Err(not_a_file(&cid, "block of data").into()),
                Node::Directory(_) | Node::Shard(_) => return Err(not_a_file(&cid, "directory").into()),
                Node::Symlink(_) => return Err(not_a_file(&cid, "symbolic link").into()),
            };
            check_size(&cid, stated, below.size)?;
            let below = OpenPart::new(cid, below);
            if open.len() + below.sum.levels >= MAX_DEPTH {
                return Err(too_many_levels(&cid).into());
            }
            open.push(below);
        }
    }
}

impl Part {
    fn add(&mut self, child: Self) {
        self.reads = self.reads.saturating_add(child.reads);
        self.levels = self.levels.max(child.levels.saturating_add(1));
    }
}

fn too_many_levels(cid: &Cid) -> DagError {
    DagError::malformed(cid, format!("its file has more than {MAX_DEPTH} levels"))
}
