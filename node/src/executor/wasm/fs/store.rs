//! Where the bytes of written files are while the program runs: one host file per guest file, under a name of ours.

use std::cell::OnceCell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};

/// A directory of the host that holds the written files by number. Names that a program chose never reach the host
/// before [`Store::place`].
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    /// Made when it is first needed.
    directory: OnceCell<OwnedFd>,
}

impl Store {
    /// A store at a path where nothing is yet.
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), directory: OnceCell::new() }
    }

    fn directory(&self) -> io::Result<&OwnedFd> {
        if let Some(directory) = self.directory.get() {
            return Ok(directory);
        }
        rustix::fs::mkdir(&self.path, Mode::RWXU)?;
        let directory = open_directory(&self.path)?;
        Ok(self.directory.get_or_init(|| directory))
    }

    /// Makes the host file of a number.
    pub(crate) fn create(&self, number: u64) -> io::Result<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(self.directory()?, name(number), flags, Mode::from_raw_mode(0o644))?)
    }

    /// Opens the host file of a number that was made before.
    pub(crate) fn reopen(&self, number: u64) -> io::Result<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(self.directory()?, name(number), flags, Mode::empty())?)
    }

    /// Removes the host file of a number.
    pub(crate) fn remove(&self, number: u64) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(self.directory()?, name(number), AtFlags::empty())?)
    }

    /// Moves the host file of a number into a directory of the result, under the name that the program gave it.
    pub(crate) fn place(&self, number: u64, directory: &OwnedFd, as_name: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(self.directory()?, name(number), directory, as_name)?)
    }
}

fn name(number: u64) -> String {
    format!("{number:x}")
}

/// Opens a directory of the host, not following a link in its last component.
pub(crate) fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Makes a directory in another and opens it.
pub(crate) fn make_directory(parent: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(parent, name, flags, Mode::empty())?)
}

/// Makes an empty file in a directory of the result.
pub(crate) fn make_empty_file(parent: &OwnedFd, name: &str) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o644))?;
    Ok(())
}

/// Reads at an offset until the buffer is full or the file ends.
pub(crate) fn read_at(file: impl AsFd, mut buffer: &mut [u8], mut offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while !buffer.is_empty() {
        match rustix::io::pread(file.as_fd(), &mut *buffer, offset) {
            Ok(0) => break,
            Ok(n) => {
                buffer = &mut buffer[n..];
                offset += n as u64;
                read += n;
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(read)
}

/// Writes all of `bytes` at an offset.
pub(crate) fn write_at(file: impl AsFd, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(file.as_fd(), bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                bytes = &bytes[n..];
                offset += n as u64;
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
