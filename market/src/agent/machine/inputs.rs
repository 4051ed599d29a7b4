//! What each input changes in the jobs that the agent holds.

use alloy_primitives::Bytes;

use super::{Agent, MAX_ASIDE, MAX_ASIDE_OF_A_PAYER, MAX_CONSIDERED, MAX_OF_A_CLIENT};
use crate::{
    agent::{
        Effect, Failure, Job, JobView, Order, OrderView, Request, Step, StepKey, StepOutcome, StepState,
        context::Situation, provider, view::At,
    },
    auction, filecoin_pay_deals,
    model::{Event, JobId, Status, Terms},
};

impl Agent {
    pub(super) fn on_event(&mut self, event: &Event, at: At, effects: &mut Vec<Effect>) {
        let Some(id) = event.job() else { return };
        if let Some(held) = self.jobs.get_mut(&id) {
            held.job.view.apply(event, at);
            if let Event::JobOpened { terms, .. } = event {
                // What it needs may have been let go of since it was open on another fork.
                if held.job.is_done(Step::FetchInputs) {
                    held.job.steps.remove(&Step::FetchInputs);
                }
                if let Some(work) = &mut held.job.work {
                    work.begin_again();
                }
                self.consider(id, terms);
            }
            self.touched(id);
            self.advance(id, effects);
        } else if let Event::JobOpened { terms, spec, .. } = event
            && self.is_concerned(event, None)
        {
            let view = JobView::new(id, terms.clone(), spec.clone(), Status::Open, at);
            self.insert(Job::new(view));
            self.consider(id, terms);
            self.advance(id, effects);
        }
    }

    /// Has the provider look at a job's terms, unless it has before.
    fn consider(&mut self, id: JobId, terms: &Terms) {
        let others = || self.jobs.values().map(|held| &held.job).filter(|job| job.id() != id);
        let mut considered = self.jobs.len() - 1;
        if considered >= MAX_CONSIDERED / 2 {
            considered -= others().filter(|job| job.is_aside()).count();
        }
        // Whoever comes by with thousands of jobs leaves places for others.
        let is_crowded = considered >= MAX_CONSIDERED / 2;
        let is_crowding = is_crowded && {
            let asks = |terms: &Terms| self.situation.asked_by(terms);
            let who = asks(terms);
            others().filter(|job| asks(&job.view.terms) == who).count() >= MAX_OF_A_CLIENT
        };
        let most = if is_crowding { considered } else { MAX_CONSIDERED };
        if let Some(held) = self.jobs.get_mut(&id)
            && held.job.work.is_none()
        {
            held.job.work = self.provider.consider(terms, &self.situation, considered, most);
        }
    }

    /// Whether no further order of this one's payer may wait for money.
    fn is_full_aside(&self, id: JobId) -> bool {
        let payer = |job: &Job| self.situation.payer_of(&job.view.terms);
        let Some(own) = self.jobs.get(&id).and_then(|held| payer(&held.job)) else { return false };
        let aside = self.jobs.values().map(|held| &held.job).filter(|job| job.id() != id && job.is_aside());
        let (mut all, mut of_payer) = (0, 0);
        for job in aside {
            all += 1;
            of_payer += usize::from(payer(job) == Some(own));
        }
        all >= MAX_ASIDE || of_payer >= MAX_ASIDE_OF_A_PAYER
    }

    pub(super) fn on_auction_event(&mut self, event: &auction::Event, at: At, effects: &mut Vec<Effect>) {
        let Some(id) = event.job() else { return };
        let me = self.situation.me;
        let Some(held) = self.jobs.get_mut(&id) else { return };
        held.job.view.auction.get_or_insert_default().apply(me, event, at);
        // Somebody's bid may displace the party's own, whose collateral then comes back.
        if !matches!(event, auction::Event::BidCommitted { .. }) && self.provider.purse.has(id) {
            self.provider.purse.moved();
        }
        self.touched(id);
        self.advance(id, effects);
    }

