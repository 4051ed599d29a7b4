//! Publishers against servers that behave, and servers that do not, over real HTTP.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use lota_content::{CarImportOptions, Cid, ImportOptions, Store, StoreOptions, car_import, dag_stat, import_bytes};
use serde_json::{Value, json};

use super::{Content, Kubo, PinningService, Progress, PublishError, Published, Publisher, Server};

/// Serves these routes, and returns their URL.
pub(crate) async fn serve(routes: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

/// Content of several blocks, and the folder that it is in.
pub(crate) fn content() -> (tempfile::TempDir, Content) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path().join("blocks"), StoreOptions::default()).expect("a store");
    let bytes: Vec<u8> = (0..900_000_u32).flat_map(|n| (n / 1_000).to_le_bytes()).collect();
    let cid = import_bytes(&store, &bytes, &ImportOptions::default()).expect("imported").cid;
    let gateway = "http://192.0.2.7:4001".parse().expect("a URL");
    (folder, Content { store, cid, name: "lota/0x01".to_owned(), gateway })
}

/// What a Kubo node has: its blocks, and its pins.
#[derive(Clone)]
pub(crate) struct FakeKubo {
    pub(crate) store: Store,
    pub(crate) pins: Arc<Mutex<Vec<String>>>,
}

impl FakeKubo {
    pub(crate) fn new(folder: &std::path::Path) -> Self {
        let store = Store::open(folder.join("kubo"), StoreOptions::default()).expect("a store");
        Self { store, pins: Arc::default() }
    }

    pub(crate) fn routes(self) -> Router {
        Router::new()
            .route("/api/v0/dag/import", post(import))
            .route("/api/v0/pin/rm", post(unpin))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(self)
    }
}

async fn import(
    State(kubo): State<FakeKubo>,
    Query(query): Query<BTreeMap<String, String>>,
    request: Request,
) -> Response {
    assert_eq!(query["pin-roots"], "true");
    let kind = request.headers()["content-type"].to_str().expect("text").to_owned();
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").expect("a form").to_owned();
    let form = axum::body::to_bytes(request.into_body(), usize::MAX).await.expect("the form");
    let start = form.windows(4).position(|window| window == b"\r\n\r\n").expect("a part's headers") + 4;
    assert!(form.starts_with(format!("--{boundary}\r\n").as_bytes()));
    let end = form.len() - format!("\r\n--{boundary}--\r\n").len();
    let imported = car_import(&kubo.store, &form[start..end], &CarImportOptions::default()).await.expect("a CAR");
    let [root] = imported.roots[..] else { panic!("one root") };
    dag_stat(&kubo.store, &root, 1_000_000).await.expect("all of it");
    kubo.pins.lock().expect("pins").push(root.to_string());
    format!("{}\n", json!({ "Root": { "Cid": { "/": root.to_string() }, "PinErrorMsg": "" } })).into_response()
}

async fn unpin(State(kubo): State<FakeKubo>, Query(query): Query<BTreeMap<String, String>>) -> Response {
    let mut pins = kubo.pins.lock().expect("pins");
    match pins.iter().position(|pin| *pin == query["arg"]) {
        Some(place) => {
            pins.remove(place);
            Json(json!({ "Pins": [query["arg"]] })).into_response()
        }
        None => {
            let error = json!({ "Message": "not pinned or pinned indirectly", "Code": 0, "Type": "error" });
            (StatusCode::INTERNAL_SERVER_ERROR, Json(error)).into_response()
        }
    }
}

#[tokio::test]
async fn kubo_has_all_blocks_and_the_pin() {
    let (folder, content) = content();
    let fake = FakeKubo::new(folder.path());
    let kubo = Kubo::new(&serve(fake.clone().routes()).await).expect("a URL");
    for _ in 0..2 {
        let published = kubo.publish(&content, None).await.expect("published");
        assert_eq!(published, Published { progress: Progress::Pinned, receipt: None });
    }
    assert_eq!(*fake.pins.lock().expect("pins"), vec![content.cid.to_string(); 2]);
    assert!(fake.store.has(&content.cid).expect("reads"));
    for _ in 0..3 {
        kubo.withdraw(&content.cid, None).await.expect("it is gone, or was not there");
    }
    assert!(fake.pins.lock().expect("pins").is_empty());
}

/// A body that never ends.
fn endless() -> Body {
    Body::from_stream(futures::stream::repeat_with(|| Ok::<_, std::io::Error>(bytes::Bytes::from(vec![b' '; 65_536]))))
}

