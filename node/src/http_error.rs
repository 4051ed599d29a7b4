//! Answers that are not a success.

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
use lota_bridge::{SubmitError, TransportError, failure::causes};
use lota_market::{AttoFil, asset::Asset, model::Rejection};

use crate::{inbox::NotTaken, order::OrderError, salts::SaltError, store::StoreError, transfers::TransferError};

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

    pub(crate) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            ErrorCode::Unauthorized,
            "the token is missing or not this daemon's; read it from api.json",
        )
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorCode::NotFound, message)
    }

    pub(crate) fn ambiguous(message: impl Into<String>, candidates: Vec<String>) -> Self {
        let mut failed = Self::new(StatusCode::CONFLICT, ErrorCode::Ambiguous, message);
        failed.body.problems = candidates;
        failed
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::Invalid, message)
    }

    pub(crate) fn invalid_all(message: impl Into<String>, problems: Vec<String>) -> Self {
        let mut failed = Self::invalid(message);
        failed.body.problems = problems;
        failed
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, ErrorCode::Conflict, message)
    }

    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::Refused, message)
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable, message)
    }

    pub(crate) fn full(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INSUFFICIENT_STORAGE, ErrorCode::Full, message)
    }

    pub(crate) fn internal(error: &dyn std::error::Error) -> Self {
        let message = causes(error);
        tracing::error!(message, "the API failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Internal, message)
    }

    #[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
    pub(crate) fn market(error: TransportError) -> Self {
        Self::unavailable(error.to_string())
    }

    /// Why money was not moved, in the market's asset.
    pub(crate) fn transfer(error: TransferError, asset: &Asset) -> Self {
        let error = match error {
            TransferError::TooMany | TransferError::Ending => return Self::unavailable(error.to_string()),
            TransferError::Store(error) => return error.into(),
            TransferError::Broke(error) => return Self::internal(&error),
            TransferError::UnderWay(SubmitError::Unaffordable { .. }) => {
                return Self::new(StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::InsufficientBalance, error.to_string());
            }
            TransferError::UnderWay(_) => return Self::unavailable(error.to_string()),
            TransferError::NotTaken(NotTaken::Unknown(error)) => return Self::market(error),
            TransferError::NotTaken(NotTaken::Bound(money)) => {
                let [held, free, bound] = [money.held, money.free(), money.bound].map(|amount| asset.show(amount));
                let message = match money.bound {
                    AttoFil::ZERO => format!("the account has only {held} in the auction"),
                    _ => format!(
                        "only {free} of the {held} in the auction are free: {bound} are on their way out, or needed by {} bids until these are over",
                        money.bids
                    ),
                };
                return Self::new(StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::InsufficientBalance, message);
            }
            TransferError::Submit(error) => error,
        };
        match error {
            SubmitError::Rejected { rejection: rejection @ Rejection::InsufficientBalance { .. }, .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::InsufficientBalance, rejection.words(asset))
            }
            SubmitError::Unaffordable { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::InsufficientBalance, error.to_string())
            }
            SubmitError::KeyReused { .. } => {
                let message = "the idempotency key was used for another deposit or withdrawal; use another key";
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::KeyReused, message)
            }
            SubmitError::Transport(error) => Self::market(error),
            error => Self::refused(error.words(asset)),
        }
    }
}

impl From<StoreError> for HttpError {
    fn from(error: StoreError) -> Self {
        Self::internal(&error)
    }
}

impl From<lota_content::StoreError> for HttpError {
    fn from(error: lota_content::StoreError) -> Self {
        match error {
            lota_content::StoreError::StoreFull { .. } | lota_content::StoreError::TooManyPins => {
                Self::full(error.to_string())
            }
            lota_content::StoreError::Cid(error) => Self::invalid(error.to_string()),
            error => Self::internal(&error),
        }
    }
}

impl From<OrderError> for HttpError {
    fn from(error: OrderError) -> Self {
        let message = error.to_string();
        match error {
            OrderError::Key
            | OrderError::PricesSwapped { .. }
            | OrderError::WallTooLong(_)
            | OrderError::Unreviewed(_)
            | OrderError::OwnProvider(_)
            | OrderError::FixedPrice(_)
            | OrderError::UnknownAsk(_)
            | OrderError::Auction(_)
            | OrderError::Content { .. } => Self::invalid(message),
            OrderError::KeyReused { .. } => Self::new(StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::KeyReused, message),
            OrderError::NotEnough { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::InsufficientBalance, message)
            }
            OrderError::NotOpened(_) | OrderError::ProviderRefuses { .. } => Self::refused(message),
            OrderError::Ending | OrderError::Unanswered(_) | OrderError::Unseen(_) => Self::unavailable(message),
            OrderError::Salt(SaltError::NoneFree) => Self::unavailable(message),
            OrderError::Salt(SaltError::Store(error)) | OrderError::Store(error) => error.into(),
            OrderError::Salt(SaltError::Market(error)) | OrderError::Market(error) => Self::market(error),
            OrderError::Blocks(error) => error.into(),
        }
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
    let allowed = parts.headers.get(ALLOW).and_then(|methods| methods.to_str().ok());
    let (code, otherwise) = match status {
        StatusCode::NOT_FOUND => (ErrorCode::NotFound, "there is nothing at this path".to_owned()),
        StatusCode::METHOD_NOT_ALLOWED => {
            (ErrorCode::MethodNotAllowed, format!("this path takes only {}", allowed.unwrap_or("other methods")))
        }
        StatusCode::PAYLOAD_TOO_LARGE => (ErrorCode::TooLarge, "the body is too large".to_owned()),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            (ErrorCode::UnsupportedMediaType, "the body must be `Content-Type: application/json`".to_owned())
        }
        status if status.is_client_error() => (ErrorCode::Invalid, "the request makes no sense".to_owned()),
        _ => (ErrorCode::Internal, "the daemon failed".to_owned()),
    };
    let message = if text.is_empty() { otherwise } else { text };
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.remove(CONTENT_TYPE);
    let mut answer = HttpError::new(status, code, message).into_response();
    answer.headers_mut().extend(parts.headers);
    answer
}
