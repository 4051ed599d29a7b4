//! The loop of a node: take inputs, ask the agent, store what changed in one transaction, then perform the effects.

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use futures::StreamExt as _;
use lota_bridge::{Cursor, TransportError, Update, UpdateStream};
use lota_market::{
    Time,
    agent::{Agent, At, Change, Effect, Failure, Input, Job, JobView, LookAfter, Step, StepKey, StepOutcome},
    model::{Event, JobId, Reason, Status},
};
use tokio::{
    sync::{
        broadcast,
        mpsc::{self, error::TryRecvError},
    },
    task::JoinSet,
    time::Instant,
};

use crate::{
    effects::Performer,
    health::Money,
    inbox::{Message, Refusal, RequestReply, ResumeReply},
    observe,
    salts::TakenSalt,
    shared::Shared,
    store::{Batch, Claim, StoreError},
};

/// How many inputs one transaction takes at most.
const ROUND: usize = 1_024;
/// How many updates are read before the loop takes them, at most: reading goes on while it stores.
const READ_AHEAD: usize = 1_024;
/// Finished jobs are cleared away this often, in seconds of the market's time.
const PRUNE_EVERY: u64 = 600;
/// The free balance is asked for at least this often, in seconds of the market's time.
const WEIGH_EVERY: u64 = 600;
/// How many finished jobs are cleared away at once.
const PRUNE_MOST: i64 = 1_000;
/// How many jobs that were none of its affair are looked through at the start for those that are now.
const MOST_TAKEN_UP: u32 = 100_000;
/// After how long a log that ended for a reason that somebody must mend is opened again.
const REOPEN: Duration = Duration::from_secs(10);
/// Where the number of the newest block that will not be undone is kept.
const FINALIZED: &str = "finalized";
/// Where the job is kept that the provider was slashed for, while it locks no others.
const SUSPENDED: &str = "suspended";

/// The loop's state.
pub(crate) struct EventLoop {
    shared: Arc<Shared>,
    agent: Agent,
    inbox: mpsc::Receiver<Message>,
    performer: Performer,
    changes: broadcast::Sender<JobId>,
    now: Time,
    cursor: Option<Cursor>,
    /// Records of jobs that this round's events are about and the agent does not hold; `None` of those that are not stored.
    stored: HashMap<JobId, Option<Job>>,
    /// Those of them that changed: jobs of others, which are kept to be listed.
    strangers: BTreeSet<JobId>,
    opening: HashMap<JobId, Vec<RequestReply>>,
    /// What they are told once it is stored: who asks again then finds it.
    answers: Vec<(RequestReply, Result<JobId, Refusal>)>,
    /// The same for operators who had the provider go on.
    resumed: Vec<(ResumeReply, Option<JobId>)>,
    /// The salts of requests whose jobs are being stored.
    storing: Vec<TakenSalt>,
    pruned: Time,
    /// Something happened that may have changed the party's free balance since it was asked for, or it was asked long ago.
    money_moved: bool,
    /// When it was asked for.
    weighed: Time,
}

enum Incoming {
    Update(Box<Update>),
    Message(Message),
}

/// The market's updates, read by a task of their own, which ends with this value.
struct Updates {
    queue: mpsc::Receiver<Result<Update, TransportError>>,
    _reader: JoinSet<()>,
}

impl Updates {
    fn of(mut stream: UpdateStream) -> Self {
        let (sender, queue) = mpsc::channel(READ_AHEAD);
        let mut reader = JoinSet::new();
        reader.spawn(async move {
            while let Some(update) = stream.next().await {
                if sender.send(update).await.is_err() {
                    return;
                }
            }
        });
        Self { queue, _reader: reader }
    }
}

impl EventLoop {
    pub(crate) fn new(
        shared: Arc<Shared>,
        agent: Agent,
        inbox: mpsc::Receiver<Message>,
        performer: Performer,
        changes: broadcast::Sender<JobId>,
    ) -> Self {
        Self {
            shared,
            agent,
            inbox,
            performer,
            changes,
            now: Time::default(),
            cursor: None,
            stored: HashMap::new(),
            strangers: BTreeSet::new(),
            opening: HashMap::new(),
            answers: Vec::new(),
            resumed: Vec::new(),
            storing: Vec::new(),
            pruned: Time::default(),
            money_moved: true,
            weighed: Time::default(),
        }
    }

