//! The command as a person meets it: its help, its settings, its errors, and whole jobs on a devnet.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod anvil;
mod attacks;
mod auctions_onchain;
mod benchmark;
mod blessing;
mod canary;
mod chain;
mod compiler;
mod containers;
mod content;
mod crash;
mod crash_onchain;
mod daemon;
mod demo;
mod drain;
mod endpoints;
mod examples;
mod fake;
mod fil_plus;
mod filecoin_pay;
mod filters;
mod help;
mod jobs;
mod key_shared;
mod mean;
mod mock_market;
mod modules;
mod notaries;
mod offline;
mod onchain;
mod operating;
mod outages;
mod programs;
mod proxied;
mod replay;
mod review;
mod signals;
mod sim;
mod support;
mod terminal;
mod tutorial;
mod words;
