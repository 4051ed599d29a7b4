//! What an executor is asked to do.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, watch};

use super::{CheckError, DockerRun};

/// Which run is meant: the id of the job that it is for. One executor runs a job once at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub [u8; 32]);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One execution of one program: what is the same for all engines, and in `engine` what is not.
#[derive(Debug, Clone)]
pub struct Run {
    /// The job that it is for.
    pub job: RunId,
    /// What the job's engine needs beyond the rest.
    pub engine: EngineRun,
    /// Arguments after the program's name (the program sees [`Run::PROGRAM_NAME`] as `argv[0]`). May be empty strings,
    /// must not hold NUL.
    pub args: Vec<String>,
    /// Environment, in this order; the first `=` of a `KEY=a=b` separates name and value, so a value may hold `=`.
    /// Names are unique, not empty, and hold neither `=` nor NUL.
    pub env: Vec<(String, String)>,
    /// What the program may read.
    pub inputs: Vec<Input>,
    /// Directories that the program may fill and that become part of the result. [`Output::default`] is `/outputs`.
    pub outputs: Vec<Output>,
    /// The limits that the job's specification names.
    pub limits: Limits,
    /// A directory of this run's own, made if missing. The result directory is made inside it, and scratch space that is
    /// removed at the end. Nothing outside of it is ever written.
    pub work_dir: PathBuf,
    /// When the job was opened, in seconds since the Unix epoch. An engine with a clock of its own starts it here: all parties
    /// know this time, so it makes the run repeatable, which the host's clock would not.
    pub opened_at: u64,
    /// Whose job it is: work that nobody pays for is shared out among them. `None`: the node's own.
    pub asked_by: Option<[u8; 20]>,
    /// Where it is told how far the run has come.
    pub progress: Option<ProgressSink>,
    /// Where what the program prints is told while it runs.
    pub logs: Option<LogSink>,
}

/// What only one engine needs to know about a run.
#[derive(Debug, Clone)]
pub enum EngineRun {
    /// A WebAssembly module.
    Wasm(WasmRun),
    /// A container.
    Docker(DockerRun),
}

impl EngineRun {
    /// The engine's name, as job specifications and [`Executors`](super::Executors) call it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Wasm(_) => WasmRun::ENGINE,
            Self::Docker(_) => DockerRun::ENGINE,
        }
    }
}

/// A WebAssembly module that is to be run.
#[derive(Debug, Clone)]
pub struct WasmRun {
    pub module: ModuleSource,
    /// Name of the exported function to call; [`WasmRun::COMMAND`] for a WASI command.
    pub entry_point: String,
    /// Seed of everything random that the program sees. The same seed gives the same run.
    pub seed: [u8; 32],
    /// Stop as soon as this much fuel is used and report [`RunOutcome::memory_digest`](super::RunOutcome::memory_digest); a
    /// run that ends earlier reports the digest of its memory at its end. `None` runs to the end without a digest.
    pub stop_at_fuel: Option<u64>,
}

impl WasmRun {
    /// The engine's name.
    pub const ENGINE: &'static str = "wasm";
    /// Entry point of a WASI command module.
    pub const COMMAND: &'static str = "_start";

    /// A command module with seed zero that runs to its end.
    #[must_use]
    pub fn new(module: ModuleSource) -> Self {
        Self { module, entry_point: Self::COMMAND.to_owned(), seed: [0; 32], stop_at_fuel: None }
    }
}

impl Run {
    /// What the program sees as `argv[0]`.
    pub const PROGRAM_NAME: &'static str = "job";

    /// A run in `work_dir` with nothing else set: no arguments, environment or inputs, the default output, clock zero.
    #[must_use]
    pub fn new(job: RunId, engine: EngineRun, limits: Limits, work_dir: impl Into<PathBuf>) -> Self {
        Self {
            job,
            engine,
            args: Vec::new(),
            env: Vec::new(),
            inputs: Vec::new(),
            outputs: vec![Output::default()],
            limits,
            work_dir: work_dir.into(),
            opened_at: 0,
            asked_by: None,
            progress: None,
            logs: None,
        }
    }
}

