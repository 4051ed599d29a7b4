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
mod salts;
mod specs;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, PoisonError, Weak},
    time::Duration,
};

use lota_bridge::Cursor;
use lota_market::{agent::Job, model::JobId};
use sqlx::{
    Connection as _, Row as _, Sqlite, SqlitePool, Transaction,
    migrate::MigrateError,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::{Mutex, OwnedMutexGuard};

pub(crate) use auctions::KEPT_BIDS;
pub use batch::Batch;
pub use job_list::{ListFilter, ListedJob, StoredEvent};
pub use journal::NodeJournal;
pub(crate) use publications::{NEVER, Occasion, Publication, PublicationState};

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database was written by a newer version.
    #[error(
        "{path} was written by a newer version of lota (migration {migration} is unknown to {version}); use that version, or another $LOTA_HOME",
        version = env!("CARGO_PKG_VERSION")
    )]
    Newer {
        path: PathBuf,
        /// The migration this version does not know.
        migration: i64,
    },
    /// The database was made for the contract's first edition, whose events and jobs mean nothing to this version.
    #[error(
        "{path} was written for the market's first edition, which this version does not know; move it away, and the node begins anew"
    )]
    FirstEdition { path: PathBuf },
    /// The database cannot be brought to this version's form.
    #[error("{path} cannot be opened as a node's database")]
    Migrate {
        path: PathBuf,
        #[source]
        source: MigrateError,
    },
    /// SQLite failed.
    #[error("the database {path} cannot be used")]
    Database {
        path: PathBuf,
        #[source]
        source: sqlx::Error,
    },
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
/// How long to wait for others who write.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whose turn it is to write into a database. SQLite lets one connection write at a time, and has others ask again after naps
/// that grow; within a process they queue up instead.
type Turn = Arc<Mutex<()>>;

/// The queue of those who write into the database at this path, whichever connection they use.
fn turn(path: &Path) -> Turn {
    static TURNS: LazyLock<std::sync::Mutex<HashMap<PathBuf, Weak<Mutex<()>>>>> = LazyLock::new(Default::default);
    let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
    turns.retain(|_, turn| turn.strong_count() > 0);
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if let Some(turn) = turns.get(&path).and_then(Weak::upgrade) {
        return turn;
    }
    let turn = Turn::default();
    turns.insert(path, Arc::downgrade(&turn));
    turn
}

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
    pool: SqlitePool,
    path: PathBuf,
    turn: Turn,
}

/// A transaction that writes.
struct Writing {
    transaction: Transaction<'static, Sqlite>,
    turn: Option<OwnedMutexGuard<()>>,
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
        let database = |source| StoreError::Database { path: path.to_owned(), source };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .busy_timeout(PATIENCE);
        let pool = SqlitePoolOptions::new()
            .max_connections(connections)
            // SQLite ends a transaction by itself when the disk is full. sqlx goes on counting it, and would refuse every further
            // one on that connection: it is replaced by another.
            .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
            .connect_with(options)
            .await
            .map_err(database)?;
        if is_of_the_first_edition(&pool).await.map_err(database)? {
            return Err(StoreError::FirstEdition { path: path.to_owned() });
        }
        migrations::all().run(&pool).await.map_err(|source| match source {
            MigrateError::VersionMissing(migration) | MigrateError::VersionTooNew(migration, _) => {
                StoreError::Newer { path: path.to_owned(), migration }
            }
            source => StoreError::Migrate { path: path.to_owned(), source },
        })?;
        Ok(Self { pool, path: path.to_owned(), turn: turn(path) })
    }

    /// Closes it; what was committed stays.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    fn failed(&self, source: sqlx::Error) -> StoreError {
        StoreError::Database { path: self.path.clone(), source }
    }

    /// Begins a round of the loop.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn begin(&self) -> Result<Batch<'_>, StoreError> {
        let writing = self.write().await.map_err(|source| self.failed(source))?;
        Ok(Batch::new(writing, self))
    }

    /// Begins a transaction that writes, when it is its turn.
    async fn write(&self) -> Result<Writing, sqlx::Error> {
        // Whoever takes that long is waited for by SQLite, which then says so.
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.turn).lock_owned()).await.ok();
        Ok(Writing { transaction: self.pool.begin_with("BEGIN IMMEDIATE").await?, turn })
    }

    /// A value of the node's own.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn meta<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StoreError> {
        let row = sqlx::query("SELECT value FROM meta WHERE key = $1")
            .bind(key)
            .fetch_optional(&self.pool)
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
            .fetch_all(&self.pool)
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
            .fetch_optional(&self.pool)
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
            .fetch_optional(&self.pool)
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

/// A number of the database; they are signed there and never negative.
fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// A number for the database; times beyond its range stop there.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
pub(crate) mod tests;
