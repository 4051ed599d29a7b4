//! What must always hold, on random sequences of commands in hostile worlds.
//!
//! `PROPTEST_CASES` sets how many sequences are run (each of up to 80 commands).

use core::hash::{Hash, Hasher};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    hash::DefaultHasher,
};

use alloy_primitives::{Address, U256};
use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};

use super::{
    random::{ACCOUNTS, Job, OUTSIDER, Op, SETTINGS, Sent, account, deadline, endowment, ops, pools},
    script::{MARKET, Outside, TOKEN, accepted, job_of, sign_terms},
};
use crate::{
    model::{Command, Deal, Event, JobId, MAX_BATCH, Market, Reason, Receipt, Rejection, Settings, Status, Terms},
    money::AttoFil,
    time::Time,
    world::{CallError, Contract, Log, World},
};

/// How often each command was accepted and refused.
type Tally = BTreeMap<String, [u64; 2]>;

/// A market, what flowed in and out of it, and what its events said.
struct Trial {
    world: World,
    env: Outside,
    pool: Vec<Job>,
    /// Modulo 2^128: the same money may come and go many times.
    paid_in: AttoFil,
    events: Vec<Event>,
    outcomes: Vec<Result<(), CallError>>,
    /// The jobs that were opened.
    opened: BTreeSet<JobId>,
    /// How often each job ended, and each (client, salt) moved money.
    ends: BTreeMap<JobId, u32>,
    moves: BTreeMap<(Address, U256), u32>,
}

type Checked = Result<(), TestCaseError>;

impl Trial {
    /// In a market of the chain's coin, or of a token.
    fn new(pool: Vec<Job>, is_token: bool) -> Self {
        let mut world = World::new();
        world.deploy_token(TOKEN).expect("nothing is there");
        let settings = Settings { asset: if is_token { TOKEN } else { Address::ZERO }, ..SETTINGS };
        world.deploy(MARKET, Contract::Market(Market::new(settings))).expect("sound settings");
        let mut trial = Self {
            world,
            env: Outside::default(),
            pool,
            paid_in: AttoFil::ZERO,
            events: Vec::new(),
            outcomes: Vec::new(),
            opened: BTreeSet::new(),
            ends: BTreeMap::new(),
            moves: BTreeMap::new(),
        };
        for n in 0..ACCOUNTS {
            let (account, amount) = (account(n), endowment(n));
            let (command, value) = if is_token {
                (Command::DepositToken { account, amount }, AttoFil::ZERO)
            } else {
                (Command::Deposit { account }, amount)
            };
            let sent = Sent { sender: OUTSIDER, value, command };
            trial.endow(&sent);
            trial.execute(&sent).0.expect("deposits are accepted");
            trial.paid_in.0 += amount.0;
        }
        trial
    }

    fn market(&self) -> &Market {
        self.world.market(MARKET).expect("is there from the beginning")
    }

    fn is_token(&self) -> bool {
        self.market().settings().is_token()
    }

    /// What the market owns outside of its books.
    fn owned(&self) -> AttoFil {
        if self.is_token() { self.world.token_wallet(TOKEN, MARKET) } else { self.world.wallet(MARKET) }
    }

    /// Gives the sender what is sent along, or what he lets the market take, if that much can exist.
    fn endow(&mut self, sent: &Sent) {
        let _ = self.world.mint(sent.sender, sent.value);
        let (owner, amount, approves) = match sent.command {
            Command::DepositToken { amount, .. } => (sent.sender, amount, true),
            Command::DepositTokenWithPermit { amount, .. } => (sent.sender, amount, false),
            Command::DepositTokenWithAuthorization { from, amount, .. } => (from, amount, false),
            _ => return,
        };
        let _ = self.world.mint_token(TOKEN, owner, amount);
        if approves {
            self.world.approve(TOKEN, owner, MARKET, amount);
        }
    }

    fn execute(&mut self, sent: &Sent) -> (Result<(), CallError>, Vec<Event>) {
        let Sent { sender, value, command } = sent;
        let mut log = Vec::new();
        let outcome = self.world.execute_on_market(*sender, MARKET, *value, command, &mut self.env, &mut log);
        (outcome, events_of(log))
    }

