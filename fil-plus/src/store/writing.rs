//! What sources say is kept.

use std::sync::LazyLock;

use sqlx::{AssertSqlSafe, Sqlite, Transaction, query::Query, sqlite::SqliteArguments};

use super::{Registered, Store, StoreError, signed};
use crate::{
    fact::Fact,
    step::{Genesis, List, Report, Step},
};

/// Facts of one statement.
const CHUNK: usize = 256;
/// How many payloads are remembered that indexes were asked about; the oldest are forgotten.
const MAX_QUESTIONS: i64 = 1_000_000;
/// How many are forgotten at once, at most.
const FORGOTTEN: i64 = 1_000;

/// The columns of a fact that are compared, in the order in which [`Fact::newer_than`] compares them.
const COMPARED: [&str; 10] =
    ["as_of", "removed", "term_max", "term_min", "start", "piece", "provider", "client", "size", "sector"];

/// The statement that keeps so many facts, each if it is newer than what there is.
fn insertion(facts: usize) -> String {
    let each = |before: &str| COMPARED.map(|column| format!("{before}{column}")).join(", ");
    let row = format!("({})", vec!["?"; COMPARED.len() + 4].join(", "));
    format!(
        "INSERT INTO claims (id, kind, origin, seen, {}) VALUES {} ON CONFLICT DO UPDATE SET seen = excluded.seen, {} \
         WHERE ({}) > ({})",
        each(""),
        vec![row; facts].join(", "),
        COMPARED.map(|column| format!("{column} = excluded.{column}")).join(", "),
        each("excluded."),
        each("claims."),
    )
}

type Statement<'a> = Query<'a, Sqlite, SqliteArguments>;

fn bind<'a>(query: Statement<'a>, fact: &'a Fact, origin: i64, now: i64) -> Statement<'a> {
    let Fact { kind, id, as_of, removed, term_max, term_min, start, piece, provider, client, size_log2, sector } = fact;
    query
        .bind(signed(*id))
        .bind(kind.number())
        .bind(origin)
        .bind(now)
        .bind(signed(*as_of))
        .bind(i64::from(*removed))
        .bind(signed(*term_max))
        .bind(signed(*term_min))
        .bind(signed(*start))
        .bind(piece.as_bytes().as_slice())
        .bind(signed(*provider))
        .bind(signed(*client))
        .bind(i64::from(*size_log2))
        .bind(signed(*sector))
}

async fn insert(
    transaction: &mut Transaction<'_, Sqlite>,
    facts: &[Fact],
    origin: i64,
    now: i64,
) -> Result<(), sqlx::Error> {
    static WHOLE: LazyLock<String> = LazyLock::new(|| insertion(CHUNK));
    static ONE: LazyLock<String> = LazyLock::new(|| insertion(1));
    let (chunks, rest) = facts.as_chunks::<CHUNK>();
    for chunk in chunks {
        let query = sqlx::query(AssertSqlSafe(WHOLE.as_str()));
        let query = chunk.iter().fold(query, |query, fact| bind(query, fact, origin, now));
        query.execute(&mut **transaction).await?;
    }
    for fact in rest {
        bind(sqlx::query(AssertSqlSafe(ONE.as_str())), fact, origin, now).execute(&mut **transaction).await?;
    }
    Ok(())
}

