//! Records of jobs that a round's events are about and the agent does not hold.

use std::collections::{BTreeSet, HashMap, hash_map::Entry};

use lota_market::{
    agent::{At, Change, Job, JobView},
    model::{Event, JobId, Status},
};

use crate::store::{Batch, StoreError};

/// The records that were looked up in a round; each is looked up once.
#[derive(Default)]
pub(super) struct Records {
    /// `None` of those that are not stored.
    stored: HashMap<JobId, Option<Job>>,
    /// Those of them that changed: jobs of others, which are kept to be listed.
    strangers: BTreeSet<JobId>,
}

impl Records {
    /// Begins a round with these jobs, which are looked up all at once.
    pub(super) async fn look_up(&mut self, jobs: BTreeSet<JobId>, batch: &mut Batch<'_>) -> Result<(), StoreError> {
        self.stored.clear();
        let ids: Vec<_> = jobs.into_iter().collect();
        let records = batch.jobs(&ids).await?;
        self.stored.extend(ids.into_iter().map(|id| (id, None)));
        self.stored.extend(records.into_iter().map(|record| (record.id(), Some(record))));
        Ok(())
    }

    /// The record of a job, if one is stored.
    pub(super) async fn get(&mut self, job: JobId, batch: &mut Batch<'_>) -> Result<Option<&Job>, StoreError> {
        let record = match self.stored.entry(job) {
            Entry::Occupied(place) => place.into_mut(),
            Entry::Vacant(place) => place.insert(batch.job(job).await?),
        };
        Ok(record.as_ref())
    }

    /// The record of a job that the agent is to hold from now on.
    pub(super) async fn take(&mut self, job: JobId, batch: &mut Batch<'_>) -> Result<Option<Job>, StoreError> {
        self.get(job, batch).await?;
        self.strangers.remove(&job);
        Ok(self.stored.remove(&job).flatten())
    }

    /// Notes what happened to a job that concerns nobody here.
    pub(super) fn note(&mut self, job: JobId, event: &Event, at: At) {
        let record = self.stored.entry(job).or_default();
        match (record, event) {
            (Some(record), event) => record.view.apply(event, at),
            (record @ None, Event::JobOpened { terms, spec, .. }) => {
                *record = Some(Job::new(JobView::new(job, terms.clone(), spec.clone(), Status::Open, at)));
            }
            (None, _) => return,
        }
        self.strangers.insert(job);
    }

    /// Ends the round: the records of strangers' jobs that changed in it.
    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        let mut stored = std::mem::take(&mut self.stored);
        let strangers = std::mem::take(&mut self.strangers);
        let changed = strangers.into_iter().filter_map(|job| stored.remove(&job).flatten());
        changed.map(|job| Change { job, live: false }).collect()
    }
}
