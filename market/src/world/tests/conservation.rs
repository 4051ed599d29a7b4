//! No money is made or lost, and what is taken back has never happened: on random calls of two markets, in whose callbacks
//! and payouts further calls are made, with savepoints over all of it.
//!
//! `PROPTEST_CASES` sets how many worlds are tried.

use std::{cell::RefCell, collections::BTreeMap};

use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};

use super::*;
use crate::model::tests::{
    random::{ACCOUNTS, Job, Op, SETTINGS, account, endowment, ops, payments, pools, steps_forward},
    script::{TOKEN, is_signature, job_of, sign_acceptance, sign_terms},
};
use crate::movements::{Accounts, Holder, Pocket};

type Checked = Result<(), TestCaseError>;

/// What a market is called with, and what everybody's code does meanwhile.
#[derive(Clone, Debug)]
struct Turn {
    market: usize,
    op: Op,
    scripts: Vec<Planned>,
}

/// A script before it is known what fits.
#[derive(Clone, Debug)]
struct Planned {
    calls: Vec<(usize, Planning, bool)>,
    end: End,
}

/// A call before it is known what fits.
#[derive(Clone, Debug)]
enum Planning {
    Any(Op),
    /// The next job of the pool, from this one on, that is not open yet; paid by the wallet.
    Open(usize),
    Deposit(usize, u64),
}

/// What is done with savepoints before a turn.
#[derive(Clone, Copy, Debug)]
enum Mark {
    None,
    Open,
    /// The open savepoint of this number, modulo how many there are.
    Keep(usize),
    RollBack(usize),
}

fn turns() -> impl Strategy<Value = Turn> {
    let end = prop_oneof![4 => Just(End::Return), 1 => Just(End::Revert), 1 => Just(End::OutOfGas)];
    let planning = prop_oneof![
        1 => ops().prop_map(Planning::Any),
        4 => steps_forward().prop_map(Planning::Any),
        2 => (0..12_usize).prop_map(Planning::Open),
        1 => (0..ACCOUNTS, 0..1_000_u64).prop_map(|(account, amount)| Planning::Deposit(account, amount)),
    ];
    let calls = prop::collection::vec((0..2_usize, planning, prop::bool::weighted(0.85)), 0..4);
    let planned = (calls, end).prop_map(|(calls, end)| Planned { calls, end });
    let turn = prop_oneof![1 => ops(), 3 => steps_forward(), 1 => payments()];
    (0..2_usize, turn, prop::collection::vec(planned, 0..4)).prop_map(|(market, op, scripts)| Turn {
        market,
        op,
        scripts,
    })
}

fn marks() -> impl Strategy<Value = Mark> {
    prop_oneof![
        6 => Just(Mark::None),
        2 => Just(Mark::Open),
        1 => (0..8_usize).prop_map(Mark::Keep),
        2 => (0..8_usize).prop_map(Mark::RollBack),
    ]
}

/// Code that does what was planned; a signature is good if it is the one that the random commands carry.
#[derive(Clone, Debug)]
struct Players {
    now: Time,
    foreign_chain: Option<u64>,
    scripts: VecDeque<Script>,
    /// What tokens do, as long as it is not what they should.
    conduct: VecDeque<Conduct>,
    /// Whether accounts have code.
    code: bool,
    /// How many scripts with calls were begun.
    begun: u64,
}

impl Env for Players {
    fn now(&self) -> Time {
        self.now
    }
    fn job_id(&self, _: Address, terms: &Terms) -> JobId {
        job_of(terms)
    }
    fn spec_digest(&self, spec: &Bytes) -> B256 {
        digest(spec)
    }
    fn foreign_chain(&self) -> Option<u64> {
        self.foreign_chain
    }
    fn signature_valid(&self, _: Address, client: Address, what: &Signed<'_>, signature: &Bytes) -> bool {
        is_signature(client, what, signature)
    }
    fn has_code(&self, _: Address) -> bool {
        self.code
    }
    fn permit_valid(&self, _: Address, _: Address, _: Address, amount: AttoFil, _: &Permit) -> bool {
        !amount.0.is_multiple_of(2)
    }
    fn authorization_valid(&self, _: Address, _: Address, _: Address, amount: AttoFil, _: &Authorization) -> bool {
        !amount.0.is_multiple_of(3)
    }
    fn conduct(&mut self, _: &TokenTransfer) -> Conduct {
        let conduct = self.conduct.pop_front().unwrap_or_default();
        self.begun += u64::from(!conduct.script.calls.is_empty());
        conduct
    }
    fn script(&mut self, _: &ExternalCall<'_>) -> Script {
        let script = self.scripts.pop_front().unwrap_or_default();
        self.begun += u64::from(!script.calls.is_empty());
        script
    }
}

