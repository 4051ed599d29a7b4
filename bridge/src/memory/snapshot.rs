//! Snapshots beside a log's file, so that a start does not execute everything again.
//!
//! The index is a file that grows: a preamble (8 bytes of magic, 4 of version), then a segment for each snapshot: a header of 12 bytes
//! (number of blocks; first 8 bytes of the sha2-256 of that number, the segment's offset and its blocks) and 24 bytes for each block
//! (its command's id, and its place in the log). The snapshot is a small file that is replaced: preamble, length of the index, where the
//! log goes on, the state, and a check of 8 bytes over all of it. Both only repeat what the log says: what is wrong with them costs time,
//! and nothing else.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::{
    CommandId, LedgerError, Snapshot,
    file::{check, sync_folder},
};

const SNAPSHOT_MAGIC: [u8; 8] = *b"LOTASNAP";
const INDEX_MAGIC: [u8; 8] = *b"LOTAINDX";
/// Raise it when the same commands come to something else than before, or the state is written in another way.
const VERSION: u32 = 1;
const PREAMBLE: usize = 12;
const CHECK: usize = 8;
/// Number of blocks, and check.
const SEGMENT_HEADER: usize = 4 + CHECK;
const BLOCK: usize = 16 + 8;
/// Preamble, length of the index, end in the log.
const SNAPSHOT_HEADER: usize = PREAMBLE + 8 + 8;

/// The two files.
#[derive(Debug)]
pub(super) struct SnapshotFiles {
    snapshot: PathBuf,
    index: PathBuf,
    /// How much of the index the snapshot that is kept stands for; what lies behind is overwritten.
    indexed: u64,
}

fn preamble(magic: [u8; 8]) -> [u8; PREAMBLE] {
    let mut bytes = [0; PREAMBLE];
    let all = magic.into_iter().chain(VERSION.to_be_bytes());
    bytes.iter_mut().zip(all).for_each(|(place, byte)| *place = byte);
    bytes
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, byte| (value << 8) | u64::from(*byte))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LedgerError + use<> {
    let path = path.to_owned();
    move |source| LedgerError::Io { action, path, source }
}

/// The blocks of an index, if it is whole.
fn blocks_of(index: &[u8]) -> Option<Vec<(CommandId, u64)>> {
    let rest = index.strip_prefix(&preamble(INDEX_MAGIC))?;
    let mut blocks = Vec::with_capacity(rest.len() / BLOCK);
    let mut offset = PREAMBLE;
    while offset < index.len() {
        let header = index.get(offset..offset + SEGMENT_HEADER)?;
        let (count, found) = header.split_at(4);
        let begin = offset + SEGMENT_HEADER;
        let end = begin + usize::try_from(number(count)).ok()?.checked_mul(BLOCK)?;
        let segment = index.get(begin..end)?;
        if found != check(&[count, &(offset as u64).to_be_bytes(), segment]) {
            return None;
        }
        blocks.extend(segment.chunks_exact(BLOCK).map(|block| {
            let (id, place) = block.split_at(16);
            let mut command = CommandId::default();
            command.copy_from_slice(id);
            (command, number(place))
        }));
        offset = end;
    }
    Some(blocks)
}

impl SnapshotFiles {
    pub(super) fn beside(log: &Path) -> Self {
        Self { snapshot: log.with_extension("snapshot"), index: log.with_extension("index"), indexed: 0 }
    }

