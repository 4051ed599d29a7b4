//! Jobs that are paid from a Filecoin Pay account: `FilecoinPayDeals.sol` as a value, a client and matcher beside a
//! [market](crate::model).
//!
//! It is the same protocol as `contracts/src/interfaces/IFilecoinPayDeals.sol`, whose header is the specification, and
//! `contracts/src/abstracts/Rails.sol`; names, errors and events are the same. Amounts of the rails' token are 256-bit numbers of its
//! smallest unit, gross; those of the market's asset, collateral and refunds, are [`AttoFil`](crate::AttoFil).
//! A [world](crate::world) executes it, its calls of the market and of [Filecoin Pay](crate::filecoin_pay), and the market's callbacks.

mod command;
mod event;
mod order;
mod rejection;
mod selector;
mod state;
mod storage;

pub use crate::filecoin_pay::fee;
pub use command::Command;
pub use event::Event;
pub use order::Order;
pub use rejection::{DeploymentFault, OrderFault, Rejection};
pub use state::{FilecoinPayDeals, lane_of_payer};
pub(crate) use state::{Lock, Situation, require_sender};
pub use storage::{Deal, OpenOrder};
