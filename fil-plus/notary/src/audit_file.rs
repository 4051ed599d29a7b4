//! The [audit log](crate::audit_log) in a file: a line for each entry, written through to the disk.

mod export;

use std::{
    fs::{File, OpenOptions},
    io::{BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use lota_market::Time;

pub use export::Export;

use crate::audit_log::{self, BrokenLog, Entry, EntryError, Head, MAX_LINE};

/// The file in a notary's folder.
pub const FILE: &str = "audit.log";
/// The most entries that are read at once.
pub const MAX_PAGE: u32 = 1_000;

/// Why the audit log cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum AuditFileError {
    #[error("the audit log {path} cannot be used")]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the audit log {path} is not what was written; keep it for whoever asks, and begin another folder")]
    Broken {
        path: PathBuf,
        #[source]
        source: BrokenLog,
    },
    #[error(transparent)]
    Entry(#[from] EntryError),
}

/// An audit log that is being written.
#[derive(Debug)]
pub struct AuditFile {
    path: PathBuf,
    file: File,
    head: Head,
    /// Where each line begins, and where the next one will.
    offsets: Vec<u64>,
}

impl AuditFile {
    /// Opens the log of a folder, and checks each of its links. What follows its last line break was torn off by a crash while it was
    /// written, and is removed: nobody was told of it.
    ///
    /// # Errors
    /// See [`AuditFileError`].
    pub fn open(folder: &Path) -> Result<Self, AuditFileError> {
        let path = folder.join(FILE);
        let failed = |source| AuditFileError::File { path: path.clone(), source };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        let mut offsets = vec![0];
        let mut end = 0_u64;
        let mut length = 0_u64;
        let mut buffer = vec![0; MAX_LINE];
        loop {
            let read = file.read(&mut buffer).map_err(failed)?;
            if read == 0 {
                break;
            }
            for (at, _) in buffer[..read].iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
                end = length + at as u64 + 1;
                offsets.push(end);
            }
            length += read as u64;
        }
        if length > end {
            tracing::warn!(path = %path.display(), bytes = length - end, "the audit log's last line was torn off, and is removed");
            file.set_len(end).map_err(failed)?;
            file.sync_all().map_err(failed)?;
        }
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let head = audit_log::verify(BufReader::new(&file), |_| ())
            .map_err(|source| AuditFileError::Broken { path: path.clone(), source })?;
        Ok(Self { path, file, head, offsets })
    }

    /// The end of the log.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head
    }

    /// Appends an entry, and has it on the disk before it returns.
    ///
    /// # Errors
    /// See [`AuditFileError`]; then nothing was appended.
    pub fn append(
        &mut self,
        at: Time,
        actor: &str,
        action: &str,
        subject: &str,
        details: serde_json::Value,
    ) -> Result<(), AuditFileError> {
        let (mut line, head) = audit_log::append(self.head, at, actor, action, subject, details)?;
        line.push('\n');
        let end = self.end();
        let written = self
            .file
            .seek(SeekFrom::Start(end))
            .and_then(|_| self.file.write_all(line.as_bytes()))
            .and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            // What was written of it is torn off, now or when it is opened again.
            let _ = self.file.set_len(end);
            return Err(AuditFileError::File { path: self.path.clone(), source });
        }
        self.head = head;
        self.offsets.push(end + line.len() as u64);
        Ok(())
    }

    fn end(&self) -> u64 {
        self.offsets.last().copied().unwrap_or_default()
    }

    /// Where entries are, from a number on (the first is 1).
    #[must_use]
    pub fn page(&self, from: u64, limit: u32) -> Page {
        let last = self.offsets.len() - 1;
        let first = usize::try_from(from.max(1) - 1).unwrap_or(usize::MAX).min(last);
        let end = first.saturating_add(limit.min(MAX_PAGE) as usize).min(last);
        Page { path: self.path.clone(), number: first as u64 + 1, begin: self.offsets[first], end: self.offsets[end] }
    }

    /// All lines that there are now.
    ///
    /// # Errors
    /// See [`AuditFileError`].
    pub fn export(&self) -> Result<Export, AuditFileError> {
        let file = File::open(&self.path);
        let file = file.map_err(|source| AuditFileError::File { path: self.path.clone(), source })?;
        Ok(Export::new(self.head, self.end(), file))
    }
}

