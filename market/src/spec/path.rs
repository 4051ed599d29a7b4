//! Paths in the guest.

use core::fmt;

use serde::{Serialize, Serializer};

use super::MAX_PATH;

/// An absolute path in the guest below the root: `/a/b`, without empty, `.` or `..` parts, of at most [`MAX_PATH`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuestPath(String);

/// Why a text is no [`GuestPath`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// It does not begin with `/`.
    #[error("is not absolute")]
    Relative,
    /// It is `/`.
    #[error("is the root")]
    Root,
    /// It ends with `/`.
    #[error("ends with `/`")]
    TrailingSlash,
    /// It has an empty, `.` or `..` part.
    #[error("has an empty part, `.` or `..`")]
    Dots,
    /// It contains a NUL.
    #[error("contains a NUL")]
    Nul,
    /// It has more than [`MAX_PATH`] bytes.
    #[error("has more than 1024 bytes")]
    TooLong,
}

impl GuestPath {
    /// Checks a path.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn new(text: &str) -> Result<Self, PathFault> {
        let Some(below) = text.strip_prefix('/') else { return Err(PathFault::Relative) };
        if below.is_empty() {
            return Err(PathFault::Root);
        }
        if text.len() > MAX_PATH {
            return Err(PathFault::TooLong);
        }
        if below.ends_with('/') {
            return Err(PathFault::TrailingSlash);
        }
        if below.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(PathFault::Dots);
        }
        if below.contains('\0') {
            return Err(PathFault::Nul);
        }
        Ok(Self(text.to_owned()))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its parts, from the root down; at least one.
    pub fn parts(&self) -> impl Iterator<Item = &str> + '_ {
        self.0.split('/').skip(1)
    }

    /// Whether this is `other` or lies within it.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.strip_prefix(&other.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for GuestPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
