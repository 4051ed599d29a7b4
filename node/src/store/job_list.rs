//! Reading jobs for people.

use lota_api::LabelFilter;
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
    /// Only jobs in one of these states; with `failed`, those that failed as well. Neither: whatever their state.
    pub statuses: Vec<Status>,
    /// Only jobs that failed: slashed, void, taken by nobody in time, or with an exit code other than 0.
    pub failed: bool,
    /// Only jobs that have all of these labels.
    pub labels: Vec<LabelFilter>,
    /// Only jobs that were opened then or later.
    pub since: Option<Time>,
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
    pub event: Event,
}

/// What lists jobs, behind these words.
fn statement(before: &str, filter: &ListFilter) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(before);
    match filter.labels.split_first() {
        Some((first, more)) => labelled(&mut query, filter, first, more),
        None => in_states(&mut query, filter),
    }
    query
}

/// A statement that lists jobs by a label, whose index is in the order of the list.
fn labelled(query: &mut QueryBuilder<Sqlite>, filter: &ListFilter, first: &LabelFilter, more: &[LabelFilter]) {
    // CROSS JOIN: the index is to be followed, so that a page costs what is on it.
    query.push("SELECT jobs.record, jobs.updated FROM labels AS l CROSS JOIN jobs ON jobs.id = l.job WHERE l.name = ");
    query.push_bind(first.name.clone());
    if let Some(value) = &first.value {
        query.push(" AND l.value = ").push_bind(value.clone());
    }
    for label in more {
        query.push(" AND EXISTS (SELECT 1 FROM labels AS m WHERE m.job = l.job AND m.name = ");
        query.push_bind(label.name.clone());
        if let Some(value) = &label.value {
            query.push(" AND m.value = ").push_bind(value.clone());
        }
        query.push(")");
    }
    if !filter.statuses.is_empty() || filter.failed {
        query.push(" AND (FALSE");
        for status in &filter.statuses {
            query.push(" OR jobs.status = ").push_bind(*status as i64);
        }
        query.push(if filter.failed { " OR jobs.failed = TRUE)" } else { ")" });
    }
    page(query, filter, "jobs.mine", "l.opened", "l.job");
}

/// A statement that lists jobs by state. Each state has an index in the list's order: so many of each are taken, and then the
/// first of all these.
fn in_states(query: &mut QueryBuilder<Sqlite>, filter: &ListFilter) {
    query.push("SELECT jobs.record, jobs.updated FROM (");
    let statuses = filter.statuses.iter().map(|status| Some(*status));
    // None: those that failed; a list without states is one part, too.
    let parts: Vec<Option<Status>> = statuses.chain(filter.failed.then_some(None)).collect();
    for part in 0..parts.len().max(1) {
        query.push(if part == 0 {
            "SELECT * FROM (SELECT id, opened FROM jobs WHERE TRUE"
        } else {
            " UNION SELECT * FROM (SELECT id, opened FROM jobs WHERE TRUE"
        });
        match parts.get(part) {
            Some(Some(status)) => {
                query.push(" AND status = ").push_bind(*status as i64);
            }
            Some(None) => {
                query.push(" AND failed = TRUE");
            }
            None => {}
        }
        page(query, filter, "mine", "opened", "id");
        query.push(")");
    }
    let order = if filter.oldest_first { "ASC" } else { "DESC" };
    query.push(format!(
        ") AS found CROSS JOIN jobs ON jobs.id = found.id ORDER BY found.opened {order}, found.id {order} LIMIT "
    ));
    query.push_bind(i64::from(filter.limit));
}

/// Whose jobs, since when, and which page; the arguments are the columns' names.
fn page(query: &mut QueryBuilder<Sqlite>, filter: &ListFilter, mine: &str, opened: &str, id: &str) {
    if filter.mine {
        query.push(format!(" AND {mine} = TRUE"));
    }
    if let Some(since) = filter.since {
        query.push(format!(" AND {opened} >= ")).push_bind(signed(since.0));
    }
    let (order, comparison) = if filter.oldest_first { ("ASC", ">") } else { ("DESC", "<") };
    if let Some((after, job)) = filter.after {
        query.push(format!(" AND ({opened}, {id}) {comparison} (")).push_bind(signed(after.0)).push(", ");
        query.push_bind(job.0.to_vec()).push(")");
    }
    query.push(format!(" ORDER BY {opened} {order}, {id} {order} LIMIT ")).push_bind(i64::from(filter.limit));
}

impl Store {
    /// Lists jobs by the time they were opened.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn list(&self, filter: &ListFilter) -> Result<Vec<ListedJob>, StoreError> {
        let mut query = statement("", filter);
        let rows = query.build().fetch_all(self.pool()).await.map_err(|source| self.failed(source))?;
        rows.iter()
            .map(|row| Ok(ListedJob { job: decode("a job", row.get(0))?, updated: Time(unsigned(row.get(1))) }))
            .collect()
    }

    /// How SQLite would go about a list, for tests.
    #[cfg(test)]
    pub(super) async fn plan(&self, filter: &ListFilter) -> String {
        let mut query = statement("EXPLAIN QUERY PLAN ", filter);
        let rows = query.build().fetch_all(self.pool()).await.expect("explained");
        rows.iter().map(|row| format!("{} \n", row.get::<String, _>(3))).collect()
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
        .fetch_all(self.pool())
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
            .fetch_optional(self.pool())
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
            .fetch_all(self.pool())
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
            .fetch_all(self.pool())
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
            .fetch_all(self.pool())
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
