//! The blessing's log: taken in, undone, final.

use std::collections::{BTreeMap, BTreeSet};

use lota_bridge::Cursor;
use lota_market::{
    Address, B256, Time,
    blessing::{Event, Limits, Phase},
    model::JobId,
};
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{Store, StoreError, Writing, decode, digest, keep_meta, meta, outbox, payments, signed, unsigned};
use crate::{
    alerts::Alert,
    course::{Course, Said},
    history::encode,
};

const CURSOR: &str = "cursor";
pub(super) const FINALIZED: &str = "finalized";
/// How many events become final in one transaction.
const AT_ONCE: i64 = 500;

/// What a blessing's log told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Something happened.
    Event { cursor: Cursor, time: Time, transaction: B256, event: Box<Event> },
    /// What lies above is undone.
    Rewind { to: Option<Cursor> },
    /// All up to `cursor` was told.
    Head { cursor: Cursor },
}

/// What changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    pub jobs: BTreeSet<JobId>,
    /// The notaries, or a granter.
    pub general: bool,
    /// Something was undone.
    pub rewound: bool,
}

/// Something that is final now, with how far its job had come then.
#[derive(Clone, Debug)]
pub struct Final<'a> {
    pub said: &'a Said,
    pub course: &'a Course,
}

/// What follows from something that is final now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Follows {
    pub alerts: Vec<Alert>,
    pub notes: Vec<outbox::AuditNote>,
    /// When its job is to be considered for another nomination.
    pub consider_at: Option<Time>,
}

