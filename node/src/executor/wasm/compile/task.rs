//! What node and compiler say to each other.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::engine::Code;

/// What the answer begins with: machine code follows, or why the module is not valid, or that there was too little memory.
pub(super) const COMPILED: u8 = 0;
pub(super) const INVALID: u8 = 1;
pub(super) const NO_MEMORY: u8 = 2;

/// What compiling one module may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Effort {
    /// Bytes of memory.
    pub(crate) memory: u64,
    /// Processor time, of all threads together.
    pub(crate) processor: Duration,
    /// Time on the clock: for a machine that has other things to do.
    pub(crate) wall: Duration,
    /// Bytes of machine code.
    pub(crate) output: u64,
    pub(crate) threads: usize,
    /// How much it lets others go first, as `nice` counts.
    pub(crate) niceness: i32,
}

/// What the compiler's process is told, as its last argument.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Task {
    /// How much of standard input is the module. The end of standard input says that the node has ended.
    pub(super) module_bytes: u64,
    pub(super) memory: u64,
    pub(super) processor_seconds: u64,
    pub(super) niceness: i32,
    pub(super) code: Code,
}
