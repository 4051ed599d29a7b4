//! Calling a client back: the last thing that happens when a deal ends, and never a reason why it does not.

use super::{Env, Event, JobId, Market, Receipt, Rejection, Status, Terms, market::Outcome, stage::Stage};

impl Market {
    pub(super) fn retry_callback<E: Env>(
        &mut self,
        terms: &Terms,
        receipt: &Receipt,
        env: &mut E,
        emit: &mut impl FnMut(Event),
    ) -> Outcome {
        let job = env.job_id(terms);
        let deal = self.ledger.deal(job, terms)?;
        let Stage::Ended { reason, callback_pending: true, receipt: stored } = &*deal.stage else {
            return Err(deal.unfit());
        };
        if reason.status() == Status::Settled && stored.as_deref() != Some(receipt) {
            return Err(Rejection::ReceiptMismatch(job));
        }
        self.call_back(job, terms, env, emit);
        Ok(())
    }

    /// Calls the client back about a deal that has ended, where the terms ask for it, and remembers how that went.
    pub(super) fn call_back<E: Env>(&mut self, job: JobId, terms: &Terms, env: &mut E, emit: &mut impl FnMut(Event)) {
        if terms.callback_gas == 0 {
            return;
        }
        let Ok(mut deal) = self.ledger.deal(job, terms) else { return };
        let Stage::Ended { reason, callback_pending, receipt } = &*deal.stage else { return };
        let outcome = match receipt.as_deref() {
            Some(receipt) if reason.status() == Status::Settled => Ok(&receipt.result),
            _ => Err(*reason),
        };
        let failed = !env.callback_succeeds(terms.client, job, terms.callback_gas, outcome);
        if failed != *callback_pending {
            let reason = *reason;
            deal.advance(|stage| Stage::Ended { reason, callback_pending: failed, receipt: stage.into_receipt() });
        }
        emit(if failed { Event::CallbackFailed { job } } else { Event::CallbackDelivered { job } });
    }
}
