//! The agent: one input in, effects out.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, Bytes};

use super::{
    Effect, EffectKey, Failure, Job, JobView, Offer, Order, Outcome, Refusal, Resources, Step, StepState, Wards, Work,
    resources::Reservations, wakes::Wakes,
};
use crate::{
    AttoFil, Time,
    model::{Command, Event, JobId, MAX_SPEC, Settings, Status, Terms},
};

/// How many jobs a provider looks at or waits for at once; further ones it refuses as busy.
pub const MAX_CONSIDERED: usize = 4_096;
/// The longest pause between two attempts, in seconds.
const MAX_BACKOFF: u64 = 60;
/// How long the event of a command that landed may stay away before the command is submitted again, in seconds.
pub(super) const RECHECK: u64 = 30;

/// What an agent is told. Most inputs are events; boxing them would cost each an allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "most inputs are events")]
pub enum Input {
    /// Something happened on the market, at the block's time. The agent must know the job ([`Agent::knows`]) unless the event
    /// opens it.
    Event {
        /// The block's timestamp.
        time: Time,
        /// What happened.
        event: Event,
    },
    /// A reorganisation changed what the events of a job add up to; `None`: it is no longer open.
    Refold {
        /// The job.
        job: JobId,
        /// The new fold.
        view: Option<JobView>,
    },
    /// An effect came to an end.
    Done {
        /// The job.
        job: JobId,
        /// The step.
        step: Step,
        /// What it came to.
        outcome: Outcome,
    },
    /// The party wants a job done.
    Request(Request),
    /// The party wants its job cancelled.
    Cancel(JobId),
    /// The party's free balance in the market.
    Balance(AttoFil),
    /// Time has passed.
    Tick,
}

/// A job that the party wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The id that the terms have in this market.
    pub id: JobId,
    /// The terms; the client is this party.
    pub terms: Terms,
    /// The spec's bytes, which hash to the terms' digest.
    pub spec: Bytes,
    /// Money from outside the market to send along.
    pub value: AttoFil,
}

/// What a provider is bound to send for its jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Commitments {
    /// Commands: results and settlements.
    pub commands: u32,
    /// Gas that the clients' callbacks may use, all together.
    pub callback_gas: u64,
}

/// A record that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The record.
    pub job: Job,
    /// Whether the agent still holds it: after a restart it wants it back ([`Agent::restore`]).
    pub live: bool,
}

/// A party's agent. It holds the jobs that may still need something; finished ones leave it with
/// [`take_changes`](Self::take_changes) and come back with [`restore`](Self::restore) should anything happen to them.
#[derive(Clone, Debug)]
pub struct Agent {
    pub(super) me: Address,
    pub(super) settings: Settings,
    pub(super) offer: Option<Offer>,
    pub(super) wards: Wards,
    pub(super) now: Time,
    /// Free balance in the market, as far as known, less the collateral of locks under way.
    pub(super) free: AttoFil,
    jobs: BTreeMap<JobId, Job>,
    /// When to look at which job again.
    pub(super) wakes: Wakes,
    /// Jobs that hold one of this provider's slots, and what they need.
    pub(super) running: Reservations,
    /// Jobs that wait for a slot, oldest first.
    pub(super) queue: BTreeSet<(Time, JobId)>,
    dirty: BTreeSet<JobId>,
}

impl Agent {
    /// An agent of `me`, which provides if it has an offer.
    #[must_use]
    pub fn new(me: Address, settings: Settings, offer: Option<Offer>) -> Self {
        Self {
            me,
            settings,
            offer,
            wards: Wards::Nobody,
            now: Time::default(),
            free: AttoFil::ZERO,
            jobs: BTreeMap::new(),
            wakes: Wakes::default(),
            running: Reservations::default(),
            queue: BTreeSet::new(),
            dirty: BTreeSet::new(),
        }
    }

    /// The same agent, which also looks after the jobs of these clients.
    #[must_use]
    pub fn looking_after(self, wards: Wards) -> Self {
        Self { wards, ..self }
    }

    /// Whether it would act on this job, which it does not hold, if it were given back to it.
    #[must_use]
    pub fn wants(&self, job: &Job) -> bool {
        !is_quiet(job, self.looks_after(job))
    }

    /// Whether it holds the job.
    #[must_use]
    pub fn knows(&self, job: JobId) -> bool {
        self.jobs.contains_key(&job)
    }

