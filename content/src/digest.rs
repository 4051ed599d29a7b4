//! Content identifiers: what a CID may look like here, and how bytes are checked against one.

use cid::Cid;
use multihash::Multihash;
use sha2::{Digest as _, Sha256};

/// Multicodec codes of the block formats that Lota knows (<https://github.com/multiformats/multicodec>).
pub mod codec {
    /// Bytes without structure: the leaves of files.
    pub const RAW: u64 = 0x55;
    /// DAG-PB: files of several chunks, directories, symlinks (UnixFS).
    pub const DAG_PB: u64 = 0x70;
    /// DAG-CBOR: job specifications and records.
    pub const DAG_CBOR: u64 = 0x71;
    /// JSON text, without links.
    pub const JSON: u64 = 0x0200;
}

/// Multihash code of sha2-256, the one hash that Lota stores blocks under.
pub const SHA2_256: u64 = 0x12;
/// Multihash code of the identity "hash": the block's bytes stand in the CID itself.
pub const IDENTITY: u64 = 0x00;
/// Largest block that is stored, served or fetched, in bytes (2 MiB, the limit of Bitswap and of
/// the trustless gateway specification).
pub const MAX_BLOCK_SIZE: usize = 2 * 1024 * 1024;

/// Why a CID cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CidError {
    /// The text or the bytes are no CID.
    #[error("{text:?} is not a CID: {reason}; expected something like bafybei... or Qm...")]
    Malformed {
        /// What was given (shortened to a few dozen characters).
        text: String,
        /// What the parser said.
        reason: String,
    },
    /// The CID names another hash than sha2-256 or identity.
    #[error("{cid} uses the hash function 0x{code:x}; only sha2-256 (0x12) and short identity CIDs are supported")]
    UnsupportedHash {
        /// The CID in question.
        cid: Box<Cid>,
        /// Its multihash code.
        code: u64,
    },
    /// The digest is not 32 bytes long.
    #[error("{cid} carries a sha2-256 digest of {length} bytes; it must have 32")]
    DigestLength {
        /// The CID in question.
        cid: Box<Cid>,
        /// Length of its digest in bytes.
        length: usize,
    },
    /// The bytes do not hash to the CID.
    #[error("the {length} bytes received for {cid} hash to {actual} instead")]
    Mismatch {
        /// The CID that was asked for.
        cid: Box<Cid>,
        /// Number of bytes that came.
        length: usize,
        /// The CID, of the same codec, that these bytes have.
        actual: Box<Cid>,
    },
    /// The block is larger than [`MAX_BLOCK_SIZE`].
    #[error("block {cid} has {length} bytes; a block may have at most {MAX_BLOCK_SIZE}")]
    TooLarge {
        /// The CID in question.
        cid: Box<Cid>,
        /// Number of bytes.
        length: usize,
    },
}

/// How the digest of a CID is to be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash<'a> {
    /// sha2-256 of the block.
    Sha2([u8; 32]),
    /// The block itself.
    Identity(&'a [u8]),
}

/// Splits a CID into what is needed to check or find its block.
pub(crate) fn hash_of(cid: &Cid) -> Result<Hash<'_>, CidError> {
    match cid.hash().code() {
        SHA2_256 => match cid.hash().digest().try_into() {
            Ok(digest) => Ok(Hash::Sha2(digest)),
            Err(_) => Err(CidError::DigestLength { cid: Box::new(*cid), length: cid.hash().digest().len() }),
        },
        IDENTITY => Ok(Hash::Identity(cid.hash().digest())),
        code => Err(CidError::UnsupportedHash { cid: Box::new(*cid), code }),
    }
}

/// Parses a CID of version 0 or 1 in any of the usual bases.
///
/// # Errors
/// [`CidError::Malformed`] for text that is no CID, and the errors of an unsupported hash: a CID
/// that this function returns can be stored, fetched and checked.
pub fn parse_cid(text: &str) -> Result<Cid, CidError> {
    let malformed = |reason: String| CidError::Malformed { text: text.chars().take(64).collect(), reason };
    let cid = lota_cid::parse(text).map_err(|error| malformed(error.to_string()))?;
    hash_of(&cid)?;
    Ok(cid)
}

