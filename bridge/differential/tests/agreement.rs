//! The contract and the model agree, and if they did not, it would be found.
#![expect(clippy::panic, reason = "a test fails by panicking")]

use std::thread::available_parallelism;

use lota_differential::{AuctionMutant, AuctionPlan, Mutant, Plan, run, run_auctions};

/// As many as a run in CI executes; `LOTA_DIFFERENTIAL` sets another number.
const COMMANDS: u64 = 100_000;
/// Where it begins; `LOTA_SEED` sets another seed.
const SEED: u64 = 20_260_101;

fn setting(name: &str, default: u64) -> u64 {
    let Ok(value) = std::env::var(name) else { return default };
    value.parse().unwrap_or_else(|error| panic!("{name}={value}: {error}; give it a number"))
}

fn threads() -> usize {
    available_parallelism().map_or(1, usize::from)
}

#[test]
fn the_contract_and_the_model_agree() {
    let plan = Plan {
        commands: setting("LOTA_DIFFERENTIAL", COMMANDS),
        seed: setting("LOTA_SEED", SEED),
        threads: threads(),
        mutant: None,
    };
    let report = run(&plan).unwrap_or_else(|counterexample| panic!("{counterexample}"));
    eprintln!("seed {}: {report}", plan.seed);
    if plan.commands >= COMMANDS {
        assert_eq!(report.unmet(), <[&str; 0]>::default(), "every refusal of the protocol is met");
    }
}

#[test]
fn every_mutant_is_found_and_its_counterexample_is_short() {
    for mutant in Mutant::ALL {
        let plan = Plan { commands: COMMANDS, seed: SEED, threads: threads(), mutant: Some(mutant) };
        match run(&plan) {
            Ok(report) => panic!("{mutant:?} is not found: {report}"),
            Err(counterexample) => {
                eprintln!("{mutant:?}: {counterexample}\n");
                let length = counterexample.steps.len();
                assert!(length <= 12, "{mutant:?} takes {length} commands to show: {counterexample}");
            }
        }
    }
}

/// Of auctions, in CI; `LOTA_DIFFERENTIAL` sets another number.
const AUCTION_COMMANDS: u64 = 30_000;

#[test]
fn the_auction_and_its_twin_agree_beside_the_market() {
    let commands = setting("LOTA_DIFFERENTIAL", AUCTION_COMMANDS);
    let plan = AuctionPlan { commands, seed: setting("LOTA_SEED", SEED), mutant: None };
    let report = run_auctions(&plan).unwrap_or_else(|counterexample| panic!("{counterexample}"));
    eprintln!("seed {}: {report}", plan.seed);
    if commands >= AUCTION_COMMANDS {
        assert_eq!(report.unmet(), <[&str; 0]>::default(), "every command and every refusal is met");
    }
}

#[test]
fn every_mistake_in_an_auction_is_found() {
    for mutant in AuctionMutant::ALL {
        let plan = AuctionPlan { commands: AUCTION_COMMANDS, seed: SEED, mutant: Some(mutant) };
        match run_auctions(&plan) {
            Ok(report) => panic!("{mutant:?} is not found: {report}"),
            Err(counterexample) => {
                eprintln!("{mutant:?}: {counterexample}\n");
                let length = counterexample.steps.len();
                assert!(length <= 12, "{mutant:?} takes {length} commands to show: {counterexample}");
            }
        }
    }
}
