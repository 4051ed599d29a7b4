//! Failures as the agent is told of them.

use std::error::Error;

use lota_market::agent::Failure;

/// An error and its causes, in one line.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// A failure that may be gone the next time.
pub(crate) fn temporary(error: impl Error) -> Failure {
    Failure::Temporary(with_causes(&error))
}
