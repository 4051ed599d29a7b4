//! The command as the compiler of its own nodes.

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

use assert_cmd::cargo::cargo_bin;

/// A module that does nothing.
const MODULE: &str = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;

/// What comes of a module while its node lives, which keeps standard input open.
fn compile(module: &[u8]) -> Output {
    let task = format!(
        r#"{{"module_bytes":{},"memory":1073741824,"processor_seconds":60,"niceness":0,"code":{{"optimize":"Speed","processor":"Common"}}}}"#,
        module.len()
    );
    let mut command = Command::new(cargo_bin("lota"));
    command.env_clear().args(["compile-module", &task]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(module).expect("it reads");
    let output = child.wait_with_output().expect("it runs");
    drop(stdin);
    output
}

#[test]
fn a_process_of_its_own_compiles_a_module_and_reads_no_settings() {
    let output = compile(&wat::parse_str(MODULE).expect("a module"));
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout[..5], *b"\0\x7fELF", "machine code");
    let output = compile(b"no module");
    assert_eq!((output.status.success(), output.stdout[0]), (true, 1), "{output:?}");
    assert_cmd::Command::new(cargo_bin("lota")).arg("compile-module").assert().failure();
}
