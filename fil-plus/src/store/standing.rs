//! Who says things, and how far they are.

use sqlx::{Row as _, sqlite::SqliteRow};

use super::{Store, StoreError, signed, unsigned};
use crate::step::SourceError;

/// A source that is known to the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    pub name: String,
    /// Who says what it gives.
    pub origin: i64,
}

/// Where a source stood when one of its steps began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// What it goes on from; none: it begins.
    pub cursor: Option<String>,
    /// How often what its origin said was forgotten.
    pub(super) generation: i64,
}

impl Position {
    pub(super) const QUERY: &str = "SELECT s.cursor, o.generation FROM sources AS s JOIN origins AS o ON o.number = s.origin \
         WHERE s.name = $1";

    pub(super) fn of(row: &SqliteRow) -> Self {
        Self { cursor: row.get(0), generation: row.get(1) }
    }
}

/// Who says things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub number: i64,
    pub name: String,
    /// Unix seconds of epoch 0; none: it is no chain, or was never asked.
    pub genesis_time: Option<u64>,
}

/// How far a source is, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub name: String,
    pub kind: String,
    pub origin: i64,
    pub epoch: Option<u64>,
    /// Unix seconds of what it said last.
    pub as_of: Option<u64>,
    /// The epoch at which everything was read last.
    pub complete: Option<u64>,
    /// After how many seconds its word is old.
    pub stale_after: u64,
    /// How much of what it said was not believed, and an example.
    pub refused: u64,
    pub refusal: Option<String>,
    pub problem: Option<String>,
    /// Unix seconds.
    pub problem_since: Option<u64>,
    /// The key whose signature its list bears.
    pub signed_by: Option<Vec<u8>>,
    /// The epoch from which on it read events without a gap.
    pub since: Option<u64>,
}

fn standing(row: &SqliteRow) -> Standing {
    let number = |index: usize| row.get::<Option<i64>, _>(index).map(unsigned);
    Standing {
        name: row.get(0),
        kind: row.get(1),
        origin: row.get(2),
        epoch: number(3),
        as_of: number(4),
        complete: number(5),
        stale_after: unsigned(row.get(6)),
        refused: unsigned(row.get(7)),
        refusal: row.get(8),
        problem: row.get(9),
        problem_since: number(10),
        signed_by: row.get(11),
        since: number(12),
    }
}

impl Store {
    /// Makes a source known: its name, of what kind it is, who says what it gives, and after how many seconds that is old.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn register(
        &self,
        name: &str,
        kind: &str,
        origin: &str,
        stale_after: u64,
    ) -> Result<Registered, StoreError> {
        let mut transaction = self.database.write().await?;
        let work = async {
            sqlx::query("INSERT INTO origins (name) VALUES ($1) ON CONFLICT DO NOTHING")
                .bind(origin)
                .execute(&mut *transaction)
                .await?;
            let number: i64 = sqlx::query_scalar("SELECT number FROM origins WHERE name = $1")
                .bind(origin)
                .fetch_one(&mut *transaction)
                .await?;
            sqlx::query(
                "INSERT INTO sources (name, kind, origin, stale_after) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, origin = excluded.origin, \
                 stale_after = excluded.stale_after",
            )
            .bind(name)
            .bind(kind)
            .bind(number)
            .bind(signed(stale_after))
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await?;
            Ok(number)
        };
        let origin = work.await.map_err(|source| self.failed(source))?;
        Ok(Registered { name: name.to_owned(), origin })
    }

    /// Where a source stands.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn position(&self, source: &Registered) -> Result<Position, StoreError> {
        let row = sqlx::query(Position::QUERY).bind(&source.name).fetch_one(self.pool()).await;
        row.map(|row| Position::of(&row)).map_err(|error| self.failed(error))
    }

    /// What a source goes on from; none: it begins.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn cursor(&self, source: &str) -> Result<Option<String>, StoreError> {
        let cursor: Option<Option<String>> = sqlx::query_scalar("SELECT cursor FROM sources WHERE name = $1")
            .bind(source)
            .fetch_optional(self.pool())
            .await
            .map_err(|error| self.failed(error))?;
        Ok(cursor.flatten())
    }

    /// All sources, in the order of their names.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn standings(&self) -> Result<Vec<Standing>, StoreError> {
        let rows = sqlx::query(
            "SELECT name, kind, origin, epoch, as_of, complete, stale_after, refused, refusal, problem, \
             problem_since, signed_by, since FROM sources ORDER BY name",
        )
        .fetch_all(self.pool())
        .await
        .map_err(|error| self.failed(error))?;
        Ok(rows.iter().map(standing).collect())
    }

    /// # Errors
    /// See [`StoreError`].
    pub async fn origins(&self) -> Result<Vec<Origin>, StoreError> {
        let rows = sqlx::query("SELECT number, name, genesis_time FROM origins")
            .fetch_all(self.pool())
            .await
            .map_err(|error| self.failed(error))?;
        let origin = |row: &SqliteRow| Origin {
            number: row.get(0),
            name: row.get(1),
            genesis_time: row.get::<Option<i64>, _>(2).map(unsigned),
        };
        Ok(rows.iter().map(origin).collect())
    }

    /// Notes what keeps a source from going on; what it said before stays as it was.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn note_problem(&self, source: &str, problem: &SourceError, now: u64) -> Result<(), StoreError> {
        sqlx::query("UPDATE sources SET problem = $2, problem_since = coalesce(problem_since, $3) WHERE name = $1")
            .bind(source)
            .bind(problem.to_string())
            .bind(signed(now))
            .execute(self.pool())
            .await
            .map_err(|error| self.failed(error))?;
        Ok(())
    }

    /// Bytes of the database, without what is still in its log.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn size(&self) -> Result<u64, StoreError> {
        Ok(self.database.size().await?)
    }
}
