//! Names of pieces: a commitment, and its CIDs of version 1 (`baga6ea4sea...`) and 2 (`bafkzcib...`, FRC-0069).

use std::fmt;

use cid::Cid;
use multihash::Multihash;

use crate::varint;

/// `fil-commitment-unsealed`, the codec of version 1.
const UNSEALED: u64 = 0xf101;
/// `fil-commitment-sealed`: the name of a sealed sector, which is no piece.
const SEALED: u64 = 0xf102;
/// `sha2-256-trunc254-padded`, the hash of version 1.
const TRUNC254: u64 = 0x1012;
/// `fr32-sha256-trunc254-padbintree`, the hash of version 2.
const PADDED_TREE: u64 = 0x1011;
/// `raw`, the codec of version 2.
const RAW: u64 = 0x55;
/// The tree of the smallest piece, 128 bytes, has this height; that of the largest that is believed in, 2^50 bytes, the other.
const HEIGHTS: (u8, u8) = (2, 45);
/// log2 of a leaf's bytes.
const LEAF: u8 = 5;

/// The root of a piece's tree, 254 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceCommitment([u8; 32]);

impl PieceCommitment {
    /// None: the two highest bits of the last byte are not zero, so it is the root of no piece.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Option<Self> {
        if bytes[31] & 0xc0 == 0 { Some(Self(bytes)) } else { None }
    }

    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The piece's CID of version 1.
    #[must_use]
    pub fn cid(&self) -> Cid {
        #[expect(clippy::expect_used, reason = "32 bytes always fit a multihash of 64 bytes")]
        let hash = Multihash::wrap(TRUNC254, &self.0).expect("it fits");
        Cid::new_v1(UNSEALED, hash)
    }
}

impl fmt::Display for PieceCommitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cid())
    }
}

/// What a CID says about a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PieceCid {
    pub commitment: PieceCommitment,
    /// log2 of the piece's padded bytes; only version 2 says it.
    pub size_log2: Option<u8>,
}

/// Why a CID of a piece's kind names no piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PieceCidError {
    /// It names a sealed sector.
    #[error(
        "it names a sealed sector (CommR), not a piece; take the piece's CID, which begins with baga6ea4sea or bafkzcib"
    )]
    Sealed,
    /// The codec of version 1 with another hash than that of version 1.
    #[error("it has a piece's codec, but hash 0x{0:x}; a piece's CID of version 1 has hash 0x1012")]
    Hash(u64),
    /// The hash's bytes are no commitment.
    #[error("its {0} bytes of hash are no piece commitment; copy the CID again")]
    Digest(usize),
    /// The tree's height is impossible.
    #[error("it says that the piece's tree has height {0}; from 2 (128 bytes) to 45 (1 PiB) there are pieces")]
    Height(u8),
    /// The padding would leave no piece.
    #[error("it says that {padding} bytes of the piece's {capacity} are padding")]
    Padding { padding: u64, capacity: u64 },
}

impl PieceCid {
    /// What a CID says; `None`: it is of no piece's kind.
    ///
    /// # Errors
    /// See [`PieceCidError`].
    pub fn from_cid(cid: &Cid) -> Result<Option<Self>, PieceCidError> {
        let digest = cid.hash().digest();
        let commitment = |bytes: &[u8]| {
            <[u8; 32]>::try_from(bytes).ok().and_then(PieceCommitment::new).ok_or(PieceCidError::Digest(bytes.len()))
        };
        match (cid.codec(), cid.hash().code()) {
            (SEALED, _) => Err(PieceCidError::Sealed),
            (UNSEALED, TRUNC254) => Ok(Some(Self { commitment: commitment(digest)?, size_log2: None })),
            (UNSEALED, hash) => Err(PieceCidError::Hash(hash)),
            (RAW, PADDED_TREE) => {
                let mut rest = digest;
                let padding = varint::take(&mut rest).ok_or(PieceCidError::Digest(digest.len()))?;
                let (height, root) = rest.split_first().ok_or(PieceCidError::Digest(digest.len()))?;
                if !(HEIGHTS.0..=HEIGHTS.1).contains(height) {
                    return Err(PieceCidError::Height(*height));
                }
                let capacity = (1u64 << (height + LEAF)) / 128 * 127;
                if padding >= capacity {
                    return Err(PieceCidError::Padding { padding, capacity });
                }
                Ok(Some(Self { commitment: commitment(root)?, size_log2: Some(height + LEAF) }))
            }
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(text: &str) -> Result<Option<PieceCid>, PieceCidError> {
        PieceCid::from_cid(&Cid::try_from(text).expect("a CID"))
    }

    #[test]
    fn both_versions_name_one_piece() {
        for (v1, v2, size_log2) in [
            (
                "baga6ea4seaqdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy",
                "bafkzcibcaabdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy",
                7,
            ),
            (
                "baga6ea4seaqhb46uour2wtpzlv7jevd3j7rhw2k6tk66igql5yb3wzxv7cvwaoq",
                "bafkzcibeqcad6edq6pkhki5ljx4v27uskr5u7yt3nfpjvppedif64a53m327rk3ahi",
                21,
            ),
        ] {
            let (one, two) = (piece(v1).expect("good").expect("a piece"), piece(v2).expect("good").expect("a piece"));
            assert_eq!(one.commitment, two.commitment);
            assert_eq!((one.size_log2, two.size_log2), (None, Some(size_log2)));
            assert_eq!(one.commitment.to_string(), v1);
        }
    }

    #[test]
    fn what_only_looks_like_a_piece_is_refused() {
        let cid = |codec, hash, digest: &[u8]| {
            PieceCid::from_cid(&Cid::new_v1(codec, Multihash::wrap(hash, digest).expect("fits")))
        };
        let v2 = |padding: &[u8], height: u8| cid(RAW, PADDED_TREE, &[padding, &[height], &[1; 32]].concat());
        assert_eq!(cid(SEALED, 0xb401, &[1; 32]), Err(PieceCidError::Sealed));
        assert_eq!(cid(UNSEALED, 0x12, &[1; 32]), Err(PieceCidError::Hash(0x12)));
        assert_eq!(cid(UNSEALED, TRUNC254, &[0xff; 32]), Err(PieceCidError::Digest(32)));
        assert_eq!(cid(UNSEALED, TRUNC254, &[1; 31]), Err(PieceCidError::Digest(31)));
        assert_eq!(v2(&[0], 1), Err(PieceCidError::Height(1)));
        assert_eq!(v2(&[0], 255), Err(PieceCidError::Height(255)));
        assert_eq!(v2(&[127], 2), Err(PieceCidError::Padding { padding: 127, capacity: 127 }));
        assert_eq!(cid(RAW, PADDED_TREE, &[]), Err(PieceCidError::Digest(0)));
        assert_eq!(cid(RAW, PADDED_TREE, &[0x80, 0, 2]), Err(PieceCidError::Digest(3)));
        assert!(v2(&[126], 2).expect("good").is_some());
        assert_eq!(cid(RAW, 0x12, &[1; 32]), Ok(None));
    }
}
