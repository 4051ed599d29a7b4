//! What a process tells those who watch over it: its metrics, whether it is alive, and whether it is ready.
//!
//! A server of its own, at an address that the operator chooses, without a token and without anything that could be changed:
//! what it tells is public on the chain, or harmless. Who should not see it, must not reach the address. A node serves what it is;
//! other long-running parts of Lota serve theirs with [`Server`], in the same form.

use std::{io, net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    middleware,
    response::IntoResponse,
    routing::get,
};
use lota_api::Problem;
use lota_content::serve::serve;
use prometheus_client::registry::Registry;
use serde::Serialize;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    health::Health,
    http_error::{HttpError, in_json},
    metrics, serving,
};

pub use crate::metrics::registry;

/// What is watched over.
pub trait Watched: Send + Sync + 'static {
    /// Its metrics.
    fn registry(&self) -> &Registry;

    /// Whether it is alive, and what `/health` answers: if it is not, to start the process again may help, which does no harm.
    fn alive(&self) -> (bool, impl Serialize + Send);

    /// Whether it can do its work, and what `/ready` answers.
    fn ready(&self) -> (bool, impl Serialize + Send);
}

/// Serves `/metrics`, `/health` and `/ready` until it is shut down or dropped.
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
    pub async fn start(address: SocketAddr, watched: impl Watched) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let (address, stop) = (listener.local_addr()?, CancellationToken::new());
        let task = tokio::spawn(serve(listener, router(watched), serving::private(), stop.clone()));
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

/// `/metrics`, `/health` and `/ready`.
pub(crate) fn router<W: Watched>(watched: W) -> Router {
    Router::new()
        .route("/metrics", get(show_metrics::<W>))
        .route("/health", get(show_health::<W>))
        .route("/ready", get(show_readiness::<W>))
        .fallback(|| async { HttpError::not_found("there are /metrics, /health and /ready; see docs/monitoring.md") })
        .layer(middleware::map_response(in_json))
        .with_state(Arc::new(watched))
}

async fn show_metrics<W: Watched>(State(watched): State<Arc<W>>) -> Result<impl IntoResponse, HttpError> {
    let text = metrics::render(watched.registry())
        .map_err(|_| HttpError::unavailable("the metrics cannot be written as text"))?;
    Ok(([(CONTENT_TYPE, metrics::TEXT)], text))
}

async fn show_health<W: Watched>(State(watched): State<Arc<W>>) -> impl IntoResponse {
    let (alive, body) = watched.alive();
    (status(alive), Json(body)).into_response()
}

async fn show_readiness<W: Watched>(State(watched): State<Arc<W>>) -> impl IntoResponse {
    let (ready, body) = watched.ready();
    (status(ready), Json(body)).into_response()
}

const fn status(good: bool) -> StatusCode {
    if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// A node.
pub(crate) struct Monitored {
    pub(crate) health: Arc<Health>,
    pub(crate) registry: Registry,
}

/// Whether the node can do its work, and what keeps it from it.
#[derive(Serialize)]
struct Readiness {
    ready: bool,
    problems: Vec<Problem>,
}

impl Watched for Monitored {
    fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Not when a round of the loop does not end.
    fn alive(&self) -> (bool, impl Serialize + Send) {
        match self.health.stuck_for() {
            None => (true, serde_json::json!({ "alive": true })),
            Some(since) => (false, serde_json::json!({ "alive": false, "round_under_way_seconds": since.as_secs() })),
        }
    }

    fn ready(&self) -> (bool, impl Serialize + Send) {
        let problems = self.health.problems(None);
        let ready = problems.is_empty() && self.health.head().is_some();
        (ready, Readiness { ready, problems })
    }
}
