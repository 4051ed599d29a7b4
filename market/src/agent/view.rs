//! A job as the market's events tell it.

use alloy_primitives::{Address, Bytes};
use serde::{Deserialize, Serialize};

use super::{AuctionView, OrderView};
use crate::{
    AttoFil, Time,
    model::{Event, JobId, JobResult, Reason, Receipt, Status, Terms},
};

/// Where something happened: a block's number and its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// The block's number; 0 where nobody asks whether it is final.
    pub block: u64,
    pub time: Time,
}

impl From<Time> for At {
    fn from(time: Time) -> Self {
        Self { block: 0, time }
    }
}

/// What the events of one job add up to: a fold, so that after a reorganisation it can be folded again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct JobView {
    pub id: JobId,
    pub terms: Terms,
    /// The spec's bytes, if they came with the event.
    pub spec: Bytes,
    pub status: Status,
    /// Why it ended.
    pub reason: Reason,
    /// When it came into this state.
    pub since: Time,
    /// Number of the block in which it came into this state. Records of earlier versions have 0: those waited until a block was
    /// deep before they read it.
    #[serde(default)]
    pub block: u64,
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
    /// Its auction, if there was one event of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auction: Option<AuctionView>,
    /// Its order, if it is paid over Filecoin Pay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filecoin_pay: Option<OrderView>,
}

impl JobView {
    /// A job that is known here and not yet open on the market (`Status::None`), or that was just opened.
    #[must_use]
    pub fn new(id: JobId, terms: Terms, spec: Bytes, status: Status, at: impl Into<At>) -> Self {
        let At { block, time: now } = at.into();
        Self {
            block,
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
            auction: None,
            filecoin_pay: None,
        }
    }

    /// The fold of a job's stored events; `None` when they do not begin with its opening.
    #[must_use]
    pub fn fold<'a>(events: impl IntoIterator<Item = (At, &'a Event)>) -> Option<Self> {
        let mut view: Option<Self> = None;
        for (at, event) in events {
            match &mut view {
                Some(view) => view.apply(event, at),
                None => {
                    if let Event::JobOpened { job, terms, spec } = event {
                        view = Some(Self::new(*job, terms.clone(), spec.clone(), Status::Open, at));
                    }
                }
            }
        }
        view
    }

    /// Takes in one more event of this job.
    pub fn apply(&mut self, event: &Event, at: impl Into<At>) {
        let at = at.into();
        match event {
            Event::JobOpened { terms, spec, .. } => {
                *self = Self::new(self.id, terms.clone(), spec.clone(), Status::Open, at);
            }
            Event::JobLocked { provider, price, .. } => {
                self.enter(Status::Locked, at);
                (self.locked, self.provider, self.price) = (at.time, *provider, *price);
            }
            Event::ResultSubmitted { result, .. } => {
                self.enter(Status::Submitted, at);
                self.result = Some(result.clone());
            }
            Event::JobDisputed { .. } => self.enter(Status::Disputed, at),
            Event::JobSettled { reason, .. } => self.end(Status::Settled, *reason, at),
            Event::JobCancelled { reason, .. } => self.end(Status::Cancelled, *reason, at),
            Event::JobVoided { reason, .. } => self.end(Status::Void, *reason, at),
            Event::JobSlashed { to_client, to_arbiter, to_burn, reason, .. } => {
                self.end(Status::Slashed, *reason, at);
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

    const fn enter(&mut self, status: Status, at: At) {
        (self.status, self.since, self.block) = (status, at.time, at.block);
    }

    const fn end(&mut self, status: Status, reason: Reason, at: At) {
        self.enter(status, at);
        self.reason = reason;
    }

    /// Whether it has ended, and its end will not be undone. `finalized`: the newest block of which that holds.
    #[must_use]
    pub const fn is_final(&self, finalized: u64) -> bool {
        self.status.is_final() && self.block <= finalized
    }

    /// Who asked for it: of a job that is paid over Filecoin Pay, whose client is a contract, the payer.
    #[must_use]
    pub fn asked_by(&self) -> Address {
        self.filecoin_pay.as_ref().map_or(self.terms.client, |order| order.payer)
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
