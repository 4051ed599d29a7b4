//! What lies in a log's file, as whoever reads it finds it.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{FORMAT_VERSION, MAGIC, MAX_APPEND, MAX_ENTRY};
use crate::memory::{Entry, EntryReader, LedgerError};

/// Is handed the place of an entry and its bytes.
type VisitBytes<'a> = dyn FnMut(u64, &[u8]) -> Result<(), LedgerError> + 'a;
/// Is handed the place of an entry and the entry.
type VisitEntry<'a> = dyn FnMut(u64, Entry) -> Result<(), LedgerError> + 'a;

pub(super) const PREAMBLE: u64 = 12;
const CHECK: usize = 8;
pub(super) const HEADER: usize = 4 + CHECK;

/// The file, for whoever reads it.
#[derive(Debug)]
pub(in crate::memory) struct LogFile {
    pub(super) file: File,
    pub(super) path: PathBuf,
}

/// The first 8 bytes of the sha2-256 of all parts.
pub(in crate::memory) fn check(parts: &[&[u8]]) -> [u8; CHECK] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    let mut short = [0; CHECK];
    short.copy_from_slice(&hasher.finalize()[..CHECK]);
    short
}

/// Whether the version after the magic is the one that is read here.
pub(super) fn check_version(path: &Path, version: &[u8]) -> Result<(), LedgerError> {
    let path = path.to_owned();
    match version.iter().fold(0u32, |value, byte| (value << 8) | u32::from(*byte)) {
        FORMAT_VERSION => Ok(()),
        0 => Err(LedgerError::NotALedger { path }),
        found if found > FORMAT_VERSION => Err(LedgerError::NewerVersion { path, found, supported: FORMAT_VERSION }),
        found => Err(LedgerError::OlderVersion { path, found, supported: FORMAT_VERSION }),
    }
}

/// What stands at an offset.
enum Found {
    Batch(Vec<u8>),
    End,
    /// The write of the last batch was not completed.
    Torn,
    Damaged {
        offset: u64,
        problem: String,
    },
}

/// Reads into `buffer` what there is; the number of bytes read.
pub(super) fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Whether the rest is empty or zeros: a file system may have grown the file before it wrote the bytes.
fn only_zeros_follow(reader: &mut impl Read) -> io::Result<bool> {
    let mut rest = [0; 4096];
    loop {
        match fill(reader, &mut rest)? {
            0 => return Ok(true),
            read if rest.iter().take(read).any(|byte| *byte != 0) => return Ok(false),
            _ => {}
        }
    }
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |value, byte| (value << 8) | usize::from(*byte))
}

/// The length of the body of the entry with this header, and what the header is to say about body and offset.
fn split(header: &[u8]) -> (usize, &[u8], &[u8]) {
    let (length, check) = header.split_at(4.min(header.len()));
    (number(length), length, check)
}

/// The body of an entry, and the entry's offset.
type Body<'a> = (u64, &'a [u8]);

/// The bodies of the entries of a batch whose content begins at an offset, with their own offsets; or where they do not add up.
fn entries_of(content: &[u8], begin: u64) -> Result<Vec<Body<'_>>, (u64, String)> {
    let (mut entries, mut rest) = (Vec::new(), content);
    while !rest.is_empty() {
        let offset = begin + (content.len() - rest.len()) as u64;
        let wrong = || (offset, "an entry does not match its checksum".to_owned());
        let (header, after) = rest.split_at_checked(HEADER).ok_or_else(wrong)?;
        let (size, length, found) = split(header);
        let (body, after) = after.split_at_checked(size).ok_or_else(wrong)?;
        if found != check(&[length, &offset.to_be_bytes(), body]) {
            return Err(wrong());
        }
        entries.push((offset, body));
        rest = after;
    }
    Ok(entries)
}

