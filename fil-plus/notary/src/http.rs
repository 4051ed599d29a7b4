//! All of a [`Desk`] as JSON over HTTP, below `/api/v1`. Nothing here needs a session: what is read is public, and a vote brings its
//! notary's signature. Whoever serves it checks a host's name and how often somebody asks (`lota_notary_dashboard::router_beside`).

mod places;
mod proxies;

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    extract::{DefaultBodyLimit, Path, Query, State},
    http::{
        HeaderName, StatusCode,
        header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    },
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::{get, post},
};
use futures::{Stream, StreamExt as _};
use lota_api::ErrorCode;
use lota_http::answers::Refusal;
use lota_market::{Address, blessing::Choice, model::JobId};
use serde::Deserialize;
use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

pub use places::{Client, Place, Places};
pub use proxies::Proxies;

use crate::{
    attestation::Envelope,
    audit_log,
    desk::{
        About, BallotPaper, Change, Desk, DeskError, Dossier, OutputNode, Queue, QueueFilter, SignedVote, Vote, Waiting,
    },
};

/// The largest body, in bytes: a vote with its reason and a contract's signature, escaped.
const MAX_BODY: usize = 128 << 10;
/// Questions that are answered at once, in all and of one client.
const QUESTIONS: (usize, usize) = (16, 8);
/// Looks into outputs.
const LOOKS: (usize, usize) = (8, 2);
const VOTES: (usize, usize) = (16, 4);
/// Exports of the audit log, until the last byte was taken.
const EXPORTS: (usize, usize) = (2, 1);
/// Who may wait for changes at once.
const LISTENERS: (usize, usize) = (128, 16);
/// The most entries of a page.
const MAX_PAGE: u32 = 200;

/// How long something may take.
#[derive(Clone, Copy)]
struct Times {
    /// Until it is one's turn.
    turn: Duration,
    answer: Duration,
    /// Waits for whoever serves an output.
    look: Duration,
    /// Waits for a block.
    vote: Duration,
    /// A stream of changes; then one asks again.
    listen: Duration,
}

const TIMES: Times = Times {
    turn: Duration::from_secs(5),
    answer: Duration::from_secs(20),
    look: Duration::from_secs(40),
    vote: Duration::from_secs(90),
    listen: Duration::from_secs(15 * 60),
};

struct Api {
    desk: Arc<dyn Desk>,
    questions: Arc<Places<Client>>,
    looks: Arc<Places<Client>>,
    votes: Arc<Places<Client>>,
    exports: Arc<Places<Client>>,
    listeners: Arc<Places<Client>>,
    times: Times,
    /// Ends streams of changes, which would keep a server from stopping.
    stop: CancellationToken,
}

impl Api {
    /// Answers when there is a place, and not for longer than `within`.
    async fn turn<T>(
        &self,
        of: &Arc<Places<Client>>,
        client: Client,
        within: Duration,
        answer: impl Future<Output = Result<T, DeskError>>,
    ) -> Result<T, Failed> {
        let Some(_place) = of.wait(client, self.times.turn).await else { return Err(busy()) };
        match tokio::time::timeout(within, answer).await {
            Ok(answer) => answer.map_err(Failed),
            Err(_) => Err(Failed(DeskError::Unavailable(format!(
                "there was no answer within {} s; try again",
                within.as_secs()
            )))),
        }
    }

    async fn ask<T>(&self, client: Client, answer: impl Future<Output = Result<T, DeskError>>) -> Result<T, Failed> {
        self.turn(&self.questions, client, self.times.answer, answer).await
    }
}

fn busy() -> Failed {
    Failed(DeskError::Unavailable("too many questions at once; try again soon".into()))
}

/// An answer that is not a success.
struct Failed(DeskError);

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let (status, code) = match &self.0 {
            DeskError::NotFound(_) => (StatusCode::NOT_FOUND, ErrorCode::NotFound),
            DeskError::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::Invalid),
            DeskError::Refused(_) => (StatusCode::CONFLICT, ErrorCode::Conflict),
            DeskError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::TooLarge),
            DeskError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable),
        };
        Refusal::new(status, code, self.0.to_string()).into_response()
    }
}

type Answer<T> = Result<Json<T>, Failed>;

/// All paths. Served with who asks ([`ConnectInfo`](axum::extract::ConnectInfo)), each client has its share; otherwise all are one.
/// `stop` ends streams.
pub fn router(desk: Arc<dyn Desk>, stop: CancellationToken) -> Router {
    router_within(desk, stop, TIMES)
}

