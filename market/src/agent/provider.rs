//! What a provider does about a job.

use std::{collections::BTreeSet, mem};

use super::{
    CostlyClients, Decision, Effect, Failure, Job, JobView, Offer, Phase, Refusal, Resources, Step, StepState, Work,
    bidder,
    context::{Context, Situation},
    offer::price_reached,
    purse::Purse,
    resources::Reservations,
};
use crate::{
    Address, AttoFil, Time,
    model::{JobId, Status, Terms},
};

/// How long a provider waits before it looks again whether it has the money for a collateral, in seconds.
const MONEY_PAUSE: u64 = 5;
/// How often a run that nobody could confirm is made again.
const MAX_RERUNS: u32 = 2;

/// A provider's slots, money and queue.
#[derive(Clone, Debug, Default)]
pub(super) struct Provider {
    /// `None`: it takes no jobs; those that it has it brings to their end.
    pub(super) offer: Option<Offer>,
    /// Free balance in the market, as far as known, less the collateral of locks under way.
    pub(super) free: AttoFil,
    /// Jobs that hold one of its slots, and what they need.
    pub(super) running: Reservations,
    /// Jobs that wait for a slot, oldest first.
    pub(super) queue: BTreeSet<(Time, JobId)>,
    /// The job that it was slashed for: it locks nothing until its operator resumes.
    pub(super) suspended: Option<JobId>,
    /// Its account in the auction.
    pub(super) purse: Purse,
    /// Who cancelled auctions after it had spent gas on a bid.
    pub(super) fickle: CostlyClients,
    /// Payers whose orders could not be taken any more when its commands were in a block.
    pub(super) costly_payers: CostlyClients,
    /// Somebody else sends with its key: it brings the jobs that it is bound to to their end, and takes no others until its operator
    /// resumes.
    pub(super) key_shared: bool,
    /// Its node is ending: it brings the jobs that it is bound to to their end, and leaves the others for the next start.
    pub(super) draining: bool,
}

impl Work {
    /// After a reorganisation: what was won or lost is open again.
    pub(super) fn reconsider(&mut self, ready: bool) {
        if matches!(self.decision, Decision::Won | Decision::Lost) {
            self.decision = if ready { Decision::Wanted } else { Decision::Considering };
        }
    }

    /// The job is opened once more, on another fork.
    pub(super) fn begin_again(&mut self) {
        if !matches!(self.decision, Decision::Refused(_)) {
            self.decision = Decision::Considering;
        }
    }
}

impl Provider {
    /// Whether it binds itself to further jobs.
    pub(super) const fn takes_jobs(&self) -> bool {
        self.suspended.is_none() && !self.key_shared && !self.draining
    }

    /// What it makes of terms that it sees for the first time; `None` if it takes no jobs. `considered`: how many jobs it looks
    /// at already; `most`: how many it may.
    pub(super) fn consider(
        &self,
        terms: &Terms,
        situation: &Situation,
        considered: usize,
        most: usize,
    ) -> Option<Work> {
        let offer = self.offer.as_ref()?;
        let verdict = match self.suspended {
            _ if considered >= most => Err(Refusal::Busy(considered)),
            Some(job) => Err(Refusal::Suspended(job)),
            None => offer.match_terms(situation.me, situation.settings, terms).and_then(|()| {
                // Only the contract itself opens its orders.
                if situation.pay_venue(terms).is_some() && terms.client != terms.matcher {
                    return Err(Refusal::Matcher(terms.matcher));
                }
                self.match_payer(terms, situation)?;
                let auction = situation.auction.filter(|auction| auction.is_matcher_of(terms));
                let fickle = || self.fickle.dropped(terms.client);
                auction.map_or(Ok(()), |auction| bidder::match_terms(terms, &auction, offer, situation, fickle()))
            }),
        };
        let decision = verdict.err().map_or(Decision::Considering, Decision::Refused);
        Some(Work { decision, ..Work::default() })
    }

    /// Whether it has to do with the payer, if these are the terms of an order.
    fn match_payer(&self, terms: &Terms, situation: &Situation) -> Result<(), Refusal> {
        let dropped = situation.payer_of(terms).and_then(|payer| Some((payer, self.costly_payers.dropped(payer)?)));
        dropped.map_or(Ok(()), |(payer, times)| Err(Refusal::CostlyPayer { payer, times }))
    }

