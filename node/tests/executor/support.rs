//! Modules, runs and looks at results.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use lota_node::executor::wasm::{Compiler, WasmExecutor, WasmSettings};
use lota_node::executor::{
    EngineRun, Executor, ExecutorError, Input, Limits, ModuleSource, Run, RunId, RunOutcome, WasmRun,
};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// One executor for the whole binary: what is compiled once serves all tests.
pub(crate) fn executor() -> Arc<WasmExecutor> {
    static EXECUTOR: OnceLock<Arc<WasmExecutor>> = OnceLock::new();
    Arc::clone(EXECUTOR.get_or_init(|| Arc::new(WasmExecutor::new(&WasmSettings::default()).unwrap())))
}

/// The program that compiles.
pub(crate) const COMPILER: &str = env!("CARGO_BIN_EXE_lota-test-compiler");

/// Settings of an executor that compiles in a process of its own, as providers do.
pub(crate) fn settings_in_child() -> WasmSettings {
    let compiler = Compiler::Child { program: COMPILER.into(), arguments: Vec::new() };
    WasmSettings { compiler, ..WasmSettings::default() }
}

/// An executor that compiles in a process of its own, of the whole binary.
pub(crate) fn in_child() -> Arc<WasmExecutor> {
    static EXECUTOR: OnceLock<Arc<WasmExecutor>> = OnceLock::new();
    Arc::clone(EXECUTOR.get_or_init(|| Arc::new(WasmExecutor::new(&settings_in_child()).unwrap())))
}

pub(crate) fn limits() -> Limits {
    Limits {
        fuel: 2_000_000_000,
        memory_bytes: 64 << 20,
        output_bytes: 16 << 20,
        output_entries: 10_000,
        wall: Duration::from_secs(600),
    }
}

/// A run in a directory of its own, which lives as long as this does.
pub(crate) struct Case {
    pub(crate) run: Run,
    pub(crate) directory: Arc<TempDir>,
}

/// What a run came to; keeps its directory while one looks at the result.
pub(crate) struct Done {
    outcome: RunOutcome,
    _directory: Arc<TempDir>,
}

impl std::ops::Deref for Done {
    type Target = RunOutcome;

    fn deref(&self) -> &RunOutcome {
        &self.outcome
    }
}

impl Done {
    pub(crate) fn new(case: &Case, outcome: RunOutcome) -> Self {
        Self { outcome, _directory: Arc::clone(&case.directory) }
    }
}

impl Case {
    pub(crate) fn new(module: impl Into<Vec<u8>>) -> Self {
        static JOBS: AtomicU64 = AtomicU64::new(0);
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let engine = EngineRun::Wasm(WasmRun::new(ModuleSource::Bytes(module.into().into())));
        let mut job = [0; 32];
        job[..8].copy_from_slice(&JOBS.fetch_add(1, Ordering::Relaxed).to_le_bytes());
        let run = Run::new(RunId(job), engine, limits(), directory.path().join("work"));
        Self { run, directory }
    }

    /// A module in text format.
    pub(crate) fn wat(text: &str) -> Self {
        Self::new(wat::parse_str(text).unwrap())
    }

    pub(crate) fn args<const N: usize>(mut self, args: [&str; N]) -> Self {
        self.run.args = args.map(str::to_owned).to_vec();
        self
    }

    pub(crate) fn limit(mut self, set: impl FnOnce(&mut Limits)) -> Self {
        set(&mut self.run.limits);
        self
    }

    /// Changes what is the WASM engine's own.
    pub(crate) fn wasm(mut self, set: impl FnOnce(&mut WasmRun)) -> Self {
        let EngineRun::Wasm(wasm) = &mut self.run.engine else { panic!("it is no module") };
        set(wasm);
        self
    }

    /// Its module, of which it has the bytes.
    pub(crate) fn module(&self) -> bytes::Bytes {
        let EngineRun::Wasm(WasmRun { module: ModuleSource::Bytes(bytes), .. }) = &self.run.engine else {
            panic!("the module is elsewhere")
        };
        bytes.clone()
    }

    pub(crate) fn edit(mut self, set: impl FnOnce(&mut Run)) -> Self {
        set(&mut self.run);
        self
    }

    /// Adds an input with these files; a name that ends in `/` makes a directory.
    pub(crate) fn input(mut self, guest_path: &str, files: &[(&str, &[u8])]) -> Self {
        let root = self.directory.path().join(format!("input-{}", self.run.inputs.len()));
        fs::create_dir(&root).unwrap();
        for (name, bytes) in files {
            let path = root.join(name);
            if name.ends_with('/') {
                fs::create_dir_all(&path).unwrap();
            } else {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, bytes).unwrap();
            }
        }
        self.run.inputs.push(Input { guest_path: guest_path.to_owned(), host_path: root });
        self
    }

    pub(crate) fn try_execute_on(&self, executor: &WasmExecutor) -> Result<RunOutcome, ExecutorError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(executor.run(self.run.clone()))
    }

    pub(crate) fn execute_on(&self, executor: &WasmExecutor) -> Done {
        Done::new(self, self.try_execute_on(executor).unwrap())
    }

    pub(crate) fn execute(&self) -> Done {
        self.execute_on(&executor())
    }

    /// Runs a program that is expected to exit with 0, and answers what it printed.
    pub(crate) fn succeed(&self) -> String {
        let outcome = self.execute();
        let (stdout, stderr) = (text(&outcome, "stdout"), text(&outcome, "stderr"));
        assert_eq!(outcome.exit_code, 0, "{:?}\nstdout: {stdout}\nstderr: {stderr}", outcome.ended);
        assert_scratch_is_gone(&self.run.work_dir);
        stdout
    }
}

fn assert_scratch_is_gone(work_dir: &Path) {
    let names: Vec<_> = fs::read_dir(work_dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["result"], "only the result stays in the work directory");
}

/// A file of the result as text.
pub(crate) fn text(outcome: &RunOutcome, name: &str) -> String {
    String::from_utf8(fs::read(outcome.result_dir.join(name)).unwrap()).unwrap()
}

/// Every path of a directory with what is there; directories end in `/`.
pub(crate) fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, at: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(at).unwrap() {
            let entry = entry.unwrap();
            let name = entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let kind = entry.file_type().unwrap();
            assert!(kind.is_dir() || kind.is_file(), "{name} is neither a file nor a directory");
            if kind.is_dir() {
                found.insert(format!("{name}/"), Vec::new());
                walk(root, &entry.path(), found);
            } else {
                found.insert(name, fs::read(entry.path()).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(directory, directory, &mut found);
    found
}

/// A digest of all names and bytes of a result.
pub(crate) fn digest(outcome: &RunOutcome) -> String {
    let mut hash = Sha256::new();
    for (name, bytes) in contents(&outcome.result_dir) {
        for part in [name.as_bytes(), &bytes] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    hex::encode(hash.finalize())
}

/// A checked-in module, compiled from Rust by `scripts/compile-guests`.
pub(crate) fn program(module: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(module)).unwrap()
}

/// A run of the program of many behaviours that most tests use.
pub(crate) fn behave<const N: usize>(args: [&str; N]) -> Case {
    Case::new(program("tests/fixtures/wasm/behaviours/behaviours.wasm")).args(args)
}

/// The word count of `examples/`.
pub(crate) fn wordcount<const N: usize>(args: [&str; N]) -> Case {
    Case::new(program("../examples/wordcount/wordcount.wasm")).args(args)
}
