//! Which raster image some bytes are, and how large it would be: by their content, never by a name.

/// The most pixels that a browser is asked to decode.
const MAX_PIXELS: u64 = 16 * 1024 * 1024;

/// An image that may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raster {
    /// Its media type.
    pub(crate) kind: &'static str,
    pub(crate) extension: &'static str,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// The image of a whole file's bytes; `None` if it is none that is shown (another format, no size, or too many pixels).
pub(crate) fn raster(bytes: &[u8]) -> Option<Raster> {
    let (kind, extension, (width, height)) = if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        ("image/png", "png", png(bytes)?)
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        ("image/jpeg", "jpg", jpeg(bytes)?)
    } else if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
        ("image/gif", "gif", (u16_le(bytes, 6)?, u16_le(bytes, 8)?))
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12)? == b"WEBP" {
        ("image/webp", "webp", webp(bytes)?)
    } else {
        return None;
    };
    let pixels = u64::from(width) * u64::from(height);
    (pixels > 0 && pixels <= MAX_PIXELS).then_some(Raster { kind, extension, width, height })
}

fn u16_le(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?)))
}

fn u16_be(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?)))
}

fn u32_be(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u24_le(bytes: &[u8], at: usize) -> Option<u32> {
    let [low, middle, high] = *bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes([low, middle, high, 0]))
}

/// Its first chunk is IHDR (PNG, 5.6).
fn png(bytes: &[u8]) -> Option<(u32, u32)> {
    (bytes.get(12..16)? == b"IHDR").then_some((u32_be(bytes, 16)?, u32_be(bytes, 20)?))
}

/// Its first frame header (ITU T.81, B.2.2): SOF0 to SOF15, but for DHT, JPG and DAC.
fn jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        let begin = at;
        while *bytes.get(at)? == 0xff {
            at += 1;
        }
        if at == begin {
            return None;
        }
        let marker = *bytes.get(at)?;
        at += 1;
        match marker {
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                return Some((u16_be(bytes, at + 5)?, u16_be(bytes, at + 3)?));
            }
            // Image data or the end, before there was a frame.
            0xd9 | 0xda => return None,
            0x01 | 0xd0..=0xd8 => {}
            _ => at = at.checked_add(usize::try_from(u16_be(bytes, at)?).ok()?.max(2))?,
        }
    }
}

/// The canvas of the extended form, or the frame of VP8L or VP8 (RFC 9649, 2.5 to 2.7).
fn webp(bytes: &[u8]) -> Option<(u32, u32)> {
    match bytes.get(12..16)? {
        b"VP8X" => Some((u24_le(bytes, 24)? + 1, u24_le(bytes, 27)? + 1)),
        b"VP8L" => {
            let bits = u32::from_le_bytes(*bytes.get(21..)?.first_chunk()?);
            (bytes.get(20)? == &0x2f).then_some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        b"VP8 " => (bytes.get(23..26)? == [0x9d, 0x01, 0x2a])
            .then_some((u16_le(bytes, 26)? & 0x3fff, u16_le(bytes, 28)? & 0x3fff)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sized(width: u32, height: u32) -> Vec<u8> {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        png.extend(width.to_be_bytes());
        png.extend(height.to_be_bytes());
        png
    }

    #[test]
    fn images_are_known_by_their_content() {
        let found = |bytes: &[u8]| raster(bytes).map(|image| (image.kind, image.width, image.height));
        assert_eq!(found(&sized(3, 5)), Some(("image/png", 3, 5)));
        assert_eq!(found(b"GIF89a\x03\0\x05\0;"), Some(("image/gif", 3, 5)));
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xc2\0\x0b\x08\0\x05\0\x03";
        assert_eq!(found(jpeg), Some(("image/jpeg", 3, 5)));
        assert_eq!(found(b"RIFF....WEBPVP8X........\x02\0\0\x04\0\0"), Some(("image/webp", 3, 5)));
        assert_eq!(found(b"RIFF....WEBPVP8L....\x2f\x02\0\x01\0"), Some(("image/webp", 3, 5)));
        assert_eq!(found(b"RIFF....WEBPVP8 .......\x9d\x01\x2a\x03\0\x05\0"), Some(("image/webp", 3, 5)));
    }

    #[test]
    fn what_is_none_or_would_fill_the_memory_is_not_shown() {
        for hostile in [
            &b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"[..],
            b"<html><script>alert(1)</script>",
            b"\x89PNG\r\n\x1a\n",
            b"\xff\xd8\xff",
            b"\xff\xd8\xff\xe0\0\0\xff\xe0\0\0",
            b"\xff\xd8\xffab",
            b"GIF89a",
            b"RIFF....WEBP",
            b"",
        ] {
            assert_eq!(raster(hostile), None, "{hostile:?}");
        }
        assert_eq!(raster(&sized(50_000, 50_000)), None);
        assert_eq!(raster(&sized(u32::MAX, u32::MAX)), None);
        assert_eq!(raster(&sized(0, 5)), None);
    }

    #[test]
    fn no_beginning_of_a_file_ends_the_program() {
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xc2\0\x0b\x08\0\x05\0\x03";
        for whole in [&jpeg[..], b"RIFF....WEBPVP8X........\x02\0\0\x04\0\0", b"RIFF....WEBPVP8L....\x2f\x02\0\x01\0"] {
            for length in 0..whole.len() {
                assert_eq!(raster(&whole[..length]), None, "{length} of {whole:?}");
            }
        }
    }
}