#[tokio::test]
async fn what_kubo_answers_otherwise_is_a_failure_with_its_reason() {
    let (_folder, content) = content();
    let other = lota_content::cid_of_block(lota_content::codec::RAW, b"other");
    let cid = content.cid.to_string();
    let line =
        |root: &str, problem: &str| json!({ "Root": { "Cid": { "/": root }, "PinErrorMsg": problem } }).to_string();
    let answers: Vec<(Response, &str, bool)> = vec![
        (
            (StatusCode::INTERNAL_SERVER_ERROR, "disk full\u{1b}[2J").into_response(),
            "500 Internal Server Error: disk full[2J",
            true,
        ),
        ((StatusCode::UNAUTHORIZED, "no").into_response(), "answered 401 Unauthorized: no; look at its token", false),
        (StatusCode::NOT_FOUND.into_response(), "404", false),
        ((StatusCode::FOUND, [("location", "http://127.0.0.1:1/")]).into_response(), "302", false),
        (line(&cid, "no space left").into_response(), "did not pin it: no space left", true),
        (line(&other.to_string(), "").into_response(), "does not say that it pinned its root", true),
        (String::new().into_response(), "does not say that it pinned its root", true),
        ("<html>hello".into_response(), "is not understood: <html>hello", true),
        (
            json!({ "Message": "bad CAR", "Code": 0, "Type": "error" }).to_string().into_response(),
            "it says: bad CAR",
            true,
        ),
        (endless().into_response(), "with more than 262144 bytes", true),
    ];
    for (answer, expected, again) in answers {
        let answer = Arc::new(Mutex::new(Some(answer)));
        let routes = Router::new().fallback(move |request: Request| {
            let answer = answer.lock().expect("answer").take();
            async move {
                let _ = axum::body::to_bytes(request.into_body(), usize::MAX).await;
                answer.unwrap_or_else(|| StatusCode::GONE.into_response())
            }
        });
        let kubo = Kubo::new(&serve(routes).await).expect("a URL");
        let error = kubo.publish(&content, None).await.expect_err(expected);
        assert!(error.to_string().contains(expected), "{error} lacks {expected}");
        assert_eq!(matches!(error, PublishError::Temporary(_)), again, "{error}");
    }
    // It takes nothing, or answers nothing.
    for read in [false, true] {
        let routes = Router::new().fallback(move |request: Request| async move {
            if read {
                let _ = axum::body::to_bytes(request.into_body(), usize::MAX).await;
            }
            std::future::pending::<Response>().await
        });
        let kubo = Kubo::new(&serve(routes).await).expect("a URL").with_silence(Duration::from_millis(300));
        let error = kubo.publish(&content, None).await.expect_err("silence");
        assert!(error.to_string().contains("said nothing for 0.3 s"), "{error}");
    }
    let kubo = Kubo::new("http://127.0.0.1:1").expect("a URL");
    assert!(matches!(kubo.publish(&content, None).await, Err(PublishError::Temporary(_))));
    // What is not there cannot be sent.
    let kubo = Kubo::new(
        &serve(Router::new().fallback(|request: Request| async {
            axum::body::to_bytes(request.into_body(), usize::MAX).await.map(|_| ()).map_err(|_| StatusCode::BAD_REQUEST)
        }))
        .await,
    )
    .expect("a URL");
    let missing = Content { cid: other, ..content };
    let error = kubo.publish(&missing, None).await.expect_err("no such block").to_string();
    assert!(error.contains("is not available here"), "{error}");
}

/// A pinning service: what it was asked to keep, and how far that is.
#[derive(Clone, Default)]
pub(crate) struct FakeService {
    pub(crate) pins: Arc<Mutex<BTreeMap<String, (Value, &'static str)>>>,
}

pub(crate) const TOKEN: &str = "let-me-in";

impl FakeService {
    pub(crate) fn routes(self) -> Router {
        Router::new()
            .route("/psa/pins", get(find).post(request))
            .route("/psa/pins/{id}", get(status).delete(forget))
            .with_state(self)
    }

    fn answer(&self, id: &str) -> Response {
        match self.pins.lock().expect("pins").get(id) {
            Some((pin, status)) => Json(pin_status(id, pin, status)).into_response(),
            None => {
                let error = json!({ "error": { "reason": "NOT_FOUND", "details": "no such request" } });
                (StatusCode::NOT_FOUND, Json(error)).into_response()
            }
        }
    }

