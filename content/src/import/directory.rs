//! Directories: in one node, or sharded.

use std::collections::BTreeMap;

use cid::Cid;

use super::Imported;
use crate::dagpb;
use crate::digest::{Block, codec};
use crate::source::BlockSink;
use crate::store::StoreError;
use crate::unixfs::{SHARD_FANOUT, SHARD_THRESHOLD, encode_directory, encode_shard, name_hash};

/// Longest name of a directory's entry, in bytes (that of Linux).
pub const MAX_NAME: usize = 255;
/// Levels of a sharded directory: 64 bits of hash, 8 for each.
const MAX_SHARD_DEPTH: u32 = 8;

/// Why a directory cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirError {
    /// The name is empty, `.`, `..`, too long, or has a slash or a NUL in it.
    #[error(
        "{name:?} cannot be the name of an entry: it must have 1 to {MAX_NAME} bytes, no '/' and no NUL, and not be '.' or '..'"
    )]
    Name {
        /// The name (shortened).
        name: String,
    },
    /// There is an entry of that name already.
    #[error("the directory has an entry {name:?} already")]
    Duplicate { name: String },
    /// Names that share the whole of their 64-bit hash cannot be sharded.
    #[error("{count} names, {name:?} among them, share one hash; rename one of them")]
    HashCollision {
        /// One of the names.
        name: String,
        /// How many there are.
        count: usize,
    },
}

/// Refuses names that no directory can have.
pub(crate) fn check_name(name: &str) -> Result<(), DirError> {
    if name.is_empty() || name.len() > MAX_NAME || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err(DirError::Name { name: name.chars().take(80).collect() });
    }
    Ok(())
}

/// An entry of a directory that is being built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Child {
    pub(super) cid: Cid,
    pub(super) dag_size: u64,
}

/// Builds a directory from CIDs that are already known.
///
/// ```
/// use lota_content::{DirBuilder, HashOnly, ImportOptions, cid_of_bytes};
/// let hello = cid_of_bytes(b"hello\n", &ImportOptions::default())?;
/// let mut directory = DirBuilder::new();
/// directory.insert("hello.txt", &hello.cid, hello.dag_size)?;
/// let root = directory.build(&HashOnly)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct DirBuilder {
    entries: BTreeMap<String, Child>,
}

impl DirBuilder {
    /// An empty directory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry. `dag_size` is the bytes of the whole DAG below `cid`
    /// ([`Imported::dag_size`]); it becomes the link's `Tsize` and so part of the directory's CID.
    ///
    /// # Errors
    /// [`DirError::Name`] or [`DirError::Duplicate`].
    pub fn insert(&mut self, name: impl Into<String>, cid: &Cid, dag_size: u64) -> Result<(), DirError> {
        let name = name.into();
        check_name(&name)?;
        match self.entries.entry(name) {
            std::collections::btree_map::Entry::Vacant(vacant) => {
                vacant.insert(Child { cid: *cid, dag_size });
                Ok(())
            }
            std::collections::btree_map::Entry::Occupied(occupied) => {
                Err(DirError::Duplicate { name: occupied.key().clone() })
            }
        }
    }

    /// Number of entries so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Encodes the directory, sharded if it is large, and gives its blocks to `sink` (a
    /// [`Guard`](crate::Guard) of a store, or [`HashOnly`](crate::HashOnly)). In the result,
    /// `size` is 0, `blocks` counts the directory's own blocks and `entries` its entries and itself.
    ///
    /// # Errors
    /// [`ImportError::Directory`](super::ImportError::Directory) for colliding names,
    /// [`ImportError::Store`](super::ImportError::Store) if a block cannot be stored.
    pub fn build<S: BlockSink>(&self, sink: &S) -> Result<Imported, super::ImportError> {
        let entries: Vec<(&str, Child)> = self.entries.iter().map(|(name, child)| (name.as_str(), *child)).collect();
        let built = build(sink, &entries)?;
        Ok(Imported {
            cid: built.cid,
            size: 0,
            dag_size: built.dag_size,
            blocks: built.blocks,
            entries: entries.len() as u64 + 1,
        })
    }
}

/// A directory that was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Built {
    pub(super) cid: Cid,
    pub(super) dag_size: u64,
    pub(super) blocks: u64,
}

/// Builds a directory from entries sorted by the bytes of their names.
pub(super) fn build<S: BlockSink>(sink: &S, entries: &[(&str, Child)]) -> Result<Built, super::ImportError> {
    let estimate: usize = entries.iter().map(|(name, child)| name.len() + child.cid.encoded_len()).sum();
    if estimate <= SHARD_THRESHOLD {
        let encoded =
            dagpb::encode(entries.iter().map(|(name, child)| (&child.cid, *name, child.dag_size)), &encode_directory());
        let sizes = entries.iter().map(|(_, child)| child.dag_size);
        return Ok(emit(sink, &encoded, sizes, 0)?);
    }
    let mut hashed: Vec<Hashed<'_>> =
        entries.iter().map(|(name, child)| Hashed { hash: name_hash(name), name, child: *child }).collect();
    hashed.sort_unstable_by(|a, b| a.hash.cmp(&b.hash).then_with(|| a.name.cmp(b.name)));
    shard(sink, &hashed, 0)
}

struct Hashed<'a> {
    hash: u64,
    name: &'a str,
    child: Child,
}

/// Encodes one node of a sharded directory; `entries` are sorted by hash and agree on its first
/// `depth` bytes.
fn shard<S: BlockSink>(sink: &S, entries: &[Hashed<'_>], depth: u32) -> Result<Built, super::ImportError> {
    if depth == MAX_SHARD_DEPTH {
        return Err(DirError::HashCollision {
            name: entries.first().map_or_else(String::new, |entry| entry.name.to_owned()),
            count: entries.len(),
        }
        .into());
    }
    let bucket = |entry: &Hashed<'_>| (entry.hash >> (56 - 8 * depth)) as u8;
    let mut bitfield = [0_u8; SHARD_FANOUT as usize / 8];
    let mut links: Vec<(String, Child)> = Vec::new();
    let mut blocks = 0;
    for group in entries.chunk_by(|a, b| bucket(a) == bucket(b)) {
        let index = bucket(&group[0]);
        bitfield[bitfield.len() - 1 - usize::from(index / 8)] |= 1 << (index % 8);
        links.push(match group {
            [only] => (format!("{index:02X}{}", only.name), only.child),
            several => {
                let built = shard(sink, several, depth + 1)?;
                blocks += built.blocks;
                let child = Child { cid: built.cid, dag_size: built.dag_size };
                (format!("{index:02X}"), child)
            }
        });
    }
    let encoded = dagpb::encode(
        links.iter().map(|(name, child)| (&child.cid, name.as_str(), child.dag_size)),
        &encode_shard(&bitfield),
    );
    let sizes = links.iter().map(|(_, child)| child.dag_size);
    Ok(emit(sink, &encoded, sizes, blocks)?)
}

fn emit<S: BlockSink>(
    sink: &S,
    encoded: &[u8],
    children: impl Iterator<Item = u64>,
    blocks_below: u64,
) -> Result<Built, StoreError> {
    let block = Block::new(codec::DAG_PB, encoded);
    sink.accept(block)?;
    Ok(Built {
        cid: block.cid(),
        dag_size: children.fold(encoded.len() as u64, u64::saturating_add),
        blocks: 1 + blocks_below,
    })
}
