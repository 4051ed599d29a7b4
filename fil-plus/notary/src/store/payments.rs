//! What grants left to be paid by somebody's call.

use std::collections::BTreeMap;

use lota_market::{Address, B256, Time, U256, blessing::Phase, model::JobId};
use sqlx::Row as _;

use super::{
    Store, StoreError, Writing, address, amount, damaged, digest, job_id, keep_meta, meta, outbox, signed, small,
    unsigned,
};
use crate::{
    alerts::Alert,
    course::Course,
    payments::{Landed, Locked, Payment, PaymentState},
};

const BATCHES: &str = "payments";

const DUE: i64 = 1;
const IN_BATCH: i64 = 2;
const PAID: i64 = 3;
const LOST: i64 = 4;
const NOTHING: i64 = 5;

/// A grant that nobody has called for yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuePayment {
    pub job: JobId,
    pub granter: Address,
    pub locked: Locked,
    pub try_at: Time,
    /// How often it was tried in vain.
    pub failures: u32,
    /// Why, the last time.
    pub why: Option<String>,
}

/// What one transaction of this service's pays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub number: u64,
    pub granter: Address,
    /// Always the same ones, in the same order.
    pub rails: Vec<U256>,
    pub payments: Vec<(JobId, Locked)>,
}

/// What there is to be told of a payment.
pub(super) type Told<'a> = (&'a [Alert], &'a [String], &'a [outbox::AuditNote]);

/// A job that was granted for good may have left something to be paid.
pub(super) async fn granted(writing: &mut Writing, job: JobId, course: &Course) -> Result<(), StoreError> {
    let nomination = course.nomination.as_ref().filter(|_| course.phase() == Phase::Granted);
    if let Some(nomination) = nomination {
        sqlx::query("INSERT OR IGNORE INTO payments (job, granter) VALUES ($1, $2)")
            .bind(job.0.as_slice())
            .bind(nomination.granter.as_slice())
            .execute(&mut **writing)
            .await?;
    }
    Ok(())
}

fn locked(rail: Option<Vec<u8>>, gross: Option<Vec<u8>>) -> Result<Locked, StoreError> {
    let (Some(rail), Some(gross)) = (rail, gross) else { return Err(damaged("a payment", "it has no rail")) };
    Ok(Locked { rail: amount(&rail)?, amount: amount(&gross)? })
}

