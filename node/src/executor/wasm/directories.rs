//! The directories of one run on the host.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::fs as guest;
use super::stop::Stop;
use crate::executor::{ExecutorError, Output};

/// Name of the finished result in the work directory.
const RESULT: &str = "result";
/// How attempts are named while they run, with a number behind.
const ATTEMPT: &str = ".attempt-";

static ATTEMPTS: AtomicU64 = AtomicU64::new(0);

/// One attempt's directory: `result` grows in it and moves out of it when it is finished. Removed on drop.
#[derive(Debug)]
pub(crate) struct Directories {
    work: PathBuf,
    attempt: PathBuf,
}

impl Directories {
    /// Makes the directories of a new attempt and removes what earlier ones left.
    pub(crate) fn make(work: &Path) -> Result<Self, ExecutorError> {
        let failed = |doing| move |source| ExecutorError::WorkDir { path: work.to_owned(), doing, source };
        fs::create_dir_all(work).map_err(failed("making it"))?;
        for entry in fs::read_dir(work).map_err(failed("listing it"))? {
            let entry = entry.map_err(failed("listing it"))?;
            let name = entry.file_name();
            if name == RESULT || name.as_encoded_bytes().starts_with(ATTEMPT.as_bytes()) {
                match fs::remove_dir_all(entry.path()) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(failed("removing what an earlier attempt left")(error));
                    }
                    _ => {}
                }
            }
        }
        let number = ATTEMPTS.fetch_add(1, Ordering::Relaxed);
        let attempt = work.join(format!("{ATTEMPT}{}-{number}", std::process::id()));
        let this = Self { work: work.to_owned(), attempt };
        for directory in [&this.attempt, &this.result(), &this.store()] {
            fs::create_dir(directory).map_err(failed("making a directory in it"))?;
        }
        Ok(this)
    }

    fn result(&self) -> PathBuf {
        self.attempt.join(RESULT)
    }

    /// Where files are while the program runs.
    pub(crate) fn store(&self) -> PathBuf {
        self.attempt.join("files")
    }

    /// Makes a file of the result.
    pub(crate) fn file(&self, name: &str) -> Result<File, ExecutorError> {
        File::create_new(self.result().join(name)).map_err(|source| self.failed("making a file of the result", source))
    }

    /// Fills the output directories.
    pub(crate) fn place(
        &self,
        tree: &guest::Tree,
        outputs: &[(Output, guest::NodeId)],
    ) -> Result<guest::Totals, ExecutorError> {
        let mut totals = guest::Totals::default();
        let mut place = || {
            let result = guest::open_directory(&self.result())?;
            for (output, node) in outputs {
                tree.place(*node, &guest::make_directory(&result, &output.name)?, &mut totals)?;
            }
            Ok(())
        };
        place().map_err(|source| self.failed("moving the outputs into the result", source))?;
        Ok(totals)
    }

    /// Writes the exit code, moves the result to its final place, and answers that.
    pub(crate) fn finish(self, exit_code: u32) -> Result<PathBuf, ExecutorError> {
        let path = self.work.join(RESULT);
        let finish = || {
            fs::write(self.result().join("exitCode"), exit_code.to_string())?;
            fs::rename(self.result(), &path)
        };
        finish().map_err(|source| self.failed("finishing the result", source))?;
        Ok(path)
    }

    /// Removes everything but keeps the attempt: the result starts over.
    pub(crate) fn clear(&self) -> Result<(), ExecutorError> {
        let clear = || {
            fs::remove_dir_all(self.result())?;
            fs::create_dir(self.result())
        };
        clear().map_err(|source| self.failed("clearing the result", source))
    }

    pub(crate) fn failed(&self, doing: &'static str, source: io::Error) -> ExecutorError {
        ExecutorError::WorkDir { path: self.work.clone(), doing, source }
    }

    /// For `map_err` on what a stream or a file answers: only failures of the host are expected here.
    pub(crate) fn stopped(&self, stop: Stop) -> ExecutorError {
        match stop {
            Stop::Host { doing, source, .. } => self.failed(doing, source),
            other => ExecutorError::Engine { message: other.to_string() },
        }
    }
}

impl Drop for Directories {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.attempt)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.attempt.display(), %error, "scratch space of a run was not removed");
        }
    }
}
