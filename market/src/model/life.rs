//! The life of a deal after it was opened: every row of the transition table.

use alloy_primitives::Address;

use super::{
    Env, Event, JobId, JobResult, MAX_INLINE_DATA, Market, Reason, Receipt, Rejection, Terms, Verdict, market::Outcome,
    stage::Stage,
};
use crate::{money::AttoFil, time::Time};

impl Market {
    pub(super) fn lock<E: Env>(
        &mut self,
        sender: Address,
        terms: &Terms,
        env: &E,
        emit: &mut impl FnMut(Event),
    ) -> Outcome {
        let job = self.open_job(terms, env)?;
        if !terms.matcher.is_zero() {
            return Err(Rejection::WrongSender { sender, wanted: terms.matcher });
        }
        let now = env.now();
        not_before(now, terms.ramp_start)?;
        until(now, terms.lock_by)?;
        let price = terms.price_at(now);
        self.locked(job, terms, Locking { staker: sender, provider: sender, price, now }, emit)
    }

    pub(super) fn award<E: Env>(
        &mut self,
        sender: Address,
        terms: &Terms,
        provider: Address,
        price: AttoFil,
        env: &E,
        emit: &mut impl FnMut(Event),
    ) -> Outcome {
        let job = self.open_job(terms, env)?;
        only(sender, terms.matcher)?;
        let now = env.now();
        until(now, terms.lock_by)?;
        if provider.is_zero() {
            return Err(Rejection::InvalidProvider);
        }
        terms.check_price(price)?;
        self.locked(job, terms, Locking { staker: sender, provider, price, now }, emit)
    }

    pub(super) fn cancel<E: Env>(
        &mut self,
        sender: Address,
        terms: &Terms,
        env: &mut E,
        emit: &mut impl FnMut(Event),
    ) -> Outcome {
        let job = self.open_job(terms, env)?;
        only(sender, if terms.matcher.is_zero() { terms.client } else { terms.matcher })?;
        self.cancelled(job, terms, Reason::Withdrawn, env, emit);
        Ok(())
    }

    pub(super) fn expire<E: Env>(&mut self, terms: &Terms, env: &mut E, emit: &mut impl FnMut(Event)) -> Outcome {
        let job = env.job_id(terms);
        match self.ledger.stage(job)? {
            Stage::Open => {
                after(env.now(), terms.lock_by)?;
                self.cancelled(job, terms, Reason::NotLocked, env, emit);
            }
            Stage::Locked { since, provider, price } => {
                after(env.now(), terms.run_by(*since))?;
                let (provider, price) = (*provider, *price);
                self.slashed(job, terms, Slash { provider, price, reason: Reason::NotSubmitted }, env, emit);
            }
            stage => return Err(stage.unfit(job)),
        }
        Ok(())
    }

    pub(super) fn submit_result<E: Env>(
        &mut self,
        sender: Address,
        terms: &Terms,
        result: &JobResult,
        env: &E,
        emit: &mut impl FnMut(Event),
    ) -> Outcome {
        let job = env.job_id(terms);
        let (since, provider, price) = match self.ledger.stage(job)? {
            Stage::Locked { since, provider, price } => (*since, *provider, *price),
            stage => return Err(stage.unfit(job)),
        };
        only(sender, provider)?;
        let now = env.now();
        until(now, terms.run_by(since))?;
        let size = result.inline_data.len();
        if size > MAX_INLINE_DATA {
            return Err(Rejection::InlineTooLarge(size as u64));
        }
        let receipt = Box::new(Receipt { provider, price, result: result.clone() });
        self.ledger.advance(job, |_| Stage::Submitted { since: now, receipt });
        emit(Event::ResultSubmitted { job, provider, result: result.clone() });
        Ok(())
    }

    pub(super) fn accept<E: Env>(
        &mut self,
        sender: Address,
        terms: &Terms,
        receipt: &Receipt,
        env: &mut E,
        emit: &mut impl FnMut(Event),
    ) -> Outcome {
        let job = env.job_id(terms);
        let (_, stored) = self.submitted(job)?;
        only(sender, terms.client)?;
        same(job, stored, receipt)?;
        self.settled(job, terms, receipt, Reason::Accepted, env, emit);
        Ok(())
    }

