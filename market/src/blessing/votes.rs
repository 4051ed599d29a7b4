//! Votes, and what they decide.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256};

use super::{
    Blessing, Choice, End, Event, Nomination, Rejection, Stage,
    state::{Checked, Situation, check_until},
};

impl Blessing {
    pub(super) fn check_vote(
        &self,
        nomination: &Nomination,
        choice: Choice,
        notary: Address,
        at: &Situation<'_>,
    ) -> Checked {
        let job = nomination.job;
        let record = self.find(nomination)?;
        let (until, voters) = match (&record.stage, choice) {
            (Stage::Nominated { approvals, rejections, version, .. }, Choice::Approve | Choice::Reject) => {
                (nomination.expires, (*version, [Some(approvals), Some(rejections)]))
            }
            (Stage::Blessed { at, revocations, version, .. }, Choice::Revoke) => {
                (self.revoke_until(*at), (*version, [Some(revocations), None]))
            }
            _ => return Err(Rejection::WrongPhase { job, found: record.phase() }),
        };
        self.notaries().check(notary)?;
        if nomination.is_party(notary) {
            return Err(Rejection::ConflictOfInterest { job, notary });
        }
        let (version, voters) = voters;
        // Votes of an older set no longer count.
        if version == self.notaries().version && voters.into_iter().flatten().any(|voters| voters.contains(&notary)) {
            return Err(Rejection::AlreadyVoted { job, notary });
        }
        check_until(until, at)
    }

    /// Counts a vote that was checked.
    pub(super) fn cast(
        &mut self,
        nomination: &Nomination,
        choice: Choice,
        reasons: B256,
        notary: Address,
        at: &Situation<'_>,
        emit: &mut dyn FnMut(Event),
    ) {
        let Nomination { job, round, .. } = *nomination;
        let Some(mut record) = self.record(job).cloned() else { return };
        let now = self.notaries().version;
        let renew = |version: &mut u32, voters: [&mut BTreeSet<Address>; 2]| {
            if core::mem::replace(version, now) != now {
                voters.into_iter().for_each(BTreeSet::clear);
            }
        };
        emit(Event::VoteCast { job, round, notary, choice, reasons });
        let mut ended = None;
        let mut blessed = false;
        match &mut record.stage {
            Stage::Nominated { version, approvals, rejections, .. } => {
                renew(version, [approvals, rejections]);
                if choice == Choice::Approve {
                    approvals.insert(notary);
                    blessed = self.notaries().is_quorum(approvals.len());
                } else {
                    rejections.insert(notary);
                    ended = self.notaries().is_blocked(rejections.len()).then_some(End::Refused);
                }
            }
            Stage::Blessed { version, revocations, .. } => {
                renew(version, [revocations, &mut BTreeSet::new()]);
                revocations.insert(notary);
                ended = self.notaries().is_quorum(revocations.len()).then_some(End::Revoked);
            }
            Stage::Idle | Stage::Granted => {}
        }
        if let Some(end) = ended {
            return self.end(nomination, end, emit);
        }
        if blessed {
            let nomination = Box::new(nomination.clone());
            record.stage =
                Stage::Blessed { nomination, at: at.now, reasons, version: now, revocations: BTreeSet::new() };
            let (revoke_until, grant_until) = (self.revoke_until(at.now), self.grant_until(at.now));
            emit(Event::JobBlessed { job, round, revoke_until, grant_until });
        }
        self.storage.set_job(job, record);
    }
}
