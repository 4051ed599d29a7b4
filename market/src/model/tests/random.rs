//! Random commands for the property tests: few accounts that play every role against each other, a pool of terms, and
//! operations that become commands only when they are carried out, so that many of them fit the state they meet.

use alloy_primitives::{Address, B256, Bytes, U256};
use proptest::{prelude::*, sample::select};

use super::script::{MASKED, START, accepted, digest, job_of, sign_terms};
use crate::{
    model::{
        Authorization, Command, JobId, JobResult, Lane, MAX_AMOUNT_QUANTA, MAX_LOCK_AHEAD, Market, Permit, Receipt,
        Settings, Status, Terms, Verdict, salt,
    },
    money::{AttoFil, GWEI},
    time::Time,
    world::{Answer, Conduct, End, Script},
};

pub(crate) const SETTINGS: Settings = Settings { max_callback_gas: 1_000_000, ..Settings::COIN };
pub(crate) const ACCOUNTS: usize = 5;
/// Terms in the pool.
const POOL: usize = 12;
/// Belongs to nobody's terms.
pub(crate) const OUTSIDER: Address = Address::repeat_byte(0xff);

pub(crate) fn account(n: usize) -> Address {
    Address::repeat_byte(1 + (n % ACCOUNTS) as u8)
}

/// What to do next.
#[derive(Clone, Debug)]
pub(crate) struct Op {
    kind: Kind,
    /// Which terms of the pool.
    job: usize,
    /// Who sends it: the party whom it befits, or any account.
    sender: Option<usize>,
    step: Step,
    /// Amounts, choices among variants.
    dice: u64,
    pub(crate) payouts: bool,
    pub(crate) callbacks: bool,
    pub(crate) foreign_chain: bool,
    /// Whether accounts have code.
    pub(crate) code: bool,
    /// Something about the command is made wrong.
    tamper: bool,
    /// The commands of a multicall.
    inner: Vec<Op>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Whatever moves the job on.
    Next,
    Deposit,
    DepositToken,
    Withdraw,
    Open,
    OpenSigned,
    OpenSignedAndLock,
    Revoke,
    Lock,
    Award,
    Cancel,
    Expire,
    GiveUp,
    Submit,
    Accept,
    Settle,
    Dispute,
    Rule,
    Lapse,
    Retry,
    Batch,
    Multicall,
    Publish,
    Announce,
}

const KINDS: [Kind; 24] = [
    Kind::Next,
    Kind::Deposit,
    Kind::DepositToken,
    Kind::Withdraw,
    Kind::Open,
    Kind::OpenSigned,
    Kind::OpenSignedAndLock,
    Kind::Revoke,
    Kind::Lock,
    Kind::Award,
    Kind::Cancel,
    Kind::Expire,
    Kind::GiveUp,
    Kind::Submit,
    Kind::Accept,
    Kind::Settle,
    Kind::Dispute,
    Kind::Rule,
    Kind::Lapse,
    Kind::Retry,
    Kind::Batch,
    Kind::Multicall,
    Kind::Publish,
    Kind::Announce,
];

/// How time passes before a command.
#[derive(Clone, Copy, Debug)]
enum Step {
    Stay,
    Seconds(u64),
    /// To a deadline of the job (if it lies ahead): one second before it, at it, one second after it.
    Deadline(i8),
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        60 => Just(Step::Stay),
        40 => (1..20_u64).prop_map(Step::Seconds),
        8 => (-1..=1_i8).prop_map(Step::Deadline),
        1 => (1..8_000_000_u64).prop_map(Step::Seconds),
    ]
}

fn op(kind: impl Strategy<Value = Kind>) -> impl Strategy<Value = Op> {
    let sender = prop_oneof![4 => Just(None), 1 => (0..ACCOUNTS).prop_map(Some)];
    let rarely = || prop::bool::weighted(0.08);
    let often = || prop::bool::weighted(0.7);
    (kind, 0..POOL, sender, steps(), any::<u64>(), often(), often(), rarely(), rarely()).prop_map(
        |(kind, job, sender, step, dice, payouts, callbacks, foreign_chain, tamper)| {
            let inner = Vec::new();
            let code = !dice.is_multiple_of(5);
            Op { kind, job, sender, step, dice, payouts, callbacks, foreign_chain, code, tamper, inner }
        },
    )
}

