//! The agent: one input in, effects out. It hands each job to the roles that the party plays in it.

mod inputs;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use alloy_primitives::Address;

use super::{
    AuctionSubmission, Auctioneer, BidMoney, Change, Commitments, CostlyClients, Effect, Input, Job, LookAfter, Offer,
    Pace, PayVenue, PurseRecord, Resources, Specs, Step, StepKey, StepState, Subject, bidder, caretaker, client,
    context::{Context, Situation},
    provider::{self, Provider},
    purse::Bounds,
    view::At,
    wakes::Wakes,
};
use crate::{
    AttoFil, Time,
    model::{Event, JobId, Settings, Status},
};

/// How many jobs a provider looks at or waits for at once; further ones it refuses as busy.
pub const MAX_CONSIDERED: usize = 4_096;
/// How many of them may be one client's, once half of the places are taken.
const MAX_OF_A_CLIENT: usize = MAX_CONSIDERED / 8;
/// How many orders wait beside these places for payers to bring money.
const MAX_ASIDE: usize = MAX_CONSIDERED / 8;
/// How many of them may be one payer's.
const MAX_ASIDE_OF_A_PAYER: usize = MAX_ASIDE / 16;
/// Of how many jobs that are over it is remembered that their end may still be undone; beyond, those that ended first are let
/// go of.
const MAX_UNSETTLED: usize = 100_000;

/// A party's agent. It holds the jobs that may still need something; finished ones leave it with
/// [`take_changes`](Self::take_changes) and come back with [`restore`](Self::restore) should anything happen to them.
#[derive(Clone, Debug)]
pub struct Agent {
    situation: Situation,
    pub(super) provider: Provider,
    look_after: LookAfter,
    jobs: BTreeMap<JobId, Box<Held>>,
    /// When to look at which job again.
    pub(super) times: Wakes<Time>,
    /// At which block to look at which job again.
    pub(super) blocks: Wakes<u64>,
    /// Jobs that are over, by the block whose finality they wait for; most are not held any more.
    pub(super) unsettled: Wakes<u64>,
    /// Jobs to look at again when there is a newer block.
    heads: BTreeSet<JobId>,
    /// Held jobs whose records are to be stored.
    changed: Vec<JobId>,
}

#[derive(Clone, Debug)]
struct Held {
    job: Job,
    /// It is among the changed ones.
    is_listed: bool,
}

impl Agent {
    /// An agent of `me`, which provides if it has an offer.
    #[must_use]
    pub fn new(me: Address, settings: Settings, offer: Option<Offer>) -> Self {
        let situation = Situation {
            me,
            settings,
            pace: Pace::INSTANT,
            specs: Specs::default(),
            auction: None,
            filecoin_pay: None,
            now: Time::default(),
            seen: 0,
            latest: At::default(),
            finalized: 0,
            costly: CostlyClients::default(),
        };
        Self {
            situation,
            provider: Provider { offer, ..Provider::default() },
            look_after: LookAfter::Nobody,
            jobs: BTreeMap::new(),
            times: Wakes::default(),
            blocks: Wakes::default(),
            unsettled: Wakes::default(),
            heads: BTreeSet::new(),
            changed: Vec::new(),
        }
    }

    /// The same agent, which also looks after the jobs of these clients.
    #[must_use]
    pub fn looking_after(self, look_after: LookAfter) -> Self {
        Self { look_after, ..self }
    }

    /// The same agent, which bids for jobs of this auction if its offer names that.
    #[must_use]
    pub fn bidding_in(mut self, auction: Option<Auctioneer>) -> Self {
        self.situation.auction = auction;
        self
    }

    /// The same agent, which takes the orders of this `FilecoinPayDeals` if its offer names that.
    #[must_use]
    pub fn taking_orders_of(mut self, venue: Option<PayVenue>) -> Self {
        self.situation.filecoin_pay = venue;
        self
    }

    /// The same agent, which leaves its money in the auction for so many seconds when no bid needs it.
    #[must_use]
    pub fn keeping_bid_money(mut self, seconds: u64) -> Self {
        self.provider.purse.keep_for = seconds;
        self
    }

    /// The same agent on a network where time passes like this.
    #[must_use]
    pub fn at_pace(mut self, pace: Pace) -> Self {
        self.situation.pace = pace;
        self
    }

    /// The same agent, which shares what it parses with others.
    #[must_use]
    pub fn sharing(mut self, specs: Specs) -> Self {
        self.situation.specs = specs;
        self
    }

