//! A node's JSON-RPC, as little of it as is needed, and what can go wrong with it.
//!
//! Answers are read field by field into types of ours: nodes differ in what else they send.

use std::{borrow::Cow, fmt, time::Duration};

use alloy::{
    primitives::{LogData, U64},
    rpc::client::{ClientBuilder, RpcClient},
    rpc::json_rpc::{ErrorPayload, RpcError, RpcRecv, RpcSend},
    transports::{
        TransportError as AlloyError, TransportErrorKind,
        ws::{WebSocketConfig, WsConnect},
    },
};
use lota_market::{Address, B256, Bytes, U256};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    sync::{Mutex, broadcast, watch},
    time::Instant,
};

use super::bindings::{self, Revert, View};
use crate::transport::TransportError;

/// Filecoin nodes give no more logs in one answer; other nodes may give no more than some other round number of at least that
/// many.
pub const MAX_RESULTS: usize = 10_000;
/// Numbers of logs that nodes may end an answer at are multiples of this.
pub(super) const ROUND_RESULTS: usize = 1_000;
/// The longest answer that is taken by websocket, in bytes.
const MAX_ANSWER: usize = 64 << 20;
/// The longest text of a node that is passed on.
const MAX_TEXT: usize = 500;
/// The longest pause that a node may ask for.
pub(super) const LONGEST_ASKED: Duration = Duration::from_secs(600);
/// Pauses up to this long are waited for within a call; during longer ones calls fail at once.
const SHORT_PAUSE: Duration = Duration::from_secs(5);

/// What is wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// No answer: later, perhaps not before so long.
    Down(String, Option<Duration>),
    /// The node answers that it will not.
    Refused(Refusal),
    /// The contract's answer, or the URL, makes no sense.
    Nonsense(String),
}

/// A node's error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub code: i64,
    pub message: String,
    /// Data of a revert, wherever the node put it.
    pub data: Option<Bytes>,
}

impl Trouble {
    pub(super) fn down(text: impl Into<String>) -> Self {
        Self::Down(text.into(), None)
    }
}

impl From<Trouble> for TransportError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Down(text, _) => Self::Unavailable(text),
            Trouble::Refused(refusal) => {
                Self::Unavailable(format!("the node refuses: {} (code {})", refusal.message, refusal.code))
            }
            Trouble::Nonsense(text) => Self::Malformed(text),
        }
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Data of a revert that a node wrote into its message: Lotus' `revert reason=[0x…]`.
fn hex_within(message: &str) -> Option<Bytes> {
    message.match_indices("0x").find_map(|(start, _)| {
        let digits = message[start + 2..].split(|c: char| !c.is_ascii_hexdigit()).next()?;
        let data: Bytes = digits.parse().ok()?;
        (data.len() >= 4 && !matches!(bindings::revert(&data), Revert::Unknown(_))).then_some(data)
    })
}

fn hex_of(value: &Value) -> Option<Bytes> {
    match value {
        Value::String(text) => text.parse().ok().or_else(|| hex_within(text)),
        Value::Object(fields) => fields.values().find_map(hex_of),
        _ => None,
    }
}

fn refusal(payload: &ErrorPayload) -> Refusal {
    let data = payload.data.as_ref().and_then(|data| serde_json::from_str(data.get()).ok());
    Refusal {
        code: payload.code,
        message: shortened(&payload.message),
        data: data.as_ref().and_then(hex_of).or_else(|| hex_within(&payload.message)),
    }
}

