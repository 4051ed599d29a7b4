//! The page on which a notary looks at settled jobs, decides, and signs with its own wallet.
//!
//! Rendered on the server; the little JavaScript there is speaks to the wallet and keeps pages up to date, and all can be read without
//! it. The page knows nothing but what [`Desk`] tells it, and no key: votes are what a wallet signed (EIP-712).
//! What strangers wrote (evidence, files, names) is shown as text, and never served in a form that a browser would run.

mod assets;
mod download;
mod guard;
mod limits;
mod live;
mod page;
mod pages;
mod raster;
mod sessions;
mod settings;
mod sign_in;
mod site;
mod words;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post},
};
use lota_notary::desk::Desk;

pub use settings::{Clock, Readers, Settings, SettingsError};

use guard::Guard;
use site::Site;

/// The largest form that is read, in bytes: a reason of [`lota_notary::desk::MAX_REASON`], of which each byte may be three.
const MAX_BODY: usize = 32 * 1024;

/// The pages, to be served at the root of [`Settings`]' origin. Served with
/// `into_make_service_with_connect_info::<SocketAddr>()`, limits count for each client; otherwise for all together.
pub fn router(desk: Arc<dyn Desk>, settings: Settings) -> Router {
    router_beside(desk, settings, [])
}

/// The pages, and `others` beside them: under the same limits, and only under the origin's name, an address that is listened at or a name of
/// this machine. What is posted to those may name no origin, since programs do not.
pub fn router_beside(desk: Arc<dyn Desk>, settings: Settings, others: impl IntoIterator<Item = Router>) -> Router {
    let site = Arc::new(Site::new(desk, settings));
    let guard = Arc::new(Guard::new(Arc::clone(&site)));
    let all = others.into_iter().fold(pages(site), Router::merge);
    all.layer(middleware::from_fn_with_state(Arc::clone(&guard), guard::guard))
        .layer(middleware::from_fn_with_state(guard, guard::note_client))
}

fn pages(site: Arc<Site>) -> Router {
    Router::new()
        .route("/", get(pages::queue::open))
        .route("/history", get(pages::queue::over))
        .route("/next", get(pages::queue::next))
        .route("/jobs/{job}", get(pages::job::job))
        .route("/jobs/{job}/decide", get(pages::decide::form).post(pages::decide::preview))
        .route("/jobs/{job}/vote", post(pages::decide::vote))
        .route("/jobs/{job}/output", get(pages::output::browse))
        .route("/jobs/{job}/image", get(pages::output::image))
        .route("/jobs/{job}/file", get(pages::output::download))
        .route("/jobs/{job}/attestation", get(pages::job::attestation))
        .route("/allowance", get(pages::about::allowance))
        .route("/about", get(pages::about::about))
        .route("/audit", get(pages::audit::log))
        .route("/audit/check", get(pages::audit::check))
        .route("/audit/export", get(pages::audit::export))
        .route("/sign-in", get(pages::entry::form).post(pages::entry::sign_in))
        .route("/sign-in/message", post(pages::entry::message))
        .route("/sign-out", post(pages::entry::sign_out))
        .route("/sessions", get(pages::entry::sessions))
        .route("/sessions/end", post(pages::entry::end_session))
        .route("/session", get(pages::entry::is_signed_in))
        .route("/events", get(live::events))
        .route("/assets/{version}/{name}", get(assets::asset))
        .fallback(pages::not_found)
        .method_not_allowed_fallback(pages::wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(site.clone(), guard::of_page))
        .with_state(site)
}
