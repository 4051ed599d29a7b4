//! What modules can be run, and how they are called.

use lota_node::executor::wasm::{DiskCache, WasmExecutor, WasmSettings};
use lota_node::executor::{CheckError, Ended, Executor, ModuleSource, RunFault, exit};

use crate::bombs::{section, sized};
use crate::support::{Case, executor, text};

fn fault_of(case: &Case) -> RunFault {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let fault = match runtime.block_on(executor().check(&case.run)) {
        Err(CheckError::Fault(fault)) => fault,
        other => panic!("{other:?}"),
    };
    // What a check refuses has a result all the same, for those who must judge it.
    let outcome = case.execute();
    if !matches!(fault, RunFault::MemoryOverLimit { .. }) {
        assert_eq!(outcome.ended, Ended::NotRunnable { reason: fault.to_string() });
        assert_eq!((outcome.exit_code, outcome.fuel_used), (exit::NOT_RUNNABLE, 0));
        assert_eq!(text(&outcome, "exitCode"), "126");
    }
    fault
}

#[test]
fn what_is_not_wasm_is_refused() {
    for bytes in [&b""[..], b"#!/bin/sh\n", b"\x7fELF\x02\x01\x01", b"(module)", b"\0asm", b"\0asm\x02\0\0\0"] {
        assert!(matches!(fault_of(&Case::new(bytes)), RunFault::NotWasm { .. }), "{bytes:?}");
    }
    let message = fault_of(&Case::new(*b"hello, world")).to_string();
    assert!(message.contains("0x68656c6c6f2c2077"), "{message}");
}

#[test]
fn components_are_refused_as_such() {
    assert_eq!(fault_of(&Case::wat("(component)")), RunFault::Component);
}

#[test]
fn damaged_modules_are_refused() {
    let whole = wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "_start") (nop)))"#).unwrap();
    for length in 9..whole.len() {
        let fault = fault_of(&Case::new(&whole[..length]));
        assert!(matches!(fault, RunFault::Invalid { .. } | RunFault::NoEntryPoint { .. }), "{length}: {fault:?}");
    }
}

#[test]
fn features_that_would_differ_between_machines_are_off() {
    for text in [
        r#"(module (memory (export "memory") 1 1 shared) (func (export "_start")))"#,
        r#"(module (memory (export "memory") i64 1) (func (export "_start")))"#,
        r#"(module (memory (export "memory") 1) (memory 1) (func (export "_start")))"#,
        r#"(module (memory (export "memory") 1) (type (struct)) (func (export "_start")))"#,
        r#"(module (memory (export "memory") 1) (tag) (func (export "_start")))"#,
        r#"(module (memory (export "memory") 1) (func (export "_start") (param v128) (result v128)
            (f32x4.relaxed_madd (local.get 0) (local.get 0) (local.get 0))))"#,
    ] {
        assert!(matches!(fault_of(&Case::wat(text)), RunFault::Invalid { .. }), "{text}");
    }
}

#[test]
fn features_that_compilers_use_are_on() {
    Case::wat(
        r#"(module (memory (export "memory") 1) (table 1 funcref) (global (mut i32) (i32.const 1)) (data $d "abc")
            (func $two (result i32 i32) (i32.const 1) (i32.const 2))
            (func $tail (return_call $one)) (func $one)
            (func (export "_start")
                (drop (drop (call $two)))
                (drop (i32x4.extract_lane 0 (i32x4.splat (i32.const 1))))
                (drop (i32.extend8_s (i32.const 1))) (drop (i32.trunc_sat_f32_s (f32.const nan)))
                (memory.init $d (i32.const 0) (i32.const 0) (i32.const 3)) (data.drop $d)
                (call $tail)))"#,
    )
    .succeed();
}

