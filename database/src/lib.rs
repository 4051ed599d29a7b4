//! A SQLite database: how it is opened, brought to this version's form and written into, and what its failures mean.
//!
//! Journal mode WAL. With `synchronous = NORMAL` a crash of the process loses nothing, and a power cut may lose the last
//! transactions; with `FULL` it loses none that was committed.

mod error;
mod steps;
mod writing;

use std::{path::Path, sync::Arc, time::Duration};

use sqlx::{
    Connection as _, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

pub use error::{DatabaseError, is_full};
pub use steps::{Step, Steps};
pub use writing::Writing;

/// SQLite's pages, in bytes.
const PAGE: u64 = 4_096;
/// A database that may grow to less could not even hold its tables.
const MIN_PAGES: u64 = 64;

/// What a database is called in errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    /// What it is: `a node's database`.
    pub name: &'static str,
    /// What to use instead of one that a newer version wrote: `another folder`.
    pub instead: &'static str,
    /// What helps when it has grown to its limit: `raise fil_plus.max_size`.
    pub when_full: &'static str,
}

/// How a database is opened.
#[derive(Clone, Debug)]
pub struct Opening {
    pub words: Words,
    pub synchronous: SqliteSynchronous,
    pub connections: u32,
    /// How long to wait for others who write.
    pub patience: Duration,
    /// The bytes that it grows to; `None`: as far as the disk lasts.
    pub max_size: Option<u64>,
    /// What each connection keeps of it in memory, in KiB; `None`: SQLite's default.
    pub cache_kib: Option<u64>,
    /// How many bytes of it are read through the page cache of the system without a copy; `None`: SQLite's default.
    pub mapped: Option<u64>,
}

impl Opening {
    /// Four connections, ten seconds of patience, no limit.
    #[must_use]
    pub const fn new(words: Words, synchronous: SqliteSynchronous) -> Self {
        Self {
            words,
            synchronous,
            connections: 4,
            patience: Duration::from_secs(10),
            max_size: None,
            cache_kib: None,
            mapped: None,
        }
    }
}

/// A database.
#[derive(Clone, Debug)]
pub struct Database {
    pool: SqlitePool,
    path: Arc<Path>,
    turn: writing::Turn,
    words: Words,
    patience: Duration,
    max_size: Option<u64>,
}

impl Database {
    /// Opens the database at a path, makes it if it is missing, and brings it to the form that these steps come to.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn open(path: &Path, opening: &Opening, steps: &Steps) -> Result<Self, DatabaseError> {
        let database = Self::connect(path, opening).await?;
        database.migrate(steps).await?;
        Ok(database)
    }

    /// Opens the database at a path, or makes it, and leaves its form as it is.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn connect(path: &Path, opening: &Opening) -> Result<Self, DatabaseError> {
        let Opening { words, synchronous, connections, patience, max_size, cache_kib, mapped } = *opening;
        let mut options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .busy_timeout(patience);
        let pragmas = [
            ("cache_size", cache_kib.map(|kib| format!("-{kib}"))),
            ("mmap_size", mapped.map(|bytes| bytes.to_string())),
            ("max_page_count", max_size.map(|bytes| (bytes / PAGE).max(MIN_PAGES).to_string())),
        ];
        for (pragma, value) in pragmas {
            if let Some(value) = value {
                options = options.pragma(pragma, value);
            }
        }
        let pool = SqlitePoolOptions::new()
            .max_connections(connections)
            // SQLite ends a transaction by itself when the disk is full. sqlx goes on counting it, and would refuse every further
            // one on that connection: it is replaced by another.
            .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
            .connect_with(options)
            .await
            .map_err(|source| DatabaseError::of(source, path, words, max_size))?;
        Ok(Self { pool, path: path.into(), turn: writing::turn(path), words, patience, max_size })
    }

    /// Brings it to the form that these steps come to.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn migrate(&self, steps: &Steps) -> Result<(), DatabaseError> {
        let migrated = steps.migrator().run(&self.pool).await;
        migrated.map_err(|source| DatabaseError::of_migration(source, &self.path, self.words))
    }

    /// Closes it; what was committed stays.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    #[must_use]
    pub const fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What a failure of SQLite's means here.
    #[must_use]
    pub fn failed(&self, source: sqlx::Error) -> DatabaseError {
        DatabaseError::of(source, &self.path, self.words, self.max_size)
    }

    /// Begins a transaction that writes, when it is its turn.
    ///
    /// # Errors
    /// When nothing can be written, or others wrote for too long.
    pub async fn write(&self) -> Result<Writing, DatabaseError> {
        Writing::begin(&self.pool, &self.turn, self.patience).await.map_err(|source| self.failed(source))
    }

    /// The bytes of its pages, those that are free included.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn size(&self) -> Result<u64, DatabaseError> {
        self.bytes("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()").await
    }

    /// The bytes of the pages that hold something.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn used(&self) -> Result<u64, DatabaseError> {
        self.bytes(
            "SELECT (page_count - freelist_count) * page_size \
             FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()",
        )
        .await
    }

    /// The bytes that it grows to.
    #[must_use]
    pub const fn max_size(&self) -> Option<u64> {
        self.max_size
    }

    async fn bytes(&self, query: &'static str) -> Result<u64, DatabaseError> {
        let bytes: i64 = sqlx::query_scalar(query).fetch_one(&self.pool).await.map_err(|source| self.failed(source))?;
        Ok(unsigned(bytes))
    }
}

/// A number of a database; they are signed there, and ours never negative.
#[must_use]
pub fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// A number for a database; those beyond its range stop there.
#[must_use]
pub fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
