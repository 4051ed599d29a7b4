//! The compiler's side: a process that compiles one module and ends.

use std::io::{Read as _, Write as _};
use std::process::ExitCode;
use std::thread;

use rustix::process::{Resource, Rlimit, nice, setrlimit};
use wasmtime::OutOfMemory;

use super::super::engine::{self, Memories};
use super::super::messages::printable_message;
use super::task::{COMPILED, INVALID, NO_MEMORY, Task};

/// Bytes of address space beyond the memory that it may use: the program itself, stacks, what is reserved and never used.
const ADDRESSES: u64 = 4 << 30;
/// Seconds of processor time between the signal that ends it and the one that cannot be caught.
const GRACE: u64 = 2;

/// Compiles the module on standard input to standard output, as the last argument says, and ends: what a program does that
/// is a [`Compiler::Child`](super::Compiler::Child).
///
/// Limits itself before it reads anything: memory, processor time, no files.
#[must_use]
pub fn compile_command() -> ExitCode {
    match compile() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            // Nobody is left to tell when this fails.
            let _ = writeln!(std::io::stderr(), "{problem}");
            ExitCode::FAILURE
        }
    }
}

fn compile() -> Result<(), String> {
    let argument = std::env::args().next_back().unwrap_or_default();
    let task: Task = serde_json::from_str(&argument).map_err(|error| format!("`{argument}` is no task: {error}"))?;
    confine(&task).map_err(|error| format!("it cannot limit itself: {error}"))?;
    // Machine code is the same wherever memories come from, and nothing is run here.
    let engine = engine::engine(task.code, Memories::OnDemand).map_err(|error| printable_message(&error))?;
    let module = read(task.module_bytes).map_err(|error| format!("it cannot read: {error}"))?;
    thread::spawn(end_with_node);
    let (kind, answer) = match engine.precompile_module(&module) {
        Ok(code) => (COMPILED, code),
        Err(error) if error.is::<OutOfMemory>() => (NO_MEMORY, Vec::new()),
        Err(error) => (INVALID, printable_message(&error).into_bytes()),
    };
    let mut output = std::io::stdout().lock();
    output
        .write_all(&[kind])
        .and_then(|()| output.write_all(&answer))
        .and_then(|()| output.flush())
        .map_err(|error| format!("it cannot write: {error}"))
}

fn read(bytes: u64) -> std::io::Result<Vec<u8>> {
    let mut module = Vec::new();
    std::io::stdin().lock().take(bytes).read_to_end(&mut module)?;
    if module.len() as u64 == bytes { Ok(module) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
}

/// Ends this process when standard input does: the node was killed, and nobody is there to take the answer.
fn end_with_node() {
    let mut rest = [0];
    while matches!(std::io::stdin().lock().read(&mut rest), Ok(1)) {}
    std::process::exit(1);
}

fn confine(task: &Task) -> rustix::io::Result<()> {
    let limit = |resource, soft, hard| setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) });
    limit(Resource::Core, 0, 0)?;
    limit(Resource::Fsize, 0, 0)?;
    limit(Resource::Cpu, task.processor_seconds, task.processor_seconds.saturating_add(GRACE))?;
    limit(Resource::Data, task.memory, task.memory)?;
    let addresses = task.memory.saturating_add(ADDRESSES);
    limit(Resource::As, addresses, addresses)?;
    nice(task.niceness).map(drop)
}
