//! Jobs: what was gathered of them, where they are in the queue, what is to be done.

use lota_market::{Address, Time, U256, blessing::Phase, model::JobId};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{QueryBuilder, Row as _, Sqlite};

use super::{Store, StoreError, address, amount, decode, job_id, keep_meta, meta, signed, small, unsigned};
use crate::{
    desk::{Counts, QueueFilter, Waiting},
    history::{Kept, encode},
    review::Risk,
};

const IMPORTED: &str = "imported";
/// The longest page of a queue.
const MAX_PAGE: u32 = 200;

/// What was gathered of a job so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatheredJob<G> {
    pub gathered: Option<G>,
    /// How often all of it was tried.
    pub attempts: u32,
    pub risk: Risk,
    pub worries: String,
    pub not_nominated: Option<String>,
}

/// A nomination that runs, as far as it is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    pub job: JobId,
    pub phase: Phase,
}

/// A job that was blessed for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlessedJob {
    pub client: Address,
    pub provider: Address,
    pub amount: U256,
}

/// A page of the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueuePage {
    pub jobs: Vec<JobId>,
    pub more: bool,
    pub total: u64,
    pub counts: Counts,
}

/// What became of considering a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is nominated; it is not looked at again.
    Nominated { round: u32, at: Time },
    /// It is not, for this reason; it is considered again then, if at all.
    Not { why: String, again: Option<Time> },
}

const fn number(risk: Risk) -> i64 {
    match risk {
        Risk::Low => 0,
        Risk::Medium => 1,
        Risk::High => 2,
    }
}

