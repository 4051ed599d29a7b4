//! A chain node of ours, with Lotus' shapes: what `StateGetClaims`, `GetActorEventsRaw` and their like answer.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing::post,
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ciborium::Value as Cbor;
use lota_content::piece::PieceRoot;
use serde_json::{Value, json};

/// Unix seconds of its epoch 0.
pub const GENESIS: u64 = 1_700_000_000;

/// How a node is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// A page for people, with status 200.
    Html,
    /// Half of a document.
    Truncated,
    /// A document without an end.
    Endless,
    /// No answer.
    Silence,
    /// A beginning, and nothing after it.
    Stalls,
    Status500,
    Redirects,
    /// JSON of another form.
    OtherShape,
}

pub const FAULTS: [Fault; 8] = [
    Fault::Html,
    Fault::Truncated,
    Fault::Endless,
    Fault::Silence,
    Fault::Stalls,
    Fault::Status500,
    Fault::Redirects,
    Fault::OtherShape,
];

/// A claim on the chain.
#[derive(Clone, Debug)]
pub struct Claim {
    pub id: u64,
    pub provider: u64,
    pub client: u64,
    pub piece: PieceRoot,
    pub size: u64,
    pub term_max: u64,
    pub start: u64,
}

pub fn piece(number: u64) -> PieceRoot {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    PieceRoot::new(bytes).expect("a piece")
}

pub fn claim(id: u64, provider: u64) -> Claim {
    Claim { id, provider, client: 2_000, piece: piece(id), size: 1 << 35, term_max: 5_000_000, start: 1 }
}

impl Claim {
    fn state(&self) -> Value {
        json!({
            "Provider": self.provider,
            "Client": self.client,
            "Data": { "/": self.piece.to_string() },
            "Size": self.size,
            "TermMin": 500_000,
            "TermMax": self.term_max,
            "TermStart": self.start,
            "Sector": 17,
        })
    }

    fn event(&self, kind: &str, height: u64) -> Value {
        let entry = |key: &str, value: Cbor| {
            let mut bytes = Vec::new();
            ciborium::into_writer(&value, &mut bytes).expect("written");
            json!({ "Flags": 3, "Key": key, "Codec": 81, "Value": BASE64.encode(bytes) })
        };
        let cid = [&[0], self.piece.v1().to_bytes().as_slice()].concat();
        json!({
            "entries": [
                entry("$type", Cbor::Text(kind.to_owned())),
                entry("id", self.id.into()),
                entry("client", self.client.into()),
                entry("provider", self.provider.into()),
                entry("piece-cid", Cbor::Tag(42, Box::new(Cbor::Bytes(cid)))),
                entry("piece-size", self.size.into()),
                entry("term-min", 500_000.into()),
                entry("term-max", self.term_max.into()),
                entry("term-start", self.start.into()),
                entry("sector", 17.into()),
            ],
            "emitter": "f06",
            "reverted": false,
            "height": height,
            "tipsetKey": [{ "/": "bafy2bzaced4v32oeij3l7ru547vuzgkgeh6uwyjsi7f22uwi7acahe4babr4m" }],
            "msgCid": { "/": "bafy2bzacebtcy2us37j4rzgu5phfi5767ryfuhbpwedekvwhc5mrakq5dtl7k" },
        })
    }
}

/// What the node knows, and how it behaves.
#[derive(Debug)]
pub struct Chain {
    pub head: u64,
    /// What it calls final; none: it does not know the method.
    pub finalized: Option<u64>,
    /// From this epoch on it has blocks of another fork.
    pub fork: (u64, u64),
    pub genesis: String,
    /// Claims by provider.
    pub claims: BTreeMap<u64, Vec<Claim>>,
    /// What it says of claims as it is, by provider and key.
    pub odd: Vec<(u64, String, Value)>,
    /// What it says of allocations, by client and key.
    pub allocations: Vec<(u64, String, Value)>,
    /// Events: epoch, type and claim.
    pub events: Vec<(u64, &'static str, Claim)>,
    pub max_results: usize,
    pub fault: Fault,
    /// How it behaves when it is asked about the claims of these providers.
    pub broken: BTreeMap<u64, Fault>,
    /// The calls that were made.
    pub calls: Vec<(String, Value)>,
}

impl Default for Chain {
    fn default() -> Self {
        Self {
            head: 10_000,
            finalized: None,
            fork: (u64::MAX, 0),
            genesis: "genesis".to_owned(),
            claims: BTreeMap::new(),
            odd: Vec::new(),
            allocations: Vec::new(),
            events: Vec::new(),
            max_results: 10_000,
            fault: Fault::None,
            broken: BTreeMap::new(),
            calls: Vec::new(),
        }
    }
}

impl Chain {
    fn tipset(&self, height: u64) -> Value {
        // Every seventh round is null.
        let height = if height % 7 == 3 { height - 1 } else { height };
        let fork = if height >= self.fork.0 { self.fork.1 } else { 0 };
        let cid = if height == 0 { self.genesis.clone() } else { format!("block-{height}-{fork}") };
        json!({
            "Cids": [{ "/": cid }],
            "Blocks": [{ "Height": height, "Timestamp": GENESIS + 30 * height }],
            "Height": height,
        })
    }

    fn by_party(entries: &[(u64, String, Value)], party: u64) -> impl Iterator<Item = (String, Value)> {
        entries.iter().filter(move |(of, ..)| *of == party).map(|(_, key, value)| (key.clone(), value.clone()))
    }

