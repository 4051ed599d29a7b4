//! The deployed auction against its twin, each in one world with its market.
//!
//! Random commands to both contracts, by a few bidders, a client, and a client that has code: it deposits and opens jobs at the
//! market from within its callbacks, and tries what it can in the auction. After every command success, every event of both
//! contracts, the refusal with its fields, all accounts, auctions and sealed bids, and how many storage slots are used must agree.
//!
//! Every third sequence is about a market that is paid in a token, which sometimes does what a token should not; see [`crate::token`].

mod comparison;
mod generator;

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use lota_market::{
    Address, AttoFil, Time,
    world::{ContractCommand, Script},
};

use self::{
    comparison::{Comparison, Difference},
    generator::Generator,
};
use crate::{
    Counterexample,
    chain::Currency,
    party::{MARKET, Parties},
    token::TokenStep,
};

/// Where the auction is.
const AUCTION: Address = Address::repeat_byte(0x41);
const MIN_REVEAL_PERIOD: u32 = 30;
/// Commands of one sequence.
const SEQUENCE: u64 = 300;
/// Jobs that are looked at: the newest.
const RECENT: usize = 5;
/// No more attempts than this to make a sequence shorter.
const MAX_ATTEMPTS: usize = 3_000;

/// What is to be run.
#[derive(Clone, Copy, Debug)]
pub struct AuctionPlan {
    /// At least so many commands, in whole sequences.
    pub commands: u64,
    /// The seed of the first sequence; the next has the next number.
    pub seed: u64,
    /// A mistake to put in.
    pub mutant: Option<AuctionMutant>,
}

/// A mistake in what the twin says, to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuctionMutant {
    /// The winner is paid what it bid itself.
    FirstPrice,
    /// Of equal bids the later one is the better.
    LaterTie,
    /// The deposit of a bid that is not revealed goes to the client.
    DepositToClient,
    /// The second's collateral is kept at the award.
    KeptCollateral,
    /// A hopeless reveal takes the collateral, too.
    HopelessStake,
    /// Bids may be sealed in the second in which the reveals begin.
    LateCommit,
    /// Somebody else's commitment can be revealed.
    CopiedCommitment,
    /// A client may do something in the auction while it is called back.
    OpenGuard,
    /// A token that takes a fee, or moves something else than was asked, is believed.
    TokenBelieved,
    /// A token that says no is not heard.
    TokenUnheard,
}

impl AuctionMutant {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::FirstPrice,
        Self::LaterTie,
        Self::DepositToClient,
        Self::KeptCollateral,
        Self::HopelessStake,
        Self::LateCommit,
        Self::CopiedCommitment,
        Self::OpenGuard,
        Self::TokenBelieved,
        Self::TokenUnheard,
    ];
}

/// What was run, without a difference.
#[derive(Clone, Debug, Default)]
pub struct AuctionReport {
    /// Commands that were executed on both sides.
    pub commands: u64,
    /// Those that were refused, by the error, and those that succeeded, by the command.
    pub outcomes: BTreeMap<String, u64>,
    /// How long that took.
    pub elapsed: Duration,
}

impl AuctionReport {
    /// What should have come up and did not.
    #[must_use]
    pub fn unmet(&self) -> Vec<&'static str> {
        OUTCOMES.into_iter().filter(|outcome| !self.outcomes.contains_key(*outcome)).collect()
    }
}

impl fmt::Display for AuctionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64();
        write!(f, "{} commands agree in {seconds:.1} s: {:.0}/s", self.commands, self.commands as f64 / seconds)?;
        for (outcome, count) in &self.outcomes {
            write!(f, "\n  {outcome}: {count}")?;
        }
        Ok(())
    }
}

