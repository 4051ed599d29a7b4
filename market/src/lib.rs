//! The Lota market as a pure function.
//!
//! Three rooms: [`spec`] says what a job is, [`model`] is the protocol (who may do what, when, and where the money goes),
//! [`agent`] is what a party does about it. Deliberately absent: tokio, I/O, clocks, randomness and hashing. Ids, recovered
//! signers, callback outcomes and the time come in from outside, through [`model::Env`] and as arguments.

pub mod agent;
pub mod model;
pub mod money;
pub mod spec;
pub mod time;

pub use alloy_primitives::{Address, B256, Bytes, U256};
pub use money::AttoFil;
pub use time::Time;
