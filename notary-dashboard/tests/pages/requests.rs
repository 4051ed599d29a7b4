//! What holds for each request and each answer.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{Request, StatusCode, header},
    routing::post,
};
use lota_market::model::JobId;
use lota_notary::{
    desk::{Change, DeskError, Stage},
    http,
};
use lota_notary_dashboard::{Readers, Settings, router_beside};
use tower::ServiceExt as _;

use crate::{
    browser::{HOST, ORIGIN, Site},
    fake::{FakeDesk, key},
};

fn paths(site: &Site) -> Vec<String> {
    let (voting, over) = (site.desk.job(Stage::Voting), site.desk.job(Stage::Granted));
    let mut paths: Vec<String> = [
        "/",
        "/history",
        "/allowance",
        "/about",
        "/audit",
        "/audit/check",
        "/audit/export",
        "/sign-in",
        "/sessions",
        "/session",
    ]
    .map(str::to_owned)
    .into();
    paths.extend(
        ["", "/decide", "/output", "/output?path=counts.csv", "/image?path=plot.png", "/file?path=log.txt"]
            .map(|rest| format!("/jobs/{voting}{rest}")),
    );
    paths.extend([
        format!("/jobs/{over}/attestation"),
        "/nothing".into(),
        "/jobs/0x12".into(),
        "/assets/x/page.js".into(),
    ]);
    paths.push(format!("/?after={}", JobId::default()));
    paths
}

#[tokio::test]
async fn every_answer_tells_browsers_to_run_nothing_and_to_load_nothing_from_elsewhere() {
    let site = Site::public(FakeDesk::new());
    let mut notary = site.signed_in(&key(1)).await;
    let mut answers = vec![];
    for path in paths(&site) {
        answers.push((path.clone(), notary.get(&path).await));
        answers.push((format!("stranger {path}"), site.browser().get(&path).await));
    }
    answers.push(("a wrong method".into(), notary.post("/about", &[]).await));
    let wrong_host = Request::get("/").header(header::HOST, "evil.example").body(Body::empty()).unwrap();
    answers.push(("a wrong host".into(), site.send(wrong_host).await));
    answers.push(("no field".into(), notary.post("/sign-in", &[]).await));
    site.desk.state().fails = Some(DeskError::Unavailable("the chain is away".into()));
    answers.push(("no desk".into(), notary.get("/").await));
    for (name, answer) in &answers {
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; "), "{name}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{name}: {policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("http") && !policy.contains('*'), "{name}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{name}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{name}");
        assert_eq!(answer.header("referrer-policy"), "same-origin", "{name}");
        assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin", "{name}");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin", "{name}");
        assert_eq!(answer.header("strict-transport-security"), "max-age=31536000", "{name}");
        assert_eq!(answer.header("cache-control"), "no-store", "{name}");
        if answer.header("content-type").starts_with("text/html") {
            let page = answer.text();
            for inline in ["<style", " style=", " onclick", "javascript:", "<script>", "http://", "https://"] {
                assert!(!page.contains(inline), "{name}: {inline} in {page}");
            }
            assert_eq!(page.matches("<script").count(), 1, "{name}");
            for landmark in ["<html lang=\"en\">", "<main", "<nav", "<h1", "class=\"skip\"", "<title>"] {
                assert!(page.contains(landmark), "{name}: {landmark}");
            }
            assert_eq!(page.matches("<h1").count(), 1, "{name}");
        }
    }
    assert!(answers.iter().filter(|(_, answer)| answer.status == StatusCode::OK).count() > 25);
    assert!(answers.last().is_some_and(|(_, answer)| answer.text().contains("the chain is away")));
}

#[tokio::test]
async fn a_name_that_is_made_to_lead_here_is_not_answered() {
    let site = Site::public(FakeDesk::new());
    for (host, status) in [
        (Some(HOST), StatusCode::OK),
        (Some("Notary.Example"), StatusCode::OK),
        (Some("evil.example"), StatusCode::MISDIRECTED_REQUEST),
        (Some("notary.example.evil.example"), StatusCode::MISDIRECTED_REQUEST),
        (Some("notary.example:8080"), StatusCode::MISDIRECTED_REQUEST),
        (Some("127.0.0.1"), StatusCode::MISDIRECTED_REQUEST),
        (Some(""), StatusCode::MISDIRECTED_REQUEST),
        (None, StatusCode::MISDIRECTED_REQUEST),
    ] {
        let mut request = Request::get("/");
        if let Some(host) = host {
            request = request.header(header::HOST, host);
        }
        let answer = site.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, status, "{host:?}");
    }
    let doubled = Request::get("/").header(header::HOST, HOST).header(header::HOST, "evil.example");
    assert_eq!(site.send(doubled.body(Body::empty()).unwrap()).await.status, StatusCode::MISDIRECTED_REQUEST);
}