fn router_within(desk: Arc<dyn Desk>, stop: CancellationToken, times: Times) -> Router {
    let places = |(all, of_one)| Places::new(all, of_one);
    let api = Api {
        desk,
        questions: places(QUESTIONS),
        looks: places(LOOKS),
        votes: places(VOTES),
        exports: places(EXPORTS),
        listeners: places(LISTENERS),
        times,
        stop,
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

async fn about(State(api): State<Arc<Api>>, client: Client) -> Answer<About> {
    api.ask(client, api.desk.about()).await.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QueueQuery {
    #[serde(default = "yes")]
    open: bool,
    waiting: Option<Waiting>,
    voter: Option<Address>,
    #[serde(default)]
    search: String,
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

async fn queue(State(api): State<Arc<Api>>, client: Client, Query(query): Query<QueueQuery>) -> Answer<Queue> {
    let QueueQuery { open, waiting, voter, search, after, limit } = query;
    let filter = QueueFilter { open, waiting, voter, search, after, limit: limit.clamp(1, MAX_PAGE) };
    api.ask(client, api.desk.queue(&filter)).await.map(Json)
}

async fn dossier(State(api): State<Arc<Api>>, client: Client, Path(job): Path<JobId>) -> Answer<Dossier> {
    api.ask(client, api.desk.dossier(job)).await.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutputQuery {
    #[serde(default)]
    path: String,
    after: Option<String>,
}

async fn output(
    State(api): State<Arc<Api>>,
    client: Client,
    Path(job): Path<JobId>,
    Query(query): Query<OutputQuery>,
) -> Answer<OutputNode> {
    api.turn(&api.looks, client, api.times.look, api.desk.output(job, &query.path, query.after.as_deref()))
        .await
        .map(Json)
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
    client: Client,
    Path(job): Path<JobId>,
    Json(request): Json<BallotRequest>,
) -> Answer<BallotPaper> {
    let BallotRequest { choice, text, notary } = request;
    api.ask(client, api.desk.ballot_paper(job, choice, &text, notary)).await.map(Json)
}

async fn vote(State(api): State<Arc<Api>>, client: Client, Json(vote): Json<SignedVote>) -> Answer<Vote> {
    api.turn(&api.votes, client, api.times.vote, api.desk.vote(&vote)).await.map(Json)
}

async fn attestation(State(api): State<Arc<Api>>, client: Client, Path(job): Path<JobId>) -> Answer<Envelope> {
    api.ask(client, api.desk.attestation(job)).await.map(Json)
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

async fn entries(State(api): State<Arc<Api>>, client: Client, Query(query): Query<EntriesQuery>) -> Answer<Entries> {
    let answer = api.ask(client, api.desk.audit_log(query.from, query.limit.clamp(1, MAX_PAGE))).await;
    answer.map(|(entries, head)| Json(Entries { entries, head }))
}

async fn export(State(api): State<Arc<Api>>, client: Client) -> Result<impl IntoResponse, Failed> {
    let Some(place) = api.exports.take(client) else { return Err(busy()) };
    let export = api.ask(client, api.desk.export_audit_log()).await?;
    let headers = [
        (CONTENT_TYPE, "application/x-ndjson"),
        (CONTENT_DISPOSITION, "attachment; filename=\"audit.log\""),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-store"),
    ];
    let length = [(CONTENT_LENGTH, export.bytes().to_string())];
    Ok((headers, length, Body::from_stream(export.stream(place))))
}

/// Server-sent events, one for each change; `missed` when some were not told.
async fn changes(State(api): State<Arc<Api>>, client: Client) -> Result<impl IntoResponse, Failed> {
    let Some(place) = api.listeners.take(client) else {
        return Err(Failed(DeskError::Unavailable("too many wait for changes; ask again now and then".into())));
    };
    let listener = Listener {
        changes: api.desk.changes(),
        until: Instant::now() + api.times.listen,
        stop: api.stop.clone(),
        _place: place,
    };
    // At once: some servers send no head before there is a body.
    let hello = futures::stream::iter([Event::default().comment("connected")]);
    let events = hello.chain(listener.told()).map(Ok::<_, Infallible>);
    let unbuffered = [(HeaderName::from_static("x-accel-buffering"), "no")];
    Ok((unbuffered, Sse::new(events).keep_alive(KeepAlive::default())))
}

struct Listener {
    changes: broadcast::Receiver<Change>,
    until: Instant,
    stop: CancellationToken,
    _place: Place<Client>,
}

impl Listener {
    fn told(self) -> impl Stream<Item = Event> {
        futures::stream::unfold(self, |mut listener| async move {
            let change = tokio::select! {
                () = listener.stop.cancelled() => return None,
                () = tokio::time::sleep_until(listener.until) => return None,
                change = listener.changes.recv() => change,
            };
            let event = match change {
                Ok(change) => Event::default().event("change").json_data(change).unwrap_or_default(),
                Err(RecvError::Lagged(_)) => Event::default().event("missed").data(""),
                Err(RecvError::Closed) => return None,
            };
            Some((event, listener))
        })
    }
}

#[cfg(test)]
mod tests;