    fn answer(&mut self, method: &str, params: &Value) -> Result<Value, (i64, String)> {
        self.calls.push((method.to_owned(), params.clone()));
        let id = |address: &Value| address.as_str().and_then(|a| a.strip_prefix("f0")).and_then(|a| a.parse().ok());
        Ok(match method {
            "Filecoin.ChainGetGenesis" => self.tipset(0),
            "Filecoin.ChainHead" => self.tipset(self.head),
            "Filecoin.ChainGetFinalizedTipSet" => match self.finalized {
                Some(height) => self.tipset(height),
                None => return Err((-32_601, format!("method '{method}' not found"))),
            },
            "Filecoin.ChainGetTipSetByHeight" => {
                self.tipset(params[0].as_u64().filter(|height| *height <= self.head).ok_or((1, "future".to_owned()))?)
            }
            "Filecoin.StateListMiners" => self.claims.keys().map(|id| format!("f0{id}")).collect(),
            "Filecoin.StateGetClaims" => {
                let provider: u64 = id(&params[0]).ok_or((1, "address".to_owned()))?;
                let claims = self.claims.get(&provider).into_iter().flatten();
                let entries: serde_json::Map<String, Value> = claims
                    .map(|claim| (claim.id.to_string(), claim.state()))
                    .chain(Self::by_party(&self.odd, provider))
                    .collect();
                if entries.is_empty() { Value::Null } else { Value::Object(entries) }
            }
            "Filecoin.StateGetAllocations" => {
                let client = id(&params[0]).ok_or((1, "address".to_owned()))?;
                Value::Object(Self::by_party(&self.allocations, client).collect())
            }
            "Filecoin.StateGetAllAllocations" => {
                self.allocations.iter().map(|(_, key, value)| (key.clone(), value.clone())).collect()
            }
            "Filecoin.GetActorEventsRaw" => {
                let filter = &params[0];
                let (from, to) = (filter["fromHeight"].as_u64().unwrap(), filter["toHeight"].as_u64().unwrap());
                assert_eq!(filter["addresses"], json!(["f06"]));
                assert_eq!(filter["fields"]["$type"][0], json!({ "codec": 81, "value": "ZWNsYWlt" }));
                if to - from >= 2_880 {
                    return Err((1, "invalid epoch range: too large".to_owned()));
                }
                let events = self.events.iter().filter(|(epoch, ..)| (from..=to).contains(epoch));
                if self.max_results == usize::MAX && events.clone().count() >= 10_000 {
                    // What it holds is not looked at.
                    return Ok(vec![Value::Null; 10_000].into());
                }
                let found: Vec<Value> = events.map(|(epoch, kind, claim)| claim.event(kind, *epoch)).collect();
                if found.len() > self.max_results {
                    return Err((1, "filter matches too many events, try a more restricted filter".to_owned()));
                }
                found.into()
            }
            method => return Err((-32_601, format!("method '{method}' not found"))),
        })
    }
}

/// The node, being served until the test ends.
#[derive(Clone)]
pub struct Node {
    chain: Arc<Mutex<Chain>>,
    address: SocketAddr,
}

async fn respond(State(chain): State<Arc<Mutex<Chain>>>, Json(request): Json<Value>) -> Response {
    let fault = {
        let chain = chain.lock().expect("the chain");
        let provider = request["params"][0].as_str().and_then(|address| address.strip_prefix("f0")?.parse().ok());
        let is_broken = (request["method"] == "Filecoin.StateGetClaims").then_some(provider).flatten();
        is_broken.and_then(|provider: u64| chain.broken.get(&provider)).copied().unwrap_or(chain.fault)
    };
    match fault {
        Fault::None => {
            let method = request["method"].as_str().expect("a method");
            let answer = match chain.lock().expect("the chain").answer(method, &request["params"]) {
                Ok(result) => json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }),
                Err((code, message)) => {
                    json!({ "jsonrpc": "2.0", "id": request["id"], "error": { "code": code, "message": message } })
                }
            };
            Json(answer).into_response()
        }
        Fault::Html => "<!doctype html><title>\u{1b}[2JSign in</title>".into_response(),
        Fault::Truncated => "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"Cids\":[".into_response(),
        Fault::Endless => {
            let spaces = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 4_096]));
            Body::from_stream(spaces).into_response()
        }
        Fault::Silence => std::future::pending().await,
        Fault::Stalls => {
            use futures::StreamExt as _;
            let begin = futures::stream::once(async { Ok::<_, std::io::Error>("{\"jsonrpc\":") });
            Body::from_stream(begin.chain(futures::stream::pending())).into_response()
        }
        Fault::Status500 => (StatusCode::INTERNAL_SERVER_ERROR, "out of order").into_response(),
        Fault::Redirects => Redirect::temporary("http://127.0.0.1:1/elsewhere").into_response(),
        Fault::OtherShape => Json(json!({ "jsonrpc": "2.0", "id": 1, "result": [1, 2, 3] })).into_response(),
    }
}

impl Node {
    pub async fn start(chain: Chain) -> Self {
        let chain = Arc::new(Mutex::new(chain));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let router = Router::new().route("/rpc/v1", post(respond)).with_state(Arc::clone(&chain));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { chain, address }
    }

    pub fn url(&self) -> String {
        format!("http://{}/rpc/v1", self.address)
    }

    pub fn chain(&self) -> MutexGuard<'_, Chain> {
        self.chain.lock().expect("the chain")
    }

    /// The ranges of epochs whose events were asked for since the last time.
    pub fn asked_ranges(&self) -> Vec<(u64, u64)> {
        let calls = std::mem::take(&mut self.chain().calls);
        let events = calls.iter().filter(|(method, _)| method == "Filecoin.GetActorEventsRaw");
        events.map(|(_, p)| (p[0]["fromHeight"].as_u64().unwrap(), p[0]["toHeight"].as_u64().unwrap())).collect()
    }
}
