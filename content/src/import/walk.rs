//! Walking a directory tree that may be hostile and may change under our feet.
//!
//! Everything below the root is opened relative to the descriptor of its directory and without
//! following links, so nothing outside of the root can be reached, whatever is renamed meanwhile.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, readlinkat, statat};
use rustix::io::Errno;

use super::pipeline::Pipeline;
use super::{ImportError, ImportOptions, Symlinks};
use crate::source::BlockSink;

/// Imports what is at `path`.
pub(super) fn import<S: BlockSink>(
    pipeline: &mut Pipeline<'_, '_, S>,
    path: &Path,
    options: &ImportOptions,
) -> Result<(), ImportError> {
    let walk = Walk { root: path, options };
    let name = CString::new(path.as_os_str().as_bytes()).map_err(|_| ImportError::Name { path: path.to_owned() })?;
    walk.entry(pipeline, CWD, &name, "", path, 0)
}

struct Walk<'a> {
    root: &'a Path,
    options: &'a ImportOptions,
}

impl Walk<'_> {
    /// Imports one entry of the directory `parent`; `path` is for messages.
    fn entry<S: BlockSink>(
        &self,
        pipeline: &mut Pipeline<'_, '_, S>,
        parent: impl AsFd + Copy,
        file: &CStr,
        name: &str,
        path: &Path,
        depth: usize,
    ) -> Result<(), ImportError> {
        if pipeline.meter.entries >= self.options.max_entries {
            return Err(self.too_many_entries());
        }
        pipeline.meter.check_cancelled()?;
        let stat = statat(parent, file, AtFlags::SYMLINK_NOFOLLOW).map_err(|error| io("inspect", path, error))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                let file = self.open(parent, file, path, FileType::RegularFile)?;
                pipeline.read_file(File::from(file), Some(path))?;
                pipeline.end_file(name)
            }
            FileType::Directory => {
                if depth > self.options.max_depth {
                    return Err(ImportError::TooDeep { path: path.to_owned(), limit: self.options.max_depth });
                }
                let directory = self.open(parent, file, path, FileType::Directory)?;
                pipeline.enter_directory()?;
                let room = self.options.max_entries - pipeline.meter.entries.min(self.options.max_entries);
                for entry in self.names(&directory, path, room)? {
                    let below = path.join(std::ffi::OsStr::from_bytes(entry.as_bytes()));
                    let Ok(name) = entry.to_str() else {
                        return Err(ImportError::Name { path: below });
                    };
                    self.entry(pipeline, directory.as_fd(), &entry, name, &below, depth + 1)?;
                }
                pipeline.leave_directory(name)
            }
            FileType::Symlink => {
                if self.options.symlinks == Symlinks::Refuse {
                    return Err(ImportError::Symlink { path: path.to_owned() });
                }
                let target = readlinkat(parent, file, Vec::new()).map_err(|error| io("read the link", path, error))?;
                let Ok(target) = target.to_str() else {
                    return Err(ImportError::Name { path: path.to_owned() });
                };
                pipeline.symlink(name, target)
            }
            other => Err(ImportError::SpecialFile { path: path.to_owned(), kind: kind(other) }),
        }
    }

    /// Opens what was a file or a directory a moment ago, and makes sure that it still is one.
    fn open(&self, parent: impl AsFd, file: &CStr, path: &Path, expected: FileType) -> Result<OwnedFd, ImportError> {
        // NONBLOCK: a pipe that took the file's place must not make us wait for a writer
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let changed = || ImportError::Changed { path: path.to_owned() };
        let opened = match openat(parent, file, flags, Mode::empty()) {
            Ok(opened) => opened,
            Err(Errno::LOOP | Errno::NXIO) => return Err(changed()),
            Err(error) => return Err(io("open", path, error)),
        };
        let stat = rustix::fs::fstat(&opened).map_err(|error| io("inspect", path, error))?;
        if FileType::from_raw_mode(stat.st_mode) == expected { Ok(opened) } else { Err(changed()) }
    }

    /// The names in a directory, sorted by their bytes; at most `room` of them.
    fn names(&self, directory: &OwnedFd, path: &Path, room: u64) -> Result<Vec<CString>, ImportError> {
        let mut names = Vec::new();
        let listing = Dir::read_from(directory).map_err(|error| io("list", path, error))?;
        for entry in listing {
            let entry = entry.map_err(|error| io("list", path, error))?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            if names.len() as u64 >= room {
                return Err(self.too_many_entries());
            }
            names.push(name.to_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn too_many_entries(&self) -> ImportError {
        ImportError::TooManyEntries { path: self.root.to_owned(), limit: self.options.max_entries }
    }
}

fn kind(file_type: FileType) -> &'static str {
    match file_type {
        FileType::Fifo => "named pipe",
        FileType::Socket => "socket",
        FileType::CharacterDevice => "character device",
        FileType::BlockDevice => "block device",
        _ => "special file",
    }
}

fn io(action: &'static str, path: &Path, error: Errno) -> ImportError {
    ImportError::Io { action, path: path.to_owned(), source: error.into() }
}
