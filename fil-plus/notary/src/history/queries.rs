//! What is known of parties and jobs.

use std::collections::BTreeSet;

use lota_market::{
    Address, Time,
    model::{JobId, JobResult},
};
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{History, HistoryError, Kept, signed, unsigned};
use crate::review::{Flows, MAX_STEPS, Pair, PartyHistory, SettledJob};

/// Of each party, so many of those to whom it gave most are looked at.
const MAX_TAKERS: usize = 50;
/// So many parties are looked at.
const MAX_PARTIES: usize = 2_000;
/// The longest page of jobs.
const MAX_PAGE: u32 = 1_000;

/// How many jobs are looked up at once.
const CHUNK: usize = 256;
/// The most jobs alike that are given.
const MAX_ALIKE: usize = 20;

const KEPT: &str = "SELECT job, client, provider, price, settled_at, spec, output, terms, bytes, result, number \
     FROM settled LEFT JOIN specs ON digest = spec";

impl History {
    fn kept(&self, row: &SqliteRow) -> Result<Kept, HistoryError> {
        let result: JobResult = self.decode("a result", row.get(9))?;
        Ok(Kept {
            job: SettledJob {
                job: self.job(row.get(0))?,
                client: self.party(row.get(1))?,
                provider: self.party(row.get(2))?,
                price: self.amount(row.get(3))?,
                settled_at: Time(unsigned(row.get(4))),
                spec: self.digest(row.get(5))?,
                output: self.digest(row.get(6))?,
                exit_code: result.exit_code,
            },
            terms: self.decode("terms", row.get(7))?,
            spec: row.get(8),
            result,
            number: unsigned(row.get(10)),
        })
    }

    /// The URL that a party announced last, as it wrote it: where it says that it serves content.
    ///
    /// # Errors
    /// See [`HistoryError`].
    pub async fn gateway(&self, party: Address) -> Result<Option<String>, HistoryError> {
        sqlx::query_scalar("SELECT url FROM gateways WHERE party = $1")
            .bind(party.as_slice())
            .fetch_optional(self.pool())
            .await
            .map_err(|source| self.failed(source))
    }

