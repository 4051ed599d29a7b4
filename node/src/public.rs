//! What a node serves to everybody: its blocks, what it offers, and what it decided about jobs.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    middleware,
    routing::get,
};
use lota_api::Decision;
use lota_content::gateway::{self, GatewayOptions};
use lota_market::{B256, model::JobId};
use tokio::sync::Semaphore;

use crate::{
    decisions,
    http_error::{HttpError, in_json},
    offers::Published,
    shared::Shared,
};

/// How long a question waits for its turn.
const PATIENCE: Duration = Duration::from_secs(3);
/// How many strangers' questions the database answers at once: fewer than it has connections, so that the node's own are not
/// kept waiting.
const QUESTIONS: usize = 2;

/// What the routes for everybody are given.
struct Public {
    shared: Arc<Shared>,
    questions: Semaphore,
}

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let blocks = gateway::router(shared.content.clone(), GatewayOptions::default());
    let offer = Router::new().route("/lota/v1/offer", get(show_offer)).with_state(Arc::clone(&shared));
    let public = Arc::new(Public { shared, questions: Semaphore::new(QUESTIONS) });
    Router::new()
        .route("/lota/v1/jobs/{id}/decision", get(show_decision))
        .with_state(public)
        .merge(offer)
        .fallback(|| async { HttpError::not_found("there is no such path on the gateway; see docs/api.md") })
        .layer(middleware::map_response(in_json))
        .merge(blocks)
}

/// `GET /lota/v1/offer`: what this node offers; 404 if it runs no jobs for others.
async fn show_offer(State(shared): State<Arc<Shared>>) -> Result<Json<Published>, StatusCode> {
    let offer = shared.config.provider.as_ref().ok_or(StatusCode::NOT_FOUND)?;
    Ok(Json(Published::from(offer)))
}

async fn show_decision(State(public): State<Arc<Public>>, Path(id): Path<B256>) -> Result<Json<Decision>, HttpError> {
    let Public { shared, questions } = &*public;
    let Ok(Ok(_place)) = tokio::time::timeout(PATIENCE, questions.acquire()).await else {
        return Err(HttpError::unavailable("too many questions at once; try again soon"));
    };
    // What is wrong here is nothing that strangers need to know.
    let job =
        shared.store.job(JobId(id)).await.map_err(|_| HttpError::unavailable("the records cannot be read now"))?;
    let decision = job.as_ref().and_then(|job| decisions::of_this_provider(shared, job));
    decision.map(Json).ok_or_else(|| HttpError::not_found(format!("nothing was decided here about job {id}")))
}