#[test]
fn unknown_imports_are_all_named() {
    let fault = fault_of(&Case::wat(
        r#"(module (import "env" "abort" (func)) (import "wasi_snapshot_preview1" "fd_open" (func))
            (import "wasi_snapshot_preview1" "sched_yield" (func (result i32))) (import "env" "memory" (memory 1))
            (import "wasi_unstable" "fd_write" (func)) (export "memory" (memory 0)) (func (export "_start")))"#,
    ));
    let expected = ["env.abort", "wasi_snapshot_preview1.fd_open", "env.memory", "wasi_unstable.fd_write"];
    assert_eq!(fault, RunFault::UnknownImports { imports: expected.map(str::to_owned).to_vec() });
    let wrong_type = r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func (param i64)))
        (memory (export "memory") 1) (func (export "_start")))"#;
    assert!(matches!(fault_of(&Case::wat(wrong_type)), RunFault::Invalid { .. }));
}

#[test]
fn many_unknown_imports_are_counted() {
    let imports: String = (0..100).map(|i| format!(r#"(import "env" "f{i}" (func))"#)).collect();
    let RunFault::UnknownImports { imports } = fault_of(&Case::wat(&format!("(module {imports})"))) else { panic!() };
    assert_eq!((imports.len(), imports[20].as_str()), (21, "and 80 more"));
}

#[test]
fn entry_points_are_checked() {
    let module = r#"(module (memory (export "memory") 1) (func (export "main")) (func (export "params") (param i32))
        (func (export "long") (result i64) (i64.const 1)) (global (export "global") i32 (i32.const 1)))"#;
    let exports = ["main", "params", "long"].map(str::to_owned).to_vec();
    for name in ["_start", "missing", "global", "memory", ""] {
        let case = Case::wat(module).wasm(|run| run.entry_point = name.to_owned());
        assert_eq!(fault_of(&case), RunFault::NoEntryPoint { entry_point: name.to_owned(), exports: exports.clone() });
    }
    for name in ["params", "long"] {
        let case = Case::wat(module).wasm(|run| run.entry_point = name.to_owned());
        assert!(matches!(fault_of(&case), RunFault::EntryPointType { .. }), "{name}");
    }
}

#[test]
fn memory_must_be_exported_and_fit() {
    let hidden = Case::wat(r#"(module (memory 1) (func (export "_start")))"#);
    assert_eq!(fault_of(&hidden), RunFault::MemoryNotExported);
    Case::wat(r#"(module (func (export "_start")))"#).succeed();
    let large = Case::wat(r#"(module (memory (export "memory") 2000) (func (export "_start")))"#);
    assert_eq!(fault_of(&large), RunFault::MemoryOverLimit { bytes: 2000 << 16, limit: 64 << 20 });
}

#[test]
fn a_host_call_without_memory_is_a_trap() {
    let case = Case::wat(
        r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
            (func (export "_start") (drop (call $yield))))"#,
    );
    assert_eq!(case.execute().exit_code, exit::TRAP);
}

#[test]
fn reactors_are_initialised_before_their_entry_point() {
    let module = r#"(module (memory (export "memory") 1) (global $g (mut i32) (i32.const 1))
        (func (export "_initialize") (global.set $g (i32.add (global.get $g) (i32.const 40))))
        (func (export "answer") (result i32) (i32.add (global.get $g) (i32.const 1)))
        (func (export "quiet")))"#;
    let call = |name: &str| Case::wat(module).wasm(|run| run.entry_point = name.to_owned()).execute();
    assert_eq!((call("answer").exit_code, call("answer").ended.clone()), (42, Ended::Exit));
    assert_eq!(call("quiet").exit_code, 0);
    assert_eq!(call("_initialize").exit_code, 0);
}

#[test]
fn a_start_function_is_limited_too() {
    let case = Case::wat(
        r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
            (memory (export "memory") 1) (func $f (loop (drop (call $yield)) (br 0))) (start $f) (func (export "_start")))"#,
    );
    assert_eq!(case.limit(|limits| limits.fuel = 100_000).execute().ended, Ended::OutOfFuel);
}

#[test]
fn a_start_function_that_calls_nothing_ends_with_the_fuel() {
    let case = Case::wat(
        r#"(module (memory (export "memory") 1) (func $f (loop (br 0))) (start $f) (func (export "_start")))"#,
    );
    let outcome = case.limit(|limits| limits.fuel = 1_000_000).execute();
    assert_eq!((outcome.ended.clone(), outcome.fuel_used), (Ended::OutOfFuel, 1_000_000));
}

/// A module with so many bytes of data, which exits with the last of them.
fn with_data(bytes: usize) -> Vec<u8> {
    let (pages, last) = (bytes.div_ceil(1 << 16), bytes - 1);
    let module = wat::parse_str(format!(
        r#"(module (memory (export "memory") {pages}) (func (export "main") (result i32) (i32.load8_u (i32.const {last}))))"#
    ));
    let mut data = vec![b'x'; bytes];
    data[last] = 42;
    // at 0, by a constant
    let segment = [&b"\x00\x41\x00\x0b"[..], &sized(&data)].concat();
    [module.unwrap(), section(11, 1, &segment)].concat()
}

#[test]
fn a_module_of_64_mib_runs_and_its_data_costs_fuel() {
    let bytes = (64 << 20) - 200;
    let module = with_data(bytes);
    assert!(module.len() <= 64 << 20 && module.len() > (64 << 20) - 200, "{}", module.len());
    let case = Case::new(module).wasm(|run| run.entry_point = "main".to_owned());
    let outcome = case.execute_on(&crate::support::in_child());
    assert_eq!((outcome.exit_code, outcome.ended.clone()), (42, Ended::Exit));
    assert!(outcome.fuel_used > bytes as u64 && outcome.fuel_used < bytes as u64 + 20, "{}", outcome.fuel_used);
    let case = case.limit(|limits| limits.fuel = bytes as u64 - 1);
    assert_eq!(case.execute_on(&crate::support::in_child()).ended, Ended::OutOfFuel);
}

#[test]
fn modules_are_limited_in_size() {
    let executor = WasmExecutor::new(&WasmSettings { module_bytes: 100, ..WasmSettings::default() }).unwrap();
    let case = Case::new(vec![0; 101]);
    let outcome = case.execute_on(&executor);
    let reason = RunFault::ModuleTooLarge { bytes: 101, limit: 100 }.to_string();
    assert_eq!(outcome.ended, Ended::NotRunnable { reason });
    let file = case.directory.path().join("large");
    std::fs::write(&file, vec![0; 1000]).unwrap();
    let outcome = case.wasm(|run| run.module = ModuleSource::Path(file)).execute_on(&executor);
    assert_eq!(outcome.exit_code, exit::NOT_RUNNABLE);
}

#[test]
fn the_cache_in_memory_is_bounded() {
    let executor = WasmExecutor::new(&WasmSettings { cached_modules: 2, ..WasmSettings::default() }).unwrap();
    for i in 0..4 {
        let text = format!(r#"(module (func (export "main") (result i32) (i32.const {i})))"#);
        let case = Case::wat(&text).wasm(|run| run.entry_point = "main".to_owned());
        assert_eq!(case.execute_on(&executor).exit_code, i);
    }
    assert_eq!(format!("{executor:?}"), "WasmExecutor { cached_modules: 2, .. }");
}

#[test]
fn compiled_modules_survive_on_disk_in_a_private_directory() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let cache = DiskCache { directory: home.path().join("compiled"), key: home.path().join("key"), bytes: 1 << 20 };
    let settings = WasmSettings { disk_cache: Some(cache.clone()), ..WasmSettings::default() };
    let case = Case::wat(r#"(module (func (export "main") (result i32) (i32.const 5)))"#)
        .wasm(|run| run.entry_point = "main".to_owned());
    for _ in 0..2 {
        assert_eq!(case.execute_on(&WasmExecutor::new(&settings).unwrap()).exit_code, 5);
    }
    assert_eq!(cache.directory.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert!(!crate::support::contents(&cache.directory).is_empty());
    std::fs::set_permissions(&cache.directory, PermissionsExt::from_mode(0o770)).unwrap();
    let error = WasmExecutor::new(&settings).unwrap_err();
    assert!(error.to_string().contains("keeping compiled modules"), "{error}");
}
