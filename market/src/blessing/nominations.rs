//! How a nomination begins, and how it ends.

use alloy_primitives::{Address, FixedBytes};

use super::{
    Blessing, End, Event, MAX_RECIPIENT, MIN_PIECE, Nomination, Phase, Record, Registration, Rejection, Request, Stage,
    state::{Checked, Next, Situation, check_after, check_until},
};
use crate::{
    AttoFil, Time,
    model::{self, Receipt, Status, Terms},
};

impl Blessing {
    pub(super) fn register(
        &mut self,
        provider: Address,
        granter: Address,
        registration: Registration,
        emit: &mut dyn FnMut(Event),
    ) -> Checked {
        let size = registration.recipient.len();
        if size > MAX_RECIPIENT {
            return Err(Rejection::RecipientTooLong(size as u64));
        }
        let Registration { recipient, share_rate, max_share } = registration.clone();
        self.storage.set_registration((provider, granter), (size > 0).then_some(registration));
        emit(Event::Registered { provider, granter, recipient, share_rate, max_share });
        Ok(())
    }

    pub(super) fn nominate(
        &mut self,
        sender: Address,
        terms: &Terms,
        receipt: &Receipt,
        request: &Request,
        at: &Situation<'_>,
        emit: &mut dyn FnMut(Event),
    ) -> Checked {
        let round = self.check_settled(terms, at)?;
        let Request { granter, amount, piece, piece_size, bounty, min_share } = *request;
        self.check_job_limit(granter, amount)?;
        if piece.is_zero() || piece_size < MIN_PIECE || !piece_size.is_power_of_two() {
            return Err(Rejection::BadPiece { piece, size: piece_size });
        }
        let provider = receipt.provider;
        let registration = self.registration(provider, granter);
        let registration = registration.ok_or(Rejection::NotRegistered { provider, granter })?;
        let share = registration.share(amount);
        if share < min_share {
            return Err(Rejection::ShareTooSmall { share, min_share });
        }
        let nomination = Nomination {
            job: at.job,
            round,
            client: terms.client,
            provider,
            matcher: terms.matcher,
            arbiter: terms.arbiter,
            nominator: sender,
            granter,
            recipient: registration.recipient.clone(),
            amount,
            piece,
            piece_size,
            share,
            bounty,
            expires: at.now.after(self.settings.vote_for.into()),
        };
        self.take_from_pool(provider, nomination.share)?;
        let brought = AttoFil(self.settings.deposit.0.saturating_add(bounty.0));
        self.storage.debit(sender, brought)?;
        (at.check_grant)(&nomination).map_err(|why| Rejection::GrantRefused { granter, why })?;
        self.storage.totals.escrow(self.escrow_of(&nomination));
        let stage = Stage::Nominated {
            nomination: Box::new(nomination.clone()),
            version: self.notaries().version,
            approvals: Default::default(),
            rejections: Default::default(),
        };
        self.storage.set_job(at.job, Record { round, stage });
        emit(Event::JobNominated { job: at.job, nominator: sender, nomination: Box::new(nomination) });
        Ok(())
    }

    /// The market's word that the job was settled with the receipt, and ours that it may be nominated now; the round to come.
    fn check_settled(&self, terms: &Terms, at: &Situation<'_>) -> Result<u32, Rejection> {
        let job = at.job;
        if !terms.keep_record {
            return Err(Rejection::NotKept(job));
        }
        match at.status {
            Status::Settled => {}
            Status::None => return Err(model::Rejection::UnknownJob(job).into()),
            found => return Err(Rejection::NotSettled { job, found }),
        }
        let round = self.record(job).map_or(0, |record| record.round);
        match self.phase(job) {
            Phase::None => {}
            Phase::Granted => return Err(Rejection::AlreadyGranted(job)),
            Phase::Nominated | Phase::Blessed => return Err(Rejection::AlreadyNominated { job, round }),
        }
        if !at.is_receipt {
            return Err(model::Rejection::ReceiptMismatch(job).into());
        }
        // As many rounds as would overflow it cannot be.
        Ok(round.saturating_add(1))
    }

    /// What a nomination holds.
    fn escrow_of(&self, nomination: &Nomination) -> AttoFil {
        AttoFil(self.settings.deposit.0.saturating_add(nomination.to_client().0))
    }

    /// The running nomination, if it is this one.
    pub(super) fn find(&self, nomination: &Nomination) -> Result<&Record, Rejection> {
        let record = self.record(nomination.job).filter(|record| record.nomination() == Some(nomination));
        record.ok_or(Rejection::UnknownNomination(nomination.job))
    }

    pub(super) fn revoke_until(&self, blessed_at: Time) -> Time {
        blessed_at.after(self.settings.revoke_for.into())
    }

    pub(super) fn grant_until(&self, blessed_at: Time) -> Time {
        self.revoke_until(blessed_at).after(self.settings.grant_for.into())
    }

    pub(super) fn begin_grant(&self, nomination: &Nomination, at: &Situation<'_>) -> Result<Next, Rejection> {
        let record = self.find(nomination)?;
        let Stage::Blessed { at: blessed_at, reasons, .. } = record.stage else {
            return Err(Rejection::WrongPhase { job: nomination.job, found: record.phase() });
        };
        check_after(self.revoke_until(blessed_at), at)?;
        check_until(self.grant_until(blessed_at), at)?;
        self.check_limits(nomination.granter, nomination.provider, nomination.amount, at.now)?;
        Ok(Next::CallGranter { granter: nomination.granter, grant: Box::new(nomination.grant(reasons)) })
    }

    /// The granter has failed: nothing changes.
    pub(crate) fn grant_failed(&self, nomination: &Nomination, why: FixedBytes<4>, emit: &mut dyn FnMut(Event)) {
        emit(Event::GrantFailed { job: nomination.job, round: nomination.round, why });
    }

    /// The granter has granted.
    pub(crate) fn granted(&mut self, nomination: &Nomination, now: Time, emit: &mut dyn FnMut(Event)) {
        let Nomination { job, round, client, provider, nominator, granter, amount, .. } = *nomination;
        self.count(granter, provider, amount, now);
        let to_client = nomination.to_client();
        self.storage.totals.release(self.escrow_of(nomination));
        self.storage.credit(client, to_client);
        self.storage.credit(nominator, self.settings.deposit);
        self.storage.set_job(job, Record { round, stage: Stage::Granted });
        emit(Event::JobGranted { job, provider, granter, amount, to_client });
    }

    pub(super) fn expire(
        &mut self,
        nomination: &Nomination,
        at: &Situation<'_>,
        emit: &mut dyn FnMut(Event),
    ) -> Checked {
        let (until, end) = match self.find(nomination)?.stage {
            Stage::Blessed { at, .. } => (self.grant_until(at), End::Lapsed),
            _ => (nomination.expires, End::Expired),
        };
        check_after(until, at)?;
        self.end(nomination, end, emit);
        Ok(())
    }

    /// A nomination ends without a grant.
    pub(super) fn end(&mut self, nomination: &Nomination, end: End, emit: &mut dyn FnMut(Event)) {
        let Nomination { job, round, provider, nominator, share, bounty, .. } = *nomination;
        let deposit = self.settings.deposit;
        self.storage.totals.release(self.escrow_of(nomination));
        if matches!(end, End::Refused | End::Revoked) {
            self.storage.totals.burn(deposit);
        } else {
            self.storage.credit(nominator, deposit);
        }
        self.storage.credit(nominator, bounty);
        self.give_to_pool(provider, share);
        self.storage.set_job(job, Record { round, stage: Stage::Idle });
        emit(Event::NominationEnded { job, round, end });
    }
}
