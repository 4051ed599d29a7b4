//! The rails of a `FilecoinPayDeals` on which the party is paid, or pays, and what happened there.

use lota_bridge::Cursor;
use lota_market::{
    Address, Time, U256,
    agent::{Occurrence, RailBook},
    filecoin_pay_deals::Event,
    model::JobId,
};
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{Batch, Store, StoreError, decode, encode, signed, unsigned};

const EVENT: &str = "an event of a rail";
const BOOK: &str = "the book of a rail";

/// A rail on which something is due to the party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DueRail {
    pub(crate) rail: U256,
    pub(crate) payer: Address,
    pub(crate) book: RailBook,
}

/// What became of a price that was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PricePaid {
    NotYet,
    /// Paid, with everything else that was due on its rail; so long ago that nobody knows when, if that is not said.
    At(Option<Time>),
}

fn key(rail: U256) -> Vec<u8> {
    rail.to_be_bytes::<32>().to_vec()
}

fn rail_of(key: &[u8]) -> Result<U256, StoreError> {
    let bytes = <[u8; 32]>::try_from(key)
        .map_err(|error| StoreError::Record { what: "a rail's number".to_owned(), problem: error.to_string() })?;
    Ok(U256::from_be_bytes(bytes))
}

/// Of a row that begins with block, index and time.
fn occurrence(row: &SqliteRow) -> Occurrence {
    let index = u32::try_from(row.get::<i64, _>(1)).unwrap_or(u32::MAX);
    Occurrence { block: unsigned(row.get(0)), index, time: Time(unsigned(row.get(2))) }
}

impl Batch<'_> {
    /// Keeps a rail, if it is not kept yet. `mine`: the party is paid on it; otherwise it pays.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) async fn add_rail(
        &mut self,
        cursor: &Cursor,
        rail: U256,
        payer: Address,
        mine: bool,
    ) -> Result<(), StoreError> {
        let empty = encode(&RailBook::default())?;
        sqlx::query(
            "INSERT INTO rails (rail, payer, mine, block, idx, base, book, due) VALUES ($1, $2, $3, $4, $5, $6, $6, FALSE) \
             ON CONFLICT (rail) DO NOTHING",
        )
        .bind(key(rail))
        .bind(payer.to_vec())
        .bind(mine)
        .bind(signed(cursor.block))
        .bind(i64::from(cursor.index))
        .bind(empty)
        .execute(&mut *self.transaction)
        .await
        .map_err(|source| self.store.failed(source))?;
        Ok(())
    }

    /// Keeps an event about a rail, once, if the rail is kept; says whether it is new, and the party is paid there.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) async fn add_rail_event(
        &mut self,
        cursor: &Cursor,
        time: Time,
        rail: U256,
        event: &Event,
    ) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT book, mine FROM rails WHERE rail = $1")
            .bind(key(rail))
            .fetch_optional(&mut *self.transaction)
            .await
            .map_err(|source| self.store.failed(source))?;
        let Some(row) = row else { return Ok(false) };
        let (mut book, mine): (RailBook, bool) = (decode(BOOK, row.get(0))?, row.get(1));
        let added = sqlx::query(
            "INSERT INTO rail_events (block, idx, block_hash, time, rail, job, payment, event) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (block, idx) DO NOTHING",
        )
        .bind(signed(cursor.block))
        .bind(i64::from(cursor.index))
        .bind(cursor.block_hash.to_vec())
        .bind(signed(time.0))
        .bind(key(rail))
        .bind(event.job().map(|job| job.0.to_vec()))
        .bind(matches!(event, Event::RailPaid { .. }))
        .bind(encode(event)?)
        .execute(&mut *self.transaction)
        .await
        .map_err(|source| self.store.failed(source))?;
        if added.rows_affected() == 0 {
            return Ok(false);
        }
        book.apply(Occurrence { block: cursor.block, index: cursor.index, time }, event);
        self.set_book(rail, &book, mine).await?;
        Ok(mine)
    }

    async fn set_book(&mut self, rail: U256, book: &RailBook, mine: bool) -> Result<(), StoreError> {
        sqlx::query("UPDATE rails SET book = $2, due = $3 WHERE rail = $1")
            .bind(key(rail))
            .bind(encode(book)?)
            .bind(mine && !book.due.is_zero())
            .execute(&mut *self.transaction)
            .await
            .map_err(|source| self.store.failed(source))?;
        Ok(())
    }

    /// Forgets what happened to rails above `to`, and those that were first heard of there.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) async fn rewind_rails(&mut self, to: Option<Cursor>) -> Result<(), StoreError> {
        let (block, index) = to.map_or((-1, -1), |to| (signed(to.block), i64::from(to.index)));
        let rows = sqlx::query("DELETE FROM rail_events WHERE block > $1 OR (block = $1 AND idx > $2) RETURNING rail")
            .bind(block)
            .bind(index)
            .fetch_all(&mut *self.transaction)
            .await
            .map_err(|source| self.store.failed(source))?;
        let mut touched = rows.iter().map(|row| rail_of(row.get(0))).collect::<Result<Vec<_>, _>>()?;
        touched.sort_unstable();
        touched.dedup();
        // On another fork its number may be another pair's.
        sqlx::query("DELETE FROM rails WHERE block > $1 OR (block = $1 AND idx > $2)")
            .bind(block)
            .bind(index)
            .execute(&mut *self.transaction)
            .await
            .map_err(|source| self.store.failed(source))?;
        for rail in touched {
            self.fold_anew(rail).await?;
        }
        Ok(())
    }

    async fn fold_anew(&mut self, rail: U256) -> Result<(), StoreError> {
        let row = sqlx::query("SELECT base, mine FROM rails WHERE rail = $1")
            .bind(key(rail))
            .fetch_optional(&mut *self.transaction)
            .await
            .map_err(|source| self.store.failed(source))?;
        let Some(row) = row else { return Ok(()) };
        let (mut book, mine): (RailBook, bool) = (decode(BOOK, row.get(0))?, row.get(1));
        let rows = sqlx::query("SELECT block, idx, time, event FROM rail_events WHERE rail = $1 ORDER BY block, idx")
            .bind(key(rail))
            .fetch_all(&mut *self.transaction)
            .await
            .map_err(|source| self.store.failed(source))?;
        for row in &rows {
            book.apply(occurrence(row), &decode(EVENT, row.get(3))?);
        }
        self.set_book(rail, &book, mine).await
    }

    /// Forgets events about rails up to payments that are older than `before` and lie in blocks up to `finalized`, `most` of them, the
    /// oldest first; what they add up to stays.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) async fn prune_rails(&mut self, before: Time, finalized: u64, most: i64) -> Result<(), StoreError> {
        let rows = sqlx::query(
            "SELECT block, idx, time, rail, event FROM rail_events AS old WHERE time < $1 AND block <= $2 AND EXISTS \
             (SELECT 1 FROM rail_events AS paid WHERE paid.rail = old.rail AND paid.payment AND paid.time < $1 \
             AND paid.block <= $2 AND (paid.block, paid.idx) >= (old.block, old.idx)) ORDER BY block, idx LIMIT $3",
        )
        .bind(signed(before.0))
        .bind(signed(finalized))
        .bind(most)
        .fetch_all(&mut *self.transaction)
        .await
        .map_err(|source| self.store.failed(source))?;
        for row in &rows {
            let at = occurrence(row);
            let base = sqlx::query("SELECT base FROM rails WHERE rail = $1")
                .bind(row.get::<&[u8], _>(3))
                .fetch_optional(&mut *self.transaction)
                .await
                .map_err(|source| self.store.failed(source))?;
            if let Some(base) = base {
                let mut base: RailBook = decode(BOOK, base.get(0))?;
                base.apply(at, &decode(EVENT, row.get(4))?);
                sqlx::query("UPDATE rails SET base = $2 WHERE rail = $1")
                    .bind(row.get::<&[u8], _>(3))
                    .bind(encode(&base)?)
                    .execute(&mut *self.transaction)
                    .await
                    .map_err(|source| self.store.failed(source))?;
            }
            sqlx::query("DELETE FROM rail_events WHERE block = $1 AND idx = $2")
                .bind(signed(at.block))
                .bind(i64::from(at.index))
                .execute(&mut *self.transaction)
                .await
                .map_err(|source| self.store.failed(source))?;
        }
        Ok(())
    }
}