    pub(super) fn settle<E: Env>(
        &mut self,
        terms: &Terms,
        receipt: &Receipt,
        env: &mut E,
        emit: &mut impl FnMut(Event),
    ) -> Outcome {
        let job = env.job_id(terms);
        let (since, stored) = self.submitted(job)?;
        after(env.now(), terms.review_by(since))?;
        same(job, stored, receipt)?;
        self.settled(job, terms, receipt, Reason::Unchallenged, env, emit);
        Ok(())
    }

    pub(super) fn dispute<E: Env>(
        &mut self,
        sender: Address,
        terms: &Terms,
        env: &E,
        emit: &mut impl FnMut(Event),
    ) -> Outcome {
        let job = env.job_id(terms);
        let (since, _) = self.submitted(job)?;
        only(sender, terms.arbiter)?;
        let now = env.now();
        until(now, terms.review_by(since))?;
        self.ledger.advance(job, |stage| match stage {
            Stage::Submitted { receipt, .. } => Stage::Disputed { since: now, receipt },
            other => other,
        });
        emit(Event::JobDisputed { job });
        Ok(())
    }

    pub(super) fn rule<E: Env>(
        &mut self,
        sender: Address,
        terms: &Terms,
        receipt: &Receipt,
        verdict: Verdict,
        env: &mut E,
        emit: &mut impl FnMut(Event),
    ) -> Outcome {
        let job = env.job_id(terms);
        let (since, stored) = self.disputed(job)?;
        only(sender, terms.arbiter)?;
        until(env.now(), terms.rule_by(since))?;
        same(job, stored, receipt)?;
        match verdict {
            Verdict::Upheld => self.settled(job, terms, receipt, Reason::Upheld, env, emit),
            Verdict::Overturned => {
                let (provider, price) = (receipt.provider, receipt.price);
                self.slashed(job, terms, Slash { provider, price, reason: Reason::Overturned }, env, emit);
            }
            Verdict::Void => self.voided(job, terms, receipt, Reason::Undecided, env, emit),
        }
        Ok(())
    }

    pub(super) fn lapse<E: Env>(
        &mut self,
        terms: &Terms,
        receipt: &Receipt,
        env: &mut E,
        emit: &mut impl FnMut(Event),
    ) -> Outcome {
        let job = env.job_id(terms);
        let (since, stored) = self.disputed(job)?;
        after(env.now(), terms.rule_by(since))?;
        same(job, stored, receipt)?;
        self.voided(job, terms, receipt, Reason::NotRuled, env, emit);
        Ok(())
    }

    // States ----------------------------------------------------------------------------------------------------------

    fn open_job<E: Env>(&self, terms: &Terms, env: &E) -> Result<JobId, Rejection> {
        let job = env.job_id(terms);
        match self.ledger.stage(job)? {
            Stage::Open => Ok(job),
            stage => Err(stage.unfit(job)),
        }
    }

    fn submitted(&self, job: JobId) -> Result<(Time, &Receipt), Rejection> {
        match self.ledger.stage(job)? {
            Stage::Submitted { since, receipt } => Ok((*since, receipt)),
            stage => Err(stage.unfit(job)),
        }
    }

    fn disputed(&self, job: JobId) -> Result<(Time, &Receipt), Rejection> {
        match self.ledger.stage(job)? {
            Stage::Disputed { since, receipt } => Ok((*since, receipt)),
            stage => Err(stage.unfit(job)),
        }
    }

    // Effects ---------------------------------------------------------------------------------------------------------

    /// The client gets back what is above the price, the collateral comes in. The only effect that money can refuse.
    fn locked(&mut self, job: JobId, terms: &Terms, locking: Locking, emit: &mut impl FnMut(Event)) -> Outcome {
        let Locking { staker, provider, price, now } = locking;
        let refund = terms.max_price.saturating_sub(price);
        self.ledger.refund_and_stake(terms.client, refund, staker, terms.collateral)?;
        self.ledger.totals.release(refund, AttoFil::ZERO);
        self.ledger.totals.hold(AttoFil::ZERO, terms.collateral);
        self.ledger.advance(job, |_| Stage::Locked { since: now, provider, price });
        emit(Event::JobLocked { job, provider, price });
        Ok(())
    }

