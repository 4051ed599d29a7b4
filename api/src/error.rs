//! Answers that are not a success.

use serde::{Deserialize, Serialize};

use crate::ErrorCode;

/// The body of every answer that is not a success.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApiError {
    pub code: ErrorCode,
    /// What was wrong, with which value, and what to do.
    pub message: String,
    /// Every problem, where there are several (invalid specs).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}
