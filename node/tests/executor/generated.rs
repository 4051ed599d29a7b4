//! A hundred generated modules, generated loops, every instruction on hostile numbers, and the examples come to the same, down to
//! the memory, on machines that differ in all that may differ.

use std::sync::OnceLock;

use arbitrary::Unstructured;
use lota_node::executor::wasm::{Compiler, DiskCache, Memories, Optimize, Processor, WasmExecutor, WasmSettings};
use lota_node::executor::{Ended, Executor as _, Run, RunOutcome};
use wasmtime::wasmparser::{Parser, Payload};

use crate::examples::{ANSCOMBE, SUNSET, aggregate, filter, sat};
use crate::kernels::{Random, instructions, kernel, on_hostile_numbers};
use crate::support::{Case, behave, digest, wordcount};

const MODULES: usize = 100;
const KERNELS: usize = 24;
/// Fuel of a generated module. Its calls cannot nest deep enough for it to overflow the stack, which no two engines do alike.
const FUEL: u64 = 20_000;
/// Runs at once on a machine that is busy: many more than it has processors.
const BUSY: usize = 12;

/// All that must not differ.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Essence {
    exit_code: u32,
    ended: Ended,
    fuel: u64,
    memory: Option<[u8; 32]>,
    /// Of every name and byte of the result, and so of its CID.
    result: String,
}

impl From<RunOutcome> for Essence {
    fn from(outcome: RunOutcome) -> Self {
        let result = digest(&outcome);
        let RunOutcome { exit_code, ended, fuel_used, memory_digest, .. } = outcome;
        Self { exit_code, ended, fuel: fuel_used, memory: memory_digest, result }
    }
}

/// Settings that keep every module that is compiled.
fn keeping() -> WasmSettings {
    WasmSettings { jobs: BUSY, cached_modules: 1_000, ..WasmSettings::default() }
}

/// Machines by name, one of each for all tests: what is compiled once serves all.
fn machines() -> &'static [(&'static str, WasmExecutor)] {
    static MACHINES: OnceLock<Vec<(&'static str, WasmExecutor)>> = OnceLock::new();
    MACHINES.get_or_init(make_machines)
}

fn make_machines() -> Vec<(&'static str, WasmExecutor)> {
    let machine = |optimize, processor, memories| {
        WasmExecutor::new(&WasmSettings { optimize, processor, memories, ..keeping() }).unwrap()
    };
    let pooled = Memories::Pooled { runs: BUSY as u32 };
    vec![
        ("unoptimised", machine(Optimize::None, Processor::Common, Memories::OnDemand)),
        ("small code, an old processor, a pool", machine(Optimize::SpeedAndSize, Processor::Oldest, pooled)),
        ("this very processor", machine(Optimize::Speed, Processor::Native, Memories::OnDemand)),
        ("unoptimised, this very processor, a pool", machine(Optimize::None, Processor::Native, pooled)),
        ("an old processor", machine(Optimize::Speed, Processor::Oldest, Memories::OnDemand)),
    ]
}

/// A module of wasm-smith's, with an entry point and a memory.
fn smith(seed: usize) -> Vec<u8> {
    let imports = r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func (result i32))))"#;
    let exports = r#"(module (memory (export "memory") 1 16) (func (export "main") (result i32) (i32.const 0)))"#;
    let mut bytes = Random::new(format!("module {seed}"));
    for _ in 0..1_000 {
        let config = wasm_smith::Config {
            available_imports: Some(wat::parse_str(imports).unwrap()),
            exports: Some(wat::parse_str(exports).unwrap()),
            // Half of them run on where the others trap.
            disallow_traps: seed.is_multiple_of(2),
            max_instructions: 400,
            min_funcs: 3,
            max_funcs: 12,
            // It has the one that it exports.
            max_memories: 0,
            max_tables: 2,
            max_table_elements: 1_000,
            max_memory32_bytes: 1 << 20,
            max_imports: 2,
            max_data_segments: 8,
            max_element_segments: 8,
            max_globals: 12,
            max_types: 12,
            exceptions_enabled: false,
            relaxed_simd_enabled: false,
            gc_enabled: false,
            memory64_enabled: false,
            threads_enabled: false,
            custom_page_sizes_enabled: false,
            wide_arithmetic_enabled: false,
            extended_const_enabled: true,
            ..wasm_smith::Config::default()
        };
        let dna = bytes.bytes(6_000);
        // Not all bytes make a module.
        let module = wasm_smith::Module::new(config, &mut Unstructured::new(&dna)).map(|module| module.to_bytes());
        if let Ok(module) = module
            && is_rich(&module)
        {
            return module;
        }
    }
    panic!("no module of seed {seed}")
}

