//! What a node serves to everybody: its blocks, what it offers, and what it decided about jobs.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, State},
    middleware,
    routing::get,
};
use lota_api::{Decision, Verdict};
use lota_content::gateway::{self, GatewayOptions};
use lota_market::{Address, B256, model::JobId};
use tokio::sync::Semaphore;

use crate::{
    api::{Failed, decision, in_json},
    node::Shared,
    offers,
};

/// The largest answer about a decision that is read, in bytes.
const MAX_ANSWER: usize = 16 << 10;
/// How long another party may take to answer.
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
    let offer = Router::new().route("/lota/v1/offer", get(offers::show)).with_state(Arc::clone(&shared));
    let public = Arc::new(Public { shared, questions: Semaphore::new(QUESTIONS) });
    Router::new()
        .route("/lota/v1/jobs/{id}/decision", get(show_decision))
        .with_state(public)
        .merge(offer)
        .fallback(|| async { Failed::not_found("there is no such path on the gateway; see docs/api.md") })
        .layer(middleware::map_response(in_json))
        .merge(blocks)
}

async fn show_decision(State(public): State<Arc<Public>>, Path(id): Path<B256>) -> Result<Json<Decision>, Failed> {
    let Public { shared, questions } = &*public;
    let Ok(Ok(_place)) = tokio::time::timeout(PATIENCE, questions.acquire()).await else {
        return Err(Failed::unavailable("too many questions at once; try again soon"));
    };
    // What is wrong here is nothing that strangers need to know.
    let job = shared.store.job(JobId(id)).await.map_err(|_| Failed::unavailable("the records cannot be read now"))?;
    let decision = job.as_ref().and_then(|job| decision(shared, job));
    decision.map(Json).ok_or_else(|| Failed::not_found(format!("nothing was decided here about job {id}")))
}

/// Asks another party what it decided about a job. `None`: it is no provider, or did not see the job.
pub(crate) async fn ask_decision(shared: &Shared, who: Address, url: &str, job: JobId) -> Option<Decision> {
    let silent =
        |reason: String| Some(Decision { provider: who, name: None, decision: Verdict::Silent, reason, ended: None });
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