/// The pages with the API and a place for another notary's answers beside them.
fn beside() -> Router {
    let mut settings = Settings::new(ORIGIN).expect("an origin");
    settings.listening = Some(SocketAddr::from(([192, 168, 1, 5], 8_649)));
    (settings.posts_at_once, settings.posts_per_minute) = (12, 1);
    let desk = Arc::new(FakeDesk::new());
    let api = http::router(desk.clone(), settings.stop.clone());
    let answers = Router::new().route("/api/v1/other-notary/answers", post(async || StatusCode::NO_CONTENT));
    router_beside(desk, settings, [api, answers])
}

#[tokio::test]
async fn what_is_served_beside_the_pages_is_asked_for_under_no_name_that_was_made_to_lead_here() {
    let router = beside();
    let ask = |host: Option<&str>, path: &str| {
        let mut request = Request::get(path);
        if let Some(host) = host {
            request = request.header(header::HOST, host);
        }
        router.clone().oneshot(request.body(Body::empty()).unwrap())
    };
    let ours = [
        HOST,
        "192.168.1.5:8649",
        "192.168.1.5",
        "127.0.0.1:8649",
        "127.0.0.1:9",
        "localhost:8649",
        "LocalHost",
        "a.localhost",
        "[::1]:8649",
    ];
    for host in ours {
        let answer = ask(Some(host), "/api/v1/about").await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{host}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers()["cross-origin-resource-policy"], "same-origin");
        // The pages are of one origin: their sign-in and their cookies name it.
        let expected = if host == HOST { StatusCode::UNAUTHORIZED } else { StatusCode::MISDIRECTED_REQUEST };
        assert_eq!(ask(Some(host), "/").await.unwrap().status(), expected, "{host}");
    }
    for host in [
        None,
        Some(""),
        Some("evil.example"),
        Some("evil.example:8649"),
        Some("notary.example.evil.example"),
        Some("localhost.evil.example"),
        Some("127.0.0.1.evil.example"),
        Some("evil.example@127.0.0.1"),
        Some("192.168.1.6:8649"),
        Some("8.8.8.8"),
    ] {
        for path in ["/api/v1/about", "/api/v1/audit-log/export", "/api/v1/changes", "/"] {
            let answer = ask(host, path).await.unwrap();
            assert_eq!(answer.status(), StatusCode::MISDIRECTED_REQUEST, "{host:?} {path}");
        }
    }
}

#[tokio::test]
async fn programs_post_beside_the_pages_and_other_sites_do_not_and_nobody_often() {
    let router = beside();
    let answer = |client: u8, named: &'static [(&'static str, &'static str)]| {
        let mut request = Request::post("/api/v1/other-notary/answers").header(header::HOST, HOST);
        for (name, value) in named {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::from("{}")).unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([10, 0, 0, client], 1))));
        let answer = router.clone().oneshot(request);
        async move { answer.await.unwrap().status() }
    };
    assert_eq!(answer(1, &[]).await, StatusCode::NO_CONTENT);
    assert_eq!(answer(1, &[("origin", ORIGIN), ("sec-fetch-site", "same-origin")]).await, StatusCode::NO_CONTENT);
    let others: [&[_]; 5] = [
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", ORIGIN), ("origin", "https://evil.example")],
        &[("sec-fetch-site", "cross-site")],
        &[("origin", ORIGIN), ("sec-fetch-site", "same-site")],
    ];
    for named in others {
        assert_eq!(answer(1, named).await, StatusCode::FORBIDDEN, "{named:?}");
    }
    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(answer(1, &[]).await);
    }
    assert_eq!(statuses.last(), Some(&StatusCode::TOO_MANY_REQUESTS), "{statuses:?}");
    assert_eq!(answer(2, &[]).await, StatusCode::NO_CONTENT, "of another's");
}

