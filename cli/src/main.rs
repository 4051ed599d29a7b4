//! The `lota` command.
fn main() {}