    /// Whether it waits for the payer of an order any longer.
    fn wait_for_payer(&self, cx: &Context<'_>) -> Result<(), Refusal> {
        self.match_payer(&cx.view.terms, cx.situation)?;
        let failed = [Step::TryOrder, Step::Lock].into_iter().find_map(|step| cx.failed(step));
        match failed.filter(|failure| failure.is_payers()) {
            Some(failure) => Err(Refusal::Unpaid(failure.to_string())),
            None => Ok(()),
        }
    }

    /// Takes a provider's next step, if there is one.
    pub(super) fn advance(&mut self, work: &mut Work, cx: &mut Context<'_>) {
        // An award that it did not bid for is nothing that it has to do with.
        let own = is_own(cx.view, work, cx.situation.me);
        match cx.view.status {
            Status::Open => self.advance_open(work, cx),
            Status::None => {}
            _ if !own => self.lose(work, cx),
            Status::Locked => self.advance_locked(work, cx),
            status => {
                decide(work, Decision::Won, cx);
                self.release(cx);
                match status {
                    Status::Submitted if cx.view.terms.has_arbiter() => cx.begin_when_overdue(Step::Settle, 0),
                    Status::Disputed => cx.begin_when_overdue(Step::Lapse, 0),
                    Status::Slashed if !work.slash_noted && cx.is_settled_for_good() => {
                        (work.slash_noted, cx.changed) = (true, true);
                        self.suspended = Some(cx.view.id);
                        cx.effects.push(Effect::Suspend { job: cx.view.id });
                    }
                    _ => {}
                }
            }
        }
    }

    fn advance_open(&mut self, work: &mut Work, cx: &mut Context<'_>) {
        // It was locked on a fork that is gone, and this machine could not run it there.
        if let Some(failure) = cx.failed(Step::Run).filter(|failure| failure.is_own()) {
            let refusal = Refusal::Content(failure.to_string());
            decide(work, Decision::Refused(refusal), cx);
            self.release(cx);
        }
        if self.is_to_cancel(cx.view, work, cx.situation.me) {
            cx.begin(Step::Cancel);
        }
        if matches!(work.decision, Decision::Refused(_) | Decision::Lost) {
            return;
        }
        let lock_by = cx.view.terms.lock_by;
        if cx.reached(lock_by.after(1)) {
            self.lose(work, cx);
            return;
        }
        let is_asked_for =
            matches!(cx.steps.get(&Step::Lock), Some(StepState::InFlight { .. } | StepState::Landed { .. }));
        if let (false, Err(refusal)) = (is_asked_for, self.wait_for_payer(cx)) {
            decide(work, Decision::Refused(refusal), cx);
            self.release(cx);
            return;
        }
        if work.decision == Decision::Considering {
            match self.look(work, cx) {
                Ok(true) => decide(work, Decision::Wanted, cx),
                Ok(false) => return,
                Err(refusal) => {
                    decide(work, Decision::Refused(refusal), cx);
                    if self.is_to_cancel(cx.view, work, cx.situation.me) {
                        cx.begin(Step::Cancel);
                    }
                    return;
                }
            }
        }
        // A lock that was sent is looked after.
        let is_sent = matches!(cx.steps.get(&Step::Lock), Some(StepState::Landed { .. }));
        if self.takes_jobs() || (self.draining || self.key_shared) && is_sent {
            self.try_to_lock(work, cx);
        }
    }

