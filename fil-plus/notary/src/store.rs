//! What a service keeps: the blessing's log with what of it is final, what was gathered, signed votes, and what is to be told.
//!
//! Everything that belongs together is written in one transaction, and is on the disk (`synchronous = FULL`) before anybody is told:
//! a service that was killed goes on where it was.

mod events;
mod jobs;
mod letting_go;
mod migrations;
mod outbox;
mod payments;
#[cfg(test)]
mod tests;
mod votes;

use std::path::{Path, PathBuf};

use lota_database::{Database, DatabaseError, Opening, Writing, signed, unsigned};
use lota_market::{Address, B256, U256, model::JobId};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{SqliteConnection, SqlitePool, sqlite::SqliteSynchronous};

use events::FINALIZED;
pub use events::{Final, Follows, Told, Touched};
pub use jobs::{BlessedJob, Decision, GatheredJob, QueuePage, Running};
pub use outbox::{AuditNote, Outgoing};
pub use payments::{Batch, DuePayment};
pub use votes::{HeldVote, SignedState};

use crate::history::{HistoryError, WORDS, encode};

/// The database's file in a notary's folder.
pub const FILE: &str = "service.db";
const BLESSING: &str = "blessing";

/// Why something cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the service's database cannot be used")]
    Database(#[from] sqlx::Error),
    #[error("the database {path} has grown to its limit, and all of it is needed; raise notary.max_size")]
    Crowded { path: PathBuf },
    #[error("{what} in the service's database cannot be read: {problem}")]
    Record { what: &'static str, problem: String },
    #[error(transparent)]
    Open(#[from] DatabaseError),
    #[error(transparent)]
    Other(#[from] HistoryError),
}

impl StoreError {
    /// Whether there was no room, so that it may work again when there is.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Database(error) => lota_database::is_full(error),
            Self::Open(error) => error.is_full(),
            Self::Crowded { .. } => true,
            Self::Record { .. } | Self::Other(_) => false,
        }
    }
}

/// A service's database.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
}

impl Store {
    /// Opens the database in a folder; `blessing` names the one that it is of, as nothing else does. It grows to `max_size` bytes.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn open(folder: &Path, blessing: &str, max_size: u64) -> Result<Self, StoreError> {
        let path = folder.join(FILE);
        let opening = Opening { max_size: Some(max_size), ..Opening::new(WORDS, SqliteSynchronous::Full) };
        let store = Self { database: Database::open(&path, &opening, &migrations::STEPS).await? };
        let mut writing = store.write().await?;
        match meta::<String>(&mut writing, BLESSING).await? {
            Some(kept) if kept != blessing => {
                return Err(HistoryError::OtherMarket { path, kept, asked: blessing.to_owned() }.into());
            }
            Some(_) => {}
            None => keep_meta(&mut writing, BLESSING, &blessing).await?,
        }
        writing.commit().await?;
        Ok(store)
    }

    /// Closes it; what was committed stays.
    pub async fn close(&self) {
        self.database.close().await;
    }

    const fn pool(&self) -> &SqlitePool {
        self.database.pool()
    }

    async fn write(&self) -> Result<Writing, StoreError> {
        Ok(self.database.write().await?)
    }
}

async fn meta<T: DeserializeOwned>(connection: &mut SqliteConnection, key: &str) -> Result<Option<T>, StoreError> {
    let value: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT value FROM meta WHERE key = $1").bind(key).fetch_optional(connection).await?;
    value.map(|bytes| decode("a setting", &bytes)).transpose()
}

async fn keep_meta<T: Serialize>(writing: &mut Writing, key: &str, value: &T) -> Result<(), StoreError> {
    sqlx::query("INSERT OR REPLACE INTO meta (key, value) VALUES ($1, $2)")
        .bind(key)
        .bind(encode(value))
        .execute(&mut **writing)
        .await?;
    Ok(())
}

fn decode<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, StoreError> {
    ciborium::from_reader(bytes).map_err(|error| damaged(what, error))
}

fn damaged(what: &'static str, problem: impl ToString) -> StoreError {
    StoreError::Record { what, problem: problem.to_string() }
}

fn digest(bytes: &[u8]) -> Result<B256, StoreError> {
    B256::try_from(bytes).map_err(|error| damaged("a digest", error))
}

fn job_id(bytes: &[u8]) -> Result<JobId, StoreError> {
    digest(bytes).map(JobId)
}

fn address(bytes: &[u8]) -> Result<Address, StoreError> {
    Address::try_from(bytes).map_err(|error| damaged("an address", error))
}

fn amount(bytes: &[u8]) -> Result<U256, StoreError> {
    U256::try_from_be_slice(bytes).ok_or_else(|| damaged("an amount", format!("it has {} bytes", bytes.len())))
}

/// A small number of the database's.
fn small(value: i64) -> u32 {
    u32::try_from(value).unwrap_or_default()
}
