//! Why a database cannot be used.

use std::path::{Path, PathBuf};

use sqlx::migrate::MigrateError;

use crate::Words;

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error(
        "{path} was written by a newer version of lota (migration {migration} is unknown to {version}); use that version, or {instead}",
        version = env!("CARGO_PKG_VERSION")
    )]
    Newer {
        path: PathBuf,
        /// The one that this version does not know.
        migration: i64,
        instead: &'static str,
    },
    /// It cannot be brought to this version's form.
    #[error("{path} cannot be opened as {name}")]
    Migrate {
        path: PathBuf,
        name: &'static str,
        #[source]
        source: MigrateError,
    },
    /// One that has a limit has grown to it, or the disk is full.
    #[error("the database {path} has grown to its limit, or the disk is full; {advice}")]
    Full { path: PathBuf, advice: &'static str },
    #[error(
        "the database {path} cannot be used: it is damaged, or not {name}; put back a copy of it, or use {instead}"
    )]
    Damaged {
        path: PathBuf,
        name: &'static str,
        instead: &'static str,
        #[source]
        source: sqlx::Error,
    },
    #[error("the database {path} cannot be used: it, or its folder, may not be written; see who owns them")]
    ReadOnly {
        path: PathBuf,
        #[source]
        source: sqlx::Error,
    },
    #[error("the database {path} cannot be used")]
    Failed {
        path: PathBuf,
        #[source]
        source: sqlx::Error,
    },
}

/// What a failure's code says, whatever else is in its upper bytes.
mod code {
    pub(super) const READ_ONLY: i64 = 8;
    pub(super) const CORRUPT: i64 = 11;
    pub(super) const FULL: i64 = 13;
    pub(super) const NOT_A_DATABASE: i64 = 26;
}

/// SQLite's primary result code.
fn primary(error: &sqlx::Error) -> Option<i64> {
    let code: i64 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

/// Whether SQLite says that there is no room.
#[must_use]
pub fn is_full(error: &sqlx::Error) -> bool {
    primary(error) == Some(code::FULL)
}

impl DatabaseError {
    pub(crate) fn of(source: sqlx::Error, path: &Path, words: Words, max_size: Option<u64>) -> Self {
        let path = path.to_owned();
        match primary(&source) {
            Some(code::FULL) if max_size.is_some() => Self::Full { path, advice: words.when_full },
            Some(code::CORRUPT | code::NOT_A_DATABASE) => {
                Self::Damaged { path, name: words.name, instead: words.instead, source }
            }
            Some(code::READ_ONLY) => Self::ReadOnly { path, source },
            _ => Self::Failed { path, source },
        }
    }

    pub(crate) fn of_migration(source: MigrateError, path: &Path, words: Words) -> Self {
        let path = path.to_owned();
        match source {
            MigrateError::VersionMissing(migration) | MigrateError::VersionTooNew(migration, _) => {
                Self::Newer { path, migration, instead: words.instead }
            }
            source => Self::Migrate { path, name: words.name, source },
        }
    }

    /// Whether there was no room, so that it may work again when there is.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Full { .. } => true,
            Self::Failed { source, .. } => is_full(source),
            _ => false,
        }
    }
}