    /// The snapshot, if there is a whole one of this version.
    pub(super) fn read(&mut self) -> Option<Snapshot> {
        self.indexed = 0;
        let bytes = match fs::read(&self.snapshot) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(%error, path = %self.snapshot.display(), "the snapshot cannot be read; everything is replayed");
                return None;
            }
        };
        let found = self.decode(&bytes);
        if found.is_none() {
            tracing::warn!(path = %self.snapshot.display(), "the snapshot is damaged, or of another version; everything is replayed");
        }
        found
    }

    fn decode(&mut self, bytes: &[u8]) -> Option<Snapshot> {
        let (content, found) = bytes.split_at_checked(bytes.len().checked_sub(CHECK)?)?;
        if found != check(&[content]) || !content.starts_with(&preamble(SNAPSHOT_MAGIC)) {
            return None;
        }
        let (header, state) = content.split_at_checked(SNAPSHOT_HEADER)?;
        let (indexed, end) = (number(header.get(PREAMBLE..PREAMBLE + 8)?), number(header.get(PREAMBLE + 8..)?));
        let index = File::open(&self.index).ok()?;
        // Longer than the file it cannot be: nothing is reserved for what is not there.
        if index.metadata().ok()?.len() < indexed {
            return None;
        }
        let mut entries = vec![0; usize::try_from(indexed).ok()?];
        index.read_exact_at(&mut entries, 0).ok()?;
        let blocks = blocks_of(&entries)?;
        self.indexed = indexed;
        Some(Snapshot { state: state.to_vec(), blocks, end })
    }

    /// What is kept does not count: the index is written anew with the next snapshot.
    pub(super) fn disregard(&mut self) {
        self.indexed = 0;
    }

    /// Adds blocks to the index, and replaces the snapshot.
    pub(super) fn keep(&mut self, state: &[u8], blocks: &[(CommandId, u64)], end: u64) -> Result<(), LedgerError> {
        let mut segment = Vec::with_capacity(PREAMBLE + SEGMENT_HEADER + BLOCK * blocks.len());
        let mut offset = self.indexed;
        if offset == 0 {
            segment.extend_from_slice(&preamble(INDEX_MAGIC));
            offset = PREAMBLE as u64;
        }
        let records: Vec<u8> =
            blocks.iter().flat_map(|(id, place)| id.iter().copied().chain(place.to_be_bytes())).collect();
        let count = u32::try_from(blocks.len())
            .map_err(|_| LedgerError::TooLarge { size: records.len(), limit: u32::MAX as usize })?
            .to_be_bytes();
        segment.extend_from_slice(&count);
        segment.extend_from_slice(&check(&[&count, &offset.to_be_bytes(), &records]));
        segment.extend_from_slice(&records);
        let index = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.index)
            .map_err(failed("opening", &self.index))?;
        index.set_len(self.indexed).map_err(failed("truncating", &self.index))?;
        index.write_all_at(&segment, self.indexed).map_err(failed("writing", &self.index))?;
        index.sync_all().map_err(failed("syncing", &self.index))?;
        let indexed = self.indexed + segment.len() as u64;

        let mut bytes = preamble(SNAPSHOT_MAGIC).to_vec();
        bytes.extend_from_slice(&indexed.to_be_bytes());
        bytes.extend_from_slice(&end.to_be_bytes());
        bytes.extend_from_slice(state);
        let sum = check(&[&bytes]);
        bytes.extend_from_slice(&sum);
        let new = self.snapshot.with_extension("snapshot.new");
        let file = File::create(&new).map_err(failed("creating", &new))?;
        file.write_all_at(&bytes, 0).map_err(failed("writing", &new))?;
        file.sync_all().map_err(failed("syncing", &new))?;
        fs::rename(&new, &self.snapshot).map_err(failed("renaming", &new))?;
        sync_folder(&self.snapshot)?;
        self.indexed = indexed;
        Ok(())
    }

    /// Removes the snapshot. The index is written anew with the next one.
    pub(super) fn forget(&mut self) -> Result<(), LedgerError> {
        self.indexed = 0;
        match fs::remove_file(&self.snapshot) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("removing", &self.snapshot)(error)),
            Err(_) => Ok(()),
            Ok(()) => sync_folder(&self.snapshot),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(byte: u8) -> (CommandId, u64) {
        ([byte; 16], u64::from(byte) << 33)
    }

    #[test]
    fn what_was_kept_is_read_again_and_damage_is_noticed() {
        let dir = tempfile::tempdir().expect("a directory");
        let log = dir.path().join("market.log");
        let mut files = SnapshotFiles::beside(&log);
        assert_eq!(files.read(), None);
        files.keep(b"one", &[block(1), block(2)], 100).expect("kept");
        files.keep(b"two", &[block(3)], 200).expect("kept");
        let wanted = Snapshot { state: b"two".to_vec(), blocks: vec![block(1), block(2), block(3)], end: 200 };
        assert_eq!(SnapshotFiles::beside(&log).read(), Some(wanted.clone()));
        for name in ["market.snapshot", "market.index"] {
            let path = dir.path().join(name);
            let whole = fs::read(&path).expect("read");
            for at in 0..whole.len() {
                let mut damaged = whole.clone();
                damaged[at] ^= 1;
                fs::write(&path, damaged).expect("written");
                assert_eq!(SnapshotFiles::beside(&log).read(), None, "{name} at byte {at}");
                fs::write(&path, &whole[..at]).expect("written");
                assert_eq!(SnapshotFiles::beside(&log).read(), None, "{name} with {at} bytes");
            }
            fs::write(&path, whole).expect("written");
        }
        // A crash after the index was written, and before the snapshot was: what is too much is overwritten.
        let index = dir.path().join("market.index");
        let mut longer = fs::read(&index).expect("read");
        longer.extend_from_slice(&[7; 50]);
        fs::write(&index, longer).expect("written");
        let mut files = SnapshotFiles::beside(&log);
        assert_eq!(files.read(), Some(wanted));
        files.keep(b"three", &[block(4)], 300).expect("kept");
        let again = SnapshotFiles::beside(&log).read().expect("whole");
        assert_eq!((again.state.as_slice(), again.blocks.len()), (b"three".as_slice(), 4));
        files.forget().expect("removed");
        assert_eq!(files.read(), None);
        files.keep(b"anew", &[block(9)], 50).expect("kept");
        assert_eq!(SnapshotFiles::beside(&log).read().expect("whole").blocks, [block(9)]);
    }
}
