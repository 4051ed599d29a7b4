use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ciborium::Value as Cbor;
use lota_fil_plus::{
    answer::Certainty,
    registry::{MAX_ASKED, Manner},
    source::{Source, ipni::Ipni, lotus::Parties},
};
use serde_json::json;

use crate::{
    chain::{Chain, Node, claim, piece},
    support::{DAY, PATIENT, QUICK, ask, ask_at, at, claims, open, read},
};
use lota_content::piece::PieceRoot;

const PAYLOAD: &str = "bafybeieiy62xj7i62t57wzf2eusjj6ff3je5pihd2nbpu27fwtj4h4v2by";

/// Lines of JSON, the last one without an end, and an answer to another question.
const NDJSON: &str = "{\"MultihashResults\":[]}\n{\"ContextID\":\"AA==\"}\n{\"Provider\":{\"ID\":\"x\"}}";
const OTHERS: &str = "{\"MultihashResults\":[{\"Multihash\":\"EgEH\",\"ProviderResults\":[]}]}";

/// What an index knows of a CID, and how often it was asked.
#[derive(Default)]
struct Knowledge {
    deals: HashMap<String, (PieceRoot, bool)>,
    asked: usize,
    broken: Option<&'static str>,
}

type Shared = Arc<Mutex<Knowledge>>;

async fn find(State(knowledge): State<Shared>, Path(cid): Path<String>) -> Response {
    let found = {
        let mut knowledge = knowledge.lock().expect("it");
        knowledge.asked += 1;
        if let Some(body) = knowledge.broken {
            return body.into_response();
        }
        knowledge.deals.get(&cid).copied()
    };
    let of = cid;
    let Some((piece, verified)) = found else { return (StatusCode::NOT_FOUND, "no results for query").into_response() };
    let cid = [&[0], piece.v1().to_bytes().as_slice()].concat();
    let fields = [
        ("PieceCID", Cbor::Tag(42, Box::new(Cbor::Bytes(cid)))),
        ("VerifiedDeal", Cbor::Bool(verified)),
        ("FastRetrieval", Cbor::Bool(true)),
    ];
    let fields = fields.map(|(name, value)| (Cbor::Text(name.to_owned()), value)).to_vec();
    let mut metadata = vec![0x90, 0x12];
    ciborium::into_writer(&Cbor::Map(fields), &mut metadata).expect("written");
    Json(json!({ "MultihashResults": [{
        "Multihash": BASE64.encode(lota_content::parse_cid(&of).expect("a CID").hash().to_bytes()),
        "ProviderResults": [
            { "ContextID": "AA==", "Metadata": "gBI=", "Provider": { "ID": "12D3KooWBitswap", "Addrs": [] } },
            { "ContextID": "AQ==", "Metadata": BASE64.encode(metadata), "Provider": { "ID": "12D3KooWDeal", "Addrs": [] } },
        ],
    }] }))
    .into_response()
}

