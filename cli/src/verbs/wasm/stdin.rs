//! Whether somebody pipes something into this command that nobody reads.

use std::{
    fs::{self, File},
    io::{self, Seek as _},
    os::{
        fd::AsFd as _,
        unix::{
            fs::{FileTypeExt as _, MetadataExt as _},
            process::parent_id,
        },
    },
};

/// Whether something lies on stdin that was meant for this command: it is read by nobody, since a job's standard input is empty.
///
/// What the parent process reads, too, was not meant for this command: the lines of a `while read` loop, a script that a shell
/// reads from a pipe. Nothing is taken out of it.
pub(super) fn is_given() -> bool {
    look().unwrap_or(false)
}

fn look() -> io::Result<bool> {
    let mut file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let stdin = file.metadata()?;
    let kind = stdin.file_type();
    // Without /proc nobody knows, and a warning does no harm.
    let parents = fs::metadata(format!("/proc/{}/fd/0", parent_id()));
    if parents.is_ok_and(|parents| (parents.dev(), parents.ino()) == (stdin.dev(), stdin.ino())) {
        return Ok(false);
    }
    if kind.is_file() {
        return Ok(file.stream_position()? < stdin.len());
    }
    Ok((kind.is_fifo() || kind.is_socket()) && rustix::io::ioctl_fionread(&file)? > 0)
}
