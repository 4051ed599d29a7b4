//! Having granted what was blessed, and ending what is over.

use std::{collections::BTreeSet, convert::Infallible};

use super::{GRANT, RETRY_AFTER, Service, ServiceError, refusals};
use crate::{alerts::AlertKind, course::Course, desk::Change};
use futures::StreamExt as _;
use lota_bridge::blessing::BlessingSubmitError;
use lota_market::{
    AttoFil,
    agent::EffectKey,
    blessing::{Command, Event, Nomination, Phase, Rejection},
    model::{self, JobId},
};
use serde_json::json;

/// So many commands are under way at once.
const AT_ONCE: usize = 8;
/// What a granter that failed is given until it is tried again, in seconds: twice as long each time, at most [`LONGEST`].
const FIRST: u64 = 30;
const LONGEST: u64 = 60 * 60;

impl Service {
    /// Has granted and expires, for ever.
    pub(super) async fn keep_granting(&self) -> Result<Infallible, ServiceError> {
        loop {
            let turn = self.grant_due().await;
            self.after_turn("granting", GRANT, turn).await;
        }
    }

    /// Has granted what is due, and ends what is over.
    pub(super) async fn grant_due(&self) -> Result<(), ServiceError> {
        let running = self.store.running().await?;
        self.forget_all_but(&running.iter().map(|running| running.job).collect());
        let turns = futures::stream::iter(running.into_iter().map(|running| self.further(running.job)));
        let outcomes: Vec<Result<(), ServiceError>> = turns.buffer_unordered(AT_ONCE).collect().await;
        outcomes.into_iter().collect()
    }

    /// What is over, whoever ended it, is no problem any more.
    fn forget_all_but(&self, running: &BTreeSet<JobId>) {
        let mut standing = self.standing();
        standing.reminded.retain(|(job, _)| running.contains(job));
        standing.granters_said.retain(|job, _| running.contains(job));
        let before = standing.problems.len();
        standing.problems.retain(|matter, _| matter.job.is_none_or(|job| running.contains(&job)));
        let news = standing.problems.len() < before;
        drop(standing);
        if news {
            self.changed(Change::About);
        }
    }

    async fn further(&self, job: JobId) -> Result<(), ServiceError> {
        // What is not final yet may not be acted upon; what it has ended, though, needs nothing more.
        let (course, newest) = (self.store.final_course(job).await?, self.store.course(job).await?);
        let Some(nomination) = course.running() else { return Ok(()) };
        if newest.running() != Some(nomination) {
            return Ok(());
        }
        let now = self.now();
        match (course.phase(), course.blessed) {
            (Phase::Blessed, Some(blessed)) if now > blessed.grant_until => self.expire(nomination, false).await,
            (Phase::Blessed, Some(blessed)) if now > blessed.revoke_until => self.grant(nomination, &newest).await,
            (Phase::Nominated, _) if now > nomination.expires && newest.phase() == Phase::Nominated => {
                self.expire(nomination, self.parts.settings.nominate.is_some()).await
            }
            (Phase::Nominated, _) if newest.phase() == Phase::Nominated => self.remind(nomination, &newest).await,
            _ => Ok(()),
        }
    }

    /// Tells, once half of the time to vote is over, that votes are missing.
    async fn remind(&self, nomination: &Nomination, newest: &Course) -> Result<(), ServiceError> {
        let (job, round) = (nomination.job, nomination.round);
        let left = u64::from(self.parts.blessing.settings().vote_for) / 2;
        let half = nomination.expires.0.saturating_sub(left);
        if self.now().0 < half || self.standing().reminded.contains(&(job, round)) {
            return Ok(());
        }
        let (approvals, against) = (newest.tally.approvals, newest.tally.rejections);
        let text = format!(
            "Votes on job {job} are missing: {approvals} for, {against} against so far; it is voted on until {}.",
            lota_api::rfc3339(nomination.expires)
        );
        let details =
            json!({ "round": round, "approvals": approvals, "against": against, "until": nomination.expires });
        let id = format!("{job}/{round}/half");
        let alert = self.alert(id, self.clock(), AlertKind::NeedsVote, Some(job), text, details);
        self.store.put_alert(&alert, &self.destinations).await?;
        // After a restart it may be told again, with the same id.
        self.standing().reminded.insert((job, round));
        self.wake(super::TELL);
        Ok(())
    }

    async fn grant(&self, nomination: &Nomination, newest: &Course) -> Result<(), ServiceError> {
        let (job, round) = (nomination.job, nomination.round);
        let name = format!("the grant of {job}");
        if !self.may_try(&name) {
            return Ok(());
        }
        // One that failed is another transaction; if that is undone, it is the same one again.
        let key = EffectKey::named(&format!("{job}/grant/{round}/{}", newest.failures));
        let command = Command::Grant { nomination: Box::new(nomination.clone()) };
        match self.parts.blessing.submit(&key, &command, AttoFil::ZERO).await {
            Ok(landed) => {
                let failed = landed.events.iter().find_map(|event| match event {
                    Event::GrantFailed { why, .. } => Some(*why),
                    _ => None,
                });
                let Some(why) = failed else {
                    self.problem_of(Some(job), &name, None);
                    return Ok(());
                };
                let wait = FIRST.saturating_mul(1 << newest.failures.min(16)).min(LONGEST);
                self.try_at(&name, self.clock().after(wait));
                let said = self.ask_granter(nomination, why).await;
                self.problem_of(Some(job), &name, Some(format!("the granter failed: {said}; it is tried again")));
                Ok(())
            }
            Err(BlessingSubmitError::Rejected(rejection)) => {
                if is_early(&rejection) {
                    self.try_at(&name, self.clock());
                    return Ok(());
                }
                let words = refusals::words(&rejection, self.parts.blessing.asset());
                // A limit may leave room in the next period.
                self.try_at(&name, self.clock().after(4 * RETRY_AFTER));
                self.problem_of(Some(job), &name, Some(words));
                Ok(())
            }
            Err(error) => {
                self.problem_of(Some(job), &name, Some(error.to_string()));
                Ok(())
            }
        }
    }

    /// Ends a nomination of this service's that is over: its deposit comes back. Others end their own, unless theirs keeps the policy from
    /// nominating the job.
    async fn expire(&self, nomination: &Nomination, is_in_the_way: bool) -> Result<(), ServiceError> {
        let (job, round) = (nomination.job, nomination.round);
        self.problem_of(Some(job), &format!("the grant of {job}"), None);
        let name = format!("the end of {job}");
        let is_ours = nomination.nominator == self.parts.blessing.party();
        if !(is_ours || is_in_the_way) || !self.may_try(&name) {
            return Ok(());
        }
        let key = EffectKey::named(&format!("{job}/expire/{round}"));
        let command = Command::Expire { nomination: Box::new(nomination.clone()) };
        match self.parts.blessing.submit(&key, &command, AttoFil::ZERO).await {
            Ok(_) => {
                self.problem_of(Some(job), &name, None);
                Ok(())
            }
            Err(BlessingSubmitError::Rejected(rejection)) if is_early(&rejection) => {
                self.try_at(&name, self.clock());
                Ok(())
            }
            Err(error) => {
                self.problem_of(Some(job), &name, Some(error.to_string()));
                Ok(())
            }
        }
    }
}

/// Whether it is refused only because the newest block is a little behind.
const fn is_early(rejection: &Rejection) -> bool {
    matches!(rejection, Rejection::Market(model::Rejection::TooEarly { .. }))
}
