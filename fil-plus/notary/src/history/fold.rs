//! From events to who deals with whom.

use lota_bridge::Cursor;
use lota_database::Writing;
use lota_market::{
    Address, AttoFil, B256, Time,
    model::{Event, JobId, JobResult},
};
use sqlx::Row as _;

use super::{CURSOR, History, HistoryError, encode, signed, unsigned};

/// How many final events are folded in one transaction: even if each holds as much as it may, they are small beside the least limit.
const AT_ONCE: i64 = 200;

/// What a market's log told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Something happened.
    Event { cursor: Cursor, time: Time, event: Box<Event> },
    /// What lies above is undone.
    Rewind { to: Option<Cursor> },
    /// All up to `cursor` was told.
    Head { cursor: Cursor },
}

impl History {
    /// Takes in what was told, all of it or nothing.
    ///
    /// # Errors
    /// See [`HistoryError`].
    pub async fn take(&self, told: &[Told]) -> Result<(), HistoryError> {
        let mut writing = self.write().await?;
        for told in told {
            self.take_one(&mut writing, told).await.map_err(|source| self.failed(source))?;
        }
        writing.commit().await.map_err(|source| self.failed(source))
    }

    async fn take_one(&self, writing: &mut Writing, told: &Told) -> Result<(), sqlx::Error> {
        match told {
            Told::Event { cursor, time, event } => {
                if concerns(event) {
                    sqlx::query(
                        "INSERT OR REPLACE INTO pending (block, position, time, event) VALUES ($1, $2, $3, $4)",
                    )
                    .bind(signed(cursor.block))
                    .bind(i64::from(cursor.index))
                    .bind(signed(time.0))
                    .bind(encode(event))
                    .execute(&mut **writing)
                    .await?;
                }
                keep_cursor(writing, Some(cursor)).await
            }
            Told::Rewind { to } => {
                let (block, position) = to.map_or((-1, 0), |to| (signed(to.block), i64::from(to.index)));
                sqlx::query("DELETE FROM pending WHERE (block, position) > ($1, $2)")
                    .bind(block)
                    .bind(position)
                    .execute(&mut **writing)
                    .await?;
                keep_cursor(writing, to.as_ref()).await
            }
            Told::Head { cursor } => keep_cursor(writing, Some(cursor)).await,
        }
    }

    /// Folds what is final: all events up to the block `finalized`. Tells whether anything was.
    ///
    /// # Errors
    /// See [`HistoryError`].
    pub async fn finalize(&self, finalized: u64) -> Result<bool, HistoryError> {
        let mut any = false;
        loop {
            let mut writing = self.write().await?;
            let rows = sqlx::query(
                "SELECT block, position, time, event FROM pending WHERE block <= $1 ORDER BY block, position LIMIT $2",
            )
            .bind(signed(finalized))
            .bind(AT_ONCE)
            .fetch_all(&mut *writing)
            .await
            .map_err(|source| self.failed(source))?;
            let Some(last) = rows.last() else { return Ok(any) };
            let (block, position) = (last.get::<i64, _>(0), last.get::<i64, _>(1));
            for row in &rows {
                let event = self.decode("an event", row.get(3))?;
                self.fold(&mut writing, Time(unsigned(row.get(2))), &event).await?;
            }
            sqlx::query("DELETE FROM pending WHERE (block, position) <= ($1, $2)")
                .bind(block)
                .bind(position)
                .execute(&mut *writing)
                .await
                .map_err(|source| self.failed(source))?;
            writing.commit().await.map_err(|source| self.failed(source))?;
            any = true;
        }
    }

    async fn write(&self) -> Result<Writing, HistoryError> {
        Ok(self.database.write().await?)
    }

