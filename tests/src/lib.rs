//! What the suites share: a small world of real nodes on a memory chain or on Anvil, and programs for them to run.

#![allow(
    clippy::missing_panics_doc,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is test code: it panics with what went wrong"
)]

pub mod anvil;
pub mod counting;
pub mod filecoin;
pub mod programs;
pub mod world;
