//! The deployed auction against its twin, each in one world with its market.
//!
//! Random commands to both contracts, by a few bidders, a client, and a client that has code: it deposits and opens jobs at the
//! market from within its callbacks, and tries what it can in the auction. After every command success, every event of both
//! contracts, the refusal with its fields, all accounts, auctions and sealed bids, and how many storage slots are used must agree.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use alloy::primitives::Log;
use lota_bridge::{
    StoredDeal,
    evm::{
        auction as contract,
        bindings::{self, Revert},
    },
};
use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    auction::{Bid, Command, Event, Rejection, SealedBidAuction, deposit, reveal_until},
    model::{self, Command as MarketCommand, JobResult, Market, Status, Terms},
    world::{
        Call, CallError, Conduct, Contract, ContractCommand, ContractEvent, End, Log as WorldLog, Script, ScriptedCall,
        World,
    },
};
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::{
    Counterexample,
    chain::{CHAIN_ID, CallOutcome, Chain, Currency, SETTINGS, WALLET},
    comparison::START,
    oracle::{Ids, Oracle},
    party::{Behaviour, MARKET, Parties, Party, masked},
    scripted,
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
}

impl AuctionMutant {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::FirstPrice,
        Self::LaterTie,
        Self::DepositToClient,
        Self::KeptCollateral,
        Self::HopelessStake,
        Self::LateCommit,
        Self::CopiedCommitment,
        Self::OpenGuard,
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
const OUTCOMES: [&str; 31] = [
    "Fund",
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
];

#[derive(Clone, Debug)]
struct Step {
    at: Time,
    sender: Address,
    value: AttoFil,
    command: ContractCommand,
    /// What the client with code does when it is called.
    script: Script,
}

struct Difference {
    what: String,
    contract: String,
    twin: String,
}

fn same<T: PartialEq + fmt::Debug>(what: impl Into<String>, contract: &T, twin: &T) -> Result<(), Difference> {
    if contract == twin {
        return Ok(());
    }
    Err(Difference { what: what.into(), contract: format!("{contract:?}"), twin: format!("{twin:?}") })
}

struct Comparison<'a> {
    cast: &'a Parties,
    bidders: Vec<Address>,
    world: World,
    chain: Chain,
    ids: Ids,
    script: Script,
    mutant: Option<AuctionMutant>,
    /// What a mutant thinks that accounts have more in the auction (or less), and at the market.
    amiss: BTreeMap<Address, i128>,
    known: Vec<Terms>,
    now: Time,
}

impl<'a> Comparison<'a> {
    #[expect(clippy::expect_used, clippy::panic, reason = "what cannot be deployed cannot be compared")]
    fn new(cast: &'a Parties, mutant: Option<AuctionMutant>) -> Self {
        let mut chain = Chain::new(cast, Currency::Coin, |_| {});
        if let Err(data) = chain.deploy_at(AUCTION, contract::deployment(MARKET, MIN_REVEAL_PERIOD), |_| {}) {
            panic!("the auction cannot be deployed: {:?}", contract::revert(&data));
        }
        let mut world = World::new();
        world.deploy(MARKET, Contract::Market(Market::new(SETTINGS))).expect("nobody is there");
        world.deploy_auction(AUCTION, MARKET, MIN_REVEAL_PERIOD).expect("nobody is there");
        for party in cast.parties.iter().filter(|party| party.address != MARKET) {
            world.mint(party.address, WALLET).expect("there is room");
        }
        // Accounts, one with a masked id only among them, and contracts that take money.
        let can_bid = |party: &&Party| {
            matches!(party.behaviour, None | Some(Behaviour::Silent | Behaviour::Agreeable | Behaviour::Talkative))
        };
        let bidders = cast.parties.iter().filter(can_bid).map(|party| party.address).collect();
        Self {
            cast,
            bidders,
            world,
            chain,
            ids: Ids::default(),
            script: Script::default(),
            mutant,
            amiss: BTreeMap::new(),
            known: Vec::new(),
            now: START,
        }
    }

    fn auction(&self) -> &SealedBidAuction {
        #[expect(clippy::expect_used, reason = "`new` puts it there")]
        self.world.auction(AUCTION).expect("is there from the beginning")
    }

    fn market(&self) -> &Market {
        #[expect(clippy::expect_used, reason = "`new` puts it there")]
        self.world.market(MARKET).expect("is there from the beginning")
    }

