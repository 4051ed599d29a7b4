//! Answers that are not a success, in the form of the daemon's.

use axum::{
    Json,
    body::to_bytes,
    http::{
        StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use lota_api::{ApiError, ErrorCode};

use crate::store::StoreError;

/// The longest text of the HTTP library's that an answer repeats, in bytes.
const MAX_TEXT: usize = 4 << 10;

/// An answer that is not a success.
#[derive(Debug)]
pub(crate) struct HttpError {
    status: StatusCode,
    body: ApiError,
}

impl HttpError {
    fn new(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        Self { status, body: ApiError { code, message: message.into(), problems: Vec::new() } }
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
        (self.status, Json(self.body)).into_response()
    }
}

/// Gives what the HTTP library refuses by itself (a method, a body, a query) the form of all other answers.
pub(crate) async fn in_json(response: Response) -> Response {
    let status = response.status();
    let is_json =
        response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if is_json || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let text = to_bytes(body, MAX_TEXT).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text).trim().replace(['\n', '\r'], " ");
    let (code, otherwise) = match status {
        StatusCode::NOT_FOUND => (ErrorCode::NotFound, "there is nothing at this path"),
        StatusCode::METHOD_NOT_ALLOWED => (ErrorCode::MethodNotAllowed, "this path takes other methods"),
        StatusCode::PAYLOAD_TOO_LARGE => (ErrorCode::TooLarge, "the body is too large; ask about fewer CIDs at once"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            (ErrorCode::UnsupportedMediaType, "the body must be `Content-Type: application/json`")
        }
        status if status.is_client_error() => (ErrorCode::Invalid, "the request makes no sense"),
        _ => (ErrorCode::Internal, "the registry failed"),
    };
    let message = if text.is_empty() { otherwise.to_owned() } else { text };
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.remove(CONTENT_TYPE);
    let mut answer = HttpError::new(status, code, message).into_response();
    answer.headers_mut().extend(parts.headers);
    answer
}
