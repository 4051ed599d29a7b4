//! The loop of a node: take inputs, ask the agent, store what changed in one transaction, then perform the effects.

mod bid_money;
mod draining;
mod intake;
mod key_watch;
mod money;
mod orders;
mod rails;
mod records;

use std::{collections::HashMap, sync::Arc};

use lota_api::Resumed;
use lota_bridge::{Cursor, Transport, Update};
use lota_market::{
    Time,
    agent::{Agent, At, Effect, Failure, Input, Job, LookAfter, OrderView, PurseRecord, Step, StepKey, StepOutcome},
    asset::Asset,
    model::{Event, JobId, Reason, Status},
};
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;

use self::{
    draining::whole_blocks,
    intake::{Incoming, Intake},
    key_watch::KeyWatch,
    records::Records,
};
use crate::{
    activity::Activity,
    effects::{Performer, is_reserved_for},
    health::{Health, Money, SharedKey},
    inbox::{Message, Refusal, RequestReply, ResumeReply, TakeReply},
    metrics::Metrics,
    observe,
    offers::Offers,
    salts::TakenSalt,
    store::{Batch, Claim, Store, StoreError},
    transfers,
};

/// Finished jobs are cleared away this often, in seconds of the market's time.
const PRUNE_EVERY: u64 = 600;
/// How many finished jobs are cleared away at once.
const PRUNE_MOST: i64 = 1_000;
/// How many jobs that were none of its affair are looked through at the start, and when the chain's clock was turned back, for those
/// that are now.
const MOST_TAKEN_UP: u32 = 100_000;
/// Where the number of the newest block that will not be undone is kept.
const FINALIZED: &str = "finalized";
/// Where it is kept whose callbacks failed at this account's cost.
const COSTLY_CLIENTS: &str = "costly_clients";
/// Where it is kept who cancelled auctions at this account's cost.
const FICKLE_CLIENTS: &str = "fickle_clients";
/// Which payers had orders fail at the party's cost.
const COSTLY_PAYERS: &str = "costly_payers";
/// Where it is kept what was moved between the party and its account in the auction.
pub(crate) const PURSE: &str = "purse";
/// Where it is kept what that account held when it was at rest: nothing is kept while money is on its way, or in bids.
pub(crate) const PURSE_HELD: &str = "purse_held";
/// Where the job is kept that the provider was slashed for, while it locks no others.
const SUSPENDED: &str = "suspended";
/// Where it is kept that somebody else sends with the node's key, while it takes no jobs for that.
const KEY_SHARED: &str = "key_shared";

/// What the loop works with.
pub(crate) struct Parts {
    /// The node's name, for its log.
    pub(crate) name: String,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) store: Store,
    pub(crate) health: Arc<Health>,
    pub(crate) metrics: Metrics,
    /// Who took which job at which price, the loop tells it.
    pub(crate) offers: Arc<Offers>,
    pub(crate) look_after: LookAfter,
    /// Whether the node runs jobs for others.
    pub(crate) provides: bool,
    /// How many times as much as gas costs it asks for that of callbacks; `None`: what its offer says, whatever gas costs.
    pub(crate) callback_margin: Option<u32>,
    /// What orders that are paid over Filecoin Pay are paid in, if there are any.
    pub(crate) orders_asset: Option<Asset>,
    /// Finished jobs are kept this long, in seconds.
    pub(crate) keep_for: u64,
    pub(crate) stop: CancellationToken,
}

/// The loop's state.
pub(crate) struct EventLoop {
    parts: Parts,
    agent: Agent,
    performer: Performer,
    changes: broadcast::Sender<JobId>,
    /// The timestamp of the newest block.
    now: Time,
    /// Blocks were undone, and what is in their place is being read: what time it was before.
    undone: Option<Time>,
    cursor: Option<Cursor>,
    records: Records,
    opening: HashMap<JobId, Vec<RequestReply>>,
    /// What they are told once it is stored: who asks again then finds it.
    answers: Vec<(RequestReply, Result<JobId, Refusal>)>,
    /// The same for operators who had the provider go on.
    resumed: Vec<(ResumeReply, Resumed)>,
    /// Operators who want money out of the auction, and how much.
    taking: Vec<(bid_money::Taking, TakeReply)>,
    /// The salts of requests whose jobs are being stored.
    storing: Vec<TakenSalt>,
    pruned: Time,
    /// Something happened that may have changed the party's free balance since it was asked for, or it was asked long ago.
    money_moved: bool,
    /// When it was asked for.
    weighed: Time,
    /// The auction did not say what the party has there: it is asked again when time has passed.
    auction_is_silent: bool,
    activity: Activity,
    watched: watch::Sender<Activity>,
    /// When it was asked what gas costs.
    gas_priced: Option<Time>,
    /// The node is about to end.
    is_draining: bool,
    /// Up to which block all events were taken in.
    taken_in: u64,
    /// Steps under way that [bind](Step::BINDING) the party.
    binding: usize,
    key_watch: KeyWatch,
}

