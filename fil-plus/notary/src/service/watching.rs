//! Proofs of storage, which come long after a job is settled, and go on: they are looked at again while it is voted on or blessed, and
//! when somebody looks at a job.

use std::{collections::BTreeSet, convert::Infallible};

use futures::StreamExt as _;
use lota_market::{Time, model::JobId};

use super::{Service, ServiceError, WATCH, gathering::Dated};
use crate::{desk::Change, history::Kept};

/// Seconds after which they are looked at again.
pub(super) const AGE: u64 = 600;
/// So many jobs' are looked at at once.
const AT_ONCE: usize = 2;
/// Jobs that are looked at by somebody, at most, until their proofs are.
const MAX_VIEWED: usize = 256;

impl Service {
    pub(super) async fn keep_watching(&self) -> Result<Infallible, ServiceError> {
        loop {
            let turn = self.watch_due().await;
            self.after_turn("proofs of storage", WATCH, turn).await;
        }
    }

    /// Looks at the proofs of what is voted on, and of what somebody looks at, unless that was done lately.
    pub(super) async fn watch_due(&self) -> Result<(), ServiceError> {
        let mut jobs: BTreeSet<JobId> = self.store.running().await?.into_iter().map(|running| running.job).collect();
        jobs.extend(std::mem::take(&mut self.standing().viewed));
        let turns = jobs.into_iter().filter(|job| self.may_try(&name(*job))).map(|job| self.watch(job));
        let outcomes: Vec<Result<(), ServiceError>> =
            futures::stream::iter(turns).buffer_unordered(AT_ONCE).collect().await;
        outcomes.into_iter().collect::<Result<(), ServiceError>>()?;
        self.ask_about_opened().await
    }

    async fn watch(&self, job: JobId) -> Result<(), ServiceError> {
        let mut next = self.clock().after(AGE);
        if let Some(kept) = self.history.settled_job(job).await? {
            let looked_at = self.gathered(job).await?.availability.map(|dated| dated.at.after(AGE));
            match looked_at.filter(|due| *due > self.clock()) {
                Some(due) => next = due,
                None => {
                    self.look_at_proofs(&kept).await?;
                    next = self.clock().after(AGE);
                    self.changed(Change::Job(job));
                }
            }
        }
        self.try_at(&name(job), next);
        Ok(())
    }

    /// Asks what proofs say of a job's output, once its piece is known.
    pub(super) async fn look_at_proofs(&self, kept: &Kept) -> Result<(), ServiceError> {
        let Some(piece) = self.gathered(kept.job.job).await?.piece else { return Ok(()) };
        let found = self.parts.sources.availability(&piece.found).await;
        let dated = Dated { at: self.clock(), found };
        self.keep(kept, |gathered| gathered.availability = Some(dated)).await
    }

    /// Somebody looks at a job whose proofs were looked at then.
    pub(super) fn viewed(&self, job: JobId, looked_at: Option<Time>) {
        if looked_at.is_some_and(|at| at.after(AGE) <= self.clock()) {
            let mut standing = self.standing();
            if standing.viewed.len() < MAX_VIEWED {
                standing.viewed.insert(job);
            }
            drop(standing);
            self.wake(WATCH);
        }
    }
}

fn name(job: JobId) -> String {
    format!("the proofs of {job}")
}