/// All that a long run must have met: every refusal, and every command done.
const OUTCOMES: [&str; 35] = [
    "Fund",
    "FundToken",
    "DepositToken",
    "Withdraw",
    "Commit",
    "Reveal",
    "Award",
    "Cancel",
    "Release",
    "Sweep",
    "refused: NotTheMatcher",
    "refused: BadAuction(NoRange)",
    "refused: BadAuction(RevealPeriod)",
    "refused: BadAuction(TooLong)",
    "refused: NotOpen",
    "refused: AlreadyCommitted",
    "refused: NoCommitment",
    "refused: NothingToAward",
    "refused: HasBids",
    "refused: NoAuction",
    "refused: InvalidBidder",
    "refused: WrongReveal",
    "refused: Market(WrongAsset",
    "refused: Market(UnknownJob",
    "refused: Market(SaltSpent",
    "refused: Market(WrongState",
    "refused: Market(WrongSender",
    "refused: Market(TooEarly",
    "refused: Market(TooLate",
    "refused: Market(PriceOutOfRange",
    "refused: Market(TooMany",
    "refused: Market(InvalidRecipient",
    "refused: Market(InsufficientBalance",
    "refused: Market(TransferFailed",
    "refused: Market(TransferMismatch",
];

#[derive(Clone, Debug)]
struct Step {
    at: Time,
    sender: Address,
    value: AttoFil,
    command: ContractCommand,
    /// What the client with code does when it is called.
    script: Script,
    /// What the token does, where there is one.
    token: TokenStep,
}

/// Runs a plan.
///
/// # Errors
/// The first difference that was found.
pub fn run_auctions(plan: &AuctionPlan) -> Result<AuctionReport, Box<Counterexample>> {
    let (begin, cast) = (Instant::now(), Parties::assemble());
    let mut report = AuctionReport::default();
    for number in 0..plan.commands.div_ceil(SEQUENCE) {
        let seed = plan.seed.wrapping_add(number);
        let mut generator = Generator::new(seed);
        let mut both = Comparison::new(&cast, Currency::of(seed), plan.mutant);
        let mut steps = Vec::new();
        for _ in 0..SEQUENCE {
            let step = generator.next(&both);
            let outcome = both.perform(&step);
            steps.push(step);
            match outcome {
                Ok(outcome) => *report.outcomes.entry(outcome).or_default() += 1,
                Err(difference) => return Err(shrink(&cast, plan.mutant, seed, steps, difference)),
            }
            report.commands += 1;
        }
    }
    report.elapsed = begin.elapsed();
    Ok(report)
}

/// Leaves out what is not needed to see a difference.
fn shrink(
    cast: &Parties,
    mutant: Option<AuctionMutant>,
    seed: u64,
    mut steps: Vec<Step>,
    mut difference: Difference,
) -> Box<Counterexample> {
    let found_after = steps.len();
    let (mut attempts, mut size) = (0, steps.len() / 2);
    while size > 0 {
        let mut index = steps.len();
        while index > 0 && attempts < MAX_ATTEMPTS {
            let from = index.saturating_sub(size);
            let mut fewer = steps.clone();
            fewer.drain(from..index);
            attempts += 1;
            let mut both = Comparison::new(cast, Currency::of(seed), mutant);
            let found = fewer.iter().enumerate().find_map(|(n, step)| both.perform(step).err().map(|found| (n, found)));
            if let Some((last, found)) = found {
                fewer.truncate(last + 1);
                (steps, difference) = (fewer, found);
                index = steps.len().min(from);
            } else {
                index = from;
            }
        }
        size /= 2;
    }
    let Difference { what, contract, twin } = difference;
    let describe = |Step { at, sender, value, command, script, token }: &Step| {
        let script = if *script == Script::default() { String::new() } else { format!("; scripted: {script:?}") };
        let token = if *token == TokenStep::default() { String::new() } else { format!("; token: {token:?}") };
        cast.name(format_args!("at {}, {sender:?} with {value}: {command:?}{script}{token}", at.0))
    };
    Box::new(Counterexample {
        seed,
        found_after,
        steps: steps.iter().map(describe).collect(),
        difference: cast.put_names(format!("they differ in {what}:\n  contract: {contract}\n  model:    {twin}")),
    })
}

const fn contract_of(command: &ContractCommand) -> Address {
    match command {
        ContractCommand::Market(_) => MARKET,
        ContractCommand::Auction(_) | ContractCommand::Blessing(_) => AUCTION,
    }
}
