//! The WebAssembly modules that are checked in, and the keeper of containers, are what their sources compile to.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::{io::Write as _, path::Path, process::Command};

/// Where modules cannot be compiled: without the target, or with another compiler.
const CANNOT: i32 = 3;

/// What a script says that checks them; none: it cannot.
fn checked(script: &str) -> Option<String> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(repository.join(script)).arg("--check").output().expect("bash");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    let code = output.status.code();
    if code == Some(CANNOT) {
        // Not with `println!`, which says nothing when a test passes.
        let _ = writeln!(std::io::stderr(), "skipped: {said}");
        return None;
    }
    assert_eq!(code, Some(0), "{said}");
    Some(said)
}

#[test]
fn the_keepers_of_containers_are_what_their_source_compiles_to() {
    if let Some(said) = checked("scripts/compile-keeper") {
        assert!(said.contains("keeper-x86_64") && said.contains("keeper-aarch64"), "{said}");
    }
}

#[test]
fn the_modules_are_what_their_sources_compile_to() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let Some(said) = checked("scripts/compile-guests") else { return };
    // Every module of the repository is one that the script knows.
    let tracked = Command::new("git").args(["ls-files", "*.wasm"]).current_dir(&repository).output();
    let modules = String::from_utf8(tracked.expect("git").stdout).expect("UTF-8");
    // What has its text beside it, a test of its own crate compares with that.
    let is_compiled = |module: &&str| !repository.join(module).with_extension("wat").exists();
    for module in modules.lines().filter(is_compiled) {
        assert!(said.contains(module), "scripts/compile-guests does not compile {module}");
    }
}
