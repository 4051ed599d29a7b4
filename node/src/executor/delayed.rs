//! A slow executor, for demonstrations and tests.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::runs::Runs;
use super::{Attached, CheckError, Executor, ExecutorError, Run, RunId, RunOutcome};

/// Another executor that does nothing for a while before it begins a run.
#[derive(Debug)]
pub struct Delayed<E: ?Sized> {
    delay: Duration,
    /// Those that wait.
    waiting: Runs,
    executor: Arc<E>,
}

impl<E: Executor + ?Sized> Delayed<E> {
    /// `executor`, whose runs begin so much later.
    #[must_use]
    pub fn new(executor: Arc<E>, delay: Duration) -> Self {
        Self { delay, waiting: Runs::default(), executor }
    }
}

#[async_trait]
impl<E: Executor + ?Sized> Executor for Delayed<E> {
    async fn check(&self, run: &Run) -> Result<(), CheckError> {
        self.executor.check(run).await
    }

    async fn run(&self, run: Run) -> Result<RunOutcome, ExecutorError> {
        // Ends after the run itself: whoever attached waits for both.
        let wait = self.waiting.begin_run(run.job).await?;
        let result = tokio::select! {
            () = tokio::time::sleep(self.delay) => self.executor.run(run).await,
            () = wait.stop().cancelled() => Err(ExecutorError::Aborted),
        };
        wait.finish(&result);
        result
    }

    async fn attach(&self, run: &Run) -> Result<Attached, ExecutorError> {
        match self.waiting.attach(run.job) {
            Attached::Unknown => self.executor.attach(run).await,
            waiting => Ok(waiting),
        }
    }

    async fn abort(&self, job: RunId) {
        self.executor.abort(job).await;
        self.waiting.abort(job).await;
    }

    async fn reap(&self, live: &HashSet<RunId>) -> Result<(), ExecutorError> {
        for job in self.waiting.jobs().into_iter().filter(|job| !live.contains(job)) {
            self.abort(job).await;
        }
        self.executor.reap(live).await
    }
}
