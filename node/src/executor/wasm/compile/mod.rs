//! Turning a module's bytes into machine code, under limits.
//!
//! A compiler's memory and time depend on what strangers wrote, and nothing inside a process can take either back from
//! it. So it has a process of its own: it is given a module on standard input, writes the machine code to standard
//! output, and is killed when it is not wanted any more or exceeds a limit. Its memory goes back to the system with it. Standard
//! input stays open meanwhile: when the node dies, it ends, and the compiler ends itself.

mod child;
mod command;
mod queue;
mod store;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wasmtime::Engine;

use super::engine::Optimize;
use super::modules::{blocking, invalid};
use crate::executor::{CheckError, ExecutorError};

pub use command::compile_command;
pub(crate) use queue::Queue;
pub use queue::{PERIOD, UNPAID};
pub(crate) use store::Artifacts;

/// Where modules are compiled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Compiler {
    /// In this process, which holds no limit of memory and cannot be interrupted: for programs that compile only what
    /// they trust.
    #[default]
    InProcess,
    /// In a process of its own for each module: a program that does what [`compile_command`] does.
    Child {
        /// The program.
        program: PathBuf,
        /// What it is started with.
        arguments: Vec<OsString>,
    },
}

impl Compiler {
    /// A process of its own, of the program that is running now, which calls [`compile_command`] when it is started with
    /// this argument.
    ///
    /// # Errors
    ///
    /// When the running program's path cannot be found out.
    pub fn this_program(argument: &str) -> std::io::Result<Self> {
        // On Linux this is the running program itself, even if its file was replaced meanwhile by another version, whose
        // machine code this one could not run.
        let program = if cfg!(target_os = "linux") { "/proc/self/exe".into() } else { std::env::current_exe()? };
        Ok(Self::Child { program, arguments: vec![argument.into()] })
    }
}

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
struct Task {
    /// How much of standard input is the module. The end of standard input says that the node has ended.
    module_bytes: u64,
    memory: u64,
    processor_seconds: u64,
    niceness: i32,
    optimize: bool,
}

impl Compiler {
    /// Compiles a module.
    pub(crate) async fn compile(
        &self,
        engine: &Engine,
        optimize: Optimize,
        module: Bytes,
        effort: Effort,
    ) -> Result<Vec<u8>, CheckError> {
        match self {
            Self::InProcess => {
                let engine = engine.clone();
                let work = move || engine.precompile_module(&module).map_err(|error| invalid(&error).into());
                match tokio::time::timeout(effort.wall, blocking(work)).await {
                    Ok(compiled) => compiled,
                    Err(_) => Err(ExecutorError::CompileTime { limit: effort.wall }.into()),
                }
            }
            Self::Child { program, arguments } => child::compile(program, arguments, optimize, module, effort).await,
        }
    }
}