    /// Lets time pass and the environment be as an operation wants them.
    fn prepare(&mut self, op: &Op) -> Sent {
        self.env.now = op.time(self.market(), &self.pool, self.env.now);
        self.env.payouts = op.payouts;
        self.env.callbacks = op.callbacks;
        self.env.code = op.code;
        self.env.permits = op.payouts;
        self.env.conduct = if op.callbacks || op.payouts { [].into() } else { [op.conduct()].into() };
        self.env.foreign_chain = op.foreign_chain.then_some(5);
        self.env.calls.clear();
        let sent = op.sent(self.market(), &self.pool, self.env.now);
        self.endow(&sent);
        sent
    }

    /// Carries out an operation.
    fn repeat(&mut self, op: &Op) {
        let sent = self.prepare(op);
        let (outcome, mut events) = self.execute(&sent);
        self.events.append(&mut events);
        self.outcomes.push(outcome);
    }

    /// Carries out an operation and checks everything about it.
    fn perform(&mut self, op: &Op, tally: &mut Tally) -> Checked {
        let sent = self.prepare(op);
        let counts = tally.entry(name(&sent.command)).or_default();
        let accepted = self.send(&sent)?;
        counts[usize::from(!accepted)] += 1;
        Ok(())
    }

    fn send(&mut self, sent: &Sent) -> Result<bool, TestCaseError> {
        let (before, env_before) = (self.world.clone(), self.env.clone());
        let (outcome, mut events) = self.execute(sent);
        if let Command::Multicall { calls } = &sent.command {
            self.is_the_sequence(&before, &env_before, sent.sender, calls, (&outcome, &events))?;
        }
        if outcome.is_err() {
            prop_assert_eq!(&self.world, &before, "a refused command changed something");
            prop_assert!(events.is_empty(), "a refused command said something");
            // What happened in it is undone: no money left.
            self.env = env_before;
        } else {
            if self.is_token() {
                self.count_tokens(&events);
            } else if matches!(sent.command, Command::Deposit { .. } | Command::Open { .. }) {
                self.paid_in.0 = self.paid_in.0.wrapping_add(sent.value.0);
            }
            self.count(&events, &sent.command)?;
        }
        let before = before.market(MARKET).expect("was there");
        self.nobody_pays_unasked(before, sent)?;
        self.lives_go_forward(before, &sent.command)?;
        self.money_is_conserved()?;
        self.events.append(&mut events);
        let accepted = outcome.is_ok();
        self.outcomes.push(outcome);
        Ok(accepted)
    }

