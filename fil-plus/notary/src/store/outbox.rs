//! What is to be told: alerts, entries of the audit log, attestations.

use lota_market::{B256, Time, model::JobId};
use sqlx::Row as _;

use super::{Store, StoreError, Writing, damaged, keep_meta, meta, signed, small, unsigned};
use crate::{alerts::Alert, attestation::Envelope};

const NOTED: &str = "noted";

/// An entry for the audit log.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditNote {
    pub at: Time,
    pub actor: String,
    pub action: String,
    pub subject: String,
    pub details: serde_json::Value,
}

/// An alert on its way to somebody.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    pub destination: String,
    pub alert: Alert,
    pub attempts: u32,
}

/// Puts alerts into the outbox; one that is there already stays as it is.
pub(super) async fn put(writing: &mut Writing, alerts: &[Alert], destinations: &[String]) -> Result<(), StoreError> {
    for alert in alerts {
        let json = serde_json::to_vec(alert).map_err(|error| damaged("an alert", error))?;
        for destination in destinations {
            sqlx::query("INSERT OR IGNORE INTO outbox (id, destination, alert, send_at) VALUES ($1, $2, $3, 0)")
                .bind(&alert.id)
                .bind(destination)
                .bind(&json)
                .execute(&mut **writing)
                .await?;
        }
    }
    Ok(())
}

