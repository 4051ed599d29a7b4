//! Answers that are not a success.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use lota_bridge::{SubmitError, TransportError};
use lota_market::model::Rejection;

use super::types::ApiError;
use crate::store::StoreError;

/// An answer that is not a success.
#[derive(Debug)]
pub(crate) struct Failed {
    status: StatusCode,
    body: ApiError,
}

impl Failed {
    fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status, body: ApiError { code: code.to_owned(), message: message.into(), problems: Vec::new() } }
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "the token is missing or not this daemon's; read it from api.json",
        )
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    pub(crate) fn ambiguous(message: impl Into<String>, candidates: Vec<String>) -> Self {
        let mut failed = Self::new(StatusCode::CONFLICT, "ambiguous", message);
        failed.body.problems = candidates;
        failed
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message)
    }

    pub(crate) fn invalid_all(message: impl Into<String>, problems: Vec<String>) -> Self {
        let mut failed = Self::invalid(message);
        failed.body.problems = problems;
        failed
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", message)
    }

    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", message)
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
    }

    pub(crate) fn full(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INSUFFICIENT_STORAGE, "full", message)
    }

    pub(crate) fn internal(error: &dyn std::error::Error) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            source = cause.source();
        }
        tracing::error!(message, "the API failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    #[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
    pub(crate) fn market(error: TransportError) -> Self {
        Self::unavailable(error.to_string())
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::internal(&error)
    }
}

impl From<lota_content::StoreError> for Failed {
    fn from(error: lota_content::StoreError) -> Self {
        match error {
            lota_content::StoreError::StoreFull { .. } => Self::full(error.to_string()),
            error => Self::internal(&error),
        }
    }
}

impl From<SubmitError> for Failed {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Rejected(rejection @ Rejection::InsufficientBalance { .. }) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "insufficient_balance", rejection.to_string())
            }
            SubmitError::Unaffordable { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "insufficient_balance", error.to_string())
            }
            SubmitError::Transport(error) => Self::market(error),
            error => Self::refused(error.to_string()),
        }
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}
