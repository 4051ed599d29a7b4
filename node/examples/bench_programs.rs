//! What metering costs real programs: two of `examples/` as jobs, in the engine without fuel, and compiled for this machine. One JSON
//! object per line: `{"name": .., "value": .., "unit": ..}`.
//!
//! `cargo run --release -p lota-node --example bench_programs`

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use lota_node::executor::wasm::{WasmExecutor, WasmSettings};
use lota_node::executor::{EngineRun, Executor, Input, Limits, ModuleSource, Run, RunId, WasmRun};
use wasmtime::{Caller, Config, Engine, Extern, Linker, Memory, Module, OptLevel, Store};

#[allow(dead_code, unreachable_pub, reason = "a program of its own, of which parts are used")]
#[path = "../../examples/imagefilter/main.rs"]
mod imagefilter;
#[allow(dead_code, unreachable_pub, reason = "a program of its own, of which parts are used")]
#[path = "../../examples/sat/main.rs"]
mod sat;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Each time is the least of so many.
const ROUNDS: usize = 5;
const FUEL: u64 = 1 << 50;

/// A program, what it is given, and the same work as a function of this process.
struct Program {
    name: &'static str,
    module: &'static [u8],
    args: Vec<String>,
    input: Vec<u8>,
    native: Box<dyn Fn()>,
}

fn programs() -> Vec<Program> {
    let args = |text: &str| text.split(' ').map(str::to_owned).collect();
    let picture = {
        let (width, height) = (1_024_usize, 768_usize);
        let pixels = (0..width * height * 3).map(|n| (n * n / 7 + n / width) as u8).collect::<Vec<_>>();
        [format!("P6\n{width} {height}\n255\n").as_bytes(), &pixels].concat()
    };
    let bytes = picture.clone();
    let filters = [imagefilter::Filter::Blur, imagefilter::Filter::Sharpen, imagefilter::Filter::Edges];
    vec![
        Program {
            name: "sat",
            module: include_bytes!("../../examples/sat/sat.wasm"),
            args: args("--van-der-waerden 3 9 77"),
            input: Vec::new(),
            native: Box::new(|| {
                let formula = sat::van_der_waerden(3, 9, 77);
                assert!(black_box(sat::Solver::new(&formula).solve()).is_none(), "W(3, 9) is 77");
            }),
        },
        Program {
            name: "imagefilter",
            module: include_bytes!("../../examples/imagefilter/imagefilter.wasm"),
            args: args("--format ppm blur sharpen edges"),
            input: picture,
            native: Box::new(move || {
                let Ok((_, mut picture)) = imagefilter::decode(&bytes) else { return };
                for filter in filters {
                    picture = picture.filter(filter);
                }
                black_box(picture.ppm());
            }),
        },
    ]
}

fn report(name: &str, value: f64, unit: &str) {
    println!("{}", serde_json::json!({ "name": name, "value": (value * 1000.0).round() / 1000.0, "unit": unit }));
}

fn least(mut once: impl FnMut() -> Result<f64>) -> Result<f64> {
    (0..ROUNDS).try_fold(f64::MAX, |least, _| Ok(least.min(once()?)))
}

/// Seconds of the program as a job, as providers run it, without compiling; and the fuel that it used.
fn as_job(program: &Program) -> Result<(f64, u64)> {
    let directory = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let executor = WasmExecutor::new(&WasmSettings::default())?;
    let input = directory.path().join("picture.ppm");
    std::fs::write(&input, &program.input)?;
    let limits = Limits {
        fuel: FUEL,
        memory_bytes: 256 << 20,
        output_bytes: 1 << 30,
        output_entries: 100,
        wall: Duration::from_secs(600),
    };
    let engine = EngineRun::Wasm(WasmRun::new(ModuleSource::Bytes(program.module.into())));
    let mut run = Run::new(RunId([0; 32]), engine, limits, directory.path().join("work"));
    run.args = program.args.clone();
    run.inputs = vec![Input { guest_path: "/inputs".to_owned(), host_path: input }];
    let mut used = 0;
    let seconds = least(|| {
        let outcome = runtime.block_on(executor.run(run.clone()))?;
        if outcome.exit_code != 0 {
            return Err(format!("{}: {}", program.name, outcome.ended).into());
        }
        used = outcome.fuel_used;
        Ok(outcome.wall.as_secs_f64())
    })?;
    Ok((seconds, used))
}

