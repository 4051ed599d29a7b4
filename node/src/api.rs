//! The daemon's HTTP API on loopback.

pub mod types;
