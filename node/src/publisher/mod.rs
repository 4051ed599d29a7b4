//! Publishers make a result available elsewhere too: the node's own gateway serves what is in its block store, and that is all
//! that a job needs to be paid. Which publishers there are, whoever starts a node says.

pub(crate) mod curio;
pub(crate) mod filecoin;
mod kubo;
mod pinning_service;

pub use curio::{Curio, CurioOptions};
pub use filecoin::{Filecoin, FilecoinOptions};
pub use kubo::Kubo;
pub use pinning_service::PinningService;

use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use lota_content::{Cid, Store};
use reqwest::{RequestBuilder, Response, StatusCode, Url};

/// The most blocks of a result that is sent.
const MAX_CAR_BLOCKS: usize = 1 << 20;
/// The largest answer of a publisher's server that is read, in bytes.
const MAX_ANSWER: usize = 256 << 10;
/// The longest reason of a server's that is kept, in characters.
const MAX_REASON: usize = 300;
/// How long a server may say nothing.
const SILENCE: Duration = Duration::from_secs(60);

/// Makes content of the node's block store available elsewhere, and has it kept there.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// What it is called for people. What was published is found again by this name, so it stays the same across restarts.
    fn name(&self) -> &str;

    /// Has the content kept, or finds out how far that is. `receipt` is what an earlier call for the same content gave. Calling it
    /// again is harmless, also when nobody knows what came of the last call.
    ///
    /// # Errors
    /// See [`PublishError`].
    async fn publish(&self, content: &Content, receipt: Option<&str>) -> Result<Published, PublishError>;

    /// The content need not be kept any longer. It is no error if it is not.
    ///
    /// # Errors
    /// See [`PublishError`].
    async fn withdraw(&self, cid: &Cid, receipt: Option<&str>) -> Result<(), PublishError>;

    /// Whether two receipts for the same content are of one request, which is withdrawn for both.
    fn is_same(&self, one: Option<&str>, other: Option<&str>) -> bool {
        one == other
    }

    /// The receipt for the next call, when somebody wants a publication tried again that failed.
    fn again(&self, receipt: String) -> String {
        receipt
    }
}

/// What is to be published.
#[derive(Clone, Debug)]
pub struct Content {
    /// Where its blocks are.
    pub store: Store,
    /// Its root.
    pub cid: Cid,
    /// What it is, for people who look at what a server keeps.
    pub name: String,
    /// The gateway that serves it already.
    pub gateway: Url,
}

/// How far content is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    pub progress: Progress,
    /// What the next call is given. At most some 500 bytes.
    pub receipt: Option<String>,
}

/// How far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It waits for its turn.
    Queued,
    /// It is being fetched.
    Pinning,
    /// It is there, and kept.
    Pinned,
}

/// Why content was not published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// It may go better another time.
    #[error("{0}")]
    Temporary(String),
    /// The server gave up; it is to be asked anew, without the receipt.
    #[error("{0}")]
    GivenUp(String),
    /// Trying again does not help, until the operator has changed something.
    #[error("{0}")]
    Refused(String),
}

