//! The deployed contract against the model.
//!
//! `contracts/src/LotaMarket.sol` and `lota_market::model` are two implementations of one specification
//! (`ILotaMarket.sol`). Here random sequences of commands, by several parties over time, valid ones and such that are wrong in
//! one way or in two, are executed on both: the checked-in bytecode in an EVM (revm) in this process, and the model. Compared
//! are, after every command, success, every event, the refusal with its fields, returned data, what clients and payees are
//! called with, all that the market holds, and the deals, balances and salts that the command may have touched; every 64
//! commands and at the end, everything that is stored, and that nothing else is.
//!
//! Every third sequence is about a market that is paid in a token, which sometimes takes a fee, lies, refuses, returns nothing or
//! calls the market; the others are about one that is paid in the chain's coin.
//!
//! The model is executed in a world, which also knows everybody's wallet. Its environment does not look at the EVM: hashes and
//! signatures are computed, and what clients, wallets and payees do follows from the code that they have been given. One client
//! is given other code before each step: it opens jobs, deposits and tries everything else from within its callbacks.
//!
//! A difference is shrunk to a short sequence. What it prints is enough to see it again:
//! `LOTA_SEED=<seed> LOTA_DIFFERENTIAL=1 cargo test -p lota-differential --test agreement`.
//!
//! It is a package of its own because it is optimised in every profile, and because nobody else should have to build an EVM.

mod actors;
mod assembler;
mod auctions;
mod beside;
mod blessings;
mod chain;
mod comparison;
mod faults;
mod filecoin_pay;
mod generator;
mod mutant;
mod oracle;
mod orders;
mod party;
mod scripted;
mod shrink;
mod step;
mod terms;
mod token;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

pub use auctions::{AuctionMutant, AuctionPlan, run_auctions};
pub use beside::ReportBeside;
pub use blessings::{BlessingMutant, BlessingPlan, run_blessings};
use chain::Currency;
use comparison::{Comparison, Difference, FEATS, REFUSALS, Setting};
use generator::Generator;
use lota_bridge::evm::bindings::{self, Revert};
use lota_market::{
    Address,
    model::{Settings, SettingsFault},
};
pub use mutant::Mutant;
pub use orders::{OrderMutant, OrderPlan, run_orders};
use party::Parties;

/// Commands of one sequence; each begins with a market in which nothing has happened.
pub const SEQUENCE: u64 = 500;

/// What is to be run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// At least so many commands, in whole sequences of [`SEQUENCE`].
    pub commands: u64,
    /// The seed of the first sequence; the next has the next number.
    pub seed: u64,
    /// Threads that work through the sequences.
    pub threads: usize,
    /// A mistake to put in.
    pub mutant: Option<Mutant>,
}

/// What was run, without a difference.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Commands that were executed on both sides.
    pub commands: u64,
    /// Those of them that both refused, by the error.
    pub refused: BTreeMap<&'static str, u64>,
    /// What was seen to work.
    pub reached: BTreeSet<&'static str>,
    /// How long that took.
    pub elapsed: Duration,
}

impl Report {
    /// Commands per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.commands as f64 / self.elapsed.as_secs_f64()
    }

    /// Refusals that no command met.
    #[must_use]
    pub fn unmet(&self) -> Vec<&'static str> {
        REFUSALS.into_iter().filter(|kind| !self.refused.contains_key(kind)).collect()
    }

    /// What should have worked at least once, and did not.
    #[must_use]
    pub fn unreached(&self) -> Vec<&'static str> {
        FEATS.into_iter().filter(|feat| !self.reached.contains(feat)).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused: u64 = self.refused.values().sum();
        let seconds = self.elapsed.as_secs_f64();
        write!(f, "{} commands agree ({refused} refused) in {seconds:.1} s: {:.0}/s", self.commands, self.rate())?;
        for (kind, count) in &self.refused {
            write!(f, "\n  {kind}: {count}")?;
        }
        Ok(())
    }
}

