//! What the demo works with: a program compiled from examples/wordcount, and texts in the public domain.

use std::collections::BTreeMap;

/// The word count. A test proves that it is what its source compiles to (tests/tests/modules.rs).
pub(super) const WORD_COUNT: &[u8] = include_bytes!("../../../../examples/wordcount/wordcount.wasm");

/// The texts, by file name (examples/wordcount/texts.md says what they are).
pub(super) const TEXTS: [(&str, &str); 4] = [
    ("bill-of-rights.txt", include_str!("../../../../examples/wordcount/texts/bill-of-rights.txt")),
    ("constitution.txt", include_str!("../../../../examples/wordcount/texts/constitution.txt")),
    (DECLARATION, include_str!("../../../../examples/wordcount/texts/declaration.txt")),
    ("gettysburg.txt", include_str!("../../../../examples/wordcount/texts/gettysburg.txt")),
];

/// The text that one of the jobs is about.
pub(super) const DECLARATION: &str = "declaration.txt";

/// How often each word occurs: the demo's own count, written without a look at the program's. Words are runs of letters and
/// digits in lower case; an apostrophe inside belongs to the word.
pub(super) fn count<'a>(texts: impl IntoIterator<Item = &'a str>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for text in texts {
        let lower = text.to_lowercase();
        let pieces = lower.split(|c: char| !(c.is_alphanumeric() || c == '\''));
        for word in pieces.flat_map(|piece| piece.split("''")).map(|piece| piece.trim_matches('\'')) {
            if !word.is_empty() {
                *counts.entry(word.to_owned()).or_default() += 1;
            }
        }
    }
    counts
}

/// The counts as the program writes them: the most frequent first, then by word.
pub(super) fn as_lines(counts: &BTreeMap<String, u64>, top: usize) -> String {
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    sorted.iter().take(top).map(|(word, count)| format!("{word}\t{count}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_as_a_person_would() {
        let counts = count(["It's the 'end', the END--of\nit's tail''s tale."]);
        let expected = [("end", 2), ("it's", 2), ("of", 1), ("s", 1), ("tail", 1), ("tale", 1), ("the", 2)];
        assert_eq!(counts, expected.map(|(word, count)| (word.to_owned(), count)).into());
        assert_eq!(as_lines(&counts, 2), "end\t2\nit's\t2\n");
    }

    #[test]
    fn the_texts_are_there() {
        assert!(TEXTS.iter().any(|(name, _)| *name == DECLARATION));
        assert!(TEXTS.iter().map(|(_, text)| text.len()).sum::<usize>() > 30_000);
        assert_eq!(count(TEXTS.map(|(_, text)| text))["the"], 531);
    }
}
