//! The life of a deal after it was opened: the checks of every row of the transition table. The effects are [`Escrow`]'s.

use alloy_primitives::Address;

use super::{
    Env, Event, JobId, JobResult, MAX_INLINE_DATA, Market, Next, Reason, Receipt, Rejection, Terms, Verdict,
    callback::end, market::Checked, state::DealState,
};
use crate::{money::AttoFil, time::Time};

impl Market {
    pub(super) fn lock<E: Env>(
        &mut self,
        sender: Address,
        terms: &Terms,
        env: &E,
        emit: &mut impl FnMut(Event),
    ) -> Checked {
        let mut deal = self.storage.deal(env.job_id(terms), terms)?;
        deal.open()?;
        if !terms.matcher.is_zero() {
            return Err(Rejection::WrongSender { sender, wanted: terms.matcher });
        }
        let now = env.now();
        not_before(now, terms.ramp_start)?;
        until(now, terms.lock_by)?;
        deal.lock(sender, sender, terms.price_at(now), now, emit)
    }

    pub(super) fn award<E: Env>(
        &mut self,
        sender: Address,
        terms: &Terms,
        provider: Address,
        price: AttoFil,
        env: &E,
        emit: &mut impl FnMut(Event),
    ) -> Checked {
        let mut deal = self.storage.deal(env.job_id(terms), terms)?;
        deal.open()?;
        only(sender, terms.matcher)?;
        let now = env.now();
        until(now, terms.lock_by)?;
        if provider.is_zero() {
            return Err(Rejection::InvalidProvider);
        }
        terms.check_price(price)?;
        deal.lock(sender, provider, price, now, emit)
    }