pub(crate) fn ops() -> impl Strategy<Value = Op> {
    let kind = || prop_oneof![2 => Just(Kind::Next), 1 => select(&KINDS[..])];
    (op(kind()), prop::collection::vec(op(kind()), 0..4)).prop_map(|(mut op, inner)| {
        if op.kind == Kind::Multicall {
            op.inner = inner;
        }
        op
    })
}

/// Operations that move some job on, sent by whom it befits.
pub(crate) fn steps_forward() -> impl Strategy<Value = Op> {
    op(Just(Kind::Next)).prop_map(|op| Op { sender: None, foreign_chain: false, tamper: false, ..op })
}

/// Operations that move money in and out.
pub(crate) fn payments() -> impl Strategy<Value = Op> {
    op(select(&[Kind::Deposit, Kind::DepositToken, Kind::Withdraw][..]))
}

fn amounts() -> impl Strategy<Value = AttoFil> {
    let most = MAX_AMOUNT_QUANTA - 1;
    prop_oneof![
        40 => (0..300_u64).prop_map(AttoFil::from_gwei),
        1 => Just(AttoFil::from_gwei(most)),
        1 => (most - 5..=most).prop_map(AttoFil::from_gwei),
    ]
}

/// Terms: mostly sound, some extreme, some that no market opens.
fn terms() -> impl Strategy<Value = Terms> {
    let role = || prop_oneof![1 => Just(Address::ZERO), 1 => (0..ACCOUNTS).prop_map(account)];
    let window = || prop_oneof![4 => 60..200_u32, 1 => Just(90 * 86_400), 1 => Just(0)];
    let start = prop_oneof![16 => (0..30_u64).prop_map(|s| START.0 + s), 3 => Just(0), 1 => Just(u64::MAX)];
    let period = prop_oneof![8 => 1..200_u64, 1 => Just(u64::MAX), 1 => 1..=u64::MAX];
    let lock_by = prop_oneof![10 => (1..3_000_u64).prop_map(|s| START.0 + s), 10 => (1..30_000_000_u64).prop_map(|s| START.0 + s), 1 => any::<u64>()];
    let callback = prop_oneof![1 => Just(0), 1 => 1..=1_000_000_u32];
    (
        (0..ACCOUNTS, 0..20_u64, prop::bool::weighted(0.1), amounts(), amounts(), amounts()),
        (start, period, lock_by, window(), window(), window()),
        (role(), role(), callback, prop::bool::ANY, prop::option::weighted(0.06, 0..10_u8)),
    )
        .prop_map(
            |((client, number, far, one, other, collateral), (start, period, lock_by, run, review, rule), rest)| {
                let (matcher, arbiter, callback_gas, keep_record, fault) = rest;
                let mut terms = Terms {
                    client: account(client),
                    salt: if far { salt(Lane::MAX, number * 5) } else { U256::from(number) },
                    spec: digest(&Bytes::from_static(b"a spec")),
                    spec_codec: 0x71,
                    min_price: one.min(other),
                    max_price: one.max(other),
                    ramp_start: Time(start.min(lock_by)),
                    ramp_period: period,
                    lock_by: Time(lock_by),
                    run_for: run.max(60),
                    review_for: if arbiter.is_zero() { 0 } else { review.max(60) },
                    rule_for: if arbiter.is_zero() { 0 } else { rule.max(60) },
                    collateral,
                    matcher,
                    arbiter,
                    callback_gas,
                    keep_record,
                };
                match fault {
                    Some(0) => terms.client = Address::ZERO,
                    Some(1) => terms.spec_codec = 0x70,
                    Some(2) => terms.max_price.0 += 1,
                    Some(3) => terms.collateral = AttoFil(u128::MAX - u128::MAX % GWEI),
                    Some(4) => core::mem::swap(&mut terms.min_price, &mut terms.max_price),
                    Some(5) => terms.ramp_period = 0,
                    Some(6) => terms.run_for = u32::MAX,
                    Some(7) => terms.callback_gas = u32::MAX,
                    Some(8) => terms.matcher = MASKED,
                    Some(_) => terms.review_for ^= 1 << 31,
                    None => {}
                }
                terms
            },
        )
}

/// Terms and their id.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) id: JobId,
    pub(crate) terms: Terms,
}

pub(crate) fn pools() -> impl Strategy<Value = Vec<Job>> {
    prop::collection::vec(terms().prop_map(|terms| Job { id: job_of(&terms), terms }), POOL)
}

