//! Fetching DAGs from trustless gateways, none of which is trusted.
//!
//! Every block is hashed before it is stored or its links are believed. A gateway that stops in the
//! middle, lies, is slow, sends without end or redirects to where it must not is left with a reason,
//! and others are asked for what is still missing; several are asked at once.

mod address;
mod client;
mod crew;
mod document;
mod file;
mod session;
mod slots;
mod source;
mod work;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cid::Cid;
use url::Url;

pub use address::{UrlRefusal, is_public};
pub use client::Failure;
pub use file::{FileError, FileLimits};
pub use source::FetchingSource;

use crate::digest::{Block, CidError, Hash, hash_of};
use crate::import::Progress;
use crate::links::LinksError;
use crate::store::{Store, StoreError};
use client::Client;
use crew::Crew;
use session::Session;
use slots::Slots;

/// How gateways are asked.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// Gateways of the operator's choice, asked after those that a call names. They may have private
    /// addresses: a node of one's own is a good choice.
    pub gateways: Vec<Url>,
    /// Whether the URLs that a call names, and what they redirect to, may have private addresses:
    /// for a devnet on one machine only.
    pub allow_private_addresses: bool,
    /// Most time for a connection, TLS included.
    pub connect_timeout: Duration,
    /// Most time without a byte, and the time over which the rate is taken.
    pub idle_timeout: Duration,
    /// Most time for one gateway in one call.
    pub total_timeout: Duration,
    /// Fewest bytes a second, over each `idle_timeout`.
    pub min_rate: u64,
    /// Most redirects in a row; each is checked like the first URL.
    pub max_redirects: usize,
    /// Requests to one gateway at once, in one call.
    pub concurrency: usize,
    /// Gateways that one call asks at once: each for other parts of the DAG.
    pub gateways_at_once: usize,
    /// After so long, another gateway that has nothing to do is asked for the same.
    pub patience: Duration,
    /// How often a gateway is asked again whose connection was cut, if it had sent something new; whatever it sends next makes it
    /// as often again.
    pub resumes: u32,
    /// Most requests at once, of all calls.
    pub max_requests: usize,
    /// Most of them to one host.
    pub max_requests_per_host: usize,
    /// Whether files are fetched from `http` URLs, too.
    pub allow_http: bool,
}

impl Default for FetchOptions {
    /// No gateways, public addresses only; 10 s to connect, 30 s idle, an hour in all, 1 KiB/s,
    /// 5 redirects; 8 requests to each of 4 gateways at once, another gateway after 3 s; 3 more tries after a cut; 64 requests in
    /// all, 16 to one host; files from `https` URLs only.
    fn default() -> Self {
        Self {
            gateways: Vec::new(),
            allow_private_addresses: false,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            total_timeout: Duration::from_secs(3600),
            min_rate: 1024,
            max_redirects: 5,
            concurrency: 8,
            gateways_at_once: 4,
            patience: Duration::from_secs(3),
            resumes: 3,
            max_requests: 64,
            max_requests_per_host: 16,
            allow_http: false,
        }
    }
}

/// How much is fetched at most, and what becomes of it.
#[derive(Clone)]
pub struct FetchLimits {
    /// Most bytes of the whole DAG, what the store has already included.
    pub max_bytes: u64,
    /// Most blocks of the whole DAG, what the store has already included. Memory: some 200 bytes each.
    pub max_blocks: usize,
    /// Gateways that are asked at once, if the options allow as many.
    pub gateways_at_once: usize,
    /// Whether the store's own blocks are read and checked too, so that corrupt ones are fetched again. Otherwise only
    /// those that link to others are.
    pub verify: bool,
    /// Pins the DAG under this name once it is whole.
    pub pin: Option<String>,
    /// Called with the number of bytes fetched so far.
    pub progress: Option<Progress>,
}

impl Default for FetchLimits {
    /// 1 TiB in four million blocks; what the store has is taken as it is, no pin.
    fn default() -> Self {
        Self {
            max_bytes: 1 << 40,
            max_blocks: 1 << 22,
            gateways_at_once: usize::MAX,
            verify: false,
            pin: None,
            progress: None,
        }
    }
}

impl std::fmt::Debug for FetchLimits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FetchLimits")
            .field("max_bytes", &self.max_bytes)
            .field("max_blocks", &self.max_blocks)
            .field("gateways_at_once", &self.gateways_at_once)
            .field("verify", &self.verify)
            .field("pin", &self.pin)
            .finish_non_exhaustive()
    }
}

/// A DAG that is now whole in the store.
#[derive(Debug)]
pub struct Fetched {
    /// Bytes of all its blocks.
    pub bytes: u64,
    pub blocks: u64,
    /// Bytes of the blocks that were fetched.
    pub fetched_bytes: u64,
    /// Blocks that were fetched; the others were there.
    pub fetched_blocks: u64,
    /// Gateways that were left before the DAG was whole, and why.
    pub failures: Vec<SourceFailure>,
}

/// A gateway that was left.
#[derive(Debug)]
pub struct SourceFailure {
    /// The gateway's URL.
    pub source: Url,
    /// Why it was left.
    pub failure: Failure,
}

