//! What the layers of an archive unpack to, found out before an engine is given any: a few kilobytes of zeros, compressed, or a file
//! that says of itself that it is sparse, fill any disk.
//!
//! A layer is read here as the engine reads it: so what could be read otherwise is refused.

use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use tar::{Archive, Header, PaxExtensions};

use super::archive::{ArchiveError, EXTENSION, unfit};

/// The most entries of all layers: each may be a file in the engine's folder, which has so many and no more.
const ENTRIES: u64 = 1_000_000;
/// Bytes read at a time.
const PIECE: usize = 256 << 10;

/// What layers unpack to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Unpacked {
    pub(super) bytes: u64,
    pub(super) entries: u64,
}

impl Unpacked {
    /// With another layer, if both together are no more than an image may be.
    pub(super) fn with(self, other: Self, limit: u64) -> Result<Self, ArchiveError> {
        let sum =
            Self { bytes: self.bytes.saturating_add(other.bytes), entries: self.entries.saturating_add(other.entries) };
        if sum.bytes > limit {
            return unfit(too_large(limit));
        }
        if sum.entries > ENTRIES {
            return unfit(format!("its layers have more than {ENTRIES} files; this provider takes no more"));
        }
        Ok(sum)
    }
}

fn too_large(limit: u64) -> String {
    format!("its layers unpack to more than the {limit} bytes that this provider gives an image")
}

/// Passes so many bytes on and no more.
struct Bounded<R> {
    from: R,
    left: u64,
    is_over: bool,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => {
                self.is_over = true;
                return Err(io::Error::other("it is too large"));
            }
        }
        Ok(read)
    }
}

/// Reads a layer to its end, or until it has more than `limit` bytes.
pub(super) fn measure(layer: impl Read, limit: u64) -> Result<Unpacked, ArchiveError> {
    let mut layer = BufReader::with_capacity(PIECE, layer);
    let mut start = Vec::new();
    layer.by_ref().take(6).read_to_end(&mut start)?;
    let is_compressed = start.starts_with(&[0x1f, 0x8b, 8]);
    let other = match &*start {
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some("zstd"),
        [b'B', b'Z', b'h', ..] => Some("bzip2"),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Some("xz"),
        _ => None,
    };
    if let Some(other) = other {
        return unfit(format!(
            "a layer is compressed with {other}; this provider takes them as they are, or with gzip"
        ));
    }
    let whole = io::Cursor::new(start).chain(layer);
    match is_compressed {
        true => count(MultiGzDecoder::new(BufReader::with_capacity(PIECE, whole)), limit),
        false => count(whole, limit),
    }
}

fn count(layer: impl Read, limit: u64) -> Result<Unpacked, ArchiveError> {
    let mut bounded = Bounded { from: layer, left: limit, is_over: false };
    let entries = count_entries(&mut bounded);
    // What follows the last entry counts, too.
    let rest = if entries.is_ok() { io::copy(&mut bounded, &mut io::sink()).map(drop) } else { Ok(()) };
    if bounded.is_over {
        return unfit(too_large(limit));
    }
    let damaged = |error: io::Error| ArchiveError::Unfit(format!("a layer is no tar file, or it is damaged: {error}"));
    rest.map_err(damaged)?;
    Ok(Unpacked { bytes: limit - bounded.left, entries: entries? })
}