    /// Fetches and checks what the job needs; says whether everything is there.
    fn look(&self, work: &mut Work, cx: &mut Context<'_>) -> Result<bool, Refusal> {
        let view = cx.view;
        let venue = cx.situation.pay_venue(&view.terms);
        let order = match (venue, &view.filecoin_pay) {
            (None, _) => None,
            // Its order comes with it.
            (Some(_), None) => return Ok(false),
            (Some(venue), Some(order)) => {
                order.match_party(cx.situation.me)?;
                Some((venue, order.order(&view.terms)))
            }
        };
        let bytes = if view.spec.is_empty() { &work.spec } else { &view.spec };
        // Nobody's money lies in an order, so anybody may open thousands: what has no payer that can pay is not fetched.
        let is_tried = order.is_none() || cx.is_done(Step::TryOrder);
        if bytes.is_empty() && !is_tried {
            return self.try_order(cx);
        }
        if bytes.is_empty() {
            if let Some(failure) = cx.failed(Step::FetchSpec) {
                return Err(Refusal::Content(failure.to_string()));
            }
            cx.begin(Step::FetchSpec);
            return Ok(false);
        }
        if work.asking.0 == 0 && work.worth_from.is_none() {
            let offer = self.offer.as_ref().ok_or(Refusal::OwnJob)?;
            let (settings, spec) = (cx.situation.settings, cx.situation.specs.parse(&view.terms, bytes)?);
            work.asking = match &order {
                None => offer.match_spec(cx.situation.me, settings, &view.terms, &spec)?,
                Some((venue, order)) => {
                    let asking = offer.asking(settings, &view.terms, &spec)?;
                    let asking = offer.with_gas(asking, venue.order_gas, settings.quantum);
                    work.worth_from = Some(venue.match_price(order, asking)?);
                    // Before, the price was not known.
                    cx.steps.remove(&Step::TryOrder);
                    asking
                }
            };
            work.needs = Resources::of(&spec);
            cx.changed = true;
        }
        if order.is_some() && !cx.is_done(Step::TryOrder) && !cx.is_done(Step::FetchInputs) {
            return self.try_order(cx);
        }
        if let Some(failure) = cx.failed(Step::FetchInputs) {
            return Err(Refusal::Content(failure.to_string()));
        }
        if cx.is_done(Step::FetchInputs) {
            return Ok(true);
        }
        cx.begin(Step::FetchInputs);
        Ok(false)
    }

    /// Sees whether an order could be taken; that is not known yet.
    fn try_order(&self, cx: &mut Context<'_>) -> Result<bool, Refusal> {
        if let Some(failure) = cx.failed(Step::TryOrder) {
            return Err(Refusal::Content(failure.to_string()));
        }
        cx.begin(Step::TryOrder);
        Ok(false)
    }

    fn try_to_lock(&mut self, work: &Work, cx: &mut Context<'_>) {
        let terms = &cx.view.terms;
        // Where a matcher awards, bidding is the matcher's affair. What is directed to it, it may take at any time.
        if terms.matcher != cx.situation.me {
            let when = match (cx.situation.pay_venue(terms), &cx.view.filecoin_pay) {
                (Some(venue), Some(order)) if order.match_party(cx.situation.me).is_ok() => {
                    venue.price_reached(&order.order(terms), work.asking)
                }
                _ if terms.matcher != Address::ZERO => return,
                _ => price_reached(terms, work.asking, cx.situation.settings.quantum),
            };
            let Some(when) = when else { return };
            if !cx.reached(when) {
                return;
            }
        }
        match cx.steps.get(&Step::Lock) {
            None => {}
            Some(StepState::Waiting { until, .. }) => {
                let until = *until;
                if !cx.reached(until) {
                    return;
                }
            }
            Some(StepState::Landed { .. }) => {
                cx.begin(Step::Lock);
                return;
            }
            Some(_) => return,
        }
        let (id, collateral) = (cx.view.id, cx.view.terms.collateral);
        if !self.has_room(work.needs) {
            self.queue.insert((cx.view.opened, id));
            return;
        }
        // An order is taken with collateral from outside the market.
        let collateral = if cx.view.filecoin_pay.is_some() { AttoFil::ZERO } else { collateral };
        if collateral > self.free {
            let failure = Failure::TooLittleFree { free: self.free, collateral };
            let until = cx.now().after(MONEY_PAUSE);
            cx.set(Step::Lock, StepState::Waiting { attempts: 0, until, failure });
            cx.reached(until);
            return;
        }
        self.free = self.free.saturating_sub(collateral);
        self.running.insert(id, work.needs);
        cx.begin(Step::Lock);
    }

