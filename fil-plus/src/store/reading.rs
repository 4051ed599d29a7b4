//! What is known about pieces and payloads.

use std::{collections::HashMap, sync::LazyLock};

use futures::TryStreamExt as _;
use sqlx::{AssertSqlSafe, Row as _, sqlite::SqliteRow};

use super::{Store, StoreError, unsigned};
use crate::fact::{Fact, Kind};
use lota_content::piece::PieceRoot;

/// Keys of one statement.
const CHUNK: usize = 256;
/// The most claims and allocations of one piece that are read, each as all say it; of more, claims before allocations, then the newest.
pub const MAX_CLAIMS: usize = 64;
/// Bytes of a commitment in the index.
const PREFIX: usize = 8;

/// A fact, and who said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRow {
    pub fact: Fact,
    pub origin: i64,
    /// Unix seconds at which the registry was told.
    pub seen: u64,
    /// The epoch of a later reading of all claims of this party, at which this one was not there any more.
    pub gone_by: Option<u64>,
}

/// What an index says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportRow {
    pub piece: PieceRoot,
    pub source: String,
    pub peer: String,
    pub verified_deal: bool,
    /// Unix seconds.
    pub seen: u64,
}

/// What a list says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedRow {
    pub source: String,
    pub list: String,
    /// Unix seconds.
    pub issued: u64,
    pub note: String,
}

const SELECT: &str = "SELECT c.id, c.kind, c.as_of, c.removed, c.term_max, c.term_min, c.start, c.piece, c.provider, c.client, \
     c.size, c.sector, c.origin, c.seen, s.epoch FROM claims AS c LEFT JOIN snapshots AS s ON s.origin = c.origin \
     AND s.kind = c.kind AND s.party = iif(c.kind = 0, c.provider, c.client) WHERE substr(c.piece, 1, 8)";

fn placeholders(count: usize) -> String {
    vec!["?"; count].join(", ")
}

fn piece(bytes: &[u8]) -> Option<PieceRoot> {
    <[u8; 32]>::try_from(bytes).ok().and_then(PieceRoot::new)
}

fn claim(row: &SqliteRow) -> Option<ClaimRow> {
    let number = |index: usize| unsigned(row.get::<i64, _>(index));
    let (as_of, snapshot) = (number(2), row.get::<Option<i64>, _>(14).map(unsigned));
    let fact = Fact {
        id: number(0),
        kind: if number(1) == 0 { Kind::Claim } else { Kind::Allocation },
        as_of,
        removed: number(3) != 0,
        term_max: number(4),
        term_min: number(5),
        start: number(6),
        piece: piece(row.get::<&[u8], _>(7))?,
        provider: number(8),
        client: number(9),
        size_log2: u8::try_from(number(10)).ok()?,
        sector: number(11),
    };
    let gone_by = snapshot.filter(|epoch| *epoch > as_of);
    Some(ClaimRow { fact, origin: row.get(12), seen: number(13), gone_by })
}

