//! The decoder: bytes in, blocks out, no I/O.

use bytes::{Buf as _, Bytes, BytesMut};
use cid::Cid;
use ipld_core::ipld::Ipld;

use crate::digest::MAX_BLOCK_SIZE;
use crate::wire::read_varint;

/// Longest header that is read, in bytes (about a thousand roots).
pub const MAX_CAR_HEADER: usize = 64 * 1024;
/// Longest CID in front of a block, in bytes.
const MAX_CID: usize = 128;
/// What follows the pragma of version 2: characteristics, data offset, data size, index offset.
const V2_HEADER: usize = 40;

/// Why bytes are no CAR.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CarError {
    /// The header cannot be understood.
    #[error("this is no CAR: {reason}")]
    Header {
        /// What is wrong with it.
        reason: String,
    },
    /// A section is not a CID and a block.
    #[error("the CAR is malformed at byte {offset}: {reason}")]
    Section {
        /// Where the section begins.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The bytes end within the header or a section.
    #[error("the CAR is cut off after {length} bytes")]
    Truncated {
        /// How many bytes there are.
        length: u64,
    },
}

/// What the decoder found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CarItem {
    /// The header's roots; always first, and once.
    Roots(Vec<Cid>),
    /// A block. Its bytes are **not** checked against its CID yet.
    Block(Cid, Bytes),
}

/// Takes the bytes of a CAR as they come and gives what is complete.
///
/// ```
/// use lota_content::{CarDecoder, CarItem};
/// # let car = [vec![0x11], b"\xa2eroots\x80gversion\x01".to_vec()].concat();
/// let mut decoder = CarDecoder::new();
/// for piece in car.chunks(7) {
///     decoder.push(piece);
///     while let Some(item) = decoder.next_item()? {
///         assert_eq!(item, CarItem::Roots(vec![]));
///     }
/// }
/// decoder.finish()?;
/// # Ok::<(), lota_content::CarError>(())
/// ```
#[derive(Debug, Default)]
pub struct CarDecoder {
    buffer: BytesMut,
    state: State,
    /// Bytes taken out of the buffer so far.
    consumed: u64,
    /// Where the blocks of a version 2 end.
    end: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Header,
    /// Of version 2, after its pragma.
    V2Header,
    /// Of version 2: bytes before the inner header.
    Padding(u64),
    InnerHeader,
    Blocks,
}

impl CarDecoder {
    /// A decoder that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives it more bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next item, or `None` if it needs more bytes. At most one block is buffered if this is
    /// called until it gives `None` after each push.
    ///
    /// # Errors
    /// [`CarError::Header`] or [`CarError::Section`]; the decoder is of no use afterwards.
    pub fn next_item(&mut self) -> Result<Option<CarItem>, CarError> {
        loop {
            match self.state {
                State::Header | State::InnerHeader => {
                    let Some((start, length)) = self.section(MAX_CAR_HEADER)? else {
                        return Ok(None);
                    };
                    let inner = self.state == State::InnerHeader;
                    self.skip(start);
                    let header = self.buffer.split_to(length - start).freeze();
                    self.consumed += header.len() as u64;
                    match decode_header(&header)? {
                        Header::V1(roots) => {
                            self.state = State::Blocks;
                            return Ok(Some(CarItem::Roots(roots)));
                        }
                        Header::V2 if !inner => self.state = State::V2Header,
                        Header::V2 => return Err(header_error("a version 2 within a version 2")),
                    }
                }
                State::V2Header => {
                    if self.buffer.len() < V2_HEADER {
                        return Ok(None);
                    }
                    let mut header = self.buffer.split_to(V2_HEADER);
                    self.consumed += V2_HEADER as u64;
                    header.advance(16);
                    let (offset, size) = (header.get_u64_le(), header.get_u64_le());
                    let padding = offset
                        .checked_sub(self.consumed)
                        .ok_or_else(|| header_error("its data would begin within its header"))?;
                    self.end =
                        Some(offset.checked_add(size).ok_or_else(|| header_error("its data would end nowhere"))?);
                    self.state = State::Padding(padding);
                }
                State::Padding(0) => self.state = State::InnerHeader,
                State::Padding(left) => {
                    let skipped = left.min(self.buffer.len() as u64);
                    if skipped == 0 {
                        return Ok(None);
                    }
                    self.skip(skipped as usize);
                    self.state = State::Padding(left - skipped);
                }
                State::Blocks => {
                    if self.end.is_some_and(|end| self.consumed >= end) {
                        // the index of version 2
                        self.consumed += self.buffer.len() as u64;
                        self.buffer.clear();
                        return Ok(None);
                    }
                    let Some((start, length)) = self.section(MAX_BLOCK_SIZE + MAX_CID)? else {
                        return Ok(None);
                    };
                    let offset = self.consumed;
                    self.skip(start);
                    let mut section = self.buffer.split_to(length - start).freeze();
                    self.consumed += section.len() as u64;
                    let mut rest = &section[..];
                    let cid = Cid::read_bytes(&mut rest).map_err(|error| CarError::Section {
                        offset,
                        reason: format!("it does not begin with a CID: {error}"),
                    })?;
                    let block = section.split_off(section.len() - rest.len());
                    return Ok(Some(CarItem::Block(cid, block)));
                }
            }
        }
    }

