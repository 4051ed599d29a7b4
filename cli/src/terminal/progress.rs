//! Progress for a person who waits: a spinner on a terminal, nothing in a pipe.

use std::{sync::Arc, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};

/// A line on stderr that says what is going on, while it goes on. It goes with its last clone.
#[derive(Clone)]
pub(crate) struct Progress(Arc<Line>);

struct Line(ProgressBar);

impl Progress {
    /// Starts it; on anything but a terminal (or when `quiet`) it shows nothing.
    pub(crate) fn start(quiet: bool) -> Self {
        if quiet || !console::user_attended_stderr() {
            return Self(Arc::new(Line(ProgressBar::hidden())));
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed:.dim}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(Arc::new(Line(bar)))
    }

    /// Says what is going on now, in one line.
    pub(crate) fn say(&self, text: impl AsRef<str>) {
        self.0.0.set_message(super::printable(text.as_ref()));
    }

    /// Does something that writes to the terminal, with the line out of the way.
    pub(crate) fn aside<T>(&self, what: impl FnOnce() -> T) -> T {
        self.0.0.suspend(what)
    }

    /// Removes the line.
    pub(crate) fn finish(&self) {
        self.0.0.finish_and_clear();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
