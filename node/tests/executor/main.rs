//! The WASM executor against well-behaved and hostile programs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

mod bombs;
mod compiling;
mod conformance;
mod containers;
mod crash;
mod determinism;
mod docker;
mod examples;
mod files;
mod fuel;
mod generated;
mod images;
mod inputs;
mod kernels;
mod limits;
mod modules;
mod process;
mod service;
mod wordcount;
