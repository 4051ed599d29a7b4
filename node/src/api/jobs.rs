//! Routes about jobs.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, Query, State},
    response::{IntoResponse as _, Response},
};
use lota_api::{JobDetail, JobPage, JobQuery, JobSummary, Phase, PublicationInfo, StateFilter, rfc3339};
use lota_market::{
    Address, B256, Time,
    agent::{Step, StepState},
    model::{JobId, Status},
};
use serde::Deserialize;
use tokio::sync::{broadcast::error::RecvError, oneshot};

use super::{
    Api,
    describe::{detail, detail_with, phase, published, summary},
    hearing::refused_by_all,
};
use crate::{
    config::defaults,
    http_error::HttpError,
    inbox::Message,
    store::{ListFilter, ListedJob},
};

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 1_000;
/// The longest a `wait` waits, in seconds; ask again for more.
const MAX_WAIT: u64 = 600;
/// The shortest prefix of an id, in hex digits.
const MIN_PREFIX: usize = 4;
/// How many candidates an ambiguous prefix lists.
const MAX_CANDIDATES: u32 = 5;

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<JobPage>, HttpError> {
    let query = JobQuery::from_pairs(&pairs).map_err(|error| HttpError::invalid(error.to_string()))?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if limit == 0 || limit > MAX_LIMIT {
        return Err(HttpError::invalid(format!("the limit is {limit}; it must be from 1 to {MAX_LIMIT}")));
    }
    let after = query.after.as_deref().map(parse_position).transpose()?;
    let filter = ListFilter {
        mine: !query.all,
        statuses: statuses(&query.states),
        failed: query.states.contains(&StateFilter::Failed),
        labels: query.labels,
        since: query.since.map(|since| Time(u64::try_from(since.as_second()).unwrap_or(0))),
        oldest_first: query.oldest_first,
        limit: limit + 1,
        after,
    };
    let mut jobs = api.store.list(&filter).await?;
    let more = jobs.len() > limit as usize;
    jobs.truncate(limit as usize);
    let next = jobs.last().filter(|_| more).map(|last| format!("{}-{}", last.job.view.opened, last.job.id()));
    let mut page = Vec::with_capacity(jobs.len());
    for job in &jobs {
        page.push(summary(&api, job).await?);
    }
    Ok(Json(JobPage { jobs: page, next }))
}

