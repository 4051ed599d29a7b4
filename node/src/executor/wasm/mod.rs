//! The WASM executor: WASI preview-1 modules on wasmtime, deterministic, with a file system of its own.

mod calls;
mod clock;
mod directories;
mod engine;
mod fs;
mod fuel;
mod host;
mod job;
mod limiter;
mod linker;
mod modules;
mod preview1;
mod random;
mod stop;
mod stream;
mod verdict;
mod wasi;

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use wasmtime::Engine;

pub use engine::{DiskCache, Optimize};
/// What host calls cost, in fuel.
pub mod costs {
    pub use super::fuel::{BYTE, ENTRY, HOST_CALL, PATH};
}
/// Limits that no run can change.
pub mod bounds {
    pub use super::fs::{DESCRIPTORS, MADE_BYTES, MADE_DEPTH, NAME_BYTES, PATH_BYTES};
    pub use super::limiter::TABLE_ELEMENTS;
}

use crate::executor::{CheckError, Executor, ExecutorError, Outcome, Phase, ProgressSink, Run};
use engine::Ticker;
use job::Job;
use modules::{Entry, ModuleLimits, Modules, Prepared, engine_failed};

/// Settings of a [`WasmExecutor`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WasmSettings {
    /// Jobs that run at once; further ones wait.
    pub jobs: usize,
    /// Largest module, in bytes, that is compiled.
    pub module_bytes: u64,
    /// How long compiling may take. It cannot be interrupted: a module that takes longer is given up, but keeps the one
    /// place for compiling until it is done.
    pub compile_timeout: Duration,
    /// Compiled modules that are kept in memory.
    pub cached_modules: usize,
    /// Bytes that compiled modules may take in memory, about.
    pub cached_bytes: usize,
    /// Where compiled modules are kept across restarts; `None` keeps none.
    pub disk_cache: Option<DiskCache>,
    /// How well code is compiled.
    pub optimize: Optimize,
}

impl Default for WasmSettings {
    fn default() -> Self {
        Self {
            jobs: thread::available_parallelism().map_or(1, usize::from),
            module_bytes: 64 << 20,
            compile_timeout: Duration::from_secs(120),
            cached_modules: 64,
            cached_bytes: 512 << 20,
            disk_cache: None,
            optimize: Optimize::Speed,
        }
    }
}

/// Runs WebAssembly modules.
pub struct WasmExecutor {
    engine: Engine,
    modules: Arc<Modules>,
    ticker: Ticker,
    places: Arc<Semaphore>,
}

impl std::fmt::Debug for WasmExecutor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WasmExecutor").field("cached_modules", &self.modules.count()).finish_non_exhaustive()
    }
}

impl WasmExecutor {
    /// An executor with these settings.
    ///
    /// # Errors
    ///
    /// When the cache directory is not the node's own, or the engine does not work on this machine.
    pub fn new(settings: &WasmSettings) -> Result<Self, ExecutorError> {
        let cache = match &settings.disk_cache {
            None => None,
            Some(cache) => {
                let failed = |source| {
                    let path = cache.directory.clone();
                    ExecutorError::WorkDir { path, doing: "keeping compiled modules in it", source }
                };
                private_directory(&cache.directory).map_err(failed)?;
                Some(engine::disk_cache(cache).map_err(|error| engine_failed(&error))?)
            }
        };
        let engine = engine::engine(settings.optimize, cache).map_err(|error| engine_failed(&error))?;
        let limits = ModuleLimits {
            module_bytes: settings.module_bytes,
            cached_modules: settings.cached_modules,
            cached_bytes: settings.cached_bytes,
            compile_timeout: settings.compile_timeout,
        };
        let modules = Modules::new(engine.clone(), limits).map_err(|error| engine_failed(&error))?;
        let ticker = Ticker::start(&engine)
            .map_err(|error| ExecutorError::Engine { message: format!("a thread could not be started: {error}") })?;
        let places = Arc::new(Semaphore::new(settings.jobs.max(1)));
        Ok(Self { engine, modules: Arc::new(modules), ticker, places })
    }

    async fn prepare(&self, run: &Run, stop: &CancellationToken) -> Result<(Arc<Prepared>, Entry), CheckError> {
        run.validate()?;
        let module = self.modules.prepare(&run.module, stop).await?;
        let entry = module.entry(&run.entry_point, &run.limits)?;
        Ok((module, entry))
    }
}

#[async_trait]
impl Executor for WasmExecutor {
    fn engine(&self) -> &'static str {
        "wasm"
    }

    async fn check(&self, run: &Run) -> Result<(), CheckError> {
        self.prepare(run, &run.cancel).await.map(drop)
    }

    async fn run(&self, run: Run, progress: Option<ProgressSink>) -> Result<Outcome, ExecutorError> {
        // Cancelled when this future is dropped, too; the job's thread looks at it.
        let stop = run.cancel.child_token();
        let _stop_on_drop = stop.clone().drop_guard();
        let place = tokio::select! {
            place = Arc::clone(&self.places).acquire_owned() => place,
            () = stop.cancelled() => return Err(ExecutorError::Cancelled),
        };
        if let Some(progress) = &progress {
            progress.send_modify(|sample| sample.phase = Phase::Preparing);
        }
        let module = match self.prepare(&run, &stop).await {
            Ok(prepared) => Ok(prepared),
            Err(CheckError::Fault(fault)) => Err(fault),
            Err(CheckError::Executor(error)) => return Err(error),
        };
        let (engine, ticking) = (self.engine.clone(), self.ticker.running());
        let job = Job { run, module, stop, progress };
        let (done, outcome) = oneshot::channel();
        let work = move || {
            let _kept = (place, ticking);
            // Nobody listens any more if the run was cancelled.
            let _ = done.send(job.execute(&engine));
        };
        // A thread of its own: the program needs a stack of a known size.
        thread::Builder::new()
            .name("lota-wasm-job".to_owned())
            .stack_size(engine::WASM_STACK + engine::HOST_STACK)
            .spawn(work)
            .map_err(|error| ExecutorError::Engine { message: format!("a thread could not be started: {error}") })?;
        outcome.await.map_err(|_| ExecutorError::Engine { message: "the job's thread panicked".to_owned() })?
    }
}

/// Makes a directory for this user alone, or checks that it is one.
fn private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let found = std::fs::symlink_metadata(path)?;
    if !found.is_dir() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a directory"));
    }
    if found.uid() != rustix::process::geteuid().as_raw() || found.permissions().mode() & 0o077 != 0 {
        let message = "it must belong to the node's user and be closed to others (mode 0700)";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    Ok(())
}