impl EventLoop {
    pub(crate) fn new(
        parts: Parts,
        agent: Agent,
        performer: Performer,
        changes: broadcast::Sender<JobId>,
        watched: watch::Sender<Activity>,
    ) -> Self {
        let key_watch = KeyWatch::new(Arc::clone(&parts.transport), performer.inbox(), parts.stop.clone());
        Self {
            parts,
            agent,
            performer,
            changes,
            now: Time::default(),
            undone: None,
            cursor: None,
            records: Records::default(),
            opening: HashMap::new(),
            answers: Vec::new(),
            resumed: Vec::new(),
            taking: Vec::new(),
            storing: Vec::new(),
            pruned: Time::default(),
            money_moved: true,
            weighed: Time::default(),
            auction_is_silent: false,
            activity: Activity::default(),
            watched,
            gas_priced: None,
            is_draining: false,
            taken_in: 0,
            binding: 0,
            key_watch,
        }
    }

    /// Runs until the node is stopped, or its database fails.
    pub(crate) async fn run(mut self, inbox: mpsc::Receiver<Message>) {
        let stop = self.parts.stop.clone();
        let result = tokio::select! {
            result = self.run_until_failure(inbox) => result,
            () = stop.cancelled() => Ok(()),
        };
        if let Err(error) = result {
            observe::loop_failed(&self.parts.name, &error);
            stop.cancel();
        }
    }

    async fn run_until_failure(&mut self, inbox: mpsc::Receiver<Message>) -> Result<(), StoreError> {
        self.resume().await?;
        let (transport, health) = (Arc::clone(&self.parts.transport), Arc::clone(&self.parts.health));
        let mut intake = Intake::new(transport, health, inbox, self.cursor);
        loop {
            let round = intake.round(self.cursor).await;
            self.parts.health.round_begun();
            self.take(round).await?;
            self.parts.health.round_ended();
        }
    }

    /// Takes up where the last process left off.
    async fn resume(&mut self) -> Result<(), StoreError> {
        self.cursor = self.parts.store.cursor().await?;
        self.taken_in = whole_blocks(self.cursor);
        let (transport, health) = (&self.parts.transport, &self.parts.health);
        let party = transport.party();
        let (head, wallet, market) = tokio::join!(transport.head(), transport.wallet(party), transport.balance(party));
        if let Ok(head) = head {
            self.key_watch.begin_above(head.block);
            self.now = head.time;
            health.set_head(head);
        }
        if let (Ok(wallet), Ok(market)) = (wallet, market) {
            health.set_money(Money { wallet, market });
        }
        let finalized: u64 = self.parts.store.meta(FINALIZED).await?.unwrap_or(0);
        let suspended: Option<JobId> = self.parts.store.meta(SUSPENDED).await?;
        health.set_finalized(finalized);
        health.set_suspended(suspended);
        self.agent.recall(suspended, finalized);
        let shared: Option<SharedKey> = self.parts.store.meta(KEY_SHARED).await?;
        // Another key in the same folder is another party.
        let shared = shared.filter(|shared| shared.account == party);
        health.set_key_shared(shared);
        let mut effects = self.look_at_leaving(u64::MAX).await?;
        if shared.is_some() {
            effects.extend(self.agent.handle(Input::KeyShared, self.now));
        }
        self.agent.recall_costly_clients(self.parts.store.meta(COSTLY_CLIENTS).await?.unwrap_or_default());
        self.agent.recall_fickle_clients(self.parts.store.meta(FICKLE_CLIENTS).await?.unwrap_or_default());
        self.agent.recall_costly_payers(self.parts.store.meta(COSTLY_PAYERS).await?.unwrap_or_default());
        effects.extend(self.refresh_balance().await);
        effects.extend(self.price_gas().await);
        for job in self.parts.store.live_jobs().await? {
            effects.extend(self.agent.restore(job, self.now));
        }
        // What was none of this node's affair before its settings changed, or was too late before the chain's clock was turned back.
        if self.parts.look_after != LookAfter::Nobody || self.parts.provides {
            for job in self.parts.store.unfinished_jobs(MOST_TAKEN_UP).await? {
                if !self.agent.knows(job.id()) && self.agent.wants(&job) {
                    effects.extend(self.agent.restore(job, self.now));
                }
            }
        }
        // After the jobs: what these need is there now.
        let auction = self.parts.transport.auction().map(|auction| auction.contract);
        let purse: PurseRecord = self.parts.store.meta(PURSE).await?.unwrap_or_default();
        self.agent.recall_purse(purse.in_auction(auction));
        self.parts.health.set_bid_money(self.agent.purse().filling);
        let store = self.parts.store.clone();
        let batch = store.begin().await?;
        self.store_and_perform(batch, effects).await?;
        self.weigh_purse().await
    }

