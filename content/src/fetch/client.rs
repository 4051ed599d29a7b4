//! One HTTP request, under limits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use cid::Cid;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Response, StatusCode, header};
use tokio::time::timeout_at;
use url::Url;

use super::FetchOptions;
use super::address::{self, Allowed, CheckedResolver, UrlRefusal, content_url};
use super::slots::{Slot, Slots};
use crate::car::CarError;
use crate::digest::{CidError, MAX_BLOCK_SIZE};
use crate::gateway::{CAR_TYPE, RAW_TYPE};

/// A connection that was not used for so long is not used again: gateways end those that they do not
/// need, ours after a minute.
const REUSE: Duration = Duration::from_secs(20);
/// How often a gateway that says that it is busy is asked.
const ATTEMPTS: u32 = 4;
/// Longest time that a busy gateway may ask us to wait between attempts.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(5);
/// Longest text of an error of the HTTP library that is kept.
const MAX_REASON: usize = 300;

/// Why a gateway was left.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Its URL, or one that it redirects to, is not asked.
    #[error("refused, for {0}")]
    Url(UrlRefusal),
    /// It cannot be reached, or the connection broke.
    #[error("no answer: {reason}")]
    Connection {
        /// What the HTTP client says.
        reason: String,
    },
    /// It answered with another status than 200.
    #[error("answered {status} for {cid}")]
    Status {
        /// The block that was asked for.
        cid: Box<Cid>,
        /// The HTTP status.
        status: u16,
    },
    /// It answered with another status than 200.
    #[error("answered {status}")]
    Answer {
        /// The HTTP status.
        status: u16,
    },
    /// Nothing came for too long.
    #[error("sent nothing for {} s", idle.as_secs_f32())]
    Idle {
        /// How long.
        idle: Duration,
    },
    /// It is slower than the least rate.
    #[error("sent only {rate} bytes/s where {min_rate} are the least")]
    Slow {
        /// Bytes a second over the last idle time-out.
        rate: u64,
        /// The least rate.
        min_rate: u64,
    },
    /// It had its time.
    #[error("did not finish within {} s", limit.as_secs())]
    Timeout {
        /// How long it had.
        limit: Duration,
    },
    /// It sent more than a block, or the document that was asked for, may have.
    #[error("sent more than {limit} bytes where no more were to be expected")]
    TooLong { limit: usize },
    /// It sent what is no CAR, or stopped within one.
    #[error("{0}")]
    Car(CarError),
    /// It sent bytes that do not belong to their CID.
    #[error("{error}")]
    Wrong { error: CidError },
    /// It did not send what it was asked for.
    #[error("did not send {cid}, which it was asked for")]
    Withheld { cid: Box<Cid> },
    /// Another gateway had brought everything before it was done.
    #[error("had not sent {cid} after {:.1} s, when others had", after.as_secs_f32())]
    Overtaken {
        cid: Box<Cid>,
        /// How long it had been asked for it.
        after: Duration,
    },
    /// It says that the file has more bytes than allowed.
    #[error("says that it has {length} bytes; at most {limit} are fetched")]
    Declared { length: u64, limit: u64 },
    /// It sent another part of the file than the one that it was asked for.
    #[error("sent another part of the file than was asked for")]
    OtherPart,
}

/// An HTTP client that goes only where it may.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) http: reqwest::Client,
    pub(super) allowed: Allowed,
    connect_timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) total_timeout: Duration,
    min_rate: u64,
    slots: Arc<Slots>,
}

/// A body that is being read.
#[derive(Debug)]
pub(super) struct Reading {
    response: Response,
    _slot: Slot,
    idle: Duration,
    deadline: Instant,
    total: Duration,
    min_rate: u64,
    window: Instant,
    window_bytes: u64,
}

