//! What can go wrong with a call to a chain's node, and how nodes say it.

use std::time::Duration;

use alloy::{
    rpc::json_rpc::{ErrorPayload, RpcError as AlloyRpcError},
    transports::{TransportError as AlloyError, TransportErrorKind},
};
use lota_market::Bytes;
use serde::Deserialize;
use serde_json::Value;

use crate::{failure::causes, transport::TransportError};

/// The longest text of a node that is passed on, in characters.
pub(super) const MAX_TEXT: usize = 500;

/// Why a call to a chain's node came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// No answer: trying again later may help.
    #[error("{problem}")]
    Unavailable {
        problem: String,
        /// How long the node wants to be left alone, where it says so.
        retry_after: Option<Duration>,
    },
    /// The node answers that it will not.
    #[error("the node refuses: {} (code {})", .0.message, .0.code)]
    Refused(Refusal),
    /// The answer, or the URL, makes no sense.
    #[error("{0}")]
    Malformed(String),
    /// The node serves another chain than the configured one.
    #[error("the node serves chain {found}, but chain {wanted} is configured; change the URL or the network preset")]
    WrongChain {
        /// The configured chain id.
        wanted: u64,
        /// The one that answered.
        found: u64,
    },
}

/// A node's error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// JSON-RPC's code.
    pub code: i64,
    /// The node's words, shortened.
    pub message: String,
    /// What a contract reverted with, wherever the node put it.
    pub data: Option<Bytes>,
}

impl RpcError {
    pub(crate) fn unavailable(problem: impl Into<String>) -> Self {
        Self::Unavailable { problem: problem.into(), retry_after: None }
    }

    /// Whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Refused(_))
    }
}

impl From<RpcError> for TransportError {
    fn from(error: RpcError) -> Self {
        match error {
            RpcError::Unavailable { problem, .. } => Self::Unavailable(problem),
            RpcError::Refused(_) => Self::Unavailable(error.to_string()),
            RpcError::Malformed(problem) => Self::Malformed(problem),
            RpcError::WrongChain { wanted, found } => Self::WrongChain { wanted, found },
        }
    }
}

pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Data of a revert that a node wrote into a text: Lotus' `revert reason=[0x…]`, others' `Reverted 0x…`.
fn revert_within(text: &str) -> Option<Bytes> {
    const MARKS: [&str; 4] = ["revert reason=[0x", "revert reason: 0x", "reverted 0x", "reverted: 0x"];
    let lower = text.to_ascii_lowercase();
    MARKS.iter().find_map(|mark| {
        let digits = lower.get(lower.find(mark)? + mark.len()..)?.split(|c: char| !c.is_ascii_hexdigit()).next()?;
        format!("0x{digits}").parse().ok()
    })
}

fn hex_of(value: &Value) -> Option<Bytes> {
    match value {
        Value::String(text) => text.parse().ok().or_else(|| revert_within(text)),
        Value::Object(fields) => fields.values().find_map(hex_of),
        _ => None,
    }
}

fn refusal(payload: &ErrorPayload) -> Refusal {
    let data = payload.data.as_ref().and_then(|data| serde_json::from_str(data.get()).ok());
    Refusal {
        code: payload.code,
        message: shortened(&payload.message),
        data: data.as_ref().and_then(hex_of).or_else(|| revert_within(&payload.message)),
    }
}

