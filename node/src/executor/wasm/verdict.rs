//! From what the engine answers to how a run ended.

use wasmtime::{Trap, WasmBacktrace};

use super::messages::{printable, printable_message};
use super::stop::Stop;
use crate::executor::{Ended, TrapKind};

/// Frames of a trap's message.
const FRAMES: usize = 6;

/// How a run ended, with its exit code.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) ended: Ended,
    pub(crate) exit_code: u32,
}

impl Verdict {
    /// An end with a fixed exit code.
    pub(crate) fn fixed(ended: Ended) -> Self {
        let exit_code = ended.fixed_exit_code().unwrap_or(0);
        Self { ended, exit_code }
    }
}

/// Judges a call's result; `refused` says whether the program was ever refused memory.
///
/// # Errors
///
/// The stop, when it is a failure of the host or a cancellation and so no result.
pub(crate) fn of(result: wasmtime::Result<u32>, refused: bool) -> Result<Verdict, Stop> {
    let error = match result {
        Ok(exit_code) => return Ok(Verdict { ended: Ended::Exit, exit_code }),
        Err(error) => error,
    };
    let frames = error.downcast_ref::<WasmBacktrace>().map(frames).unwrap_or_default();
    let error = match error.downcast::<Stop>() {
        Ok(stop) => return stopped(stop, &frames),
        Err(error) => error,
    };
    let Some(kind) = trap_kind(&error) else {
        // Neither ours nor a trap: an instance that could not be made.
        return if refused {
            Ok(Verdict::fixed(Ended::OutOfMemory))
        } else {
            Err(Stop::HostMemory(printable_message(&error)))
        };
    };
    let ended = match kind {
        None => Ended::OutOfFuel,
        Some(TrapKind::StackOverflow) => trap(TrapKind::StackOverflow, "call stack exhausted", ""),
        Some(_) if refused => Ended::OutOfMemory,
        Some(kind) => trap(kind, &cause(&error), &frames),
    };
    Ok(Verdict::fixed(ended))
}

fn stopped(stop: Stop, frames: &str) -> Result<Verdict, Stop> {
    Ok(match stop {
        Stop::Exit(exit_code) => Verdict { ended: Ended::Exit, exit_code },
        Stop::OutOfFuel => Verdict::fixed(Ended::OutOfFuel),
        Stop::OutputFull(what) => Verdict::fixed(Ended::OutputFull { what }),
        Stop::WallTime => Verdict::fixed(Ended::WallTime),
        Stop::BadCall(why) => Verdict::fixed(trap(TrapKind::BadHostCall, why, frames)),
        Stop::Cancelled | Stop::HostMemory(_) | Stop::Host { .. } => return Err(stop),
    })
}

fn trap(kind: TrapKind, message: &str, frames: &str) -> Ended {
    Ended::Trap { kind, message: format!("{message}{frames}") }
}

/// The kind of a trap, `Some(None)` for lack of fuel; `None` if it is no trap at all.
fn trap_kind(error: &wasmtime::Error) -> Option<Option<TrapKind>> {
    if error.downcast_ref::<wiggle::GuestError>().is_some() {
        return Some(Some(TrapKind::BadHostCall));
    }
    Some(Some(match error.downcast_ref::<Trap>()? {
        Trap::OutOfFuel => return Some(None),
        Trap::StackOverflow => TrapKind::StackOverflow,
        Trap::MemoryOutOfBounds | Trap::HeapMisaligned => TrapKind::MemoryOutOfBounds,
        Trap::TableOutOfBounds | Trap::IndirectCallToNull | Trap::BadSignature | Trap::NullReference => {
            TrapKind::BadTableAccess
        }
        Trap::IntegerOverflow | Trap::IntegerDivisionByZero | Trap::BadConversionToInteger => TrapKind::Arithmetic,
        Trap::UnreachableCodeReached => TrapKind::Unreachable,
        _ => TrapKind::Other,
    }))
}

/// The innermost message, without the engine's backtrace.
fn cause(error: &wasmtime::Error) -> String {
    match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string().trim_start_matches("wasm trap: ").to_owned(),
        None => printable(&error.root_cause().to_string()),
    }
}

/// The innermost functions, as far as the module names them.
fn frames(backtrace: &WasmBacktrace) -> String {
    let names: Vec<String> = backtrace
        .frames()
        .iter()
        .take(FRAMES)
        .map(|frame| frame.func_name().map_or_else(|| format!("#{}", frame.func_index()), printable))
        .collect();
    if names.is_empty() { String::new() } else { format!(" in {}", names.join(" < ")) }
}
