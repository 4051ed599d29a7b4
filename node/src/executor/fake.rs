//! A fake executor: runs no code, but does everything else that an executor does.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    CheckError, Ended, Executor, ExecutorError, ModuleSource, Outcome, Output, Phase, Progress, ProgressSink, Run,
    RunFault,
};

/// What a pretended program does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Script {
    /// Its exit code.
    pub exit_code: u32,
    /// What it prints.
    pub stdout: Vec<u8>,
    /// What it complains.
    pub stderr: Vec<u8>,
    /// Files that it makes, by their absolute guest path, each directly or deeper in an output.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Fuel that it uses.
    pub fuel: u64,
    /// How long it takes.
    pub takes: Duration,
}

/// Plays [`Script`]s instead of running code: a module is whatever bytes a script was given for.
///
/// Honest where callers can tell: it checks runs as every executor does, keeps the limits, writes the result directory,
/// reports progress, and stops when cancelled. It differs in that inputs and arguments have no effect.
#[derive(Debug, Default)]
pub struct FakeExecutor {
    scripts: HashMap<Bytes, Script>,
}

impl FakeExecutor {
    /// A fake that knows no program; every module is refused.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a program.
    #[must_use]
    pub fn with(mut self, module: impl Into<Bytes>, script: Script) -> Self {
        self.scripts.insert(module.into(), script);
        self
    }

    async fn find(&self, run: &Run) -> Result<&Script, CheckError> {
        run.validate()?;
        let bytes = match &run.module {
            ModuleSource::Bytes(bytes) => bytes.clone(),
            ModuleSource::Deferred { read, .. } => read().await?,
            ModuleSource::Path(path) => {
                fs::read(path).map_err(|source| ExecutorError::Module { path: path.clone(), source })?.into()
            }
        };
        let unknown = || RunFault::Invalid { message: "the fake executor has no script for it".to_owned() };
        Ok(self.scripts.get(&bytes).ok_or_else(unknown)?)
    }
}

/// How far a script gets within the limits of a run.
fn judge(run: &Run, script: &Script) -> (Ended, u64) {
    let bytes = script.stdout.len() + script.stderr.len() + script.files.values().map(Vec::len).sum::<usize>();
    if let Some(stop) = run.stop_at_fuel.filter(|stop| *stop < script.fuel) {
        (Ended::StoppedAtFuel, stop)
    } else if script.fuel > run.limits.fuel() {
        (Ended::OutOfFuel, run.limits.fuel())
    } else if script.takes > run.limits.wall {
        (Ended::WallTime, run.limits.fuel())
    } else if bytes as u64 > run.limits.output_bytes {
        (Ended::OutputFull { what: format!("more than {} bytes of output", run.limits.output_bytes) }, script.fuel)
    } else {
        (Ended::Exit, script.fuel)
    }
}

#[async_trait]
impl Executor for FakeExecutor {
    fn engine(&self) -> &'static str {
        "fake"
    }

    async fn check(&self, run: &Run) -> Result<(), CheckError> {
        self.find(run).await.map(drop)
    }

    async fn run(&self, run: Run, progress: Option<ProgressSink>) -> Result<Outcome, ExecutorError> {
        let nothing = Script::default();
        let (script, (ended, fuel_used)) = match self.find(&run).await {
            Ok(script) => (script, judge(&run, script)),
            Err(CheckError::Fault(fault)) => (&nothing, (Ended::NotRunnable { reason: fault.to_string() }, 0)),
            Err(CheckError::Executor(error)) => return Err(error),
        };
        let report = |phase, fuel_used| {
            if let Some(progress) = &progress {
                progress.send_replace(Progress { phase, fuel_used, ..Progress::default() });
            }
        };
        report(Phase::Running, 0);
        let wall = script.takes.min(run.limits.wall);
        tokio::select! {
            () = tokio::time::sleep(wall) => {}
            () = run.cancel.cancelled() => return Err(ExecutorError::Cancelled),
        }
        report(Phase::Collecting, fuel_used);
        // A script that does not end by itself leaves nothing.
        let shown = if ended == Ended::Exit { script } else { &nothing };
        let exit_code = ended.fixed_exit_code().unwrap_or(script.exit_code);
        let result_dir = run.work_dir.join("result");
        let failed =
            |source| ExecutorError::WorkDir { path: run.work_dir.clone(), doing: "writing the result", source };
        write(&result_dir, &run.outputs, shown, exit_code).map_err(failed)?;
        report(Phase::Done, fuel_used);
        Ok(Outcome {
            exit_code,
            memory_digest: run.stop_at_fuel.map(|_| [0; 32]),
            fuel_used,
            result_dir,
            stdout_bytes: shown.stdout.len() as u64,
            stderr_bytes: shown.stderr.len() as u64,
            output_bytes: shown.files.values().map(|bytes| bytes.len() as u64).sum(),
            output_entries: shown.files.len() as u64,
            wall,
            ended,
        })
    }
}

