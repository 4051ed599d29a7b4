//! Every order in which parties can act on the market, within stated bounds.
//!
//! [`check`](check()) explores, with [stateright](https://www.stateright.rs), all worlds that two clients, two providers, an arbiter, an auction and strangers
//! can reach from the beginning of a [`Scene`], second by second: everybody tries every command in every state, also those that are not his. The steps
//! are executed by [`lota_market::world`], the model that the differential test compares with the deployed contracts. What must hold
//! is in [`lifecycle`]; [`exits`] asks from which states nobody gets out; [`truth`] holds all small auctions there are, and looks for a
//! bid that beats the true cost. [`planted`] faults show that all of these would be found.
//!
//! `cargo test -p lota-model-checking` explores the small bounds, `cargo run -p lota-model-checking -- --bounds large` more.
//! It is a package of its own because it is optimised in every profile, and because nobody else should have to build stateright,
//! whose web server cannot be left out.

pub mod check;
pub mod commands;
pub mod exits;
pub mod ledger;
pub mod lifecycle;
pub mod planted;
pub mod scene;
pub mod truth;

pub use check::{Finding, Report, check};
pub use planted::Planted;
pub use scene::{Bounds, Scene};
pub use truth::{Grid, Rule, Truth, check_truth};