impl Store {
    /// The rails on which something is due to the party, in the order of their numbers.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) async fn due_rails(&self) -> Result<Vec<DueRail>, StoreError> {
        let rows = sqlx::query("SELECT rail, payer, book FROM rails WHERE due ORDER BY rail")
            .fetch_all(self.pool())
            .await
            .map_err(|source| self.failed(source))?;
        let due = |row: &SqliteRow| {
            let payer = Address::try_from(row.get::<&[u8], _>(1)).unwrap_or_default();
            Ok(DueRail { rail: rail_of(row.get(0))?, payer, book: decode(BOOK, row.get(2))? })
        };
        rows.iter().map(due).collect()
    }

    /// The books of all rails on which the party is paid.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) async fn books_of_rails(&self) -> Result<Vec<RailBook>, StoreError> {
        let rows = sqlx::query("SELECT book FROM rails WHERE mine")
            .fetch_all(self.pool())
            .await
            .map_err(|source| self.failed(source))?;
        rows.iter().map(|row| decode(BOOK, row.get(0))).collect()
    }

    /// What became of a job's price that was due on a rail; `None`: the rail is not kept.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) async fn price_paid(&self, job: JobId, rail: U256) -> Result<Option<PricePaid>, StoreError> {
        let row = sqlx::query(
            "SELECT due.block, (SELECT time FROM rail_events AS paid WHERE paid.rail = rails.rail AND paid.payment \
             AND (paid.block, paid.idx) > (due.block, due.idx) ORDER BY paid.block, paid.idx LIMIT 1) \
             FROM rails LEFT JOIN rail_events AS due ON due.job = $1 AND due.rail = rails.rail WHERE rails.rail = $2",
        )
        .bind(job.0.to_vec())
        .bind(key(rail))
        .fetch_optional(self.pool())
        .await
        .map_err(|source| self.failed(source))?;
        Ok(row.map(|row| match (row.get::<Option<i64>, _>(0), row.get::<Option<i64>, _>(1)) {
            (Some(_), None) => PricePaid::NotYet,
            (_, at) => PricePaid::At(at.map(|at| Time(unsigned(at)))),
        }))
    }
}
