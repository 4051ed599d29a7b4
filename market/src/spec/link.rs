//! Links to content.

use core::{fmt, str::FromStr};

use cid::Cid;
use lota_cid::CidParseError;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Multicodec `raw`: a file of one block.
const RAW: u64 = 0x55;
/// Multicodec `dag-pb`: a UnixFS file or directory.
const DAG_PB: u64 = 0x70;
/// Multihash sha2-256.
const SHA2_256: u64 = 0x12;

/// A CID: in JSON a string, in DAG-CBOR a link (tag 42).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link(pub Cid);

impl Link {
    /// What keeps this CID from being a job's module or input, if anything does: it must be of codec `raw` or `dag-pb`
    /// (UnixFS) and hashed with sha2-256.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        if !matches!(self.0.codec(), RAW | DAG_PB) {
            return Some("is of a codec that is neither raw (0x55) nor dag-pb (0x70)");
        }
        let hash = self.0.hash();
        if hash.code() != SHA2_256 || hash.size() != 32 {
            return Some("is not hashed with sha2-256");
        }
        None
    }

    /// Whether it is of codec `raw`: what is hashed are the bytes of a file.
    #[must_use]
    pub const fn is_raw(&self) -> bool {
        self.0.codec() == RAW
    }

    /// The same content as CID version 1.
    #[must_use]
    pub fn into_v1(self) -> Self {
        // Only version 0 can fail to convert, and then only for what is no version 0.
        self.0.into_v1().map_or(self, Self)
    }
}

impl From<Cid> for Link {
    fn from(cid: Cid) -> Self {
        Self(cid)
    }
}

impl From<Link> for Cid {
    fn from(link: Link) -> Self {
        link.0
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Why a text is not a CID.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not a CID; write one such as bafybei… (CIDv1) or Qm… (CIDv0)")]
pub struct ParseLinkError {
    text: String,
    source: CidParseError,
}

impl FromStr for Link {
    type Err = ParseLinkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        lota_cid::parse(text).map(Self).map_err(|source| ParseLinkError { text: text.to_owned(), source })
    }
}

impl Serialize for Link {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(&self.0) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Link {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
        } else {
            Cid::deserialize(deserializer).map(Self)
        }
    }
}