    /// A settled job whose record the market keeps.
    ///
    /// # Errors
    /// See [`HistoryError`].
    pub async fn settled_job(&self, job: JobId) -> Result<Option<Kept>, HistoryError> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{KEPT} WHERE job = $1")))
            .bind(job.0.as_slice())
            .fetch_optional(self.pool())
            .await
            .map_err(|source| self.failed(source))?;
        row.as_ref().map(|row| self.kept(row)).transpose()
    }

    /// The next such jobs after the one with this number, in the order in which they were settled.
    ///
    /// # Errors
    /// See [`HistoryError`].
    pub async fn settled_after(&self, number: u64, page: u32) -> Result<Vec<Kept>, HistoryError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("{KEPT} WHERE number > $1 ORDER BY number LIMIT $2")))
            .bind(signed(number))
            .bind(i64::from(page.min(MAX_PAGE)))
            .fetch_all(self.pool())
            .await
            .map_err(|source| self.failed(source))?;
        rows.iter().map(|row| self.kept(row)).collect()
    }

    /// Earlier jobs with the same output, and those with the same spec: of each the first ones.
    ///
    /// # Errors
    /// See [`HistoryError`].
    pub async fn alike(&self, kept: &Kept) -> Result<Vec<(JobId, &'static str)>, HistoryError> {
        let mut alike = Vec::new();
        for (query, digest, what) in [
            (
                "SELECT job FROM settled WHERE output = $1 AND number < $2 ORDER BY number LIMIT $3",
                kept.job.output,
                "output",
            ),
            ("SELECT job FROM settled WHERE spec = $1 AND number < $2 ORDER BY number LIMIT $3", kept.job.spec, "spec"),
        ] {
            let rows = sqlx::query(query)
                .bind(digest.as_slice())
                .bind(signed(kept.number))
                .bind(i64::try_from(MAX_ALIKE).unwrap_or(i64::MAX))
                .fetch_all(self.pool())
                .await
                .map_err(|source| self.failed(source))?;
            for row in rows {
                alike.push((self.job(row.get(0))?, what));
            }
        }
        Ok(alike)
    }

    /// Those of these jobs that have the same output or the same spec, whenever they were settled: of each the first ones.
    ///
    /// # Errors
    /// See [`HistoryError`].
    pub async fn alike_among(&self, kept: &Kept, jobs: &[JobId]) -> Result<Vec<(JobId, &'static str)>, HistoryError> {
        let (mut outputs, mut specs) = (Vec::new(), Vec::new());
        for chunk in jobs.chunks(CHUNK) {
            let places = vec!["?"; chunk.len()].join(", ");
            let text = format!(
                "SELECT job, number, output = ?, spec = ? FROM settled WHERE job IN ({places}) AND job <> ? AND (output = ? OR spec = ?)"
            );
            let (output, spec) = (kept.job.output.as_slice(), kept.job.spec.as_slice());
            let mut query = sqlx::query(sqlx::AssertSqlSafe(text)).bind(output).bind(spec);
            for job in chunk {
                query = query.bind(job.0.as_slice());
            }
            let query = query.bind(kept.job.job.0.as_slice()).bind(output).bind(spec);
            for row in query.fetch_all(self.pool()).await.map_err(|source| self.failed(source))? {
                let (job, number) = (self.job(row.get(0))?, row.get::<i64, _>(1));
                for (alike, is_alike) in [(&mut outputs, row.get::<bool, _>(2)), (&mut specs, row.get(3))] {
                    if is_alike {
                        alike.push((number, job));
                    }
                }
            }
        }
        let mut alike = Vec::new();
        for (mut found, what) in [(outputs, "output"), (specs, "spec")] {
            found.sort_unstable();
            found.dedup();
            alike.extend(found.into_iter().take(MAX_ALIKE).map(|(_, job)| (job, what)));
        }
        Ok(alike)
    }

    /// What a client paid a provider.
    ///
    /// # Errors
    /// See [`HistoryError`].
    pub async fn pair(&self, client: Address, provider: Address) -> Result<Pair, HistoryError> {
        let row = sqlx::query("SELECT jobs, volume, first, last FROM pairs WHERE client = $1 AND provider = $2")
            .bind(client.as_slice())
            .bind(provider.as_slice())
            .fetch_optional(self.pool())
            .await
            .map_err(|source| self.failed(source))?;
        let Some(row) = row else { return Ok(Pair::default()) };
        Ok(Pair {
            jobs: unsigned(row.get(0)),
            volume: self.amount(row.get(1))?,
            first: Time(unsigned(row.get(2))),
            last: Time(unsigned(row.get(3))),
        })
    }

    /// What the market knows of a party.
    ///
    /// # Errors
    /// See [`HistoryError`].
    pub async fn party_history(&self, party: Address) -> Result<PartyHistory, HistoryError> {
        let row = sqlx::query("SELECT since, settled, slashed FROM parties WHERE party = $1")
            .bind(party.as_slice())
            .fetch_optional(self.pool())
            .await
            .map_err(|source| self.failed(source))?;
        Ok(row.map_or_else(PartyHistory::default, |row| PartyHistory {
            since: row.get::<Option<i64>, _>(0).map(|since| Time(unsigned(since))),
            settled: unsigned(row.get(1)),
            slashed: unsigned(row.get(2)),
        }))
    }

    /// Where a party's money can have gone, a few steps far; and whether that is all of it: where somebody gave to very many, only
    /// those who got most are looked at.
    ///
    /// # Errors
    /// See [`HistoryError`].
    pub async fn flows_from(&self, party: Address) -> Result<(Flows, bool), HistoryError> {
        let mut flows = Flows::default();
        let mut all = true;
        let mut seen = BTreeSet::from([party]);
        let mut frontier = vec![party];
        for _ in 0..MAX_STEPS {
            let mut next = Vec::new();
            for giver in frontier {
                let rows =
                    sqlx::query("SELECT taker, amount FROM flows WHERE giver = $1 ORDER BY amount DESC LIMIT $2")
                        .bind(giver.as_slice())
                        .bind(i64::try_from(MAX_TAKERS + 1).unwrap_or(i64::MAX))
                        .fetch_all(self.pool())
                        .await
                        .map_err(|source| self.failed(source))?;
                all &= rows.len() <= MAX_TAKERS;
                for row in rows.iter().take(MAX_TAKERS) {
                    let taker = self.party(row.get(0))?;
                    flows.add(giver, taker, self.amount(row.get(1))?);
                    if seen.len() >= MAX_PARTIES {
                        all &= seen.contains(&taker);
                    } else if seen.insert(taker) {
                        next.push(taker);
                    }
                }
            }
            frontier = next;
        }
        Ok((flows, all))
    }
}
