//! Where another notary calls back.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::post,
};
use lota_api::ErrorCode;
use lota_http::answers::Refusal;
use tokio::sync::Semaphore;

use super::{AnswerError, MAX_ANSWER, OtherNotary};
use crate::attestation::AttestationError;

/// Where answers are sent to.
pub const ANSWERS_PATH: &str = "/api/v1/other-notary/answers";
/// Answers that are read at once; further ones are sent away, and come again.
const AT_ONCE: usize = 8;

#[derive(Clone)]
struct Callback {
    notary: Arc<OtherNotary>,
    places: Arc<Semaphore>,
}

impl OtherNotary {
    /// `POST` of an answer's envelope: 204 when it was taken, now or before; an error in the API's form otherwise. Anybody may call: what
    /// counts is the signature.
    pub fn routes(self: Arc<Self>) -> Router {
        let callback = Callback { notary: self, places: Arc::new(Semaphore::new(AT_ONCE)) };
        Router::new().route(ANSWERS_PATH, post(take)).layer(DefaultBodyLimit::max(MAX_ANSWER)).with_state(callback)
    }
}

async fn take(State(callback): State<Callback>, body: Bytes) -> Response {
    let Ok(_place) = callback.places.try_acquire() else {
        return refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::Unavailable,
            "too many answers come at once; try again",
        );
    };
    match callback.notary.accept(&body).await {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => {
            let (status, code) = match &error {
                AnswerError::NotBelieved(AttestationError::NotSigned { .. }) => {
                    (StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized)
                }
                AnswerError::NotBelieved(_) | AnswerError::NoAnswer(_) | AnswerError::Clock { .. } => {
                    (StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::Invalid)
                }
                AnswerError::NotAsked(_) => (StatusCode::NOT_FOUND, ErrorCode::NotFound),
                AnswerError::TooLate { .. } | AnswerError::Contradicts => (StatusCode::CONFLICT, ErrorCode::Conflict),
                AnswerError::Kept(_) => (StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Internal),
            };
            refusal(status, code, &error.to_string())
        }
    }
}

fn refusal(status: StatusCode, code: ErrorCode, message: &str) -> Response {
    Refusal::new(status, code, message).into_response()
}
