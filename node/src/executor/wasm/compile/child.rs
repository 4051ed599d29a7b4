//! The node's side of the compiler's process.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use bytes::Bytes;
use rustix::process::Signal;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::super::engine::Code;
use super::super::messages::printable;
use super::task::{COMPILED, Effort, INVALID, NO_MEMORY, Task};
use crate::executor::{CheckError, ExecutorError, RunFault};

/// Bytes of what the process complains that are kept.
const COMPLAINT: usize = 4 << 10;
/// Bytes that are read at once.
const PIECE: usize = 64 << 10;
/// What Rust programs complain when they get no memory.
const ALLOCATION: &str = "memory allocation of";

/// What came out of a pipe.
struct Output {
    bytes: Vec<u8>,
    /// Whether there was more than was kept.
    cut: bool,
}

/// Compiles a module. When the future is dropped, the process is killed.
pub(super) async fn compile(
    program: &Path,
    arguments: &[OsString],
    code: Code,
    module: Bytes,
    effort: Effort,
) -> Result<Vec<u8>, CheckError> {
    let task = Task {
        module_bytes: module.len() as u64,
        memory: effort.memory,
        // In whole seconds, as the system counts.
        processor_seconds: effort.processor.as_secs().max(1),
        niceness: effort.niceness,
        code,
    };
    let failed = |doing, source| ExecutorError::Compiler { doing, source };
    let task = serde_json::to_string(&task).map_err(|error| failed("be told its task", error.into()))?;
    let mut child = Command::new(program)
        .args(arguments)
        .arg(task)
        // The node's own environment may hold passwords.
        .env_clear()
        .env("RAYON_NUM_THREADS", effort.threads.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| failed("be started", source))?;
    let (Some(mut stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(ExecutorError::Engine { message: "the compiler's process has no pipes".to_owned() }.into());
    };
    let work = async {
        let write = async {
            // When it ends early, its status says why.
            let _ = stdin.write_all(&module).await;
            drop(module);
        };
        let ((), complaint, output) = tokio::join!(write, drain(stderr), take(stdout, effort.output));
        let output = output?;
        if output.cut {
            return Ok((None, complaint?, output));
        }
        let status = child.wait().await?;
        Ok::<_, std::io::Error>((Some(status), complaint?, output))
    };
    let done = tokio::time::timeout(effort.wall, work).await;
    let (status, complaint, output) = match done {
        Ok(done) => done.map_err(|source| failed("be listened to", source))?,
        Err(_) => {
            // It is dead when the place that it has is given to the next.
            let _ = child.kill().await;
            return Err(ExecutorError::CompileTime { limit: effort.wall }.into());
        }
    };
    let Some(status) = status else {
        let _ = child.kill().await;
        return Err(ExecutorError::CompileOutput { limit: effort.output }.into());
    };
    judge(status, output.bytes, &complaint, effort)
}

/// What the process came to.
fn judge(status: ExitStatus, mut output: Vec<u8>, complaint: &str, effort: Effort) -> Result<Vec<u8>, CheckError> {
    match output.first() {
        Some(&COMPILED) if status.success() => {
            output.remove(0);
            Ok(output)
        }
        Some(&INVALID) if status.success() => {
            let message = String::from_utf8_lossy(&output[1..]).into_owned();
            Err(RunFault::Invalid { message }.into())
        }
        Some(&NO_MEMORY) if status.success() => Err(ExecutorError::CompileMemory { limit: effort.memory }.into()),
        _ if status.signal() == Some(Signal::XCPU.as_raw()) => {
            Err(ExecutorError::CompileTime { limit: effort.processor }.into())
        }
        _ if complaint.contains(ALLOCATION) => Err(ExecutorError::CompileMemory { limit: effort.memory }.into()),
        _ => {
            let how = match (status.signal(), complaint.lines().next()) {
                (Some(signal), _) => format!("signal {signal}"),
                (None, Some(line)) => printable(line),
                (None, None) => status.to_string(),
            };
            tracing::warn!(%status, complaint = %printable(complaint), "the compiler's process ended early");
            Err(ExecutorError::CompileCrash { how }.into())
        }
    }
}

/// Reads until the end, or past the limit.
async fn take(mut pipe: impl AsyncRead + Unpin, limit: u64) -> std::io::Result<Output> {
    let mut bytes = Vec::new();
    let read = (&mut pipe).take(limit.saturating_add(2)).read_to_end(&mut bytes).await?;
    Ok(Output { bytes, cut: read as u64 > limit.saturating_add(1) })
}

/// Reads until the end and keeps the beginning, as text.
async fn drain(mut pipe: impl AsyncRead + Unpin) -> std::io::Result<String> {
    let mut kept = Vec::new();
    let mut piece = vec![0; PIECE];
    loop {
        let read = pipe.read(&mut piece).await?;
        if read == 0 {
            return Ok(String::from_utf8_lossy(&kept).into_owned());
        }
        kept.extend_from_slice(&piece[..read.min(COMPLAINT.saturating_sub(kept.len()))]);
    }
}