    /// The job's record, if it holds it.
    #[must_use]
    pub fn job(&self, job: JobId) -> Option<&Job> {
        self.jobs.get(&job)
    }

    /// Gives it a stored record back; effects that were under way are to be done again.
    #[must_use = "an effect that is not performed leaves its step in flight for ever"]
    pub fn restore(&mut self, job: Job, now: Time) -> Vec<Effect> {
        self.now = self.now.max(now);
        let id = job.id();
        let mut effects = Vec::new();
        for (step, state) in &job.steps {
            if let StepState::InFlight { attempt } = state {
                effects.push(effect_of(&job, *step, *attempt));
            }
        }
        if self.holds_slot(&job) {
            self.running.insert(id, needs(&job));
        }
        self.jobs.insert(id, job);
        self.advance(id, &mut effects);
        effects
    }

    /// Takes one input at a time (the latest block's timestamp) and says what is to be done.
    #[must_use = "an effect that is not performed leaves its step in flight for ever"]
    pub fn handle(&mut self, input: Input, now: Time) -> Vec<Effect> {
        self.now = self.now.max(now);
        let mut effects = Vec::new();
        match input {
            Input::Event { time, event } => self.on_event(&event, time, &mut effects),
            Input::Refold { job, view } => self.on_refold(job, view, &mut effects),
            Input::Done { job, step, outcome } => self.on_done(job, step, outcome, &mut effects),
            Input::Request(request) => self.on_request(request, &mut effects),
            Input::Cancel(job) => {
                if let Some(order) = self.jobs.get_mut(&job).and_then(|job| job.order.as_mut()) {
                    order.cancel = true;
                    self.advance(job, &mut effects);
                }
            }
            Input::Balance(free) => self.free = free,
            Input::Tick => {}
        }
        while let Some(job) = self.wakes.due(self.now) {
            self.advance(job, &mut effects);
        }
        self.fill_slots(&mut effects);
        effects
    }

    /// The records that changed since the last call, for the shell to store. Jobs that need nothing more leave the agent.
    pub fn take_changes(&mut self) -> Vec<Change> {
        let dirty = std::mem::take(&mut self.dirty);
        dirty
            .into_iter()
            .filter_map(|id| {
                let job = self.jobs.get(&id)?;
                if !is_quiet(job, self.looks_after(job)) {
                    return Some(Change { job: job.clone(), live: true });
                }
                let job = self.jobs.remove(&id)?;
                self.wakes.remove(id);
                self.running.remove(&id);
                self.queue.remove(&(job.view.opened, id));
                Some(Change { job, live: false })
            })
            .collect()
    }

