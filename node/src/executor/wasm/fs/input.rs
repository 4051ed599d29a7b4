//! Inputs on the host: opened below one directory each, no link ever followed.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

/// What a name in a directory stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Directory,
    File,
}

/// One input: a directory or a file of the host, held open.
#[derive(Debug)]
pub(crate) struct InputRoot {
    fd: OwnedFd,
    kind: Kind,
}

impl InputRoot {
    /// Opens an input.
    ///
    /// # Errors
    ///
    /// When it is missing, unreadable, a symbolic link, or neither a directory nor a regular file.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        // Without NONBLOCK, opening a named pipe would wait for a writer.
        let fd = rustix::fs::open(path, READ | OFlags::NONBLOCK, Mode::empty())?;
        let kind = kind_of(FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode))
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "neither a regular file nor a directory"))?;
        Ok(Self { fd, kind })
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Lists a directory below this input: regular files and directories with UTF-8 names, in no order.
    pub(crate) fn list(&self, path: &[&str]) -> io::Result<Vec<(String, Kind)>> {
        let fd = self.walk(path)?;
        let directory = match &fd {
            Some(fd) => fd.as_fd(),
            None => self.fd.as_fd(),
        };
        let mut entries = Vec::new();
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let Some(name) = plain(entry.file_name()) else { continue };
            let file_type = match entry.file_type() {
                FileType::Unknown => {
                    FileType::from_raw_mode(rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode)
                }
                known => known,
            };
            if let Some(kind) = kind_of(file_type) {
                entries.push((name.to_owned(), kind));
            }
        }
        Ok(entries)
    }

    /// Opens a regular file below this input (or this input itself) for reading; also answers its size in bytes.
    pub(crate) fn open_file(&self, path: &[&str]) -> io::Result<(OwnedFd, u64)> {
        let fd = match path.split_last() {
            None => self.fd.try_clone()?,
            Some((name, parents)) => {
                let parent = self.walk(parents)?;
                rustix::fs::openat(self.base(parent.as_ref()), *name, READ | OFlags::NONBLOCK, Mode::empty())?
            }
        };
        let stat = rustix::fs::fstat(&fd)?;
        Ok((fd, file_size(&stat)?))
    }

    /// The size, in bytes, of a regular file below this input (or of this input itself).
    pub(crate) fn size(&self, path: &[&str]) -> io::Result<u64> {
        let stat = match path.split_last() {
            None => rustix::fs::fstat(&self.fd)?,
            Some((name, parents)) => {
                let parent = self.walk(parents)?;
                rustix::fs::statat(self.base(parent.as_ref()), *name, AtFlags::SYMLINK_NOFOLLOW)?
            }
        };
        file_size(&stat)
    }

    fn base<'a>(&'a self, fd: Option<&'a OwnedFd>) -> BorrowedFd<'a> {
        fd.map_or(self.fd.as_fd(), AsFd::as_fd)
    }

    /// Opens a directory below this input, one component after the other; `None` for the input itself.
    fn walk(&self, path: &[&str]) -> io::Result<Option<OwnedFd>> {
        let mut fd = None;
        for name in path {
            let next = rustix::fs::openat(self.base(fd.as_ref()), *name, READ | OFlags::DIRECTORY, Mode::empty())?;
            fd = Some(next);
        }
        Ok(fd)
    }
}

const READ: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A name that the program may see.
fn plain(name: &CStr) -> Option<&str> {
    name.to_str().ok().filter(|name| !matches!(*name, "" | "." | ".."))
}

fn kind_of(file_type: FileType) -> Option<Kind> {
    match file_type {
        FileType::Directory => Some(Kind::Directory),
        FileType::RegularFile => Some(Kind::File),
        _ => None,
    }
}

fn file_size(stat: &rustix::fs::Stat) -> io::Result<u64> {
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no longer a regular file"));
    }
    u64::try_from(stat.st_size).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "negative file size"))
}
