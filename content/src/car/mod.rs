//! CAR files, version 1 (<https://ipld.io/specs/transport/car/carv1/>): blocks one after another.
//! Version 2 is read too, by way of the version 1 that it contains.
//!
//! iroh-car reads and writes this format (the tests compare with it); here the decoder takes bytes
//! as they arrive and gives blocks without copying them again, which a fetch over HTTP wants.

mod decode;
mod transfer;

pub use decode::{CarDecoder, CarError, CarItem, MAX_CAR_HEADER};
pub use transfer::{
    CarExportError, CarExported, CarImportError, CarImportOptions, CarImported, car_export, car_import, car_stream,
};

use cid::Cid;
use serde_ipld_dagcbor::EncodeError;

use crate::dagpb::write_cid;
use crate::wire::{varint_len, write_varint};

/// The header of a CAR with these roots.
pub(crate) fn encode_header(roots: &[Cid]) -> Vec<u8> {
    let roots = ipld_core::ipld::Ipld::List(roots.iter().map(|root| ipld_core::ipld::Ipld::Link(*root)).collect());
    let header = ipld_core::ipld::Ipld::Map([("roots".to_owned(), roots), ("version".to_owned(), 1.into())].into());
    let encoded: Result<Vec<u8>, EncodeError<_>> = serde_ipld_dagcbor::to_vec(&header);
    #[expect(
        clippy::expect_used,
        reason = "links and a small integer always have an encoding, and a Vec takes any bytes"
    )]
    let encoded = encoded.expect("a CAR header is valid DAG-CBOR");
    let mut out = Vec::with_capacity(encoded.len() + 2);
    write_varint(&mut out, encoded.len() as u64);
    out.extend_from_slice(&encoded);
    out
}

/// What stands before a block's bytes.
pub(crate) fn encode_section(cid: &Cid, length: usize) -> Vec<u8> {
    let section = (cid.encoded_len() + length) as u64;
    let mut out = Vec::with_capacity(varint_len(section) + cid.encoded_len());
    write_varint(&mut out, section);
    write_cid(&mut out, cid);
    out
}

#[cfg(test)]
mod tests;
