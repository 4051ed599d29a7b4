//! One run, from a compiled module to a result directory. Blocking; belongs on a thread of its own.

use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;
use wasmtime::{Instance, Store, UpdateDeadline};

use super::directories::Directories;
use super::fs::{InputRoot, NodeId, Store as FileStore, Tree};
use super::host::Host;
use super::messages::engine_failed;
use super::modules::{Entry, Prepared};
use super::stop::{Fail, Stop};
use super::verdict::{self, Verdict};
use crate::executor::{
    Ended, ExecutorError, Input, Output, Phase, Progress, Run, RunFault, RunOutcome, SCRATCH, WasmRun,
};

/// What the memory digest begins with.
const MEMORY_DOMAIN: &[u8] = b"lota/memory/v1";
/// Bytes of a linear memory's page.
const PAGE: usize = 1 << 16;

/// One run that is about to start.
pub(crate) struct Job {
    pub(crate) run: Run,
    pub(crate) wasm: WasmRun,
    /// The module and how to call it, or why it cannot be run.
    pub(crate) module: Result<(std::sync::Arc<Prepared>, Entry), RunFault>,
    pub(crate) stop: CancellationToken,
}

/// What a program came to while it ran.
struct Execution {
    verdict: Verdict,
    fuel_used: u64,
    memory_digest: Option<[u8; 32]>,
    wall: Duration,
    host: Host,
}

impl Job {
    /// Runs the program.
    pub(crate) fn execute(self, engine: &wasmtime::Engine) -> Result<RunOutcome, ExecutorError> {
        let directories = Directories::make(&self.run.work_dir)?;
        let (module, entry) = match &self.module {
            Ok((module, entry)) => (module, *entry),
            Err(fault @ RunFault::MemoryOverLimit { .. }) => {
                tracing::debug!(%fault, "the module's memory does not fit");
                return self.without_running(directories, Ended::OutOfMemory, 0);
            }
            Err(fault) => {
                let ended = Ended::NotRunnable { reason: fault.to_string() };
                return self.without_running(directories, ended, 0);
            }
        };
        let mut tree = self.tree(&directories);
        let outputs = match self.mount(&mut tree) {
            Ok(outputs) => outputs,
            Err(Mounting::Fault(fault)) => {
                let ended = Ended::NotRunnable { reason: fault.to_string() };
                return self.without_running(directories, ended, 0);
            }
            Err(Mounting::Executor(error)) => return Err(error),
        };
        let (stdout, stderr) = (directories.file("stdout")?, directories.file("stderr")?);
        let host = Host::new(&self.run, self.wasm().seed, self.budget(), tree, stdout, stderr);
        let execution = self.call(engine, host, module, entry)?;
        self.collect(directories, execution, &outputs)
    }

    const fn wasm(&self) -> &WasmRun {
        &self.wasm
    }

    /// Fuel that the program may use in this run.
    fn budget(&self) -> u64 {
        self.wasm().stop_at_fuel.map_or(self.run.limits.fuel(), |stop| stop.min(self.run.limits.fuel()))
    }

    fn tree(&self, directories: &Directories) -> Tree {
        let limits = &self.run.limits;
        Tree::new(FileStore::new(directories.files()), limits.output_bytes, limits.output_entries)
    }

    /// Mounts scratch space, outputs and inputs, outer ones first.
    fn mount(&self, tree: &mut Tree) -> Result<Vec<(Output, NodeId)>, Mounting> {
        if self.run.has_scratch() {
            tree.mount_output(SCRATCH).map_err(|fail| self.unmountable(SCRATCH, fail))?;
        }
        let mut outputs = Vec::new();
        for output in &self.run.outputs {
            let node =
                tree.mount_output(&output.guest_path).map_err(|fail| self.unmountable(&output.guest_path, fail))?;
            outputs.push((output.clone(), node));
        }
        for input in sorted(&self.run.inputs) {
            let root = InputRoot::open(&input.host_path).map_err(|source| {
                let (guest_path, host_path) = (input.guest_path.clone(), input.host_path.clone());
                ExecutorError::Input { guest_path, host_path, source }
            })?;
            tree.mount_input(&input.guest_path, root).map_err(|fail| self.unmountable(&input.guest_path, fail))?;
        }
        Ok(outputs)
    }

