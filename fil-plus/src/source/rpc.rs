//! HTTP to services that may hang, lie or never end; and Lotus' JSON-RPC over it.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, redirect};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

use crate::step::{Genesis, SourceError};

/// How much of a wrong answer an error repeats, in characters.
const REPEATED: usize = 120;
/// The longest tipset, in bytes: it has some ten blocks of a few thousand.
const TIPSET: u64 = 1 << 20;
/// The most blocks of a tipset, and the longest name of one, in bytes.
const MAX_BLOCKS: usize = 64;
const MAX_BLOCK_NAME: usize = 128;
/// The code of a method that is not there (JSON-RPC 2.0).
const NO_METHOD: i64 = -32_601;

/// What a service may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest answer, in bytes.
    pub answer: u64,
    /// The longest time until an answer begins, or between two of its parts.
    pub silence: Duration,
    /// The longest time for all of an answer.
    pub whole: Duration,
}

impl Limits {
    /// For states of big providers: some hundred thousand claims.
    pub const CHAIN: Self =
        Self { answer: 256 << 20, silence: Duration::from_secs(60), whole: Duration::from_secs(600) };
    /// For a question that somebody waits for.
    pub const QUESTION: Self =
        Self { answer: 1 << 20, silence: Duration::from_secs(5), whole: Duration::from_secs(10) };
    /// For a list.
    pub const LIST: Self = Self { answer: 64 << 20, silence: Duration::from_secs(20), whole: Duration::from_secs(120) };
}

/// A service at a URL.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: Client,
    url: Url,
    limits: Limits,
    /// Its URL as it may be shown: without credentials, path and query.
    place: String,
}

/// A body, and what came with it.
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Http {
    /// # Errors
    /// A text for a person when it is no URL of HTTP.
    pub(crate) fn new(url: &str, limits: Limits) -> Result<Self, String> {
        let parsed = Url::parse(url).map_err(|error| format!("it is no URL ({error}); write https://HOST/PATH"))?;
        let host = parsed.host_str().filter(|_| matches!(parsed.scheme(), "http" | "https"));
        let host = host.ok_or("it is no URL of HTTP; write https://HOST/PATH")?;
        let place = parsed.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let client = lota_http::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(limits.silence.min(Duration::from_secs(10)))
            .build()
            .map_err(|error| format!("no HTTP client can be made: {error}"))?;
        Ok(Self { client, url: parsed, limits, place })
    }

    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    pub(crate) const fn url(&self) -> &Url {
        &self.url
    }

    pub(crate) async fn get(&self, url: Url) -> Result<Answered, SourceError> {
        self.send(self.client.get(url).header("accept", "application/json, */*;q=0.5"), u64::MAX).await
    }

    async fn send(&self, request: RequestBuilder, limit: u64) -> Result<Answered, SourceError> {
        tokio::time::timeout(self.limits.whole, self.exchange(request, limit.min(self.limits.answer)))
            .await
            .unwrap_or_else(|_| Err(self.hung(self.limits.whole)))
    }

    fn hung(&self, after: Duration) -> SourceError {
        SourceError::Hung { place: self.place.clone(), seconds: after.as_secs() }
    }

    fn unreachable(&self, error: reqwest::Error) -> SourceError {
        // The URL may hold a key.
        let error = error.without_url();
        let mut problem = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            problem = format!("{problem}: {inner}");
            cause = inner.source();
        }
        SourceError::Unreachable { place: self.place.clone(), problem }
    }

    async fn exchange(&self, request: RequestBuilder, limit: u64) -> Result<Answered, SourceError> {
        let silence = self.limits.silence;
        let late = |_| self.hung(silence);
        let mut response: Response = tokio::time::timeout(silence, request.send())
            .await
            .map_err(late)?
            .map_err(|error| self.unreachable(error))?;
        let too_large = || SourceError::TooLarge { place: self.place.clone(), limit };
        if response.content_length().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let mut body = Vec::new();
        loop {
            let chunk = tokio::time::timeout(silence, response.chunk())
                .await
                .map_err(late)?
                .map_err(|error| self.unreachable(error))?;
            let Some(chunk) = chunk else { break };
            if (body.len() + chunk.len()) as u64 > limit {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answered { status: response.status().as_u16(), body })
    }

    pub(crate) fn status_error(&self, answered: &Answered) -> SourceError {
        SourceError::Status { place: self.place.clone(), status: answered.status, body: begins(&answered.body) }
    }

    pub(crate) fn shape_error(&self, problem: impl ToString, body: &[u8]) -> SourceError {
        SourceError::Shape { place: self.place.clone(), problem: problem.to_string(), begins: begins(body) }
    }
}

