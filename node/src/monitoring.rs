//! What a node tells those who watch over it: its metrics, whether it is alive, and whether it is ready.
//!
//! A server of its own, at an address that the operator chooses, without a token and without anything that could be changed:
//! what it tells is public on the chain, or harmless. Who should not see it, must not reach the address.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    middleware,
    response::IntoResponse,
    routing::get,
};
use lota_api::Problem;
use prometheus_client::registry::Registry;
use serde::Serialize;

use crate::{
    health::Health,
    http_error::{HttpError, in_json},
    metrics,
};

/// What the routes are given.
pub(crate) struct Monitored {
    pub(crate) health: Arc<Health>,
    pub(crate) registry: Registry,
}

/// `/metrics`, `/health` and `/ready`.
pub(crate) fn router(monitored: Monitored) -> Router {
    Router::new()
        .route("/metrics", get(show_metrics))
        .route("/health", get(show_health))
        .route("/ready", get(show_readiness))
        .fallback(|| async { HttpError::not_found("there are /metrics, /health and /ready; see docs/monitoring.md") })
        .layer(middleware::map_response(in_json))
        .with_state(Arc::new(monitored))
}

async fn show_metrics(State(monitored): State<Arc<Monitored>>) -> Result<impl IntoResponse, HttpError> {
    let text = metrics::render(&monitored.registry)
        .map_err(|_| HttpError::unavailable("the metrics cannot be written as text"))?;
    Ok(([(CONTENT_TYPE, metrics::TEXT)], text))
}

/// Whether the node can do its work, and what keeps it from it.
#[derive(Serialize)]
struct Readiness {
    ready: bool,
    problems: Vec<Problem>,
}

/// 503 when a round of the loop does not end: to start the process again may help, which does no harm.
async fn show_health(State(monitored): State<Arc<Monitored>>) -> impl IntoResponse {
    match monitored.health.stuck_for() {
        None => (StatusCode::OK, Json(serde_json::json!({ "alive": true }))),
        Some(since) => {
            let body = serde_json::json!({ "alive": false, "round_under_way_seconds": since.as_secs() });
            (StatusCode::SERVICE_UNAVAILABLE, Json(body))
        }
    }
}

/// 503 while something keeps the node from its work.
async fn show_readiness(State(monitored): State<Arc<Monitored>>) -> impl IntoResponse {
    let problems = monitored.health.problems(None);
    let ready = problems.is_empty() && monitored.health.head().is_some();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, problems }))
}
