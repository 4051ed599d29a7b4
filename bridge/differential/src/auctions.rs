//! The deployed auction against its twin, each in one world with its market.
//!
//! Random commands to both contracts, by a few bidders, a client, and a client that has code: it deposits and opens jobs at the
//! market from within its callbacks, and tries what it can in the auction. After every command success, every event of both
//! contracts, the refusal with its fields, all accounts, auctions and sealed bids, and how many storage slots are used must agree.
//!
//! Every third sequence is about a market that is paid in a token, which sometimes does what a token should not; see [`crate::token`].

mod comparison;
mod generator;

use lota_market::{
    Address, AttoFil, Time,
    world::{ContractCommand, Script},
};

use self::{comparison::Comparison, generator::Generator};
use crate::{
    Counterexample,
    beside::{ReportBeside, Sequences},
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
pub fn run_auctions(plan: &AuctionPlan) -> Result<ReportBeside, Box<Counterexample>> {
    let cast = Parties::assemble();
    let describe = |Step { at, sender, value, command, script, token }: &Step| {
        let script = if *script == Script::default() { String::new() } else { format!("; scripted: {script:?}") };
        let token = if *token == TokenStep::default() { String::new() } else { format!("; token: {token:?}") };
        cast.name(format_args!("at {}, {sender:?} with {value}: {command:?}{script}{token}", at.0))
    };
    let sequences = Sequences {
        cast: &cast,
        commands: plan.commands,
        length: SEQUENCE,
        seed: plan.seed,
        wanted: &OUTCOMES,
        new: |currency| Comparison::new(&cast, currency, plan.mutant),
        describe,
    };
    sequences.run(|seed| {
        let mut generator = Generator::new(seed);
        move |both: &Comparison<'_>| generator.next(both)
    })
}

const fn contract_of(command: &ContractCommand) -> Address {
    match command {
        ContractCommand::Market(_) => MARKET,
        ContractCommand::Auction(_)
        | ContractCommand::Blessing(_)
        | ContractCommand::Granter(_)
        | ContractCommand::FilecoinPay(_)
        | ContractCommand::FilecoinPayDeals(_) => AUCTION,
    }
}
