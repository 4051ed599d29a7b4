//! What all executors have in common: plain functions that each of them is held against.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use lota_node::executor::{
    Attached, CheckError, Delayed, EngineRun, Executor, ExecutorError, Input, LogPiece, ModuleSource, Phase, Progress,
    Run, RunId, RunOutcome, StandardStream, WasmRun, wasm::WasmExecutor,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::support::{Case, contents, executor, program};

/// What a program of the suite does.
#[derive(Clone, Copy)]
pub(crate) enum Program {
    /// Exits with code 0.
    Nothing,
    /// Exits with code 7.
    Exits,
    /// Writes `to standard output\n` and `to standard error\n`.
    Speaks,
    /// Writes what is in `/inputs/greeting` to its standard output.
    Reads,
    /// Makes `/outputs/five`, of five bytes.
    Writes,
    /// Does not end by itself.
    Endless,
    /// Cannot be run.
    Damaged,
}

/// An engine that the suite is tried on.
#[async_trait]
pub(crate) trait Subject: Send + Sync {
    /// An executor that has done nothing yet.
    fn executor(&self) -> Arc<dyn Executor>;

    /// The engine's part of a run, and the arguments.
    fn program(&self, program: Program) -> (EngineRun, Vec<String>);

    /// A run of a program, as a job of its own.
    fn case(&self, what: Program) -> Case {
        let (engine, args) = self.program(what);
        // A program that does not end must not run out of fuel before it is ended.
        let case = Case::new(Vec::new()).limit(|limits| limits.fuel = 1 << 60);
        case.edit(|run| (run.engine, run.args) = (engine, args))
    }
}

/// How long something may take that is to happen soon.
const SOON: Duration = Duration::from_secs(60);

/// Begins a run and waits until its program runs.
async fn begin(executor: &Arc<dyn Executor>, case: &Case) -> JoinHandle<Result<RunOutcome, ExecutorError>> {
    let (progress, mut seen) = watch::channel(Progress::default());
    let (executor, run) = (Arc::clone(executor), Run { progress: Some(progress), ..case.run.clone() });
    let running = tokio::spawn(async move { executor.run(run).await });
    let begun = seen.wait_for(|progress| progress.phase == Phase::Running);
    tokio::time::timeout(SOON, begun).await.expect("it begins").expect("it has not ended");
    running
}

fn others(jobs: &[RunId]) -> HashSet<RunId> {
    jobs.iter().copied().collect()
}

/// All of it.
pub(crate) async fn all(subject: &dyn Subject) {
    a_run_leaves_its_result(subject).await;
    inputs_are_read_and_outputs_collected(subject).await;
    what_cannot_be_run_is_told_before_and_is_an_outcome(subject).await;
    a_run_can_be_repeated(subject).await;
    what_is_printed_is_told_at_once(subject).await;
    an_aborted_run_ends_and_leaves_nothing(subject).await;
    what_is_not_known_can_be_aborted(subject).await;
    a_job_is_run_once_at_a_time(subject).await;
    a_run_can_be_attached_to(subject).await;
    what_was_never_begun_is_unknown(subject).await;
    reaping_ends_the_runs_of_other_jobs_only(subject).await;
    a_run_that_nobody_waits_for_gives_way(subject).await;
}

async fn a_run_leaves_its_result(subject: &dyn Subject) {
    let case = subject.case(Program::Speaks);
    let outcome = subject.executor().run(case.run.clone()).await.expect("it runs");
    assert_eq!(outcome.exit_code, 0);
    assert_eq!(outcome.result_dir, case.run.work_dir.join("result"));
    let found = contents(&outcome.result_dir);
    let names: Vec<_> = found.keys().map(String::as_str).collect();
    assert_eq!(names, ["exitCode", "outputs/", "stderr", "stdout"]);
    assert_eq!(found["exitCode"], b"0");
    assert_eq!(found["stdout"], b"to standard output\n");
    assert_eq!(found["stderr"], b"to standard error\n");
    assert_eq!((outcome.stdout_bytes, outcome.stderr_bytes), (19, 18));
    let case = subject.case(Program::Exits);
    let outcome = subject.executor().run(case.run.clone()).await.expect("it runs");
    assert_eq!((outcome.exit_code, contents(&outcome.result_dir)["exitCode"].as_slice()), (7, &b"7"[..]));
}