    /// Tells it after a restart what it knew: it is `suspended` for the job that it was slashed for, and blocks up to `finalized`
    /// will not be undone.
    pub fn recall(&mut self, suspended: Option<JobId>, finalized: u64) {
        self.provider.suspended = suspended;
        self.situation.finalized = finalized;
    }

    /// Tells it after a restart whose callbacks failed at its cost.
    pub fn recall_costly_clients(&mut self, costly: CostlyClients) {
        self.situation.costly = costly;
    }

    /// Whose callbacks failed at its cost; to be kept ([`Effect::RememberCostlyClients`]).
    #[must_use]
    pub const fn costly_clients(&self) -> &CostlyClients {
        &self.situation.costly
    }

    /// Tells it after a restart who cancelled auctions at its cost.
    pub fn recall_fickle_clients(&mut self, fickle: CostlyClients) {
        self.provider.fickle = fickle;
    }

    /// Who cancelled auctions at its cost; to be kept ([`Effect::RememberFickleClients`]).
    #[must_use]
    pub const fn fickle_clients(&self) -> &CostlyClients {
        &self.provider.fickle
    }

    /// Tells it after a restart which payers had orders fail at its cost.
    pub fn recall_costly_payers(&mut self, costly: CostlyClients) {
        self.provider.costly_payers = costly;
    }

    /// Which payers had orders fail at its cost; to be kept ([`Effect::RememberCostlyPayers`]).
    #[must_use]
    pub const fn costly_payers(&self) -> &CostlyClients {
        &self.provider.costly_payers
    }

    /// Tells it after a restart what it had moved between itself and its account in the auction.
    pub fn recall_purse(&mut self, purse: PurseRecord) {
        self.provider.purse.recall(purse);
    }

    /// What it moved between itself and its account in the auction; to be kept ([`Effect::RememberPurse`]).
    #[must_use]
    pub const fn purse(&self) -> &PurseRecord {
        self.provider.purse.record()
    }

    /// Whether it must be told what its account in the auction holds ([`Input::AuctionBalance`]) before it goes on.
    #[must_use]
    pub fn wants_auction_balance(&self) -> bool {
        self.provider.purse.is_to_be_weighed()
    }

    /// What of its account in the auction its operator may take out by hand; `None`: it must be told first what that holds.
    #[must_use]
    pub fn bid_money(&self) -> Option<BidMoney> {
        self.provider.purse.bid_money()
    }

    /// The command of a step of the party's own, which moves money into or out of its account in the auction, and whether it is still
    /// needed. If not, it is sent only if that was begun before; otherwise the step comes to
    /// [`Failure::NeverSent`](super::Failure::NeverSent). `None`: it is over.
    #[must_use]
    pub fn transfer(&self, key: &StepKey) -> Option<(AuctionSubmission, bool)> {
        let Situation { me, now, .. } = self.situation;
        self.provider.purse.submission(key, me, &self.bounds(), now)
    }

    /// What its account in the auction may hold: no more than all its slots could need.
    fn bounds(&self) -> Bounds {
        let auction = self.situation.auction.map(|auction| auction.contract);
        let offer = self.provider.offer.as_ref().filter(|offer| auction.is_some_and(|at| offer.matchers.contains(&at)));
        let limit = offer.map_or(0, |offer| offer.max_collateral.0.saturating_mul(offer.slots.into()));
        Bounds { limit: AttoFil(limit), bids: offer.is_some() && self.provider.suspended.is_none() }
    }

    /// Whether it would act on this job, which it does not hold, if it were given back to it.
    #[must_use]
    pub fn wants(&self, job: &Job) -> bool {
        let is_in_time = |work| provider::may_be_in_time(&job.view, work, self.situation.now);
        !self.is_quiet(job) || self.provider.takes_jobs() && job.work.as_ref().is_some_and(is_in_time)
    }

    /// Whether an event about a job that it does not hold is for one of its roles. `record`: the job's, if one is stored; then it
    /// must be given back to it ([`restore`](Self::restore)) before the event is.
    #[must_use]
    pub fn is_concerned(&self, event: &Event, record: Option<&Job>) -> bool {
        match (event, record) {
            (Event::JobOpened { terms, .. }, None) => {
                self.provider.offer.is_some() || self.look_after.include(&terms.client)
            }
            (Event::JobOpened { .. }, Some(_)) => true,
            (_, Some(job)) => {
                // A job that it refused by its terms, or never looked at, is not its affair.
                job.order.is_some()
                    || !job.steps.is_empty()
                    || self.looks_after(job)
                    || matches!(event, Event::JobLocked { provider, .. } if *provider == self.situation.me)
                    || self.wants(job)
            }
            (_, None) => false,
        }
    }