/// A world and what its events say.
#[derive(Clone)]
struct Trial {
    world: World,
    env: Players,
    pools: [Vec<Job>; 2],
    log: Vec<Log>,
}

const MARKETS: [Address; 2] = [HERE, THERE];
/// Money that was forced on each market.
const FORCED: AttoFil = AttoFil(7);

fn players() -> Players {
    let (scripts, conduct) = (VecDeque::new(), VecDeque::new());
    Players { now: START, foreign_chain: None, scripts, conduct, code: true, begun: 0 }
}

/// How the market of this number is paid: what is sent along, and the command.
fn paying(index: usize, account: Address, amount: AttoFil) -> (AttoFil, Command) {
    if index == 0 { (amount, Command::Deposit { account }) } else { (ZERO, Command::DepositToken { account, amount }) }
}

impl Trial {
    fn new(mut pools: [Vec<Job>; 2]) -> Self {
        // Most jobs call back, and are over soon.
        for (n, Job { id, terms }) in pools.iter_mut().flatten().enumerate() {
            if n % 4 > 0 {
                (terms.callback_gas, terms.arbiter, terms.matcher) = (1_000, Address::ZERO, Address::ZERO);
                (terms.review_for, terms.rule_for) = (0, 0);
                *id = job_of(terms);
            }
        }
        let mut world = World::with_market(HERE, SETTINGS);
        // A second market, for a token, with other settings: half of the jobs with callbacks cannot be opened there.
        world.deploy_token(TOKEN).expect("nothing is there");
        let other = Settings { asset: TOKEN, max_callback_gas: SETTINGS.max_callback_gas / 2, ..SETTINGS };
        world.deploy(THERE, Contract::Market(Market::new(other))).expect("nothing is there");
        world.mint(HERE, FORCED).expect("there is room");
        world.mint_token(TOKEN, THERE, FORCED).expect("there is room");
        let env = players();
        let mut trial = Self { world, env, pools, log: Vec::new() };
        for n in 0..ACCOUNTS {
            let (account, amount) = (account(n), endowment(n));
            trial.world.mint(account, AttoFil(amount.0 * 2)).expect("there is room");
            trial.world.mint_token(TOKEN, account, AttoFil(amount.0 * 2)).expect("there is room");
            assert!(trial.world.approve(TOKEN, account, THERE, AttoFil(u128::MAX)));
            for (index, contract) in MARKETS.into_iter().enumerate() {
                let (value, command) = paying(index, account, amount);
                let call = Call { sender: account, contract, value, command: command.into() };
                trial.world.execute(&call, &mut trial.env, &mut trial.log).expect("a deposit");
            }
        }
        trial
    }

    fn market(&self, index: usize) -> &Market {
        self.world.market(MARKETS[index]).expect("is there from the beginning")
    }

    fn call(&self, index: usize, op: &Op) -> Call {
        let sent = op.sent(self.market(index), &self.pools[index], self.env.now);
        Call { sender: sent.sender, contract: MARKETS[index], value: sent.value, command: sent.command.into() }
    }

