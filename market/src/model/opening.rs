//! Opening deals, and making sure that no salt opens two.

use alloy_primitives::{Address, Bytes};

use super::{
    Env, Event, JobId, Lane, MAX_LOCK_AHEAD, MAX_SPEC, Market, Rejection, Signed, Terms, market::Checked,
    state::DealState,
};
use crate::{money::AttoFil, time::Time};

impl Market {
    pub(super) fn open<E: Env>(
        &mut self,
        sender: Address,
        value: AttoFil,
        terms: &Terms,
        spec: &Bytes,
        env: &E,
        emit: &mut impl FnMut(Event),
    ) -> Checked {
        if value != AttoFil::ZERO {
            self.only_coin()?;
        }
        self.check_unopened(sender, terms)?;
        let client = terms.client;
        if sender != client {
            return Err(Rejection::WrongSender { sender, wanted: client });
        }
        check_lock_by(terms, env.now())?;
        check_spec(terms, spec, env)?;
        if value == AttoFil::ZERO {
            self.storage.debit(client, terms.max_price)?;
        } else {
            self.storage.books.require_room(env.here(), value)?;
            let balance = AttoFil(self.balance(client).0.saturating_add(value.0));
            if balance < terms.max_price {
                return Err(Rejection::InsufficientBalance { account: client, balance, needed: terms.max_price });
            }
            self.storage.books.totals.pay_in(value);
            self.storage.credit(client, value);
            emit(Event::Deposited { account: client, payer: sender, amount: value });
            self.storage.debit(client, terms.max_price)?;
        }
        self.opened(env.job_id(terms), terms, spec, emit);
        Ok(())
    }

    pub(super) fn open_signed<E: Env>(
        &mut self,
        sender: Address,
        terms: &Terms,
        spec: &Bytes,
        signature: &Bytes,
        env: &E,
        emit: &mut impl FnMut(Event),
    ) -> Checked {
        self.check_unopened(sender, terms)?;
        check_lock_by(terms, env.now())?;
        check_spec(terms, spec, env)?;
        let job = env.job_id(terms);
        check_signature(job, terms, signature, env)?;
        self.storage.debit(terms.client, terms.max_price)?;
        self.opened(job, terms, spec, emit);
        Ok(())
    }

    pub(super) fn open_signed_and_lock<E: Env>(
        &mut self,
        sender: Address,
        terms: &Terms,
        spec: &Bytes,
        signature: &Bytes,
        env: &E,
        emit: &mut impl FnMut(Event),
    ) -> Checked {
        let job = env.job_id(terms);
        if self.storage.deals.contains_key(&job) {
            return self.lock_with_spec(sender, job, terms, spec, env, emit);
        }
        self.check_unopened(sender, terms)?;
        if !terms.matcher.is_zero() {
            return Err(Rejection::WrongSender { sender, wanted: terms.matcher });
        }
        let now = env.now();
        check_lock_by(terms, now)?;
        if now < terms.ramp_start {
            return Err(Rejection::TooEarly { time: now, from: terms.ramp_start });
        }
        check_spec(terms, spec, env)?;
        check_signature(job, terms, signature, env)?;

        let price = terms.price_at(now, self.settings.quantum);
        let before = self.storage.books.require(terms.client, terms.max_price)?;
        if sender == terms.client {
            let balance = before.saturating_sub(price);
            if balance < terms.collateral {
                return Err(Rejection::InsufficientBalance { account: sender, balance, needed: terms.collateral });
            }
        }
        self.storage.debit(sender, terms.collateral)?;
        self.storage.debit(terms.client, price)?;
        self.storage.books.totals.hold(price, terms.collateral);
        self.storage.spend(terms.client, terms.salt);
        self.storage.enter(job, DealState::Locked { since: now, provider: sender, price });
        emit(Event::JobOpened { job, terms: terms.clone(), spec: spec.clone() });
        emit(Event::JobLocked { job, provider: sender, payer: sender, price });
        Ok(())
    }

    pub(super) fn revoke(&mut self, sender: Address, lane: Lane, up_to: u64, emit: &mut impl FnMut(Event)) {
        self.storage.revoke(sender, lane, up_to);
        emit(Event::SaltsRevoked { client: sender, lane, up_to });
    }

    /// Terms and state of a deal that is to be opened.
    fn check_unopened(&self, sender: Address, terms: &Terms) -> Checked {
        if let Some(fault) = terms.fault(&self.settings, sender) {
            return Err(Rejection::BadTerms(fault));
        }
        self.storage.check_salt(terms.client, terms.salt)
    }

    /// The effects of opening, after the client's escrow was taken.
    fn opened(&mut self, job: JobId, terms: &Terms, spec: &Bytes, emit: &mut impl FnMut(Event)) {
        self.storage.books.totals.hold(terms.max_price, AttoFil::ZERO);
        self.storage.spend(terms.client, terms.salt);
        // Entering waits for memory, and would have the copies wait, too.
        emit(Event::JobOpened { job, terms: terms.clone(), spec: spec.clone() });
        self.storage.enter(job, DealState::Open);
    }
}

/// `lock_by` has not passed and is not too far ahead.
const fn check_lock_by(terms: &Terms, now: Time) -> Checked {
    let lock_by = terms.lock_by;
    if now.0 > lock_by.0 {
        return Err(Rejection::TooLate { time: now, until: lock_by });
    }
    if lock_by.since(now) > MAX_LOCK_AHEAD {
        return Err(Rejection::TooEarly { time: now, from: Time(lock_by.0.saturating_sub(MAX_LOCK_AHEAD)) });
    }
    Ok(())
}

/// The spec's bytes, if there are any, are those that the terms name.
pub(super) fn check_spec<E: Env>(terms: &Terms, spec: &Bytes, env: &E) -> Checked {
    if spec.is_empty() {
        return Ok(());
    }
    if spec.len() > MAX_SPEC {
        return Err(Rejection::SpecTooLarge(spec.len() as u64));
    }
    let found = env.spec_digest(spec);
    if found != terms.spec {
        return Err(Rejection::SpecMismatch { found, wanted: terms.spec });
    }
    Ok(())
}

fn check_signature<E: Env>(job: JobId, terms: &Terms, signature: &Bytes, env: &E) -> Checked {
    if let Some(chain) = env.foreign_chain() {
        return Err(Rejection::WrongChain(chain));
    }
    if !env.signature_valid(terms.client, &Signed::Terms(job), signature) {
        return Err(Rejection::BadSignature(terms.client));
    }
    Ok(())
}
