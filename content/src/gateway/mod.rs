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

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::sync::Semaphore;

use crate::store::Store;

pub(crate) use request::{CAR_TYPE, RAW_TYPE};

/// How a gateway serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayOptions {
    /// Most responses at once; further requests are answered with 503.
    pub max_requests: usize,
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
    /// 64 responses, 64 segments, a million blocks (256 GiB in chunks of 256 KiB), pages of 1000
    /// entries, one minute.
    fn default() -> Self {
        Self {
            max_requests: 64,
            max_path_segments: 64,
            max_car_blocks: 1 << 20,
            listing_page: 1000,
            idle_timeout: Duration::from_secs(60),
        }
    }
}

/// Routes `GET` and `HEAD` of `/ipfs/{cid}[/path]` to the blocks of `store`.
pub fn router(store: Store, options: GatewayOptions) -> Router {
    let gateway = Arc::new(Gateway { permits: Arc::new(Semaphore::new(options.max_requests)), store, options });
    Router::new().route("/ipfs/{*path}", get(answer)).with_state(gateway)
}

struct Gateway {
    store: Store,
    options: GatewayOptions,
    permits: Arc<Semaphore>,
}

async fn answer(State(gateway): State<Arc<Gateway>>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let Ok(permit) = gateway.permits.clone().try_acquire_owned() else {
        let busy =
            format!("all {} responses of this gateway are in use; try again soon\n", gateway.options.max_requests);
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], busy).into_response();
    };
    let response = match request::parse(&uri, &headers, &gateway.options) {
        Ok(request) => respond::respond(&gateway, &request, method == Method::HEAD, permit)
            .await
            .unwrap_or_else(respond::Refusal::into_response),
        Err(refusal) => refusal.into_response(),
    };
    tracing::debug!(%method, path = uri.path(), status = response.status().as_u16(), "gateway");
    response
}

#[cfg(test)]
mod tests;