/// Why a publisher cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PublisherError {
    /// The URL of its server, shown without what may be secret.
    #[error("`{url}` is not the URL of {what}: {problem}")]
    Url { url: String, what: &'static str, problem: String },
    /// What proves that one may speak to it.
    #[error("the token of {0} has characters that no HTTP header can carry")]
    Token(&'static str),
    /// The HTTP client.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(reqwest::Error),
}

/// A server of the operator's choice: it may have any address, and sends nobody elsewhere.
struct Server {
    http: reqwest::Client,
    base: Url,
    silence: Duration,
}

impl Server {
    fn new(url: &str, what: &'static str, token: Option<&str>) -> Result<Self, PublisherError> {
        let bad = |problem: &str| PublisherError::Url { url: shown(url), what, problem: problem.to_owned() };
        let mut base: Url = url.parse().map_err(|error| bad(&format!("{error}")))?;
        if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
            return Err(bad("it begins neither with http:// nor with https://"));
        }
        if !base.username().is_empty()
            || base.password().is_some()
            || base.query().is_some()
            || base.fragment().is_some()
        {
            return Err(bad("it carries a user name, a password, a query or a fragment"));
        }
        if token.is_some() && base.scheme() != "https" && !is_this_machine(&base) {
            return Err(bad(
                "everybody on the way could read the token, and use it; it begins with https://, or names this machine",
            ));
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let mut headers = reqwest::header::HeaderMap::new();
        if let Some(token) = token {
            let mut value = reqwest::header::HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|_| PublisherError::Token(what))?;
            value.set_sensitive(true);
            headers.insert(reqwest::header::AUTHORIZATION, value);
        }
        let http = lota_http::builder()
            // The token is for this server alone.
            .redirect(reqwest::redirect::Policy::none())
            .default_headers(headers)
            .connect_timeout(Duration::from_secs(10))
            .user_agent(concat!("lota/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(PublisherError::Client)?;
        Ok(Self { http, base, silence: SILENCE })
    }

    fn url(&self, path: &str) -> Result<Url, PublishError> {
        self.base.join(path).map_err(|error| PublishError::Refused(error.to_string()))
    }

    /// Sends a request and reads its answer, both of bounded size and time.
    async fn ask(&self, request: RequestBuilder) -> Result<(StatusCode, Bytes), PublishError> {
        match tokio::time::timeout(self.silence, async { self.answer(request.send().await.map_err(away)?).await }).await
        {
            Ok(answer) => answer,
            Err(_) => Err(self.silent()),
        }
    }

    fn silent(&self) -> PublishError {
        PublishError::Temporary(format!("it said nothing for {} s", self.silence.as_secs_f32()))
    }

    async fn answer(&self, mut response: Response) -> Result<(StatusCode, Bytes), PublishError> {
        let status = response.status();
        let mut answer = BytesMut::new();
        while let Some(piece) = response.chunk().await.map_err(away)? {
            if answer.len() + piece.len() > MAX_ANSWER {
                return Err(PublishError::Temporary(format!("it answered {status} with more than {MAX_ANSWER} bytes")));
            }
            answer.extend_from_slice(&piece);
        }
        Ok((status, answer.freeze()))
    }
}

/// Whether what is sent there stays on this machine.
fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    host == "localhost"
        || host.trim_matches(['[', ']']).parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// Refuses what cannot be the URL of a Filecoin node's JSON-RPC.
fn check_rpc(rpc: &str) -> Result<(), PublisherError> {
    let bad = |problem: String| PublisherError::Url { url: shown(rpc), what: "a Filecoin node's JSON-RPC", problem };
    let url: Url = rpc.parse().map_err(|error| bad(format!("{error}")))?;
    if matches!(url.scheme(), "http" | "https" | "ws" | "wss") {
        Ok(())
    } else {
        Err(bad("it begins neither with http:// or https:// nor with ws:// or wss://".to_owned()))
    }
}

/// A URL without credentials, query and fragment; also of what is no URL.
pub(crate) fn shown(url: &str) -> String {
    let shown = match url.rfind('@') {
        Some(at) => {
            let scheme = if url.starts_with("https://") {
                "https://"
            } else if url.starts_with("http://") {
                "http://"
            } else {
                ""
            };
            format!("{scheme}...{}", &url[at..])
        }
        None => url.to_owned(),
    };
    shown.split(['?', '#']).next().unwrap_or_default().to_owned()
}

/// Its server cannot be reached.
fn away(error: reqwest::Error) -> PublishError {
    PublishError::Temporary(lota_bridge::failure::causes(&error.without_url()))
}

/// An answer that is no success.
fn unsuccessful(status: StatusCode, answer: &[u8]) -> PublishError {
    let problem = match said(answer) {
        said if said.is_empty() => format!("it answered {status}"),
        said => format!("it answered {status}: {said}"),
    };
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            PublishError::Refused(format!("{problem}; look at its token in the settings, and start the node again"))
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => PublishError::Temporary(problem),
        status if status.is_client_error() || status.is_redirection() => PublishError::Refused(problem),
        _ => PublishError::Temporary(problem),
    }
}

/// What an answer says, shortened, as one line.
fn said(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(&answer[..answer.len().min(4 * MAX_REASON)]);
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().filter(|c| !c.is_control()).take(MAX_REASON).collect()
}

#[cfg(test)]
mod tests;
