//! How far a deal is, as the node's database keeps it.

use std::fmt;

use lota_content::piece::{PieceCid, PieceCommitment};
use serde::{Deserialize, Serialize};

/// What the next call is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Receipt {
    pub(super) piece: PieceCommitment,
    /// Its id at the contract.
    pub(super) deal: u64,
    pub(super) stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub(super) enum Stage {
    /// At the contract. Times are in Unix seconds.
    Announced { since: u64 },
    /// Curio has it, and says this of it.
    Taken { since: u64, status: String },
    /// The miner's actor told the contract.
    Sealed { sector: u64, until: u64, is_final: bool },
}

#[derive(Serialize, Deserialize)]
struct Written {
    piece: String,
    deal: u64,
    #[serde(flatten)]
    stage: Stage,
}

impl Receipt {
    pub(super) fn encode(&self) -> String {
        let written = Written { piece: self.piece.v2().to_string(), deal: self.deal, stage: self.stage.clone() };
        serde_json::to_string(&written).unwrap_or_default()
    }

    /// `None` for what no version of this publisher wrote: it is begun anew then.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let Written { piece, deal, stage } = serde_json::from_str(text).ok()?;
        let Ok(PieceCid::V2(piece)) = piece.parse() else { return None };
        Some(Self { piece, deal, stage })
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "deal {}", self.deal)?;
        match &self.stage {
            Stage::Announced { .. } => write!(f, ", announced, not handed to Curio yet")?,
            Stage::Taken { status, .. } => write!(f, ", {status}")?,
            Stage::Sealed { sector, until, is_final } => {
                write!(f, ", in sector {sector} until epoch {until}")?;
                if !is_final {
                    write!(f, ", not final yet")?;
                }
            }
        }
        write!(f, "; {}", self.piece.v2())
    }
}