    /// Whether there is a free slot, and enough of everything, for a job that needs this.
    pub(super) fn has_room(&self, needs: Resources) -> bool {
        self.offer.as_ref().is_some_and(|offer| {
            self.running.len() < offer.slots as usize && self.running.has_room(&offer.resources, needs)
        })
    }

    fn advance_locked(&mut self, work: &mut Work, cx: &mut Context<'_>) {
        decide(work, Decision::Won, cx);
        self.running.insert(cx.view.id, work.needs);
        let Some(deadline) = cx.view.deadline() else { return };
        if cx.reached(deadline.after(1)) {
            self.release(cx);
            return;
        }
        if work.result.is_some() {
            if may_be_told(cx, deadline) {
                cx.begin(Step::SubmitResult);
            }
            return;
        }
        if gives_up(cx, deadline) {
            cx.begin(Step::GiveUp);
            return;
        }
        let Some(report) = &work.report else {
            cx.begin(Step::Run);
            return;
        };
        // Where somebody may rule on it, a result that nobody can confirm costs the collateral.
        let doubtful = !report.reproducible && cx.view.terms.arbiter != Address::ZERO;
        let wall = report.wall_ms.div_ceil(1_000);
        let again = cx.now().after(wall.saturating_add(cx.situation.pace.landing_again())) < deadline;
        if doubtful && again && work.reruns < MAX_RERUNS {
            (work.report, work.reruns) = (None, work.reruns + 1);
            cx.steps.remove(&Step::Run);
            cx.begin(Step::Run);
        } else {
            cx.begin(Step::Publish);
        }
    }

    /// Whether it should end a job that is directed to it and that it refuses: only it can, and the client's money lies there. What
    /// it is too busy for it leaves, and what calls back: whoever floods it must not have it pay for gas, and for a callback of theirs.
    fn is_to_cancel(&self, view: &JobView, work: &Work, me: Address) -> bool {
        view.status == Status::Open
            && view.terms.matcher == me
            && view.terms.callback_gas == 0
            && matches!(&work.decision, Decision::Refused(refusal) if !matches!(refusal, Refusal::Busy(_)))
            && self.offer.as_ref().is_some_and(|offer| offer.cancel_refused)
    }

    /// Whether it needs nothing more of a job, unless something happens to it.
    pub(super) fn is_quiet(&self, job: &Job, work: &Work, me: Address) -> bool {
        match job.view.status {
            Status::None => true,
            // It takes note of the slash once it is final.
            Status::Slashed => work.slash_noted || !is_own(&job.view, work, me),
            _ if self.is_to_cancel(&job.view, work, me) => job.failed(Step::Cancel).is_some(),
            status => status.is_final() || matches!(work.decision, Decision::Refused(_) | Decision::Lost),
        }
    }

    fn lose(&mut self, work: &mut Work, cx: &mut Context<'_>) {
        if !matches!(work.decision, Decision::Refused(_)) {
            decide(work, Decision::Lost, cx);
        }
        self.release(cx);
    }

    fn release(&mut self, cx: &Context<'_>) {
        self.running.remove(&cx.view.id);
        self.queue.remove(&(cx.view.opened, cx.view.id));
    }

    /// Forgets that the job holds or wants a slot.
    pub(super) fn forget(&mut self, job: &Job) {
        self.running.remove(&job.id());
        self.queue.remove(&(job.view.opened, job.id()));
        self.purse.set_need(job.id(), None);
    }

    /// A lock came to nothing.
    pub(super) fn give_back(&mut self, job: &Job) {
        self.running.remove(&job.id());
        if job.view.filecoin_pay.is_none() {
            self.free = self.free.checked_add(job.view.terms.collateral).unwrap_or(self.free);
        }
    }

    /// Keeps free what the job needs.
    pub(super) fn reserve(&mut self, job: &Job) {
        self.running.insert(job.id(), needs(job));
    }
}

/// What a job takes while it runs; nothing, before that is known.
pub(super) fn needs(job: &Job) -> Resources {
    job.work.as_ref().map(|work| work.needs).unwrap_or_default()
}

pub(super) fn decide(work: &mut Work, decision: Decision, cx: &mut Context<'_>) {
    let before = mem::replace(&mut work.decision, decision);
    cx.changed |= before != work.decision;
}

