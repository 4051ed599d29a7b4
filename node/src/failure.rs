//! Failures as the agent is told of them.

use std::error::Error;

use lota_bridge::failure::causes;
use lota_market::agent::Failure;

/// A failure that may be gone the next time.
pub(crate) fn temporary(error: impl Error) -> Failure {
    Failure::Temporary(causes(&error))
}
