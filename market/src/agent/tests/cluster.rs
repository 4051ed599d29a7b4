//! A cluster of parties on a real market, each with its agent and what was stored of it, where blocks come at once.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::Deref,
};

use alloy_primitives::{B256, keccak256};

use super::*;
use crate::{
    auction::{self, Bid as SealedBid},
    model::{Market, Rejection, Signed},
    world::{self, CallError, Env, ExternalCall, Log, Occasion, Script},
};

/// Where the market is.
const MARKET: Address = Address::repeat_byte(0x4d);

/// Where the auction is.
pub(super) const AUCTION: Auctioneer =
    Auctioneer { contract: Address::repeat_byte(0x4e), min_reveal_period: 5, bid_gas: 300_000 };

/// What a bid is sealed with here.
pub(super) fn seal(job: JobId, bidder: Address, price: AttoFil) -> Seal {
    let nonce = keccak256([job.0.as_slice(), bidder.as_slice()].concat());
    Seal { nonce, commitment: commitment(&SealedBid { job, bidder, price, nonce }) }
}

fn commitment(bid: &SealedBid) -> B256 {
    let SealedBid { job, bidder, price, nonce } = bid;
    keccak256([job.0.as_slice(), bidder.as_slice(), &price.0.to_be_bytes(), nonce.as_slice()].concat())
}

/// When a command is executed, with how much money from outside the market, and what its callbacks come to.
pub(super) struct Chain {
    pub(super) now: Time,
    pub(super) value: AttoFil,
    pub(super) callback_works: bool,
}

impl Env for Chain {
    fn now(&self) -> Time {
        self.now
    }
    fn job_id(&self, _: Address, terms: &Terms) -> JobId {
        id_of(terms)
    }
    fn spec_digest(&self, spec: &Bytes) -> B256 {
        keccak256(spec)
    }
    fn signature_valid(&self, _: Address, _: Address, _: &Signed<'_>, _: &Bytes) -> bool {
        false
    }
    fn has_code(&self, _: Address) -> bool {
        true
    }
    fn seals(&self, _: Address, sealed: B256, bid: &SealedBid) -> bool {
        commitment(bid) == sealed
    }
    fn script(&mut self, call: &ExternalCall<'_>) -> Script {
        Script::accepting(self.callback_works || matches!(call.occasion, Occasion::Payout { .. }))
    }
}

/// A market in a world of its own, in which whoever sends money has it.
#[derive(Clone)]
pub(super) struct MarketWorld(world::World);

impl MarketWorld {
    pub(super) fn new() -> Self {
        let mut world = world::World::with_market(MARKET, SETTINGS);
        let Auctioneer { contract, min_reveal_period, .. } = AUCTION;
        world.deploy_auction(contract, MARKET, min_reveal_period).expect("beside a market");
        Self(world)
    }

    pub(super) fn auction(&self) -> &auction::SealedBidAuction {
        self.0.auction(AUCTION.contract).expect("is there from the beginning")
    }

    pub(super) fn wallet(&self, account: Address) -> AttoFil {
        self.0.wallet(account)
    }

    /// A command to the auction; what market and auction say of it.
    fn apply_to_auction(
        &mut self,
        sender: Address,
        submission: &AuctionSubmission,
        env: &mut Chain,
    ) -> Result<Vec<world::ContractEvent>, auction::Rejection> {
        let (mut log, AuctionSubmission { command, value }) = (Vec::new(), submission);
        let missing = value.saturating_sub(self.0.wallet(sender));
        self.0.mint(sender, missing).expect("there is room for it");
        let outcome = self.0.execute_on_auction(sender, AUCTION.contract, *value, command, env, &mut log);
        match outcome {
            Ok(()) => Ok(log.into_iter().map(|log| log.event).collect()),
            Err(CallError::RejectedByAuction(rejection)) => Err(rejection),
            Err(other) => panic!("{command:?}: {other}"),
        }
    }

    pub(super) fn apply(
        &mut self,
        sender: Address,
        command: &Command,
        env: &mut Chain,
        say: &mut impl FnMut(Event),
    ) -> Result<(), Rejection> {
        let mut log = Vec::new();
        self.0.mint(sender, env.value).expect("there is room for it");
        let outcome = self.0.execute_on_market(sender, MARKET, env.value, command, env, &mut log);
        log.iter().filter_map(|Log { event, .. }| event.of_market().cloned()).for_each(say);
        outcome.map_err(|error| match error {
            CallError::Rejected(rejection) => rejection,
            other => panic!("{command:?}: {other}"),
        })
    }
}

