//! A provider's PDP service and a chain with the warm storage service, both of ours: they check what they get to the letter, with a
//! hand-written second implementation of the signed types, and do wrong where a test wants it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use alloy::{
    primitives::{Signature, keccak256},
    sol_types::SolValue as _,
};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{Request, State},
    http::{Method, StatusCode},
    response::{IntoResponse as _, Response},
};
use lota_bridge::PrivateKeySigner;
use lota_content::piece::{PieceCid, PieceCommitment, piece_of_reader};
use lota_market::{Address, B256, Bytes as Data, U256};
use serde_json::{Value, json};

use crate::publisher::tests::serve;

pub(super) const CHAIN_ID: u64 = 314_159;
pub(super) const SERVICE: Address = Address::repeat_byte(0x51);
pub(super) const PAYEE: Address = Address::repeat_byte(0x52);

pub(super) const ENTRY: &str = "MetadataEntry(string key,string value)";
pub(super) const CREATE: &str = "CreateDataSet(uint256 clientDataSetId,address payee,MetadataEntry[] metadata)";
pub(super) const PIECE: &str = "PieceMetadata(uint256 pieceIndex,MetadataEntry[] metadata)";
pub(super) const ADD: &str =
    "AddPieces(uint256 clientDataSetId,uint256 nonce,Cid[] pieceData,PieceMetadata[] pieceMetadata)";
pub(super) const CID: &str = "Cid(bytes data)";
const REMOVE: &str = "SchedulePieceRemovals(uint256 clientDataSetId,uint256[] pieceIds)";

/// What the provider does wrong, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Status(u16),
    /// It never answers.
    Hang,
    /// It answers with this body, and 200.
    Says(&'static str),
    /// It does what it is asked, and the answer is lost.
    LosesAnswer,
}

/// What becomes of the provider's transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mining {
    /// They land before anybody asks a contract again.
    Soon,
    Never,
    /// They never land, and the provider says that they did.
    Claimed,
    Reverting,
}

#[derive(Clone)]
pub(super) enum Operation {
    Create { id: U256, then: Box<Operation> },
    Add { data_set: Option<u64>, nonce: U256, piece: PieceCommitment, root: String },
}

#[derive(Default)]
pub(super) struct DataSet {
    pub(super) number: U256,
    /// Removed ones are none.
    pub(super) pieces: Vec<Option<(PieceCommitment, String)>>,
    /// The last epoch of its service, once that is terminated.
    pub(super) end: Option<u64>,
    /// Nothing is left of it but the nonces.
    pub(super) is_deleted: bool,
}