    pub(super) fn cancel<'c, E: Env>(
        &mut self,
        sender: Address,
        terms: &'c Terms,
        env: &E,
        emit: &mut impl FnMut(Event),
    ) -> Result<Next<'c>, Rejection> {
        let job = env.job_id(terms);
        let mut deal = self.storage.deal(job, terms)?;
        deal.open()?;
        only(sender, if terms.matcher.is_zero() { terms.client } else { terms.matcher })?;
        deal.cancel(Reason::Withdrawn, emit);
        Ok(end(job, terms, Err(Reason::Withdrawn)))
    }

    pub(super) fn expire<'c, E: Env>(
        &mut self,
        terms: &'c Terms,
        env: &E,
        emit: &mut impl FnMut(Event),
    ) -> Result<Next<'c>, Rejection> {
        let job = env.job_id(terms);
        let mut deal = self.storage.deal(job, terms)?;
        let reason = match *deal.state {
            DealState::Open => {
                after(env.now(), terms.lock_by)?;
                deal.cancel(Reason::NotLocked, emit);
                Reason::NotLocked
            }
            DealState::Locked { since, provider, price } => {
                after(env.now(), terms.run_by(since))?;
                deal.slash(provider, price, Reason::NotSubmitted, emit);
                Reason::NotSubmitted
            }
            _ => return Err(deal.wrong_state()),
        };
        Ok(end(job, terms, Err(reason)))
    }

    pub(super) fn submit_result<E: Env>(
        &mut self,
        sender: Address,
        terms: &Terms,
        result: &JobResult,
        env: &E,
        emit: &mut impl FnMut(Event),
    ) -> Checked {
        let mut deal = self.storage.deal(env.job_id(terms), terms)?;
        let DealState::Locked { since, provider, price } = *deal.state else { return Err(deal.wrong_state()) };
        only(sender, provider)?;
        let now = env.now();
        until(now, terms.run_by(since))?;
        let size = result.inline_data.len();
        if size > MAX_INLINE_DATA {
            return Err(Rejection::InlineTooLarge(size as u64));
        }
        let receipt = Box::new(Receipt { provider, price, result: result.clone() });
        deal.advance(|_| DealState::Submitted { since: now, receipt });
        emit(Event::ResultSubmitted { job: deal.job, provider, result: result.clone() });
        Ok(())
    }

    pub(super) fn accept<'c, E: Env>(
        &mut self,
        sender: Address,
        terms: &'c Terms,
        receipt: &'c Receipt,
        env: &E,
        emit: &mut impl FnMut(Event),
    ) -> Result<Next<'c>, Rejection> {
        let job = env.job_id(terms);
        let mut deal = self.storage.deal(job, terms)?;
        let (_, stored) = deal.submitted()?;
        only(sender, terms.client)?;
        same(job, stored, receipt)?;
        deal.settle(receipt, Reason::Accepted, emit);
        Ok(end(job, terms, Ok(&receipt.result)))
    }

    pub(super) fn settle<'c, E: Env>(
        &mut self,
        terms: &'c Terms,
        receipt: &'c Receipt,
        env: &E,
        emit: &mut impl FnMut(Event),
    ) -> Result<Next<'c>, Rejection> {
        let job = env.job_id(terms);
        let mut deal = self.storage.deal(job, terms)?;
        let (since, stored) = deal.submitted()?;
        after(env.now(), terms.review_by(since))?;
        same(job, stored, receipt)?;
        deal.settle(receipt, Reason::Unchallenged, emit);
        Ok(end(job, terms, Ok(&receipt.result)))
    }

    pub(super) fn dispute<E: Env>(
        &mut self,
        sender: Address,
        terms: &Terms,
        env: &E,
        emit: &mut impl FnMut(Event),
    ) -> Checked {
        let mut deal = self.storage.deal(env.job_id(terms), terms)?;
        let (since, _) = deal.submitted()?;
        only(sender, terms.arbiter)?;
        let now = env.now();
        until(now, terms.review_by(since))?;
        deal.advance(|state| match state {
            DealState::Submitted { receipt, .. } => DealState::Disputed { since: now, receipt },
            other => other,
        });
        emit(Event::JobDisputed { job: deal.job });
        Ok(())
    }

    pub(super) fn rule<'c, E: Env>(
        &mut self,
        sender: Address,
        terms: &'c Terms,
        receipt: &'c Receipt,
        verdict: Verdict,
        env: &E,
        emit: &mut impl FnMut(Event),
    ) -> Result<Next<'c>, Rejection> {
        let job = env.job_id(terms);
        let mut deal = self.storage.deal(job, terms)?;
        let (since, stored) = deal.disputed()?;
        only(sender, terms.arbiter)?;
        until(env.now(), terms.rule_by(since))?;
        same(job, stored, receipt)?;
        let outcome = match verdict {
            Verdict::Upheld => {
                deal.settle(receipt, Reason::Upheld, emit);
                Ok(&receipt.result)
            }
            Verdict::Overturned => {
                deal.slash(receipt.provider, receipt.price, Reason::Overturned, emit);
                Err(Reason::Overturned)
            }
            Verdict::Void => {
                deal.void(receipt, Reason::Undecided, emit);
                Err(Reason::Undecided)
            }
        };
        Ok(end(job, terms, outcome))
    }

    pub(super) fn lapse<'c, E: Env>(
        &mut self,
        terms: &'c Terms,
        receipt: &'c Receipt,
        env: &E,
        emit: &mut impl FnMut(Event),
    ) -> Result<Next<'c>, Rejection> {
        let job = env.job_id(terms);
        let mut deal = self.storage.deal(job, terms)?;
        let (since, stored) = deal.disputed()?;
        after(env.now(), terms.rule_by(since))?;
        same(job, stored, receipt)?;
        deal.void(receipt, Reason::NotRuled, emit);
        Ok(end(job, terms, Err(Reason::NotRuled)))
    }
}

/// Only `wanted` may do this; when `wanted` is zero, nobody.
fn only(sender: Address, wanted: Address) -> Checked {
    if wanted.is_zero() || sender != wanted { Err(Rejection::WrongSender { sender, wanted }) } else { Ok(()) }
}

const fn not_before(now: Time, from: Time) -> Checked {
    if now.0 < from.0 { Err(Rejection::TooEarly { time: now, from }) } else { Ok(()) }
}

const fn until(now: Time, until: Time) -> Checked {
    if now.0 > until.0 { Err(Rejection::TooLate { time: now, until }) } else { Ok(()) }
}

const fn after(now: Time, deadline: Time) -> Checked {
    if now.0 <= deadline.0 { Err(Rejection::TooEarly { time: now, from: deadline.after(1) }) } else { Ok(()) }
}

fn same(job: JobId, stored: &Receipt, given: &Receipt) -> Checked {
    if stored == given { Ok(()) } else { Err(Rejection::ReceiptMismatch(job)) }
}