    fn is(&self, mutant: AuctionMutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Executes a step on both and compares; says what it came to.
    fn perform(&mut self, step: &Step) -> Result<String, Difference> {
        self.now = step.at;
        let expected = self.expect(step);
        let events = expected.iter().flatten().filter_map(|log| log.event.of_market());
        self.known.extend(events.filter_map(|event| match event {
            model::Event::JobOpened { terms, .. } => Some(terms.clone()),
            _ => None,
        }));
        if self.script != step.script {
            self.script.clone_from(&step.script);
            self.chain.set_code(self.cast.scripted().address, scripted::code(&step.script));
        }
        let (at, data) = match &step.command {
            ContractCommand::Market(command) => (MARKET, bindings::call_data(command)),
            ContractCommand::Auction(command) => (AUCTION, contract::call_data(command)),
        };
        let outcome = match self.chain.execute_at(at, step.sender, step.value, data, step.at, CHAIN_ID) {
            CallOutcome::Done { logs, .. } => Ok(logs.iter().filter_map(read).collect::<Result<Vec<_>, _>>()?),
            CallOutcome::Reverted { data, changed } => {
                same("whether a refusal changes anything", &changed, &false)?;
                Err(refusal(at, &data))
            }
            CallOutcome::Halted(reason) => Err(reason),
        };
        same("the events, or the refusal", &outcome, &expected)?;
        self.compare()?;
        let name = format!("{:?}", step.command);
        let name = name.split(['(', ' ', '{', ')']).nth(1).unwrap_or_default();
        Ok(match outcome {
            Ok(_) => name.to_owned(),
            Err(refusal) => kind(&refusal),
        })
    }

    fn expect(&mut self, step: &Step) -> Result<Vec<WorldLog>, String> {
        let mut oracle = Oracle {
            cast: self.cast,
            ids: &self.ids,
            now: step.at,
            foreign_chain: None,
            script: &step.script,
            conduct: &Conduct::default(),
            mutant: None,
            pending: Default::default(),
            recorded: Vec::new(),
        };
        let before = self.world.auction(AUCTION).cloned();
        let mut log = Vec::new();
        let call = Call {
            sender: step.sender,
            contract: contract_of(&step.command),
            value: step.value,
            command: step.command.clone(),
        };
        let outcome = self.world.execute(&call, &mut oracle, &mut log);
        if let Some(before) = before {
            self.misjudge(step, &before, &mut log);
        }
        match outcome {
            Ok(()) => Ok(log),
            Err(CallError::Rejected(rejection)) => Err(format!("{:?}", Rejection::Market(rejection))),
            Err(CallError::RejectedByAuction(rejection)) => {
                if self.is(AuctionMutant::LateCommit)
                    && let (
                        Rejection::Market(model::Rejection::TooLate { time, .. }),
                        ContractCommand::Auction(Command::Commit { terms, .. }),
                    ) = (&rejection, &step.command)
                    && *time == terms.ramp_start
                {
                    return Ok(Vec::new());
                }
                if self.is(AuctionMutant::CopiedCommitment) && matches!(rejection, Rejection::WrongReveal { .. }) {
                    return Ok(Vec::new());
                }
                Err(format!("{rejection:?}"))
            }
            Err(CallError::NotPayable { .. }) => Err(String::new()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Makes the mutant's mistake.
    fn misjudge(&mut self, step: &Step, before: &SealedBidAuction, log: &mut Vec<WorldLog>) {
        let Some(mutant) = self.mutant else { return };
        let ContractCommand::Auction(command) = &step.command else { return };
        let Some(terms) = command.terms() else { return };
        let stored = before.auction(self.ids.of(terms));
        for WorldLog { event, .. } in log.iter_mut() {
            match (mutant, event) {
                (AuctionMutant::FirstPrice, ContractEvent::Auction(Event::AuctionAwarded { price, .. })) => {
                    *price = stored.best.map_or(*price, |best| best.price);
                }
                (AuctionMutant::KeptCollateral, ContractEvent::Auction(Event::AuctionAwarded { .. })) => {
                    if let Some(second) = stored.second {
                        *self.amiss.entry(second.bidder).or_default() -= terms.collateral.0 as i128;
                    }
                }
                (AuctionMutant::DepositToClient, ContractEvent::Auction(Event::CommitmentSwept { .. })) => {
                    *self.amiss.entry(terms.client).or_default() += deposit(terms).0 as i128;
                }
                (AuctionMutant::HopelessStake, ContractEvent::Auction(Event::BidRevealed { bidder, .. })) => {
                    let after = self.world.auction(AUCTION).map(|auction| auction.auction(self.ids.of(terms)));
                    if after == Some(stored) {
                        *self.amiss.entry(*bidder).or_default() -= terms.collateral.0 as i128;
                    }
                }
                _ => {}
            }
        }
        if mutant == AuctionMutant::OpenGuard && matches!(command, Command::Cancel { .. }) && !log.is_empty() {
            // What the client with code tries in the auction would have been let in.
            let tried = step.script.calls.iter().filter(|scripted| scripted.call.contract == AUCTION).count();
            let called = terms.client == self.cast.scripted().address && terms.callback_gas > 0;
            if tried > 0 && called && step.script.end == End::Return {
                log.pop();
            }
        }
    }

    fn compare(&mut self) -> Result<(), Difference> {
        let jobs: Vec<Terms> = self.known.iter().rev().take(RECENT).cloned().collect();
        for terms in &jobs {
            let job = self.ids.of(terms);
            let found = self.chain.view_at(AUCTION, &contract::auction_of(job));
            let mut stored = self.auction().auction(job);
            if let (true, Some(best), Some(second)) = (self.is(AuctionMutant::LaterTie), stored.best, stored.second)
                && best.price == second.price
            {
                (stored.best, stored.second) = (Some(second), Some(best));
            }
            same("an auction", &found, &Ok(stored))?;
            let found = self.chain.view_at(MARKET, &bindings::deal_of(job));
            same("a deal", &found, &Ok(StoredDeal::of(job, &self.market().deal(job))))?;
            for bidder in self.bidders.clone() {
                let found = self.chain.view_at(AUCTION, &contract::commitment_of(job, bidder));
                same("a sealed bid", &found, &Ok(self.auction().commitment(job, bidder)))?;
            }
        }
        let accounts: Vec<Address> = self.bidders.iter().copied().chain([self.cast.scripted().address]).collect();
        for account in accounts {
            let found = self.chain.view_at(AUCTION, &contract::balance_of(account));
            let amiss = self.amiss.get(&account).copied().unwrap_or_default();
            let balance = AttoFil(self.auction().balance(account).0.wrapping_add_signed(amiss));
            same(self.cast.name(format_args!("the account of {account:?}")), &found, &Ok(balance))?;
            let found = self.chain.view_at(MARKET, &bindings::balance_of(account));
            let name = self.cast.name(format_args!("the balance of {account:?}"));
            same(name, &found, &Ok(self.market().balance(account)))?;
            let wallet = U256::from(self.world.wallet(account).0);
            same("a wallet", &self.chain.wallet(account), &wallet)?;
        }
        let found = self.chain.view_at(AUCTION, &contract::burned());
        same("what is burned", &found, &Ok(self.auction().burned()))?;
        let found = self.chain.view_at(MARKET, &bindings::balance_of(AUCTION));
        same("what the auction has at the market", &found, &Ok(AttoFil::ZERO))?;
        for contract in [AUCTION, MARKET] {
            let held = U256::from(self.world.wallet(contract).0);
            same("what a contract holds", &self.chain.wallet(contract), &held)?;
        }
        let auction = self.auction();
        let free: u128 = auction.balances().map(|(_, balance)| balance.0).sum();
        same("the sum of all money", &auction.held().0, &(free + auction.staked().0 + auction.burned().0))?;
        let slots = auction.balances().count()
            + usize::from(auction.burned() != AttoFil::ZERO)
            + auction.auctions().map(|(_, stored)| 1 + usize::from(stored.second.is_some())).sum::<usize>()
            + auction.commitments().count();
        same("how many slots are used", &self.chain.slots(AUCTION), &slots)
    }
}

const fn contract_of(command: &ContractCommand) -> Address {
    match command {
        ContractCommand::Market(_) => MARKET,
        ContractCommand::Auction(_) => AUCTION,
    }
}

/// A log of one of the two contracts.
fn read(log: &Log) -> Option<Result<WorldLog, Difference>> {
    let event = match log.address {
        MARKET => bindings::event(&log.data).map(ContractEvent::Market),
        AUCTION => contract::decode(log.data.topics(), &log.data.data).map(ContractEvent::Auction),
        _ => return None,
    };
    let unreadable = |error: bindings::Unreadable| Difference {
        what: "a log".into(),
        contract: error.to_string(),
        twin: String::new(),
    };
    Some(event.map(|event| WorldLog { contract: log.address, event }).map_err(unreadable))
}

/// What the contract at an address refuses, as the twin says it.
fn refusal(at: Address, data: &[u8]) -> String {
    if at == AUCTION {
        return match contract::revert(data) {
            Ok(rejection) => format!("{rejection:?}"),
            Err(_) if data.is_empty() => String::new(),
            Err(other) => format!("{other:?}"),
        };
    }
    match bindings::revert(data) {
        Revert::Rejected(rejection) => format!("{:?}", Rejection::Market(rejection)),
        _ if data.is_empty() => String::new(),
        other => format!("{other:?}"),
    }
}

/// The error's name.
fn kind(refusal: &str) -> String {
    if refusal.is_empty() {
        return "refused: not payable".into();
    }
    if refusal.starts_with("BadAuction") {
        return format!("refused: {refusal}");
    }
    if let Some(of_market) = refusal.strip_prefix("Market(") {
        let name = of_market.split(['(', ' ', ')']).next().unwrap_or_default();
        return format!("refused: Market({name}");
    }
    format!("refused: {}", refusal.split(['(', ' ', '{']).next().unwrap_or_default())
}

struct Generator {
    rng: StdRng,
    salts: BTreeMap<Address, u64>,
    begun: usize,
}

impl Generator {
    fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_ratio(percent, 100)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.rng.random_range(0..from.len())]
    }

    fn next(&mut self, both: &Comparison<'_>) -> Step {
        let at = self.time(both);
        let scripted = both.cast.scripted().address;
        if self.begun < 2 * both.bidders.len() + 1 {
            self.begun += 1;
            let account = *both.bidders.get(self.begun / 2).unwrap_or(&scripted);
            let value = gwei(self.rng.random_range(20_000..60_000));
            let command = if self.begun.is_multiple_of(2) || account == scripted {
                MarketCommand::Deposit { account }.into()
            } else {
                Command::Fund.into()
            };
            let sender = if account == scripted { both.bidders[0] } else { account };
            return Step { at, sender, value, command, script: Script::default() };
        }
        let mut value = AttoFil::ZERO;
        let (mut sender, mut command) = match self.rng.random_range(0..100) {
            0..8 => self.open(both, at),
            8..16 => {
                value = gwei(self.rng.random_range(0..3_000));
                (self.pick(&both.bidders), Command::Fund.into())
            }
            16..19 => {
                let account = self.pick(&both.bidders);
                let balance = both.auction().balance(account).0;
                let amount = AttoFil(balance / self.rng.random_range(1..6) + u128::from(self.chance(10)));
                (account, Command::Withdraw { to: self.recipient(both, account), amount }.into())
            }
            19 => (self.pick(&both.bidders), Command::FundToken { amount: AttoFil(1) }.into()),
            _ => self.life(both, at),
        };
        // Mistakes.
        if self.chance(8) {
            sender = self.pick(&both.bidders);
        }
        if self.chance(8)
            && let ContractCommand::Auction(command) = &mut command
        {
            self.spoil(command);
        }
        if self.chance(2) {
            value = gwei(1);
        }
        let script = if self.chance(50) { self.script(both, at) } else { Script::default() };
        Step { at, sender, value, command, script }
    }

    fn recipient(&mut self, both: &Comparison<'_>, account: Address) -> Address {
        match self.rng.random_range(0..12) {
            0 => Address::ZERO,
            1 => masked(7),
            2 => AUCTION,
            3 => both.cast.scripted().address,
            _ => account,
        }
    }

    fn time(&mut self, both: &Comparison<'_>) -> Time {
        let now = both.now;
        match self.rng.random_range(0..100) {
            0..72 => now,
            72..88 => now.after(self.rng.random_range(1..4)),
            _ => {
                // To where something changes next, or a second beside it.
                let jobs = both.known.iter().rev().take(RECENT);
                let edges = jobs.flat_map(|terms| [terms.ramp_start, reveal_until(terms), terms.lock_by]);
                let Some(edge) = edges.filter(|edge| *edge > now).min() else { return now };
                self.pick(&[Time(edge.0 - 1), edge, edge.after(1)])
            }
        }
    }

    fn job(&mut self, both: &Comparison<'_>) -> Option<Terms> {
        let recent = both.known.len().min(RECENT);
        if recent == 0 {
            return None;
        }
        let mut terms = None;
        // Mostly one that goes on.
        for _ in 0..4 {
            let back = self.rng.random_range(0..recent);
            terms = both.known.get(both.known.len() - 1 - back);
            let job = terms.map(|terms| both.ids.of(terms)).unwrap_or_default();
            if both.market().deal(job).status == Status::Open || both.auction().auction(job).commits > 0 {
                break;
            }
        }
        terms.cloned()
    }

    fn terms(&mut self, client: Address, at: Time, scripted: Address) -> Terms {
        let salt = self.salts.entry(client).or_default();
        *salt += 1;
        let number = *salt - 1;
        let min = self.rng.random_range(0..4);
        let ramp_start = at.after(self.rng.random_range(0..60));
        let ramp_period = u64::from(MIN_REVEAL_PERIOD) + self.rng.random_range(0..30) - u64::from(self.chance(4));
        let has_callback = client == scripted && self.chance(80);
        Terms {
            client,
            salt: U256::from(number),
            spec: B256::repeat_byte(1),
            spec_codec: 0x71,
            min_price: gwei(min),
            max_price: gwei(min + self.rng.random_range(0..4) + u64::from(self.chance(85))),
            ramp_start,
            ramp_period,
            lock_by: ramp_start.after(ramp_period + self.rng.random_range(0..60)),
            run_for: 60,
            review_for: 0,
            rule_for: 0,
            collateral: gwei(self.pick(&[0, 1, 5_000])),
            matcher: if self.chance(95) { AUCTION } else { Address::repeat_byte(9) },
            arbiter: Address::ZERO,
            callback_gas: if has_callback { SETTINGS.max_callback_gas } else { 0 },
            keep_record: self.chance(20),
        }
    }

    fn open(&mut self, both: &Comparison<'_>, at: Time) -> (Address, ContractCommand) {
        let scripted = both.cast.scripted().address;
        let client = self.pick(&[both.bidders[0], both.bidders[1], scripted]);
        let terms = self.terms(client, at, scripted);
        (client, MarketCommand::Open { terms, spec: Bytes::new() }.into())
    }

    /// What a bidder remembers of its bid: few different prices, so that there are ties.
    fn bid(&mut self, both: &Comparison<'_>, terms: &Terms, bidder: Address) -> Bid {
        let job = both.ids.of(terms);
        let steps = (terms.max_price.0.saturating_sub(terms.min_price.0)) / gwei(1).0 + 1;
        let number = u128::from(bidder.0[3]) + u128::from(job.0.0[5]);
        // One bidder in a while commits to a price that nobody can reveal.
        let extra = if number.is_multiple_of(9) { gwei(1).0 } else { 0 };
        let price = AttoFil(terms.min_price.0 + number % steps * gwei(1).0 + extra * steps);
        Bid { job, bidder, price, nonce: B256::left_padding_from(bidder.as_slice()) }
    }

    /// What may be done with a job now, or could be at some other time.
    fn life(&mut self, both: &Comparison<'_>, at: Time) -> (Address, ContractCommand) {
        let Some(terms) = self.job(both) else { return self.open(both, at) };
        let job = both.ids.of(&terms);
        let bidder = self.pick(&both.bidders);
        let bid = self.bid(both, &terms, bidder);
        let commit = |terms, bid: &Bid| Command::Commit {
            terms,
            commitment: lota_bridge::auction::commitment(CHAIN_ID, AUCTION, bid),
        };
        let reveal = |terms, Bid { price, nonce, .. }| Command::Reveal { terms, price, nonce };
        let deal = both.market().deal(job);
        let sweep = |terms| Command::Sweep { terms, bidders: both.bidders.clone() };
        let usual = if deal.status == Status::Locked && self.chance(70) {
            let result = JobResult::default();
            return (deal.provider, MarketCommand::SubmitResult { terms, result }.into());
        } else if deal.callback_pending && self.chance(70) {
            let receipt = Default::default();
            return (bidder, MarketCommand::RetryCallback { terms, receipt }.into());
        } else if at < terms.ramp_start {
            match self.rng.random_range(0..20) {
                0 => return (terms.client, Command::Cancel { terms }.into()),
                1 => {
                    // Copied, of whoever is next.
                    let other = Bid { bidder: both.bidders[0], ..bid };
                    commit(terms, &other)
                }
                _ => commit(terms, &bid),
            }
        } else if at <= reveal_until(&terms) {
            reveal(terms, bid)
        } else if at <= terms.lock_by {
            match self.rng.random_range(0..4) {
                0 => Command::Cancel { terms },
                1 => sweep(terms),
                _ => Command::Award { terms },
            }
        } else {
            match self.rng.random_range(0..5) {
                0 => return (bidder, MarketCommand::Expire { terms }.into()),
                1 => sweep(terms),
                2 => Command::Cancel { terms },
                _ => Command::Release { terms },
            }
        };
        if self.chance(80) {
            return (bidder, usual.into());
        }
        let Some(terms) = usual.terms().cloned() else { return (bidder, usual.into()) };
        let other = match self.rng.random_range(0..6) {
            0 => commit(terms, &bid),
            1 => reveal(terms, bid),
            2 => Command::Award { terms },
            3 => Command::Cancel { terms },
            4 => Command::Release { terms },
            _ => sweep(terms),
        };
        (bidder, other.into())
    }

    fn spoil(&mut self, command: &mut Command) {
        match command {
            Command::Reveal { price, nonce, .. } => {
                if self.chance(50) {
                    price.0 = price.0.wrapping_add(gwei(1).0);
                } else {
                    nonce.0[0] ^= 1;
                }
            }
            Command::Sweep { bidders, .. } => {
                *bidders = vec![bidders.first().copied().unwrap_or_default(); self.rng.random_range(60..66)];
            }
            Command::Commit { terms, .. } | Command::Award { terms } | Command::Release { terms } => {
                match self.rng.random_range(0..5) {
                    0 => terms.min_price = terms.max_price,
                    1 => terms.ramp_period = u64::from(MIN_REVEAL_PERIOD) - 1,
                    2 => terms.lock_by = reveal_until(terms),
                    3 => terms.matcher = Address::repeat_byte(9),
                    _ => terms.salt += U256::from(1),
                }
            }
            _ => {}
        }
    }

    /// What the client with code does if it is called: it may open and deposit at the market; the auction lets it in unless it
    /// is the auction that is calling.
    fn script(&mut self, both: &Comparison<'_>, at: Time) -> Script {
        let sender = both.cast.scripted().address;
        let calls = (0..self.rng.random_range(1..4))
            .map(|_| {
                let (contract, value, command) = match self.rng.random_range(0..4) {
                    0 => {
                        let terms = self.terms(sender, at, sender);
                        (MARKET, AttoFil::ZERO, MarketCommand::Open { terms, spec: Bytes::new() }.into())
                    }
                    1 => (AUCTION, gwei(1), Command::Fund.into()),
                    2 => {
                        let account = self.pick(&both.bidders);
                        (MARKET, gwei(1), MarketCommand::Deposit { account }.into())
                    }
                    _ => {
                        let command = self.life(both, at).1;
                        (contract_of(&command), AttoFil::ZERO, command)
                    }
                };
                ScriptedCall { call: Call { sender, contract, value, command }, may_fail: self.chance(80) }
            })
            .collect();
        let end = if self.chance(85) { End::Return } else { End::Revert };
        Script { calls, end }
    }
}

const fn gwei(amount: u64) -> AttoFil {
    AttoFil::from_gwei(amount)
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
        let mut generator = Generator { rng: StdRng::seed_from_u64(seed), salts: BTreeMap::new(), begun: 0 };
        let mut both = Comparison::new(&cast, plan.mutant);
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
            let mut both = Comparison::new(cast, mutant);
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
    let describe = |Step { at, sender, value, command, script }: &Step| {
        let script = if *script == Script::default() { String::new() } else { format!("; scripted: {script:?}") };
        cast.name(format_args!("at {}, {sender:?} with {value}: {command:?}{script}", at.0))
    };
    Box::new(Counterexample {
        seed,
        found_after,
        steps: steps.iter().map(describe).collect(),
        difference: cast.put_names(format!("they differ in {what}:\n  contract: {contract}\n  model:    {twin}")),
    })
}
