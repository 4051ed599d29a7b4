//! What a node remembers: cursor, events, job records. One SQLite database, owned by this node alone.
//!
//! The loop writes through [`Batch`]: cursor, events and records of one round go into one transaction. Journal mode WAL and
//! `synchronous = NORMAL`: a crash of the process loses nothing; a power cut may lose the last rounds, which the market's log
//! then gives again.

mod auctions;
mod batch;
mod filing;
mod job_list;
mod journal;
mod migrations;
mod order_events;
mod publications;
mod rails;
mod salts;
mod specs;

use std::path::{Path, PathBuf};

use lota_bridge::Cursor;
use lota_database::{Database, DatabaseError, Opening, Words, Writing, signed, unsigned};
use lota_market::{agent::Job, model::JobId};
use sqlx::{Row as _, SqlitePool, sqlite::SqliteSynchronous};

pub(crate) use auctions::KEPT_BIDS;
pub use batch::Batch;
pub use job_list::{ListFilter, ListedJob, StoredEvent};
pub use journal::NodeJournal;
pub(crate) use publications::{NEVER, Occasion, Publication, PublicationState};
pub(crate) use rails::{DueRail, PricePaid};

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database was made for the contract's first edition, whose events and jobs mean nothing to this version.
    #[error(
        "{path} was written for the market's first edition, which this version does not know; move it away, and the node begins anew"
    )]
    FirstEdition { path: PathBuf },
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A record cannot be read.
    #[error("{what} in the database cannot be read: {problem}")]
    Record {
        what: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// The database's file in a node's folder.
pub(crate) const FILE: &str = "node.db";
/// How many parties' announcements are kept and looked through.
pub(crate) const MAX_PARTIES: u32 = 10_000;
const WORDS: Words =
    Words { name: "a node's database", instead: "another $LOTA_HOME", when_full: "make room on its disk" };

/// Whether a step made this database that there is no more.
async fn is_of_the_first_edition(pool: &SqlitePool) -> Result<bool, sqlx::Error> {
    let steps = sqlx::query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations'");
    if steps.fetch_optional(pool).await?.is_none() {
        return Ok(false);
    }
    let earlier = sqlx::query("SELECT 1 FROM _sqlx_migrations WHERE version < $1 LIMIT 1").bind(migrations::FIRST);
    Ok(earlier.fetch_optional(pool).await?.is_some())
}

/// A node's database.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
}

impl Store {
    /// Opens the database, makes it if it is missing, and brings it to this version's form.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, SqliteSynchronous::Normal, 4).await
    }

    async fn open_with(path: &Path, synchronous: SqliteSynchronous, connections: u32) -> Result<Self, StoreError> {
        let opening = Opening { connections, ..Opening::new(WORDS, synchronous) };
        let database = Database::connect(path, &opening).await?;
        if is_of_the_first_edition(database.pool()).await.map_err(|source| database.failed(source))? {
            return Err(StoreError::FirstEdition { path: path.to_owned() });
        }
        database.migrate(&migrations::STEPS).await?;
        Ok(Self { database })
    }

    /// Closes it; what was committed stays.
    pub async fn close(&self) {
        self.database.close().await;
    }

    const fn pool(&self) -> &SqlitePool {
        self.database.pool()
    }

    fn failed(&self, source: sqlx::Error) -> StoreError {
        self.database.failed(source).into()
    }

    /// Begins a round of the loop.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn begin(&self) -> Result<Batch<'_>, StoreError> {
        Ok(Batch::new(self.write().await?, self))
    }

    /// Begins a transaction that writes, when it is its turn.
    async fn write(&self) -> Result<Writing, DatabaseError> {
        self.database.write().await
    }

    /// A value of the node's own.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn meta<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StoreError> {
        let row = sqlx::query("SELECT value FROM meta WHERE key = $1")
            .bind(key)
            .fetch_optional(self.pool())
            .await
            .map_err(|source| self.failed(source))?;
        row.map(|row| decode(&format!("`{key}`"), row.get(0))).transpose()
    }

    /// Sets a value of the node's own.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn set_meta<T: serde::Serialize>(&self, key: &str, value: &T) -> Result<(), StoreError> {
        let mut batch = self.begin().await?;
        batch.set_meta(key, value).await?;
        batch.commit().await
    }

    /// Up to where the market's log was taken in.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn cursor(&self) -> Result<Option<Cursor>, StoreError> {
        self.meta(batch::CURSOR).await
    }

    /// The records that the agent held.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn live_jobs(&self) -> Result<Vec<Job>, StoreError> {
        let rows = sqlx::query("SELECT record FROM jobs WHERE live ORDER BY opened, id")
            .fetch_all(self.pool())
            .await
            .map_err(|source| self.failed(source))?;
        rows.iter().map(|row| decode("a job", row.get(0))).collect()
    }

    /// One job's record.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        let row = sqlx::query("SELECT record FROM jobs WHERE id = $1")
            .bind(id.0.as_slice())
            .fetch_optional(self.pool())
            .await
            .map_err(|source| self.failed(source))?;
        row.map(|row| decode("a job", row.get(0))).transpose()
    }

    /// The job that was opened for a request of this name.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn requested(&self, key: &RequestKey) -> Result<Option<Claim>, StoreError> {
        let row = sqlx::query("SELECT job, body FROM requests WHERE key = $1")
            .bind(&key.name)
            .fetch_optional(self.pool())
            .await
            .map_err(|source| self.failed(source))?;
        row.map(|row| Ok(key.claimed(job_id(row.get(0))?, row.get(1)))).transpose()
    }
}

/// What makes a request idempotent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey {
    /// The name that the client gave it.
    pub name: String,
    /// Digest of what is requested.
    pub body: [u8; 32],
}

/// Whose a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The job's that was asked for now.
    New,
    /// An earlier job's, which was asked for in the same words.
    Same(JobId),
    /// An earlier job's, which was asked for in other words.
    Other(JobId),
}

impl RequestKey {
    /// Whose the key is if this job was opened for it, for a request with this digest.
    fn claimed(&self, job: JobId, body: &[u8]) -> Claim {
        if body == self.body { Claim::Same(job) } else { Claim::Other(job) }
    }
}

fn encode<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes)
        .map_err(|error| StoreError::Record { what: "a value".to_owned(), problem: error.to_string() })?;
    Ok(bytes)
}

fn decode<T: serde::de::DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, StoreError> {
    ciborium::from_reader(bytes)
        .map_err(|error| StoreError::Record { what: what.to_owned(), problem: error.to_string() })
}

fn job_id(bytes: &[u8]) -> Result<JobId, StoreError> {
    lota_market::B256::try_from(bytes)
        .map(JobId)
        .map_err(|error| StoreError::Record { what: "a job's id".to_owned(), problem: error.to_string() })
}

#[cfg(test)]
pub(crate) mod tests;
