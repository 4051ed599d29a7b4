//! Who deals with whom, folded from the market's final events into SQLite.
//!
//! Events that a reorganisation may still undo wait in a table of their own; what was folded is never taken back. Everything here
//! follows from the market's log alone, so whoever reads it comes to the same numbers.
//!
//! Journal mode WAL and `synchronous = NORMAL`: a power cut may lose the last steps, which the log then gives again.

mod fold;
mod follow;
mod letting_go;
mod migrations;
mod queries;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use lota_bridge::Cursor;
use lota_database::{Database, DatabaseError, Opening, Words, signed, unsigned};
use lota_market::{
    AttoFil, B256,
    model::{JobId, JobResult, Terms},
};
use sqlx::{SqlitePool, sqlite::SqliteSynchronous};

pub use fold::Told;
pub use follow::{FollowError, follow};
pub(crate) use letting_go::Kind;

use crate::review::SettledJob;

/// Why the history cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("{path} is of another market: {kept}, and {asked} is configured; use another folder")]
    OtherMarket { path: PathBuf, kept: String, asked: String },
    #[error("{what} in the database {path} cannot be read: {problem}")]
    Record { path: PathBuf, what: &'static str, problem: String },
}

impl HistoryError {
    /// Whether there was no room, so that it may work again when there is.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Database(error) if error.is_full())
    }
}

/// The database's file in a notary's folder.
pub const FILE: &str = "notary.db";
pub(crate) const WORDS: Words = Words {
    name: "a notary's database",
    instead: "another folder",
    when_full: "raise notary.max_size, or make room on its disk",
};
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
    database: Database,
}

impl History {
    /// Opens the database in a folder, makes it if it is missing, and brings it to this version's form. `market` names the market, as
    /// nothing else does: a history is of one market. It grows to `max_size` bytes, if that is named: who follows a market then has to make
    /// room.
    ///
    /// # Errors
    /// See [`HistoryError`].
    pub async fn open(folder: &Path, market: &str, max_size: Option<u64>) -> Result<Self, HistoryError> {
        let opening = Opening { max_size, ..Opening::new(WORDS, SqliteSynchronous::Normal) };
        let history = Self { database: Database::open(&folder.join(FILE), &opening, &migrations::STEPS).await? };
        match history.meta::<String>(MARKET).await? {
            Some(kept) if kept != market => {
                let path = history.path();
                return Err(HistoryError::OtherMarket { path, kept, asked: market.to_owned() });
            }
            Some(_) => {}
            None => {
                sqlx::query("INSERT INTO meta (key, value) VALUES ($1, $2)")
                    .bind(MARKET)
                    .bind(encode(&market))
                    .execute(history.pool())
                    .await
                    .map_err(|source| history.failed(source))?;
            }
        }
        Ok(history)
    }

    /// Closes it; what was committed stays.
    pub async fn close(&self) {
        self.database.close().await;
    }

    const fn pool(&self) -> &SqlitePool {
        self.database.pool()
    }

    fn path(&self) -> PathBuf {
        self.database.path().to_owned()
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
            .fetch_optional(self.pool())
            .await
            .map_err(|source| self.failed(source))?;
        value.map(|bytes| self.decode("a setting", &bytes)).transpose()
    }

    fn failed(&self, source: sqlx::Error) -> HistoryError {
        self.database.failed(source).into()
    }

    fn damaged(&self, what: &'static str, problem: impl ToString) -> HistoryError {
        HistoryError::Record { path: self.path(), what, problem: problem.to_string() }
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

pub(crate) fn encode<T: serde::Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing into memory fails only for values that serde cannot describe; ours are plain.
    let written = ciborium::into_writer(value, &mut bytes);
    debug_assert!(written.is_ok(), "{written:?}");
    bytes
}