impl Store {
    /// The number of the last settled job that was taken over from the history.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn imported(&self) -> Result<u64, StoreError> {
        let mut reading = self.pool().begin().await?;
        Ok(meta(&mut reading, IMPORTED).await?.unwrap_or_default())
    }

    /// Takes over settled jobs: they are gathered from now on.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn import(&self, kept: &[Kept], now: Time) -> Result<(), StoreError> {
        let Some(last) = kept.last() else { return Ok(()) };
        let mut writing = self.write().await?;
        for kept in kept {
            sqlx::query(
                "INSERT INTO jobs (job, settled_at, gather_at, parties) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (job) DO UPDATE SET settled_at = excluded.settled_at, parties = excluded.parties, \
                 gather_at = CASE WHEN jobs.settled_at IS NULL THEN excluded.gather_at ELSE jobs.gather_at END",
            )
            .bind(kept.job.job.0.as_slice())
            .bind(signed(kept.job.settled_at.0))
            .bind(signed(now.0))
            .bind(format!("{} {:#x} {:#x}", kept.job.job, kept.job.client, kept.job.provider))
            .execute(&mut *writing)
            .await?;
        }
        keep_meta(&mut writing, IMPORTED, &last.number).await?;
        writing.commit().await?;
        Ok(())
    }

    /// Jobs of which something may be found out now, and how often that was tried: those of which it was not first, then the longest due.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn to_gather(&self, now: Time, limit: u32) -> Result<Vec<(JobId, u32)>, StoreError> {
        let query = "SELECT job, attempts FROM jobs WHERE gather_at <= $1 ORDER BY attempts > 0, gather_at LIMIT $2";
        let rows = sqlx::query(query).bind(signed(now.0)).bind(i64::from(limit)).fetch_all(self.pool()).await?;
        rows.iter().map(|row| Ok((job_id(row.get(0))?, small(row.get(1))))).collect()
    }

    /// A job is gathered again now, unless it is to be anyway, or was tried so often.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn gather_again(&self, job: JobId, now: Time, most: u32) -> Result<(), StoreError> {
        sqlx::query("UPDATE jobs SET gather_at = $2 WHERE job = $1 AND gather_at IS NULL AND attempts < $3")
            .bind(job.0.as_slice())
            .bind(signed(now.0))
            .bind(i64::from(most))
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Jobs that are to be considered for a nomination now.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn to_nominate(&self, now: Time, limit: u32) -> Result<Vec<JobId>, StoreError> {
        let query = "SELECT job FROM jobs WHERE nominate_at <= $1 ORDER BY nominate_at LIMIT $2";
        let jobs: Vec<Vec<u8>> =
            sqlx::query_scalar(query).bind(signed(now.0)).bind(i64::from(limit)).fetch_all(self.pool()).await?;
        jobs.iter().map(|job| job_id(job)).collect()
    }

    /// # Errors
    /// See [`StoreError`].
    pub async fn gathered<G: DeserializeOwned>(&self, job: JobId) -> Result<Option<GatheredJob<G>>, StoreError> {
        let row = sqlx::query(
            "SELECT gathered, attempts, risk, worries, not_nominated FROM jobs WHERE job = $1 AND settled_at IS NOT NULL",
        )
        .bind(job.0.as_slice())
        .fetch_optional(self.pool())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let gathered = row.get::<Option<Vec<u8>>, _>(0);
        Ok(Some(GatheredJob {
            gathered: gathered.map(|bytes| decode("what was gathered", &bytes)).transpose()?,
            attempts: small(row.get(1)),
            risk: [Risk::Low, Risk::Medium].get(small(row.get(2)) as usize).copied().unwrap_or(Risk::High),
            worries: row.get(3),
            not_nominated: row.get(4),
        }))
    }

    /// Changes what was gathered so far, while nobody else does.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn change_gathered<G: Serialize + DeserializeOwned + Default>(
        &self,
        job: JobId,
        change: impl FnOnce(&mut G),
    ) -> Result<(), StoreError> {
        let mut writing = self.write().await?;
        let bytes: Option<Option<Vec<u8>>> = sqlx::query_scalar("SELECT gathered FROM jobs WHERE job = $1")
            .bind(job.0.as_slice())
            .fetch_optional(&mut *writing)
            .await?;
        let Some(bytes) = bytes else { return Ok(()) };
        let mut gathered: G = match bytes {
            Some(bytes) => decode("what was gathered", &bytes)?,
            None => G::default(),
        };
        change(&mut gathered);
        sqlx::query("UPDATE jobs SET gathered = $2 WHERE job = $1")
            .bind(job.0.as_slice())
            .bind(encode(&gathered))
            .execute(&mut *writing)
            .await?;
        writing.commit().await?;
        Ok(())
    }

    /// All of it was tried once (more): when it goes on, if something is missing. Now it may be considered for a nomination.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn keep_attempt(&self, job: JobId, now: Time, again: Option<Time>) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE jobs SET attempts = attempts + 1, gather_at = $3, \
             nominate_at = CASE WHEN round = 0 OR nominate_at IS NOT NULL THEN $2 END WHERE job = $1",
        )
        .bind(job.0.as_slice())
        .bind(signed(now.0))
        .bind(again.map(|again| signed(again.0)))
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Keeps what the checks came to. Tells whether that is news.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn keep_risk(&self, job: JobId, risk: Risk, worries: &str) -> Result<bool, StoreError> {
        let changed =
            sqlx::query("UPDATE jobs SET risk = $2, worries = $3 WHERE job = $1 AND (risk, worries) <> ($2, $3)")
                .bind(job.0.as_slice())
                .bind(number(risk))
                .bind(worries)
                .execute(self.pool())
                .await?;
        Ok(changed.rows_affected() > 0)
    }

    /// Keeps what became of considering a job.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn keep_decision(&self, job: JobId, decision: &Decision) -> Result<(), StoreError> {
        let mut writing = self.write().await?;
        let (why, again) = match decision {
            Decision::Nominated { round, at } => {
                sqlx::query("INSERT OR IGNORE INTO nominations (job, round, at) VALUES ($1, $2, $3)")
                    .bind(job.0.as_slice())
                    .bind(i64::from(*round))
                    .bind(signed(at.0))
                    .execute(&mut *writing)
                    .await?;
                (None, None)
            }
            Decision::Not { why, again } => (Some(why), *again),
        };
        sqlx::query("UPDATE jobs SET not_nominated = $2, nominate_at = $3 WHERE job = $1")
            .bind(job.0.as_slice())
            .bind(why)
            .bind(again.map(|again| signed(again.0)))
            .execute(&mut *writing)
            .await?;
        writing.commit().await?;
        Ok(())
    }

    /// How many jobs this service nominated since then.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn nominated_since(&self, since: Time) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM nominations WHERE at > $1")
            .bind(signed(since.0))
            .fetch_one(self.pool())
            .await?;
        Ok(unsigned(count))
    }

    /// Jobs whose nomination, undone by a reorganisation, is to be considered again.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn consider_again(&self, job: JobId, now: Time) -> Result<(), StoreError> {
        sqlx::query("UPDATE jobs SET nominate_at = $2 WHERE job = $1 AND round = 0 AND attempts > 0")
            .bind(job.0.as_slice())
            .bind(signed(now.0))
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Nominations that run, as far as it is final.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn running(&self) -> Result<Vec<Running>, StoreError> {
        let rows = sqlx::query("SELECT job, phase FROM jobs WHERE phase IN (1, 2)").fetch_all(self.pool()).await?;
        rows.iter()
            .map(|row| {
                let phase = if row.get::<i64, _>(1) == 1 { Phase::Nominated } else { Phase::Blessed };
                Ok(Running { job: job_id(row.get(0))?, phase })
            })
            .collect()
    }

    /// What was blessed for a granter after a time, and was not revoked.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn blessed_after(&self, granter: Address, after: Time) -> Result<Vec<BlessedJob>, StoreError> {
        let rows = sqlx::query("SELECT client, provider, amount FROM jobs WHERE granter = $1 AND blessed_at > $2")
            .bind(granter.as_slice())
            .bind(signed(after.0))
            .fetch_all(self.pool())
            .await?;
        rows.iter()
            .map(|row| {
                let (client, provider) = (address(row.get(0))?, address(row.get(1))?);
                Ok(BlessedJob { client, provider, amount: amount(row.get(2))? })
            })
            .collect()
    }

    /// Which of these jobs were blessed for good.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn blessed_of(&self, jobs: &[JobId]) -> Result<Vec<JobId>, StoreError> {
        let mut blessed = Vec::new();
        for job in jobs {
            let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM jobs WHERE job = $1 AND blessed_at IS NOT NULL")
                .bind(job.0.as_slice())
                .fetch_optional(self.pool())
                .await?;
            blessed.extend(found.map(|_| *job));
        }
        Ok(blessed)
    }

    /// A page of jobs, those of the history only.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn queue(&self, filter: &QueueFilter, now: Time) -> Result<QueuePage, StoreError> {
        let limit = filter.limit.clamp(1, MAX_PAGE);
        let mut query = QueryBuilder::new("SELECT job FROM jobs WHERE ");
        push_searched(&mut query, filter);
        push_waiting(&mut query, filter, now, filter.waiting);
        let after = match filter.after {
            None => None,
            Some(job) => {
                sqlx::query("SELECT risk, settled_at, job FROM jobs WHERE job = $1 AND settled_at IS NOT NULL")
                    .bind(job.0.as_slice())
                    .fetch_optional(self.pool())
                    .await?
                    .map(|row| (row.get::<i64, _>(0), row.get::<i64, _>(1), row.get::<Vec<u8>, _>(2)))
            }
        };
        if let Some((risk, settled_at, job)) = after {
            if filter.open {
                query.push(" AND (-risk, settled_at, job) > (").push_bind(-risk).push(", ").push_bind(settled_at);
            } else {
                query.push(" AND (-settled_at, job) > (").push_bind(-settled_at);
            }
            query.push(", ").push_bind(job).push(")");
        }
        let order = if filter.open { "risk DESC, settled_at, job" } else { "settled_at DESC, job" };
        query.push(" ORDER BY ").push(order).push(" LIMIT ").push_bind(i64::from(limit) + 1);
        let mut jobs: Vec<Vec<u8>> = query.build_query_scalar().fetch_all(self.pool()).await?;
        let more = jobs.len() > limit as usize;
        jobs.truncate(limit as usize);
        let jobs = jobs.iter().map(|job| job_id(job)).collect::<Result<_, _>>()?;
        let counts = self.counts(filter, now).await?;
        let total = match (filter.open, filter.waiting) {
            (true, None) => counts.all,
            (true, Some(Waiting::ToDecide)) => counts.to_decide,
            (true, Some(Waiting::Voted)) => counts.voted,
            (true, Some(Waiting::NotNominated)) => counts.not_nominated,
            (true, Some(Waiting::Gathering)) => counts.gathering,
            (false, _) => {
                let mut query = QueryBuilder::new("SELECT count(*) FROM jobs WHERE ");
                push_searched(&mut query, filter);
                unsigned(query.build_query_scalar().fetch_one(self.pool()).await?)
            }
        };
        Ok(QueuePage { jobs, more, total, counts })
    }

    /// How many open jobs there are of each kind.
    async fn counts(&self, filter: &QueueFilter, now: Time) -> Result<Counts, StoreError> {
        let mut query = QueryBuilder::new("SELECT count(*)");
        for waiting in [Waiting::ToDecide, Waiting::Voted, Waiting::NotNominated, Waiting::Gathering] {
            query.push(", count(*) FILTER (WHERE TRUE");
            push_waiting(&mut query, filter, now, Some(waiting));
            query.push(")");
        }
        query.push(" FROM jobs WHERE ");
        push_searched(&mut query, &QueueFilter { open: true, ..filter.clone() });
        let row = query.build().fetch_one(self.pool()).await?;
        let [all, to_decide, voted, not_nominated, gathering] = [0_usize, 1, 2, 3, 4].map(|at| unsigned(row.get(at)));
        Ok(Counts { to_decide, voted, not_nominated, gathering, all })
    }
}

