//! A deal in hand: its state, its terms, and the books in which its money moves.

use alloy_primitives::Address;

use super::{
    Event, JobId, Reason, Receipt, Rejection, Terms,
    market::Checked,
    state::DealState,
    storage::{Books, Change, Undo},
};
use crate::{money::AttoFil, time::Time};

/// One deal, looked up once. The methods are the effects of commands; all checks come before them.
pub(super) struct Escrow<'l> {
    pub(super) job: JobId,
    pub(super) terms: &'l Terms,
    pub(super) state: &'l mut DealState,
    pub(super) books: &'l mut Books,
    pub(super) undo: &'l mut Undo,
}

impl Escrow<'_> {
    /// The refusal of whoever expected another state.
    pub(super) const fn wrong_state(&self) -> Rejection {
        self.state.wrong_state(self.job)
    }

    pub(super) const fn open(&self) -> Checked {
        match self.state {
            DealState::Open => Ok(()),
            _ => Err(self.wrong_state()),
        }
    }

    /// When the result was submitted, and what it is.
    pub(super) const fn submitted(&self) -> Result<(Time, &Receipt), Rejection> {
        match &*self.state {
            DealState::Submitted { since, receipt } => Ok((*since, receipt)),
            _ => Err(self.wrong_state()),
        }
    }

    /// When the result was disputed, and what it is.
    pub(super) const fn disputed(&self) -> Result<(Time, &Receipt), Rejection> {
        match &*self.state {
            DealState::Disputed { since, receipt } => Ok((*since, receipt)),
            _ => Err(self.wrong_state()),
        }
    }

    /// Moves the deal on to its next state.
    pub(super) fn advance(&mut self, next: impl FnOnce(DealState) -> DealState) {
        let Self { job, state, undo, .. } = self;
        undo.note(|| Change::Deal(*job, Some(state.clone())));
        self.state.advance(next);
    }

    fn end(&mut self, reason: Reason) {
        self.advance(|state| DealState::Ended { reason, callback_pending: false, receipt: state.into_receipt() });
    }

    /// The client gets back what is above the price, the collateral comes in. The only effect that money can refuse.
    pub(super) fn lock(
        &mut self,
        staker: Address,
        provider: Address,
        price: AttoFil,
        now: Time,
        emit: &mut impl FnMut(Event),
    ) -> Checked {
        let refund = self.terms.max_price.saturating_sub(price);
        self.books.refund_and_stake(self.terms.client, refund, staker, self.terms.collateral, self.undo)?;
        self.books.totals.release(refund, AttoFil::ZERO);
        self.books.totals.hold(AttoFil::ZERO, self.terms.collateral);
        self.advance(|_| DealState::Locked { since: now, provider, price });
        emit(Event::JobLocked { job: self.job, provider, price });
        Ok(())
    }

    /// The escrow goes back.
    pub(super) fn cancel(&mut self, reason: Reason, emit: &mut impl FnMut(Event)) {
        self.books.totals.release(self.terms.max_price, AttoFil::ZERO);
        self.books.credit(self.terms.client, self.terms.max_price, self.undo);
        self.end(reason);
        emit(Event::JobCancelled { job: self.job, reason });
    }

    /// The provider gets price and collateral.
    pub(super) fn settle(&mut self, receipt: &Receipt, reason: Reason, emit: &mut impl FnMut(Event)) {
        let Receipt { provider, price, .. } = *receipt;
        self.books.totals.release(price, self.terms.collateral);
        self.books.credit(provider, sum(price, self.terms.collateral), self.undo);
        self.end(reason);
        emit(Event::JobSettled { job: self.job, provider, price, reason });
    }

    /// The client gets the price and half the collateral; the rest goes to the arbiter that overturned the result, or is
    /// burned.
    pub(super) fn slash(&mut self, provider: Address, price: AttoFil, reason: Reason, emit: &mut impl FnMut(Event)) {
        let Terms { client, arbiter, collateral, .. } = *self.terms;
        let to_client = sum(price, collateral.half());
        let rest = collateral.saturating_sub(collateral.half());
        let (to_arbiter, to_burn) =
            if matches!(reason, Reason::Overturned) { (rest, AttoFil::ZERO) } else { (AttoFil::ZERO, rest) };
        self.books.totals.release(price, collateral);
        self.books.credit(client, to_client, self.undo);
        self.books.credit(arbiter, to_arbiter, self.undo);
        self.books.totals.burn(to_burn);
        self.end(reason);
        emit(Event::JobSlashed { job: self.job, provider, to_client, to_arbiter, to_burn, reason });
    }

    /// Client and provider get their own money back.
    pub(super) fn void(&mut self, receipt: &Receipt, reason: Reason, emit: &mut impl FnMut(Event)) {
        let Receipt { provider, price, .. } = *receipt;
        self.books.totals.release(price, self.terms.collateral);
        self.books.credit(self.terms.client, price, self.undo);
        self.books.credit(provider, self.terms.collateral, self.undo);
        self.end(reason);
        emit(Event::JobVoided { job: self.job, provider, price, reason });
    }
}

/// Amounts of deals are below 2^78 attoFIL: their sums fit.
const fn sum(a: AttoFil, b: AttoFil) -> AttoFil {
    AttoFil(a.0.saturating_add(b.0))
}