pub(crate) struct Inner {
    pub(super) payer: Address,
    pub(super) signer: Address,
    pub(crate) mining: Mining,
    /// By method and beginning of the path.
    pub(super) faults: Vec<(Method, &'static str, Fault)>,
    /// What was asked against the rules.
    pub(super) violations: Vec<String>,
    uploads: HashMap<String, PieceCommitment>,
    pub(super) stored: HashMap<String, Vec<u8>>,
    pub(super) pending: Vec<(String, Operation)>,
    /// Hashes of transactions, and whether they succeeded.
    pub(super) done: HashMap<String, bool>,
    pub(super) transactions: u64,
    pub(super) nonces: HashMap<U256, U256>,
    pub(super) final_nonces: HashMap<U256, U256>,
    pub(super) is_final_at_once: bool,
    pub(super) data_sets: BTreeMap<u64, DataSet>,
    /// Data sets, and pieces of theirs that go with the next proving period.
    pub(super) scheduled: Vec<(u64, u64)>,
    pub(super) height: u64,
    pub(super) authorised_until: u64,
    pub(super) is_approved: bool,
    /// For how many epochs the service may lock money up.
    pub(super) lockup_period: u64,
    pub(super) funds: u64,
}

#[derive(Clone)]
pub(crate) struct Place {
    inner: Arc<Mutex<Inner>>,
    pub(super) signer: PrivateKeySigner,
}

pub(super) fn word(value: impl Into<U256>) -> B256 {
    B256::from(value.into().to_be_bytes())
}

fn hash_words(words: &[B256]) -> B256 {
    keccak256(words.concat())
}

fn hash_metadata(keys: &[String], values: &[String]) -> B256 {
    assert_eq!(keys.len(), values.len());
    let entries = keys.iter().zip(values);
    let hashes: Vec<_> =
        entries.map(|(key, value)| hash_words(&[keccak256(ENTRY), keccak256(key), keccak256(value)])).collect();
    hash_words(&hashes)
}

/// Who signed this.
fn signer_of(signature: &[u8], message: B256) -> Option<Address> {
    let domain = hash_words(&[
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
        keccak256("FilecoinWarmStorageService"),
        keccak256("1"),
        word(U256::from(CHAIN_ID)),
        SERVICE.into_word(),
    ]);
    let digest = keccak256([&[0x19, 0x01], domain.as_slice(), message.as_slice()].concat());
    Signature::from_raw(signature).ok()?.recover_address_from_prehash(&digest).ok()
}

impl Place {
    pub(crate) fn new() -> Self {
        let signer = PrivateKeySigner::random();
        let inner = Inner {
            payer: Address::repeat_byte(0x50),
            signer: signer.address(),
            mining: Mining::Soon,
            faults: Vec::new(),
            violations: Vec::new(),
            uploads: HashMap::new(),
            stored: HashMap::new(),
            pending: Vec::new(),
            done: HashMap::new(),
            transactions: 0,
            nonces: HashMap::new(),
            final_nonces: HashMap::new(),
            is_final_at_once: true,
            data_sets: BTreeMap::new(),
            scheduled: Vec::new(),
            height: 100,
            authorised_until: u64::MAX,
            is_approved: true,
            lockup_period: 86_400,
            funds: 1_000_000,
        };
        Self { inner: Arc::new(Mutex::new(inner)), signer }
    }

    pub(crate) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("not poisoned")
    }

    pub(crate) async fn serve(&self) -> String {
        serve(Router::new().fallback(answer).with_state(self.clone())).await
    }

    /// Pieces of all data sets.
    pub(crate) fn pieces(&self) -> Vec<(PieceCommitment, String)> {
        let inner = self.inner();
        inner.data_sets.values().filter(|set| !set.is_deleted).flat_map(|set| set.pieces.clone()).flatten().collect()
    }

    /// Somebody terminates the service of a data set.
    pub(crate) fn terminate(&self, data_set: u64) {
        let mut inner = self.inner();
        let end = inner.height + 86_400;
        inner.data_sets.get_mut(&data_set).expect("a data set").end = Some(end);
    }

    /// The provider deletes a data set.
    pub(crate) fn delete(&self, data_set: u64) {
        self.inner().data_sets.get_mut(&data_set).expect("a data set").is_deleted = true;
    }
}

async fn answer(State(place): State<Place>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let path = parts.uri.path_and_query().expect("a path").as_str().to_owned();
    if path == "/rpc" {
        return Json(place.inner().rpc(&body)).into_response();
    }
    let fault = {
        let faults = &mut place.inner().faults;
        let found = faults.iter().position(|(method, start, _)| *method == parts.method && path.starts_with(start));
        found.map(|at| faults.remove(at).2)
    };
    match fault {
        Some(Fault::Status(code)) => return (StatusCode::from_u16(code).expect("a status"), "a fault").into_response(),
        Some(Fault::Hang) => tokio::time::sleep(Duration::from_secs(600)).await,
        Some(Fault::Says(text)) => return text.into_response(),
        Some(Fault::LosesAnswer) => {
            let _lost = place.inner().provider(&parts.method, &path, &body);
            return StatusCode::BAD_GATEWAY.into_response();
        }
        None => {}
    }
    let done = place.inner().provider(&parts.method, &path, &body);
    match done {
        Ok(response) => response,
        Err(problem) => {
            place.inner().violations.push(format!("{} {path}: {problem}", parts.method));
            (StatusCode::BAD_REQUEST, problem).into_response()
        }
    }
}

pub(super) fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str, String> {
    value[key].as_str().ok_or_else(|| format!("no {key} in {value}"))
}

