//! How CIDs of strangers are read: one parser for texts and bytes, which takes nothing beside the CID.
//!
//! The `cid` crate looks for `/ipfs/` anywhere in a text and reads what is behind it, and it ignores bytes that follow the CID. So
//! many texts pass for one CID that nobody meant by them. Here a text or some bytes are a CID as a whole, or none.

use cid::{Cid, Version};
use multibase::Base;

/// Longest text that is decoded, in bytes: a CID with a digest of 64 bytes takes some 140 in base32. Decimal bases take a time that
/// grows with the square of it.
pub const MAX_TEXT: usize = 512;
/// How a CID of version 0 looks: base58, without a letter for the base.
const V0: (&str, usize) = ("Qm", 46);

/// Why something is no CID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CidParseError {
    #[error("it is empty")]
    Empty,
    #[error("it has {0} bytes")]
    TooLong(usize),
    /// A path or a URL, and the CID that it seems to mean.
    #[error("it has a `/`; {}", .0.as_ref().map_or_else(
        || "write a CID alone, in base32 or base58".to_owned(), |cid| format!("did you mean {cid}? write that alone")))]
    Path(Option<Box<Cid>>),
    #[error("{0}")]
    Form(String),
    #[error("{0} bytes follow the CID {1}")]
    Behind(usize, Box<Cid>),
    #[error("it is not in the shortest form; {0} would be the way to write it")]
    Longwinded(Box<Cid>),
}

/// Reads a CID of version 0 or 1, in any base.
///
/// # Errors
/// See [`CidParseError`].
pub fn parse(text: &str) -> Result<Cid, CidParseError> {
    if text.is_empty() {
        return Err(CidParseError::Empty);
    }
    if text.len() > MAX_TEXT {
        return Err(CidParseError::TooLong(text.len()));
    }
    if text.contains('/') {
        let meant = text.split('/').find_map(|part| parse(part).ok());
        return Err(CidParseError::Path(meant.map(Box::new)));
    }
    let is_v0 = text.starts_with(V0.0) && text.len() == V0.1;
    let decoded =
        if is_v0 { Base::Base58Btc.decode(text) } else { multibase::decode(text).map(|(_, decoded)| decoded) };
    let cid = from_bytes(&decoded.map_err(|error| CidParseError::Form(error.to_string()))?)?;
    if cid.version() == Version::V0 && !is_v0 {
        return Err(CidParseError::Longwinded(Box::new(cid)));
    }
    Ok(cid)
}

/// Reads a CID as links hold it.
///
/// # Errors
/// See [`CidParseError`].
pub fn from_bytes(bytes: &[u8]) -> Result<Cid, CidParseError> {
    let mut rest = bytes;
    let cid = Cid::read_bytes(&mut rest).map_err(|error| CidParseError::Form(error.to_string()))?;
    if !rest.is_empty() {
        return Err(CidParseError::Behind(rest.len(), Box::new(cid)));
    }
    if cid.to_bytes() != bytes {
        return Err(CidParseError::Longwinded(Box::new(cid)));
    }
    Ok(cid)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    const CONTENT: &str = "bafybeieiy62xj7i62t57wzf2eusjj6ff3je5pihd2nbpu27fwtj4h4v2by";
    const PIECE: &str = "baga6ea4seaqdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy";
    const V0_TEXT: &str = "QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR";

    #[test]
    fn a_text_is_a_cid_as_a_whole_or_none() {
        let whole = parse(CONTENT).expect("a CID");
        for text in [
            format!("{CONTENT}aa"),
            format!("{PIECE}a"),
            format!("{CONTENT}/"),
            format!("/ipfs/{CONTENT}"),
            format!("junk/ipfs/{CONTENT}"),
            format!("ipfs://{CONTENT}/a/b"),
            format!("{CONTENT}?format=raw"),
            format!(" {CONTENT}"),
            format!("{V0_TEXT}1"),
            format!("z{V0_TEXT}"),
            String::new(),
            "b".to_owned(),
            "9".repeat(MAX_TEXT + 1),
        ] {
            assert!(parse(&text).is_err(), "{text}");
        }
        let meant = parse(&format!("https://gateway.example/ipfs/{CONTENT}/a")).expect_err("a URL");
        assert_eq!(meant, CidParseError::Path(Some(Box::new(whole))));
        assert!(meant.to_string().contains(&format!("did you mean {CONTENT}?")), "{meant}");
        assert_eq!(parse("a/b"), Err(CidParseError::Path(None)));
        let behind = parse(&format!("{PIECE}a")).expect_err("a byte behind").to_string();
        assert!(behind.contains("1 bytes follow") && behind.contains(PIECE), "{behind}");
    }

    #[test]
    fn bytes_are_a_cid_as_a_whole_or_none() {
        for text in [CONTENT, V0_TEXT] {
            let cid = parse(text).expect("a CID");
            let mut bytes = cid.to_bytes();
            assert_eq!(from_bytes(&bytes), Ok(cid));
            bytes.push(0);
            assert_eq!(from_bytes(&bytes), Err(CidParseError::Behind(1, Box::new(cid))));
            assert!(from_bytes(&bytes[..bytes.len() - 2]).is_err());
        }
        // Version 1 in two bytes.
        let mut long = vec![0x81, 0];
        long.extend_from_slice(&parse(CONTENT).expect("a CID").to_bytes()[1..]);
        assert!(from_bytes(&long).is_err());
    }

    proptest! {
        #[test]
        fn every_base_is_read_and_nothing_is_read_twice(
            digest in proptest::collection::vec(any::<u8>(), 0..=64),
            codec: u64,
            hash: u64,
            behind in proptest::collection::vec(any::<u8>(), 1..4),
        ) {
            let hash = cid::multihash::Multihash::wrap(hash, &digest).expect("it fits");
            let cid = Cid::new_v1(codec, hash);
            for base in [Base::Base16Lower, Base::Base32Lower, Base::Base36Lower, Base::Base58Btc, Base::Base64Url] {
                prop_assert_eq!(parse(&multibase::encode(base, cid.to_bytes())), Ok(cid));
                let longer = [cid.to_bytes(), behind.clone()].concat();
                prop_assert!(parse(&multibase::encode(base, &longer)).is_err());
            }
        }

        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..100), text in ".{0,80}") {
            if let Ok(cid) = from_bytes(&bytes) {
                prop_assert_eq!(cid.to_bytes(), bytes);
            }
            let _ = parse(&text);
        }
    }
}
