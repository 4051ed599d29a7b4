//! Transactions that write.

use std::{
    collections::HashMap,
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, PoisonError, Weak},
    time::Duration,
};

use sqlx::{Sqlite, SqliteConnection, SqlitePool, Transaction};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Whose turn it is to write into a database. SQLite lets one connection write at a time, and has others ask again after naps
/// that grow; within a process they queue up instead.
pub(crate) type Turn = Arc<Mutex<()>>;

/// The queue of those who write into the database at this path, whichever connection they use.
pub(crate) fn turn(path: &Path) -> Turn {
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

/// A transaction that writes; one that is not committed is undone.
#[derive(Debug)]
pub struct Writing {
    transaction: Transaction<'static, Sqlite>,
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Writing {
    pub(crate) async fn begin(pool: &SqlitePool, turn: &Turn, patience: Duration) -> Result<Self, sqlx::Error> {
        // Whoever takes that long is waited for by SQLite, which then says so.
        let turn = tokio::time::timeout(patience, Arc::clone(turn).lock_owned()).await.ok();
        Ok(Self { transaction: pool.begin_with("BEGIN IMMEDIATE").await?, _turn: turn })
    }

    /// Keeps all of it.
    ///
    /// # Errors
    /// SQLite's; then nothing was kept.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        self.transaction.commit().await
    }
}

impl Deref for Writing {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.transaction
    }
}

impl DerefMut for Writing {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }
}
