//! All of a [`Desk`] as JSON over HTTP, below `/api/v1`. Nothing here needs a session: what is read is public, and a vote brings its
//! notary's signature. A host's name is checked by who serves it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, Query, State},
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    },
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::{get, post},
};
use futures::{Stream, StreamExt as _};
use lota_api::{ApiError, ErrorCode};
use lota_market::{Address, blessing::Choice, model::JobId};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};

use crate::{
    attestation::Envelope,
    audit_log,
    desk::{About, BallotPaper, Change, Desk, DeskError, Dossier, OutputNode, Queue, QueueFilter, SignedVote, Vote},
};

/// The largest body, in bytes: a vote with its reason and a contract's signature, escaped.
const MAX_BODY: usize = 128 << 10;
/// Questions that are answered at once, and how long one waits for its turn.
const QUESTIONS: usize = 16;
const PATIENCE: Duration = Duration::from_secs(5);
/// Of these, votes, which wait for a block.
const VOTES: usize = 16;
/// Who may wait for changes at once.
const LISTENERS: usize = 256;
/// The most entries of a page.
const MAX_PAGE: u32 = 200;

struct Api {
    desk: Arc<dyn Desk>,
    questions: Semaphore,
    votes: Semaphore,
    listeners: Arc<Semaphore>,
}

impl Api {
    async fn turn<T>(&self, of: &Semaphore, answer: impl Future<Output = Result<T, DeskError>>) -> Result<T, Failed> {
        let Ok(Ok(_place)) = tokio::time::timeout(PATIENCE, of.acquire()).await else {
            return Err(Failed(DeskError::Unavailable("too many questions at once; try again soon".into())));
        };
        answer.await.map_err(Failed)
    }

    async fn ask<T>(&self, answer: impl Future<Output = Result<T, DeskError>>) -> Result<T, Failed> {
        self.turn(&self.questions, answer).await
    }
}

/// An answer that is not a success.
struct Failed(DeskError);

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let (status, code) = match &self.0 {
            DeskError::NotFound(_) => (StatusCode::NOT_FOUND, ErrorCode::NotFound),
            DeskError::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::Invalid),
            DeskError::Refused(_) => (StatusCode::CONFLICT, ErrorCode::Conflict),
            DeskError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable),
        };
        (status, Json(ApiError { code, message: self.0.to_string(), problems: Vec::new() })).into_response()
    }
}

type Answer<T> = Result<Json<T>, Failed>;

/// All paths.
pub fn router(desk: Arc<dyn Desk>) -> Router {
    let api = Api {
        desk,
        questions: Semaphore::new(QUESTIONS),
        votes: Semaphore::new(VOTES),
        listeners: Arc::new(Semaphore::new(LISTENERS)),
    };
    Router::new()
        .route("/api/v1/about", get(about))
        .route("/api/v1/queue", get(queue))
        .route("/api/v1/jobs/{job}", get(dossier))
        .route("/api/v1/jobs/{job}/output", get(output))
        .route("/api/v1/jobs/{job}/ballot", post(ballot))
        .route("/api/v1/jobs/{job}/attestation", get(attestation))
        .route("/api/v1/votes", post(vote))
        .route("/api/v1/audit-log", get(entries))
        .route("/api/v1/audit-log/export", get(export))
        .route("/api/v1/changes", get(changes))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(Arc::new(api))
}

async fn about(State(api): State<Arc<Api>>) -> Answer<About> {
    api.ask(api.desk.about()).await.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QueueQuery {
    #[serde(default = "yes")]
    open: bool,
    after: Option<JobId>,
    #[serde(default = "page")]
    limit: u32,
}

const fn yes() -> bool {
    true
}

const fn page() -> u32 {
    50
}

async fn queue(State(api): State<Arc<Api>>, Query(query): Query<QueueQuery>) -> Answer<Queue> {
    let QueueQuery { open, after, limit } = query;
    let filter = QueueFilter { open, after, limit: limit.clamp(1, MAX_PAGE) };
    api.ask(api.desk.queue(&filter)).await.map(Json)
}

async fn dossier(State(api): State<Arc<Api>>, Path(job): Path<JobId>) -> Answer<Dossier> {
    api.ask(api.desk.dossier(job)).await.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutputQuery {
    #[serde(default)]
    path: String,
}

async fn output(
    State(api): State<Arc<Api>>,
    Path(job): Path<JobId>,
    Query(query): Query<OutputQuery>,
) -> Answer<OutputNode> {
    api.ask(api.desk.output(job, &query.path)).await.map(Json)
}

/// What a notary would sign.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BallotRequest {
    choice: Choice,
    text: String,
    notary: Address,
}

async fn ballot(
    State(api): State<Arc<Api>>,
    Path(job): Path<JobId>,
    Json(request): Json<BallotRequest>,
) -> Answer<BallotPaper> {
    let BallotRequest { choice, text, notary } = request;
    api.ask(api.desk.ballot_paper(job, choice, &text, notary)).await.map(Json)
}

async fn vote(State(api): State<Arc<Api>>, Json(vote): Json<SignedVote>) -> Answer<Vote> {
    api.turn(&api.votes, api.desk.vote(&vote)).await.map(Json)
}

async fn attestation(State(api): State<Arc<Api>>, Path(job): Path<JobId>) -> Answer<Envelope> {
    api.ask(api.desk.attestation(job)).await.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntriesQuery {
    #[serde(default)]
    from: u64,
    #[serde(default = "page")]
    limit: u32,
}

#[derive(serde::Serialize)]
struct Entries {
    entries: Vec<audit_log::Entry>,
    head: audit_log::Head,
}

async fn entries(State(api): State<Arc<Api>>, Query(query): Query<EntriesQuery>) -> Answer<Entries> {
    let answer = api.ask(api.desk.audit_log(query.from, query.limit.clamp(1, MAX_PAGE))).await;
    answer.map(|(entries, head)| Json(Entries { entries, head }))
}

async fn export(State(api): State<Arc<Api>>) -> Result<impl IntoResponse, Failed> {
    let bytes = api.ask(api.desk.export_audit_log()).await?;
    let headers = [
        (CONTENT_TYPE, "application/x-ndjson"),
        (CONTENT_DISPOSITION, "attachment; filename=\"audit.log\""),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, bytes))
}

/// Server-sent events, one for each change; `missed` when some were not told.
async fn changes(State(api): State<Arc<Api>>) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Failed> {
    let Ok(place) = Arc::clone(&api.listeners).try_acquire_owned() else {
        return Err(Failed(DeskError::Unavailable("too many wait for changes; ask again now and then".into())));
    };
    let stream = told(api.desk.changes(), place);
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}

fn told(
    receiver: broadcast::Receiver<Change>,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Event, Infallible>> {
    futures::stream::unfold((receiver, place), |(mut receiver, place)| async move {
        let event = match receiver.recv().await {
            Ok(change) => Event::default().event("change").json_data(change).unwrap_or_default(),
            Err(broadcast::error::RecvError::Lagged(_)) => Event::default().event("missed").data(""),
            Err(broadcast::error::RecvError::Closed) => return None,
        };
        Some((event, (receiver, place)))
    })
    .map(Ok)
}
