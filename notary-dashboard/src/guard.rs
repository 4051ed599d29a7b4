//! What holds for each request and each answer: to whom it was sent, from where, how often, and what a browser may do with the answer.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use lota_notary::http::Client;

use crate::{limits::Limit, settings::Origin, site::Site};

/// Only what this page itself serves, no inline script or style, no frame, no other origin.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
/// For what strangers wrote.
pub(crate) const SANDBOX: &str = "default-src 'none'; sandbox; frame-ancestors 'none'";

/// What is the same for all that is served at an origin, pages or not.
pub(crate) struct Guard {
    origin: Origin,
    listening: Option<SocketAddr>,
    reads: Limit,
    posts: Limit,
    site: Arc<Site>,
}

impl Guard {
    pub(crate) fn new(site: Arc<Site>) -> Self {
        let settings = &site.settings;
        Self {
            origin: settings.origin.clone(),
            listening: settings.listening,
            reads: Limit::new(settings.reads_per_second.saturating_mul(60), settings.reads_at_once),
            posts: Limit::new(settings.posts_per_minute, settings.posts_at_once),
            site,
        }
    }

    fn refusal(&self, client: Client, request: &Request) -> Option<Response> {
        if !host(request).is_some_and(|host| self.is_ours(host)) {
            return Some(misdirected(&self.origin));
        }
        let posts = posts(request);
        let limit = if posts { &self.posts } else { &self.reads };
        if let Err(seconds) = limit.take(self.site.asker(request.headers(), client), self.site.now()) {
            let text = format!("too many requests; wait {seconds} s\n");
            return Some(
                (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds.to_string())], text).into_response(),
            );
        }
        // Programs name no origin; a browser does, and another site's has nothing to post here.
        let names_another = request.headers().contains_key(header::ORIGIN) && !names(request, &self.origin);
        (posts && (names_another || !is_of_this_site(request.headers()))).then(foreign)
    }

    /// Whether a name is one of this server's: no name that somebody else made to lead here (DNS rebinding) is the origin's, one of this
    /// machine's, or an address.
    fn is_ours(&self, host: &str) -> bool {
        if host.eq_ignore_ascii_case(&self.origin.authority) {
            return true;
        }
        let Ok(authority) = host.parse::<Authority>() else { return false };
        if host.contains('@') {
            return false;
        }
        let name = authority.host().to_ascii_lowercase();
        if name == "localhost" || name.ends_with(".localhost") {
            return true;
        }
        let Ok(address) = name.trim_matches(['[', ']']).parse::<IpAddr>() else { return false };
        let listens = |listening: SocketAddr| listening.ip().is_unspecified() || listening.ip() == address;
        address.is_loopback() || self.listening.is_some_and(listens)
    }
}

/// Around even that: for whom a proxy asks.
pub(crate) async fn note_client(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let headers = request.headers().clone();
    guard.site.settings.proxies.note(&headers, request.extensions_mut());
    next.run(request).await
}

/// Around all that is served.
pub(crate) async fn guard(State(guard): State<Arc<Guard>>, client: Client, request: Request, next: Next) -> Response {
    let mut response = match guard.refusal(client, &request) {
        None => next.run(request).await,
        Some(refusal) => refusal,
    };
    protect(response.headers_mut(), guard.origin.is_https);
    response
}

/// Around the pages: they are of one origin, and what is posted to them comes from one of them.
pub(crate) async fn of_page(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let origin = &site.settings.origin;
    if !host(&request).is_some_and(|host| host.eq_ignore_ascii_case(&origin.authority)) {
        return misdirected(origin);
    }
    if posts(&request) && !names(&request, origin) {
        return foreign();
    }
    next.run(request).await
}

fn host(request: &Request) -> Option<&str> {
    let named = single(request.headers(), &header::HOST);
    named.or_else(|| request.uri().authority().map(Authority::as_str))
}

fn posts(request: &Request) -> bool {
    !matches!(*request.method(), Method::GET | Method::HEAD)
}

fn names(request: &Request, origin: &Origin) -> bool {
    single(request.headers(), &header::ORIGIN) == Some(origin.text.as_str())
}

fn is_of_this_site(headers: &HeaderMap) -> bool {
    let name = HeaderName::from_static("sec-fetch-site");
    !headers.contains_key(&name) || single(headers, &name) == Some("same-origin")
}

fn misdirected(origin: &Origin) -> Response {
    let text = format!("this page is at {}; it was asked for under another name\n", origin.text);
    (StatusCode::MISDIRECTED_REQUEST, text).into_response()
}

fn foreign() -> Response {
    (StatusCode::FORBIDDEN, "what is posted here must come from this page itself\n").into_response()
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