impl Deref for MarketWorld {
    type Target = Market;

    fn deref(&self) -> &Market {
        self.0.market(MARKET).expect("is there from the beginning")
    }
}

pub(super) fn id_of(terms: &Terms) -> JobId {
    JobId(keccak256(serde_json::to_vec(terms).expect("terms serialise")))
}

pub(super) fn spec(fuel: u64) -> Bytes {
    spec_with_memory(fuel, 1 << 20)
}

pub(super) fn spec_with_memory(fuel: u64, memory: u64) -> Bytes {
    let module: Link = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e".parse().expect("a CID");
    let limits = Limits { fuel, memory, output: 1 << 20, entries: 10, wall: 5, ..Limits::LEAST };
    JobSpec::wasm(module, limits).validate().expect("a valid spec").to_dag_cbor().into()
}

/// Terms with an arbiter, who never disputes anything.
pub(super) fn reviewed(terms: Terms) -> Terms {
    Terms { arbiter: ARBITER, review_for: 20, rule_for: 20, ..terms }
}

/// Terms without an arbiter: what is submitted is paid.
pub(super) fn terms(salt: u64, spec: &Bytes) -> Terms {
    Terms {
        client: CLIENT,
        salt: U256::from(salt),
        spec: keccak256(spec),
        spec_codec: SpecCodec::DagCbor.code(),
        min_price: AttoFil::ZERO,
        max_price: AttoFil(FIL),
        ramp_start: Time(START),
        ramp_period: 100,
        lock_by: Time(START + 120),
        run_for: 30,
        review_for: 0,
        rule_for: 0,
        collateral: AttoFil(FIL / 2),
        matcher: Address::ZERO,
        arbiter: Address::ZERO,
        callback_gas: 0,
        keep_record: false,
    }
}

/// A party: its agent, and what is stored of it.
pub(super) struct Party {
    pub(super) agent: Agent,
    pub(super) offer: Option<Offer>,
    pub(super) look_after: LookAfter,
    pub(super) pace: Pace,
    pub(super) me: Address,
    pub(super) stored: BTreeMap<JobId, Change>,
    pub(super) suspended: Option<JobId>,
    pub(super) costly: CostlyClients,
    pub(super) fickle: CostlyClients,
    pub(super) purse: PurseRecord,
    /// For how long it leaves its money in the auction.
    pub(super) keep_for: u64,
    /// Transfers that it asked to be sent only if they were begun.
    pub(super) inquiries: usize,
    pub(super) read: usize,
    /// How much of the auction's log it has read.
    pub(super) read_of_auction: usize,
    pub(super) effects: VecDeque<Effect>,
    pub(super) runs: usize,
    /// How its runs end.
    pub(super) reproducible: bool,
    /// What it holds for jobs.
    pub(super) pinned: BTreeSet<JobId>,
    /// What is run never ends.
    pub(super) stuck: bool,
    /// What every run comes to instead of an end.
    pub(super) fails: Option<Failure>,
    /// What every publication comes to.
    pub(super) cannot_publish: Option<Failure>,
    /// Its output cannot be had.
    pub(super) withholds: bool,
}

impl Party {
    pub(super) fn new(me: Address, offer: Option<Offer>) -> Self {
        Self {
            agent: Agent::new(me, SETTINGS, offer.clone()).bidding_in(Some(AUCTION)),
            offer,
            look_after: LookAfter::Nobody,
            pace: Pace::INSTANT,
            me,
            stored: BTreeMap::new(),
            suspended: None,
            costly: CostlyClients::default(),
            fickle: CostlyClients::default(),
            purse: PurseRecord::default(),
            keep_for: 0,
            inquiries: 0,
            read: 0,
            read_of_auction: 0,
            effects: VecDeque::new(),
            runs: 0,
            reproducible: true,
            pinned: BTreeSet::new(),
            stuck: false,
            fails: None,
            cannot_publish: None,
            withholds: false,
        }
    }

    /// One who looks after the jobs of these clients.
    pub(super) fn steward(me: Address, look_after: LookAfter) -> Self {
        let party = Self::new(me, None);
        Self { agent: party.agent.looking_after(look_after.clone()), look_after, ..party }
    }