    async fn fold(&self, writing: &mut Writing, time: Time, event: &Event) -> Result<(), HistoryError> {
        match event {
            Event::Deposited { account, payer, amount } => self.flow(writing, *payer, *account, *amount).await,
            Event::Withdrawn { account, to, amount } => self.flow(writing, *account, *to, *amount).await,
            Event::JobOpened { job, terms, spec } => {
                let kept = terms.keep_record;
                if kept && !spec.is_empty() {
                    self.keep_spec(writing, &terms.spec, spec).await?;
                }
                sqlx::query(
                    "INSERT OR REPLACE INTO deals (job, client, spec, terms, opened) VALUES ($1, $2, $3, $4, $5)",
                )
                .bind(job.0.as_slice())
                .bind(terms.client.as_slice())
                .bind(terms.spec.as_slice())
                .bind(kept.then(|| encode(terms)))
                .bind(signed(time.0))
                .execute(&mut **writing)
                .await
                .map_err(|source| self.failed(source))?;
                Ok(())
            }
            Event::ResultSubmitted { job, result, .. } => {
                sqlx::query("UPDATE deals SET result = $2 WHERE job = $1 AND terms IS NOT NULL")
                    .bind(job.0.as_slice())
                    .bind(encode(result))
                    .execute(&mut **writing)
                    .await
                    .map_err(|source| self.failed(source))?;
                Ok(())
            }
            // Of jobs to come, too.
            Event::SpecPublished { spec, data } => self.keep_spec(writing, spec, data).await,
            Event::JobSettled { job, provider, price, .. } => {
                self.settled(writing, time, *job, *provider, *price).await
            }
            Event::BatchSettled { client, provider, price, .. } => {
                self.paid(writing, time, *client, *provider, *price).await
            }
            Event::JobSlashed { job, provider, .. } => {
                sqlx::query(
                    "INSERT INTO parties (party, settled, slashed) VALUES ($1, 0, 1) ON CONFLICT (party) DO UPDATE SET slashed = slashed + 1",
                )
                .bind(provider.as_slice())
                .execute(&mut **writing)
                .await
                .map_err(|source| self.failed(source))?;
                self.ended(writing, *job).await
            }
            Event::JobCancelled { job, .. } | Event::JobVoided { job, .. } => self.ended(writing, *job).await,
            Event::Announced { party, url } => {
                sqlx::query("INSERT OR REPLACE INTO gateways (party, url, announced) VALUES ($1, $2, $3)")
                    .bind(party.as_slice())
                    .bind(url)
                    .bind(signed(time.0))
                    .execute(&mut **writing)
                    .await
                    .map_err(|source| self.failed(source))?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The market's contract emits a spec only with its digest.
    async fn keep_spec(&self, writing: &mut Writing, digest: &B256, bytes: &[u8]) -> Result<(), HistoryError> {
        sqlx::query("INSERT OR IGNORE INTO specs (digest, bytes) VALUES ($1, $2)")
            .bind(digest.as_slice())
            .bind(bytes)
            .execute(&mut **writing)
            .await
            .map_err(|source| self.failed(source))?;
        Ok(())
    }

    async fn ended(&self, writing: &mut Writing, job: JobId) -> Result<(), HistoryError> {
        sqlx::query("DELETE FROM deals WHERE job = $1")
            .bind(job.0.as_slice())
            .execute(&mut **writing)
            .await
            .map_err(|source| self.failed(source))?;
        Ok(())
    }

    async fn settled(
        &self,
        writing: &mut Writing,
        time: Time,
        job: JobId,
        provider: Address,
        price: AttoFil,
    ) -> Result<(), HistoryError> {
        let row = sqlx::query("SELECT client, spec, terms, result FROM deals WHERE job = $1")
            .bind(job.0.as_slice())
            .fetch_optional(&mut **writing)
            .await
            .map_err(|source| self.failed(source))?;
        // One that was opened before the log that is followed began.
        let Some(row) = row else { return Ok(()) };
        let client = self.party(row.get(0))?;
        let (terms, result): (Option<Vec<u8>>, Option<Vec<u8>>) = (row.get(2), row.get(3));
        if let (Some(terms), Some(result)) = (terms, result) {
            let output = self.decode::<JobResult>("a result", &result)?.output;
            let spec: Vec<u8> = row.get(1);
            sqlx::query(
                "INSERT OR IGNORE INTO settled (job, client, provider, price, settled_at, spec, output, terms, result, number) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, (SELECT coalesce(max(number), 0) + 1 FROM settled))",
            )
            .bind(job.0.as_slice())
            .bind(client.as_slice())
            .bind(provider.as_slice())
            .bind(price.0.to_be_bytes().to_vec())
            .bind(signed(time.0))
            .bind(spec)
            .bind(output.as_slice())
            .bind(terms)
            .bind(result)
            .execute(&mut **writing)
            .await
            .map_err(|source| self.failed(source))?;
        }
        self.ended(writing, job).await?;
        self.paid(writing, time, client, provider, price).await
    }

    /// A client paid a provider for a job.
    async fn paid(
        &self,
        writing: &mut Writing,
        time: Time,
        client: Address,
        provider: Address,
        price: AttoFil,
    ) -> Result<(), HistoryError> {
        let known: Option<Vec<u8>> = sqlx::query_scalar("SELECT volume FROM pairs WHERE client = $1 AND provider = $2")
            .bind(client.as_slice())
            .bind(provider.as_slice())
            .fetch_optional(&mut **writing)
            .await
            .map_err(|source| self.failed(source))?;
        let volume = self.sum(known, price)?;
        sqlx::query(
            "INSERT INTO pairs (client, provider, jobs, volume, first, last) VALUES ($1, $2, 1, $3, $4, $4) \
             ON CONFLICT (client, provider) DO UPDATE SET jobs = jobs + 1, volume = excluded.volume, last = excluded.last",
        )
        .bind(client.as_slice())
        .bind(provider.as_slice())
        .bind(volume)
        .bind(signed(time.0))
        .execute(&mut **writing)
        .await
        .map_err(|source| self.failed(source))?;
        let both = if client == provider { vec![client] } else { vec![client, provider] };
        for party in both {
            sqlx::query(
                "INSERT INTO parties (party, since, settled, slashed) VALUES ($1, $2, 1, 0) \
                 ON CONFLICT (party) DO UPDATE SET settled = settled + 1, since = coalesce(since, excluded.since)",
            )
            .bind(party.as_slice())
            .bind(signed(time.0))
            .execute(&mut **writing)
            .await
            .map_err(|source| self.failed(source))?;
        }
        self.flow(writing, client, provider, price).await
    }

    async fn flow(
        &self,
        writing: &mut Writing,
        giver: Address,
        taker: Address,
        amount: AttoFil,
    ) -> Result<(), HistoryError> {
        if giver == taker || amount == AttoFil::ZERO {
            return Ok(());
        }
        let known: Option<Vec<u8>> = sqlx::query_scalar("SELECT amount FROM flows WHERE giver = $1 AND taker = $2")
            .bind(giver.as_slice())
            .bind(taker.as_slice())
            .fetch_optional(&mut **writing)
            .await
            .map_err(|source| self.failed(source))?;
        let amount = self.sum(known, amount)?;
        sqlx::query("INSERT OR REPLACE INTO flows (giver, taker, amount) VALUES ($1, $2, $3)")
            .bind(giver.as_slice())
            .bind(taker.as_slice())
            .bind(amount)
            .execute(&mut **writing)
            .await
            .map_err(|source| self.failed(source))?;
        Ok(())
    }

    fn sum(&self, known: Option<Vec<u8>>, more: AttoFil) -> Result<Vec<u8>, HistoryError> {
        let known = known.map(|bytes| self.amount(&bytes)).transpose()?.unwrap_or_default();
        Ok(known.0.saturating_add(more.0).to_be_bytes().to_vec())
    }
}

/// Whether the history takes anything from this event.
const fn concerns(event: &Event) -> bool {
    !matches!(
        event,
        Event::JobLocked { .. }
            | Event::JobDisputed { .. }
            | Event::CallbackDelivered { .. }
            | Event::CallbackFailed { .. }
            | Event::BatchSkipped { .. }
            | Event::SaltsRevoked { .. }
    )
}

async fn keep_cursor(writing: &mut Writing, cursor: Option<&Cursor>) -> Result<(), sqlx::Error> {
    let query = match cursor {
        Some(cursor) => {
            sqlx::query("INSERT OR REPLACE INTO meta (key, value) VALUES ($1, $2)").bind(CURSOR).bind(encode(cursor))
        }
        None => sqlx::query("DELETE FROM meta WHERE key = $1").bind(CURSOR),
    };
    query.execute(&mut **writing).await.map(drop)
}