/// Numbers entries of the audit log; they are in its file soon.
pub(super) async fn note(writing: &mut Writing, notes: &[AuditNote]) -> Result<(), StoreError> {
    if notes.is_empty() {
        return Ok(());
    }
    let mut number: u64 = meta(writing, NOTED).await?.unwrap_or_default();
    for AuditNote { at, actor, action, subject, details } in notes {
        number += 1;
        let details = serde_json::to_vec(details).map_err(|error| damaged("an entry", error))?;
        sqlx::query("INSERT INTO audit (number, at, actor, action, subject, details) VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(signed(number))
            .bind(signed(at.0))
            .bind(actor)
            .bind(action)
            .bind(subject)
            .bind(details)
            .execute(&mut **writing)
            .await?;
    }
    keep_meta(writing, NOTED, &number).await
}

impl Store {
    /// Numbers an entry of the audit log.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn note(&self, note: AuditNote) -> Result<(), StoreError> {
        let mut writing = self.write().await?;
        self::note(&mut writing, &[note]).await?;
        writing.commit().await?;
        Ok(())
    }

    /// How many entries the audit log has, or will have as soon as they are in its file.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn noted(&self) -> Result<u64, StoreError> {
        let mut reading = self.pool().begin().await?;
        Ok(meta(&mut reading, NOTED).await?.unwrap_or_default())
    }

    /// Entries that are not known to be in the audit log's file, with their numbers there.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn unwritten(&self) -> Result<Vec<(u64, AuditLine)>, StoreError> {
        let rows =
            sqlx::query("SELECT number, at, actor, action, subject, details FROM audit ORDER BY number LIMIT 1000")
                .fetch_all(self.pool())
                .await?;
        rows.iter()
            .map(|row| {
                let details = serde_json::from_slice(row.get(5)).map_err(|error| damaged("an entry", error))?;
                let line = AuditLine {
                    at: Time(unsigned(row.get(1))),
                    actor: row.get(2),
                    action: row.get(3),
                    subject: row.get(4),
                    details,
                };
                Ok((unsigned(row.get(0)), line))
            })
            .collect()
    }

    /// Entries up to this number are in the file.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn written(&self, number: u64) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM audit WHERE number <= $1").bind(signed(number)).execute(self.pool()).await?;
        Ok(())
    }

    /// Puts an alert into the outbox.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn put_alert(&self, alert: &Alert, destinations: &[String]) -> Result<(), StoreError> {
        let mut writing = self.write().await?;
        put(&mut writing, std::slice::from_ref(alert), destinations).await?;
        writing.commit().await?;
        Ok(())
    }

    /// The answer to a request came: it is noted and told of, unless it was. Tells whether it is news.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn keep_answer(
        &self,
        request: B256,
        note: AuditNote,
        (alert, destinations): (&Alert, &[String]),
    ) -> Result<bool, StoreError> {
        let mut writing = self.write().await?;
        let kept = sqlx::query("INSERT OR IGNORE INTO answers (request) VALUES ($1)")
            .bind(request.as_slice())
            .execute(&mut *writing)
            .await?;
        let is_news = kept.rows_affected() > 0;
        if is_news {
            self::note(&mut writing, &[note]).await?;
            put(&mut writing, std::slice::from_ref(alert), destinations).await?;
        }
        writing.commit().await?;
        Ok(is_news)
    }

    /// Alerts that are to be sent now.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn to_send(&self, now: Time, limit: u32) -> Result<Vec<Outgoing>, StoreError> {
        let rows = sqlx::query(
            "SELECT destination, alert, attempts FROM outbox WHERE send_at <= $1 ORDER BY send_at, id LIMIT $2",
        )
        .bind(signed(now.0))
        .bind(i64::from(limit))
        .fetch_all(self.pool())
        .await?;
        rows.iter()
            .map(|row| {
                let alert = serde_json::from_slice(row.get(1)).map_err(|error| damaged("an alert", error))?;
                Ok(Outgoing { destination: row.get(0), alert, attempts: small(row.get(2)) })
            })
            .collect()
    }

    /// An alert was delivered.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn delivered(&self, outgoing: &Outgoing) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM outbox WHERE id = $1 AND destination = $2")
            .bind(&outgoing.alert.id)
            .bind(&outgoing.destination)
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// An alert was not delivered; `again` is when it is tried next, if at all.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn not_delivered(
        &self,
        outgoing: &Outgoing,
        problem: &str,
        again: Option<Time>,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE outbox SET attempts = attempts + 1, problem = $3, send_at = $4 WHERE id = $1 AND destination = $2",
        )
        .bind(&outgoing.alert.id)
        .bind(&outgoing.destination)
        .bind(problem)
        .bind(again.map(|again| signed(again.0)))
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// For each destination that something could not be delivered to: how much, and why last.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn undelivered(&self) -> Result<Vec<(String, u64, String)>, StoreError> {
        let rows = sqlx::query(
            "SELECT destination, count(*), max(problem) FROM outbox WHERE problem IS NOT NULL GROUP BY destination",
        )
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(|row| (row.get(0), unsigned(row.get(1)), row.get(2))).collect())
    }

    /// # Errors
    /// See [`StoreError`].
    pub async fn attestation(&self, job: JobId, round: u32, decision: &str) -> Result<Option<Envelope>, StoreError> {
        let json: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT envelope FROM attestations WHERE job = $1 AND round = $2 AND decision = $3")
                .bind(job.0.as_slice())
                .bind(i64::from(round))
                .bind(decision)
                .fetch_optional(self.pool())
                .await?;
        json.map(|json| serde_json::from_slice(&json).map_err(|error| damaged("an attestation", error))).transpose()
    }

    /// Keeps an attestation; tells the one that was kept first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn keep_attestation(
        &self,
        job: JobId,
        round: u32,
        decision: &str,
        envelope: &Envelope,
        note: AuditNote,
    ) -> Result<(), StoreError> {
        let json = serde_json::to_vec(envelope).map_err(|error| damaged("an attestation", error))?;
        let mut writing = self.write().await?;
        let kept =
            sqlx::query("INSERT OR IGNORE INTO attestations (job, round, decision, envelope) VALUES ($1, $2, $3, $4)")
                .bind(job.0.as_slice())
                .bind(i64::from(round))
                .bind(decision)
                .bind(json)
                .execute(&mut *writing)
                .await?;
        if kept.rows_affected() > 0 {
            self::note(&mut writing, &[note]).await?;
        }
        writing.commit().await?;
        Ok(())
    }
}

/// An entry of the audit log that is to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditLine {
    pub at: Time,
    pub actor: String,
    pub action: String,
    pub subject: String,
    pub details: serde_json::Value,
}
