//! A file's beginning as text, as a table, or as bytes.

use std::borrow::Cow;

use lota_market::U256;
use maud::{Markup, html};

use crate::words;

/// Rows and columns of a table, and bytes of what is neither text nor image.
const MAX_ROWS: usize = 200;
const MAX_COLUMNS: usize = 40;
const MAX_HEX: usize = 4_096;
/// The most bytes of text that are laid out.
const MAX_TEXT: usize = 128 * 1024;
/// One character of so many of a text may be one that texts do not have.
const ODD: usize = 64;

/// What a file's beginning is as text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text<'a> {
    pub(super) text: Cow<'a, str>,
    /// What it was taken for, if not UTF-8.
    pub(super) encoding: Option<&'static str>,
}

impl<'a> Text<'a> {
    /// `None` if it is none. A character that is cut off by the end is left out.
    pub(super) fn of(begin: &'a [u8], is_whole: bool) -> Option<Self> {
        let (text, encoding) = match begin {
            [0xef, 0xbb, 0xbf, rest @ ..] => (Cow::Borrowed(utf8(rest, is_whole)?), None),
            [0xff, 0xfe, rest @ ..] => (Cow::Owned(utf16(rest, u16::from_le_bytes)), Some("UTF-16")),
            [0xfe, 0xff, rest @ ..] => (Cow::Owned(utf16(rest, u16::from_be_bytes)), Some("UTF-16")),
            _ => match utf8(begin, is_whole) {
                Some(text) => (Cow::Borrowed(text), None),
                None => (
                    Cow::Owned(begin.iter().map(|byte| char::from(*byte)).collect()),
                    Some("Latin-1 (ISO 8859-1), which is a guess"),
                ),
            },
        };
        let is_odd =
            |c: char| c == '\u{fffd}' || (c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\x0c' | '\x1b'));
        let (mut all, mut odd) = (0_usize, 0_usize);
        for c in text.chars() {
            all += 1;
            odd += usize::from(is_odd(c));
        }
        (odd * ODD <= all).then_some(Self { text, encoding })
    }
}

fn utf8(begin: &[u8], is_whole: bool) -> Option<&str> {
    match std::str::from_utf8(begin) {
        Ok(text) => Some(text),
        Err(error) if !is_whole && error.error_len().is_none() => {
            std::str::from_utf8(&begin[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units = bytes.as_chunks().0.iter().copied().map(unit);
    char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect()
}

/// What separates the cells of a table: what its first line has most of, outside of quotes.
pub(super) fn delimiter(text: &str) -> u8 {
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0), (b'|', 0)];
    let mut is_quoted = false;
    for byte in text.bytes() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\n' if !is_quoted => break,
            byte if !is_quoted => {
                for (_, count) in counts.iter_mut().filter(|(delimiter, _)| *delimiter == byte) {
                    *count += 1;
                }
            }
            _ => {}
        }
    }
    // Of several that are there as often, the first.
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(delimiter, _)| delimiter)
}

pub(super) fn lines(text: &str) -> Markup {
    let shown = &text[..text.floor_char_boundary(MAX_TEXT)];
    html! {
        pre.text tabindex="0" role="region" aria-label="The file's text" dir="auto" { (words::visible_lines(shown)) }
        @if shown.len() < text.len() {
            p.quiet { "These are the first " (words::amount(U256::from(shown.len()), 0, "bytes")) "." }
        }
    }
}

pub(super) fn csv_table(text: &str, delimiter: u8, is_whole: bool) -> Markup {
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut rows: Vec<csv::StringRecord> = Vec::new();
    let mut more = !is_whole;
    for row in reader.records() {
        match row {
            Ok(_) if rows.len() > MAX_ROWS => {
                more = true;
                break;
            }
            Ok(row) => rows.push(row),
            Err(_) => break,
        }
    }
    let columns = rows.iter().map(csv::StringRecord::len).max().unwrap_or(0);
    let shown = columns.min(MAX_COLUMNS);
    let cell = |row: &csv::StringRecord, at: usize| words::visible(row.get(at).unwrap_or_default());
    let mut rest = rows.iter();
    html! {
        div.scroll tabindex="0" role="region" aria-label="The file as a table" {
            table.csv {
                caption {
                    (words::count(rows.len().saturating_sub(1) as u64, "row", "rows")) " of " (words::count(columns as u64, "column", "columns"))
                    @if more { ", and more that are not shown" }
                    @if shown < columns { "; the first " (shown) " columns" }
                }
                @if let Some(first) = rest.next() {
                    thead { tr { @for at in 0..shown { th scope="col" { (heading(&cell(first, at), at)) } } } }
                }
                tbody { @for row in rest { tr { @for at in 0..shown { td { bdi { (cell(row, at)) } } } } } }
            }
        }
    }
}

