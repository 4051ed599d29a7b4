//! What goes when the history has grown to its limit. Strangers can make as much of each kind as they pay gas for, so the kind that takes
//! most gives: of jobs, deals and gateways the oldest, of money the smallest amounts.

use lota_database::Writing;
use lota_market::{AttoFil, model::JobId};
use sqlx::{AssertSqlSafe, Row as _};

use super::{History, HistoryError, encode, signed, unsigned};
use crate::space::{CROWDED, ROOMY, is_above};

/// How many rows go in one transaction.
const AT_ONCE: i64 = 10_000;
/// An eighth of a kind goes at once.
const PART: i64 = 8;
const FLOWS: &str = "flows";
/// The sum of what went of who gave what to whom.
const LOST: &str = "lost";

/// What a history holds, as far as it can go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Settled jobs, and specs.
    Jobs,
    /// Deals that run.
    Deals,
    /// Who gave what to whom, and since when.
    Money,
    Gateways,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Jobs, Self::Deals, Self::Money, Self::Gateways];

    const fn tables(self) -> &'static [&'static str] {
        match self {
            Self::Jobs => &["settled", "specs"],
            Self::Deals => &["deals"],
            Self::Money => &[FLOWS, "pairs", "parties"],
            Self::Gateways => &["gateways"],
        }
    }
}

/// Rows of a table that go: those with the least of a value.
struct Least {
    table: &'static str,
    key: &'static str,
    value: &'static str,
    kind_of_value: Value,
    among: &'static str,
}

#[derive(Clone, Copy, Debug)]
enum Value {
    Number,
    Amount,
}

impl History {
    /// Whether it has grown so far that something has to go.
    pub(crate) async fn is_crowded(&self) -> Result<bool, HistoryError> {
        Ok(is_above(&self.database, CROWDED).await?)
    }

    /// Whether so much went that there is room for a while.
    pub(crate) async fn is_roomy(&self) -> Result<bool, HistoryError> {
        Ok(!is_above(&self.database, ROOMY).await?)
    }

    /// The kinds, that which takes most first. This reads all of the database.
    pub(crate) async fn kinds(&self) -> Result<Vec<Kind>, HistoryError> {
        let rows = sqlx::query(
            "SELECT coalesce(tbl_name, dbstat.name), sum(pgsize) FROM dbstat LEFT JOIN sqlite_schema \
             ON sqlite_schema.name = dbstat.name WHERE aggregate = TRUE GROUP BY 1",
        )
        .fetch_all(self.pool())
        .await
        .map_err(|source| self.failed(source))?;
        let size = |kind: Kind| {
            let of_it = rows.iter().filter(|row| kind.tables().contains(&row.get::<&str, _>(0)));
            of_it.map(|row| unsigned(row.get(1))).sum::<u64>()
        };
        let mut kinds = Kind::ALL;
        kinds.sort_by_key(|kind| std::cmp::Reverse(size(*kind)));
        Ok(kinds.to_vec())
    }

    /// Lets go of an eighth of the running deals, the oldest. Tells how many went.
    pub(crate) async fn forget_deals(&self) -> Result<u64, HistoryError> {
        self.forget_least(Least {
            table: "deals",
            key: "job",
            value: "opened",
            kind_of_value: Value::Number,
            among: "TRUE",
        })
        .await
    }

    /// Lets go of an eighth of the gateways, those that were announced first: of parties that have settled no job, as long as there are any.
    pub(crate) async fn forget_gateways(&self) -> Result<u64, HistoryError> {
        let least =
            |among| Least { table: "gateways", key: "party", value: "announced", kind_of_value: Value::Number, among };
        let strangers = "NOT EXISTS (SELECT 1 FROM parties WHERE parties.party = gateways.party)";
        match self.forget_least(least(strangers)).await? {
            0 => self.forget_least(least("TRUE")).await,
            gone => Ok(gone),
        }
    }

    /// Lets go of an eighth of what parties gave each other, the smallest amounts, of the pairs with the smallest volumes, and of the
    /// parties with the fewest jobs that were never slashed.
    pub(crate) async fn forget_money(&self) -> Result<u64, HistoryError> {
        let flows =
            Least { table: FLOWS, key: "giver, taker", value: "amount", kind_of_value: Value::Amount, among: "TRUE" };
        let pairs = Least {
            table: "pairs",
            key: "client, provider",
            value: "volume",
            kind_of_value: Value::Amount,
            among: "TRUE",
        };
        let parties = Least {
            table: "parties",
            key: "party",
            value: "settled",
            kind_of_value: Value::Number,
            among: "slashed = 0",
        };
        let mut gone = 0;
        for least in [flows, pairs, parties] {
            gone += self.forget_least(least).await?;
        }
        Ok(gone)
    }

