//! The daemon's HTTP API: JSON on loopback, for whoever holds the token.

mod content;
mod describe;
mod hearing;
mod jobs;
mod paid;
mod request;
mod wallet;

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request, State},
    http::header::AUTHORIZATION,
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};

use lota_api::{MarketInfo, NodeInfo, OfferedResources, Party, Resumed, rfc3339};
use lota_bridge::{Transport, TransportError};
use lota_market::{
    agent::{Offer, Resources},
    asset::Asset,
};
use tokio::sync::oneshot;

use crate::{
    collecting::Reasons,
    decisions::Decisions,
    fetch::Downloader,
    health::Health,
    http_error::{HttpError, in_json},
    inbox::{Inbox, Message},
    order::Orders,
    publishing::Publishing,
    store::{MAX_PARTIES, Store},
    transfers::Transfers,
};

/// The largest JSON body, in bytes.
const MAX_JSON: usize = 1 << 20;
/// How long an answer of the market's is waited for where what was last known will do.
const PATIENCE: Duration = Duration::from_secs(5);

/// What every route is given.
pub(crate) struct Api {
    /// The node's name.
    pub(crate) name: String,
    /// What it offers; `None`: it runs no jobs for others.
    pub(crate) offer: Option<Offer>,
    /// Where it serves content.
    pub(crate) gateway: String,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) store: Store,
    pub(crate) content: lota_content::Store,
    pub(crate) downloader: Arc<Downloader>,
    /// The most bytes that are fetched for whoever asks.
    pub(crate) max_fetch_bytes: u64,
    pub(crate) health: Arc<Health>,
    pub(crate) decisions: Arc<Decisions>,
    pub(crate) orders: Orders,
    pub(crate) inbox: Inbox,
    pub(crate) transfers: Arc<Transfers>,
    /// What orders that are paid over Filecoin Pay are paid in, if there are any.
    pub(crate) orders_asset: Option<Asset>,
    /// Why what is due for them is not collected yet.
    pub(crate) uncollected: Arc<Reasons>,
    pub(crate) publishing: Publishing,
}

pub(crate) fn router(api: Api, token: &str) -> Router {
    let expected: Arc<str> = format!("Bearer {token}").into();
    Router::new()
        .route("/v1/node", get(node))
        .route("/v1/market", get(market))
        .route("/v1/node/resume", post(resume))
        .route("/v1/parties", get(parties))
        .route("/v1/wallet", get(wallet::show))
        .route("/v1/wallet/deposit", post(wallet::deposit))
        .route("/v1/wallet/withdraw", post(wallet::withdraw))
        .route("/v1/wallet/withdraw-bid-money", post(wallet::withdraw_bid_money))
        .route("/v1/jobs", get(jobs::list).post(request::create))
        .route("/v1/jobs/{id}", get(jobs::show))
        .route("/v1/jobs/{id}/wait", get(jobs::wait))
        .route("/v1/jobs/{id}/cancel", post(jobs::cancel))
        .route("/v1/jobs/{id}/publish", post(jobs::publish))
        .route("/v1/jobs/{id}/output", get(content::output_root).delete(content::release_output))
        .route("/v1/jobs/{id}/output/{*path}", get(content::output))
        .route("/v1/content", post(content::store).layer(DefaultBodyLimit::disable()))
        .route("/v1/content/{cid}", get(content::show_root).delete(content::forget))
        .route("/v1/content/{cid}/{*path}", get(content::show))
        .layer(DefaultBodyLimit::max(MAX_JSON))
        .fallback(|| async { HttpError::not_found("there is no such path in the API; see docs/api.md") })
        .layer(middleware::from_fn(move |request: Request, next: Next| authorize(Arc::clone(&expected), request, next)))
        .layer(middleware::map_response(in_json))
        .with_state(Arc::new(api))
}

/// Lets nobody in without the token. Compared in constant time.
async fn authorize(expected: Arc<str>, request: Request, next: Next) -> Result<Response, HttpError> {
    let given = request.headers().get(AUTHORIZATION).map_or(&[][..], |value| value.as_bytes());
    let expected = expected.as_bytes();
    let differences = given.iter().zip(expected).fold(0u8, |sum, (a, b)| sum | (a ^ b));
    if given.len() == expected.len() && differences == 0 {
        Ok(next.run(request).await)
    } else {
        Err(HttpError::unauthorized())
    }
}

/// What the market answers soon; people who look at the daemon do not wait for a market that is away.
async fn in_time<T>(answer: impl Future<Output = Result<T, TransportError>>) -> Result<T, TransportError> {
    let late = || TransportError::Unavailable(format!("no answer within {} s", PATIENCE.as_secs()));
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err(late()))
}

async fn node(State(api): State<Arc<Api>>) -> Result<Json<NodeInfo>, HttpError> {
    let (head, problems) = match in_time(api.transport.head()).await {
        Ok(head) => (head, api.health.problems(None)),
        Err(error) => match api.health.head() {
            Some(head) => (head, api.health.problems(Some(&error))),
            None => return Err(HttpError::market(error)),
        },
    };
    let usage = api.content.usage();
    Ok(Json(NodeInfo {
        name: api.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        party: api.transport.party(),
        provider: api.offer.is_some(),
        offers: api.offer.as_ref().map(offered),
        market: market_info(&api),
        gateway: api.gateway.clone(),
        head: rfc3339(head.time),
        store_bytes: usage.charged,
        store_blocks: usage.blocks,
        store_capacity: api.content.capacity(),
        orders: paid::orders(&api).await?,
        problems,
    }))
}

fn market_info(api: &Api) -> MarketInfo {
    let market = api.transport.market();
    MarketInfo {
        chain_id: market.chain_id,
        contract: market.contract,
        min_window: market.settings.min_window,
        asset: api.transport.asset(),
        token: market.settings.is_token().then_some(market.settings.asset),
        auction: api.transport.auction().map(|auction| auction.contract),
    }
}

/// The market alone: nobody is asked for it.
async fn market(State(api): State<Arc<Api>>) -> Json<MarketInfo> {
    Json(market_info(&api))
}

fn offered(offer: &Offer) -> OfferedResources {
    let Resources { cpu_millis, memory_bytes, disk_bytes, gpus } = offer.resources;
    OfferedResources { slots: offer.slots, cpu_millis, memory_bytes, disk_bytes, gpus }
}

/// Has a provider that had stopped lock jobs again.
async fn resume(State(api): State<Arc<Api>>) -> Result<Json<Resumed>, HttpError> {
    let (reply, answer) = oneshot::channel();
    if !api.inbox.send(Message::Resume { reply }).await {
        return Err(HttpError::unavailable("the daemon is ending"));
    }
    Ok(Json(answer.await.map_err(|_| HttpError::unavailable("the daemon is ending"))?))
}

async fn parties(State(api): State<Arc<Api>>) -> Result<Json<Vec<Party>>, HttpError> {
    let parties = api.store.announcements(MAX_PARTIES).await?;
    Ok(Json(parties.into_iter().map(|(address, url)| Party { address, url }).collect()))
}
