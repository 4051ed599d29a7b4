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
mod task;

use std::ffi::OsString;
use std::path::PathBuf;

use bytes::Bytes;
use wasmtime::Engine;

use super::blocking::blocking;
use super::engine::Code;
use super::messages::invalid;
use crate::executor::{CheckError, ExecutorError};

pub use command::compile_command;
pub(crate) use queue::Queue;
pub use queue::{PERIOD, UNPAID};
pub(crate) use store::Artifacts;
pub(crate) use task::Effort;

/// Where modules are compiled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Compiler {
    /// In this process, which holds no limit of memory and cannot be interrupted: for programs that compile only what
    /// they trust.
    #[default]
    InProcess,
    /// In a process of its own for each module: a program that does what [`compile_command`] does.
    Child {
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

impl Compiler {
    /// Compiles a module.
    pub(crate) async fn compile(
        &self,
        engine: &Engine,
        code: Code,
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
            Self::Child { program, arguments } => child::compile(program, arguments, code, module, effort).await,
        }
    }
}