/// Whether these can be the CIDs of a tipset's blocks: some, and none that steers a terminal.
fn is_named(cids: &[Link]) -> bool {
    let is_name = |Link { cid }: &Link| {
        (1..=MAX_BLOCK_NAME).contains(&cid.len()) && cid.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
    };
    (1..=MAX_BLOCKS).contains(&cids.len()) && cids.iter().all(is_name)
}

/// How a body begins, in a form that a terminal can be shown.
fn begins(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * REPEATED)]);
    let text: String = text.chars().take(REPEATED).collect();
    if text.trim().is_empty() { "(nothing)".to_owned() } else { text.escape_debug().to_string() }
}

#[derive(serde::Deserialize)]
struct RpcAnswer<T> {
    result: Option<T>,
    error: Option<RpcError>,
}

#[derive(serde::Deserialize)]
struct RpcError {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
}

/// A tipset as it is answered, as far as it is needed.
#[derive(Default, serde::Deserialize)]
struct RawTipset {
    #[serde(rename = "Cids", default)]
    cids: Vec<Link>,
    #[serde(rename = "Blocks", default)]
    blocks: Vec<RawBlock>,
    #[serde(rename = "Height")]
    height: Option<u64>,
}

#[derive(serde::Deserialize)]
struct Link {
    #[serde(rename = "/")]
    cid: String,
}

#[derive(serde::Deserialize)]
struct RawBlock {
    #[serde(rename = "Timestamp")]
    timestamp: Option<u64>,
}

/// A tipset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tipset {
    pub height: u64,
    /// Unix seconds.
    pub time: u64,
    /// CIDs of its blocks.
    pub cids: Vec<String>,
}

impl Tipset {
    /// As Lotus' methods take it.
    #[must_use]
    pub fn key(&self) -> Value {
        self.cids.iter().map(|cid| json!({ "/": cid })).collect()
    }

    /// In one text.
    #[must_use]
    pub fn name(&self) -> String {
        self.cids.join(",")
    }
}

/// A Lotus or Forest node.
#[derive(Clone, Debug)]
pub struct Rpc {
    http: Http,
    /// After how many epochs a tipset is final; none: what the node calls final.
    final_epochs: Option<u64>,
}

/// The classic bound, for nodes that do not say what is final (900 epochs: Filecoin's expected consensus).
const FINAL_EPOCHS: u64 = 900;

impl Rpc {
    /// # Errors
    /// A text for a person when it is no URL of HTTP.
    pub fn new(url: &str, final_epochs: Option<u64>, limits: Limits) -> Result<Self, String> {
        Ok(Self { http: Http::new(url, limits)?, final_epochs })
    }

    /// Host and port.
    #[must_use]
    pub fn place(&self) -> &str {
        self.http.place()
    }