async fn inputs_are_read_and_outputs_collected(subject: &dyn Subject) {
    let case = subject.case(Program::Reads).input("/inputs", &[("greeting", b"hello")]);
    let outcome = subject.executor().run(case.run.clone()).await.expect("it runs");
    assert_eq!(contents(&outcome.result_dir)["stdout"], b"hello", "{:?}", outcome.ended);
    let case = subject.case(Program::Writes);
    let outcome = subject.executor().run(case.run.clone()).await.expect("it runs");
    assert_eq!(contents(&outcome.result_dir)["outputs/five"].len(), 5, "{:?}", outcome.ended);
    assert_eq!((outcome.output_bytes, outcome.output_entries), (5, 1));
    let mut missing = subject.case(Program::Reads);
    let host_path = missing.directory.path().join("nowhere");
    missing.run.inputs.push(Input { guest_path: "/inputs".to_owned(), host_path });
    let error = subject.executor().run(missing.run.clone()).await.expect_err("the host's fault is no outcome");
    assert!(matches!(error, ExecutorError::Input { .. }), "{error}");
}

async fn what_cannot_be_run_is_told_before_and_is_an_outcome(subject: &dyn Subject) {
    let (executor, damaged) = (subject.executor(), subject.case(Program::Damaged));
    let checked = executor.check(&damaged.run).await;
    assert!(matches!(checked, Err(CheckError::Fault(_))), "{checked:?}");
    let outcome = executor.run(damaged.run.clone()).await.expect("that is an outcome");
    assert_eq!(outcome.exit_code, 126);
    executor.check(&subject.case(Program::Speaks).run).await.expect("this one can be run");
}

async fn a_run_can_be_repeated(subject: &dyn Subject) {
    let (executor, case) = (subject.executor(), subject.case(Program::Speaks));
    let first = executor.run(case.run.clone()).await.expect("it runs");
    let before = contents(&first.result_dir);
    let again = executor.run(case.run.clone()).await.expect("it runs again");
    assert_eq!((again.exit_code, contents(&again.result_dir)), (first.exit_code, before));
}

async fn what_is_printed_is_told_at_once(subject: &dyn Subject) {
    let case = subject.case(Program::Speaks);
    let (logs, mut told) = mpsc::channel(100);
    subject.executor().run(Run { logs: Some(logs), ..case.run.clone() }).await.expect("it runs");
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    while let Some(LogPiece { stream, bytes }) = told.recv().await {
        match stream {
            StandardStream::Stdout => stdout.extend_from_slice(&bytes),
            StandardStream::Stderr => stderr.extend_from_slice(&bytes),
        }
    }
    assert_eq!((stdout.as_slice(), stderr.as_slice()), (&b"to standard output\n"[..], &b"to standard error\n"[..]));
}

async fn an_aborted_run_ends_and_leaves_nothing(subject: &dyn Subject) {
    let (executor, case) = (subject.executor(), subject.case(Program::Endless));
    let running = begin(&executor, &case).await;
    executor.abort(case.run.job).await;
    assert_eq!(contents(&case.run.work_dir).len(), 0, "nothing of it is written any more, and nothing stays");
    let ended = tokio::time::timeout(SOON, running).await.expect("it ends").expect("without a panic");
    assert!(matches!(ended, Err(ExecutorError::Aborted)), "{ended:?}");
    assert!(matches!(executor.attach(&case.run).await, Ok(Attached::Unknown)));
    // It was this run that was aborted, not the job for ever.
    let (engine, args) = subject.program(Program::Nothing);
    let run = Run { engine, args, ..case.run.clone() };
    assert_eq!(executor.run(run).await.expect("it may be run again").exit_code, 0);
}

async fn what_is_not_known_can_be_aborted(subject: &dyn Subject) {
    let (executor, case) = (subject.executor(), subject.case(Program::Nothing));
    executor.abort(case.run.job).await;
    assert_eq!(executor.run(case.run.clone()).await.expect("it runs").exit_code, 0);
    executor.abort(case.run.job).await;
}

async fn a_job_is_run_once_at_a_time(subject: &dyn Subject) {
    let (executor, case) = (subject.executor(), subject.case(Program::Endless));
    let running = begin(&executor, &case).await;
    let second = executor.run(case.run.clone()).await;
    assert!(matches!(second, Err(ExecutorError::AlreadyRunning { job }) if job == case.run.job), "{second:?}");
    assert!(!running.is_finished(), "the first one goes on");
    executor.abort(case.run.job).await;
    running.await.expect("without a panic").expect_err("it was aborted");
}

async fn a_run_can_be_attached_to(subject: &dyn Subject) {
    let (executor, case) = (subject.executor(), subject.case(Program::Endless));
    let running = begin(&executor, &case).await;
    let Ok(Attached::Running(end)) = executor.attach(&case.run).await else { panic!("it runs") };
    executor.abort(case.run.job).await;
    assert!(matches!(end.await, Err(ExecutorError::Aborted)));
    running.await.expect("without a panic").expect_err("it was aborted");
    // Whoever is attached is told the same as who began it.
    let case = subject.case(Program::Speaks);
    let (one, end) = tokio::join!(executor.run(case.run.clone()), async {
        loop {
            match executor.attach(&case.run).await.expect("it can be asked") {
                Attached::Running(end) => return end.await,
                Attached::Finished(outcome) => return Ok(outcome),
                Attached::Unknown => tokio::task::yield_now().await,
            }
        }
    });
    assert_eq!(one.expect("it runs"), end.expect("it is the same run"));
}