    /// Whether it holds the job.
    #[must_use]
    pub fn knows(&self, job: JobId) -> bool {
        self.jobs.contains_key(&job)
    }

    /// The job's record, if it holds it.
    #[must_use]
    pub fn job(&self, job: JobId) -> Option<&Job> {
        self.jobs.get(&job).map(|held| &held.job)
    }

    /// When it is to be called again at the latest ([`Input::Tick`]), should nothing happen until then.
    #[must_use]
    pub fn next_wake(&self) -> Option<Time> {
        self.times.next().into_iter().chain(self.provider.purse.wake()).min()
    }

    /// The job that this provider was slashed for, if it locks nothing for that.
    #[must_use]
    pub const fn suspended(&self) -> Option<JobId> {
        self.provider.suspended
    }

    /// Gives it a stored record back; effects that were under way are to be done again.
    #[must_use = "an effect that is not performed leaves its step in flight for ever"]
    pub fn restore(&mut self, mut job: Job, now: Time) -> Vec<Effect> {
        self.situation.now = self.situation.now.max(now);
        let id = job.id();
        // An earlier version moved money for each job; now that is the party's own affair.
        job.steps.retain(|step, _| !matches!(step, Step::FundBid | Step::WithdrawBid));
        if self.situation.now > Time::default() {
            job.turn_back(self.situation.now, &self.situation.pace);
        }
        let mut effects = Vec::new();
        for (step, state) in &job.steps {
            if let StepState::InFlight { attempt, round } = *state {
                effects.push(Effect::Do(StepKey { subject: Subject::Job(id), step: *step, round, attempt }));
            }
        }
        if provider::holds_slot(&job, self.situation.me) {
            self.provider.reserve(&job);
        }
        self.jobs.insert(id, Box::new(Held { job, is_listed: false }));
        self.advance(id, &mut effects);
        effects
    }

    /// Takes one input at a time and says what is to be done. `now`: the latest block's timestamp, which after a
    /// [`Rewind`](Input::Rewind) may be earlier than before.
    #[must_use = "an effect that is not performed leaves its step in flight for ever"]
    pub fn handle(&mut self, input: Input<'_>, now: Time) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.set_time(now, &mut effects);
        match input {
            Input::Event { block, time, event } => {
                self.situation.seen = self.situation.seen.max(block);
                self.on_event(event, At { block, time }, &mut effects);
            }
            Input::AuctionEvent { block, time, event } => {
                self.on_auction_event(event, At { block, time }, &mut effects)
            }
            // Where it stands in the log says nothing that the market's events do not.
            Input::OrderEvent { event, .. } => self.on_order_event(event, &mut effects),
            Input::Head { block, finalized, latest } => self.on_head(block, finalized, latest, &mut effects),
            Input::Rewind { block } => {
                self.situation.seen = self.situation.seen.min(block);
                // A chain that breaks its word is believed again from its next word on.
                self.situation.finalized = self.situation.finalized.min(block);
                self.rewind_auctions(block);
                self.provider.purse.rewind(block, &mut effects);
            }
            Input::Refold { job, view } => self.on_refold(job, view, &mut effects),
            Input::Done { key, outcome } => self.on_done(key, outcome, &mut effects),
            Input::Request(request) => self.on_request(*request, &mut effects),
            Input::Cancel(job) => {
                if let Some(order) = self.jobs.get_mut(&job).and_then(|held| held.job.order.as_mut()) {
                    order.cancel = true;
                    self.touched(job);
                    self.advance(job, &mut effects);
                }
            }
            Input::Balance(free) => self.provider.free = free,
            Input::AuctionBalance(held) => self.provider.purse.holds(held),
            Input::TakeBidMoney { amount, filling } => self.provider.purse.take_out(amount, filling, &mut effects),
            Input::BidMoneyLeaving(amount) => self.provider.purse.set_leaving(amount),
            Input::CallbackPrice(per_megagas) => {
                if let Some(offer) = &mut self.provider.offer {
                    offer.pricing.per_megagas = per_megagas;
                }
            }
            Input::Resume => {
                self.provider.purse.resume(&mut effects);
                self.on_resume(&mut effects);
            }
            Input::KeyShared => self.provider.key_shared = true,
            Input::Drain => self.provider.draining = true,
            Input::Tick => self.provider.purse.is_due = true,
        }
        while let Some(job) = self.times.due(self.situation.now) {
            self.advance(job, &mut effects);
        }
        self.fill_slots(&mut effects);
        self.balance_purse(&mut effects);
        effects
    }

