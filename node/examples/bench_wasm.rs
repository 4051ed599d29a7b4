//! Figures of the WASM executor, one JSON object per line: `{"name": .., "value": .., "unit": ..}`.
//!
//! `cargo run --release -p lota-node --example bench_wasm`

use std::error::Error;
use std::time::{Duration, Instant};

use lota_node::executor::wasm::{Compiler, DiskCache, Memories, WasmExecutor, WasmSettings, compile_command};
use lota_node::executor::{EngineRun, Executor, Input, Limits, ModuleSource, Run, RunId, RunOutcome, WasmRun};
use wasmtime::{Config, Engine, Linker, Module, Store};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const TRIVIAL: &str = r#"(module (memory (export "memory") 1) (func (export "main")))"#;

/// Lists `/inputs` with a buffer of 4 KiB, as C libraries do, and exits with the number of entries.
const LIST: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_readdir" (func $readdir (param i32 i32 i32 i64 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "inputs")
    (func (export "main") (result i32) (local $p i32) (local $end i32) (local $next i32) (local $n i32) (local $cookie i64)
        (if (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 6) (i32.const 2) (i64.const 0x4000)
                (i64.const 0) (i32.const 0) (i32.const 8)) (then (unreachable)))
        (loop $page
            (if (call $readdir (i32.load (i32.const 8)) (i32.const 1024) (i32.const 4096) (local.get $cookie)
                    (i32.const 16)) (then (unreachable)))
            (local.set $p (i32.const 1024))
            (local.set $end (i32.add (i32.const 1024) (i32.load (i32.const 16))))
            (block $done (loop $entry
                (br_if $done (i32.gt_u (i32.add (local.get $p) (i32.const 24)) (local.get $end)))
                (local.set $next (i32.add (i32.add (local.get $p) (i32.const 24)) (i32.load offset=16 (local.get $p))))
                (br_if $done (i32.gt_u (local.get $next) (local.get $end)))
                (local.set $cookie (i64.load (local.get $p)))
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (local.set $p (local.get $next))
                (br $entry)))
            (br_if $page (i32.eq (i32.load (i32.const 16)) (i32.const 4096))))
        (local.get $n)))"#;

/// A tight loop, calls, and memory: what fuel is counted in.
const COMPUTE: [(&str, &str); 3] = [
    (
        "loop",
        r#"(module (func (export "main") (local $i i64) (local $x i64)
            (local.set $i (i64.const 100000000)) (local.set $x (i64.const 88172645463325252))
            (loop $l
                (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 13))))
                (local.set $x (i64.xor (local.get $x) (i64.shr_u (local.get $x) (i64.const 7))))
                (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 17))))
                (br_if $l (i32.wrap_i64 (local.tee $i (i64.sub (local.get $i) (i64.const 1))))))
            (if (i64.eqz (local.get $x)) (then (unreachable)))))"#,
    ),
    (
        "calls",
        r#"(module (func $fib (param $n i32) (result i32)
            (if (result i32) (i32.lt_u (local.get $n) (i32.const 2)) (then (local.get $n))
                (else (i32.add (call $fib (i32.sub (local.get $n) (i32.const 1)))
                    (call $fib (i32.sub (local.get $n) (i32.const 2)))))))
            (func (export "main") (drop (call $fib (i32.const 35)))))"#,
    ),
    (
        "memory",
        r#"(module (memory 16) (func (export "main") (local $i i32) (local $r i32)
            (local.set $r (i32.const 100))
            (loop $round
                (local.set $i (i32.const 1048572))
                (loop $l
                    (i32.store (local.get $i) (i32.add (i32.load (local.get $i)) (local.get $r)))
                    (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 4)))))
                (br_if $round (local.tee $r (i32.sub (local.get $r) (i32.const 1)))))))"#,
    ),
];

/// A loop around one host call.
fn host_call(import: &str, call: &str) -> String {
    format!(
        r#"(module (import "wasi_snapshot_preview1" {import}) (memory (export "memory") 2) (data (i32.const 0) "outputs")
            (data (i32.const 16) "\20\00\00\00\00\10\00\00")
            (func (export "main") (local $i i32) (local.set $i (i32.const 100000))
                (loop $l (drop {call}) (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))))"#
    )
}

