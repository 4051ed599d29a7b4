//! A market and its nodes in this process: what `lota demo`, `lota devnet` and `lota node run` have in common.

mod account;
mod engines;
mod lock;
mod market;
mod mock;
mod re_execution;
mod registry;
mod signals;
mod venue;

pub(crate) use account::{Account, Funds};
pub(crate) use engines::{COMPILE, Containers, Engines};
pub(crate) use lock::HomeLock;
pub(crate) use market::{LocalMarket, Sync};
pub(crate) use mock::{MOCK_PORT, MockVenue};
pub(crate) use re_execution::RunAgain;
pub(crate) use registry::ListedRegistry;
pub(crate) use signals::{Signals, ended_by_user};
pub(crate) use venue::{Ground, Venue, Wealth};
