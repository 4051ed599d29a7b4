//! The protocol: what the market's contract checks, changes and says, as a function of (state, sender, command, surroundings).
//!
//! It is the same protocol as `contracts/src/interfaces/ILotaMarket.sol`, whose header is the specification; names, order of
//! checks, errors and events are the same. A [world](crate::world) executes it.

mod batch;
mod callback;
mod command;
mod deal;
mod enum_numbers;
mod env;
mod escrow;
mod event;
mod life;
mod market;
mod opening;
mod rejection;
mod salts;
mod selector;
mod settings;
mod state;
mod storage;
mod terms;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use callback::Callback;
pub use command::{Authorization, BatchEntry, Command, Permit};
pub use deal::{Deal, JobResult, Reason, Receipt, Status, Verdict};
pub use enum_numbers::UnknownNumber;
pub(crate) use env::Env;
pub use env::Signed;
pub use event::Event;
pub use market::Market;
pub(crate) use market::{Callee, Means, Next, Payout, Pull};
pub use rejection::Rejection;
pub use salts::{Lane, lane_of, salt};
pub use selector::{BAD_SETTINGS, INSUFFICIENT_GAS};
pub use settings::{Settings, SettingsFault};
pub use terms::{JobId, SpecCodec, Terms, TermsFault, is_masked_id};

/// How far ahead `lock_by` may lie when a job is opened, in seconds (365 days).
pub const MAX_LOCK_AHEAD: u64 = 365 * 86_400;
/// The longest run, review and ruling window, in seconds (90 days).
pub const MAX_WINDOW: u64 = 90 * 86_400;
/// The largest spec that travels in an event, in bytes: FVM aborts an event of more than 8,192 bytes of values, and the terms
/// travel in the same one.
pub const MAX_SPEC: usize = 7_168;
/// The most data a result carries inline, in bytes.
pub const MAX_INLINE_DATA: usize = 1_024;
/// The longest announced URL, in bytes.
pub const MAX_URL: usize = 256;
/// The most entries of a batch, or calls of a multicall: as many entries without inline data and with 65-byte signatures as fit
/// a Filecoin message (64 KiB).
pub const MAX_BATCH: usize = 62;
/// Amounts in terms are below this many quanta.
pub const MAX_AMOUNT_QUANTA: u64 = 1 << 48;
/// The salts of a lane that may be spent at any time: this many numbers from the lowest free one on.
pub const SALT_WINDOW: u64 = 64;
/// A `callback_gas` that is refused: FVM takes a call with this much gas for a plain transfer, and gives it 10 M.
pub const TRANSFER_GAS: u32 = 2_300;
/// The least gas that must remain beside a callback: what follows it costs no more on Ethereum.
pub const MIN_CALLBACK_RESERVE: u32 = 20_000;
