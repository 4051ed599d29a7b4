//! The pages of `examples/`: what they say to type works, and comes to what they show.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Home;

/// The commands of a page with what they print: in blocks marked `console`, a command behind `$ ` and its output below.
fn commands(page: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for block in page.split("```console\n").skip(1) {
        let (block, _) = block.split_once("```").expect("a block ends");
        for line in block.lines() {
            match (line.strip_prefix("$ "), found.last_mut()) {
                (Some(command), _) => found.push((command.to_owned(), String::new())),
                (None, Some((_, output))) => *output += &format!("{line}\n"),
                (None, None) => panic!("{line:?} stands before any command"),
            }
        }
    }
    found
}

#[test]
fn the_pages_of_the_examples_are_true() {
    let home = Home::new();
    let _devnet = home.devnet(&["--providers", "1"]);
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository");
    // As from the repository's folder, without leaving anything in it.
    std::os::unix::fs::symlink(repository.join("examples"), home.place("examples")).expect("a link");
    let lota = PathBuf::from(env!("CARGO_BIN_EXE_lota"));
    let path = format!("{}:{}", lota.parent().expect("a folder").display(), std::env::var("PATH").expect("a path"));
    for (example, least) in [("aggregate", 2), ("imagefilter", 1), ("sat", 3)] {
        let page =
            std::fs::read_to_string(repository.join("examples").join(example).join("README.md")).expect("a page");
        let commands = commands(&page);
        assert!(commands.len() >= least, "{example}: {commands:?}");
        for (command, expected) in commands {
            let output = Command::new("bash")
                .args(["-euo", "pipefail", "-c", &command])
                .current_dir(home.place("."))
                .env("LOTA_HOME", home.path())
                .env("NO_COLOR", "1")
                .env("PATH", &path)
                .output()
                .expect("bash runs");
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{command}: {stderr}");
            assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{command}: {stderr}");
        }
    }
}
