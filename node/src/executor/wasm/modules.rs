//! From a module's bytes to code that can run: inspection, compilation, and a cache of what was compiled.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::fs::{Mode, OFlags};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use wasmtime::{Engine, ExternType, FuncType, InstancePre, Linker, Module};

use super::blocking::blocking;
use super::compile::{Artifacts, Compiler, Effort, Queue};
use super::engine::Code;
use super::host::Host;
use super::inspect::{Anatomy, inspect};
use super::linker;
use super::messages::{engine_failed, invalid, printable};
use crate::executor::{CheckError, ExecutorError, Limits, ModuleSource, RunFault};

/// sha2-256 of a module's bytes.
type ModuleKey = [u8; 32];

/// Bytes of a linear memory's page.
const PAGE: u64 = 1 << 16;
/// Names listed in a message.
const LISTED: usize = 20;
/// Unfit modules that are remembered.
const REFUSALS: usize = 4_096;
/// Modules of jobs that this provider has which are compiled at once.
const PAID_AT_ONCE: usize = 2;
/// How long a module is refused again unseen that took too much to compile here: the machine may have been busy.
const REMEMBERED: Duration = Duration::from_secs(3_600);

/// How to call a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Whether `_initialize` is called first: the module is a reactor.
    pub(crate) initialize: bool,
    /// Whether the entry point returns its exit code.
    pub(crate) returns_code: bool,
}

/// A module that can be run.
pub(crate) struct Prepared {
    pub(crate) instance: InstancePre<Host>,
    /// Bytes of memory that it starts with.
    memory: u64,
    /// Bytes that its code takes, about.
    size: usize,
}

impl Prepared {
    /// Checks what depends on the run, and says how to call the entry point.
    pub(crate) fn entry(&self, entry_point: &str, limits: &Limits) -> Result<Entry, RunFault> {
        let module = self.instance.module();
        let Some(ExternType::Func(found)) = module.get_export(entry_point) else {
            let functions = module.exports().filter(|export| export.ty().func().is_some());
            let exports = functions.map(|export| printable(export.name())).take(LISTED).collect();
            return Err(RunFault::NoEntryPoint { entry_point: entry_point.to_owned(), exports });
        };
        let wrong = |name: &str, found: &FuncType| RunFault::EntryPointType {
            entry_point: name.to_owned(),
            found: found.to_string(),
        };
        let mut results = found.results();
        let returns_code = match (results.next(), results.next()) {
            _ if found.params().next().is_some() => return Err(wrong(entry_point, &found)),
            (None, None) => false,
            (Some(code), None) if code.is_i32() => true,
            _ => return Err(wrong(entry_point, &found)),
        };
        let initialize = match module.get_export("_initialize") {
            Some(ExternType::Func(found)) if entry_point != "_initialize" && entry_point != "_start" => {
                if found.params().next().is_some() || found.results().next().is_some() {
                    return Err(wrong("_initialize", &found));
                }
                true
            }
            _ => false,
        };
        if self.memory > limits.memory_bytes {
            return Err(RunFault::MemoryOverLimit { bytes: self.memory, limit: limits.memory_bytes });
        }
        Ok(Entry { initialize, returns_code })
    }
}

/// Bounds on modules, on compiling them, and on the cache in memory.
#[derive(Debug, Clone)]
pub(crate) struct ModuleLimits {
    pub(crate) module_bytes: u64,
    pub(crate) cached_modules: usize,
    pub(crate) cached_bytes: usize,
    /// What compiling a module may take whose job is not this provider's yet.
    pub(crate) unpaid: Effort,
    /// What it may take when a collateral depends on it: more, so that what passed before passes again.
    pub(crate) paid: Effort,
}

/// For what a module is prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To see whether it can be run.
    Check,
    /// To run it.
    Run,
}

/// Compiles modules, one at a time of those that nobody pays for and a few of the others, and keeps what was used last.
pub(crate) struct Modules {
    engine: Engine,
    code: Code,
    linker: Linker<Host>,
    limits: ModuleLimits,
    compiler: Compiler,
    disk: Option<Artifacts>,
    cache: Mutex<Cache>,
    refusals: Mutex<Refusals>,
    unpaid: Arc<Queue>,
    paid: Semaphore,
    /// Held while machine code is loaded from the disk, since it may be large.
    loading: Semaphore,
}

#[derive(Default)]
struct Cache {
    /// Counted up with every use.
    clock: u64,
    bytes: usize,
    modules: HashMap<ModuleKey, Cached>,
}

struct Cached {
    used: u64,
    module: Arc<Prepared>,
}

impl Modules {
    pub(crate) fn new(
        engine: Engine,
        code: Code,
        limits: ModuleLimits,
        compiler: Compiler,
        disk: Option<Artifacts>,
    ) -> wasmtime::Result<Self> {
        let mut linker = Linker::new(&engine);
        linker::add_to_linker(&mut linker)?;
        Ok(Self {
            engine,
            code,
            linker,
            limits,
            compiler,
            disk,
            cache: Mutex::default(),
            refusals: Mutex::default(),
            unpaid: Arc::default(),
            paid: Semaphore::new(PAID_AT_ONCE),
            loading: Semaphore::new(1),
        })
    }

