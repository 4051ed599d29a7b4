//! The daemon of a Lota provider, client or mediator.
//!
//! One loop (`event_loop`) takes the market's updates and the outcomes of effects, asks the sans-I/O agent of `lota-market`, stores
//! cursor, records and events in one transaction, and hands the effects to `effects`, which sends commands to the market and
//! leaves the rest to `local_steps`. Executors, publishers and the store are small parts beside it. [`api`] is what people speak to,
//! `public` what everybody may ask, `order` makes a job of what a person wants; they reach the loop through its `inbox`.

mod activity;
mod announcer;
pub mod api;
mod auctioned;
pub mod benchmark;
mod collecting;
pub mod config;
mod decisions;
mod directories;
mod effects;
mod engines;
mod event_loop;
pub mod executor;
mod failure;
mod fetch;
mod fuel;
mod gateways;
mod gpus;
mod health;
mod http_error;
mod inbox;
mod inputs;
mod local_steps;
mod metrics;
pub mod monitoring;
mod node;
mod observe;
mod offers;
mod order;
mod pins;
mod price;
mod public;
pub mod publisher;
mod publishing;
mod resources;
mod salts;
mod serving;
pub mod store;
mod transfers;

pub use activity::Activity;
pub use benchmark::fuel::fuel_per_second;
pub use config::NodeConfig;
pub use node::{Node, Parts, StartError};
