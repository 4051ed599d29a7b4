//! What is asked about: a CID, as somebody wrote it.

use cid::Cid;

use crate::piece_cid::{PieceCid, PieceCidError};

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
    #[error("`{text}` names no piece: {problem}")]
    Piece { text: String, problem: PieceCidError },
}

impl Subject {
    /// # Errors
    /// See [`SubjectError`].
    pub fn parse(text: &str) -> Result<Self, SubjectError> {
        let text = text.trim();
        let repeated = || text.chars().take(REPEATED).flat_map(char::escape_default).collect::<String>();
        let malformed = |problem: String| SubjectError::Malformed { text: repeated(), problem };
        if text.is_empty() {
            return Err(malformed("it is empty".to_owned()));
        }
        if text.len() > MAX_TEXT {
            return Err(malformed(format!("it has {} bytes", text.len())));
        }
        let cid = Cid::try_from(text).map_err(|error| malformed(error.to_string()))?;
        match PieceCid::from_cid(&cid) {
            Err(problem) => Err(SubjectError::Piece { text: repeated(), problem }),
            Ok(Some(piece)) => Ok(Self::Piece(piece)),
            Ok(None) => Ok(Self::Payload { key: cid.hash().to_bytes(), cid }),
        }
    }

    /// What lists and indexes know it by: the bytes of the multihash, of a piece's CID of version 1.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        match self {
            Self::Piece(piece) => piece.commitment.cid().hash().to_bytes(),
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
    fn a_bad_text_is_named_and_cannot_steer_a_terminal() {
        for text in ["", "hello\u{1b}[2J", "ipfs://bafy", &"b".repeat(10_000), "baga6ea4seaq"] {
            let error = Subject::parse(text).expect_err(text).to_string();
            assert!(error.contains("no CID") && !error.contains('\u{1b}') && error.len() < 500, "{error}");
        }
    }
}
