//! Executors run a job's program under limits and leave its result on disk.
//!
//! One small trait, one file (or folder) per implementation; whoever starts a node gives it a set of them ([`Executors`]). This
//! module knows no market, no chain and no content store: a run is described by plain values and host paths, and its result
//! is a directory
//!
//! ```text
//! <work_dir>/result/stdout      what the program wrote to standard output
//!                  /stderr      what it wrote to standard error
//!                  /exitCode    its exit code: decimal digits, no newline
//!                  /outputs/    every declared output directory, by name
//! ```
//!
//! Of an engine without clocks, randomness and neighbours, such as WASM, the bytes of that directory, the exit code and the fuel
//! used are a function of the [`Run`] alone, on every machine and in every run, as far as [`Ended::is_reproducible`] says so.
//! `docs/execution.md` is the user's side of this.

mod delayed;
pub mod docker;
mod error;
mod outcome;
mod run;
mod runs;
mod set;
mod validate;
pub mod wasm;

pub use delayed::Delayed;
pub use docker::{DockerRun, ImageSource};
pub use error::{CheckError, ExecutorError, RunFault};
pub use outcome::{Ended, RunOutcome, TrapKind, exit};
pub use run::{
    EngineRun, Input, Limits, LogPiece, LogSink, ModuleSource, Output, Phase, Progress, ProgressSink, ReadModule, Run,
    RunId, StandardStream, WasmRun,
};
pub use set::Executors;
pub use validate::SCRATCH;

use std::collections::HashSet;
use std::fmt;

use async_trait::async_trait;
use futures::future::BoxFuture;

/// Something that runs the jobs of one engine. `node/tests/executor/conformance.rs` says what all of them have in common.
///
/// A run is addressed by its job's id, in this process and, where an engine's runs outlive the node, in the next one. All calls
/// are cancel-safe: a run whose future is dropped is no longer waited for. An engine inside this process then stops it soon
/// after; one that outlives the node may go on, and [`attach`](Executor::attach) finds it. A run may be repeated with the same
/// `work_dir`, after a crash for example: what an earlier attempt left there is removed first.
#[async_trait]
pub trait Executor: Send + Sync {
    /// Says whether this run can be attempted at all, without running it.
    ///
    /// Meant to be asked before a bid, when the program and the inputs are already on disk. For WASM: the module is valid, needs
    /// only what the executor provides, exports its entry point with a usable type, and fits its memory limit. The work
    /// (a compiled module) is kept for the run that may follow.
    ///
    /// # Errors
    ///
    /// [`CheckError::Fault`] when the job itself is at fault (no executor could run it), [`CheckError::Executor`] when
    /// this provider failed to find out.
    async fn check(&self, run: &Run) -> Result<(), CheckError>;

    /// Runs the program to its end and leaves the result directory in [`RunOutcome::result_dir`].
    ///
    /// Whatever the program does is an [`RunOutcome`], including traps, exhausted limits and programs that are not
    /// runnable.
    ///
    /// # Errors
    ///
    /// Only the provider's own failures: a full disk, an unreadable input, a broken engine, an aborted run. Such a
    /// failure says nothing about the job, and no result may be posted for it. [`ExecutorError::AlreadyRunning`] of a job that is
    /// being run: attach to it instead.
    async fn run(&self, run: Run) -> Result<RunOutcome, ExecutorError>;

    /// What there is of a run that was begun before, by this process or by one that is gone. Asked before a run is begun.
    ///
    /// # Errors
    ///
    /// When the engine cannot be asked.
    async fn attach(&self, run: &Run) -> Result<Attached, ExecutorError>;

    /// Ends what is done for a job, a check or a run, and clears what the engine holds for it; whoever waits for it is
    /// told [`ExecutorError::Aborted`]. Returns when nothing is written to the run's `work_dir` any more. Without effect on
    /// a job that the executor does not know.
    async fn abort(&self, job: RunId);

    /// Aborts and clears everything that the engine holds for jobs other than these: asked when a node starts, with
    /// the jobs that it knows. Files in a run's `work_dir` are the node's affair.
    ///
    /// # Errors
    ///
    /// When something could not be cleared.
    async fn reap(&self, live: &HashSet<RunId>) -> Result<(), ExecutorError>;

    /// Why its engine cannot be reached now; `None`: it can, or it is part of this process.
    async fn away(&self) -> Option<String> {
        None
    }
}

/// What an executor has of a run.
pub enum Attached {
    /// It goes on: the future ends with it, as that of [`Executor::run`] would.
    Running(BoxFuture<'static, Result<RunOutcome, ExecutorError>>),
    /// It has ended, and its result directory is whole.
    Finished(RunOutcome),
    /// Nothing: it was never begun, or has ended with the process that it ran in.
    Unknown,
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running(_) => f.write_str("Running"),
            Self::Finished(outcome) => f.debug_tuple("Finished").field(outcome).finish(),
            Self::Unknown => f.write_str("Unknown"),
        }
    }
}