async fn replace(transaction: &mut Transaction<'_, Sqlite>, source: &str, list: &List) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM listed WHERE source = $1").bind(source).execute(&mut **transaction).await?;
    for entry in &list.entries {
        sqlx::query(
            "INSERT INTO listed (subject, source, list, issued, note) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        )
        .bind(entry.subject.as_slice())
        .bind(source)
        .bind(&list.name)
        .bind(signed(list.issued))
        .bind(&entry.note)
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

impl Store {
    /// Keeps a step of a source: all of it, with the cursor, or nothing. `now` in Unix seconds.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn commit(&self, source: &Registered, step: &Step, now: u64) -> Result<(), StoreError> {
        let failed = |error| self.failed(error);
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        if let Some(genesis) = &step.genesis {
            self.check_genesis(&mut transaction, source.origin, genesis).await?;
        }
        let work = async {
            // In the order of the table, so that its pages are written once.
            let mut facts = step.facts.clone();
            facts.sort_by_key(|fact| (fact.id, fact.kind));
            insert(&mut transaction, &facts, source.origin, signed(now)).await?;
            if let Some(snapshot) = step.snapshot {
                sqlx::query(
                    "INSERT INTO snapshots (origin, kind, party, epoch) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT DO UPDATE SET epoch = max(epoch, excluded.epoch)",
                )
                .bind(source.origin)
                .bind(snapshot.kind.number())
                .bind(signed(snapshot.party))
                .bind(signed(snapshot.epoch))
                .execute(&mut *transaction)
                .await?;
            }
            if let Some(list) = &step.list {
                replace(&mut transaction, &source.name, list).await?;
            }
            sqlx::query(
                "UPDATE sources SET cursor = coalesce($2, cursor), epoch = coalesce($3, epoch), as_of = coalesce($4, as_of), \
                 complete = coalesce($5, complete), refused = refused + $6, refusal = coalesce($7, refusal), \
                 problem = NULL, problem_since = NULL WHERE name = $1",
            )
            .bind(&source.name)
            .bind(&step.cursor)
            .bind(step.as_of.and_then(|as_of| as_of.epoch).map(signed))
            .bind(step.as_of.map(|as_of| signed(as_of.time)))
            .bind(step.complete.map(signed))
            .bind(signed(step.refused.count))
            .bind(&step.refused.example)
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await
        };
        work.await.map_err(failed)
    }

    /// One origin speaks of one chain for ever.
    async fn check_genesis(
        &self,
        transaction: &mut Transaction<'_, Sqlite>,
        origin: i64,
        genesis: &Genesis,
    ) -> Result<(), StoreError> {
        let known: Option<String> = sqlx::query_scalar("SELECT genesis FROM origins WHERE number = $1")
            .bind(origin)
            .fetch_one(&mut **transaction)
            .await
            .map_err(|error| self.failed(error))?;
        match known {
            Some(known) if known != genesis.key => Err(StoreError::OtherChain { found: genesis.key.clone(), known }),
            Some(_) => Ok(()),
            None => {
                sqlx::query("UPDATE origins SET genesis = $2, genesis_time = $3 WHERE number = $1")
                    .bind(origin)
                    .bind(&genesis.key)
                    .bind(signed(genesis.time))
                    .execute(&mut **transaction)
                    .await
                    .map_err(|error| self.failed(error))?;
                Ok(())
            }
        }
    }

    /// Forgets all that an origin said about claims, and where its sources were: they begin again.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn forget(&self, origin: i64) -> Result<(), StoreError> {
        let work = async {
            let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
            for statement in [
                "DELETE FROM claims WHERE origin = $1",
                "DELETE FROM snapshots WHERE origin = $1",
                "UPDATE sources SET cursor = NULL, epoch = NULL, as_of = NULL, complete = NULL WHERE origin = $1",
            ] {
                sqlx::query(statement).bind(origin).execute(&mut *transaction).await?;
            }
            transaction.commit().await
        };
        work.await.map_err(|error| self.failed(error))
    }

    /// Keeps what an index answered about a payload in place of what it answered before; `now` in Unix seconds.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn keep_reports(
        &self,
        source: &Registered,
        payload: &[u8],
        reports: &[Report],
        now: u64,
    ) -> Result<(), StoreError> {
        let work = async {
            let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
            sqlx::query("DELETE FROM payloads WHERE payload = $1 AND source = $2")
                .bind(payload)
                .bind(&source.name)
                .execute(&mut *transaction)
                .await?;
            for report in reports {
                sqlx::query(
                    "INSERT INTO payloads (payload, piece, source, peer, verified_deal, seen) \
                     VALUES ($1, $2, $3, $4, $5, $6) \
                     ON CONFLICT DO UPDATE SET verified_deal = max(verified_deal, excluded.verified_deal)",
                )
                .bind(payload)
                .bind(report.piece.as_bytes().as_slice())
                .bind(&source.name)
                .bind(&report.peer)
                .bind(i64::from(report.verified_deal))
                .bind(signed(now))
                .execute(&mut *transaction)
                .await?;
            }
            sqlx::query(
                "INSERT INTO questions (payload, source, asked, found) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT DO UPDATE SET asked = excluded.asked, found = excluded.found",
            )
            .bind(payload)
            .bind(&source.name)
            .bind(signed(now))
            .bind(i64::try_from(reports.len()).unwrap_or(i64::MAX))
            .execute(&mut *transaction)
            .await?;
            sqlx::query("UPDATE sources SET as_of = $2, problem = NULL, problem_since = NULL WHERE name = $1")
                .bind(&source.name)
                .bind(signed(now))
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await
        };
        work.await.map_err(|error| self.failed(error))
    }

    /// Forgets the oldest of what indexes said, when there is too much of it. Gives how many payloads were forgotten.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn prune_reports(&self) -> Result<u64, StoreError> {
        self.prune_reports_to(MAX_QUESTIONS).await
    }

    pub(super) async fn prune_reports_to(&self, most: i64) -> Result<u64, StoreError> {
        let work = async {
            let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
            let count: i64 = sqlx::query_scalar("SELECT count(*) FROM questions").fetch_one(&mut *transaction).await?;
            let surplus = (count - most).clamp(0, FORGOTTEN);
            if surplus == 0 {
                return Ok(0);
            }
            for statement in [
                "DELETE FROM payloads WHERE (payload, source) IN (SELECT payload, source FROM questions ORDER BY asked LIMIT $1)",
                "DELETE FROM questions WHERE (payload, source) IN (SELECT payload, source FROM questions ORDER BY asked LIMIT $1)",
            ] {
                sqlx::query(statement).bind(surplus).execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
            Ok(surplus.unsigned_abs())
        };
        work.await.map_err(|error| self.failed(error))
    }
}
