//! Modules for tests, small enough to be read.

/// A WASI command with this body of `_start`; `$write fd ptr len` writes.
fn command(memory: &str, data: &str, body: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
          (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (memory (export "memory") {memory})
          (data (i32.const 64) "{data}")
          (func $write (param $fd i32) (param $ptr i32) (param $len i32)
            (i32.store (i32.const 0) (local.get $ptr))
            (i32.store (i32.const 4) (local.get $len))
            (drop (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
          (func (export "_start") {body}))"#
    );
    wat::parse_str(text).expect("the module is valid")
}

/// Prints `hello` on stdout.
pub fn hello() -> Vec<u8> {
    command("1", "hello\\n", "(call $write (i32.const 1) (i32.const 64) (i32.const 6))")
}

/// Prints its arguments, each with a NUL behind it.
pub fn echo() -> Vec<u8> {
    let text = r#"(module
      (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
      (memory (export "memory") 1)
      (func (export "_start")
        (drop (call $sizes (i32.const 8) (i32.const 4)))
        (drop (call $args (i32.const 1024) (i32.const 4096)))
        (i32.store (i32.const 0) (i32.const 4096))
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))))"#;
    wat::parse_str(text).expect("the module is valid")
}

/// Prints `oh no` on stderr and exits with 7.
pub fn fails() -> Vec<u8> {
    command("1", "oh no\\n", "(call $write (i32.const 2) (i32.const 64) (i32.const 6)) (call $exit (i32.const 7))")
}

/// Exits with this code.
pub fn quits(code: u8) -> Vec<u8> {
    command("1", "", &format!("(call $exit (i32.const {code}))"))
}

/// Traps.
pub fn traps() -> Vec<u8> {
    command("1", "", "unreachable")
}

/// Loops for ever.
pub fn loops() -> Vec<u8> {
    command("1", "", "(loop $again (br $again))")
}

/// Asks for memory until there is no more, then traps.
pub fn eats_memory() -> Vec<u8> {
    command("1", "", "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 64)) (i32.const -1)))) unreachable")
}

/// Writes to stdout for ever.
pub fn floods() -> Vec<u8> {
    command("2", "", "(loop $again (call $write (i32.const 1) (i32.const 64) (i32.const 65536)) (br $again))")
}

/// Prints these bytes on stdout.
pub fn prints(bytes: &[u8]) -> Vec<u8> {
    let data: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
    command("1", &data, &format!("(call $write (i32.const 1) (i32.const 64) (i32.const {}))", bytes.len()))
}
