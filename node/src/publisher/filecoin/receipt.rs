//! How far an output is on its way to Filecoin, as the node's database keeps it.

use std::fmt;

use lota_content::piece::{PieceCid, PieceCommitment};
use lota_market::U256;
use serde::{Deserialize, Serialize};

/// What the next call is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Receipt {
    pub(super) piece: PieceCommitment,
    /// Of the operation that adds the piece.
    pub(super) nonce: U256,
    pub(super) stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub(super) enum Stage {
    /// The provider has the bytes, or prepares them. Times are in Unix seconds: for some time from then on it may be sent what adds them.
    Uploaded { since: u64 },
    /// The provider sent the transaction that adds the piece; without a data set, it creates one.
    Adding { transaction: String, data_set: Option<u64>, since: u64, tries: u32 },
    /// The piece is in the data set, or was when that was looked at last.
    Stored {
        data_set: u64,
        id: u64,
        is_final: bool,
        #[serde(default)]
        since: u64,
    },
}

#[derive(Serialize, Deserialize)]
struct Written {
    piece: String,
    nonce: U256,
    #[serde(flatten)]
    stage: Stage,
}

impl Receipt {
    pub(super) fn encode(&self) -> String {
        let written = Written { piece: self.piece.v2().to_string(), nonce: self.nonce, stage: self.stage.clone() };
        serde_json::to_string(&written).unwrap_or_default()
    }

    /// `None` for what no version of this publisher wrote: it is begun anew then.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let Written { piece, nonce, stage } = serde_json::from_str(text).ok()?;
        let Ok(PieceCid::V2(piece)) = piece.parse() else { return None };
        Some(Self { piece, nonce, stage })
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.stage {
            Stage::Uploaded { .. } => write!(f, "uploaded, not on chain yet")?,
            Stage::Adding { transaction, tries, data_set, .. } => {
                match data_set {
                    Some(data_set) => write!(f, "being added to data set {data_set}")?,
                    None => write!(f, "being added to a new data set")?,
                }
                write!(f, ", transaction {transaction}")?;
                if *tries > 1 {
                    write!(f, ", try {tries}")?;
                }
            }
            Stage::Stored { data_set, id, is_final, .. } => {
                write!(f, "piece {id} of data set {data_set}")?;
                if !is_final {
                    write!(f, ", not final yet")?;
                }
            }
        }
        write!(f, "; {}", self.piece.v2())
    }
}
