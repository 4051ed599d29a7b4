//! The writing half of an export.
//!
//! Every file and directory is made new (`O_EXCL`, `mkdir`) relative to the descriptor of the
//! directory that was made for it, so neither an older file nor a link can be in the way, and a
//! name that occurs twice is an error.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat, symlinkat};
use rustix::io::Errno;
use tokio::sync::mpsc::Receiver;

use super::ExportError;

/// What to write next. Names are checked already; the root's is empty.
#[derive(Debug)]
pub(super) enum Command {
    Enter(String),
    Leave,
    File(String),
    Write(Bytes),
    Close,
    Symlink(String, String),
    /// Everything is there. If the queue ends without it, what was written is removed.
    Finish,
}

/// Carries out the commands, relative to `dest`.
pub(super) fn write(dest: &Path, mut commands: Receiver<Command>) -> Result<(), ExportError> {
    let mut writer = Writer { path: dest.to_owned(), directories: Vec::new(), file: None, made: false };
    let outcome = loop {
        match commands.blocking_recv() {
            Some(Command::Finish) => return Ok(()),
            Some(command) => {
                if let Err(error) = writer.perform(command) {
                    break Err(error);
                }
            }
            None => break Ok(()),
        }
    };
    // the rest of the queue is refused from here on
    drop(commands);
    if writer.made {
        let removed = match std::fs::symlink_metadata(dest) {
            Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(dest),
            Ok(_) => std::fs::remove_file(dest),
            Err(error) => Err(error),
        };
        if let Err(error) = removed {
            tracing::warn!(path = %dest.display(), %error, "an unfinished export stays behind");
        }
    }
    outcome
}

struct Writer {
    /// Of the entry at hand.
    path: PathBuf,
    directories: Vec<OwnedFd>,
    file: Option<File>,
    /// Whether the destination is ours.
    made: bool,
}

impl Writer {
    fn perform(&mut self, command: Command) -> Result<(), ExportError> {
        match command {
            Command::Enter(name) => {
                self.descend(&name);
                let (parent, leaf) = self.place(&name);
                mkdirat(parent, leaf, Mode::from_raw_mode(0o777)).map_err(|error| self.error("create", error))?;
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let directory =
                    openat(parent, leaf, flags, Mode::empty()).map_err(|error| self.error("open", error))?;
                self.made = true;
                self.directories.push(directory);
            }
            Command::Leave => {
                self.directories.pop();
                self.path.pop();
            }
            Command::File(name) => {
                self.descend(&name);
                let (parent, leaf) = self.place(&name);
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = openat(parent, leaf, flags, Mode::from_raw_mode(0o666))
                    .map_err(|error| self.error("create", error))?;
                self.made = true;
                self.file = Some(file.into());
            }
            Command::Write(data) => {
                if let Some(file) = &mut self.file {
                    file.write_all(&data).map_err(|source| ExportError::Io {
                        action: "write",
                        path: self.path.clone(),
                        source,
                    })?;
                }
            }
            Command::Close => {
                self.file = None;
                self.ascend();
            }
            Command::Symlink(name, target) => {
                self.descend(&name);
                let (parent, leaf) = self.place(&name);
                symlinkat(target.as_str(), parent, leaf).map_err(|error| self.error("create", error))?;
                self.made = true;
                self.ascend();
            }
            Command::Finish => {}
        }
        Ok(())
    }

    fn descend(&mut self, name: &str) {
        if !name.is_empty() {
            self.path.push(name);
        }
    }

    fn ascend(&mut self) {
        if !self.directories.is_empty() {
            self.path.pop();
        }
    }

    /// The directory to make an entry in, and its name there; the root is made at its full path.
    fn place<'a>(&'a self, name: &'a str) -> (BorrowedFd<'a>, &'a Path) {
        match self.directories.last() {
            Some(directory) => (directory.as_fd(), Path::new(name)),
            None => (CWD, &self.path),
        }
    }

    fn error(&self, action: &'static str, error: Errno) -> ExportError {
        if error == Errno::EXIST {
            ExportError::Exists { path: self.path.clone() }
        } else {
            ExportError::Io { action, path: self.path.clone(), source: error.into() }
        }
    }
}
