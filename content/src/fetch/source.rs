//! A store that fetches what it does not have.

use std::sync::Arc;

use bytes::Bytes;
use cid::Cid;
use futures::future::BoxFuture;
use tokio::task::spawn_blocking;
use url::Url;

use super::{FetchError, Fetcher};
use crate::source::{BlockSource, SourceError};
use crate::store::{Guard, Store, StoreError};

/// Gives blocks from a store, and fetches those that are missing into it: to read one file of a
/// large DAG, or to list a directory, without fetching the rest. What it gives is protected from
/// garbage collection while it lives.
#[derive(Debug, Clone)]
pub struct FetchingSource {
    guard: Arc<Guard>,
    fetcher: Fetcher,
    sources: Arc<[Url]>,
}

impl FetchingSource {
    /// Reads from `store`, then from `sources`, then from the fetcher's own gateways.
    #[must_use]
    pub fn new(store: &Store, fetcher: Fetcher, sources: &[Url]) -> Self {
        Self { guard: Arc::new(store.guard()), fetcher, sources: sources.into() }
    }
}

impl BlockSource for FetchingSource {
    fn block<'a>(&'a self, cid: &'a Cid) -> BoxFuture<'a, Result<Option<Bytes>, SourceError>> {
        Box::pin(async move {
            let interrupted = || SourceError::Interrupted { cid: Box::new(*cid) };
            let (guard, wanted) = (self.guard.clone(), *cid);
            let found = spawn_blocking(move || {
                guard.keep(&wanted)?;
                match guard.store().get(&wanted) {
                    // what is corrupt is fetched anew
                    Err(StoreError::Corrupt { .. }) => Ok(None),
                    found => found,
                }
            });
            if let Some(data) = found.await.map_err(|_| interrupted())?? {
                return Ok(Some(data));
            }
            let data = match self.fetcher.fetch_block(cid, &self.sources).await {
                Ok(data) => data,
                Err(FetchError::NoSources { .. }) => return Ok(None),
                Err(error) => {
                    return Err(SourceError::Fetch { cid: Box::new(*cid), reason: error.to_string() });
                }
            };
            let (guard, wanted, copy) = (self.guard.clone(), *cid, data.clone());
            spawn_blocking(move || guard.put(&wanted, &copy)).await.map_err(|_| interrupted())??;
            Ok(Some(data))
        })
    }
}
