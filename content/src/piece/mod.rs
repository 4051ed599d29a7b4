//! Piece commitments: how Filecoin names content. The content is padded (fr32), zeros fill it up to a power of two, and a binary tree
//! of sha2-256, each node without its two highest bits, gives the root
//! ([the specification](https://spec.filecoin.io/systems/filecoin_files/piece/), FRC-0069).
//!
//! ```
//! use lota_content::piece::{PieceCid, PieceHasher};
//!
//! let mut hasher = PieceHasher::new(1);
//! hasher.update(&[0; 127]);
//! let piece = hasher.finish();
//! assert_eq!(piece.v1().to_string(), "baga6ea4seaqdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy");
//! assert_eq!(piece.v2().to_string(), "bafkzcibcaabdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy");
//! assert_eq!((piece.size(), piece.padded_size()), (127, 128));
//! assert_eq!(piece.v2().to_string().parse(), Ok(PieceCid::V2(piece)));
//! ```

mod cid;
mod fr32;
mod hasher;
mod tree;

pub use cid::{PieceCid, PieceCidError};
pub use hasher::{PieceHasher, piece_of_async_reader, piece_of_reader};

use self::fr32::QUAD;
use self::tree::{MAX_HEIGHT, Node};

/// Bytes of the largest piece, before it is padded.
pub const MAX_PIECE_SIZE: u64 = (QUAD as u64) << (MAX_HEIGHT - MIN_HEIGHT);
/// The height of a tree over one quad, the smallest piece.
const MIN_HEIGHT: u8 = 2;

/// The root of a piece's tree (CommP): 254 bits. Claims and deals name pieces by it, together with the padded size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceRoot(Node);

impl PieceRoot {
    /// `None` if the two highest bits of the last byte are set, which no root's are.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Option<Self> {
        if bytes[31] & 0xc0 == 0 { Some(Self(bytes)) } else { None }
    }

    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// What content is called on Filecoin: the root of its tree, and how large it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PieceCommitment {
    root: PieceRoot,
    height: u8,
    size: u64,
}

impl PieceCommitment {
    /// The commitment with this root to content of `size` bytes, in the smallest tree that holds it. `None` if it is larger than
    /// [`MAX_PIECE_SIZE`].
    #[must_use]
    pub fn new(root: PieceRoot, size: u64) -> Option<Self> {
        (size <= MAX_PIECE_SIZE).then(|| Self { root, height: height_of(size), size })
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> PieceRoot {
        self.root
    }

    /// Levels of nodes above the leaves, of which each has 32 bytes.
    #[must_use]
    pub fn height(&self) -> u8 {
        self.height
    }

    /// Bytes of content.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes that were hashed, without those of the padding that made elements of a field of them: content and the zeros behind it.
    #[must_use]
    pub fn unpadded_size(&self) -> u64 {
        (QUAD as u64) << (self.height - MIN_HEIGHT)
    }

    /// Bytes under the tree: what the chain calls the piece's size.
    #[must_use]
    pub fn padded_size(&self) -> u64 {
        32 << self.height
    }

    /// Zeros behind the content, in bytes.
    fn zeros(&self) -> u64 {
        self.unpadded_size() - self.size
    }
}

/// The height of the smallest tree over so many bytes of content.
fn height_of(size: u64) -> u8 {
    let quads = size.div_ceil(QUAD as u64).max(1);
    // A power of two that is too large stands for all sizes that are.
    let above = u64::BITS - (quads - 1).leading_zeros();
    MIN_HEIGHT + u8::try_from(above).unwrap_or(MAX_HEIGHT).min(MAX_HEIGHT - MIN_HEIGHT)
}

#[cfg(test)]
mod tests;
