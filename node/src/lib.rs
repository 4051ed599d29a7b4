//! The daemon of a Lota provider, client or mediator.
//!
//! One loop (`shell`) takes the market's updates and the outcomes of effects, asks the sans-I/O agent of `lota-market`, stores
//! cursor, records and events in one transaction, and hands the effects to `perform`, which sends commands to the market and
//! leaves the rest to `local_steps`. Executors, publishers and the store are small parts beside it; [`api`] is what people speak to, `public` what everybody may ask.

pub mod api;
mod calibration;
pub mod config;
pub mod executor;
mod failure;
mod fetch;
mod inputs;
mod local_steps;
mod node;
mod observe;
mod offers;
mod perform;
mod pins;
mod public;
pub mod publisher;
mod resources;
mod serving;
mod shell;
mod standing;
pub mod store;

pub use config::NodeConfig;
pub use node::{Node, Parts, StartError};
