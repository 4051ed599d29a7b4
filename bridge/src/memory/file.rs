//! A log in a file: append-only, checked, one process at a time.
//!
//! The file begins with 8 bytes of magic and 4 of format version. Each entry is a header of 12 bytes (length of the body;
//! first 8 bytes of the sha2-256 of that length and the entry's offset) and a body (DAG-CBOR, then 8 bytes of its sha2-256).
//! All integers are big-endian. The header's check makes a torn tail, which is cut off on opening, different from damage in
//! the middle, which is an error.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{Entry, Ledger, LedgerError};
use crate::transport::MAX_COMMAND;

/// What such a file begins with.
pub const MAGIC: [u8; 8] = *b"LOTALEDG";
/// The format version that is written and read. 1: logs of the contract's first edition, whose commands and events had other fields.
pub const FORMAT_VERSION: u32 = 2;
/// The most bytes of one entry: a command and what belongs to it.
pub const MAX_ENTRY: usize = MAX_COMMAND + 64 * 1024;

const PREAMBLE: u64 = 12;
const CHECK: usize = 8;
const HEADER: usize = 4 + CHECK;

/// When a written entry reaches the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Before it is acknowledged: it survives a power cut.
    #[default]
    EveryEntry,
    /// When the operating system likes: it survives a crash of the process.
    OperatingSystem,
}

/// A log in a file; see the module's documentation.
#[derive(Debug)]
pub struct FileLedger {
    file: File,
    path: PathBuf,
    end: u64,
    sync: SyncPolicy,
}

fn check(parts: &[&[u8]]) -> [u8; CHECK] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    let mut short = [0; CHECK];
    short.copy_from_slice(&hasher.finalize()[..CHECK]);
    short
}

/// What stands at an offset.
enum Found {
    Entry(Vec<u8>),
    End,
    /// The write of the last entry was not completed.
    Torn,
    Damaged(String),
}

/// Reads into `buffer` what there is; the number of bytes read.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
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

fn read_entry(reader: &mut impl Read, offset: u64) -> io::Result<Found> {
    let mut header = [0; HEADER];
    match fill(reader, &mut header)? {
        0 => return Ok(Found::End),
        read if read < HEADER => return Ok(Found::Torn),
        _ => {}
    }
    let (length, header_check) = header.split_at(4);
    if header_check != check(&[length, &offset.to_be_bytes()]) {
        if only_zeros_follow(reader)? {
            return Ok(Found::Torn);
        }
        return Ok(Found::Damaged("the header of an entry does not match its checksum".into()));
    }
    let length = length.iter().fold(0usize, |value, byte| (value << 8) | usize::from(*byte));
    if length > MAX_ENTRY {
        return Ok(Found::Damaged(format!("an entry claims {length} bytes")));
    }
    let mut body = vec![0; length + CHECK];
    if fill(reader, &mut body)? < body.len() {
        return Ok(Found::Torn);
    }
    let (content, body_check) = body.split_at(length);
    if body_check != check(&[content]) {
        return Ok(if only_zeros_follow(reader)? {
            Found::Torn
        } else {
            Found::Damaged("an entry does not match its checksum".into())
        });
    }
    body.truncate(length);
    Ok(Found::Entry(body))
}