/// The market's states among these.
fn statuses(states: &[StateFilter]) -> Vec<Status> {
    let mut statuses: Vec<Status> = states
        .iter()
        .flat_map(|state| match state {
            StateFilter::Is(status) => vec![*status],
            StateFilter::Running => vec![Status::Locked, Status::Submitted, Status::Disputed],
            StateFilter::Failed => Vec::new(),
        })
        .collect();
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

fn parse_position(text: &str) -> Result<(Time, JobId), HttpError> {
    let parsed =
        text.split_once('-').and_then(|(time, id)| Some((Time(time.parse().ok()?), JobId(id.parse::<B256>().ok()?))));
    parsed.ok_or_else(|| {
        HttpError::invalid(format!("`{text}` is not where a page ended; pass `next` of the page before"))
    })
}

pub(super) async fn show(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Json<JobDetail>, HttpError> {
    let job = find(&api, &id).await?;
    Ok(Json(detail(&api, &job).await?))
}

/// Query of `wait`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WaitQuery {
    timeout: Option<u64>,
    /// Answer as soon as the phase is another than this one.
    phase: Option<Phase>,
    /// Whether to answer on a change of phase at all.
    changes: bool,
    /// Answer with the summary alone: nobody is asked what they decided.
    brief: bool,
    /// Answer also when nobody is left who may take the open job.
    refusals: bool,
    /// How long a provider may then say nothing, in seconds.
    silence: Option<u64>,
}

pub(super) async fn wait(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    Query(query): Query<WaitQuery>,
) -> Result<Response, HttpError> {
    if query.phase == Some(Phase::Unknown) {
        return Err(HttpError::invalid("`phase` is a word that no job is in; docs/api.md has them all"));
    }
    let timeout = Duration::from_secs(query.timeout.unwrap_or(60).min(MAX_WAIT));
    let deadline = tokio::time::Instant::now() + timeout;
    let mut changes = api.inbox.watch();
    let mut job = find(&api, &id).await?;
    let id = job.job.id();
    let answers = |job: &ListedJob| is_over(job) || (query.changes && query.phase != Some(phase(&job.job)));
    let silence = Duration::from_secs(query.silence.unwrap_or(defaults::SILENCE).min(MAX_WAIT));
    let refused = async {
        if query.refusals && !query.brief {
            refused_by_all(&api.store, &api.decisions, id, silence).await
        } else {
            std::future::pending().await
        }
    };
    let mut refused = std::pin::pin!(refused);
    while !answers(&job) {
        let changed = tokio::select! {
            changed = tokio::time::timeout_at(deadline, changes.recv()) => changed,
            decisions = &mut refused => {
                let detail = detail_with(&api, &job, decisions?).await?;
                return Ok(Json(JobDetail { refused_by_all: true, ..detail }).into_response());
            }
        };
        match changed {
            Ok(Ok(changed)) if changed != id => continue,
            Ok(Ok(_) | Err(RecvError::Lagged(_))) => {}
            Ok(Err(RecvError::Closed)) => return Err(HttpError::unavailable("the daemon is ending")),
            Err(_) => break,
        }
        if let Some(now) = api.store.listed(id).await? {
            job = now;
        }
    }
    Ok(if query.brief {
        Json(summary(&api, &job).await?).into_response()
    } else {
        Json(detail(&api, &job).await?).into_response()
    })
}

/// Whether nothing more is to be waited for: the deal ended and, where this node asked for the job and it was settled, the
/// output is here or cannot be had.
fn is_over(listed: &ListedJob) -> bool {
    let job = &listed.job;
    let failed = |step| matches!(job.steps.get(&step), Some(StepState::Failed { .. }));
    match job.view.status {
        Status::None => failed(Step::Open),
        Status::Settled => job.order.is_none() || job.is_done(Step::Verify) || failed(Step::Verify),
        status => status.is_final(),
    }
}

pub(super) async fn cancel(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Json<JobSummary>, HttpError> {
    let job = find(&api, &id).await?;
    let id = job.job.id();
    if job.job.view.status != Status::Open {
        return Err(HttpError::conflict(format!("job {id} is {}; only an open job can be cancelled", phase(&job.job))));
    }
    let terms = &job.job.view.terms;
    let is_auctioned = api.transport.auction().is_some_and(|auction| auction.contract == terms.matcher);
    if !is_auctioned && terms.matcher != Address::ZERO && terms.matcher != api.transport.party() {
        return Err(HttpError::conflict(format!(
            "job {id} is directed to {}, and nobody else can cancel it; unless that account takes or cancels it, its escrow comes back after {}",
            terms.matcher,
            rfc3339(terms.lock_by)
        )));
    }
    let mut changes = api.inbox.watch();
    let (reply, answer) = oneshot::channel();
    if !api.inbox.send(Message::Cancel { job: id, reply }).await {
        return Err(HttpError::unavailable("the daemon is ending"));
    }
    answer.await.map_err(|_| HttpError::unavailable("the daemon is ending"))?.map_err(HttpError::conflict)?;
    let deadline = tokio::time::Instant::now() + api.orders.patience();
    loop {
        let Some(job) = api.store.listed(id).await? else {
            return Err(HttpError::not_found(format!("job {id} is gone")));
        };
        match job.job.view.status {
            Status::Open => {}
            Status::Cancelled => return Ok(Json(summary(&api, &job).await?)),
            _ => return Err(HttpError::conflict(format!("job {id} was not cancelled: it is {}", phase(&job.job)))),
        }
        if tokio::time::timeout_at(deadline, changes.recv()).await.is_err() {
            return Err(HttpError::unavailable(format!("the market has not cancelled job {id} yet")));
        }
    }
}

/// Has the output of a job published again where that failed, and looks at the rest.
pub(super) async fn publish(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<Vec<PublicationInfo>>, HttpError> {
    let job = find(&api, &id).await?;
    if !api.publishing.again(job.job.id()).await? {
        return Err(HttpError::conflict(format!(
            "nothing of job {} is published by this daemon: it publishes what it ran itself, where its settings say (docs/publishing.md)",
            job.job.id()
        )));
    }
    Ok(Json(published(&api, &job.job).await?))
}

/// The job that an id, or a unique prefix of one, means.
pub(super) async fn find(api: &Api, text: &str) -> Result<ListedJob, HttpError> {
    let digits = text.strip_prefix("0x").unwrap_or(text).to_ascii_lowercase();
    if !digits.chars().all(|c| c.is_ascii_hexdigit()) || digits.len() > 64 || digits.len() < MIN_PREFIX {
        return Err(HttpError::invalid(format!(
            "`{text}` is not a job's id: 0x and 64 hex digits, or at least the first {MIN_PREFIX} of them"
        )));
    }
    let bound = |fill: char| -> Option<JobId> {
        format!("{digits}{}", fill.to_string().repeat(64 - digits.len())).parse().ok().map(JobId)
    };
    let (Some(low), Some(high)) = (bound('0'), bound('f')) else {
        return Err(HttpError::invalid(format!("`{text}` is not a job's id")));
    };
    let ids = api.store.ids_between(low, high, MAX_CANDIDATES + 1).await?;
    match ids.as_slice() {
        [id] => api.store.listed(*id).await?.ok_or_else(|| HttpError::not_found(format!("job {id} is gone"))),
        [] => Err(HttpError::not_found(format!("no job with the id {text} is known here; see `lota job list --all`"))),
        several => Err(HttpError::ambiguous(
            format!("`{text}` is the beginning of {} ids; write more digits", several.len()),
            several.iter().map(ToString::to_string).collect(),
        )),
    }
}
