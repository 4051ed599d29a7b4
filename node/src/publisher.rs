//! Publishers make a result available by its CID.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use lota_content::{Cid, ImportError, ImportOptions};

/// Makes results available.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// Its name in settings and logs.
    fn name(&self) -> &'static str;

    /// Imports the directory and keeps it available under this name until [`retract`](Self::retract); returns its CID.
    /// Publishing the same again is harmless.
    ///
    /// # Errors
    /// See [`PublishError`].
    async fn publish(&self, name: &str, dir: &Path) -> Result<Cid, PublishError>;

    /// The result of this name no longer needs to be available.
    ///
    /// # Errors
    /// See [`PublishError`].
    async fn retract(&self, name: &str) -> Result<(), PublishError>;
}

/// Why a result was not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The directory could not be imported.
    #[error("{dir} could not be imported: {source}")]
    Import {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: Box<ImportError>,
    },
    /// The block store failed.
    #[error(transparent)]
    Store(#[from] lota_content::StoreError),
    /// The node is ending.
    #[error("the node is ending")]
    Ending,
}

/// Keeps results in the node's own block store, which its gateway serves.
#[derive(Clone, Debug)]
pub struct LocalPublisher {
    store: lota_content::Store,
}

impl LocalPublisher {
    /// A publisher into this store.
    #[must_use]
    pub const fn new(store: lota_content::Store) -> Self {
        Self { store }
    }
}

#[async_trait]
impl Publisher for LocalPublisher {
    fn name(&self) -> &'static str {
        "local"
    }

    async fn publish(&self, name: &str, dir: &Path) -> Result<Cid, PublishError> {
        let (store, dir, pin) = (self.store.clone(), dir.to_owned(), name.to_owned());
        tokio::task::spawn_blocking(move || {
            let options = ImportOptions { pin: Some(pin), ..ImportOptions::default() };
            lota_content::import_path(&store, &dir, &options)
                .map(|imported| imported.cid)
                .map_err(|source| PublishError::Import { dir, source: Box::new(source) })
        })
        .await
        .map_err(|_| PublishError::Ending)?
    }

    async fn retract(&self, name: &str) -> Result<(), PublishError> {
        self.store.unpin(name)?;
        Ok(())
    }
}
