//! How the daemon is found and spoken to.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use lota_api::{ApiError, ErrorCode};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};

use crate::{failure::Usage, home::Home, settings};

/// How long the daemon may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the daemon may take to begin an answer that it need not wait for.
const ANSWER: Duration = Duration::from_secs(120);
/// The longest body of an error that is read, in bytes.
const MAX_ERROR: usize = 1 << 20;

/// Why the daemon did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiFailure {
    /// Nothing says where a daemon is.
    #[error("no daemon is running (no {}); start one with `lota devnet`", .0.display())]
    NoDaemon(PathBuf),
    /// The daemon that wrote the file is gone.
    #[error(
        "no daemon is running: {} names {url}, but process {pid} does not answer there any more; start one with `lota devnet`",
        .file.display()
    )]
    Gone {
        /// The file.
        file: PathBuf,
        /// What it says.
        url: String,
        /// Who wrote it.
        pid: u32,
    },
    /// The configured daemon does not answer.
    #[error("no daemon answers at {url} (setting `api.url`)")]
    Silent {
        /// Where.
        url: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The token is not the daemon's.
    #[error("the daemon at {url} does not accept the token of {from}")]
    Token {
        /// Where.
        url: String,
        /// Where the token is from.
        from: String,
    },
    /// The daemon refuses, and says why.
    #[error("{}", refusal(.0))]
    Refused(ApiError),
    /// Something answers that is no daemon of this version.
    #[error("{url} answers {status} without a daemon's error; is it a Lota daemon of this version?")]
    Foreign {
        /// Where.
        url: String,
        /// What it answers.
        status: StatusCode,
    },
    /// The connection broke.
    #[error("the daemon at {url} stopped answering in the middle; its log may say why")]
    Broken {
        /// Where.
        url: String,
        /// How.
        source: reqwest::Error,
    },
}

impl ApiFailure {
    /// Whether the daemon says that there is no such thing.
    pub(crate) fn is_not_found(error: &anyhow::Error) -> bool {
        matches!(error.downcast_ref(), Some(Self::Refused(error)) if error.code == ErrorCode::NotFound)
    }

    /// Whether the daemon cannot be spoken to, as when it has ended. What it was told to do may be done all the same.
    pub(crate) fn is_gone(&self) -> bool {
        match self {
            Self::NoDaemon(_) | Self::Gone { .. } | Self::Silent { .. } | Self::Broken { .. } => true,
            Self::Refused(error) => error.code == ErrorCode::Unavailable,
            Self::Token { .. } | Self::Foreign { .. } => false,
        }
    }
}

fn refusal(error: &ApiError) -> String {
    if error.problems.is_empty() {
        return error.message.clone();
    }
    format!("{}: {}", error.message.trim_end_matches([':', '.']), error.problems.join("; "))
}

/// A daemon.
#[derive(Clone)]
pub(crate) struct Api {
    url: Url,
    token: String,
    from: From,
    http: reqwest::Client,
}

/// Who says where the daemon is.
#[derive(Clone)]
enum From {
    File { path: PathBuf, pid: u32 },
    Settings,
}

impl Api {
    /// The daemon that the settings name, else the one of `$LOTA_HOME/api.json`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ApiFailure::NoDaemon`], [`Usage`] for a bad URL.
    pub(crate) fn find(home: &Home, settings: &settings::Api) -> anyhow::Result<Self> {
        let (url, token, from) = match (&settings.url, &settings.token) {
            (Some(url), Some(token)) => (url.clone(), token.clone(), From::Settings),
            (Some(url), None) => {
                return Err(Usage(format!(
                    "setting `api.url` is {url}, but `api.token` is not set; take it from that daemon's api.json"
                ))
                .into());
            }
            (None, Some(_)) => {
                return Err(Usage("setting `api.token` is set, but `api.url` is not".to_owned()).into());
            }
            (None, None) => {
                let file = home.read_api_file()?.ok_or_else(|| ApiFailure::NoDaemon(home.api_file()))?;
                (file.url, file.token, From::File { path: home.api_file(), pid: file.pid })
            }
        };
        Self::new(&url, token, from)
    }

    /// The daemon at this URL.
    ///
    /// # Errors
    /// When it is not a URL.
    pub(crate) fn at(url: &str, token: String) -> anyhow::Result<Self> {
        Self::new(url, token, From::Settings)
    }

    fn new(url: &str, token: String, from: From) -> anyhow::Result<Self> {
        let url: Url = url.parse().map_err(|error| Usage(format!("`{url}` is not the URL of a daemon: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
            return Err(Usage(format!("`{url}` is not the URL of a daemon: it must begin with http://")).into());
        }
        let http = lota_http::builder()
            .no_proxy()
            .connect_timeout(CONNECT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("cannot set up the HTTP client")?;
        Ok(Self { url, token, from, http })
    }

    /// A request; `segments` are encoded, and none of them may climb.
    ///
    /// # Errors
    /// [`Usage`] for a segment `.` or `..`.
    pub(crate) fn request(&self, method: Method, segments: &[&str]) -> anyhow::Result<RequestBuilder> {
        let mut url = self.url.clone();
        if let Some(bad) = segments.iter().find(|segment| matches!(**segment, "." | "..")) {
            return Err(Usage(format!("`{bad}` cannot be part of a path here")).into());
        }
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("v1").extend(segments);
        }
        Ok(self.http.request(method, url).bearer_auth(&self.token))
    }

    /// Sends a request; the daemon has `patience` longer than usual to answer.
    ///
    /// # Errors
    /// [`ApiFailure`].
    pub(crate) async fn send(&self, request: RequestBuilder, patience: Duration) -> Result<Response, ApiFailure> {
        let answer = tokio::time::timeout(ANSWER + patience, request.send()).await;
        let response = match answer {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if error.is_connect() => return Err(self.unreachable(error)),
            Ok(Err(error)) => {
                return Err(self.broken(error));
            }
            Err(_) => {
                return Err(ApiFailure::Refused(ApiError {
                    code: ErrorCode::Unavailable,
                    message: format!(
                        "the daemon at {} did not answer within {} s",
                        self.url,
                        (ANSWER + patience).as_secs()
                    ),
                    problems: Vec::new(),
                }));
            }
        };
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.failure(response).await)
    }

    /// The error for a body that broke off.
    pub(crate) fn broken(&self, source: reqwest::Error) -> ApiFailure {
        // The error of the HTTP client would name the whole URL again.
        ApiFailure::Broken { url: self.url.to_string(), source: source.without_url() }
    }

    fn unreachable(&self, source: reqwest::Error) -> ApiFailure {
        match &self.from {
            From::File { path, pid } => ApiFailure::Gone { file: path.clone(), url: self.url.to_string(), pid: *pid },
            From::Settings => ApiFailure::Silent { url: self.url.to_string(), source: source.without_url() },
        }
    }

    async fn failure(&self, mut response: Response) -> ApiFailure {
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED {
            let from = match &self.from {
                From::File { path, .. } => path.display().to_string(),
                From::Settings => "setting `api.token`".to_owned(),
            };
            return ApiFailure::Token { url: self.url.to_string(), from };
        }
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ERROR {
                break;
            }
        }
        match serde_json::from_slice(&body) {
            Ok(error) => ApiFailure::Refused(error),
            Err(_) => ApiFailure::Foreign { url: self.url.to_string(), status },
        }
    }
}