    fn unmountable(&self, path: &str, fail: Fail) -> Mounting {
        match fail {
            Fail::Errno(errno) => {
                let why = format!("a part of it is not a directory there ({errno:?})").to_lowercase();
                Mounting::Fault(RunFault::Mount { path: path.to_owned(), why })
            }
            Fail::Stop(stop) => Mounting::Executor(self.host_failure(stop)),
        }
    }

    /// Turns a failure of the host into the executor's error.
    fn host_failure(&self, stop: Stop) -> ExecutorError {
        match stop {
            Stop::Host { doing, input, source } => {
                match input.and_then(|index| sorted(&self.run.inputs).get(index).copied().cloned()) {
                    Some(Input { guest_path, host_path }) => ExecutorError::Input { guest_path, host_path, source },
                    None => ExecutorError::WorkDir { path: self.run.work_dir.clone(), doing, source },
                }
            }
            Stop::HostMemory(message) => ExecutorError::HostMemory { message },
            Stop::Cancelled => ExecutorError::Aborted,
            other => ExecutorError::Engine { message: other.to_string() },
        }
    }

    /// Runs the program's code until it ends, however it ends.
    fn call(
        &self,
        engine: &wasmtime::Engine,
        host: Host,
        module: &Prepared,
        entry: Entry,
    ) -> Result<Execution, ExecutorError> {
        let mut store = Store::new(engine, host);
        store.limiter(|host| &mut host.limiter);
        store.set_fuel(self.budget()).map_err(|error| engine_failed(&error))?;
        let started = Instant::now();
        self.watch(&mut store, started);
        let mut instance = None;
        let result = self.invoke(&mut store, module, entry, &mut instance);
        let wall = started.elapsed();
        let verdict = verdict::of(result, store.data().limiter.refused()).map_err(|stop| self.host_failure(stop))?;
        let left = store.get_fuel().map_err(|error| engine_failed(&error))?;
        let stopped = self.wasm().stop_at_fuel.is_some_and(|stop| stop <= self.run.limits.fuel());
        let (verdict, fuel_used) = match verdict {
            Verdict { ended: Ended::OutOfFuel, .. } if stopped => (Verdict::fixed(Ended::StoppedAtFuel), self.budget()),
            Verdict { ended: Ended::OutOfFuel, .. } => (verdict, self.budget()),
            // Where these happen is not the same everywhere; what they report is.
            verdict if !verdict.ended.is_reproducible() => (verdict, self.run.limits.fuel()),
            verdict => (verdict, self.budget() - left.min(self.budget())),
        };
        let memory_digest = self.wasm().stop_at_fuel.map(|_| digest(&mut store, instance));
        Ok(Execution { verdict, fuel_used, memory_digest, wall, host: store.into_data() })
    }

