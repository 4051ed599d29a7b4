//! What goes when the service's database has grown to its limit: alerts that were given up, then jobs without a blessing, first those whose
//! nomination ended, then those that nobody nominated, of both the oldest. What is voted on, blessed or granted stays.

use lota_market::{Time, model::JobId};
use sqlx::SqliteConnection;

use super::{FINALIZED, Store, StoreError, job_id, meta, signed};
use crate::{
    history::Kept,
    space::{CROWDED, RESERVED, ROOMY, is_above},
};

/// How many go in one transaction.
const AT_ONCE: i64 = 500;

/// That something may still be undone.
const IS_NOT_FINAL: &str = "EXISTS (SELECT 1 FROM events WHERE events.job = jobs.job AND block > $1)";

/// Whether something of a job is still to be decided, or may be undone.
async fn stays(connection: &mut SqliteConnection, job: JobId, finalized: u64) -> Result<bool, StoreError> {
    let query = format!("SELECT 1 FROM jobs WHERE job = $2 AND (phase <> 0 OR {IS_NOT_FINAL})");
    let found: Option<i64> = sqlx::query_scalar(sqlx::AssertSqlSafe(query))
        .bind(signed(finalized))
        .bind(job.0.as_slice())
        .fetch_optional(connection)
        .await?;
    Ok(found.is_some())
}

impl Store {
    /// Lets go of what is not needed, if there is little room.
    ///
    /// # Errors
    /// When nothing may go and there is no room for more of what strangers cause; see [`StoreError`].
    pub async fn make_room(&self) -> Result<(), StoreError> {
        if !is_above(&self.database, CROWDED).await? {
            return Ok(());
        }
        while is_above(&self.database, ROOMY).await? {
            if self.forget_alerts().await? == 0 && self.forget_oldest().await? == 0 {
                break;
            }
        }
        if is_above(&self.database, RESERVED).await? {
            return Err(StoreError::Crowded { path: self.database.path().to_owned() });
        }
        Ok(())
    }

    async fn forget_alerts(&self) -> Result<u64, StoreError> {
        let gone = sqlx::query(
            "DELETE FROM outbox WHERE (id, destination) IN (SELECT id, destination FROM outbox WHERE send_at IS NULL LIMIT $1)",
        )
        .bind(AT_ONCE)
        .execute(self.pool())
        .await?;
        Ok(gone.rows_affected())
    }

    async fn forget_oldest(&self) -> Result<u64, StoreError> {
        let mut reading = self.pool().begin().await?;
        let finalized: u64 = meta(&mut reading, FINALIZED).await?.unwrap_or_default();
        let query = format!(
            "SELECT job FROM jobs WHERE phase = 0 AND NOT {IS_NOT_FINAL} ORDER BY open, settled_at, job LIMIT $2"
        );
        let jobs: Vec<Vec<u8>> = sqlx::query_scalar(sqlx::AssertSqlSafe(query))
            .bind(signed(finalized))
            .bind(AT_ONCE)
            .fetch_all(&mut *reading)
            .await?;
        drop(reading);
        let jobs = jobs.iter().map(|job| job_id(job)).collect::<Result<Vec<_>, _>>()?;
        Ok(self.forget(&jobs).await?.len() as u64)
    }

    /// Those of these jobs that may go, as far as this database knows.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn may_go(&self, jobs: &[JobId]) -> Result<Vec<JobId>, StoreError> {
        let mut reading = self.pool().begin().await?;
        let finalized: u64 = meta(&mut reading, FINALIZED).await?.unwrap_or_default();
        let mut may_go = Vec::new();
        for job in jobs {
            if !stays(&mut reading, *job, finalized).await? {
                may_go.push(*job);
            }
        }
        Ok(may_go)
    }

    /// Lets go of all that is kept of these jobs, and tells of which: not of those that the blessing came to speak of meanwhile. That this
    /// service nominated some of them is still counted.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn forget(&self, jobs: &[JobId]) -> Result<Vec<JobId>, StoreError> {
        let mut writing = self.write().await?;
        let finalized: u64 = meta(&mut writing, FINALIZED).await?.unwrap_or_default();
        let mut gone = Vec::with_capacity(jobs.len());
        for job in jobs {
            if stays(&mut writing, *job, finalized).await? {
                continue;
            }
            for statement in [
                "DELETE FROM reasons WHERE digest IN (SELECT reasons FROM votes WHERE job = $1 \
                 UNION SELECT reasons FROM replaced_votes WHERE job = $1) \
                 AND NOT EXISTS (SELECT 1 FROM votes WHERE votes.reasons = digest AND job <> $1)",
                "DELETE FROM votes WHERE job = $1",
                "DELETE FROM replaced_votes WHERE job = $1",
                "DELETE FROM attestations WHERE job = $1",
                "DELETE FROM events WHERE job = $1",
                "DELETE FROM jobs WHERE job = $1",
            ] {
                sqlx::query(statement).bind(job.0.as_slice()).execute(&mut *writing).await?;
            }
            gone.push(*job);
        }
        writing.commit().await?;
        Ok(gone)
    }

    /// Takes a settled job over from the history once more, if the blessing speaks of it and it was let go of: it is gathered from now on.
    /// Tells whether that is news.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn take_back(&self, kept: &Kept, now: Time) -> Result<bool, StoreError> {
        let taken =
            sqlx::query("UPDATE jobs SET settled_at = $2, gather_at = $3 WHERE job = $1 AND settled_at IS NULL")
                .bind(kept.job.job.0.as_slice())
                .bind(signed(kept.job.settled_at.0))
                .bind(signed(now.0))
                .execute(self.pool())
                .await?;
        Ok(taken.rows_affected() > 0)
    }
}