    /// Runs until the node is stopped, or its database fails.
    pub(crate) async fn run(mut self) {
        let stop = self.shared.stop.clone();
        let result = tokio::select! {
            result = self.run_until_failure() => result,
            () = stop.cancelled() => Ok(()),
        };
        if let Err(error) = result {
            observe::loop_failed(&self.shared.config.name, &error);
            stop.cancel();
        }
    }

    async fn run_until_failure(&mut self) -> Result<(), StoreError> {
        self.resume().await?;
        let mut updates = Updates::of(self.shared.transport.updates(self.cursor));
        // When a log that ended is opened again.
        let mut again: Option<Instant> = None;
        loop {
            let mut round = Vec::new();
            let first = tokio::select! {
                update = updates.queue.recv(), if again.is_none() => match update {
                    Some(Ok(update)) => {
                        self.shared.health.reached();
                        Incoming::Update(Box::new(update))
                    }
                    Some(Err(error)) => {
                        self.shared.health.failed(&error);
                        continue;
                    }
                    None => {
                        again = Some(Instant::now() + REOPEN);
                        continue;
                    }
                },
                () = tokio::time::sleep_until(again.unwrap_or_else(Instant::now)), if again.is_some() => {
                    again = None;
                    updates = Updates::of(self.shared.transport.updates(self.cursor));
                    continue;
                }
                Some(message) = self.inbox.recv() => Incoming::Message(message),
            };
            round.push(first);
            while round.len() < ROUND {
                if let Ok(message) = self.inbox.try_recv() {
                    round.push(Incoming::Message(message));
                } else if again.is_some() {
                    break;
                } else {
                    match updates.queue.try_recv() {
                        Ok(Ok(update)) => round.push(Incoming::Update(Box::new(update))),
                        Ok(Err(error)) => {
                            self.shared.health.failed(&error);
                            break;
                        }
                        Err(TryRecvError::Disconnected) => {
                            again = Some(Instant::now() + REOPEN);
                            break;
                        }
                        Err(TryRecvError::Empty) => break,
                    }
                }
            }
            self.take(round).await?;
        }
    }

    /// Takes up where the last process left off.
    async fn resume(&mut self) -> Result<(), StoreError> {
        self.cursor = self.shared.store.cursor().await?;
        let (transport, health) = (&self.shared.transport, &self.shared.health);
        let party = transport.party();
        let (head, wallet, market) = tokio::join!(transport.head(), transport.wallet(party), transport.balance(party));
        if let Ok(head) = head {
            self.now = head.time;
            health.set_head(head);
        }
        if let (Ok(wallet), Ok(market)) = (wallet, market) {
            health.set_money(Money { wallet, market });
        }
        let finalized: u64 = self.shared.store.meta(FINALIZED).await?.unwrap_or(0);
        let suspended: Option<JobId> = self.shared.store.meta(SUSPENDED).await?;
        health.set_finalized(finalized);
        health.set_suspended(suspended);
        self.agent.recall(suspended, finalized);
        let mut effects = self.refresh_balance().await;
        for job in self.shared.store.live_jobs().await? {
            effects.extend(self.agent.restore(job, self.now));
        }
        // What was none of this node's affair before its settings changed.
        if self.shared.config.look_after != LookAfter::Nobody {
            for job in self.shared.store.unfinished_jobs(MOST_TAKEN_UP).await? {
                if !self.agent.knows(job.id()) && self.agent.wants(&job) {
                    effects.extend(self.agent.restore(job, self.now));
                }
            }
        }
        let store = self.shared.store.clone();
        let batch = store.begin().await?;
        self.store_and_perform(batch, effects).await
    }

    async fn take(&mut self, round: Vec<Incoming>) -> Result<(), StoreError> {
        // Asked before the transaction begins: a slow chain must not keep others from writing.
        let time_passed = round
            .iter()
            .any(|incoming| matches!(incoming, Incoming::Update(update) if matches!(**update, Update::Head { .. })));
        self.money_moved |= round.iter().any(|incoming| self.moves_money(incoming));
        let is_due = self.money_moved || self.now.since(self.weighed) > WEIGH_EVERY;
        let mut effects = if time_passed && is_due { self.refresh_balance().await } else { Vec::new() };
        if time_passed
            && self.shared.health.is_short_of_gas()
            && let Ok(wallet) = self.shared.transport.wallet(self.shared.transport.party()).await
        {
            self.shared.health.has_outside(wallet);
        }
        let store = self.shared.store.clone();
        let mut batch = store.begin().await?;
        let before = self.cursor;
        self.look_up(&round, &mut batch).await?;
        for incoming in round {
            match incoming {
                Incoming::Update(update) => self.take_update(*update, &mut batch, &mut effects).await?,
                Incoming::Message(message) => self.take_message(message, &mut batch, &mut effects).await?,
            }
        }
        if self.cursor != before {
            batch.set_cursor(self.cursor).await?;
        }
        self.store_and_perform(batch, effects).await
    }

