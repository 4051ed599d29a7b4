use std::sync::Mutex;

use lota_content::import_path;
use lota_market::{
    AttoFil, B256, Time,
    model::{JobResult, SpecCodec, Terms},
    spec::{Image, Input, JobSpec, Limits, Link},
};

use super::*;
use crate::{
    elsewhere::outputs::tests::{Announced, CLIENT, Party, fetcher, job},
    testing::{nobody, serve},
};

/// What an engine that computes nothing does: it says what it was asked, and leaves this behind.
struct Scripted {
    stdout: &'static str,
    exit_code: u32,
    fuel_used: u64,
    is_reproducible: bool,
    runs: Mutex<Vec<(WasmRun, Vec<Vec<u8>>)>>,
}

impl Default for Scripted {
    fn default() -> Self {
        Self { stdout: "out", exit_code: 0, fuel_used: 7, is_reproducible: true, runs: Mutex::default() }
    }
}

#[async_trait]
impl Engine for Scripted {
    async fn run(&self, run: WasmRun) -> Result<Ran, String> {
        let read = run.inputs.iter().map(|(_, path)| std::fs::read(path).expect("laid out")).collect();
        let result_dir = run.work_dir.join("result");
        write_result(&result_dir, self.stdout, self.exit_code);
        self.runs.lock().expect("the lock").push((run, read));
        let (exit_code, fuel_used, is_reproducible) = (self.exit_code, self.fuel_used, self.is_reproducible);
        Ok(Ran { exit_code, fuel_used, ended: "exited".to_owned(), is_reproducible, result_dir })
    }
}

struct Broken;

#[async_trait]
impl Engine for Broken {
    async fn run(&self, _: WasmRun) -> Result<Ran, String> {
        Err("the disk is full".to_owned())
    }
}

fn write_result(dir: &Path, stdout: &str, exit_code: u32) {
    std::fs::create_dir_all(dir.join("outputs")).expect("made");
    for (file, text) in [("stdout", stdout), ("stderr", ""), ("exitCode", &exit_code.to_string())] {
        std::fs::write(dir.join(file), text).expect("written");
    }
}

/// A party that has a module and an input, a job that was settled with the result of [`Scripted`], and where all happens.
struct Settled {
    client: Party,
    spec: JobSpec,
    kept: Kept,
    folder: tempfile::TempDir,
}

const LIMITS: Limits =
    Limits { fuel: 1_000, memory: 1 << 20, output: 1 << 20, entries: 10, wall: 3_600, ..Limits::LEAST };

async fn settled() -> Settled {
    let (client, folder) = (Party::start().await, tempfile::tempdir().expect("a folder"));
    let put = |bytes: &[u8]| Link(client.store.put_new(codec::RAW, bytes).expect("stored"));
    let mut spec = JobSpec::wasm(put(b"\0asm"), LIMITS);
    spec.inputs = vec![Input::content(put(b"the data"), Some("/data".to_owned()))];
    let result = folder.path().join("result");
    write_result(&result, "out", 0);
    let output = import_path(&client.store, &result, &ImportOptions::default()).expect("imported").cid;
    let terms = Terms {
        client: CLIENT,
        salt: lota_market::U256::ZERO,
        spec: B256::ZERO,
        spec_codec: SpecCodec::DagCbor.code(),
        min_price: AttoFil::ZERO,
        max_price: AttoFil(50),
        ramp_start: Time(1_234),
        ramp_period: 1,
        lock_by: Time(2_000),
        run_for: 60,
        review_for: 60,
        rule_for: 60,
        collateral: AttoFil(1),
        matcher: lota_market::Address::ZERO,
        arbiter: lota_market::Address::ZERO,
        callback_gas: 0,
        keep_record: true,
    };
    let job = job(9, &output);
    let result = JobResult { output: job.output, exit_code: 0, fuel_used: 7, inline_data: Bytes::new() };
    let kept = Kept { job, terms, result, spec: None, number: 1 };
    Settled { client, spec, kept, folder }
}

