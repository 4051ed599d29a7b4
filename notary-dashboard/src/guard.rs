//! What holds for each request and each answer: to whom it was sent, from where, how often, and what a browser may do with the answer.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use crate::{limits::Client, site::Site};

/// Only what this page itself serves, no inline script or style, no frame, no other origin.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
/// For what strangers wrote.
pub(crate) const SANDBOX: &str = "default-src 'none'; sandbox; frame-ancestors 'none'";

pub(crate) async fn guard(State(site): State<Arc<Site>>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
    let client = Client::of(peer);
    let mut response = match refusal(&site, client, &request) {
        None => {
            request.extensions_mut().insert(client);
            next.run(request).await
        }
        Some(refusal) => refusal,
    };
    protect(response.headers_mut(), site.settings.origin.is_https);
    response
}

fn refusal(site: &Site, client: Client, request: &Request) -> Option<Response> {
    let headers = request.headers();
    // A name of somebody else's that leads here (DNS rebinding) is not answered.
    let host = single(headers, &header::HOST).or_else(|| request.uri().authority().map(|authority| authority.as_str()));
    if !host.is_some_and(|host| host.eq_ignore_ascii_case(&site.settings.origin.authority)) {
        let text = format!("this page is at {}; it was asked for under another name\n", site.settings.origin.text);
        return Some((StatusCode::MISDIRECTED_REQUEST, text).into_response());
    }
    let posts = !matches!(*request.method(), Method::GET | Method::HEAD);
    let limit = if posts { &site.posts } else { &site.reads };
    if let Err(seconds) = limit.take(client, site.now()) {
        let text = format!("too many requests; wait {seconds} s\n");
        return Some(
            (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds.to_string())], text).into_response(),
        );
    }
    let fetch_site = single(headers, &HeaderName::from_static("sec-fetch-site"));
    let is_ours = single(headers, &header::ORIGIN) == Some(site.settings.origin.text.as_str())
        && matches!(fetch_site, None | Some("same-origin"));
    if posts && !is_ours {
        let text = "what is posted here must come from this page itself\n";
        return Some((StatusCode::FORBIDDEN, text).into_response());
    }
    None
}

/// A header that is there once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.to_str().ok())?
}

fn protect(headers: &mut HeaderMap, is_https: bool) {
    let mut unless_set = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    unless_set(header::CONTENT_SECURITY_POLICY, POLICY);
    unless_set(header::CACHE_CONTROL, "no-store");
    unless_set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    unless_set(header::X_FRAME_OPTIONS, "DENY");
    // Not `no-referrer`: with that, browsers send `Origin: null` with our own forms.
    unless_set(header::REFERRER_POLICY, "same-origin");
    unless_set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    unless_set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    unless_set(
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=(), clipboard-read=()",
    );
    if is_https {
        unless_set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
}
