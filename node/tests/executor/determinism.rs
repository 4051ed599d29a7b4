//! The same run gives the same result, whatever the machine does.

use lota_node::executor::wasm::{Optimize, WasmExecutor, WasmSettings};
use lota_node::executor::{Ended, Executor, RunOutcome};

use crate::support::{Case, behave, digest, executor};

/// What must not differ.
fn essence(outcome: &RunOutcome) -> (u32, Ended, u64, Option<[u8; 32]>, String) {
    (outcome.exit_code, outcome.ended.clone(), outcome.fuel_used, outcome.memory_digest, digest(outcome))
}

fn unoptimised() -> WasmExecutor {
    WasmExecutor::new(&WasmSettings { optimize: Optimize::None, ..WasmSettings::default() }).unwrap()
}

/// Runs that touch everything a run can touch.
fn cases() -> Vec<Case> {
    let input: &[(&str, &[u8])] = &[("b", b"bb"), ("a", b"a"), ("c/d", b"ddd")];
    vec![
        behave(["everything"]).input("/inputs", input),
        behave(["compute", "200000"]),
        behave(["files"]),
        behave(["tree"]),
        behave(["cookies"]),
        behave(["eat-memory"]),
        behave(["print", "5000000"]).limit(|limits| limits.output_bytes = 100_000),
        behave(["entries", "100000"]).limit(|limits| limits.output_entries = 300),
        behave(["fill", "/outputs/f", "3000000"]),
        behave(["fill", "/outputs/f", "3000000"]).limit(|limits| limits.fuel = 4_000_000),
        behave(["exit", "7"]),
        behave(["no such behaviour"]),
        behave(["bad-pointer"]),
    ]
}

#[test]
fn two_runs_agree_in_every_byte() {
    let cases = cases();
    for case in cases {
        assert_eq!(essence(&case.execute()), essence(&case.execute()), "{:?}", case.run.args);
    }
}

#[test]
fn inputs_made_in_another_order_and_place_make_no_difference() {
    let (one, two) = (behave(["everything"]), behave(["everything"]));
    let one = one.input("/inputs", &[("a", b"1"), ("b", b"2"), ("z/x", b"3")]);
    let two = two.input("/inputs", &[("z/x", b"3"), ("b", b"2"), ("a", b"1")]);
    assert_eq!(essence(&one.execute()), essence(&two.execute()));
}

#[test]
fn optimised_and_unoptimised_code_agree_down_to_the_fuel() {
    let cases = cases();
    let unoptimised = unoptimised();
    for case in cases {
        assert_eq!(essence(&case.execute()), essence(&case.execute_on(&unoptimised)), "{:?}", case.run.args);
    }
}

#[test]
fn memory_at_a_fuel_count_is_the_same_at_every_optimisation() {
    let compute = behave(["compute", "300000"]);
    let everything = behave(["everything"]);
    let everything = everything.input("/inputs", &[("a", b"a")]);
    let unoptimised = unoptimised();
    for case in [compute, everything] {
        let total = case.execute().fuel_used;
        let mut digests = Vec::new();
        // An odd step, so that stops fall anywhere in loops and calls.
        for at in (0..total).step_by(usize::try_from(total / 17).unwrap() + 1) {
            let mut run = Case::new(Vec::new());
            let work_dir = run.run.work_dir.clone();
            run.run = lota_node::executor::Run { job: run.run.job, work_dir, ..case.run.clone() };
            let run = run.wasm(|run| run.stop_at_fuel = Some(at));
            let (fast, slow) = (run.execute(), run.execute_on(&unoptimised));
            assert_eq!(essence(&fast), essence(&slow), "stopped at {at} of {total}");
            assert_eq!((fast.ended.clone(), fast.fuel_used), (Ended::StoppedAtFuel, at));
            digests.push(fast.memory_digest.unwrap());
        }
        assert!(digests.len() >= 15);
        digests.dedup();
        assert!(digests.len() > 10, "memory changes as the program runs");
    }
}

#[test]
fn a_run_that_ends_before_the_stop_reports_its_last_memory() {
    let case = behave(["compute", "1000"]);
    let outcome = case.wasm(|run| run.stop_at_fuel = Some(1_900_000_000)).execute();
    assert_eq!((outcome.exit_code, outcome.ended.clone()), (0, Ended::Exit));
    assert!(outcome.memory_digest.is_some());
    let case = behave(["compute", "1000"]);
    assert_eq!(case.execute().memory_digest, None, "nobody asked");
}

#[test]
fn the_memory_digest_is_the_documented_hash() {
    use sha2::{Digest, Sha256};
    let case =
        Case::wat(r#"(module (memory (export "memory") 2) (data (i32.const 70000) "lota") (func (export "_start")))"#);
    let outcome = case.wasm(|run| run.stop_at_fuel = Some(1000)).execute();
    let mut text = b"lota/memory/v1".to_vec();
    text.extend(2_u64.to_le_bytes());
    let memory = text.len();
    text.resize(memory + 2 * 65_536, 0);
    text[memory + 70_000..memory + 70_004].copy_from_slice(b"lota");
    assert_eq!(outcome.memory_digest.unwrap()[..], Sha256::digest(&text)[..]);
}

#[test]
fn seeds_change_nothing_but_what_is_random() {
    let case = behave(["compute", "1000"]);
    let one = essence(&case.execute());
    let case = case.wasm(|run| run.seed = [9; 32]);
    assert_eq!(one, essence(&case.execute()));
}

#[test]
fn jobs_side_by_side_do_not_disturb_one_another() {
    let alone = behave(["everything"]);
    let alone = alone.input("/inputs", &[("a", b"a")]);
    let expected = essence(&alone.execute());
    let cases: Vec<Case> = (0..8).map(|_| behave(["everything"]).input("/inputs", &[("a", b"a")])).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let executor = executor();
    let runs = cases.iter().map(|case| executor.run(case.run.clone()));
    for outcome in runtime.block_on(futures::future::join_all(runs)) {
        assert_eq!(essence(&outcome.unwrap()), expected);
    }
}
