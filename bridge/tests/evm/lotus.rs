//! A proxy that makes a development chain behave like a Filecoin node: every fourth epoch is null (asking for it by number
//! answers error 12), logs come without timestamps and by limited ranges, errors come with HTTP 500 and reverts inside the
//! message, an epoch is executed with the next one ([`Lotus::execute_late`]), and things fail on demand.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::anvil::number;

/// The epoch of a block of the development chain: 0, 1, 2, 4, 5, 6, 8, …
pub(crate) const fn epoch_of(block: u64) -> u64 {
    block + block / 3
}

/// The block of an epoch; `None` when it is null.
pub(crate) const fn block_of(epoch: u64) -> Option<u64> {
    if epoch % 4 == 3 { None } else { Some(epoch - epoch / 4) }
}

/// What goes wrong, and how often.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fault {
    /// HTTP 503.
    Down,
    /// HTTP 502 with a gateway's page.
    Page,
    /// The connection stays open, and nothing comes.
    Silent,
    /// The answer ends in the middle.
    Truncated,
    /// HTTP 429, with a wish.
    TooMany { retry_after: Option<u64> },
    /// The answer comes late.
    Slow(Duration),
    /// The call is made, its answer lost.
    LoseAnswer,
    /// An error of the node.
    Error { code: i64, message: String },
    /// The call is answered with this, and not made.
    Instead(Value),
}

#[derive(Default)]
struct Rules {
    /// For a method (`*` for any): what goes wrong for the next calls.
    faults: HashMap<String, Vec<Fault>>,
    /// The same for ever.
    always: HashMap<String, Fault>,
    /// How often a method was called.
    calls: HashMap<String, u64>,
    /// The largest range of epochs of one call for logs.
    range: u64,
    /// Answers with more logs than this are lost.
    lost_above: Option<usize>,
    /// The most logs of one answer.
    results: usize,
    /// How many epochs the nodes behind the proxy are behind: the calls go to one after another.
    behind: Vec<u64>,
    /// Which of them is next.
    turn: usize,
    /// The largest range that was asked for and answered.
    widest: u64,
    /// Which block is called `safe` or `finalized` is not said.
    without_tags: bool,
    /// The development chain's block that is called so.
    tagged: Option<u64>,
}

struct Inner {
    backend: Mutex<String>,
    http: reqwest::Client,
    rules: Mutex<Rules>,
}

/// The proxy; it ends with the test.
pub(crate) struct Lotus {
    inner: Arc<Inner>,
    address: String,
    server: JoinHandle<()>,
}

impl Drop for Lotus {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Lotus {
    pub(crate) async fn in_front_of(backend: String) -> Self {
        let rules = Rules { range: 2_880, results: 10_000, ..Rules::default() };
        let inner =
            Arc::new(Inner { backend: Mutex::new(backend), http: lota_http::client(), rules: Mutex::new(rules) });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound").to_string();
        let app = Router::new().route("/rpc/v1", post(answer)).with_state(inner.clone());
        let server = tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") });
        Self { inner, address, server }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/rpc/v1", self.address)
    }

    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.inner.rules.lock().expect("no panic")
    }

    /// Lines faults up for the next calls of a method, or of any (`*`).
    pub(crate) fn next(&self, method: &str, faults: impl IntoIterator<Item = Fault>) {
        self.rules().faults.entry(method.into()).or_default().extend(faults);
    }

    /// Makes a method fail from now on, or not any more.
    pub(crate) fn always(&self, method: &str, fault: Option<Fault>) {
        let mut rules = self.rules();
        match fault {
            Some(fault) => rules.always.insert(method.into(), fault),
            None => rules.always.remove(method),
        };
    }

    pub(crate) fn limit(&self, range: u64, results: usize) {
        let mut rules = self.rules();
        (rules.range, rules.results) = (range, results);
    }

    /// Loses answers with more logs than this.
    pub(crate) fn lose_answers_above(&self, logs: usize) {
        self.rules().lost_above = Some(logs);
    }

    pub(crate) fn fall_behind(&self, epochs: u64) {
        self.waver([epochs]);
    }

    /// Executes an epoch with the next one, as Lotus does: receipts and logs come an epoch late, and `latest` is what was executed.
    pub(crate) fn execute_late(&self) {
        self.fall_behind(1);
    }

    /// Says no more which block is `safe` or `finalized`.
    pub(crate) fn forget_tags(&self) {
        self.rules().without_tags = true;
    }

    /// Calls this block of the development chain `safe` and `finalized`.
    pub(crate) fn finalize(&self, block: u64) {
        self.rules().tagged = Some(block);
    }

    /// Sends calls to nodes that are that many epochs behind, one after another.
    pub(crate) fn waver(&self, behind: impl IntoIterator<Item = u64>) {
        self.rules().behind = behind.into_iter().collect();
    }