    /// What this provider is bound to send for the jobs that it has, or is about to lock.
    #[must_use]
    pub fn commitments(&self) -> Commitments {
        let mut all = Commitments::default();
        for job in self.jobs.values().filter(|job| job.work.is_some()) {
            let commands = match job.view.status {
                // Result and settlement.
                _ if self.holds_slot(job) => 2,
                Status::Submitted if job.view.provider == self.me => 1,
                _ => continue,
            };
            all.commands = all.commands.saturating_add(commands);
            all.callback_gas = all.callback_gas.saturating_add(u64::from(job.view.terms.callback_gas));
        }
        all
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

    fn on_event(&mut self, event: &Event, time: Time, effects: &mut Vec<Effect>) {
        let Some(id) = event.job() else { return };
        if let Event::JobOpened { job: id, terms, spec } = event {
            let considered = self.jobs.len();
            let job = self
                .jobs
                .entry(*id)
                .or_insert_with(|| Job::new(JobView::new(*id, terms.clone(), spec.clone(), Status::Open, time)));
            job.view.apply(event, time);
            if let Some(offer) = &self.offer
                && job.work.is_none()
            {
                let mut work = Work::default();
                let verdict = if considered >= MAX_CONSIDERED {
                    Err(Refusal::Busy(considered))
                } else {
                    offer.match_terms(self.me, self.settings, terms)
                };
                if let Err(refusal) = verdict {
                    work.decision = super::Decision::Refused(refusal);
                }
                job.work = Some(work);
            }
        } else if let Some(job) = self.jobs.get_mut(&id) {
            job.view.apply(event, time);
        }
        self.advance(id, effects);
    }

    fn on_refold(&mut self, id: JobId, view: Option<JobView>, effects: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        // Its place in the queue goes by the time of its opening, which may be another now.
        self.queue.remove(&(job.view.opened, id));
        match view {
            Some(view) => job.view = view,
            None => {
                let old = &job.view;
                job.view = JobView::new(id, old.terms.clone(), old.spec.clone(), Status::None, self.now);
            }
        }
        // What was sent may be undone: every command is looked at again. Its key stays the same, and the transport asks the
        // chain before it sends anything twice.
        job.steps.retain(|step, _| !step.is_command());
        if let Some(work) = &mut job.work {
            work.reconsider(job.steps.get(&Step::FetchInputs) == Some(&StepState::Done));
        }
        self.running.remove(&id);
        let job = &self.jobs[&id];
        if self.holds_slot(job) {
            self.running.insert(id, needs(job));
        }
        self.advance(id, effects);
    }

    fn on_request(&mut self, request: Request, effects: &mut Vec<Effect>) {
        let Request { id, terms, spec, value } = request;
        if self.jobs.contains_key(&id) {
            return;
        }
        let mut job = Job::new(JobView::new(id, terms, Bytes::new(), Status::None, self.now));
        job.order = Some(Order { spec, value, cancel: false });
        self.jobs.insert(id, job);
        self.advance(id, effects);
    }

    fn on_done(&mut self, id: JobId, step: Step, outcome: Outcome, effects: &mut Vec<Effect>) {
        let now = self.now;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some(StepState::InFlight { attempt }) = job.steps.get(&step) else { return };
        let attempt = *attempt;
        let wait =
            |problem: String| StepState::Waiting { attempts: attempt, until: now.after(backoff(attempt)), problem };
        let state = match outcome {
            Outcome::Err(failure) => {
                let spent = step.max_attempts().is_some_and(|max| attempt >= max);
                let problem = failure.to_string();
                if step == Step::Lock {
                    self.running.remove(&id);
                    self.free = self.free.checked_add(job.view.terms.collateral).unwrap_or(self.free);
                }
                if matches!(&failure, Failure::Rejected(_)) || !failure.is_temporary() || spent {
                    if failure.is_temporary() && !spent { wait(problem) } else { StepState::Failed { problem } }
                } else {
                    wait(problem)
                }
            }
            // Whether it helped, the next event says; if it did not, it is tried again under another key.
            Outcome::Ok if step == Step::RetryCallback => {
                if step.max_attempts().is_some_and(|max| attempt >= max) {
                    StepState::Failed { problem: format!("the client's callback failed {attempt} times in a row") }
                } else {
                    wait("the client's callback failed".to_owned())
                }
            }
            Outcome::Ok if step.is_command() => StepState::Landed { attempts: attempt, until: now.after(RECHECK) },
            Outcome::Ok => StepState::Done,
            Outcome::Spec(bytes) => {
                job.work.get_or_insert_default().spec = bytes;
                StepState::Done
            }
            Outcome::Ran(report) => {
                job.work.get_or_insert_default().report = Some(report);
                StepState::Done
            }
            Outcome::Published(result) => {
                job.work.get_or_insert_default().result = Some(result);
                StepState::Done
            }
        };
        job.steps.insert(step, state);
        self.advance(id, effects);
    }

    /// Looks at one job and begins whatever its state calls for.
    pub(super) fn advance(&mut self, id: JobId, effects: &mut Vec<Effect>) {
        let Some(mut job) = self.jobs.remove(&id) else { return };
        // Whatever the job still waits for says so again below.
        self.wakes.remove(id);
        self.advance_work(&mut job, effects);
        self.advance_order(&mut job, effects);
        self.advance_ward(&mut job, effects);
        if is_quiet(&job, self.looks_after(&job)) && (job.work.is_some() || job.order.is_some()) {
            effects.push(Effect::Retire { job: id });
        }
        if job.view.status.is_final() {
            self.running.remove(&id);
        }
        self.jobs.insert(id, job);
        self.dirty.insert(id);
    }

    /// Begins a step unless it is under way, done, failed, or not yet due again.
    pub(super) fn begin(&mut self, job: &mut Job, step: Step, effects: &mut Vec<Effect>) {
        let attempt = match job.steps.get(&step) {
            None => 1,
            Some(StepState::Waiting { attempts, until, .. } | StepState::Landed { attempts, until })
                if *until <= self.now =>
            {
                attempts.saturating_add(1)
            }
            Some(StepState::Waiting { until, .. } | StepState::Landed { until, .. }) => {
                self.wakes.add(job.id(), *until);
                return;
            }
            Some(_) => return,
        };
        job.steps.insert(step, StepState::InFlight { attempt });
        effects.push(effect_of(job, step, attempt));
    }

    /// Looks at the job again at `time`; says whether that time has come.
    pub(super) fn reached(&mut self, job: &Job, time: Time) -> bool {
        if time > self.now {
            self.wakes.add(job.id(), time);
        }
        time <= self.now
    }

    /// Gives what was given back to the jobs that wait longest; one that needs more than there is lets others go first.
    fn fill_slots(&mut self, effects: &mut Vec<Effect>) {
        if self.queue.is_empty() || !self.running.were_given_back() {
            return;
        }
        let waiting: Vec<_> = self.queue.iter().copied().collect();
        for place in waiting {
            if !self.has_room(Resources::default()) {
                return;
            }
            let needs = self.jobs.get(&place.1).map(needs).unwrap_or_default();
            if self.has_room(needs) && self.queue.remove(&place) {
                self.advance(place.1, effects);
            }
        }
    }

    fn holds_slot(&self, job: &Job) -> bool {
        match job.view.status {
            Status::Open => {
                matches!(job.steps.get(&Step::Lock), Some(StepState::InFlight { .. } | StepState::Landed { .. }))
            }
            Status::Locked => job.view.provider == self.me,
            _ => false,
        }
    }
}

fn needs(job: &Job) -> Resources {
    job.work.as_ref().map(|work| work.needs).unwrap_or_default()
}

/// Seconds until the next attempt.
const fn backoff(attempts: u32) -> u64 {
    let seconds = 1u64 << if attempts > 7 { 6 } else { attempts.saturating_sub(1) };
    if seconds > MAX_BACKOFF { MAX_BACKOFF } else { seconds }
}

/// Whether nothing more is to be done about a job unless something happens to it. `ward`: its client is looked after.
fn is_quiet(job: &Job, ward: bool) -> bool {
    if job.steps.values().any(|state| matches!(state, StepState::InFlight { .. })) {
        return false;
    }
    let failed = |step| matches!(job.steps.get(&step), Some(StepState::Failed { .. }));
    let called_back = !job.view.callback_pending || failed(Step::RetryCallback);
    match job.view.status {
        Status::None => job.order.is_none() || failed(Step::Open),
        status if status.is_final() => match &job.order {
            None => !ward || called_back,
            Some(_) => called_back && (status != Status::Settled || job.is_done(Step::Verify) || failed(Step::Verify)),
        },
        _ => {
            job.order.is_none()
                && !ward
                && job
                    .work
                    .as_ref()
                    .is_none_or(|work| matches!(work.decision, super::Decision::Refused(_) | super::Decision::Lost))
        }
    }
}

/// The effect of a step: a function of the record, so that it can be made again after a restart.
fn effect_of(job: &Job, step: Step, attempt: u32) -> Effect {
    let id = job.id();
    let view = &job.view;
    let terms = || view.terms.clone();
    let mut value = AttoFil::ZERO;
    let command = match step {
        Step::FetchSpec | Step::FetchInputs | Step::Run | Step::Publish | Step::Verify => {
            return Effect::Do { job: id, step };
        }
        Step::Open => {
            let order = job.order.clone().unwrap_or_default();
            value = order.value;
            let spec = if order.spec.len() <= MAX_SPEC { order.spec } else { Bytes::new() };
            Command::Open { terms: terms(), spec }
        }
        Step::Cancel => Command::Cancel { terms: terms() },
        Step::Expire => Command::Expire { terms: terms() },
        Step::Lock => Command::Lock { terms: terms() },
        Step::SubmitResult => {
            let result = job.work.as_ref().and_then(|work| work.result.clone()).unwrap_or_default();
            Command::SubmitResult { terms: terms(), result }
        }
        Step::Accept => Command::Accept { terms: terms(), receipt: view.receipt() },
        Step::Settle => Command::Settle { terms: terms(), receipt: view.receipt() },
        Step::Lapse => Command::Lapse { terms: terms(), receipt: view.receipt() },
        Step::RetryCallback => Command::RetryCallback { terms: terms(), receipt: view.receipt() },
    };
    let key = match step {
        Step::RetryCallback => EffectKey::of_job(id, &format!("{step}/{attempt}")),
        _ => EffectKey::of_job(id, step.name()),
    };
    Effect::Submit { job: id, step, key, command: Box::new(command), value }
}
