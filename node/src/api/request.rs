//! A job is requested.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use lota_api::{JobRequest, OpenedJob};
use lota_market::spec;

use super::{Api, describe::summary};
use crate::http_error::HttpError;

pub(super) async fn create(
    State(api): State<Arc<Api>>,
    Json(body): Json<JobRequest>,
) -> Result<(StatusCode, Json<OpenedJob>), HttpError> {
    let json = serde_json::to_vec(&body.spec).map_err(|error| HttpError::internal(&error))?;
    let spec = spec::parse_json(&json).map_err(|problems| {
        HttpError::invalid_all("the job's spec is not valid", problems.iter().map(ToString::to_string).collect())
    })?;
    let (job, offer) = api.orders.place(&spec, &body.terms, body.key).await?;
    Ok((StatusCode::CREATED, Json(OpenedJob { job: summary(&api, &job).await?, offer })))
}