impl Client {
    /// `https_only`: it asks no `http` URL, and is redirected to none.
    pub(super) fn new(
        options: &FetchOptions,
        slots: &Arc<Slots>,
        allowed: Allowed,
        https_only: bool,
    ) -> Result<Self, reqwest::Error> {
        let limit = options.max_redirects;
        let policy = Policy::custom(move |attempt| {
            // the first of the previous URLs is no redirect
            let verdict = if attempt.previous().len() > limit {
                Err(UrlRefusal::Redirects { limit })
            } else if https_only && attempt.url().scheme() != "https" {
                Err(UrlRefusal::Insecure)
            } else {
                address::check(attempt.url(), allowed)
            };
            match verdict {
                Ok(()) => attempt.follow(),
                Err(refusal) => attempt.error(refusal),
            }
        });
        let http = lota_http::builder()
            // a proxy would resolve names for us, unchecked
            .no_proxy()
            .redirect(policy)
            .referer(false)
            .dns_resolver(CheckedResolver(allowed))
            .connect_timeout(options.connect_timeout)
            .pool_idle_timeout(REUSE)
            .user_agent(concat!("lota/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            http,
            allowed,
            connect_timeout: options.connect_timeout,
            idle_timeout: options.idle_timeout,
            total_timeout: options.total_timeout,
            min_rate: options.min_rate,
            slots: Arc::clone(slots),
        })
    }

    /// Waits for a request's place, until the deadline at most.
    pub(super) async fn slot(&self, url: &Url, deadline: Instant) -> Result<Slot, Failure> {
        let late = || Failure::Timeout { limit: self.total_timeout };
        timeout_at(deadline.into(), self.slots.take(url)).await.map_err(|_| late())
    }

    /// Fetches a block; its bytes are not checked.
    pub(super) async fn block(&self, gateway: &Url, cid: &Cid, deadline: Instant) -> Result<Bytes, Failure> {
        let (response, slot) = self.get(gateway, cid, "format=raw", RAW_TYPE, deadline).await?;
        expect_ok(cid, &response)?;
        let too_long = Failure::TooLong { limit: MAX_BLOCK_SIZE };
        let length = response.content_length().unwrap_or(0);
        if length > MAX_BLOCK_SIZE as u64 {
            return Err(too_long);
        }
        let mut reading = self.read(response, slot, deadline);
        let mut data = BytesMut::new();
        while let Some(piece) = reading.next().await? {
            if data.len() + piece.len() > MAX_BLOCK_SIZE {
                return Err(too_long);
            }
            if data.is_empty() {
                data.reserve(piece.len().max(length as usize));
            }
            data.extend_from_slice(&piece);
        }
        Ok(data.freeze())
    }

