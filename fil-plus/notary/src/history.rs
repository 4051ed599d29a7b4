//! Who deals with whom, folded from the market's final events into SQLite.
//!
//! Events that a reorganisation may still undo wait in a table of their own; what was folded is never taken back. Everything here
//! follows from the market's log alone, so whoever reads it comes to the same numbers.
//!
//! Journal mode WAL and `synchronous = NORMAL`: a power cut may lose the last steps, which the log then gives again.

mod fold;
mod follow;
pub(crate) mod migrations;
mod queries;
#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use lota_bridge::Cursor;
use lota_market::{
    AttoFil, B256,
    model::{JobId, JobResult, Terms},
};
use sqlx::{
    SqlitePool,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

pub use fold::Told;
pub use follow::{FollowError, follow};

use crate::review::SettledJob;

/// Why the history cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error(
        "{path} was written by a newer version of lota (migration {migration} is unknown to {version}); use that version, or another folder",
        version = env!("CARGO_PKG_VERSION")
    )]
    Newer { path: PathBuf, migration: i64 },
    #[error("{path} cannot be opened as a notary's database")]
    Migrate {
        path: PathBuf,
        #[source]
        source: MigrateError,
    },
    #[error("{path} is of another market: {kept}, and {asked} is configured; use another folder")]
    OtherMarket { path: PathBuf, kept: String, asked: String },
    #[error("the database {path} cannot be used")]
    Database {
        path: PathBuf,
        #[source]
        source: sqlx::Error,
    },
    #[error("{what} in the database {path} cannot be read: {problem}")]
    Record { path: PathBuf, what: &'static str, problem: String },
}

/// The database's file in a notary's folder.
pub const FILE: &str = "notary.db";
/// How long to wait for others who write.
const PATIENCE: Duration = Duration::from_secs(10);
const CURSOR: &str = "cursor";
const MARKET: &str = "market";

/// A settled job whose record the market keeps, with what a nomination of it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub job: SettledJob,
    pub terms: Terms,
    pub result: JobResult,
    /// The spec's bytes, if they were in an event.
    pub spec: Option<Vec<u8>>,
    /// Its place among those that were settled, from 1.
    pub number: u64,
}

/// The market's history in a notary's folder.
#[derive(Clone, Debug)]
pub struct History {
    pool: SqlitePool,
    path: PathBuf,
}

impl History {
    /// Opens the database in a folder, makes it if it is missing, and brings it to this version's form. `market` names the market, as
    /// nothing else does: a history is of one market.
    ///
    /// # Errors
    /// See [`HistoryError`].
    pub async fn open(folder: &Path, market: &str) -> Result<Self, HistoryError> {
        let path = folder.join(FILE);
        let pool = open_database(&path, SqliteSynchronous::Normal, &migrations::all()).await?;
        let history = Self { pool, path };
        match history.meta::<String>(MARKET).await? {
            Some(kept) if kept != market => {
                return Err(HistoryError::OtherMarket { path: history.path, kept, asked: market.to_owned() });
            }
            Some(_) => {}
            None => {
                sqlx::query("INSERT INTO meta (key, value) VALUES ($1, $2)")
                    .bind(MARKET)
                    .bind(encode(&market))
                    .execute(&history.pool)
                    .await
                    .map_err(|source| history.failed(source))?;
            }
        }
        Ok(history)
    }

    /// Closes it; what was committed stays.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Up to where the market's log was taken in.
    ///
    /// # Errors
    /// See [`HistoryError`].
    pub async fn cursor(&self) -> Result<Option<Cursor>, HistoryError> {
        self.meta(CURSOR).await
    }

    async fn meta<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<Option<T>, HistoryError> {
        let value: Option<Vec<u8>> = sqlx::query_scalar("SELECT value FROM meta WHERE key = $1")
            .bind(key)
            .fetch_optional(&self.pool)
            .await
            .map_err(|source| self.failed(source))?;
        value.map(|bytes| self.decode("a setting", &bytes)).transpose()
    }

    fn failed(&self, source: sqlx::Error) -> HistoryError {
        HistoryError::Database { path: self.path.clone(), source }
    }

    fn damaged(&self, what: &'static str, problem: impl ToString) -> HistoryError {
        HistoryError::Record { path: self.path.clone(), what, problem: problem.to_string() }
    }

    fn decode<T: serde::de::DeserializeOwned>(&self, what: &'static str, bytes: &[u8]) -> Result<T, HistoryError> {
        ciborium::from_reader(bytes).map_err(|error| self.damaged(what, error))
    }

    fn amount(&self, bytes: &[u8]) -> Result<AttoFil, HistoryError> {
        let bytes = bytes.try_into().map_err(|_| self.damaged("an amount", format!("it has {} bytes", bytes.len())))?;
        Ok(AttoFil(u128::from_be_bytes(bytes)))
    }

    fn digest(&self, bytes: &[u8]) -> Result<B256, HistoryError> {
        B256::try_from(bytes).map_err(|error| self.damaged("a digest", error))
    }

    fn job(&self, bytes: &[u8]) -> Result<JobId, HistoryError> {
        self.digest(bytes).map(JobId)
    }

    fn party(&self, bytes: &[u8]) -> Result<lota_market::Address, HistoryError> {
        lota_market::Address::try_from(bytes).map_err(|error| self.damaged("an address", error))
    }
}

/// Opens a database, makes it if it is missing, and brings it to this version's form.
pub(crate) async fn open_database(
    path: &Path,
    synchronous: SqliteSynchronous,
    migrator: &Migrator,
) -> Result<SqlitePool, HistoryError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .busy_timeout(PATIENCE);
    let pool = SqlitePoolOptions::new()
        .max_connections(4)
        // SQLite ends a transaction by itself when the disk is full; sqlx goes on counting it.
        .before_acquire(|connection, _| Box::pin(async move { Ok(!sqlx::Connection::is_in_transaction(connection)) }))
        .connect_with(options)
        .await
        .map_err(|source| HistoryError::Database { path: path.to_owned(), source })?;
    migrator.run(&pool).await.map_err(|source| match source {
        MigrateError::VersionMissing(migration) | MigrateError::VersionTooNew(migration, _) => {
            HistoryError::Newer { path: path.to_owned(), migration }
        }
        source => HistoryError::Migrate { path: path.to_owned(), source },
    })?;
    Ok(pool)
}

pub(crate) fn encode<T: serde::Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing into memory fails only for values that serde cannot describe; ours are plain.
    let written = ciborium::into_writer(value, &mut bytes);
    debug_assert!(written.is_ok(), "{written:?}");
    bytes
}

/// A number of the database; they are signed there and never negative.
pub(crate) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// A number for the database; times beyond its range stop there.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