    async fn take(&mut self, round: Vec<Incoming>) -> Result<(), StoreError> {
        // Asked before the transaction begins: a slow chain must not keep others from writing.
        let time_passed = round
            .iter()
            .any(|incoming| matches!(incoming, Incoming::Update(update) if matches!(**update, Update::Head { .. })));
        self.money_moved |= round.iter().any(|incoming| self.moves_money(incoming));
        let mut effects = if time_passed { self.look_at_money().await } else { Vec::new() };
        effects.extend(self.look_at_leaving_after(&round).await?);
        let store = self.parts.store.clone();
        let mut batch = store.begin().await?;
        let before = self.cursor;
        let looked_up = round.iter().filter_map(Incoming::job).filter(|job| !self.agent.knows(*job)).collect();
        self.records.look_up(looked_up, &mut batch).await?;
        for incoming in round {
            match incoming {
                Incoming::Update(update) => self.take_update(*update, &mut batch, &mut effects).await?,
                Incoming::Message(message) => self.take_message(message, &mut batch, &mut effects).await?,
            }
        }
        if self.cursor != before {
            batch.set_cursor(self.cursor).await?;
        }
        self.store_and_perform(batch, effects).await?;
        self.auction_is_silent &= !time_passed;
        self.weigh_purse().await?;
        self.let_bid_money_go().await
    }

