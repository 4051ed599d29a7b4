//! Which jobs an executor that works inside this process is busy with: what lets them be aborted and found again by their ids.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Attached, ExecutorError, RunId, RunOutcome};

/// The jobs that are being checked or run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runs(Arc<Mutex<HashMap<RunId, Entry>>>);

#[derive(Debug, Default)]
struct Entry {
    /// Cancelled to abort everything that is done for the job.
    abort: CancellationToken,
    /// Cancelled when nothing is done for it any more.
    idle: CancellationToken,
    activities: usize,
    run: Option<Current>,
}

/// The one run that a job has at a time.
#[derive(Clone, Debug)]
struct Current {
    stop: CancellationToken,
    end: watch::Receiver<Option<End>>,
}

/// What a run came to, for those who attached to it.
#[derive(Clone, Debug)]
enum End {
    Finished(RunOutcome),
    Aborted,
    Failed(String),
}

/// Something that is done for a job, until it is dropped.
#[derive(Debug)]
pub(crate) struct Activity {
    runs: Runs,
    job: RunId,
    stop: CancellationToken,
    /// Of a run.
    end: Option<watch::Sender<Option<End>>>,
}

impl Runs {
    /// A check of a job begins.
    pub(crate) fn begin_check(&self, job: RunId) -> Activity {
        self.begin(job, false, &mut self.lock())
    }

    /// A run of a job begins; one that nobody wants any more and that has not quite ended is waited for.
    ///
    /// # Errors
    /// [`ExecutorError::AlreadyRunning`].
    pub(crate) async fn begin_run(&self, job: RunId) -> Result<Activity, ExecutorError> {
        loop {
            let mut before = {
                let mut table = self.lock();
                match table.get(&job).and_then(|entry| entry.run.clone()) {
                    None => return Ok(self.begin(job, true, &mut table)),
                    Some(current) => current,
                }
            };
            if !before.stop.is_cancelled() {
                return Err(ExecutorError::AlreadyRunning { job });
            }
            // An error: it ended without saying how, which is all the same here.
            let _ = before.end.wait_for(Option::is_some).await;
            tokio::task::yield_now().await;
        }
    }

    fn begin(&self, job: RunId, is_run: bool, table: &mut HashMap<RunId, Entry>) -> Activity {
        let entry = table.entry(job).or_default();
        entry.activities += 1;
        let stop = entry.abort.child_token();
        let end = is_run.then(|| {
            let (sender, end) = watch::channel(None);
            entry.run = Some(Current { stop: stop.clone(), end });
            sender
        });
        Activity { runs: self.clone(), job, stop, end }
    }

    /// What there is of a job's run.
    pub(crate) fn attach(&self, job: RunId) -> Attached {
        let Some(mut current) = self.lock().get(&job).and_then(|entry| entry.run.clone()) else {
            return Attached::Unknown;
        };
        Attached::Running(Box::pin(async move {
            let end = match current.end.wait_for(Option::is_some).await {
                Ok(end) => end.clone(),
                Err(_) => None,
            };
            match end {
                Some(End::Finished(outcome)) => Ok(outcome),
                Some(End::Failed(message)) => Err(ExecutorError::Engine { message }),
                Some(End::Aborted) | None => Err(ExecutorError::Aborted),
            }
        }))
    }

    /// Ends whatever is done for a job; returns when it has ended.
    pub(crate) async fn abort(&self, job: RunId) {
        let idle = match self.lock().get(&job) {
            Some(entry) => {
                entry.abort.cancel();
                entry.idle.clone()
            }
            None => return,
        };
        idle.cancelled().await;
    }

    /// The jobs that something is done for.
    pub(crate) fn jobs(&self) -> Vec<RunId> {
        self.lock().keys().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Activity {
    /// Cancelled when it is to end.
    pub(crate) const fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Ends it, and tells those who attached to the run what it came to.
    pub(crate) fn finish(self, result: &Result<RunOutcome, ExecutorError>) {
        let end = match result {
            Ok(outcome) => End::Finished(outcome.clone()),
            Err(ExecutorError::Aborted) => End::Aborted,
            Err(error) => End::Failed(error.to_string()),
        };
        if let Some(sender) = &self.end {
            sender.send_replace(Some(end));
        }
    }
}

impl Drop for Activity {
    fn drop(&mut self) {
        let mut table = self.runs.lock();
        let Some(entry) = table.get_mut(&self.job) else { return };
        if self.end.is_some() {
            entry.run = None;
        }
        entry.activities -= 1;
        if entry.activities == 0
            && let Some(entry) = table.remove(&self.job)
        {
            entry.idle.cancel();
        }
    }
}