    pub(crate) fn set(&self, status: &'static str) {
        self.pins.lock().expect("pins").values_mut().for_each(|(_, now)| *now = status);
    }
}

fn pin_status(id: &str, pin: &Value, status: &str) -> Value {
    let info = if status == "failed" { json!({ "status_details": "no provider found" }) } else { Value::Null };
    json!({ "requestid": id, "status": status, "created": "2026-01-01T00:00:00Z", "pin": pin, "delegates": [], "info": info })
}

fn refused(headers: &HeaderMap) -> Option<Response> {
    let given = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let error = json!({ "error": { "reason": "UNAUTHORIZED", "details": "access token is missing or invalid" } });
    (given != format!("Bearer {TOKEN}")).then(|| (StatusCode::UNAUTHORIZED, Json(error)).into_response())
}

async fn request(State(service): State<FakeService>, headers: HeaderMap, Json(pin): Json<Value>) -> Response {
    if let Some(refusal) = refused(&headers) {
        return refusal;
    }
    let id = {
        let mut pins = service.pins.lock().expect("pins");
        let id = format!("request {}", pins.len() + 1);
        pins.insert(id.clone(), (pin, "queued"));
        id
    };
    (StatusCode::ACCEPTED, service.answer(&id)).into_response()
}

async fn find(
    State(service): State<FakeService>,
    headers: HeaderMap,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    if let Some(refusal) = refused(&headers) {
        return refusal;
    }
    let pins = service.pins.lock().expect("pins");
    let fits = |(pin, status): &(Value, &str)| {
        pin["cid"] == query["cid"]
            && pin["name"] == query["name"]
            && query["status"].split(',').any(|wanted| wanted == *status)
    };
    let found: Vec<Value> =
        pins.iter().filter(|(_, pin)| fits(pin)).map(|(id, (pin, status))| pin_status(id, pin, status)).collect();
    Json(json!({ "count": found.len(), "results": found })).into_response()
}

async fn status(State(service): State<FakeService>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    refused(&headers).unwrap_or_else(|| service.answer(&id))
}

async fn forget(State(service): State<FakeService>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    if let Some(refusal) = refused(&headers) {
        return refusal;
    }
    let gone = service.pins.lock().expect("pins").remove(&id);
    if gone.is_some() { StatusCode::ACCEPTED.into_response() } else { service.answer(&id) }
}

#[tokio::test]
async fn a_pinning_service_is_asked_once_and_followed() {
    let (_folder, content) = content();
    let fake = FakeService::default();
    let url = format!("{}/psa", serve(fake.clone().routes()).await);
    let service = PinningService::new(&url, TOKEN).expect("a URL");
    let first = service.publish(&content, None).await.expect("asked");
    assert_eq!(first, Published { progress: Progress::Queued, receipt: Some("request 1".to_owned()) });
    let (pin, _) = fake.pins.lock().expect("pins")["request 1"].clone();
    assert_eq!(pin["origins"], json!(["/ip4/192.0.2.7/tcp/4001/http"]));
    assert_eq!((pin["cid"].as_str(), pin["name"].as_str()), (Some(&*content.cid.to_string()), Some("lota/0x01")));
    // The answer was lost: the request is found again.
    assert_eq!(service.publish(&content, None).await.expect("found"), first);
    for (status, progress) in [("pinning", Progress::Pinning), ("pinned", Progress::Pinned)] {
        fake.set(status);
        let published = service.publish(&content, first.receipt.as_deref()).await.expect("followed");
        assert_eq!((published.progress, published.receipt), (progress, first.receipt.clone()));
    }
    assert_eq!(fake.pins.lock().expect("pins").len(), 1);
    // What failed is asked for anew.
    fake.set("failed");
    let failed = service.publish(&content, first.receipt.as_deref()).await;
    assert_eq!(failed, Err(PublishError::GivenUp("pinning failed: no provider found".to_owned())));
    let second = service.publish(&content, None).await.expect("asked anew");
    assert_eq!(second.receipt.as_deref(), Some("request 2"));
    for _ in 0..2 {
        service.withdraw(&content.cid, second.receipt.as_deref()).await.expect("withdrawn");
    }
    service.withdraw(&content.cid, None).await.expect("nothing to do");
    let forgotten = service.publish(&content, second.receipt.as_deref()).await;
    assert!(matches!(forgotten, Err(PublishError::GivenUp(_))), "{forgotten:?}");
}

#[tokio::test]
async fn what_a_pinning_service_answers_otherwise_is_a_failure_with_its_reason() {
    let (_folder, content) = content();
    let fake = FakeService::default();
    let url = format!("{}/psa", serve(fake.clone().routes()).await);
    let stranger = PinningService::new(&url, "wrong").expect("a URL");
    let error = stranger.publish(&content, None).await.expect_err("no account");
    assert!(matches!(error, PublishError::Refused(_)), "{error}");
    for part in ["401", "access token is missing or invalid", "look at its token"] {
        assert!(error.to_string().contains(part), "{error} lacks {part}");
    }
    assert!(!error.to_string().contains("wrong"), "the token is told to nobody: {error}");
    let other: Cid = lota_content::cid_of_block(lota_content::codec::RAW, b"other");
    let status = |id: &str, status: &str, cid: &Cid| {
        Json(pin_status(id, &json!({ "cid": cid.to_string() }), status)).into_response()
    };
    let cases: Vec<(Response, &str)> = vec![
        ((StatusCode::INTERNAL_SERVER_ERROR, "oops").into_response(), "500 Internal Server Error: oops"),
        (status("x", "pinned", &other), "about other content"),
        (status("x", "perhaps", &content.cid), "its status `perhaps` is unknown"),
        (status("", "pinned", &content.cid), "is empty or too long"),
        (status(&"x".repeat(257), "pinned", &content.cid), "is empty or too long"),
        (Json(json!({ "pinned": false })).into_response(), "is not understood"),
        (endless().into_response(), "with more than 262144 bytes"),
        ((StatusCode::TOO_MANY_REQUESTS, "slowly").into_response(), "429"),
    ];
    for (answer, expected) in cases {
        let answer = Arc::new(Mutex::new(Some(answer)));
        let routes = Router::new().fallback(move || {
            let answer = answer.lock().expect("answer").take();
            async move { answer.unwrap_or_else(|| StatusCode::GONE.into_response()) }
        });
        let service = PinningService::new(&serve(routes).await, TOKEN).expect("a URL");
        let error = service.publish(&content, Some("x")).await.expect_err(expected);
        assert!(error.to_string().contains(expected), "{error} lacks {expected}");
        assert!(!matches!(error, PublishError::Refused(_)), "{error}");
    }
    let silent = Router::new().fallback(std::future::pending::<()>);
    let service =
        PinningService::new(&serve(silent).await, TOKEN).expect("a URL").with_silence(Duration::from_millis(200));
    let error = service.publish(&content, None).await.expect_err("silence").to_string();
    assert!(error.contains("said nothing for 0.2 s"), "{error}");
}

#[test]
fn a_server_is_named_by_a_plain_url() {
    for (url, part) in [
        ("localhost:5001", "begins neither"),
        ("ftp://localhost", "begins neither"),
        ("hello", "relative URL"),
        ("http://me:secret@localhost", "`http://...@localhost` is not"),
        ("http://me:secret@localhost", "carries a user name"),
        ("http://me:se?secret@localhost", "`http://...@localhost` is not"),
        ("me:secret@localhost:5001", "`...@localhost:5001` is not"),
        ("http://localhost/?x", "carries a user name"),
        ("https://localhost/psa?token=secret", "`https://localhost/psa` is not"),
        ("https://localhost/psa?token=secret@x", "`https://...@x` is not"),
        ("https://localhost/#secret", "`https://localhost/` is not"),
    ] {
        let error = Server::new(url, "Kubo's RPC", None).err().expect(url).to_string();
        assert!(error.contains(part) && !error.contains("secret"), "{error}");
    }
    // A token is told to this server alone.
    for (url, good) in [
        ("http://service.example/psa", false),
        ("http://192.0.2.1/psa", false),
        ("http://localhost.example", false),
        ("https://service.example/psa", true),
        ("http://127.0.0.1:5001", true),
        ("http://[::1]:5001", true),
        ("http://localhost:5001", true),
    ] {
        assert_eq!(Server::new(url, "it", Some("token")).is_ok(), good, "{url}");
        assert!(Server::new(url, "it", None).is_ok(), "{url}");
    }
    assert!(Server::new("http://localhost", "it", Some("a\nb")).is_err());
    let server = Server::new("https://service.example/psa/", "it", None).expect("a URL");
    assert_eq!(server.url("pins").expect("a URL").as_str(), "https://service.example/psa/pins");
}