/// Hands every entry of the log at `path` to `visit`, oldest first; neither locks nor changes the file. A torn tail is left out.
pub(super) fn read_file(
    path: &Path,
    visit: &mut dyn FnMut(Entry) -> Result<(), LedgerError>,
) -> Result<(), LedgerError> {
    let failed = |action| {
        let path = path.to_owned();
        move |source| LedgerError::Io { action, path, source }
    };
    let mut reader = BufReader::new(File::open(path).map_err(failed("opening"))?);
    let mut preamble = [0; PREAMBLE as usize];
    let read = fill(&mut reader, &mut preamble).map_err(failed("reading"))?;
    let (magic, version) = preamble.split_at(MAGIC.len());
    if read < preamble.len() || magic != MAGIC {
        return Err(LedgerError::NotALedger { path: path.to_owned() });
    }
    let found = version.iter().fold(0u32, |value, byte| (value << 8) | u32::from(*byte));
    match found {
        FORMAT_VERSION => {}
        0 => return Err(LedgerError::NotALedger { path: path.to_owned() }),
        1 => return Err(LedgerError::FirstEdition { path: path.to_owned() }),
        _ => return Err(LedgerError::NewerVersion { path: path.to_owned(), found, supported: FORMAT_VERSION }),
    }
    let mut offset = PREAMBLE;
    loop {
        let damaged = |problem| LedgerError::Damaged { path: path.to_owned(), offset, problem };
        match read_entry(&mut reader, offset).map_err(failed("reading"))? {
            Found::Entry(body) => {
                let entry = serde_ipld_dagcbor::from_slice(&body);
                visit(entry.map_err(|error| damaged(format!("an entry cannot be read ({error})")))?)?;
                offset += (HEADER + body.len() + CHECK) as u64;
            }
            Found::End | Found::Torn => return Ok(()),
            Found::Damaged(problem) => return Err(damaged(problem)),
        }
    }
}

impl FileLedger {
    /// Opens the log at `path`, or begins one there, and locks it. A torn tail is cut off.
    ///
    /// # Errors
    /// See [`LedgerError`]; a file that is no log, is of another version, or is damaged is left as it is.
    pub fn open(path: impl AsRef<Path>, sync: SyncPolicy) -> Result<Self, LedgerError> {
        let path = path.as_ref().to_owned();
        let failed = |action| {
            let path = path.clone();
            move |source| LedgerError::Io { action, path, source }
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed("opening"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LedgerError::InUse { path }),
            Err(TryLockError::Error(source)) => return Err(failed("locking")(source)),
        }
        let mut preamble = [0; PREAMBLE as usize];
        let read = fill(&mut file, &mut preamble).map_err(failed("reading"))?;
        let (magic, version) = preamble.split_at(MAGIC.len());
        let whole = read == preamble.len();
        if whole && magic == MAGIC {
            let found = version.iter().fold(0u32, |value, byte| (value << 8) | u32::from(*byte));
            if found > FORMAT_VERSION {
                return Err(LedgerError::NewerVersion { path, found, supported: FORMAT_VERSION });
            }
            if found == 0 {
                return Err(LedgerError::NotALedger { path });
            }
            if found < FORMAT_VERSION {
                return Err(LedgerError::FirstEdition { path });
            }
        } else if !whole
            && MAGIC.iter().chain(&FORMAT_VERSION.to_be_bytes()).zip(&preamble).take(read).all(|(a, b)| a == b)
        {
            // A new file, or one whose first write was torn.
            file.set_len(0).map_err(failed("emptying"))?;
            file.seek(SeekFrom::Start(0)).map_err(failed("seeking in"))?;
            let begin = [MAGIC.as_slice(), &FORMAT_VERSION.to_be_bytes()].concat();
            file.write_all(&begin).map_err(failed("writing"))?;
            file.sync_all().map_err(failed("syncing"))?;
        } else {
            return Err(LedgerError::NotALedger { path });
        }
        let mut ledger = Self { file, path, end: PREAMBLE, sync };
        ledger.scan(|_, _| Ok(()))?;
        Ok(ledger)
    }

    fn io(&self, action: &'static str) -> impl FnOnce(io::Error) -> LedgerError + use<> {
        let path = self.path.clone();
        move |source| LedgerError::Io { action, path, source }
    }

    fn damaged(&self, offset: u64, problem: String) -> LedgerError {
        LedgerError::Damaged { path: self.path.clone(), offset, problem }
    }

