//! The Lota market as a pure function.
//!
//! [`spec`] says what a job is, [`model`] is the protocol (who may do what, when, and where the money goes), [`auction`] is the
//! first contract beside it, [`blessing`] the second, whose jobs a [`granter`] rewards, [`filecoin_pay_deals`] the third, whose jobs are
//! paid over [`filecoin_pay`], [`world`] executes them, with everybody's wallets and all contracts, [`movements`] says where
//! everybody's money lies, [`replay`] audits what contracts recorded, and [`agent`] is what a party does about it. Deliberately
//! absent: tokio, I/O, clocks, randomness and hashing. Ids, recovered signers, what callbacks do and the time come in from outside,
//! through [`world::Env`] and as arguments.

pub mod agent;
pub mod asset;
pub mod auction;
pub mod blessing;
pub mod filecoin_address;
pub mod filecoin_pay;
pub mod filecoin_pay_deals;
pub mod granter;
mod lookup_map;
mod map_as_pairs;
pub mod model;
pub mod money;
pub mod movements;
pub mod replay;
pub mod spec;
pub mod time;
mod undo;
pub mod world;

pub use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256};
pub use money::AttoFil;
pub use time::Time;
