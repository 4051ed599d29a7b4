//! Executors run a job's program under limits and leave its result on disk.
//!
//! One small trait, one file (or folder) per implementation, one honest fake. This module knows no market, no chain
//! and no content store: a run is described by plain values and host paths, and its result is a directory
//!
//! ```text
//! <work_dir>/result/stdout      what the program wrote to standard output
//!                  /stderr      what it wrote to standard error
//!                  /exitCode    its exit code: decimal digits, no newline
//!                  /outputs/    every declared output directory, by name
//! ```
//!
//! The bytes of that directory, the exit code and the fuel used are a function of the [`Run`] alone, on every machine
//! and in every run, as far as [`Ended::is_reproducible`] says so. `docs/execution.md` is the user's side of this.

mod error;
pub mod fake;
mod outcome;
mod run;
mod validate;
pub mod wasm;

pub use error::{CheckError, ExecutorError, RunFault};
pub use outcome::{Ended, Outcome, TrapKind, exit};
pub use run::{Input, Limits, ModuleSource, Output, Phase, Progress, ProgressSink, ReadModule, Run};
pub use validate::SCRATCH;

use async_trait::async_trait;

/// Something that runs jobs.
///
/// Both calls are cancel-safe: dropping the future stops the job soon after (at its next loop iteration, call or host
/// call), as does [`Run::cancel`]. A run may be repeated with the same `work_dir`, after a crash for example: what an
/// earlier attempt left there is removed first.
#[async_trait]
pub trait Executor: Send + Sync {
    /// The name of the engine as job specifications call it, `"wasm"` for instance.
    fn engine(&self) -> &'static str;

    /// Says whether this run can be attempted at all, without running it.
    ///
    /// Meant to be asked before a bid, when module and inputs are already on disk. For WASM: the module is valid, needs
    /// only what the executor provides, exports its entry point with a usable type, and fits its memory limit. The work
    /// (a compiled module) is kept for the run that may follow.
    ///
    /// # Errors
    ///
    /// [`CheckError::Fault`] when the job itself is at fault (no executor could run it), [`CheckError::Executor`] when
    /// this provider failed to find out.
    async fn check(&self, run: &Run) -> Result<(), CheckError>;

    /// Runs the program to its end and leaves the result directory in [`Outcome::result_dir`].
    ///
    /// Whatever the program does is an [`Outcome`], including traps, exhausted limits and modules that are not
    /// runnable. `progress`, if given, is updated now and then while the job runs.
    ///
    /// # Errors
    ///
    /// Only the provider's own failures: a full disk, an unreadable input, a broken engine, a cancelled run. Such a
    /// failure says nothing about the job, and no result may be posted for it.
    async fn run(&self, run: Run, progress: Option<ProgressSink>) -> Result<Outcome, ExecutorError>;
}
