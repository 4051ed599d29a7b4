//! From a CID and a path to what lies there.

use cid::Cid;

use crate::dagpb::Link;
use crate::node::{DagError, Node, ShardNode, load};
use crate::source::BlockSource;
use crate::unixfs::name_hash;

/// Most segments of a path that is resolved.
pub const MAX_PATH_SEGMENTS: usize = 256;

/// What a CID turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A file with this many bytes.
    File {
        /// Bytes of content, as its root states; reading checks it.
        size: u64,
    },
    /// A directory.
    Directory {
        /// Whether it is spread over several nodes.
        sharded: bool,
    },
    /// A symbolic link. It is never followed.
    Symlink {
        /// Where it points, as text.
        target: String,
    },
    /// A block of another codec than raw and DAG-PB, such as DAG-CBOR or JSON. It can be read like a file.
    Block { codec: u64, size: u64 },
}

/// What lies at the end of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub cid: Cid,
    pub kind: EntryKind,
    /// The CIDs that the segments of the path lead to, from the root to the entry's own.
    pub path_cids: Vec<Cid>,
    /// The blocks that were read on the way, in order, from the root to the entry's own: as
    /// `path_cids`, and the shards of sharded directories.
    pub path_blocks: Vec<Cid>,
}

/// Why a path leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// A block on the way cannot be read.
    #[error(transparent)]
    Dag(#[from] DagError),
    /// A directory has no entry of that name.
    #[error("there is no {name:?} in the directory {directory}")]
    NotFound {
        directory: Box<Cid>,
        /// The name that was looked for.
        name: String,
    },
    /// The path goes on below something that is no directory.
    #[error("{cid} is a {kind}, so {name:?} cannot be looked up in it")]
    NotADirectory {
        /// What is no directory.
        cid: Box<Cid>,
        kind: &'static str,
        /// The name that was looked for.
        name: String,
    },
    /// The path has more than [`MAX_PATH_SEGMENTS`] segments.
    #[error("the path has more than {MAX_PATH_SEGMENTS} segments")]
    TooLong,
}

/// Follows `path` from `cid`. Slashes at either end and double ones mean nothing; `.` and `..` are
/// names like any other, and symbolic links are not followed.
///
/// # Errors
/// [`ResolveError`] if the path leads nowhere or a block on it cannot be read.
pub async fn resolve<S: BlockSource + ?Sized>(source: &S, cid: &Cid, path: &str) -> Result<Entry, ResolveError> {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    let mut cid = *cid;
    let mut path_cids = vec![cid];
    let mut path_blocks = vec![cid];
    let mut node = load(source, &cid).await?;
    for index in 0.. {
        let Some(name) = segments.next() else { break };
        if index == MAX_PATH_SEGMENTS {
            return Err(ResolveError::TooLong);
        }
        let found = match node {
            Node::Directory(links) => links.into_iter().find(|link| link.name == name),
            Node::Shard(shard) => find_in_shard(source, cid, shard, name, &mut path_blocks).await?,
            Node::File(_) => return Err(not_a_directory(cid, "file", name)),
            Node::Symlink(_) => return Err(not_a_directory(cid, "symbolic link", name)),
            Node::Opaque(_) => return Err(not_a_directory(cid, "block of data", name)),
        };
        let Some(link) = found else {
            return Err(ResolveError::NotFound { directory: Box::new(cid), name: name.to_owned() });
        };
        cid = link.cid;
        path_cids.push(cid);
        path_blocks.push(cid);
        node = load(source, &cid).await?;
    }
    let kind = match node {
        Node::File(file) => EntryKind::File { size: file.size },
        Node::Directory(_) => EntryKind::Directory { sharded: false },
        Node::Shard(_) => EntryKind::Directory { sharded: true },
        Node::Symlink(target) => EntryKind::Symlink { target },
        Node::Opaque(data) => EntryKind::Block { codec: cid.codec(), size: data.len() as u64 },
    };
    Ok(Entry { cid, kind, path_cids, path_blocks })
}

fn not_a_directory(cid: Cid, kind: &'static str, name: &str) -> ResolveError {
    ResolveError::NotADirectory { cid: Box::new(cid), kind, name: name.to_owned() }
}

async fn find_in_shard<S: BlockSource + ?Sized>(
    source: &S,
    mut cid: Cid,
    mut shard: ShardNode,
    name: &str,
    path_blocks: &mut Vec<Cid>,
) -> Result<Option<Link>, DagError> {
    let hash = name_hash(name);
    let mut used = 0;
    loop {
        if used + shard.bits > u64::BITS {
            return Err(DagError::malformed(&cid, "its directory is sharded deeper than the hash of a name"));
        }
        let bucket = hash << used >> (u64::BITS - shard.bits);
        used += shard.bits;
        let found = shard.links.iter().find_map(|link| match shard.split(link) {
            Some((at, "")) if at == bucket => Some((link, true)),
            Some((at, entry)) if at == bucket && entry == name => Some((link, false)),
            _ => None,
        });
        match found {
            None => return Ok(None),
            Some((link, false)) => {
                return Ok(Some(Link { name: name.to_owned(), ..link.clone() }));
            }
            Some((link, true)) => {
                cid = link.cid;
                path_blocks.push(cid);
                match load(source, &cid).await? {
                    Node::Shard(next) => shard = next,
                    _ => {
                        return Err(DagError::malformed(&cid, "it stands in for a shard of a directory and is none"));
                    }
                }
            }
        }
    }
}
