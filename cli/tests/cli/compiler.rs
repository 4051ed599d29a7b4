//! The command as the compiler of its own nodes.

use assert_cmd::{Command, cargo::cargo_bin};

/// A module that does nothing.
const MODULE: &str = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;

#[test]
fn a_process_of_its_own_compiles_a_module_and_reads_no_settings() {
    let task = r#"{"memory":1073741824,"processor_seconds":60,"niceness":0,"optimize":true}"#;
    let mut command = Command::new(cargo_bin("lota"));
    command.env_clear().args(["compile-module", task]);
    let output = command.write_stdin(wat::parse_str(MODULE).expect("a module")).output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout[..5], *b"\0\x7fELF", "machine code");
    let mut command = Command::new(cargo_bin("lota"));
    let output = command.args(["compile-module", task]).write_stdin("no module").output().expect("it runs");
    assert_eq!((output.status.success(), output.stdout[0]), (true, 1), "{output:?}");
    let mut command = Command::new(cargo_bin("lota"));
    command.arg("compile-module").assert().failure();
}