    /// Which tokens the market says came in and went out; what it owns of them tells whether that is so.
    fn count_tokens(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::Deposited { amount, .. } => self.paid_in.0 = self.paid_in.0.wrapping_add(amount.0),
                Event::Withdrawn { amount, .. } => self.env.paid.0 = self.env.paid.0.wrapping_add(amount.0),
                _ => {}
            }
        }
    }

    /// Everything paid in is a free balance, held for a deal, burned, or was paid out; and the sums are those of the parts.
    fn money_is_conserved(&self) -> Checked {
        let market = self.market();
        let free: AttoFil = market.balances().map(|(_, balance)| balance).sum();
        let (escrowed, collateral, burned) = (market.escrowed(), market.collateral(), market.burned());
        prop_assert_eq!(free.0 + escrowed.0 + collateral.0 + burned.0, market.held().0);
        prop_assert_eq!(self.paid_in.0, market.held().0.wrapping_add(self.env.paid.0));
        prop_assert_eq!(self.owned(), market.held(), "the market owns what it holds");
        let tokens: AttoFil = self.world.token_wallets(TOKEN).map(|(_, owned)| owned).sum();
        prop_assert_eq!(tokens, self.world.token_minted(TOKEN));
        prop_assert_eq!(self.world.wallets().map(|(_, owned)| owned).sum::<AttoFil>(), self.world.minted());
        let (mut wanted_escrow, mut wanted_collateral) = (0, 0);
        let jobs: BTreeMap<JobId, &Terms> = self.pool.iter().map(|job| (job.id, &job.terms)).collect();
        for (id, terms) in jobs {
            let deal = market.deal(id);
            wanted_escrow += match deal.status {
                Status::Open => terms.max_price.0,
                Status::Locked => deal.price.0,
                Status::Submitted | Status::Disputed => deal.receipt.map_or(0, |receipt| receipt.price.0),
                _ => 0,
            };
            if matches!(deal.status, Status::Locked | Status::Submitted | Status::Disputed) {
                wanted_collateral += terms.collateral.0;
            }
        }
        prop_assert_eq!((escrowed.0, collateral.0), (wanted_escrow, wanted_collateral));
        prop_assert!(market.balances().all(|(_, balance)| balance != AttoFil::ZERO), "an empty account is remembered");
        Ok(())
    }

    /// Only who sent the command, or signed what is in it, has less afterwards.
    fn nobody_pays_unasked(&self, before: &Market, sent: &Sent) -> Checked {
        let mut payers = BTreeSet::from([sent.sender]);
        signers(&sent.command, &mut payers);
        for n in 0..ACCOUNTS {
            let account = account(n);
            if !payers.contains(&account) {
                prop_assert!(self.market().balance(account) >= before.balance(account), "{} paid unasked", account);
            }
        }
        prop_assert!(self.market().burned() >= before.burned());
        Ok(())
    }

    fn lives_go_forward(&self, before: &Market, command: &Command) -> Checked {
        for Job { id: job, terms } in &self.pool {
            let job = *job;
            let (old, new) = (before.deal(job), self.market().deal(job));
            if old.status.is_final() {
                let delivered = Deal { callback_pending: false, ..old };
                let after = if terms.keep_record { delivered } else { Deal::NONE };
                prop_assert!(new == old || old.callback_pending && new == after, "{:?} -> {:?}", old, new);
            } else if new.status == Status::None {
                // Whether it has ended `count` says.
                prop_assert!(old.status == Status::None || !terms.keep_record, "{:?} -> {:?}", old, new);
            } else if old.status != new.status && !matches!(command, Command::Multicall { .. }) {
                let allowed: &[Status] = match old.status {
                    Status::None => &[Status::Open, Status::Locked],
                    Status::Open => &[Status::Locked, Status::Cancelled],
                    Status::Locked if terms.has_arbiter() => &[Status::Submitted, Status::Slashed],
                    Status::Locked => &[Status::Settled, Status::Slashed],
                    Status::Submitted => &[Status::Settled, Status::Disputed],
                    _ => &[Status::Settled, Status::Slashed, Status::Void],
                };
                prop_assert!(allowed.contains(&new.status), "{:?} -> {:?}", old, new);
            }
            prop_assert_eq!(new.status.is_final(), new.reason != Reason::None);
            prop_assert!(new.status == Status::None || self.market().is_spent(terms.client, terms.salt));
        }
        Ok(())
    }

    /// Each job ends once; each (client, salt) moves money once.
    fn count(&mut self, events: &[Event], command: &Command) -> Checked {
        let mut salts = BTreeMap::new();
        batched(command, &mut salts);
        for event in events {
            let Some(job) = event.job() else { continue };
            match event {
                Event::JobOpened { terms, .. } => {
                    self.opened.insert(job);
                    *self.moves.entry((terms.client, terms.salt)).or_default() += 1;
                }
                Event::BatchSettled { .. } => {
                    let Some(salt) = salts.get(&job) else { return Err(TestCaseError::fail("an unknown job")) };
                    *self.moves.entry(*salt).or_default() += 1;
                    *self.ends.entry(job).or_default() += 1;
                }
                Event::JobSettled { .. }
                | Event::JobCancelled { .. }
                | Event::JobSlashed { .. }
                | Event::JobVoided { .. } => *self.ends.entry(job).or_default() += 1,
                _ => {}
            }
        }
        prop_assert!(self.ends.values().all(|count| *count == 1), "a job ended twice: {:?}", self.ends);
        prop_assert!(self.moves.values().all(|count| *count == 1), "a salt moved money twice: {:?}", self.moves);
        for Job { id: job, terms } in &self.pool {
            let deal = self.market().deal(*job);
            let ended = self.ends.contains_key(job);
            if deal.status == Status::None {
                prop_assert!(ended || !self.opened.contains(job), "{} is gone and has not ended", job);
            } else {
                prop_assert_eq!(deal.status.is_final(), ended);
                prop_assert!(!ended || terms.keep_record || deal.callback_pending, "{:?} is kept for nothing", deal);
            }
        }
        let known: BTreeSet<JobId> = self.pool.iter().map(|job| job.id).collect();
        prop_assert!(self.market().deals().all(|(job, _)| known.contains(&job)));
        Ok(())
    }

    /// A multicall does what its commands do one after the other, or fails as the first of them that fails.
    fn is_the_sequence(
        &self,
        before: &World,
        env: &Outside,
        sender: Address,
        calls: &[Command],
        (outcome, events): (&Result<(), CallError>, &[Event]),
    ) -> Checked {
        let (mut world, mut env, mut log) = (before.clone(), env.clone(), Vec::new());
        let mut run = || -> Result<(), CallError> {
            if calls.len() > MAX_BATCH {
                return Err(CallError::Rejected(Rejection::TooMany(calls.len() as u64)));
            }
            let zero = AttoFil::ZERO;
            calls.iter().try_for_each(|call| world.execute_on_market(sender, MARKET, zero, call, &mut env, &mut log))
        };
        let wanted = run();
        prop_assert_eq!(outcome, &wanted);
        if wanted.is_ok() {
            prop_assert_eq!(&self.world, &world);
            prop_assert_eq!(&self.env.calls, &env.calls);
            prop_assert_eq!(events, &events_of(log));
        }
        Ok(())
    }

    /// Whatever happened: a stranger and time alone end every deal, and everybody can leave with everything.
    fn can_be_wound_up(&mut self) -> Checked {
        (self.env.callbacks, self.env.code) = (false, true);
        self.env.payouts = false;
        self.env.conduct.clear();
        self.env.foreign_chain = Some(5);
        for job in self.pool.clone() {
            let Job { id, terms } = &job;
            for _ in 0..2 {
                let Some(due) = deadline(self.market(), &job) else { break };
                let deal = self.market().deal(*id);
                let (status, receipt) = (deal.status, deal.receipt.cloned());
                let provider = receipt.as_ref().map(|receipt| (receipt.provider, receipt.price));
                let command = match (status, receipt) {
                    (Status::None, _) => break,
                    (Status::Submitted, Some(receipt)) => Command::Settle { terms: terms.clone(), receipt },
                    (Status::Disputed, Some(receipt)) => Command::Lapse { terms: terms.clone(), receipt },
                    _ => Command::Expire { terms: terms.clone() },
                };
                self.env.now = self.env.now.max(due.after(1));
                let before = self.market().clone();
                let sent = Sent { sender: OUTSIDER, value: AttoFil::ZERO, command };
                prop_assert!(self.send(&sent)?, "nobody can end {:?}", before.deal(*id));
                if let (Status::Submitted, Some((provider, price))) = (status, provider) {
                    let paid = self.market().balance(provider).0 - before.balance(provider).0;
                    prop_assert_eq!(paid, price.0 + terms.collateral.0, "an undisputed result is paid");
                }
            }
            prop_assert!(matches!(self.market().deal(*id).status, s if s.is_final() || s == Status::None));
        }
        prop_assert_eq!((self.market().escrowed(), self.market().collateral()), (AttoFil::ZERO, AttoFil::ZERO));
        (self.env.payouts, self.env.callbacks) = (true, true);
        for Job { id, terms } in self.pool.clone() {
            let deal = self.market().deal(id);
            if deal.callback_pending {
                let command = Command::RetryCallback { receipt: deal.receipt.cloned().unwrap_or_default(), terms };
                let delivered = self.send(&Sent { sender: OUTSIDER, value: AttoFil::ZERO, command })?;
                prop_assert!(delivered, "{} cannot be called back", id);
            }
        }
        let records: BTreeSet<JobId> = self.pool.iter().filter(|job| job.terms.keep_record).map(|job| job.id).collect();
        let kept: Vec<_> = self.market().deals().map(|(job, _)| job).collect();
        prop_assert!(kept.iter().all(|job| records.contains(job)), "more is kept than the records: {:?}", kept);
        for (account, amount) in self.market().balances().collect::<Vec<_>>() {
            let sent =
                Sent { sender: account, value: AttoFil::ZERO, command: Command::Withdraw { to: account, amount } };
            prop_assert!(self.send(&sent)?, "{} cannot leave with {}", account, amount);
        }
        prop_assert_eq!(self.market().held(), self.market().burned());
        Ok(())
    }
}