/// How long a node wants to be left alone, where it says so in the data of its error (Infura's `rate.backoff_seconds`).
fn asked_pause(payload: &ErrorPayload) -> Option<Duration> {
    let data: Value = serde_json::from_str(payload.data.as_ref()?.get()).ok()?;
    let seconds = data.get("rate")?.get("backoff_seconds")?.as_f64()?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn answered(payload: &ErrorPayload) -> RpcError {
    if payload.is_retry_err() {
        let problem = format!("the node asks for patience: {}", shortened(&payload.message));
        RpcError::Unavailable { problem, retry_after: asked_pause(payload) }
    } else {
        RpcError::Refused(refusal(payload))
    }
}

/// Lotus sends its errors with an HTTP status of failure.
fn of_http(status: u16, body: &str, retry_after: Option<Duration>) -> RpcError {
    #[derive(Deserialize)]
    struct Envelope {
        error: ErrorPayload,
    }
    if status == 429 {
        let problem = "the node answers too many requests (HTTP 429)".into();
        return RpcError::Unavailable { problem, retry_after };
    }
    if let Ok(envelope) = serde_json::from_str::<Envelope>(body) {
        return answered(&envelope.error);
    }
    let problem = format!("the node answers HTTP {status}: {}", shortened(body.trim()));
    if status == 413 {
        return RpcError::Refused(Refusal { code: i64::from(status), message: problem, data: None });
    }
    RpcError::Unavailable { problem, retry_after }
}

pub(super) fn of_client(error: AlloyError) -> RpcError {
    match error {
        AlloyRpcError::ErrorResp(payload) => answered(&payload),
        AlloyRpcError::Transport(TransportErrorKind::HttpError(error)) => of_http(error.status, &error.body, None),
        AlloyRpcError::Transport(TransportErrorKind::HttpErrorWithRetryAfter { error, retry_after }) => {
            of_http(error.status, &error.body, Some(retry_after))
        }
        AlloyRpcError::Transport(other) => RpcError::unavailable(shortened(&causes(&other))),
        AlloyRpcError::DeserError { err, text } => {
            // As likely a gateway's page as a node's mistake.
            RpcError::unavailable(format!("the node's answer makes no sense ({err}): `{}`", shortened(&text)))
        }
        other => RpcError::Malformed(shortened(&other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(text: &str) -> ErrorPayload {
        serde_json::from_str(text).expect("an error")
    }

    /// `InvalidRecipient()`.
    const SELECTOR: &str = "0x9c8d2cd2";

    #[test]
    fn a_reverts_data_is_found_wherever_a_node_puts_it() {
        for text in [
            format!(r#"{{"code":3,"message":"execution reverted","data":"{SELECTOR}"}}"#),
            format!(r#"{{"code":-32000,"message":"VM Exception","data":{{"result":"{SELECTOR}"}}}}"#),
            format!(r#"{{"code":-32015,"message":"VM execution error.","data":"Reverted {SELECTOR}"}}"#),
            format!(
                r#"{{"code":1,"message":"message execution failed (exit=[33], revert reason=[{SELECTOR}], vm error=[f0410 0x01])"}}"#
            ),
        ] {
            let error = answered(&payload(&text));
            let RpcError::Refused(Refusal { data: Some(data), .. }) = &error else { panic!("{text}: {error:?}") };
            assert_eq!(data.to_string(), SELECTOR, "{text}");
            let in_http = of_http(500, &format!(r#"{{"jsonrpc":"2.0","id":1,"error":{text}}}"#), None);
            assert_eq!(in_http, error, "{text}");
        }
        let other = payload(r#"{"code":1,"message":"contract 0xdeadbeefdeadbeef reverted"}"#);
        assert!(matches!(answered(&other), RpcError::Refused(Refusal { data: None, .. })));
    }

    #[test]
    fn what_passes_by_itself_is_told_from_what_does_not() {
        let after = Some(Duration::from_secs(7));
        let problem = "the node answers too many requests (HTTP 429)".to_owned();
        assert_eq!(of_http(429, "", after), RpcError::Unavailable { problem, retry_after: after });
        for status in [401, 500, 502, 503] {
            assert!(matches!(of_http(status, "<html>", None), RpcError::Unavailable { .. }), "{status}");
        }
        assert!(matches!(of_http(413, "", None), RpcError::Refused(_)));
        let limited = payload(r#"{"code":-32005,"message":"daily request count exceeded, request rate limited"}"#);
        assert!(matches!(answered(&limited), RpcError::Unavailable { retry_after: None, .. }));
        let limited = payload(
            r#"{"code":-32005,"message":"project rate limit exceeded","data":{"rate":{"backoff_seconds":2.5,"current_rps":13}}}"#,
        );
        let pause = Some(Duration::from_millis(2_500));
        assert!(matches!(answered(&limited), RpcError::Unavailable { retry_after, .. } if retry_after == pause));
        let slow = payload(r#"{"code":429,"message":"slow down"}"#);
        assert!(matches!(answered(&slow), RpcError::Unavailable { .. }));
    }

    #[test]
    fn long_texts_are_cut_off() {
        assert_eq!(shortened(&"ä".repeat(10_000)).chars().count(), MAX_TEXT + 1);
    }
}
