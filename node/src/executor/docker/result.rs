//! A run's directories on this machine.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::executor::ExecutorError;

/// Name of the finished result in the work directory.
const RESULT: &str = "result";
/// How results are named while they grow, with a number behind.
const ATTEMPT: &str = ".attempt-";

static ATTEMPTS: AtomicU64 = AtomicU64::new(0);

/// The result of one attempt while it grows; removed on drop unless it was finished.
#[derive(Debug)]
pub(super) struct Growing {
    work: PathBuf,
    pub(super) path: PathBuf,
}

impl Growing {
    /// Begins a result, and removes what earlier attempts left.
    pub(super) fn begin(work: &Path) -> Result<Self, ExecutorError> {
        let failed = |doing| move |source| ExecutorError::WorkDir { path: work.to_owned(), doing, source };
        fs::create_dir_all(work).map_err(failed("making it"))?;
        for entry in fs::read_dir(work).map_err(failed("listing it"))? {
            let name = entry.map_err(failed("listing it"))?.file_name();
            if name == RESULT || name.as_encoded_bytes().starts_with(ATTEMPT.as_bytes()) {
                fs::remove_dir_all(work.join(name)).map_err(failed("removing what an earlier attempt left"))?;
            }
        }
        let number = format!("{}-{}", std::process::id(), ATTEMPTS.fetch_add(1, Ordering::Relaxed));
        let path = work.join(format!("{ATTEMPT}{number}"));
        fs::create_dir(&path).map_err(failed("making a directory in it"))?;
        Ok(Self { work: work.to_owned(), path })
    }

    pub(super) fn file(&self, name: &str) -> Result<File, ExecutorError> {
        File::create_new(self.path.join(name)).map_err(|source| self.failed("making a file of the result", source))
    }

    pub(super) fn failed(&self, doing: &'static str, source: io::Error) -> ExecutorError {
        ExecutorError::WorkDir { path: self.work.clone(), doing, source }
    }

    /// Writes the exit code, moves the result to its place, and answers that.
    pub(super) fn finish(self, exit_code: u32) -> Result<PathBuf, ExecutorError> {
        let result = self.work.join(RESULT);
        fs::write(self.path.join("exitCode"), exit_code.to_string())
            .and_then(|()| fs::rename(&self.path, &result))
            .map_err(|source| self.failed("finishing the result", source))?;
        Ok(result)
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %self.path.display(), %error, "what a run left was not removed");
            }
            _ => {}
        }
    }
}
