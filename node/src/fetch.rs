//! Getting content from those who announced to serve it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
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
/// Of these, for jobs that are not locked: however many parties let them stall, the node's own work goes on.
const FETCHES_FOR_STRANGERS: usize = 12;
/// Of either, for one party's jobs: one whose gateways stall keeps no others waiting.
const FETCHES_EACH: usize = 4;

/// Gateways that are asked for content of which nobody in particular is known to hold it.
const MOST_SOURCES: usize = 32;
/// The same for a stranger, whose words are all there is to say that anybody has it.
const MOST_SOURCES_FOR_STRANGERS: usize = 8;
/// Gateways of those that are asked at once.
const SEARCHED_AT_ONCE: usize = 2;

/// The most blocks of one fetch: each takes a file of the store, however small it is.
const MOST_BLOCKS: usize = 1 << 18;

/// For whom something is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// For a job that is not locked: anybody may order any number of these, and nobody owes anything for one that waits.
    Considered,
    /// For what the node has bound itself to, and what its operator asks for.
    Own,
}

/// The fetchers of either purpose: each has connections and places for requests of its own.
pub(crate) struct Fetchers {
    pub(crate) strangers: Fetcher,
    pub(crate) own: Fetcher,
    /// The most time for a DAG of a stranger, however many gateways keep bringing little.
    pub(crate) patience: Duration,
}

/// Fetches content from other parties' gateways into the node's block store.
pub(crate) struct Downloader {
    /// The node's name, for its log.
    node: String,
    party: Address,
    /// Where the parties' announcements are.
    store: Store,
    content: lota_content::Store,
    fetchers: Fetchers,
    /// The most bytes of a DAG that is fetched again.
    max_bytes: u64,
    places: Arc<Semaphore>,
    for_strangers: Arc<Semaphore>,
    /// The places of each party that something is fetched for.
    shares: Mutex<HashMap<(Purpose, Address), Weak<Semaphore>>>,
}

/// Places of a fetch, until they are dropped.
struct Places {
    _share: Option<OwnedSemaphorePermit>,
    _for_strangers: Option<OwnedSemaphorePermit>,
    _place: OwnedSemaphorePermit,
}

impl Downloader {
    pub(crate) fn new(
        node: String,
        party: Address,
        store: Store,
        content: lota_content::Store,
        fetchers: Fetchers,
        max_bytes: u64,
    ) -> Self {
        let places = Arc::new(Semaphore::new(FETCHES));
        let for_strangers = Arc::new(Semaphore::new(FETCHES_FOR_STRANGERS));
        Self { node, party, store, content, fetchers, max_bytes, places, for_strangers, shares: Mutex::default() }
    }

    const fn fetcher(&self, purpose: Purpose) -> &Fetcher {
        match purpose {
            Purpose::Considered => &self.fetchers.strangers,
            Purpose::Own => &self.fetchers.own,
        }
    }

    /// First a place of the party's, then of its kind: those who wait for a busy one take none from others.
    async fn place(&self, purpose: Purpose, party: Option<Address>) -> Result<Places, Failure> {
        let share = party.map(|party| {
            let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
            shares.get(&(purpose, party)).and_then(Weak::upgrade).unwrap_or_else(|| {
                shares.retain(|_, share| share.strong_count() > 0);
                let share = Arc::new(Semaphore::new(FETCHES_EACH));
                shares.insert((purpose, party), Arc::downgrade(&share));
                share
            })
        });
        let taken = |places: Option<Arc<Semaphore>>| async move {
            match places {
                Some(places) => places.acquire_owned().await.map(Some).map_err(temporary),
                None => Ok(None),
            }
        };
        let _share = taken(share).await?;
        let _for_strangers = taken((purpose == Purpose::Considered).then(|| Arc::clone(&self.for_strangers))).await?;
        let _place = Arc::clone(&self.places).acquire_owned().await.map_err(temporary)?;
        Ok(Places { _share, _for_strangers, _place })
    }

