//! Numbers, times and strangers' texts as a notary reads them.

use jiff::{Timestamp, tz::TimeZone};
use lota_market::{Address, B256, Time, U256};
use maud::{Markup, html};
use unicode_general_category::{GeneralCategory, get_general_category};

/// The most characters of a stranger's text that are shown where it is one of many.
const MAX_INLINE: usize = 600;

/// Whether a character is not seen, or moves others about: it is shown by its number.
fn is_hidden(c: char) -> bool {
    matches!(
        get_general_category(c),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::PrivateUse
            | GeneralCategory::Surrogate
            | GeneralCategory::Unassigned
    )
    // Letters and symbols without ink: fillers of Hangul, the empty Braille pattern. Selectors of variants.
    || matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{2800}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Whether it is a mark that is put onto the character before it.
fn is_mark(c: char) -> bool {
    matches!(get_general_category(c), GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark)
}

fn push_visible(out: &mut String, c: char, marks: &mut u32) {
    if is_mark(c) {
        // Languages need a few marks on a letter; towers of them cover what is above and below.
        *marks += 1;
        if *marks > 4 {
            return;
        }
    } else {
        *marks = 0;
    }
    match c {
        '\0'..='\x1f' => out.extend(char::from_u32(0x2400 + u32::from(c))),
        '\x7f' => out.push('\u{2421}'),
        c if is_hidden(c) => out.push_str(&format!("⟨U+{:04X}⟩", u32::from(c))),
        c => out.push(c),
    }
}

/// A stranger's text in one line, with what would not be seen shown by its number; long ones are cut off, and say so.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_INLINE * 4));
    let mut marks = 0;
    for (at, c) in text.chars().enumerate() {
        if at == MAX_INLINE {
            out.push_str(&format!("… ({} characters more)", text.chars().count() - MAX_INLINE));
            break;
        }
        push_visible(&mut out, c, &mut marks);
    }
    out
}

/// A stranger's text of several lines: line breaks and tabs are kept, everything else is as in [`visible`].
pub(crate) fn visible_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let mut marks = 0;
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\n' | '\t' => out.push(c),
            '\r' if characters.peek() == Some(&'\n') => {}
            c => push_visible(&mut out, c, &mut marks),
        }
    }
    out
}

/// The beginning of a stranger's text of several lines, where it is one of many.
pub(crate) fn visible_short_lines(text: &str) -> String {
    match text.char_indices().nth(MAX_INLINE) {
        None => visible_lines(text),
        Some((at, _)) => format!("{}… (cut off)", visible_lines(&text[..at])),
    }
}

/// A stranger's text in a sentence: set apart, so that its direction moves nothing around it.
pub(crate) fn theirs(text: &str) -> Markup {
    html! { bdi { (visible(text)) } }
}