    async fn take_update(
        &mut self,
        update: Update,
        batch: &mut Batch<'_>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), StoreError> {
        match update {
            Update::Event { cursor, time, transaction, event } => {
                self.key_watch.take(&event, cursor.block, transaction);
                self.set_time(time);
                self.cursor = Some(cursor);
                batch.add_event(&cursor, time, &event).await?;
                if let Event::SpecPublished { data, .. } = &event {
                    batch.add_spec(&cursor, data).await?;
                }
                if let Some(job) = event.job() {
                    observe::event(&self.parts.name, job, observe::event_name(&event));
                }
                self.take_event(&event, At { block: cursor.block, time }, batch, effects).await?;
                self.tell_of_order(&event, batch, effects).await?;
                let job = event.job().and_then(|job| self.agent.job(job));
                self.parts.metrics.event(&event, job.map(|job| job.view.terms.client));
            }
            Update::Auction { cursor, time, transaction, event } => {
                self.key_watch.take_of_auction(&event, cursor.block, transaction);
                self.set_time(time);
                self.cursor = Some(cursor);
                self.parts.metrics.auction_event(&event);
                if let Some(job) = event.job() {
                    if self.agent.knows(job) || self.records.get(job, batch).await?.is_some() {
                        batch.add_auction_event(&cursor, time, &event, self.parts.transport.party()).await?;
                    }
                    observe::event(&self.parts.name, job, observe::auction_event_name(&event));
                    if self.agent.knows(job) {
                        let input = Input::AuctionEvent { block: cursor.block, time, event: &event };
                        effects.extend(self.agent.handle(input, self.now));
                    }
                }
            }
            Update::FilecoinPayDeals { cursor, time, transaction: _, event } => {
                self.set_time(time);
                self.cursor = Some(cursor);
                self.take_order_event(&cursor, time, &event, batch, effects).await?;
            }
            Update::Head { cursor, latest, finalized } => {
                self.set_time(latest.time);
                self.parts.health.set_head(latest);
                self.key_watch.begin_above(latest.block);
                self.activity.head = Some(latest);
                self.cursor = Some(cursor);
                self.taken_in = cursor.block;
                // What is collected leaves the gas for these.
                self.performer.reserve(self.agent.commitments());
                if finalized > self.parts.health.finalized() {
                    self.parts.health.set_finalized(finalized);
                    batch.set_meta(FINALIZED, &finalized).await?;
                }
                let latest = At { block: latest.block, time: latest.time };
                let input = Input::Head { block: cursor.block, finalized, latest };
                effects.extend(self.agent.handle(input, self.now));
                if self.undone.take().is_some_and(|before| self.now < before) {
                    self.turn_back(batch, effects).await?;
                }
                if self.now.since(self.pruned) > PRUNE_EVERY.min(self.parts.keep_for) {
                    self.pruned = self.now;
                    let before = Time(self.now.0.saturating_sub(self.parts.keep_for));
                    for job in batch.prune(before, PRUNE_MOST).await? {
                        self.performer.forget(job);
                    }
                    batch.prune_rails(before, self.parts.health.finalized(), PRUNE_MOST).await?;
                }
            }
            Update::Rewind { to } => {
                observe::rewound(&self.parts.name, to.as_ref());
                self.parts.metrics.rewound();
                self.undone = self.undone.max(Some(self.now));
                self.activity.head = None;
                self.activity.rewinds += 1;
                self.cursor = to;
                self.taken_in = self.taken_in.min(whole_blocks(to));
                let block = to.map_or(0, |to| to.block);
                if block < self.parts.health.finalized() {
                    self.parts.health.set_finalized(block);
                    batch.set_meta(FINALIZED, &block).await?;
                }
                transfers::undo(batch, block).await?;
                effects.extend(self.agent.handle(Input::Rewind { block }, self.now));
                let mut jobs = batch.rewind(to).await?;
                jobs.extend(batch.rewind_auctions(to).await?);
                jobs.extend(batch.rewind_orders(to).await?);
                batch.rewind_rails(to).await?;
                jobs.sort_unstable();
                jobs.dedup();
                for job in jobs {
                    self.know(job, batch, effects).await?;
                    let mut view = batch.fold(job).await?.map(Box::new);
                    if let Some(view) = &mut view {
                        view.auction = batch.fold_auction(job, self.parts.transport.party()).await?;
                        let events = batch.order_events_of(job).await?;
                        view.filecoin_pay = OrderView::fold(events.iter().map(|(at, event)| (*at, event)));
                    }
                    effects.extend(self.agent.handle(Input::Refold { job, view }, self.now));
                }
            }
        }
        Ok(())
    }