impl Settled {
    fn executor(&self, engine: Arc<dyn Engine>, limits: ReExecutionLimits) -> ReExecutor {
        let announced = Announced([(CLIENT, vec![self.client.url.clone()])].into());
        let folder = self.folder.path().join("again");
        ReExecutor::new(engine, fetcher(), Arc::new(announced), folder, limits).expect("a folder")
    }

    async fn run_again(&self, engine: Arc<dyn Engine>) -> ReExecution {
        let executor = self.executor(engine, ReExecutionLimits::default());
        executor.run_again(&self.kept, &self.spec.validate().expect("a spec")).await
    }
}

fn why(outcome: ReExecution) -> String {
    match outcome {
        ReExecution::Impossible { why } => why,
        other => panic!("{other:?}"),
    }
}

/// Why it is tried again.
fn why_not_now(outcome: ReExecution) -> String {
    match outcome {
        ReExecution::NotNow { why } => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_job_is_run_with_what_it_was_run_with_and_agrees() {
    let mut settled = settled().await;
    settled.spec.args = vec!["-v".to_owned()];
    settled.spec.env = [("KEY".to_owned(), "value".to_owned())].into();
    let engine = Arc::new(Scripted::default());
    assert_eq!(settled.run_again(engine.clone()).await, ReExecution::Agrees { fuel: 7 });
    let runs = engine.runs.lock().expect("the lock");
    let [(run, inputs)] = runs.as_slice() else { panic!("{} runs", runs.len()) };
    assert_eq!((run.job, run.opened_at), (settled.kept.job.job, 1_234));
    assert_eq!(
        (&run.module[..], run.entry_point.as_str(), run.outputs.as_str()),
        (&b"\0asm"[..], "_start", "/outputs")
    );
    assert_eq!((run.args.as_slice(), run.env.len()), (&["-v".to_owned()][..], 1));
    assert_eq!((run.inputs[0].0.as_str(), inputs.as_slice()), ("/data", &[b"the data".to_vec()][..]));
    let wall = ReExecutionLimits::default().wall;
    assert_eq!(run.limits, RunLimits { fuel: 1_000, memory: 1 << 20, output: 1 << 20, entries: 10, wall });
}

#[tokio::test]
async fn a_file_at_a_url_is_an_input_if_it_is_the_file() {
    let mut settled = settled().await;
    let file = axum::Router::new().route("/file", axum::routing::get(|| async { "the data" }));
    let url = format!("http://{}/file", serve(file).await);
    for (bytes, is_it) in [("the data", true), ("other data", false)] {
        let cid = Link(lota_content::cid_of_block(codec::RAW, bytes.as_bytes()));
        settled.spec.inputs = vec![Input { cid: Some(cid), url: Some(url.clone()), directory: None, path: None }];
        let engine = Arc::new(Scripted::default());
        let outcome = settled.run_again(engine.clone()).await;
        let runs = engine.runs.lock().expect("the lock");
        if is_it {
            assert_eq!(outcome, ReExecution::Agrees { fuel: 7 });
            assert_eq!(runs[0].1, [b"the data".to_vec()]);
        } else {
            assert!(why_not_now(outcome).starts_with("input 1: "));
            assert!(runs.is_empty());
        }
    }
}

#[tokio::test]
async fn nothing_is_left_of_a_run() {
    let settled = settled().await;
    let executor = settled.executor(Arc::new(Scripted::default()), ReExecutionLimits::default());
    executor.run_again(&settled.kept, &settled.spec.validate().expect("a spec")).await;
    // Removed beside the runtime's tasks.
    let folder = settled.folder.path().join("again");
    while std::fs::read_dir(&folder).expect("the folder").next().is_some() {
        tokio::task::yield_now().await;
    }
    std::fs::write(folder.join("left"), "by an earlier process").expect("written");
    settled.executor(Arc::new(Broken), ReExecutionLimits::default());
    assert!(std::fs::read_dir(&folder).expect("the folder").next().is_none());
}

#[tokio::test]
async fn each_difference_is_told() {
    let settled = settled().await;
    for (engine, expected) in [
        (Scripted { stdout: "other", ..Scripted::default() }, "the output is"),
        (Scripted { exit_code: 1, ..Scripted::default() }, "the exit code is 1, and the receipt says 0"),
        (Scripted { fuel_used: 8, ..Scripted::default() }, "it used 8 of fuel, and the receipt says 7"),
    ] {
        let outcome = settled.run_again(Arc::new(engine)).await;
        assert!(
            matches!(&outcome, ReExecution::Differs { what } if what.contains(expected)),
            "{expected}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn what_travels_on_chain_is_compared_too() {
    let mut settled = settled().await;
    settled.kept.terms.callback_gas = 100_000;
    let outcome = settled.run_again(Arc::new(Scripted::default())).await;
    assert!(matches!(&outcome, ReExecution::Differs { what } if what.contains("standard output")), "{outcome:?}");
    settled.kept.result.inline_data = Bytes::from_static(b"out");
    assert_eq!(settled.run_again(Arc::new(Scripted::default())).await, ReExecution::Agrees { fuel: 7 });
}

#[tokio::test]
async fn nothing_follows_from_an_end_that_is_not_the_same_everywhere() {
    let settled = settled().await;
    for fuel_used in [7, 8] {
        let engine = Scripted { is_reproducible: false, fuel_used, ..Scripted::default() };
        assert!(why(settled.run_again(Arc::new(engine)).await).contains("not the same on every machine"));
    }
}

#[tokio::test]
async fn what_cannot_be_run_again_is_said_to() {
    let mut settled = settled().await;
    let outcome = settled.run_again(Arc::new(Broken)).await;
    assert!(why_not_now(outcome).contains("could not run it: the disk is full"));

    let limits = ReExecutionLimits { memory: 1 << 19, ..ReExecutionLimits::default() };
    let (engine, spec) = (Arc::new(Scripted::default()), settled.spec.validate().expect("a spec"));
    let outcome = settled.executor(engine.clone(), limits).run_again(&settled.kept, &spec).await;
    assert!(why(outcome).contains("1048576 bytes of memory, and this service has 524288"));
    let limits = ReExecutionLimits { inputs: 6, ..ReExecutionLimits::default() };
    let outcome = settled.executor(engine.clone(), limits).run_again(&settled.kept, &spec).await;
    assert!(why(outcome).contains("input 1"), "the module has four bytes, the input eight");

    settled.spec.inputs[0].cid = None;
    settled.spec.inputs[0].directory = Some("archive".to_owned());
    assert!(why(settled.run_again(engine.clone()).await).contains("directory `archive` of its provider"));

    let missing = Link(lota_content::cid_of_block(codec::RAW, b"nobody has it"));
    settled.spec.inputs[0] = Input::content(missing, None);
    assert!(why_not_now(settled.run_again(engine.clone()).await).starts_with("input 1: "));

    settled.client.url = format!("http://{}", nobody().await);
    assert!(why_not_now(settled.run_again(engine.clone()).await).starts_with("the module: "));
    assert!(engine.runs.lock().expect("the lock").is_empty(), "nothing was run");

    let hangs = axum::Router::new().fallback(std::future::pending::<()>);
    settled.client.url = format!("http://{}", serve(hangs).await);
    let limits = ReExecutionLimits { patience: Duration::ZERO, ..ReExecutionLimits::default() };
    let spec = settled.spec.validate().expect("a spec");
    let outcome = settled.executor(engine.clone(), limits).run_again(&settled.kept, &spec).await;
    assert!(why_not_now(outcome).contains("not here after 0 s"));

    settled.spec = JobSpec::docker(Image::Archive(missing), LIMITS);
    assert_eq!(settled.run_again(engine).await, ReExecution::NotReproducible);
}
