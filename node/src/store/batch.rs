//! One round of the loop: all of it is stored, or nothing.

use std::sync::LazyLock;

use lota_bridge::Cursor;
use lota_market::{
    B256, Time,
    agent::{At, Change, Job, JobView},
    model::{Event, JobId, Status},
};
use sqlx::{AssertSqlSafe, QueryBuilder, Row as _, Sqlite};

use super::{
    Claim, RequestKey, Store, StoreError, Writing, decode, encode, filing::is_failed, job_id, signed, unsigned,
};

pub(super) const CURSOR: &str = "cursor";

/// How many events one statement stores: each statement is a journey to the database's thread and back.
const ROWS: usize = 64;

/// An event on its way into the database.
struct EventRow {
    cursor: Cursor,
    time: Time,
    job: Option<JobId>,
    announcement: bool,
    event: Vec<u8>,
}

/// A transaction of the loop.
pub struct Batch<'a> {
    pub(super) transaction: Writing,
    pub(super) store: &'a Store,
    /// Events that are not stored yet; they are before anything is read or deleted.
    events: Vec<EventRow>,
}

/// Stores so many events.
fn insertion(rows: usize) -> String {
    let mut statement =
        String::from("INSERT INTO events (block, idx, block_hash, time, job, announcement, event) VALUES ");
    for row in 0..rows {
        statement.push_str(if row == 0 { "(?, ?, ?, ?, ?, ?, ?)" } else { ", (?, ?, ?, ?, ?, ?, ?)" });
    }
    statement.push_str(" ON CONFLICT (block, idx) DO NOTHING");
    statement
}

impl<'a> Batch<'a> {
    pub(super) const fn new(transaction: Writing, store: &'a Store) -> Self {
        Self { transaction, store, events: Vec::new() }
    }

