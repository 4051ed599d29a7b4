//! The trustless gateway: a store's blocks over HTTP
//! (<https://specs.ipfs.tech/http-gateways/trustless-gateway/>, and of the path gateway what a
//! browser needs: files, ranges, directories).
//!
//! It serves what the store has and fetches nothing. Everything below `/ipfs/` is made by
//! strangers: responses carry `nosniff` and a sandboxing `Content-Security-Policy`, so that a page
//! stored here cannot act in the name of the gateway's origin.

mod body;
mod listing;
mod request;
mod respond;
mod slots;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use crate::serve::Connection;
use crate::store::Store;
use slots::Slots;

pub(crate) use request::{CAR_TYPE, RAW_TYPE};
pub use request::{Unsatisfiable, requested_range};

/// How a gateway serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayOptions {
    /// Most responses at once; further requests wait.
    pub max_requests: usize,
    /// Most of them for one address, where the server says who asks ([`crate::serve`]).
    pub max_requests_per_address: usize,
    /// A request that has waited for so long is answered with 503.
    pub queue_timeout: Duration,
    /// Most segments of a path behind the CID.
    pub max_path_segments: usize,
    /// Most blocks in one CAR; a longer one is cut off.
    pub max_car_blocks: usize,
    /// Entries on one page of a directory's listing.
    pub listing_page: usize,
    /// A client that takes nothing for this long is cut off.
    pub idle_timeout: Duration,
}

impl Default for GatewayOptions {
    /// 64 responses, 48 of them for one address, 15 s in the queue, 64 segments, a million blocks (256
    /// GiB in chunks of 256 KiB), pages of 1000 entries, one minute.
    fn default() -> Self {
        Self {
            max_requests: 64,
            max_requests_per_address: 48,
            queue_timeout: Duration::from_secs(15),
            max_path_segments: 64,
            max_car_blocks: 1 << 20,
            listing_page: 1000,
            idle_timeout: Duration::from_secs(60),
        }
    }
}

/// Routes `GET` and `HEAD` of `/ipfs/{cid}[/path]` to the blocks of `store`.
pub fn router(store: Store, options: GatewayOptions) -> Router {
    let gateway = Arc::new(Gateway { slots: Slots::new(&options), store, options });
    Router::new().route("/ipfs/{*path}", get(answer).fallback(refuse_method)).with_state(gateway)
}

struct Gateway {
    store: Store,
    options: GatewayOptions,
    slots: Arc<Slots>,
}

async fn answer(State(gateway): State<Arc<Gateway>>, asked: Request) -> Response {
    let (method, uri) = (asked.method(), asked.uri());
    let connection = asked.extensions().get::<Arc<Connection>>().cloned();
    let response = match request::parse(uri, asked.headers(), &gateway.options) {
        Ok(request) => match gateway.slots.take(connection).await {
            Some(slot) => respond::respond(&gateway, &request, *method == Method::HEAD, slot)
                .await
                .unwrap_or_else(respond::Refusal::into_response),
            None => busy(&gateway.options),
        },
        Err(refusal) => refusal.into_response(),
    };
    tracing::debug!(%method, path = uri.path(), status = response.status().as_u16(), "gateway");
    response
}

fn busy(options: &GatewayOptions) -> Response {
    let reason = format!("all {} responses of this gateway are in use; try again soon", options.max_requests);
    let refusal = respond::Refusal::new(StatusCode::SERVICE_UNAVAILABLE, reason);
    ([(header::RETRY_AFTER, "1")], refusal).into_response()
}

async fn refuse_method() -> Response {
    let refusal = respond::Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "content can only be read, with GET or HEAD");
    ([(header::ALLOW, "GET, HEAD")], refusal).into_response()
}

#[cfg(test)]
mod tests;