    /// One who leaves its money in the auction for so long.
    pub(super) fn keeping_bid_money(self, keep_for: u64) -> Self {
        Self { agent: self.agent.keeping_bid_money(keep_for), keep_for, ..self }
    }

    pub(super) fn at_pace(self, pace: Pace) -> Self {
        Self { agent: self.agent.at_pace(pace), pace, ..self }
    }

    pub(super) fn input(&mut self, input: Input<'_>, now: Time) {
        let job = match &input {
            Input::Event { event, .. } => event.job(),
            Input::Done { key, .. } => key.job(),
            Input::Refold { job, .. } | Input::Cancel(job) => Some(*job),
            _ => None,
        };
        if let Input::Event { block, time, event } = &input
            && let Some(job) = job
            && !self.agent.knows(job)
            && !self.agent.is_concerned(event, self.stored.get(&job).map(|change| &change.job))
        {
            let at = At { block: *block, time: *time };
            let stranger = self.stored.entry(job).or_insert_with(|| {
                let view = JobView::fold([(at, *event)]).expect("a job begins with its opening");
                Change { job: Job::new(view), live: false }
            });
            stranger.job.view.apply(event, at);
            return;
        }
        if let Some(job) = job {
            self.know(job, now);
        }
        let effects = self.agent.handle(input, now);
        self.take_effects(effects);
    }

    fn take_effects(&mut self, effects: Vec<Effect>) {
        self.store();
        for effect in effects {
            match effect {
                Effect::Do(_) => self.effects.push_back(effect),
                Effect::Retire { job } => {
                    self.pinned.remove(&job);
                    if let Some(change) = self.stored.get_mut(&job).filter(|_| !self.agent.knows(job)) {
                        change.live = false;
                    }
                }
                Effect::Suspend { job } => self.suspended = Some(job),
                Effect::RememberCostlyClients => self.costly = self.agent.costly_clients().clone(),
                Effect::RememberFickleClients => self.fickle = self.agent.fickle_clients().clone(),
                // No orders are taken here.
                Effect::RememberCostlyPayers => {}
                Effect::RememberPurse => self.purse = *self.agent.purse(),
            }
        }
    }

    pub(super) fn know(&mut self, job: JobId, now: Time) {
        if !self.agent.knows(job)
            && let Some(change) = self.stored.get(&job)
        {
            let effects = self.agent.restore(change.job.clone(), now);
            self.effects.extend(effects);
        }
    }

    fn store(&mut self) {
        for change in self.agent.take_changes() {
            self.stored.insert(change.job.id(), change);
        }
    }

    /// The process is killed and starts again: effects and memory are gone, what was stored is not.
    pub(super) fn crash(&mut self, now: Time) {
        let agent = Agent::new(self.me, SETTINGS, self.offer.clone()).looking_after(self.look_after.clone());
        self.agent = agent.at_pace(self.pace).bidding_in(Some(AUCTION)).keeping_bid_money(self.keep_for);
        self.agent.recall(self.suspended, 0);
        self.agent.recall_costly_clients(self.costly.clone());
        self.agent.recall_fickle_clients(self.fickle.clone());
        self.effects.clear();
        let live: Vec<_> = self.stored.values().filter(|change| change.live).map(|change| change.job.clone()).collect();
        for job in live {
            let effects = self.agent.restore(job, now);
            self.take_effects(effects);
        }
        self.agent.recall_purse(self.purse);
        self.store();
    }

    /// Does a step that is no command; `None`: it has no end.
    pub(super) fn do_step(&mut self, job: JobId, step: Step) -> Option<StepOutcome> {
        Some(match step {
            Step::FetchSpec => StepOutcome::Err(Failure::Permanent("no spec".to_owned())),
            Step::FetchInputs => {
                self.pinned.insert(job);
                StepOutcome::Ok
            }
            Step::Run if self.stuck => return None,
            Step::Run if self.fails.is_some() => {
                self.runs += 1;
                StepOutcome::Err(self.fails.clone()?)
            }
            Step::Publish if self.cannot_publish.is_some() => StepOutcome::Err(self.cannot_publish.clone()?),
            Step::Run => {
                assert!(self.pinned.contains(&job), "{} has let go of the inputs of {job}", self.me);
                self.runs += 1;
                let ended = if self.reproducible { "exited" } else { "ran longer than its wall-time limit" };
                let reproducible = self.reproducible;
                StepOutcome::Ran(RunReport {
                    exit_code: 0,
                    fuel_used: 7,
                    ended: ended.to_owned(),
                    reproducible,
                    wall_ms: 1,
                })
            }
            Step::Publish => StepOutcome::Published(JobResult { fuel_used: 7, ..JobResult::default() }),
            Step::Verify if self.withholds => StepOutcome::Err(Failure::Temporary("no gateway answers".to_owned())),
            _ => StepOutcome::Ok,
        })
    }

