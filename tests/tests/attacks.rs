//! What strangers do to a node over HTTP, and what gets done meanwhile.

#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "this is test code")]

use std::net::SocketAddr;

use futures::future::join_all;
use lota_api::{JobPage, JobSummary};
use lota_content::{Cid, ImportOptions, Store, StoreOptions};
use lota_market::{AttoFil, model::Status, money::FIL};
use lota_tests::{
    programs,
    world::{self, FUNDS, Party, asking, chain, spec},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

/// Prices are whole numbers of this.
const GWEI: u128 = 1_000_000_000;

fn home() -> TempDir {
    TempDir::new().expect("a temporary folder")
}

fn gateway(party: &Party) -> SocketAddr {
    party.node.gateway().strip_prefix("http://").expect("a URL").parse().expect("an address")
}

async fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    socket.connect(address).await.expect("the server listens")
}

/// A client that asks and never reads.
async fn sleeper(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = connect(address).await;
    // A server that has cut it off already is all right.
    let _ = stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await;
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_do_not_read_do_not_keep_jobs_from_being_done() {
    let (home, chain) = (home(), chain(None));
    let provider = Party::provider(&chain, 2, home.path(), asking(AttoFil(FIL / 1000))).await;
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    let large: Vec<u8> = (0..32_u32 << 20).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let large = client.add(&large).await;
    // More than there are slots, at both gateways that the job needs, and others that follow.
    let mut sleepers = Vec::new();
    let module = client.add(&programs::says("done\n", 0)).await;
    for round in 0..3 {
        for query in ["?format=car", "?download=true"] {
            let path = format!("/ipfs/{large}{query}");
            sleepers.extend(join_all((0..50).map(|_| sleeper(gateway(&client), &path))).await);
            sleepers.extend(join_all((0..50).map(|_| connect(gateway(&provider)))).await);
        }
        let job = client.request(spec(&module), json!({})).await.expect("the job is opened");
        let detail = client.wait(&job).await;
        assert_eq!(detail.summary.status, Status::Settled, "round {round}: {detail:#?}");
        assert!(detail.summary.output_verified);
        assert_eq!(client.bytes(&format!("/v1/jobs/{}/output/stdout", job.id)).await, b"done\n");
    }
    assert!(sleepers.len() >= 600);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_one_moment_with_one_key_open_one_job() {
    const ROUNDS: usize = 25;
    const AT_ONCE: usize = 8;
    let (home, chain) = (home(), chain(None));
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    let module = client.add(&programs::says("x", 0)).await;
    let terms = json!({ "max_price": GWEI.to_string() });
    let mut opened = Vec::new();
    for round in 0..ROUNDS {
        let body = json!({ "spec": spec(&module), "terms": terms, "idempotency_key": format!("invoice-{round}") });
        let answers = join_all((0..AT_ONCE).map(|_| client.post::<JobSummary>("/v1/jobs", &body))).await;
        let ids: Vec<_> = answers.into_iter().map(|answer| answer.expect("each gets the job").id).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "round {round}: {ids:?}");
        opened.push(ids[0]);
    }
    let page: JobPage = client.get("/v1/jobs?limit=1000").await.expect("the list");
    let mut listed: Vec<_> = page.jobs.iter().map(|job| job.id).collect();
    listed.sort_unstable();
    opened.sort_unstable();
    assert_eq!(listed, opened);
    let escrowed = chain.snapshot().escrowed();
    assert_eq!(escrowed, AttoFil(GWEI * ROUNDS as u128), "exactly one escrow a key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_for_one_request_and_free_again_when_that_failed() {
    let (home, chain) = (home(), chain(None));
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    let module = client.add(&programs::says("x", 0)).await;
    let ask = |price: u128| json!({ "spec": spec(&module), "terms": { "max_price": price.to_string() }, "idempotency_key": "k" });
    let too_much = ask(FUNDS.0 * 2);
    let answers = join_all((0..4).map(|_| client.post::<JobSummary>("/v1/jobs", &too_much))).await;
    for answer in answers {
        let (status, body) = answer.expect_err("it cannot be paid for");
        assert_eq!(status, 422, "{body}");
    }
    let job: JobSummary = client.post("/v1/jobs", &ask(GWEI)).await.expect("the key is free again");
    let same: JobSummary = client.post("/v1/jobs", &ask(GWEI)).await.expect("the job of that time");
    assert_eq!(job.id, same.id);
    let (status, body) = client.post::<Value>("/v1/jobs", &ask(2 * GWEI)).await.expect_err("another request");
    assert_eq!((status, body["code"].as_str()), (422, Some("key_reused")), "{body}");
    assert!(body["message"].as_str().expect("a message").contains(&job.id.to_string()), "{body}");
    // Two requests of one moment that differ: one of them has the key.
    let body = |price: u128| json!({ "spec": spec(&module), "terms": { "max_price": price.to_string() }, "idempotency_key": "other" });
    let (one, other) = (body(GWEI), body(2 * GWEI));
    let (one, other) =
        tokio::join!(client.post::<JobSummary>("/v1/jobs", &one), client.post::<JobSummary>("/v1/jobs", &other));
    let refused = [one, other].into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0].1["code"], "key_reused");
}

