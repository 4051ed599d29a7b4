//! Getting content from those who announced to serve it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use lota_content::{
    Cid,
    fetch::{self, FetchError, FetchLimits, Fetcher, FileError, FileLimits},
    sha2_256_digest,
};
use lota_market::{Address, agent::Failure};
use reqwest::Url;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    failure::temporary,
    observe,
    store::{MAX_PARTIES, Store},
};

/// Fetches at once; further ones wait.
const FETCHES: usize = 16;
/// Of these, for one party's jobs: one whose gateways stall keeps no others waiting.
const FETCHES_EACH: usize = 4;

/// Gateways that are asked for content of which nobody in particular is known to hold it.
const MOST_SOURCES: usize = 32;

/// The most blocks of one fetch: each takes a file of the store, however small it is.
const MOST_BLOCKS: usize = 1 << 18;

/// Fetches content from other parties' gateways into the node's block store.
pub(crate) struct Downloader {
    /// The node's name, for its log.
    node: String,
    party: Address,
    /// Where the parties' announcements are.
    store: Store,
    content: lota_content::Store,
    fetcher: Fetcher,
    /// The most bytes of a DAG that is fetched again.
    max_bytes: u64,
    places: Arc<Semaphore>,
    /// The places of each party that something is fetched for.
    shares: Mutex<HashMap<Address, Weak<Semaphore>>>,
}

/// Places of a fetch, until they are dropped.
type Places = (Option<OwnedSemaphorePermit>, OwnedSemaphorePermit);

impl Downloader {
    pub(crate) fn new(
        node: String,
        party: Address,
        store: Store,
        content: lota_content::Store,
        fetcher: Fetcher,
        max_bytes: u64,
    ) -> Self {
        let places = Arc::new(Semaphore::new(FETCHES));
        Self { node, party, store, content, fetcher, max_bytes, places, shares: Mutex::default() }
    }

    async fn place(&self, party: Option<Address>) -> Result<Places, Failure> {
        let share = party.map(|party| {
            let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
            shares.get(&party).and_then(Weak::upgrade).unwrap_or_else(|| {
                shares.retain(|_, share| share.strong_count() > 0);
                let share = Arc::new(Semaphore::new(FETCHES_EACH));
                shares.insert(party, Arc::downgrade(&share));
                share
            })
        });
        let share = match share {
            Some(share) => Some(share.acquire_owned().await.map_err(temporary)?),
            None => None,
        };
        Ok((share, Arc::clone(&self.places).acquire_owned().await.map_err(temporary)?))
    }

    /// Brings the file at a URL, whose bytes have the digest of this CID, into the store, and pins it; returns its root and its
    /// bytes. `client` is whose job names it.
    pub(crate) async fn fetch_file(
        &self,
        url: &str,
        cid: &Cid,
        client: Address,
        limit: u64,
        pin: &str,
    ) -> Result<(Cid, u64), Failure> {
        let permanent = |problem: String| Failure::Permanent(problem);
        let digest = sha2_256_digest(cid).map_err(|error| permanent(error.to_string()))?;
        let parsed = url.parse().map_err(|error| permanent(format!("`{url}` is no URL: {error}")))?;
        let _place = self.place(Some(client)).await?;
        let limits = FileLimits { max_bytes: limit, pin: Some(pin.to_owned()) };
        match self.fetcher.fetch_file(&self.content, &parsed, digest, &limits).await {
            Ok(imported) => Ok((imported.cid, imported.size)),
            Err(error @ (FileError::TooLarge { .. } | FileError::Digest { .. })) => Err(permanent(error.to_string())),
            Err(FileError::Url { url, failure: failure @ fetch::Failure::Url(_) }) => {
                Err(permanent(format!("{url}: {failure}")))
            }
            Err(FileError::Url { url, failure: fetch::Failure::Answer { status: status @ (400..408 | 410..429) } }) => {
                Err(permanent(format!("{url} answers {status}")))
            }
            Err(error) => Err(temporary(error)),
        }
    }

    /// Makes sure that a whole DAG is in the store, and pins it if a name is given; returns its bytes. What has to be
    /// fetched is checked block by block.
    /// `holder` is asked first, then the configured gateways. Without a holder, and for one who announced no gateway (a
    /// contract has none, as a rule), everybody who announced one.
    pub(crate) async fn fetch(
        &self,
        cid: &Cid,
        holder: Option<Address>,
        limit: u64,
        pin: Option<&str>,
    ) -> Result<u64, Failure> {
        let limits = FetchLimits { max_bytes: limit, pin: pin.map(str::to_owned), ..FetchLimits::default() };
        self.fetch_within(cid, holder, limits).await
    }

    /// As [`Downloader::fetch`], after a block turned out to be corrupt or gone: what is there is checked as well, and whatever
    /// is wrong fetched again.
    pub(crate) async fn fetch_again(
        &self,
        cid: &Cid,
        holder: Option<Address>,
        pin: Option<&str>,
    ) -> Result<u64, Failure> {
        observe::healing(&self.node, cid);
        let max_bytes = self.max_bytes;
        let pin = pin.map(str::to_owned);
        self.fetch_within(cid, holder, FetchLimits { max_bytes, verify: true, pin, ..FetchLimits::default() }).await
    }

    async fn fetch_within(&self, cid: &Cid, holder: Option<Address>, limits: FetchLimits) -> Result<u64, Failure> {
        let _place = self.place(holder).await?;
        let parties = self.store.announcements(MAX_PARTIES).await.map_err(temporary)?;
        let holder = holder.filter(|holder| parties.iter().any(|(who, _)| who == holder));
        let sources: Vec<Url> = parties
            .into_iter()
            .filter(|(who, _)| holder.map_or(*who != self.party, |holder| *who == holder))
            .filter_map(|(_, url)| url.parse().ok())
            .take(MOST_SOURCES)
            .collect();
        let limits = FetchLimits { max_blocks: MOST_BLOCKS, ..limits };
        match self.fetcher.fetch_dag(&self.content, cid, &sources, &limits).await {
            Ok(fetched) => Ok(fetched.bytes),
            Err(error) if is_final(&error) => Err(Failure::Permanent(error.to_string())),
            Err(error) => Err(temporary(error)),
        }
    }
}

/// Whether fetching again cannot help.
const fn is_final(error: &FetchError) -> bool {
    matches!(
        error,
        FetchError::TooManyBytes { .. } | FetchError::TooManyBlocks { .. } | FetchError::Links(_) | FetchError::Cid(_)
    )
}
