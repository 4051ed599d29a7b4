//! The life of a deal after it was opened: the checks of every row of the transition table. The effects are [`Escrow`]'s.

use alloy_primitives::{Address, Bytes};

use super::{
    Env, Event, JobId, JobResult, MAX_INLINE_DATA, Market, Next, Reason, Receipt, Rejection, Terms, Verdict,
    market::Checked, opening::check_spec, state::DealState, terms::is_foreign_id,
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
        self.lock_with_spec(sender, env.job_id(terms), terms, &Bytes::new(), env, emit)
    }

    /// Locks, and publishes the spec's bytes if there are any.
    pub(super) fn lock_with_spec<E: Env>(
        &mut self,
        sender: Address,
        job: JobId,
        terms: &Terms,
        spec: &Bytes,
        env: &E,
        emit: &mut impl FnMut(Event),
    ) -> Checked {
        let mut deal = self.storage.deal(job, terms)?;
        deal.open()?;
        if !terms.matcher.is_zero() {
            return Err(Rejection::WrongSender { sender, wanted: terms.matcher });
        }
        let now = env.now();
        not_before(now, terms.ramp_start)?;
        until(now, terms.lock_by)?;
        check_spec(terms, spec, env)?;
        deal.lock(sender, sender, terms.price_at(now, self.settings.quantum), now, spec, emit)
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
        if provider.is_zero() || is_foreign_id(provider, sender) {
            return Err(Rejection::InvalidProvider);
        }
        terms.check_price(price, self.settings.quantum)?;
        deal.lock(sender, provider, price, now, &Bytes::new(), emit)
    }

    pub(super) fn cancel<'c, E: Env>(
        &mut self,
        sender: Address,
        terms: &'c Terms,
        env: &E,
        emit: &mut impl FnMut(Event),
    ) -> Result<Next<'c>, Rejection> {
        let deal = self.storage.deal(env.job_id(terms), terms)?;
        deal.open()?;
        only(sender, if terms.matcher.is_zero() { terms.client } else { terms.matcher })?;
        Ok(deal.cancel(Reason::Withdrawn, emit))
    }

    pub(super) fn expire<'c, E: Env>(
        &mut self,
        terms: &'c Terms,
        env: &E,
        emit: &mut impl FnMut(Event),
    ) -> Result<Next<'c>, Rejection> {
        let deal = self.storage.deal(env.job_id(terms), terms)?;
        match *deal.state() {
            DealState::Open => {
                after(env.now(), terms.lock_by)?;
                Ok(deal.cancel(Reason::NotLocked, emit))
            }
            DealState::Locked { since, provider, price } => {
                after(env.now(), terms.run_by(since))?;
                Ok(deal.slash(provider, price, Reason::NotSubmitted, emit))
            }
            _ => Err(deal.wrong_state()),
        }
    }

    pub(super) fn give_up<'c, E: Env>(
        &mut self,
        sender: Address,
        terms: &'c Terms,
        env: &E,
        emit: &mut impl FnMut(Event),
    ) -> Result<Next<'c>, Rejection> {
        let deal = self.storage.deal(env.job_id(terms), terms)?;
        let (_, provider, price) = deal.locked()?;
        only(sender, provider)?;
        Ok(deal.slash(provider, price, Reason::NotSubmitted, emit))
    }

    pub(super) fn submit_result<'c, E: Env>(
        &mut self,
        sender: Address,
        terms: &'c Terms,
        result: &'c JobResult,
        env: &E,
        emit: &mut impl FnMut(Event),
    ) -> Result<Next<'c>, Rejection> {
        let mut deal = self.storage.deal(env.job_id(terms), terms)?;
        let (since, provider, price) = deal.locked()?;
        only(sender, provider)?;
        let now = env.now();
        until(now, terms.run_by(since))?;
        let size = result.inline_data.len();
        if size > MAX_INLINE_DATA {
            return Err(Rejection::InlineTooLarge(size as u64));
        }
        emit(Event::ResultSubmitted { job: deal.job, provider, result: result.clone() });
        if !terms.has_arbiter() {
            return Ok(deal.settle_unreviewed(provider, price, result, emit));
        }
        let receipt = Box::new(Receipt { provider, price, result: result.clone() });
        deal.advance(|_| DealState::Submitted { since: now, receipt });
        Ok(Next::Done)
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
        let deal = self.storage.deal(job, terms)?;
        let (_, stored) = deal.submitted()?;
        only(sender, terms.client)?;
        same(job, stored, receipt)?;
        Ok(deal.settle(receipt, Reason::Accepted, emit))
    }

    pub(super) fn settle<'c, E: Env>(
        &mut self,
        terms: &'c Terms,
        receipt: &'c Receipt,
        env: &E,
        emit: &mut impl FnMut(Event),
    ) -> Result<Next<'c>, Rejection> {
        let job = env.job_id(terms);
        let deal = self.storage.deal(job, terms)?;
        let (since, stored) = deal.submitted()?;
        after(env.now(), terms.review_by(since))?;
        same(job, stored, receipt)?;
        Ok(deal.settle(receipt, Reason::Unchallenged, emit))
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
        let deal = self.storage.deal(job, terms)?;
        let (since, stored) = deal.disputed()?;
        only(sender, terms.arbiter)?;
        until(env.now(), terms.rule_by(since))?;
        same(job, stored, receipt)?;
        Ok(match verdict {
            Verdict::Upheld => deal.settle(receipt, Reason::Upheld, emit),
            Verdict::Overturned => deal.slash(receipt.provider, receipt.price, Reason::Overturned, emit),
            Verdict::Void => deal.void(receipt, Reason::Undecided, emit),
        })
    }

    pub(super) fn lapse<'c, E: Env>(
        &mut self,
        terms: &'c Terms,
        receipt: &'c Receipt,
        env: &E,
        emit: &mut impl FnMut(Event),
    ) -> Result<Next<'c>, Rejection> {
        let job = env.job_id(terms);
        let deal = self.storage.deal(job, terms)?;
        let (since, stored) = deal.disputed()?;
        after(env.now(), terms.rule_by(since))?;
        same(job, stored, receipt)?;
        Ok(deal.void(receipt, Reason::NotRuled, emit))
    }
}

/// Only `wanted` may do this; when `wanted` is zero, nobody.
fn only(sender: Address, wanted: Address) -> Checked {
    if wanted.is_zero() || sender != wanted { Err(Rejection::WrongSender { sender, wanted }) } else { Ok(()) }
}

const fn not_before(now: Time, from: Time) -> Checked {
    if now.0 < from.0 { Err(Rejection::TooEarly { time: now, from }) } else { Ok(()) }
}

pub(super) const fn until(now: Time, until: Time) -> Checked {
    if now.0 > until.0 { Err(Rejection::TooLate { time: now, until }) } else { Ok(()) }
}

const fn after(now: Time, deadline: Time) -> Checked {
    if now.0 <= deadline.0 { Err(Rejection::TooEarly { time: now, from: deadline.after(1) }) } else { Ok(()) }
}

/// What the contract compares by digests, and checks the price for a collision: receipts that are equal have the same price.
fn same(job: JobId, stored: &Receipt, given: &Receipt) -> Checked {
    if stored == given { Ok(()) } else { Err(Rejection::ReceiptMismatch(job)) }
}