    /// Keeps all of it.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn commit(mut self) -> Result<(), StoreError> {
        self.flush().await?;
        let store = self.store;
        self.transaction.commit().await.map_err(|source| store.failed(source))
    }

    /// Sets a value of the node's own.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn set_meta<T: serde::Serialize>(&mut self, key: &str, value: &T) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )
        .bind(key)
        .bind(encode(value)?)
        .execute(&mut *self.transaction)
        .await
        .map_err(|source| self.store.failed(source))?;
        Ok(())
    }

    /// A value of the node's own, as it is in this transaction.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn meta<T: serde::de::DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>, StoreError> {
        let row = sqlx::query("SELECT value FROM meta WHERE key = $1")
            .bind(key)
            .fetch_optional(&mut *self.transaction)
            .await
            .map_err(|source| self.store.failed(source))?;
        row.map(|row| decode(&format!("`{key}`"), row.get(0))).transpose()
    }

    /// Up to where the market's log was taken in.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn set_cursor(&mut self, cursor: Option<Cursor>) -> Result<(), StoreError> {
        match cursor {
            Some(cursor) => self.set_meta(CURSOR, &cursor).await,
            None => self.remove_meta(CURSOR).await,
        }
    }

    /// Keeps an event.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn add_event(&mut self, cursor: &Cursor, time: Time, event: &Event) -> Result<(), StoreError> {
        self.events.push(EventRow {
            cursor: *cursor,
            time,
            job: event.job(),
            announcement: matches!(event, Event::Announced { .. }),
            event: encode(event)?,
        });
        if self.events.len() >= ROWS {
            self.flush().await?;
        }
        Ok(())
    }

    /// Stores the events that wait for it.
    async fn flush(&mut self) -> Result<(), StoreError> {
        static SEVERAL: LazyLock<String> = LazyLock::new(|| insertion(ROWS));
        static ONE: LazyLock<String> = LazyLock::new(|| insertion(1));
        let events = std::mem::take(&mut self.events);
        let size = if events.len() < ROWS { 1 } else { ROWS };
        let statement = if size == 1 { &*ONE } else { &*SEVERAL };
        let mut events = events.into_iter().peekable();
        while events.peek().is_some() {
            let mut query = sqlx::query(AssertSqlSafe(statement.as_str()));
            for row in events.by_ref().take(size) {
                query = query
                    .bind(signed(row.cursor.block))
                    .bind(i64::from(row.cursor.index))
                    .bind(row.cursor.block_hash.to_vec())
                    .bind(signed(row.time.0))
                    .bind(row.job.map(|job| job.0.to_vec()))
                    .bind(row.announcement)
                    .bind(row.event);
            }
            query.execute(&mut *self.transaction).await.map_err(|source| self.store.failed(source))?;
        }
        Ok(())
    }

    /// Deletes the events above `to` and says which jobs they touched.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn rewind(&mut self, to: Option<Cursor>) -> Result<Vec<JobId>, StoreError> {
        self.flush().await?;
        let (block, index) = to.map_or((-1, -1), |to| (signed(to.block), i64::from(to.index)));
        let rows = sqlx::query("DELETE FROM events WHERE block > $1 OR (block = $1 AND idx > $2) RETURNING job")
            .bind(block)
            .bind(index)
            .fetch_all(&mut *self.transaction)
            .await
            .map_err(|source| self.store.failed(source))?;
        let mut jobs =
            rows.iter().filter_map(|row| row.get::<Option<&[u8]>, _>(0)).map(job_id).collect::<Result<Vec<_>, _>>()?;
        jobs.sort_unstable();
        jobs.dedup();
        Ok(jobs)
    }

    /// What a job's remaining events add up to.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn fold(&mut self, job: JobId) -> Result<Option<JobView>, StoreError> {
        self.flush().await?;
        let rows = sqlx::query("SELECT block, time, event FROM events WHERE job = $1 ORDER BY block, idx")
            .bind(job.0.as_slice())
            .fetch_all(&mut *self.transaction)
            .await
            .map_err(|source| self.store.failed(source))?;
        let events = rows
            .iter()
            .map(|row| {
                let at = At { block: unsigned(row.get(0)), time: Time(unsigned(row.get(1))) };
                Ok((at, decode::<Event>("an event", row.get(2))?))
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        Ok(JobView::fold(events.iter().map(|(at, event)| (*at, event))))
    }

    /// One job's record.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn job(&mut self, id: JobId) -> Result<Option<Job>, StoreError> {
        let row = sqlx::query("SELECT record FROM jobs WHERE id = $1")
            .bind(id.0.as_slice())
            .fetch_optional(&mut *self.transaction)
            .await
            .map_err(|source| self.store.failed(source))?;
        row.map(|row| decode("a job", row.get(0))).transpose()
    }

    /// Jobs that are open, the latest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn open_jobs(&mut self, most: u32) -> Result<Vec<Job>, StoreError> {
        let rows = sqlx::query("SELECT record FROM jobs WHERE status = $1 ORDER BY opened DESC, id DESC LIMIT $2")
            .bind(Status::Open as i64)
            .bind(i64::from(most))
            .fetch_all(&mut *self.transaction)
            .await
            .map_err(|source| self.store.failed(source))?;
        rows.iter().map(|row| decode("a job", row.get(0))).collect()
    }

    /// The records of several jobs, as far as there are any.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn jobs(&mut self, ids: &[JobId]) -> Result<Vec<Job>, StoreError> {
        let mut jobs = Vec::new();
        for some in ids.chunks(ROWS) {
            let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("SELECT record FROM jobs WHERE id IN (");
            let mut list = query.separated(", ");
            for id in some {
                list.push_bind(id.0.to_vec());
            }
            query.push(")");
            let rows =
                query.build().fetch_all(&mut *self.transaction).await.map_err(|source| self.store.failed(source))?;
            for row in &rows {
                jobs.push(decode("a job", row.get(0))?);
            }
        }
        Ok(jobs)
    }

    /// Keeps a record. `mine`: this node's party is its client.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn save(&mut self, change: &Change, mine: bool, now: Time) -> Result<(), StoreError> {
        let Change { job, live } = change;
        sqlx::query(
            "INSERT INTO jobs (id, status, client, provider, opened, updated, mine, live, record, failed) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (id) DO UPDATE SET status = excluded.status, provider = excluded.provider, opened = excluded.opened, \
             updated = excluded.updated, live = excluded.live, record = excluded.record, failed = excluded.failed",
        )
        .bind(job.id().0.as_slice())
        .bind(job.view.status as i64)
        .bind(job.view.terms.client.as_slice())
        .bind(job.view.provider.as_slice())
        .bind(signed(job.view.opened.0))
        .bind(signed(now.0))
        .bind(mine)
        .bind(live)
        .bind(encode(job)?)
        .bind(is_failed(&job.view))
        .execute(&mut *self.transaction)
        .await
        .map_err(|source| self.store.failed(source))?;
        self.file_labels(job).await
    }

    /// The agent needs a job no more: it is not given back to it at the next start.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn retire(&mut self, job: JobId) -> Result<(), StoreError> {
        sqlx::query("UPDATE jobs SET live = FALSE WHERE id = $1")
            .bind(job.0.as_slice())
            .execute(&mut *self.transaction)
            .await
            .map_err(|source| self.store.failed(source))?;
        Ok(())
    }

    /// Forgets a value of the node's own.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn remove_meta(&mut self, key: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM meta WHERE key = $1")
            .bind(key)
            .execute(&mut *self.transaction)
            .await
            .map_err(|source| self.store.failed(source))?;
        Ok(())
    }

    /// Remembers which job is opened for a request of this name, unless one was opened before: the answer says which of them
    /// it is.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn claim(&mut self, key: &RequestKey, job: JobId) -> Result<Claim, StoreError> {
        let inserted =
            sqlx::query("INSERT INTO requests (key, job, body) VALUES ($1, $2, $3) ON CONFLICT (key) DO NOTHING")
                .bind(&key.name)
                .bind(job.0.as_slice())
                .bind(key.body.as_slice())
                .execute(&mut *self.transaction)
                .await
                .map_err(|source| self.store.failed(source))?;
        if inserted.rows_affected() > 0 {
            return Ok(Claim::New);
        }
        let row = sqlx::query("SELECT job, body FROM requests WHERE key = $1")
            .bind(&key.name)
            .fetch_one(&mut *self.transaction)
            .await
            .map_err(|source| self.store.failed(source))?;
        Ok(key.claimed(job_id(row.get(0))?, row.get(1)))
    }

    /// Gives the key of a job's request back: the job was never opened.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn give_back(&mut self, job: JobId) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM requests WHERE job = $1")
            .bind(job.0.as_slice())
            .execute(&mut *self.transaction)
            .await
            .map_err(|source| self.store.failed(source))?;
        Ok(())
    }

    /// The hash of the block an event position lies in, if an event of that block is stored.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn block_hash(&mut self, block: u64) -> Result<Option<B256>, StoreError> {
        self.flush().await?;
        let row = sqlx::query("SELECT block_hash FROM events WHERE block = $1 LIMIT 1")
            .bind(signed(block))
            .fetch_optional(&mut *self.transaction)
            .await
            .map_err(|source| self.store.failed(source))?;
        Ok(row.and_then(|row| B256::try_from(row.get::<&[u8], _>(0)).ok()))
    }

    /// Forgets final jobs that have not changed since `before`, with their events, and says which; also events of that age
    /// that are about no job, or about orders whose jobs are not kept, and all announcements but the latest [`MAX_PARTIES`](crate::store::MAX_PARTIES).
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn prune(&mut self, before: Time, most: i64) -> Result<Vec<JobId>, StoreError> {
        self.flush().await?;
        let rows = sqlx::query(
            "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE NOT live AND updated < $1 ORDER BY opened LIMIT $2) RETURNING id",
        )
        .bind(signed(before.0))
        .bind(most)
        .fetch_all(&mut *self.transaction)
        .await
        .map_err(|source| self.store.failed(source))?;
        let jobs = rows.iter().map(|row| job_id(row.get(0))).collect::<Result<Vec<_>, _>>()?;
        for job in &jobs {
            for statement in [
                "DELETE FROM events WHERE job = $1",
                "DELETE FROM auction_events WHERE job = $1",
                "DELETE FROM order_events WHERE job = $1",
                "DELETE FROM requests WHERE job = $1",
                "DELETE FROM labels WHERE job = $1",
                "DELETE FROM salts WHERE job = $1",
            ] {
                sqlx::query(statement)
                    .bind(job.0.as_slice())
                    .execute(&mut *self.transaction)
                    .await
                    .map_err(|source| self.store.failed(source))?;
            }
        }
        for statement in [
            "DELETE FROM events WHERE job IS NULL AND NOT announcement AND time < $1",
            // That an order was opened is kept before it is known whether its job will be; anybody may open some.
            "DELETE FROM order_events WHERE time < $1 AND job NOT IN (SELECT id FROM jobs)",
        ] {
            sqlx::query(statement)
                .bind(signed(before.0))
                .execute(&mut *self.transaction)
                .await
                .map_err(|source| self.store.failed(source))?;
        }
        sqlx::query(
            "DELETE FROM events WHERE announcement AND (block, idx) <= \
             (SELECT block, idx FROM events WHERE announcement ORDER BY block DESC, idx DESC LIMIT 1 OFFSET $1)",
        )
        .bind(i64::from(crate::store::MAX_PARTIES))
        .execute(&mut *self.transaction)
        .await
        .map_err(|source| self.store.failed(source))?;
        Ok(jobs)
    }
}