    /// What was derived from a later time than it is now is derived anew.
    fn set_time(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let before = std::mem::replace(&mut self.situation.now, now);
        if now >= before {
            return;
        }
        let pace = self.situation.pace;
        self.provider.purse.turn_back(now, &pace);
        for id in self.jobs.keys().copied().collect::<Vec<_>>() {
            if self.jobs.get_mut(&id).is_some_and(|held| held.job.turn_back(now, &pace)) {
                self.touched(id);
            }
            self.advance(id, effects);
        }
    }

    /// The records that changed since the last call, to be stored. Jobs that need nothing more leave the agent.
    pub fn take_changes(&mut self) -> Vec<Change> {
        let mut changes = Vec::with_capacity(self.changed.len());
        for id in std::mem::take(&mut self.changed) {
            let Some(held) = self.jobs.get_mut(&id) else { continue };
            held.is_listed = false;
            if !self.is_quiet(&self.jobs[&id].job) {
                changes.push(Change { job: self.jobs[&id].job.clone(), live: true });
            } else if let Some(held) = self.jobs.remove(&id) {
                self.times.set(id, None);
                self.blocks.set(id, None);
                self.provider.forget(&held.job);
                changes.push(Change { job: held.job, live: self.unsettled.contains(id) });
            }
        }
        changes
    }

    /// What this provider is bound to send for the jobs that it has, or is about to lock.
    #[must_use]
    pub fn commitments(&self) -> Commitments {
        let mut all = Commitments::default();
        for Held { job, .. } in self.jobs.values().map(|held| &**held).filter(|held| held.job.work.is_some()) {
            let commands = match job.view.status {
                // Result and, where it is reviewed, settlement.
                _ if provider::holds_slot(job, self.situation.me) => {
                    1 + u32::from(job.view.terms.has_arbiter()) + bidder::commands_left(job)
                }
                Status::Submitted if job.view.provider == self.situation.me => 1,
                _ => continue,
            };
            all.commands = all.commands.saturating_add(commands);
            all.callback_gas = all.callback_gas.saturating_add(u64::from(job.view.terms.callback_gas));
        }
        all
    }

    /// How many jobs it would lose money by if it ended now: those that it has locked, or is about to, and those that it has sealed a
    /// bid for.
    #[must_use]
    pub fn bound(&self) -> usize {
        let Situation { me, now, .. } = self.situation;
        self.jobs.values().filter(|held| provider::is_bound(&held.job, me, now)).count()
    }

    /// Whether it is not [bound](Self::bound) to a job, and a command of this [binding](Step::BINDING) step may yet bind it to that:
    /// one that nobody waits for any more, after a reorganisation or when the market's node did not say what became of it, and that
    /// the chain may still execute. It is asked about commands that are out; whether one is, only the transport knows. `final_time`:
    /// the time of the newest block that the chain will not undo.
    #[must_use]
    pub fn may_yet_be_bound(&self, job: &Job, step: Step, final_time: Time) -> bool {
        provider::may_yet_bind(job, step, &self.situation, final_time)
    }

    /// How many jobs it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Looks at one job and begins whatever its state calls for, in each role of the party.
    fn advance(&mut self, id: JobId, effects: &mut Vec<Effect>) {
        let Some(held) = self.jobs.get_mut(&id) else { return };
        let is_cared_for =
            self.look_after != LookAfter::Nobody && is_cared_for(&self.look_after, self.situation.me, &held.job);
        let Job { view, order, work, bid, steps, round } = &mut held.job;
        let mut cx = Context {
            situation: &self.situation,
            view,
            steps,
            round: *round,
            effects,
            wake: None,
            wake_at_block: None,
            wake_at_head: false,
            wake_when_final: None,
            changed: false,
        };
        if let Some(work) = work {
            self.provider.advance(work, &mut cx);
            bidder::advance(bid, work, &mut self.provider, &mut cx);
        }
        if let Some(order) = order {
            client::advance(order, &mut cx);
        }
        if is_cared_for {
            caretaker::advance(&mut cx);
        }
        let Context { wake, wake_at_block, wake_at_head, wake_when_final, changed, .. } = cx;
        self.times.set(id, wake);
        self.blocks.set(id, wake_at_block);
        if wake_at_head {
            self.heads.insert(id);
        }
        if view.status.is_final() {
            self.provider.running.remove(&id);
        }
        let is_quiet = self.finish(id, wake_when_final, effects);
        if changed || is_quiet {
            self.touched(id);
        }
    }

