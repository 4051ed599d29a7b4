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
    decisions::Decisions,
    http_error::{HttpError, in_json},
    offers::Published,
    store::Store,
};

/// How long a question waits for its turn.
const PATIENCE: Duration = Duration::from_secs(3);
/// How many strangers' questions the database answers at once: fewer than it has connections, so that the node's own are not
/// kept waiting.
const QUESTIONS: usize = 2;

/// What the routes for everybody are given.
pub(crate) struct Public {
    store: Store,
    decisions: Arc<Decisions>,
    /// `None`: it runs no jobs for others.
    offer: Option<Published>,
    questions: Semaphore,
}

impl Public {
    pub(crate) const fn new(store: Store, decisions: Arc<Decisions>, offer: Option<Published>) -> Self {
        Self { store, decisions, offer, questions: Semaphore::const_new(QUESTIONS) }
    }
}

/// Everything that everybody may ask for; `content` is what the gateway serves.
pub(crate) fn router(public: Public, content: lota_content::Store) -> Router {
    Router::new()
        .route("/lota/v1/jobs/{id}/decision", get(show_decision))
        .route("/lota/v1/offer", get(show_offer))
        .with_state(Arc::new(public))
        .fallback(|| async { HttpError::not_found("there is no such path on the gateway; see docs/api.md") })
        .layer(middleware::map_response(in_json))
        .merge(gateway::router(content, GatewayOptions::default()))
}

/// What this node offers; 404 if it runs no jobs for others, or takes no more.
async fn show_offer(State(public): State<Arc<Public>>) -> Result<Json<Published>, StatusCode> {
    let health = &public.decisions.health;
    let offer = public.offer.clone().filter(|_| !health.is_draining()).ok_or(StatusCode::NOT_FOUND)?;
    Ok(Json(offer.with_callback_price(health.callback_price())))
}

async fn show_decision(State(public): State<Arc<Public>>, Path(id): Path<B256>) -> Result<Json<Decision>, HttpError> {
    let Ok(Ok(_place)) = tokio::time::timeout(PATIENCE, public.questions.acquire()).await else {
        return Err(HttpError::unavailable("too many questions at once; try again soon"));
    };
    // What is wrong here is nothing that strangers need to know.
    let job =
        public.store.job(JobId(id)).await.map_err(|_| HttpError::unavailable("the records cannot be read now"))?;
    let decision = job.as_ref().and_then(|job| public.decisions.of_this_provider(job));
    decision.map(Json).ok_or_else(|| HttpError::not_found(format!("nothing was decided here about job {id}")))
}
