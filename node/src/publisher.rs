//! Publishers make a result available by its CID.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use lota_content::{Cid, ImportError, ImportOptions, Store};

/// Makes results available.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// Imports the directory into the node's block store and makes it available from there, for as long as the pin of this
    /// name stays; returns its CID. Publishing the same again is harmless.
    ///
    /// # Errors
    /// See [`PublishError`].
    async fn publish(&self, store: &Store, pin: &str, dir: &Path) -> Result<Cid, PublishError>;
}

/// Why a result was not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The directory could not be imported.
    #[error("{dir} could not be imported: {source}")]
    Import { dir: PathBuf, source: Box<ImportError> },
    /// The block store failed.
    #[error(transparent)]
    Store(#[from] lota_content::StoreError),
    /// The node is ending.
    #[error("the node is ending")]
    Ending,
}

/// Leaves it to the node's own gateway, which serves what is in its block store.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalPublisher;

#[async_trait]
impl Publisher for LocalPublisher {
    async fn publish(&self, store: &Store, pin: &str, dir: &Path) -> Result<Cid, PublishError> {
        let (store, dir, pin) = (store.clone(), dir.to_owned(), pin.to_owned());
        tokio::task::spawn_blocking(move || {
            let options = ImportOptions { pin: Some(pin), ..ImportOptions::default() };
            lota_content::import_path(&store, &dir, &options)
                .map(|imported| imported.cid)
                .map_err(|source| PublishError::Import { dir, source: Box::new(source) })
        })
        .await
        .map_err(|_| PublishError::Ending)?
    }
}
