//! What the registry keeps: one SQLite database, in which a source's facts and its cursor move in one transaction.
//!
//! Journal mode WAL and `synchronous = NORMAL`: a crash of the process loses nothing; a power cut may lose the last steps, which
//! the sources then give again.

mod migrations;
mod reading;
mod standing;
mod writing;

use std::{path::Path, path::PathBuf, sync::Arc, time::Duration};

use lota_database::{Database, DatabaseError, Opening, Words, signed, unsigned};
use sqlx::{SqlitePool, sqlite::SqliteSynchronous};

pub use reading::{ClaimRow, ListedRow, MAX_CLAIMS, ReportRow};
use writing::KeptReports;

pub use standing::{Origin, Position, Registered, Standing};

/// Why the database failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("{what} in the database {path} cannot be read")]
    Record { path: PathBuf, what: &'static str },
    /// A source speaks of another chain than before.
    #[error("it is of another chain: its genesis is {found}, and was {known}")]
    OtherChain { found: String, known: String },
}

/// The database's file in the registry's folder.
pub const FILE: &str = "registry.db";
/// The size of a database that nobody said otherwise about, in bytes: enough for some hundred million claims.
pub const MAX_SIZE: u64 = 20 << 30;
const WORDS: Words = Words {
    name: "the registry's database",
    instead: "another folder",
    when_full: "raise fil_plus.max_size, name fewer sources, or make room on its disk",
};
/// What each connection keeps of the database in memory, in KiB.
const CACHE_KIB: u64 = 64 << 10;
/// How much of the database is read through the page cache of the system without a copy, in bytes.
const MAPPED: u64 = 4 << 30;
/// How long to wait for others who write.
const PATIENCE: Duration = Duration::from_secs(30);

/// The registry's database.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
    kept: Arc<KeptReports>,
}

impl Store {
    /// Opens the database in a folder, makes it if it is missing, and brings it to this version's form. It grows to `max_size` bytes.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn open(folder: &Path, max_size: u64) -> Result<Self, StoreError> {
        let opening = Opening {
            patience: PATIENCE,
            max_size: Some(max_size),
            cache_kib: Some(CACHE_KIB),
            mapped: Some(MAPPED),
            ..Opening::new(WORDS, SqliteSynchronous::Normal)
        };
        let database = Database::open(&folder.join(FILE), &opening, &migrations::STEPS).await?;
        Ok(Self { database, kept: Arc::new(KeptReports::at_most(max_size)) })
    }

    /// Closes it; what was committed stays.
    pub async fn close(&self) {
        self.database.close().await;
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        self.database.path()
    }

    const fn pool(&self) -> &SqlitePool {
        self.database.pool()
    }

    fn failed(&self, source: sqlx::Error) -> StoreError {
        self.database.failed(source).into()
    }

    fn damaged(&self, what: &'static str) -> StoreError {
        StoreError::Record { path: self.path().to_owned(), what }
    }
}

#[cfg(test)]
mod tests;
