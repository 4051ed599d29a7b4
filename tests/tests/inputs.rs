//! Inputs at URLs and in a provider's directories, outputs kept elsewhere, and a node that is killed while it fetches.

#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "this is test code")]

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use futures::StreamExt as _;
use lota_api::{JobDetail, JobSummary, PublicationInfo, PublicationProgress, Verdict};
use lota_bridge::memory::Chain;
use lota_content::{
    Cid, DagScope, ImportOptions, Store, StoreOptions, Symlinks, car_export, cid_of_path, codec,
    gateway::{GatewayOptions, router},
    import_bytes, import_path, sha2_256,
};
use lota_market::{
    AttoFil,
    model::{Reason, Status},
    money::FIL,
};
use lota_node::{
    Node, NodeConfig, Parts,
    publisher::{Kubo, PinningService},
};
use lota_tests::{
    programs,
    world::{self, Party, asking, chain, key, spec},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

/// Serves these routes, and returns their URL.
async fn serve(routes: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

/// A provider with these settings, and a client.
struct Place {
    home: TempDir,
    _chain: Chain,
    _provider: Party,
    client: Party,
}

impl Place {
    async fn new(settings: impl FnOnce(&Path, NodeConfig) -> NodeConfig) -> Self {
        let (home, chain) = (TempDir::new().expect("a temporary folder"), chain(None));
        let config =
            NodeConfig { provider: Some(asking(AttoFil(FIL / 1000))), ..world::config("provider", home.path()) };
        let provider = Party::start(&chain, 2, settings(home.path(), config)).await;
        provider.deposit(AttoFil(10 * FIL)).await;
        let client = Party::start(&chain, 1, world::config("client", home.path())).await;
        Self { home, _chain: chain, _provider: provider, client }
    }

    async fn job(&self, program: Vec<u8>, inputs: Value) -> JobSummary {
        let module = self.client.add(&program).await;
        let mut spec = spec(&module);
        spec["inputs"] = inputs;
        self.client.request(spec, json!({ "lock_for": 8 })).await.expect("the job is opened")
    }

    /// Asserts that the job is done, and returns a file of its output.
    async fn done(&self, job: &JobSummary, file: &str) -> String {
        let detail = self.client.wait(job).await;
        assert_eq!((detail.summary.status, detail.summary.exit_code), (Status::Settled, Some(0)), "{detail:#?}");
        String::from_utf8(self.client.bytes(&format!("/v1/jobs/{}/output/{file}", job.id)).await).expect("UTF-8")
    }

    /// Asserts that the provider refuses a job, and returns why.
    async fn refused(&self, inputs: Value) -> String {
        let job = self.job(programs::says("never", 0), inputs).await;
        self.refusal(&job).await
    }

    /// Why the provider refuses this job.
    async fn refusal(&self, job: &JobSummary) -> String {
        let detail: JobDetail = self.client.wait(job).await;
        assert_eq!((detail.summary.status, detail.summary.reason), (Status::Cancelled, Reason::NotLocked));
        let refusal = detail.decisions.iter().find(|decision| decision.decision != Verdict::Silent);
        let reason = refusal.unwrap_or_else(|| panic!("nobody refused it: {:#?}", detail.decisions)).reason.clone();
        assert!(!reason.contains(self.home.path().to_str().expect("UTF-8")), "no path is told: {reason}");
        reason
    }
}

/// The CID that stands beside a URL.
fn raw(content: &[u8]) -> String {
    lota_content::cid_from_digest(codec::RAW, sha2_256(content)).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_at_a_url_is_read_if_it_has_its_digest() {
    let words = "words from the web\n".repeat(300_000);
    let routes = Router::new()
        .route(
            "/words.txt",
            get({
                let words = words.clone();
                move || async move { words }
            }),
        )
        .route("/moved", get(|| async { (StatusCode::FOUND, [("location", "/short.txt")]) }))
        .route("/short.txt", get(|| async { "short" }));
    let url = serve(routes).await;
    let place = Place::new(|_, config| NodeConfig { http_urls: true, max_fetch_bytes: 6_000_000, ..config }).await;
    let input =
        |path: &str, content: &[u8]| json!([{ "cid": raw(content), "url": format!("{url}{path}"), "path": "/in" }]);
    assert!(words.len() > 4 << 20, "more than any block has");
    let job = place.job(programs::prints("in"), input("/moved", b"short")).await;
    assert_eq!(place.done(&job, "stdout").await, "short");
    // Both in one job: what is large, and what gateways are asked for.
    let held = place.client.add(b"held").await;
    let both = json!([
        { "cid": raw(words.as_bytes()), "url": format!("{url}/words.txt"), "path": "/large" },
        { "cid": held.to_string(), "path": "/in" },
    ]);
    let job = place.job(programs::prints("in"), both).await;
    assert_eq!(place.done(&job, "stdout").await, "held");
    let reason = place.refused(input("/short.txt", b"other")).await;
    assert!(reason.contains("input 1: ") && reason.contains("gave 5 bytes with the sha2-256 digest"), "{reason}");
    let reason = place.refused(input("/nothing", b"other")).await;
    assert!(reason.contains("answers 404"), "{reason}");
    let twice = [words.as_bytes(), words.as_bytes()].concat();
    // The same of what gateways are asked for.
    let held = place.client.add(&twice).await;
    let reason = place.refused(json!([{ "cid": held.to_string() }])).await;
    assert!(reason.contains("input 1: ") && reason.contains("bytes: it says that it has 11"), "{reason}");
    let large = serve(Router::new().fallback(move || async move { twice })).await;
    let reason = place.refused(json!([{ "cid": raw(b"x"), "url": large }])).await;
    assert!(reason.contains("bytes: it says that it has 11400000"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_laid_out_is_refused_before_it_costs_the_collateral() {
    let place = Place::new(|_, config| config).await;
    let hostile = place.home.path().join("hostile");
    let name = "n".repeat(200);
    std::fs::create_dir_all((0..11).fold(hostile.join("deep"), |path, _| path.join(&name))).expect("made");
    std::fs::create_dir(hostile.join("link")).expect("made");
    std::os::unix::fs::symlink("/etc/passwd", hostile.join("link/passwd")).expect("a link");
    for (folder, why) in [("link", "passwd would be a symbolic link"), ("deep", "a path of 2211 bytes; at most 2048")] {
        let store = Store::open(place.home.path().join("scratch"), StoreOptions::default()).expect("a store");
        let options = ImportOptions { symlinks: Symlinks::Keep, ..ImportOptions::default() };
        let cid = import_path(&store, hostile.join(folder), &options).expect("an import").cid;
        let mut car = Vec::new();
        car_export(store, &cid, DagScope::All, 1_000, &mut car).await.expect("a CAR");
        place.client.add_car(&cid, car).await;
        let reason = place.refused(json!([{ "cid": cid.to_string() }])).await;
        assert!(reason.contains("input 1: ") && reason.contains(why), "{reason}");
    }
    // Nor could so many files be brought into the store in time.
    let module = place.client.add(&programs::says("never", 0)).await;
    let mut many = spec(&module);
    many["limits"]["entries"] = json!(100_001);
    let job = place.client.request(many, json!({ "lock_for": 8 })).await.expect("the job is opened");
    let reason = place.refusal(&job).await;
    assert!(reason.contains("100001 files and directories") && reason.contains("at most 100000"), "{reason}");
    // It goes on with what is well made.
    let cid = place.client.add(b"fine").await;
    let job = place.job(programs::prints("in"), json!([{ "cid": cid.to_string(), "path": "/in" }])).await;
    assert_eq!(place.done(&job, "stdout").await, "fine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_lies_is_left_for_another_and_the_job_is_done() {
    let (home, chain) = (TempDir::new().expect("a temporary folder"), chain(None));
    let content = Store::open(home.path().join("served"), StoreOptions::default()).expect("a store");
    let lies = Arc::new(AtomicBool::new(false));
    let liar = serve(Router::new().fallback({
        let lies = Arc::clone(&lies);
        move || {
            lies.store(true, Ordering::SeqCst);
            async { "something else" }
        }
    }))
    .await;
    // The client announces a gateway that lies; the operator knows another one.
    let honest = serve(router(content.clone(), GatewayOptions::default())).await;
    let offer = Some(asking(AttoFil(FIL / 1000)));
    let config = NodeConfig { provider: offer, gateways: vec![honest], ..world::config("provider", home.path()) };
    let provider = Party::start(&chain, 2, config).await;
    provider.deposit(AttoFil(10 * FIL)).await;
    let config = NodeConfig { gateway_url: Some(liar), ..world::config("client", home.path()) };
    let client = Party::start(&chain, 1, config).await;
    let module = client.add(&programs::prints("in")).await;
    let input = client.add(b"the truth").await;
    for bytes in [&programs::prints("in")[..], b"the truth"] {
        import_bytes(&content, bytes, &ImportOptions::default()).expect("imported");
    }
    let mut spec = spec(&module);
    spec["inputs"] = json!([{ "cid": input.to_string(), "path": "/in" }]);
    let job = client.request(spec, json!({ "lock_for": 3_600 })).await.expect("the job is opened");
    let events = async {
        loop {
            let detail: JobDetail = client.get(&format!("/v1/jobs/{}", job.id)).await.expect("the job");
            if detail.summary.status == Status::Settled {
                return detail;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let detail = tokio::time::timeout(Duration::from_secs(120), events).await.expect("it is settled");
    assert_eq!(detail.summary.exit_code, Some(0), "{detail:#?}");
    assert!(lies.load(Ordering::SeqCst), "the liar was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_is_asked_only_where_the_operator_allows_it() {
    let asked = Arc::new(AtomicBool::new(false));
    let url = serve(Router::new().fallback({
        let asked = Arc::clone(&asked);
        move || async move { asked.store(true, Ordering::Relaxed) }
    }))
    .await;
    let place = Place::new(|_, config| config).await;
    let input = json!([{ "cid": raw(b""), "url": url }]);
    let reason = place.refused(input).await;
    assert!(reason.contains("it is not encrypted: only https is asked"), "{reason}");
    let reason = place.refused(json!([{ "cid": raw(b""), "url": "https://no-such-host.invalid/x" }])).await;
    assert!(reason.contains("no-such-host.invalid"), "{reason}");
    assert!(!asked.load(Ordering::Relaxed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_the_providers_is_read_and_its_cid_is_in_the_result() {
    let outside = TempDir::new().expect("a folder");
    std::fs::write(outside.path().join("secret"), "secret").expect("written");
    let place = Place::new(|home, config| {
        for (name, text) in [("data/words", "of the provider"), ("linked/words", "x"), ("huge/words", "x")] {
            let file = home.join(name);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
            std::fs::write(file, text).expect("written");
        }
        std::os::unix::fs::symlink(outside.path(), home.join("linked/out")).expect("linked");
        std::fs::File::create(home.join("huge/zeros")).expect("made").set_len(7_000_000).expect("grown");
        // The operator may use a link.
        std::os::unix::fs::symlink(home.join("data"), home.join("by-link")).expect("linked");
        let named = |label: &str, dir: &str| (label.to_owned(), home.join(dir));
        let directories: BTreeMap<String, PathBuf> = [
            named("data", "by-link"),
            named("linked", "linked"),
            named("huge", "huge"),
            named("gone", "no such folder"),
        ]
        .into();
        NodeConfig { directories, max_fetch_bytes: 6_000_000, ..config }
    })
    .await;
    let job = place.job(programs::prints("data/words"), json!([{ "directory": "data", "path": "/data" }])).await;
    assert_eq!(place.done(&job, "stdout").await, "of the provider");
    let cid = cid_of_path(place.home.path().join("data"), &ImportOptions::default()).expect("a CID").cid;
    assert_eq!(place.done(&job, "directories").await, format!("0 data {cid}\n"));
    // It has changed, and so has the result.
    std::fs::write(place.home.path().join("data/words"), "changed").expect("written");
    let again = place.job(programs::prints("data/words"), json!([{ "directory": "data", "path": "/data" }])).await;
    assert_eq!(place.done(&again, "stdout").await, "changed");
    let now = cid_of_path(place.home.path().join("data"), &ImportOptions::default()).expect("a CID").cid;
    assert_eq!(place.done(&again, "directories").await, format!("0 data {now}\n"));
    for (label, expected) in [
        ("other", "this provider offers no directory `other`"),
        ("linked", "the directory `linked` holds a symbolic link, and links are not followed"),
        ("huge", "the directory `huge` has more than the"),
    ] {
        let reason = place.refused(json!([{ "directory": label }])).await;
        assert!(reason.contains(expected), "{reason} lacks {expected}");
    }
    let reason = place.refused(json!([{ "directory": "gone" }])).await;
    assert!(reason.contains("cannot be read now; its operator's log says why"), "{reason}");
}

/// A Kubo node and a pinning service that answer nothing until they are mended.
#[derive(Clone, Default)]
struct Elsewhere {
    mended: Arc<AtomicBool>,
    pins: Arc<Mutex<BTreeMap<String, u32>>>,
}

impl Elsewhere {
    fn routes(self) -> Router {
        let broken = async |State(this): State<Self>, request: Request, next: axum::middleware::Next| {
            if this.mended.load(Ordering::SeqCst) {
                next.run(request).await
            } else {
                // Whoever answers before it has heard all may break the pipe, which is another reason.
                axum::body::to_bytes(request.into_body(), usize::MAX).await.expect("all of it");
                StatusCode::BAD_GATEWAY.into_response()
            }
        };
        Router::new()
            .route("/api/v0/dag/import", post(Self::import))
            .route("/psa/pins", get(async || Json(json!({ "count": 0, "results": [] }))).post(Self::request))
            .route("/psa/pins/{id}", get(Self::status))
            .layer(axum::middleware::from_fn_with_state(self.clone(), broken))
            .with_state(self)
    }

    async fn import(request: Request) -> Response {
        let form = axum::body::to_bytes(request.into_body(), usize::MAX).await.expect("a form");
        let text = String::from_utf8_lossy(&form);
        let name = text.split("filename=\"").nth(1).and_then(|rest| rest.split(".car").next()).expect("a name");
        Json(json!({ "Root": { "Cid": { "/": name }, "PinErrorMsg": "" } })).into_response()
    }

    async fn request(State(this): State<Self>, Json(pin): Json<Value>) -> Response {
        let cid = pin["cid"].as_str().expect("a CID").to_owned();
        this.pins.lock().expect("pins").insert(cid.clone(), 0);
        this.answer(&cid)
    }

    async fn status(State(this): State<Self>, axum::extract::Path(id): axum::extract::Path<String>) -> Response {
        *this.pins.lock().expect("pins").get_mut(&id).expect("asked for") += 1;
        this.answer(&id)
    }

    /// The id of a request is its CID; it is pinned when it is looked at the second time.
    fn answer(&self, cid: &str) -> Response {
        let status = ["queued", "pinning", "pinned"][self.pins.lock().expect("pins")[cid].min(2) as usize];
        Json(json!({ "requestid": cid, "status": status, "pin": { "cid": cid } })).into_response()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn paying_waits_for_no_publisher_and_what_failed_is_made_good() {
    let (home, chain) = (TempDir::new().expect("a temporary folder"), chain(None));
    let elsewhere = Elsewhere::default();
    let url = serve(elsewhere.clone().routes()).await;
    let start = async || {
        let config =
            NodeConfig { provider: Some(asking(AttoFil(FIL / 1000))), ..world::config("provider", home.path()) };
        let transport: Arc<dyn lota_bridge::Transport> = Arc::new(chain.connect(key(2)));
        let mut parts = Parts::new(transport).with_executors(world::executors(4));
        parts.publishers = vec![
            Arc::new(Kubo::new(&url).expect("a URL")),
            Arc::new(PinningService::new(&format!("{url}/psa"), "token").expect("a URL")),
        ];
        Party::of(Node::start(config, parts).await.expect("it starts"), key(2).address())
    };
    let provider = start().await;
    provider.deposit(AttoFil(10 * FIL)).await;
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    let module = client.add(&programs::says("published", 0)).await;
    let job = client.request(spec(&module), json!({})).await.expect("the job is opened");
    assert_eq!(client.wait(&job).await.summary.status, Status::Settled, "although nobody else keeps it");
    let published = async |party: &Party, wanted: &dyn Fn(&[PublicationInfo]) -> bool| {
        let begun = Instant::now();
        loop {
            let detail: JobDetail = party.get(&format!("/v1/jobs/{}", job.id)).await.expect("the job");
            if wanted(&detail.published) {
                return detail.published;
            }
            assert!(begun.elapsed() < Duration::from_secs(120), "{:#?}", detail.published);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let found =
        published(&provider, &|found| found.len() == 3 && found[1..].iter().all(|one| one.reason.is_some())).await;
    let names: Vec<&str> = found.iter().map(|one| one.publisher.as_str()).collect();
    assert_eq!(names, ["gateway", "kubo", "pinning service"]);
    assert_eq!(found[0].state, PublicationProgress::Pinned);
    let served = reqwest_get(found[0].url.as_deref().expect("a URL")).await;
    assert_eq!(served, 200);
    for one in &found[1..] {
        assert_eq!(
            (one.state, one.reason.as_deref()),
            (PublicationProgress::Queued, Some("it answered 502 Bad Gateway"))
        );
    }
    // The next process goes on.
    provider.node.shutdown().await;
    elsewhere.mended.store(true, Ordering::SeqCst);
    let provider = start().await;
    let found = published(&provider, &|found| found.iter().all(|one| one.state == PublicationProgress::Pinned)).await;
    assert_eq!(found.len(), 3);
    let output = client.get::<JobDetail>(&format!("/v1/jobs/{}", job.id)).await.expect("the job").summary.output;
    assert_eq!(elsewhere.pins.lock().expect("pins").keys().collect::<Vec<_>>(), [&output.expect("an output")]);
    // Somebody wants it looked at; only whoever published it can.
    let route = format!("/v1/jobs/{}/publish", job.id);
    let looks = || elsewhere.pins.lock().expect("pins").values().sum::<u32>();
    let before = looks();
    assert_eq!(provider.post::<Vec<PublicationInfo>>(&route, &json!({})).await, Ok(found));
    let begun = Instant::now();
    while looks() == before {
        assert!(begun.elapsed() < Duration::from_secs(120), "nobody looked");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (status, refusal) = client.post::<Vec<PublicationInfo>>(&route, &json!({})).await.expect_err("not its output");
    assert_eq!((status, refusal["code"].as_str()), (409, Some("conflict")), "{refusal}");
}

async fn reqwest_get(url: &str) -> u16 {
    lota_http::client().get(url).send().await.expect("an answer").status().as_u16()
}

/// Where a process that is to be killed has its nodes.
const HOME: &str = "LOTA_KILL_TEST_HOME";
/// Where its inputs are served.
const GATEWAY: &str = "LOTA_KILL_TEST_GATEWAY";
/// What it runs, and on what.
const CIDS: &str = "LOTA_KILL_TEST_CIDS";

/// A market, a client that says that others serve its content, and a provider: until one job is settled.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the process that another test kills"]
async fn process() {
    let (Ok(home), Ok(gateway), Ok(cids)) = (std::env::var(HOME), std::env::var(GATEWAY), std::env::var(CIDS)) else {
        return;
    };
    let (home, (module, input)) = (PathBuf::from(home), cids.split_once(' ').expect("two"));
    let chain = chain(Some(&home.join("market")));
    let provider = Party::provider(&chain, 2, &home, asking(AttoFil(FIL / 1000))).await;
    let config = NodeConfig { gateway_url: Some(gateway), ..world::config("client", &home) };
    let client = Party::start(&chain, 1, config).await;
    let store = Store::open(home.join("own"), StoreOptions::default()).expect("a store");
    for (content, cid) in [(programs::prints("in/large"), module), (noise(), input)] {
        let imported = import_bytes(&store, &content, &ImportOptions::default()).expect("imported");
        assert_eq!(imported.cid.to_string(), cid);
        client.add(&content).await;
    }
    let mut spec = spec(&module.parse().expect("a CID"));
    spec["inputs"] = json!([{ "cid": input, "path": "/in/large" }]);
    spec["limits"]["output"] = json!(64 << 20);
    // So much fuel may take a slow machine longer than usual tests are given.
    (spec["limits"]["fuel"], spec["limits"]["wall"]) = (json!(1_000_000_000), json!(120));
    let request =
        json!({ "spec": spec, "terms": { "lock_for": 36_000, "run_for": 36_000 }, "idempotency_key": "the-job" });
    let job: JobSummary = client.post("/v1/jobs", &request).await.expect("it is opened, or was");
    let detail = client.wait(&job).await;
    assert_eq!((detail.summary.status, detail.summary.exit_code), (Status::Settled, Some(0)), "{detail:#?}");
    let events: Vec<&str> = detail.events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(events.iter().filter(|name| **name == "JobSettled").count(), 1, "{events:?}");
    provider.node.shutdown().await;
}

/// 60 chunks, all different.
fn noise() -> Vec<u8> {
    let mut state = 7_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(60 << 18).collect()
}

/// What a process said last.
fn said(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

/// The digests of the blocks in a folder.
fn stored(dir: &Path) -> HashSet<[u8; 32]> {
    let mut found = HashSet::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.extend(stored(&entry.path()));
        } else if entry.path().extension().is_some_and(|extension| extension == "data") {
            found.insert(sha2_256(&std::fs::read(entry.path()).expect("a block")));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_killed_while_it_fetches_goes_on_where_it_was() {
    let home = TempDir::new().expect("a folder");
    let content = Store::open(home.path().join("served"), StoreOptions::default()).expect("a store");
    let import = |bytes: &[u8]| import_bytes(&content, bytes, &ImportOptions::default()).expect("imported").cid;
    let (module, input) = (import(&programs::prints("in/large")), import(&noise()));
    // Some megabytes of the input come, and then no more until the process was killed.
    let killed = Arc::new(AtomicBool::new(false));
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let routes = router(content.clone(), GatewayOptions::default());
    let stingy = Router::new().fallback({
        let (killed, asked) = (Arc::clone(&killed), Arc::clone(&asked));
        move |request: Request| {
            let (routes, killed, asked) = (routes.clone(), Arc::clone(&killed), Arc::clone(&asked));
            async move {
                let path = request.uri().path().to_owned();
                asked.lock().expect("asked").push(path.clone());
                let (parts, body) = routes.oneshot(request).await.expect("an answer").into_parts();
                if killed.load(Ordering::SeqCst) || !path.ends_with(&input.to_string()) {
                    return Response::from_parts(parts, body);
                }
                let mut left = 6_usize << 20;
                let some = body.into_data_stream().map(move |piece| {
                    left = left.saturating_sub(piece.as_ref().map_or(0, bytes::Bytes::len));
                    (left, piece)
                });
                let some = some.take_while(|(left, _)| futures::future::ready(*left > 0)).map(|(_, piece)| piece);
                Response::from_parts(parts, Body::from_stream(some.chain(futures::stream::pending())))
            }
        }
    });
    let gateway = serve(stingy).await;
    let log = home.path().join("log");
    let run = || {
        let log = std::fs::File::options().create(true).append(true).open(&log).expect("a log");
        Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "process", "--ignored", "--nocapture"])
            .envs([
                (HOME, home.path().to_str().expect("UTF-8")),
                (GATEWAY, &gateway),
                (CIDS, &format!("{module} {input}")),
            ])
            .stdout(log.try_clone().expect("a handle"))
            .stderr(log)
            .spawn()
            .expect("it starts")
    };
    let blocks = home.path().join("provider-2/blocks/blocks");
    let mut first = run();
    let begun = Instant::now();
    while stored(&blocks).len() < 15 {
        let ended = first.try_wait().expect("it can be asked");
        assert!(ended.is_none(), "the process has ended by itself: {}", said(&log));
        assert!(begun.elapsed() < Duration::from_secs(240), "{} blocks have come", stored(&blocks).len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    first.kill().expect("it is killed");
    first.wait().expect("it has ended");
    let kept = stored(&blocks);
    killed.store(true, Ordering::SeqCst);
    asked.lock().expect("asked").clear();
    let mut second = run();
    let ended = loop {
        if let Some(ended) = second.try_wait().expect("it can be asked") {
            break ended;
        }
        if begun.elapsed() > Duration::from_secs(480) {
            second.kill().expect("it is killed");
            panic!("the job is not done: asked for {:?}", asked.lock().expect("asked"));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(ended.success(), "{ended}: the job is not done: {}", said(&log));
    let asked = asked.lock().expect("asked");
    assert!(!asked.is_empty());
    for path in asked.iter() {
        let Some(cid) = path.strip_prefix("/ipfs/").and_then(|cid| cid.parse::<Cid>().ok()) else { continue };
        let digest = lota_content::sha2_256_digest(&cid).expect("sha2-256");
        assert!(!kept.contains(&digest), "{cid} was there already");
    }
}