/// Where some entries are: what was written stays as it is, so they can be read while others are appended.
#[derive(Debug)]
pub struct Page {
    path: PathBuf,
    /// Of the first.
    number: u64,
    begin: u64,
    end: u64,
}

impl Page {
    /// The entries. This waits for the disk.
    ///
    /// # Errors
    /// See [`AuditFileError`].
    pub fn read(self) -> Result<Vec<Entry>, AuditFileError> {
        let Self { path, number, begin, end } = self;
        let failed = |source| AuditFileError::File { path: path.clone(), source };
        let mut file = File::open(&path).map_err(failed)?;
        file.seek(SeekFrom::Start(begin)).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(end.saturating_sub(begin)).read_to_end(&mut bytes).map_err(failed)?;
        let broken = |line: u64, problem: String| AuditFileError::Broken {
            path: path.clone(),
            source: BrokenLog::Entry { line, problem },
        };
        (number..)
            .zip(bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()))
            .map(|(number, line)| serde_json::from_slice(line).map_err(|error| broken(number, error.to_string())))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "this is test code")]

    use serde_json::json;

    use super::*;

    fn write(file: &mut AuditFile, count: u64) {
        for _ in 0..count {
            let n = file.head().entries;
            file.append(Time(n), "service", "nominated", "0x01", json!({ "n": n })).expect("written");
        }
    }

    #[test]
    fn a_log_is_continued_and_read_by_pages() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = AuditFile::open(folder.path()).expect("a new one");
        write(&mut file, 3);
        drop(file);
        let mut file = AuditFile::open(folder.path()).expect("the same");
        write(&mut file, 2);
        let numbers = |from, limit| {
            let entries = file.page(from, limit).read().expect("read");
            entries.iter().map(|entry| entry.number).collect::<Vec<_>>()
        };
        assert_eq!(numbers(1, 2), [1, 2]);
        assert_eq!(numbers(4, 100), [4, 5]);
        assert_eq!((numbers(6, 1), numbers(u64::MAX, 1), numbers(0, 1)), (vec![], vec![], vec![1]));
        let mut count = 0;
        let export = file.export().expect("whole");
        // What is appended meanwhile is not of it.
        let end = file.head();
        write(&mut file, 1);
        let head = audit_log::verify(BufReader::new(export.into_reader()), |_| count += 1).expect("linked");
        assert_eq!((head, count), (end, 5));
    }

    #[test]
    fn a_torn_tail_is_removed_and_a_changed_line_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = AuditFile::open(folder.path()).expect("a new one");
        write(&mut file, 3);
        drop(file);
        let path = folder.path().join(FILE);
        let whole = std::fs::read(&path).expect("read");
        let second = whole.iter().position(|byte| *byte == b'\n').expect("lines") + 1;
        for cut in second..whole.len() {
            std::fs::write(&path, &whole[..cut]).expect("written");
            let mut file = AuditFile::open(folder.path()).expect("repaired");
            let left = whole[..cut].iter().filter(|byte| **byte == b'\n').count() as u64;
            assert_eq!(file.head().entries, left);
            write(&mut file, 1);
            drop(file);
            assert_eq!(AuditFile::open(folder.path()).expect("whole").head().entries, left + 1);
        }
        let changed = String::from_utf8(whole).expect("text").replacen("nominated", "rejected!", 1);
        std::fs::write(&path, changed).expect("written");
        assert!(matches!(AuditFile::open(folder.path()), Err(AuditFileError::Broken { .. })));
    }
}