fn events_of(log: Vec<Log>) -> Vec<Event> {
    log.iter().filter_map(|Log { event, .. }| event.of_market().cloned()).collect()
}

/// The clients whose valid signatures a command carries.
fn signers(command: &Command, found: &mut BTreeSet<Address>) {
    match command {
        Command::OpenSigned { terms, signature, .. } | Command::OpenSignedAndLock { terms, signature, .. }
            if *signature == sign_terms(terms) =>
        {
            found.insert(terms.client);
        }
        Command::SettleBatch { entries } => {
            for entry in entries {
                if *entry == accepted(entry.terms.clone(), entry.receipt.clone(), entry.until) {
                    found.insert(entry.terms.client);
                }
            }
        }
        Command::Multicall { calls } => calls.iter().for_each(|call| signers(call, found)),
        _ => {}
    }
}

/// The jobs in the batches of a command, with their clients and salts.
fn batched(command: &Command, found: &mut BTreeMap<JobId, (Address, U256)>) {
    match command {
        Command::SettleBatch { entries } => {
            found.extend(entries.iter().map(|entry| (job_of(&entry.terms), (entry.terms.client, entry.terms.salt))));
        }
        Command::Multicall { calls } => calls.iter().for_each(|call| batched(call, found)),
        _ => {}
    }
}

