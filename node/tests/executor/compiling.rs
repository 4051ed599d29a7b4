//! The compiler in a process of its own: what it may take, that it can be stopped, and who waits for whom.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lota_node::executor::wasm::{Compiler, DiskCache, WasmExecutor, WasmSettings};
use lota_node::executor::{CheckError, Ended, Executor as _, ExecutorError, ModuleSource, RunFault};

use crate::bombs::module;
use crate::support::{COMPILER, Case, contents, in_child, settings_in_child};

/// An executor whose compiler is this script; `$0` is the true one.
fn scripted(script: &str, settings: WasmSettings) -> WasmExecutor {
    let arguments = ["-c".to_owned(), script.to_owned(), COMPILER.to_owned()].map(Into::into).to_vec();
    let compiler = Compiler::Child { program: "/bin/sh".into(), arguments };
    WasmExecutor::new(&WasmSettings { compiler, ..settings }).unwrap()
}

/// A module that exits with this code.
fn exits(code: u32) -> Case {
    Case::wat(&format!(r#"(module (func (export "main") (result i32) (i32.const {code})))"#))
        .wasm(|run| run.entry_point = "main".to_owned())
}

/// A module that takes seconds and a hundred megabytes to compile.
fn costly() -> Case {
    let add = [0x41, 0x07, 0x20, 0x00, 0x6a, 0x21, 0x00];
    let body = [&[1, 1, 0x7f][..], &add.repeat(60)].concat();
    Case::new(module(&[(0, 0)], &vec![(0, body); 6_000]))
}

fn lines(file: &Path) -> usize {
    fs::read_to_string(file).map_or(0, |text| text.lines().count())
}

/// Waits until the process is gone.
async fn assert_gone(pid_file: &Path) {
    let pid = fs::read_to_string(pid_file).unwrap();
    let process = Path::new("/proc").join(pid.trim());
    let state = || fs::read_to_string(process.join("stat")).unwrap_or_default();
    for _ in 0..600 {
        // gone, or dead and not yet buried
        if state().is_empty() || state().contains(") Z ") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the compiler still runs: {}", state());
}

#[test]
fn results_are_those_of_the_compiler_in_this_process() {
    let child = in_child();
    assert_eq!(exits(7).execute_on(&child).exit_code, 7);
    let faulty = Case::wat(r#"(module (memory (export "memory") 1 1 shared) (func (export "_start")))"#);
    let reason = |executor: &WasmExecutor| match faulty.execute_on(executor).ended.clone() {
        Ended::NotRunnable { reason } => reason,
        other => panic!("{other:?}"),
    };
    let here = WasmExecutor::new(&WasmSettings::default()).unwrap();
    assert_eq!(reason(&child), reason(&here));
    assert!(reason(&child).contains("not valid"), "{}", reason(&child));
}

#[tokio::test]
async fn memory_is_limited() {
    let settings = WasmSettings { compile_memory: 64 << 20, ..settings_in_child() };
    let executor = WasmExecutor::new(&settings).unwrap();
    // three fifths of the functions that are accepted
    let many = Case::new(module(&[(0, 0)], &vec![(0, vec![0]); 60_000]));
    let error = executor.check(&many.run).await.unwrap_err();
    assert!(matches!(error, CheckError::Executor(ExecutorError::CompileMemory { .. })), "{error}");
    assert!(error.to_string().contains("64 MiB"), "{error}");
    executor.check(&exits(1).run).await.unwrap();
}

#[tokio::test]
async fn processor_time_is_limited() {
    let settings = WasmSettings { compile_time: Duration::from_secs(1), ..settings_in_child() };
    let executor = WasmExecutor::new(&settings).unwrap();
    let error = executor.check(&costly().run).await.unwrap_err();
    assert!(matches!(error, CheckError::Executor(ExecutorError::CompileTime { .. })), "{error}");
    assert!(error.to_string().contains("1 s"), "{error}");
    executor.check(&exits(1).run).await.unwrap();
}

#[tokio::test]
async fn machine_code_is_limited() {
    let settings = WasmSettings { compile_output: 1 << 20, ..settings_in_child() };
    let executor = WasmExecutor::new(&settings).unwrap();
    let error = executor.check(&costly().run).await.unwrap_err();
    assert!(matches!(error, CheckError::Executor(ExecutorError::CompileOutput { .. })), "{error}");
    executor.check(&exits(1).run).await.unwrap();
}

#[tokio::test]
async fn a_compiler_that_hangs_is_killed_when_its_time_is_over() {
    let home = tempfile::tempdir().unwrap();
    let pid = home.path().join("pid");
    let settings = WasmSettings { compile_timeout: Duration::from_millis(500), ..WasmSettings::default() };
    let executor = scripted(&format!("echo $$ > {}; exec sleep 1000", pid.display()), settings);
    let error = executor.check(&exits(1).run).await.unwrap_err();
    assert!(matches!(error, CheckError::Executor(ExecutorError::CompileTime { .. })), "{error}");
    assert_gone(&pid).await;
}

#[tokio::test]
async fn a_compiler_that_is_not_wanted_any_more_is_killed() {
    let home = tempfile::tempdir().unwrap();
    let pid = home.path().join("pid");
    let executor = scripted(&format!("echo $$ > {}; exec sleep 1000", pid.display()), WasmSettings::default());
    let case = exits(1);
    let started = async {
        while lines(&pid) == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let check = executor.check(&case.run);
    let stop = async {
        started.await;
        executor.abort(case.run.job).await;
    };
    let (checked, ()) = tokio::join!(check, stop);
    assert!(matches!(checked, Err(CheckError::Executor(ExecutorError::Aborted))), "{checked:?}");
    assert_gone(&pid).await;
}

#[test]
fn a_compiler_whose_node_was_killed_ends() {
    let module = costly().module();
    let task = format!(
        r#"{{"module_bytes":{},"memory":2147483648,"processor_seconds":600,"niceness":0,"code":{{"optimize":"Speed","processor":"Common"}}}}"#,
        module.len()
    );
    let mut compiler = std::process::Command::new(COMPILER)
        .arg(task)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Dropped as soon as it has written: a killed node's pipes are closed.
    compiler.stdin.take().unwrap().write_all(&module).unwrap();
    let output = compiler.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "it did not finish its work");
}

#[tokio::test]
async fn a_compiler_that_fails_is_told_from_one_that_cannot_be_started() {
    let executor = scripted("echo it is broken >&2; exit 3", WasmSettings::default());
    let error = executor.check(&exits(1).run).await.unwrap_err();
    assert_eq!(error.to_string(), "the compiler failed on the module: it is broken");
    let executor = scripted("kill -9 $$", WasmSettings::default());
    let error = executor.check(&exits(1).run).await.unwrap_err();
    assert_eq!(error.to_string(), "the compiler failed on the module: signal 9");
    let compiler = Compiler::Child { program: "/nowhere/compiler".into(), arguments: Vec::new() };
    let executor = WasmExecutor::new(&WasmSettings { compiler, ..WasmSettings::default() }).unwrap();
    let error = executor.check(&exits(1).run).await.unwrap_err();
    assert!(matches!(error, CheckError::Executor(ExecutorError::Compiler { .. })), "{error}");
}

#[tokio::test]
async fn a_module_that_was_refused_is_not_compiled_again_for_the_next_job() {
    let home = tempfile::tempdir().unwrap();
    let count = home.path().join("count");
    let executor = scripted(&format!("echo x >> {}; exit 1", count.display()), WasmSettings::default());
    for _ in 0..3 {
        executor.check(&exits(1).run).await.unwrap_err();
    }
    assert_eq!(lines(&count), 1);
    executor.check(&exits(2).run).await.unwrap_err();
    assert_eq!(lines(&count), 2, "another module is another matter");
    let run = executor.run(exits(1).run.clone()).await;
    assert!(run.is_err());
    assert_eq!(lines(&count), 3, "for a job that it has, the provider tries again");
}

#[tokio::test]
async fn a_job_that_is_paid_for_does_not_wait_for_strangers() {
    let home = tempfile::tempdir().unwrap();
    let first = home.path().join("first");
    let script = format!(r#"mkdir {} 2> /dev/null && exec sleep 1000; exec "$0" "$@""#, first.display());
    let executor = Arc::new(scripted(&script, WasmSettings::default()));
    let bomb = exits(1);
    let check = {
        let (executor, run) = (Arc::clone(&executor), bomb.run.clone());
        tokio::spawn(async move { executor.check(&run).await })
    };
    while !first.exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let job = exits(5);
    assert_eq!(executor.run(job.run.clone()).await.unwrap().exit_code, 5);
    assert!(!check.is_finished());
    executor.abort(bomb.run.job).await;
    check.await.unwrap().unwrap_err();
    // and the place is free again
    executor.check(&exits(6).run).await.unwrap();
}

/// A module that counts how often it is read.
fn deferred(id: u8, bytes: Vec<u8>, count: &Arc<std::sync::atomic::AtomicUsize>) -> ModuleSource {
    let (bytes, count) = (Bytes::from(bytes), Arc::clone(count));
    let read = move || -> futures::future::BoxFuture<'static, Result<Bytes, CheckError>> {
        count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let bytes = bytes.clone();
        Box::pin(async move { Ok(bytes) })
    };
    ModuleSource::Deferred { id: [id; 32], read: Arc::new(read) }
}

#[tokio::test]
async fn a_module_that_is_compiled_already_is_not_read_again() {
    let executor = in_child();
    let count = Arc::default();
    let case = exits(9);
    let with = |module| exits(9).wasm(|run| run.module = module);
    let small = with(deferred(1, case.module().to_vec(), &count));
    for _ in 0..3 {
        executor.check(&small.run).await.unwrap();
        assert_eq!(executor.run(small.run.clone()).await.unwrap().exit_code, 9);
    }
    assert_eq!(count.load(std::sync::atomic::Ordering::SeqCst), 1);
    let large = with(deferred(2, vec![0; 65 << 20], &count));
    let error = executor.check(&large.run).await.unwrap_err();
    assert!(matches!(error, CheckError::Fault(RunFault::ModuleTooLarge { .. })), "{error}");
}

#[tokio::test]
async fn what_an_earlier_process_compiled_needs_neither_its_bytes_nor_a_turn() {
    let home = tempfile::tempdir().unwrap();
    let cache = DiskCache { directory: home.path().join("code"), key: home.path().join("key"), bytes: 1 << 20 };
    let settings = WasmSettings { disk_cache: Some(cache), ..settings_in_child() };
    let count = Arc::default();
    let known = exits(9).wasm(|run| run.module = deferred(1, exits(9).module().to_vec(), &count));
    WasmExecutor::new(&settings).unwrap().check(&known.run).await.unwrap();
    let first = home.path().join("first");
    let script = format!(r#"touch {}; exec sleep 1000"#, first.display());
    let executor = Arc::new(scripted(&script, settings));
    let bomb = exits(1);
    let check = {
        let (executor, run) = (Arc::clone(&executor), bomb.run.clone());
        tokio::spawn(async move { executor.check(&run).await })
    };
    while !first.exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    executor.check(&known.run).await.unwrap();
    assert!(!check.is_finished(), "the one place for compiling is taken");
    assert_eq!(count.load(std::sync::atomic::Ordering::SeqCst), 1);
    executor.abort(bomb.run.job).await;
    check.await.unwrap().unwrap_err();
}

#[test]
fn a_restart_compiles_nothing_again_and_damaged_machine_code_is_not_run() {
    let home = tempfile::tempdir().unwrap();
    let count = home.path().join("count");
    let cache = DiskCache { directory: home.path().join("code"), key: home.path().join("key"), bytes: 1 << 20 };
    let settings = WasmSettings { disk_cache: Some(cache.clone()), ..WasmSettings::default() };
    let start = || scripted(&format!(r#"echo x >> {}; exec "$0" "$@""#, count.display()), settings.clone());
    for _ in 0..3 {
        assert_eq!(exits(5).execute_on(&start()).exit_code, 5);
        assert_eq!(lines(&count), 1);
    }
    let name = contents(&cache.directory).into_keys().next().unwrap();
    let file = cache.directory.join(name);
    // Another module's, under this one's name.
    exits(6).execute_on(&start());
    let other =
        contents(&cache.directory).into_keys().map(|name| cache.directory.join(name)).find(|path| *path != file);
    let (whole, other) = (fs::read(&file).unwrap(), fs::read(other.unwrap()).unwrap());
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0xff;
    let mut compiled = 2;
    for (what, bytes) in [
        ("a flipped byte", &flipped[..]),
        ("half of it", &whole[..whole.len() / 2]),
        ("nothing", &[]),
        ("another module's", &other),
        ("a program", b"#!/bin/sh\nexit 5\n"),
    ] {
        fs::write(&file, bytes).unwrap();
        compiled += 1;
        for _ in 0..2 {
            assert_eq!(exits(5).execute_on(&start()).exit_code, 5, "{what}");
            assert_eq!(lines(&count), compiled, "{what}: compiled again, once");
        }
    }
    fs::remove_file(&file).unwrap();
    fs::create_dir_all(file.join("a/directory")).unwrap();
    assert_eq!(exits(5).execute_on(&start()).exit_code, 5);
    assert_eq!(exits(5).execute_on(&start()).exit_code, 5);
    assert_eq!(lines(&count), compiled + 1);
}
