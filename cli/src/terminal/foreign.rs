//! Text from somebody else, on its way to a terminal.
//!
//! A terminal obeys what it is shown: control characters move its cursor, set its title, fill its clipboard; direction
//! marks show text in another order than it is in. So nothing but what can be read gets there. Whoever prints somebody
//! else's text puts it through [`printable`]; should that be forgotten, the places where all output passes ([`Shown`],
//! the cells of tables) let through nothing but line ends and the few colours of this command.

use std::{borrow::Cow, io};

/// The longest colour sequence that is let through: `ESC [ 1 ; 3 2 m`, with room.
const MAX_STYLE: usize = 12;

/// Whether a character does something to a terminal, or to the order of others, instead of being read.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Direction: marks, embeddings, overrides, isolates.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Lines, paragraphs, annotations.
            | '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}'
            // Invisible: two texts must not look the same. (Joiners stay: scripts and emoji need them.)
            | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

fn push_escaped(out: &mut String, c: char) {
    out.extend(c.escape_default());
}

/// Text from somebody else in one line: what cannot be read is escaped as in a Rust string.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hostile(c) { push_escaped(&mut out, c) } else { out.push(c) }
    }
    out
}

/// The same, with at most `most` characters of the text.
pub(crate) fn brief(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => printable(text.get(..end).unwrap_or_default()) + "…",
        None => printable(text),
    }
}

/// JSON that a terminal can be shown: the same document, with what cannot be read written as `\u` and digits. (The characters
/// below U+0020 are written so already.)
pub(crate) fn json(text: String) -> String {
    if !text.chars().any(|c| c != '\n' && is_hostile(c)) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 64);
    for c in text.chars() {
        if c == '\n' || !is_hostile(c) {
            out.push(c);
        } else {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        }
    }
    out
}

/// What is on its way to a terminal: lines of text, and this command's own colours.
pub(crate) enum Shown {
    /// Lines stay lines.
    Lines,
    /// All is one line.
    Line,
}

impl Shown {
    /// The text with everything else escaped.
    pub(crate) fn guard<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !text.chars().any(is_hostile) {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len() + 64);
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let taken = match (c, style_at(rest)) {
                ('\x1b', Some(style)) => {
                    out.push_str(style);
                    style.len()
                }
                ('\n' | '\t', _) if matches!(self, Self::Lines) => {
                    out.push(c);
                    c.len_utf8()
                }
                _ => {
                    out.push_str(&printable(c.encode_utf8(&mut [0; 4])));
                    c.len_utf8()
                }
            };
            rest = rest.get(taken..).unwrap_or_default();
        }
        Cow::Owned(out)
    }
}

/// The colour sequence at the beginning of a text: `ESC [`, numbers that this command and its log use, `m`.
fn style_at(text: &str) -> Option<&str> {
    let parameters = text.strip_prefix("\x1b[")?;
    let end = parameters.bytes().take(MAX_STYLE).position(|byte| byte == b'm')?;
    let known = |number: &str| {
        number.bytes().all(|byte| byte.is_ascii_digit())
            && matches!(number.parse::<u8>(), Ok(0..=4 | 22..=24 | 30..=37 | 39 | 90..=97))
    };
    let parameters = parameters.get(..end)?;
    parameters.split(';').all(known).then(|| text.get(..end + 3))?
}

/// A stream of somebody else's bytes, made readable piece by piece. Lines stay lines and tabs stay tabs; what is no UTF-8 is
/// shown as `\x` and digits. A character, and a line end of two characters, may come in several pieces.
#[derive(Default)]
pub(crate) struct Escaper {
    /// The beginning of a character: at most three bytes.
    rest: Vec<u8>,
    /// A carriage return that may belong to a line end.
    carriage_return: bool,
    /// Whether something was written after the last line end.
    mid_line: bool,
}

impl Escaper {
    /// The next piece.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> String {
        let mut out = String::with_capacity(bytes.len() + 16);
        let joined;
        let mut rest = bytes;
        if !self.rest.is_empty() {
            self.rest.extend_from_slice(bytes);
            joined = std::mem::take(&mut self.rest);
            rest = &joined;
        }
        loop {
            match std::str::from_utf8(rest) {
                Ok(text) => {
                    self.text(text, &mut out);
                    return out;
                }
                Err(error) => {
                    let (good, bad) = rest.split_at(error.valid_up_to());
                    self.text(&String::from_utf8_lossy(good), &mut out);
                    let Some(length) = error.error_len() else {
                        self.rest = bad.to_vec();
                        return out;
                    };
                    let (bad, after) = bad.split_at(length);
                    self.invalid(bad, &mut out);
                    rest = after;
                }
            }
        }
    }

    /// What was held back, and a line end if the last line has none: what follows is not somebody else's.
    pub(crate) fn finish(&mut self) -> String {
        let mut out = String::new();
        let rest = std::mem::take(&mut self.rest);
        self.invalid(&rest, &mut out);
        self.lone_return(&mut out);
        if std::mem::take(&mut self.mid_line) {
            out.push('\n');
        }
        out
    }

    fn invalid(&mut self, bytes: &[u8], out: &mut String) {
        if bytes.is_empty() {
            return;
        }
        self.lone_return(out);
        bytes.iter().for_each(|byte| out.push_str(&format!("\\x{byte:02x}")));
        self.mid_line = true;
    }

    fn lone_return(&mut self, out: &mut String) {
        if std::mem::take(&mut self.carriage_return) {
            push_escaped(out, '\r');
            self.mid_line = true;
        }
    }

    fn text(&mut self, text: &str, out: &mut String) {
        for c in text.chars() {
            if c == '\n' {
                // With or without a return before it: the terminal makes both the same.
                self.carriage_return = false;
                self.mid_line = false;
                out.push(c);
                continue;
            }
            self.lone_return(out);
            match c {
                '\r' => self.carriage_return = true,
                '\t' => out.push(c),
                c if is_hostile(c) => push_escaped(out, c),
                c => out.push(c),
            }
            self.mid_line |= c != '\r';
        }
    }
}