async fn what_was_never_begun_is_unknown(subject: &dyn Subject) {
    let case = subject.case(Program::Nothing);
    assert!(matches!(subject.executor().attach(&case.run).await, Ok(Attached::Unknown)));
}

async fn reaping_ends_the_runs_of_other_jobs_only(subject: &dyn Subject) {
    let executor = subject.executor();
    let (kept, other) = (subject.case(Program::Endless), subject.case(Program::Endless));
    let (one, two) = (begin(&executor, &kept).await, begin(&executor, &other).await);
    executor.reap(&others(&[kept.run.job])).await.expect("it reaps");
    assert!(matches!(two.await.expect("without a panic"), Err(ExecutorError::Aborted)));
    assert!(matches!(executor.attach(&other.run).await, Ok(Attached::Unknown)));
    assert!(matches!(executor.attach(&kept.run).await, Ok(Attached::Running(_))));
    executor.reap(&others(&[])).await.expect("it reaps");
    assert!(matches!(one.await.expect("without a panic"), Err(ExecutorError::Aborted)));
}

/// An engine inside this process stops it, one that outlives the process may go on: an abort ends it in either case.
async fn a_run_that_nobody_waits_for_gives_way(subject: &dyn Subject) {
    let (executor, case) = (subject.executor(), subject.case(Program::Endless));
    let running = begin(&executor, &case).await;
    running.abort();
    let _ = running.await;
    executor.abort(case.run.job).await;
    let (engine, args) = subject.program(Program::Nothing);
    assert_eq!(executor.run(Run { engine, args, ..case.run.clone() }).await.expect("it runs").exit_code, 0);
}

/// The WASM executor.
struct Wasm;

fn wasm_executor() -> WasmExecutor {
    executor().sharing_modules(2)
}

#[async_trait]
impl Subject for Wasm {
    fn executor(&self) -> Arc<dyn Executor> {
        Arc::new(wasm_executor())
    }

    fn program(&self, what: Program) -> (EngineRun, Vec<String>) {
        let behaves = |args: &[&str]| (behaviours(), args.iter().map(|arg| (*arg).to_owned()).collect());
        let text = |text: &str| (wasm(wat::parse_str(text).expect("a module").into()), Vec::new());
        match what {
            Program::Nothing => text(r#"(module (memory (export "memory") 1) (func (export "_start")))"#),
            Program::Exits => behaves(&["exit", "7"]),
            Program::Speaks => behaves(&["streams"]),
            Program::Reads => behaves(&["cat", "/inputs/greeting"]),
            Program::Writes => behaves(&["fill", "/outputs/five", "5"]),
            Program::Endless => text(r#"(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))"#),
            Program::Damaged => (wasm(Bytes::from_static(b"\0asm damaged")), Vec::new()),
        }
    }
}

fn wasm(module: Bytes) -> EngineRun {
    EngineRun::Wasm(WasmRun::new(ModuleSource::Bytes(module)))
}

fn behaviours() -> EngineRun {
    wasm(program("tests/fixtures/wasm/behaviours/behaviours.wasm").into())
}

/// The same, a little later.
struct Slow;

#[async_trait]
impl Subject for Slow {
    fn executor(&self) -> Arc<dyn Executor> {
        Arc::new(Delayed::new(Arc::new(wasm_executor()), Duration::from_millis(20)))
    }

    fn program(&self, what: Program) -> (EngineRun, Vec<String>) {
        Wasm.program(what)
    }
}

#[tokio::test]
async fn the_wasm_executor_is_as_all_are() {
    all(&Wasm).await;
}

#[tokio::test]
async fn a_delayed_executor_is_as_all_are() {
    all(&Slow).await;
}

#[tokio::test]
async fn a_run_that_is_still_delayed_can_be_aborted() {
    let executor = Delayed::new(Arc::new(wasm_executor()), Duration::from_secs(3_600));
    let case = Wasm.case(Program::Nothing);
    let run = executor.run(case.run.clone());
    let abort = async {
        while matches!(executor.attach(&case.run).await, Ok(Attached::Unknown)) {
            tokio::task::yield_now().await;
        }
        executor.abort(case.run.job).await;
    };
    let (ended, ()) = tokio::join!(run, abort);
    assert!(matches!(ended, Err(ExecutorError::Aborted)), "{ended:?}");
}
