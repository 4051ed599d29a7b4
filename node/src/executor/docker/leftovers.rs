//! Containers that could not be removed since the engine was away: they are when it is back.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Mutex, PoisonError};

use super::DockerExecutor;
use crate::executor::RunId;

/// What is to be removed.
#[derive(Debug, Default)]
pub(super) struct Leftovers(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    containers: BTreeSet<String>,
    /// Jobs that were aborted, and whose containers are not known.
    jobs: HashSet<RunId>,
}

impl Leftovers {
    fn change(&self, change: impl FnOnce(&mut Noted)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn note(&self, container: &str) {
        self.change(|noted| {
            noted.containers.insert(container.to_owned());
        });
    }

    pub(super) fn note_job(&self, job: RunId) {
        self.change(|noted| {
            noted.jobs.insert(job);
        });
    }

    fn take(&self) -> Noted {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl DockerExecutor {
    /// Removes what could not be removed before.
    pub(super) async fn remove_leftovers(&self) {
        let Noted { containers, jobs } = self.leftovers.take();
        for container in containers {
            if self.engine.remove(&container).await.is_err() {
                self.leftovers.note(&container);
            }
        }
        // Who runs a job again removes what there was of it before.
        let running = self.runs.jobs();
        for job in jobs.into_iter().filter(|job| !running.contains(job)) {
            if self.remove_job(job).await.is_err() {
                self.leftovers.note_job(job);
            }
        }
    }
}
