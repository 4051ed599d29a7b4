//! Settling deals that were never opened.

use super::{
    BatchEntry, Env, Event, JobId, MAX_INLINE_DATA, Market, Rejection, Signed, TermsFault,
    market::{Checked, at_most_a_batch},
};

impl Market {
    pub(super) fn settle_batch<E: Env>(
        &mut self,
        entries: &[BatchEntry],
        env: &E,
        emit: &mut impl FnMut(Event),
    ) -> Checked {
        at_most_a_batch(entries.len())?;
        if let Some(chain) = env.foreign_chain() {
            return Err(Rejection::WrongChain(chain));
        }
        for entry in entries {
            let job = env.job_id(&entry.terms);
            emit(match self.settle_entry(job, entry, env) {
                Ok(()) => Event::BatchSettled {
                    job,
                    client: entry.terms.client,
                    provider: entry.receipt.provider,
                    price: entry.receipt.price,
                    output: entry.receipt.result.output,
                },
                Err(rejection) => Event::BatchSkipped { job, why: rejection.selector() },
            });
        }
        Ok(())
    }

    fn settle_entry<E: Env>(&mut self, job: JobId, entry: &BatchEntry, env: &E) -> Checked {
        let BatchEntry { terms, receipt, signature } = entry;
        if terms.callback_gas > 0 {
            return Err(Rejection::BadTerms(TermsFault::CallbackGas));
        }
        if self.storage.is_spent(terms.client, terms.salt) {
            return Err(Rejection::SaltSpent { client: terms.client, salt: terms.salt });
        }
        if receipt.provider.is_zero() {
            return Err(Rejection::InvalidProvider);
        }
        terms.check_price(receipt.price)?;
        let size = receipt.result.inline_data.len();
        if size > MAX_INLINE_DATA {
            return Err(Rejection::InlineTooLarge(size as u64));
        }
        if !env.signature_valid(terms.client, &Signed::Acceptance(job, receipt), signature) {
            return Err(Rejection::BadSignature(terms.client));
        }
        self.storage.debit(terms.client, receipt.price)?;
        self.storage.credit(receipt.provider, receipt.price);
        self.storage.spend(terms.client, terms.salt);
        Ok(())
    }
}