/// How long a node wants to be left alone, where it says so in the data of its error (Infura's `rate.backoff_seconds`).
fn asked_pause(payload: &ErrorPayload) -> Option<Duration> {
    let data: Value = serde_json::from_str(payload.data.as_ref()?.get()).ok()?;
    let seconds = data.get("rate")?.get("backoff_seconds")?.as_f64()?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn answered(payload: &ErrorPayload) -> Trouble {
    if payload.is_retry_err() {
        let text = format!("the node asks for patience: {}", shortened(&payload.message));
        Trouble::Down(text, asked_pause(payload))
    } else {
        Trouble::Refused(refusal(payload))
    }
}

/// Lotus sends its errors with an HTTP status of failure.
fn http_trouble(status: u16, body: &str, retry_after: Option<Duration>) -> Trouble {
    #[derive(Deserialize)]
    struct Envelope {
        error: ErrorPayload,
    }
    if status == 429 {
        return Trouble::Down("the node answers too many requests (HTTP 429)".into(), retry_after);
    }
    if let Ok(envelope) = serde_json::from_str::<Envelope>(body) {
        return answered(&envelope.error);
    }
    let text = format!("the node answers HTTP {status}: {}", shortened(body.trim()));
    if status == 413 {
        return Trouble::Refused(Refusal { code: i64::from(status), message: text, data: None });
    }
    Trouble::Down(text, retry_after)
}

fn trouble(error: AlloyError) -> Trouble {
    match error {
        RpcError::ErrorResp(payload) => answered(&payload),
        RpcError::Transport(TransportErrorKind::HttpError(error)) => http_trouble(error.status, &error.body, None),
        RpcError::Transport(TransportErrorKind::HttpErrorWithRetryAfter { error, retry_after }) => {
            http_trouble(error.status, &error.body, Some(retry_after))
        }
        RpcError::Transport(other) => Trouble::down(shortened(&chain_of(&other))),
        RpcError::DeserError { err, text } => {
            // As likely a gateway's page as a node's mistake.
            Trouble::down(format!("the node's answer makes no sense ({err}): `{}`", shortened(&text)))
        }
        other => Trouble::Nonsense(shortened(&other.to_string())),
    }
}

/// An error and its causes in one line.
fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// A block, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Header {
    number: U64,
    pub hash: B256,
    /// Zeros where the node does not say.
    #[serde(default)]
    pub parent_hash: B256,
    timestamp: U64,
    #[serde(default)]
    pub base_fee_per_gas: Option<U256>,
}

impl Header {
    #[cfg(test)]
    pub(super) fn of(number: u64, hash: B256, parent_hash: B256) -> Self {
        let (number, timestamp) = (U64::from(number), U64::from(number));
        Self { number, hash, parent_hash, timestamp, base_fee_per_gas: None }
    }

    pub(super) fn number(&self) -> u64 {
        self.number.to()
    }

    pub(super) fn timestamp(&self) -> u64 {
        self.timestamp.to()
    }
}

/// What a node has at a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Height {
    /// A block.
    Block(Header),
    /// Never a block: a Filecoin epoch without any.
    Empty,
    /// Nothing yet: this node's chain ends before it.
    Beyond,
}

/// A log of the market.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Log {
    pub address: Address,
    topics: Vec<B256>,
    data: Bytes,
    block_number: U64,
    pub block_hash: B256,
    #[serde(default)]
    block_timestamp: Option<U64>,
    pub transaction_hash: B256,
    log_index: U64,
    #[serde(default)]
    removed: bool,
}

impl Log {
    pub(super) fn block(&self) -> u64 {
        self.block_number.to()
    }

    pub(super) fn index(&self) -> u64 {
        self.log_index.to()
    }

    pub(super) fn timestamp(&self) -> Option<u64> {
        self.block_timestamp.map(|time| time.to())
    }

    pub(super) fn content(&self) -> LogData {
        LogData::new_unchecked(self.topics.clone(), self.data.clone())
    }

    pub(super) fn into_content(self) -> LogData {
        LogData::new_unchecked(self.topics, self.data)
    }
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Receipt {
    status: U64,
    block_number: U64,
    pub block_hash: B256,
    pub transaction_hash: B256,
    #[serde(default)]
    transaction_index: Option<U64>,
    pub logs: Vec<Log>,
}

impl Receipt {
    pub(super) fn succeeded(&self) -> bool {
        !self.status.is_zero()
    }

