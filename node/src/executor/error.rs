//! What can be wrong with a run, and what can go wrong with an executor.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

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
    EntryPointType {
        /// Its name.
        entry_point: String,
        /// Its type.
        found: String,
    },
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
    /// The run was cancelled.
    #[error("the run was cancelled")]
    Cancelled,
    /// The module could not be read.
    #[error("the module {} cannot be read", .path.display())]
    Module {
        /// Its path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// An input could not be read.
    #[error("the input {} (for {guest_path}) cannot be read", .host_path.display())]
    Input {
        /// Where the program sees it.
        guest_path: String,
        /// Where it is.
        host_path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The work directory could not be used; perhaps the disk is full.
    #[error("the work directory {} cannot be used: {doing}", .path.display())]
    WorkDir {
        /// Its path.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// The module took too long to compile here.
    #[error("compiling the module took longer than {} s; raise the executor's compile time-out or refuse the job", .limit.as_secs())]
    CompileTimeout {
        /// The time allowed.
        limit: Duration,
    },
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
