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
mod selector;
mod state;
mod storage;
mod terms;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use callback::Callback;
pub use command::{BatchEntry, Command};
pub use deal::{Deal, JobResult, Reason, Receipt, Status, Verdict};
pub use enum_numbers::UnknownNumber;
pub(crate) use env::Env;
pub use env::Signed;
pub use event::Event;
pub use market::Market;
pub(crate) use market::{Callee, Next, Payout};
pub use rejection::Rejection;
pub use selector::INSUFFICIENT_GAS;
pub use terms::{JobId, Settings, SpecCodec, Terms, TermsFault};

/// How far ahead `lock_by` may lie when a job is opened, in seconds (365 days).
pub const MAX_LOCK_AHEAD: u64 = 365 * 86_400;
/// The longest run, review and ruling window, in seconds (90 days).
pub const MAX_WINDOW: u64 = 90 * 86_400;
/// The largest spec that travels in an event, in bytes.
pub const MAX_SPEC: usize = 8_192;
/// The most data a result carries inline, in bytes.
pub const MAX_INLINE_DATA: usize = 1_024;
/// The longest announced URL, in bytes.
pub const MAX_URL: usize = 256;
/// The most salts in one `revoke`.
pub const MAX_SALTS: usize = 256;
/// The most entries of a batch, or calls of a multicall.
pub const MAX_BATCH: usize = 256;
/// Amounts in terms are below this many gwei.
pub const MAX_AMOUNT_GWEI: u64 = 1 << 48;