fn count_entries(layer: &mut impl Read) -> Result<u64, ArchiveError> {
    let damaged = |error: io::Error| ArchiveError::Unfit(format!("a layer is no tar file, or it is damaged: {error}"));
    let sparse = || unfit("a layer has sparse files, or says in other words that they are larger than they are");
    let mut entries = 0;
    let mut renamed = Renamed::default();
    // As they are: the reader would take extensions into memory whole.
    for entry in Archive::new(layer).entries().map_err(damaged)?.raw(true) {
        let mut entry = entry.map_err(damaged)?;
        entries += 1;
        if entries > ENTRIES {
            break;
        }
        let kind = entry.header().entry_type();
        if kind.is_gnu_sparse() {
            return sparse();
        }
        if entry.size() != 0 && has_no_content(entry.header(), &renamed) {
            return unfit(
                "a layer has a link, a folder or a device with content: what follows it is read in two ways".to_owned(),
            );
        }
        let is_extension = kind.is_pax_local_extensions() || kind.is_gnu_longname();
        if !is_extension && !kind.is_gnu_longlink() {
            renamed = Renamed::default();
        }
        if is_extension || kind.is_pax_global_extensions() {
            if entry.size() > EXTENSION {
                return unfit(format!("a layer has names of more than {EXTENSION} bytes"));
            }
            let mut said = Vec::new();
            entry.read_to_end(&mut said).map_err(damaged)?;
            if kind.is_gnu_longname() {
                renamed.long = last_of_name(&said);
                continue;
            }
            renamed.pax = None;
            for record in PaxExtensions::new(&said) {
                let record = record.map_err(damaged)?;
                let key = record.key_bytes();
                if key == b"size" || key.starts_with(b"GNU.sparse") {
                    return sparse();
                }
                if key == b"path" && kind.is_pax_local_extensions() {
                    renamed.pax = record.value_bytes().last().copied();
                }
            }
        }
    }
    Ok(entries)
}

/// The last bytes of the names that entries before an entry give it.
#[derive(Default)]
struct Renamed {
    long: Option<u8>,
    pax: Option<u8>,
}

fn last_of_name(name: &[u8]) -> Option<u8> {
    name.split(|byte| *byte == 0).next().and_then(<[u8]>::last).copied()
}

