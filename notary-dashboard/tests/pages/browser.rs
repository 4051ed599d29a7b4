//! A browser as far as these tests need one: it keeps cookies, and sends what browsers send.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode, header},
};
use lota_bridge::{PrivateKeySigner, eip712};
use lota_market::{Address, B256};
use lota_notary_dashboard::{Clock, Readers, Settings, router};
use tower::ServiceExt as _;

use crate::fake::{FakeDesk, NOW};

pub(crate) const ORIGIN: &str = "https://notary.example";
pub(crate) const HOST: &str = "notary.example";

/// An answer.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Page {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("UTF-8")
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }

    /// The value of a hidden field.
    pub(crate) fn field(&self, name: &str) -> String {
        let text = self.text();
        let start = format!("name=\"{name}\" value=\"");
        let at = text.find(&start).unwrap_or_else(|| panic!("no field {name} in {text}")) + start.len();
        unescaped(text[at..].split('"').next().expect("an end"))
    }
}

pub(crate) fn unescaped(text: &str) -> String {
    text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// The page, its desk, and its clock.
pub(crate) struct Site {
    pub(crate) desk: Arc<FakeDesk>,
    pub(crate) router: Router,
    pub(crate) clock: Arc<AtomicI64>,
    pub(crate) stop: tokio_util::sync::CancellationToken,
}

impl Site {
    pub(crate) fn new(desk: FakeDesk, change: impl FnOnce(&mut Settings)) -> Self {
        let clock = Arc::new(AtomicI64::new(i64::try_from(NOW.0).expect("a time")));
        let mut settings = Settings::new(ORIGIN).expect("an origin");
        let hand = clock.clone();
        settings.clock = Clock::new(move || jiff::Timestamp::from_second(hand.load(Ordering::SeqCst)).expect("a time"));
        change(&mut settings);
        let desk = Arc::new(desk);
        Self { stop: settings.stop.clone(), router: router(desk.clone(), settings), desk, clock }
    }

    /// That everybody may read.
    pub(crate) fn public(desk: FakeDesk) -> Self {
        Self::new(desk, |settings| {
            settings.readers = Readers::Everybody;
            settings.reads_at_once = 100_000;
        })
    }

    pub(crate) fn wait(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn browser(&self) -> Browser<'_> {
        Browser { site: self, cookies: BTreeMap::new() }
    }

    /// A browser in which a key's account is signed in.
    pub(crate) async fn signed_in(&self, key: &PrivateKeySigner) -> Browser<'_> {
        let mut browser = self.browser();
        let page = browser.sign_in(key).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text());
        browser
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Page {
        let response = self.router.clone().oneshot(request).await.expect("an answer");
        let (head, body) = response.into_parts();
        let body = to_bytes(body, 64 * 1024 * 1024).await.expect("a body").to_vec();
        Page { status: head.status, headers: head.headers, body }
    }
}

#[derive(Clone)]
pub(crate) struct Browser<'a> {
    pub(crate) site: &'a Site,
    pub(crate) cookies: BTreeMap<String, String>,
}

impl Browser<'_> {
    pub(crate) fn cookie_header(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    async fn send(&mut self, mut request: Request<Body>) -> Page {
        let headers = request.headers_mut();
        headers.insert(header::HOST, HOST.parse().expect("a host"));
        if !self.cookies.is_empty() {
            headers.insert(header::COOKIE, self.cookie_header().parse().expect("cookies"));
        }
        let page = self.site.send(request).await;
        for set in page.headers.get_all(header::SET_COOKIE) {
            let set = set.to_str().expect("ASCII");
            let (name, rest) = set.split_once('=').expect("a cookie");
            let value = rest.split(';').next().expect("a value");
            if set.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        page
    }

    pub(crate) async fn get(&mut self, path: &str) -> Page {
        self.send(Request::get(path).body(Body::empty()).expect("a request")).await
    }

    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = Request::post(path)
            .header(header::ORIGIN, ORIGIN)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin");
        self.send(request.body(Body::from(body)).expect("a request")).await
    }

    /// Asks for the message to sign.
    pub(crate) async fn message(&mut self, account: Address) -> String {
        let page = self.post("/sign-in/message", &[("account", &account.to_string()), ("next", "/history")]).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text());
        page.field("message")
    }

    pub(crate) async fn sign_in(&mut self, key: &PrivateKeySigner) -> Page {
        let message = self.message(key.address()).await;
        let signature = sign_message(&message, key);
        self.post("/sign-in", &[("message", &message), ("signature", &signature), ("next", "/history")]).await
    }

    /// The token of this session's forms.
    pub(crate) async fn token(&mut self) -> String {
        self.get("/sessions").await.field("token")
    }
}

/// Signs a message, given in hex, as wallets do (EIP-191).
pub(crate) fn sign_message(hex_message: &str, key: &PrivateKeySigner) -> String {
    let bytes = hex::decode(hex_message).expect("hex");
    sign_digest(&alloy::primitives::eip191_hash_message(bytes), key)
}

pub(crate) fn sign_digest(digest: &B256, key: &PrivateKeySigner) -> String {
    eip712::sign(key, digest).expect("a signature").to_string()
}
