//! The engine's configuration, and the clock that interrupts it.

use std::env::consts::{ARCH, OS};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use wasmtime::{Config, Engine, EngineWeak, Inlining, OptLevel, RegallocAlgorithm, WasmFeatures};

/// How often a running program is asked whether it should stop.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Stack, in bytes, that a program's calls may take. Compilers give a program a stack of about 1 MiB in its own memory
/// as well; this one is larger, so that deep recursion usually ends at that one, which is the same on every machine.
pub(crate) const WASM_STACK: usize = 8 << 20;
/// Stack, in bytes, beyond it for host calls.
pub(crate) const HOST_STACK: usize = 2 << 20;

/// How well code is compiled. Results do not depend on it, fuel included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Optimize {
    /// Optimised code.
    #[default]
    Speed,
    /// Compiled quickly.
    None,
}

/// A cache of compiled modules on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskCache {
    /// An absolute path. Made with mode 0700 if missing; what is in it is run as machine code, so it must be the node's
    /// own.
    pub directory: PathBuf,
    /// Size, in bytes, that cleaning aims at.
    pub bytes: u64,
}

/// What code may use of an x86-64 processor: x86-64-v2, which all have that were made in the last 15 years.
#[cfg(target_arch = "x86_64")]
const PROCESSOR: [&str; 6] = ["has_sse3", "has_ssse3", "has_cmpxchg16b", "has_sse41", "has_sse42", "has_popcnt"];

/// Compiles for the processor family instead of this very processor: then all machines run the same code, and even the
/// depth at which the stack overflows is the same for one engine version.
fn fix_processor(config: &mut Config) -> wasmtime::Result<()> {
    match OS {
        "linux" => config.target(&format!("{ARCH}-unknown-linux-gnu"))?,
        "macos" => config.target(&format!("{ARCH}-apple-darwin"))?,
        // Elsewhere this processor is what there is.
        _ => return Ok(()),
    };
    #[cfg(target_arch = "x86_64")]
    for feature in PROCESSOR {
        // SAFETY: unsafe because code could use what a processor lacks; `Engine::new` asks this one for every feature
        // that is enabled and fails when one is missing.
        #[expect(unsafe_code, reason = "there is no other way to say which processors code is for")]
        unsafe {
            config.cranelift_flag_enable(feature);
        }
    }
    Ok(())
}

/// Makes the engine. Everything that could make two machines differ is fixed here.
pub(crate) fn engine(optimize: Optimize) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    fix_processor(&mut config)?;
    config
        .consume_fuel(true)
        .epoch_interruption(true)
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(true)
        .relaxed_simd_deterministic(true)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false)
        .wasm_function_references(false)
        .wasm_gc(false)
        .wasm_features(WasmFeatures::THREADS | WasmFeatures::EXCEPTIONS | WasmFeatures::STACK_SWITCHING, false)
        .compiler_inlining(Inlining::No)
        .cranelift_regalloc_algorithm(RegallocAlgorithm::Backtracking)
        .cranelift_opt_level(match optimize {
            Optimize::Speed => OptLevel::Speed,
            Optimize::None => OptLevel::None,
        })
        .max_wasm_stack(WASM_STACK)
        // Unused, but the engine insists that it is the larger one.
        .async_stack_size(WASM_STACK + HOST_STACK)
        .memory_reservation(4 << 30)
        .memory_may_move(false);
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