/// A sequence on which the contract and the model differ, as short as it could be made.
#[derive(Clone, Debug)]
pub struct Counterexample {
    /// The seed of the sequence.
    pub seed: u64,
    /// How many commands it had before it was shrunk.
    pub found_after: usize,
    /// The commands, one a line.
    pub steps: Vec<String>,
    /// What differs after the last of them.
    pub difference: String,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "the contract and the model differ after {} commands with seed {}, and after these {}:",
            self.found_after,
            self.seed,
            self.steps.len()
        )?;
        for step in &self.steps {
            writeln!(f, "  {step}")?;
        }
        writeln!(f, "{}", self.difference)?;
        write!(f, "again: LOTA_SEED={} LOTA_DIFFERENTIAL=1 cargo test -p lota-differential --test agreement", self.seed)
    }
}

/// Runs a plan.
///
/// # Errors
/// The first difference that was found. Which sequence is the first may depend on the threads; what it shows does not.
pub fn run(plan: &Plan) -> Result<Report, Box<Counterexample>> {
    let begin = Instant::now();
    let cast = Parties::assemble();
    let sequences = plan.commands.div_ceil(SEQUENCE);
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let work = || {
        let mut report = Report::default();
        while !stop.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= sequences {
                break;
            }
            if let Err(counterexample) = sequence(&cast, plan.seed.wrapping_add(number), plan.mutant, &mut report) {
                stop.store(true, Ordering::Relaxed);
                return Err(counterexample);
            }
        }
        Ok(report)
    };
    let reports: Vec<Result<Report, Box<Counterexample>>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..plan.threads.max(1)).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let mut total = Report::default();
    for report in reports {
        let report = report?;
        total.commands += report.commands;
        total.reached.extend(report.reached);
        for (kind, count) in report.refused {
            *total.refused.entry(kind).or_default() += count;
        }
    }
    total.elapsed = begin.elapsed();
    Ok(total)
}

/// What the contract's constructor and the model say is wrong with settings. An asset has code if it is [`SOME_CONTRACT`].
///
/// # Errors
/// When the constructor reverts with something else.
pub fn faults_of(settings: &Settings) -> Result<[Option<SettingsFault>; 2], String> {
    let mut chain = chain::Chain::new(&Parties::assemble(), Currency::Token, |_| {});
    let contract = match chain.deploy(settings, |_| {}) {
        Ok(()) => None,
        Err(data) => match bindings::revert(&data) {
            Revert::BadSettings(fault) => Some(fault),
            other => return Err(format!("the constructor reverts with {other:?}")),
        },
    };
    Ok([contract, settings.fault(settings.asset == SOME_CONTRACT)])
}

/// A contract that is there when settings are tried.
pub const SOME_CONTRACT: Address = token::TOKEN;

/// One sequence, in a world of its own.
fn sequence(cast: &Parties, seed: u64, mutant: Option<Mutant>, report: &mut Report) -> Result<(), Box<Counterexample>> {
    let setting = Setting { cast, currency: Currency::of(seed), mutant };
    let mut generator = Generator::new(seed);
    let mut both = Comparison::new(setting);
    let mut steps = Vec::new();
    for _ in 0..SEQUENCE {
        let step = generator.next(&both);
        let outcome = both.perform(&step);
        steps.push(step);
        match outcome {
            Ok(None) => {}
            Ok(Some(refusal)) => *report.refused.entry(refusal).or_default() += 1,
            Err(difference) => return Err(counterexample(setting, seed, steps, difference)),
        }
        report.commands += 1;
    }
    report.reached.extend(&both.reached);
    both.compare_everything().map_err(|difference| counterexample(setting, seed, steps, difference))
}

fn counterexample(
    setting: Setting<'_>,
    seed: u64,
    steps: Vec<step::Step>,
    difference: Difference,
) -> Box<Counterexample> {
    let found_after = steps.len();
    let cast = setting.cast;
    let (steps, Difference { what, contract, model }) = shrink::shrink(setting, steps, difference);
    let difference = format!(
        "they differ in {what}:\n  contract: {}\n  model:    {}",
        cast.put_names(contract),
        cast.put_names(model)
    );
    Box::new(Counterexample {
        seed,
        found_after,
        steps: steps.iter().map(|step| step.describe(cast)).collect(),
        difference,
    })
}