    /// Walks over all entries, cuts a torn tail off, and remembers where the next entry goes.
    fn scan(&mut self, mut visit: impl FnMut(u64, &[u8]) -> Result<(), LedgerError>) -> Result<(), LedgerError> {
        let size = self.file.metadata().map_err(self.io("examining"))?.len();
        self.file.seek(SeekFrom::Start(PREAMBLE)).map_err(self.io("seeking in"))?;
        let mut reader = BufReader::new(&self.file);
        let mut offset = PREAMBLE;
        loop {
            match read_entry(&mut reader, offset).map_err(self.io("reading"))? {
                Found::Entry(body) => {
                    visit(offset, &body)?;
                    offset += (HEADER + body.len() + CHECK) as u64;
                }
                Found::End => break,
                Found::Torn => {
                    tracing::warn!(path = %self.path.display(), offset, bytes = size - offset,
                        "the last entry of the log was not completely written; it is cut off");
                    self.file.set_len(offset).map_err(self.io("truncating"))?;
                    self.file.sync_all().map_err(self.io("syncing"))?;
                    break;
                }
                Found::Damaged(problem) => return Err(self.damaged(offset, problem)),
            }
        }
        self.end = offset;
        Ok(())
    }
}

impl Ledger for FileLedger {
    fn load(&mut self, visit: &mut dyn FnMut(Entry) -> Result<(), LedgerError>) -> Result<(), LedgerError> {
        let path = self.path.clone();
        self.scan(|offset, body| {
            let entry = serde_ipld_dagcbor::from_slice(body).map_err(|error| LedgerError::Damaged {
                path: path.clone(),
                offset,
                problem: format!("an entry cannot be read ({error})"),
            })?;
            visit(entry)
        })
    }

    fn append(&mut self, entry: &Entry) -> Result<(), LedgerError> {
        let body = serde_ipld_dagcbor::to_vec(entry)
            .map_err(|error| self.damaged(self.end, format!("an entry cannot be encoded ({error})")))?;
        let length = match u32::try_from(body.len()) {
            Ok(length) if body.len() <= MAX_ENTRY => length.to_be_bytes(),
            _ => return Err(LedgerError::TooLarge { size: body.len(), limit: MAX_ENTRY }),
        };
        let header_check = check(&[&length, &self.end.to_be_bytes()]);
        let bytes = [length.as_slice(), &header_check, &body, &check(&[&body])].concat();
        self.file.seek(SeekFrom::Start(self.end)).map_err(self.io("seeking in"))?;
        self.file.write_all(&bytes).map_err(self.io("writing"))?;
        if self.sync == SyncPolicy::EveryEntry {
            self.file.sync_data().map_err(self.io("syncing"))?;
        }
        self.end += bytes.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn entries(ledger: &mut FileLedger) -> Result<Vec<Entry>, LedgerError> {
        let mut entries = Vec::new();
        ledger.load(&mut |entry| {
            entries.push(entry);
            Ok(())
        })?;
        Ok(entries)
    }

    fn open(path: &Path) -> Result<FileLedger, LedgerError> {
        FileLedger::open(path, SyncPolicy::OperatingSystem)
    }

    /// A log with three entries, and where each begins and the last ends.
    fn written(path: &Path) -> (Vec<Entry>, Vec<u64>) {
        let written: Vec<_> = [7, 300, 70_000].map(|to| Entry::Rewind { to }).into();
        let mut ledger = open(path).expect("a new log");
        let mut offsets = vec![ledger.end];
        for entry in &written {
            ledger.append(entry).expect("it is written");
            offsets.push(ledger.end);
        }
        (written, offsets)
    }

    #[test]
    fn what_was_appended_is_there_after_reopening() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("market.log");
        let (written, _) = written(&path);
        let mut ledger = FileLedger::open(&path, SyncPolicy::EveryEntry).expect("it opens again");
        assert_eq!(entries(&mut ledger).expect("it reads"), written);
        ledger.append(&Entry::Rewind { to: 1 }).expect("it can be continued");
        assert_eq!(entries(&mut ledger).expect("it reads").len(), 4);
    }

