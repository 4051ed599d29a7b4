//! The links of a block, by its codec.

use bytes::Bytes;
use cid::Cid;
use ipld_core::codec::Links as _;
use serde_ipld_dagcbor::codec::DagCborCodec;

use crate::dagpb;
use crate::digest::codec;

/// Why the links of a block cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinksError {
    /// The bytes are not of the CID's codec.
    #[error("block {cid} is malformed: {reason}")]
    Malformed {
        cid: Box<Cid>,
        /// What is wrong with it.
        reason: String,
    },
    /// The codec is none of raw, dag-pb, dag-cbor and json.
    #[error(
        "block {cid} has the codec 0x{codec:x}, whose links are not known; raw (0x55), dag-pb (0x70), dag-cbor (0x71) and json (0x0200) are"
    )]
    UnknownCodec { cid: Box<Cid>, codec: u64 },
}

/// The CIDs that a block links to, in the order in which they stand in it.
///
/// # Errors
/// [`LinksError`] if the block cannot be decoded or its codec is not known.
pub fn links(cid: &Cid, block: &Bytes) -> Result<Vec<Cid>, LinksError> {
    let malformed = |reason: String| LinksError::Malformed { cid: Box::new(*cid), reason };
    match cid.codec() {
        codec::RAW | codec::JSON => Ok(Vec::new()),
        codec::DAG_PB => match dagpb::decode(block) {
            Ok(node) => Ok(node.links.into_iter().map(|link| link.cid).collect()),
            Err(error) => Err(malformed(error.0.to_owned())),
        },
        codec::DAG_CBOR => match DagCborCodec::links(block) {
            Ok(links) => Ok(links.collect()),
            Err(error) => Err(malformed(error.to_string())),
        },
        codec => Err(LinksError::UnknownCodec { cid: Box::new(*cid), codec }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::cid_of_block;
    use ipld_core::ipld::Ipld;

    #[test]
    fn links_of_dag_cbor_are_found_at_any_depth() {
        let one = cid_of_block(codec::RAW, b"1");
        let two = cid_of_block(codec::DAG_PB, b"2");
        let value = Ipld::List(vec![Ipld::Link(one), Ipld::Map([("x".to_owned(), Ipld::Link(two))].into())]);
        let block = Bytes::from(serde_ipld_dagcbor::to_vec(&value).unwrap());
        let cid = cid_of_block(codec::DAG_CBOR, &block);
        assert_eq!(links(&cid, &block).unwrap(), [one, two]);
    }

    #[test]
    fn deep_or_broken_dag_cbor_is_an_error_and_not_a_crash() {
        // a hundred thousand nested lists
        let block = Bytes::from(vec![0x81; 100_000]);
        let cid = cid_of_block(codec::DAG_CBOR, &block);
        assert!(matches!(links(&cid, &block), Err(LinksError::Malformed { .. })));
    }

    #[test]
    fn an_unknown_codec_may_hide_links() {
        let cid = cid_of_block(0x0129, b"{}");
        assert!(matches!(links(&cid, &Bytes::from_static(b"{}")), Err(LinksError::UnknownCodec { codec: 0x0129, .. })));
    }
}
