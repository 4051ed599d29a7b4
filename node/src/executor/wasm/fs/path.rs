//! Guest paths: what may be a name, and how a path is taken apart.

use crate::executor::wasm::preview1::types::Errno;

/// Longest name of one file or directory, in bytes.
pub const NAME_BYTES: usize = 255;
/// Longest path, in bytes, that a program may pass.
pub const PATH_BYTES: usize = 4096;
/// Longest path, in bytes, of anything that is made, counted from its output's directory.
pub const MADE_BYTES: usize = 1024;
/// Most components of that path.
pub const MADE_DEPTH: usize = 64;

/// One step of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// `.`
    Here,
    /// `..`
    Up,
    /// Anything else.
    Down(&'a str),
}

/// A relative path that was found well-formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Steps<'a> {
    /// At least one step; empty ones (`a//b`) are left out.
    pub(crate) steps: Vec<Step<'a>>,
    /// Whether only a directory can be meant: the path ends in `/`, `.` or `..`.
    pub(crate) directory: bool,
}

/// Takes apart what a program passed.
///
/// # Errors
///
/// `noent` for the empty path, `perm` for an absolute one (as with every WASI host, a path is relative to the directory
/// it comes with; libraries turn absolute ones into paths relative to the root that they were given), `nametoolong`,
/// and `inval` for NUL.
pub(crate) fn parse(path: &str) -> Result<Steps<'_>, Errno> {
    if path.is_empty() {
        return Err(Errno::Noent);
    }
    if path.starts_with('/') {
        return Err(Errno::Perm);
    }
    if path.len() > PATH_BYTES {
        return Err(Errno::Nametoolong);
    }
    if path.contains('\0') {
        return Err(Errno::Inval);
    }
    let mut steps = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        steps.push(match part {
            "." => Step::Here,
            ".." => Step::Up,
            name if name.len() > NAME_BYTES => return Err(Errno::Nametoolong),
            name => Step::Down(name),
        });
    }
    let directory = path.ends_with('/') || !matches!(steps.last(), Some(Step::Down(_)));
    Ok(Steps { steps, directory })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_fall_into_steps() {
        let parsed = parse("a//./b/../c").unwrap();
        assert_eq!(parsed.steps, [Step::Down("a"), Step::Here, Step::Down("b"), Step::Up, Step::Down("c")]);
        assert!(!parsed.directory);
        for path in ["a/", "a/.", "a/..", ".", "./"] {
            assert!(parse(path).unwrap().directory, "{path}");
        }
    }

    #[test]
    fn malformed_paths_are_refused() {
        assert_eq!(parse(""), Err(Errno::Noent));
        assert_eq!(parse("/etc"), Err(Errno::Perm));
        assert_eq!(parse("a\0b"), Err(Errno::Inval));
        assert_eq!(parse(&"n".repeat(256)), Err(Errno::Nametoolong));
        assert!(parse(&"n".repeat(255)).is_ok());
        assert_eq!(parse(&"n/".repeat(2049)), Err(Errno::Nametoolong));
    }
}