/// The command's name.
fn name(command: &Command) -> String {
    let text = format!("{command:?}");
    text.split([' ', '{']).next().unwrap_or_default().to_owned()
}

fn hash(market: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    market.hash(&mut hasher);
    hasher.finish()
}

#[test]
fn the_invariants_hold_whatever_anybody_does() {
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { Config::default().cases } else { 1_000 };
    let mut runner = TestRunner::new(Config { cases, source_file: Some(file!()), ..Config::default() });
    let tally = RefCell::new(Tally::new());
    let sequences = (pools(), prop::bool::weighted(0.3), prop::collection::vec(ops(), 1..80));
    let outcome = runner.run(&sequences, |(pool, is_token, ops)| {
        let mut trial = Trial::new(pool.clone(), is_token);
        for op in &ops {
            trial.perform(op, &mut tally.borrow_mut())?;
        }
        // The same commands give the same state, hash and events.
        let mut again = Trial::new(pool, is_token);
        for op in &ops {
            again.repeat(op);
        }
        prop_assert_eq!(hash(&trial.world), hash(&again.world));
        prop_assert_eq!(&trial.world, &again.world);
        prop_assert_eq!(&trial.events, &again.events);
        prop_assert_eq!(&trial.outcomes, &again.outcomes);
        // A world survives being written down.
        let json = serde_json::to_vec(&trial.world).expect("serialises");
        prop_assert_eq!(&serde_json::from_slice::<World>(&json).expect("reads back"), &trial.world);
        let cbor = serde_ipld_dagcbor::to_vec(&trial.world).expect("serialises");
        prop_assert_eq!(&serde_ipld_dagcbor::from_slice::<World>(&cbor).expect("reads back"), &trial.world);
        trial.can_be_wound_up()
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    let tally = tally.into_inner();
    let total: u64 = tally.values().flatten().sum();
    println!("{total} commands in {cases} sequences; accepted and refused:");
    for (name, [accepted, refused]) in &tally {
        println!("  {name:<18} {accepted:>8} {refused:>8}");
        // Were a command never accepted or never refused, nothing would have been tested.
        let tried = *accepted > 0 && (*refused > 0 || name == "Revoke");
        assert!(cases < 200 || tried, "{name}: {accepted} accepted, {refused} refused");
    }
    assert!(cases < 200 || tally.len() == 25, "some commands never came: {tally:?}");
}

#[test]
fn receipts_that_differ_are_different() {
    // The model compares receipts where the contract compares digests: a default receipt is not "no receipt".
    assert_ne!(Some(&Receipt::default()), Deal::NONE.receipt);
    assert_eq!(Market::new(SETTINGS).deal(JobId::default()), Deal::NONE);
    assert_eq!(Deal::NONE.since, Time(0));
}
