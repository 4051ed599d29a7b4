//! Unsigned varints of the multiformats: seven bits a byte, least significant first, as short as possible.

/// The most bytes of one (multiformats/unsigned-varint).
const MAX_BYTES: usize = 9;

/// Takes one from the front; `None`: there is none, it is too long, or could be shorter.
pub(crate) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(MAX_BYTES).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            if *byte == 0 && index > 0 {
                return None;
            }
            *bytes = &bytes[index + 1..];
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_shortest_form_is_taken() {
        for (bytes, value, rest) in
            [(&[0][..], Some(0), 0), (&[0x90, 0x12, 7], Some(0x0910), 1), (&[0xff; 8], None, 8), (&[0x80, 0], None, 2)]
        {
            let mut left = bytes;
            assert_eq!((take(&mut left), left.len()), (value, rest), "{bytes:?}");
        }
        assert_eq!(take(&mut &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1][..]), None);
        assert_eq!(take(&mut &[][..]), None);
    }
}