/// What an account owns at first. The last one is poor.
pub(crate) fn endowment(n: usize) -> AttoFil {
    match n {
        0 => AttoFil::from_gwei(1 << 52),
        1..4 => AttoFil::from_gwei(2_000),
        _ => AttoFil::from_gwei(100),
    }
}

impl Op {
    /// What a token does that is not what it should.
    pub(crate) fn conduct(&self) -> Conduct {
        let amount = Some(AttoFil(u128::from(self.dice >> 30)));
        let honest = Conduct::default();
        match self.dice % 7 {
            0 => Conduct { answer: Answer::NotTrue, ..honest },
            1 => Conduct { answer: Answer::Nothing, ..honest },
            2 => Conduct { script: Script::ending(End::Revert), ..honest },
            3 => Conduct { given: amount, ..honest },
            4 => Conduct { taken: amount, ..honest },
            5 => Conduct { taken: Some(AttoFil::ZERO), given: Some(AttoFil::ZERO), ..honest },
            _ => Conduct { taken: amount, given: amount, ..honest },
        }
    }
}

/// A command as it is sent.
pub(crate) struct Sent {
    pub(crate) sender: Address,
    pub(crate) value: AttoFil,
    pub(crate) command: Command,
}

impl Op {
    /// The terms this is about; what moves a job on passes over those that cannot move.
    fn job<'p>(&self, market: &Market, pool: &'p [Job], now: Time) -> &'p Job {
        let moves = |Job { id, terms }: &&Job| match market.deal(*id).status {
            Status::None => {
                let late = now > terms.lock_by || now.after(MAX_LOCK_AHEAD) < terms.lock_by;
                !late && terms.fault(&SETTINGS, terms.client).is_none() && !market.is_spent(terms.client, terms.salt)
            }
            status => !status.is_final(),
        };
        let mut others = pool[self.job..].iter().chain(&pool[..self.job]);
        others.find(moves).filter(|_| self.kind == Kind::Next).unwrap_or(&pool[self.job])
    }

    /// The time at which this happens.
    pub(crate) fn time(&self, market: &Market, pool: &[Job], now: Time) -> Time {
        match self.step {
            Step::Stay => now,
            Step::Seconds(seconds) => now.after(seconds),
            Step::Deadline(offset) => {
                let job = self.job(market, pool, now);
                let deadline = deadline(market, job).unwrap_or(now);
                // No deadline beyond a few years: time alone must be able to pass them all.
                let deadline = Time(deadline.0.min(START.0 + 400_000_000));
                now.max(Time(deadline.0.saturating_add_signed(offset.into())))
            }
        }
    }

    /// What is sent, given the state of the market.
    pub(crate) fn sent(&self, market: &Market, pool: &[Job], now: Time) -> Sent {
        let job = self.job(market, pool, now);
        let mut sent = self.fitting(market, pool, job, now);
        if let Some(n) = self.sender {
            sent.sender = account(n);
        }
        if self.tamper {
            self.spoil(&mut sent.command);
        }
        sent
    }

    fn fitting(&self, market: &Market, pool: &[Job], job: &Job, now: Time) -> Sent {
        let dice = self.dice;
        let anyone = account(dice as usize);
        let own = |account: Address| market.balance(account);
        let Job { id, terms } = job;
        let deal = market.deal(*id);
        let receipt = || deal.receipt.cloned().unwrap_or_else(|| receipt(terms, anyone, dice));
        let terms = terms.clone();
        let spec = if dice.is_multiple_of(3) { Bytes::from_static(b"a spec") } else { Bytes::new() };
        let signature = sign_terms(&terms);
        let mut value = AttoFil::ZERO;
        let (client, matcher, arbiter) = (terms.client, terms.matcher, terms.arbiter);
        let (sender, command) = match self.resolved(deal.status, deal.callback_pending, &terms) {
            Kind::Next => (anyone, Command::Expire { terms }),
            Kind::Deposit => {
                // Now and then more than can exist.
                value = if dice.is_multiple_of(64) {
                    AttoFil(u128::MAX - u128::from(dice))
                } else {
                    AttoFil(u128::from(dice))
                };
                (anyone, Command::Deposit { account: account((dice >> 8) as usize) })
            }
            Kind::DepositToken => {
                let (amount, account) = (AttoFil(u128::from(dice >> 24)), account((dice >> 8) as usize));
                let (r, s) = (B256::ZERO, B256::ZERO);
                let command = match dice % 3 {
                    0 => Command::DepositToken { account, amount },
                    1 => {
                        let permit = Permit { deadline: U256::from(now.0), v: 27, r, s };
                        Command::DepositTokenWithPermit { account, amount, permit }
                    }
                    _ => {
                        let (valid_after, valid_before, nonce) = (U256::ZERO, U256::MAX, digest(&dice));
                        let authorization = Authorization { valid_after, valid_before, nonce, v: 27, r, s };
                        Command::DepositTokenWithAuthorization { from: account, amount, authorization }
                    }
                };
                (anyone, command)
            }
            Kind::Withdraw => {
                let amount = AttoFil(own(anyone).0 / u128::from(dice % 3 + 1));
                (anyone, Command::Withdraw { to: account((dice >> 8) as usize), amount })
            }
            Kind::Open => {
                value = AttoFil(if dice.is_multiple_of(2) { 0 } else { u128::from(dice % 1_000) * GWEI / 3 });
                (client, Command::Open { terms, spec })
            }
            Kind::OpenSigned => (anyone, Command::OpenSigned { terms, spec, signature }),
            Kind::OpenSignedAndLock => (anyone, Command::OpenSignedAndLock { terms, spec, signature }),
            Kind::Revoke => (
                anyone,
                Command::Revoke { lane: if dice.is_multiple_of(2) { Lane::ZERO } else { Lane::MAX }, up_to: dice % 12 },
            ),
            Kind::Lock => (anyone, Command::Lock { terms }),
            Kind::Award => {
                let price = price(&terms, dice);
                (matcher, Command::Award { terms, provider: anyone, price })
            }
            Kind::Cancel => (if matcher.is_zero() { client } else { matcher }, Command::Cancel { terms }),
            Kind::Expire => (anyone, Command::Expire { terms }),
            Kind::GiveUp => (deal.provider, Command::GiveUp { terms }),
            Kind::Submit => (deal.provider, Command::SubmitResult { terms, result: result(dice) }),
            Kind::Accept => (client, Command::Accept { terms, receipt: receipt() }),
            Kind::Settle => (anyone, Command::Settle { terms, receipt: receipt() }),
            Kind::Dispute => (arbiter, Command::Dispute { terms }),
            Kind::Rule => {
                let verdict = Verdict::ALL[(dice % 3) as usize];
                (arbiter, Command::Rule { terms, receipt: receipt(), verdict })
            }
            Kind::Lapse => (anyone, Command::Lapse { terms, receipt: receipt() }),
            Kind::Retry => (anyone, Command::RetryCallback { terms, receipt: receipt() }),
            Kind::Batch => {
                let entry = |n: u64| {
                    let mut terms = pool[(self.job + n as usize) % pool.len()].terms.clone();
                    if !dice.is_multiple_of(8) {
                        (terms.callback_gas, terms.keep_record) = (0, false);
                    }
                    // Mostly of salts of their own, so that jobs are left to be opened.
                    if !dice.is_multiple_of(5) {
                        terms.salt = salt(Lane::from(1 + dice % 50), dice >> 20 & 63);
                    }
                    let receipt = self::receipt(&terms, account((dice >> (8 * n)) as usize), dice >> n);
                    let until = if dice.is_multiple_of(16) { Time(now.0 - 1) } else { now };
                    accepted(terms, receipt, until)
                };
                (anyone, Command::SettleBatch { entries: (0..dice % 4).map(entry).collect() })
            }
            Kind::Multicall => {
                let calls: Vec<Sent> = self.inner.iter().map(|op| op.sent(market, pool, now)).collect();
                let sender = calls.first().map_or(anyone, |call| call.sender);
                let mut calls: Vec<Command> = calls.into_iter().map(|call| call.command).collect();
                if dice.is_multiple_of(4) && calls.len() > 1 {
                    let tail = calls.split_off(1);
                    calls.push(Command::Multicall { calls: tail });
                }
                (sender, Command::Multicall { calls })
            }
            Kind::Publish => (anyone, Command::PublishSpec { spec }),
            Kind::Announce => (anyone, Command::Announce { url: format!("https://node{dice}.example") }),
        };
        // Nobody sends from the zero address.
        Sent { sender: if sender.is_zero() { anyone } else { sender }, value, command }
    }

    /// What moves a job on from a state.
    fn resolved(&self, status: Status, pending: bool, terms: &Terms) -> Kind {
        if self.kind != Kind::Next {
            return self.kind;
        }
        let choices: &[Kind] = match status {
            Status::None if terms.matcher.is_zero() => &[Kind::Open, Kind::OpenSigned, Kind::OpenSignedAndLock],
            Status::None => &[Kind::Open, Kind::OpenSigned],
            Status::Open if terms.matcher.is_zero() => {
                &[Kind::Lock, Kind::Lock, Kind::Lock, Kind::Expire, Kind::Cancel]
            }
            Status::Open => &[Kind::Award, Kind::Award, Kind::Award, Kind::Expire, Kind::Cancel],
            Status::Locked => &[Kind::Submit, Kind::Submit, Kind::Submit, Kind::Submit, Kind::Expire, Kind::GiveUp],
            Status::Submitted => &[Kind::Dispute, Kind::Dispute, Kind::Dispute, Kind::Accept, Kind::Settle],
            Status::Disputed => &[Kind::Rule, Kind::Rule, Kind::Lapse],
            _ if pending => &[Kind::Retry],
            _ => &[Kind::Withdraw],
        };
        choices[(self.dice >> 32) as usize % choices.len()]
    }

    fn spoil(&self, command: &mut Command) {
        let dice = self.dice >> 3;
        match command {
            Command::Deposit { account } | Command::DepositToken { account, .. } => *account = Address::ZERO,
            Command::DepositTokenWithPermit { account, .. } => *account = MASKED,
            Command::DepositTokenWithAuthorization { from, .. } => *from = Address::ZERO,
            Command::Withdraw { to, amount } => {
                if dice.is_multiple_of(2) {
                    *to = Address::ZERO
                } else {
                    amount.0 = u128::MAX - u128::from(dice)
                }
            }
            Command::OpenSigned { signature, .. } | Command::OpenSignedAndLock { signature, .. } => {
                *signature = Bytes::from_static(b"forged");
            }
            Command::Open { spec, .. } => *spec = Bytes::from(vec![1; if dice.is_multiple_of(2) { 9_000 } else { 9 }]),
            Command::Award { provider, price, .. } => {
                if dice.is_multiple_of(2) {
                    *provider = Address::ZERO
                } else {
                    price.0 += 1
                }
            }
            Command::SubmitResult { result, .. } => result.inline_data = Bytes::from(vec![0; 1_025]),
            Command::Accept { receipt, .. }
            | Command::Settle { receipt, .. }
            | Command::Rule { receipt, .. }
            | Command::Lapse { receipt, .. }
            | Command::RetryCallback { receipt, .. } => match dice % 3 {
                0 => receipt.price.0 += GWEI,
                1 => receipt.provider = OUTSIDER,
                _ => receipt.result.exit_code ^= 1,
            },
            Command::SettleBatch { entries } => {
                for entry in entries {
                    entry.receipt.price.0 ^= 1 << (dice % 100);
                }
            }
            Command::Revoke { up_to, .. } => *up_to = 0,
            Command::Multicall { calls } => calls.resize(257, Command::Announce { url: String::new() }),
            Command::PublishSpec { spec } => *spec = Bytes::from(vec![1; 9_000]),
            Command::Announce { url } => *url = "x".repeat(300),
            Command::Lock { terms }
            | Command::Cancel { terms }
            | Command::Expire { terms }
            | Command::GiveUp { terms }
            | Command::Dispute { terms } => {
                terms.spec = B256::ZERO;
            }
        }
    }
}

/// When a running deal's current window closes.
pub(crate) fn deadline(market: &Market, Job { id, terms }: &Job) -> Option<Time> {
    let deal = market.deal(*id);
    match deal.status {
        Status::Open => Some(terms.lock_by),
        Status::Locked => Some(terms.run_by(deal.since)),
        Status::Submitted => Some(terms.review_by(deal.since)),
        Status::Disputed => Some(terms.rule_by(deal.since)),
        Status::None | Status::Settled | Status::Cancelled | Status::Slashed | Status::Void => None,
    }
}

/// A whole number of gwei within the terms' range, where there is one.
fn price(terms: &Terms, dice: u64) -> AttoFil {
    let range = terms.max_price.0.saturating_sub(terms.min_price.0) / GWEI;
    AttoFil(terms.min_price.0 + u128::from(dice) % (range + 1) * GWEI)
}

fn result(dice: u64) -> JobResult {
    let inline_data = Bytes::from(vec![7; (dice % 5) as usize]);
    JobResult { output: digest(&dice), exit_code: dice as u32, fuel_used: dice, inline_data }
}

fn receipt(terms: &Terms, provider: Address, dice: u64) -> Receipt {
    Receipt { provider, price: price(terms, dice), result: result(dice) }
}
