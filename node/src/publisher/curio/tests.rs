//! Deals with a Curio that behaves, and with one that does not. It is a server of ours that does as Curio's `market/mk20` does: it verifies who
//! asks, takes no field that it does not know, and asks the contract, which is the model of its rules here (on a chain:
//! bridge/tests/evm/storage.rs).

#![allow(clippy::result_large_err, reason = "the server of these tests refuses with whole answers")]

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use alloy::primitives::{Signature, keccak256};
use axum::{
    Router,
    body::Bytes as Body,
    extract::{Path, State},
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use jiff::Timestamp;
use lota_bridge::evm::curio::notification_payload;
use lota_content::piece::PieceCid;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::publisher::tests::content;

const MARKET: Address = Address::repeat_byte(0x4d);
const PROVIDER: u64 = 1_234;

fn signer() -> PrivateKeySigner {
    PrivateKeySigner::from_slice(&[7; 32]).expect("a key")
}

/// What goes wrong, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Fault {
    /// The contract is not allowed.
    NotAllowed,
    /// Deals are answered with this status, and not taken.
    Answers(u16),
    /// A deal is taken, and its answer lost.
    Loses,
    /// A deal that was taken fails.
    Fails,
    /// The client is not let in.
    Stranger,
}

#[derive(Default)]
struct Inner {
    epoch: u64,
    /// Deals at the contract, by id from 1: what was announced, and its stage.
    deals: Vec<(Proposal, OnChain, B256)>,
    is_final: bool,
    /// What Curio has, by its identifier: the contract's id, and its status.
    taken: HashMap<String, (u64, &'static str)>,
    faults: Vec<Fault>,
    /// What Curio was asked that it should not have been.
    violations: Vec<String>,
    announcements: usize,
}

/// A chain and a Curio.
#[derive(Clone, Default)]
pub(crate) struct Place(Arc<Mutex<Inner>>);

impl Place {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("no panic")
    }

    /// Whether this goes wrong now; once for each time that it was asked for.
    fn goes_wrong(&self, is: impl Fn(Fault) -> bool) -> Option<Fault> {
        let mut inner = self.inner();
        let found = inner.faults.iter().position(|fault| is(*fault))?;
        Some(inner.faults.remove(found))
    }

    pub(crate) fn fails_all_deals(&self) {
        self.inner().faults = vec![Fault::Fails; 1_000];
    }

    /// How many deals were announced.
    pub(crate) fn announcements(&self) -> usize {
        self.inner().announcements
    }

    pub(crate) fn is_open(&self, deal: usize) -> bool {
        self.inner().deals[deal - 1].1 == OnChain::Open
    }

    pub(crate) async fn publisher(&self) -> Curio {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let routes = Router::new()
            .route("/market/mk20/contracts", get(contracts))
            .route("/market/mk20/deal", post(deal))
            .route("/market/mk20/status/{id}", get(status))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let options = CurioOptions { url, provider: PROVIDER, rpc: String::new(), market: MARKET, signer: signer() };
        Curio::with(Box::new(self.clone()), options).expect("URLs")
    }

    /// The miner's actor tells the contract.
    fn seal(&self, deal: usize) {
        self.inner().deals[deal - 1].1 = OnChain::Active { since: 5, until: 518_405, sector: 77 };
    }
}

#[async_trait]
impl Deals for Place {
    async fn chain_id(&self) -> Result<u64, ClientError> {
        Ok(314)
    }
    async fn epoch(&self) -> Result<u64, ClientError> {
        Ok(self.inner().epoch)
    }
    async fn find(&self, provider: u64, root: B256) -> Result<Option<u64>, ClientError> {
        let inner = self.inner();
        let found = inner.deals.iter().rposition(|(proposal, stage, of)| {
            proposal.provider == provider && *of == root && *stage != OnChain::Finalized
        });
        Ok(found.map(|index| index as u64 + 1))
    }
    async fn announce(&self, _: &str, proposal: &Proposal) -> Result<u64, ClientError> {
        let root = B256::from_slice(&proposal.piece[proposal.piece.len() - 32..]);
        let mut inner = self.inner();
        inner.announcements += 1;
        inner.deals.push((proposal.clone(), OnChain::Open, root));
        Ok(inner.deals.len() as u64)
    }
    async fn deal(&self, id: u64) -> Result<Option<(Deal, bool)>, ClientError> {
        let inner = self.inner();
        let Some((proposal, stage, root)) = inner.deals.get(id as usize - 1) else { return Ok(None) };
        let deal = Deal { client: signer().address(), provider: proposal.provider, root: *root, stage: *stage };
        Ok(Some((deal, inner.is_final)))
    }
    async fn withdraw(&self, id: u64) -> Result<(), ClientError> {
        self.inner().deals[id as usize - 1].1 = OnChain::Finalized;
        Ok(())
    }
}