/// A host that has one file and takes whatever is written: for an engine that counts nothing.
struct Host {
    args: Vec<Vec<u8>>,
    input: Vec<u8>,
    /// How much of the file has been read.
    at: usize,
}

const SUCCESS: i32 = 0;
const BAD_DESCRIPTOR: i32 = 8;
const ROOT: i32 = 3;
const OPENED: i32 = 4;
const REGULAR_FILE: u8 = 4;

fn memory(caller: &mut Caller<'_, Host>) -> wasmtime::Result<Memory> {
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => Ok(memory),
        _ => Err(wasmtime::Error::msg("no memory")),
    }
}

fn put(caller: &mut Caller<'_, Host>, at: i32, bytes: &[u8]) -> wasmtime::Result<i32> {
    memory(caller)?.write(caller, at as usize, bytes)?;
    Ok(SUCCESS)
}

fn number(caller: &mut Caller<'_, Host>, at: i32) -> wasmtime::Result<i32> {
    let mut bytes = [0; 4];
    memory(caller)?.read(caller, at as usize, &mut bytes)?;
    Ok(i32::from_le_bytes(bytes))
}

/// What a file's status says: that it is one, and its size.
fn status(caller: &mut Caller<'_, Host>, at: i32) -> wasmtime::Result<i32> {
    let mut bytes = [0; 64];
    bytes[16] = REGULAR_FILE;
    bytes[32..40].copy_from_slice(&(caller.data().input.len() as u64).to_le_bytes());
    put(caller, at, &bytes)
}

fn linker(engine: &Engine, module: &Module) -> wasmtime::Result<Linker<Host>> {
    type Call<'a> = Caller<'a, Host>;
    const WASI: &str = "wasi_snapshot_preview1";
    let mut linker = Linker::new(engine);
    linker.func_wrap(WASI, "args_sizes_get", |mut caller: Call<'_>, count: i32, bytes: i32| {
        let sizes = (caller.data().args.len() as u32, caller.data().args.iter().map(Vec::len).sum::<usize>() as u32);
        put(&mut caller, count, &sizes.0.to_le_bytes())?;
        put(&mut caller, bytes, &sizes.1.to_le_bytes())
    })?;
    linker.func_wrap(WASI, "args_get", |mut caller: Call<'_>, mut pointers: i32, mut buffer: i32| {
        for arg in caller.data().args.clone() {
            put(&mut caller, pointers, &buffer.to_le_bytes())?;
            put(&mut caller, buffer, &arg)?;
            (pointers, buffer) = (pointers + 4, buffer + arg.len() as i32);
        }
        wasmtime::Result::Ok(SUCCESS)
    })?;
    linker.func_wrap(WASI, "environ_sizes_get", |mut caller: Call<'_>, count: i32, bytes: i32| {
        put(&mut caller, count, &[0; 4])?;
        put(&mut caller, bytes, &[0; 4])
    })?;
    linker.func_wrap(WASI, "fd_prestat_get", |mut caller: Call<'_>, fd: i32, at: i32| {
        if fd == ROOT { put(&mut caller, at, &[0, 0, 0, 0, 1, 0, 0, 0]) } else { Ok(BAD_DESCRIPTOR) }
    })?;
    linker.func_wrap(WASI, "fd_prestat_dir_name", |mut caller: Call<'_>, _: i32, at: i32, _: i32| {
        put(&mut caller, at, b"/")
    })?;
    linker.func_wrap(WASI, "fd_fdstat_get", |mut caller: Call<'_>, _: i32, at: i32| {
        let mut bytes = [0xff; 24];
        bytes[..8].copy_from_slice(&[REGULAR_FILE, 0, 0, 0, 0, 0, 0, 0]);
        put(&mut caller, at, &bytes)
    })?;
    linker.func_wrap(
        WASI,
        "path_open",
        |mut caller: Call<'_>, _: i32, _: i32, _: i32, _: i32, _: i32, _: i64, _: i64, _: i32, fd: i32| {
            caller.data_mut().at = 0;
            put(&mut caller, fd, &OPENED.to_le_bytes())
        },
    )?;
    linker.func_wrap(WASI, "path_create_directory", |_: i32, _: i32, _: i32| SUCCESS)?;
    linker.func_wrap(WASI, "path_filestat_get", |mut caller: Call<'_>, _: i32, _: i32, _: i32, _: i32, at: i32| {
        status(&mut caller, at)
    })?;
    linker.func_wrap(WASI, "fd_filestat_get", |mut caller: Call<'_>, _: i32, at: i32| status(&mut caller, at))?;
    linker.func_wrap(WASI, "fd_close", |_: i32| SUCCESS)?;
    linker.func_wrap(WASI, "fd_read", |mut caller: Call<'_>, _: i32, buffers: i32, count: i32, read: i32| {
        let mut total = 0;
        for n in 0..count {
            let (at, len) = (number(&mut caller, buffers + 8 * n)?, number(&mut caller, buffers + 8 * n + 4)?);
            let host = caller.data_mut();
            let piece = host.input[host.at..].iter().take(len as usize).copied().collect::<Vec<_>>();
            host.at += piece.len();
            total += piece.len() as i32;
            put(&mut caller, at, &piece)?;
        }
        put(&mut caller, read, &total.to_le_bytes())
    })?;
    linker.func_wrap(WASI, "fd_write", |mut caller: Call<'_>, _: i32, buffers: i32, count: i32, written: i32| {
        let mut total = 0;
        for n in 0..count {
            total += number(&mut caller, buffers + 8 * n + 4)?;
        }
        put(&mut caller, written, &total.to_le_bytes())
    })?;
    linker.define_unknown_imports_as_traps(module)?;
    Ok(linker)
}