    /// The escrow goes back.
    fn cancelled<E: Env>(
        &mut self,
        job: JobId,
        terms: &Terms,
        reason: Reason,
        env: &mut E,
        emit: &mut impl FnMut(Event),
    ) {
        self.ledger.totals.release(terms.max_price, AttoFil::ZERO);
        self.ledger.credit(terms.client, terms.max_price);
        self.ended(job, reason);
        emit(Event::JobCancelled { job, reason });
        self.call_back(job, terms, env, emit);
    }

    /// The provider gets price and collateral.
    fn settled<E: Env>(
        &mut self,
        job: JobId,
        terms: &Terms,
        receipt: &Receipt,
        reason: Reason,
        env: &mut E,
        emit: &mut impl FnMut(Event),
    ) {
        let Receipt { provider, price, .. } = *receipt;
        self.ledger.totals.release(price, terms.collateral);
        self.ledger.credit(provider, sum(price, terms.collateral));
        self.ended(job, reason);
        emit(Event::JobSettled { job, provider, price, reason });
        self.call_back(job, terms, env, emit);
    }

    /// The client gets the price and half the collateral; the rest goes to the arbiter that ruled, or is burned.
    fn slashed<E: Env>(&mut self, job: JobId, terms: &Terms, slash: Slash, env: &mut E, emit: &mut impl FnMut(Event)) {
        let Slash { provider, price, reason } = slash;
        let half = terms.collateral.half();
        let to_client = sum(price, half);
        let rest = terms.collateral.saturating_sub(half);
        let (to_arbiter, to_burn) =
            if reason == Reason::Overturned { (rest, AttoFil::ZERO) } else { (AttoFil::ZERO, rest) };
        self.ledger.totals.release(price, terms.collateral);
        self.ledger.credit(terms.client, to_client);
        self.ledger.credit(terms.arbiter, to_arbiter);
        self.ledger.totals.burn(to_burn);
        self.ended(job, reason);
        emit(Event::JobSlashed { job, provider, to_client, to_arbiter, to_burn, reason });
        self.call_back(job, terms, env, emit);
    }

    /// Client and provider get their own money back.
    fn voided<E: Env>(
        &mut self,
        job: JobId,
        terms: &Terms,
        receipt: &Receipt,
        reason: Reason,
        env: &mut E,
        emit: &mut impl FnMut(Event),
    ) {
        let Receipt { provider, price, .. } = *receipt;
        self.ledger.totals.release(price, terms.collateral);
        self.ledger.credit(terms.client, price);
        self.ledger.credit(provider, terms.collateral);
        self.ended(job, reason);
        emit(Event::JobVoided { job, provider, price, reason });
        self.call_back(job, terms, env, emit);
    }

    fn ended(&mut self, job: JobId, reason: Reason) {
        self.ledger.advance(job, |stage| Stage::Ended {
            reason,
            callback_pending: false,
            receipt: stage.into_receipt(),
        });
    }
}

/// How a deal is locked.
struct Locking {
    staker: Address,
    provider: Address,
    price: AttoFil,
    now: Time,
}

/// Who is slashed, and why.
struct Slash {
    provider: Address,
    price: AttoFil,
    reason: Reason,
}

/// Amounts of deals are below 2^78 attoFIL: their sums fit.
const fn sum(a: AttoFil, b: AttoFil) -> AttoFil {
    AttoFil(a.0.saturating_add(b.0))
}

/// Only `wanted` may do this; when `wanted` is zero, nobody.
fn only(sender: Address, wanted: Address) -> Outcome {
    if wanted.is_zero() || sender != wanted { Err(Rejection::WrongSender { sender, wanted }) } else { Ok(()) }
}

const fn not_before(now: Time, from: Time) -> Outcome {
    if now.0 < from.0 { Err(Rejection::TooEarly { time: now, from }) } else { Ok(()) }
}

const fn until(now: Time, until: Time) -> Outcome {
    if now.0 > until.0 { Err(Rejection::TooLate { time: now, until }) } else { Ok(()) }
}

const fn after(now: Time, deadline: Time) -> Outcome {
    if now.0 <= deadline.0 { Err(Rejection::TooEarly { time: now, from: deadline.after(1) }) } else { Ok(()) }
}

fn same(job: JobId, stored: &Receipt, given: &Receipt) -> Outcome {
    if stored == given { Ok(()) } else { Err(Rejection::ReceiptMismatch(job)) }
}