    /// Sends all calls to another chain from now on.
    pub(crate) fn redirect(&self, backend: String) {
        *self.inner.backend.lock().expect("no panic") = backend;
    }

    pub(crate) fn calls(&self, method: &str) -> u64 {
        self.rules().calls.get(method).copied().unwrap_or_default()
    }

    pub(crate) fn widest(&self) -> u64 {
        self.rules().widest
    }

    /// Faults that were lined up and have not happened.
    pub(crate) fn left(&self, method: &str) -> usize {
        self.rules().faults.get(method).map_or(0, Vec::len)
    }
}

impl Inner {
    fn fault(&self, method: &str) -> Option<Fault> {
        let mut rules = self.rules.lock().expect("no panic");
        *rules.calls.entry(method.into()).or_default() += 1;
        for name in [method, "*"] {
            if let Some(faults) = rules.faults.get_mut(name).filter(|faults| !faults.is_empty()) {
                return Some(faults.remove(0));
            }
        }
        rules.always.get(method).or_else(|| rules.always.get("*")).cloned()
    }

    /// How far the node is behind that gets this call.
    fn behind(&self) -> u64 {
        let mut rules = self.rules.lock().expect("no panic");
        let turn = rules.turn;
        rules.turn = turn.wrapping_add(1);
        if rules.behind.is_empty() { 0 } else { rules.behind[turn % rules.behind.len()] }
    }

    async fn forward(&self, request: &Value) -> Value {
        let backend = self.backend.lock().expect("no panic").clone();
        let answer = self.http.post(backend).json(request).send().await.expect("anvil answers");
        answer.json().await.expect("anvil answers in JSON")
    }
}

fn error(id: &Value, code: i64, message: impl Into<String>) -> Value {
    let message: String = message.into();
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}

/// Lotus' JSON-RPC server sends errors with HTTP 500.
fn respond(answer: Value) -> Response {
    let status = if answer.get("error").is_some() { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
    (status, Json(answer)).into_response()
}

async fn answer(State(inner): State<Arc<Inner>>, Json(request): Json<Value>) -> Response {
    let method = request["method"].as_str().unwrap_or_default().to_owned();
    let fault = inner.fault(&method);
    match &fault {
        Some(Fault::Down) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Some(Fault::Page) => return (StatusCode::BAD_GATEWAY, "<html><h1>502</h1></html>").into_response(),
        Some(Fault::Silent) => std::future::pending().await,
        Some(Fault::TooMany { retry_after }) => {
            let mut headers = HeaderMap::new();
            if let Some(seconds) = retry_after {
                headers.insert(RETRY_AFTER, HeaderValue::from(*seconds));
            }
            return (StatusCode::TOO_MANY_REQUESTS, headers, "slow down").into_response();
        }
        Some(Fault::Slow(time)) => tokio::time::sleep(*time).await,
        Some(Fault::Error { code, message }) => return respond(error(&request["id"], *code, message)),
        Some(Fault::Instead(result)) => {
            return respond(json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }));
        }
        Some(Fault::LoseAnswer | Fault::Truncated) | None => {}
    }
    let answer = translate(&inner, request).await;
    if fault == Some(Fault::Truncated) {
        let text = answer.to_string();
        return text[..text.len() / 2].to_owned().into_response();
    }
    let lost_above = inner.rules.lock().expect("no panic").lost_above;
    let is_lost = method == "eth_getLogs"
        && lost_above.is_some_and(|most| answer["result"].as_array().is_some_and(|logs| logs.len() > most));
    if fault == Some(Fault::LoseAnswer) || is_lost {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    respond(answer)
}

/// What Lotus says of a block that is still to come.
const FUTURE: &str = "requested a future epoch (beyond 'latest')";

