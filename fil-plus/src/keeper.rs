//! Drives the sources: each on a task of its own, so that one that hangs keeps no other from going on.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    metrics::Metrics,
    registry::{Registry, StepError, Taken},
};

/// How long a source rests after an error: at first, and at most.
const RESTS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// Now, in Unix seconds.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// What a person is told about a source.
pub type Told = dyn Fn(&str, &str) + Send + Sync;

/// Reads all sources until it is stopped. What a person may want to know is told: a source's name, and how far it is.
pub async fn keep(registry: Arc<Registry>, metrics: Metrics, stop: CancellationToken, told: Arc<Told>) {
    let mut tasks = JoinSet::new();
    for index in 0..registry.sources().len() {
        let (registry, metrics, stop) = (Arc::clone(&registry), metrics.clone(), stop.clone());
        let told = Arc::clone(&told);
        tasks.spawn(async move {
            tokio::select! {
                () = keep_one(&registry, index, &metrics, told.as_ref()) => {}
                () = stop.cancelled() => {}
            }
        });
    }
    // A commit that is under way when it is stopped is rolled back; the source gives it again.
    while tasks.join_next().await.is_some() {}
}

async fn keep_one(registry: &Registry, index: usize, metrics: &Metrics, told: &Told) {
    let Some(attached) = registry.sources().get(index) else { return };
    let name = attached.registered.name.as_str();
    let mut rest = RESTS.0;
    loop {
        match registry.step(attached, now()).await {
            Ok(None) => return,
            Ok(Some(Taken { facts, rest: pause, progress })) => {
                metrics.step(name, facts);
                if !progress.is_empty() {
                    tracing::debug!(source = name, progress, "read");
                    told(name, &progress);
                }
                rest = RESTS.0;
                if let Some(pause) = pause {
                    tokio::time::sleep(pause).await;
                }
            }
            Err(error) => {
                metrics.step_failed(name);
                match &error {
                    StepError::Source(error) => tracing::warn!(source = name, %error, "cannot be read"),
                    StepError::Store(error) => tracing::error!(source = name, %error, "cannot be kept"),
                }
                told(name, &error.to_string());
                tokio::time::sleep(rest).await;
                rest = (rest * 2).min(RESTS.1);
            }
        }
    }
}

/// Reads all sources once, as far as they are now, one after the other. Gives what went wrong with whom.
pub async fn read_once(registry: &Registry, told: &Told) -> Vec<(String, StepError)> {
    let mut failed = Vec::new();
    for attached in registry.sources() {
        let name = attached.registered.name.as_str();
        loop {
            match registry.step(attached, now()).await {
                Ok(Some(Taken { rest: None, progress, .. })) => told(name, &progress),
                Ok(_) => break,
                Err(error) => {
                    failed.push((name.to_owned(), error));
                    break;
                }
            }
        }
    }
    failed
}