/// Whether a module has an entry point of some length, floats, vectors, and something that it leaves in memory.
fn is_rich(module: &[u8]) -> bool {
    let (mut main, mut floats, mut vectors, mut stores) = (0, 0, 0, 0);
    let bodies = Parser::new(0).parse_all(module).filter_map(|payload| match payload.unwrap() {
        Payload::CodeSectionEntry(body) => Some(body),
        _ => None,
    });
    for (n, body) in bodies.enumerate() {
        for operator in body.get_operators_reader().unwrap() {
            let name = format!("{:?}", operator.unwrap());
            // The entry point is the first function: what is exported is made before all else.
            main += usize::from(n == 0);
            floats += usize::from(name.starts_with("F32") || name.starts_with("F64"));
            vectors += usize::from(name.starts_with("V128") || name.contains('x'));
            stores += usize::from(name.contains("Store"));
        }
    }
    main >= 60 && floats >= 10 && vectors >= 10 && stores >= 3
}

/// A run that reports its memory at its end.
fn watched(case: Case) -> Case {
    case.wasm(|run| run.stop_at_fuel = Some(u64::MAX))
}

fn main_of(module: Vec<u8>) -> Case {
    watched(Case::new(module).wasm(|run| run.entry_point = "main".to_owned()))
}

/// The same run in a directory of its own, under an id of its own.
fn again(case: &Case) -> Case {
    let other = Case::new(Vec::new());
    let (job, work_dir) = (other.run.job, other.run.work_dir.clone());
    Case { run: Run { job, work_dir, ..case.run.clone() }, ..other }
}

fn generated() -> Vec<(String, Case)> {
    let small = |case: Case| case.limit(|limits| limits.fuel = FUEL);
    let instructions = instructions();
    let smith = (0..MODULES).map(|seed| (format!("module {seed}"), small(main_of(smith(seed)))));
    let kernels = (0..KERNELS).map(|seed| (format!("kernel {seed}"), main_of(kernel(seed, &instructions))));
    smith.chain(kernels).collect()
}

/// What is not generated: programs that compilers made, with files and host calls.
fn compiled() -> Vec<(String, Case)> {
    let text = include_bytes!("../../../examples/wordcount/texts/gettysburg.txt");
    let files: &[(&str, &[u8])] = &[("b", b"bb"), ("a", text), ("c/d", b"ddd")];
    let cases = [
        behave(["everything"]).input("/inputs", files),
        behave(["compute", "20000"]),
        behave(["tree"]),
        behave(["bad-pointer"]),
        wordcount([]).input("/inputs", files),
        aggregate(["--by", "set", "x", "y"]).input("/inputs", &[("anscombe.csv", ANSCOMBE)]),
        sat(["--van-der-waerden", "3", "5", "22"]),
        filter(&["half", "sharpen", "edges"]).input("/inputs", &[("sunset.png", SUNSET)]),
    ];
    cases.into_iter().map(|case| (format!("{:?}", case.run.args), watched(case))).collect()
}

fn run_all(executor: &WasmExecutor, cases: &[(String, Case)]) -> Vec<Essence> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let cases: Vec<_> = cases.iter().map(|(_, case)| again(case)).collect();
    let runs = cases.iter().map(|case| executor.run(case.run.clone()));
    let outcomes = runtime.block_on(futures::future::join_all(runs));
    outcomes.into_iter().map(|outcome| outcome.unwrap().into()).collect()
}

fn assert_same(machine: &str, cases: &[(String, Case)], expected: &[Essence], found: &[Essence]) {
    for ((name, _), (expected, found)) in cases.iter().zip(expected.iter().zip(found)) {
        assert_eq!(found, expected, "{name} on: {machine}");
    }
    assert_eq!(found.len(), expected.len());
}

