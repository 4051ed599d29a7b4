//! The log of a market without a chain: what must outlive the process.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use lota_market::{Address, AttoFil, B256, Time, movements::Movement, world::ContractEvent};
use serde::{Deserialize, Serialize};

use super::Answer;
use crate::{
    eip712::SignedCommand,
    transport::{AuctionRef, MarketRef},
};

/// How a market begins: block 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Genesis {
    /// Which market it is.
    pub market: MarketRef,
    /// When it begins.
    pub time: Time,
    /// Native money outside the market.
    pub funds: Vec<(Address, AttoFil)>,
    /// The auction beside the market.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auction: Option<AuctionRef>,
}

/// What a block is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// An accepted command.
    Command {
        /// As its sender signed it.
        signed: SignedCommand,
        /// What contracts did, in the order in which they were called.
        answers: Vec<Answer>,
    },
    /// Somebody got native money from nowhere.
    Fund {
        /// Who got it.
        account: Address,
        /// How much.
        amount: AttoFil,
    },
    /// Virtual time was let pass.
    Wait,
}

/// A block. What it came to is kept with it, so that readers need no replay; a replay finds the same again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// How many reorganisations came before it: the same command on another fork is another block.
    pub fork: u64,
    pub hash: B256,
    pub time: Time,
    pub transaction: B256,
    pub origin: Origin,
    pub events: Vec<ContractEvent>,
    /// What money moved.
    pub movements: Vec<Movement>,
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// The beginning; the first entry and no other.
    Genesis(Genesis),
    /// The next block.
    Block(Block),
    /// A reorganisation: the blocks above `to` are dropped.
    Rewind {
        /// The highest block that stays.
        to: u64,
    },
}

/// What identifies the command of a block among all: the first 16 bytes of a digest of its sender and key; zeros without a command.
pub type CommandId = [u8; 16];

/// What is kept beside a log so that not all of it has to be executed again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The state, encoded.
    pub state: Vec<u8>,
    /// Of each block from the first on: its command, and its place in the log.
    pub blocks: Vec<(CommandId, u64)>,
    /// Where the log goes on after it.
    pub end: u64,
}

/// Reads single entries of a log, beside whoever writes it.
pub trait EntryReader: Send + Sync + 'static {
    /// The entry at a place, and its size in bytes.
    ///
    /// # Errors
    /// When it cannot be read, or is damaged.
    fn read(&self, place: u64) -> Result<(Entry, usize), LedgerError>;
}

/// Where a chain keeps its log.
pub trait Ledger: Send + 'static {
    /// Hands every entry from a place on (0: the beginning) to `visit` with its own place, oldest first.
    ///
    /// # Errors
    /// When an entry cannot be read, and what `visit` returns.
    fn load(
        &mut self,
        from: u64,
        visit: &mut dyn FnMut(u64, Entry) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError>;

    /// Adds entries, all or none of them, and says at which places. When it returns, they outlive the process (and, if the ledger
    /// promises so, the machine).
    ///
    /// # Errors
    /// When they cannot be written; none of them is in the log then, and later ones may be taken again.
    fn append(&mut self, entries: &[Entry]) -> Result<Vec<u64>, LedgerError>;

    /// What reads the entries.
    fn reader(&self) -> Arc<dyn EntryReader>;

    /// Whether it keeps snapshots.
    fn keeps_snapshots(&self) -> bool {
        false
    }

    /// The newest snapshot, if one is kept and whole.
    fn snapshot(&mut self) -> Option<Snapshot> {
        None
    }

    /// Keeps a snapshot of everything up to the newest entry in place of the one before; `blocks` are those that came since then.
    ///
    /// # Errors
    /// When it cannot be written; the log is not affected.
    fn keep_snapshot(&mut self, state: &[u8], blocks: &[(CommandId, u64)]) -> Result<(), LedgerError> {
        let _ = (state, blocks);
        Ok(())
    }

    /// Removes the snapshot, because it is of a fork that is gone.
    ///
    /// # Errors
    /// When it cannot be removed.
    fn forget_snapshot(&mut self) -> Result<(), LedgerError> {
        Ok(())
    }
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
    /// An older version of this program wrote it.
    #[error(
        "{path} has format version {found}; this program reads {supported}: move it away, and a new market begins (the devnet's: `lota devnet --reset`)"
    )]
    OlderVersion {
        /** Which file. */
        path: PathBuf,
        found: u32,
        supported: u32,
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
pub struct MemoryLedger(Arc<RwLock<Vec<Entry>>>);

impl Ledger for MemoryLedger {
    fn load(
        &mut self,
        from: u64,
        visit: &mut dyn FnMut(u64, Entry) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        (from..).zip(entries.into_iter().skip(from as usize)).try_for_each(|(place, entry)| visit(place, entry))
    }

    fn append(&mut self, entries: &[Entry]) -> Result<Vec<u64>, LedgerError> {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let from = all.len() as u64;
        all.extend_from_slice(entries);
        Ok((from..all.len() as u64).collect())
    }

    fn reader(&self) -> Arc<dyn EntryReader> {
        Arc::new(self.clone())
    }
}

impl EntryReader for MemoryLedger {
    fn read(&self, place: u64) -> Result<(Entry, usize), LedgerError> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let entry = usize::try_from(place).ok().and_then(|place| all.get(place)).cloned();
        let missing = || LedgerError::Inconsistent { block: place, problem: "there is no such entry".into() };
        // What it takes is what its sender wrote, and what came of it.
        let size = |entry: &Entry| match entry {
            Entry::Block(Block { origin: Origin::Command { signed, .. }, events, .. }) => {
                2 * signed.command.len() + 256 * (1 + events.len())
            }
            _ => 256,
        };
        entry.map(|entry| (size(&entry), entry)).map(|(size, entry)| (entry, size)).ok_or_else(missing)
    }
}
