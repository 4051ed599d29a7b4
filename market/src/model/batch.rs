//! Settling deals that were never opened.

use alloy_primitives::Address;

use super::{
    BatchEntry, Env, Event, JobId, MAX_INLINE_DATA, Market, Rejection, Signed, TermsFault,
    life::until,
    market::{Checked, at_most_a_batch},
    terms::is_foreign_id,
};

impl Market {
    pub(super) fn settle_batch<E: Env>(
        &mut self,
        sender: Address,
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
            emit(match self.settle_entry(sender, job, entry, env) {
                Ok(()) => Event::BatchSettled {
                    job,
                    client: entry.terms.client,
                    provider: entry.receipt.provider,
                    salt: entry.terms.salt,
                    price: entry.receipt.price,
                    output: entry.receipt.result.output,
                    exit_code: entry.receipt.result.exit_code,
                },
                Err(rejection) => Event::BatchSkipped { job, why: rejection.selector() },
            });
        }
        Ok(())
    }

    fn settle_entry<E: Env>(&mut self, sender: Address, job: JobId, entry: &BatchEntry, env: &E) -> Checked {
        let BatchEntry { terms, receipt, until: accepted_until, signature } = entry;
        if terms.names_foreign_id(sender) {
            return Err(Rejection::BadTerms(TermsFault::MaskedId));
        }
        if terms.callback_gas > 0 {
            return Err(Rejection::BadTerms(TermsFault::CallbackGas));
        }
        if terms.keep_record {
            return Err(Rejection::BadTerms(TermsFault::KeepRecord));
        }
        self.storage.check_salt(terms.client, terms.salt)?;
        until(env.now(), *accepted_until)?;
        if receipt.provider.is_zero() || is_foreign_id(receipt.provider, sender) {
            return Err(Rejection::InvalidProvider);
        }
        terms.check_price(receipt.price, self.settings.quantum)?;
        let size = receipt.result.inline_data.len();
        if size > MAX_INLINE_DATA {
            return Err(Rejection::InlineTooLarge(size as u64));
        }
        if !env.signature_valid(terms.client, &Signed::Acceptance(job, receipt, *accepted_until), signature) {
            return Err(Rejection::BadSignature(terms.client));
        }
        self.storage.debit(terms.client, receipt.price)?;
        self.storage.credit(receipt.provider, receipt.price);
        self.storage.spend(terms.client, terms.salt);
        Ok(())
    }
}
