//! Blessings: `Blessing.sol` as a value, a quorum of notaries beside a [market](crate::model).
//!
//! It is the same protocol as `contracts/src/interfaces/IBlessing.sol`, whose header is the specification; names, order of
//! checks, errors and events are the same. A [world](crate::world) executes it. A granter is one of [`crate::granter`] in that world, or
//! code outside of it.

mod command;
mod event;
mod nominations;
mod quorum;
mod rejection;
mod state;
mod storage;
mod terms;
mod votes;

pub use command::{Ballot, Command, Signed};
pub use event::Event;
pub use quorum::Notaries;
pub use rejection::Rejection;
pub use state::Blessing;
pub(crate) use state::{Next, Situation};
pub use storage::{Record, Stage};
pub use terms::{
    Choice, DeploymentFault, End, Grant, Limit, Limits, Nomination, NotariesFault, Phase, Registration, Request,
    Settings,
};

/// The most notaries.
pub const MAX_NOTARIES: usize = 32;
/// The longest period of [`Settings`], in seconds (365 days).
pub const MAX_PERIOD: u32 = 365 * 86_400;
/// The most bytes of a recipient.
pub const MAX_RECIPIENT: usize = 64;
/// The smallest padded piece, in bytes.
pub const MIN_PIECE: u64 = 128;
/// The most providers of one `sweep`.
pub const MAX_SWEEP: usize = 62;
/// A share rate is for so much of the granter's unit.
pub const RATE_UNIT: u128 = 1_000_000_000_000_000_000;
