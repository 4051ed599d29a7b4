//! Where blocks come from and where they go to.

use std::sync::Arc;

use bytes::Bytes;
use cid::Cid;
use futures::future::BoxFuture;

use crate::digest::{Block, CidError, Hash, hash_of};
use crate::store::{Guard, Store, StoreError};

/// Why a source did not give a block.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The CID cannot be used.
    #[error(transparent)]
    Cid(#[from] CidError),
    /// The block store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The block could not be fetched.
    #[error("cannot fetch block {cid}: {reason}")]
    Fetch {
        cid: Box<Cid>,
        /// What each gateway answered.
        reason: String,
    },
    /// The task that was reading ended early, because the runtime is shutting down.
    #[error("reading block {cid} was interrupted by the shutdown of the program")]
    Interrupted { cid: Box<Cid> },
}

/// Gives blocks by CID: a [`Store`], or something that fetches what is missing.
///
/// Whoever implements this checks each block against its CID before giving it.
pub trait BlockSource: Send + Sync {
    /// The block, checked; `None` if this source does not have it.
    fn block<'a>(&'a self, cid: &'a Cid) -> BoxFuture<'a, Result<Option<Bytes>, SourceError>>;

    /// The block's length in bytes; `None` if this source does not have it. Reads the block, unless the source knows
    /// better.
    fn length<'a>(&'a self, cid: &'a Cid) -> BoxFuture<'a, Result<Option<u64>, SourceError>> {
        Box::pin(async move { Ok(self.block(cid).await?.map(|data| data.len() as u64)) })
    }
}

impl<S: BlockSource + ?Sized> BlockSource for &S {
    fn block<'a>(&'a self, cid: &'a Cid) -> BoxFuture<'a, Result<Option<Bytes>, SourceError>> {
        (**self).block(cid)
    }

    fn length<'a>(&'a self, cid: &'a Cid) -> BoxFuture<'a, Result<Option<u64>, SourceError>> {
        (**self).length(cid)
    }
}

impl<S: BlockSource + ?Sized> BlockSource for Arc<S> {
    fn block<'a>(&'a self, cid: &'a Cid) -> BoxFuture<'a, Result<Option<Bytes>, SourceError>> {
        (**self).block(cid)
    }

    fn length<'a>(&'a self, cid: &'a Cid) -> BoxFuture<'a, Result<Option<u64>, SourceError>> {
        (**self).length(cid)
    }
}

impl BlockSource for Store {
    fn block<'a>(&'a self, cid: &'a Cid) -> BoxFuture<'a, Result<Option<Bytes>, SourceError>> {
        Box::pin(async move {
            if let Hash::Identity(data) = hash_of(cid)? {
                return Ok(Some(Bytes::copy_from_slice(data)));
            }
            let store = self.clone();
            let wanted = *cid;
            match tokio::task::spawn_blocking(move || store.get(&wanted)).await {
                Ok(found) => Ok(found?),
                Err(_) => Err(SourceError::Interrupted { cid: Box::new(*cid) }),
            }
        })
    }

    fn length<'a>(&'a self, cid: &'a Cid) -> BoxFuture<'a, Result<Option<u64>, SourceError>> {
        Box::pin(async move {
            let (store, wanted) = (self.clone(), *cid);
            match tokio::task::spawn_blocking(move || store.size(&wanted)).await {
                Ok(found) => Ok(found?),
                Err(_) => Err(SourceError::Interrupted { cid: Box::new(*cid) }),
            }
        })
    }
}

/// Takes blocks that an importer makes.
pub trait BlockSink: Sync {
    /// Takes one block. Called from several threads, in no particular order.
    ///
    /// # Errors
    /// [`StoreError`] if the block cannot be kept.
    fn accept(&self, block: Block<'_>) -> Result<(), StoreError>;
}

impl BlockSink for Guard {
    fn accept(&self, block: Block<'_>) -> Result<(), StoreError> {
        self.insert(block)
    }
}

/// A sink that keeps nothing: for finding the CID of something.
#[derive(Debug, Clone, Copy, Default)]
pub struct HashOnly;

impl BlockSink for HashOnly {
    fn accept(&self, _: Block<'_>) -> Result<(), StoreError> {
        Ok(())
    }
}