/// Who asks: as `market/mk20/auth.go` finds out.
fn client(place: &Place, headers: &HeaderMap, method: &Method, path: &str) -> Result<Address, Response> {
    if place.goes_wrong(|fault| fault == Fault::Stranger).is_some() {
        return Err((StatusCode::UNAUTHORIZED, "Unauthorized").into_response());
    }
    let bad = |why: &str| {
        place.inner().violations.push(format!("{method} {path}: {why}"));
        (StatusCode::UNAUTHORIZED, "Unauthorized").into_response()
    };
    let header = headers.get("authorization").and_then(|value| value.to_str().ok()).ok_or_else(|| bad("no header"))?;
    let parts: Vec<&str> = header.strip_prefix("CurioAuth ").unwrap_or_default().split(':').collect();
    let ["delegated", address, signature] = parts[..] else { return Err(bad("not of a delegated address")) };
    let decode = |text: &str| BASE64.decode(text).map_err(|_| bad("no base64"));
    let (address, signature) = (decode(address)?, decode(signature)?);
    let [4, 10, account @ ..] = &address[..] else { return Err(bad("no f410 address")) };
    let [3, r_and_s @ .., v] = &signature[..] else { return Err(bad("no delegated signature")) };
    if account.len() != 20 || r_and_s.len() != 64 || *v > 1 {
        return Err(bad("lengths"));
    }
    let minute = |offset: i64| {
        let second = (Timestamp::now().as_second().div_euclid(60) + offset) * 60;
        Timestamp::from_second(second).expect("a time").strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    };
    let is_by = |offset: i64| {
        let text = [&address[..], method.as_str().as_bytes(), path.as_bytes(), minute(offset).as_bytes()].concat();
        let (r, s) = r_and_s.split_at(32);
        let signature = Signature::from_scalars_and_parity(B256::from_slice(r), B256::from_slice(s), *v == 1);
        let digest = keccak256(Sha256::digest(text));
        signature.recover_address_from_prehash(&digest).is_ok_and(|by| by.as_slice() == account)
    };
    if [0, -1, 1].into_iter().any(is_by) { Ok(Address::from_slice(account)) } else { Err(bad("another signature")) }
}