type Telling<'t> = dyn for<'a> Fn(Final<'a>) -> Follows + Sync + 't;

impl Store {
    /// Up to where the blessing's log was taken in.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn cursor(&self) -> Result<Option<Cursor>, StoreError> {
        let mut reading = self.pool().begin().await?;
        meta(&mut reading, CURSOR).await
    }

    /// The newest block that is final.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn finalized(&self) -> Result<u64, StoreError> {
        let mut reading = self.pool().begin().await?;
        Ok(meta(&mut reading, FINALIZED).await?.unwrap_or_default())
    }

    /// Takes in what was told, all of it or nothing.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn take(&self, told: &[Told]) -> Result<Touched, StoreError> {
        let mut writing = self.write().await?;
        let mut touched = Touched::default();
        for told in told {
            match told {
                Told::Event { cursor, time, transaction, event } => {
                    take_event(&mut writing, cursor, *time, *transaction, event, &mut touched).await?;
                    keep_meta(&mut writing, CURSOR, cursor).await?;
                }
                Told::Rewind { to } => {
                    rewind(&mut writing, to.as_ref(), &mut touched).await?;
                    match to {
                        Some(to) => keep_meta(&mut writing, CURSOR, to).await?,
                        None => {
                            sqlx::query("DELETE FROM meta WHERE key = $1").bind(CURSOR).execute(&mut *writing).await?;
                        }
                    }
                }
                Told::Head { cursor } => keep_meta(&mut writing, CURSOR, cursor).await?,
            }
        }
        if touched.general {
            // A new set of notaries makes votes void.
            sqlx::query("UPDATE jobs SET stands = NULL WHERE stands IN (1, 2)").execute(&mut *writing).await?;
        }
        let mut to_place = touched.jobs.clone();
        let unplaced: Vec<Vec<u8>> = sqlx::query_scalar("SELECT job FROM jobs WHERE stands IS NULL LIMIT $1")
            .bind(AT_ONCE)
            .fetch_all(&mut *writing)
            .await?;
        for job in unplaced {
            to_place.insert(super::job_id(&job)?);
        }
        for job in &to_place {
            // One that ended without a grant is over, too: until somebody nominates it again.
            let course = course(&mut writing, *job).await?;
            let open = course.granted.is_none() && course.ended.is_none();
            let voters: Vec<String> = course.voters_so_far().iter().map(|voter| format!("{voter:#x}")).collect();
            sqlx::query(
                "INSERT INTO jobs (job, open, stands, stands_in_round, revoke_until, voters) VALUES ($1, $2, $3, $4, $5, $6) \
                 ON CONFLICT (job) DO UPDATE SET open = excluded.open, stands = excluded.stands, \
                 stands_in_round = excluded.stands_in_round, revoke_until = excluded.revoke_until, voters = excluded.voters",
            )
            .bind(job.0.as_slice())
            .bind(open)
            .bind(i64::from(course.phase().number()))
            .bind(i64::from(course.round))
            .bind(course.blessed.map(|blessed| signed(blessed.revoke_until.0)))
            .bind(voters.join(" "))
            .execute(&mut *writing)
            .await?;
        }
        writing.commit().await?;
        Ok(touched)
    }

    /// All events up to this block are final now. Of each that was not, `follows` says what is to be done, and told to each of these
    /// destinations; that is kept in the same transaction. Tells which jobs it was about.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn finalize(
        &self,
        finalized: u64,
        destinations: &[String],
        follows: &Telling<'_>,
    ) -> Result<Touched, StoreError> {
        let mut touched = Touched::default();
        loop {
            let mut writing = self.write().await?;
            let before: u64 = meta(&mut writing, FINALIZED).await?.unwrap_or_default();
            if before >= finalized {
                return Ok(touched);
            }
            // Whole blocks only: the mark is a block's number.
            let last: Option<i64> = sqlx::query_scalar(
                "SELECT max(block) FROM (SELECT block FROM events WHERE block > $1 AND block <= $2 ORDER BY block LIMIT $3)",
            )
            .bind(signed(before))
            .bind(signed(finalized))
            .bind(AT_ONCE)
            .fetch_one(&mut *writing)
            .await?;
            let Some(last) = last else {
                keep_meta(&mut writing, FINALIZED, &finalized).await?;
                writing.commit().await?;
                return Ok(touched);
            };
            keep_meta(&mut writing, FINALIZED, &unsigned(last)).await?;
            let news = said_in(&mut writing, before, unsigned(last)).await?;
            let mut jobs = BTreeMap::new();
            for said in &news {
                let Some(job) = said.event.job() else {
                    touched.general = true;
                    let Follows { alerts, notes, .. } = follows(Final { said, course: &Course::default() });
                    outbox::put(&mut writing, &alerts, destinations).await?;
                    outbox::note(&mut writing, &notes).await?;
                    continue;
                };
                let so_far: Vec<Said> = said_of(&mut writing, job)
                    .await?
                    .into_iter()
                    .filter(|other| (other.block, other.index) <= (said.block, said.index))
                    .collect();
                let Follows { alerts, notes, consider_at } = follows(Final { said, course: &Course::of(&so_far) });
                outbox::put(&mut writing, &alerts, destinations).await?;
                outbox::note(&mut writing, &notes).await?;
                // The last one counts: after an end there may have been a nomination.
                jobs.insert(job, consider_at);
            }
            for (job, consider_at) in &jobs {
                keep_final(&mut writing, *job, *consider_at).await?;
            }
            touched.jobs.extend(jobs.into_keys());
            writing.commit().await?;
        }
    }

    /// What the blessing said of a job, and of the notaries, in order.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn said(&self, job: JobId) -> Result<Vec<Said>, StoreError> {
        let mut reading = self.pool().begin().await?;
        said_of(&mut reading, job).await
    }

    /// How far a job has come, with what may still be undone.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn course(&self, job: JobId) -> Result<Course, StoreError> {
        Ok(Course::of(&self.said(job).await?))
    }

    /// The same, without what may still be undone.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn final_course(&self, job: JobId) -> Result<Course, StoreError> {
        Ok(Course::of(self.said(job).await?.iter().filter(|said| said.is_final)))
    }

    /// The granters that are admitted, with their limits.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn granters(&self) -> Result<BTreeMap<Address, Limits>, StoreError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("{SAID} WHERE job IS NULL ORDER BY block, position")))
            .fetch_all(self.pool())
            .await?;
        let mut granters = BTreeMap::new();
        for row in &rows {
            if let Event::GranterSet { granter, limits } = said(row, 0)?.event {
                granters.insert(granter, limits);
            }
        }
        granters.retain(|_, limits| *limits != Limits::default());
        Ok(granters)
    }
}

const SAID: &str = "SELECT block, position, time, transaction_hash, event FROM events";

fn said(row: &SqliteRow, finalized: u64) -> Result<Said, StoreError> {
    let block = unsigned(row.get(0));
    Ok(Said {
        block,
        index: u32::try_from(row.get::<i64, _>(1)).unwrap_or(u32::MAX),
        time: Time(unsigned(row.get(2))),
        transaction: digest(row.get(3))?,
        is_final: block <= finalized,
        event: decode("an event", row.get(4))?,
    })
}

