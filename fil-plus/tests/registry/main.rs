//! The registry over servers that answer as documented, or not at all, or wrongly.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod api;
mod chain;
mod claims;
mod events;
mod faults;
mod hostile;
mod indexes;
mod lists;
mod support;
