//! Compiles the word count of `lota demo` (examples/wordcount) to WebAssembly, to be embedded in the command.
//!
//! Without the target the command is built all the same: an empty file is embedded, and the demo says what is missing.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

const SOURCE: &str = "../examples/wordcount/main.rs";
const REMEDY: &str = "`lota demo` will not work; run `rustup target add wasm32-wasip1` and build again";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={SOURCE}");
    println!("cargo:rerun-if-env-changed=RUSTC");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("wordcount.wasm");
    if let Err(problem) = compile(&out) {
        println!("cargo:warning=the demo's word count was not compiled ({problem}); {REMEDY}");
        if let Err(error) = fs::write(&out, []) {
            println!("cargo:warning=cannot write {}: {error}", out.display());
        }
    }
}

fn compile(out: &Path) -> Result<(), String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(&rustc);
    command.args([
        "--edition",
        "2024",
        "--target",
        "wasm32-wasip1",
        "-O",
        "-C",
        "strip=symbols",
        "--crate-name",
        "wordcount",
    ]);
    command.arg("-o").arg(out).arg(SOURCE);
    // Flags meant for this machine's target (linkers, CPU features) are wrong for that one.
    command.env_remove("CARGO_ENCODED_RUSTFLAGS").env_remove("RUSTFLAGS");
    let output = command.output().map_err(|error| format!("{} does not run: {error}", Path::new(&rustc).display()))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find(|line| line.starts_with("error")).unwrap_or("the compiler failed");
    Err(line.to_owned())
}
