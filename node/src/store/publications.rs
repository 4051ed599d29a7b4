//! Where the outputs of jobs are published.

use futures::TryStreamExt as _;
use lota_content::Cid;
use lota_market::model::JobId;
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{Store, StoreError, job_id, signed, unsigned};

/// How far a publication is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PublicationState {
    Queued,
    Pinning,
    Pinned,
    Failed,
    /// The job is forgotten, and the publisher to be told.
    Withdrawing,
}

const STATES: [(PublicationState, &str); 5] = [
    (PublicationState::Queued, "queued"),
    (PublicationState::Pinning, "pinning"),
    (PublicationState::Pinned, "pinned"),
    (PublicationState::Failed, "failed"),
    (PublicationState::Withdrawing, "withdrawing"),
];

impl PublicationState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Pinning => "pinning",
            Self::Pinned => "pinned",
            Self::Failed => "failed",
            Self::Withdrawing => "withdrawing",
        }
    }
}

/// Why a publication is taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// It is under way.
    Next,
    /// It is there, or failed, and is looked at again after a long time.
    Again,
}

/// When what is never due is due.
pub(crate) const NEVER: u64 = i64::MAX.unsigned_abs();

/// A job's output at one publisher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Publication {
    pub(crate) job: JobId,
    pub(crate) publisher: String,
    pub(crate) cid: Cid,
    pub(crate) state: PublicationState,
    /// What the publisher gave.
    pub(crate) receipt: Option<String>,
    /// What went wrong the last time.
    pub(crate) reason: Option<String>,
    /// How often in a row it did, with this receipt or while there is none.
    pub(crate) attempts: u32,
    /// How often the publisher gave up since the output was last there.
    pub(crate) given_up: u32,
    /// How often it was looked at since its receipt changed.
    pub(crate) looks: u32,
    /// When it is to be looked at, in Unix seconds.
    pub(crate) due: u64,
}

const COLUMNS: &str = "job, publisher, cid, state, receipt, reason, attempts, given_up, looks, due";

fn publication(row: &SqliteRow) -> Result<Publication, StoreError> {
    let damaged = |problem: String| StoreError::Record { what: "a publication".to_owned(), problem };
    let cid: Vec<u8> = row.get(2);
    let state: String = row.get(3);
    let count = |column: usize| u32::try_from(row.get::<i64, _>(column)).unwrap_or(u32::MAX);
    Ok(Publication {
        job: job_id(row.get(0))?,
        publisher: row.get(1),
        cid: Cid::try_from(cid).map_err(|error| damaged(error.to_string()))?,
        state: STATES
            .iter()
            .find(|(_, name)| *name == state)
            .map(|(state, _)| *state)
            .ok_or_else(|| damaged(format!("the state `{state}` is unknown")))?,
        receipt: row.get(4),
        reason: row.get(5),
        attempts: count(6),
        given_up: count(7),
        looks: count(8),
        due: unsigned(row.get(9)),
    })
}

