//! Alerts by signed webhooks.
//!
//! Source: Standard Webhooks (github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md, v1.0.0): `webhook-id`,
//! `webhook-timestamp` and `webhook-signature: v1,<base64>`, an HMAC-SHA256 over `id.timestamp.body`; secrets are `whsec_` and the base64
//! of 24 to 64 bytes. While a secret is replaced, a message carries a signature by each.

use std::time::Duration;

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use lota_fil_plus::answer::timestamp;
use lota_market::Time;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::{Alert, AlertKind, Deliver, DeliverError};
use crate::outgoing::{self, Secrecy, UrlError, place};

/// What begins a secret, as text.
const SECRET_PREFIX: &str = "whsec_";
/// Bytes of a secret.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// The most secrets: the one in use, and those that replace or replaced it.
const MAX_SECRETS: usize = 4;
/// The most time for a delivery: the standard has senders wait 15 to 30 s.
const PATIENCE: Duration = Duration::from_secs(20);
/// The largest body, in bytes: the standard recommends less than 20 kB.
const MAX_BODY: usize = 20_000;
/// The longest id that is sent as it is, in bytes.
const MAX_ID: usize = 128;
/// Bytes of an answer that are read; nothing in it matters.
const MAX_ANSWER: usize = 64 << 10;

/// What messages are signed with.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(not shown)")
    }
}

/// Why there is no webhook.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    #[error(transparent)]
    Url(#[from] UrlError),
    #[error(
        "a webhook's secret is `{SECRET_PREFIX}` and the base64 of {} to {} bytes; make one with `echo {SECRET_PREFIX}$(openssl rand -base64 32)`",
        SECRET_BYTES.start(),
        SECRET_BYTES.end()
    )]
    Secret,
    #[error("a webhook needs 1 to {MAX_SECRETS} secrets; there are {count}")]
    Secrets { count: usize },
    #[error("{0}")]
    Client(String),
}

impl std::str::FromStr for Secret {
    type Err = WebhookError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let encoded = text.trim().strip_prefix(SECRET_PREFIX).ok_or(WebhookError::Secret)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| WebhookError::Secret)?;
        if SECRET_BYTES.contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(WebhookError::Secret) }
    }
}

impl Secret {
    /// The secrets in a file, one on each line; empty lines and those that begin with `#` are left out.
    ///
    /// # Errors
    /// [`WebhookError`] if there are none or one is malformed.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, WebhookError> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let secrets = lines.map(str::parse).collect::<Result<Vec<Self>, _>>()?;
        match secrets.len() {
            1..=MAX_SECRETS => Ok(secrets),
            count => Err(WebhookError::Secrets { count }),
        }
    }

    /// The signature of a message, as its header has it.
    fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> Option<String> {
        // HMAC takes keys of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    }
}

/// A receiver of webhooks.
#[derive(Clone, Debug)]
pub struct Webhook {
    name: String,
    url: Url,
    secrets: Vec<Secret>,
    client: reqwest::Client,
    /// The receiver's clock and ours are compared by it, so that what was overheard cannot be sent again later.
    clock: fn() -> Time,
}

impl Webhook {
    /// The receiver at this URL, which is encrypted unless it is on this machine.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub fn new(name: impl Into<String>, url: &str, secrets: Vec<Secret>) -> Result<Self, WebhookError> {
        Self::with_clock(name, url, secrets, PATIENCE, outgoing::clock)
    }

    fn with_clock(
        name: impl Into<String>,
        url: &str,
        secrets: Vec<Secret>,
        patience: Duration,
        clock: fn() -> Time,
    ) -> Result<Self, WebhookError> {
        if !(1..=MAX_SECRETS).contains(&secrets.len()) {
            return Err(WebhookError::Secrets { count: secrets.len() });
        }
        let url = outgoing::parse(url, Secrecy::Encrypted)?;
        let client = outgoing::client(patience).map_err(WebhookError::Client)?;
        Ok(Self { name: name.into(), url, secrets, client, clock })
    }
}

#[async_trait]
impl Deliver for Webhook {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, alert: &Alert) -> Result<(), DeliverError> {
        let permanent = |why: String| DeliverError::Permanent(why);
        let body = body(alert).map_err(|error| permanent(format!("the alert cannot be written as JSON: {error}")))?;
        let (id, now) = (message_id(&alert.id), (self.clock)().0);
        let signatures: Vec<String> = self.secrets.iter().filter_map(|secret| secret.sign(&id, now, &body)).collect();
        let request = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", now.to_string())
            .header("webhook-signature", signatures.join(" "))
            .body(body);
        let answered = outgoing::ask(request, &self.url, MAX_ANSWER).await;
        let answered = answered.map_err(|error| DeliverError::Temporary(error.to_string()))?;
        let (place, status) = (place(&self.url), answered.status);
        match status {
            200..=299 => Ok(()),
            // It wants no more of these, or never this one.
            410 => Err(permanent(format!("{place} answered HTTP 410: it wants no more messages"))),
            400 | 413 | 415 | 422 => {
                Err(permanent(format!("{place} answered HTTP {status}: it does not take the message")))
            }
            300..=399 => Err(DeliverError::Temporary(format!(
                "{place} answered HTTP {status}: redirects are not followed; name the URL that it leads to"
            ))),
            _ => Err(DeliverError::Temporary(format!("{place} answered HTTP {status}"))),
        }
    }
}

/// What a message is called: the alert's id, if a header may hold it and the signature's separator is not in it.
pub(super) fn message_id(id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':' | b'/');
    if !id.is_empty() && id.len() <= MAX_ID && id.bytes().all(plain) {
        return id.to_owned();
    }
    hex::encode(Sha256::digest(id))
}

/// The kind of an alert, as the standard names types.
const fn kind(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Nominated => "notary.nominated",
        AlertKind::NeedsVote => "notary.needs_vote",
        AlertKind::Blessed => "notary.blessed",
        AlertKind::Granted => "notary.granted",
        AlertKind::Ended => "notary.ended",
        AlertKind::GrantFailed => "notary.grant_failed",
        AlertKind::Paid => "notary.paid",
        AlertKind::NotPaid => "notary.not_paid",
        AlertKind::Answered => "notary.answered",
        AlertKind::Problem => "notary.problem",
    }
}

/// The same bytes for the same alert. Details that are too long are left out.
fn body(alert: &Alert) -> Result<Vec<u8>, serde_json::Error> {
    let whole = |text: &str, details: &Value| {
        serde_json::to_vec(&json!({
            "type": kind(alert.kind),
            "timestamp": timestamp(alert.at.0),
            "data": { "id": alert.id, "job": alert.job, "text": text, "details": details },
        }))
    };
    let body = whole(&alert.text, &alert.details)?;
    if body.len() <= MAX_BODY {
        return Ok(body);
    }
    let text: String = alert.text.chars().take(1_000).collect();
    whole(&text, &json!({ "left_out": format!("the message had {} bytes", body.len()) }))
}

#[cfg(test)]
mod tests;
