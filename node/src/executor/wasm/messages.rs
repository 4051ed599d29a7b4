//! What strangers' modules and the engine say, as it may be shown.

use crate::executor::{ExecutorError, RunFault};

/// Names come from strangers: short, and without control characters.
pub(crate) fn printable(name: &str) -> String {
    name.chars().take(64).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// An engine's message, in one line of bounded length.
pub(crate) fn printable_message(error: &wasmtime::Error) -> String {
    let text = format!("{error:#}");
    text.chars().take(512).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

pub(crate) fn invalid(error: &wasmtime::Error) -> RunFault {
    RunFault::Invalid { message: printable_message(error) }
}

pub(crate) fn engine_failed(error: &wasmtime::Error) -> ExecutorError {
    ExecutorError::Engine { message: printable_message(error) }
}
