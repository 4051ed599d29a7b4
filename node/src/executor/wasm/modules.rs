//! From a module's bytes to code that can run: validation, compilation, and a cache of what was compiled.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rustix::fs::{Mode, OFlags};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use wasmtime::{Engine, ExternType, FuncType, ImportType, InstancePre, Linker, Module};

use super::host::Host;
use super::linker;
use crate::executor::{CheckError, ExecutorError, Limits, ModuleSource, RunFault};

/// sha2-256 of a module's bytes.
type ModuleKey = [u8; 32];

/// Bytes of a linear memory's page.
const PAGE: u64 = 1 << 16;
/// Names listed in a message.
const LISTED: usize = 20;

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

/// Bounds on modules and on the cache in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ModuleLimits {
    pub(crate) module_bytes: u64,
    pub(crate) cached_modules: usize,
    pub(crate) cached_bytes: usize,
    pub(crate) compile_timeout: Duration,
}

/// Compiles modules, one at a time (the compiler itself uses all processors), and keeps what was used last.
pub(crate) struct Modules {
    engine: Engine,
    linker: Linker<Host>,
    limits: ModuleLimits,
    cache: Mutex<Cache>,
    compiling: Arc<Semaphore>,
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
    pub(crate) fn new(engine: Engine, limits: ModuleLimits) -> wasmtime::Result<Self> {
        let mut linker = Linker::new(&engine);
        linker::add_to_linker(&mut linker)?;
        Ok(Self { engine, linker, limits, cache: Mutex::default(), compiling: Arc::new(Semaphore::new(1)) })
    }

    /// Reads, validates and compiles a module, or finds it in the cache.
    pub(crate) async fn prepare(
        self: &Arc<Self>,
        source: &ModuleSource,
        cancel: &CancellationToken,
    ) -> Result<Arc<Prepared>, CheckError> {
        let (source, limit) = (source.clone(), self.limits.module_bytes);
        let read = blocking(move || read(&source, limit).map(|bytes| (Sha256::digest(&bytes).into(), bytes)));
        let (key, bytes): (ModuleKey, Bytes) = tokio::select! {
            read = read => read?,
            () = cancel.cancelled() => return Err(ExecutorError::Cancelled.into()),
        };
        if let Some(module) = self.cached(&key) {
            return Ok(module);
        }
        let place = tokio::select! {
            place = Arc::clone(&self.compiling).acquire_owned() => place.map_err(|_| closed())?,
            () = cancel.cancelled() => return Err(ExecutorError::Cancelled.into()),
        };
        if let Some(module) = self.cached(&key) {
            return Ok(module);
        }
        let this = Arc::clone(self);
        // Cannot be interrupted. It holds its place until it is done, so that no second one runs beside it, and a later
        // attempt finds its work in the cache.
        let compile = blocking(move || {
            let _place = place;
            let module = Arc::new(this.compile(&bytes)?);
            this.keep(key, &module);
            Ok(module)
        });
        tokio::select! {
            module = tokio::time::timeout(self.limits.compile_timeout, compile) => match module {
                Ok(module) => module,
                Err(_) => Err(ExecutorError::CompileTimeout { limit: self.limits.compile_timeout }.into()),
            },
            () = cancel.cancelled() => Err(ExecutorError::Cancelled.into()),
        }
    }

    /// Modules in the cache.
    pub(crate) fn count(&self) -> usize {
        self.lock().modules.len()
    }

    fn lock(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cached(&self, key: &ModuleKey) -> Option<Arc<Prepared>> {
        let mut cache = self.lock();
        cache.clock += 1;
        let now = cache.clock;
        let cached = cache.modules.get_mut(key)?;
        cached.used = now;
        Some(Arc::clone(&cached.module))
    }

    fn keep(&self, key: ModuleKey, module: &Arc<Prepared>) {
        let mut cache = self.lock();
        cache.clock += 1;
        let used = cache.clock;
        cache.bytes += module.size;
        if let Some(old) = cache.modules.insert(key, Cached { used, module: Arc::clone(module) }) {
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
    }

    fn compile(&self, bytes: &[u8]) -> Result<Prepared, CheckError> {
        recognise(bytes)?;
        let module = Module::from_binary(&self.engine, bytes).map_err(|error| invalid(&error))?;
        check_imports(&module)?;
        let memory = memory(&module)?;
        let size = module.image_range();
        let size = (size.end as usize).saturating_sub(size.start as usize) + bytes.len();
        // All names are known, so this fails only for an import of another type.
        let instance = self.linker.instantiate_pre(&module).map_err(|error| invalid(&error))?;
        Ok(Prepared { instance, memory, size })
    }
}

/// Every import must be a function of WASI preview 1; answers all that are not.
fn check_imports(module: &Module) -> Result<(), RunFault> {
    let provided =
        |import: &ImportType<'_>| import.module() == linker::MODULE && linker::NAMES.contains(&import.name());
    let unknown: Vec<_> = module.imports().filter(|import| !provided(import)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let name = |import: &ImportType<'_>| format!("{}.{}", printable(import.module()), printable(import.name()));
    let mut imports: Vec<String> = unknown.iter().take(LISTED).map(name).collect();
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

/// Tells what is plainly not a module from its first bytes.
fn recognise(bytes: &[u8]) -> Result<(), RunFault> {
    match bytes {
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Ok(()),
        [0, b'a', b's', b'm', _, _, 1, 0, ..] => Err(RunFault::Component),
        _ => Err(RunFault::NotWasm { start: format!("0x{}", hex::encode(&bytes[..bytes.len().min(8)])) }),
    }
}

fn read(source: &ModuleSource, limit: u64) -> Result<Bytes, CheckError> {
    let bytes = match source {
        ModuleSource::Bytes(bytes) => bytes.clone(),
        ModuleSource::Path(path) => {
            let failed = |source| ExecutorError::Module { path: path.clone(), source };
            read_file(path, limit).map_err(failed)?
        }
    };
    if bytes.len() as u64 > limit {
        return Err(RunFault::ModuleTooLarge { bytes: bytes.len() as u64, limit }.into());
    }
    Ok(bytes)
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

/// Names come from strangers: short, and without control characters.
pub(crate) fn printable(name: &str) -> String {
    name.chars().take(64).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn invalid(error: &wasmtime::Error) -> RunFault {
    RunFault::Invalid { message: printable_message(error) }
}

/// An engine's message, in one line of bounded length.
pub(crate) fn printable_message(error: &wasmtime::Error) -> String {
    let text = format!("{error:#}");
    text.chars().take(512).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

pub(crate) fn engine_failed(error: &wasmtime::Error) -> ExecutorError {
    ExecutorError::Engine { message: printable_message(error) }
}

fn closed() -> ExecutorError {
    ExecutorError::Engine { message: "the executor is shutting down".to_owned() }
}

/// Runs what blocks on a thread for such work.
pub(crate) async fn blocking<T: Send + 'static, E: From<ExecutorError> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(ExecutorError::Engine { message: format!("a thread failed: {error}") }.into()),
    }
}
