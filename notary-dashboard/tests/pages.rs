//! The pages over a desk without a chain: what strangers wrote, who is let in, what is signed, what browsers are told.

#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "this is test code")]

#[path = "pages/browser.rs"]
mod browser;
#[path = "pages/entry.rs"]
mod entry;
#[path = "fake/mod.rs"]
mod fake;
#[path = "pages/hostile.rs"]
mod hostile;
#[path = "pages/outputs.rs"]
mod outputs;
#[path = "pages/reading.rs"]
mod reading;
#[path = "pages/requests.rs"]
mod requests;
#[path = "pages/voting.rs"]
mod voting;
