//! UnixFS: files, directories and symlinks in the `Data` of DAG-PB nodes
//! (<https://specs.ipfs.tech/unixfs/>).

use bytes::Bytes;

use crate::wire::{Reader, WireError, write_bytes, write_number};

/// Bytes of a file in one leaf (the importer's chunk size): 256 KiB.
pub const CHUNK_SIZE: usize = 256 * 1024;
/// Links of an inner node of a file.
pub const LINKS_PER_NODE: usize = 174;
/// A directory whose names and CIDs together exceed this many bytes is sharded (256 KiB).
pub const SHARD_THRESHOLD: usize = 256 * 1024;
/// Buckets of one node of a sharded directory.
pub const SHARD_FANOUT: u64 = 256;
/// Largest fanout that is read, as the specification allows.
const MAX_FANOUT: u64 = 1024;
/// Multihash code of murmur3-x64-64, the hash of sharded directories.
const MURMUR3_X64_64: u64 = 0x22;

/// Kinds of UnixFS nodes, with their numbers on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Raw = 0,
    Directory = 1,
    File = 2,
    Metadata = 3,
    Symlink = 4,
    Shard = 5,
}

/// A decoded UnixFS message. Mode and modification time are read over: Lota does not store them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Data {
    pub(crate) kind: Kind,
    pub(crate) data: Bytes,
    pub(crate) filesize: Option<u64>,
    pub(crate) blocksizes: Vec<u64>,
    /// Of a shard: a power of two between 8 and 1024.
    pub(crate) fanout: u64,
}

pub(crate) fn decode(message: &Bytes) -> Result<Data, WireError> {
    let mut kind = None;
    let mut data = Bytes::new();
    let mut filesize = None;
    let mut blocksizes = Vec::new();
    let mut hash_type = None;
    let mut fanout = None;
    let mut reader = Reader::new(message);
    while let Some((field, value)) = reader.field()? {
        match field {
            1 => {
                kind = Some(match value.varint()? {
                    0 => Kind::Raw,
                    1 => Kind::Directory,
                    2 => Kind::File,
                    3 => Kind::Metadata,
                    4 => Kind::Symlink,
                    5 => Kind::Shard,
                    _ => return Err(WireError("a UnixFS node has an unknown Type")),
                });
            }
            2 => data = message.slice_ref(value.bytes()?),
            3 => filesize = Some(value.varint()?),
            4 => match value {
                // proto2 writes one field for each number; packed ones are legal all the same
                crate::wire::Value::Bytes(packed) => {
                    let mut packed = Reader::new(packed);
                    while !packed.is_empty() {
                        blocksizes.push(packed.varint()?);
                    }
                }
                value => blocksizes.push(value.varint()?),
            },
            5 => hash_type = Some(value.varint()?),
            6 => fanout = Some(value.varint()?),
            _ => {}
        }
    }
    let kind = kind.ok_or(WireError("a UnixFS node has no Type"))?;
    if kind == Kind::Shard {
        if hash_type != Some(MURMUR3_X64_64) {
            return Err(WireError("a sharded directory uses another hash than murmur3-x64-64"));
        }
        let fanout = fanout.unwrap_or_default();
        if !fanout.is_power_of_two() || !(8..=MAX_FANOUT).contains(&fanout) {
            return Err(WireError("a sharded directory's fanout is no power of two between 8 and 1024"));
        }
    }
    Ok(Data { kind, data, filesize, blocksizes, fanout: fanout.unwrap_or_default() })
}

/// The `Data` of an inner node of a file.
pub(crate) fn encode_file(blocksizes: impl Iterator<Item = u64> + Clone) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + 5 * blocksizes.size_hint().0);
    write_number(&mut out, 1, Kind::File as u64);
    write_number(&mut out, 3, blocksizes.clone().sum());
    for size in blocksizes {
        write_number(&mut out, 4, size);
    }
    out
}

/// The `Data` of a directory in one node.
pub(crate) fn encode_directory() -> Vec<u8> {
    let mut out = Vec::new();
    write_number(&mut out, 1, Kind::Directory as u64);
    out
}

/// The `Data` of a symlink.
pub(crate) fn encode_symlink(target: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write_number(&mut out, 1, Kind::Symlink as u64);
    write_bytes(&mut out, 2, target.as_bytes());
    out
}

/// The `Data` of one node of a sharded directory; the bit field is big-endian.
pub(crate) fn encode_shard(bitfield: &[u8]) -> Vec<u8> {
    let significant = bitfield.iter().position(|byte| *byte != 0).unwrap_or(bitfield.len());
    let mut out = Vec::new();
    write_number(&mut out, 1, Kind::Shard as u64);
    write_bytes(&mut out, 2, &bitfield[significant..]);
    write_number(&mut out, 5, MURMUR3_X64_64);
    write_number(&mut out, 6, SHARD_FANOUT);
    out
}

/// The hash that places a name in a sharded directory: murmur3-x64-64, read from its highest bit.
pub(crate) fn name_hash(name: &str) -> u64 {
    #[expect(clippy::expect_used, reason = "reading from a slice cannot fail")]
    let hash = murmur3::murmur3_x64_128(&mut name.as_bytes(), 0).expect("a slice is always read");
    // the first of the two 64-bit halves, which the crate returns as the low one
    hash as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_decoded_without_a_panic(bytes: Vec<u8>) {
            let _ = decode(&Bytes::from(bytes));
        }

        #[test]
        fn file_nodes_round_trip(sizes in prop::collection::vec(0..1_u64 << 40, 0..200)) {
            let data = decode(&encode_file(sizes.iter().copied()).into()).unwrap();
            prop_assert_eq!(data.kind, Kind::File);
            prop_assert_eq!(data.filesize, Some(sizes.iter().sum()));
            prop_assert_eq!(data.blocksizes, sizes);
        }
    }

    #[test]
    fn packed_block_sizes_are_read() {
        let mut message = Vec::new();
        write_number(&mut message, 1, 2);
        write_bytes(&mut message, 4, &[5, 0x80, 0x01]);
        assert_eq!(decode(&message.into()).unwrap().blocksizes, [5, 128]);
    }

    #[test]
    fn shards_with_odd_parameters_are_refused() {
        let shard = |hash, fanout| {
            let mut message = Vec::new();
            write_number(&mut message, 1, 5);
            write_number(&mut message, 5, hash);
            write_number(&mut message, 6, fanout);
            decode(&message.into())
        };
        assert!(shard(0x22, 256).is_ok());
        assert!(shard(0x23, 256).is_err());
        for fanout in [0, 1, 4, 100, 2048, u64::MAX] {
            assert!(shard(0x22, fanout).is_err(), "{fanout}");
        }
    }
}
