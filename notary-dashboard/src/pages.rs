//! The pages.

pub(crate) mod about;
mod admission;
pub(crate) mod audit;
pub(crate) mod decide;
pub(crate) mod entry;
pub(crate) mod job;
mod nomination;
pub(crate) mod output;
pub(crate) mod queue;
mod spec;
mod text;

use axum::http::StatusCode;
use lota_market::{B256, model::JobId};

use crate::page::Failure;

pub(crate) async fn not_found() -> Failure {
    Failure::not_found("Nothing is at this address.")
}

pub(crate) async fn wrong_method() -> Failure {
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, "That cannot be asked so", "This address is not for that.")
}

/// The job of an address, as it is written here: `0x` and 64 lower hex digits.
fn job_id(text: &str) -> Result<JobId, Failure> {
    let is_ours = text.len() == 66
        && text.starts_with("0x")
        && text.bytes().skip(2).all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let id: Option<B256> = if is_ours { text.parse().ok() } else { None };
    id.map(JobId).ok_or_else(|| Failure::not_found("A job's id is 0x and 64 hex digits in lower case."))
}

/// That a form is one of this session's.
fn check_token(reader: &crate::site::Reader, token: &str) -> Result<lota_market::Address, Failure> {
    use crate::sessions::digest;
    let session = reader.session.as_ref().ok_or_else(|| Failure::forbidden("Sign in first."))?;
    // Digests are compared, so that the time it takes tells nothing of the token.
    if digest(&session.form_token) == digest(token) {
        Ok(session.account)
    } else {
        Err(Failure::forbidden("The form was of another session than this one; look at it, and send it again."))
    }
}