    #[test]
    fn a_torn_tail_is_cut_off_wherever_it_was_torn() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("market.log");
        let (written, offsets) = written(&path);
        let whole = fs::read(&path).expect("it reads");
        for length in 0..whole.len() {
            for filler in [0, 16] {
                let mut torn = whole[..length].to_vec();
                torn.resize(length + filler, 0);
                fs::write(&path, &torn).expect("it is written");
                if filler > 0 && length < PREAMBLE as usize {
                    continue; // a preamble of zeros is somebody else's file
                }
                let complete = offsets.iter().skip(1).filter(|end| **end <= length as u64).count();
                let mut ledger = open(&path).unwrap_or_else(|error| panic!("{length} bytes + {filler}: {error}"));
                assert_eq!(entries(&mut ledger).expect("it reads"), written[..complete], "{length} + {filler}");
                ledger.append(&Entry::Rewind { to: 9 }).expect("it can be continued");
                drop(ledger);
                let again = entries(&mut open(&path).expect("it opens")).expect("it reads");
                assert_eq!(again.last(), Some(&Entry::Rewind { to: 9 }));
                assert_eq!(again.len(), complete + 1);
            }
        }
    }

    #[test]
    fn damage_in_the_middle_is_an_error_that_names_the_place() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("market.log");
        let (_, offsets) = written(&path);
        let whole = fs::read(&path).expect("it reads");
        for at in offsets[0]..offsets[2] {
            let mut damaged = whole.clone();
            damaged[at as usize] ^= 0x10;
            fs::write(&path, &damaged).expect("it is written");
            let place = if at < offsets[1] { offsets[0] } else { offsets[1] };
            match open(&path) {
                Err(LedgerError::Damaged { offset, .. }) => assert_eq!(offset, place, "byte {at}"),
                other => panic!("byte {at}: {other:?}"),
            }
            assert_eq!(fs::read(&path).expect("it reads"), damaged, "it is left as it is");
        }
    }

    #[test]
    fn a_second_process_gets_one_clear_line() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("market.log");
        let first = open(&path).expect("a new log");
        let error = open(&path).expect_err("it is locked").to_string();
        assert!(error.contains("in use by another process") && !error.contains('\n'), "{error}");
        drop(first);
        open(&path).expect("the lock is gone with its holder");
    }

    #[test]
    fn other_files_and_newer_versions_are_refused_and_left_untouched() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("market.log");
        let newer = [MAGIC.as_slice(), &(FORMAT_VERSION + 1).to_be_bytes()].concat();
        for (content, words) in [
            (newer, "use a newer one"),
            (
                include_bytes!("../../fixtures/memory-chain-1.log").to_vec(),
                "under the rules of the market's first edition, which this program does not know: move it away",
            ),
            (b"# my diary, which is dear to me".to_vec(), "not the log of a Lota market"),
            (b"LOT".iter().chain(b"TERY").copied().collect(), "not the log of a Lota market"),
            ([MAGIC.as_slice(), &[0; 4]].concat(), "not the log of a Lota market"),
        ] {
            fs::write(&path, &content).expect("it is written");
            let error = open(&path).expect_err(words).to_string();
            assert!(error.contains(words) && !error.contains('\n'), "{error}");
            assert_eq!(fs::read(&path).expect("it reads"), content);
        }
    }

    #[test]
    fn an_entry_beyond_the_limit_is_refused_before_it_is_written() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("market.log");
        let mut ledger = open(&path).expect("a new log");
        let huge = Entry::Genesis(super::super::Genesis {
            market: crate::MarketRef {
                chain_id: 1,
                contract: lota_market::Address::ZERO,
                settings: lota_market::model::Settings::COIN,
            },
            auction: None,
            time: lota_market::Time(0),
            funds: vec![Default::default(); MAX_ENTRY / 16],
        });
        assert!(matches!(ledger.append(&huge), Err(LedgerError::TooLarge { .. })));
        ledger.append(&Entry::Rewind { to: 1 }).expect("it goes on");
        assert_eq!(entries(&mut ledger).expect("it reads").len(), 1);
    }
}