    async fn take_message(
        &mut self,
        message: Message,
        batch: &mut Batch<'_>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), StoreError> {
        match message {
            Message::Done { key, outcome } => {
                self.parts.metrics.step_ended(&key, &outcome);
                if let Some(job) = key.job() {
                    self.activity.ended(key.step);
                    self.binding = self.binding.saturating_sub(usize::from(Step::BINDING.contains(&key.step)));
                    self.know(job, batch, effects).await?;
                    if key.step == Step::Open {
                        self.opened(job, &outcome);
                    }
                }
                observe::step(&self.parts.name, &self.parts.transport.asset(), &key, &outcome);
                effects.extend(self.agent.handle(Input::Done { key, outcome }, self.now));
            }
            Message::Resume { reply } => {
                let health = &self.parts.health;
                let (slashed_for, shared) = (self.agent.suspended(), health.key_shared());
                let bid_money = self.agent.purse().filling;
                if slashed_for.is_some() || shared.is_some() {
                    batch.remove_meta(SUSPENDED).await?;
                    batch.remove_meta(KEY_SHARED).await?;
                    health.set_suspended(None);
                    health.set_key_shared(None);
                    observe::resumed(&self.parts.name);
                }
                effects.extend(self.agent.handle(Input::Resume, self.now));
                let key_shared = shared.map(|shared| shared.transaction);
                self.resumed.push((reply, Resumed { slashed_for, key_shared, bid_money }));
            }
            Message::KeyShared(by) if self.parts.health.key_shared().is_none() => {
                batch.set_meta(KEY_SHARED, &by).await?;
                self.parts.health.set_key_shared(Some(by));
                observe::key_shared(&self.parts.name, &by);
                effects.extend(self.agent.handle(Input::KeyShared, self.now));
            }
            // Once is enough. What left the auction was looked at before.
            Message::KeyShared(_) | Message::BidMoneyMoved => {}
            // When everything else of this round is known.
            Message::TakeBidMoney { amount, to, key, reply } => {
                self.taking.push((bid_money::Taking { amount, to, key }, reply));
            }
            Message::Drain => {
                observe::draining(&self.parts.name);
                self.is_draining = true;
                effects.extend(self.agent.handle(Input::Drain, self.now));
            }
            Message::Request { request, key, taken, reply } => {
                let id = request.id;
                let claim = match &key {
                    Some(key) => batch.claim(key, id).await?,
                    None => Claim::New,
                };
                match claim {
                    Claim::New => {}
                    Claim::Same(before) => {
                        match self.opening.get_mut(&before) {
                            Some(waiting) => waiting.push(reply),
                            // Nobody waits any more: that is no concern of the loop.
                            None => drop(reply.send(Ok(before))),
                        }
                        return Ok(());
                    }
                    Claim::Other(before) => {
                        drop(reply.send(Err(Refusal::KeyReused(before))));
                        return Ok(());
                    }
                }
                self.opening.entry(id).or_default().push(reply);
                self.storing.push(taken);
                effects.extend(self.agent.handle(Input::Request(request), self.now));
            }
            Message::Cancel { job, reply } => {
                self.know(job, batch, effects).await?;
                let known = self.agent.job(job).is_some_and(|job| job.order.is_some());
                let answer = if known {
                    Ok(())
                } else {
                    Err(format!("job {job} was not requested through this node, so it cannot cancel it"))
                };
                effects.extend(self.agent.handle(Input::Cancel(job), self.now));
                // Nobody waits any more: that is no concern of the loop.
                let _ = reply.send(answer);
            }
        }
        Ok(())
    }

    /// Answers whoever asked for the job, unless it is still tried.
    fn opened(&mut self, job: JobId, outcome: &StepOutcome) {
        let answer = match outcome {
            StepOutcome::Err(Failure::Temporary(_)) => return,
            StepOutcome::Err(failure) => Err(Refusal::Failed(failure.words(&self.parts.transport.asset()))),
            _ => Ok(job),
        };
        let waiting = self.opening.remove(&job).unwrap_or_default();
        self.answers.extend(waiting.into_iter().map(|waiting| (waiting, answer.clone())));
    }

    /// The time of a block that was taken in. Only after a reorganisation it may be earlier than that of one before.
    fn set_time(&mut self, time: Time) {
        self.now = if self.undone.is_some() { time } else { self.now.max(time) };
    }

    /// It is earlier than it was: jobs that were let go of because it was too late for them may be in time.
    async fn turn_back(&mut self, batch: &mut Batch<'_>, effects: &mut Vec<Effect>) -> Result<(), StoreError> {
        self.pruned = self.pruned.min(self.now);
        self.weighed = self.weighed.min(self.now);
        self.gas_priced = self.gas_priced.map(|asked| asked.min(self.now));
        if !self.parts.provides {
            return Ok(());
        }
        for job in batch.open_jobs(MOST_TAKEN_UP).await? {
            if !self.agent.knows(job.id()) && self.agent.wants(&job) {
                self.know(job.id(), batch, effects).await?;
            }
        }
        Ok(())
    }

    /// Gives an event to the agent if it concerns one of its roles; otherwise the job is only kept to be listed.
    async fn take_event(
        &mut self,
        event: &Event,
        at: At,
        batch: &mut Batch<'_>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), StoreError> {
        let At { block, time } = at;
        if let Some(job) = event.job()
            && !self.agent.knows(job)
        {
            let record = self.records.get(job, batch).await?;
            if !self.agent.is_concerned(event, record) {
                self.records.note(job, event, at);
                return Ok(());
            }
            self.know(job, batch, effects).await?;
        }
        effects.extend(self.agent.handle(Input::Event { block, time, event }, self.now));
        Ok(())
    }