    /// Reads, inspects and compiles a module, or finds it in a cache. Dropping the future ends it.
    pub(crate) async fn prepare(
        self: &Arc<Self>,
        source: &ModuleSource,
        asked_by: Option<[u8; 20]>,
        purpose: Purpose,
    ) -> Result<Arc<Prepared>, CheckError> {
        let (key, bytes) = match source {
            ModuleSource::Deferred { id, .. } => (*id, None),
            _ => {
                let (key, bytes) = self.read(source).await?;
                (key, Some(bytes))
            }
        };
        if purpose == Purpose::Run {
            self.unpaid.paid(asked_by);
        }
        if let Some(known) = self.known(&key, purpose) {
            return known;
        }
        if let Some(stored) = self.stored(key).await? {
            return Ok(stored);
        }
        let _place = match purpose {
            Purpose::Check => (Some(self.unpaid.turn(asked_by).await?), None),
            Purpose::Run => (None, Some(self.paid.acquire().await.map_err(|_| closed())?)),
        };
        // Whoever had the place before may have prepared this very module.
        if let Some(known) = self.known(&key, purpose) {
            return known;
        }
        // Not before: of those who wait none holds a module.
        let bytes = match bytes {
            Some(bytes) => bytes,
            None => self.read(source).await?.1,
        };
        let prepared = self.make(key, bytes, purpose).await;
        if let Err(error) = &prepared {
            lock(&self.refusals).note(key, error, Instant::now());
        }
        prepared
    }

    /// What is known of a module already.
    fn known(&self, key: &ModuleKey, purpose: Purpose) -> Option<Result<Arc<Prepared>, CheckError>> {
        if let Some(module) = self.cached(key) {
            return Some(Ok(module));
        }
        lock(&self.refusals).find(key, purpose, Instant::now()).map(Err)
    }

    /// Loads what an earlier process compiled: that needs neither the module's bytes nor a place among those who compile.
    async fn stored(self: &Arc<Self>, key: ModuleKey) -> Result<Option<Arc<Prepared>>, CheckError> {
        if self.disk.is_none() {
            return Ok(None);
        }
        let _place = self.loading.acquire().await.map_err(|_| closed())?;
        if let Some(module) = self.cached(&key) {
            return Ok(Some(module));
        }
        let this = Arc::clone(self);
        blocking(move || {
            let Some(disk) = &this.disk else { return Ok(None) };
            let Some(code) = disk.get(&key) else { return Ok(None) };
            match this.load(&code) {
                Ok(prepared) => Ok(Some(this.keep(key, prepared))),
                Err(CheckError::Fault(fault)) => Err(fault.into()),
                // Another version's, as it seems.
                Err(CheckError::Executor(_)) => {
                    disk.remove(&key);
                    Ok(None)
                }
            }
        })
        .await
    }

    /// Makes of bytes what can be run.
    async fn make(
        self: &Arc<Self>,
        key: ModuleKey,
        bytes: Bytes,
        purpose: Purpose,
    ) -> Result<Arc<Prepared>, CheckError> {
        let module = bytes.clone();
        blocking(move || check_imports(&inspect(&module)?).map_err(CheckError::Fault)).await?;
        let effort = match purpose {
            Purpose::Check => self.limits.unpaid,
            Purpose::Run => self.limits.paid,
        };
        let code = self.compiler.compile(&self.engine, self.code, bytes, effort).await?;
        let this = Arc::clone(self);
        blocking(move || {
            let prepared = this.load(&code)?;
            if let Some(disk) = &this.disk {
                disk.put(&key, &code);
            }
            Ok(this.keep(key, prepared))
        })
        .await
    }

    /// Reads a module and finds out its key.
    async fn read(&self, source: &ModuleSource) -> Result<(ModuleKey, Bytes), CheckError> {
        let limit = self.limits.module_bytes;
        match source {
            ModuleSource::Deferred { id, read } => {
                let bytes = read().await?;
                within(&bytes, limit)?;
                Ok((*id, bytes))
            }
            source => {
                let source = source.clone();
                blocking(move || read(&source, limit).map(|bytes| (Sha256::digest(&bytes).into(), bytes))).await
            }
        }
    }

    /// Modules in the cache.
    pub(crate) fn count(&self) -> usize {
        lock(&self.cache).modules.len()
    }

    fn cached(&self, key: &ModuleKey) -> Option<Arc<Prepared>> {
        let mut cache = lock(&self.cache);
        cache.clock += 1;
        let now = cache.clock;
        let cached = cache.modules.get_mut(key)?;
        cached.used = now;
        Some(Arc::clone(&cached.module))
    }

