//! The engine's configuration, and the clock that interrupts it.

use std::env::consts::{ARCH, OS};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wasmtime::{
    Config, Engine, EngineWeak, Inlining, OptLevel, PoolingAllocationConfig, RegallocAlgorithm, WasmFeatures,
};

use super::inspect::TABLES;
use super::limiter::TABLE_ELEMENTS;

/// How often a running program is asked whether it should stop.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Stack, in bytes, that a program's calls may take. Compilers give a program a stack of about 1 MiB in its own memory
/// as well; this one is larger, so that deep recursion usually ends at that one, which is the same on every machine.
pub(crate) const WASM_STACK: usize = 8 << 20;
/// Stack, in bytes, beyond it for host calls.
pub(crate) const HOST_STACK: usize = 2 << 20;

/// Address space, in bytes, that a memory gets: all that 32 bits can address, so that it never moves.
const RESERVATION: u64 = 4 << 30;
/// What a pool has room for, in bytes, beside the memory and the tables of one instance: its globals, and a pointer for
/// each of the functions and imports that a module may hold.
const POOLED_INSTANCE: usize = 16 << 20;

/// How well code is compiled. Results do not depend on it, fuel included, as long as the stack does not overflow: how deep a
/// program may recurse differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Optimize {
    /// Optimised code.
    #[default]
    Speed,
    /// Optimised code that is small, too.
    SpeedAndSize,
    /// Compiled quickly.
    None,
}

/// Which processors of this machine's family code is for. Results depend on it as little as on [`Optimize`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Processor {
    /// All that are in use: x86-64-v2, which all have that were made in the last 15 years; on other families, all.
    #[default]
    Common,
    /// All there ever were.
    Oldest,
    /// This very one, with everything that it has.
    Native,
}

/// Where the memories and tables of programs come from. Results do not depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Memories {
    /// From the system, for each run anew.
    #[default]
    OnDemand,
    /// From a pool with room for so many runs at once, of all executors that share an engine; one more fails. Each takes
    /// about 17 GiB of address space, whether or not it is used.
    Pooled { runs: u32 },
}

/// What machine code depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Code {
    pub(crate) optimize: Optimize,
    pub(crate) processor: Processor,
}

/// A cache of compiled modules on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskCache {
    /// An absolute path. Made with mode 0700 if missing; what is in it is run as machine code, so it must be the node's
    /// own.
    pub directory: PathBuf,
    /// An absolute path outside of that directory: a file with the key under which it is told whether this node wrote what is in
    /// there. Made with mode 0600 if missing, and anew if it is not as it was made; then nothing in the directory counts.
    pub key: PathBuf,
    /// Size, in bytes, that cleaning aims at.
    pub bytes: u64,
}

/// What code may use of an x86-64 processor that is x86-64-v2.
#[cfg(target_arch = "x86_64")]
const COMMON: [&str; 6] = ["has_sse3", "has_ssse3", "has_cmpxchg16b", "has_sse41", "has_sse42", "has_popcnt"];

/// Compiles for the processor family instead of this very processor: then all machines run the same code, and even the
/// depth at which the stack overflows is the same for one engine version.
fn fix_processor(config: &mut Config, processor: Processor) -> wasmtime::Result<()> {
    if processor == Processor::Native {
        return Ok(());
    }
    match OS {
        "linux" => config.target(&format!("{ARCH}-unknown-linux-gnu"))?,
        "macos" => config.target(&format!("{ARCH}-apple-darwin"))?,
        // Elsewhere this processor is what there is.
        _ => return Ok(()),
    };
    #[cfg(target_arch = "x86_64")]
    if processor == Processor::Common {
        for feature in COMMON {
            // SAFETY: unsafe because code could use what a processor lacks; `Engine::new` asks this one for every feature
            // that is enabled and fails when one is missing.
            #[expect(unsafe_code, reason = "there is no other way to say which processors code is for")]
            unsafe {
                config.cranelift_flag_enable(feature);
            }
        }
    }
    Ok(())
}

/// A pool with room for everything that the limits on modules let a run have.
fn pool(runs: u32) -> PoolingAllocationConfig {
    // Twice as many: a place in the pool is free again a moment after its run has ended, when whoever cleans it is done.
    let runs = runs.max(1).saturating_mul(2);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(runs)
        .max_core_instance_size(POOLED_INSTANCE)
        .total_memories(runs)
        .max_memory_size(RESERVATION as usize)
        .total_tables(runs.saturating_mul(TABLES as u32))
        .max_tables_per_module(TABLES as u32)
        .table_elements(TABLE_ELEMENTS)
        .total_gc_heaps(runs)
        .total_stacks(runs);
    pool
}

/// Makes the engine. Everything that could make two machines differ is fixed here.
pub(crate) fn engine(code: Code, memories: Memories) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    fix_processor(&mut config, code.processor)?;
    if let Memories::Pooled { runs } = memories {
        config.allocation_strategy(pool(runs));
    }
    config
        .consume_fuel(true)
        .epoch_interruption(true)
        .cranelift_nan_canonicalization(true)
        // Not even in its deterministic form: the NaNs of its multiply-and-add are the engine's on some processors, and the
        // C library's on others.
        .wasm_relaxed_simd(false)
        // Data is copied into memory by code, at a price in fuel. Hosts that can map it would skip both, and not all can.
        .memory_init_cow(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false)
        .wasm_function_references(false)
        .wasm_gc(false)
        .wasm_features(WasmFeatures::THREADS | WasmFeatures::EXCEPTIONS | WasmFeatures::STACK_SWITCHING, false)
        .compiler_inlining(Inlining::No)
        .cranelift_regalloc_algorithm(RegallocAlgorithm::Backtracking)
        .cranelift_opt_level(match code.optimize {
            Optimize::Speed => OptLevel::Speed,
            Optimize::SpeedAndSize => OptLevel::SpeedAndSize,
            Optimize::None => OptLevel::None,
        })
        .max_wasm_stack(WASM_STACK)
        // Unused, but the engine insists that it is the larger one.
        .async_stack_size(WASM_STACK + HOST_STACK)
        .memory_reservation(RESERVATION)
        .memory_may_move(false)
        // Unused, since no program has such a heap; a pool insists that it is like the memories.
        .gc_heap_reservation(RESERVATION)
        .gc_heap_may_move(false);
    Engine::new(&config)
}

/// Ticks an engine's epoch while at least one program runs.
#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<TickerState>,
}

#[derive(Debug, Default)]
struct TickerState {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    closed: bool,
}

impl TickerState {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the ticker going while it lives.
#[derive(Debug)]
pub(crate) struct Ticking {
    shared: Arc<TickerState>,
}

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let shared = Arc::new(TickerState::default());
        let (theirs, engine) = (Arc::clone(&shared), engine.weak());
        thread::Builder::new().name("lota-wasm-ticker".to_owned()).spawn(move || tick(&theirs, &engine))?;
        Ok(Self { shared })
    }

    pub(crate) fn running(&self) -> Ticking {
        self.shared.lock().running += 1;
        self.shared.changed.notify_one();
        Ticking { shared: Arc::clone(&self.shared) }
    }
}

fn tick(shared: &TickerState, engine: &EngineWeak) {
    let mut state = shared.lock();
    while !state.closed {
        if state.running == 0 {
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        drop(state);
        thread::sleep(TICK);
        let Some(engine) = engine.upgrade() else { return };
        engine.increment_epoch();
        drop(engine);
        state = shared.lock();
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.running = state.running.saturating_sub(1);
    }
}
