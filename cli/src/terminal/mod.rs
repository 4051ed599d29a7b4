//! What a person sees: stdout is the result, stderr is prose.

mod foreign;
mod markers;
mod progress;
mod table;
mod words;

use std::{
    borrow::Cow,
    io::{self, IsTerminal as _, Write},
};

use anyhow::Context as _;
use serde::Serialize;

pub(crate) use foreign::{Escaper, LogLines, brief, printable};
pub(crate) use markers::{bad, bold, dim, good, job_status, status};
pub(crate) use progress::Progress;
pub(crate) use table::{Column, Table};
pub(crate) use words::{age, file_count, money, plural, short_address, short_id, span, status_name};

/// The message of every failure to write the result; with a closed pipe as its cause the program ends quietly.
pub(crate) const STDOUT_FAILED: &str = "cannot write to stdout";

use foreign::Shown;

/// Writes text to stdout: into a pipe as it is, on a terminal as far as it can be read (and with this command's colours).
///
/// # Errors
/// When stdout cannot be written; a closed pipe ends the program quietly (see `failure`).
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let text = if out.is_terminal() { Shown::Lines.guard(text) } else { Cow::Borrowed(text) };
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context(STDOUT_FAILED)
}

/// Writes one JSON document to stdout.
///
/// # Errors
/// As [`print`].
pub(crate) fn print_json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(value).context("cannot write JSON")?;
    text.push('\n');
    print(&foreign::json(text))
}

/// Tells a person something, on stderr. A closed stderr is nobody to tell.
pub(crate) fn tell(text: &str) {
    // Texts are coloured for stdout, which may be a terminal when stderr is a file.
    let text = if console::colors_enabled_stderr() { Cow::Borrowed(text) } else { console::strip_ansi_codes(text) };
    let _ = writeln!(io::stderr().lock(), "{}", Shown::Lines.guard(&text));
}