/// Digits in groups of three.
fn grouped(digits: &str) -> String {
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// An amount as [`amount`] has it, without the exact bytes: where many are compared.
pub(crate) fn short_amount(number: U256, decimals: u8, unit: &str) -> String {
    let whole = amount(number, decimals, unit);
    if unit != "bytes" || decimals != 0 {
        return whole;
    }
    whole.split_once(" (").map_or(whole.clone(), |(short, _)| short.to_owned())
}

/// An amount with its unit: `32 GiB (34,359,738,368 bytes)`, `1,250.5 USD`.
pub(crate) fn amount(amount: U256, decimals: u8, unit: &str) -> String {
    let digits = amount.to_string();
    let decimals = usize::from(decimals);
    if unit == "bytes" && decimals == 0 {
        let exact = format!("{} bytes", grouped(&digits));
        let prefixed = [("EiB", 60), ("PiB", 50), ("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)]
            .into_iter()
            .find(|(_, shift)| amount >> *shift != U256::ZERO);
        return match prefixed {
            None => exact,
            Some((name, shift)) => {
                let hundredths = amount.saturating_mul(U256::from(100)) >> shift;
                let (whole, part): (U256, U256) = (hundredths / U256::from(100), hundredths % U256::from(100));
                let rounded = hundredths << shift != amount.saturating_mul(U256::from(100));
                let fraction = if part.is_zero() { String::new() } else { format!(".{:02}", part.to::<u8>()) };
                let about = if rounded { "some " } else { "" };
                format!("{about}{}{fraction} {name} ({exact})", grouped(&whole.to_string()))
            }
        };
    }
    let padded = format!("{digits:0>width$}", width = decimals + 1);
    let (whole, fraction) = padded.split_at(padded.len() - decimals);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{}{point}{fraction} {}", grouped(whole), visible(unit))
}

fn timestamp(time: Time) -> Option<Timestamp> {
    i64::try_from(time.0).ok().and_then(|seconds| Timestamp::from_second(seconds).ok())
}

/// A date and time in UTC, to the minute.
pub(crate) fn date(time: Time) -> String {
    timestamp(time).map_or_else(
        || format!("second {} after 1970", time.0),
        |at| at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M UTC").to_string(),
    )
}

fn machine_date(time: Time) -> Option<String> {
    timestamp(time).map(|at| at.to_string())
}

/// A point in time.
pub(crate) fn when(time: Time) -> Markup {
    html! { time datetime=[machine_date(time)] { (date(time)) } }
}

/// A point in time, and how long ago or ahead that is.
pub(crate) fn when_and_distance(time: Time, now: Time) -> Markup {
    html! { (when(time)) " (" (distance(time, now)) ")" }
}

/// How far a point in time is: `3 h ago`, `in 2 d`; the date is what a pointer shows.
pub(crate) fn how_far(time: Time, now: Time) -> Markup {
    html! { time datetime=[machine_date(time)] title=(date(time)) { (distance(time, now)) } }
}

fn distance(time: Time, now: Time) -> String {
    if time > now { format!("in {}", duration(time.since(now))) } else { format!("{} ago", duration(now.since(time))) }
}

/// Seconds in the two largest units.
pub(crate) fn duration(seconds: u64) -> String {
    let units = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    let Some(first) = units.iter().position(|(_, unit)| seconds >= *unit) else { return "0 s".into() };
    let (name, unit) = units[first];
    let mut text = format!("{} {name}", seconds / unit);
    if let Some((next, smaller)) = units.get(first + 1) {
        let rest = seconds % unit / smaller;
        if rest > 0 {
            text.push_str(&format!(" {rest} {next}"));
        }
    }
    text
}

/// An account, shortened; the whole is what a pointer shows. Never where something is decided by it: ends can be made to match.
pub(crate) fn short_account(account: Address) -> Markup {
    let whole = account.to_string();
    html! { code.hex title=(whole) { (shortened(&whole)) } }
}

/// An account in full.
pub(crate) fn account(account: Address) -> Markup {
    html! { code.hex.whole { (account) } }
}

/// A digest in full.
pub(crate) fn digest(digest: B256) -> Markup {
    html! { code.hex.whole { (digest) } }
}

/// The beginning and the end of a long name.
pub(crate) fn shortened(whole: &str) -> String {
    if whole.len() < 20 || !whole.is_ascii() {
        return whole.to_owned();
    }
    format!("{}…{}", &whole[..10], &whole[whole.len() - 6..])
}

/// `1 vote`, `2 votes`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(&number.to_string()), if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_shown() {
        assert_eq!(visible("a\u{202e}b\nc\u{200b}\0"), "a⟨U+202E⟩b␊c⟨U+200B⟩␀");
        assert_eq!(visible_lines("a\r\nb\tc\rd\u{2066}"), "a\nb\tc␍d⟨U+2066⟩");
        assert_eq!(visible("Übergröße 漢字 🙂"), "Übergröße 漢字 🙂");
        assert_eq!(visible(&format!("e{}", "\u{301}".repeat(100))), format!("e{}", "\u{301}".repeat(4)));
        assert_eq!(visible("\u{e0041}\u{feff}\u{3164}"), "⟨U+E0041⟩⟨U+FEFF⟩⟨U+3164⟩");
    }

    #[test]
    fn long_texts_are_cut_off_and_say_so() {
        let long = visible(&"x".repeat(1_000));
        assert!(long.ends_with("… (400 characters more)"), "{long}");
    }

    #[test]
    fn amounts_are_exact_in_their_unit() {
        let show = |number: u128, decimals, unit| amount(U256::from(number), decimals, unit);
        assert_eq!(show(34_359_738_368, 0, "bytes"), "32 GiB (34,359,738,368 bytes)");
        assert_eq!(show(1_023, 0, "bytes"), "1,023 bytes");
        assert_eq!(show((1 << 30) + 1, 0, "bytes"), "some 1 GiB (1,073,741,825 bytes)");
        assert_eq!(show(1_536, 0, "bytes"), "1.50 KiB (1,536 bytes)");
        assert_eq!(show(1_250_500_000, 6, "USD"), "1,250.5 USD");
        assert_eq!(show(1, 18, "FIL"), "0.000000000000000001 FIL");
        assert_eq!(show(0, 18, "FIL"), "0 FIL");
        assert_eq!(short_amount(U256::from(34_359_738_368_u64), 0, "bytes"), "32 GiB");
        assert_eq!(short_amount(U256::from(12_u64), 0, "bytes"), "12 bytes");
        assert_eq!(short_amount(U256::from(12_u64), 1, "A (B)"), "1.2 A (B)");
        assert_eq!(amount(U256::MAX, 255, "X").len(), 1 + 1 + 255 + 2);
        assert!(amount(U256::MAX, 0, "bytes").contains("EiB"));
    }

    #[test]
    fn times_are_dates() {
        assert_eq!(date(Time(1_800_000_000)), "2027-01-15 08:00 UTC");
        assert_eq!(date(Time(u64::MAX)), "second 18446744073709551615 after 1970");
        assert_eq!(duration(0), "0 s");
        assert_eq!(duration(59), "59 s");
        assert_eq!(duration(3_720), "1 h 2 min");
        assert_eq!(duration(90_061), "1 d 1 h");
        assert_eq!(distance(Time(10), Time(5)), "in 5 s");
        assert_eq!(distance(Time(5), Time(10)), "5 s ago");
    }
}
