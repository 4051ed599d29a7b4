//! The life of a deal after it was opened: the checks of every row of the transition table. The effects are [`Escrow`]'s.

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
        let mut deal = self.ledger.deal(env.job_id(terms), terms)?;
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
    ) -> Outcome {
        let mut deal = self.ledger.deal(env.job_id(terms), terms)?;
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

    pub(super) fn cancel<E: Env>(
        &mut self,
        sender: Address,
        terms: &Terms,
        env: &mut E,
        emit: &mut impl FnMut(Event),
    ) -> Outcome {
        let job = env.job_id(terms);
        let mut deal = self.ledger.deal(job, terms)?;
        deal.open()?;
        only(sender, if terms.matcher.is_zero() { terms.client } else { terms.matcher })?;
        deal.cancel(Reason::Withdrawn, emit);
        self.call_back(job, terms, env, emit);
        Ok(())
    }

    pub(super) fn expire<E: Env>(&mut self, terms: &Terms, env: &mut E, emit: &mut impl FnMut(Event)) -> Outcome {
        let job = env.job_id(terms);
        let mut deal = self.ledger.deal(job, terms)?;
        match *deal.stage {
            Stage::Open => {
                after(env.now(), terms.lock_by)?;
                deal.cancel(Reason::NotLocked, emit);
            }
            Stage::Locked { since, provider, price } => {
                after(env.now(), terms.run_by(since))?;
                deal.slash(provider, price, Reason::NotSubmitted, emit);
            }
            _ => return Err(deal.unfit()),
        }
        self.call_back(job, terms, env, emit);
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
        let mut deal = self.ledger.deal(env.job_id(terms), terms)?;
        let Stage::Locked { since, provider, price } = *deal.stage else { return Err(deal.unfit()) };
        only(sender, provider)?;
        let now = env.now();
        until(now, terms.run_by(since))?;
        let size = result.inline_data.len();
        if size > MAX_INLINE_DATA {
            return Err(Rejection::InlineTooLarge(size as u64));
        }
        let receipt = Box::new(Receipt { provider, price, result: result.clone() });
        deal.advance(|_| Stage::Submitted { since: now, receipt });
        emit(Event::ResultSubmitted { job: deal.job, provider, result: result.clone() });
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
        let mut deal = self.ledger.deal(job, terms)?;
        let (_, stored) = deal.submitted()?;
        only(sender, terms.client)?;
        same(job, stored, receipt)?;
        deal.settle(receipt, Reason::Accepted, emit);
        self.call_back(job, terms, env, emit);
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
        let mut deal = self.ledger.deal(job, terms)?;
        let (since, stored) = deal.submitted()?;
        after(env.now(), terms.review_by(since))?;
        same(job, stored, receipt)?;
        deal.settle(receipt, Reason::Unchallenged, emit);
        self.call_back(job, terms, env, emit);
        Ok(())
    }

    pub(super) fn dispute<E: Env>(
        &mut self,
        sender: Address,
        terms: &Terms,
        env: &E,
        emit: &mut impl FnMut(Event),
    ) -> Outcome {
        let mut deal = self.ledger.deal(env.job_id(terms), terms)?;
        let (since, _) = deal.submitted()?;
        only(sender, terms.arbiter)?;
        let now = env.now();
        until(now, terms.review_by(since))?;
        deal.advance(|stage| match stage {
            Stage::Submitted { receipt, .. } => Stage::Disputed { since: now, receipt },
            other => other,
        });
        emit(Event::JobDisputed { job: deal.job });
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
        let mut deal = self.ledger.deal(job, terms)?;
        let (since, stored) = deal.disputed()?;
        only(sender, terms.arbiter)?;
        until(env.now(), terms.rule_by(since))?;
        same(job, stored, receipt)?;
        match verdict {
            Verdict::Upheld => deal.settle(receipt, Reason::Upheld, emit),
            Verdict::Overturned => deal.slash(receipt.provider, receipt.price, Reason::Overturned, emit),
            Verdict::Void => deal.void(receipt, Reason::Undecided, emit),
        }
        self.call_back(job, terms, env, emit);
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
        let mut deal = self.ledger.deal(job, terms)?;
        let (since, stored) = deal.disputed()?;
        after(env.now(), terms.rule_by(since))?;
        same(job, stored, receipt)?;
        deal.void(receipt, Reason::NotRuled, emit);
        self.call_back(job, terms, env, emit);
        Ok(())
    }
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