fn read_batch(reader: &mut impl Read, offset: u64) -> io::Result<Found> {
    let mut header = [0; HEADER];
    match fill(reader, &mut header)? {
        0 => return Ok(Found::End),
        read if read < HEADER => return Ok(Found::Torn),
        _ => {}
    }
    let (size, length, found) = split(&header);
    if found != check(&[length, &offset.to_be_bytes()]) {
        if only_zeros_follow(reader)? {
            return Ok(Found::Torn);
        }
        return Ok(Found::Damaged { offset, problem: "the header of a batch does not match its checksum".into() });
    }
    if size > MAX_APPEND {
        return Ok(Found::Damaged { offset, problem: format!("a batch claims {size} bytes") });
    }
    let mut content = vec![0; size];
    if fill(reader, &mut content)? < content.len() {
        return Ok(Found::Torn);
    }
    if let Err((offset, problem)) = entries_of(&content, offset + HEADER as u64) {
        return Ok(if only_zeros_follow(reader)? { Found::Torn } else { Found::Damaged { offset, problem } });
    }
    Ok(Found::Batch(content))
}

impl LogFile {
    pub(super) fn io(&self, action: &'static str) -> impl FnOnce(io::Error) -> LedgerError + use<> {
        let path = self.path.clone();
        move |source| LedgerError::Io { action, path, source }
    }

    pub(super) fn damaged(&self, offset: u64, problem: String) -> LedgerError {
        LedgerError::Damaged { path: self.path.clone(), offset, problem }
    }

    pub(super) fn decode(&self, offset: u64, body: &[u8]) -> Result<Entry, LedgerError> {
        serde_ipld_dagcbor::from_slice(body)
            .map_err(|error| self.damaged(offset, format!("an entry cannot be read ({error})")))
    }

    /// The log at `path`, to be read and not changed. It is not locked: another process may go on writing it.
    pub(in crate::memory) fn open_to_read(path: &Path) -> Result<Self, LedgerError> {
        let path = path.to_owned();
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(source) => return Err(LedgerError::Io { action: "opening", path, source }),
        };
        let log = Self { file, path };
        let mut preamble = [0; PREAMBLE as usize];
        let read = fill(&mut &log.file, &mut preamble).map_err(log.io("reading"))?;
        let (magic, version) = preamble.split_at(MAGIC.len());
        if read < preamble.len() || magic != MAGIC {
            return Err(LedgerError::NotALedger { path: log.path });
        }
        check_version(&log.path, version)?;
        Ok(log)
    }

    /// Hands every entry to `visit` with its place, oldest first; a batch that is not whole is left out.
    pub(in crate::memory) fn visit_all(&self, visit: &mut VisitEntry<'_>) -> Result<(), LedgerError> {
        self.walk(PREAMBLE, &mut |place, body| visit(place, self.decode(place, body)?)).map(|_| ())
    }

    /// Walks over all entries of the batches from an offset on; where the last whole one ends, and whether a torn one follows.
    pub(super) fn walk(&self, from: u64, visit: &mut VisitBytes<'_>) -> Result<(u64, bool), LedgerError> {
        (&self.file).seek(SeekFrom::Start(from)).map_err(self.io("seeking in"))?;
        let mut reader = BufReader::with_capacity(1 << 16, &self.file);
        let mut offset = from;
        loop {
            match read_batch(&mut reader, offset).map_err(self.io("reading"))? {
                Found::Batch(content) => {
                    let begin = offset + HEADER as u64;
                    for (offset, body) in
                        entries_of(&content, begin).map_err(|(at, problem)| self.damaged(at, problem))?
                    {
                        visit(offset, body)?;
                    }
                    offset = begin + content.len() as u64;
                }
                Found::End => return Ok((offset, false)),
                Found::Torn => return Ok((offset, true)),
                Found::Damaged { offset, problem } => return Err(self.damaged(offset, problem)),
            }
        }
    }
}

impl EntryReader for LogFile {
    fn read(&self, place: u64) -> Result<(Entry, usize), LedgerError> {
        let mut header = [0; HEADER];
        self.file.read_exact_at(&mut header, place).map_err(self.io("reading"))?;
        let (size, length, found) = split(&header);
        if size > MAX_ENTRY {
            return Err(self.damaged(place, format!("an entry claims {size} bytes")));
        }
        let mut body = vec![0; size];
        self.file.read_exact_at(&mut body, place + HEADER as u64).map_err(self.io("reading"))?;
        if found != check(&[length, &place.to_be_bytes(), &body]) {
            return Err(self.damaged(place, "an entry does not match its checksum".into()));
        }
        Ok((self.decode(place, &body)?, HEADER + size))
    }
}
