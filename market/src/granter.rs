//! Granters: the contracts of `contracts/src/granters` as values. A [blessing](crate::blessing) asks them for what blessed jobs' providers
//! get.
//!
//! Each contract's header is its specification; names, order of checks, errors and events are the same. A [world](crate::world) executes
//! them. What they ask of Filecoin's built-in actors, and of a MetaAllocator, is answered from outside of it: see
//! [`Env`](crate::world::Env).

mod actors;
mod command;
mod event;
mod pool;
mod rejection;
mod selector;
mod state;

pub use actors::{ActorAnswer, ActorRequest};
pub use command::Command;
pub use event::Event;
pub use pool::{BonusPool, Bounds, PoolSettings};
pub use rejection::Rejection;
pub use state::{DeploymentFault, Granter, Kind};
pub(crate) use state::{Next, Situation};

/// The least that the verified registry grants at once, in bytes: 1 MiB.
pub const MIN_DATACAP: u64 = 1 << 20;
/// A DataCap token's units for each byte.
const DATACAP_BYTE: u64 = 1_000_000_000_000_000_000;