    pub(super) fn on_order_event(&mut self, event: &filecoin_pay_deals::Event, effects: &mut Vec<Effect>) {
        let Some(id) = event.job() else { return };
        let Some(held) = self.jobs.get_mut(&id) else { return };
        OrderView::apply(&mut held.job.view.filecoin_pay, event);
        self.touched(id);
        self.advance(id, effects);
    }

    /// Blocks above this one are undone: which phases of auctions are over is to be seen anew.
    pub(super) fn rewind_auctions(&mut self, block: u64) {
        if self.situation.latest.block > block {
            self.situation.latest = At::default();
        }
        let mut noted = Vec::new();
        for (id, held) in &mut self.jobs {
            if let Some(bid) = &mut held.job.bid {
                bid.rewind(block);
                noted.push(*id);
            }
        }
        for id in noted {
            self.touched(id);
            self.heads.insert(id);
        }
    }

    pub(super) fn on_head(&mut self, block: u64, finalized: u64, latest: At, effects: &mut Vec<Effect>) {
        self.situation.seen = block;
        self.situation.latest = latest;
        self.situation.finalized = self.situation.finalized.max(finalized);
        self.provider.purse.is_due = true;
        while let Some(job) = self.unsettled.due(self.situation.finalized) {
            if self.jobs.contains_key(&job) {
                self.advance(job, effects);
            } else {
                effects.push(Effect::Retire { job });
            }
        }
        while let Some(job) = self.blocks.due(block) {
            self.advance(job, effects);
        }
        for job in std::mem::take(&mut self.heads) {
            self.advance(job, effects);
        }
    }

    pub(super) fn on_refold(&mut self, id: JobId, view: Option<Box<JobView>>, effects: &mut Vec<Effect>) {
        let Some(held) = self.jobs.get_mut(&id) else { return };
        let job = &mut held.job;
        // Its place in the queue goes by the time of its opening, which may be another now.
        self.provider.forget(job);
        let before = (job.view.provider, job.view.result.take());
        job.view = match view {
            Some(view) => *view,
            None => {
                let JobView { terms, spec, block, .. } = job.view.clone();
                // The opening may land again: what it needs is kept as long as that is possible.
                let at = At { block: block.max(self.situation.seen), time: self.situation.now };
                JobView::new(id, terms, spec, Status::None, at)
            }
        };
        // What was sent may be undone: every command is looked at again. Its key stays the same, and the transport asks the
        // chain before it sends anything twice. What the commands came to before is for another round.
        job.round = job.round.saturating_add(1);
        job.steps.retain(|step, _| !step.is_command());
        if before != (job.view.provider, job.view.result.clone()) {
            job.steps.remove(&Step::Verify);
        }
        if let Some(bid) = &mut job.bid {
            bid.over = false;
        }
        if let Some(work) = &mut job.work {
            work.reconsider(job.steps.get(&Step::FetchInputs) == Some(&StepState::Done));
        }
        if provider::holds_slot(job, self.situation.me) {
            self.provider.reserve(job);
        }
        self.touched(id);
        self.advance(id, effects);
    }

    pub(super) fn on_request(&mut self, request: Request, effects: &mut Vec<Effect>) {
        let Request { id, terms, spec, value } = request;
        if self.jobs.contains_key(&id) {
            return;
        }
        let mut job = Job::new(JobView::new(id, terms, Bytes::new(), Status::None, self.situation.now));
        job.order = Some(Order { spec, value, cancel: false });
        self.insert(job);
        self.advance(id, effects);
    }

    pub(super) fn on_resume(&mut self, effects: &mut Vec<Effect>) {
        (self.provider.suspended, self.provider.key_shared) = (None, false);
        let open: Vec<JobId> =
            self.jobs.values().filter(|held| held.job.view.status == Status::Open).map(|held| held.job.id()).collect();
        for job in open {
            self.advance(job, effects);
        }
    }