    fn planned(&self, index: usize, planning: &Planning) -> Call {
        let contract = MARKETS[index];
        let (sender, value, command) = match planning {
            Planning::Any(op) => return self.call(index, op),
            Planning::Deposit(n, amount) => {
                let (value, command) = paying(index, account(n + 1), AttoFil(u128::from(*amount)));
                (account(*n), value, command)
            }
            Planning::Open(first) => {
                let (before, after) = self.pools[index].split_at(first % self.pools[index].len());
                let is_new = |job: &&Job| self.market(index).deal(job.id).status == Status::None;
                let terms = after.iter().chain(before).find(is_new).unwrap_or(&after[0]).terms.clone();
                let value = if index == 0 { terms.max_price } else { ZERO };
                (terms.client, value, Command::Open { terms, spec: Bytes::new() })
            }
        };
        Call { sender, contract, value, command: command.into() }
    }

    /// What fits now: what is called within the call may not fit any more when its time has come.
    fn prepare(&mut self, turn: &Turn) -> Call {
        let Turn { market, op, scripts } = turn;
        self.env.now = op.time(self.market(*market), &self.pools[*market], self.env.now);
        self.env.foreign_chain = op.foreign_chain.then_some(5);
        let scripted = |(market, planning, may_fail): &(usize, Planning, bool)| ScriptedCall {
            call: self.planned(*market, planning),
            may_fail: *may_fail,
        };
        let script =
            |Planned { calls, end }: &Planned| Script { calls: calls.iter().map(scripted).collect(), end: *end };
        self.env.scripts = scripts.iter().map(script).collect();
        self.env.code = op.code;
        // Every other token does its own things: those that are planned for others, or worse.
        let calls_back = |script| Conduct { script, ..Conduct::default() };
        self.env.conduct = match (op.payouts, op.callbacks) {
            (true, _) => VecDeque::new(),
            (false, true) => self.env.scripts.iter().cloned().map(calls_back).collect(),
            (false, false) => [op.conduct()].into(),
        };
        self.call(*market, op)
    }

    fn take(&mut self, turn: &Turn) -> Result<(), CallError> {
        let call = self.prepare(turn);
        self.world.execute(&call, &mut self.env, &mut self.log)
    }

    /// All that is in it.
    fn dump(&self) -> String {
        serde_json::to_string(&(&self.world, &self.log)).expect("serialises")
    }

    fn money_is_conserved(&self) -> Checked {
        let world = &self.world;
        prop_assert_eq!(world.wallets().map(|(_, owned)| owned).sum::<AttoFil>(), world.minted());
        let tokens: AttoFil = world.token_wallets(TOKEN).map(|(_, owned)| owned).sum();
        prop_assert_eq!(tokens, world.token_minted(TOKEN));
        prop_assert_eq!(world.wallet(THERE), ZERO, "the market of the token takes no coins");
        for (index, address) in MARKETS.into_iter().enumerate() {
            let market = self.market(index);
            let free: AttoFil = market.balances().map(|(_, balance)| balance).sum();
            let held = free.0 + market.escrowed().0 + market.collateral().0 + market.burned().0;
            let owned = if index == 0 { world.wallet(address) } else { world.token_wallet(TOKEN, address) };
            prop_assert_eq!(owned.0, held + FORCED.0);
            prop_assert_eq!(market.held().0, held);
            // What it said came in and went out.
            let moved = |log: &Log| match &log.event {
                _ if log.contract != address => 0,
                ContractEvent::Market(Event::Deposited { amount, .. }) => amount.0 as i128,
                ContractEvent::Market(Event::Withdrawn { amount, .. }) => -(amount.0 as i128),
                _ => 0,
            };
            prop_assert_eq!(self.log.iter().map(moved).sum::<i128>(), held as i128);
        }
        Ok(())
    }
}

