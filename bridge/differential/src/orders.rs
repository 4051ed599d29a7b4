//! What is paid from Filecoin Pay accounts: `FilecoinPayDeals`, its market, `FilecoinPayGranter` and Filecoin Pay on a chain against their
//! twins in one world.
//!
//! Random commands to all of them, by a few payers, providers and strangers, among them one that has code: it tries what it can in all
//! of them whenever it is paid, and is the blessing that asks for grants. Payers deposit and withdraw, approve and take back approvals,
//! terminate rails and ask for new ones while deals are under way; the block's number moves with the time. After every command success,
//! every event, the refusal with its fields, orders, deals, what is promised on rails, what could be granted, accounts, approvals, wallets,
//! and how many storage slots are used must agree.
//!
//! In two of three sequences collateral is in the chain's coin and prices are in a token, which does what it should; in every third
//! it is the other way round, and the token sometimes does what a token should not; see [`crate::token`].
//!
//! Filecoin Pay is the stand-in that the contracts' own tests use.

mod comparison;
mod generator;
mod granter;
mod mutant;
mod reading;

use lota_market::{
    Address, AttoFil, Time, U256,
    model::{JobId, Reason},
    world::{ContractCommand, Script},
};

pub use self::mutant::OrderMutant;
use self::{comparison::Comparison, generator::Generator, granter::Probe};
use crate::{
    Counterexample,
    beside::{ReportBeside, Sequences},
    party::{MARKET, Parties},
    token::TokenStep,
};

/// Where `FilecoinPayDeals` is.
const DEALS: Address = Address::repeat_byte(0x44);
/// Where the granter is that pays over Filecoin Pay.
const GRANTER: Address = Address::repeat_byte(0x47);
/// Where Filecoin Pay is.
const PAY: Address = Address::repeat_byte(0x50);
/// The least gas for callbacks of an order's job.
const CALLBACK_GAS: u32 = 100_000;
/// How long what is due can still be paid at least, in seconds.
const GRACE: u64 = 100;
/// Commands of one sequence.
const SEQUENCE: u64 = 400;
/// Orders that are looked at: the newest.
const RECENT: usize = 4;

/// What is to be run.
#[derive(Clone, Copy, Debug)]
pub struct OrderPlan {
    /// At least so many commands, in whole sequences.
    pub commands: u64,
    /// The seed of the first sequence; the next has the next number.
    pub seed: u64,
    /// A mistake to put in.
    pub mutant: Option<OrderMutant>,
}

