//! The notaries, what they change together, and the limits of the granters that they admitted.

use std::collections::BTreeSet;

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

use super::{
    Ballot, Blessing, Event, Limit, Limits, MAX_NOTARIES, MAX_SWEEP, NotariesFault, Rejection, Signed,
    state::{Checked, Situation, check_signature, check_until},
    storage::Usage,
};
use crate::{
    Time,
    model::{self, is_masked_id},
};

/// Who decides, and how many of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Notaries {
    pub list: Vec<Address>,
    pub quorum: u32,
    /// Of this set, from 1.
    pub version: u32,
    /// The number of the next change of notaries or limits.
    pub decisions: u64,
}

impl Notaries {
    /// The first ones.
    #[must_use]
    pub const fn first(list: Vec<Address>, quorum: u32) -> Self {
        Self { list, quorum, version: 1, decisions: 0 }
    }

    /// What is wrong with them.
    #[must_use]
    pub fn fault(list: &[Address], quorum: u32) -> Option<NotariesFault> {
        let mut seen = BTreeSet::new();
        if list.is_empty() || list.len() > MAX_NOTARIES {
            Some(NotariesFault::Count)
        } else if quorum == 0 || quorum as usize > list.len() {
            Some(NotariesFault::Quorum)
        } else if list.iter().any(|notary| notary.is_zero() || is_masked_id(*notary)) {
            Some(NotariesFault::Invalid)
        } else {
            list.iter().any(|notary| !seen.insert(*notary)).then_some(NotariesFault::Repeated)
        }
    }

    /// Whether so many votes decide for something.
    #[must_use]
    pub const fn is_quorum(&self, votes: usize) -> bool {
        votes >= self.quorum as usize
    }

    /// Whether so many rejections leave no quorum of approvals.
    #[must_use]
    pub fn is_blocked(&self, rejections: usize) -> bool {
        self.list.len().saturating_sub(rejections) < self.quorum as usize
    }

    /// Refuses who is not one of them.
    pub(super) fn check(&self, account: Address) -> Checked {
        if self.list.contains(&account) { Ok(()) } else { Err(Rejection::NotNotary(account)) }
    }
}

impl Blessing {
    #[expect(clippy::too_many_arguments, reason = "they are the command's, and what it finds")]
    pub(super) fn change_notaries(
        &mut self,
        sender: Address,
        list: &[Address],
        quorum: u32,
        until: Time,
        ballots: &[Ballot],
        at: &Situation<'_>,
        emit: &mut dyn FnMut(Event),
    ) -> Checked {
        self.check_quorum(ballots)?;
        check_until(until, at)?;
        if let Some(fault) = Notaries::fault(list, quorum) {
            return Err(Rejection::BadNotaries(fault));
        }
        let decision = self.notaries().decisions;
        check_ballots(sender, &Signed::Notaries { notaries: list, quorum, decision, until }, ballots, at)?;
        // As many changes as would overflow these cannot be made.
        let version = self.notaries().version.saturating_add(1);
        let next = Notaries { list: list.to_vec(), quorum, version, decisions: decision.saturating_add(1) };
        self.storage.set_notaries(next);
        emit(Event::NotariesSet { version, notaries: list.to_vec(), quorum });
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "they are the command's, and what it finds")]
    pub(super) fn change_granter(
        &mut self,
        sender: Address,
        granter: Address,
        limits: &Limits,
        until: Time,
        ballots: &[Ballot],
        at: &Situation<'_>,
        emit: &mut dyn FnMut(Event),
    ) -> Checked {
        self.check_quorum(ballots)?;
        check_until(until, at)?;
        let is_ordered = limits.per_job <= limits.per_provider && limits.per_provider <= limits.per_period;
        if !is_ordered || (!limits.per_period.is_zero() && !(at.has_code)(granter)) {
            return Err(Rejection::BadLimits(granter));
        }
        let mut notaries = self.notaries().clone();
        let decision = notaries.decisions;
        check_ballots(sender, &Signed::Granter { granter, limits, decision, until }, ballots, at)?;
        notaries.decisions = decision.saturating_add(1);
        self.storage.set_notaries(notaries);
        self.storage.set_limits(granter, *limits);
        emit(Event::GranterSet { granter, limits: *limits });
        Ok(())
    }

    fn check_quorum(&self, ballots: &[Ballot]) -> Checked {
        let notaries = self.notaries();
        let mut seen = BTreeSet::new();
        for ballot in ballots {
            notaries.check(ballot.notary)?;
            if !seen.insert(ballot.notary) {
                return Err(Rejection::RepeatedBallot(ballot.notary));
            }
        }
        if notaries.is_quorum(ballots.len()) {
            return Ok(());
        }
        Err(Rejection::QuorumNotReached { ballots: ballots.len() as u64, quorum: notaries.quorum })
    }

    // Limits ----------------------------------------------------------------------------------------------------------

    pub(super) fn check_job_limit(&self, granter: Address, amount: U256) -> Checked {
        let Limits { per_job, per_period, .. } = self.limits(granter);
        if per_period.is_zero() {
            return Err(Rejection::UnknownGranter(granter));
        }
        if amount.is_zero() || amount > per_job {
            return Err(Rejection::OverLimit { granter, limit: Limit::PerJob, amount, left: per_job });
        }
        Ok(())
    }

    pub(super) fn check_limits(&self, granter: Address, provider: Address, amount: U256, now: Time) -> Checked {
        self.check_job_limit(granter, amount)?;
        let limits = self.limits(granter);
        let (to_provider, in_all) = self.granted_of(granter, provider, now);
        for (limit, most, used) in
            [(Limit::PerProvider, limits.per_provider, to_provider), (Limit::PerPeriod, limits.per_period, in_all)]
        {
            let left = most.saturating_sub(used);
            if amount > left {
                return Err(Rejection::OverLimit { granter, limit, amount, left });
            }
        }
        Ok(())
    }

    pub(super) fn count(&mut self, granter: Address, provider: Address, amount: U256, now: Time) {
        let period = self.period(now);
        for provider in [Some(provider), None] {
            let granted = self.used(granter, provider, now).saturating_add(amount);
            self.storage.set_usage(granter, provider, Some(Usage { period, granted }));
        }
    }

    pub(super) fn used(&self, granter: Address, provider: Option<Address>, now: Time) -> U256 {
        let usage = self.storage.usage(granter, provider);
        if usage.period == self.period(now) { usage.granted } else { U256::ZERO }
    }

    fn period(&self, now: Time) -> u64 {
        now.0.checked_div(self.settings.limit_period.into()).unwrap_or_default()
    }

    pub(super) fn sweep(&mut self, granter: Address, providers: &[Address], at: &Situation<'_>) -> Checked {
        if providers.len() > MAX_SWEEP {
            return Err(model::Rejection::TooMany(providers.len() as u64).into());
        }
        let period = self.period(at.now);
        for provider in providers {
            if self.storage.usage(granter, Some(*provider)).period < period {
                self.storage.set_usage(granter, Some(*provider), None);
            }
        }
        Ok(())
    }
}

/// The sender needs no signature.
fn check_ballots(sender: Address, what: &Signed<'_>, ballots: &[Ballot], at: &Situation<'_>) -> Checked {
    for Ballot { notary, signature } in ballots {
        if *notary != sender || !signature.is_empty() {
            check_signature(*notary, what, signature, at)?;
        }
    }
    Ok(())
}
