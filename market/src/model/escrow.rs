//! A deal in hand: its state, its terms, and the books in which its money moves.

use std::collections::hash_map::OccupiedEntry;

use alloy_primitives::{Address, Bytes};

use super::{
    Callback, Event, JobId, JobResult, Next, Reason, Receipt, Rejection, Terms,
    market::Checked,
    state::DealState,
    storage::{Books, Change, Undo},
};
use crate::{money::AttoFil, time::Time};

/// One deal, looked up once. The methods are the effects of commands; all checks come before them.
pub(super) struct Escrow<'l, 'c> {
    pub(super) job: JobId,
    pub(super) terms: &'c Terms,
    pub(super) entry: OccupiedEntry<'l, JobId, DealState>,
    pub(super) books: &'l mut Books,
    pub(super) undo: &'l mut Undo,
}

impl<'c> Escrow<'_, 'c> {
    pub(super) fn state(&self) -> &DealState {
        self.entry.get()
    }

    /// The refusal of whoever expected another state.
    pub(super) fn wrong_state(&self) -> Rejection {
        self.state().wrong_state(self.job)
    }

    pub(super) fn open(&self) -> Checked {
        match self.state() {
            DealState::Open => Ok(()),
            _ => Err(self.wrong_state()),
        }
    }

    /// When it was locked, by whom, and at what price.
    pub(super) fn locked(&self) -> Result<(Time, Address, AttoFil), Rejection> {
        match *self.state() {
            DealState::Locked { since, provider, price } => Ok((since, provider, price)),
            _ => Err(self.wrong_state()),
        }
    }

    /// When the result was submitted, and what it is.
    pub(super) fn submitted(&self) -> Result<(Time, &Receipt), Rejection> {
        match self.state() {
            DealState::Submitted { since, receipt } => Ok((*since, receipt)),
            _ => Err(self.wrong_state()),
        }
    }

    /// When the result was disputed, and what it is.
    pub(super) fn disputed(&self) -> Result<(Time, &Receipt), Rejection> {
        match self.state() {
            DealState::Disputed { since, receipt } => Ok((*since, receipt)),
            _ => Err(self.wrong_state()),
        }
    }

    /// Moves the deal on to its next state.
    pub(super) fn advance(&mut self, next: impl FnOnce(DealState) -> DealState) {
        let Self { job, entry, undo, .. } = self;
        let state = entry.get_mut();
        undo.note(|| Change::Deal(*job, Some(state.clone())));
        state.advance(next);
    }

    /// Nothing of the deal is kept.
    pub(super) fn forget(self) {
        let Self { job, entry, undo, .. } = self;
        let state = entry.remove();
        undo.note(|| Change::Deal(job, Some(state)));
    }

    /// The deal has ended. It stays while a callback is due, and for ever when its terms say so.
    ///
    /// `receipt` finds in the last state what was submitted, if something was.
    fn end(
        mut self,
        reason: Reason,
        outcome: Result<&'c JobResult, Reason>,
        receipt: impl FnOnce(DealState) -> Option<Box<Receipt>>,
    ) -> Next<'c> {
        let Self { job, terms, .. } = self;
        let callback_pending = terms.callback_gas > 0;
        if callback_pending || terms.keep_record {
            self.advance(|state| DealState::Ended { reason, callback_pending, receipt: receipt(state) });
        } else {
            self.forget();
        }
        if callback_pending { Next::CallBack(Callback { job, terms, outcome, retried: false }) } else { Next::Done }
    }

    /// The client gets back what is above the price, the collateral comes in; a spec that came along is published. The only
    /// effect that money can refuse.
    pub(super) fn lock(
        &mut self,
        payer: Address,
        provider: Address,
        price: AttoFil,
        now: Time,
        spec: &Bytes,
        emit: &mut impl FnMut(Event),
    ) -> Checked {
        let refund = self.terms.max_price.saturating_sub(price);
        self.books.refund_and_stake(self.terms.client, refund, payer, self.terms.collateral, self.undo)?;
        self.books.totals.release(refund, AttoFil::ZERO);
        self.books.totals.hold(AttoFil::ZERO, self.terms.collateral);
        self.advance(|_| DealState::Locked { since: now, provider, price });
        if !spec.is_empty() {
            emit(Event::SpecPublished { spec: self.terms.spec, data: spec.clone() });
        }
        emit(Event::JobLocked { job: self.job, provider, payer, price });
        Ok(())
    }

    /// The escrow goes back.
    pub(super) fn cancel(self, reason: Reason, emit: &mut impl FnMut(Event)) -> Next<'c> {
        self.books.totals.release(self.terms.max_price, AttoFil::ZERO);
        self.books.credit(self.terms.client, self.terms.max_price, self.undo);
        emit(Event::JobCancelled { job: self.job, reason });
        self.end(reason, Err(reason), DealState::into_receipt)
    }

    /// The provider gets price and collateral.
    pub(super) fn settle(mut self, receipt: &'c Receipt, reason: Reason, emit: &mut impl FnMut(Event)) -> Next<'c> {
        self.pay(receipt.provider, receipt.price, reason, emit);
        self.end(reason, Ok(&receipt.result), DealState::into_receipt)
    }

    /// The same for what was not submitted before, since there is nobody to review it.
    pub(super) fn settle_unreviewed(
        mut self,
        provider: Address,
        price: AttoFil,
        result: &'c JobResult,
        emit: &mut impl FnMut(Event),
    ) -> Next<'c> {
        let reason = Reason::Unreviewed;
        self.pay(provider, price, reason, emit);
        self.end(reason, Ok(result), |_| Some(Box::new(Receipt { provider, price, result: result.clone() })))
    }

    fn pay(&mut self, provider: Address, price: AttoFil, reason: Reason, emit: &mut impl FnMut(Event)) {
        self.books.totals.release(price, self.terms.collateral);
        self.books.credit(provider, sum(price, self.terms.collateral), self.undo);
        emit(Event::JobSettled { job: self.job, provider, price, reason });
    }

    /// The client gets the price and half the collateral; the rest goes to the arbiter that overturned the result, or is
    /// burned.
    pub(super) fn slash(
        self,
        provider: Address,
        price: AttoFil,
        reason: Reason,
        emit: &mut impl FnMut(Event),
    ) -> Next<'c> {
        let Terms { client, arbiter, collateral, .. } = *self.terms;
        let to_client = sum(price, collateral.half());
        let rest = collateral.saturating_sub(collateral.half());
        let (to_arbiter, to_burn) =
            if matches!(reason, Reason::Overturned) { (rest, AttoFil::ZERO) } else { (AttoFil::ZERO, rest) };
        self.books.totals.release(price, collateral);
        self.books.credit(client, to_client, self.undo);
        self.books.credit(arbiter, to_arbiter, self.undo);
        self.books.totals.burn(to_burn);
        emit(Event::JobSlashed { job: self.job, provider, to_client, to_arbiter, to_burn, reason });
        self.end(reason, Err(reason), DealState::into_receipt)
    }

    /// Client and provider get their own money back.
    pub(super) fn void(self, receipt: &Receipt, reason: Reason, emit: &mut impl FnMut(Event)) -> Next<'c> {
        let Receipt { provider, price, .. } = *receipt;
        self.books.totals.release(price, self.terms.collateral);
        self.books.credit(self.terms.client, price, self.undo);
        self.books.credit(provider, self.terms.collateral, self.undo);
        emit(Event::JobVoided { job: self.job, provider, price, reason });
        self.end(reason, Err(reason), DealState::into_receipt)
    }
}

/// Amounts of deals are below 2^112 (2^48 quanta of less than 2^64): their sums fit.
const fn sum(a: AttoFil, b: AttoFil) -> AttoFil {
    AttoFil(a.0.saturating_add(b.0))
}
