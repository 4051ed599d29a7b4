//! Waiting for a job's end.

use std::time::{Duration, Instant};

use lota_market::model::Status;
use lota_node::api::types::JobDetail;

use crate::{
    api::Api,
    terminal::{Progress, printable, short_id},
};

/// How long one call waits.
const POLL: Duration = Duration::from_secs(25);

/// A job, and whether it has ended.
pub(crate) enum Followed {
    /// It has ended; the output of a settled job of one's own is verified (or [`JobDetail::problem`] says why not).
    Ended(Box<JobDetail>),
    /// The time is over.
    TimeOver(Box<JobDetail>),
}

/// Waits until a job has ended, telling a person meanwhile what it is doing.
///
/// # Errors
/// When the daemon cannot be asked.
pub(crate) async fn follow(
    api: &Api,
    id: &str,
    progress: &Progress,
    limit: Option<Duration>,
) -> anyhow::Result<Followed> {
    let party = api.node().await?.party;
    let deadline = limit.map(|limit| Instant::now() + limit);
    let mut phase: Option<String> = None;
    loop {
        let left = deadline.map_or(POLL, |deadline| deadline.saturating_duration_since(Instant::now()).min(POLL));
        let asked = Instant::now();
        let job = match &phase {
            Some(phase) if !left.is_zero() => api.wait(id, phase, left).await?,
            _ => api.job(id).await?,
        };
        let summary = &job.summary;
        progress.say(format!("job {}: {}", short_id(summary.id), printable(&summary.phase)));
        let unverified = summary.status == Status::Settled && summary.client == party && !summary.output_verified;
        // An early answer without a change means that the daemon expects nothing more either.
        let over = phase.as_ref() == Some(&summary.phase) && asked.elapsed() < left / 2;
        if summary.status.is_final() && (!unverified || job.problem.is_some() || over) {
            return Ok(Followed::Ended(Box::new(job)));
        }
        if phase.is_some() && left.is_zero() {
            return Ok(Followed::TimeOver(Box::new(job)));
        }
        phase = Some(summary.phase.clone());
    }
}
