//! Nothing is lost and nothing is paid twice: real nodes on a real chain, killed at every step, on a chain that is reorganised, behind
//! a wire that breaks, on a disk that is full, with clocks that jump and databases of yesterday. At the end of each run an audit
//! ([`audit`]) asks the chain itself what happened.
//!
//! `LOTA_KILLS=500` makes the runs longer (30 kills by default), `LOTA_SEED` names the seed of another run.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "../cli/anvil.rs"]
#[allow(dead_code, reason = "shared with another suite")]
mod anvil;
mod audit;
mod backups;
mod disks;
mod frames;
mod kills;
mod load;
mod market;
#[path = "../cli/modules.rs"]
#[allow(dead_code, reason = "shared with another suite")]
mod modules;
mod party;
#[path = "../cli/proxied.rs"]
mod proxied;
mod storms;
#[path = "../cli/support.rs"]
#[allow(dead_code, reason = "shared with another suite")]
mod support;
mod wire;
