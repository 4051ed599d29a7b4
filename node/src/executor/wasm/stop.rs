//! How host code ends a program from inside a host call.

use std::io;

use super::preview1::types::{self, Errno};

/// Why host code ends the program. Travels through the engine as the error of the call.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    #[error("exit code {0}")]
    Exit(u32),
    #[error("out of fuel")]
    OutOfFuel,
    #[error("{0}")]
    OutputFull(String),
    #[error("wall time is over")]
    WallTime,
    #[error("cancelled")]
    Cancelled,
    #[error("{0}")]
    BadCall(&'static str),
    #[error("the host is out of memory: {0}")]
    HostMemory(String),
    #[error("the host failed while {doing}")]
    Host {
        doing: &'static str,
        /// Index of the input that failed; `None` for the work directory.
        input: Option<usize>,
        source: io::Error,
    },
}

impl Stop {
    /// For `map_err`: a failure in the work directory.
    pub(crate) fn work<E: Into<io::Error>>(doing: &'static str) -> impl Fn(E) -> Self {
        move |source| Self::Host { doing, input: None, source: source.into() }
    }

    /// For `map_err`: a failure in an input.
    pub(crate) fn input<E: Into<io::Error>>(index: usize, doing: &'static str) -> impl Fn(E) -> Self {
        move |source| Self::Host { doing, input: Some(index), source: source.into() }
    }
}

/// What a file system call answers instead of success: an error number for the program, or its end.
///
/// Failures of the host never become error numbers, since another host would not have them.
#[derive(Debug)]
pub(crate) enum Fail {
    Errno(Errno),
    Stop(Stop),
}

impl From<Errno> for Fail {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<Stop> for Fail {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<Fail> for types::Error {
    fn from(fail: Fail) -> Self {
        match fail {
            Fail::Errno(errno) => errno.into(),
            Fail::Stop(stop) => stop.into(),
        }
    }
}

impl From<Stop> for types::Error {
    fn from(stop: Stop) -> Self {
        Self::trap(wasmtime::Error::new(stop))
    }
}
