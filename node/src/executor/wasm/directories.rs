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
/// How results are named while they grow, with a number behind.
const ATTEMPT: &str = ".attempt-";
/// How the directories are named that hold files while a program runs, with a number behind.
const FILES: &str = ".files-";

static ATTEMPTS: AtomicU64 = AtomicU64::new(0);

/// One attempt's directories: the result grows in one and is renamed when it is finished. What is left is removed on
/// drop.
#[derive(Debug)]
pub(crate) struct Directories {
    work: PathBuf,
    /// Where the result grows.
    result: PathBuf,
    /// Where files are while the program runs; made when the first one is written.
    files: PathBuf,
}

impl Directories {
    /// Makes the directories of a new attempt and removes what earlier ones left.
    pub(crate) fn make(work: &Path) -> Result<Self, ExecutorError> {
        let failed = |doing| move |source| ExecutorError::WorkDir { path: work.to_owned(), doing, source };
        fs::create_dir_all(work).map_err(failed("making it"))?;
        for entry in fs::read_dir(work).map_err(failed("listing it"))? {
            let name = entry.map_err(failed("listing it"))?.file_name();
            let bytes = name.as_encoded_bytes();
            if name == RESULT || bytes.starts_with(ATTEMPT.as_bytes()) || bytes.starts_with(FILES.as_bytes()) {
                remove(&work.join(name)).map_err(failed("removing what an earlier attempt left"))?;
            }
        }
        let number = format!("{}-{}", std::process::id(), ATTEMPTS.fetch_add(1, Ordering::Relaxed));
        let (result, files) = (work.join(format!("{ATTEMPT}{number}")), work.join(format!("{FILES}{number}")));
        fs::create_dir(&result).map_err(failed("making a directory in it"))?;
        Ok(Self { work: work.to_owned(), result, files })
    }

    /// Where files are while the program runs.
    pub(crate) fn files(&self) -> &Path {
        &self.files
    }

    /// Makes a file of the result.
    pub(crate) fn file(&self, name: &str) -> Result<File, ExecutorError> {
        File::create_new(self.result.join(name)).map_err(|source| self.failed("making a file of the result", source))
    }

    /// Fills the output directories.
    pub(crate) fn place(
        &self,
        tree: &guest::Tree,
        outputs: &[(Output, guest::NodeId)],
    ) -> Result<guest::Totals, ExecutorError> {
        let mut totals = guest::Totals::default();
        let mut place = || {
            let result = guest::open_directory(&self.result)?;
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
            fs::write(self.result.join("exitCode"), exit_code.to_string())?;
            fs::rename(&self.result, &path)
        };
        finish().map_err(|source| self.failed("finishing the result", source))?;
        Ok(path)
    }

    /// Empties the result: it starts over.
    pub(crate) fn clear(&self) -> Result<(), ExecutorError> {
        let clear = || {
            fs::remove_dir_all(&self.result)?;
            fs::create_dir(&self.result)
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
        for path in [&self.result, &self.files] {
            if let Err(error) = remove(path) {
                tracing::warn!(path = %path.display(), %error, "scratch space of a run was not removed");
            }
        }
    }
}

/// Removes a directory and all that is in it, if it is there.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
