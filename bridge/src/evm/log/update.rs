//! What a log reads, and what it yields.

use lota_market::{Address, B256, Time};

use crate::{
    JournalError,
    evm::chain::{Log, RpcError},
    transport::{Cursor, Head},
};

/// A contract whose logs are followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub address: Address,
    /// For each place among the topics, what may stand there: anything, where the list is empty or missing.
    pub topics: Vec<Vec<B256>>,
    /// The block with which its log begins: that of its deployment, or 0.
    pub first_block: u64,
}

impl Source {
    /// All logs of a contract.
    #[must_use]
    pub const fn new(address: Address, first_block: u64) -> Self {
        Self { address, topics: Vec::new(), first_block }
    }
}

/// What a log yields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update<T = ()> {
    /// A contract said something.
    Log {
        /// The position right after it.
        cursor: Cursor,
        /// Timestamp of its block.
        time: Time,
        /// What it said.
        log: Log,
        /// What that was decoded to.
        value: T,
    },
    /// A contract that was followed later was read up to this position, like the others: from here on heads count for it, too.
    CaughtUp {
        address: Address,
        /// How far.
        cursor: Cursor,
    },
    /// Everything up to `cursor` has been yielded. Comes when the log has caught up with the chain, with every new block, and when
    /// more is final.
    Head {
        /// The position after the newest block's last log; a place to resume from.
        cursor: Cursor,
        /// The newest block.
        latest: Head,
        /// Up to which number blocks are final; does not go back, except by a rewind below it.
        finalized: u64,
    },
    /// The chain was reorganised: every log above `to` that was yielded before is undone (all of them when it is `None`), whoever's
    /// it is.
    Rewind {
        /// The highest position that still holds.
        to: Option<Cursor>,
    },
}

/// Why a log cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The chain cannot be asked.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// What must be kept between restarts could not be read or written.
    #[error("the log cannot be kept: {0}")]
    Journal(#[from] JournalError),
}

impl LogError {
    /// Whether the log goes on by itself; any other error is the last thing that it yields.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Rpc(error) if error.is_temporary())
    }
}
