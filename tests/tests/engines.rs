//! A provider whose engine is away for a while: it says so, binds itself to nothing that needs it, and goes on when it is back.

#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "this is test code")]

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use lota_api::{NodeInfo, ProblemCode};
use lota_market::{AttoFil, model::Status, money::FIL};
use lota_node::{
    NodeConfig,
    executor::{Attached, CheckError, Executor, ExecutorError, Executors, Run, RunId, RunOutcome, WasmRun},
};
use lota_tests::{
    programs,
    world::{self, Party, asking, chain, spec},
};
use serde_json::json;
use tempfile::TempDir;

/// The usual executor behind an engine that can be stopped.
struct Stoppable {
    inner: Arc<dyn Executor>,
    is_away: AtomicBool,
    checks: AtomicUsize,
}

#[async_trait]
impl Executor for Stoppable {
    async fn check(&self, run: &Run) -> Result<(), CheckError> {
        let checked = self.inner.check(run).await;
        self.checks.fetch_add(1, Ordering::SeqCst);
        checked
    }

    async fn run(&self, run: Run) -> Result<RunOutcome, ExecutorError> {
        assert!(!self.is_away.load(Ordering::SeqCst), "nothing is locked that could not be run");
        self.inner.run(run).await
    }

    async fn attach(&self, run: &Run) -> Result<Attached, ExecutorError> {
        self.inner.attach(run).await
    }

    async fn abort(&self, job: RunId) {
        self.inner.abort(job).await;
    }

    async fn reap(&self, live: &HashSet<RunId>) -> Result<(), ExecutorError> {
        self.inner.reap(live).await
    }

    async fn away(&self) -> Option<String> {
        self.is_away.load(Ordering::SeqCst).then(|| "the engine of this test does not answer".to_owned())
    }
}

async fn has_problem(party: &Party, is_there: bool) {
    for _ in 0..3_000 {
        let node: NodeInfo = party.get("/v1/node").await.expect("it is shown");
        if node.problems.iter().any(|problem| problem.code == ProblemCode::Engine) == is_there {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the provider does not say whether its engine is away");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_an_engine_is_away_no_job_is_locked_that_needs_it() {
    let home = TempDir::new().expect("a folder");
    let chain = chain(None);
    let inner = Arc::clone(world::executors(1).get(WasmRun::ENGINE).expect("it is there"));
    let engine = Arc::new(Stoppable { inner, is_away: AtomicBool::new(false), checks: AtomicUsize::new(0) });
    let executors = Executors::none().with(WasmRun::ENGINE, Arc::clone(&engine) as Arc<dyn Executor>);
    let config = world::config("provider", home.path());
    let config = NodeConfig { provider: Some(asking(AttoFil(FIL / 100))), ..config };
    let provider = Party::with_executors(Arc::new(chain.connect(world::key(2))), config, executors).await;
    provider.deposit(AttoFil(10 * FIL)).await;
    // It measures its engine when it starts.
    engine.is_away.store(true, Ordering::SeqCst);
    has_problem(&provider, true).await;
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    client.deposit(AttoFil(10 * FIL)).await;
    client.knows(2).await;
    let spec = spec(&client.add(&programs::says("x", 0)).await);
    let terms = json!({ "max_price": AttoFil(FIL / 10), "lock_for": 600 });
    let job = client.request(spec, terms).await.expect("the job is opened");
    while engine.checks.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // It wants the job now, and would lock it in the next blocks.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = client.get::<lota_api::JobDetail>(&format!("/v1/jobs/{}", job.id)).await.expect("it is shown");
    assert_eq!(before.summary.status, Status::Open, "{before:#?}");
    engine.is_away.store(false, Ordering::SeqCst);
    has_problem(&provider, false).await;
    let detail = client.wait(&job).await;
    assert_eq!(detail.summary.status, Status::Settled, "{detail:#?}");
}