    /// Money was brought, at a cost, for the bids that waited for it.
    fn on_money_brought(&mut self) {
        for job in self.provider.purse.waiting() {
            if let Some(bid) = self.jobs.get_mut(&job).and_then(|held| held.job.bid.as_mut()) {
                bid.has_cost = true;
                self.touched(job);
            }
        }
    }

    pub(super) fn on_done(&mut self, key: StepKey, outcome: StepOutcome, effects: &mut Vec<Effect>) {
        let StepKey { step, round, attempt, .. } = key;
        if step.moves_bid_money() {
            self.provider.purse.moved();
        }
        let Some(id) = key.job() else {
            let Situation { me, now, seen, latest, pace, .. } = &self.situation;
            let at = At { block: latest.block.max(*seen), time: *now };
            if self.provider.purse.done(&key, *me, &outcome, at, pace, effects) {
                self.on_money_brought();
            }
            return;
        };
        let is_full = matches!(&outcome, StepOutcome::Err(failure) if failure.is_payers()) && self.is_full_aside(id);
        let Some(held) = self.jobs.get_mut(&id) else { return };
        let job = &mut held.job;
        if job.steps.get(&step) != Some(&StepState::InFlight { attempt, round }) {
            // Of another round, or already known.
            return;
        }
        if let StepOutcome::Err(Failure::CallbackFailed { client, .. }) = &outcome {
            self.situation.costly.count(*client);
            effects.push(Effect::RememberCostlyClients);
        }
        if let StepOutcome::Err(Failure::TakeFailed { payer, .. }) = &outcome {
            self.provider.costly_payers.count(*payer);
            effects.push(Effect::RememberCostlyPayers);
        }
        // What the auction refused before it was sent is not told from that everywhere; then it is the client's doing, too.
        let is_paid =
            matches!(&outcome, StepOutcome::Ok | StepOutcome::Err(Failure::RejectedByAuction { block: Some(_), .. }));
        if let (Step::CommitBid, true, Some(bid)) = (step, is_paid, &mut job.bid) {
            bid.has_cost = true;
        }
        let Situation { now, seen, pace, .. } = &self.situation;
        let wait = |failure: Failure| {
            let pause = if failure.is_payers() { pace.unpaid(attempt) } else { pace.backoff(attempt) };
            StepState::Waiting { attempts: attempt, until: now.after(pause), failure }
        };
        let state = match outcome {
            StepOutcome::Err(failure) => {
                let is_spent = is_full || step.max_attempts(&failure).is_some_and(|max| attempt >= max);
                if step == Step::Lock {
                    self.provider.give_back(job);
                }
                // Who asked for the job is told at once; what they were told failed must not happen later.
                let is_told = step == Step::Open && !matches!(failure, Failure::Temporary(_));
                if failure.may_pass(*seen) && !is_spent && !is_told {
                    wait(failure)
                } else {
                    if let (Step::Open, Failure::Rejected { block, .. }) = (step, &failure) {
                        // What was executed in a block, and failed, a reorganisation may execute again.
                        job.view.block = job.view.block.max(block.unwrap_or(*seen)).max(*seen);
                    }
                    StepState::Failed { failure }
                }
            }
            StepOutcome::Ok if step.is_command() => {
                StepState::Landed { attempts: attempt, until: now.after(pace.recheck()) }
            }
            StepOutcome::Ok => StepState::Done,
            StepOutcome::Spec(bytes) => {
                job.work.get_or_insert_default().spec = bytes;
                StepState::Done
            }
            StepOutcome::Ran(report) => {
                job.work.get_or_insert_default().report = Some(report);
                StepState::Done
            }
            StepOutcome::Published(result) => {
                job.work.get_or_insert_default().result = Some(result);
                StepState::Done
            }
        };
        job.steps.insert(step, state);
        self.touched(id);
        self.advance(id, effects);
    }
}
