//! Whole simulations.

#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "this is test code")]

#[path = "simulator/cheats.rs"]
mod cheats;
#[path = "simulator/determinism.rs"]
mod determinism;
#[path = "simulator/markets.rs"]
mod markets;
#[path = "simulator/refusals.rs"]
mod refusals;
#[path = "simulator/wallets.rs"]
mod wallets;

use lota_simulator::{Document, Outcome, Override, Seed, builtin, simulate};

/// A scenario that comes with the program, with other values.
fn builtin_document(name: &str) -> Document {
    let scenario = builtin(name).expect("it comes along");
    Document::parse(name, scenario.text).expect("it is one")
}

fn overrides(sets: &[&str]) -> Vec<Override> {
    sets.iter().map(|set| Override::parse(set).expect("KEY=VALUE")).collect()
}

/// One run of a scenario with other values.
fn run(document: &Document, sets: &[&str], seed: u64) -> Outcome {
    let scenario = document.with(&overrides(sets)).expect("possible values");
    simulate(&scenario, Seed(seed), &mut ()).expect("it comes to an end")
}

fn run_text(text: &str, sets: &[&str], seed: u64) -> Outcome {
    run(&Document::parse("test.toml", text).expect("a scenario"), sets, seed)
}
