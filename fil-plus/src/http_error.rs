//! Answers that are not a success, in the form of the daemon's.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use lota_api::ErrorCode;
use lota_http::answers::{self, Refusal, Words};

use crate::store::StoreError;

const WORDS: Words =
    Words { too_large: "the body is too large; ask about fewer CIDs at once", failed: "the registry failed" };

/// An answer that is not a success.
#[derive(Debug)]
pub(crate) struct HttpError(Refusal);

impl HttpError {
    fn new(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        Self(Refusal::new(status, code, message))
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorCode::NotFound, message)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::Invalid, message)
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable, message)
    }
}

impl From<StoreError> for HttpError {
    fn from(error: StoreError) -> Self {
        // Where the database lies is nothing for strangers.
        tracing::error!(%error, cause = ?std::error::Error::source(&error), "the registry's database failed");
        Self::unavailable("the registry's records cannot be read now; try again soon")
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

/// Gives what the HTTP library refuses by itself (a method, a body, a query) the form of all other answers.
pub(crate) async fn in_json(response: Response) -> Response {
    answers::in_json(response, WORDS).await
}