impl Store {
    /// Granted jobs of which it is not known whether somebody must call for a payment, and by whom they were granted: those that are to be
    /// looked at now.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn unlooked_payments(&self, now: Time, limit: u32) -> Result<Vec<(JobId, Address)>, StoreError> {
        let rows = sqlx::query(
            "SELECT job, granter FROM payments WHERE state = 0 AND try_at <= $1 ORDER BY try_at, job LIMIT $2",
        )
        .bind(signed(now.0))
        .bind(i64::from(limit))
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(|row| Ok((job_id(row.get(0))?, address(row.get(1))?))).collect()
    }

    /// What a grant left to be paid, from when on that is tried; `None`: nothing.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn keep_locked(&self, job: JobId, locked: Option<Locked>, try_at: Time) -> Result<(), StoreError> {
        sqlx::query("UPDATE payments SET state = $2, rail = $3, amount = $4, try_at = $5 WHERE job = $1 AND state = 0")
            .bind(job.0.as_slice())
            .bind(locked.map_or(NOTHING, |_| DUE))
            .bind(locked.map(|locked| locked.rail.to_be_bytes::<32>().to_vec()))
            .bind(locked.map(|locked| locked.amount.to_be_bytes::<32>().to_vec()))
            .bind(signed(try_at.0))
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// What is due and in no batch, the longest due first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn due_payments(&self, limit: u32) -> Result<Vec<DuePayment>, StoreError> {
        let rows = sqlx::query(
            "SELECT job, granter, rail, amount, try_at, failures, why FROM payments WHERE state = 1 \
             ORDER BY try_at, job LIMIT $1",
        )
        .bind(i64::from(limit))
        .fetch_all(self.pool())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(DuePayment {
                    job: job_id(row.get(0))?,
                    granter: address(row.get(1))?,
                    locked: locked(row.get(2), row.get(3))?,
                    try_at: Time(unsigned(row.get(4))),
                    failures: small(row.get(5)),
                    why: row.get(6),
                })
            })
            .collect()
    }

    /// Puts what is due on these rails of a granter's into a batch of its own.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn begin_batch(&self, granter: Address, rails: &[U256]) -> Result<(), StoreError> {
        let mut writing = self.write().await?;
        let number = meta::<u64>(&mut writing, BATCHES).await?.unwrap_or_default() + 1;
        for rail in rails {
            sqlx::query("UPDATE payments SET state = 2, batch = $3 WHERE state = 1 AND granter = $1 AND rail = $2")
                .bind(granter.as_slice())
                .bind(rail.to_be_bytes::<32>().to_vec())
                .bind(signed(number))
                .execute(&mut *writing)
                .await?;
        }
        keep_meta(&mut writing, BATCHES, &number).await?;
        writing.commit().await?;
        Ok(())
    }

    /// Batches that are not in a block for good.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn open_batches(&self) -> Result<Vec<Batch>, StoreError> {
        let rows = sqlx::query("SELECT job, granter, rail, amount, batch FROM payments WHERE state = 2 ORDER BY job")
            .fetch_all(self.pool())
            .await?;
        let mut batches: BTreeMap<u64, Batch> = BTreeMap::new();
        for row in &rows {
            let (job, granter) = (job_id(row.get(0))?, address(row.get(1))?);
            let locked = locked(row.get(2), row.get(3))?;
            let number = unsigned(row.get::<Option<i64>, _>(4).unwrap_or_default());
            let empty = || Batch { number, granter, rails: Vec::new(), payments: Vec::new() };
            let batch = batches.entry(number).or_insert_with(empty);
            if let Err(place) = batch.rails.binary_search(&locked.rail) {
                batch.rails.insert(place, locked.rail);
            }
            batch.payments.push((job, locked));
        }
        Ok(batches.into_values().collect())
    }

    /// A batch is in a block, which may be undone.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn batch_landed(&self, number: u64, landed: &Landed) -> Result<(), StoreError> {
        sqlx::query("UPDATE payments SET paid_at = $2, transaction_hash = $3 WHERE state = 2 AND batch = $1")
            .bind(signed(number))
            .bind(signed(landed.time.0))
            .bind(landed.transaction.as_slice())
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// A batch is refused: each of its rails is due again, alone, after so many seconds, twice as many each time, up to the second number.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn batch_refused(
        &self,
        number: u64,
        why: &str,
        now: Time,
        (first, longest): (u64, u64),
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE payments SET state = 1, batch = NULL, paid_at = NULL, transaction_hash = NULL, why = $2, \
             try_at = $3 + min($4 << min(failures, 16), $5), failures = failures + 1 WHERE state = 2 AND batch = $1",
        )
        .bind(signed(number))
        .bind(why)
        .bind(signed(now.0))
        .bind(signed(first))
        .bind(signed(longest))
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// What is due is not tried before that time; it counts as a failure if there is a reason to name.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn put_off(&self, job: JobId, why: Option<&str>, try_at: Time) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE payments SET why = coalesce($2, why), try_at = $3, failures = failures + ($2 IS NOT NULL) \
             WHERE state IN (0, 1) AND job = $1",
        )
        .bind(job.0.as_slice())
        .bind(why)
        .bind(signed(try_at.0))
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// These jobs were paid for good, in this transaction if that is known, or (`Err`) never will be: and what there is to be told of that.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn end_payments(
        &self,
        jobs: &[JobId],
        outcome: Result<Option<Landed>, &str>,
        (alerts, destinations, notes): Told<'_>,
    ) -> Result<(), StoreError> {
        let mut writing = self.write().await?;
        let landed = outcome.ok().flatten();
        for job in jobs {
            sqlx::query("UPDATE payments SET state = $2, why = $3, paid_at = $4, transaction_hash = $5 WHERE job = $1")
                .bind(job.0.as_slice())
                .bind(outcome.map_or(LOST, |_| PAID))
                .bind(outcome.err())
                .bind(landed.map(|landed| signed(landed.time.0)))
                .bind(landed.map(|landed| landed.transaction.to_vec()))
                .execute(&mut *writing)
                .await?;
        }
        outbox::put(&mut writing, alerts, destinations).await?;
        outbox::note(&mut writing, notes).await?;
        writing.commit().await?;
        Ok(())
    }

    /// The payment of a job's grant, and when it was paid.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn payment(&self, job: JobId) -> Result<Option<(Payment, Option<Time>)>, StoreError> {
        let row = sqlx::query(
            "SELECT granter, rail, amount, state, why, paid_at, transaction_hash FROM payments \
             WHERE job = $1 AND state IN (1, 2, 3, 4)",
        )
        .bind(job.0.as_slice())
        .fetch_optional(self.pool())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let Locked { rail, amount } = locked(row.get(1), row.get(2))?;
        let transaction: Option<B256> = row.get::<Option<Vec<u8>>, _>(6).map(|bytes| digest(&bytes)).transpose()?;
        let why: Option<String> = row.get(4);
        let state = match row.get::<i64, _>(3) {
            IN_BATCH => PaymentState::Sent { transaction },
            PAID => PaymentState::Paid { transaction },
            LOST => PaymentState::Lost { why: why.unwrap_or_default() },
            _ => PaymentState::Due { why },
        };
        let paid_at = row.get::<Option<i64>, _>(5).map(|at| Time(unsigned(at)));
        Ok(Some((Payment { granter: address(row.get(0))?, rail, amount, state }, paid_at)))
    }
}
