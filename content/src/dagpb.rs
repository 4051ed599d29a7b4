//! DAG-PB: the outer shell of UnixFS nodes (<https://ipld.io/specs/codecs/dag-pb/spec/>).
//!
//! ipld-dagpb and rust-unixfs read this format too, on top of a protobuf reader that follows
//! lengths past the end of an inner message; since these bytes come from strangers, Lota reads
//! them with a reader that cannot.

use bytes::Bytes;
use cid::Cid;

use crate::wire::{Reader, Value, WireError, varint_len, write_bytes, write_number, write_varint};

/// A link from one node to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) cid: Cid,
    /// Empty in files; the entry's name in directories.
    pub(crate) name: String,
    /// Bytes of the linked DAG as its author states them: a hint, never checked.
    pub(crate) tsize: u64,
}

/// A decoded node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Node {
    pub(crate) links: Vec<Link>,
    pub(crate) data: Option<Bytes>,
}

/// Decodes a node. `Data` shares the block's memory.
pub(crate) fn decode(block: &Bytes) -> Result<Node, WireError> {
    let mut node = Node::default();
    let mut links_closed = false;
    let mut reader = Reader::new(block);
    while let Some((field, value)) = reader.field()? {
        match (field, value) {
            (1, Value::Bytes(data)) => {
                if node.data.is_some() {
                    return Err(WireError("a DAG-PB node has Data twice"));
                }
                node.data = Some(block.slice_ref(data));
                links_closed = !node.links.is_empty();
            }
            (2, Value::Bytes(link)) => {
                if links_closed {
                    return Err(WireError("a DAG-PB node has Links on both sides of Data"));
                }
                node.links.push(decode_link(link)?);
            }
            _ => return Err(WireError("a DAG-PB node has an unknown field")),
        }
    }
    Ok(node)
}

fn decode_link(message: &[u8]) -> Result<Link, WireError> {
    let mut cid = None;
    let mut name = None;
    let mut tsize = None;
    let mut reader = Reader::new(message);
    while let Some((field, value)) = reader.field()? {
        let repeated = match field {
            1 => cid
                .replace(lota_cid::from_bytes(value.bytes()?).map_err(|_| WireError("a link's Hash is no CID"))?)
                .is_some(),
            2 => name
                .replace(
                    std::str::from_utf8(value.bytes()?)
                        .map_err(|_| WireError("a link's Name is not UTF-8"))?
                        .to_owned(),
                )
                .is_some(),
            3 => tsize.replace(value.varint()?).is_some(),
            _ => return Err(WireError("a link has an unknown field")),
        };
        if repeated {
            return Err(WireError("a link has a field twice"));
        }
    }
    Ok(Link {
        cid: cid.ok_or(WireError("a link has no Hash"))?,
        name: name.unwrap_or_default(),
        tsize: tsize.unwrap_or_default(),
    })
}

/// Encodes a node; the links must already be sorted by name.
pub(crate) fn encode<'a>(links: impl Iterator<Item = (&'a Cid, &'a str, u64)>, data: &[u8]) -> Vec<u8> {
    let (count, _) = links.size_hint();
    let mut out = Vec::with_capacity(data.len() + 8 + count * 56);
    for (cid, name, tsize) in links {
        let hash_len = cid.encoded_len();
        let length = 1
            + varint_len(hash_len as u64)
            + hash_len
            + 1
            + varint_len(name.len() as u64)
            + name.len()
            + 1
            + varint_len(tsize);
        write_varint(&mut out, 2 << 3 | 2);
        write_varint(&mut out, length as u64);
        write_varint(&mut out, 1 << 3 | 2);
        write_varint(&mut out, hash_len as u64);
        write_cid(&mut out, cid);
        write_bytes(&mut out, 2, name.as_bytes());
        write_number(&mut out, 3, tsize);
    }
    write_bytes(&mut out, 1, data);
    out
}

/// Appends the binary form of a CID.
pub(crate) fn write_cid(out: &mut Vec<u8>, cid: &Cid) {
    #[expect(clippy::expect_used, reason = "writing to a Vec cannot fail")]
    cid.write_bytes(out).expect("a Vec takes any bytes");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{cid_of_block, codec};
    use proptest::prelude::*;

    fn links() -> impl Strategy<Value = Vec<Link>> {
        prop::collection::vec(
            ("\\PC{0,12}", any::<u64>(), any::<[u8; 4]>()).prop_map(|(name, tsize, seed)| Link {
                cid: cid_of_block(codec::RAW, &seed),
                name,
                tsize,
            }),
            0..20,
        )
    }

    proptest! {
        #[test]
        fn nodes_round_trip(links in links(), data: Vec<u8>) {
            let block = Bytes::from(encode(
                links.iter().map(|l| (&l.cid, l.name.as_str(), l.tsize)),
                &data,
            ));
            let node = decode(&block).unwrap();
            prop_assert_eq!(node.links, links);
            prop_assert_eq!(node.data.unwrap(), data);
        }

        #[test]
        fn any_bytes_are_decoded_without_a_panic(bytes: Vec<u8>) {
            let _ = decode(&Bytes::from(bytes));
        }
    }

    #[test]
    fn what_the_specification_forbids_is_refused() {
        let cid = cid_of_block(codec::RAW, b"x");
        let link = {
            let mut message = Vec::new();
            write_bytes(&mut message, 1, &cid.to_bytes());
            message
        };
        let mut around = Vec::new();
        write_bytes(&mut around, 2, &link);
        write_bytes(&mut around, 1, b"data");
        write_bytes(&mut around, 2, &link);
        assert!(decode(&around.into()).is_err());

        let mut twice = Vec::new();
        write_bytes(&mut twice, 1, b"data");
        write_bytes(&mut twice, 1, b"data");
        assert!(decode(&twice.into()).is_err());

        let mut behind = Vec::new();
        let mut message = Vec::new();
        write_bytes(&mut message, 1, &[&cid.to_bytes()[..], &[0]].concat());
        write_bytes(&mut behind, 2, &message);
        assert!(decode(&behind.into()).is_err());

        let mut no_hash = Vec::new();
        write_bytes(&mut no_hash, 2, &[]);
        assert!(decode(&no_hash.into()).is_err());

        let mut unknown = Vec::new();
        write_bytes(&mut unknown, 3, &[]);
        assert!(decode(&unknown.into()).is_err());
    }
}
