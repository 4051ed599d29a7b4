//! What is asked about: a CID, as somebody wrote it.

use cid::Cid;
use lota_content::piece::{PieceCid, PieceCidError};

/// The longest text that is read as a CID, in bytes.
const MAX_TEXT: usize = 256;
/// How much of a text an error repeats, in characters.
const REPEATED: usize = 80;

/// What a CID names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    Piece(PieceCid),
    /// Content, by the bytes of its multihash: a CID's version and codec do not change what it is stored as.
    Payload {
        cid: Cid,
        key: Vec<u8>,
    },
}

/// Why a text is no CID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// It is no CID at all.
    #[error(
        "`{text}` is no CID ({problem}); write it alone, without ipfs:// or a path, such as bafy... or baga6ea4sea..."
    )]
    Malformed { text: String, problem: String },
    /// It has the form of a piece's CID and names none.
    #[error(transparent)]
    Piece(PieceCidError),
}

impl Subject {
    /// # Errors
    /// See [`SubjectError`].
    pub fn parse(text: &str) -> Result<Self, SubjectError> {
        let text = text.trim();
        let repeated = || text.chars().take(REPEATED).flat_map(char::escape_default).collect::<String>();
        let malformed = |problem: String| SubjectError::Malformed { text: repeated(), problem };
        if text.len() > MAX_TEXT {
            return Err(malformed(format!("it has {} bytes", text.len())));
        }
        let cid = lota_cid::parse(text).map_err(|error| malformed(error.to_string()))?;
        match PieceCid::try_from(&cid) {
            Ok(piece) => Ok(Self::Piece(piece)),
            Err(PieceCidError::Other { .. }) => Ok(Self::Payload { key: cid.hash().to_bytes(), cid }),
            Err(error) => Err(SubjectError::Piece(error)),
        }
    }

    /// What lists and indexes know it by: the bytes of the multihash, of a piece's CID of version 1.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        match self {
            Self::Piece(piece) => piece.v1().hash().to_bytes(),
            Self::Payload { key, .. } => key.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_codecs_of_a_payload_are_one_subject() {
        let cid = "bafybeieiy62xj7i62t57wzf2eusjj6ff3je5pihd2nbpu27fwtj4h4v2by";
        let key = Subject::parse(cid).expect("a CID").key();
        let v0 = Cid::new_v0(*Cid::try_from(cid).expect("a CID").hash()).expect("sha2-256").to_string();
        let raw = Cid::new_v1(0x55, *Cid::try_from(cid).expect("a CID").hash()).to_string();
        for other in [v0, raw, format!(" {cid}\n")] {
            assert_eq!(Subject::parse(&other).expect("a CID").key(), key);
        }
    }

    #[test]
    fn both_versions_of_a_piece_s_cid_are_one_subject() {
        let of = |text: &str| Subject::parse(text).expect("a CID");
        let v1 = of("baga6ea4seaqhb46uour2wtpzlv7jevd3j7rhw2k6tk66igql5yb3wzxv7cvwaoq");
        let v2 = of("bafkzcibeqcad6edq6pkhki5ljx4v27uskr5u7yt3nfpjvppedif64a53m327rk3ahi");
        assert!(matches!((&v1, &v2), (Subject::Piece(PieceCid::V1(_)), Subject::Piece(PieceCid::V2(_)))));
        assert_eq!(v1.key(), v2.key());
    }

    #[test]
    fn a_text_is_a_cid_as_a_whole_or_none() {
        let piece = "baga6ea4seaqdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy";
        let payload = "bafybeieiy62xj7i62t57wzf2eusjj6ff3je5pihd2nbpu27fwtj4h4v2by";
        for text in [
            format!("{piece}a"),
            format!("{payload}aa"),
            format!("junk/ipfs/{payload}"),
            format!("/ipfs/{piece}"),
            format!("ipfs://{payload}"),
            format!("{payload}/a"),
        ] {
            let error = Subject::parse(&text).expect_err(&text).to_string();
            assert!(error.contains("is no CID"), "{error}");
        }
        let error = Subject::parse(&format!("/ipfs/{payload}")).expect_err("a path").to_string();
        assert!(error.contains(&format!("did you mean {payload}?")), "{error}");
    }

    #[test]
    fn what_only_looks_like_a_piece_is_refused() {
        let of = |codec, hash, digest: &[u8]| {
            let hash = cid::multihash::Multihash::wrap(hash, digest).expect("fits");
            Subject::parse(&Cid::new_v1(codec, hash).to_string())
        };
        for (codec, hash, digest, wanted) in [
            (0xf102, 0xb401, &[1; 32][..], "CommR"),
            (0xf101, 0x12, &[1; 32], "0x1012"),
            (0xf101, 0x1012, &[0xff; 32], "254 bits"),
            (0x55, 0x1011, &[0, 1], "impossible height"),
        ] {
            let error = of(codec, hash, digest).expect_err(wanted).to_string();
            assert!(error.contains(wanted), "{error}");
        }
        assert!(matches!(of(0x55, 0x12, &[1; 32]), Ok(Subject::Payload { .. })));
    }

    #[test]
    fn a_bad_text_is_named_and_cannot_steer_a_terminal() {
        for text in ["", "hello\u{1b}[2J", "ipfs://bafy", &"b".repeat(10_000), "baga6ea4seaq"] {
            let error = Subject::parse(text).expect_err(text).to_string();
            assert!(error.contains("no CID") && !error.contains('\u{1b}') && error.len() < 500, "{error}");
        }
    }
}
