//! The file system, seen through Rust's standard library and through raw calls.

use std::fs;

use lota_node::executor::Output;

use crate::support::{Case, behave, contents, text};

/// A run of a behaviour with an input tree.
fn with_input(name: &str) -> Case {
    behave([name]).input("/inputs", &[("file", b"input"), ("directory/", b""), ("other", b"other")])
}

#[test]
fn files_work_as_the_standard_library_expects() {
    let case = behave(["files"]);
    let outcome = case.execute();
    assert_eq!(outcome.exit_code, 0, "{}", text(&outcome, "stderr"));
    let files = contents(&outcome.result_dir.join("outputs"));
    assert_eq!(files.keys().collect::<Vec<_>>(), ["a.txt", "copy", "empty", "holes"]);
    assert_eq!(files["copy"], b"Hello");
    assert_eq!(files["empty"], b"");
    assert_eq!((outcome.output_bytes, outcome.output_entries), (5 + 5 + 12, 4));
}

#[test]
fn directories_work_as_the_standard_library_expects() {
    let case = behave(["tree"]);
    let outcome = case.execute();
    assert_eq!(outcome.exit_code, 0, "{}", text(&outcome, "stderr"));
    let files = contents(&outcome.result_dir.join("outputs"));
    assert_eq!(files.keys().collect::<Vec<_>>(), ["from-scratch", "x/", "x/c", "x/y/", "x/y/moved"]);
}

#[test]
fn relative_paths_start_at_the_root() {
    let case = with_input("relative");
    assert_eq!(case.succeed(), "[\"inputs\", \"outputs\", \"tmp\"]\n");
}

#[test]
fn inputs_and_the_root_are_read_only() {
    let case = with_input("read-only");
    case.succeed();
    let host = &case.run.inputs[0].host_path;
    assert_eq!(fs::read(host.join("file")).unwrap(), b"input");
    assert_eq!(contents(host).len(), 3);
}

#[test]
fn no_path_leads_out() {
    let case = with_input("escapes");
    case.succeed();
}

#[test]
fn odd_names_are_kept_or_refused() {
    let case = behave(["names"]);
    case.succeed();
    let files = contents(&case.run.work_dir.join("result/outputs"));
    assert_eq!(files.len(), 12);
    assert_eq!(files["new\nline"], b"new\nline");
}

#[test]
fn links_cannot_be_made() {
    let case = behave(["links"]);
    case.succeed();
    assert_eq!(contents(&case.run.work_dir.join("result/outputs")).into_keys().collect::<Vec<_>>(), ["file"]);
}

#[test]
fn descriptors_can_be_closed_and_renumbered() {
    let case = behave(["descriptors"]);
    assert_eq!(case.succeed(), "", "what was printed went into a file");
}

#[test]
fn open_descriptors_are_limited() {
    let case = behave(["many-descriptors"]);
    case.succeed();
}

#[test]
fn a_directory_can_be_emptied_while_it_is_listed() {
    let case = behave(["listing-while-removing"]);
    case.succeed();
}

#[test]
fn listings_go_on_where_a_cookie_says() {
    let case = behave(["cookies"]);
    case.succeed();
}

#[test]
fn renames_follow_posix() {
    let case = behave(["renames"]);
    case.succeed();
    let files = contents(&case.run.work_dir.join("result/outputs"));
    assert_eq!(files.keys().collect::<Vec<_>>(), ["back/", "back/b/", "back/made/", "f", "full/", "full/x/"]);
}

#[test]
fn what_is_open_outlives_its_name() {
    let case = behave(["unlinked"]);
    case.succeed();
}

#[test]
fn trees_are_limited_in_depth_and_path_length() {
    let case = behave(["deep"]);
    case.succeed();
}

#[test]
fn listing_takes_linear_time() {
    let fuel = |entries: u32| {
        let files: Vec<_> = (0..entries).map(|i| format!("file-{i:05}")).collect();
        let files: Vec<(&str, &[u8])> = files.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
        let case = behave(["list", "/inputs"]).limit(|limits| limits.fuel = 1 << 40).input("/inputs", &files);
        assert_eq!(case.succeed().lines().count(), entries as usize);
        case.execute().fuel_used
    };
    let (few, many) = (fuel(500), fuel(4000));
    assert!(many < few * 9, "8 times the entries took {} times the fuel", many / few);
}

#[test]
fn several_outputs_become_directories_by_name() {
    let case = behave(["fill", "/data/b/file", "3"]);
    let output = |name: &str, path: &str| Output { name: name.to_owned(), guest_path: path.to_owned() };
    let case = case.edit(|run| run.outputs = vec![output("first", "/data/a"), output("second", "/data/b")]);
    case.succeed();
    let files = contents(&case.run.work_dir.join("result"));
    assert_eq!(files.keys().collect::<Vec<_>>(), ["exitCode", "first/", "second/", "second/file", "stderr", "stdout"]);
}