/// Whether an engine takes an entry to have no content, whatever size it says (Go's archive/tar, `isHeaderOnly`): the bytes that are
/// skipped here are the next entry there.
fn has_no_content(header: &Header, renamed: &Renamed) -> bool {
    let old = header.as_old();
    match old.linkflag[0] {
        b'1'..=b'6' => true,
        // Before POSIX a folder was a file whose name ends with a slash, as one does that is empty and has a prefix.
        0 => renamed.long.or(renamed.pax).or(last_of_name(&old.name)).is_none_or(|last| last == b'/'),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};
    use tar::{Builder, EntryType};

    use super::*;

    const LIMIT: u64 = 1 << 20;

    fn layer(files: u32, bytes: u64) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for number in 0..files {
            let mut header = Header::new_gnu();
            header.set_size(bytes);
            builder.append_data(&mut header, format!("f{number}"), io::repeat(0).take(bytes)).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn zipped(bytes: &[u8]) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    }

    fn fault(layer: &[u8]) -> String {
        match measure(layer, LIMIT) {
            Err(ArchiveError::Unfit(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    /// An entry of this kind, with this to say, before a file.
    fn with(kind: EntryType, said: &[u8]) -> Vec<u8> {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(said.len() as u64);
        header.set_cksum();
        let mut builder = Builder::new(Vec::new());
        builder.append(&header, said).unwrap();
        [&builder.into_inner().unwrap()[..512 + said.len().next_multiple_of(512)], &layer(1, 7)].concat()
    }

    #[test]
    fn a_layer_is_measured_as_it_will_be_unpacked() {
        let plain = layer(3, 1_000);
        let size = Unpacked { bytes: plain.len() as u64, entries: 3 };
        assert_eq!(measure(&*plain, LIMIT).unwrap(), size);
        assert_eq!(measure(&*zipped(&plain), LIMIT).unwrap(), size);
        // Several streams one after the other are one to an engine.
        let (one, other) = plain.split_at(700);
        assert_eq!(measure(&*[zipped(one), zipped(other)].concat(), LIMIT).unwrap(), size);
        let named = with(EntryType::XHeader, b"12 path=abc\n");
        assert_eq!(measure(&*named, LIMIT).unwrap().entries, 2);
    }

    #[test]
    fn what_unpacks_to_more_is_refused_however_small_it_is() {
        let bomb = zipped(&layer(1, 100 << 20));
        assert!(bomb.len() < 1 << 20, "it is small: {}", bomb.len());
        assert!(fault(&bomb).contains("more than the 1048576 bytes"));
        // Behind the last entry, where an engine reads on for the digest.
        assert!(fault(&zipped(&[layer(1, 7), vec![0; 2 << 20]].concat())).contains("more than the 1048576 bytes"));
        for (said, why) in [
            (b"19 size=1000000000\n".as_slice(), "sparse"),
            (b"22 GNU.sparse.major=1\n", "sparse"),
            (b"nonsense", "damaged"),
        ] {
            for kind in [EntryType::XHeader, EntryType::XGlobalHeader] {
                let told = fault(&with(kind, said));
                assert!(told.contains(why), "{told}");
            }
        }
        assert!(fault(&with(EntryType::GNUSparse, b"")).contains("sparse"));
        assert!(fault(&with(EntryType::XHeader, &[b' '; 70_000])).contains("names of more than 65536 bytes"));
        for (start, name) in [
            (b"\x28\xb5\x2f\xfd rest".as_slice(), "zstd"),
            (b"\x51\x2a\x4d\x18 rest", "zstd"),
            (b"BZh9 rest", "bzip2"),
            (b"\xfd7zXZ\0 rest", "xz"),
        ] {
            assert!(fault(start).contains(name));
        }
        for damaged in [b"x".to_vec(), zipped(&layer(1, 7))[..40].to_vec(), vec![b'x'; 2_000]] {
            assert!(fault(&damaged).contains("damaged"));
        }
    }

    /// A header of this type and name that says this size.
    fn header(kind: u8, name: &str, size: u64) -> Vec<u8> {
        let mut header = Header::new_ustar();
        // As a byte: the library writes another one for files of before POSIX.
        header.as_old_mut().linkflag = [kind];
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(size);
        header.set_cksum();
        header.as_bytes().to_vec()
    }

    fn block(content: &[u8]) -> Vec<u8> {
        let mut block = content.to_vec();
        block.resize(content.len().next_multiple_of(512), 0);
        block
    }

    /// To an engine the content of a folder is no content but the next entry: here a file that says that it has 10^12 bytes.
    #[test]
    fn content_of_what_has_none_is_refused() {
        let hidden = [
            header(b'x', "hidden", 46),
            block(b"23 GNU.sparse.major=1\n23 GNU.sparse.minor=0\n"),
            header(b'0', "f", 0),
        ]
        .concat();
        let end = vec![0; 1_024];
        for (kind, name) in
            [(b'1', "l"), (b'2', "l"), (b'3', "c"), (b'4', "b"), (b'5', "d/"), (b'6', "p"), (0, "d/"), (0, "")]
        {
            let layer = [header(kind, name, hidden.len() as u64), hidden.clone(), end.clone()].concat();
            assert!(fault(&layer).contains("with content"), "{kind} {name}");
            let empty = [header(kind, name, 0), end.clone()].concat();
            assert_eq!(measure(&*empty, LIMIT).unwrap().entries, 1);
        }
        for (kind, said, name, is_folder) in [
            (b'x', b"11 path=d/\n".as_slice(), "f", true),
            (b'L', b"d/\0", "f", true),
            // What was cut off within a path.
            (b'x', b"12 path=d/f\n", "d/", false),
            (b'L', b"d/f\0", "d/", false),
        ] {
            let before = [header(kind, "before", said.len() as u64), block(said)].concat();
            let layer = [before, header(0, name, hidden.len() as u64), hidden.clone(), end.clone()].concat();
            match measure(&*layer, LIMIT) {
                Err(ArchiveError::Unfit(why)) => assert!(is_folder && why.contains("with content"), "{kind} {why}"),
                other => assert!(!is_folder && other.unwrap().entries == 2, "{kind}"),
            }
        }
        let old = [header(0, "f", 3), block(b"abc"), end].concat();
        assert_eq!(measure(&*old, LIMIT).unwrap().entries, 1, "a file, as it was written before POSIX");
    }

    #[test]
    fn many_layers_count_together() {
        let one = Unpacked { bytes: 600, entries: 600_000 };
        let twice = |limit| one.with(one, limit);
        assert!(matches!(twice(1_000), Err(ArchiveError::Unfit(why)) if why.contains("more than the 1000 bytes")));
        assert!(matches!(twice(2_000), Err(ArchiveError::Unfit(why)) if why.contains("more than 1000000 files")));
        let small = Unpacked { entries: 5, ..one };
        assert_eq!(small.with(small, 1_200).unwrap(), Unpacked { bytes: 1_200, entries: 10 });
    }
}
