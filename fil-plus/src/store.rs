//! What the registry keeps: one SQLite database, in which a source's facts and its cursor move in one transaction.
//!
//! Journal mode WAL and `synchronous = NORMAL`: a crash of the process loses nothing; a power cut may lose the last steps, which
//! the sources then give again.

mod migrations;
mod reading;
mod standing;
mod writing;

use std::{path::Path, path::PathBuf, sync::Arc, time::Duration};

use sqlx::{
    SqlitePool,
    migrate::MigrateError,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

pub use reading::{ClaimRow, ListedRow, MAX_CLAIMS, ReportRow};
use writing::KeptReports;

pub use standing::{Origin, Position, Registered, Standing};

/// Why the database failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(
        "{path} was written by a newer version of lota (migration {migration} is unknown to {version}); use that version, or another folder",
        version = env!("CARGO_PKG_VERSION")
    )]
    Newer { path: PathBuf, migration: i64 },
    #[error("{path} cannot be opened as the registry's database")]
    Migrate {
        path: PathBuf,
        #[source]
        source: MigrateError,
    },
    #[error("the database {path} has grown to its limit; raise fil_plus.max_size, or name fewer sources")]
    Full { path: PathBuf },
    #[error("the database {path} cannot be used")]
    Database {
        path: PathBuf,
        #[source]
        source: sqlx::Error,
    },
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
/// SQLite's pages, in bytes.
const PAGE: u64 = 4_096;
/// What each connection keeps of the database in memory, in KiB.
const CACHE_KIB: u64 = 64 << 10;
/// How much of the database is read through the page cache of the system without a copy, in bytes.
const MAPPED: u64 = 4 << 30;
/// How long to wait for others who write.
const PATIENCE: Duration = Duration::from_secs(30);
const CONNECTIONS: u32 = 4;

/// The registry's database.
#[derive(Clone, Debug)]
pub struct Store {
    pool: SqlitePool,
    path: PathBuf,
    kept: Arc<KeptReports>,
}

impl Store {
    /// Opens the database in a folder, makes it if it is missing, and brings it to this version's form. It grows to `max_size` bytes.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn open(folder: &Path, max_size: u64) -> Result<Self, StoreError> {
        let path = folder.join(FILE);
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .pragma("cache_size", format!("-{CACHE_KIB}"))
            .pragma("mmap_size", MAPPED.to_string())
            .pragma("max_page_count", (max_size / PAGE).max(64).to_string())
            .busy_timeout(PATIENCE);
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            // SQLite ends a transaction by itself when the disk is full; sqlx goes on counting it.
            .before_acquire(|connection, _| {
                Box::pin(async move { Ok(!sqlx::Connection::is_in_transaction(connection)) })
            })
            .connect_with(options)
            .await
            .map_err(|source| StoreError::Database { path: path.clone(), source })?;
        migrations::all().run(&pool).await.map_err(|source| match source {
            MigrateError::VersionMissing(migration) | MigrateError::VersionTooNew(migration, _) => {
                StoreError::Newer { path: path.clone(), migration }
            }
            source => StoreError::Migrate { path: path.clone(), source },
        })?;
        Ok(Self { pool, path, kept: Arc::new(KeptReports::at_most(max_size)) })
    }

    /// Closes it; what was committed stays.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn failed(&self, source: sqlx::Error) -> StoreError {
        // SQLITE_FULL
        let is_full = source.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "13");
        if is_full {
            StoreError::Full { path: self.path.clone() }
        } else {
            StoreError::Database { path: self.path.clone(), source }
        }
    }

    fn damaged(&self, what: &'static str) -> StoreError {
        StoreError::Record { path: self.path.clone(), what }
    }
}

/// A number of the database; they are signed there and never negative.
fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// A number for the database; times beyond its range stop there.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
