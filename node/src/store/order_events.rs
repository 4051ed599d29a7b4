//! What happened at the `FilecoinPayDeals` beside the market.

use lota_bridge::Cursor;
use lota_market::{Time, agent::At, filecoin_pay_deals::Event, model::JobId};
use sqlx::Row as _;

use super::{Batch, StoreError, decode, encode, job_id, signed, unsigned};

impl Batch<'_> {
    /// Keeps an event about a job.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn add_order_event(&mut self, cursor: &Cursor, time: Time, event: &Event) -> Result<(), StoreError> {
        let Some(job) = event.job() else { return Ok(()) };
        sqlx::query(
            "INSERT INTO order_events (block, idx, block_hash, time, job, event) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (block, idx) DO NOTHING",
        )
        .bind(signed(cursor.block))
        .bind(i64::from(cursor.index))
        .bind(cursor.block_hash.to_vec())
        .bind(signed(time.0))
        .bind(job.0.as_slice())
        .bind(encode(event)?)
        .execute(&mut *self.transaction)
        .await
        .map_err(|source| self.store.failed(source))?;
        Ok(())
    }

    /// Deletes the events above `to` and says which jobs they touched.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn rewind_orders(&mut self, to: Option<Cursor>) -> Result<Vec<JobId>, StoreError> {
        let (block, index) = to.map_or((-1, -1), |to| (signed(to.block), i64::from(to.index)));
        let rows = sqlx::query("DELETE FROM order_events WHERE block > $1 OR (block = $1 AND idx > $2) RETURNING job")
            .bind(block)
            .bind(index)
            .fetch_all(&mut *self.transaction)
            .await
            .map_err(|source| self.store.failed(source))?;
        rows.iter().map(|row| job_id(row.get(0))).collect()
    }

    /// The events about a job, of which there are never more than three on a fork, in their order.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn order_events_of(&mut self, job: JobId) -> Result<Vec<(At, Event)>, StoreError> {
        let rows = sqlx::query("SELECT block, time, event FROM order_events WHERE job = $1 ORDER BY block, idx")
            .bind(job.0.as_slice())
            .fetch_all(&mut *self.transaction)
            .await
            .map_err(|source| self.store.failed(source))?;
        let event = |row: &sqlx::sqlite::SqliteRow| {
            let at = At { block: unsigned(row.get(0)), time: Time(unsigned(row.get(1))) };
            Ok((at, decode("an event of an order", row.get(2))?))
        };
        rows.iter().map(event).collect()
    }
}
