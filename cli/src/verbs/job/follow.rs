//! Waiting for a job's end.

use std::time::{Duration, Instant};

use lota_market::model::Status;
use lota_node::api::types::JobDetail;

use crate::{
    api::Api,
    terminal::{Progress, plural, printable, short_id},
};

/// How long one call waits.
const POLL: Duration = Duration::from_secs(25);
/// How long one call waits while the job is open: what providers decide is no change of the job.
const POLL_OPEN: Duration = Duration::from_secs(3);
/// How many different refusals are told.
const MAX_REFUSALS: usize = 3;

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
    let mut poll = POLL_OPEN;
    loop {
        let left = deadline.map_or(poll, |deadline| deadline.saturating_duration_since(Instant::now()).min(poll));
        let asked = Instant::now();
        let job = match &phase {
            Some(phase) if !left.is_zero() => api.wait(id, phase, left).await?,
            _ => api.job(id).await?,
        };
        let summary = &job.summary;
        let mut doing = format!("job {}: {}", short_id(summary.id), printable(&summary.phase));
        if summary.status == Status::Open
            && let Some(refusals) = refusals(&job)
        {
            doing.push_str(&format!(" ({refusals})"));
        }
        progress.say(doing);
        poll = if summary.status == Status::Open { POLL_OPEN } else { POLL };
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

/// Why providers refused the job, in a few words; none: nobody did.
pub(crate) fn refusals(job: &JobDetail) -> Option<String> {
    let refused: Vec<_> = job.decisions.iter().filter(|decision| decision.decision == "refused").collect();
    let mut reasons: Vec<&str> = refused.iter().map(|decision| decision.reason.as_str()).collect();
    reasons.sort_unstable();
    reasons.dedup();
    let more = reasons.len().saturating_sub(MAX_REFUSALS);
    reasons.truncate(MAX_REFUSALS);
    let mut text = printable(&reasons.join("; "));
    if more > 0 {
        text.push_str(&format!("; and for {}", plural(more as u64, "other reason")));
    }
    (!refused.is_empty()).then(|| format!("{} refused: {text}", plural(refused.len() as u64, "provider")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_refusal_is_told_once() {
        let mut job: JobDetail = serde_json::from_str(include_str!("../../../tests/fixtures/job.json")).expect("a job");
        let one = job.decisions[1].clone();
        job.decisions = vec![one.clone(), one.clone()];
        let text = refusals(&job).expect("refused");
        assert!(
            text.starts_with("2 providers refused: the job may use") && text.matches("the job may").count() == 1,
            "{text}"
        );
        job.decisions =
            (0..5).map(|n| lota_node::api::types::Decision { reason: format!("reason {n}"), ..one.clone() }).collect();
        assert!(refusals(&job).expect("refused").ends_with("reason 2; and for 2 other reasons"));
        job.decisions.clear();
        assert_eq!(refusals(&job), None);
    }
}
