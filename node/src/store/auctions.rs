//! What happened in the auction beside the market.

use lota_bridge::Cursor;
use lota_market::{
    Address, Time,
    agent::{At, AuctionView},
    auction::Event,
    model::JobId,
};
use sqlx::Row as _;

use super::{Batch, Store, StoreError, decode, encode, job_id, signed, unsigned};

/// How many bids of others are kept for each job: those that were sealed first, and of those that were opened the cheapest. Anybody may
/// seal bids for anybody's job.
pub(crate) const KEPT_BIDS: u32 = 200;

impl Batch<'_> {
    /// Keeps an event of the auction about a job that is kept, unless nobody would ever look at it. `me`: whose bids are kept in any
    /// case.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn add_auction_event(
        &mut self,
        cursor: &Cursor,
        time: Time,
        event: &Event,
        me: Address,
    ) -> Result<(), StoreError> {
        let price = match event {
            // They change nothing that is told or decided.
            Event::Funded { .. } | Event::Defunded { .. } | Event::CommitmentSwept { .. } => return Ok(()),
            Event::BidCommitted { bidder, order, .. } if *bidder != me && *order > KEPT_BIDS => return Ok(()),
            Event::BidRevealed { bidder, price, .. } if *bidder != me => Some(price.0.to_be_bytes()),
            _ => None,
        };
        let Some(job) = event.job() else { return Ok(()) };
        sqlx::query(
            "INSERT INTO auction_events (block, idx, block_hash, time, job, event, price) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (block, idx) DO NOTHING",
        )
        .bind(signed(cursor.block))
        .bind(i64::from(cursor.index))
        .bind(cursor.block_hash.to_vec())
        .bind(signed(time.0))
        .bind(job.0.as_slice())
        .bind(encode(event)?)
        .bind(price.as_ref().map(|price| price.as_slice()))
        .execute(&mut *self.transaction)
        .await
        .map_err(|source| self.store.failed(source))?;
        if price.is_some() {
            // Should a reorganisation undo all of the others, one that went is missing; nobody wins or loses by that.
            sqlx::query(
                "DELETE FROM auction_events WHERE (block, idx) IN (SELECT block, idx FROM auction_events \
                 WHERE job = $1 AND price IS NOT NULL ORDER BY price, block, idx LIMIT -1 OFFSET $2)",
            )
            .bind(job.0.as_slice())
            .bind(KEPT_BIDS)
            .execute(&mut *self.transaction)
            .await
            .map_err(|source| self.store.failed(source))?;
        }
        Ok(())
    }

    /// Deletes the auction's events above `to` and says which jobs they touched.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn rewind_auctions(&mut self, to: Option<Cursor>) -> Result<Vec<JobId>, StoreError> {
        let (block, index) = to.map_or((-1, -1), |to| (signed(to.block), i64::from(to.index)));
        let rows =
            sqlx::query("DELETE FROM auction_events WHERE block > $1 OR (block = $1 AND idx > $2) RETURNING job")
                .bind(block)
                .bind(index)
                .fetch_all(&mut *self.transaction)
                .await
                .map_err(|source| self.store.failed(source))?;
        rows.iter().map(|row| job_id(row.get(0))).collect()
    }

    /// What a job's remaining events of the auction, of which there are never many, add up to for a party.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn fold_auction(&mut self, job: JobId, me: Address) -> Result<Option<AuctionView>, StoreError> {
        let rows = sqlx::query("SELECT block, time, event FROM auction_events WHERE job = $1 ORDER BY block, idx")
            .bind(job.0.as_slice())
            .fetch_all(&mut *self.transaction)
            .await
            .map_err(|source| self.store.failed(source))?;
        let mut events = Vec::with_capacity(rows.len());
        for row in &rows {
            let at = At { block: unsigned(row.get(0)), time: Time(unsigned(row.get(1))) };
            events.push((at, decode::<Event>("an event of the auction", row.get(2))?));
        }
        Ok(AuctionView::fold(me, events.iter().map(|(at, event)| (*at, event))))
    }
}

impl Store {
    /// The auction's events about a job that are kept ([`KEPT_BIDS`]), in their order, with the times of their blocks.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn auction_events_of(&self, job: JobId) -> Result<Vec<(At, Event)>, StoreError> {
        let rows = sqlx::query("SELECT block, time, event FROM auction_events WHERE job = $1 ORDER BY block, idx")
            .bind(job.0.as_slice())
            .fetch_all(self.pool())
            .await
            .map_err(|source| self.failed(source))?;
        let event = |row: &sqlx::sqlite::SqliteRow| {
            let at = At { block: unsigned(row.get(0)), time: Time(unsigned(row.get(1))) };
            Ok((at, decode("an event of the auction", row.get(2))?))
        };
        rows.iter().map(event).collect()
    }
}
