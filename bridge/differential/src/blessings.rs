//! The deployed blessing against its twin, each in one world with its market.
//!
//! Random commands to both contracts, by notaries (accounts, one with code and a key, a wallet), a few parties, and code that is client,
//! payee and granter and does what the step's script says. After every command success, every event of both contracts, the refusal with
//! its fields, all accounts, nominations, votes, registrations and sums of grants, and how many storage slots are used must agree.
//! Signatures are real: the twin is told whether they are their notary's.
//!
//! Every third sequence is about a market that is paid in a token, which sometimes does what a token should not; see [`crate::token`].

mod comparison;
mod generator;

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use lota_bridge::BlessingRef;
use lota_market::{
    Address, AttoFil, Time, blessing,
    world::{ContractCommand, Script},
};

use self::{
    comparison::{Comparison, Difference},
    generator::Generator,
};
use crate::{
    Counterexample,
    chain::{CHAIN_ID, Currency},
    party::{MARKET, Parties},
    token::TokenStep,
};

/// Where the blessing is.
const BLESSING: Address = Address::repeat_byte(0x42);
/// Its domain.
const REFERENCE: BlessingRef = BlessingRef { chain_id: CHAIN_ID, contract: BLESSING };
const SETTINGS: blessing::Settings = blessing::Settings {
    deposit: AttoFil::from_gwei(500),
    vote_for: 60,
    revoke_for: 15,
    grant_for: 120,
    limit_period: 100,
    granter_gas: 2_500_000,
};
/// Commands of one sequence.
const SEQUENCE: u64 = 400;
/// Jobs that are looked at: the newest.
const RECENT: usize = 5;
/// No more attempts than this to make a sequence shorter.
const MAX_ATTEMPTS: usize = 3_000;

/// What is to be run.
#[derive(Clone, Copy, Debug)]
pub struct BlessingPlan {
    /// At least so many commands, in whole sequences.
    pub commands: u64,
    /// The seed of the first sequence; the next has the next number.
    pub seed: u64,
    /// A mistake to put in.
    pub mutant: Option<BlessingMutant>,
}

/// A mistake in what the twin says, to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlessingMutant {
    /// The client gets nothing.
    UnpaidClient,
    /// A refused nomination says that it expired.
    RefusalExpires,
    /// Notaries may vote after the nomination has expired.
    LateVote,
    /// Parties may vote.
    Conflict,
    /// Any signature is a notary's.
    AnySignature,
    /// A notary may vote twice.
    DoubleVote,
    /// What was granted to a provider before does not count.
    NoLimit,
    /// A granter that fails is not noticed.
    GranterBelieved,
    /// A granter may do something in the blessing while it is called.
    OpenGuard,
    /// The deposit of a refused nomination comes back.
    DepositReturned,
    /// A token that takes a fee, or moves something else than was asked, is believed.
    TokenBelieved,
}

impl BlessingMutant {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::UnpaidClient,
        Self::RefusalExpires,
        Self::LateVote,
        Self::Conflict,
        Self::AnySignature,
        Self::DoubleVote,
        Self::NoLimit,
        Self::GranterBelieved,
        Self::OpenGuard,
        Self::DepositReturned,
        Self::TokenBelieved,
    ];
}

/// What was run, without a difference.
#[derive(Clone, Debug, Default)]
pub struct BlessingReport {
    /// Commands that were executed on both sides.
    pub commands: u64,
    /// Those that were refused, by the error, and those that succeeded, by the command or what it came to.
    pub outcomes: BTreeMap<String, u64>,
    /// How long that took.
    pub elapsed: Duration,
}

impl BlessingReport {
    /// What should have come up and did not.
    #[must_use]
    pub fn unmet(&self) -> Vec<&'static str> {
        OUTCOMES.into_iter().filter(|outcome| !self.outcomes.contains_key(*outcome)).collect()
    }
}

impl fmt::Display for BlessingReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64();
        write!(f, "{} commands agree in {seconds:.1} s: {:.0}/s", self.commands, self.commands as f64 / seconds)?;
        for (outcome, count) in &self.outcomes {
            write!(f, "\n  {outcome}: {count}")?;
        }
        Ok(())
    }
}

/// All that a long run must have met: every refusal, every command done, and every end.
const OUTCOMES: [&str; 53] = [
    "Fund",
    "FundToken",
    "Withdraw",
    "SetAside",
    "TakeBack",
    "Register",
    "SetNotaries",
    "SetGranter",
    "Nominate",
    "Vote",
    "VoteSigned",
    "Grant",
    "Expire",
    "Sweep",
    "ended: Refused",
    "ended: Expired",
    "ended: Revoked",
    "ended: Lapsed",
    "GrantFailed",
    "refused: BadNotaries",
    "refused: BadLimits",
    "refused: NotKept",
    "refused: NotSettled",
    "refused: AlreadyGranted",
    "refused: AlreadyNominated",
    "refused: UnknownNomination",
    "refused: WrongPhase",
    "refused: NotNotary",
    "refused: ConflictOfInterest",
    "refused: AlreadyVoted",
    "refused: UnknownGranter",
    "refused: NotRegistered",
    "refused: ShareTooSmall",
    "refused: RecipientTooLong",
    "refused: BadPiece",
    "refused: OverLimit",
    "refused: RepeatedBallot",
    "refused: QuorumNotReached",
    "refused: InsufficientPool",
    "refused: GrantRefused",
    "refused: Market(WrongAsset",
    "refused: Market(UnknownJob",
    "refused: Market(TooEarly",
    "refused: Market(TooLate",
    "refused: Market(TooMany",
    "refused: Market(ReceiptMismatch",
    "refused: Market(InvalidRecipient",
    "refused: Market(WrongChain",
    "refused: Market(BadSignature",
    "refused: Market(InsufficientBalance",
    "refused: Market(TransferFailed",
    "refused: Market(TransferMismatch",
    "refused: not payable",
];

#[derive(Clone, Debug)]
struct Step {
    at: Time,
    sender: Address,
    value: AttoFil,
    command: ContractCommand,
    /// The chain's id, when it is not that of the deployment.
    foreign_chain: Option<u64>,
    /// What the code that is client, payee and granter does when it is called.
    script: Script,
    /// What the token does, where there is one.
    token: TokenStep,
}

/// Runs a plan.
///
/// # Errors
/// The first difference that was found.
pub fn run_blessings(plan: &BlessingPlan) -> Result<BlessingReport, Box<Counterexample>> {
    let (begin, cast) = (Instant::now(), Parties::assemble());
    let mut report = BlessingReport::default();
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
                Ok(outcomes) => {
                    for outcome in outcomes {
                        *report.outcomes.entry(outcome).or_default() += 1;
                    }
                }
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
    mutant: Option<BlessingMutant>,
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
    let describe = |Step { at, sender, value, command, foreign_chain, script, token }: &Step| {
        let chain = foreign_chain.map_or_else(String::new, |id| format!("; on chain {id}"));
        let script = if *script == Script::default() { String::new() } else { format!("; scripted: {script:?}") };
        let token = if *token == TokenStep::default() { String::new() } else { format!("; token: {token:?}") };
        cast.name(format_args!("at {}, {sender:?} with {value}: {command:?}{chain}{script}{token}", at.0))
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
        ContractCommand::Market(_) | ContractCommand::Auction(_) => MARKET,
        ContractCommand::Blessing(_) => BLESSING,
    }
}