    pub(super) fn decision(&self, job: JobId) -> Option<Decision> {
        self.stored.get(&job)?.job.work.as_ref().map(|work| work.decision.clone())
    }
}

pub(super) const SETTINGS: Settings = Settings { min_window: 1, max_callback_gas: 1_000_000, ..Settings::COIN };

/// The chain as it was before a command: the log's length, the block, the state, the keys that had landed.
pub(super) type Snapshot = (usize, u64, MarketWorld, BTreeSet<(Address, EffectKey)>);

/// How many commands a reorganisation undoes at most, where there are any.
pub(super) const DEPTH: usize = 6;

pub(super) struct World {
    pub(super) market: MarketWorld,
    pub(super) snapshots: Vec<Snapshot>,
    pub(super) log: Vec<(u64, Time, Event)>,
    /// The auction's.
    pub(super) auction_log: Vec<(u64, Time, auction::Event)>,
    pub(super) landed: BTreeSet<(Address, EffectKey)>,
    pub(super) parties: Vec<Party>,
    pub(super) now: Time,
    pub(super) block: u64,
    pub(super) callback_works: bool,
    /// Callbacks work when they are tried out, and fail in blocks.
    pub(super) callback_deceives: bool,
    /// The last [`DEPTH`] commands may be undone; otherwise every block is final.
    pub(super) forks: bool,
    /// The market's node that answers commands is this many blocks behind the one that is read.
    pub(super) behind: u64,
    pub(super) refusals: usize,
    /// How often somebody tried to call a client back once more.
    pub(super) retries: usize,
}

impl World {
    pub(super) fn new(parties: Vec<Party>) -> Self {
        let mut world = Self {
            market: MarketWorld::new(),
            snapshots: Vec::new(),
            log: Vec::new(),
            auction_log: Vec::new(),
            landed: BTreeSet::new(),
            parties,
            now: Time(START),
            block: 0,
            callback_works: true,
            callback_deceives: false,
            forks: false,
            behind: 0,
            refusals: 0,
            retries: 0,
        };
        for account in [CHEAP, DEAR] {
            world.apply(account, &Command::Deposit { account }, AttoFil(10 * FIL)).expect("a deposit");
        }
        world
    }

    /// Executes a command in a block of its own.
    pub(super) fn apply(&mut self, sender: Address, command: &Command, value: AttoFil) -> Result<(), Rejection> {
        let mut env = Chain { now: self.now, value, callback_works: self.callback_works };
        let (log, now, block) = (&mut self.log, self.now, self.block + 1);
        self.market.apply(sender, command, &mut env, &mut |event| log.push((block, now, event)))?;
        self.block = block;
        Ok(())
    }

    pub(super) fn market(&self) -> &Market {
        &self.market
    }

    pub(super) fn request(&mut self, salt: u64) -> JobId {
        self.request_to_run_for(salt, 30)
    }

    pub(super) fn request_to_run_for(&mut self, salt: u64, run_for: u32) -> JobId {
        let spec = spec(1_000_000);
        let terms = Terms { run_for, ..terms(salt, &spec) };
        self.request_with(terms, spec)
    }

    pub(super) fn request_with(&mut self, terms: Terms, spec: Bytes) -> JobId {
        let (id, value, now) = (id_of(&terms), terms.max_price, self.now);
        self.party(CLIENT).input(Input::Request(Box::new(Request { id, terms, spec, value })), now);
        id
    }

    pub(super) fn party(&mut self, me: Address) -> &mut Party {
        self.parties.iter_mut().find(|party| party.me == me).expect("a known party")
    }

    pub(super) fn finalized(&self) -> u64 {
        if !self.forks {
            return self.block;
        }
        self.snapshots.len().checked_sub(DEPTH).map_or(0, |at| self.snapshots[at].1)
    }

