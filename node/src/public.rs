//! What a node serves to everybody: its blocks, what it offers, and what it decided about jobs.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use lota_content::gateway::{self, GatewayOptions};
use lota_market::{Address, B256, model::JobId};

use crate::{
    api::{decision, types::Decision},
    node::Shared,
    offers,
};

/// The largest answer about a decision that is read, in bytes.
const MAX_ANSWER: usize = 16 << 10;
/// How long another party may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let blocks = gateway::router(shared.content.clone(), GatewayOptions::default());
    Router::new()
        .route("/lota/v1/jobs/{id}/decision", get(show_decision))
        .route("/lota/v1/offer", get(offers::show))
        .with_state(shared)
        .merge(blocks)
}

async fn show_decision(State(shared): State<Arc<Shared>>, Path(id): Path<B256>) -> Result<Json<Decision>, StatusCode> {
    let job = shared.store.job(JobId(id)).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    job.as_ref().and_then(|job| decision(&shared, job)).map(Json).ok_or(StatusCode::NOT_FOUND)
}

/// Asks another party what it decided about a job. `None`: it is no provider, or did not see the job.
pub(crate) async fn ask_decision(shared: &Shared, who: Address, url: &str, job: JobId) -> Option<Decision> {
    let silent = |reason: String| {
        Some(Decision { provider: who, name: None, decision: "silent".to_owned(), reason, ended: None })
    };
    let address = format!("{}/lota/v1/jobs/{job}/decision", url.trim_end_matches('/'));
    let address = match address.parse() {
        Ok(address) => address,
        Err(error) => return silent(format!("`{url}` is not a URL: {error}")),
    };
    let asked = tokio::time::timeout(PATIENCE, shared.fetcher.document(&address, MAX_ANSWER)).await;
    let Ok(answer) = asked else {
        return silent(format!("its gateway {url} does not answer within {} s", PATIENCE.as_secs()));
    };
    match answer {
        Ok(None) => None,
        Ok(Some(body)) => match serde_json::from_slice::<Decision>(&body) {
            // Nobody speaks for somebody else.
            Ok(decision) => Some(Decision { provider: who, ..decision }),
            Err(error) => silent(format!("its answer makes no sense: {error}")),
        },
        Err(error) => silent(format!("its gateway {url} does not answer: {error}")),
    }
}
