//! What a role is handed when it looks at a job.

use std::collections::BTreeMap;

use alloy_primitives::Address;

use super::{
    At, Auctioneer, CostlyClients, Effect, Failure, JobView, Pace, PayVenue, Specs, Step, StepKey, StepState, Subject,
};
use crate::{
    AttoFil, Time,
    model::{Settings, Terms},
};

/// What holds for all jobs of a party at a moment.
#[derive(Clone, Debug)]
pub(super) struct Situation {
    pub(super) me: Address,
    pub(super) settings: Settings,
    pub(super) pace: Pace,
    pub(super) specs: Specs,
    /// The auction that it bids in.
    pub(super) auction: Option<Auctioneer>,
    /// Whose orders it takes.
    pub(super) filecoin_pay: Option<PayVenue>,
    /// Timestamp of the newest block.
    pub(super) now: Time,
    /// Number of the block up to which the market's log was taken in.
    pub(super) seen: u64,
    /// The newest block of which it was told, however deep.
    pub(super) latest: At,
    /// Number of the newest block that will not be undone.
    pub(super) finalized: u64,
    /// How often callbacks of clients failed in blocks at this party's cost.
    pub(super) costly: CostlyClients,
}

impl Situation {
    /// Where a job of these terms is taken that is paid over Filecoin Pay.
    pub(super) fn pay_venue(&self, terms: &Terms) -> Option<PayVenue> {
        self.filecoin_pay.filter(|venue| venue.contract == terms.matcher)
    }

    /// The payer, if these are the terms of an order that it takes.
    pub(super) fn payer_of(&self, terms: &Terms) -> Option<Address> {
        self.filecoin_pay.and_then(|venue| venue.payer_of(terms))
    }

    /// Who asks for a job of these terms.
    pub(super) fn asked_by(&self, terms: &Terms) -> Address {
        self.payer_of(terms).unwrap_or(terms.client)
    }
}

/// One job, as a role sees and moves it.
pub(super) struct Context<'a> {
    pub(super) situation: &'a Situation,
    pub(super) view: &'a JobView,
    pub(super) steps: &'a mut BTreeMap<Step, StepState>,
    pub(super) round: u32,
    pub(super) effects: &'a mut Vec<Effect>,
    /// When to look at the job again.
    pub(super) wake: Option<Time>,
    /// At which block to look at it again.
    pub(super) wake_at_block: Option<u64>,
    /// Whether to look at it again when there is a newer block.
    pub(super) wake_at_head: bool,
    /// Look at it again when this block is final.
    pub(super) wake_when_final: Option<u64>,
    /// Whether the record is another now.
    pub(super) changed: bool,
}

impl Context<'_> {
    pub(super) const fn now(&self) -> Time {
        self.situation.now
    }

    /// Whether what the market says of the job now will not be undone.
    pub(super) const fn is_settled_for_good(&self) -> bool {
        self.view.is_final(self.situation.finalized)
    }

    /// What the job is paid with, once it is locked.
    pub(super) fn price(&self) -> AttoFil {
        let taken = self.view.filecoin_pay.as_ref().and_then(|order| order.taken.as_ref());
        match (self.situation.pay_venue(&self.view.terms), taken) {
            (Some(venue), Some(taken)) => venue.rate.worth(taken.price),
            _ => self.view.price,
        }
    }

    /// Begins a step unless it is under way, done, failed, or not yet due again.
    pub(super) fn begin(&mut self, step: Step) {
        let attempt = match self.steps.get(&step) {
            None => 1,
            Some(StepState::Waiting { attempts, until, .. } | StepState::Landed { attempts, until }) => {
                let (attempts, until) = (*attempts, *until);
                if !self.reached(until) {
                    return;
                }
                attempts.saturating_add(1)
            }
            Some(_) => return,
        };
        self.set(step, StepState::InFlight { attempt, round: self.round });
        let subject = Subject::Job(self.view.id);
        self.effects.push(Effect::Do(StepKey { subject, step, round: self.round, attempt }));
    }

    /// Tries the client's callback again, unless too many of its callbacks have failed at this party's cost.
    pub(super) fn retry_callback(&mut self) {
        let client = self.view.terms.client;
        match self.situation.costly.dropped(client) {
            None => self.begin(Step::RetryCallback),
            Some(failures) => {
                let failure = Failure::ClientDropped { client, failures };
                if self.failed(Step::RetryCallback) != Some(&failure) {
                    self.set(Step::RetryCallback, StepState::Failed { failure });
                }
            }
        }
    }

    /// Begins a step once the deadline of the job's state has passed.
    pub(super) fn begin_when_overdue(&mut self, step: Step, courtesy: u64) {
        if let Some(deadline) = self.view.deadline()
            && self.reached(deadline.after(1 + courtesy))
        {
            self.begin(step);
        }
    }

    pub(super) fn set(&mut self, step: Step, state: StepState) {
        self.steps.insert(step, state);
        self.changed = true;
    }

    /// Looks at the job again at `time`; says whether that time has come.
    pub(super) fn reached(&mut self, time: Time) -> bool {
        if time <= self.now() {
            return true;
        }
        self.wake = Some(self.wake.map_or(time, |earlier| earlier.min(time)));
        false
    }

    /// Looks at the job again when block `number` was taken in; says whether it was.
    pub(super) fn reached_block(&mut self, number: u64) -> bool {
        if number <= self.situation.seen {
            return true;
        }
        self.wake_at_block = Some(self.wake_at_block.map_or(number, |earlier| earlier.min(number)));
        false
    }

    /// Looks at the job again when block `number` is final; says whether it is.
    pub(super) fn reached_final(&mut self, number: u64) -> bool {
        if number <= self.situation.finalized {
            return true;
        }
        self.wake_when_final = Some(self.wake_when_final.map_or(number, |earlier| earlier.min(number)));
        false
    }

    pub(super) fn is_done(&self, step: Step) -> bool {
        matches!(self.steps.get(&step), Some(StepState::Done))
    }

    /// Why a step failed for good, if it did.
    pub(super) fn failed(&self, step: Step) -> Option<&Failure> {
        match self.steps.get(&step) {
            Some(StepState::Failed { failure }) => Some(failure),
            _ => None,
        }
    }
}