    /// Asks for the CAR of everything below `cid`; `None` if the gateway serves no CARs.
    pub(super) async fn car(&self, gateway: &Url, cid: &Cid, deadline: Instant) -> Result<Option<Reading>, Failure> {
        let accept = format!("{CAR_TYPE}; version=1; order=dfs; dups=n");
        let query = "format=car&dag-scope=all";
        let (response, slot) = self.get(gateway, cid, query, &accept, deadline).await?;
        let is_car = response
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with(CAR_TYPE));
        Ok((response.status() == StatusCode::OK && is_car).then(|| self.read(response, slot, deadline)))
    }

    async fn get(
        &self,
        gateway: &Url,
        cid: &Cid,
        query: &str,
        accept: &str,
        deadline: Instant,
    ) -> Result<(Response, Slot), Failure> {
        let url = content_url(gateway, cid, query).map_err(Failure::Url)?;
        let accept = HeaderValue::from_str(accept).unwrap_or(HeaderValue::from_static("*/*"));
        self.send(&url, HeaderMap::from_iter([(header::ACCEPT, accept)]), deadline).await
    }

    /// Asks a URL, where that may be done; until its headers are there.
    pub(super) async fn send(
        &self,
        url: &Url,
        headers: HeaderMap,
        deadline: Instant,
    ) -> Result<(Response, Slot), Failure> {
        address::check(url, self.allowed).map_err(Failure::Url)?;
        let slot = self.slot(url, deadline).await?;
        let mut attempt = 1;
        let mut again = false;
        let response = loop {
            let request = self.http.get(url.clone()).headers(headers.clone());
            // connecting has a limit of its own
            let patience = self.idle_timeout + self.connect_timeout;
            let until = (Instant::now() + patience).min(deadline);
            let response = match timeout_at(until.into(), request.send()).await {
                Ok(Ok(response)) => response,
                // The gateway ended a connection that was kept, or had no place for it.
                Ok(Err(error)) if error.is_request() && !error.is_connect() && !again => {
                    again = true;
                    continue;
                }
                Ok(Err(error)) => return Err(failure(&error)),
                Err(_) => return Err(self.out_of_time(deadline)),
            };
            let busy = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
            if attempt == ATTEMPTS || !busy.contains(&response.status()) {
                break response;
            }
            attempt += 1;
            tokio::time::sleep(retry_after(&response)).await;
        };
        // the resolver and the redirect policy have seen to it already
        if let Some(peer) = response.remote_addr()
            && !(self.allowed)(peer.ip())
        {
            return Err(Failure::Url(UrlRefusal::Private {
                host: response.url().host_str().unwrap_or_default().to_owned(),
                address: peer.ip(),
            }));
        }
        Ok((response, slot))
    }

    fn out_of_time(&self, deadline: Instant) -> Failure {
        out_of_time(deadline, self.total_timeout, self.idle_timeout)
    }

    pub(super) fn read(&self, response: Response, slot: Slot, deadline: Instant) -> Reading {
        Reading {
            response,
            _slot: slot,
            idle: self.idle_timeout,
            deadline,
            total: self.total_timeout,
            min_rate: self.min_rate,
            window: Instant::now(),
            window_bytes: 0,
        }
    }
}

impl Reading {
    /// How many bytes there will be, as far as the headers say so.
    pub(super) fn length(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The next bytes; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let until = (Instant::now() + self.idle).min(self.deadline);
        let piece = match timeout_at(until.into(), self.response.chunk()).await {
            Ok(Ok(piece)) => piece,
            Ok(Err(error)) => return Err(failure(&error)),
            Err(_) => return Err(out_of_time(self.deadline, self.total, self.idle)),
        };
        self.window_bytes += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        let elapsed = self.window.elapsed();
        if elapsed >= self.idle {
            let rate = (self.window_bytes as f64 / elapsed.as_secs_f64()) as u64;
            if rate < self.min_rate && piece.is_some() {
                return Err(Failure::Slow { rate, min_rate: self.min_rate });
            }
            self.window = Instant::now();
            self.window_bytes = 0;
        }
        Ok(piece)
    }

    /// Begins the measuring of the rate anew, after time that was spent on our side.
    pub(super) fn forgive(&mut self) {
        self.window = Instant::now();
        self.window_bytes = 0;
    }
}

/// How long a busy gateway wants us to wait.
fn retry_after(response: &Response) -> Duration {
    let seconds = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(1)).min(MAX_RETRY_AFTER)
}

fn out_of_time(deadline: Instant, limit: Duration, idle: Duration) -> Failure {
    if Instant::now() >= deadline { Failure::Timeout { limit } } else { Failure::Idle { idle } }
}

fn expect_ok(cid: &Cid, response: &Response) -> Result<(), Failure> {
    let status = response.status();
    if status == StatusCode::OK {
        Ok(())
    } else {
        Err(Failure::Status { cid: Box::new(*cid), status: status.as_u16() })
    }
}

/// What an error of the HTTP client means: our own refusal, which sits somewhere below it, or a
/// broken connection.
pub(super) fn failure(error: &reqwest::Error) -> Failure {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut reason = String::new();
    while let Some(error) = cause {
        if let Some(refusal) = error.downcast_ref::<UrlRefusal>() {
            return Failure::Url(refusal.clone());
        }
        let text = error.to_string();
        if !reason.ends_with(&text) {
            if !reason.is_empty() {
                reason.push_str(": ");
            }
            reason.push_str(&text);
        }
        cause = error.source();
    }
    Failure::Connection { reason: reason.chars().take(MAX_REASON).collect() }
}
