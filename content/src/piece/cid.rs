//! Piece CIDs of both versions.

use core::fmt;
use core::str::FromStr;

use cid::Cid;
use multihash::Multihash;

use super::tree::MAX_HEIGHT;
use super::{MIN_HEIGHT, PieceCommitment, PieceRoot};
use crate::codec::RAW;
use crate::wire::{read_varint, varint_len, write_varint};

/// The multicodec `fil-commitment-unsealed`.
const FIL_COMMITMENT_UNSEALED: u64 = 0xf101;
/// The multicodec `fil-commitment-sealed`: of a sector's replica.
const FIL_COMMITMENT_SEALED: u64 = 0xf102;
/// The multihash `sha2-256-trunc254-padded` of version 1: the root alone.
const TRUNC254_PADDED: u64 = 0x1012;
/// The multihash `fr32-sha256-trunc254-padbintree` of version 2 (FRC-0069): zeros, height and root.
const FR32_TREE: u64 = 0x1011;
/// Longest text of a piece CID that is looked at, in characters.
const MAX_TEXT: usize = 128;

/// A piece CID. One of version 1 tells nothing of the piece's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PieceCid {
    /// `baga6ea4sea...`: the root.
    V1(PieceRoot),
    /// `bafkzcib...` (FRC-0069).
    V2(PieceCommitment),
}

/// Why something is no piece CID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PieceCidError {
    /// The text is no CID, or not as piece CIDs are written.
    #[error("{text:?} is not a piece CID: {reason}; expected something like baga6ea4sea... or bafkzcib...")]
    Malformed {
        /// What was given, shortened.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The CID of a sealed sector.
    #[error(
        "{cid} names a sealed sector (CommR), not a piece; take the piece's CID, which begins with baga6ea4sea or bafkzcib"
    )]
    Sealed {
        /// The CID in question.
        cid: Box<Cid>,
    },
    /// A CID of something else.
    #[error(
        "{cid} is the CID of content, not of a piece: its codec is 0x{:x} and its hash 0x{:x}; piece CIDs begin with baga6ea4sea or bafkzcib",
        .cid.codec(),
        .cid.hash().code()
    )]
    Other {
        /// The CID in question.
        cid: Box<Cid>,
    },
    /// Its digest says nothing that a piece can be.
    #[error("the piece CID {cid} is malformed: {reason}")]
    Digest {
        /// The CID in question.
        cid: Box<Cid>,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl PieceCid {
    /// The root of the piece's tree.
    #[must_use]
    pub fn root(&self) -> PieceRoot {
        match self {
            Self::V1(root) => *root,
            Self::V2(piece) => piece.root(),
        }
    }

    /// The CID of version 1 of the same piece.
    #[must_use]
    pub fn v1(&self) -> Cid {
        self.root().v1()
    }

    /// Root and size, if the CID tells the size.
    #[must_use]
    pub fn commitment(&self) -> Option<PieceCommitment> {
        match self {
            Self::V1(_) => None,
            Self::V2(piece) => Some(*piece),
        }
    }
}

impl PieceRoot {
    /// The piece's CID of version 1.
    #[must_use]
    pub fn v1(&self) -> Cid {
        wrap(FIL_COMMITMENT_UNSEALED, TRUNC254_PADDED, self.as_bytes())
    }
}

impl fmt::Display for PieceRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.v1().fmt(f)
    }
}

impl PieceCommitment {
    /// The CID of version 1: the root, without the size.
    #[must_use]
    pub fn v1(&self) -> Cid {
        self.root.v1()
    }

    /// The CID of version 2 (FRC-0069).
    #[must_use]
    pub fn v2(&self) -> Cid {
        let mut digest = Vec::with_capacity(43);
        write_varint(&mut digest, self.zeros());
        digest.push(self.height);
        digest.extend_from_slice(self.root.as_bytes());
        wrap(RAW, FR32_TREE, &digest)
    }
}

impl From<PieceCommitment> for PieceCid {
    fn from(piece: PieceCommitment) -> Self {
        Self::V2(piece)
    }
}

impl From<PieceCid> for Cid {
    fn from(piece: PieceCid) -> Self {
        match piece {
            PieceCid::V1(_) => piece.v1(),
            PieceCid::V2(piece) => piece.v2(),
        }
    }
}

impl TryFrom<&Cid> for PieceCid {
    type Error = PieceCidError;

    fn try_from(cid: &Cid) -> Result<Self, PieceCidError> {
        let digest = cid.hash().digest();
        let parsed = match (cid.codec(), cid.hash().code()) {
            (FIL_COMMITMENT_SEALED, _) => return Err(PieceCidError::Sealed { cid: Box::new(*cid) }),
            (FIL_COMMITMENT_UNSEALED, TRUNC254_PADDED) => root(digest).map(Self::V1),
            (FIL_COMMITMENT_UNSEALED, _) => Err("it has a piece's codec, but not the hash of one (0x1012)"),
            (RAW, FR32_TREE) => commitment(digest).map(Self::V2),
            _ => return Err(PieceCidError::Other { cid: Box::new(*cid) }),
        };
        parsed.map_err(|reason| PieceCidError::Digest { cid: Box::new(*cid), reason })
    }
}

impl FromStr for PieceCid {
    type Err = PieceCidError;

    /// Parses what [`fmt::Display`] prints: base32, lower case.
    fn from_str(text: &str) -> Result<Self, PieceCidError> {
        let malformed = |reason: &dyn fmt::Display| PieceCidError::Malformed {
            text: text.chars().take(80).collect(),
            reason: reason.to_string(),
        };
        if text.len() > MAX_TEXT {
            return Err(malformed(&format_args!("it has {} characters", text.len())));
        }
        let cid = lota_cid::parse(text).map_err(|error| malformed(&error))?;
        let piece = Self::try_from(&cid)?;
        // The CID may be in another base.
        if piece.to_string() != text {
            return Err(malformed(&format_args!("{piece} would be the way to write it")));
        }
        Ok(piece)
    }
}

impl fmt::Display for PieceCid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Cid::from(*self).fmt(f)
    }
}

fn root(digest: &[u8]) -> Result<PieceRoot, &'static str> {
    let root = digest.try_into().map_err(|_| "its root has not 32 bytes")?;
    PieceRoot::new(root).ok_or("its root has more than 254 bits")
}

fn commitment(digest: &[u8]) -> Result<PieceCommitment, &'static str> {
    let cut_off = "it is cut off";
    let (zeros, length) = read_varint(digest).map_err(|error| error.0)?.ok_or(cut_off)?;
    if varint_len(zeros) != length {
        return Err("the number of its zeros is not in its shortest form");
    }
    let (height, rest) = digest[length..].split_first().ok_or(cut_off)?;
    if !(MIN_HEIGHT..=MAX_HEIGHT).contains(height) {
        return Err("its tree has an impossible height");
    }
    let mut piece = PieceCommitment { root: root(rest)?, height: *height, size: 0 };
    piece.size = piece
        .unpadded_size()
        .checked_sub(zeros)
        .ok_or("it has more zeros behind its content than there is room for")?;
    Ok(piece)
}

fn wrap(codec: u64, hash: u64, digest: &[u8]) -> Cid {
    #[expect(clippy::expect_used, reason = "a varint, a byte and 32 more always fit a multihash of 64 bytes")]
    let hash = Multihash::wrap(hash, digest).expect("at most 43 bytes fit");
    Cid::new_v1(codec, hash)
}
