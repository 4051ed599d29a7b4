//! Reading files, whole or in part.

use std::ops::Range;

use bytes::Bytes;
use cid::Cid;
use futures::stream::{Stream, StreamExt as _, try_unfold};

use crate::digest::codec;
use crate::node::{DagError, Node, block, load};
use crate::source::BlockSource;

/// Blocks that are fetched ahead while a file is read.
const READAHEAD: usize = 4;
/// Most levels of nodes in a file. The importer's trees reach a petabyte with seven.
pub(crate) const MAX_DEPTH: usize = 64;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A block cannot be read.
    #[error(transparent)]
    Dag(#[from] DagError),
    /// The CID names a directory or a link.
    #[error("{cid} is a {kind}, not a file")]
    NotAFile {
        /// What is no file.
        cid: Box<Cid>,
        kind: &'static str,
    },
    /// The file is longer than the caller wants.
    #[error("{cid} has {size} bytes; at most {limit} are wanted")]
    TooLarge {
        cid: Box<Cid>,
        /// Its length in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
}

/// Streams the bytes of a file in `range` (0-based, end exclusive, cut off at the file's end).
///
/// The pieces are those of the file's blocks; the next ones are fetched while one is consumed. Each
/// block is checked against its CID by the source, and here against the length that its parent
/// states. Reading stops when the stream is dropped.
pub fn read<S: BlockSource + Clone>(
    source: S,
    cid: &Cid,
    range: Range<u64>,
) -> impl Stream<Item = Result<Bytes, ReadError>> + Send + use<S> {
    let walk = Walk { source: source.clone(), levels: vec![vec![(*cid, None)].into_iter()], position: 0, range };
    let pieces = try_unfold(walk, |mut walk| async move { Ok(walk.next().await?.map(|piece| (piece, walk))) });
    pieces
        .map(move |piece: Result<Piece, ReadError>| {
            let source = source.clone();
            async move {
                match piece? {
                    Piece::Here(data) => Ok(data),
                    Piece::Leaf { cid, size, part } => {
                        let data = block(&source, &cid).await?;
                        check_size(&cid, size, data.len() as u64)?;
                        Ok(data.slice(part))
                    }
                }
            }
        })
        .buffered(READAHEAD)
}

/// Reads a whole file of at most `limit` bytes into memory.
///
/// # Errors
/// [`ReadError::TooLarge`] before anything but the root is read, and the errors of [`read`].
pub async fn read_to_vec<S: BlockSource + Clone>(source: S, cid: &Cid, limit: u64) -> Result<Vec<u8>, ReadError> {
    let size = match load(&source, cid).await? {
        Node::File(file) => file.size,
        Node::Opaque(data) => data.len() as u64,
        Node::Directory(_) | Node::Shard(_) => return Err(not_a_file(cid, "directory")),
        Node::Symlink(_) => return Err(not_a_file(cid, "symbolic link")),
    };
    if size > limit {
        return Err(ReadError::TooLarge { cid: Box::new(*cid), size, limit });
    }
    let mut content = Vec::with_capacity(size as usize);
    let mut pieces = std::pin::pin!(read(source, cid, 0..size));
    while let Some(piece) = pieces.next().await {
        content.extend_from_slice(&piece?);
    }
    Ok(content)
}

pub(crate) fn not_a_file(cid: &Cid, kind: &'static str) -> ReadError {
    ReadError::NotAFile { cid: Box::new(*cid), kind }
}

pub(crate) fn check_size(cid: &Cid, stated: u64, actual: u64) -> Result<(), DagError> {
    if stated == actual {
        return Ok(());
    }
    Err(DagError::malformed(cid, format!("it has {actual} bytes of content where its parent states {stated}")))
}

enum Piece {
    /// Content that stood in an inner node, or in a small file's only one.
    Here(Bytes),
    /// A leaf to fetch, and the part of it that is wanted.
    Leaf { cid: Cid, size: u64, part: Range<usize> },
}

struct Walk<S> {
    source: S,
    /// What is left of each level, from the root down: CID and stated size (of the root: unknown).
    levels: Vec<std::vec::IntoIter<(Cid, Option<u64>)>>,
    /// Bytes of the file before what comes next.
    position: u64,
    range: Range<u64>,
}

impl<S: BlockSource> Walk<S> {
    async fn next(&mut self) -> Result<Option<Piece>, ReadError> {
        while self.position < self.range.end {
            let Some(level) = self.levels.last_mut() else {
                return Ok(None);
            };
            let Some((cid, stated)) = level.next() else {
                self.levels.pop();
                continue;
            };
            if let Some(size) = stated {
                // nothing of it is wanted; an empty child is never fetched, so that a DAG of
                // nothing but empty nodes costs nothing
                let end = self.position.saturating_add(size);
                if end <= self.range.start || size == 0 {
                    self.position = end;
                    continue;
                }
                if cid.codec() == codec::RAW {
                    let part = self.wanted(size);
                    self.position = end;
                    return Ok(Some(Piece::Leaf { cid, size, part }));
                }
            }
            let file = match load(&self.source, &cid).await? {
                Node::File(file) => file,
                Node::Opaque(data) if stated.is_none() => {
                    let part = self.wanted(data.len() as u64);
                    self.position += data.len() as u64;
                    return Ok(Some(Piece::Here(data.slice(part))));
                }
                Node::Opaque(_) => return Err(not_a_file(&cid, "block of data")),
                Node::Directory(_) | Node::Shard(_) => return Err(not_a_file(&cid, "directory")),
                Node::Symlink(_) => return Err(not_a_file(&cid, "symbolic link")),
            };
            if let Some(stated) = stated {
                check_size(&cid, stated, file.size)?;
            }
            if !file.children.is_empty() {
                if self.levels.len() == MAX_DEPTH {
                    return Err(DagError::malformed(&cid, format!("its file has more than {MAX_DEPTH} levels")).into());
                }
                let children: Vec<_> = file.children.into_iter().map(|(cid, size)| (cid, Some(size))).collect();
                self.levels.push(children.into_iter());
            }
            if !file.data.is_empty() {
                let part = self.wanted(file.data.len() as u64);
                self.position += file.data.len() as u64;
                if !part.is_empty() {
                    return Ok(Some(Piece::Here(file.data.slice(part))));
                }
            }
        }
        Ok(None)
    }

    /// The part of the next `size` bytes that lies in the range.
    fn wanted(&self, size: u64) -> Range<usize> {
        let from = self.range.start.saturating_sub(self.position).min(size);
        let to = self.range.end.saturating_sub(self.position).min(size);
        from as usize..to.max(from) as usize
    }
}

#[cfg(test)]
mod tests;