fn version_2(cid: &str) -> Result<PieceCommitment, String> {
    match cid.parse() {
        Ok(PieceCid::V2(piece)) => Ok(piece),
        other => Err(format!("{cid} is no piece CID of version 2: {other:?}")),
    }
}

impl Inner {
    /// What Curio answers.
    fn provider(&mut self, method: &Method, path: &str, body: &Bytes) -> Result<Response, String> {
        let json = || serde_json::from_slice::<Value>(body).map_err(|error| error.to_string());
        let parts: Vec<&str> = path.trim_start_matches("/pdp/").split('/').collect();
        Ok(match (method.as_str(), &parts[..]) {
            ("POST", ["piece"]) => {
                let cid = text(&json()?, "pieceCid")?.to_owned();
                let piece = version_2(&cid)?;
                if self.stored.contains_key(&cid) {
                    return Ok(Json(json!({ "pieceCid": cid })).into_response());
                }
                let name = format!("0b9d8c1e-1111-4222-8333-{:012x}", self.uploads.len());
                self.uploads.insert(name.clone(), piece);
                (StatusCode::CREATED, [("location", format!("/pdp/piece/upload/{name}"))]).into_response()
            }
            ("PUT", ["piece", "upload", name]) => {
                let piece = *self.uploads.get(*name).ok_or("no such upload")?;
                let found = piece_of_reader(&body[..], 1).expect("reads");
                if found != piece {
                    return Err(format!("{} bytes are {} and not {}", body.len(), found.v2(), piece.v2()));
                }
                self.stored.insert(piece.v2().to_string(), body.to_vec());
                StatusCode::NO_CONTENT.into_response()
            }
            ("GET", [query]) if query.starts_with("piece?pieceCid=") => {
                let cid = query.trim_start_matches("piece?pieceCid=");
                version_2(cid)?;
                if self.stored.contains_key(cid) {
                    Json(json!({ "pieceCid": cid })).into_response()
                } else {
                    StatusCode::NOT_FOUND.into_response()
                }
            }
            ("POST", ["data-sets", "create-and-add"]) => {
                let body = json()?;
                if text(&body, "recordKeeper")?.parse() != Ok(SERVICE) {
                    return Err("another record keeper".to_owned());
                }
                let data: Data = text(&body, "extraData")?.parse().map_err(|_| "no hex")?;
                let (create, add) =
                    <(Data, Data)>::abi_decode_params_validate(&data).map_err(|error| error.to_string())?;
                let id = self.check_creation(&create)?;
                let then = Box::new(self.check_addition(&body, &add, id, None)?);
                let hash = self.send(Operation::Create { id, then });
                (StatusCode::CREATED, [("location", format!("/pdp/data-sets/created/{hash}"))]).into_response()
            }
            ("POST", ["data-sets", set, "pieces"]) => {
                let body = json()?;
                let id: u64 = set.parse().map_err(|_| "no number")?;
                let Some(set) = self.data_sets.get(&id) else {
                    return Ok(StatusCode::NOT_FOUND.into_response());
                };
                if set.end.is_some() || set.is_deleted {
                    let problem = "data set has been terminated due to unrecoverable proving failure";
                    return Ok((StatusCode::CONFLICT, problem).into_response());
                }
                let data: Data = text(&body, "extraData")?.parse().map_err(|_| "no hex")?;
                let operation = self.check_addition(&body, &data, set.number, Some(id))?;
                let hash = self.send(operation);
                (StatusCode::CREATED, [("location", format!("/pdp/data-sets/{id}/pieces/added/{hash}"))])
                    .into_response()
            }
            ("GET", ["data-sets", "created", hash]) => self.status(hash, "ok"),
            ("GET", ["data-sets", _, "pieces", "added", hash]) => self.status(hash, "addMessageOk"),
            ("DELETE", ["data-sets", set, "pieces", id]) => {
                let (set, id): (u64, u64) = (set.parse().map_err(|_| "no number")?, id.parse().map_err(|_| "no id")?);
                let body = json()?;
                if body["pieceIds"] != json!([id]) {
                    return Err("other pieces than in the path".to_owned());
                }
                let data: Data = text(&body, "extraData")?.parse().map_err(|_| "no hex")?;
                let (signature,) = <(Data,)>::abi_decode_params_validate(&data).map_err(|error| error.to_string())?;
                let set = self.data_sets.get_mut(&set).ok_or("no such data set")?;
                if set.end.is_some() || set.is_deleted {
                    return Err("a removal from a data set that has ended".to_owned());
                }
                let ids = hash_words(&[word(U256::from(id))]);
                let message = hash_words(&[keccak256(REMOVE), word(set.number), ids]);
                if signer_of(&signature, message) != Some(self.signer) {
                    return Err("somebody else signed the removal".to_owned());
                }
                set.pieces[id as usize] = None;
                Json(json!({ "txHash": "0x00" })).into_response()
            }
            _ => return Err("no such route".to_owned()),
        })
    }

