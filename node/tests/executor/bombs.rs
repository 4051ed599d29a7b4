//! Modules that cost a compiler far more than their bytes: all are refused, in memory and time that are bounded, and the
//! next job runs.

use lota_node::executor::wasm::{WasmExecutor, bounds::module as bounds};
use lota_node::executor::{CheckError, Executor as _, RunFault};

use crate::support::{Case, in_child, settings_in_child};

/// A number as the binary format writes it.
fn leb(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

/// Bytes with their length before them.
pub(crate) fn sized(bytes: &[u8]) -> Vec<u8> {
    [&leb(bytes.len() as u64), bytes].concat()
}

/// A section of so many things.
pub(crate) fn section(id: u8, count: u64, things: &[u8]) -> Vec<u8> {
    [&[id][..], &sized(&[&leb(count), things].concat())].concat()
}

/// Types: parameters and results of functions, all i32.
fn types(types: &[(usize, usize)]) -> Vec<u8> {
    let mut things = Vec::new();
    for (params, results) in types {
        things.push(0x60);
        things.extend(sized_values(*params));
        things.extend(sized_values(*results));
    }
    section(1, types.len() as u64, &things)
}

fn sized_values(count: usize) -> Vec<u8> {
    [leb(count as u64), vec![0x7f; count]].concat()
}

const MEMORY: &[u8] = b"\x05\x03\x01\x00\x01";
const EXPORTS: &[u8] = b"\x07\x13\x02\x06memory\x02\x00\x06_start\x00\x00";

/// A module whose functions have these types and bodies (each with its locals before, without its end); the first is the
/// entry point.
pub(crate) fn module(kinds: &[(usize, usize)], functions: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let count = functions.len() as u64;
    let indices: Vec<u8> = functions.iter().flat_map(|(kind, _)| leb(*kind)).collect();
    let bodies: Vec<u8> = functions.iter().flat_map(|(_, body)| sized(&[body, &b"\x0b"[..]].concat())).collect();
    let header = b"\0asm\x01\0\0\0".to_vec();
    [header, types(kinds), section(3, count, &indices), MEMORY.into(), EXPORTS.into(), section(10, count, &bodies)]
        .concat()
}

/// `count` functions without parameters, all with this body.
fn many(count: usize, body: &[u8]) -> Vec<u8> {
    module(&[(0, 0)], &vec![(0, body.to_vec()); count])
}

/// No locals, then instructions.
fn code(instructions: &[u8]) -> Vec<u8> {
    [&[0][..], instructions].concat()
}

fn good() -> Case {
    Case::wat(r#"(module (memory (export "memory") 1) (func (export "_start")))"#)
}

fn check(executor: &WasmExecutor, module: Vec<u8>) -> Result<(), CheckError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(executor.check(&Case::new(module).run))
}

/// Asserts that the module is refused for what it holds, and that the executor goes on.
fn assert_over(module: Vec<u8>, wanted: &str, limit: u64) {
    let executor = in_child();
    match check(&executor, module) {
        Err(CheckError::Fault(RunFault::ModuleOverLimit { what, found, limit: named })) => {
            assert_eq!((what.as_str(), named), (wanted, limit));
            assert!(found > limit, "{found}");
        }
        other => panic!("{wanted}: {other:?}"),
    }
    assert_eq!(good().execute_on(&executor).exit_code, 0);
}

#[test]
fn a_million_empty_functions_are_refused_with_the_number() {
    let bomb = many(1_000_000, &[0]);
    assert!(bomb.len() < 4_100_000, "{}", bomb.len());
    let executor = in_child();
    let error = check(&executor, bomb.clone()).unwrap_err();
    assert_eq!(error.to_string(), "the module has 1000000 functions; at most 100000 are accepted");
    assert_over(bomb, "functions", bounds::FUNCTIONS);
}

#[test]
fn one_huge_function_is_refused() {
    assert_over(many(1, &code(&vec![1; 3 << 20])), "bytes of code in function 0", bounds::FUNCTION_BYTES);
}

#[test]
fn much_code_is_refused() {
    assert_over(many(33, &code(&vec![1; (3 << 20) / 2])), "bytes of code", bounds::CODE_BYTES);
}

#[test]
fn many_locals_are_refused() {
    // one group of 50,000 i32 in each of 1,000 functions: 8 kB
    let body = [&[1][..], &leb(50_000), &[0x7f]].concat();
    assert_over(many(1_000, &body), "local variables", bounds::LOCALS);
}

#[test]
fn deep_nesting_is_refused() {
    let depth = 200_000;
    let body = code(&[[0x02, 0x40].repeat(depth), vec![0x0b; depth]].concat());
    assert_over(many(1, &body), "blocks inside each other", bounds::NESTING);
}

#[test]
fn branch_tables_that_pass_many_values_are_refused() {
    // a block that gives 1,000 values, and a table of 10,000 ways to its end
    let consts = [0x41, 0x00].repeat(1_001);
    let table = [&[0x0e][..], &leb(10_000), &[0; 10_001]].concat();
    let drops = [0x1a].repeat(1_000);
    let body = code(&[&[0x02, 0x01][..], &consts, &table, &[0x0b], &drops].concat());
    let bomb = module(&[(0, 0), (0, 1_000)], &[(0, body)]);
    assert_over(bomb, "operations in function 0", bounds::FUNCTION_OPERATIONS);
}

#[test]
fn calls_that_pass_many_values_are_refused() {
    let thousand = code(&[0x41, 0x00].repeat(1_000));
    let body = code(&[[0x10, 0x01].repeat(100_000), vec![0x00]].concat());
    let bomb = module(&[(0, 0), (0, 1_000)], &[(0, body), (1, thousand)]);
    assert!(bomb.len() < 300_000);
    assert_over(bomb, "operations in function 0", bounds::FUNCTION_OPERATIONS);
}

#[test]
fn everything_else_that_costs_memory_is_counted() {
    let header = b"\0asm\x01\0\0\0";
    // numbers of things that are claimed, and are not there
    for (id, what, limit) in [
        (1, "types", bounds::TYPES),
        (2, "imports", bounds::IMPORTS),
        (3, "functions", bounds::FUNCTIONS),
        (4, "tables", bounds::TABLES),
        (6, "globals", bounds::GLOBALS),
        (7, "exports", bounds::EXPORTS),
        (9, "element segments", bounds::ELEMENT_SEGMENTS),
        (11, "data segments", bounds::DATA_SEGMENTS),
    ] {
        let claim = section(id, limit + 1, &[0; 64]);
        assert_over([&header[..], &claim].concat(), what, limit);
    }
    let elements = 1 << 19;
    let segment = [&[1, 0][..], &leb(elements), &vec![0; elements as usize]].concat();
    let section = section(9, 3, &segment.repeat(3));
    assert_over([&header[..], &section].concat(), "elements", bounds::ELEMENTS);
}

#[test]
fn what_is_just_within_the_limits_ends_one_way_or_another_and_the_next_job_runs() {
    let nested = |depth: usize| code(&[[0x02, 0x40].repeat(depth), vec![0x0b; depth]].concat());
    let table = code(&[&[0x41, 0x00, 0x0e][..], &leb(60_000), &[0; 60_001]].concat());
    // a value for each of 50,000 locals, through a thousand branches
    let mut joins = [&[1][..], &leb(50_000), &[0x7f]].concat();
    for local in 0..20_000_u64 {
        joins.extend([&[0x41, 0x01, 0x04, 0x40, 0x41, 0x02, 0x21][..], &leb(local), &[0x0b]].concat());
    }
    let cases = [
        ("functions", many(bounds::FUNCTIONS as usize, &[0])),
        ("one function", many(1, &code(&[0x41, 0x00, 0x1a].repeat(600_000)))),
        ("nesting", many(1, &nested(bounds::NESTING as usize))),
        ("branch table", many(1, &table)),
        ("locals", many(160, &[&[1][..], &leb(50_000), &[0x7f]].concat())),
        ("joins", many(1, &joins)),
    ];
    let executor = WasmExecutor::new(&settings_in_child()).unwrap();
    for (what, bomb) in cases {
        let begun = std::time::Instant::now();
        let outcome = check(&executor, bomb);
        println!("{what}: {outcome:?} after {:?}", begun.elapsed());
        match outcome {
            Ok(()) => {}
            Err(CheckError::Executor(error)) if error.of_compiling().is_some() => {}
            // a limit of the engine's own
            Err(CheckError::Fault(RunFault::Invalid { .. })) => {}
            other => panic!("{what}: {other:?}"),
        }
        assert_eq!(good().execute_on(&executor).exit_code, 0, "{what}");
    }
}