    /// One party takes one step: it reads an event, or performs an effect. Says whether there was anything to do.
    pub(super) fn step(&mut self, index: usize) -> bool {
        let (now, block) = (self.now, self.block);
        let latest = At { block, time: now };
        let head = Input::Head { block, finalized: self.finalized(), latest };
        let party = &mut self.parties[index];
        let free = self.market.balance(party.me);
        if let Some((block, time, event)) = self.log.get(party.read) {
            party.read += 1;
            party.input(Input::Event { block: *block, time: *time, event }, now);
            return true;
        }
        if let Some((block, time, event)) = self.auction_log.get(party.read_of_auction) {
            party.read_of_auction += 1;
            if event.job().is_some_and(|job| party.agent.knows(job)) {
                party.input(Input::AuctionEvent { block: *block, time: *time, event }, now);
            }
            return true;
        }
        party.input(Input::Balance(free), now);
        party.input(head, now);
        if party.agent.wants_auction_balance() {
            party.input(Input::AuctionBalance(self.market.auction().balance(party.me)), now);
            return true;
        }
        let Some(effect) = party.effects.pop_front() else { return false };
        let Effect::Do(key) = effect else { return true };
        let Some(job) = key.job() else {
            if let Some((submission, is_needed)) = party.agent.transfer(&key) {
                self.transfer(index, key, &submission, is_needed);
            }
            return true;
        };
        party.know(job, now);
        let submission = party.agent.job(job).and_then(|job| job.submission(key.step));
        let me = party.me;
        let sealing = |job, price| Some(seal(job, me, price));
        let to_auction = party.agent.job(job).filter(|job| job.view.terms.matcher == AUCTION.contract);
        let to_auction = to_auction.and_then(|job| job.auction_submission(key.step, sealing));
        let outcome = match submission {
            _ if to_auction.is_some() => to_auction.map(|it| self.submit_to_auction(index, EffectKey::of(&key), &it)),
            None => party.do_step(job, key.step),
            Some(submission) => Some(self.submit(index, EffectKey::of(&key), &submission)),
        };
        if let Some(outcome) = outcome {
            self.parties[index].input(Input::Done { key, outcome }, now);
        }
        true
    }

    pub(super) fn submit(&mut self, index: usize, key: EffectKey, submission: &Submission) -> StepOutcome {
        let me = self.parties[index].me;
        if self.landed.contains(&(me, key.clone())) {
            return StepOutcome::Ok;
        }
        let Submission { command, value } = submission;
        self.retries += usize::from(matches!(command, Command::RetryCallback { .. }));
        if let (true, Command::RetryCallback { terms, .. }) = (self.callback_deceives, command) {
            self.block += 1;
            return StepOutcome::Err(Failure::CallbackFailed { client: terms.client, block: self.block });
        }
        // A node that is behind is asked first, as one does to find out what the gas costs.
        let answers_for = self.block.saturating_sub(self.behind);
        if let Some((_, _, market, _)) = self.snapshots.iter().find(|(_, before, ..)| *before >= answers_for) {
            let mut market = market.clone();
            let mut env = Chain { now: self.now, value: *value, callback_works: self.callback_works };
            if let Err(rejection) = market.apply(me, command, &mut env, &mut |_| {}) {
                self.refusals += 1;
                return StepOutcome::Err(Failure::rejected(rejection, Some(answers_for)));
            }
        }
        let snapshot = (self.log.len(), self.block, self.market.clone(), self.landed.clone());
        match self.apply(me, command, *value) {
            Ok(()) => {
                self.snapshots.push(snapshot);
                self.landed.insert((me, key));
                StepOutcome::Ok
            }
            Err(rejection) => StepOutcome::Err(Failure::rejected(rejection, Some(self.block))),
        }
    }

    fn transfer(&mut self, index: usize, step: StepKey, submission: &AuctionSubmission, is_needed: bool) {
        let (me, key) = (self.parties[index].me, EffectKey::of(&step));
        self.parties[index].inquiries += usize::from(!is_needed);
        let outcome = if is_needed || self.landed.contains(&(me, key.clone())) {
            self.submit_to_auction(index, key, submission)
        } else {
            StepOutcome::Err(Failure::NeverSent)
        };
        let now = self.now;
        self.parties[index].input(Input::Done { key: step, outcome }, now);
    }