/// Whether the result may be told: above a set price only when the lock lies deep, unless the window ends.
fn may_be_told(cx: &mut Context<'_>, deadline: Time) -> bool {
    let pace = &cx.situation.pace;
    if !pace.is_careful(cx.price()) {
        return true;
    }
    let last = Time(deadline.0.saturating_sub(pace.landing_again()));
    let deep = cx.view.block.saturating_add(pace.undo_depth);
    cx.reached_block(deep) || cx.reached(last)
}

/// Whether this machine, by its own fault, cannot bring a result within the window any more. What the program came to is no
/// such fault, nor is it one that the market's node does not answer.
fn gives_up(cx: &Context<'_>, deadline: Time) -> bool {
    let last = Time(deadline.0.saturating_sub(cx.situation.pace.landing()));
    [Step::Run, Step::Publish].into_iter().any(|step| match cx.steps.get(&step) {
        Some(StepState::Failed { failure }) => failure.is_own(),
        Some(StepState::Waiting { until, failure, .. }) => failure.is_own() && *until >= last,
        _ => false,
    })
}

/// Whether `me` runs the job, and had a say in that.
fn is_own(view: &JobView, work: &Work, me: Address) -> bool {
    let matcher = view.terms.matcher;
    let took_order = || view.filecoin_pay.as_ref().is_some_and(|order| order.is_taken_by(me));
    view.provider == me && (matcher == Address::ZERO || matcher == me || work.bid.is_some() || took_order())
}

/// Whether a job was given up because it was too late for it, and it is not, now.
pub(super) fn may_be_in_time(view: &JobView, work: &Work, now: Time) -> bool {
    let JobView { status: Status::Open, terms, .. } = view else { return false };
    match &work.decision {
        // Of open jobs only those that nobody may lock any more are lost.
        Decision::Lost => now <= terms.lock_by,
        Decision::Refused(Refusal::AuctionPhase { phase: Phase::Sealing, needed, .. }) => {
            terms.ramp_start.since(now) >= *needed
        }
        _ => false,
    }
}

/// Whether `me` loses money by letting the job lie: it has locked it, is about to, or has sealed a bid for it.
pub(super) fn is_bound(job: &Job, me: Address, now: Time) -> bool {
    let Some(work) = &job.work else { return false };
    let is_sent = |step| matches!(job.steps.get(&step), Some(StepState::InFlight { .. } | StepState::Landed { .. }));
    match job.view.status {
        Status::Open => {
            let is_sealed = job.view.auction.as_ref().is_some_and(|auction| auction.own_order.is_some());
            is_sent(Step::Lock) || bidder::may_win(job) && (is_sealed || is_sent(Step::CommitBid))
        }
        Status::Locked => is_own(&job.view, work, me) && job.view.deadline().is_some_and(|deadline| now <= deadline),
        _ => false,
    }
}

/// Whether a command of a [binding](Step::BINDING) step that is out may still bind a provider that is not bound by what it knows of
/// the job. `final_time`: that of the newest final block; what is out lands after it.
pub(super) fn may_yet_bind(job: &Job, step: Step, situation: &Situation, final_time: Time) -> bool {
    let JobView { status, terms, provider, block, auction, .. } = &job.view;
    let is_in_time = match step {
        Step::Lock => final_time <= terms.lock_by,
        Step::CommitBid => final_time < terms.ramp_start,
        _ => false,
    };
    let is_sealed = auction.as_ref().is_some_and(|auction| auction.own_order.is_some());
    is_in_time
        && match status {
            // Its opening may land once more, and what was sent after it.
            Status::None => true,
            Status::Open => step != Step::CommitBid || !is_sealed,
            // That somebody else has it, or that it ended, may be undone.
            _ => *provider != situation.me && *block > situation.finalized,
        }
}

/// Whether the job holds one of the slots of `me`.
pub(super) fn holds_slot(job: &Job, me: Address) -> bool {
    match job.view.status {
        Status::Open => {
            matches!(job.steps.get(&Step::Lock), Some(StepState::InFlight { .. } | StepState::Landed { .. }))
                || bidder::may_win(job)
        }
        Status::Locked => job.view.provider == me,
        _ => false,
    }
}
