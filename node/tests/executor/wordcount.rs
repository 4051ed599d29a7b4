//! The example that everybody runs first.

use crate::support::{Case, Done, text, wordcount};

const FILES: &[(&str, &[u8])] = &[
    ("a.txt", "Der Fisch, der fisch!\nIt's the fish\u{2019}s fish.\n".as_bytes()),
    ("sub/b.txt", "ÜBER über \u{3a9}\u{3bc}\u{3ad}\u{3b3}\u{3b1} 42 été".as_bytes()),
    ("binary", b"\xff\xfe\x00fish\x00"),
    ("empty", b""),
];

fn counts(case: Case) -> (Done, String) {
    let outcome = case.input("/inputs", FILES).execute();
    assert_eq!(outcome.exit_code, 0, "{}", text(&outcome, "stderr"));
    let counts = text(&outcome, "outputs/counts.tsv");
    (outcome, counts)
}

#[test]
fn words_are_counted_most_frequent_first() {
    let case = wordcount([]);
    let (outcome, counts) = counts(case);
    assert!(counts.starts_with("der\t2\nfisch\t2\nfish\t2\nüber\t2\n42\t1\n"), "{counts}");
    assert!(
        counts.contains("fish\u{2019}s\t1\n") && counts.contains("it's\t1\n") && counts.contains("ωμέγα\t1\n"),
        "{counts}"
    );
    assert!(text(&outcome, "stdout").starts_with("files\t4\nbytes\t"), "{}", text(&outcome, "stdout"));
}

#[test]
fn options_choose_what_is_written() {
    let case = wordcount(["--top", "2", "--min-length=4"]);
    assert_eq!(counts(case).1, "fisch\t2\nfish\t2\n");
}

#[test]
fn one_word_is_found_and_nothing_else_printed() {
    for (args, answer) in [(["--find", "FISCH"], "2\n"), (["--find", "whale"], "0\n")] {
        let case = wordcount(args);
        assert_eq!(text(&counts(case).0, "stdout"), answer);
    }
}

#[test]
fn bad_arguments_are_explained() {
    for (args, message) in [
        (["--top", "many"], "wordcount: --top needs a number, not \"many\""),
        (["--top=1", "--min-length"], "wordcount: --min-length needs a value"),
        (["--bottom", "1"], "wordcount: unknown argument \"--bottom\""),
    ] {
        let case = wordcount(args);
        let outcome = case.input("/inputs", FILES).execute();
        assert_eq!(outcome.exit_code, 2);
        assert!(text(&outcome, "stderr").starts_with(message), "{}", text(&outcome, "stderr"));
    }
}

#[test]
fn missing_inputs_are_named() {
    let case = wordcount([]);
    let outcome = case.execute();
    assert_eq!(outcome.exit_code, 1);
    assert!(text(&outcome, "stderr").starts_with("wordcount: /inputs: "), "{}", text(&outcome, "stderr"));
}
