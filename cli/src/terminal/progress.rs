//! Progress for a person who waits: a spinner on a terminal, nothing in a pipe.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A line on stderr that says what is going on, while it goes on.
#[derive(Clone)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Starts it; on anything but a terminal (or when `quiet`) it shows nothing.
    pub(crate) fn start(quiet: bool) -> Self {
        let bar = if quiet || !console::user_attended_stderr() { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed:.dim}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    /// Says what is going on now.
    pub(crate) fn say(&self, text: impl Into<String>) {
        self.0.set_message(text.into());
    }

    /// Removes the line.
    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