#[tokio::test]
async fn an_export_of_the_log_is_one_of_a_client_at_a_time() {
    let site = Site::public(FakeDesk::new());
    for _ in 0..3_000 {
        lota_notary::desk::Desk::note(&*site.desk, "somebody", "wrote", &"x".repeat(200)).await.unwrap();
    }
    let export = || {
        let request = Request::get("/audit/export").header(header::HOST, HOST).body(Body::empty()).unwrap();
        site.router.clone().oneshot(request)
    };
    let first = export().await.unwrap();
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(export().await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    let body = axum::body::to_bytes(first.into_body(), 1 << 30).await.unwrap();
    assert_eq!(body.iter().filter(|byte| **byte == b'\n').count() as u64, site.desk.state().head.entries);
    while export().await.unwrap().status() != StatusCode::OK {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_another_site_posts_is_refused() {
    let site = Site::public(FakeDesk::new());
    let mut notary = site.signed_in(&key(1)).await;
    let token = notary.token().await;
    for (origin, fetch_site, status) in [
        (Some(ORIGIN), Some("same-origin"), StatusCode::SEE_OTHER),
        (Some("https://evil.example"), None, StatusCode::FORBIDDEN),
        (Some("http://notary.example"), None, StatusCode::FORBIDDEN),
        (Some("https://notary.example.evil.example"), None, StatusCode::FORBIDDEN),
        (Some("null"), None, StatusCode::FORBIDDEN),
        (None, None, StatusCode::FORBIDDEN),
        (Some(ORIGIN), Some("cross-site"), StatusCode::FORBIDDEN),
        (Some(ORIGIN), Some("same-site"), StatusCode::FORBIDDEN),
    ] {
        let mut request = Request::post("/sessions/end")
            .header(header::HOST, HOST)
            .header(header::COOKIE, notary.cookie_header())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(origin) = origin {
            request = request.header(header::ORIGIN, origin);
        }
        if let Some(fetch_site) = fetch_site {
            request = request.header("sec-fetch-site", fetch_site);
        }
        let body = Body::from(format!("token={token}&which=99"));
        assert_eq!(site.send(request.body(body).unwrap()).await.status, status, "{origin:?} {fetch_site:?}");
    }
    // Nor does a form without this session's token do anything.
    for wrong in ["", "0", &"0".repeat(64)] {
        assert_eq!(notary.post("/sign-out", &[("token", wrong)]).await.status, StatusCode::FORBIDDEN);
    }
    let others = site.signed_in(&key(2)).await.token().await;
    assert_eq!(notary.post("/sign-out", &[("token", &others)]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(notary.get("/sessions").await.field("token"), token, "it is still signed in");
}

#[tokio::test]
async fn who_asks_too_often_or_sends_too_much_is_told_so() {
    let site = Site::new(FakeDesk::new(), |settings| {
        settings.readers = Readers::Everybody;
        (settings.reads_per_second, settings.reads_at_once) = (1, 5);
        (settings.posts_per_minute, settings.posts_at_once) = (60, 3);
    });
    let mut browser = site.browser();
    for _ in 0..5 {
        assert_eq!(browser.get("/about").await.status, StatusCode::OK);
    }
    let answer = browser.get("/about").await;
    assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "1"));
    let long = "x".repeat(40_000);
    assert_eq!(browser.post("/sign-in", &[("message", &long)]).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    for _ in 0..2 {
        browser.post("/sign-in", &[]).await;
    }
    assert_eq!(browser.post("/sign-in", &[]).await.status, StatusCode::TOO_MANY_REQUESTS);
    site.wait(1);
    assert_eq!(browser.get("/about").await.status, StatusCode::OK);
}

#[tokio::test]
async fn assets_are_named_by_their_content_and_compressed() {
    let site = Site::public(FakeDesk::new());
    let page = site.browser().get("/about").await.text();
    let start = page.find("/assets/").expect("an asset");
    let path = page[start..].split('"').next().unwrap().replace("icon.svg", "page.js");
    let ask = |coding: &'static str| {
        Request::get(&path)
            .header(header::HOST, HOST)
            .header(header::ACCEPT_ENCODING, coding)
            .body(Body::empty())
            .unwrap()
    };
    let plain = site.send(ask("identity")).await;
    let packed = site.send(ask("br, gzip;q=0.8")).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert_eq!(plain.header("content-encoding"), "");
    assert!(packed.body.len() * 2 < plain.body.len());
    let mut unpacked = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed.body[..]), &mut unpacked).expect("gzip");
    assert_eq!(unpacked, plain.body);
    assert!(plain.header("cache-control").contains("immutable"));
    assert_eq!(plain.header("content-type"), "text/javascript; charset=utf-8");
}

#[tokio::test]
async fn streams_of_changes_are_few_and_end_with_the_session() {
    use futures::StreamExt as _;
    use tower::ServiceExt as _;
    let site = Site::new(FakeDesk::new(), |settings| {
        settings.max_streams = 5;
        settings.reads_at_once = 1_000;
    });
    let mut notary = site.signed_in(&key(1)).await;
    let ask = || {
        let request = Request::get("/events").header(header::HOST, HOST).header(header::COOKIE, notary.cookie_header());
        site.router.clone().oneshot(request.body(Body::empty()).unwrap())
    };
    let stranger = Request::get("/events").header(header::HOST, HOST).body(Body::empty()).unwrap();
    assert_eq!(site.send(stranger).await.status, StatusCode::UNAUTHORIZED);
    let mut streams = vec![];
    for _ in 0..3 {
        let answer = ask().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        streams.push(answer.into_body().into_data_stream());
    }
    assert_eq!(ask().await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    streams.pop();
    let answer = ask().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "a place that was left is free");
    drop(answer);
    let hello = streams[0].next().await.expect("an answer at once").expect("bytes");
    assert_eq!(String::from_utf8_lossy(&hello), ": connected\n\n");
    let job = site.desk.settle_another();
    let data = streams[0].next().await.expect("an event").expect("bytes");
    assert_eq!(String::from_utf8_lossy(&data), format!("event: change\ndata: job {job}\n\n"));
    // More changes than the desk keeps: the page is told to look at everything.
    for _ in 0..100 {
        site.desk.changed(Change::About);
    }
    let data = streams[0].next().await.expect("an event").expect("bytes");
    assert!(String::from_utf8_lossy(&data).contains("data: all"), "{data:?}");
    let token = notary.token().await;
    notary.post("/sign-out", &[("token", &token)]).await;
    site.desk.changed(Change::About);
    assert!(streams[0].next().await.is_none(), "who is signed out hears nothing more");
    let other = site.signed_in(&key(2)).await;
    let request = Request::get("/events").header(header::HOST, HOST).header(header::COOKIE, other.cookie_header());
    let answer = site.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let mut stream = answer.into_body().into_data_stream();
    assert!(stream.next().await.is_some_and(|hello| hello.is_ok()));
    site.stop.cancel();
    assert!(stream.next().await.is_none(), "nobody keeps the server from stopping");
}

#[tokio::test]
async fn behind_a_proxy_strangers_take_nothing_from_notaries_or_from_each_other() {
    use lota_notary::http::Proxies;
    let site = Site::new(FakeDesk::new(), |settings| {
        settings.readers = Readers::Everybody;
        settings.proxies = Proxies::new([[10, 0, 0, 1].into()]);
        (settings.reads_per_second, settings.reads_at_once, settings.max_streams) = (1, 30, 4);
    });
    let notary = site.signed_in(&key(1)).await;
    let ask = |path: &'static str, peer: u8, named: &'static str, cookies: Option<String>| {
        let mut request = Request::get(path).header(header::HOST, HOST);
        if !named.is_empty() {
            request = request.header("x-forwarded-for", named);
        }
        if let Some(cookies) = cookies {
            request = request.header(header::COOKIE, cookies);
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([10, 0, 0, peer], 1))));
        site.router.clone().oneshot(request)
    };
    let status = async |peer, named, cookies| ask("/session", peer, named, cookies).await.unwrap().status();
    let exhaust = async |peer, named| {
        for _ in 0..30 {
            assert_eq!(status(peer, named, None).await, StatusCode::OK, "{named}");
        }
        assert_eq!(status(peer, named, None).await, StatusCode::TOO_MANY_REQUESTS, "{named}");
    };
    exhaust(1, "198.51.100.1").await;
    exhaust(1, "203.0.113.7, 198.51.100.2").await;
    assert_eq!(status(1, "203.0.113.7, 198.51.100.1", None).await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(status(1, "198.51.100.3", None).await, StatusCode::OK, "another client of the same proxy");
    exhaust(2, "198.51.100.4").await;
    assert_eq!(status(2, "198.51.100.5", None).await, StatusCode::TOO_MANY_REQUESTS, "not a proxy of ours");
    let cookies = Some(notary.cookie_header());
    assert_eq!(status(1, "198.51.100.1", cookies.clone()).await, StatusCode::OK, "a notary at the stranger's address");
    let forged = Some("__Host-lota-session=00".to_owned());
    assert_eq!(status(1, "198.51.100.1", forged).await, StatusCode::TOO_MANY_REQUESTS);

    let streams = async |named, cookies: Option<String>| {
        let answer = ask("/events", 1, named, cookies).await.unwrap();
        (answer.status(), answer)
    };
    let mut held = Vec::new();
    for (named, expected) in [
        ("198.51.100.6", StatusCode::OK),
        ("198.51.100.7", StatusCode::OK),
        ("198.51.100.8", StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let (status, answer) = streams(named, None).await;
        assert_eq!(status, expected, "{named}");
        held.push(answer);
    }
    for expected in [StatusCode::OK, StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE] {
        let (status, answer) = streams("198.51.100.8", cookies.clone()).await;
        assert_eq!(status, expected, "strangers took all of theirs");
        held.push(answer);
    }
}
