//! Answers that are not a success.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use lota_api::ErrorCode;
use lota_bridge::{SubmitError, TransportError, failure::causes};
use lota_http::answers::{self, Refusal, Words};
use lota_market::{AttoFil, asset::Asset, model::Rejection};

use crate::{inbox::NotTaken, order::OrderError, salts::SaltError, store::StoreError, transfers::TransferError};

const WORDS: Words = Words { too_large: "the body is too large", failed: "the daemon failed" };

/// An answer that is not a success.
#[derive(Debug)]
pub(crate) struct HttpError(Refusal);

impl HttpError {
    fn new(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        Self(Refusal::new(status, code, message))
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
        Self(Refusal::new(StatusCode::CONFLICT, ErrorCode::Ambiguous, message).with_problems(candidates))
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::Invalid, message)
    }

    pub(crate) fn invalid_all(message: impl Into<String>, problems: Vec<String>) -> Self {
        Self(Self::invalid(message).0.with_problems(problems))
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
        self.0.into_response()
    }
}

/// Gives what the HTTP library refuses by itself (a method, a body, a query) the form of all other answers.
pub(crate) async fn in_json(response: Response) -> Response {
    answers::in_json(response, WORDS).await
}
