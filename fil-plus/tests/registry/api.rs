use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use lota_fil_plus::{
    answer::{Certainty, CheckAnswer, Checked, SourceState},
    api::{MAX_CIDS, Server},
    metrics::Metrics,
    source::lotus::Parties,
};
use serde_json::{Value, json};

use crate::{
    chain::{Chain, Node, claim, piece},
    support::{DAY, PATIENT, claims, open, read},
};

struct Served {
    server: Server,
    client: reqwest::Client,
    _folder: tempfile::TempDir,
    _node: Node,
}

impl Served {
    async fn start(head: u64) -> Self {
        let claims_of = BTreeMap::from([(1_000, (1..=300).map(|id| claim(id, 1_000)).collect())]);
        let node = Node::start(Chain { claims: claims_of, head, ..Chain::default() }).await;
        let folder = tempfile::tempdir().expect("a folder");
        let registry = open(folder.path(), vec![claims(&node, Parties::All, DAY, PATIENT)]).await;
        read(&registry).await;
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::start(address, Arc::new(registry), Metrics::default()).await.expect("it listens");
        Self { server, client: lota_http::client(), _folder: folder, _node: node }
    }

    /// Status and body.
    async fn get(&self, path: &str) -> (u16, String) {
        let url = format!("http://{}{path}", self.server.address());
        let response = self.client.get(url).header("origin", "https://evil.example").send().await.expect("an answer");
        let crossing = response.headers().keys().any(|name| name.as_str().starts_with("access-control"));
        assert!(!crossing, "no other origin may read it");
        (response.status().as_u16(), response.text().await.expect("a text"))
    }

    async fn post(&self, body: impl Into<reqwest::Body>) -> (u16, String) {
        let url = format!("http://{}/v1/check", self.server.address());
        let request = self.client.post(url).header("content-type", "application/json").body(body);
        let response = request.send().await.expect("an answer");
        (response.status().as_u16(), response.text().await.expect("a text"))
    }
}

#[tokio::test]
async fn one_cid_is_answered_with_its_evidence_and_how_fresh_it_is() {
    let served = Served::start(10_000).await;
    let (status, body) = served.get(&format!("/v1/cids/{}", piece(1))).await;
    assert_eq!(status, 200);
    let answer: CheckAnswer = serde_json::from_str(&body).expect("an answer");
    let [Checked::Answer(found)] = &answer.answers[..] else { panic!("{answer:?}") };
    assert_eq!((found.certainty, found.claims[0].provider.as_str()), (Certainty::Verified, "f01000"));
    assert_eq!((answer.sources[0].epoch, answer.sources[0].kind.as_str()), (Some(10_000), "claims"));
    let sources: Vec<SourceState> = serde_json::from_str(&served.get("/v1/sources").await.1).expect("sources");
    assert_eq!(sources.len(), 1);
    served.server.shutdown().await;
}

#[tokio::test]
async fn many_cids_are_answered_each_for_itself() {
    let served = Served::start(10_000).await;
    let mut cids: Vec<String> = (1..=600).map(|id| piece(id).to_string()).collect();
    cids.insert(7, "no\u{1b}cid".to_owned());
    let (status, body) = served.post(json!({ "cids": cids }).to_string()).await;
    assert_eq!(status, 200);
    let answer: CheckAnswer = serde_json::from_str(&body).expect("an answer");
    assert_eq!(answer.answers.len(), 601);
    let verified = answer
        .answers
        .iter()
        .filter(|checked| matches!(checked, Checked::Answer(answer) if answer.certainty == Certainty::Verified));
    assert_eq!(verified.count(), 300);
    let Checked::Malformed { error, .. } = &answer.answers[7] else { panic!("{:?}", answer.answers[7]) };
    assert!(error.contains("no CID"), "{error}");
    let (_, metrics) = served.get("/metrics").await;
    for line in [
        "lota_fil_plus_answers_total{certainty=\"verified\"} 300",
        "lota_fil_plus_answers_total{certainty=\"malformed\"} 1",
        "# EOF",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_in_json() {
    let served = Served::start(10_000).await;
    let code = |body: &str| serde_json::from_str::<Value>(body).expect("JSON")["code"].as_str().map(str::to_owned);
    let many = json!({ "cids": vec!["b"; MAX_CIDS + 1] }).to_string();
    for (body, status, wanted) in [
        ("{}".to_owned(), 422, "invalid"),
        ("{".to_owned(), 400, "invalid"),
        ("<html>".to_owned(), 400, "invalid"),
        (json!({ "cids": [] }).to_string(), 422, "invalid"),
        (json!({ "cids": [7] }).to_string(), 422, "invalid"),
        (json!({ "cids": ["b"], "other": 1 }).to_string(), 422, "invalid"),
        (many, 422, "invalid"),
        (" ".repeat(2 << 20), 413, "too_large"),
    ] {
        let begins: String = body.chars().take(40).collect();
        let (found, text) = served.post(body).await;
        assert_eq!((found, code(&text).as_deref()), (status, Some(wanted)), "{begins}: {text}");
    }
    let (behind, path_in) = (format!("/v1/cids/{}a", piece(1)), format!("/v1/cids/x%2Fipfs%2F{}", piece(1)));
    for (path, status) in [
        (behind.as_str(), 422),
        (path_in.as_str(), 422),
        ("/v1/cids/hello", 422),
        ("/v1/nothing", 404),
        ("/v1/check", 405),
        ("/v1/cids/%ff", 400),
    ] {
        let (found, text) = served.get(path).await;
        assert_eq!(found, status, "{path}: {text}");
        assert!(code(&text).is_some(), "{path}: {text}");
    }
    let (status, _) = served.get(&format!("/v1/cids/{}", piece(1))).await;
    assert_eq!(status, 200, "it still answers");
}

#[tokio::test]
async fn a_registry_whose_chain_is_behind_is_alive_and_not_ready() {
    // The chain's clock is years behind that of the world.
    let served = Served::start(10_000).await;
    assert_eq!(served.get("/health").await.0, 200);
    let (status, body) = served.get("/ready").await;
    assert_eq!(status, 503);
    assert!(body.contains("its word is old"), "{body}");
    let epoch = (lota_fil_plus::keeper::now() - crate::chain::GENESIS) / 30;
    let served = Served::start(epoch).await;
    assert_eq!(served.get("/ready").await.0, 200);
}