/// Runs random worlds; unless few were asked for, everything worth trying must have come up.
fn run<T: core::fmt::Debug>(
    strategy: &impl Strategy<Value = T>,
    wanted: &[&str],
    test: impl Fn(T, &mut BTreeMap<&'static str, u64>) -> Checked,
) {
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { Config::default().cases } else { 200 };
    let mut runner = TestRunner::new(Config { cases, source_file: Some(file!()), ..Config::default() });
    let tally = RefCell::new(BTreeMap::new());
    let outcome = runner.run(strategy, |input| test(input, &mut tally.borrow_mut()));
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    let tally = tally.into_inner();
    println!("in {cases} worlds: {tally:?}");
    assert!(cases < 200 || wanted.iter().all(|what| tally.get(what) > Some(&2)), "wanted {wanted:?}: {tally:?}");
}

/// What the events say, folded, is what the world holds.
fn agree(accounts: &Accounts, trial: &Trial) -> Checked {
    let (world, market) = (&trial.world, trial.market(0));
    let sum = |pocket| accounts.all().map(|(_, held)| held.of(pocket).0).sum::<u128>();
    for n in 0..ACCOUNTS {
        let (account, held) = (account(n), accounts.of(account(n)));
        prop_assert_eq!((held.wallet, held.market), (world.wallet(account), market.balance(account)));
    }
    for (account, balance) in market.balances() {
        prop_assert_eq!(accounts.of(account).market, balance);
    }
    prop_assert_eq!(sum(Pocket::Market), market.balances().map(|(_, balance)| balance.0).sum::<u128>());
    prop_assert_eq!(sum(Pocket::Escrow), market.escrowed().0);
    prop_assert_eq!(sum(Pocket::Collateral), market.collateral().0);
    prop_assert_eq!(sum(Pocket::Burned), market.burned().0);
    Ok(())
}

#[test]
fn movements_say_where_everybodys_money_lies() {
    let strategy = ([pools(), pools()], prop::collection::vec((turns(), any::<bool>()), 60..120));
    let causes = ["paid", "staked", "escrow_returned", "stake_burned", "price_reduced", "batch_paid", "withdrawn"];
    run(&strategy, &causes, |(pools, turns), tally| {
        let mut trial = Trial::new(pools);
        let (mut accounts, mut movements) = (Accounts::default(), Vec::new());
        for n in 0..ACCOUNTS {
            accounts.minted(account(n), AttoFil(endowment(n).0 * 2), &mut movements);
        }
        let mut told = 0;
        for (turn, is_undone) in &turns {
            // A refusal changes nothing.
            let _ = trial.take(turn);
            let news: Vec<Log> = trial.log[told..].iter().filter(|log| log.contract == HERE).cloned().collect();
            told = trial.log.len();
            let before = accounts.clone();
            if *is_undone {
                accounts.open_savepoint();
                news.iter().for_each(|log| accounts.take(log, &mut Vec::new()));
                accounts.roll_back();
                prop_assert_eq!(&accounts, &before);
            }
            movements.clear();
            news.iter().for_each(|log| accounts.take(log, &mut movements));
            agree(&accounts, &trial)?;
            // The movements alone come to the same.
            for account in accounts.all().map(|(account, _)| account) {
                for pocket in Pocket::ALL {
                    let holder = Holder { account, pocket };
                    let into: u128 = movements.iter().filter(|m| m.to == holder).map(|m| m.amount.0).sum();
                    let from: u128 = movements.iter().filter(|m| m.from == Some(holder)).map(|m| m.amount.0).sum();
                    prop_assert_eq!(before.of(account).of(pocket).0 + into, accounts.of(account).of(pocket).0 + from);
                }
            }
            for movement in &movements {
                *tally.entry(movement.cause.name()).or_default() += 1;
            }
        }
        Ok(())
    });
}

#[test]
fn money_is_conserved_to_the_last_attofil() {
    let strategy = ([pools(), pools()], prop::collection::vec(turns(), 60..120));
    let wanted = [
        "accepted",
        "refused",
        "scripts",
        "nested scripts",
        "callbacks that opened",
        "undone scripts",
        "tokens in",
        "tokens out",
        "tokens in from within a callback",
        "mismatches",
    ];
    run(&strategy, &wanted, |(pools, turns), tally| {
        let mut trial = Trial::new(pools);
        for turn in &turns {
            let (before, said, begun) = (trial.world.clone(), trial.log.len(), trial.env.begun);
            let outcome = trial.take(turn);
            let news = &trial.log[said..];
            let mut count = |what, times: bool| *tally.entry(what).or_default() += u64::from(times);
            count("accepted", outcome.is_ok());
            count("refused", outcome.is_err());
            count("scripts", trial.env.begun > begun);
            count("nested scripts", trial.env.begun > begun + 1);
            let names: Vec<String> =
                news.iter().filter_map(|Log { event, .. }| event.of_market()).map(name_of).collect();
            let position = |name: &str| names.iter().position(|found| found == name);
            count("callbacks that opened", position("CallbackDelivered") > position("JobOpened").or(Some(usize::MAX)));
            count("undone scripts", trial.env.begun > begun && position("CallbackFailed").is_some());
            let there = |name: &str| {
                news.iter().any(|Log { contract, event }| {
                    *contract == THERE && event.of_market().is_some_and(|event| name_of(event) == name)
                })
            };
            count("tokens in", there("Deposited"));
            count("tokens out", there("Withdrawn"));
            count("tokens in from within a callback", there("Deposited") && position("CallbackDelivered") > Some(1));
            let mismatch =
                matches!(outcome, Err(CallError::Rejected(crate::model::Rejection::TransferMismatch { .. })));
            count("mismatches", mismatch);
            if outcome.is_err() {
                prop_assert_eq!(&trial.world, &before, "a refused call changed something");
                prop_assert!(news.is_empty(), "a refused call said something");
            }
            trial.money_is_conserved()?;
        }
        Ok(())
    });
}

#[test]
fn what_is_rolled_back_has_never_happened() {
    let strategy = ([pools(), pools()], prop::collection::vec((marks(), turns()), 40..80));
    let wanted = ["kept", "rolled back", "several at once"];
    run(&strategy, &wanted, |(pools, turns), tally| {
        // `plain` has no savepoints: it is copied where one is opened, and put back where one is rolled back.
        let (mut trial, mut plain) = (Trial::new(pools.clone()), Trial::new(pools));
        let mut open: Vec<(Savepoint, usize, Trial)> = Vec::new();
        for (mark, turn) in turns {
            match mark {
                Mark::None => {}
                Mark::Open => open.push((trial.world.savepoint(), trial.log.len(), plain.clone())),
                Mark::Keep(_) | Mark::RollBack(_) if open.is_empty() => {}
                Mark::Keep(number) => {
                    let inner = open.split_off(number % open.len());
                    let (savepoint, ..) = inner.into_iter().next().expect("at least one");
                    trial.world.keep(savepoint);
                    *tally.entry("kept").or_default() += 1;
                }
                Mark::RollBack(number) => {
                    let inner = open.split_off(number % open.len());
                    *tally.entry("several at once").or_default() += u64::from(inner.len() > 1);
                    let (savepoint, said, before) = inner.into_iter().next().expect("at least one");
                    trial.world.roll_back(savepoint);
                    trial.log.truncate(said);
                    trial.env = before.env.clone();
                    plain = before;
                    *tally.entry("rolled back").or_default() += 1;
                }
            }
            prop_assert_eq!(trial.take(&turn), plain.take(&turn));
            prop_assert_eq!(trial.dump(), plain.dump());
            trial.money_is_conserved()?;
        }
        if let Some((savepoint, ..)) = open.into_iter().next() {
            trial.world.keep(savepoint);
        }
        prop_assert_eq!(&trial.world, &plain.world);
        prop_assert_eq!(
            serde_json::from_str::<World>(&serde_json::to_string(&trial.world).expect("serialises"))
                .expect("reads back"),
            plain.world
        );
        Ok(())
    });
}

#[test]
fn signatures_are_those_that_the_random_commands_carry() {
    let players = players();
    let (terms, receipt) = (terms(0), Receipt::default());
    let (job, client) = (job_of(&terms), terms.client);
    assert!(players.signature_valid(HERE, client, &Signed::Terms(job), &sign_terms(&terms)));
    let accepted = Signed::Acceptance(job, &receipt, START);
    assert!(players.signature_valid(HERE, client, &accepted, &sign_acceptance(&terms, &receipt, START)));
    assert!(!players.signature_valid(HERE, client, &accepted, &sign_terms(&terms)));
}
