//! What can be wrong with a run, and what can go wrong with an executor.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::RunId;

/// A fault of the job itself: no provider could run it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunFault {
    /// The module's bytes are not WebAssembly.
    #[error("the module is not WebAssembly: it starts with {start}; give a core module (`.wasm`, binary format)")]
    NotWasm {
        /// Its first bytes, in hexadecimal.
        start: String,
    },
    /// The module is a component.
    #[error("the module is a WebAssembly component; build a core module for `wasm32-wasip1` instead")]
    Component,
    /// The module is larger than this executor compiles.
    #[error("the module has {bytes} bytes; at most {limit} are accepted")]
    ModuleTooLarge {
        /// Its size in bytes.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The module holds more of something than this executor compiles.
    #[error("the module has {found} {what}; at most {limit} are accepted")]
    ModuleOverLimit {
        /// Of what.
        what: String,
        /// How much it has, as far as it was counted.
        found: u64,
        limit: u64,
    },
    /// What names the module is no file.
    #[error("the module cannot be read: {message}")]
    Unreadable { message: String },
    /// The module is damaged or uses features that are off.
    #[error("the module is not valid: {message}")]
    Invalid {
        /// What the validator says.
        message: String,
    },
    /// The module imports what the executor does not provide.
    #[error("the module imports what no job is given: {}; jobs have the functions of wasi_snapshot_preview1 only", .imports.join(", "))]
    UnknownImports {
        /// All of them, as `module.name` (with the type where only that is wrong).
        imports: Vec<String>,
    },
    /// The entry point is missing.
    #[error("the module exports no function `{entry_point}`; it exports {}", list(.exports))]
    NoEntryPoint {
        /// The name that was looked for.
        entry_point: String,
        /// The functions that it does export.
        exports: Vec<String>,
    },
    /// The entry point has a type that the executor cannot call.
    #[error("`{entry_point}` has type {found}; an entry point takes no parameters and returns nothing or one i32")]
    EntryPointType { entry_point: String, found: String },
    /// The memory is not visible to host calls and to mediators.
    #[error("the module does not export its memory; export it as `memory`")]
    MemoryNotExported,
    /// The memory that the module starts with exceeds the limit.
    #[error("the module starts with {bytes} bytes of memory; its limit is {limit}")]
    MemoryOverLimit {
        /// Initial size in bytes.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// An argument or environment variable that cannot be passed.
    #[error("{what} {name:?} cannot be passed: {why}")]
    Argument {
        /// `argument` or `environment variable`.
        what: &'static str,
        /// The argument, or the variable's name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An image that cannot be run.
    #[error("the image {image} cannot be run: {why}")]
    Image { image: String, why: String },
    /// An input or output path that cannot be mounted.
    #[error("{path:?} cannot be mounted: {why}")]
    Mount {
        /// The guest path or output name.
        path: String,
        /// What is wrong with it.
        why: String,
    },
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "no function".to_owned() } else { names.join(", ") }
}

/// Why a check did not pass.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The job is at fault.
    #[error(transparent)]
    Fault(#[from] RunFault),
    /// This provider could not find out.
    #[error(transparent)]
    Executor(#[from] ExecutorError),
}

/// A failure of the provider, not of the job.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecutorError {
    /// The run was aborted.
    #[error("the run was aborted")]
    Aborted,
    /// The job is being run.
    #[error("the job {job} is being run already")]
    AlreadyRunning { job: RunId },
    /// The module could not be read.
    #[error("the module {} cannot be read", .path.display())]
    Module { path: PathBuf, source: io::Error },
    /// An input could not be read.
    #[error("the input {} (for {guest_path}) cannot be read", .host_path.display())]
    Input {
        /// Where the program sees it.
        guest_path: String,
        /// Where it is.
        host_path: PathBuf,
        source: io::Error,
    },
    /// The work directory could not be used; perhaps the disk is full.
    #[error("the work directory {} cannot be used: {doing}", .path.display())]
    WorkDir { path: PathBuf, doing: &'static str, source: io::Error },
    /// Where the module was to come from failed.
    #[error("{message}")]
    ModuleSource {
        /// What it says.
        message: String,
    },
    /// The module takes too long to compile here.
    #[error("compiling the module takes longer than the {} s that this provider gives to it", .limit.as_secs())]
    CompileTime {
        /// The time allowed.
        limit: Duration,
    },
    /// The module takes too much memory to compile here.
    #[error("compiling the module takes more than the {} MiB of memory that this provider gives to it", .limit >> 20)]
    CompileMemory {
        /// The memory allowed, in bytes.
        limit: u64,
    },
    /// The module's machine code is too large.
    #[error("the module compiles to more than the {} MiB of machine code that this provider accepts", .limit >> 20)]
    CompileOutput {
        /// The limit in bytes.
        limit: u64,
    },
    /// The compiler failed on the module.
    #[error("the compiler failed on the module: {how}")]
    CompileCrash {
        /// How its process ended.
        how: String,
    },
    /// Compiling for this client has taken its share.
    #[error(
        "compiling this client's modules took {} s within the last hour, and no job came of it; ask again in {} s",
        .allowance.as_secs(),
        .retry.as_secs()
    )]
    CompileAllowance {
        /// The time that a client gets.
        allowance: Duration,
        /// When there is some again.
        retry: Duration,
    },
    /// Too much waits already.
    #[error("this provider is busy: {waiting} modules wait to be compiled")]
    Busy {
        /// How many wait.
        waiting: usize,
    },
    /// The image cannot be had at present.
    #[error("the image {image} cannot be had: {why}")]
    Image { image: String, why: String },
    /// The job's container came to an end that was not the job's.
    #[error("the job's container is lost: {problem}")]
    Container { problem: String },
    /// The compiler's process does not work.
    #[error("the compiler cannot {doing}")]
    Compiler { doing: &'static str, source: io::Error },
    /// The host could not give memory that the job's limit grants.
    #[error("the host is out of memory: {message}")]
    HostMemory {
        /// What the engine says.
        message: String,
    },
    /// The engine failed.
    #[error("the engine failed: {message}")]
    Engine {
        /// What the engine says.
        message: String,
    },
}

impl ExecutorError {
    /// The same error once more, if it says that this module cannot be compiled here: asking again soon gives the same.
    #[must_use]
    pub fn of_compiling(&self) -> Option<Self> {
        Some(match self {
            Self::CompileTime { limit } => Self::CompileTime { limit: *limit },
            Self::CompileMemory { limit } => Self::CompileMemory { limit: *limit },
            Self::CompileOutput { limit } => Self::CompileOutput { limit: *limit },
            Self::CompileCrash { how } => Self::CompileCrash { how: how.clone() },
            _ => return None,
        })
    }
}
