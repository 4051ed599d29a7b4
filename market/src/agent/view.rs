//! A job as the market's events tell it.

use alloy_primitives::{Address, Bytes};
use serde::{Deserialize, Serialize};

use crate::{
    AttoFil, Time,
    model::{Event, JobId, JobResult, Reason, Receipt, Status, Terms},
};

/// What the events of one job add up to: a fold, so that after a reorganisation it can be folded again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct JobView {
    /// Its id.
    pub id: JobId,
    /// Its terms.
    pub terms: Terms,
    /// The spec's bytes, if they came with the event.
    pub spec: Bytes,
    /// Its state.
    pub status: Status,
    /// Why it ended.
    pub reason: Reason,
    /// When it came into this state.
    pub since: Time,
    /// When it was opened.
    pub opened: Time,
    /// When it was locked; zero before.
    pub locked: Time,
    /// Who locked it; zero before.
    pub provider: Address,
    /// Its price, once locked.
    pub price: AttoFil,
    /// Its result, once submitted.
    pub result: Option<JobResult>,
    /// A callback failed and may be tried again.
    pub callback_pending: bool,
    /// When it was slashed: what the client, the arbiter and nobody got.
    pub slashed: Option<(AttoFil, AttoFil, AttoFil)>,
}

impl JobView {
    /// A job that is known here and not yet open on the market (`Status::None`), or that was just opened.
    #[must_use]
    pub fn new(id: JobId, terms: Terms, spec: Bytes, status: Status, now: Time) -> Self {
        Self {
            id,
            terms,
            spec,
            status,
            reason: Reason::None,
            since: now,
            opened: now,
            locked: Time::default(),
            provider: Address::ZERO,
            price: AttoFil::ZERO,
            result: None,
            callback_pending: false,
            slashed: None,
        }
    }

    /// The fold of a job's stored events; `None` when they do not begin with its opening.
    #[must_use]
    pub fn fold<'a>(events: impl IntoIterator<Item = (Time, &'a Event)>) -> Option<Self> {
        let mut view: Option<Self> = None;
        for (time, event) in events {
            match &mut view {
                Some(view) => view.apply(event, time),
                None => {
                    if let Event::JobOpened { job, terms, spec } = event {
                        view = Some(Self::new(*job, terms.clone(), spec.clone(), Status::Open, time));
                    }
                }
            }
        }
        view
    }

    /// Takes in one more event of this job.
    pub fn apply(&mut self, event: &Event, time: Time) {
        match event {
            Event::JobOpened { terms, spec, .. } => {
                *self = Self::new(self.id, terms.clone(), spec.clone(), Status::Open, time);
            }
            Event::JobLocked { provider, price, .. } => {
                (self.status, self.since, self.locked) = (Status::Locked, time, time);
                (self.provider, self.price) = (*provider, *price);
            }
            Event::ResultSubmitted { result, .. } => {
                (self.status, self.since) = (Status::Submitted, time);
                self.result = Some(result.clone());
            }
            Event::JobDisputed { .. } => (self.status, self.since) = (Status::Disputed, time),
            Event::JobSettled { reason, .. } => self.end(Status::Settled, *reason, time),
            Event::JobCancelled { reason, .. } => self.end(Status::Cancelled, *reason, time),
            Event::JobVoided { reason, .. } => self.end(Status::Void, *reason, time),
            Event::JobSlashed { to_client, to_arbiter, to_burn, reason, .. } => {
                self.end(Status::Slashed, *reason, time);
                self.slashed = Some((*to_client, *to_arbiter, *to_burn));
            }
            Event::CallbackDelivered { .. } => self.callback_pending = false,
            Event::CallbackFailed { .. } => self.callback_pending = true,
            Event::BatchSettled { .. }
            | Event::BatchSkipped { .. }
            | Event::Deposited { .. }
            | Event::Withdrawn { .. }
            | Event::SaltsRevoked { .. }
            | Event::SpecPublished { .. }
            | Event::Announced { .. } => {}
        }
    }

    fn end(&mut self, status: Status, reason: Reason, time: Time) {
        (self.status, self.reason, self.since) = (status, reason, time);
    }

    /// What the deal came to, as the market wants to be told; empty before a result was submitted.
    #[must_use]
    pub fn receipt(&self) -> Receipt {
        match &self.result {
            Some(result) => Receipt { provider: self.provider, price: self.price, result: result.clone() },
            None => Receipt::default(),
        }
    }

    /// Until when the state may last before anyone may end it: lock_by, the run, review or ruling window's end.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        match self.status {
            Status::Open => Some(self.terms.lock_by),
            Status::Locked => Some(self.since.after(u64::from(self.terms.run_for))),
            Status::Submitted => Some(self.since.after(u64::from(self.terms.review_for))),
            Status::Disputed => Some(self.since.after(u64::from(self.terms.rule_for))),
            _ => None,
        }
    }
}