/// Where the log goes: a line for each event, whatever strangers' texts it quotes.
pub(crate) struct LogLines<W>(pub(crate) W);

impl<W: io::Write> io::Write for LogLines<W> {
    /// The log writes each event in one piece.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let (line, end) = text.strip_suffix('\n').map_or((text.as_ref(), ""), |line| (line, "\n"));
        self.0.write_all(Shown::Line.guard(line).as_bytes())?;
        self.0.write_all(end.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// What attackers send: a title, a clipboard, a cleared screen, both forms of CSI, another order, invisible text.
    const HOSTILE: &str = "\x1b]0;title\x07\x1b]52;c;cHduZWQ=\x07\x1b[2J\u{9b}31m\x1b[8m\u{7f}\u{8}\u{202e}\u{61c}\u{200b}\u{feff}\u{e0041}\r";

    fn is_readable(text: &str) -> bool {
        text.chars().all(|c| matches!(c, '\n' | '\t') || !is_hostile(c))
    }

    #[test]
    fn text_of_others_cannot_steer_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\n\u{202e}c"), "a\\u{1b}[2Jb\\n\\u{202e}c");
        assert_eq!(printable("Zürich 漢字 👩‍🚀 क्ष"), "Zürich 漢字 👩‍🚀 क्ष");
        let shown = printable(HOSTILE);
        assert!(is_readable(&shown) && shown.contains("title") && shown.contains("\\u{9b}31m"), "{shown}");
        assert_eq!(brief("aé\n漢字", 3), "aé\\n…");
        assert_eq!(brief("aé", 2), "aé");
    }

    #[test]
    fn only_our_colours_get_through_the_guard() {
        let ours = "\x1b[1mJob\x1b[0m \x1b[31mbad\x1b[0m\n\tb";
        assert_eq!(Shown::Lines.guard(ours), ours);
        assert_eq!(Shown::Line.guard("\x1b[32ma\nb"), "\x1b[32ma\\nb");
        for sequence in
            ["\x1b[2J", "\x1b[8m", "\x1b[38;5;1m", "\x1b[m", "\x1b[1;m", "\x1b[1", "\x1b", "\x1b[31;1H", "\x1b[+1m"]
        {
            let shown = Shown::Lines.guard(sequence);
            assert!(is_readable(&shown) && shown.starts_with("\\u{1b}"), "{sequence:?}: {shown:?}");
        }
        let shown = Shown::Lines.guard(HOSTILE);
        assert!(is_readable(&shown), "{shown:?}");
    }

    #[test]
    fn json_stays_the_same_document() {
        let value = serde_json::json!({ HOSTILE: [HOSTILE, "é漢👩‍🚀"] });
        let text = json(serde_json::to_string_pretty(&value).expect("JSON"));
        assert!(is_readable(&text) && text.contains("é漢") && text.contains("\\udb40\\udc41"), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("still JSON"), value);
    }

    #[test]
    fn a_stream_is_readable_wherever_it_is_cut() {
        let mut bytes = format!("one\r\ntwo\tthree\rfour\n{HOSTILE}é漢👩‍🚀").into_bytes();
        bytes.extend_from_slice(b"\xff\xc3(\xe2\x82\xf0\x9f\x92");
        let whole = {
            let mut escaper = Escaper::default();
            escaper.push(&bytes) + &escaper.finish()
        };
        assert!(is_readable(&whole), "{whole}");
        assert!(whole.starts_with("one\ntwo\tthree\\rfour\n\\u{1b}]0;title"), "{whole}");
        assert!(whole.ends_with("\\ré漢👩‍🚀\\xff\\xc3(\\xe2\\x82\\xf0\\x9f\\x92\n"), "{whole}");
        for size in 1..bytes.len() {
            let mut escaper = Escaper::default();
            let mut pieces: String = bytes.chunks(size).map(|piece| escaper.push(piece)).collect();
            assert!(escaper.rest.len() < 4, "no more than a character is held back");
            pieces += &escaper.finish();
            assert_eq!(pieces, whole, "in pieces of {size}");
        }
    }

    #[test]
    fn a_line_end_is_added_where_one_is_missing() {
        for (bytes, shown) in [
            (&b""[..], ""),
            (b"a", "a\n"),
            (b"a\n", "a\n"),
            (b"a\r\n", "a\n"),
            (b"a\r", "a\\r\n"),
            (b"\xe2", "\\xe2\n"),
        ] {
            let mut escaper = Escaper::default();
            assert_eq!(escaper.push(bytes) + &escaper.finish(), shown);
        }
    }

    #[test]
    fn an_event_of_the_log_is_one_line() {
        let mut lines = Vec::new();
        LogLines(&mut lines)
            .write_all("\x1b[33mWARN\x1b[0m url=a\n2026 ERROR forged\x1b[2J\n".as_bytes())
            .expect("written");
        let text = String::from_utf8(lines).expect("UTF-8");
        assert_eq!(text, "\x1b[33mWARN\x1b[0m url=a\\n2026 ERROR forged\\u{1b}[2J\n");
    }
}