fn write(result: &Path, outputs: &[Output], script: &Script, exit_code: u32) -> io::Result<()> {
    match fs::remove_dir_all(result) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => fs::create_dir_all(result)?,
    }
    fs::write(result.join("stdout"), &script.stdout)?;
    fs::write(result.join("stderr"), &script.stderr)?;
    fs::write(result.join("exitCode"), exit_code.to_string())?;
    for output in outputs {
        let directory = result.join(&output.name);
        fs::create_dir(&directory)?;
        for (path, bytes) in &script.files {
            let inside = path.strip_prefix(&*output.guest_path).and_then(|rest| rest.strip_prefix('/'));
            let Some(inside) = inside.filter(|inside| !inside.split('/').any(|name| matches!(name, "" | "." | "..")))
            else {
                continue;
            };
            let file = directory.join(inside);
            if let Some(parent) = file.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(file, bytes)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::{Limits, exit};

    fn script() -> Script {
        let files = BTreeMap::from([("/outputs/a/b".to_owned(), b"made".to_vec())]);
        Script { exit_code: 3, stdout: b"hello".to_vec(), files, fuel: 10, ..Script::default() }
    }

    fn run(directory: &Path) -> Run {
        let wall = Duration::from_secs(60);
        let limits = Limits { fuel: 100, memory_bytes: 0, output_bytes: 100, output_entries: 10, wall };
        Run::new(ModuleSource::Bytes(Bytes::from_static(b"program")), limits, directory.join("work"))
    }

    #[tokio::test]
    async fn a_script_leaves_a_result_as_every_executor_does() {
        let directory = tempfile::tempdir().unwrap();
        let fake = FakeExecutor::new().with(&b"program"[..], script());
        for _ in 0..2 {
            let outcome = fake.run(run(directory.path()), None).await.unwrap();
            assert_eq!((outcome.exit_code, outcome.ended, outcome.fuel_used), (3, Ended::Exit, 10));
            let read = |name: &str| fs::read_to_string(outcome.result_dir.join(name)).unwrap();
            assert_eq!(
                (read("exitCode"), read("stdout"), read("outputs/a/b")),
                ("3".into(), "hello".into(), "made".into())
            );
        }
    }

    #[tokio::test]
    async fn limits_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let fake = FakeExecutor::new().with(&b"program"[..], script());
        let mut hungry = run(directory.path());
        hungry.limits.fuel = 9;
        let outcome = fake.run(hungry, None).await.unwrap();
        assert_eq!((outcome.exit_code, outcome.ended, outcome.fuel_used), (exit::OUT_OF_FUEL, Ended::OutOfFuel, 9));
        let mut small = run(directory.path());
        small.limits.output_bytes = 8;
        assert_eq!(fake.run(small, None).await.unwrap().exit_code, exit::OUTPUT_FULL);
    }

    #[tokio::test]
    async fn modules_without_a_script_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let fake = FakeExecutor::new();
        assert!(matches!(fake.check(&run(directory.path())).await, Err(CheckError::Fault(RunFault::Invalid { .. }))));
        let outcome = fake.run(run(directory.path()), None).await.unwrap();
        assert_eq!(outcome.exit_code, exit::NOT_RUNNABLE);
    }

    #[tokio::test]
    async fn a_script_that_takes_long_can_be_cancelled() {
        let directory = tempfile::tempdir().unwrap();
        let slow = Script { takes: Duration::from_secs(50), ..script() };
        let fake = FakeExecutor::new().with(&b"program"[..], slow);
        let run = run(directory.path());
        run.cancel.cancel();
        assert!(matches!(fake.run(run, None).await, Err(ExecutorError::Cancelled)));
    }
}
