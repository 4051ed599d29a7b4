//! What a person sees: stdout is the result, stderr is prose.

mod markers;
mod progress;
pub(crate) mod streams;
mod table;
mod words;

use std::io::{self, Write};

use anyhow::Context as _;
use serde::Serialize;

pub(crate) use markers::{bad, bold, dim, good, status};
pub(crate) use progress::Progress;
pub(crate) use table::{Column, Table};
pub(crate) use words::{age, file_count, money, plural, printable, short_address, short_id, span, status_name};

/// The message of every failure to write the result; with a closed pipe as its cause the program ends quietly.
pub(crate) const STDOUT_FAILED: &str = "cannot write to stdout";

/// Writes text to stdout.
///
/// # Errors
/// When stdout cannot be written; a closed pipe ends the program quietly (see `failure`).
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context(STDOUT_FAILED)
}

/// Writes one JSON document to stdout.
///
/// # Errors
/// As [`print`].
pub(crate) fn print_json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(value).context("cannot write JSON")?;
    text.push('\n');
    print(&text)
}

/// Tells a person something, on stderr. A closed stderr is nobody to tell.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