fn report(name: &str, value: f64, unit: &str) {
    println!("{}", serde_json::json!({ "name": name, "value": (value * 1000.0).round() / 1000.0, "unit": unit }));
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn least(samples: &[f64]) -> f64 {
    samples.iter().copied().fold(f64::MAX, f64::min)
}

/// Median and 95th percentile.
fn spread(mut samples: Vec<f64>) -> (f64, f64) {
    samples.sort_by(f64::total_cmp);
    (samples[samples.len() / 2], samples[samples.len() * 95 / 100])
}

struct Bench {
    executor: WasmExecutor,
    directory: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn run(&self, text: &str, inputs: Vec<Input>) -> Result<Run> {
        let mut run = self.run_of(wat::parse_str(text)?, "main");
        run.inputs = inputs;
        Ok(run)
    }

    fn run_of(&self, module: Vec<u8>, entry_point: &str) -> Run {
        let limits = Limits {
            fuel: 1 << 50,
            memory_bytes: 64 << 20,
            output_bytes: 1 << 30,
            output_entries: 10_000,
            wall: Duration::from_secs(600),
        };
        let module = ModuleSource::Bytes(module.into());
        let engine = EngineRun::Wasm(WasmRun { entry_point: entry_point.to_owned(), ..WasmRun::new(module) });
        Run::new(RunId([0; 32]), engine, limits, self.directory.path().join("work"))
    }

    fn execute(&self, run: &Run) -> Result<(RunOutcome, Duration)> {
        let started = Instant::now();
        let outcome = self.runtime.block_on(self.executor.run(run.clone()))?;
        Ok((outcome, started.elapsed()))
    }

    /// Time of a whole warm run, and of the bare module in the same engine.
    fn overhead(&self, memories: &str) -> Result<()> {
        let run = self.run(TRIVIAL, Vec::new())?;
        self.execute(&run)?;
        let mut whole = Vec::new();
        for _ in 0..300 {
            whole.push(micros(self.execute(&run)?.1));
        }
        let engine = engine(true, true)?;
        let module = Module::new(&engine, wat::parse_str(TRIVIAL)?)?;
        let linked = Linker::new(&engine).instantiate_pre(&module)?;
        let mut bare = Vec::new();
        for _ in 0..300 {
            let started = Instant::now();
            let mut store = Store::new(&engine, ());
            store.set_fuel(1 << 50)?;
            store.set_epoch_deadline(1 << 50);
            let instance = linked.instantiate(&mut store)?;
            instance.get_typed_func::<(), ()>(&mut store, "main")?.call(&mut store, ())?;
            bare.push(micros(started.elapsed()));
        }
        report(&format!("wasm.warm.{memories}.overhead.min"), least(&whole) - least(&bare), "us");
        let ((whole, whole95), (bare, bare95)) = (spread(whole), spread(bare));
        report(&format!("wasm.warm.{memories}.run.median"), whole, "us");
        report(&format!("wasm.warm.{memories}.run.p95"), whole95, "us");
        report(&format!("wasm.warm.{memories}.bare_module.median"), bare, "us");
        report(&format!("wasm.warm.{memories}.bare_module.p95"), bare95, "us");
        report(&format!("wasm.warm.{memories}.overhead.median"), whole - bare, "us");
        report(&format!("wasm.warm.{memories}.overhead.p95"), whole95 - bare95, "us");
        Ok(())
    }

    fn listing(&self) -> Result<()> {
        for entries in [4_000, 16_000] {
            let root = self.directory.path().join(format!("inputs-{entries}"));
            std::fs::create_dir(&root)?;
            for i in 0..entries {
                std::fs::write(root.join(format!("entry-{i:06}")), "")?;
            }
            let run = self.run(LIST, vec![Input { guest_path: "/inputs".to_owned(), host_path: root }])?;
            self.execute(&run)?;
            let mut samples = Vec::new();
            for _ in 0..20 {
                let (outcome, _) = self.execute(&run)?;
                if outcome.exit_code != entries + 2 {
                    return Err(format!("listed {} of {entries} entries: {}", outcome.exit_code, outcome.ended).into());
                }
                samples.push(micros(outcome.wall) / 1000.0);
            }
            // The fastest is what the work takes; the median says what else the machine did.
            report(&format!("wasm.list_{entries}_entries.min"), least(&samples), "ms");
            report(&format!("wasm.list_{entries}_entries.median"), spread(samples).0, "ms");
        }
        Ok(())
    }

    fn host_calls(&self) -> Result<()> {
        let yields = r#""sched_yield" (func $call (result i32))"#;
        let stat = r#""path_filestat_get" (func $call (param i32 i32 i32 i32 i32) (result i32))"#;
        let write = r#""fd_write" (func $call (param i32 i32 i32 i32) (result i32))"#;
        for (name, import, call) in [
            ("sched_yield", yields, "(call $call)"),
            (
                "path_filestat_get",
                stat,
                "(call $call (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 7) (i32.const 64))",
            ),
            ("fd_write_4096", write, "(call $call (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 8))"),
        ] {
            let run = self.run(&host_call(import, call), Vec::new())?;
            self.execute(&run)?;
            let (outcome, _) = self.execute(&run)?;
            report(&format!("wasm.host_call.{name}"), micros(outcome.wall) * 1000.0 / 1e5, "ns");
            report(&format!("wasm.host_call.{name}.fuel"), outcome.fuel_used as f64 / 1e5, "fuel");
        }
        Ok(())
    }
}

fn engine(fuel: bool, epochs: bool) -> Result<Engine> {
    let mut config = Config::new();
    config.consume_fuel(fuel).epoch_interruption(epochs).cranelift_nan_canonicalization(true);
    Ok(Engine::new(&config)?)
}

fn compute(text: &str, fuel: bool, epochs: bool) -> Result<(f64, u64)> {
    let engine = engine(fuel, epochs)?;
    let module = Module::new(&engine, wat::parse_str(text)?)?;
    let linked = Linker::new(&engine).instantiate_pre(&module)?;
    let mut best = f64::MAX;
    let mut used = 0;
    for _ in 0..5 {
        let mut store = Store::new(&engine, ());
        if fuel {
            store.set_fuel(1 << 50)?;
        }
        store.set_epoch_deadline(1 << 50);
        let main = linked.instantiate(&mut store)?.get_typed_func::<(), ()>(&mut store, "main")?;
        let started = Instant::now();
        main.call(&mut store, ())?;
        best = best.min(started.elapsed().as_secs_f64());
        used = if fuel { (1 << 50) - store.get_fuel()? } else { 0 };
    }
    Ok((best, used))
}

fn fuel() -> Result<()> {
    for (name, text) in COMPUTE {
        let (plain, _) = compute(text, false, false)?;
        let (fuel, used) = compute(text, true, false)?;
        let (both, _) = compute(text, true, true)?;
        report(&format!("wasm.fuel.{name}.without"), plain * 1000.0, "ms");
        report(&format!("wasm.fuel.{name}.with_over_without"), fuel / plain, "ratio");
        report(&format!("wasm.fuel.{name}.with_and_interruption_over_without"), both / plain, "ratio");
        report(&format!("wasm.fuel.{name}.rate"), used as f64 / both / 1e6, "million fuel/s");
    }
    Ok(())
}

/// The first argument of this program when it is its own compiler.
const COMPILE: &str = "compile-module";

/// A module of nearly the largest size: 60 MiB of data.
fn largest() -> Vec<u8> {
    let leb = |mut number: usize| {
        let mut bytes = Vec::new();
        while number > 0x7f {
            bytes.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    };
    let data = [&b"\x01\x00\x41\x00\x0b"[..], &leb(60 << 20), &vec![7; 60 << 20]].concat();
    let head = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x05\x04\x01\0\xc0\x07\x07\x11\x02\x06memory\x02\0\x04main\0\0\x0a\x04\x01\x02\0\x0b";
    [&head[..], &[11], &leb(data.len()), &data].concat()
}

/// What a provider does before a module runs for the first time, and after a restart: in a process of its own, and from the
/// disk.
fn compiling(bench: &Bench) -> Result<()> {
    let modules: [(&str, &str, Vec<u8>); 4] = [
        ("trivial", "main", wat::parse_str(TRIVIAL)?),
        ("sat_130_KiB", "_start", include_bytes!("../../examples/sat/sat.wasm").to_vec()),
        ("behaviours_230_KiB", "_start", include_bytes!("../tests/fixtures/wasm/behaviours/behaviours.wasm").to_vec()),
        ("60_MiB_of_data", "main", largest()),
    ];
    for (name, entry_point, module) in modules {
        let (mut cold, mut cached) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            let home = tempfile::tempdir()?;
            let disk_cache =
                DiskCache { directory: home.path().join("code"), key: home.path().join("key"), bytes: 1 << 30 };
            let compiler = Compiler::this_program(COMPILE)?;
            let settings = WasmSettings { compiler, disk_cache: Some(disk_cache), ..WasmSettings::default() };
            for samples in [&mut cold, &mut cached] {
                let executor = WasmExecutor::new(&settings)?;
                let run = bench.run_of(module.clone(), entry_point);
                let started = Instant::now();
                bench.runtime.block_on(executor.check(&run))?;
                samples.push(micros(started.elapsed()) / 1000.0);
            }
        }
        report(&format!("wasm.compile.{name}.cold.median"), spread(cold).0, "ms");
        report(&format!("wasm.compile.{name}.from_disk.median"), spread(cached).0, "ms");
    }
    Ok(())
}

fn main() -> Result<()> {
    if std::env::args().nth(1).as_deref() == Some(COMPILE) {
        let _ = compile_command();
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let executor = WasmExecutor::new(&WasmSettings::default())?;
    let bench = Bench { executor, directory: tempfile::tempdir()?, runtime };
    bench.overhead("on_demand")?;
    let pooled = WasmSettings { memories: Memories::Pooled { runs: 4 }, ..WasmSettings::default() };
    let bench = Bench { executor: WasmExecutor::new(&pooled)?, ..bench };
    bench.overhead("pooled")?;
    let bench = Bench { executor: WasmExecutor::new(&WasmSettings::default())?, ..bench };
    compiling(&bench)?;
    bench.listing()?;
    bench.host_calls()?;
    fuel()
}