/// Sends a request as it is; status and body of the answer, which must be JSON.
async fn raw(request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let kind = answer.headers().get("content-type").map(|kind| kind.to_str().expect("text").to_owned());
    let text = answer.text().await.expect("a body");
    assert_eq!(kind.as_deref(), Some("application/json"), "{status}: {text}");
    let body: Value = serde_json::from_str(&text).expect("JSON");
    let message = body["message"].as_str().unwrap_or_default();
    assert!(status < 400 || message.lines().count() == 1, "{body}");
    (status, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_is_json() {
    let (home, chain) = (home(), chain(None));
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    let http = lota_http::client();
    let (url, token) = (client.node.api().url.clone(), client.node.api().token.clone());
    let api = |method: &str, path: &str| {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        http.request(method, format!("{url}{path}")).bearer_auth(&token)
    };
    let json = |request: reqwest::RequestBuilder| request.header("content-type", "application/json");
    let cases = [
        (api("GET", "/nothing"), 404, "not_found"),
        (api("PATCH", "/v1/jobs"), 405, "method_not_allowed"),
        (api("DELETE", "/v1/wallet"), 405, "method_not_allowed"),
        (json(api("POST", "/v1/jobs")).body("{"), 400, "invalid"),
        (json(api("POST", "/v1/jobs")).body("{}"), 422, "invalid"),
        (api("POST", "/v1/jobs").body("{}"), 415, "unsupported_media_type"),
        (api("GET", "/v1/jobs?limit=many"), 422, "invalid"),
        (api("GET", "/v1/jobs/%ff"), 400, "invalid"),
        (http.get(format!("{url}/v1/node")), 401, "unauthorized"),
        (http.get(format!("{url}/nothing")), 401, "unauthorized"),
        (http.get(format!("{}/nothing", client.node.gateway())), 404, "not_found"),
        (http.get(format!("{}/lota/v1/jobs/7/decision", client.node.gateway())), 400, "invalid"),
        (http.get(format!("{}/lota/v1/jobs/0x{}/decision", client.node.gateway(), "ab".repeat(32))), 404, "not_found"),
        (http.post(format!("{}/lota/v1/jobs/7/decision", client.node.gateway())), 405, "method_not_allowed"),
    ];
    for (request, status, code) in cases {
        let (found, body) = raw(request).await;
        assert_eq!((found, body["code"].as_str()), (status, Some(code)), "{body}");
    }
    assert!(client.get::<Value>("/v1/node").await.is_ok());

    // A byte too much. Who sends much more may find the connection ended before the answer.
    let body = vec![b' '; (1 << 20) + 1];
    let mut stream = connect(url.strip_prefix("http://").expect("a URL").parse().expect("an address")).await;
    let head = format!(
        "POST /v1/jobs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), &body].concat()).await.expect("sent");
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        assert!(stream.read_buf(&mut answer).await.expect("an answer") > 0, "it ends early");
    }
    let answer = String::from_utf8(answer).expect("text");
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("\"code\":\"too_large\""), "{answer}");
}

/// A CAR of `content` as one block, and the block's CID.
async fn car(content: &[u8]) -> (Vec<u8>, Cid) {
    let scratch = home();
    let store = Store::open(scratch.path(), StoreOptions::default()).expect("a store");
    let cid = lota_content::import_bytes(&store, content, &ImportOptions::default()).expect("an import").cid;
    let mut car = Vec::new();
    lota_content::car_export(store, &cid, lota_content::DagScope::All, 10, &mut car).await.expect("a CAR");
    (car, cid)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_car_is_said_and_nothing_of_it_is_pinned() {
    let (home, chain) = (home(), chain(None));
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    let http = lota_http::client();
    let post = |car: Vec<u8>| {
        raw(http.post(format!("{}/v1/content", client.node.api().url)).bearer_auth(&client.node.api().token).body(car))
    };
    let (whole, cid) = car(b"a block").await;
    let mut wrong = whole.clone();
    *wrong.last_mut().expect("bytes") ^= 1;
    // The header ends where the block's section begins: its bytes, its CID and its length.
    let headless = whole[..whole.len() - b"a block".len() - cid.to_bytes().len() - 1].to_vec();
    let cut = whole[..whole.len() - 1].to_vec();
    for (car, said) in [(wrong, "hash to"), (headless, "root"), (cut, "cut off"), (b"<html>".to_vec(), "CAR")] {
        let (status, body) = post(car).await;
        assert_eq!((status, body["code"].as_str()), (422, Some("invalid")), "{body}");
        let message = body["message"].as_str().expect("a message");
        assert!(message.contains(said), "{message}");
        assert!(said != "root" || message.contains(&cid.to_string()), "{message}");
        assert_eq!(client.delete(&format!("/v1/content/{cid}")).await, 404, "nothing was pinned");
    }
    let (status, body) = post(whole).await;
    assert_eq!((status, body["roots"][0].as_str()), (201, Some(cid.to_string().as_str())));
}
