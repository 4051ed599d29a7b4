//! How fast modules are compiled.

use std::{path::Path, time::Instant};

use bytes::Bytes;

use super::{Effort, rate};
use crate::executor::{CheckError, EngineRun, Executor, ExecutorError, Limits, ModuleSource, Run, RunId, WasmRun};

/// Functions of the module: so many that all threads of the compiler have work.
const FUNCTIONS: u32 = 256;

/// Bytes of a module that are compiled in a second, with the start of the compiler.
pub(super) async fn bytes_per_second(
    executor: &dyn Executor,
    work_dir: &Path,
    effort: Effort,
) -> Result<u64, ExecutorError> {
    let operations = match effort {
        Effort::Thorough => 500,
        Effort::Quick => 10,
    };
    let module = module(operations);
    let size = module.len() as u64;
    let engine = EngineRun::Wasm(WasmRun {
        entry_point: "main".to_owned(),
        ..WasmRun::new(ModuleSource::Bytes(Bytes::from(module)))
    });
    let limits = Limits {
        fuel: 1,
        memory_bytes: 1 << 20,
        output_bytes: 1,
        output_entries: 1,
        wall: std::time::Duration::from_secs(1),
    };
    let begun = Instant::now();
    match executor.check(&Run::new(RunId([1; 32]), engine, limits, work_dir)).await {
        Ok(()) => Ok(rate(size, begun.elapsed())),
        Err(CheckError::Executor(error)) => Err(error),
        Err(CheckError::Fault(fault)) => Err(ExecutorError::Engine { message: fault.to_string() }),
    }
}

/// A module of [`FUNCTIONS`] functions, each of so many operations with constants of their own, so that no two are alike. The first one is
/// exported as `main`.
fn module(operations: u32) -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    section(&mut module, 1, &[1, 0x60, 0, 0]);
    let mut types = Vec::new();
    unsigned(&mut types, FUNCTIONS);
    types.resize(types.len() + FUNCTIONS as usize, 0);
    section(&mut module, 3, &types);
    section(&mut module, 7, b"\x01\x04main\x00\x00");
    let mut code = Vec::new();
    unsigned(&mut code, FUNCTIONS);
    for number in 0..FUNCTIONS {
        // One local variable, an i32.
        let mut body = vec![1, 1, 0x7f, 0x20, 0];
        for operation in 0..operations {
            // i32.const, i32.add; local.tee 0, local.get 0, i32.mul
            body.push(0x41);
            signed(&mut body, number * operations + operation + 1);
            body.extend([0x6a, 0x22, 0, 0x20, 0, 0x6c]);
        }
        // drop, end
        body.extend([0x1a, 0x0b]);
        unsigned(&mut code, u32::try_from(body.len()).unwrap_or(u32::MAX));
        code.append(&mut body);
    }
    section(&mut module, 10, &code);
    module
}

fn section(module: &mut Vec<u8>, id: u8, content: &[u8]) {
    module.push(id);
    unsigned(module, u32::try_from(content.len()).unwrap_or(u32::MAX));
    module.extend_from_slice(content);
}

/// LEB128.
fn unsigned(bytes: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// LEB128, signed, of a number that is not negative: its last byte has bit 6 clear.
fn signed(bytes: &mut Vec<u8>, mut value: u32) {
    while value >= 0x40 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::wasm::{WasmExecutor, WasmSettings};

    #[tokio::test]
    async fn the_module_compiles_at_some_rate() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let executor = WasmExecutor::new(&WasmSettings::default()).expect("it starts");
        let rate = bytes_per_second(&executor, &folder.path().join("work"), Effort::Quick).await;
        assert!(rate.expect("it is a module") > 0);
        assert!((900_000..1_500_000).contains(&module(500).len()), "about a MiB: {}", module(500).len());
    }
}
