//! The contract and the model agree, and if they did not, it would be found.
#![expect(clippy::panic, reason = "a test fails by panicking")]

use std::thread::available_parallelism;

use lota_differential::{
    AuctionMutant, AuctionPlan, BlessingMutant, BlessingPlan, Mutant, OrderMutant, OrderPlan, Plan, SOME_CONTRACT,
    faults_of, run, run_auctions, run_blessings, run_orders,
};
use lota_market::{
    Address,
    model::{MIN_CALLBACK_RESERVE, Settings, SettingsFault},
};

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
        assert_eq!(report.unreached(), <[&str; 0]>::default(), "what is rare has worked, too");
    }
}

#[test]
fn settings_out_of_range_are_refused_alike() {
    type Spoil = fn(&mut Settings);
    let spoils: [(Spoil, Option<SettingsFault>); 14] = [
        (|_| {}, None),
        (|settings| settings.asset = SOME_CONTRACT, None),
        (|settings| settings.asset = Address::repeat_byte(9), Some(SettingsFault::Asset)),
        (|settings| settings.quantum = 1, None),
        (|settings| settings.quantum = u64::MAX, None),
        (|settings| settings.quantum = 0, Some(SettingsFault::Quantum)),
        (|settings| settings.min_window = 90 * 86_400, None),
        (|settings| settings.min_window = 90 * 86_400 + 1, Some(SettingsFault::MinWindow)),
        (|settings| settings.min_window = 0, Some(SettingsFault::MinWindow)),
        (|settings| settings.callback_reserve = MIN_CALLBACK_RESERVE, None),
        (|settings| settings.callback_reserve = MIN_CALLBACK_RESERVE - 1, Some(SettingsFault::CallbackReserve)),
        (|settings| settings.signature_gas = 1, None),
        (|settings| settings.signature_gas = 0, Some(SettingsFault::SignatureGas)),
        (|settings| settings.max_callback_gas = u32::MAX, None),
    ];
    for (first, one) in spoils {
        for (second, other) in spoils {
            let mut settings = Settings::COIN;
            first(&mut settings);
            second(&mut settings);
            let found = faults_of(&settings).unwrap_or_else(|problem| panic!("{settings:?}: {problem}"));
            let [contract, model] = found;
            assert_eq!(contract, model, "{settings:?}");
            // What the second one sets may put right what the first one had spoiled.
            assert!(model.is_none() || model == one || model == other, "{settings:?}: {model:?}");
            assert!(other.is_none() || model.is_some(), "{settings:?}");
        }
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

/// Of blessings, in CI; `LOTA_DIFFERENTIAL` sets another number.
const BLESSING_COMMANDS: u64 = 40_000;

#[test]
fn the_blessing_and_its_twin_agree_beside_the_market() {
    let commands = setting("LOTA_DIFFERENTIAL", BLESSING_COMMANDS);
    let plan = BlessingPlan { commands, seed: setting("LOTA_SEED", SEED), mutant: None };
    let report = run_blessings(&plan).unwrap_or_else(|counterexample| panic!("{counterexample}"));
    eprintln!("seed {}: {report}", plan.seed);
    if commands >= BLESSING_COMMANDS {
        assert_eq!(report.unmet(), <[&str; 0]>::default(), "every command and every refusal is met");
    }
}

#[test]
fn every_mistake_in_a_blessing_is_found() {
    for mutant in BlessingMutant::ALL {
        let plan = BlessingPlan { commands: BLESSING_COMMANDS, seed: SEED, mutant: Some(mutant) };
        match run_blessings(&plan) {
            Ok(report) => panic!("{mutant:?} is not found: {report}"),
            Err(counterexample) => {
                eprintln!("{mutant:?}: {counterexample}\n");
                let length = counterexample.steps.len();
                // A grant takes some 12 (a provider and a nominator with money, a granter, a job, two votes), a limit two grants.
                assert!(length <= 36, "{mutant:?} takes {length} commands to show: {counterexample}");
            }
        }
    }
}

/// Of orders, in CI; `LOTA_DIFFERENTIAL` sets another number.
const ORDER_COMMANDS: u64 = 20_000;

#[test]
fn filecoin_pay_deals_and_its_twin_agree_beside_the_market_and_filecoin_pay() {
    let commands = setting("LOTA_DIFFERENTIAL", ORDER_COMMANDS);
    let plan = OrderPlan { commands, seed: setting("LOTA_SEED", SEED), mutant: None };
    let report = run_orders(&plan).unwrap_or_else(|counterexample| panic!("{counterexample}"));
    eprintln!("seed {}: {report}", plan.seed);
    if commands >= ORDER_COMMANDS {
        assert_eq!(report.unmet(), <[&str; 0]>::default(), "every command, every end and every refusal is met");
    }
}

#[test]
fn every_mistake_in_orders_is_found() {
    for mutant in OrderMutant::ALL {
        let plan = OrderPlan { commands: ORDER_COMMANDS, seed: SEED, mutant: Some(mutant) };
        match run_orders(&plan) {
            Ok(report) => panic!("{mutant:?} is not found: {report}"),
            Err(counterexample) => {
                eprintln!("{mutant:?}: {counterexample}\n");
                let length = counterexample.steps.len();
                // A payment takes some 8 (an account, an approval, a job that is taken and settled), and the rails before its own.
                assert!(length <= 36, "{mutant:?} takes {length} commands to show: {counterexample}");
            }
        }
    }
}