    pub(super) fn submit_to_auction(
        &mut self,
        index: usize,
        key: EffectKey,
        submission: &AuctionSubmission,
    ) -> StepOutcome {
        let me = self.parties[index].me;
        if self.landed.contains(&(me, key.clone())) {
            return StepOutcome::Ok;
        }
        let snapshot = (self.log.len(), self.block, self.market.clone(), self.landed.clone());
        let mut env = Chain { now: self.now, value: AttoFil::ZERO, callback_works: self.callback_works };
        match self.market.apply_to_auction(me, submission, &mut env) {
            Ok(events) => {
                self.block += 1;
                for event in events {
                    match event {
                        world::ContractEvent::Market(event) => self.log.push((self.block, self.now, event)),
                        world::ContractEvent::Auction(event) => self.auction_log.push((self.block, self.now, event)),
                        other => panic!("there is no contract that could say {other:?}"),
                    }
                }
                self.snapshots.push(snapshot);
                self.landed.insert((me, key));
                StepOutcome::Ok
            }
            Err(rejection) => {
                StepOutcome::Err(Failure::RejectedByAuction { rejection: Box::new(rejection), block: Some(self.block) })
            }
        }
    }

    /// Drops the last `commands` commands from the chain; every party refolds what it had read.
    pub(super) fn reorganise(&mut self, commands: usize) {
        let Some(at) = self.snapshots.len().checked_sub(commands) else { return };
        if commands == 0 {
            return;
        }
        assert!(commands <= DEPTH && self.forks, "what is final is not undone");
        let (length, block, market, landed) = self.snapshots.swap_remove(at);
        self.snapshots.truncate(at);
        (self.market, self.landed, self.block) = (market, landed, block);
        let mut undone: BTreeSet<JobId> = self.log[length..].iter().filter_map(|(_, _, event)| event.job()).collect();
        let bids = self.auction_log.partition_point(|(at, ..)| *at <= block);
        undone.extend(self.auction_log[bids..].iter().filter_map(|(_, _, event)| event.job()));
        self.auction_log.truncate(bids);
        self.log.truncate(length);
        let now = self.now;
        for party in &mut self.parties {
            party.input(Input::Rewind { block }, now);
            if party.read > length || party.read_of_auction > bids {
                party.read = party.read.min(length);
                party.read_of_auction = party.read_of_auction.min(bids);
                for job in &undone {
                    let view = folded(&self.log[..party.read], *job).map(|mut view| {
                        let of_job = self.auction_log[..party.read_of_auction].iter();
                        let of_job = of_job.filter(|(_, _, event)| event.job() == Some(*job));
                        let of_job = of_job.map(|(block, time, event)| (At { block: *block, time: *time }, event));
                        view.auction = AuctionView::fold(party.me, of_job);
                        Box::new(view)
                    });
                    party.input(Input::Refold { job: *job, view }, now);
                }
            }
        }
    }

    /// Lets everybody act until nothing happens for a while of market time.
    pub(super) fn run(&mut self, seconds: u64) {
        for _ in 0..seconds {
            let mut busy = true;
            while busy {
                busy = false;
                for index in 0..self.parties.len() {
                    busy |= self.step(index);
                }
            }
            self.second();
        }
    }

    /// A second passes, and a block that is empty comes.
    pub(super) fn second(&mut self) {
        self.now = self.now.after(1);
        self.block += 1;
    }

    pub(super) fn status(&self, job: JobId) -> Status {
        // The market forgets what has ended; its log does not.
        folded(&self.log, job).map_or(Status::None, |view| view.status)
    }

    pub(super) fn settled_events(&self, job: JobId) -> usize {
        self.log.iter().filter(|(_, _, event)| matches!(event, Event::JobSettled { job: id, .. } if *id == job)).count()
    }
}

pub(super) fn folded(log: &[(u64, Time, Event)], job: JobId) -> Option<JobView> {
    let events = log.iter().filter(|(_, _, event)| event.job() == Some(job));
    JobView::fold(events.map(|(block, time, event)| (At { block: *block, time: *time }, event)))
}

pub(super) fn offer(base: u128) -> Offer {
    let pricing = Pricing::flat(AttoFil(base));
    Offer { pricing, arbiters: vec![ARBITER], ..Offer::default() }
}

pub(super) fn world() -> World {
    World::new(vec![
        Party::new(CLIENT, None),
        Party::new(CHEAP, Some(offer(FIL / 10))),
        Party::new(DEAR, Some(offer(FIL / 5))),
    ])
}
