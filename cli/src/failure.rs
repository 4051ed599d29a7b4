//! How the program ends: exit codes, and one line for a person when something went wrong.

use std::io;

use crate::terminal;

/// The exit code for a command line or settings that cannot be understood.
pub(crate) const USAGE: u8 = 2;
/// The exit code for everything else that went wrong.
pub(crate) const FAILED: u8 = 1;
/// The exit code after Ctrl-C (128 + SIGINT).
pub(crate) const INTERRUPTED: u8 = 130;

/// An error that is the caller's: a bad value on the command line, in the environment or in the settings. Exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// Not an error of ours: the program ends with this code and says nothing more.
#[derive(Debug, thiserror::Error)]
#[error("exit code {0}")]
pub(crate) struct ExitWith(pub(crate) u8);

/// Reports an error as one line on stderr; gives the exit code.
pub(crate) fn report(error: &anyhow::Error) -> u8 {
    if let Some(ExitWith(code)) = error.downcast_ref() {
        return *code;
    }
    let broken_pipe = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe);
    if broken_pipe && error.chain().any(|cause| cause.to_string() == terminal::STDOUT_FAILED) {
        return 0;
    }
    terminal::tell(&format!("{} {}", terminal::bad("error:"), line(error)));
    if error.downcast_ref::<Usage>().is_some() { USAGE } else { FAILED }
}

/// The chain of causes in one line. A cause that its effect already quotes is left out.
pub(crate) fn line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        let text = text.trim();
        if text.is_empty() || line.contains(text) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&text.split('\n').map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; "));
    }
    terminal::printable(&line)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn causes_are_joined_and_not_repeated() {
        let error = anyhow!("no such file").context("cannot read a.txt: no such file").context("the job was not sent");
        assert_eq!(line(&error), "the job was not sent: cannot read a.txt: no such file");
    }

    #[test]
    fn an_error_is_one_line_without_control_characters() {
        assert_eq!(line(&anyhow!("first\n  second\x1b[1m\n")), "first; second\\u{1b}[1m");
    }

    #[test]
    fn exit_codes_follow_the_kind_of_error() {
        assert_eq!(report(&anyhow::Error::new(ExitWith(7))), 7);
        assert_eq!(report(&anyhow::Error::new(Usage("bad".to_owned())).context("flag")), USAGE);
        assert_eq!(report(&anyhow!("other")), FAILED);
    }
}