/// All that a long run must have met: every command done, every end of a deal, and every refusal.
const OUTCOMES: [&str; 120] = [
    "FilecoinPayDeals(Open",
    "FilecoinPayDeals(Take",
    "FilecoinPayDeals(OpenAndTake",
    "FilecoinPayDeals(Cancel",
    "FilecoinPayDeals(Accept",
    "FilecoinPayDeals(Revoke",
    "FilecoinPayDeals(Withdraw",
    "FilecoinPayDeals(Pay",
    "FilecoinPayDeals(Release",
    "FilecoinPayDeals(RenewRail",
    "FilecoinPay(Deposit",
    "FilecoinPay(Withdraw",
    "FilecoinPay(SetOperatorApproval",
    "FilecoinPay(TerminateRail",
    "FilecoinPay(SettleRail",
    "FilecoinPay(CreateRail",
    "FilecoinPay(ModifyRailLockup",
    "FilecoinPay(ModifyRailPayment",
    "Granter(Grant",
    "Granter(Pay",
    "Granter(Release",
    "Granter(RenewRail",
    "ended: Accepted",
    "ended: Unchallenged",
    "ended: Upheld",
    "ended: Unreviewed",
    "ended: Withdrawn",
    "ended: NotLocked",
    "ended: NotSubmitted",
    "ended: Overturned",
    "ended: Undecided",
    "ended: NotRuled",
    "a refund",
    "a taken order again on its rail",
    "a closing rail",
    "a payment on a closing rail",
    "a payment in the coin",
    "a payment in the token",
    "released",
    "wound up with money",
    "a grant",
    "a grant again on its rail",
    "a grant from within a payment",
    "a closing rail of grants",
    "grants paid",
    "grants paid on a closing rail",
    "wound up with grants",
    "foreseen: a grant",
    "foreseen: granter refused: BadRecipient",
    "foreseen: granter refused: BadPair",
    "foreseen: granter refused: AmountOutOfRange",
    "foreseen: granter refused: RailTerminated",
    "foreseen: granter refused: OperatorNotApproved",
    "foreseen: granter refused: LockupPeriodTooLong",
    "foreseen: granter refused: AllowanceTooSmall",
    "foreseen: granter refused: NotEnoughFunds",
    "refused: not payable",
    "refused: BadOrder(Client)",
    "refused: BadOrder(Matcher)",
    "refused: BadOrder(MarketPrice)",
    "refused: BadOrder(CallbackGas)",
    "refused: BadOrder(KeepRecord)",
    "refused: BadOrder(Payer)",
    "refused: BadOrder(Salt)",
    "refused: BadOrder(Price)",
    "refused: NotOpen",
    "refused: NotTaken",
    "refused: WrongValue",
    "refused: NotTheMarket",
    "refused: NotFilecoinPay",
    "refused: AmountOutOfRange",
    "refused: BadPair",
    "refused: RailTerminated",
    "refused: RailRuns",
    "refused: NoRail",
    "refused: OperatorNotApproved",
    "refused: LockupPeriodTooLong",
    "refused: AllowanceTooSmall",
    "refused: NotEnoughFunds",
    "refused: RailInactiveOrSettled",
    "refused: CannotModifyTerminatedRailBeyondEndEpoch",
    "refused: FilecoinPay(RailInactiveOrSettled",
    "refused: FilecoinPay(RailAlreadyTerminated",
    "refused: FilecoinPay(OnlyRailOperatorAllowed",
    "refused: FilecoinPay(NotAuthorizedToTerminateRail",
    "refused: FilecoinPay(ZeroAddressNotAllowed",
    "refused: FilecoinPay(OperatorNotApproved",
    "refused: FilecoinPay(MustSendExactNativeAmount",
    "refused: FilecoinPay(NativeTransferFailed",
    "refused: FilecoinPay(InsufficientUnlockedFunds",
    "refused: FilecoinPay(OneTimePaymentExceedsLockup",
    "refused: FilecoinPay(InvalidTerminatedRailModification",
    "refused: FilecoinPay(LockupPeriodExceedsOperatorMaximum",
    "refused: FilecoinPay(OperatorLockupAllowanceExceeded",
    "refused: FilecoinPay(CannotModifyTerminatedRailBeyondEndEpoch",
    "refused: FilecoinPay(CannotSettleFutureEpochs",
    "refused: FilecoinPay(LockupExceedsFunds",
    "refused: FilecoinPay(TokenFailed",
    "refused: Market(WrongChain",
    "refused: Market(BadSignature",
    "refused: Market(WrongSender",
    "refused: Market(TooEarly",
    "refused: Market(SaltSpent",
    "refused: Market(TransferFailed",
    "refused: Market(TransferMismatch",
    "granter refused: NotTheBlessing",
    "granter refused: NotFilecoinPay",
    "granter refused: BadRecipient",
    "granter refused: BadPair",
    "granter refused: AmountOutOfRange",
    "granter refused: RailTerminated",
    "granter refused: OperatorNotApproved",
    "granter refused: LockupPeriodTooLong",
    "granter refused: AllowanceTooSmall",
    "granter refused: NotEnoughFunds",
    "granter refused: RailRuns",
    "granter refused: NoRail",
    "granter refused: FilecoinPay(OnlyRailOperatorAllowed",
    "granter refused: FilecoinPay(RailInactiveOrSettled",
    "granter refused: FilecoinPay(CannotModifyTerminatedRailBeyondEndEpoch",
];

/// Who is asked for what.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time")]
enum Ask {
    Command(ContractCommand),
    /// `FilecoinPayDeals` is told, as only its market may, that a job has ended.
    JobEnded {
        job: JobId,
        reason: Option<Reason>,
    },
    /// A contract with rails is told, as only Filecoin Pay may, that a rail was terminated.
    RailTerminated {
        contract: Address,
        rail: U256,
        end_epoch: U256,
    },
}

#[derive(Clone, Debug)]
struct Step {
    at: Time,
    /// The chain's id, when it is not the one of the deployment.
    foreign_chain: Option<u64>,
    sender: Address,
    value: AttoFil,
    ask: Ask,
    /// What the one with code does when it is called.
    script: Script,
    token: TokenStep,
    /// What is asked after it.
    probe: Probe,
}

/// Runs a plan.
///
/// # Errors
/// The first difference that was found.
pub fn run_orders(plan: &OrderPlan) -> Result<ReportBeside, Box<Counterexample>> {
    let cast = Parties::assemble();
    let describe = |Step { at, foreign_chain, sender, value, ask, script, token, probe: _ }: &Step| {
        let chain = foreign_chain.map(|chain| format!(" on chain {chain}")).unwrap_or_default();
        let script = if *script == Script::default() { String::new() } else { format!("; scripted: {script:?}") };
        let token = if *token == TokenStep::default() { String::new() } else { format!("; token: {token:?}") };
        cast.name(format_args!("at {}{chain}, {sender:?} with {value}: {ask:?}{script}{token}", at.0))
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
        ContractCommand::FilecoinPay(_) => PAY,
        ContractCommand::FilecoinPayDeals(_) => DEALS,
        ContractCommand::Granter(_) => GRANTER,
        _ => MARKET,
    }
}
