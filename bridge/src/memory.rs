//! A market in this process: a [world](lota_market::world) behind the [`Transport`](crate::Transport) trait, with a log that
//! can be kept in a file, and faults on demand.
//!
//! One [`Chain`] serves many parties: `chain.connect(signer)` is a party's transport. Commands are signed as everywhere, each
//! accepted one is a block of its own with its own hash, and a refused one leaves nothing behind. Commands that come together are
//! written together, and nobody sees anything of them before. A restart replays the [`Ledger`] from its newest snapshot on through the
//! model, and compares every block's hash.
//!
//! An [`EpochChain`] is the same world on a chain like Filecoin, for tests: its time passes in epochs, when it is told to.

mod answer;
mod audit;
mod chain;
mod clock;
mod contracts;
mod epochs;
mod fault;
mod file;
mod history;
mod ledger;
mod loading;
mod reader;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;
mod transport;

pub use answer::Answer;
pub use audit::{Audited, audit};
pub use chain::{Chain, ChainError, CheckedCommand, Options, SNAPSHOT_EVERY};
pub use clock::{Clock, ManualClock, SystemClock};
pub use contracts::{Accounts, Contracts, Scripted};
pub use epochs::{EpochChain, EpochOptions, EpochTransport, Sent, Weather};
pub use fault::{Fault, Link, MAX_FAULTS};
pub use file::{FORMAT_VERSION, FileLedger, MAGIC, MAX_APPEND, MAX_ENTRY, SyncPolicy};
pub use history::{Booked, MovementPage};
pub use ledger::{Block, CommandId, Entry, EntryReader, Genesis, Ledger, LedgerError, MemoryLedger, Origin, Snapshot};
pub use transport::MemoryTransport;
