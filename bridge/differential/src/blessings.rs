//! The deployed blessing against its twin, each in one world with its market.
//!
//! Random commands to both contracts, by notaries (accounts, one with code and a key, a wallet), a few parties, and code that is client,
//! payee and granter and does what the step's script says. After every command success, every event of both contracts, the refusal with
//! its fields, all accounts, nominations, votes, registrations and sums of grants, and how many storage slots are used must agree.
//! Signatures are real: the twin is told whether they are their notary's.
//!
//! Every second sequence is about the granters of the project and their twins: nominated for, and commanded directly, with recipients of all
//! forms, small periods, and Filecoin's actors and a MetaAllocator that answer what the step says; see [`crate::actors`].
//!
//! Every third sequence is about a market that is paid in a token, which sometimes does what a token should not; see [`crate::token`].

mod comparison;
mod decisions;
mod generator;
mod granters;
mod reading;

use lota_bridge::BlessingRef;
use lota_market::{
    Address, AttoFil, Time, blessing,
    world::{ContractCommand, Script},
};

use self::{comparison::Comparison, generator::Generator, granters::Probe};
use crate::{
    Counterexample,
    actors::ActorStep,
    beside::{ReportBeside, Sequences},
    chain::CHAIN_ID,
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
    /// Of the parties, matcher and arbiter may vote.
    HiddenParties,
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
    /// Bonuses that a pool has paid do not count.
    UncountedBonus,
    /// A pool pays what it does not hold.
    BottomlessPool,
    /// A pool's first period never ends.
    EndlessPeriod,
    /// A pool lets a payee or its token in.
    OpenPool,
    /// A pool closes before its time.
    EarlyClose,
    /// Anybody says where a closed pool's money goes.
    AnybodyInherits,
    /// Anybody may have a granter grant.
    AnybodyGrants,
    /// Something is granted to the zero address, and to masked ids.
    GrantToNobody,
    /// Exit code 18 of the registry is a success.
    EndedFilPlus,
    /// A MetaAllocator is believed.
    DataCapBelieved,
}

impl BlessingMutant {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::UnpaidClient,
        Self::RefusalExpires,
        Self::LateVote,
        Self::Conflict,
        Self::HiddenParties,
        Self::AnySignature,
        Self::DoubleVote,
        Self::NoLimit,
        Self::GranterBelieved,
        Self::OpenGuard,
        Self::DepositReturned,
        Self::TokenBelieved,
        Self::UncountedBonus,
        Self::BottomlessPool,
        Self::EndlessPeriod,
        Self::OpenPool,
        Self::EarlyClose,
        Self::AnybodyInherits,
        Self::AnybodyGrants,
        Self::GrantToNobody,
        Self::EndedFilPlus,
        Self::DataCapBelieved,
    ];
}

impl BlessingMutant {
    /// Whether it is a mistake in the granters of the project.
    const fn is_of_granters(self) -> bool {
        matches!(
            self,
            Self::UncountedBonus
                | Self::BottomlessPool
                | Self::EndlessPeriod
                | Self::OpenPool
                | Self::EarlyClose
                | Self::AnybodyInherits
                | Self::AnybodyGrants
                | Self::GrantToNobody
                | Self::EndedFilPlus
                | Self::DataCapBelieved
        )
    }
}

/// All that a long run must have met: every refusal, every command done, and every end.
const OUTCOMES: [&str; 92] = [
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
    "refused: OverLimit(PerJob",
    "refused: OverLimit(PerProvider",
    "refused: OverLimit(PerPeriod",
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
    "granter: Grant",
    "granter: Fund",
    "granter: FundToken",
    "granter: Close",
    "granter: CloseTo",
    "granter: GrantRequested",
    "granted by BonusGranter",
    "granted by RequestOnlyGranter",
    "granted by VerifregGranter",
    "granted by MetaAllocatorGranter",
    "granter failed: TransferFailed",
    "granter refused: NotTheBlessing",
    "granter refused: BadRecipient",
    "granter refused: NoAmount",
    "granter refused: PoolClosed",
    "granter refused: PoolOpen",
    "granter refused: NotEntitled",
    "granter refused: OverLimit(PerJob",
    "granter refused: OverLimit(PerProvider",
    "granter refused: OverLimit(PerPeriod",
    "granter refused: PoolEmpty",
    "granter refused: AmountTooSmall",
    "granter refused: AmountRefused",
    "granter refused: NotAVerifier",
    "granter refused: FilPlusEnded",
    "granter refused: RegistryFailed",
    "granter refused: AllowanceTooSmall",
    "granter refused: AllowanceUnknown",
    "granter refused: AllocatorRefused",
    "granter refused: NotGranted",
    "granter refused: BalanceUnknown",
    "granter refused: NoBuiltinActors",
    "granter refused: BadReturn",
    "granter refused: WrongAsset",
    "granter refused: InvalidRecipient",
    "granter refused: TransferFailed",
    "granter refused: TransferMismatch",
];

#[derive(Clone, Debug)]
struct Step {
    at: Time,
    sender: Address,
    contract: Address,
    value: AttoFil,
    command: ContractCommand,
    /// The chain's id, when it is not that of the deployment.
    foreign_chain: Option<u64>,
    /// What the code that is client, payee and granter does when it is called.
    script: Script,
    /// What the token does, where there is one.
    token: TokenStep,
    /// What granters find outside.
    actors: ActorStep,
    /// What a granter is asked after that.
    probe: Option<Probe>,
}

/// Runs a plan.
///
/// # Errors
/// The first difference that was found.
pub fn run_blessings(plan: &BlessingPlan) -> Result<ReportBeside, Box<Counterexample>> {
    let cast = Parties::assemble();
    let describe =
        |Step { at, sender, contract, value, command, foreign_chain, script, token, actors, probe }: &Step| {
            let chain = foreign_chain.map_or_else(String::new, |id| format!("; on chain {id}"));
            let script = if *script == Script::default() { String::new() } else { format!("; scripted: {script:?}") };
            let token = if *token == TokenStep::default() { String::new() } else { format!("; token: {token:?}") };
            let actors = if *actors == ActorStep::default() { String::new() } else { format!("; outside: {actors:?}") };
            let probe = probe.as_ref().map_or_else(String::new, |probe| format!("; {probe:?}"));
            let what = format!("{sender:?} with {value}, of {contract}: {command:?}");
            cast.name(format_args!("at {}, {what}{chain}{script}{token}{actors}{probe}", at.0))
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
        // A mutant is looked for where it can be found.
        let is_ours = plan.mutant.map_or(!seed.is_multiple_of(2), BlessingMutant::is_of_granters);
        let mut generator = Generator::new(seed, is_ours);
        move |both: &Comparison<'_>| generator.next(both)
    })
}

/// To which contract a command goes; granters are several.
const fn contract_of(command: &ContractCommand) -> Address {
    match command {
        ContractCommand::Market(_)
        | ContractCommand::Auction(_)
        | ContractCommand::FilecoinPay(_)
        | ContractCommand::Granter(_)
        | ContractCommand::FilecoinPayDeals(_) => MARKET,
        ContractCommand::Blessing(_) => BLESSING,
    }
}
