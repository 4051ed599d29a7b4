//! A log in a file: append-only, checked, one process at a time.
//!
//! The file begins with 8 bytes of magic and 4 of format version. What is appended at once is a batch: a header of 12 bytes (length of
//! its content; first 8 bytes of the sha2-256 of that length and the batch's offset) and the content, which is entries: a header of 12
//! bytes (length of the body; first 8 bytes of the sha2-256 of that length, the entry's offset and the body) and the body (DAG-CBOR). All
//! integers are big-endian. A batch is written and synced at once, so a torn one is the last: it is cut off on opening, with all its
//! entries. Damage anywhere else is an error. What lies before a [snapshot](super::snapshot) was whole when that was written, and is not
//! read on opening; each entry's own check is looked at when it is.

mod reading;

use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};

use super::{CommandId, Entry, EntryReader, Ledger, LedgerError, Snapshot, snapshot::SnapshotFiles};
use crate::transport::MAX_COMMAND;
use reading::{HEADER, PREAMBLE, check_version, fill};
pub(super) use reading::{LogFile, check};

/// Is handed the place of an entry and the entry.
type VisitEntry<'a> = dyn FnMut(u64, Entry) -> Result<(), LedgerError> + 'a;

/// What such a file begins with.
pub const MAGIC: [u8; 8] = *b"LOTALEDG";
/// The format version that is written and read. 1: logs of the contract's first edition, whose commands and events had other fields;
/// 2: each entry was synced by itself, and what blocks came to was not kept.
pub const FORMAT_VERSION: u32 = 3;
/// The most bytes of one entry: a command, and what came of it.
pub const MAX_ENTRY: usize = 8 * MAX_COMMAND;
/// The most bytes of the entries that are written at once.
pub const MAX_APPEND: usize = 4 * MAX_ENTRY;

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
    file: Arc<LogFile>,
    end: u64,
    /// Something may lie after the end that is not to be there.
    is_dirty: bool,
    sync: SyncPolicy,
    snapshots: SnapshotFiles,
    /// What was found on opening, until it is asked for.
    found: Option<Snapshot>,
}

/// Writes to the disk which files the folder of this one has.
pub(super) fn sync_folder(path: &Path) -> Result<(), LedgerError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |source| LedgerError::Io { action: "syncing", path: folder.to_owned(), source };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

impl FileLedger {
    /// Opens the log at `path`, or begins one there, and locks it. A torn tail is cut off. Beside it lie its snapshots, in files of
    /// the same name that end in `.snapshot` and `.index`; without them it is read from its beginning.
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
            check_version(&path, version)?;
        } else if !whole
            && MAGIC.iter().chain(&FORMAT_VERSION.to_be_bytes()).zip(&preamble).take(read).all(|(a, b)| a == b)
        {
            // A new file, or one whose first write was torn.
            file.set_len(0).map_err(failed("emptying"))?;
            let begin = [MAGIC.as_slice(), &FORMAT_VERSION.to_be_bytes()].concat();
            file.write_all_at(&begin, 0).map_err(failed("writing"))?;
            file.sync_all().map_err(failed("syncing"))?;
            // Its name, too: a power cut must not take the whole of it.
            sync_folder(&path)?;
        } else {
            return Err(LedgerError::NotALedger { path });
        }
        let snapshots = SnapshotFiles::beside(&path);
        let file = Arc::new(LogFile { file, path });
        let mut ledger = Self { file, end: PREAMBLE, is_dirty: false, sync, snapshots, found: None };
        ledger.found = ledger.whole_snapshot();
        let from = ledger.found.as_ref().map_or(PREAMBLE, |snapshot| snapshot.end);
        ledger.scan(from, |_, _| Ok(()))?;
        Ok(ledger)
    }

    /// The snapshot, if it is of this log.
    fn whole_snapshot(&mut self) -> Option<Snapshot> {
        let size = self.file.file.metadata().ok()?.len();
        let snapshot = self.snapshots.read()?;
        // The newest of its blocks must be there: the log may have been replaced.
        let fits = (PREAMBLE..=size).contains(&snapshot.end)
            && snapshot.blocks.last().is_none_or(|(_, place)| *place < snapshot.end && self.file.read(*place).is_ok());
        if !fits {
            self.snapshots.disregard();
            tracing::warn!(path = %self.file.path.display(), "the snapshot does not belong to the log; everything is replayed");
            return None;
        }
        Some(snapshot)
    }

    /// Walks over all entries of the batches from an offset on, cuts a torn tail off, and remembers where the next batch goes.
    fn scan(
        &mut self,
        from: u64,
        mut visit: impl FnMut(u64, &[u8]) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        let file = Arc::clone(&self.file);
        let size = file.file.metadata().map_err(file.io("examining"))?.len();
        let (offset, is_torn) = file.walk(from, &mut visit)?;
        if is_torn {
            tracing::warn!(path = %file.path.display(), offset, bytes = size.saturating_sub(offset),
                "the last batch of the log was not completely written; it is cut off");
            file.file.set_len(offset).map_err(file.io("truncating"))?;
            file.file.sync_all().map_err(file.io("syncing"))?;
        }
        self.end = offset;
        self.is_dirty = false;
        Ok(())
    }

    /// What is written for entries at the end, and where each of them goes.
    fn batch_of(&self, entries: &[Entry]) -> Result<(Vec<u8>, Vec<u64>), LedgerError> {
        let (mut batch, mut places) = (vec![0; HEADER], Vec::with_capacity(entries.len()));
        for entry in entries {
            let offset = self.end + batch.len() as u64;
            let body = serde_ipld_dagcbor::to_vec(entry)
                .map_err(|error| self.file.damaged(offset, format!("an entry cannot be encoded ({error})")))?;
            let length = match u32::try_from(body.len()) {
                Ok(length) if body.len() <= MAX_ENTRY => length.to_be_bytes(),
                _ => return Err(LedgerError::TooLarge { size: body.len(), limit: MAX_ENTRY }),
            };
            places.push(offset);
            batch.extend_from_slice(&length);
            batch.extend_from_slice(&check(&[&length, &offset.to_be_bytes(), &body]));
            batch.extend_from_slice(&body);
        }
        let size = batch.len() - HEADER;
        let length = match u32::try_from(size) {
            Ok(length) if size <= MAX_APPEND => length.to_be_bytes(),
            _ => return Err(LedgerError::TooLarge { size, limit: MAX_APPEND }),
        };
        let header_check = check(&[&length, &self.end.to_be_bytes()]);
        for (place, byte) in batch.iter_mut().zip(length.iter().chain(&header_check)) {
            *place = *byte;
        }
        Ok((batch, places))
    }

    fn write(&mut self, batch: &[u8]) -> Result<(), LedgerError> {
        let LogFile { file, .. } = &*self.file;
        if self.is_dirty {
            file.set_len(self.end).map_err(self.file.io("truncating"))?;
        }
        self.is_dirty = true;
        file.write_all_at(batch, self.end).map_err(self.file.io("writing"))?;
        if self.sync == SyncPolicy::EveryEntry {
            file.sync_data().map_err(self.file.io("syncing"))?;
        }
        self.is_dirty = false;
        Ok(())
    }
}

