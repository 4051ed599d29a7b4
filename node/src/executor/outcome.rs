//! What a run came to.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The exit codes that stand for an end which the program did not choose.
///
/// They follow the shell: 128 plus the signal that a Unix system sends in the like case, 124 as `timeout(1)` and 126 as
/// a shell that cannot execute. A program may exit with the same codes itself; [`Ended`] tells the two apart.
pub mod exit {
    /// The wall time ran out (as `timeout(1)`).
    pub const WALL_TIME: u32 = 124;
    /// The module cannot be executed (as a shell).
    pub const NOT_RUNNABLE: u32 = 126;
    /// The program trapped (128 + SIGABRT).
    pub const TRAP: u32 = 134;
    /// The program died for want of memory (128 + SIGKILL, what an OOM killer leaves).
    pub const OUT_OF_MEMORY: u32 = 137;
    /// The fuel ran out (128 + SIGXCPU).
    pub const OUT_OF_FUEL: u32 = 152;
    /// The streams and files outgrew a limit of theirs (128 + SIGXFSZ).
    pub const OUTPUT_FULL: u32 = 153;
}

/// Why a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// The program returned or called `proc_exit`.
    Exit,
    /// The program returned, and left things in its output that no result has, links for example.
    ExitWithout {
        /// What is not in the result.
        what: String,
    },
    /// The program trapped. The message is for people: it may name functions of the module.
    Trap {
        /// Which kind of trap.
        kind: TrapKind,
        /// Engine's message and the innermost frames.
        message: String,
    },
    /// The fuel limit was reached.
    OutOfFuel,
    /// The memory that the module asks for at its start exceeds the limit, or the program trapped after it had been
    /// refused memory.
    OutOfMemory,
    /// A limit on output was reached.
    OutputFull {
        /// Which limit, with its value.
        what: String,
    },
    /// The module cannot be run; [`Executor::check`](super::Executor::check) would have said so.
    NotRunnable {
        /// Why, as [`RunFault`](super::RunFault) says it.
        reason: String,
    },
    /// The wall-time limit was reached. The result is the fixed one for this end: no output, nothing on stdout and
    /// stderr, all fuel used. Even so a faster machine may well finish the job, so a re-execution may contradict it: a
    /// provider should rather choose jobs whose fuel fits their wall time, and never rely on this result.
    WallTime,
    /// The run reached [`WasmRun::stop_at_fuel`](super::WasmRun::stop_at_fuel).
    StoppedAtFuel,
}

impl Ended {
    /// The exit code for this end; `None` when the program chose it itself.
    #[must_use]
    pub fn fixed_exit_code(&self) -> Option<u32> {
        match self {
            Self::Exit | Self::ExitWithout { .. } => None,
            Self::Trap { .. } => Some(exit::TRAP),
            Self::OutOfFuel | Self::StoppedAtFuel => Some(exit::OUT_OF_FUEL),
            Self::OutOfMemory => Some(exit::OUT_OF_MEMORY),
            Self::OutputFull { .. } => Some(exit::OUTPUT_FULL),
            Self::NotRunnable { .. } => Some(exit::NOT_RUNNABLE),
            Self::WallTime => Some(exit::WALL_TIME),
        }
    }

    /// Whether every machine comes to this end, with this result, from the same run, as far as its engine is deterministic: of a
    /// container no result is the same everywhere, however it ended, and running it again would not tell more.
    ///
    /// Not so for [`Ended::WallTime`], and not surely for a stack overflow: how deep a program may recurse is the same
    /// for one engine version and processor family only. Its fuel is reported as all used, so that the usual case, endless
    /// recursion, is nevertheless the same everywhere.
    #[must_use]
    pub fn is_reproducible(&self) -> bool {
        !matches!(self, Self::WallTime | Self::Trap { kind: TrapKind::StackOverflow, .. })
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit => f.write_str("exited"),
            Self::ExitWithout { what } => {
                write!(f, "exited; left out of its output, which has files and directories only: {what}")
            }
            Self::Trap { message, .. } => write!(f, "trapped: {message}"),
            Self::OutOfFuel => f.write_str("used all its fuel"),
            Self::OutOfMemory => f.write_str("needed more memory than its limit"),
            Self::OutputFull { what } => write!(f, "wrote more than its limit: {what}"),
            Self::NotRunnable { reason } => write!(f, "cannot be run: {reason}"),
            Self::WallTime => f.write_str("ran longer than its wall-time limit"),
            Self::StoppedAtFuel => f.write_str("stopped at the requested fuel"),
        }
    }
}

/// The kinds of traps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TrapKind {
    /// Recursion exhausted the engine's stack.
    StackOverflow,
    /// A memory access out of bounds.
    MemoryOutOfBounds,
    /// A table access out of bounds, a call of a null entry or of a function with another type.
    BadTableAccess,
    /// Integer overflow, division by zero, or a float that has no integer.
    Arithmetic,
    /// The `unreachable` instruction: what `abort`, a Rust panic and a failed assertion compile to.
    Unreachable,
    /// A host call got a pointer outside the memory, or a value that its type does not have.
    BadHostCall,
    /// Any other trap.
    Other,
}

/// What a run came to. Figures in bytes are logical sizes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOutcome {
    /// The program's exit code, or the fixed one of [`Ended::fixed_exit_code`].
    pub exit_code: u32,
    /// Why the run ended.
    pub ended: Ended,
    /// Fuel used; at most the limit.
    pub fuel_used: u64,
    /// sha2-256 over the linear memory, if [`WasmRun::stop_at_fuel`](super::WasmRun::stop_at_fuel) asked for it: over the text
    /// `lota/memory/v1`, the number of 64 KiB pages as 8 little-endian bytes, then the memory.
    pub memory_digest: Option<[u8; 32]>,
    /// The result directory, inside the run's `work_dir`.
    pub result_dir: PathBuf,
    /// Bytes of standard output in the result.
    pub stdout_bytes: u64,
    /// Bytes of standard error in the result.
    pub stderr_bytes: u64,
    /// Bytes of the files in the result's output directories.
    pub output_bytes: u64,
    /// Files and directories in the result's output directories, those directories themselves not counted.
    pub output_entries: u64,
    /// Time the program ran on this machine, compiling not counted.
    pub wall: Duration,
}
