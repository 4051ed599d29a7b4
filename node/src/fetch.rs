//! Getting content from those who announced to serve it.

use lota_content::{
    Cid,
    fetch::{FetchError, FetchLimits, Fetcher},
};
use lota_market::{Address, agent::Failure};
use reqwest::Url;
use tokio::sync::Semaphore;

use crate::{
    failure::temporary,
    observe,
    store::{MAX_PARTIES, Store},
};

/// Fetches at once; further ones wait.
const FETCHES: usize = 16;

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
    places: Semaphore,
}

impl Downloader {
    pub(crate) fn new(
        node: String,
        party: Address,
        store: Store,
        content: lota_content::Store,
        fetcher: Fetcher,
        max_bytes: u64,
    ) -> Self {
        Self { node, party, store, content, fetcher, max_bytes, places: Semaphore::new(FETCHES) }
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
        let _place = self.places.acquire().await.map_err(temporary)?;
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