    /// Sees to what becomes of a job that may be over; says whether it needs nothing more.
    /// `waits_for`: the block whose finality a role waits for.
    fn finish(&mut self, id: JobId, waits_for: Option<u64>, effects: &mut Vec<Effect>) -> bool {
        let Some(held) = self.jobs.get(&id) else { return false };
        let job = &held.job;
        let is_quiet = self.is_quiet(job);
        let needs_something = job.order.is_some() || !job.steps.is_empty();
        let block = job.view.block;
        let waits = if is_quiet {
            needs_something && block > self.situation.finalized
        } else {
            // A slash counts once it is final.
            job.view.status == Status::Slashed && job.view.block > self.situation.finalized
        };
        if is_quiet && needs_something && !waits {
            effects.push(Effect::Retire { job: id });
        }
        self.unsettled.set(id, waits.then_some(block).into_iter().chain(waits_for).min());
        if self.unsettled.len() > MAX_UNSETTLED
            && let Some(job) = self.unsettled.due(u64::MAX)
            && !self.jobs.contains_key(&job)
        {
            effects.push(Effect::Retire { job });
        }
        is_quiet
    }

    fn is_quiet(&self, job: &Job) -> bool {
        !job.is_busy()
            && (job.order.is_none() || client::is_quiet(job))
            && job.work.as_ref().is_none_or(|work| self.provider.is_quiet(job, work, self.situation.me))
            && bidder::is_quiet(job)
            && (!self.looks_after(job) || caretaker::is_quiet(job))
    }

    /// Whether this party acts for the job's client.
    fn looks_after(&self, job: &Job) -> bool {
        is_cared_for(&self.look_after, self.situation.me, job)
    }

    fn insert(&mut self, job: Job) {
        let id = job.id();
        self.jobs.insert(id, Box::new(Held { job, is_listed: true }));
        self.changed.push(id);
    }

    /// The job's record is to be stored.
    fn touched(&mut self, id: JobId) {
        if let Some(held) = self.jobs.get_mut(&id)
            && !std::mem::replace(&mut held.is_listed, true)
        {
            self.changed.push(id);
        }
    }

    /// Seals the bids that there is money for, and moves money into or out of the auction if that is due.
    fn balance_purse(&mut self, effects: &mut Vec<Effect>) {
        if !std::mem::take(&mut self.provider.purse.is_due) {
            return;
        }
        for job in self.provider.purse.waiting() {
            if self.provider.purse.covers(job) {
                self.advance(job, effects);
            }
        }
        let Situation { me, now, .. } = self.situation;
        let bounds = self.bounds();
        self.provider.purse.advance(me, now, &bounds, effects);
    }

    /// Gives what was given back to jobs that wait: of the client that has the fewest running here, and of those of one client to the
    /// one that waits longest. So whoever asks for a thousand jobs keeps nobody waiting who asks for one. A job that needs more
    /// than there is lets others go first.
    fn fill_slots(&mut self, effects: &mut Vec<Effect>) {
        let provider = &mut self.provider;
        if provider.draining || provider.key_shared || provider.queue.is_empty() || !provider.running.were_given_back()
        {
            return;
        }
        let mut running: BTreeMap<Address, usize> = BTreeMap::new();
        for job in self.provider.running.jobs() {
            if let Some(client) = self.client_of(job) {
                *running.entry(client).or_default() += 1;
            }
        }
        let mut waiting: BTreeMap<Address, VecDeque<(Time, JobId)>> = BTreeMap::new();
        for place in &self.provider.queue {
            waiting.entry(self.client_of(&place.1).unwrap_or_default()).or_default().push_back(*place);
        }
        let turn = |running: &BTreeMap<Address, usize>, client: Address, place: (Time, JobId)| {
            (running.get(&client).copied().unwrap_or(0), place, client)
        };
        let mut turns: BTreeSet<_> = waiting
            .iter_mut()
            .filter_map(|(client, places)| Some(turn(&running, *client, places.pop_front()?)))
            .collect();
        while self.provider.has_room(Resources::default())
            && let Some((_, place, client)) = turns.pop_first()
        {
            let job = place.1;
            let needs = self.jobs.get(&job).map(|held| provider::needs(&held.job)).unwrap_or_default();
            if self.provider.has_room(needs) && self.provider.queue.remove(&place) {
                self.advance(job, effects);
                *running.entry(client).or_default() += usize::from(self.provider.running.has(&job));
            }
            let next = waiting.get_mut(&client).and_then(VecDeque::pop_front);
            turns.extend(next.map(|place| turn(&running, client, place)));
        }
    }

    fn client_of(&self, job: &JobId) -> Option<Address> {
        self.jobs.get(job).map(|held| held.job.view.asked_by())
    }
}

fn is_cared_for(look_after: &LookAfter, me: Address, job: &Job) -> bool {
    let client = &job.view.terms.client;
    job.order.is_none() && *client != me && look_after.include(client)
}