/// Seconds of the program in the engine alone, with fuel counted or not.
fn in_engine(program: &Program, fuel: bool) -> Result<f64> {
    let mut config = Config::new();
    config
        .consume_fuel(fuel)
        .cranelift_nan_canonicalization(true)
        .cranelift_opt_level(OptLevel::Speed)
        .memory_reservation(4 << 30)
        .memory_may_move(false);
    let engine = Engine::new(&config)?;
    let module = Module::new(&engine, program.module)?;
    let linked = linker(&engine, &module)?.instantiate_pre(&module)?;
    least(|| {
        let args = std::iter::once("job").chain(program.args.iter().map(String::as_str));
        let args = args.map(|arg| format!("{arg}\0").into_bytes()).collect();
        let mut store = Store::new(&engine, Host { args, input: program.input.clone(), at: 0 });
        if fuel {
            store.set_fuel(FUEL)?;
        }
        let started = Instant::now();
        linked.instantiate(&mut store)?.get_typed_func::<(), ()>(&mut store, "_start")?.call(&mut store, ())?;
        Ok(started.elapsed().as_secs_f64())
    })
}

fn main() -> Result<()> {
    for program in programs() {
        let native = least(|| {
            let started = Instant::now();
            (program.native)();
            Ok(started.elapsed().as_secs_f64())
        })?;
        let (without, with) = (in_engine(&program, false)?, in_engine(&program, true)?);
        let (job, used) = as_job(&program)?;
        let name = |what: &str| format!("wasm.program.{}.{what}", program.name);
        report(&name("native"), native * 1000.0, "ms");
        report(&name("engine_without_fuel_over_native"), without / native, "ratio");
        report(&name("engine_with_fuel_over_without"), with / without, "ratio");
        report(&name("job"), job * 1000.0, "ms");
        report(&name("job_over_native"), job / native, "ratio");
        report(&name("fuel"), used as f64 / 1e6, "million");
        report(&name("rate"), used as f64 / job / 1e6, "million fuel/s");
    }
    Ok(())
}