/// Why a DAG could not be fetched. What was fetched stays in the store, unpinned: a further call
/// goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There is no one to ask.
    #[error("{cid} is not in the store, and no gateway is known that could have it; name one, or configure gateways")]
    NoSources {
        /// What was wanted.
        cid: Box<Cid>,
    },
    /// Every gateway was left.
    #[error("cannot fetch {cid}:{}", list_failures(failures))]
    Failed {
        /// What was wanted.
        cid: Box<Cid>,
        /// The gateways in the order in which they were asked, each with its reason.
        failures: Vec<SourceFailure>,
    },
    /// The DAG has more bytes than allowed.
    #[error("the DAG below {cid} has more than {limit} bytes{}", said(*declared))]
    TooManyBytes {
        /// What was wanted.
        cid: Box<Cid>,
        limit: u64,
        /// How many it says it has, if that was enough to refuse it.
        declared: Option<u64>,
    },
    /// The DAG has more blocks than allowed.
    #[error("the DAG below {cid} has more than {limit} blocks")]
    TooManyBlocks {
        /// What was wanted.
        cid: Box<Cid>,
        limit: usize,
    },
    /// A block is the right one, and no DAG can contain it: no gateway could help.
    #[error(transparent)]
    Links(#[from] LinksError),
    /// The CID, or one that the DAG links to, cannot be checked.
    #[error(transparent)]
    Cid(#[from] CidError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The task that was storing ended early, because the runtime is shutting down.
    #[error("the fetch was interrupted by the shutdown of the program")]
    Interrupted,
}

fn said(declared: Option<u64>) -> String {
    declared.map(|bytes| format!(": it says that it has {bytes}")).unwrap_or_default()
}

fn list_failures(failures: &[SourceFailure]) -> String {
    let mut text = String::new();
    for SourceFailure { source, failure } in failures {
        let _ = write!(text, " {source}: {failure};");
    }
    text.pop();
    text
}

/// Why a fetcher cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the HTTP client")]
pub struct FetcherError {
    source: reqwest::Error,
}

/// Fetches blocks and DAGs. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Fetcher {
    options: Arc<FetchOptions>,
    /// For URLs that strangers name.
    strangers: Client,
    /// For the operator's own gateways.
    trusted: Client,
    /// For files at URLs that strangers name.
    files: Client,
}

impl Fetcher {
    /// A fetcher with these options.
    ///
    /// # Errors
    /// [`FetcherError`] if TLS cannot be set up, for instance without any root certificate.
    pub fn new(options: FetchOptions) -> Result<Self, FetcherError> {
        let allowed: address::Allowed = if options.allow_private_addresses { |_| true } else { is_public };
        Self::with_addresses(options, allowed)
    }

    fn with_addresses(options: FetchOptions, allowed: address::Allowed) -> Result<Self, FetcherError> {
        let slots = Slots::new(options.max_requests, options.max_requests_per_host);
        let client = |allowed, https_only| {
            Client::new(&options, &slots, allowed, https_only).map_err(|source| FetcherError { source })
        };
        let (strangers, trusted) = (client(allowed, false)?, client(|_| true, false)?);
        Ok(Self { strangers, trusted, files: client(allowed, !options.allow_http)?, options: Arc::new(options) })
    }

    /// Brings all blocks below `cid` into the store: from the store itself, then from `sources` and
    /// the configured gateways, several at once, in this order. Each is asked for CARs, and for single blocks
    /// where it has none; a single one for one CAR of everything.
    ///
    /// While this runs, its blocks are protected from garbage collection; name a pin in `limits` to
    /// keep them. Dropping the future ends the fetch; calling again goes on where it ended, also after the death of the process.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn fetch_dag(
        &self,
        store: &Store,
        cid: &Cid,
        sources: &[Url],
        limits: &FetchLimits,
    ) -> Result<Fetched, FetchError> {
        let session = Session::begin(store, cid, limits).await?;
        let sources: Vec<_> = self.sources(sources).collect();
        let failures = Crew::new(&session, &self.options, &sources).work(limits.gateways_at_once).await?;
        if !session.is_complete() {
            let cid = Box::new(*cid);
            return Err(if failures.is_empty() {
                FetchError::NoSources { cid }
            } else {
                FetchError::Failed { cid, failures }
            });
        }
        session.finish(failures).await
    }

    /// Fetches one block and checks it. It is not stored.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn fetch_block(&self, cid: &Cid, sources: &[Url]) -> Result<Bytes, FetchError> {
        if let Hash::Identity(data) = hash_of(cid)? {
            return Ok(Bytes::copy_from_slice(data));
        }
        let mut failures = Vec::new();
        for (client, source) in self.sources(sources) {
            let deadline = Instant::now() + self.options.total_timeout;
            let failure = match client.block(source, cid, deadline).await {
                Ok(data) => match Block::verified(cid, &data) {
                    Ok(_) => return Ok(data),
                    Err(error) => Failure::Wrong { error },
                },
                Err(failure) => failure,
            };
            failures.push(SourceFailure { source: source.clone(), failure });
        }
        let cid = Box::new(*cid);
        Err(if failures.is_empty() { FetchError::NoSources { cid } } else { FetchError::Failed { cid, failures } })
    }

    /// The gateways to ask, each once, with the client that may ask them.
    fn sources<'a>(&'a self, named: &'a [Url]) -> impl Iterator<Item = (&'a Client, &'a Url)> {
        let own = &self.options.gateways;
        let strangers = named
            .iter()
            .enumerate()
            .filter(|(index, url)| !own.contains(url) && !named[..*index].contains(url))
            .map(|(_, url)| (&self.strangers, url));
        strangers.chain(own.iter().map(|url| (&self.trusted, url)))
    }
}

#[cfg(test)]
mod tests;