impl Store {
    /// Writes down that a job's output is to be published; what is known of the same output stays.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) async fn add_publications(
        &self,
        job: JobId,
        cid: &Cid,
        publishers: &[String],
    ) -> Result<(), StoreError> {
        let mut writing = self.write().await?;
        for publisher in publishers {
            sqlx::query(
                "INSERT INTO publications (job, publisher, cid, state, attempts, due) VALUES ($1, $2, $3, 'queued', 0, 0) \
                 ON CONFLICT (job, publisher) DO UPDATE SET cid = excluded.cid, state = 'queued', receipt = NULL, reason = NULL, \
                 attempts = 0, given_up = 0, looks = 0, due = 0 WHERE cid <> excluded.cid",
            )
            .bind(job.0.as_slice())
            .bind(publisher)
            .bind(cid.to_bytes())
            .execute(&mut *writing)
            .await
            .map_err(|source| self.failed(source))?;
        }
        writing.commit().await.map_err(|source| self.failed(source))
    }

    async fn publications(
        &self,
        query: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
    ) -> Result<Vec<Publication>, StoreError> {
        let rows = query.fetch_all(self.pool()).await.map_err(|source| self.failed(source))?;
        rows.iter().map(publication).collect()
    }

    /// What a publisher is to be asked next for this reason, the most overdue first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) async fn next_publications(
        &self,
        publisher: &str,
        occasion: Occasion,
        most: usize,
    ) -> Result<Vec<Publication>, StoreError> {
        // As the indices have it.
        let states = match occasion {
            Occasion::Next => "'queued', 'pinning', 'withdrawing'",
            Occasion::Again => "'pinned', 'failed'",
        };
        let sql = format!(
            "SELECT {COLUMNS} FROM publications WHERE publisher = $1 AND state IN ({states}) ORDER BY due LIMIT $2"
        );
        self.publications(
            sqlx::query(sqlx::AssertSqlSafe(sql))
                .bind(publisher.to_owned())
                .bind(i64::try_from(most).unwrap_or(i64::MAX)),
        )
        .await
    }

    /// Where a job's output is.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) async fn publications_of(&self, job: JobId) -> Result<Vec<Publication>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM publications WHERE job = $1 ORDER BY publisher");
        self.publications(sqlx::query(sqlx::AssertSqlSafe(sql)).bind(job.0.to_vec())).await
    }

    async fn change(
        &self,
        query: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
    ) -> Result<u64, StoreError> {
        let mut writing = self.write().await?;
        let done = query.execute(&mut *writing).await.map_err(|source| self.failed(source))?;
        writing.commit().await.map_err(|source| self.failed(source))?;
        Ok(done.rows_affected())
    }

    /// Notes how far a publication is; says whether it was still what it was before.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) async fn advance_publication(
        &self,
        before: &Publication,
        now: &Publication,
    ) -> Result<bool, StoreError> {
        let query = sqlx::query(
            "UPDATE publications SET state = $1, receipt = $2, reason = $3, attempts = $4, given_up = $5, looks = $6, due = $7 \
             WHERE job = $8 AND publisher = $9 AND cid = $10 AND state = $11",
        )
        .bind(now.state.as_str())
        .bind(now.receipt.clone())
        .bind(now.reason.clone())
        .bind(i64::from(now.attempts))
        .bind(i64::from(now.given_up))
        .bind(i64::from(now.looks))
        .bind(signed(now.due))
        .bind(before.job.0.to_vec())
        .bind(before.publisher.clone())
        .bind(before.cid.to_bytes())
        .bind(before.state.as_str());
        Ok(self.change(query).await? > 0)
    }

    /// The receipt of a publication, whatever became of it meanwhile: with it, it can be withdrawn.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) async fn keep_receipt(&self, publication: &Publication) -> Result<(), StoreError> {
        let query = sqlx::query("UPDATE publications SET receipt = $1 WHERE job = $2 AND publisher = $3 AND cid = $4")
            .bind(publication.receipt.clone())
            .bind(publication.job.0.to_vec())
            .bind(publication.publisher.clone())
            .bind(publication.cid.to_bytes());
        self.change(query).await.map(drop)
    }

    /// The job is forgotten: its publishers are to be told.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) async fn withdraw_publications(&self, job: JobId) -> Result<(), StoreError> {
        let sql = "UPDATE publications SET state = 'withdrawing', attempts = 0, due = 0 WHERE job = $1";
        self.change(sqlx::query(sql).bind(job.0.to_vec())).await.map(drop)
    }

    /// Whether a publisher keeps the same content for another job by the same request, as it says of two receipts: what has another
    /// one goes with its own job.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) async fn is_published_for_others(
        &self,
        publication: &Publication,
        is_same: impl Fn(Option<&str>, Option<&str>) -> bool,
    ) -> Result<bool, StoreError> {
        let mut others = sqlx::query_scalar::<_, Option<String>>(
            "SELECT receipt FROM publications WHERE publisher = $1 AND cid = $2 AND job <> $3 AND state <> 'withdrawing'",
        )
        .bind(&publication.publisher)
        .bind(publication.cid.to_bytes())
        .bind(publication.job.0.to_vec())
        .fetch(self.pool());
        while let Some(other) = others.try_next().await.map_err(|source| self.failed(source))? {
            if is_same(publication.receipt.as_deref(), other.as_deref()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Nothing is left to be done about it.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) async fn remove_publication(&self, publication: &Publication) -> Result<(), StoreError> {
        let query = sqlx::query("DELETE FROM publications WHERE job = $1 AND publisher = $2 AND state = 'withdrawing'")
            .bind(publication.job.0.to_vec())
            .bind(publication.publisher.clone());
        self.change(query).await.map(drop)
    }

    /// At the start: what failed is tried again, since the operator may have mended it; jobs that an earlier process forgot are
    /// withdrawn; what publishers hold that are not there any more is no affair of this node's.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) async fn resume_publications(&self, publishers: &[String]) -> Result<(), StoreError> {
        let names = serde_json::to_string(publishers).unwrap_or_else(|_| "[]".to_owned());
        let gone = "DELETE FROM publications WHERE publisher NOT IN (SELECT value FROM json_each($1))";
        self.change(sqlx::query(gone).bind(names)).await?;
        let forgotten = "UPDATE publications SET state = 'withdrawing' WHERE job NOT IN (SELECT id FROM jobs)";
        self.change(sqlx::query(forgotten)).await?;
        self.change(sqlx::query("UPDATE publications SET state = 'queued' WHERE state = 'failed'")).await?;
        let anew = "UPDATE publications SET attempts = 0, given_up = 0, looks = 0, due = 0 WHERE state <> 'pinned'";
        self.change(sqlx::query(anew)).await.map(drop)
    }
}