#[test]
fn generated_modules_come_to_the_same_on_every_machine() {
    let home = tempfile::tempdir().unwrap();
    let disk_cache =
        Some(DiskCache { directory: home.path().join("code"), key: home.path().join("key"), bytes: 1 << 30 });
    let cases: Vec<_> = generated().into_iter().chain(compiled()).collect();
    // As providers run them; one after the other, each compiled when it is needed.
    let settings = WasmSettings { jobs: 1, disk_cache: disk_cache.clone(), ..keeping() };
    let executor = WasmExecutor::new(&settings).unwrap();
    let expected = run_all(&executor, &cases);
    assert_worth_it(&expected);
    assert_same("compiled before", &cases, &expected, &run_all(&executor.sharing_modules(BUSY), &cases));
    // There is nothing that compiles: all comes from the disk.
    let compiler = Compiler::Child { program: "/nowhere/compiler".into(), arguments: Vec::new() };
    let restarted = WasmExecutor::new(&WasmSettings { compiler, disk_cache, ..keeping() }).unwrap();
    assert_same("restarted", &cases, &expected, &run_all(&restarted, &cases));
    for (name, machine) in machines() {
        assert_same(name, &cases, &expected, &run_all(machine, &cases));
    }
}

/// Says whether the generated modules do enough for the comparison to mean something.
fn assert_worth_it(of: &[Essence]) {
    let of = &of[..MODULES];
    let ran = of.iter().filter(|of| !matches!(of.ended, Ended::NotRunnable { .. })).count();
    let worked = of.iter().filter(|of| of.fuel >= 50).count();
    let ended = |wanted: fn(&Ended) -> bool| of.iter().filter(|of| wanted(&of.ended)).count();
    let exits = ended(|ended| *ended == Ended::Exit);
    let fuel = ended(|ended| *ended == Ended::OutOfFuel);
    let traps = ended(|ended| matches!(ended, Ended::Trap { .. }));
    let memories: std::collections::BTreeSet<_> = of.iter().map(|of| of.memory).collect();
    println!("{ran} ran, {worked} of them 50 instructions; {exits} exits, {fuel} out of fuel, {traps} traps");
    println!("{} different memories", memories.len());
    assert_eq!(ran, MODULES);
    assert!(worked >= MODULES / 2 && exits >= 10 && traps >= 10 && memories.len() >= 20);
}

#[test]
fn every_instruction_comes_to_the_same_on_hostile_numbers() {
    let instructions = instructions();
    assert!(instructions.len() > 300, "{}", instructions.len());
    let module = on_hostile_numbers(&instructions);
    let case = |name: &str| watched(Case::new(module.clone()).wasm(|run| run.entry_point = name.to_owned()));
    let cases: Vec<_> =
        instructions.iter().map(|instruction| (instruction.name.to_owned(), case(instruction.name))).collect();
    let expected = run_all(&crate::support::executor(), &cases);
    let all_ran = expected.iter().all(|of| of.ended == Ended::Exit && of.fuel > 20);
    assert!(all_ran, "{:?}", expected.iter().find(|of| of.ended != Ended::Exit));
    for (name, machine) in machines() {
        assert_same(name, &cases, &expected, &run_all(machine, &cases));
    }
}

/// Counts at which each program is stopped.
const STOPS: u64 = 9;

#[test]
fn memory_at_a_fuel_count_is_the_same_on_every_machine() {
    // Those of wasm-smith that run long enough, and the loops.
    let all = generated();
    let executor = WasmExecutor::new(&keeping()).unwrap();
    let totals = run_all(&executor, &all).into_iter().map(|of| of.fuel);
    let long: Vec<_> = all.into_iter().zip(totals).filter(|(_, fuel)| *fuel > 200).collect();
    let mut cases = Vec::new();
    for ((name, case), total) in &long {
        for n in 1..=STOPS {
            // Odd steps, so that stops fall anywhere in loops and calls.
            let at = total * n / (STOPS + 1) + n % 2;
            cases.push((format!("{name} stopped at {at}"), again(case).wasm(|run| run.stop_at_fuel = Some(at))));
        }
    }
    let expected = run_all(&executor, &cases);
    let stopped = expected.iter().filter(|of| of.ended == Ended::StoppedAtFuel).count();
    let memories: std::collections::BTreeSet<_> = expected.iter().map(|of| of.memory).collect();
    println!("{} programs, {} stops, {stopped} before the end, {} memories", long.len(), cases.len(), memories.len());
    assert!(long.len() >= KERNELS + 20 && stopped * 10 > cases.len() * 9);
    assert!(memories.len() > KERNELS * STOPS as usize / 2, "memory changes as programs run");
    for (name, machine) in &machines()[..3] {
        assert_same(name, &cases, &expected, &run_all(machine, &cases));
    }
}