/// A column without a name is called by its number.
fn heading(name: &str, at: usize) -> Markup {
    html! { @if name.trim().is_empty() { span.quiet { "column " (at + 1) } } @else { bdi { (name) } } }
}

pub(super) fn hex_dump(begin: &[u8]) -> Markup {
    let shown = &begin[..begin.len().min(MAX_HEX)];
    let printable = |byte: &u8| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '·' };
    let lines: String = shown
        .chunks(16)
        .enumerate()
        .map(|(at, line)| {
            let codes: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{:06x}  {:<47}  {}\n", at * 16, codes.join(" "), line.iter().map(printable).collect::<String>())
        })
        .collect();
    html! {
        p { "This is neither text nor an image that is shown." }
        pre.text.dump tabindex="0" role="region" aria-label="The file's first bytes" { (lines) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8], is_whole: bool) -> Option<(String, bool)> {
        Text::of(bytes, is_whole).map(|text| (text.text.into_owned(), text.encoding.is_some()))
    }

    #[test]
    fn text_that_was_cut_within_a_character_is_text() {
        let bytes = "aü".as_bytes();
        assert_eq!(shown(&bytes[..2], false), Some(("a".into(), false)));
        assert_eq!(shown(b"", true), Some((String::new(), false)));
        // Whole, it is another encoding's.
        assert_eq!(shown(&bytes[..2], true), Some(("aÃ".into(), true)));
    }

    #[test]
    fn texts_in_other_encodings_are_read_and_bytes_are_not() {
        assert_eq!(shown(b"Stra\xdfe, caf\xe9\n", true), Some(("Straße, café\n".into(), true)));
        let little: Vec<u8> =
            [0xff, 0xfe].into_iter().chain("größer 🙂\n".encode_utf16().flat_map(u16::to_le_bytes)).collect();
        assert_eq!(shown(&little, true), Some(("größer 🙂\n".into(), true)));
        let big: Vec<u8> = [0xfe, 0xff].into_iter().chain("größer".encode_utf16().flat_map(u16::to_be_bytes)).collect();
        assert_eq!(shown(&big[..big.len() - 1], false), Some(("größe".into(), true)));
        assert_eq!(shown(b"\xef\xbb\xbfa", true), Some(("a".into(), false)));
        // One that is no character's among many that are.
        let odd = [&b"x".repeat(100)[..], b"\0"].concat();
        assert!(shown(&odd, true).is_some_and(|(text, _)| text.ends_with('\0')));
        assert_eq!(shown(b"a\0", true), None);
        assert_eq!(shown(&(0..=255).collect::<Vec<u8>>(), true), None);
        assert_eq!(shown(b"\xff\xfe\0\xd8\0\xd8\0\xd8", true), None);
    }

    #[test]
    fn cells_are_separated_by_what_the_first_line_has_most_of() {
        for (text, expected) in [
            ("a;b;c\n1,5;2;3", b';'),
            ("a,b;c,d\n", b','),
            ("\"x;y;z\",b\n", b','),
            ("a\tb\n", b'\t'),
            ("a|b", b'|'),
            ("one", b','),
            ("", b','),
        ] {
            assert_eq!(delimiter(text), expected, "{text}");
        }
    }

    #[test]
    fn tables_are_bounded_and_say_so() {
        let wide = vec!["x"; 100].join(",");
        let long = format!("{wide}\n").repeat(1_000);
        let page = csv_table(&long, b',', true).into_string();
        assert_eq!(page.matches("<td>").count(), MAX_ROWS * MAX_COLUMNS);
        assert!(
            page.contains("200 rows of 100 columns, and more that are not shown; the first 40 columns"),
            "{}",
            &page[..300]
        );
        let page = csv_table("a,b\n1,2\n", b',', true).into_string();
        assert!(page.contains("1 row of 2 columns</caption>"), "{page}");
        let nameless = csv_table("a,,c\n1,2,3\n", b',', true).into_string();
        assert!(nameless.contains(">column 2</span></th>"), "{nameless}");
        // A quote that never ends is one cell, which is cut off.
        let open = csv_table(&format!("\"{}", "y".repeat(100_000)), b',', true).into_string();
        assert!(open.len() < 3_000, "{}", open.len());
    }
}
