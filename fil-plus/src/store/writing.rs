//! What sources say is kept.

use std::sync::{
    LazyLock,
    atomic::{AtomicI64, Ordering},
};

use sqlx::{AssertSqlSafe, Sqlite, SqliteConnection, query::Query, sqlite::SqliteArguments};

use super::{Position, Registered, Store, StoreError, signed};
use crate::{
    fact::Fact,
    step::{Genesis, List, Report, Step},
};

/// Facts of one statement.
const CHUNK: usize = 256;
/// How many answers of indexes and reports in them are kept, in rows: the oldest are forgotten. In a small database, fewer: a row and
/// its indexes take some 500 bytes, and they may have a quarter of it.
const MAX_ROWS: u64 = 2_000_000;
const BYTES_PER_ROW: u64 = 4 * 512;
/// How many answers are forgotten in one transaction, at most.
const FORGOTTEN: i64 = 1_000;
/// The most reports of one answer that are kept.
const MAX_REPORTS: usize = 8;

/// How many rows answers of indexes take; less than nothing: they were not counted yet. Other processes add some, too, so it is counted
/// again before anything is forgotten.
#[derive(Debug)]
pub(super) struct KeptReports {
    rows: AtomicI64,
    most: i64,
}

impl KeptReports {
    pub(super) fn at_most(max_size: u64) -> Self {
        Self { rows: AtomicI64::new(-1), most: signed(MAX_ROWS.min(max_size / BYTES_PER_ROW)) }
    }
}

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

async fn insert(transaction: &mut SqliteConnection, facts: &[Fact], origin: i64, now: i64) -> Result<(), sqlx::Error> {
    static WHOLE: LazyLock<String> = LazyLock::new(|| insertion(CHUNK));
    static ONE: LazyLock<String> = LazyLock::new(|| insertion(1));
    let (chunks, rest) = facts.as_chunks::<CHUNK>();
    for chunk in chunks {
        let query = sqlx::query(AssertSqlSafe(WHOLE.as_str()));
        let query = chunk.iter().fold(query, |query, fact| bind(query, fact, origin, now));
        query.execute(&mut *transaction).await?;
    }
    for fact in rest {
        bind(sqlx::query(AssertSqlSafe(ONE.as_str())), fact, origin, now).execute(&mut *transaction).await?;
    }
    Ok(())
}

/// The statement that keeps so many entries of a list, each once.
fn listing(entries: usize) -> String {
    let rows = vec!["(?, ?, ?, ?, ?)"; entries].join(", ");
    format!("INSERT INTO listed (subject, source, list, issued, note) VALUES {rows} ON CONFLICT DO NOTHING")
}

async fn replace(transaction: &mut SqliteConnection, source: &str, list: &List) -> Result<(), sqlx::Error> {
    static WHOLE: LazyLock<String> = LazyLock::new(|| listing(CHUNK));
    static ONE: LazyLock<String> = LazyLock::new(|| listing(1));
    sqlx::query("DELETE FROM listed WHERE source = $1").bind(source).execute(&mut *transaction).await?;
    let (chunks, rest) = list.entries.as_chunks::<CHUNK>();
    let chunks = chunks.iter().map(|chunk| (WHOLE.as_str(), &chunk[..]));
    for (statement, entries) in chunks.chain(rest.chunks(1).map(|entry| (ONE.as_str(), entry))) {
        let query = entries.iter().fold(sqlx::query(AssertSqlSafe(statement)), |query, entry| {
            let query = query.bind(entry.subject.as_slice()).bind(source).bind(&list.name);
            query.bind(signed(list.issued)).bind(&entry.note)
        });
        query.execute(&mut *transaction).await?;
    }
    sqlx::query("UPDATE sources SET signed_by = $2 WHERE name = $1")
        .bind(source)
        .bind(list.signed_by.as_slice())
        .execute(&mut *transaction)
        .await?;
    Ok(())
}

