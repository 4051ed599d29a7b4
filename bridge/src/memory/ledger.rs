//! The log of a market without a chain: what must outlive the process.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use lota_market::{Address, AttoFil, B256, Time};
use serde::{Deserialize, Serialize};

use super::Answer;
use crate::{eip712::SignedCommand, transport::MarketRef};

/// How a market begins: block 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Genesis {
    /// Which market it is.
    pub market: MarketRef,
    /// When it begins.
    pub time: Time,
    /// Native money outside the market.
    pub funds: Vec<(Address, AttoFil)>,
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// The beginning; the first entry and no other.
    Genesis(Genesis),
    /// A block with an accepted command.
    Command {
        time: Time,
        /// The command as its sender signed it.
        signed: SignedCommand,
        /// What contracts did, in the order in which they were called.
        answers: Vec<Answer>,
        /// The block's hash, to be found again by the replay.
        hash: B256,
    },
    /// A block in which somebody got native money from nowhere.
    Fund {
        time: Time,
        /// Who got it.
        account: Address,
        /// How much.
        amount: AttoFil,
        /// The block's hash.
        hash: B256,
    },
    /// A reorganisation: the blocks above `to` are dropped.
    Rewind {
        /// The highest block that stays.
        to: u64,
    },
}

/// Where a chain keeps its log.
pub trait Ledger: Send + 'static {
    /// Hands every entry to `visit`, oldest first.
    ///
    /// # Errors
    /// When an entry cannot be read, and what `visit` returns.
    fn load(&mut self, visit: &mut dyn FnMut(Entry) -> Result<(), LedgerError>) -> Result<(), LedgerError>;

    /// Adds an entry. When it returns, the entry outlives the process (and, if the ledger promises so, the machine).
    ///
    /// # Errors
    /// When it cannot be written; the caller must then not use the ledger any more.
    fn append(&mut self, entry: &Entry) -> Result<(), LedgerError>;
}

/// Why a log cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The operating system says no.
    #[error("{action} {path} failed")]
    Io {
        /** What was tried. */
        action: &'static str,
        /** On which file. */
        path: PathBuf,
        /** What the operating system says. */
        source: io::Error,
    },
    /// Another process has the file.
    #[error("{path} is in use by another process; stop that one, or give this one a file of its own")]
    InUse {
        /** Which file. */
        path: PathBuf,
    },
    /// It is some other file.
    #[error("{path} is not the log of a Lota market; it is left untouched")]
    NotALedger {
        /** Which file. */
        path: PathBuf,
    },
    /// A newer version of this program wrote it.
    #[error("{path} has format version {found}; this program reads {supported}: use a newer one")]
    NewerVersion {
        /** Which file. */
        path: PathBuf,
        found: u32,
        supported: u32,
    },
    /// It was written under rules that replaying it would have to know.
    #[error(
        "{path} was written under the rules of the market's first edition, which this program does not know: move it away, and a new market begins"
    )]
    FirstEdition {
        /** Which file. */
        path: PathBuf,
    },
    /// An entry in the middle is damaged.
    #[error("{path} is damaged at byte {offset}: {problem}; restore it from a copy, or begin a new one")]
    Damaged {
        /** Which file. */
        path: PathBuf,
        offset: u64,
        problem: String,
    },
    /// An entry is larger than entries may be.
    #[error("an entry of {size} bytes is too large for the log; at most {limit} are allowed")]
    TooLarge { size: usize, limit: usize },
    /// What the log says does not follow from what it said before.
    #[error("the log does not add up at block {block}: {problem}")]
    Inconsistent {
        /** Which block. */
        block: u64,
        problem: String,
    },
}

/// A log that lives as long as the process. Clones share it, so that a test can restart a chain.
#[derive(Clone, Debug, Default)]
pub struct MemoryLedger(Arc<Mutex<Vec<Entry>>>);

impl Ledger for MemoryLedger {
    fn load(&mut self, visit: &mut dyn FnMut(Entry) -> Result<(), LedgerError>) -> Result<(), LedgerError> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        entries.into_iter().try_for_each(visit)
    }

    fn append(&mut self, entry: &Entry) -> Result<(), LedgerError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(entry.clone());
        Ok(())
    }
}
