//! Reading jobs for people.

use lota_market::{
    Address, Time,
    agent::Job,
    model::{Event, JobId, Status},
};
use sqlx::{QueryBuilder, Row as _, Sqlite};

use super::{Store, StoreError, decode, job_id, signed, unsigned};

/// Which jobs to list.
#[derive(Clone, Debug, Default)]
pub struct ListFilter {
    /// Only jobs whose client is this node's party.
    pub mine: bool,
    /// Only jobs in this state.
    pub status: Option<Status>,
    /// Oldest first instead of newest first.
    pub oldest_first: bool,
    /// At most this many.
    pub limit: u32,
    /// Only those after this job in the order.
    pub after: Option<(Time, JobId)>,
}

/// A job in a list.
#[derive(Clone, Debug)]
pub struct ListedJob {
    /// Its record.
    pub job: Job,
    /// When the record last changed.
    pub updated: Time,
}

/// A stored event of a job.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    /// The block it is in.
    pub block: u64,
    /// The block's time.
    pub time: Time,
    /// What happened.
    pub event: Event,
}

impl Store {
    /// Lists jobs by the time they were opened.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn list(&self, filter: &ListFilter) -> Result<Vec<ListedJob>, StoreError> {
        let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("SELECT record, updated FROM jobs WHERE TRUE");
        if filter.mine {
            query.push(" AND mine = TRUE");
        }
        if let Some(status) = filter.status {
            query.push(" AND status = ").push_bind(status as i64);
        }
        let (order, comparison) = if filter.oldest_first { ("ASC", " > ") } else { ("DESC", " < ") };
        if let Some((opened, id)) = filter.after {
            query.push(" AND (opened, id)").push(comparison).push("(").push_bind(signed(opened.0)).push(", ");
            query.push_bind(id.0.to_vec()).push(")");
        }
        query.push(format!(" ORDER BY opened {order}, id {order} LIMIT ")).push_bind(i64::from(filter.limit));
        let rows = query.build().fetch_all(&self.pool).await.map_err(|source| self.failed(source))?;
        rows.iter()
            .map(|row| Ok(ListedJob { job: decode("a job", row.get(0))?, updated: Time(unsigned(row.get(1))) }))
            .collect()
    }

    /// Jobs that have not ended and that the agent does not hold, the latest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn unfinished_jobs(&self, most: u32) -> Result<Vec<Job>, StoreError> {
        let rows = sqlx::query(
            "SELECT record FROM jobs WHERE NOT live AND status IN ($1, $2, $3, $4) ORDER BY opened DESC, id DESC LIMIT $5",
        )
        .bind(Status::Open as i64)
        .bind(Status::Locked as i64)
        .bind(Status::Submitted as i64)
        .bind(Status::Disputed as i64)
        .bind(i64::from(most))
        .fetch_all(&self.pool)
        .await
        .map_err(|source| self.failed(source))?;
        rows.iter().map(|row| decode("a job", row.get(0))).collect()
    }

    /// One job for a person.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn listed(&self, id: JobId) -> Result<Option<ListedJob>, StoreError> {
        let row = sqlx::query("SELECT record, updated FROM jobs WHERE id = $1")
            .bind(id.0.as_slice())
            .fetch_optional(&self.pool)
            .await
            .map_err(|source| self.failed(source))?;
        row.map(|row| Ok(ListedJob { job: decode("a job", row.get(0))?, updated: Time(unsigned(row.get(1))) }))
            .transpose()
    }

    /// Ids from `low` to `high`, at most `most`: what an id's prefix may mean.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn ids_between(&self, low: JobId, high: JobId, most: u32) -> Result<Vec<JobId>, StoreError> {
        let rows = sqlx::query("SELECT id FROM jobs WHERE id >= $1 AND id <= $2 ORDER BY id LIMIT $3")
            .bind(low.0.as_slice())
            .bind(high.0.as_slice())
            .bind(i64::from(most))
            .fetch_all(&self.pool)
            .await
            .map_err(|source| self.failed(source))?;
        rows.iter().map(|row| job_id(row.get(0))).collect()
    }

    /// What happened to a job, in order.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn events_of(&self, job: JobId) -> Result<Vec<StoredEvent>, StoreError> {
        let rows = sqlx::query("SELECT block, time, event FROM events WHERE job = $1 ORDER BY block, idx")
            .bind(job.0.as_slice())
            .fetch_all(&self.pool)
            .await
            .map_err(|source| self.failed(source))?;
        rows.iter()
            .map(|row| {
                Ok(StoredEvent {
                    block: unsigned(row.get(0)),
                    time: Time(unsigned(row.get(1))),
                    event: decode("an event", row.get(2))?,
                })
            })
            .collect()
    }

    /// Everybody's latest announced URL, at most `most` of the latest.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn announcements(&self, most: u32) -> Result<Vec<(Address, String)>, StoreError> {
        let rows = sqlx::query("SELECT event FROM events WHERE announcement ORDER BY block DESC, idx DESC LIMIT $1")
            .bind(i64::from(most))
            .fetch_all(&self.pool)
            .await
            .map_err(|source| self.failed(source))?;
        let mut parties = Vec::new();
        for row in &rows {
            if let Event::Announced { party, url } = decode::<Event>("an event", row.get(0))?
                && !parties.iter().any(|(known, _)| *known == party)
            {
                parties.push((party, url));
            }
        }
        Ok(parties)
    }
}
