//! The executor as a service: cancelling, repeating, progress, failures of the host.

use std::fs;
use std::time::Duration;

use lota_node::executor::wasm::{WasmExecutor, WasmSettings};
use lota_node::executor::{CheckError, Executor, ExecutorError, ModuleSource, Phase, Progress, ProgressSink, Run};
use tokio::sync::watch;

use crate::support::{Case, behave, contents, executor};

const LOOP: &str = r#"(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))"#;

fn endless() -> Case {
    Case::wat(LOOP).limit(|limits| limits.fuel = 1 << 60)
}

fn watched(case: &Case, progress: ProgressSink) -> Run {
    Run { progress: Some(progress), ..case.run.clone() }
}

#[tokio::test]
async fn an_aborted_run_stops() {
    let case = endless();
    let (progress, mut seen) = watch::channel(Progress::default());
    let (service, run) = (executor(), watched(&case, progress));
    let running = tokio::spawn(async move { service.run(run).await });
    seen.wait_for(|progress| progress.phase == Phase::Running).await.unwrap();
    executor().abort(case.run.job).await;
    assert!(matches!(running.await.unwrap(), Err(ExecutorError::Aborted)));
    assert_eq!(contents(&case.run.work_dir).len(), 0, "nothing stays of an aborted run");
}

#[tokio::test]
async fn dropping_the_future_stops_the_run_and_frees_its_place() {
    let executor = WasmExecutor::new(&WasmSettings { jobs: 1, ..WasmSettings::default() }).unwrap();
    let case = endless();
    let (progress, mut seen) = watch::channel(Progress::default());
    tokio::select! {
        outcome = executor.run(watched(&case, progress)) => panic!("{outcome:?}"),
        _ = seen.wait_for(|progress| progress.phase == Phase::Running) => {}
    }
    let next = Case::wat(r#"(module (memory (export "memory") 1) (func (export "_start")))"#);
    assert_eq!(executor.run(next.run.clone()).await.unwrap().exit_code, 0);
}

#[tokio::test]
async fn a_run_that_waits_for_a_place_can_be_aborted() {
    let executor = WasmExecutor::new(&WasmSettings { jobs: 1, ..WasmSettings::default() }).unwrap();
    let (first, second) = (endless(), endless());
    let (progress, mut seen) = watch::channel(Progress::default());
    let one = executor.run(watched(&first, progress));
    let two = async {
        seen.wait_for(|progress| progress.phase == Phase::Running).await.unwrap();
        let (waited, ()) = tokio::join!(executor.run(second.run.clone()), executor.abort(second.run.job));
        executor.abort(first.run.job).await;
        waited
    };
    let (one, two) = tokio::join!(one, two);
    assert!(matches!(one, Err(ExecutorError::Aborted)));
    assert!(matches!(two, Err(ExecutorError::Aborted)));
}

#[tokio::test]
async fn progress_ends_with_the_final_figures() {
    let case = behave(["fill", "/outputs/f", "5000"]);
    let (progress, seen) = watch::channel(Progress::default());
    let outcome = executor().run(watched(&case, progress)).await.unwrap();
    let last = *seen.borrow();
    assert_eq!(last.phase, Phase::Done);
    assert_eq!((last.fuel_used, last.output_bytes, last.output_entries), (outcome.fuel_used, 5000, 1));
}

#[test]
fn a_run_can_be_repeated_in_the_same_directory() {
    let case = behave(["fill", "/outputs/f", "3"]);
    fs::create_dir_all(case.run.work_dir.join(".attempt-1-1/outputs")).unwrap();
    fs::create_dir_all(case.run.work_dir.join("result/outputs/stale")).unwrap();
    fs::write(case.run.work_dir.join("result/outputs/stale/file"), "stale").unwrap();
    for _ in 0..2 {
        case.succeed();
        assert_eq!(contents(&case.run.work_dir.join("result/outputs")).into_keys().collect::<Vec<_>>(), ["f"]);
    }
}

#[test]
fn a_work_directory_that_cannot_be_made_is_the_providers_failure() {
    let case = endless();
    let file = case.directory.path().join("file");
    fs::write(&file, "").unwrap();
    let case = case.edit(|run| run.work_dir = file.join("below"));
    let error = case.try_execute_on(&executor()).unwrap_err();
    assert!(matches!(error, ExecutorError::WorkDir { .. }), "{error}");
}

#[test]
fn a_module_that_cannot_be_read_is_the_providers_failure() {
    let case = endless().wasm(|run| run.module = ModuleSource::Path("/nowhere/module.wasm".into()));
    let error = case.try_execute_on(&executor()).unwrap_err();
    assert_eq!(error.to_string(), "the module /nowhere/module.wasm cannot be read");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let checked = runtime.block_on(executor().check(&case.run));
    assert!(matches!(checked, Err(CheckError::Executor(ExecutorError::Module { .. }))));
}

#[test]
fn compiling_is_limited_in_time() {
    let body: String = (0..20_000).map(|i| format!("(drop (i32.add (i32.const {i}) (memory.size)))")).collect();
    let text = format!(r#"(module (memory (export "memory") 1) (func (export "_start") {body}))"#);
    let settings = WasmSettings { compile_timeout: Duration::from_nanos(1), ..WasmSettings::default() };
    let executor = WasmExecutor::new(&settings).unwrap();
    let error = Case::wat(&text).try_execute_on(&executor).unwrap_err();
    assert!(matches!(error, ExecutorError::CompileTime { .. }), "{error}");
}