async fn said_of(connection: &mut SqliteConnection, job: JobId) -> Result<Vec<Said>, StoreError> {
    let finalized = meta(connection, FINALIZED).await?.unwrap_or_default();
    let rows =
        sqlx::query(sqlx::AssertSqlSafe(format!("{SAID} WHERE job = $1 OR job IS NULL ORDER BY block, position")))
            .bind(job.0.as_slice())
            .fetch_all(connection)
            .await?;
    rows.iter().map(|row| said(row, finalized)).collect()
}

async fn said_in(writing: &mut Writing, after: u64, to: u64) -> Result<Vec<Said>, StoreError> {
    let rows =
        sqlx::query(sqlx::AssertSqlSafe(format!("{SAID} WHERE block > $1 AND block <= $2 ORDER BY block, position")))
            .bind(signed(after))
            .bind(signed(to))
            .fetch_all(&mut **writing)
            .await?;
    rows.iter().map(|row| said(row, to)).collect()
}

async fn course(writing: &mut Writing, job: JobId) -> Result<Course, StoreError> {
    Ok(Course::of(&said_of(writing, job).await?))
}

async fn take_event(
    writing: &mut Writing,
    cursor: &Cursor,
    time: Time,
    transaction: B256,
    event: &Event,
    touched: &mut Touched,
) -> Result<(), StoreError> {
    let job = event.job();
    match job {
        Some(job) => {
            touched.jobs.insert(job);
        }
        None if matches!(event, Event::NotariesSet { .. } | Event::GranterSet { .. }) => touched.general = true,
        // Money and registrations are asked for when they are needed.
        None => return Ok(()),
    }
    sqlx::query(
        "INSERT OR REPLACE INTO events (block, position, time, transaction_hash, job, event) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(signed(cursor.block))
    .bind(i64::from(cursor.index))
    .bind(signed(time.0))
    .bind(transaction.as_slice())
    .bind(job.map(|job| job.0.to_vec()))
    .bind(encode(event))
    .execute(&mut **writing)
    .await?;
    Ok(())
}

/// What is final is never undone, whatever is said.
async fn rewind(writing: &mut Writing, to: Option<&Cursor>, touched: &mut Touched) -> Result<(), StoreError> {
    let (block, position) = to.map_or((-1, 0), |to| (signed(to.block), i64::from(to.index)));
    let finalized: u64 = meta(writing, FINALIZED).await?.unwrap_or_default();
    let undone: Vec<Option<Vec<u8>>> =
        sqlx::query_scalar("DELETE FROM events WHERE (block, position) > ($1, $2) AND block > $3 RETURNING job")
            .bind(block)
            .bind(position)
            .bind(signed(finalized))
            .fetch_all(&mut **writing)
            .await?;
    touched.rewound |= !undone.is_empty();
    for job in undone {
        match job {
            Some(job) => {
                touched.jobs.insert(super::job_id(&job)?);
            }
            None => touched.general = true,
        }
    }
    Ok(())
}

/// Keeps how far a job has come for good, where it can be searched for; and when it is considered for another nomination.
async fn keep_final(writing: &mut Writing, job: JobId, consider_at: Option<Time>) -> Result<(), StoreError> {
    let said = said_of(writing, job).await?;
    let course = Course::of(said.iter().filter(|said| said.is_final));
    let blessed = course.blessed.filter(|_| matches!(course.phase(), Phase::Blessed | Phase::Granted));
    let nomination = course.nomination.as_ref().filter(|_| blessed.is_some());
    sqlx::query(
        "UPDATE jobs SET phase = $2, round = $3, blessed_at = $4, granter = $5, client = $6, provider = $7, amount = $8, \
         nominate_at = CASE WHEN $3 = 0 THEN nominate_at ELSE $9 END WHERE job = $1",
    )
    .bind(job.0.as_slice())
    .bind(i64::from(course.phase().number()))
    .bind(i64::from(course.round))
    .bind(blessed.map(|blessed| signed(blessed.at.0)))
    .bind(nomination.map(|nomination| nomination.granter.to_vec()))
    .bind(nomination.map(|nomination| nomination.client.to_vec()))
    .bind(nomination.map(|nomination| nomination.provider.to_vec()))
    .bind(nomination.map(|nomination| nomination.amount.to_be_bytes::<32>().to_vec()))
    .bind(consider_at.map(|at| signed(at.0)))
    .execute(&mut **writing)
    .await?;
    payments::granted(writing, job, &course).await
}
