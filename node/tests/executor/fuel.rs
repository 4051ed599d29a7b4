//! The fuel table, pinned: fuel used is part of a result, so an engine that counts in another way is another engine.

use std::collections::BTreeSet;
use std::sync::Arc;

use lota_node::executor::wasm::{Optimize, Processor, WasmExecutor, WasmSettings, costs};
use wasmtime::wasmparser::{Parser, Payload};

use crate::support::{Case, executor};

const VECTORS: &str = include_str!("../fixtures/fuel-v1.tsv");

/// One line of the vectors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vector {
    /// The heading that it stands under.
    pub(crate) section: &'static str,
    pub(crate) fuel: u64,
    pub(crate) name: &'static str,
    /// Locals and instructions of a function, in text format.
    pub(crate) body: &'static str,
}

impl Vector {
    fn is_module(&self) -> bool {
        self.body.starts_with("(module")
    }
}

pub(crate) fn vectors() -> Vec<Vector> {
    let (mut section, mut found) = ("", Vec::new());
    for line in VECTORS.lines().filter(|line| !line.is_empty()) {
        if let Some(heading) = line.strip_prefix('#') {
            section = heading.trim();
            continue;
        }
        let [fuel, name, body] = line.splitn(3, '\t').collect::<Vec<_>>()[..] else { panic!("not a vector: {line}") };
        found.push(Vector { section, fuel: fuel.parse().unwrap(), name, body });
    }
    found
}

/// A module with a function for each vector that is one, exported as its number.
fn module() -> Vec<u8> {
    let functions = vectors().into_iter().enumerate().filter(|(_, vector)| !vector.is_module());
    let functions: String = functions.map(|(n, vector)| format!("(func (export \"{n}\") {})\n", vector.body)).collect();
    wat::parse_str(format!(
        r#"(module
            (type $n (func)) (type $ii (func (param i32) (result i32)))
            (import "wasi_snapshot_preview1" "sched_yield" (func $sched_yield (result i32)))
            (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
            (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_readdir" (func $fd_readdir (param i32 i32 i32 i64 i32) (result i32)))
            (import "wasi_snapshot_preview1" "path_filestat_get"
                (func $path_filestat_get (param i32 i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "path_create_directory"
                (func $path_create_directory (param i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
            (memory (export "memory") 1)
            (table $t 10 funcref) (elem (table $t) (i32.const 0) func $callee $same) (elem $e func $callee $callee)
            (data $d "0123456789abcdef") (data $p "outputs/d") (global $g (mut i32) (i32.const 0))
            (func $callee)
            (func $same (param i32) (result i32) (local.get 0))
            (func $down (param i32) (if (local.get 0) (then (call $down (i32.sub (local.get 0) (i32.const 1))))))
            {functions})"#
    ))
    .unwrap()
}

fn check(executor: &WasmExecutor) {
    let module = module();
    let mut wrong = Vec::new();
    for (n, vector) in vectors().iter().enumerate() {
        let case = if vector.is_module() {
            Case::wat(vector.body).wasm(|run| run.entry_point = "main".to_owned())
        } else {
            Case::new(module.clone()).wasm(|run| run.entry_point = n.to_string())
        };
        let outcome = case.execute_on(executor);
        if outcome.fuel_used != vector.fuel {
            wrong.push(format!("{}\t{}: {} in the vectors", outcome.fuel_used, vector.name, vector.fuel));
        }
    }
    let report = wrong.join("\n");
    assert!(wrong.is_empty(), "this engine counts fuel in another way than {}:\n{report}", costs::VERSION);
}

#[test]
fn small_programs_use_the_fuel_that_the_vectors_say() {
    check(&executor());
}

#[test]
fn they_do_so_unoptimised_on_an_old_processor() {
    let (optimize, processor) = (Optimize::None, Processor::Oldest);
    let executor = WasmExecutor::new(&WasmSettings { optimize, processor, ..WasmSettings::default() }).unwrap();
    check(&Arc::new(executor));
}

#[test]
fn the_vectors_name_the_version_of_the_table() {
    assert_eq!(VECTORS.split([':', '\n']).next().unwrap(), format!("# {}", costs::VERSION));
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/execution.md")).unwrap();
    assert!(page.contains(&format!("`{}`", costs::VERSION)));
}

macro_rules! operators {
    ($(@$proposal:ident $operator:ident $({ $($argument:ident: $type:ty),* })? => $visit:ident ($($note:tt)*))*) => {
        /// The proposal and the name of every instruction that the engine knows.
        const OPERATORS: &[(&str, &str)] = &[$((stringify!($proposal), stringify!($operator))),*];
    };
}
wasmtime::wasmparser::for_each_operator!(operators);

/// What modules may use, as the engine calls it (docs/execution.md, "The module").
const PROPOSALS: [&str; 7] =
    ["mvp", "sign_extension", "saturating_float_to_int", "bulk_memory", "reference_types", "tail_call", "simd"];

#[test]
fn every_instruction_that_a_module_may_hold_has_a_vector() {
    let module = module();
    let mut seen = BTreeSet::new();
    for payload in Parser::new(0).parse_all(&module) {
        if let Payload::CodeSectionEntry(body) = payload.unwrap() {
            for operator in body.get_operators_reader().unwrap() {
                let shown = format!("{:?}", operator.unwrap());
                seen.insert(shown.split(' ').next().unwrap().to_owned());
            }
        }
    }
    let allowed = OPERATORS.iter().filter(|(proposal, _)| PROPOSALS.contains(proposal)).map(|(_, name)| *name);
    // can be parsed, and is not valid
    let allowed: Vec<_> = allowed.filter(|name| *name != "TypedSelectMulti").collect();
    assert!(allowed.len() > 400, "{}", allowed.len());
    let missing: Vec<_> = allowed.into_iter().filter(|name| !seen.contains(*name)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}
