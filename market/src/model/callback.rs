//! Calling a client back: the last thing that happens when a deal ends, and never a reason why it does not.

use super::{
    Env, Event, JobId, JobResult, Market, Next, Reason, Receipt, Rejection, Status, Terms, market::Checked,
    state::DealState,
};

/// A callback that is due: of a deal that has ended, with all effects of its end done. While it runs it is pending.
pub(crate) struct Callback<'c> {
    pub(crate) job: JobId,
    pub(crate) terms: &'c Terms,
    /// The result of a settled job, or the reason of another end.
    pub(crate) outcome: Result<&'c JobResult, Reason>,
    /// It failed before, and somebody tries again.
    pub(crate) retried: bool,
}

impl Market {
    pub(super) fn retry_callback<'c>(
        &mut self,
        terms: &'c Terms,
        receipt: &'c Receipt,
        env: &impl Env,
    ) -> Result<Next<'c>, Rejection> {
        let job = env.job_id(terms);
        let deal = self.storage.deal(job, terms)?;
        let DealState::Ended { reason, callback_pending: true, receipt: stored } = deal.state() else {
            return Err(deal.wrong_state());
        };
        let outcome = if reason.status() == Status::Settled {
            if stored.as_deref() != Some(receipt) {
                return Err(Rejection::ReceiptMismatch(job));
            }
            Ok(&receipt.result)
        } else {
            Err(*reason)
        };
        Ok(Next::CallBack(Callback { job, terms, outcome, retried: true }))
    }

    /// Notes how a callback went.
    pub(crate) fn called_back(
        &mut self,
        callback: &Callback<'_>,
        delivered: bool,
        emit: &mut (impl FnMut(Event) + ?Sized),
    ) -> Checked {
        let job = callback.job;
        if delivered {
            self.owes_no_callback(callback);
            emit(Event::CallbackDelivered { job });
            Ok(())
        } else if callback.retried {
            Err(Rejection::CallbackReverted(job))
        } else {
            emit(Event::CallbackFailed { job });
            Ok(())
        }
    }

    /// The callback was delivered, or there is nobody to call: only a record that was asked for stays.
    pub(crate) fn owes_no_callback(&mut self, callback: &Callback<'_>) {
        // It is there: during the callback nothing can have happened to the deal, which has ended.
        let Ok(mut deal) = self.storage.deal(callback.job, callback.terms) else { return };
        if !callback.terms.keep_record {
            return deal.forget();
        }
        deal.advance(|state| match state {
            DealState::Ended { reason, receipt, .. } => DealState::Ended { reason, callback_pending: false, receipt },
            other => other,
        });
    }
}