    async fn take_update(
        &mut self,
        update: Update,
        batch: &mut Batch<'_>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), StoreError> {
        match update {
            Update::Event { cursor, time, event, .. } => {
                self.now = self.now.max(time);
                self.cursor = Some(cursor);
                batch.add_event(&cursor, time, &event).await?;
                if let Event::SpecPublished { data, .. } = &event {
                    batch.add_spec(&cursor, data).await?;
                }
                if let Some(job) = event.job() {
                    observe::event(&self.shared.config.name, job, observe::event_name(&event));
                }
                self.take_event(&event, At { block: cursor.block, time }, batch, effects).await?;
            }
            // Bidders read these; nobody else does.
            Update::Auction { cursor, time, .. } => {
                self.now = self.now.max(time);
                self.cursor = Some(cursor);
            }
            Update::Head { cursor, latest, finalized } => {
                self.now = self.now.max(latest.time);
                self.shared.health.set_head(latest);
                self.cursor = Some(cursor);
                if finalized > self.shared.health.finalized() {
                    self.shared.health.set_finalized(finalized);
                    batch.set_meta(FINALIZED, &finalized).await?;
                }
                effects.extend(self.agent.handle(Input::Head { block: cursor.block, finalized }, self.now));
                if self.now.since(self.pruned) > PRUNE_EVERY {
                    self.pruned = self.now;
                    let before = Time(self.now.0.saturating_sub(self.shared.config.keep_for));
                    for job in batch.prune(before, PRUNE_MOST).await? {
                        self.performer.forget(job);
                    }
                }
            }
            Update::Rewind { to } => {
                observe::rewound(&self.shared.config.name, to.as_ref());
                self.cursor = to;
                let block = to.map_or(0, |to| to.block);
                if block < self.shared.health.finalized() {
                    self.shared.health.set_finalized(block);
                    batch.set_meta(FINALIZED, &block).await?;
                }
                effects.extend(self.agent.handle(Input::Rewind { block }, self.now));
                for job in batch.rewind(to).await? {
                    self.know(job, batch, effects).await?;
                    let view = batch.fold(job).await?.map(Box::new);
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
                self.know(key.job, batch, effects).await?;
                if key.step == Step::Open {
                    self.opened(key.job, &outcome);
                }
                observe::step(&self.shared.config.name, &key, &outcome);
                effects.extend(self.agent.handle(Input::Done { key, outcome }, self.now));
            }
            Message::Resume { reply } => {
                let before = self.agent.suspended();
                if before.is_some() {
                    batch.remove_meta(SUSPENDED).await?;
                    self.shared.health.set_suspended(None);
                    observe::resumed(&self.shared.config.name);
                }
                effects.extend(self.agent.handle(Input::Resume, self.now));
                self.resumed.push((reply, before));
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
            StepOutcome::Err(failure) => Err(Refusal::Failed(failure.to_string())),
            _ => Ok(job),
        };
        let waiting = self.opening.remove(&job).unwrap_or_default();
        self.answers.extend(waiting.into_iter().map(|waiting| (waiting, answer.clone())));
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
            self.look_for(job, batch).await?;
            if self.agent.is_concerned(event, self.stored.get(&job).and_then(Option::as_ref)) {
                self.know(job, batch, effects).await?;
            } else {
                let record = self.stored.entry(job).or_default();
                match (record, event) {
                    (Some(record), event) => record.view.apply(event, at),
                    (record @ None, Event::JobOpened { terms, spec, .. }) => {
                        let view = JobView::new(job, terms.clone(), spec.clone(), Status::Open, at);
                        *record = Some(Job::new(view));
                    }
                    (None, _) => return Ok(()),
                }
                self.strangers.insert(job);
                return Ok(());
            }
        }
        effects.extend(self.agent.handle(Input::Event { block, time, event }, self.now));
        Ok(())
    }

    /// Looks the record of a job up that the agent does not hold, unless that was done in this round.
    async fn look_for(&mut self, job: JobId, batch: &mut Batch<'_>) -> Result<(), StoreError> {
        if let Entry::Vacant(place) = self.stored.entry(job) {
            place.insert(batch.job(job).await?);
        }
        Ok(())
    }

    /// Looks up, all at once, the jobs that the events of a round are about and the agent does not hold.
    async fn look_up(&mut self, round: &[Incoming], batch: &mut Batch<'_>) -> Result<(), StoreError> {
        self.stored.clear();
        let mut ids = BTreeSet::new();
        for incoming in round {
            if let Incoming::Update(update) = incoming
                && let Update::Event { event, .. } = &**update
                && let Some(job) = event.job()
                && !self.agent.knows(job)
            {
                ids.insert(job);
            }
        }
        let ids: Vec<_> = ids.into_iter().collect();
        let records = batch.jobs(&ids).await?;
        self.stored.extend(ids.into_iter().map(|id| (id, None)));
        self.stored.extend(records.into_iter().map(|record| (record.id(), Some(record))));
        Ok(())
    }

    /// Makes sure that the agent holds a job that the store knows.
    async fn know(&mut self, job: JobId, batch: &mut Batch<'_>, effects: &mut Vec<Effect>) -> Result<(), StoreError> {
        if self.agent.knows(job) {
            return Ok(());
        }
        self.look_for(job, batch).await?;
        self.strangers.remove(&job);
        if let Some(record) = self.stored.remove(&job).flatten() {
            effects.extend(self.agent.restore(record, self.now));
        }
        Ok(())
    }

    async fn store_and_perform(&mut self, mut batch: Batch<'_>, effects: Vec<Effect>) -> Result<(), StoreError> {
        let party = self.shared.transport.party();
        let mut changed = Vec::new();
        let strangers = std::mem::take(&mut self.strangers);
        let strangers = strangers.into_iter().filter_map(|job| self.stored.remove(&job).flatten());
        let strangers = strangers.map(|job| Change { job, live: false });
        for change in self.agent.take_changes().into_iter().chain(strangers) {
            batch.save(&change, change.job.view.terms.client == party, self.now).await?;
            self.performer.changed(&change.job);
            let view = &change.job.view;
            match (view.status, view.reason) {
                (Status::Cancelled, Reason::NotLocked) => self.shared.offers.nobody_took(view.id),
                (Status::Locked, _) => self.shared.offers.was_taken(view.id, view.provider, view.price),
                _ => {}
            }
            changed.push(view.id);
        }
        self.stored.clear();
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
        if effects.iter().any(|effect| matches!(effect, Effect::Do(StepKey { step: Step::Lock, .. }))) {
            self.performer.reserve(self.agent.commitments());
        }
        for effect in effects {
            match effect {
                Effect::Do(key) => {
                    if let Some(record) = self.agent.job(key.job) {
                        self.performer.perform(key, record);
                    }
                }
                Effect::Retire { job } => self.performer.retire(job),
                Effect::Suspend { job } => {
                    self.shared.health.set_suspended(Some(job));
                    observe::suspended(&self.shared.config.name, job);
                }
            }
        }
        Ok(())
    }

    /// Whether an update may change the party's free balance, but for collateral: the agent counts what it stakes itself.
    fn moves_money(&self, incoming: &Incoming) -> bool {
        let Incoming::Update(update) = incoming else { return false };
        let event = match &**update {
            Update::Event { event, .. } => event,
            Update::Rewind { .. } => return true,
            // What the auction does to a balance, the market says, too.
            Update::Auction { .. } | Update::Head { .. } => return false,
        };
        let me = self.shared.transport.party();
        let terms = |job: &JobId| self.agent.job(*job).map(|job| &job.view.terms);
        let is_partys =
            |job: &JobId| terms(job).is_some_and(|terms| [terms.client, terms.arbiter, terms.matcher].contains(&me));
        match event {
            Event::Deposited { account, .. } | Event::Withdrawn { account, .. } => *account == me,
            Event::JobOpened { terms, .. } => terms.client == me,
            Event::JobSettled { job, provider, .. }
            | Event::JobSlashed { job, provider, .. }
            | Event::JobVoided { job, provider, .. } => *provider == me || is_partys(job),
            Event::JobCancelled { job, .. } => is_partys(job),
            Event::BatchSettled { client, provider, .. } => [*client, *provider].contains(&me),
            _ => false,
        }
    }

    async fn refresh_balance(&mut self) -> Vec<Effect> {
        if self.shared.config.provider.is_some()
            && let Ok(free) = self.shared.transport.balance(self.shared.transport.party()).await
        {
            (self.money_moved, self.weighed) = (false, self.now);
            return self.agent.handle(Input::Balance(free), self.now);
        }
        Vec::new()
    }
}