    /// Calls a method; `None`: its result is null.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub async fn call<T: DeserializeOwned + Send + 'static>(
        &self,
        method: &str,
        params: Value,
    ) -> Result<Option<T>, SourceError> {
        self.call_within(method, params, u64::MAX).await
    }

    /// Calls a method whose answer has at most so many bytes.
    pub(super) async fn call_within<T: DeserializeOwned + Send + 'static>(
        &self,
        method: &str,
        params: Value,
        limit: u64,
    ) -> Result<Option<T>, SourceError> {
        match self.answer(method, params, limit).await? {
            Ok(result) => Ok(result),
            Err(error) => Err(SourceError::Refused {
                place: self.place().to_owned(),
                method: method.to_owned(),
                message: begins(error.message.as_bytes()),
            }),
        }
    }

    async fn answer<T: DeserializeOwned + Send + 'static>(
        &self,
        method: &str,
        params: Value,
        limit: u64,
    ) -> Result<Result<Option<T>, RpcError>, SourceError> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answered = self.http.send(self.http.client.post(self.http.url.clone()).json(&request), limit).await?;
        let status = answered.status;
        let place = self.http.clone();
        // Parsing hundreds of megabytes is nothing to do between two other tasks.
        let parsed = tokio::task::spawn_blocking(move || {
            let parsed: Result<RpcAnswer<T>, _> = serde_json::from_slice(&answered.body);
            parsed.map_err(|error| {
                if (200..300).contains(&status) {
                    place.shape_error(error, &answered.body)
                } else {
                    place.status_error(&answered)
                }
            })
        });
        let parsed = parsed.await.map_err(|_| self.hung())??;
        match parsed {
            // Some gateways answer errors with a status of their own and a proper body.
            RpcAnswer { error: Some(error), .. } => Ok(Err(error)),
            RpcAnswer { result, .. } => Ok(Ok(result)),
        }
    }

    fn hung(&self) -> SourceError {
        self.http.hung(self.http.limits.whole)
    }

    /// A tipset's name is kept, and shown when it changes.
    fn tipset(&self, method: &str, read: Option<RawTipset>) -> Result<Tipset, SourceError> {
        let RawTipset { cids, blocks, height } = read.unwrap_or_default();
        let time = blocks.first().and_then(|block| block.timestamp);
        match (height, time) {
            (Some(height), Some(time)) if is_named(&cids) && height < 1 << 40 && time < 1 << 40 => {
                Ok(Tipset { height, time, cids: cids.into_iter().map(|Link { cid }| cid).collect() })
            }
            _ => Err(self.http.shape_error(
                format!("{method} gave no tipset with Cids, Height and Blocks[0].Timestamp"),
                format!("{height:?}, {time:?}, {} CIDs", cids.len()).as_bytes(),
            )),
        }
    }

    /// The first tipset of the chain.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub async fn genesis(&self) -> Result<Genesis, SourceError> {
        let method = "Filecoin.ChainGetGenesis";
        let tipset = self.tipset(method, self.call_within(method, json!([]), TIPSET).await?)?;
        Ok(Genesis { key: tipset.name(), time: tipset.time })
    }

    /// The newest tipset that is final, or deep enough.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub async fn final_tipset(&self) -> Result<Tipset, SourceError> {
        let depth = if let Some(depth) = self.final_epochs {
            depth
        } else {
            let method = "Filecoin.ChainGetFinalizedTipSet";
            match self.answer(method, json!([]), TIPSET).await? {
                Ok(value) => return self.tipset(method, value),
                Err(error) if error.code == NO_METHOD || error.message.contains("not found") => FINAL_EPOCHS,
                Err(error) => {
                    return Err(SourceError::Refused {
                        place: self.place().to_owned(),
                        method: method.to_owned(),
                        message: begins(error.message.as_bytes()),
                    });
                }
            }
        };
        let method = "Filecoin.ChainHead";
        let head = self.tipset(method, self.call_within(method, json!([]), TIPSET).await?)?;
        if depth == 0 {
            return Ok(head);
        }
        self.tipset_at(head.height.saturating_sub(depth)).await
    }

    /// The tipset at an epoch; at a null round, the one before.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub async fn tipset_at(&self, height: u64) -> Result<Tipset, SourceError> {
        let method = "Filecoin.ChainGetTipSetByHeight";
        let tipset = self.tipset(method, self.call_within(method, json!([height, null]), TIPSET).await?)?;
        if tipset.height > height {
            return Err(SourceError::Contradiction {
                place: self.place().to_owned(),
                problem: format!("asked for the tipset at epoch {height}, it gave that of epoch {}", tipset.height),
            });
        }
        Ok(tipset)
    }
}