impl Ledger for FileLedger {
    fn load(&mut self, from: u64, visit: &mut VisitEntry<'_>) -> Result<(), LedgerError> {
        let file = Arc::clone(&self.file);
        self.scan(from.max(PREAMBLE), |offset, body| visit(offset, file.decode(offset, body)?))
    }

    fn append(&mut self, entries: &[Entry]) -> Result<Vec<u64>, LedgerError> {
        let (batch, places) = self.batch_of(entries)?;
        if let Err(error) = self.write(&batch) {
            // What was written of it must not be found by the next start. If this fails too, it is tried again before the next write.
            self.is_dirty = self.file.file.set_len(self.end).is_err();
            return Err(error);
        }
        self.end += batch.len() as u64;
        Ok(places)
    }

    fn reader(&self) -> Arc<dyn EntryReader> {
        Arc::clone(&self.file) as Arc<dyn EntryReader>
    }

    fn keeps_snapshots(&self) -> bool {
        true
    }

    fn snapshot(&mut self) -> Option<Snapshot> {
        self.found.take().or_else(|| self.whole_snapshot())
    }

    fn keep_snapshot(&mut self, state: &[u8], blocks: &[(CommandId, u64)]) -> Result<(), LedgerError> {
        // What it counts as whole must be on the disk.
        self.file.file.sync_data().map_err(self.file.io("syncing"))?;
        self.snapshots.keep(state, blocks, self.end)
    }

    fn forget_snapshot(&mut self) -> Result<(), LedgerError> {
        self.found = None;
        self.snapshots.forget()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn entries(ledger: &mut FileLedger) -> Result<Vec<Entry>, LedgerError> {
        let mut entries = Vec::new();
        ledger.load(0, &mut |_, entry| {
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
            ledger.append(std::slice::from_ref(entry)).expect("it is written");
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
        ledger.append(&[Entry::Rewind { to: 1 }]).expect("it can be continued");
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
                ledger.append(&[Entry::Rewind { to: 9 }]).expect("it can be continued");
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
            let batch = if at < offsets[1] { offsets[0] } else { offsets[1] };
            let place = if at < batch + HEADER as u64 { batch } else { batch + HEADER as u64 };
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
                "has format version 1; this program reads 3: move it away, and a new market begins",
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
        assert!(matches!(ledger.append(&[huge]), Err(LedgerError::TooLarge { .. })));
        ledger.append(&[Entry::Rewind { to: 1 }]).expect("it goes on");
        assert_eq!(entries(&mut ledger).expect("it reads").len(), 1);
    }
}
