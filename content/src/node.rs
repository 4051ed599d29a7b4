//! Blocks decoded into what they mean: a file, a directory, a link.

use bytes::Bytes;
use cid::Cid;

use crate::dagpb::{self, Link};
use crate::digest::codec;
use crate::source::{BlockSource, SourceError};
use crate::unixfs::{self, Kind};

/// Why a DAG cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DagError {
    /// The source failed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A block is not there.
    #[error("block {cid} is not available here")]
    Missing { cid: Box<Cid> },
    /// A block is not what its codec or its parent says.
    #[error("block {cid} is malformed: {reason}")]
    Malformed {
        cid: Box<Cid>,
        /// What is wrong with it.
        reason: String,
    },
}

impl DagError {
    pub(crate) fn malformed(cid: &Cid, reason: impl Into<String>) -> Self {
        Self::Malformed { cid: Box::new(*cid), reason: reason.into() }
    }
}

/// A part of a file: content of its own, then children.
#[derive(Debug, Clone)]
pub(crate) struct FileNode {
    pub(crate) data: Bytes,
    /// CID and bytes of content of each child.
    pub(crate) children: Vec<(Cid, u64)>,
    /// Bytes of content altogether.
    pub(crate) size: u64,
}

/// A node of a sharded directory.
#[derive(Debug, Clone)]
pub(crate) struct ShardNode {
    pub(crate) links: Vec<Link>,
    /// Bits of a name's hash that choose a bucket.
    pub(crate) bits: u32,
    /// Hexadecimal digits before each link's name.
    pub(crate) prefix: usize,
}

impl ShardNode {
    /// The bucket and the name (empty for a link to another shard) of a link.
    pub(crate) fn split<'a>(&self, link: &'a Link) -> Option<(u64, &'a str)> {
        let (bucket, name) = link.name.split_at_checked(self.prefix)?;
        if !bucket.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'A'..=b'F')) {
            return None;
        }
        let bucket = u64::from_str_radix(bucket, 16).ok()?;
        (bucket >> self.bits == 0).then_some((bucket, name))
    }
}

/// What a block is.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    File(FileNode),
    Directory(Vec<Link>),
    Shard(ShardNode),
    Symlink(String),
    /// A block of another codec (DAG-CBOR, JSON): its bytes, not a file and not a directory.
    Opaque(Bytes),
}

/// Fetches a block or says that it is missing.
pub(crate) async fn block<S: BlockSource + ?Sized>(source: &S, cid: &Cid) -> Result<Bytes, DagError> {
    source.block(cid).await?.ok_or(DagError::Missing { cid: Box::new(*cid) })
}

/// Fetches and decodes a block.
pub(crate) async fn load<S: BlockSource + ?Sized>(source: &S, cid: &Cid) -> Result<Node, DagError> {
    decode(cid, block(source, cid).await?)
}

/// Decodes a block.
pub(crate) fn decode(cid: &Cid, block: Bytes) -> Result<Node, DagError> {
    match cid.codec() {
        codec::RAW => Ok(Node::File(FileNode { size: block.len() as u64, data: block, children: Vec::new() })),
        codec::DAG_PB => decode_unixfs(block).map_err(|reason| DagError::malformed(cid, reason)),
        _ => Ok(Node::Opaque(block)),
    }
}

fn decode_unixfs(block: Bytes) -> Result<Node, &'static str> {
    let node = dagpb::decode(&block).map_err(|error| error.0)?;
    let data = node.data.ok_or("it is a DAG-PB node without UnixFS data, so neither file nor directory")?;
    let unixfs = unixfs::decode(&data).map_err(|error| error.0)?;
    match unixfs.kind {
        Kind::Raw | Kind::File => {
            if unixfs.blocksizes.len() != node.links.len() {
                return Err("its block sizes are not as many as its links");
            }
            let mut size = unixfs.data.len() as u64;
            for part in &unixfs.blocksizes {
                size = size.checked_add(*part).ok_or("its block sizes exceed 64 bits")?;
            }
            if unixfs.filesize.is_some_and(|stated| stated != size) {
                return Err("its file size is not the sum of its parts");
            }
            let children = node.links.iter().map(|link| link.cid);
            Ok(Node::File(FileNode { data: unixfs.data, children: children.zip(unixfs.blocksizes).collect(), size }))
        }
        Kind::Directory => Ok(Node::Directory(node.links)),
        Kind::Shard => Ok(Node::Shard(ShardNode {
            links: node.links,
            bits: unixfs.fanout.trailing_zeros(),
            prefix: format!("{:X}", unixfs.fanout - 1).len(),
        })),
        Kind::Symlink => match std::str::from_utf8(&unixfs.data) {
            Ok(target) => Ok(Node::Symlink(target.to_owned())),
            Err(_) => Err("its link target is not UTF-8"),
        },
        Kind::Metadata => Err("it is a UnixFS metadata node, which nothing writes any more"),
    }
}