/// Where the bytes of a program are.
#[derive(Clone)]
pub enum ModuleSource {
    /// A file of the host; a symbolic link is not followed.
    Path(PathBuf),
    /// In memory.
    Bytes(Bytes),
    /// Wherever it is, read when it is needed: a module that was compiled before is not read again, and those that wait to
    /// be compiled take no memory.
    Deferred {
        /// Names these very bytes: no other module has it.
        id: [u8; 32],
        /// Reads them.
        read: ReadModule,
    },
}

/// Reads a module.
pub type ReadModule = Arc<dyn Fn() -> BoxFuture<'static, Result<Bytes, CheckError>> + Send + Sync>;

impl fmt::Debug for ModuleSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => f.debug_tuple("Path").field(path).finish(),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::Deferred { id, .. } => write!(f, "Deferred({})", hex::encode(id)),
        }
    }
}

/// A file or directory of the host that the program may read.
///
/// Only regular files and directories with UTF-8 names are shown; symbolic links, sockets and devices are not there for
/// the program. The host must leave the tree unchanged while the job runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Absolute path in the program's file system, `/inputs` for instance. It may lie inside another input's directory
    /// and then hides what that holds under the same name. Must not overlap an output.
    pub guest_path: String,
    /// The file or directory. The last component must not be a symbolic link.
    pub host_path: PathBuf,
}

/// A directory that the program fills and that becomes part of the result under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Name of the directory in the result: one path component, unique, and none of `stdout`, `stderr`, `exitCode`.
    pub name: String,
    /// Absolute path in the program's file system. It exists, empty, when the program starts.
    pub guest_path: String,
}

impl Default for Output {
    fn default() -> Self {
        Self { name: "outputs".to_owned(), guest_path: "/outputs".to_owned() }
    }
}

/// The limits of a run. All but `wall` are deterministic: hitting one is a result that anyone can confirm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Fuel: about one unit per WebAssembly instruction, host calls as the table in `docs/execution.md`; of a container one
    /// for each nanosecond of processor time. More than [`Limits::MAX_FUEL`] counts as that.
    pub fuel: u64,
    /// Bytes of linear memory; 64 KiB pages that do not fit wholly are not granted.
    pub memory_bytes: u64,
    /// Bytes of standard output, standard error, and all files under the outputs and `/tmp` together; files count with
    /// their logical size while they exist.
    pub output_bytes: u64,
    /// Files and directories under the outputs and `/tmp` together, at any time.
    pub output_entries: u64,
    /// Time that running (not compiling) may take on this machine. Protects the provider; see
    /// [`Ended::WallTime`](super::Ended::WallTime).
    pub wall: Duration,
}

impl Limits {
    /// The largest meaningful fuel limit: the engine counts in signed 64-bit numbers.
    pub const MAX_FUEL: u64 = i64::MAX as u64;

    /// The fuel that a run may use.
    #[must_use]
    pub fn fuel(&self) -> u64 {
        self.fuel.min(Self::MAX_FUEL)
    }
}

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// Reading and compiling the program, or waiting for a place to do so.
    #[default]
    Preparing,
    /// The program runs.
    Running,
    /// The program has ended; its result is being put together.
    Collecting,
    /// The result is complete.
    Done,
}

/// How far a run has come. Figures are those of the last sample, not exact ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// What the run is doing.
    pub phase: Phase,
    /// Fuel used so far, as of the last call the program made.
    pub fuel_used: u64,
    /// Bytes of standard output so far.
    pub stdout_bytes: u64,
    /// Bytes of standard error so far.
    pub stderr_bytes: u64,
    /// Bytes that count against the output limit so far: streams, outputs and `/tmp` together.
    pub output_bytes: u64,
    /// Files and directories so far, outputs and `/tmp` together.
    pub output_entries: u64,
}

/// Where progress goes: the latest sample replaces the one before, so a slow reader costs nothing.
pub type ProgressSink = watch::Sender<Progress>;

/// One of the program's standard streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StandardStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A piece of what a program printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPiece {
    pub stream: StandardStream,
    pub bytes: Bytes,
}

/// Where a program's output goes while it runs. Pieces that the reader is too slow for are left out here, never in the result.
pub type LogSink = mpsc::Sender<LogPiece>;