impl Store {
    /// Keeps a step of a source, wherever the source stands: all of it, with the cursor, or nothing. `now` in Unix seconds.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn commit(&self, source: &Registered, step: &Step, now: u64) -> Result<(), StoreError> {
        self.keep(source, None, step, now).await.map(drop)
    }

    /// Keeps a step that began here, if the source still stands there; tells whether it does. `now` in Unix seconds.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn commit_from(
        &self,
        source: &Registered,
        from: &Position,
        step: &Step,
        now: u64,
    ) -> Result<bool, StoreError> {
        self.keep(source, Some(from), step, now).await
    }

    async fn keep(
        &self,
        source: &Registered,
        from: Option<&Position>,
        step: &Step,
        now: u64,
    ) -> Result<bool, StoreError> {
        let failed = |error| self.failed(error);
        let mut transaction = self.database.write().await?;
        if let Some(from) = from {
            let row = sqlx::query(Position::QUERY).bind(&source.name).fetch_one(&mut *transaction);
            if Position::of(&row.await.map_err(failed)?) != *from {
                return Ok(false);
            }
        }
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
                 since = coalesce($8, since), problem = NULL, problem_since = NULL WHERE name = $1",
            )
            .bind(&source.name)
            .bind(&step.cursor)
            .bind(step.as_of.and_then(|as_of| as_of.epoch).map(signed))
            .bind(step.as_of.map(|as_of| signed(as_of.time)))
            .bind(step.complete.map(signed))
            .bind(signed(step.refused.count))
            .bind(&step.refused.example)
            .bind(step.since.map(signed))
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await
        };
        work.await.map_err(failed)?;
        Ok(true)
    }

    /// One origin speaks of one chain for ever.
    async fn check_genesis(
        &self,
        transaction: &mut SqliteConnection,
        origin: i64,
        genesis: &Genesis,
    ) -> Result<(), StoreError> {
        let known: Option<String> = sqlx::query_scalar("SELECT genesis FROM origins WHERE number = $1")
            .bind(origin)
            .fetch_one(&mut *transaction)
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
                    .execute(&mut *transaction)
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
        let mut transaction = self.database.write().await?;
        let work = async {
            for statement in [
                "DELETE FROM claims WHERE origin = $1",
                "DELETE FROM snapshots WHERE origin = $1",
                "UPDATE origins SET generation = generation + 1 WHERE number = $1",
                "UPDATE sources SET cursor = NULL, epoch = NULL, as_of = NULL, complete = NULL, since = NULL WHERE origin = $1",
            ] {
                sqlx::query(statement).bind(origin).execute(&mut *transaction).await?;
            }
            transaction.commit().await
        };
        work.await.map_err(|error| self.failed(error))
    }

    /// Forgets what a source listed, unless one of these keys has signed it: it is read anew. Tells whether there was something to forget.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn forget_list_unless_signed_by(
        &self,
        source: &Registered,
        keys: &[[u8; 32]],
    ) -> Result<bool, StoreError> {
        let mut transaction = self.database.write().await?;
        let work = async {
            let signed_by: Option<Vec<u8>> = sqlx::query_scalar("SELECT signed_by FROM sources WHERE name = $1")
                .bind(&source.name)
                .fetch_one(&mut *transaction)
                .await?;
            if signed_by.is_some_and(|signer| keys.iter().any(|key| key[..] == signer)) {
                return Ok(false);
            }
            let listed = sqlx::query("DELETE FROM listed WHERE source = $1")
                .bind(&source.name)
                .execute(&mut *transaction)
                .await?;
            // What it was read from counts no more than what it said: not even when it was issued.
            sqlx::query("UPDATE sources SET cursor = NULL, as_of = NULL, signed_by = NULL WHERE name = $1")
                .bind(&source.name)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(listed.rows_affected() > 0)
        };
        work.await.map_err(|error| self.failed(error))
    }

    /// Keeps what an index answered about a payload in place of what it answered before; `now` in Unix seconds. Of many reports a few are
    /// kept: before others those of pieces that somebody claimed, for anybody can advertise any number of pieces that there are not.
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
        let mut transaction = self.database.write().await?;
        let work = async {
            let forgotten = sqlx::query("DELETE FROM payloads WHERE payload = $1 AND source = $2")
                .bind(payload)
                .bind(&source.name)
                .execute(&mut *transaction)
                .await?;
            let mut ranked = Vec::with_capacity(reports.len());
            for report in reports {
                let is_claimed: bool = match reports.len() > MAX_REPORTS {
                    true => {
                        sqlx::query_scalar(
                            "SELECT EXISTS (SELECT 1 FROM claims WHERE substr(piece, 1, 8) = $1 AND piece = $2)",
                        )
                        .bind(&report.piece.as_bytes()[..8])
                        .bind(report.piece.as_bytes().as_slice())
                        .fetch_one(&mut *transaction)
                        .await?
                    }
                    false => true,
                };
                ranked.push((!is_claimed, !report.verified_deal, report));
            }
            ranked.sort_by_key(|(is_unclaimed, is_unverified, _)| (*is_unclaimed, *is_unverified));
            ranked.truncate(MAX_REPORTS);
            for (_, _, report) in &ranked {
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
            .bind(i64::try_from(ranked.len()).unwrap_or(i64::MAX))
            .execute(&mut *transaction)
            .await?;
            sqlx::query("UPDATE sources SET as_of = $2, problem = NULL, problem_since = NULL WHERE name = $1")
                .bind(&source.name)
                .bind(signed(now))
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(signed(ranked.len() as u64 + 1) - signed(forgotten.rows_affected()))
        };
        let more: i64 = work.await.map_err(|error| self.failed(error))?;
        // An answer that takes the place of another counts twice, until it is counted again.
        let add = |rows: i64| (rows >= 0).then_some((rows + more).max(0));
        // None: nobody has counted yet.
        let _ = self.kept.rows.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        Ok(())
    }

    /// Forgets the oldest of what indexes said, when there is too much of it. Gives how many answers were forgotten.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn prune_reports(&self) -> Result<u64, StoreError> {
        self.prune_reports_to(self.kept.most).await
    }

    pub(super) async fn prune_reports_to(&self, most: i64) -> Result<u64, StoreError> {
        if (0..=most).contains(&self.kept.rows.load(Ordering::Relaxed)) {
            return Ok(0);
        }
        let mut rows = self.count_reports().await.map_err(|error| self.failed(error))?;
        self.kept.rows.store(rows, Ordering::Relaxed);
        let mut answers = 0;
        // Somewhat below, so that not every answer counts and forgets.
        let enough = if rows > most { most - most / 16 } else { most };
        while rows > enough {
            let (forgotten, of_them) = self.forget_reports(rows - enough).await?;
            if forgotten == 0 {
                break;
            }
            rows -= forgotten + of_them;
            answers += forgotten.unsigned_abs();
            self.kept.rows.store(rows, Ordering::Relaxed);
        }
        Ok(answers)
    }

    pub(super) async fn count_reports(&self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar("SELECT (SELECT count(*) FROM questions) + (SELECT count(*) FROM payloads)")
            .fetch_one(self.pool())
            .await
    }

    /// Forgets some of the oldest answers, fewer rows than these or one answer; gives how many answers, and reports in them.
    async fn forget_reports(&self, rows: i64) -> Result<(i64, i64), StoreError> {
        let failed = |error| self.failed(error);
        let answers = (rows / (signed(MAX_REPORTS as u64) + 1)).clamp(1, FORGOTTEN);
        let mut transaction = self.database.write().await?;
        let mut forgotten = [0; 2];
        for (forgotten, table) in forgotten.iter_mut().zip(["payloads", "questions"]) {
            let statement = format!(
                "DELETE FROM {table} WHERE (payload, source) IN (SELECT payload, source FROM questions ORDER BY asked LIMIT $1)"
            );
            let done = sqlx::query(AssertSqlSafe(statement)).bind(answers).execute(&mut *transaction).await;
            let done = done.map_err(failed)?;
            *forgotten = signed(done.rows_affected());
        }
        transaction.commit().await.map_err(failed)?;
        Ok((forgotten[1], forgotten[0]))
    }
}
