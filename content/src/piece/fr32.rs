//! Fr32 padding: content becomes elements of a field whose order is a little less than 2^255, so each 32 bytes carry 254 bits.

/// Bytes of content in a quad, the smallest unit that is padded.
pub(super) const QUAD: usize = 127;
/// Bytes of a quad once it is padded: four nodes.
pub(super) const PADDED_QUAD: usize = 128;

/// Pads whole quads: after each 254 bits of `content`, least significant bit of each byte first, follow two that are zero.
///
/// What does not fill a quad of `content`, or has no room in `padded`, is left out; callers give as many quads as there is room for.
pub(super) fn pad(content: &[u8], padded: &mut [u8]) {
    let (quads, _) = content.as_chunks::<QUAD>();
    let (padded, _) = padded.as_chunks_mut::<PADDED_QUAD>();
    for (quad, padded) in quads.iter().zip(padded) {
        pad_quad(quad, padded);
    }
}

fn pad_quad(quad: &[u8; QUAD], padded: &mut [u8; PADDED_QUAD]) {
    let (words, _) = padded.as_chunks_mut::<8>();
    // The bits of content before word `4 * node + part` are 254 * node + 64 * part: 8 * byte, and 6, 4 or 2 more.
    for (node, words) in words.chunks_exact_mut(4).enumerate() {
        for (part, word) in words.iter_mut().enumerate() {
            let bit = 254 * node + 64 * part;
            let (byte, shift) = (bit / 8, bit % 8);
            let low = word_at(quad, byte) >> shift;
            let next = if shift > 0 && byte + 8 < QUAD { u64::from(quad[byte + 8]) << (64 - shift) } else { 0 };
            let mask = if part == 3 { u64::MAX >> 2 } else { u64::MAX };
            *word = ((low | next) & mask).to_le_bytes();
        }
    }
}

/// Eight bytes as a number, least significant first.
fn word_at(quad: &[u8; QUAD], byte: usize) -> u64 {
    quad[byte..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