    /// Has the program interrupted when it is cancelled or its wall time is over, and sampled for progress.
    fn watch(&self, store: &mut Store<Host>, started: Instant) {
        let (stop, wall, progress) = (self.stop.clone(), self.run.limits.wall, self.run.progress.clone());
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |store| {
            if stop.is_cancelled() {
                return Err(Stop::Cancelled.into());
            }
            if started.elapsed() > wall {
                return Err(Stop::WallTime.into());
            }
            if let Some(progress) = &progress {
                progress.send_modify(|sample| {
                    sample.phase = Phase::Running;
                    store.data().sample(sample);
                });
            }
            Ok(UpdateDeadline::Continue(1))
        });
    }

    fn invoke(
        &self,
        store: &mut Store<Host>,
        module: &Prepared,
        entry: Entry,
        instance: &mut Option<Instance>,
    ) -> wasmtime::Result<u32> {
        let made = module.instance.instantiate(&mut *store)?;
        *instance = Some(made);
        store.data_mut().memory = made.get_memory(&mut *store, "memory");
        if entry.initialize {
            made.get_typed_func::<(), ()>(&mut *store, "_initialize")?.call(&mut *store, ())?;
        }
        let name = &self.wasm().entry_point;
        if entry.returns_code {
            let code = made.get_typed_func::<(), i32>(&mut *store, name)?.call(&mut *store, ())?;
            return Ok(code.cast_unsigned());
        }
        made.get_typed_func::<(), ()>(&mut *store, name)?.call(&mut *store, ())?;
        Ok(0)
    }

    fn collect(
        &self,
        directories: Directories,
        execution: Execution,
        outputs: &[(Output, NodeId)],
    ) -> Result<RunOutcome, ExecutorError> {
        let Execution { verdict: Verdict { ended, exit_code }, fuel_used, memory_digest, wall, host } = execution;
        if self.stop.is_cancelled() {
            return Err(ExecutorError::Aborted);
        }
        let mut last = Progress { phase: Phase::Collecting, ..Progress::default() };
        host.sample(&mut last);
        last.fuel_used = fuel_used;
        self.report(last);
        if ended == Ended::WallTime {
            directories.clear()?;
            let outcome = self.without_running(directories, ended, fuel_used)?;
            return Ok(RunOutcome { wall, memory_digest, ..outcome });
        }
        let Host { stdout, stderr, tree, .. } = host;
        let stdout_bytes = stdout.finish().map_err(|stop| directories.stopped(stop))?;
        let stderr_bytes = stderr.finish().map_err(|stop| directories.stopped(stop))?;
        let totals = directories.place(&tree, outputs)?;
        let result_dir = directories.finish(exit_code)?;
        self.report(Progress { phase: Phase::Done, ..last });
        Ok(RunOutcome {
            exit_code,
            ended,
            fuel_used,
            memory_digest,
            result_dir,
            stdout_bytes,
            stderr_bytes,
            output_bytes: totals.bytes,
            output_entries: totals.entries,
            wall,
        })
    }

    /// The fixed result of an end without output.
    fn without_running(
        &self,
        directories: Directories,
        ended: Ended,
        fuel_used: u64,
    ) -> Result<RunOutcome, ExecutorError> {
        let exit_code = ended.fixed_exit_code().unwrap_or(0);
        directories.file("stdout")?;
        directories.file("stderr")?;
        if !matches!(ended, Ended::NotRunnable { .. }) {
            let outputs: Vec<_> = self.run.outputs.iter().map(|output| (output.clone(), NodeId::MAX)).collect();
            directories.place(&self.tree(&directories), &outputs)?;
        }
        let result_dir = directories.finish(exit_code)?;
        self.report(Progress { phase: Phase::Done, fuel_used, ..Progress::default() });
        Ok(RunOutcome {
            exit_code,
            ended,
            fuel_used,
            memory_digest: None,
            result_dir,
            stdout_bytes: 0,
            stderr_bytes: 0,
            output_bytes: 0,
            output_entries: 0,
            wall: Duration::ZERO,
        })
    }

    fn report(&self, sample: Progress) {
        if let Some(progress) = &self.run.progress {
            progress.send_replace(sample);
        }
    }
}

/// Why mounting failed.
enum Mounting {
    Fault(RunFault),
    Executor(ExecutorError),
}

impl From<ExecutorError> for Mounting {
    fn from(error: ExecutorError) -> Self {
        Self::Executor(error)
    }
}

/// Inputs in the order they are mounted in: outer paths before inner ones.
fn sorted(inputs: &[Input]) -> Vec<&Input> {
    let mut inputs: Vec<_> = inputs.iter().collect();
    inputs.sort_by_key(|input| (input.guest_path.matches('/').count(), &input.guest_path));
    inputs
}

/// sha2-256 over the memory; [`RunOutcome::memory_digest`] says of what exactly.
fn digest(store: &mut Store<Host>, instance: Option<Instance>) -> [u8; 32] {
    let memory = instance.and_then(|instance| instance.get_memory(&mut *store, "memory"));
    let bytes = memory.map_or(&[][..], |memory| memory.data(&*store));
    let mut hash = Sha256::new();
    hash.update(MEMORY_DOMAIN);
    hash.update(((bytes.len() / PAGE) as u64).to_le_bytes());
    hash.update(bytes);
    hash.finalize().into()
}