    /// Brings the file at a URL, whose bytes have the digest of this CID, into the store, and pins it; returns its root and its
    /// bytes. `client` is whose job names it.
    pub(crate) async fn fetch_file(
        &self,
        purpose: Purpose,
        url: &str,
        cid: &Cid,
        client: Address,
        limit: u64,
        pin: &str,
    ) -> Result<(Cid, u64), Failure> {
        let permanent = |problem: String| Failure::Permanent(problem);
        let digest = sha2_256_digest(cid).map_err(|error| permanent(error.to_string()))?;
        let parsed = url.parse().map_err(|error| permanent(format!("`{url}` is no URL: {error}")))?;
        let _place = self.place(purpose, Some(client)).await?;
        let limits = FileLimits { max_bytes: limit, pin: Some(pin.to_owned()) };
        match self.fetcher(purpose).fetch_file(&self.content, &parsed, digest, &limits).await {
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
        purpose: Purpose,
        cid: &Cid,
        holder: Option<Address>,
        limit: u64,
        pin: Option<&str>,
    ) -> Result<u64, Failure> {
        let limits = FetchLimits { max_bytes: limit, pin: pin.map(str::to_owned), ..FetchLimits::default() };
        self.fetch_within(purpose, cid, holder, limits).await
    }

    /// As [`Downloader::fetch`], after a block turned out to be corrupt or gone: what is there is checked as well, and whatever
    /// is wrong fetched again.
    pub(crate) async fn fetch_again(
        &self,
        purpose: Purpose,
        cid: &Cid,
        holder: Option<Address>,
        pin: Option<&str>,
    ) -> Result<u64, Failure> {
        observe::healing(&self.node, cid);
        let max_bytes = self.max_bytes;
        let pin = pin.map(str::to_owned);
        let limits = FetchLimits { max_bytes, verify: true, pin, ..FetchLimits::default() };
        self.fetch_within(purpose, cid, holder, limits).await
    }

    async fn fetch_within(
        &self,
        purpose: Purpose,
        cid: &Cid,
        holder: Option<Address>,
        limits: FetchLimits,
    ) -> Result<u64, Failure> {
        let _place = self.place(purpose, holder).await?;
        let parties = self.store.announcements(MAX_PARTIES).await.map_err(temporary)?;
        let holder = holder.filter(|holder| parties.iter().any(|(who, _)| who == holder));
        let sources: Vec<Url> = parties
            .into_iter()
            .filter(|(who, _)| holder.map_or(*who != self.party, |holder| *who == holder))
            .filter_map(|(_, url)| url.parse().ok())
            .take(if purpose == Purpose::Own { MOST_SOURCES } else { MOST_SOURCES_FOR_STRANGERS })
            .collect();
        let gateways_at_once = if holder.is_some() { usize::MAX } else { SEARCHED_AT_ONCE };
        let limits = FetchLimits { max_blocks: MOST_BLOCKS, gateways_at_once, ..limits };
        let fetching = self.fetcher(purpose).fetch_dag(&self.content, cid, &sources, &limits);
        let fetched = match purpose {
            Purpose::Own => fetching.await,
            Purpose::Considered => {
                let patience = self.fetchers.patience;
                tokio::time::timeout(patience, fetching).await.map_err(|_| {
                    Failure::Temporary(format!("{cid} was not here after {} s of fetching", patience.as_secs()))
                })?
            }
        };
        match fetched {
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

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use lota_content::{StoreOptions, fetch::FetchOptions};

    use super::*;

    async fn downloader(folder: &std::path::Path) -> Downloader {
        let store = Store::open(&folder.join("node.db")).await.expect("a database");
        let content = lota_content::Store::open(folder.join("blocks"), StoreOptions::default()).expect("a store");
        let fetcher = || Fetcher::new(FetchOptions::default()).expect("a client");
        let fetchers = Fetchers { strangers: fetcher(), own: fetcher(), patience: Duration::from_secs(3_600) };
        Downloader::new("test".to_owned(), Address::ZERO, store, content, fetchers, 1 << 20)
    }

    #[tokio::test]
    async fn strangers_leave_places_to_the_nodes_own_work() {
        let folder = tempfile::tempdir().expect("a folder");
        let downloader = downloader(folder.path()).await;
        let place = |purpose, party: u8| {
            // Asked more often than a task of tokio's may without a pause.
            tokio::task::unconstrained(downloader.place(purpose, Some(Address::repeat_byte(party))))
                .now_or_never()
                .map(|place| place.expect("open"))
        };
        let held: Vec<_> = (0..100).filter_map(|number| place(Purpose::Considered, number % 10)).collect();
        assert_eq!(held.len(), FETCHES_FOR_STRANGERS, "ten parties want four each");
        let own: Vec<_> = (0..8).filter_map(|_| place(Purpose::Own, 1)).collect();
        assert_eq!(own.len(), FETCHES_EACH, "also for a party whose own jobs have taken its share");
        drop(held);
        assert_eq!((0..8).filter_map(|_| place(Purpose::Considered, 1)).count(), 8, "they are given back");
        let held: Vec<_> = (0..8).filter_map(|_| place(Purpose::Considered, 1)).collect();
        assert_eq!(held.len(), FETCHES_EACH);
    }
}