    /// Says that no more bytes come.
    ///
    /// # Errors
    /// [`CarError::Truncated`] if they end within the header or a section.
    pub fn finish(&self) -> Result<(), CarError> {
        let whole =
            self.state == State::Blocks && self.buffer.is_empty() && self.end.is_none_or(|end| self.consumed >= end);
        if whole { Ok(()) } else { Err(CarError::Truncated { length: self.consumed + self.buffer.len() as u64 }) }
    }

    fn skip(&mut self, count: usize) {
        self.buffer.advance(count);
        self.consumed += count as u64;
    }

    /// Where the next section's content begins and ends in the buffer, if it is all there.
    fn section(&mut self, limit: usize) -> Result<Option<(usize, usize)>, CarError> {
        let error = |reason: String| match self.state {
            State::Blocks => CarError::Section { offset: self.consumed, reason },
            _ => CarError::Header { reason },
        };
        let (length, start) = match read_varint(&self.buffer) {
            Ok(Some(found)) => found,
            Ok(None) if self.buffer.len() < 10 => return Ok(None),
            Ok(None) | Err(_) => return Err(error("its length is no varint".to_owned())),
        };
        if length == 0 {
            return Err(error("it has no bytes".to_owned()));
        }
        let end = match usize::try_from(length) {
            Ok(length) if length <= limit => start + length,
            _ => {
                return Err(error(format!("it would have {length} bytes; at most {limit} are read")));
            }
        };
        if self.buffer.len() < end {
            self.buffer.reserve(end - self.buffer.len());
            return Ok(None);
        }
        Ok(Some((start, end)))
    }
}

enum Header {
    V1(Vec<Cid>),
    V2,
}

fn header_error(reason: impl Into<String>) -> CarError {
    CarError::Header { reason: reason.into() }
}

fn decode_header(bytes: &[u8]) -> Result<Header, CarError> {
    let header: Ipld = serde_ipld_dagcbor::from_slice(bytes)
        .map_err(|error| header_error(format!("its header is not DAG-CBOR: {error}")))?;
    let Ipld::Map(mut header) = header else {
        return Err(header_error("its header is no map"));
    };
    match header.remove("version") {
        Some(Ipld::Integer(1)) => {}
        Some(Ipld::Integer(2)) => return Ok(Header::V2),
        Some(Ipld::Integer(other)) => {
            return Err(header_error(format!("it has version {other}; 1 and 2 are read")));
        }
        _ => return Err(header_error("its header has no version")),
    }
    let Some(Ipld::List(roots)) = header.remove("roots") else {
        return Err(header_error("its header has no roots"));
    };
    let roots: Option<Vec<Cid>> = roots
        .into_iter()
        .map(|root| match root {
            Ipld::Link(cid) => Some(cid),
            _ => None,
        })
        .collect();
    roots.map(Header::V1).ok_or_else(|| header_error("one of its roots is no CID"))
}