impl Store {
    /// What chains say about these pieces. Of a piece with more than [`MAX_CLAIMS`] claims and allocations, so many and one more are
    /// given; of each of them what everybody says: a part would be a contradiction. A piece that is not in the answer is unknown.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn claims(&self, pieces: &[PieceRoot]) -> Result<HashMap<PieceRoot, Vec<ClaimRow>>, StoreError> {
        static MANY: LazyLock<String> = LazyLock::new(|| format!("{SELECT} IN ({})", placeholders(CHUNK)));
        let mut found = HashMap::new();
        for chunk in pieces.chunks(CHUNK) {
            if chunk.len() < CHUNK / 8 {
                for piece in chunk {
                    self.claims_of(*piece, &mut found).await?;
                }
                continue;
            }
            let mut query = sqlx::query(AssertSqlSafe(MANY.as_str()));
            // A statement has as many keys as it has places; the last key may stand there several times.
            for index in 0..CHUNK {
                let key = chunk.get(index).or(chunk.last()).map_or(&[][..], |piece| &piece.as_bytes()[..PREFIX]);
                query = query.bind(key);
            }
            let wanted: std::collections::HashSet<&PieceRoot> = chunk.iter().collect();
            let mut of_chunk: HashMap<PieceRoot, Vec<ClaimRow>> = HashMap::with_capacity(chunk.len());
            let (mut rows, mut count) = (query.fetch(self.pool()), 0);
            while let Some(row) = rows.try_next().await.map_err(|error| self.failed(error))? {
                let claim = claim(&row).ok_or_else(|| self.damaged("a claim"))?;
                if wanted.contains(&claim.fact.piece) {
                    of_chunk.entry(claim.fact.piece).or_default().push(claim);
                }
                count += 1;
                if count > CHUNK * 8 {
                    break;
                }
            }
            drop(rows);
            // Some pieces have very many claims: one at a time, so that the others are not left out.
            if count > CHUNK * 8 {
                of_chunk.clear();
                for piece in chunk {
                    self.claims_of(*piece, &mut of_chunk).await?;
                }
            }
            found.extend(of_chunk);
        }
        Ok(found)
    }

    async fn claims_of(
        &self,
        piece: PieceRoot,
        found: &mut HashMap<PieceRoot, Vec<ClaimRow>>,
    ) -> Result<(), StoreError> {
        // Anybody can offer allocations of any piece: they hide no claim.
        static ONE: LazyLock<String> = LazyLock::new(|| {
            format!(
                "{SELECT} = $1 AND c.piece = $2 AND (c.kind, c.id) IN (SELECT DISTINCT kind, id FROM claims \
                 WHERE substr(piece, 1, 8) = $1 AND piece = $2 ORDER BY kind, id DESC LIMIT {}) ORDER BY c.kind, c.id DESC",
                MAX_CLAIMS + 1
            )
        });
        let rows = sqlx::query(AssertSqlSafe(ONE.as_str()))
            .bind(&piece.as_bytes()[..PREFIX])
            .bind(piece.as_bytes().as_slice())
            .fetch_all(self.pool())
            .await
            .map_err(|error| self.failed(error))?;
        let claims: Option<Vec<ClaimRow>> = rows.iter().map(claim).collect();
        let claims = claims.ok_or_else(|| self.damaged("a claim"))?;
        if !claims.is_empty() {
            found.insert(piece, claims);
        }
        Ok(())
    }

    /// What indexes say about these payloads, by payload.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn reports(&self, payloads: &[Vec<u8>]) -> Result<HashMap<Vec<u8>, Vec<ReportRow>>, StoreError> {
        let select = "SELECT payload, piece, source, peer, verified_deal, seen FROM payloads WHERE payload";
        let rows = self.many(select, payloads).await?;
        self.by_key(&rows, |row| report(row, 1))
    }

    /// What indexes say about these pieces, by piece: the first of what they say.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn reports_of_pieces(
        &self,
        pieces: &[PieceRoot],
    ) -> Result<HashMap<PieceRoot, Vec<ReportRow>>, StoreError> {
        let any: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM payloads)")
            .fetch_one(self.pool())
            .await
            .map_err(|error| self.failed(error))?;
        let mut found = HashMap::new();
        // One after the other: one piece may hold as many payloads as were ever asked about.
        for piece in if any { pieces } else { &[] } {
            let rows =
                sqlx::query("SELECT piece, source, peer, verified_deal, seen FROM payloads WHERE piece = $1 LIMIT 8")
                    .bind(piece.as_bytes().as_slice())
                    .fetch_all(self.pool())
                    .await
                    .map_err(|error| self.failed(error))?;
            let reports: Option<Vec<ReportRow>> = rows.iter().map(|row| report(row, 0)).collect();
            let reports = reports.ok_or_else(|| self.damaged("a report"))?;
            if !reports.is_empty() {
                found.insert(*piece, reports);
            }
        }
        Ok(found)
    }

    /// When indexes were asked about these payloads, in Unix seconds, and how many reports they gave; by payload and source.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn asked(&self, payloads: &[Vec<u8>]) -> Result<HashMap<(Vec<u8>, String), (u64, u64)>, StoreError> {
        let rows = self.many("SELECT payload, source, asked, found FROM questions WHERE payload", payloads).await?;
        let asked = |row: &SqliteRow| ((row.get(0), row.get(1)), (unsigned(row.get(2)), unsigned(row.get(3))));
        Ok(rows.iter().map(asked).collect())
    }

    /// Which lists name these subjects, by subject.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn listed(&self, subjects: &[Vec<u8>]) -> Result<HashMap<Vec<u8>, Vec<ListedRow>>, StoreError> {
        let rows = self.many("SELECT subject, source, list, issued, note FROM listed WHERE subject", subjects).await?;
        let listed = |row: &SqliteRow| {
            Some(ListedRow { source: row.get(1), list: row.get(2), issued: unsigned(row.get(3)), note: row.get(4) })
        };
        self.by_key(&rows, listed)
    }

    /// The rows that a selection gives for these keys.
    async fn many(&self, select: &str, keys: &[Vec<u8>]) -> Result<Vec<SqliteRow>, StoreError> {
        let mut found = Vec::new();
        for chunk in keys.chunks(CHUNK) {
            let places = if chunk.len() == 1 { 1 } else { CHUNK };
            let mut query = sqlx::query(AssertSqlSafe(format!("{select} IN ({})", placeholders(places))));
            for index in 0..places {
                query = query.bind(chunk.get(index).or(chunk.last()).map_or(&[][..], Vec::as_slice));
            }
            found.extend(query.fetch_all(self.pool()).await.map_err(|error| self.failed(error))?);
        }
        Ok(found)
    }

    /// Rows by the key in their first column.
    fn by_key<T>(
        &self,
        rows: &[SqliteRow],
        read: impl Fn(&SqliteRow) -> Option<T>,
    ) -> Result<HashMap<Vec<u8>, Vec<T>>, StoreError> {
        let mut found: HashMap<Vec<u8>, Vec<T>> = HashMap::new();
        for row in rows {
            let value = read(row).ok_or_else(|| self.damaged("a report"))?;
            found.entry(row.get(0)).or_default().push(value);
        }
        Ok(found)
    }
}

/// A report in the columns from this one on.
fn report(row: &SqliteRow, first: usize) -> Option<ReportRow> {
    Some(ReportRow {
        piece: piece(row.get::<&[u8], _>(first))?,
        source: row.get(first + 1),
        peer: row.get(first + 2),
        verified_deal: row.get::<i64, _>(first + 3) != 0,
        seen: unsigned(row.get(first + 4)),
    })
}