    async fn forget_least(
        &self,
        Least { table, key, value, kind_of_value, among }: Least,
    ) -> Result<u64, HistoryError> {
        let failed = |source| self.failed(source);
        let count = AssertSqlSafe(format!("SELECT count(*) FROM {table} WHERE {among}"));
        let count: i64 = sqlx::query_scalar(count).fetch_one(self.pool()).await.map_err(failed)?;
        let most = count / PART;
        let greatest = format!("SELECT {value} FROM {table} WHERE {among} ORDER BY {value} LIMIT 1 OFFSET $1");
        let greatest = sqlx::query(AssertSqlSafe(greatest)).bind(most).fetch_optional(self.pool()).await;
        let Some(greatest) = greatest.map_err(failed)? else { return Ok(0) };
        let statement = format!(
            "DELETE FROM {table} WHERE ({key}) IN \
             (SELECT {key} FROM {table} WHERE {among} AND {value} <= $1 LIMIT $2) RETURNING {value}"
        );
        let mut gone = 0;
        while gone < most {
            let query = sqlx::query(AssertSqlSafe(statement.as_str()));
            let query = match kind_of_value {
                Value::Number => query.bind(greatest.get::<i64, _>(0)),
                Value::Amount => query.bind(greatest.get::<Vec<u8>, _>(0)),
            };
            let mut writing = self.database.write().await?;
            let rows = query.bind(AT_ONCE.min(most - gone)).fetch_all(&mut *writing).await.map_err(failed)?;
            if table == FLOWS {
                let mut lost = AttoFil::ZERO;
                for row in &rows {
                    lost = AttoFil(lost.0.saturating_add(self.amount(row.get(0))?.0));
                }
                self.add_lost(&mut writing, lost).await?;
            }
            writing.commit().await.map_err(failed)?;
            if rows.is_empty() {
                break;
            }
            gone = gone.saturating_add(signed(rows.len() as u64));
        }
        Ok(unsigned(gone))
    }

    async fn add_lost(&self, writing: &mut Writing, more: AttoFil) -> Result<(), HistoryError> {
        let lost = AttoFil(self.lost().await?.0.saturating_add(more.0));
        sqlx::query("INSERT OR REPLACE INTO meta (key, value) VALUES ($1, $2)")
            .bind(LOST)
            .bind(encode(&lost))
            .execute(&mut **writing)
            .await
            .map_err(|source| self.failed(source))?;
        Ok(())
    }

    /// No more than this can be missing from all that parties gave each other.
    ///
    /// # Errors
    /// See [`HistoryError`].
    pub async fn lost(&self) -> Result<AttoFil, HistoryError> {
        Ok(self.meta(LOST).await?.unwrap_or_default())
    }

    /// Lets go of specs that no settled job and no deal names, at most an eighth of all, those first that were told first.
    pub(crate) async fn forget_specs(&self) -> Result<u64, HistoryError> {
        let failed = |source| self.failed(source);
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM specs").fetch_one(self.pool()).await.map_err(failed)?;
        let most = unsigned(count / PART + 1);
        let mut gone = 0;
        while gone < most {
            let mut writing = self.database.write().await?;
            let deleted = sqlx::query(
                "DELETE FROM specs WHERE rowid IN (SELECT rowid FROM specs \
                 WHERE NOT EXISTS (SELECT 1 FROM settled WHERE settled.spec = digest) \
                 AND NOT EXISTS (SELECT 1 FROM deals WHERE deals.spec = digest) ORDER BY rowid LIMIT $1)",
            )
            .bind(AT_ONCE.min(signed(most - gone)))
            .execute(&mut *writing)
            .await
            .map_err(failed)?;
            writing.commit().await.map_err(failed)?;
            if deleted.rows_affected() == 0 {
                break;
            }
            gone += deleted.rows_affected();
        }
        Ok(gone)
    }

    /// How many settled jobs there are.
    pub(crate) async fn count_settled(&self) -> Result<u64, HistoryError> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM settled")
            .fetch_one(self.pool())
            .await
            .map_err(|source| self.failed(source))?;
        Ok(unsigned(count))
    }

    /// The next settled jobs after the one with this number, with their own; never the last of all, whose number the next one follows.
    pub(crate) async fn settled_numbers(&self, after: u64, page: u32) -> Result<Vec<(JobId, u64)>, HistoryError> {
        let rows = sqlx::query(
            "SELECT job, number FROM settled WHERE number > $1 AND number < (SELECT max(number) FROM settled) \
             ORDER BY number LIMIT $2",
        )
        .bind(signed(after))
        .bind(i64::from(page))
        .fetch_all(self.pool())
        .await
        .map_err(|source| self.failed(source))?;
        rows.iter().map(|row| Ok((self.job(row.get(0))?, unsigned(row.get(1))))).collect()
    }

    /// Lets go of settled jobs, and of specs that only they name.
    pub(crate) async fn forget_jobs(&self, jobs: &[JobId]) -> Result<(), HistoryError> {
        let failed = |source| self.failed(source);
        let mut writing = self.database.write().await?;
        for job in jobs {
            let spec: Option<Vec<u8>> = sqlx::query_scalar("DELETE FROM settled WHERE job = $1 RETURNING spec")
                .bind(job.0.as_slice())
                .fetch_optional(&mut *writing)
                .await
                .map_err(failed)?;
            sqlx::query(
                "DELETE FROM specs WHERE digest = $1 AND NOT EXISTS (SELECT 1 FROM settled WHERE settled.spec = digest) \
                 AND NOT EXISTS (SELECT 1 FROM deals WHERE deals.spec = digest)",
            )
            .bind(spec)
            .execute(&mut *writing)
            .await
            .map_err(failed)?;
        }
        writing.commit().await.map_err(failed)
    }
}
