//! How fast this machine runs programs: a provider must know before it puts up a collateral.

use std::path::Path;

use bytes::Bytes;
use tokio::sync::OnceCell;

use super::{Effort, rate};
use crate::executor::{EngineRun, Executor, ExecutorError, Limits, ModuleSource, Run, RunId, WasmRun};

/// What is measured: each step waits for memory that lies anywhere in 16 MiB, as in programs that are slow for the fuel they
/// burn. The memory stays zero, so that the addresses are those of a generator with the full period. Its text is in the tests.
const PROGRAM: &[u8] = b"\
    \x00\x61\x73\x6d\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x05\x04\x01\x00\x80\x02\
    \x07\x11\x02\x06\x6d\x65\x6d\x6f\x72\x79\x02\x00\x04\x6d\x61\x69\x6e\x00\x00\x0a\x35\x01\x33\x01\
    \x01\x7f\x03\x40\x20\x00\x41\x8d\xcc\xe5\x00\x6c\x41\xdf\xe6\xbb\xe3\x03\x6a\x20\x00\x41\xfc\xff\
    \xff\x07\x71\x28\x02\x00\x6a\x21\x00\x20\x00\x41\xfc\xff\xff\x07\x71\x41\x00\x36\x02\x00\x0c\x00\
    \x0b\x0b";
/// Units of fuel that one step burns: what is between the two ends of its loop, but for the loop itself.
pub(super) const FUEL_OF_A_STEP: u64 = 17;
/// How much fuel a measurement burns: some twenty milliseconds' worth, so that others who use the machine seldom interrupt it.
const FUEL: u64 = 5_000_000;
/// How often it is measured; the best counts.
const TIMES: u32 = 8;

/// Units of fuel that this machine burns in a second; measured once in the life of a process.
///
/// # Errors
/// If the program cannot be run.
pub async fn fuel_per_second(executor: &dyn Executor, work_dir: &Path) -> Result<u64, ExecutorError> {
    static MEASURED: OnceCell<u64> = OnceCell::const_new();
    let rate = MEASURED.get_or_try_init(|| measure(executor, work_dir, Effort::Thorough)).await?;
    Ok(*rate)
}

/// The same, measured now.
///
/// # Errors
/// If the program cannot be run.
pub(super) async fn measure(executor: &dyn Executor, work_dir: &Path, effort: Effort) -> Result<u64, ExecutorError> {
    let times = match effort {
        Effort::Thorough => TIMES,
        Effort::Quick => 1,
    };
    let limits = Limits {
        fuel: FUEL,
        memory_bytes: 32 << 20,
        output_bytes: 1 << 20,
        output_entries: 10,
        wall: std::time::Duration::from_secs(20),
    };
    let mut best = 0;
    for _ in 0..times {
        let module = WasmRun::new(ModuleSource::Bytes(Bytes::from_static(PROGRAM)));
        let engine = EngineRun::Wasm(WasmRun { entry_point: "main".to_owned(), ..module });
        let wall = executor.run(Run::new(RunId([0; 32]), engine, limits, work_dir)).await?.wall;
        best = best.max(rate(FUEL, wall));
        // What it left is nothing to keep; if it stays, the next measurement removes it.
        drop(tokio::fs::remove_dir_all(work_dir).await);
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::wasm::{WasmExecutor, WasmSettings};

    #[test]
    fn the_program_is_what_is_written_here() {
        let text = r#"(module (memory (export "memory") 256) (func (export "main") (local i32)
            (loop
                (local.set 0 (i32.add
                    (i32.add (i32.mul (local.get 0) (i32.const 1664525)) (i32.const 1013904223))
                    (i32.load (i32.and (local.get 0) (i32.const 0xfffffc)))))
                (i32.store (i32.and (local.get 0) (i32.const 0xfffffc)) (i32.const 0))
                (br 0))))"#;
        assert_eq!(wat::parse_str(text).expect("it is well-formed"), PROGRAM);
    }

    #[test]
    fn a_step_burns_what_is_said_here() {
        use wasmtime::wasmparser::{Operator, Parser, Payload};
        let mut fuel = 0;
        for payload in Parser::new(0).parse_all(PROGRAM) {
            let Payload::CodeSectionEntry(body) = payload.expect("well-formed") else { continue };
            for operator in body.get_operators_reader().expect("well-formed") {
                fuel += u64::from(!matches!(operator.expect("well-formed"), Operator::Loop { .. } | Operator::End));
            }
        }
        assert_eq!(fuel, FUEL_OF_A_STEP);
    }

    #[tokio::test]
    async fn a_machine_has_a_rate() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let executor = WasmExecutor::new(&WasmSettings::default()).expect("it starts");
        let rate = measure(&executor, &folder.path().join("work"), Effort::Quick).await.expect("it is measured");
        // A machine that burned less would need longer than the 20 s that were allowed; none burns a unit in a tenth of a cycle.
        assert!((1_000_000..100_000_000_000).contains(&rate), "{rate} units a second");
        println!("{rate} units of fuel a second");
        assert!(!folder.path().join("work").exists());
    }
}
