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
    time::Duration,
};

use tokio::io::{Interest, unix::AsyncFd};

/// How long a pipe is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Whether something lies on stdin that was meant for this command: it is read by nobody, since a job's standard input is empty.
///
/// What the parent process reads, too, was not meant for this command: the lines of a `while read` loop, a script that a shell
/// reads from a pipe. Nothing is taken out of it.
pub(super) async fn is_given() -> bool {
    look().await.unwrap_or(false)
}

async fn look() -> io::Result<bool> {
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
    if kind.is_fifo() || kind.is_socket() {
        let pipe = AsyncFd::with_interest(file, Interest::READABLE)?;
        // A pipe that is closed and empty is ready as well, but there is nothing to read.
        return match tokio::time::timeout(LOOK, pipe.readable()).await {
            Ok(ready) => Ok(ready?.ready().is_readable()),
            Err(_) => Ok(false),
        };
    }
    Ok(false)
}
