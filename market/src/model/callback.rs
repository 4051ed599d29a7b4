//! Calling a client back: the last thing that happens when a deal ends, and never a reason why it does not.

use super::{
    Env, Event, JobId, JobResult, Market, Next, Reason, Receipt, Rejection, Status, Terms, escrow::Escrow,
    state::DealState,
};

/// A callback that is due: of a deal that has ended, with all effects of its end done.
pub(crate) struct Callback<'c> {
    pub(crate) job: JobId,
    pub(crate) terms: &'c Terms,
    /// The result of a settled job, or the reason of another end.
    pub(crate) outcome: Result<&'c JobResult, Reason>,
    /// It was tried before.
    pending: bool,
}

/// What comes after a deal has ended: the callback, where the terms ask for one.
pub(super) const fn end<'c>(job: JobId, terms: &'c Terms, outcome: Result<&'c JobResult, Reason>) -> Next<'c> {
    if terms.callback_gas == 0 { Next::Done } else { Next::CallBack(Callback { job, terms, outcome, pending: false }) }
}

impl Market {
    pub(super) fn retry_callback<'c>(
        &mut self,
        terms: &'c Terms,
        receipt: &'c Receipt,
        env: &impl Env,
    ) -> Result<Next<'c>, Rejection> {
        let job = env.job_id(terms);
        let Escrow { state, .. } = self.storage.deal(job, terms)?;
        let DealState::Ended { reason, callback_pending: true, receipt: stored } = &*state else {
            return Err(state.wrong_state(job));
        };
        let outcome = if reason.status() == Status::Settled {
            if stored.as_deref() != Some(receipt) {
                return Err(Rejection::ReceiptMismatch(job));
            }
            Ok(&receipt.result)
        } else {
            Err(*reason)
        };
        Ok(Next::CallBack(Callback { job, terms, outcome, pending: true }))
    }

    /// Notes how a callback went.
    pub(crate) fn called_back(&mut self, callback: &Callback<'_>, delivered: bool, emit: &mut impl FnMut(Event)) {
        let Callback { job, terms, pending, .. } = *callback;
        // During the callback nothing can have happened to the deal: it has ended.
        if delivered == pending
            && let Ok(mut deal) = self.storage.deal(job, terms)
        {
            deal.advance(|state| match state {
                DealState::Ended { reason, receipt, .. } => {
                    DealState::Ended { reason, callback_pending: !delivered, receipt }
                }
                other => other,
            });
        }
        emit(if delivered { Event::CallbackDelivered { job } } else { Event::CallbackFailed { job } });
    }
}
