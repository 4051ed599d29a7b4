//! Votes that notaries signed, and their written reasons.

use lota_market::{Address, B256, Bytes, Time, blessing::Choice, model::JobId};
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{Store, StoreError, address, damaged, digest, job_id, outbox, signed, small, unsigned};
use crate::alerts::Alert;

/// How far a signed vote got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignedState {
    /// Until another notary has signed.
    Held,
    ToSend,
    Refused {
        why: String,
    },
    /// In a block for good.
    Done,
}

impl SignedState {
    const fn number(&self) -> i64 {
        match self {
            Self::Held => 0,
            Self::ToSend => 1,
            Self::Refused { .. } => 2,
            Self::Done => 3,
        }
    }
}

/// A vote that a notary signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldVote {
    pub job: JobId,
    pub round: u32,
    pub notary: Address,
    pub choice: Choice,
    /// Of the set of notaries that it was signed for.
    pub version: u32,
    pub reasons: B256,
    pub signature: Bytes,
    pub at: Time,
    pub state: SignedState,
}

const VOTES: &str = "SELECT job, round, notary, choice, version, reasons, signature, at, state, why FROM votes";

fn vote(row: &SqliteRow) -> Result<HeldVote, StoreError> {
    let choice = u8::try_from(row.get::<i64, _>(3)).ok().and_then(Choice::from_number);
    Ok(HeldVote {
        job: job_id(row.get(0))?,
        round: small(row.get(1)),
        notary: address(row.get(2))?,
        choice: choice.ok_or_else(|| damaged("a vote", "no such choice"))?,
        version: small(row.get(4)),
        reasons: digest(row.get(5))?,
        signature: Bytes::from(row.get::<Vec<u8>, _>(6)),
        at: Time(unsigned(row.get(7))),
        state: match row.get::<i64, _>(8) {
            0 => SignedState::Held,
            1 => SignedState::ToSend,
            2 => SignedState::Refused { why: row.get::<Option<String>, _>(9).unwrap_or_default() },
            _ => SignedState::Done,
        },
    })
}

impl Store {
    /// Keeps a signed vote with its reasons, the entry of the audit log and the alerts, in place of one by the same notary in the same
    /// round that was held or refused, which is [replaced](Self::was_replaced) for good. Those of these notaries that were held go out
    /// with it: of these, the entries that tell it.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn keep_vote(
        &self,
        vote: &HeldVote,
        text: &str,
        release: Vec<(Address, outbox::AuditNote)>,
        note: outbox::AuditNote,
        (alerts, destinations): (&[Alert], &[String]),
    ) -> Result<(), StoreError> {
        let mut writing = self.write().await?;
        sqlx::query("INSERT OR IGNORE INTO reasons (digest, text) VALUES ($1, $2)")
            .bind(vote.reasons.as_slice())
            .bind(text)
            .execute(&mut *writing)
            .await?;
        sqlx::query(
            "INSERT OR IGNORE INTO replaced_votes (job, round, notary, choice, version, reasons) \
             SELECT job, round, notary, choice, version, reasons FROM votes \
             WHERE job = $1 AND round = $2 AND notary = $3 AND revokes = $4 AND state IN (0, 2) \
             AND NOT (choice = $5 AND version = $6 AND reasons = $7)",
        )
        .bind(vote.job.0.as_slice())
        .bind(i64::from(vote.round))
        .bind(vote.notary.as_slice())
        .bind(vote.choice == Choice::Revoke)
        .bind(i64::from(vote.choice.number()))
        .bind(i64::from(vote.version))
        .bind(vote.reasons.as_slice())
        .execute(&mut *writing)
        .await?;
        sqlx::query(
            "INSERT INTO votes (job, round, notary, revokes, choice, version, reasons, signature, at, state) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (job, round, notary, revokes) DO UPDATE SET \
             choice = excluded.choice, version = excluded.version, reasons = excluded.reasons, signature = excluded.signature, \
             at = excluded.at, state = excluded.state, why = NULL WHERE votes.state IN (0, 2)",
        )
        .bind(vote.job.0.as_slice())
        .bind(i64::from(vote.round))
        .bind(vote.notary.as_slice())
        .bind(vote.choice == Choice::Revoke)
        .bind(i64::from(vote.choice.number()))
        .bind(i64::from(vote.version))
        .bind(vote.reasons.as_slice())
        .bind(vote.signature.to_vec())
        .bind(signed(vote.at.0))
        .bind(vote.state.number())
        .execute(&mut *writing)
        .await?;
        let mut notes = vec![note];
        for (notary, note) in release {
            let released = sqlx::query(
                "UPDATE votes SET state = 1 WHERE job = $1 AND round = $2 AND notary = $3 AND state = 0 AND NOT revokes",
            )
            .bind(vote.job.0.as_slice())
            .bind(i64::from(vote.round))
            .bind(notary.as_slice())
            .execute(&mut *writing)
            .await?;
            // Otherwise it goes out already, or became void meanwhile.
            if released.rows_affected() > 0 {
                notes.push(note);
            }
        }
        outbox::note(&mut writing, &notes).await?;
        outbox::put(&mut writing, alerts, destinations).await?;
        writing.commit().await?;
        Ok(())
    }

    /// Whether a notary signed this, and then another vote in its place.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn was_replaced(
        &self,
        (job, round, notary): (JobId, u32, Address),
        (choice, version, reasons): (Choice, u32, B256),
    ) -> Result<bool, StoreError> {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM replaced_votes WHERE job = $1 AND round = $2 AND notary = $3 AND choice = $4 AND version = $5 \
             AND reasons = $6",
        )
        .bind(job.0.as_slice())
        .bind(i64::from(round))
        .bind(notary.as_slice())
        .bind(i64::from(choice.number()))
        .bind(i64::from(version))
        .bind(reasons.as_slice())
        .fetch_optional(self.pool())
        .await?;
        Ok(found.is_some())
    }

    /// Signed votes on a job, of all rounds.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn votes(&self, job: JobId) -> Result<Vec<HeldVote>, StoreError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("{VOTES} WHERE job = $1 ORDER BY round, at, notary")))
            .bind(job.0.as_slice())
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(vote).collect()
    }

    /// Signed votes that are held or to be sent.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn open_votes(&self) -> Result<Vec<HeldVote>, StoreError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("{VOTES} WHERE state IN (0, 1) ORDER BY at, notary")))
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(vote).collect()
    }

    /// A signed vote got further.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn keep_vote_state(&self, vote: &HeldVote, state: &SignedState) -> Result<(), StoreError> {
        let why = if let SignedState::Refused { why } = state { Some(why) } else { None };
        // Only this very vote: meanwhile its notary may have signed another.
        sqlx::query(
            "UPDATE votes SET state = $6, why = $7 WHERE job = $1 AND round = $2 AND notary = $3 AND revokes = $4 AND signature = $5",
        )
        .bind(vote.job.0.as_slice())
        .bind(i64::from(vote.round))
        .bind(vote.notary.as_slice())
        .bind(vote.choice == Choice::Revoke)
        .bind(vote.signature.to_vec())
        .bind(state.number())
        .bind(why)
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// The written reasons with a digest, if this service was given them.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn reasons(&self, digest: B256) -> Result<Option<String>, StoreError> {
        Ok(sqlx::query_scalar("SELECT text FROM reasons WHERE digest = $1")
            .bind(digest.as_slice())
            .fetch_optional(self.pool())
            .await?)
    }
}