    fn keep(&self, key: ModuleKey, module: Prepared) -> Arc<Prepared> {
        let module = Arc::new(module);
        let mut cache = lock(&self.cache);
        cache.clock += 1;
        let used = cache.clock;
        cache.bytes += module.size;
        if let Some(old) = cache.modules.insert(key, Cached { used, module: Arc::clone(&module) }) {
            cache.bytes -= old.module.size;
        }
        while cache.modules.len() > self.limits.cached_modules || cache.bytes > self.limits.cached_bytes {
            let Some(oldest) = cache.modules.iter().min_by_key(|(_, cached)| cached.used).map(|(key, _)| *key) else {
                break;
            };
            if let Some(old) = cache.modules.remove(&oldest) {
                cache.bytes -= old.module.size;
            }
        }
        module
    }

    fn load(&self, code: &[u8]) -> Result<Prepared, CheckError> {
        // SAFETY: unsafe because the code is run as it is. It comes from this engine's compiler, in this process or in one
        // that this node started for it, directly or by way of a directory that is closed to others, authenticated with a key
        // that is not in there.
        #[expect(unsafe_code, reason = "machine code cannot be checked")]
        let module = unsafe { Module::deserialize(&self.engine, code) }.map_err(|error| engine_failed(&error))?;
        let memory = memory(&module)?;
        let size = module.image_range();
        let size = (size.end as usize).saturating_sub(size.start as usize).max(code.len());
        // All names are known, so this fails only for an import of another type.
        let instance = self.linker.instantiate_pre(&module).map_err(|error| invalid(&error))?;
        Ok(Prepared { instance, memory, size })
    }
}

/// Modules that were found unfit, so that the same one does not cost the same again for each job.
#[derive(Default)]
struct Refusals {
    of: HashMap<ModuleKey, (Instant, Refused)>,
    /// The oldest first.
    order: VecDeque<ModuleKey>,
}

enum Refused {
    /// By every provider, for ever.
    Fault(RunFault),
    /// By this one, for the time being.
    Here(ExecutorError),
}

impl Refusals {
    fn note(&mut self, key: ModuleKey, error: &CheckError, now: Instant) {
        let refused = match error {
            CheckError::Fault(fault) => Refused::Fault(fault.clone()),
            CheckError::Executor(error) => match error.of_compiling() {
                Some(error) => Refused::Here(error),
                None => return,
            },
        };
        if self.of.insert(key, (now, refused)).is_none() {
            self.order.push_back(key);
        }
        while self.of.len() > REFUSALS
            && let Some(oldest) = self.order.pop_front()
        {
            self.of.remove(&oldest);
        }
    }

    fn find(&self, key: &ModuleKey, purpose: Purpose, now: Instant) -> Option<CheckError> {
        let (since, refused) = self.of.get(key)?;
        match refused {
            Refused::Fault(fault) => Some(fault.clone().into()),
            // A collateral depends on it: it is tried again, harder.
            Refused::Here(_) if purpose == Purpose::Run => None,
            Refused::Here(error) if now.saturating_duration_since(*since) < REMEMBERED => {
                error.of_compiling().map(CheckError::Executor)
            }
            Refused::Here(_) => None,
        }
    }
}

/// Locks what is consistent between any two statements, so that a panic elsewhere does not matter.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every import must be a function of WASI preview 1; answers all that are not.
fn check_imports(anatomy: &Anatomy<'_>) -> Result<(), RunFault> {
    let provided = |(module, name): &(&str, &str)| *module == linker::MODULE && linker::NAMES.contains(name);
    let unknown: Vec<_> = anatomy.imports.iter().filter(|import| !provided(import)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let shown = |(module, name): &&(&str, &str)| format!("{}.{}", printable(module), printable(name));
    let mut imports: Vec<String> = unknown.iter().take(LISTED).map(shown).collect();
    if unknown.len() > LISTED {
        imports.push(format!("and {} more", unknown.len() - LISTED));
    }
    Err(RunFault::UnknownImports { imports })
}

/// Every memory must be the exported one: host calls work on it, and mediators compare it.
fn memory(module: &Module) -> Result<u64, RunFault> {
    let memories = module.resources_required().num_memories;
    match module.get_export("memory") {
        Some(ExternType::Memory(memory)) => Ok(memory.minimum().saturating_mul(PAGE)),
        _ if memories == 0 => Ok(0),
        _ => Err(RunFault::MemoryNotExported),
    }
}

fn read(source: &ModuleSource, limit: u64) -> Result<Bytes, CheckError> {
    let bytes = match source {
        ModuleSource::Bytes(bytes) => bytes.clone(),
        ModuleSource::Path(path) => {
            let failed = |source| ExecutorError::Module { path: path.clone(), source };
            read_file(path, limit).map_err(failed)?
        }
        ModuleSource::Deferred { .. } => return Err(closed().into()),
    };
    within(&bytes, limit)?;
    Ok(bytes)
}

fn within(bytes: &Bytes, limit: u64) -> Result<(), RunFault> {
    let bytes = bytes.len() as u64;
    if bytes > limit { Err(RunFault::ModuleTooLarge { bytes, limit }) } else { Ok(()) }
}

/// Reads a regular file, one byte past the limit at most.
fn read_file(path: &Path, limit: u64) -> std::io::Result<Bytes> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

fn closed() -> ExecutorError {
    ExecutorError::Engine { message: "the executor is shutting down".to_owned() }
}
