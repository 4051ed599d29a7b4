//! The registry's HTTP API: for anybody who can reach it, without anything that could be changed. No other origin's page may read it.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, Query, State},
    http::{StatusCode, header::CONTENT_TYPE},
    middleware,
    response::IntoResponse,
    routing::{get, post},
};
use lota_content::serve::{ServeLimits, serve};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    answer::{CheckAnswer, CheckRequest, Checked, SourceState},
    http_error::{HttpError, in_json},
    keeper::now,
    metrics::{Metrics, TEXT},
    registry::{Manner, Registry},
};

/// The most CIDs of one question.
pub const MAX_CIDS: usize = 10_000;
/// The largest body, in bytes: so many CIDs.
const MAX_BODY: usize = 1 << 20;
/// What is shown of a CID's claims: of one CID, of few, and of many.
const SHOWN: [(usize, usize); 3] = [(1, 64), (100, 16), (usize::MAX, 4)];
/// Questions that are looked up at once, and how long one waits for its turn.
const QUESTIONS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(5);

/// The most claims that are shown when so many CIDs are asked about.
#[must_use]
pub fn shown(cids: usize) -> usize {
    SHOWN.iter().find(|(most, _)| cids <= *most).map_or(1, |(_, shown)| *shown)
}

struct Api {
    registry: Arc<Registry>,
    metrics: Metrics,
    questions: Semaphore,
}

impl Api {
    async fn check(&self, cids: &[String], ask: bool) -> Result<Vec<Checked>, HttpError> {
        let Ok(Ok(_place)) = tokio::time::timeout(PATIENCE, self.questions.acquire()).await else {
            return Err(HttpError::unavailable("too many questions at once; try again soon"));
        };
        let answers = self.registry.check(cids, Manner { ask, shown: shown(cids.len()) }, now()).await?;
        self.metrics.answered(&answers);
        Ok(answers)
    }

    async fn sources(&self) -> Result<Vec<SourceState>, HttpError> {
        Ok(self.registry.source_states(now()).await?)
    }
}

/// All paths.
pub fn router(registry: Arc<Registry>, metrics: Metrics) -> Router {
    let api = Api { registry, metrics, questions: Semaphore::new(QUESTIONS) };
    Router::new()
        .route("/v1/cids/{cid}", get(show))
        .route("/v1/check", post(check))
        .route("/v1/sources", get(sources))
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics_text))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .fallback(|| async { HttpError::not_found("there is no such path in the registry; see docs/fil-plus.md") })
        .layer(middleware::map_response(in_json))
        .with_state(Arc::new(api))
}

#[derive(Deserialize)]
struct ShowQuery {
    /// Whether indexes are asked; they are.
    #[serde(default = "yes")]
    ask: bool,
}

const fn yes() -> bool {
    true
}

async fn show(
    State(api): State<Arc<Api>>,
    Path(cid): Path<String>,
    Query(query): Query<ShowQuery>,
) -> Result<Json<CheckAnswer>, HttpError> {
    let answers = api.check(&[cid], query.ask).await?;
    if let [Checked::Malformed { error, .. }] = &answers[..] {
        return Err(HttpError::invalid(error.clone()));
    }
    Ok(Json(CheckAnswer { answers, sources: api.sources().await? }))
}

async fn check(State(api): State<Arc<Api>>, Json(request): Json<CheckRequest>) -> Result<Json<CheckAnswer>, HttpError> {
    let count = request.cids.len();
    if count == 0 || count > MAX_CIDS {
        return Err(HttpError::invalid(format!("`cids` has {count} CIDs; ask about 1 to {MAX_CIDS} at once")));
    }
    let answers = api.check(&request.cids, request.ask).await?;
    Ok(Json(CheckAnswer { answers, sources: api.sources().await? }))
}

async fn sources(State(api): State<Arc<Api>>) -> Result<Json<Vec<SourceState>>, HttpError> {
    Ok(Json(api.sources().await?))
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    problems: Vec<String>,
}

/// Alive as long as it answers.
async fn health() -> impl IntoResponse {
    Json(serde_json::json!({ "alive": true }))
}

/// Ready when no source's word is old.
async fn ready(State(api): State<Arc<Api>>) -> Result<impl IntoResponse, HttpError> {
    let problem = |source: SourceState| {
        let problem = source.problem.or(source.stale.then(|| "its word is old".to_owned()))?;
        Some(format!("{}: {problem}", source.name))
    };
    let problems: Vec<String> =
        api.sources().await?.into_iter().filter(|source| source.stale).filter_map(problem).collect();
    let ready = problems.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, Json(Readiness { ready, problems })))
}

async fn metrics_text(State(api): State<Arc<Api>>) -> Result<impl IntoResponse, HttpError> {
    let bytes = api.registry.store().size().await?;
    let text = api.metrics.render(&api.sources().await?, bytes);
    let text = text.map_err(|_| HttpError::unavailable("the metrics cannot be written as text"))?;
    Ok(([(CONTENT_TYPE, TEXT)], text))
}

/// The API, being served until it is shut down or dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    /// Listens at an address (port 0: any that is free), and serves.
    ///
    /// # Errors
    /// When it cannot listen there.
    pub async fn start(address: SocketAddr, registry: Arc<Registry>, metrics: Metrics) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let (address, stop) = (listener.local_addr()?, CancellationToken::new());
        let task = tokio::spawn(serve(listener, router(registry, metrics), ServeLimits::default(), stop.clone()));
        Ok(Self { address, stop, task })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it; whoever is being answered gets the answer.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        // An error: the runtime is ending, and with it the task.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