    pub(super) fn block(&self) -> u64 {
        self.block_number.to()
    }

    /// Whether no transaction, and so no log, stands before it in its block.
    pub(super) fn is_first(&self) -> bool {
        self.transaction_index.is_some_and(|index| index.is_zero())
    }
}

/// A call that is tried out or estimated.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub from: Address,
    pub to: Address,
    pub value: U256,
    pub data: Bytes,
}

impl Call {
    fn json(&self) -> Value {
        json!({ "from": self.from, "to": self.to, "value": self.value, "data": self.data })
    }
}

fn quantity(number: u64) -> String {
    format!("{number:#x}")
}

/// A URL that may hold somebody's key: shown as scheme and host.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(pub String);

impl Secret {
    fn shown(&self) -> &str {
        let host = self.0.find("://").map_or(0, |scheme| scheme + 3);
        let end = self.0[host..].find(['/', '?', '#']).map_or(self.0.len(), |path| host + path);
        // Credentials stand before the host.
        if self.0[host..end].contains('@') { "the configured URL" } else { &self.0[..end] }
    }

    /// A text without the URL's hidden parts.
    fn hidden_in(&self, text: &str) -> String {
        let bare = self.0.trim_end_matches('/');
        text.replace(&self.0, self.shown()).replace(bare, self.shown())
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A connection to a node, made when it is needed and made again when it is lost.
#[derive(Debug)]
pub(super) struct Rpc {
    url: Secret,
    timeout: Duration,
    client: Mutex<Option<RpcClient>>,
    /// Until when the node wants to be left alone.
    quiet: watch::Sender<Option<Instant>>,
}

impl Rpc {
    pub(super) fn new(url: String, timeout: Duration) -> Self {
        Self { url: Secret(url), timeout, client: Mutex::new(None), quiet: watch::Sender::new(None) }
    }

    /// Whether the node can wake us up.
    pub(super) fn is_websocket(&self) -> bool {
        self.url.0.starts_with("ws://") || self.url.0.starts_with("wss://")
    }

    async fn client(&self) -> Result<RpcClient, Trouble> {
        let mut kept = self.client.lock().await;
        if let Some(client) = &*kept {
            return Ok(client.clone());
        }
        let client = if self.is_websocket() {
            // The wrapper's own reconnection is kept short: calls that wait for it would hide that the node is away.
            let limits = WebSocketConfig::default().max_message_size(Some(MAX_ANSWER)).max_frame_size(Some(MAX_ANSWER));
            let connect = WsConnect::new(&self.url.0)
                .with_config(limits)
                .with_max_retries(2)
                .with_retry_interval(Duration::from_millis(200));
            let connected = tokio::time::timeout(self.timeout, ClientBuilder::default().ws(connect)).await;
            connected.map_err(|_| self.silent())?.map_err(|error| self.trouble(error))?
        } else {
            let url =
                self.url.0.parse().map_err(|error| Trouble::Nonsense(format!("`{}` is no URL: {error}", self.url)))?;
            ClientBuilder::default().http_with_client(lota_http::client(), url)
        };
        *kept = Some(client.clone());
        Ok(client)
    }

    fn silent(&self) -> Trouble {
        Trouble::down(format!("the node does not answer within {} s", self.timeout.as_secs_f32()))
    }

    /// What is wrong, without the parts of the URL that nobody should see.
    fn trouble(&self, error: AlloyError) -> Trouble {
        match trouble(error) {
            Trouble::Down(text, asked) => Trouble::Down(self.url.hidden_in(&text), asked),
            other => other,
        }
    }

    async fn lost(&self, error: &AlloyError) {
        if matches!(error, RpcError::Transport(TransportErrorKind::BackendGone)) {
            self.client.lock().await.take();
        }
    }

    /// Waits as long as the node asked for, if that is not long.
    async fn leave_alone(&self) -> Result<(), Trouble> {
        let until = *self.quiet.borrow();
        let left = until.map(|until| until.saturating_duration_since(Instant::now())).unwrap_or_default();
        if left > SHORT_PAUSE {
            let text = format!("the node asked to be left alone for {} s more", left.as_secs());
            return Err(Trouble::Down(text, Some(left)));
        }
        tokio::time::sleep(left).await;
        Ok(())
    }

    async fn request<P: RpcSend, R: RpcRecv>(&self, method: &'static str, params: P) -> Result<R, Trouble> {
        self.leave_alone().await?;
        let client = self.client().await?;
        let call = client.request(Cow::Borrowed(method), params);
        match tokio::time::timeout(self.timeout, call).await {
            Err(_) => Err(self.silent()),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                self.lost(&error).await;
                let trouble = self.trouble(error);
                if let Trouble::Down(_, Some(asked)) = &trouble {
                    self.quiet.send_replace(Some(Instant::now() + (*asked).min(LONGEST_ASKED)));
                }
                Err(trouble)
            }
        }
    }

    /// Receives something whenever there is a new block; `None` where the node cannot tell.
    pub(super) async fn new_heads(&self) -> Result<Option<Heads>, Trouble> {
        if !self.is_websocket() {
            return Ok(None);
        }
        let id: B256 = self.request("eth_subscribe", ("newHeads",)).await?;
        let client = self.client().await?;
        let subscription = client.get_raw_subscription(id).await;
        Ok(Some(Heads { subscription, _client: client }))
    }

    pub(super) async fn chain_id(&self) -> Result<u64, Trouble> {
        self.request::<_, U64>("eth_chainId", ()).await.map(|id| id.to())
    }

    pub(super) async fn code(&self, account: Address) -> Result<Bytes, Trouble> {
        self.request("eth_getCode", (account, "latest")).await
    }

    async fn block(&self, which: &str) -> Result<Option<Header>, Trouble> {
        self.request("eth_getBlockByNumber", (which, false)).await
    }

    /// The newest block.
    pub(super) async fn latest(&self) -> Result<Header, Trouble> {
        self.block("latest").await?.ok_or_else(|| Trouble::down("the node knows no block yet"))
    }

    /// The block that the node gives a name to: `safe`, `finalized`. `None` when it gives it to none.
    pub(super) async fn tagged_block(&self, tag: &'static str) -> Result<Option<Header>, Trouble> {
        match self.block(tag).await {
            Err(Trouble::Refused(refusal)) => {
                tracing::debug!(tag, message = refusal.message, "the node does not say which block this is");
                Ok(None)
            }
            answer => answer,
        }
    }

    /// The block with a number; `None` when there is none: not yet, or never (a Filecoin epoch without blocks).
    pub(super) async fn block_at(&self, number: u64) -> Result<Option<Header>, Trouble> {
        match self.height(number).await? {
            Height::Block(header) => Ok(Some(header)),
            Height::Empty | Height::Beyond => Ok(None),
        }
    }

    /// What the node has at a number.
    pub(super) async fn height(&self, number: u64) -> Result<Height, Trouble> {
        match self.block(&quantity(number)).await {
            Err(Trouble::Refused(refusal)) if refusal.code == 12 || refusal.message.contains("null round") => {
                Ok(Height::Empty)
            }
            Err(Trouble::Refused(refusal)) if refusal.message.contains("future epoch") => Ok(Height::Beyond),
            Ok(Some(header)) if header.number() == number => Ok(Height::Block(header)),
            // Some nodes answer an epoch without blocks with the one before it.
            Ok(Some(_)) => Ok(Height::Empty),
            Ok(None) => Ok(Height::Beyond),
            Err(trouble) => Err(trouble),
        }
    }

    pub(super) async fn block_with_hash(&self, hash: B256) -> Result<Option<Header>, Trouble> {
        self.request("eth_getBlockByHash", (hash, false)).await
    }

    async fn filtered(&self, filter: Value) -> Result<Vec<Log>, Trouble> {
        let mut logs: Vec<Log> = self.request("eth_getLogs", (filter,)).await?;
        logs.retain(|log| !log.removed);
        logs.sort_unstable_by_key(|log| (log.block(), log.index()));
        Ok(logs)
    }

    /// The contract's logs in a range of blocks, both ends included, in order.
    pub(super) async fn logs(&self, contract: Address, from: u64, to: u64) -> Result<Vec<Log>, Trouble> {
        let filter = json!({ "address": contract, "fromBlock": quantity(from), "toBlock": quantity(to) });
        self.filtered(filter).await
    }

    /// The contract's logs in one block, in order.
    pub(super) async fn logs_of(&self, contract: Address, block_hash: B256) -> Result<Vec<Log>, Trouble> {
        self.filtered(json!({ "address": contract, "blockHash": block_hash })).await
    }

    /// Whether the node knows a transaction: in its pool, or in a block.
    pub(super) async fn knows(&self, transaction: B256) -> Result<bool, Trouble> {
        let found: Option<serde::de::IgnoredAny> = self.request("eth_getTransactionByHash", (transaction,)).await?;
        Ok(found.is_some())
    }

    pub(super) async fn receipt(&self, transaction: B256) -> Result<Option<Receipt>, Trouble> {
        self.request("eth_getTransactionReceipt", (transaction,)).await
    }

    pub(super) async fn balance(&self, account: Address) -> Result<U256, Trouble> {
        self.request("eth_getBalance", (account, "latest")).await
    }

    /// How many transactions of an account are in blocks up to `block`, or up to the newest one.
    pub(super) async fn count(&self, account: Address, block: Option<u64>) -> Result<u64, Trouble> {
        let block = block.map_or_else(|| "latest".to_owned(), quantity);
        self.request::<_, U64>("eth_getTransactionCount", (account, block)).await.map(|count| count.to())
    }

    /// The same with what waits in the node's pool.
    pub(super) async fn pending_count(&self, account: Address) -> Result<u64, Trouble> {
        self.request::<_, U64>("eth_getTransactionCount", (account, "pending")).await.map(|count| count.to())
    }

    pub(super) async fn tip(&self) -> Result<U256, Trouble> {
        self.request("eth_maxPriorityFeePerGas", ()).await
    }

    pub(super) async fn gas_price(&self) -> Result<U256, Trouble> {
        self.request("eth_gasPrice", ()).await
    }

    pub(super) async fn estimate(&self, call: &Call) -> Result<u64, Trouble> {
        self.request::<_, U64>("eth_estimateGas", (call.json(),)).await.map(|gas| gas.to())
    }

    /// Tries a call out on the state after a block.
    pub(super) async fn call_at(&self, call: &Call, block: u64) -> Result<Bytes, Trouble> {
        self.request("eth_call", (call.json(), quantity(block))).await
    }

    /// Reads a view of the contract in the newest block.
    pub(super) async fn view<T>(&self, contract: Address, view: View<T>) -> Result<T, Trouble> {
        let call = json!({ "to": contract, "data": view.data });
        let returned: Bytes = self.request("eth_call", (call, "latest")).await?;
        view.read(&returned).map_err(|error| Trouble::Nonsense(error.to_string()))
    }

    pub(super) async fn send_raw(&self, raw: &Bytes) -> Result<B256, Trouble> {
        self.request("eth_sendRawTransaction", (raw,)).await
    }
}

/// A subscription to new blocks: a hint that it is worth looking.
pub(super) struct Heads {
    subscription: alloy::pubsub::RawSubscription,
    _client: RpcClient,
}

impl Heads {
    /// Ready when there is a new block, which is said as far as it is understood; `None` when there will be no more news.
    pub(super) async fn next(&mut self) -> Option<Option<Header>> {
        match self.subscription.recv().await {
            Ok(told) => Some(serde_json::from_str(told.get()).ok()),
            // Hints that were missed are as good as the next one.
            Err(broadcast::error::RecvError::Lagged(_)) => Some(None),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use lota_market::model::Rejection;

    use super::*;

    fn payload(text: &str) -> ErrorPayload {
        serde_json::from_str(text).expect("an error")
    }

    fn rejection(trouble: &Trouble) -> Option<Rejection> {
        let Trouble::Refused(Refusal { data: Some(data), .. }) = trouble else { return None };
        let Revert::Rejected(rejection) = bindings::revert(data) else { return None };
        Some(rejection)
    }

    /// `InvalidRecipient()`.
    const SELECTOR: &str = "0x9c8d2cd2";

    #[test]
    fn a_reverts_data_is_found_wherever_a_node_puts_it() {
        for text in [
            format!(r#"{{"code":3,"message":"execution reverted","data":"{SELECTOR}"}}"#),
            format!(r#"{{"code":-32000,"message":"VM Exception","data":{{"result":"{SELECTOR}"}}}}"#),
            format!(r#"{{"code":-32015,"message":"VM execution error.","data":"Reverted {SELECTOR}"}}"#),
            format!(
                r#"{{"code":1,"message":"message execution failed (exit=[33], revert reason=[{SELECTOR}], vm error=[f0410 0x01])"}}"#
            ),
        ] {
            let trouble = answered(&payload(&text));
            assert_eq!(rejection(&trouble), Some(Rejection::InvalidRecipient), "{text}");
            let in_http = http_trouble(500, &format!(r#"{{"jsonrpc":"2.0","id":1,"error":{text}}}"#), None);
            assert_eq!(in_http, trouble, "{text}");
        }
        let other = payload(r#"{"code":1,"message":"contract 0xdeadbeefdeadbeef reverted"}"#);
        assert!(matches!(answered(&other), Trouble::Refused(Refusal { data: None, .. })));
    }

    #[test]
    fn what_passes_by_itself_is_told_from_what_does_not() {
        let after = Some(Duration::from_secs(7));
        assert_eq!(
            http_trouble(429, "", after),
            Trouble::Down("the node answers too many requests (HTTP 429)".into(), after)
        );
        for status in [401, 500, 502, 503] {
            assert!(matches!(http_trouble(status, "<html>", None), Trouble::Down(..)), "{status}");
        }
        assert!(matches!(http_trouble(413, "", None), Trouble::Refused(_)));
        let limited = payload(r#"{"code":-32005,"message":"daily request count exceeded, request rate limited"}"#);
        assert!(matches!(answered(&limited), Trouble::Down(_, None)));
        let limited = payload(
            r#"{"code":-32005,"message":"project rate limit exceeded","data":{"rate":{"backoff_seconds":2.5,"current_rps":13}}}"#,
        );
        assert!(matches!(answered(&limited), Trouble::Down(_, Some(pause)) if pause == Duration::from_millis(2_500)));
        assert!(matches!(answered(&payload(r#"{"code":429,"message":"slow down"}"#)), Trouble::Down(..)));
    }

    #[test]
    fn long_texts_are_cut_off() {
        let text = "ä".repeat(10_000);
        let short = shortened(&text);
        assert_eq!(short.chars().count(), MAX_TEXT + 1);
    }

    #[test]
    fn keys_in_urls_are_not_shown() {
        for (url, shown) in [
            ("https://node.example/v1/KEY", "https://node.example"),
            ("wss://node.example:8080?token=KEY", "wss://node.example:8080"),
            ("https://me:KEY@node.example/", "the configured URL"),
            ("http://127.0.0.1:1234", "http://127.0.0.1:1234"),
        ] {
            let secret = Secret(url.into());
            assert_eq!(format!("{secret:?}"), shown);
            let text = secret.hidden_in(&format!("error sending request for url ({url})"));
            assert_eq!(text, format!("error sending request for url ({shown})"));
        }
    }
}
