//! Answers that are not a success, in the one form that all of Lota's servers give them.

use axum::{
    Json,
    body::to_bytes,
    http::{
        StatusCode,
        header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use lota_api::{ApiError, ErrorCode};

/// The longest text of the HTTP library's that an answer repeats, in bytes.
const MAX_TEXT: usize = 4 << 10;

/// An answer that is not a success.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    body: ApiError,
}

impl Refusal {
    pub fn new(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        Self { status, body: ApiError { code, message: message.into(), problems: Vec::new() } }
    }

    /// The same with what else there is to say.
    #[must_use]
    pub fn with_problems(mut self, problems: Vec<String>) -> Self {
        self.body.problems = problems;
        self
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}

/// What a server says in its own words.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    pub too_large: &'static str,
    pub failed: &'static str,
}

/// Gives what the HTTP library refuses by itself (a method, a body, a query) the form of all other answers.
pub async fn in_json(response: Response, words: Words) -> Response {
    let status = response.status();
    let is_json =
        response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if is_json || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let text = to_bytes(body, MAX_TEXT).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text).trim().replace(['\n', '\r'], " ");
    let allowed = parts.headers.get(ALLOW).and_then(|methods| methods.to_str().ok());
    let (code, otherwise) = match status {
        StatusCode::NOT_FOUND => (ErrorCode::NotFound, "there is nothing at this path".to_owned()),
        StatusCode::METHOD_NOT_ALLOWED => {
            (ErrorCode::MethodNotAllowed, format!("this path takes only {}", allowed.unwrap_or("other methods")))
        }
        StatusCode::PAYLOAD_TOO_LARGE => (ErrorCode::TooLarge, words.too_large.to_owned()),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            (ErrorCode::UnsupportedMediaType, "the body must be `Content-Type: application/json`".to_owned())
        }
        status if status.is_client_error() => (ErrorCode::Invalid, "the request makes no sense".to_owned()),
        _ => (ErrorCode::Internal, words.failed.to_owned()),
    };
    let message = if text.is_empty() { otherwise } else { text };
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.remove(CONTENT_TYPE);
    let mut answer = Refusal::new(status, code, message).into_response();
    answer.headers_mut().extend(parts.headers);
    answer
}
