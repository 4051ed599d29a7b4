//! CIDs against npm ipfs-unixfs-importer: recorded ones always, random ones where it is installed.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use crate::cases::{cid, is_huge, is_miscounted};

fn golden() -> Vec<Value> {
    serde_json::from_str(include_str!("../golden.json")).expect("golden.json is a list")
}

#[test]
fn recorded_cids_are_reproduced() {
    let mut compared = 0;
    for case in golden() {
        // the importer's unit tests build these from the CIDs of their leaves
        if !is_huge(&case) {
            assert_eq!(cid(&case), case["cid"], "{case}");
            compared += 1;
        }
    }
    assert!(compared > 20);
}

/// Where `tests/js/install.sh` puts the importer; `None`, with the reason, if it has not been run.
fn oracle() -> Option<PathBuf> {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("content-js");
    if dir.join("node_modules/ipfs-unixfs-importer").is_dir() {
        return Some(dir);
    }
    let reason =
        format!("npm ipfs-unixfs-importer is not in {}; content/tests/js/install.sh puts it there", dir.display());
    let required = std::env::var_os("LOTA_TEST_TOOLS").is_some_and(|value| value == "1");
    assert!(!required, "{reason}");
    // Not with `eprintln!`, which says nothing when a test passes.
    let _ = writeln!(std::io::stderr(), "skipped: {reason}");
    None
}

/// The CIDs of cases, by the importer.
fn ask(oracle: &Path, cases: &[Value]) -> Vec<String> {
    // the script as it is now, beside the modules that it imports
    let script = oracle.join("importer.mjs");
    std::fs::write(&script, include_str!("../js/importer.mjs")).expect("a script");
    let mut child = Command::new("node")
        .arg(&script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node can be run");
    let input = serde_json::to_vec(cases).expect("cases are JSON");
    child.stdin.take().expect("a pipe").write_all(&input).expect("node reads its input");
    let output = child.wait_with_output().expect("node ends");
    assert!(output.status.success(), "the importer failed");
    serde_json::from_slice(&output.stdout).expect("a list of CIDs")
}

#[test]
fn recorded_cids_are_those_of_the_importer() {
    let Some(oracle) = oracle() else { return };
    let cases: Vec<Value> = golden().into_iter().filter(|case| !is_huge(case)).collect();
    let found = ask(&oracle, &cases);
    assert_eq!(found.len(), cases.len());
    for (case, found) in cases.iter().zip(found) {
        assert_eq!(case["cid"], found, "{case}");
    }
}

fn random_case() -> impl Strategy<Value = Value> {
    let chunk = 262_144_usize;
    let size = prop_oneof![
        0_usize..2000,
        (0_usize..8, -2_isize..3).prop_map(move |(chunks, off)| (chunks * chunk).saturating_add_signed(off)),
        0_usize..3_000_000,
    ];
    let file = size.clone().prop_map(|size| json!({ "file": { "size": size, "fill": "noise" } }));
    let path = "([a-cA-C._ -]{1,3}x/){0,3}[a-zé日🦈0-9 ._-]{1,8}y";
    let tree = prop::collection::btree_map(path, 0_usize..700_000, 0..12).prop_map(|files| {
        let entries: Vec<Value> =
            files.into_iter().map(|(path, size)| json!({ "path": path, "size": size % 1000 * (size % 700) })).collect();
        json!({ "tree": entries })
    });
    let many = (3000_usize..7000, 1_usize..60, "[a-z]{0,8}", 0_usize..300, 0_usize..9).prop_map(
        |(count, width, prefix, size, nested)| {
            json!({ "many": {
                "count": count, "width": width, "prefix": prefix, "size": size, "nested": nested
            } })
        },
    );
    prop_oneof![2 => file, 4 => tree, 1 => many]
}

#[test]
fn random_cases_agree_with_the_importer() {
    let Some(oracle) = oracle() else { return };
    // the same cases every time; another seed gives others
    let seed: [u8; 32] = match std::env::var("LOTA_TEST_SEED") {
        Ok(text) => lota_content::sha2_256(text.as_bytes()),
        Err(_) => [7; 32],
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = random_case();
    let cases: Vec<Value> = (0..90)
        .map(|_| strategy.new_tree(&mut runner).expect("a case").current())
        .filter(|case| !is_miscounted(case))
        .collect();
    assert!(cases.len() > 70);
    for (case, expected) in cases.iter().zip(ask(&oracle, &cases)) {
        assert_eq!(cid(case), expected, "{case}");
    }
}
