//! What a provider does about a job.

use super::{Agent, Decision, Effect, Job, Refusal, Resources, Step, StepState, Work, offer::price_reached};
use crate::{
    Address, AttoFil,
    model::{SpecCodec, Status, Terms},
    spec,
};

/// How long a provider waits before it looks again whether it has the money for a collateral, in seconds.
const MONEY_PAUSE: u64 = 5;

impl Work {
    /// After a reorganisation: what was won or lost is open again.
    pub(super) fn reconsider(&mut self, ready: bool) {
        if matches!(self.decision, Decision::Won | Decision::Lost) {
            self.decision = if ready { Decision::Wanted } else { Decision::Considering };
        }
    }
}

impl Agent {
    /// Takes a provider's next step, if there is one.
    pub(super) fn advance_work(&mut self, job: &mut Job, effects: &mut Vec<Effect>) {
        let Some(mut work) = job.work.take() else { return };
        let mine = job.view.provider == self.me;
        match job.view.status {
            Status::Open => self.advance_open(job, &mut work, effects),
            // An award is not this provider's job unless it bid for it; bidding with matchers is yet to come.
            Status::Locked if mine && job.view.terms.matcher == Address::ZERO => {
                self.take_on(job, &mut work, effects);
            }
            Status::Submitted if mine => {
                self.release(job);
                if let Some(deadline) = job.view.deadline()
                    && self.reached(job, deadline.after(1))
                {
                    self.begin(job, Step::Settle, effects);
                }
            }
            Status::Disputed if mine => {
                if let Some(deadline) = job.view.deadline()
                    && self.reached(job, deadline.after(1))
                {
                    self.begin(job, Step::Lapse, effects);
                }
            }
            Status::None => {}
            _ if mine && work.decision == Decision::Won => self.release(job),
            _ => self.lose(job, &mut work),
        }
        job.work = Some(work);
    }

    fn advance_open(&mut self, job: &mut Job, work: &mut Work, effects: &mut Vec<Effect>) {
        if matches!(work.decision, Decision::Refused(_) | Decision::Lost) {
            return;
        }
        if self.now > job.view.terms.lock_by {
            self.lose(job, work);
            return;
        }
        if work.decision == Decision::Considering {
            let bytes = if job.view.spec.is_empty() { &work.spec } else { &job.view.spec };
            if bytes.is_empty() {
                if let Some(StepState::Failed { problem }) = job.steps.get(&Step::FetchSpec) {
                    work.decision = Decision::Refused(Refusal::Content(problem.clone()));
                } else {
                    self.begin(job, Step::FetchSpec, effects);
                    self.reached(job, job.view.terms.lock_by.after(1));
                }
                return;
            }
            if work.asking.0 == 0 {
                match self.asking(&job.view.terms, bytes) {
                    Ok((asking, needs)) => (work.asking, work.needs) = (asking, needs),
                    Err(refusal) => {
                        work.decision = Decision::Refused(refusal);
                        return;
                    }
                }
            }
            match job.steps.get(&Step::FetchInputs) {
                Some(StepState::Done) => work.decision = Decision::Wanted,
                Some(StepState::Failed { problem }) => {
                    work.decision = Decision::Refused(Refusal::Content(problem.clone()));
                    return;
                }
                _ => {
                    self.begin(job, Step::FetchInputs, effects);
                    self.reached(job, job.view.terms.lock_by.after(1));
                    return;
                }
            }
        }
        self.try_to_lock(job, work, effects);
    }

    /// What this provider asks for a job with this spec, and what the job takes.
    fn asking(&self, terms: &Terms, spec: &[u8]) -> Result<(AttoFil, Resources), Refusal> {
        let offer = self.offer.as_ref().ok_or(Refusal::OwnJob)?;
        let codec = SpecCodec::from_code(terms.spec_codec).ok_or(Refusal::Codec(terms.spec_codec))?;
        let spec = spec::parse(codec, spec).map_err(|problems| Refusal::Spec(problems.to_string()))?;
        Ok((offer.match_spec(terms, &spec)?, Resources::of(&spec)))
    }

    fn try_to_lock(&mut self, job: &mut Job, work: &Work, effects: &mut Vec<Effect>) {
        let terms = &job.view.terms;
        // Where a matcher awards, bidding is the matcher's affair.
        if terms.matcher != Address::ZERO {
            return;
        }
        let (collateral, lock_by) = (terms.collateral, terms.lock_by);
        let Some(when) = price_reached(terms, work.asking) else { return };
        if !self.reached(job, when) {
            return;
        }
        match job.steps.get(&Step::Lock) {
            None => {}
            Some(StepState::Waiting { until, .. }) => {
                let until = *until;
                if !self.reached(job, until) {
                    return;
                }
            }
            Some(StepState::Landed { .. }) => {
                self.begin(job, Step::Lock, effects);
                return;
            }
            Some(_) => {
                self.reached(job, lock_by.after(1));
                return;
            }
        }
        if !self.has_room(work.needs) {
            self.queue.insert((job.view.opened, job.id()));
            self.reached(job, lock_by.after(1));
            return;
        }
        if collateral > self.free {
            let problem = format!("the free balance of {} does not cover the collateral of {collateral}", self.free);
            let until = self.now.after(MONEY_PAUSE);
            let attempts = 0;
            job.steps.insert(Step::Lock, StepState::Waiting { attempts, until, problem });
            self.reached(job, until);
            return;
        }
        self.free = self.free.saturating_sub(collateral);
        self.running.insert(job.id(), work.needs);
        self.begin(job, Step::Lock, effects);
    }

    /// Whether there is a free slot, and enough of everything, for a job that needs this.
    pub(super) fn has_room(&self, needs: Resources) -> bool {
        self.offer.as_ref().is_some_and(|offer| {
            self.running.len() < offer.slots as usize && self.running.has_room(&offer.resources, needs)
        })
    }

    fn take_on(&mut self, job: &mut Job, work: &mut Work, effects: &mut Vec<Effect>) {
        work.decision = Decision::Won;
        self.running.insert(job.id(), work.needs);
        let Some(deadline) = job.view.deadline() else { return };
        if self.now > deadline {
            self.release(job);
            return;
        }
        self.reached(job, deadline.after(1));
        let step = match (&work.result, &work.report) {
            (Some(_), _) => Step::SubmitResult,
            (None, Some(_)) => Step::Publish,
            (None, None) => Step::Run,
        };
        // The steps' commands are made from the record, which must be whole for it.
        job.work = Some(work.clone());
        self.begin(job, step, effects);
    }

    fn lose(&mut self, job: &Job, work: &mut Work) {
        if !matches!(work.decision, Decision::Refused(_)) {
            work.decision = Decision::Lost;
        }
        self.release(job);
    }

    fn release(&mut self, job: &Job) {
        self.running.remove(&job.id());
        self.queue.remove(&(job.view.opened, job.id()));
    }
}