    /// Makes sure that the agent holds a job that the store knows.
    async fn know(&mut self, job: JobId, batch: &mut Batch<'_>, effects: &mut Vec<Effect>) -> Result<(), StoreError> {
        if self.agent.knows(job) {
            return Ok(());
        }
        if let Some(record) = self.records.take(job, batch).await? {
            effects.extend(self.agent.restore(record, self.now));
        }
        Ok(())
    }

    async fn store_and_perform(&mut self, mut batch: Batch<'_>, effects: Vec<Effect>) -> Result<(), StoreError> {
        let party = self.parts.transport.party();
        let mut changed = Vec::new();
        for change in self.agent.take_changes().into_iter().chain(self.records.take_changes()) {
            batch.save(&change, change.job.view.terms.client == party, self.now).await?;
            self.performer.changed(&change.job);
            let view = &change.job.view;
            match (view.status, view.reason) {
                (Status::Cancelled, Reason::NotLocked) => self.parts.offers.nobody_took(view.id),
                (Status::Locked, _) => self.parts.offers.was_taken(view.id, view.provider, view.price),
                _ => {}
            }
            changed.push(view.id);
        }
        for effect in &effects {
            match *effect {
                Effect::Retire { job } if !self.agent.knows(job) => {
                    batch.retire(job).await?;
                    // What was asked for and never opened may be asked for again.
                    let never_opened = |job: Job| job.view.status == Status::None && job.failed(Step::Open).is_some();
                    if batch.job(job).await?.is_some_and(never_opened) {
                        batch.give_back(job).await?;
                    }
                    changed.push(job);
                }
                Effect::Suspend { job } => batch.set_meta(SUSPENDED, &job).await?,
                Effect::RememberCostlyClients => {
                    batch.set_meta(COSTLY_CLIENTS, self.agent.costly_clients()).await?;
                }
                Effect::RememberFickleClients => {
                    batch.set_meta(FICKLE_CLIENTS, self.agent.fickle_clients()).await?;
                }
                Effect::RememberCostlyPayers => {
                    batch.set_meta(COSTLY_PAYERS, self.agent.costly_payers()).await?;
                }
                Effect::RememberPurse => {
                    batch.set_meta(PURSE, self.agent.purse()).await?;
                    self.parts.health.set_bid_money(self.agent.purse().filling);
                    if !self.agent.purse().is_at_rest() {
                        batch.remove_meta(PURSE_HELD).await?;
                    }
                }
                Effect::Retire { .. } | Effect::Do(_) => {}
            }
        }
        batch.commit().await?;
        self.storing.clear();
        // Where nobody waits any more, that is no concern of the loop.
        for (waiting, answer) in self.answers.drain(..) {
            let _ = waiting.send(answer);
        }
        for (waiting, answer) in self.resumed.drain(..) {
            let _ = waiting.send(answer);
        }
        for job in changed {
            // Nobody watches: fine.
            let _ = self.changes.send(job);
        }
        if effects.iter().any(|effect| matches!(effect, Effect::Do(StepKey { step, .. }) if is_reserved_for(*step))) {
            self.performer.reserve(self.agent.commitments());
        }
        for effect in effects {
            match effect {
                Effect::Do(key) => {
                    if let Some(record) = key.job().and_then(|job| self.agent.job(job)) {
                        self.activity.begun(key.step);
                        self.binding += usize::from(Step::BINDING.contains(&key.step));
                        self.parts.metrics.step_begun(&key);
                        self.performer.perform(key, record);
                    } else if let Some((submission, is_needed)) = self.agent.transfer(&key) {
                        self.parts.metrics.step_begun(&key);
                        self.performer.transfer(key, submission, is_needed);
                    }
                }
                Effect::Retire { job } => self.performer.retire(job),
                Effect::RememberCostlyClients
                | Effect::RememberFickleClients
                | Effect::RememberCostlyPayers
                | Effect::RememberPurse => {}
                Effect::Suspend { job } => {
                    self.parts.health.set_suspended(Some(job));
                    observe::suspended(&self.parts.name, job);
                }
            }
        }
        if self.is_draining {
            let unfinished = self.unfinished().await?;
            self.parts.health.set_draining(unfinished);
            self.activity.unfinished = Some(unfinished);
        }
        let activity = self.activity;
        self.watched.send_if_modified(|watched| std::mem::replace(watched, activity) != activity);
        Ok(())
    }
}