/// Which jobs are looked at: open or not, and searched for.
fn push_searched(query: &mut QueryBuilder<Sqlite>, filter: &QueueFilter) {
    query.push(if filter.open { "open AND settled_at IS NOT NULL" } else { "NOT open AND settled_at IS NOT NULL" });
    let search = filter.search.trim().to_ascii_lowercase();
    if !search.is_empty() {
        query.push(" AND instr(parties, ").push_bind(search).push(") > 0");
    }
}

/// Of those that are open, which.
fn push_waiting(query: &mut QueryBuilder<Sqlite>, filter: &QueueFilter, now: Time, waiting: Option<Waiting>) {
    let has_voted = match waiting.filter(|_| filter.open) {
        None => return,
        Some(Waiting::Gathering) => {
            query.push(" AND stands = 0 AND attempts = 0");
            return;
        }
        Some(Waiting::NotNominated) => {
            query.push(" AND stands = 0 AND attempts > 0");
            return;
        }
        Some(Waiting::ToDecide) => false,
        Some(Waiting::Voted) => true,
    };
    query.push(" AND (stands = 1 OR (stands = 2 AND revoke_until >= ").push_bind(signed(now.0)).push(")) AND ");
    query.push(if has_voted { "(" } else { "NOT (" });
    match filter.voter {
        None => {
            query.push("FALSE");
        }
        Some(voter) => {
            query.push("instr(voters, ").push_bind(format!("{voter:#x}")).push(
                ") > 0 OR EXISTS (SELECT 1 FROM votes WHERE votes.job = jobs.job AND votes.round = jobs.stands_in_round \
                 AND votes.state IN (0, 1) AND votes.notary = ",
            );
            query.push_bind(voter.to_vec()).push(")");
        }
    }
    query.push(")");
}