async fn start(deals: &[(&str, PieceRoot, bool)]) -> (SocketAddr, Shared) {
    let deals = deals.iter().map(|(cid, piece, verified)| ((*cid).to_owned(), (*piece, *verified))).collect();
    let knowledge = Shared::new(Mutex::new(Knowledge { deals, ..Knowledge::default() }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let router = Router::new().route("/ipni/cid/{cid}", get(find)).with_state(Arc::clone(&knowledge));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, knowledge)
}

fn index(address: SocketAddr) -> Arc<dyn Source> {
    Arc::new(Ipni::within(&format!("http://{address}/ipni/"), PATIENT).expect("a URL"))
}

async fn node() -> Node {
    Node::start(Chain { claims: BTreeMap::from([(1_000, vec![claim(1, 1_000)])]), ..Chain::default() }).await
}

#[tokio::test]
async fn a_payload_is_verified_by_a_claim_of_the_piece_that_an_index_names() {
    let (node, (address, knowledge)) = (node().await, start(&[(PAYLOAD, piece(1), true)]).await);
    let folder = tempfile::tempdir().expect("a folder");
    let sources = vec![index(address), claims(&node, Parties::All, DAY, PATIENT)];
    let registry = open(folder.path(), sources).await;
    assert_eq!(ask(&registry, PAYLOAD).await.certainty, Certainty::SelfReported, "no claim was read yet");
    read(&registry).await;
    let verified = ask(&registry, PAYLOAD).await;
    assert_eq!(verified.certainty, Certainty::Verified);
    assert_eq!(verified.pieces, [piece(1).to_string()]);
    assert_eq!((verified.claims[0].id, verified.reports[0].peer.as_str()), (1, "12D3KooWDeal"));
    assert!(verified.caveats.iter().any(|caveat| caveat.contains("advertiser's word")));
    assert_eq!(knowledge.lock().expect("it").asked, 1, "what it said is kept");
    ask_at(&registry, PAYLOAD, at(10_100) + 86_400).await;
    assert_eq!(knowledge.lock().expect("it").asked, 2, "for a day");
    // The piece, too, says what the index says of it.
    assert_eq!(ask(&registry, &piece(1).to_string()).await.reports.len(), 1);
}

#[tokio::test]
async fn an_index_that_contradicts_the_chain_is_shown_as_such() {
    let (node, (address, _)) = (node().await, start(&[(PAYLOAD, piece(9), true)]).await);
    let folder = tempfile::tempdir().expect("a folder");
    let sources = vec![index(address), claims(&node, Parties::All, DAY, PATIENT)];
    let registry = open(folder.path(), sources).await;
    read(&registry).await;
    let answer = ask(&registry, PAYLOAD).await;
    assert_eq!(answer.certainty, Certainty::Contradicted);
    assert!(answer.contradictions[0].contains("had no claim of it at epoch 10000"), "{:?}", answer.contradictions);
}

#[tokio::test]
async fn an_index_that_is_broken_is_a_caveat_and_nothing_it_says_is_kept() {
    let (address, knowledge) = start(&[(PAYLOAD, piece(1), true)]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let registry = open(folder.path(), vec![index(address)]).await;
    for broken in ["<html>", "{\"MultihashResults\":[", "{}", "null", "[]", NDJSON, OTHERS] {
        knowledge.lock().expect("it").broken = Some(broken);
        let answer = ask(&registry, PAYLOAD).await;
        assert_eq!(answer.certainty, Certainty::Unknown);
        assert!(answer.caveats.iter().any(|caveat| caveat.contains("did not answer as documented")), "{answer:?}");
    }
    knowledge.lock().expect("it").broken = None;
    assert_eq!(ask(&registry, PAYLOAD).await.certainty, Certainty::SelfReported);
}

#[tokio::test]
async fn an_index_that_hangs_costs_no_more_than_its_time() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = silent.local_addr().expect("bound");
    let source: Arc<dyn Source> = Arc::new(Ipni::within(&format!("http://{address}"), QUICK).expect("a URL"));
    let folder = tempfile::tempdir().expect("a folder");
    let registry = open(folder.path(), vec![source]).await;
    let answer = ask(&registry, PAYLOAD).await;
    assert!(answer.caveats.iter().any(|caveat| caveat.contains("answered nothing")), "{answer:?}");
}

#[tokio::test]
async fn a_question_counts_payloads_however_many_indexes_there_are() {
    let (one, other) = (start(&[]).await, start(&[]).await);
    let folder = tempfile::tempdir().expect("a folder");
    let registry = open(folder.path(), vec![index(one.0), index(other.0)]).await;
    let cids: Vec<String> =
        (0..100u8).map(|byte| lota_content::cid_from_digest(0x55, [byte; 32]).to_string()).collect();
    let manner = Manner { ask: true, shown: 4 };
    let asked = || [&one.1, &other.1].map(|knowledge| knowledge.lock().expect("it").asked);
    let few = &cids[..MAX_ASKED];
    let answers = registry.check(few, manner, at(1)).await.expect("answered");
    assert_eq!(asked(), [MAX_ASKED; 2]);
    let text = serde_json::to_string(&answers).expect("JSON");
    assert!(!text.contains("was not asked"), "{text}");
    registry.check(&cids, manner, at(1)).await.expect("answered");
    assert_eq!(asked(), [100; 2], "only the others were due");
}

#[tokio::test]
async fn one_question_asks_an_index_only_so_often() {
    let (address, knowledge) = start(&[]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let registry = open(folder.path(), vec![index(address)]).await;
    let cids: Vec<String> = (0..100u8)
        .map(|byte| {
            let hash = lota_content::cid_from_digest(0x55, [byte; 32]);
            hash.to_string()
        })
        .collect();
    let answers = registry.check(&cids, Manner { ask: true, shown: 4 }, at(1)).await.expect("answered");
    assert_eq!(answers.len(), 100);
    assert_eq!(knowledge.lock().expect("it").asked, MAX_ASKED);
    let text = serde_json::to_string(&answers).expect("JSON");
    assert_eq!(text.matches("was not asked: too much at once").count(), 100 - MAX_ASKED);
    registry.check(&cids, Manner { ask: true, shown: 4 }, at(1)).await.expect("answered");
    assert_eq!(knowledge.lock().expect("it").asked, 100, "the others are asked about the next time");
}