/// Makes a call with epochs for blocks.
async fn translate(inner: &Inner, mut request: Value) -> Value {
    let id = request["id"].clone();
    let method = request["method"].as_str().unwrap_or_default().to_owned();
    let behind = inner.behind();
    let is_tag = matches!(request["params"][0].as_str(), Some("safe" | "finalized"));
    if is_tag && inner.rules.lock().expect("no panic").without_tags {
        return error(&id, 1, "invalid argument 0: cannot parse Epoch");
    }
    let tagged = inner.rules.lock().expect("no panic").tagged.filter(|_| is_tag);
    if let Some(block) = tagged {
        request["params"][0] = format!("{:#x}", epoch_of(block)).into();
    }
    if matches!(method.as_str(), "eth_newFilter" | "eth_getFilterLogs" | "eth_getFilterChanges") {
        return error(&id, -32_601, "filters are disabled here");
    }
    // Only a node that is behind needs to be told what it may not know.
    let newest = if behind > 0 { head(inner).await.saturating_sub(behind) } else { u64::MAX };
    if method == "eth_getLogs"
        && request["params"][0]["toBlock"].as_str().is_some()
        && number(&request["params"][0]["toBlock"]) > newest
    {
        return error(&id, -32_000, "block range extends beyond current head block");
    }
    if method == "eth_getLogs"
        && let Some(refusal) = translate_filter(inner, &mut request, &id)
    {
        return refusal;
    }
    let place = match method.as_str() {
        "eth_getBlockByNumber" => Some(0),
        "eth_call" | "eth_getBalance" | "eth_getTransactionCount" | "eth_getCode" => Some(1),
        _ => None,
    };
    if let Some(place) = place
        && request["params"][place]
            .as_str()
            .is_some_and(|block| block.starts_with("0x") || (behind > 0 && block == "latest"))
    {
        let asked = &request["params"][place];
        let epoch = if asked == "latest" { newest } else { number(asked) };
        if epoch > newest {
            return error(&id, 1, FUTURE);
        }
        let block = match (block_of(epoch), asked == "latest") {
            (Some(block), _) => block,
            // The tipset at a null round is the one before it.
            (None, true) => block_of(epoch - 1).expect("no two null rounds in a row"),
            (None, false) => return error(&id, 12, format!("requested epoch was a null round ({epoch})")),
        };
        request["params"][place] = format!("{block:#x}").into();
    }
    let mut answer = inner.forward(&request).await;
    answer["id"] = id.clone();
    if let Some(failure) = answer.get("error") {
        let message = failure["message"].as_str().unwrap_or_default();
        return match failure["data"].as_str() {
            Some(data) => error(
                &id,
                1,
                format!(
                    "failed to estimate gas: message execution failed (exit=[33], revert reason=[{data}], \
                     vm error=[message failed with backtrace: 00: f0410 (method 3844450837) -- contract reverted at 75 (33)])"
                ),
            ),
            None => error(&id, failure["code"].as_i64().unwrap_or(1), message),
        };
    }
    if method == "eth_getBlockByNumber" && answer["result"].is_null() {
        return error(&id, 1, FUTURE);
    }
    epochs_for_blocks(&mut answer["result"]);
    let unknown = matches!(method.as_str(), "eth_getTransactionReceipt" | "eth_getBlockByHash")
        && ["blockNumber", "number"]
            .iter()
            .any(|name| answer["result"][name].as_str().is_some() && number(&answer["result"][name]) > newest);
    if unknown {
        answer["result"] = Value::Null;
    }
    if method == "eth_getLogs" {
        let (count, limit) =
            (answer["result"].as_array().map_or(0, Vec::len), inner.rules.lock().expect("no panic").results);
        if count > limit {
            return error(
                &id,
                1,
                format!("too many results, maximum supported is {limit}, try paginating requests with From and To"),
            );
        }
    }
    answer
}

async fn head(inner: &Inner) -> u64 {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": [] });
    epoch_of(number(&inner.forward(&request).await["result"]))
}

/// Translates the range of a filter; an answer when the range is refused.
fn translate_filter(inner: &Inner, request: &mut Value, id: &Value) -> Option<Value> {
    let filter = &mut request["params"][0];
    let (Some(from), Some(to)) = (filter["fromBlock"].as_str(), filter["toBlock"].as_str()) else { return None };
    let (from, to) = (number(&from.into()), number(&to.into()));
    let mut rules = inner.rules.lock().expect("no panic");
    if to - from > rules.range {
        let limit = rules.range;
        return Some(error(
            id,
            1,
            format!("invalid epoch range: range between to and from blocks is too large (maximum: {limit})"),
        ));
    }
    rules.widest = rules.widest.max(to - from);
    let first = block_of(from).or_else(|| block_of(from + 1)).expect("no two null rounds in a row");
    let last = block_of(to).or_else(|| block_of(to - 1)).expect("no two null rounds in a row");
    if first > last {
        // Nothing but a null round.
        return Some(json!({ "jsonrpc": "2.0", "id": id, "result": [] }));
    }
    (filter["fromBlock"], filter["toBlock"]) = (format!("{first:#x}").into(), format!("{last:#x}").into());
    None
}

/// Blocks become epochs, and logs lose their timestamps.
fn epochs_for_blocks(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(epochs_for_blocks),
        Value::Object(fields) => {
            fields.remove("blockTimestamp");
            for (name, value) in fields {
                if matches!(name.as_str(), "number" | "blockNumber") && value.is_string() {
                    *value = format!("{:#x}", epoch_of(number(value))).into();
                } else {
                    epochs_for_blocks(value);
                }
            }
        }
        _ => {}
    }
}
