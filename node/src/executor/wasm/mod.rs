//! The WASM executor: WASI preview-1 modules on wasmtime, deterministic, with a file system of its own.

mod blocking;
mod calls;
mod clock;
mod compile;
mod directories;
mod engine;
mod fs;
mod fuel;
mod host;
mod inspect;
mod job;
mod limiter;
mod linker;
mod messages;
mod modules;
mod preview1;
mod random;
mod stop;
mod stream;
mod verdict;
mod wasi;

use std::collections::HashSet;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use wasmtime::Engine;

pub use compile::{Compiler, compile_command};
pub use engine::{DiskCache, Memories, Optimize, Processor};
/// What host calls cost, in fuel.
pub mod costs {
    pub use super::fuel::{BYTE, ENTRY, HOST_CALL, PATH, VERSION};
}
/// Limits that no run can change.
pub mod bounds {
    pub use super::compile::{PERIOD as UNPAID_PERIOD, UNPAID as UNPAID_COMPILING};
    pub use super::fs::{DESCRIPTORS, MADE_BYTES, MADE_DEPTH, NAME_BYTES, PATH_BYTES};
    pub use super::limiter::TABLE_ELEMENTS;
    /// What a module may hold.
    pub mod module {
        pub use super::super::inspect::{
            CODE_BYTES, DATA_SEGMENTS, ELEMENT_SEGMENTS, ELEMENTS, EXPORTS, FUNCTION_BYTES, FUNCTION_OPERATIONS,
            FUNCTIONS, GLOBALS, IMPORTS, LOCALS, NESTING, OPERATIONS, TABLES, TYPES,
        };
    }
}

use crate::executor::runs::{Activity, Runs};
use crate::executor::{
    Attached, CheckError, EngineRun, Executor, ExecutorError, Phase, Run, RunFault, RunId, RunOutcome, WasmRun,
};
use compile::{Artifacts, Effort};
use engine::{Code, Ticker};
use job::Job;
use messages::engine_failed;
use modules::{Entry, ModuleLimits, Modules, Prepared, Purpose};

/// How much more compiling may take when a collateral depends on it: what passed the check then passes again on a machine
/// that has become busy.
const PAID: u32 = 4;
/// Processes of the compiler use at most so many threads.
const THREADS: usize = 4;
/// How much the compiler lets the node and its jobs go first, as `nice` counts.
const NICENESS: i32 = 10;

/// Settings of a [`WasmExecutor`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WasmSettings {
    /// Jobs that run at once; further ones wait.
    pub jobs: usize,
    /// Largest module, in bytes, that is compiled.
    pub module_bytes: u64,
    /// Where modules are compiled.
    pub compiler: Compiler,
    /// How long compiling may take on the clock: long enough for a machine that has other things to do.
    pub compile_timeout: Duration,
    /// How much processor time it may take, of all threads together; in whole seconds. Of a compiler in a process of its
    /// own only, as are the next two.
    pub compile_time: Duration,
    /// How much memory it may take, in bytes.
    pub compile_memory: u64,
    /// The most machine code of one module, in bytes.
    pub compile_output: u64,
    /// Compiled modules that are kept in memory.
    pub cached_modules: usize,
    /// Bytes that compiled modules may take in memory, about.
    pub cached_bytes: usize,
    /// Where compiled modules are kept across restarts; `None` keeps none.
    pub disk_cache: Option<DiskCache>,
    /// How well code is compiled.
    pub optimize: Optimize,
    /// Which processors it is compiled for.
    pub processor: Processor,
    /// Where memories come from.
    pub memories: Memories,
}

impl Default for WasmSettings {
    fn default() -> Self {
        Self {
            jobs: thread::available_parallelism().map_or(1, usize::from),
            module_bytes: 64 << 20,
            compiler: Compiler::default(),
            compile_timeout: Duration::from_secs(300),
            compile_time: Duration::from_secs(120),
            compile_memory: 2 << 30,
            compile_output: 512 << 20,
            cached_modules: 64,
            cached_bytes: 512 << 20,
            disk_cache: None,
            optimize: Optimize::default(),
            processor: Processor::default(),
            memories: Memories::default(),
        }
    }
}

/// Runs WebAssembly modules.
pub struct WasmExecutor {
    engine: Engine,
    modules: Arc<Modules>,
    ticker: Arc<Ticker>,
    places: Arc<Semaphore>,
    runs: Runs,
}