async fn contracts(State(place): State<Place>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if let Err(refused) = client(&place, &headers, &method, uri.path()) {
        return refused;
    }
    match place.goes_wrong(|fault| fault == Fault::NotAllowed) {
        Some(_) => json!({ "contracts": null }).to_string().into_response(),
        // As its operator wrote it.
        None => json!({ "contracts": ["0xAB", MARKET.to_string().to_uppercase().replacen("0X", "0x", 1)] })
            .to_string()
            .into_response(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DealBody {
    identifier: String,
    client: String,
    data: DataBody,
    products: ProductsBody,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DataBody {
    piece_cid: HashMap<String, String>,
    format: serde_json::Value,
    source_http: serde_json::Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProductsBody {
    ddo_v1: DdoBody,
    retrieval_v1: serde_json::Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DdoBody {
    provider: String,
    duration: u64,
    market_address: String,
    market_deal_id: u64,
    notification_address: String,
    notification_payload: String,
}

/// What is wrong with a deal: what Curio checks, what the contract checks, and what this content should come to.
fn wrong(place: &Place, deal: &DealBody, by: Address) -> Result<(), String> {
    let check = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
    let ddo = &deal.products.ddo_v1;
    check(deal.identifier.len() == 26, "the identifier")?;
    check(deal.client == text::f410(314, by), "the client is not who signed")?;
    check(ddo.provider == "f01234", "the provider")?;
    check(ddo.duration >= 518_400, "too short")?;
    check(ddo.market_address.starts_with("0x4D4D"), "not written as it is allowed")?;
    check(ddo.notification_address == text::f410(314, MARKET), "another is told")?;
    check(BASE64.decode(&ddo.notification_payload) == Ok(notification_payload(ddo.market_deal_id)), "the payload")?;
    check(deal.data.format == json!({ "car": {} }), "the format")?;
    let (_, cid) = deal.data.piece_cid.iter().find(|(key, _)| *key == "/").ok_or("no piece")?;
    let Ok(PieceCid::V2(piece)) = cid.parse() else { return Err("no piece CID of version 2".to_owned()) };
    let url = deal.data.source_http["urls"][0]["url"].as_str().unwrap_or_default();
    check(url.starts_with("http://192.0.2.7:4001/ipfs/bafy") && url.ends_with("?format=car"), "where the CAR is")?;
    check(deal.products.retrieval_v1["announce_piece"] == json!(false), "pieces cannot be announced")?;
    // verifyDeal.
    let inner = place.inner();
    let (proposal, stage, _) =
        usize::try_from(ddo.market_deal_id - 1).ok().and_then(|index| inner.deals.get(index)).ok_or("DealNotFound")?;
    check(*stage == OnChain::Open, "not open")?;
    check(proposal.piece[..] == piece.v2().to_bytes(), "another piece than was announced")?;
    check((proposal.provider, proposal.duration, proposal.start) == (PROVIDER, ddo.duration, None), "other terms")?;
    check(inner.epoch <= proposal.open_until, "too late")
}

async fn deal(State(place): State<Place>, method: Method, uri: Uri, headers: HeaderMap, body: Body) -> Response {
    let by = match client(&place, &headers, &method, uri.path()) {
        Ok(by) => by,
        Err(refused) => return refused,
    };
    if let Some(Fault::Answers(status)) = place.goes_wrong(|fault| matches!(fault, Fault::Answers(_))) {
        let status = StatusCode::from_u16(status).expect("a status");
        return (status, "Reason: not today\u{1b}[2J").into_response();
    }
    let deal: DealBody = match serde_json::from_slice(&body) {
        Ok(deal) => deal,
        Err(error) => {
            place.inner().violations.push(error.to_string());
            return (StatusCode::BAD_REQUEST, error.to_string()).into_response();
        }
    };
    if place.inner().taken.contains_key(&deal.identifier) {
        // It is in its database.
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    if let Err(what) = wrong(&place, &deal, by) {
        place.inner().violations.push(what.clone());
        return (StatusCode::from_u16(426).expect("a status"), format!("Reason: {what}")).into_response();
    }
    let fails = place.goes_wrong(|fault| fault == Fault::Fails).is_some();
    let status = if fails { "failed" } else { "sealing" };
    place.inner().taken.insert(deal.identifier, (deal.products.ddo_v1.market_deal_id, status));
    match place.goes_wrong(|fault| fault == Fault::Loses) {
        Some(_) => StatusCode::BAD_GATEWAY.into_response(),
        None => "Reason: ".into_response(),
    }
}

async fn status(
    State(place): State<Place>,
    Path(id): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    if let Err(refused) = client(&place, &headers, &method, uri.path()) {
        return refused;
    }
    let known = place.inner().taken.get(&id).copied();
    match known {
        Some((_, status)) => {
            json!({ "ddo_v1": { "status": status, "errorMsg": "no room\nfor it" } }).to_string().into_response()
        }
        None => (StatusCode::UNAUTHORIZED, "Unauthorized").into_response(),
    }
}

/// Asks as the background table does, so often; the last answer, the receipt, and what went wrong on the way.
async fn drive(
    curio: &Curio,
    content: &Content,
    mut receipt: Option<String>,
    times: usize,
) -> (Result<Published, PublishError>, Option<String>, Vec<String>) {
    let (mut problems, mut last) = (Vec::new(), Err(PublishError::Temporary("not asked".to_owned())));
    for _ in 0..times {
        last = curio.publish(content, receipt.as_deref()).await;
        match &last {
            Ok(published) => receipt = published.receipt.clone(),
            Err(error) => {
                if matches!(error, PublishError::GivenUp(_)) {
                    receipt = None;
                }
                problems.push(error.to_string());
            }
        }
    }
    (last, receipt, problems)
}

fn told(receipt: Option<&String>) -> String {
    let receipt = receipt.expect("a receipt");
    assert!(receipt.len() <= 500, "{receipt}");
    let told = detail(receipt).expect("a detail");
    told.split(';').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn an_output_is_announced_handed_over_sealed_and_then_kept() {
    let (_folder, content) = content();
    let place = Place::default();
    let curio = place.publisher().await;
    let (_, receipt, _) = drive(&curio, &content, None, 1).await;
    assert_eq!(told(receipt.as_ref()), "deal 1, announced, not handed to Curio yet");
    let (_, receipt, _) = drive(&curio, &content, receipt, 1).await;
    assert_eq!(told(receipt.as_ref()), "deal 1, accepted");
    let (last, receipt, problems) = drive(&curio, &content, receipt, 3).await;
    assert_eq!((told(receipt.as_ref()), problems), ("deal 1, sealing".to_owned(), Vec::<String>::new()));
    assert_eq!(last.expect("underway").progress, Progress::Pinning);
    // What Curio says is not enough.
    place.inner().taken.values_mut().for_each(|taken| taken.1 = "complete");
    let (last, receipt, _) = drive(&curio, &content, receipt, 1).await;
    assert_eq!(last.expect("underway").progress, Progress::Pinning);
    place.seal(1);
    let (last, receipt, _) = drive(&curio, &content, receipt, 1).await;
    assert_eq!(last.expect("sealed").progress, Progress::Pinning);
    assert_eq!(told(receipt.as_ref()), "deal 1, in sector 77 until epoch 518405, not final yet");
    place.inner().is_final = true;
    let (last, receipt, _) = drive(&curio, &content, receipt, 1).await;
    assert_eq!(last.expect("sealed").progress, Progress::Pinned);
    assert_eq!(told(receipt.as_ref()), "deal 1, in sector 77 until epoch 518405");
    // A node of the chain that is behind undoes nothing; the end of the sector does.
    let deals = std::mem::take(&mut place.inner().deals);
    let (last, _, _) = drive(&curio, &content, receipt.clone(), 1).await;
    assert_eq!(last, Err(PublishError::Temporary("the chain's node does not know deal 1".to_owned())));
    let mut over = deals.clone();
    over[0].1 = OnChain::Finalized;
    place.inner().deals = over;
    let (last, _, _) = drive(&curio, &content, receipt.clone(), 1).await;
    assert!(matches!(&last, Err(PublishError::GivenUp(why)) if why.contains("its sector ended")), "{last:?}");
    place.inner().deals = deals;
    // What is sealed stays.
    curio.withdraw(&content.cid, receipt.as_deref()).await.expect("nothing to do");
    assert_eq!(place.inner().violations, Vec::<String>::new());
    assert_eq!(place.inner().announcements, 1);
}

#[tokio::test]
async fn a_process_that_forgot_and_answers_that_are_lost_lead_to_the_same_deal() {
    let (_folder, content) = content();
    let place = Place::default();
    for _ in 0..3 {
        let curio = place.publisher().await;
        place.inner().faults.push(Fault::Loses);
        let (_, receipt, problems) = drive(&curio, &content, None, 3).await;
        assert_eq!((told(receipt.as_ref()), problems), ("deal 1, sealing".to_owned(), Vec::<String>::new()));
    }
    assert_eq!(place.inner().announcements, 1);
    assert_eq!(place.inner().taken.len(), 1);
    assert_eq!(place.inner().violations, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_in_the_way_is_told_and_costs_nothing() {
    let (_folder, content) = content();
    for (fault, wanted) in [
        (Fault::NotAllowed, "does not allow the market contract 0x4D"),
        (Fault::Stranger, "does not let the client 0x"),
    ] {
        let place = Place::default();
        let curio = place.publisher().await;
        place.inner().faults.push(fault);
        let (last, _, _) = drive(&curio, &content, None, 1).await;
        assert!(matches!(&last, Err(PublishError::Refused(why)) if why.contains(wanted)), "{last:?}");
        assert_eq!(place.inner().announcements, 0, "nothing was announced");
        // Until its operator has mended it.
        let (_, receipt, _) = drive(&curio, &content, None, 3).await;
        assert_eq!(told(receipt.as_ref()), "deal 1, sealing");
    }
}

#[tokio::test]
async fn a_deal_that_curio_has_is_not_given_up_while_it_does_not_let_the_client_in() {
    let (_folder, content) = content();
    let place = Place::default();
    let curio = place.publisher().await;
    let (_, receipt, _) = drive(&curio, &content, None, 3).await;
    assert_eq!(told(receipt.as_ref()), "deal 1, sealing");
    // Asked for the status, and then for the contracts.
    place.inner().faults = vec![Fault::Stranger; 4];
    for _ in 0..2 {
        let (last, _, _) = drive(&curio, &content, receipt.clone(), 1).await;
        let is_told = |why: &String| why.contains("does not let the client 0x") && why.contains("clock is wrong");
        assert!(matches!(&last, Err(PublishError::Temporary(why)) if is_told(why)), "{last:?}");
    }
    let (_, receipt, problems) = drive(&curio, &content, receipt, 1).await;
    assert_eq!((told(receipt.as_ref()), problems), ("deal 1, sealing".to_owned(), Vec::<String>::new()));
    assert_eq!((place.announcements(), place.is_open(1)), (1, true));
    // It is let in, and the deal is none that Curio knows.
    place.inner().taken.clear();
    let (last, _, _) = drive(&curio, &content, receipt, 1).await;
    assert_eq!(last, Err(PublishError::GivenUp("Curio does not know the deal any more".to_owned())));
}

#[tokio::test]
async fn an_answer_that_passes_is_waited_out_and_a_refusal_is_said() {
    let (_folder, content) = content();
    for (status, is_refused) in [(429, false), (500, false), (503, false), (400, true), (422, true), (426, true)] {
        let place = Place::default();
        let curio = place.publisher().await;
        place.inner().faults.push(Fault::Answers(status));
        let (last, receipt, _) = drive(&curio, &content, None, 2).await;
        let error = last.expect_err("not taken");
        assert_eq!(matches!(error, PublishError::Refused(_)), is_refused, "{status}: {error}");
        assert!(error.to_string().contains("not today") && !error.to_string().contains('\u{1b}'), "{error}");
        let (_, receipt, _) = drive(&curio, &content, receipt, 2).await;
        assert_eq!(told(receipt.as_ref()), "deal 1, sealing", "{status}");
    }
}

#[tokio::test]
async fn a_deal_that_fails_is_taken_back_and_tried_as_another() {
    let (_folder, content) = content();
    let place = Place::default();
    let curio = place.publisher().await;
    place.inner().faults.push(Fault::Fails);
    let (_, receipt, problems) = drive(&curio, &content, None, 6).await;
    assert_eq!(problems, ["Curio failed to seal it: no room for it"]);
    assert_eq!(told(receipt.as_ref()), "deal 2, sealing");
    assert_eq!(place.inner().deals[0].1, OnChain::Finalized);
    assert_eq!(place.inner().violations, Vec::<String>::new());
}

#[tokio::test]
async fn a_deal_that_nobody_took_in_time_is_announced_again_and_one_that_hangs_given_up() {
    let (_folder, content) = content();
    let place = Place::default();
    let mut curio = place.publisher().await;
    let (_, receipt, _) = drive(&curio, &content, None, 1).await;
    place.inner().deals[0].1 = OnChain::Finalized;
    let (_, receipt, problems) = drive(&curio, &content, receipt, 4).await;
    assert_eq!(problems, ["the deal is over: nobody took it in time, or its sector ended"]);
    assert_eq!(told(receipt.as_ref()), "deal 2, sealing");
    curio.patience = 0;
    let (last, _, _) = drive(&curio, &content, receipt, 1).await;
    assert_eq!(last, Err(PublishError::GivenUp("Curio did not seal it in time".to_owned())));
    assert_eq!(place.inner().deals[1].1, OnChain::Finalized);
}

#[tokio::test]
async fn an_open_deal_of_an_output_that_is_forgotten_is_taken_back() {
    let (_folder, content) = content();
    let place = Place::default();
    let curio = place.publisher().await;
    let (_, receipt, _) = drive(&curio, &content, None, 1).await;
    curio.withdraw(&content.cid, receipt.as_deref()).await.expect("withdrawn");
    assert_eq!(place.inner().deals[0].1, OnChain::Finalized);
    curio.withdraw(&content.cid, receipt.as_deref()).await.expect("nothing to do");
    curio.withdraw(&content.cid, None).await.expect("nothing to do");
}
