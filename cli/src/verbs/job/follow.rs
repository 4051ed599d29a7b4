//! Waiting for a job's end.

use std::time::{Duration, Instant};

use lota_api::{JobDetail, JobSummary, Phase};
use lota_market::{Address, model::Status};

use super::decisions::refusals_in_short;
use crate::{
    api::{Api, ApiFailure},
    terminal::{Progress, short_id},
};

/// How long one call waits.
const POLL: Duration = Duration::from_secs(25);
/// How long one call waits while the job is open: what providers decide is no change of the job.
const POLL_OPEN: Duration = Duration::from_secs(3);

/// A job, and whether it has ended.
pub(crate) enum Followed {
    /// It has ended; the output of a settled job of one's own is verified (or [`JobDetail::problem`] says why not).
    Ended(Box<JobDetail>),
    /// The time is over.
    TimeOver(Box<JobDetail>),
}

/// Waits until a job has ended, telling a person meanwhile what it is doing; `seen` is told, too.
///
/// # Errors
/// When the daemon cannot be asked. If it is gone after it answered once, the error says that the job goes on.
pub(crate) async fn follow(
    api: &Api,
    id: &str,
    progress: &Progress,
    limit: Option<Duration>,
    seen: impl FnMut(&JobDetail),
) -> anyhow::Result<Followed> {
    let party = api.node().await?.party;
    until_ended(api, id, party, progress, limit, seen).await.map_err(|error| lost(error, id))
}

async fn until_ended(
    api: &Api,
    id: &str,
    party: Address,
    progress: &Progress,
    limit: Option<Duration>,
    mut seen: impl FnMut(&JobDetail),
) -> anyhow::Result<Followed> {
    let deadline = limit.map(|limit| Instant::now() + limit);
    let mut phase: Option<Phase> = None;
    let mut poll = POLL_OPEN;
    loop {
        let left = deadline.map_or(poll, |deadline| deadline.saturating_duration_since(Instant::now()).min(poll));
        let asked = Instant::now();
        let job = match phase {
            Some(phase) if !left.is_zero() => api.wait(id, phase, left).await?,
            _ => api.job(id).await?,
        };
        seen(&job);
        let summary = &job.summary;
        let mut doing = format!("job {}: {}", short_id(summary.id), summary.phase);
        if summary.status == Status::Open
            && let Some(refusals) = refusals_in_short(&job)
        {
            doing.push_str(&format!(" ({refusals})"));
        }
        progress.say(doing);
        poll = if summary.status == Status::Open { POLL_OPEN } else { POLL };
        let unverified = summary.status == Status::Settled && summary.client == party && !summary.output_verified;
        // An early answer without a change means that the daemon expects nothing more either.
        let over = phase == Some(summary.phase) && asked.elapsed() < left / 2;
        if summary.status.is_final() && (!unverified || job.problem.is_some() || over) {
            return Ok(Followed::Ended(Box::new(job)));
        }
        if phase.is_some() && left.is_zero() {
            return Ok(Followed::TimeOver(Box::new(job)));
        }
        phase = Some(summary.phase);
    }
}

/// What a person who waits for a job and interrupts it should know.
pub(crate) fn if_interrupted(job: &JobSummary) -> String {
    let id = job.id;
    match job.status {
        Status::None | Status::Open => {
            format!(
                "The job goes on; wait for it with `lota job wait {id}`, or withdraw it with `lota job cancel {id}`."
            )
        }
        Status::Locked | Status::Submitted | Status::Disputed => format!(
            "The job goes on: a provider has it, so it cannot be withdrawn any more; wait for it with `lota job wait {id}`, then get its output with `lota job get {id}`."
        ),
        Status::Settled => format!("The job is done; get its output with `lota job get {id}`."),
        Status::Cancelled | Status::Slashed | Status::Void => {
            format!("The job ended without a result; `lota job describe {id}` tells more.")
        }
    }
}

/// A daemon that is gone while a job goes on is told as such; other errors stay as they are.
pub(super) fn lost(error: anyhow::Error, id: &str) -> anyhow::Error {
    match error.downcast_ref::<ApiFailure>() {
        Some(failure) if failure.is_gone() => anyhow::anyhow!(
            "the daemon does not answer any more, but job {id} goes on; start the daemon again, then wait for the job with `lota job wait {id}`"
        ),
        _ => error,
    }
}