/// What a run needs to begin, or why its job cannot be run.
type Startable = Result<(Arc<Prepared>, Entry), RunFault>;

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
        let code = Code { optimize: settings.optimize, processor: settings.processor };
        let engine = engine::engine(code, settings.memories).map_err(|error| engine_failed(&error))?;
        let disk = match &settings.disk_cache {
            None => None,
            Some(cache) => Some(Artifacts::open(cache, &engine).map_err(|source| {
                let path = cache.directory.clone();
                ExecutorError::WorkDir { path, doing: "keeping compiled modules in it", source }
            })?),
        };
        let unpaid = Effort {
            memory: settings.compile_memory,
            processor: settings.compile_time,
            wall: settings.compile_timeout,
            output: settings.compile_output,
            threads: thread::available_parallelism().map_or(1, usize::from).min(THREADS),
            niceness: NICENESS,
        };
        let paid = Effort {
            memory: settings.compile_memory.saturating_add(settings.compile_memory / 4),
            processor: settings.compile_time * PAID,
            wall: settings.compile_timeout * PAID,
            niceness: 0,
            ..unpaid
        };
        let limits = ModuleLimits {
            module_bytes: settings.module_bytes,
            cached_modules: settings.cached_modules,
            cached_bytes: settings.cached_bytes,
            unpaid,
            paid,
        };
        let modules = Modules::new(engine.clone(), code, limits, settings.compiler.clone(), disk)
            .map_err(|error| engine_failed(&error))?;
        let ticker = Ticker::start(&engine)
            .map_err(|error| ExecutorError::Engine { message: format!("a thread could not be started: {error}") })?;
        let places = Arc::new(Semaphore::new(settings.jobs.max(1)));
        Ok(Self { engine, modules: Arc::new(modules), ticker: Arc::new(ticker), places, runs: Runs::default() })
    }

    /// An executor with runs of its own, `jobs` of them at once, that shares the compiler and the compiled modules with this
    /// one: for several nodes in one process.
    #[must_use]
    pub fn sharing_modules(&self, jobs: usize) -> Self {
        Self {
            engine: self.engine.clone(),
            modules: Arc::clone(&self.modules),
            ticker: Arc::clone(&self.ticker),
            places: Arc::new(Semaphore::new(jobs.max(1))),
            runs: Runs::default(),
        }
    }

    async fn prepare(
        &self,
        run: &Run,
        purpose: Purpose,
        stop: &CancellationToken,
    ) -> Result<(Arc<Prepared>, Entry), CheckError> {
        run.validate()?;
        let WasmRun { module, entry_point, .. } = wasm_of(run)?;
        let module = tokio::select! {
            module = self.modules.prepare(module, run.asked_by, purpose) => module?,
            () = stop.cancelled() => return Err(ExecutorError::Aborted.into()),
        };
        let entry = module.entry(entry_point, &run.limits)?;
        Ok((module, entry))
    }

    /// Waits until the run can begin.
    async fn start(
        &self,
        run: &Run,
        stop: &CancellationToken,
    ) -> Result<(tokio::sync::OwnedSemaphorePermit, Startable), ExecutorError> {
        let place = tokio::select! {
            place = Arc::clone(&self.places).acquire_owned() => place,
            () = stop.cancelled() => return Err(ExecutorError::Aborted),
        };
        let place = place.map_err(|_| ExecutorError::Engine { message: "it is shutting down".to_owned() })?;
        if let Some(progress) = &run.progress {
            progress.send_modify(|sample| sample.phase = Phase::Preparing);
        }
        match self.prepare(run, Purpose::Run, stop).await {
            Ok(prepared) => Ok((place, Ok(prepared))),
            Err(CheckError::Fault(fault)) => Ok((place, Err(fault))),
            Err(CheckError::Executor(error)) => Err(error),
        }
    }
}

/// The module of a run.
fn wasm_of(run: &Run) -> Result<&WasmRun, ExecutorError> {
    match &run.engine {
        EngineRun::Wasm(wasm) => Ok(wasm),
        other => Err(ExecutorError::Engine { message: format!("it runs no jobs for the engine `{}`", other.name()) }),
    }
}

/// Ends a run that did not begin.
fn fail(activity: Activity, error: ExecutorError) -> Result<RunOutcome, ExecutorError> {
    let result = Err(error);
    activity.finish(&result);
    result
}

#[async_trait]
impl Executor for WasmExecutor {
    async fn check(&self, run: &Run) -> Result<(), CheckError> {
        let activity = self.runs.begin_check(run.job);
        self.prepare(run, Purpose::Check, activity.stop()).await.map(drop)
    }

    async fn run(&self, run: Run) -> Result<RunOutcome, ExecutorError> {
        let wasm = wasm_of(&run)?.clone();
        let activity = self.runs.begin_run(run.job).await?;
        // Cancelled when this future is dropped, too; the job's thread looks at it.
        let stop = activity.stop().clone();
        let _stop_on_drop = stop.clone().drop_guard();
        let (place, module) = match self.start(&run, &stop).await {
            Ok(started) => started,
            Err(error) => return fail(activity, error),
        };
        let (engine, ticking) = (self.engine.clone(), self.ticker.running());
        let job = Job { run, wasm, module, stop };
        let (done, outcome) = oneshot::channel();
        let work = move || {
            let result = job.execute(&engine);
            drop((place, ticking));
            activity.finish(&result);
            // Nobody listens any more if the run was aborted.
            let _ = done.send(result);
        };
        // A thread of its own: the program needs a stack of a known size.
        thread::Builder::new()
            .name("lota-wasm-job".to_owned())
            .stack_size(engine::WASM_STACK + engine::HOST_STACK)
            .spawn(work)
            .map_err(|error| ExecutorError::Engine { message: format!("a thread could not be started: {error}") })?;
        outcome.await.map_err(|_| ExecutorError::Engine { message: "the job's thread panicked".to_owned() })?
    }

    /// A run ends with its process and leaves nothing: repeated, it comes to the same.
    async fn attach(&self, run: &Run) -> Result<Attached, ExecutorError> {
        Ok(self.runs.attach(run.job))
    }

    async fn abort(&self, job: RunId) {
        self.runs.abort(job).await;
    }

    /// Runs have ended with the process that began them, and so have its compilers.
    async fn reap(&self, live: &HashSet<RunId>) -> Result<(), ExecutorError> {
        for job in self.runs.jobs().into_iter().filter(|job| !live.contains(job)) {
            self.runs.abort(job).await;
        }
        Ok(())
    }
}
