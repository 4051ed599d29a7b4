//! The executors of a node, by engine.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::{Executor, ExecutorError, RunId};

/// The executors that a node has: whoever starts the node chooses them.
#[derive(Clone, Default)]
pub struct Executors(BTreeMap<&'static str, Arc<dyn Executor>>);

impl std::fmt::Debug for Executors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.engines()).finish()
    }
}

impl Executors {
    /// No executor at all: a node that runs no jobs.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// These and the executor of an engine, such as [`WasmRun::ENGINE`](super::WasmRun::ENGINE); it takes the place of one that
    /// was there for the engine.
    #[must_use]
    pub fn with(mut self, engine: &'static str, executor: Arc<dyn Executor>) -> Self {
        self.0.insert(engine, executor);
        self
    }

    /// The executor of an engine.
    #[must_use]
    pub fn get(&self, engine: &str) -> Option<&Arc<dyn Executor>> {
        self.0.get(engine)
    }

    /// The engines' names.
    pub fn engines(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    /// Aborts the run of a job, whichever engine has it.
    pub async fn abort(&self, job: RunId) {
        for executor in self.0.values() {
            executor.abort(job).await;
        }
    }

    /// Clears what belongs to no live job, in every executor.
    ///
    /// # Errors
    /// The first failure, after all executors were asked.
    pub async fn reap(&self, live: &HashSet<RunId>) -> Result<(), ExecutorError> {
        let mut result = Ok(());
        for executor in self.0.values() {
            result = result.and(executor.reap(live).await);
        }
        result
    }
}
