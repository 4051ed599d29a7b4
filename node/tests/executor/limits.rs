//! Every limit and every trap is a result with a fixed exit code.

use std::time::Duration;

use lota_node::executor::{Ended, TrapKind, exit};

use crate::support::{Case, behave, contents, text};

const LOOP: &str = r#"(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))"#;

/// A module whose entry point has this body.
fn body(body: &str) -> Case {
    Case::wat(&format!(r#"(module (memory (export "memory") 1) (table 1 funcref) (func (export "_start") {body}))"#))
}

fn trap_of(case: &Case) -> (TrapKind, String) {
    let outcome = case.execute();
    assert_eq!(outcome.exit_code, exit::TRAP, "{:?}", outcome.ended);
    assert_eq!(text(&outcome, "exitCode"), "134");
    match outcome.ended.clone() {
        Ended::Trap { kind, message } => (kind, message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_endless_loop_uses_all_its_fuel() {
    let outcome = Case::wat(LOOP).limit(|limits| limits.fuel = 1_000_000).execute();
    assert_eq!((outcome.exit_code, outcome.ended.clone()), (exit::OUT_OF_FUEL, Ended::OutOfFuel));
    assert_eq!(outcome.fuel_used, 1_000_000);
    assert_eq!(text(&outcome, "exitCode"), "152");
}

#[test]
fn host_calls_cost_fuel() {
    let case = behave(["host-calls"]);
    let outcome = case.limit(|limits| limits.fuel = 100_000_000).execute();
    assert_eq!(outcome.ended, Ended::OutOfFuel);
    // A call costs a thousand and more, and counts for a thousand nanoseconds: this took no 100 million calls.
    assert!(outcome.wall < Duration::from_secs(60), "{:?}", outcome.wall);
}

#[test]
fn bulk_memory_costs_fuel_by_the_byte() {
    let fill = body("(loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (br 0))");
    let outcome = fill.limit(|limits| limits.fuel = 65_536 * 10).execute();
    assert_eq!(outcome.ended, Ended::OutOfFuel);
    let once = body("(memory.fill (i32.const 0) (i32.const 1) (i32.const 65536))").execute();
    assert!(once.fuel_used >= 65_536, "{}", once.fuel_used);
}

#[test]
fn io_costs_fuel_by_the_byte() {
    let (little, much) = (behave(["fill", "/outputs/f", "4096"]), behave(["fill", "/outputs/f", "8192"]));
    let (little, much) = (little.execute(), much.execute());
    let more = much.fuel_used - little.fuel_used;
    assert!((4096 + 1000..4096 + 3000).contains(&more), "{more}");
}

#[test]
fn the_kinds_of_traps_are_told_apart() {
    use TrapKind::{Arithmetic, BadTableAccess, MemoryOutOfBounds, Unreachable};
    for (kind, code) in [
        (Unreachable, "(unreachable)"),
        (MemoryOutOfBounds, "(drop (i32.load (i32.const -1)))"),
        (MemoryOutOfBounds, "(i32.store (i32.const 65533) (i32.const 1))"),
        (MemoryOutOfBounds, "(memory.fill (i32.const 65000) (i32.const 1) (i32.const 1000))"),
        (Arithmetic, "(drop (i32.div_s (i32.const 1) (i32.const 0)))"),
        (Arithmetic, "(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))"),
        (Arithmetic, "(drop (i32.trunc_f32_s (f32.const nan)))"),
        (BadTableAccess, "(call_indirect (i32.const 0))"),
        (BadTableAccess, "(call_indirect (i32.const 7))"),
    ] {
        assert_eq!(trap_of(&body(code)).0, kind, "{code}");
    }
}

#[test]
fn a_trap_names_the_functions_it_happened_in() {
    let case = Case::wat(
        r#"(module (memory (export "memory") 1) (func $boom (unreachable)) (func (export "_start") (call $boom)))"#,
    );
    assert_eq!(trap_of(&case).1, "wasm `unreachable` instruction executed in boom < #1");
}

#[test]
fn endless_recursion_is_a_trap_that_reports_all_fuel() {
    let case = Case::wat(r#"(module (memory (export "memory") 1) (func $f (export "_start") (call $f)))"#);
    let outcome = case.execute();
    assert!(matches!(outcome.ended, Ended::Trap { kind: TrapKind::StackOverflow, .. }), "{:?}", outcome.ended);
    assert!(!outcome.ended.is_reproducible());
    assert_eq!(outcome.fuel_used, case.run.limits.fuel);
}

#[test]
fn recursion_of_a_hundred_thousand_calls_is_fine() {
    let case = behave(["recurse", "30000"]);
    assert_eq!(case.succeed(), "30000\n");
    let case = Case::wat(
        r#"(module (memory (export "memory") 1)
            (func $f (param i32) (result i32)
                (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 7))
                    (else (call $f (i32.sub (local.get 0) (i32.const 1))))))
            (func (export "main") (result i32) (call $f (i32.const 100000))))"#,
    );
    assert_eq!(case.wasm(|run| run.entry_point = "main".to_owned()).execute().exit_code, 7);
}

#[test]
fn pointers_outside_the_memory_are_traps() {
    for name in ["bad-pointer", "bad-vector"] {
        let case = behave([name]);
        // The bytes are paid for before they are looked at, so the fuel must suffice.
        assert_eq!(trap_of(&case.limit(|limits| limits.fuel = 1 << 40)).0, TrapKind::BadHostCall, "{name}");
    }
}

#[test]
fn values_that_an_enumeration_does_not_have_are_no_failure_of_the_host() {
    let case = Case::wat(
        r#"(module (import "wasi_snapshot_preview1" "fd_seek" (func $seek (param i32 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "_start") (drop (call $time (i32.const 99) (i64.const 0) (i32.const 0)))))"#,
    );
    assert_eq!(trap_of(&case).0, TrapKind::BadHostCall);
}

#[test]
fn a_program_that_eats_memory_runs_out_of_it() {
    let case = behave(["eat-memory"]);
    let outcome = case.execute();
    assert_eq!((outcome.exit_code, outcome.ended.clone()), (exit::OUT_OF_MEMORY, Ended::OutOfMemory));
    assert_eq!(text(&outcome, "exitCode"), "137");
}

#[test]
fn a_program_may_handle_that_memory_is_refused() {
    let case = behave(["try-memory"]);
    assert_eq!(case.succeed(), "refused, and still here\n");
}

#[test]
fn memory_grows_to_the_limit_and_not_beyond() {
    // Exits with the pages it has after growing one by one; growing past the 4 GiB of 32 bits is refused like the rest.
    let case = Case::wat(
        r#"(module (memory (export "memory") 1)
            (func (export "main") (result i32)
                (drop (memory.grow (i32.const 65536)))
                (drop (memory.grow (i32.const -1)))
                (loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
                (memory.size)))"#,
    );
    let case =
        case.wasm(|run| run.entry_point = "main".to_owned()).limit(|limits| limits.memory_bytes = 10 * 65_536 + 1);
    assert_eq!(case.execute().exit_code, 10);
}

#[test]
fn a_declared_maximum_is_no_limit_of_the_job() {
    let case = Case::wat(
        r#"(module (memory (export "memory") 1 2)
            (func (export "_start") (drop (memory.grow (i32.const 5))) (unreachable)))"#,
    );
    assert_eq!(trap_of(&case).0, TrapKind::Unreachable);
}

#[test]
fn a_module_that_starts_with_too_much_memory_is_out_of_memory() {
    let case = Case::wat(r#"(module (memory (export "memory") 2000) (func (export "_start")))"#);
    let outcome = case.execute();
    assert_eq!((outcome.exit_code, outcome.ended.clone()), (exit::OUT_OF_MEMORY, Ended::OutOfMemory));
    assert_eq!(
        contents(&outcome.result_dir).into_keys().collect::<Vec<_>>(),
        ["exitCode", "outputs/", "stderr", "stdout"]
    );
}

#[test]
fn tables_cannot_eat_the_hosts_memory() {
    let grow = Case::wat(
        r#"(module (memory (export "memory") 1) (table 1 funcref)
            (func (export "main") (result i32)
                (drop (table.grow (ref.null func) (i32.const 2000000)))
                (drop (table.grow (ref.null func) (i32.const 1000)))
                (table.size)))"#,
    );
    assert_eq!(grow.wasm(|run| run.entry_point = "main".to_owned()).execute().exit_code, 1001);
    let start = Case::wat(r#"(module (memory (export "memory") 1) (table 10000000 funcref) (func (export "_start")))"#);
    assert_eq!(start.execute().ended, Ended::OutOfMemory);
}

#[test]
fn standard_output_is_cut_at_its_limit() {
    for bytes in ["2000", "100000000"] {
        let case = behave(["print", bytes]);
        let outcome = case.limit(|limits| limits.output_bytes = 1999).execute();
        assert_eq!(outcome.exit_code, exit::OUTPUT_FULL);
        assert_eq!(outcome.ended, Ended::OutputFull { what: "more than 1999 bytes of output".to_owned() });
        assert_eq!((text(&outcome, "stdout").len(), outcome.stdout_bytes), (1999, 1999));
        assert_eq!(text(&outcome, "exitCode"), "153");
    }
    let case = behave(["print", "2000"]);
    assert_eq!(case.limit(|limits| limits.output_bytes = 2000).succeed().len(), 2000);
}

#[test]
fn files_are_limited_wherever_they_are() {
    for path in ["/outputs/big", "/tmp/big"] {
        let case = behave(["fill", path, "100001"]);
        let outcome = case.limit(|limits| limits.output_bytes = 100_000).execute();
        assert_eq!(outcome.exit_code, exit::OUTPUT_FULL);
        assert_eq!(outcome.ended, Ended::OutputFull { what: "more than 100000 bytes of output".to_owned() });
        assert!(outcome.output_bytes <= 100_000);
        let case = behave(["fill", path, "100000"]);
        case.limit(|limits| limits.output_bytes = 100_000).succeed();
    }
}

#[test]
fn streams_and_files_share_one_limit() {
    let case = behave(["streams"]);
    let outcome = case.limit(|limits| limits.output_bytes = 30).execute();
    assert!(matches!(outcome.ended, Ended::OutputFull { .. }), "{:?}", outcome.ended);
    assert_eq!(text(&outcome, "stdout"), "to standard output\n");
    assert_eq!((outcome.stdout_bytes, outcome.stderr_bytes), (19, 11));
}

#[test]
fn what_is_removed_counts_no_longer() {
    let case = behave(["make-and-remove", "2000"]);
    case.limit(|limits| (limits.output_bytes, limits.output_entries) = (1000, 1)).succeed();
}

#[test]
fn sparse_terabytes_count_by_their_logical_size() {
    for how in ["truncate", "allocate", "pwrite"] {
        let case = behave(["sparse", how, "1099511627776"]);
        let outcome = case.execute();
        assert!(matches!(outcome.ended, Ended::OutputFull { .. }), "{how}: {:?}", outcome.ended);
        assert_eq!(contents(&outcome.result_dir)["outputs/sparse"], b"", "{how}");
        let case = behave(["sparse", how, "1000000"]);
        let outcome = case.execute();
        assert_eq!((outcome.exit_code, outcome.output_bytes), (0, 1_000_000), "{how}");
        assert!(outcome.fuel_used > 1_000_000, "zeros cost fuel as other bytes do");
    }
    // Sizes that no file can have are an error of the program's.
    let case = behave(["sparse", "truncate", "18446744073709551615"]);
    assert_eq!(case.succeed(), "22\n", "fbig");
}

#[test]
fn a_million_entries_stop_at_the_limit() {
    let case = behave(["entries", "1000000"]);
    let outcome = case.limit(|limits| limits.output_entries = 2000).execute();
    assert_eq!(outcome.exit_code, exit::OUTPUT_FULL);
    assert_eq!(outcome.ended, Ended::OutputFull { what: "more than 2000 files and directories".to_owned() });
    assert_eq!(outcome.output_entries, 2000);
    assert_eq!(contents(&outcome.result_dir.join("outputs")).len(), 2000);
}

#[test]
fn wall_time_ends_with_a_result_that_holds_nothing() {
    let case = Case::wat(
        r#"(module (import "wasi_snapshot_preview1" "path_create_directory" (func $mkdir (param i32 i32 i32) (result i32)))
            (memory (export "memory") 1) (data (i32.const 0) "outputs/d")
            (func (export "_start") (drop (call $mkdir (i32.const 3) (i32.const 0) (i32.const 9))) (loop (br 0))))"#,
    );
    let case = case.limit(|limits| (limits.fuel, limits.wall) = (1 << 50, Duration::from_millis(50)));
    let outcome = case.execute();
    assert_eq!((outcome.exit_code, outcome.ended.clone()), (exit::WALL_TIME, Ended::WallTime));
    assert!(!outcome.ended.is_reproducible());
    assert_eq!(outcome.fuel_used, 1 << 50);
    let files = contents(&outcome.result_dir);
    assert_eq!(files.keys().collect::<Vec<_>>(), ["exitCode", "outputs/", "stderr", "stdout"]);
    assert_eq!(files["exitCode"], b"124");
}

#[test]
fn what_was_done_before_a_limit_stays_in_the_result() {
    let case = behave(["fill", "/outputs/f", "1000000000"]);
    let outcome = case.limit(|limits| limits.fuel = 2_000_000).execute();
    assert_eq!(outcome.ended, Ended::OutOfFuel);
    assert!(outcome.output_bytes > 4096, "{}", outcome.output_bytes);
}