    fn send(&mut self, operation: Operation) -> String {
        self.transactions += 1;
        let hash = keccak256(self.transactions.to_be_bytes()).to_string();
        self.pending.push((hash.clone(), operation));
        hash
    }

    fn status(&self, hash: &str, key: &str) -> Response {
        let (status, ok) = match self.done.get(hash) {
            Some(ok) => ("confirmed", json!(ok)),
            None if self.mining == Mining::Claimed => ("confirmed", json!(true)),
            None if self.pending.iter().any(|(pending, _)| pending == hash) => ("pending", Value::Null),
            None => return StatusCode::NOT_FOUND.into_response(),
        };
        Json(json!({ "txHash": hash, "txStatus": status, key: ok })).into_response()
    }

    fn check_creation(&self, data: &Data) -> Result<U256, String> {
        type Creation = (Address, U256, Vec<String>, Vec<String>, Data);
        let (payer, id, keys, values, signature) =
            Creation::abi_decode_params_validate(data).map_err(|error| error.to_string())?;
        let kind = keccak256([CREATE, ENTRY].concat());
        let message = hash_words(&[kind, word(id), PAYEE.into_word(), hash_metadata(&keys, &values)]);
        if payer != self.payer || signer_of(&signature, message) != Some(self.signer) {
            return Err("the creation is not the payer's".to_owned());
        }
        if keys != ["source", "withIPFSIndexing"] || values != ["lota", ""] {
            return Err(format!("other metadata: {keys:?} {values:?}"));
        }
        Ok(id)
    }

    fn check_addition(&self, body: &Value, data: &Data, id: U256, data_set: Option<u64>) -> Result<Operation, String> {
        let [listed] = &body["pieces"].as_array().ok_or("no pieces")?[..] else { return Err("not one piece".into()) };
        let cid = text(listed, "pieceCid")?;
        if listed["subPieces"] != json!([{ "subPieceCid": cid }]) {
            return Err("other sub-pieces".to_owned());
        }
        if !self.stored.contains_key(cid) {
            return Err(format!("subPiece CID {cid} not found"));
        }
        let piece = version_2(cid)?;
        type Addition = (U256, Vec<Vec<String>>, Vec<Vec<String>>, Data);
        let (nonce, keys, values, signature) =
            Addition::abi_decode_params_validate(data).map_err(|error| error.to_string())?;
        let ([keys], [values]) = (&keys[..], &values[..]) else { return Err("metadata of other pieces".to_owned()) };
        let cids = hash_words(&[hash_words(&[keccak256(CID), keccak256(piece.v2().to_bytes())])]);
        let about = [keccak256([PIECE, ENTRY].concat()), word(U256::ZERO), hash_metadata(keys, values)];
        let kind = keccak256([ADD, CID, ENTRY, PIECE].concat());
        let message = hash_words(&[kind, word(id), word(nonce), cids, hash_words(&[hash_words(&about)])]);
        if signer_of(&signature, message) != Some(self.signer) {
            return Err("the addition is not the payer's".to_owned());
        }
        if *keys != ["ipfsRootCID"] {
            return Err(format!("other metadata: {keys:?}"));
        }
        Ok(Operation::Add { data_set, nonce, piece, root: values[0].clone() })
    }
}