/// sha2-256 of some bytes.
#[must_use]
pub fn sha2_256(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

/// The CIDv1 that sha2-256 and `codec` give to a block.
#[must_use]
pub fn cid_of_block(codec: u64, data: &[u8]) -> Cid {
    cid_from_digest(codec, sha2_256(data))
}

/// Rebuilds a CIDv1 from its codec and the 32 bytes that stand on chain.
#[must_use]
pub fn cid_from_digest(codec: u64, digest: [u8; 32]) -> Cid {
    #[expect(clippy::expect_used, reason = "32 bytes always fit a multihash of 64 bytes")]
    let hash = Multihash::wrap(SHA2_256, &digest).expect("a 32-byte digest fits");
    Cid::new_v1(codec, hash)
}

/// The 32 bytes of a CID that go on chain.
///
/// # Errors
/// [`CidError::UnsupportedHash`] or [`CidError::DigestLength`] if the CID has no sha2-256 digest of 32 bytes.
pub fn sha2_256_digest(cid: &Cid) -> Result<[u8; 32], CidError> {
    match hash_of(cid)? {
        Hash::Sha2(digest) => Ok(digest),
        Hash::Identity(_) => Err(CidError::UnsupportedHash { cid: Box::new(*cid), code: IDENTITY }),
    }
}

/// Checks that `data` is the block that `cid` names.
///
/// # Errors
/// [`CidError`] if the bytes do not hash to the CID, or the CID cannot be checked.
pub fn verify(cid: &Cid, data: &[u8]) -> Result<(), CidError> {
    if data.len() > MAX_BLOCK_SIZE {
        return Err(CidError::TooLarge { cid: Box::new(*cid), length: data.len() });
    }
    let matches = match hash_of(cid)? {
        Hash::Sha2(digest) => sha2_256(data) == digest,
        Hash::Identity(inline) => inline == data,
    };
    if matches {
        Ok(())
    } else {
        Err(CidError::Mismatch {
            cid: Box::new(*cid),
            length: data.len(),
            actual: Box::new(cid_of_block(cid.codec(), data)),
        })
    }
}

/// A block whose bytes are known to belong to its CID: it is made by hashing or by checking only.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a> {
    cid: Cid,
    data: &'a [u8],
}

impl<'a> Block<'a> {
    /// Hashes `data` with sha2-256 into a CIDv1 of the given codec.
    #[must_use]
    pub fn new(codec: u64, data: &'a [u8]) -> Self {
        Self { cid: cid_of_block(codec, data), data }
    }

    /// Checks `data` against `cid`.
    ///
    /// # Errors
    /// As [`verify`].
    pub fn verified(cid: &Cid, data: &'a [u8]) -> Result<Self, CidError> {
        verify(cid, data)?;
        Ok(Self { cid: *cid, data })
    }

    /// The CID of the block.
    #[must_use]
    pub fn cid(&self) -> Cid {
        self.cid
    }

    /// The bytes of the block.
    #[must_use]
    pub fn data(&self) -> &'a [u8] {
        self.data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_raw_block_has_its_well_known_cid() {
        let cid = cid_of_block(codec::RAW, b"");
        assert_eq!(cid.to_string(), "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku");
        assert_eq!(cid_from_digest(codec::RAW, sha2_256_digest(&cid).unwrap()), cid);
    }

    #[test]
    fn a_flipped_bit_names_what_came_instead() {
        let cid = cid_of_block(codec::RAW, b"abc");
        verify(&cid, b"abc").unwrap();
        let error = verify(&cid, b"abd").unwrap_err();
        assert_eq!(
            error,
            CidError::Mismatch { cid: Box::new(cid), length: 3, actual: Box::new(cid_of_block(codec::RAW, b"abd")) }
        );
    }

    #[test]
    fn other_hashes_are_refused_by_code() {
        // blake2b-256
        let hash = Multihash::wrap(0xb220, &[7; 32]).unwrap();
        let cid = Cid::new_v1(codec::RAW, hash);
        assert_eq!(parse_cid(&cid.to_string()), Err(CidError::UnsupportedHash { cid: Box::new(cid), code: 0xb220 }));
        assert!(verify(&cid, b"").unwrap_err().to_string().contains("0xb220"));
        let short = Cid::new_v1(codec::RAW, Multihash::wrap(SHA2_256, &[7; 20]).unwrap());
        assert_eq!(parse_cid(&short.to_string()), Err(CidError::DigestLength { cid: Box::new(short), length: 20 }));
    }

    #[test]
    fn identity_cids_carry_their_block() {
        let cid = Cid::new_v1(codec::RAW, Multihash::wrap(IDENTITY, b"hi").unwrap());
        verify(&cid, b"hi").unwrap();
        assert!(verify(&cid, b"ho").is_err());
        assert!(sha2_256_digest(&cid).is_err());
        assert_eq!(parse_cid("bafkqaaa").unwrap().hash().digest(), b"");
    }

    #[test]
    fn version_zero_is_parsed_and_nonsense_is_not() {
        let empty_directory = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn";
        assert_eq!(parse_cid(empty_directory).unwrap().codec(), codec::DAG_PB);
        let (behind, before) = (format!("{empty_directory}1"), format!("junk/ipfs/{empty_directory}"));
        for text in ["", "hello", "../etc", "bafybei", "bafkqaaaaa", &behind, &before, &"b".repeat(100_000)] {
            assert!(matches!(parse_cid(text), Err(CidError::Malformed { .. })), "{text}");
        }
    }
}
