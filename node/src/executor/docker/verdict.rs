//! From what became of a program to the outcome of its run.

use std::time::Duration;

use super::collect::{Collected, Full};
use super::engine::printable;
use super::result::Growing;
use super::streams::{End, How};
use crate::executor::{Ended, EngineRun, ExecutorError, Limits, Phase, Progress, Run, RunOutcome};

/// No such file, in the numbers of Linux; permission denied; not a program.
const ERRORS: [(u8, &str); 4] = [
    (2, "it is not in the image"),
    (13, "it may not be executed"),
    (8, "it is no program for these processors"),
    (20, "it is not in the image"),
];

/// Why the program is no longer waited for.
pub(super) enum Stop {
    Ended(End),
    WallTime,
    OutOfFuel,
    OutputFull,
}

/// How a run ended, with its exit code.
pub(super) fn verdict(stopped: &Stop, collected: &Collected, limits: &Limits, run: &Run) -> (Ended, u32) {
    let too_much = match (stopped, collected.is_full) {
        (Stop::OutputFull, _) | (_, Some(Full::Bytes)) => {
            Some(format!("more than {} bytes of output", limits.output_bytes))
        }
        (_, Some(Full::Entries)) => Some(format!("more than {} files and directories", limits.output_entries)),
        _ => None,
    };
    let fixed = |ended: Ended| {
        let code = ended.fixed_exit_code().unwrap_or(0);
        (ended, code)
    };
    let end = match stopped {
        Stop::WallTime => return fixed(Ended::WallTime),
        Stop::OutOfFuel => return fixed(Ended::OutOfFuel),
        Stop::OutputFull => None,
        Stop::Ended(end) => Some(end),
    };
    if let Some(end) = end {
        let code = match end.how {
            How::Exit(code) => u32::from(code),
            How::Signal(signal) => 128 + u32::from(signal),
            How::NotRun(number) => return fixed(not_run(number, run)),
        };
        if end.killed_for_memory > 0 && code != 0 {
            return fixed(Ended::OutOfMemory);
        }
        if too_much.is_none() {
            return match collected.what_is_left_out() {
                None => (Ended::Exit, code),
                Some(what) => (Ended::ExitWithout { what }, code),
            };
        }
    }
    fixed(Ended::OutputFull { what: too_much.unwrap_or_default() })
}

fn not_run(number: u8, run: &Run) -> Ended {
    let why = ERRORS.iter().find(|(known, _)| *known == number).map_or("the system refuses to run it", |(_, why)| why);
    let program = match &run.engine {
        EngineRun::Docker(docker) => docker.entrypoint.first().or(run.args.first()),
        EngineRun::Wasm(_) => None,
    };
    let program = program.map_or("the image's program".to_owned(), |program| format!("`{}`", printable(program)));
    Ended::NotRunnable { reason: format!("{program} cannot be run: {why} (error {number})") }
}

/// The result of a run that has none of its own.
pub(super) fn without_running(run: &Run, growing: Growing, ended: Ended) -> Result<RunOutcome, ExecutorError> {
    let exit_code = ended.fixed_exit_code().unwrap_or(0);
    for name in ["stdout", "stderr"] {
        if !growing.path.join(name).exists() {
            growing.file(name)?;
        }
    }
    let result_dir = growing.finish(exit_code)?;
    report(run, Progress { phase: Phase::Done, ..Progress::default() });
    Ok(RunOutcome {
        exit_code,
        ended,
        fuel_used: 0,
        memory_digest: None,
        result_dir,
        stdout_bytes: 0,
        stderr_bytes: 0,
        output_bytes: 0,
        output_entries: 0,
        wall: Duration::ZERO,
    })
}

pub(super) fn report(run: &Run, sample: Progress) {
    if let Some(progress) = &run.progress {
        progress.send_replace(sample);
    }
}
