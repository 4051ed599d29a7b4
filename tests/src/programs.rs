//! Programs for jobs, as WebAssembly text.

/// Writes `text` to standard output and exits with `code`.
#[must_use]
pub fn says(text: &str, code: u32) -> Vec<u8> {
    let length = text.len();
    let data: String = text.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    assemble(&format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "\10\00\00\00")
            (data (i32.const 16) "{data}")
            (func (export "_start")
                (i32.store (i32.const 4) (i32.const {length}))
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
                (call $exit (i32.const {code}))))"#
    ))
}

/// Writes a file, named from the root, to standard output; exits with 1 if it cannot be read.
#[must_use]
pub fn prints(path: &str) -> Vec<u8> {
    let length = path.len();
    assemble(&format!(
        r#"(module
            (import "wasi_snapshot_preview1" "path_open"
                (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 3)
            (data (i32.const 1024) "{path}")
            (func (export "_start")
                (if (call $open (i32.const 3) (i32.const 0) (i32.const 1024) (i32.const {length}) (i32.const 0)
                        (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 0))
                    (then (call $exit (i32.const 1))))
                (loop $again
                    (i32.store (i32.const 8) (i32.const 65536))
                    (i32.store (i32.const 12) (i32.const 65536))
                    (if (call $read (i32.load (i32.const 0)) (i32.const 8) (i32.const 1) (i32.const 16))
                        (then (call $exit (i32.const 1))))
                    (if (i32.load (i32.const 16))
                        (then
                            (i32.store (i32.const 12) (i32.load (i32.const 16)))
                            (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 20)))
                            (br $again))))))"#
    ))
}

/// Never ends.
#[must_use]
pub fn spins() -> Vec<u8> {
    assemble(r#"(module (memory (export "memory") 1) (func (export "_start") (loop $again (br $again))))"#)
}

/// Traps.
#[must_use]
pub fn traps() -> Vec<u8> {
    assemble(r#"(module (memory (export "memory") 1) (func (export "_start") unreachable))"#)
}

/// Takes memory until it is refused, then traps.
#[must_use]
pub fn eats_memory() -> Vec<u8> {
    assemble(
        r#"(module (memory (export "memory") 1) (func (export "_start")
            (loop $again
                (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))
                (br $again))))"#,
    )
}

/// Writes to standard output for ever.
#[must_use]
pub fn fills_output() -> Vec<u8> {
    assemble(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 2)
            (data (i32.const 0) "\10\00\00\00\00\00\01\00")
            (func (export "_start")
                (loop $again
                    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
                    (br $again))))"#,
    )
}

/// Turns WebAssembly text into a module.
#[must_use]
pub fn assemble(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the fixture is valid WebAssembly text")
}
