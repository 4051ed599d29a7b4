//! Whole jobs on real nodes: requested over HTTP, run as WASM, published, fetched, verified, paid.

#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "this is test code")]

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use lota_api::{JobDetail, JobPage, NodeInfo, ProblemCode, Verdict};
use lota_bridge::{Transport as _, Update, memory::Chain};
use lota_market::{
    Address, AttoFil, B256, Bytes, U256,
    agent::{EffectKey, LookAfter, Offer},
    model::{Command, Event, JobId, Reason, Status, Terms},
    money::FIL,
};
use lota_node::{
    NodeConfig, Parts,
    executor::{Attached, CheckError, Delayed, Executor, ExecutorError, Executors, Run, RunId, RunOutcome, WasmRun},
};
use lota_tests::{
    programs,
    world::{self, FUNDS, Party, asking, chain, key, spec},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;

/// Executors that begin so many seconds later.
fn delayed(seconds: u64) -> Executors {
    let executors = world::executors(1);
    let wasm = Arc::clone(executors.get(WasmRun::ENGINE).expect("there is one"));
    executors.with(WasmRun::ENGINE, Arc::new(Delayed::new(wasm, Duration::from_secs(seconds))))
}

/// A provider whose machine was measured: with delayed executors that would take long.
fn measured() -> Option<Offer> {
    Some(Offer { fuel_per_second: 1_000_000_000, ..asking(AttoFil(FIL / 1000)) })
}

fn home() -> TempDir {
    TempDir::new().expect("a temporary folder")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_from_request_to_payment_and_its_output_comes_back() {
    let (home, chain) = (home(), chain(None));
    let cheap = Party::provider(&chain, 2, home.path(), asking(AttoFil(FIL / 1000))).await;
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    let module = client.add(&programs::says("hello, market\n", 3)).await;
    let job = client.request(spec(&module), json!({})).await.expect("the job is opened");
    let detail = client.wait(&job).await;
    assert_eq!(detail.summary.status, Status::Settled, "{detail:#?}");
    assert_eq!(detail.summary.reason, Reason::Unreviewed);
    assert_eq!(detail.summary.exit_code, Some(3));
    assert!(detail.summary.output_verified);
    let price = detail.summary.price.expect("it has a price");
    assert_eq!(client.bytes(&format!("/v1/jobs/{}/output/stdout", job.id)).await, b"hello, market\n");
    assert_eq!(client.bytes(&format!("/v1/jobs/{}/output/exitCode", job.id)).await, b"3");
    assert_eq!(client.money().await, AttoFil(FUNDS.0 - price.0));
    assert_eq!(cheap.money().await, AttoFil(FUNDS.0 + price.0));
    let names: Vec<&str> = detail.events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["JobOpened", "JobLocked", "ResultSubmitted", "JobSettled"]);
    assert_eq!(detail.decisions.len(), 1);
    assert_eq!(detail.decisions[0].decision, Verdict::Won);
    assert_eq!(chain.snapshot().escrowed().0 + chain.snapshot().collateral().0, 0);
}

/// How a spec comes to the market.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spec {
    /// With the job.
    Along,
    /// Before it.
    Published,
}

/// What a contract does that asks for a job: it opens it with a spec in JSON, and has neither node nor gateway.
async fn open_like_a_contract(chain: &Chain, spec: &str, way: Spec, lock_for: u64) -> JobId {
    let contract = chain.connect(world::key(9));
    let now = contract.head().await.expect("the chain has a head").time;
    let terms = Terms {
        client: contract.party(),
        salt: U256::ZERO,
        spec: B256::from(lota_content::sha2_256(spec.as_bytes())),
        spec_codec: 0x55,
        min_price: AttoFil(FIL / 100),
        max_price: AttoFil(FIL / 100),
        ramp_start: now,
        ramp_period: 1,
        lock_by: now.after(lock_for),
        run_for: 60,
        review_for: 0,
        rule_for: 0,
        collateral: AttoFil(FIL / 100),
        matcher: Address::ZERO,
        arbiter: Address::ZERO,
        callback_gas: 0,
        keep_record: false,
    };
    let spec = Bytes::copy_from_slice(spec.as_bytes());
    let along = match way {
        Spec::Along => spec,
        Spec::Published => {
            let publish = Command::PublishSpec { spec };
            contract.submit(&EffectKey::named("publish"), &publish, AttoFil::ZERO).await.expect("it is published");
            Bytes::new()
        }
    };
    let open = Command::Open { terms: terms.clone(), spec: along };
    contract.submit(&EffectKey::named("ask"), &open, terms.max_price).await.expect("the job is opened");
    contract.job_id(&terms)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_a_gateway_is_served_from_whoever_holds_its_program() {
    for way in [Spec::Along, Spec::Published] {
        serve_a_client_without_a_gateway(way).await;
    }
}

async fn serve_a_client_without_a_gateway(way: Spec) {
    let (home, chain) = (home(), chain(None));
    let provider = Party::provider(&chain, 2, home.path(), asking(AttoFil(FIL / 1000))).await;
    let developer = Party::start(&chain, 1, world::config("developer", home.path())).await;
    let module = developer.add(&programs::says("42\n", 0)).await;
    let job = open_like_a_contract(&chain, &spec(&module).to_string(), way, 600).await;
    let detail = developer.wait_for(job).await;
    assert_eq!(detail.summary.status, Status::Settled, "{detail:#?}");
    assert_eq!(detail.summary.reason, Reason::Unreviewed, "nobody reviews it");
    assert_eq!(detail.summary.provider, Some(provider.address));
    assert_eq!(chain.balance(provider.address), AttoFil(10 * FIL + FIL / 100));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_told_to_looks_after_a_contracts_jobs_also_earlier_ones() {
    let (home, chain) = (home(), chain(None));
    let developer = Party::start(&chain, 1, world::config("developer", home.path())).await;
    let job = open_like_a_contract(&chain, "{}", Spec::Along, 1).await;
    while developer.get::<JobDetail>(&format!("/v1/jobs/{job}")).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    developer.node.shutdown().await;
    let contract = world::key(9).address();
    let look_after = LookAfter::These([contract].into());
    let config = NodeConfig { look_after, ..world::config("developer", home.path()) };
    let steward = Party::start(&chain, 1, config).await;
    let detail = steward.wait_for(job).await;
    assert_eq!((detail.summary.status, detail.summary.reason), (Status::Cancelled, Reason::NotLocked));
    assert_eq!(chain.balance(contract), AttoFil(FIL / 100), "the contract has its money back");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_programs_have_results_and_break_nothing() {
    let (home, chain) = (home(), chain(None));
    let _provider = Party::provider(&chain, 2, home.path(), asking(AttoFil(FIL / 1000))).await;
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    for (name, module, code) in [
        ("loops for ever", programs::spins(), 152),
        ("traps", programs::traps(), 134),
        ("eats memory", programs::eats_memory(), 137),
        ("fills its output", programs::fills_output(), 153),
        ("is well", programs::says("well", 0), 0),
    ] {
        let module = client.add(&module).await;
        let job = client.request(spec(&module), json!({})).await.expect(name);
        let detail = client.wait(&job).await;
        assert_eq!(detail.summary.status, Status::Settled, "{name}: {detail:#?}");
        assert_eq!(detail.summary.exit_code, Some(code), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_is_not_wasm_is_refused_with_the_reason_and_the_money_comes_back() {
    let (home, chain) = (home(), chain(None));
    let _provider = Party::provider(&chain, 2, home.path(), asking(AttoFil(FIL / 1000))).await;
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    let text = client.add(b"this is no module").await;
    let job = client.request(spec(&text), json!({ "lock_for": 4 })).await.expect("the job is opened");
    let detail = client.wait(&job).await;
    assert_eq!((detail.summary.status, detail.summary.reason), (Status::Cancelled, Reason::NotLocked));
    assert_eq!(detail.decisions[0].decision, Verdict::Refused, "{detail:#?}");
    assert!(detail.decisions[0].reason.contains("not WebAssembly"), "{detail:#?}");
    assert_eq!(client.money().await, FUNDS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_input_is_refused_before_it_costs_anything() {
    let (home, chain) = (home(), chain(None));
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    let module = client.add(&programs::says("x", 0)).await;
    let missing = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
    let mut spec = spec(&module);
    spec["inputs"] = json!([{ "cid": missing }]);
    let (status, body) = client.request(spec, json!({})).await.expect_err("nobody has the input");
    assert_eq!((status, body["code"].as_str()), (422, Some("invalid")));
    assert!(body["message"].as_str().is_some_and(|text| text.contains(&format!("input 1, {missing}"))), "{body}");
    assert_eq!(client.money().await, FUNDS);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_party_holds_another_can_request_a_job_with() {
    let (home, chain) = (home(), chain(None));
    let provider = Party::provider(&chain, 2, home.path(), asking(AttoFil(FIL / 1000))).await;
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    // The provider's announcement must have been read before its gateway can be asked.
    for _ in 0..100 {
        let parties: Vec<serde_json::Value> = client.get("/v1/parties").await.expect("the parties");
        if parties.len() == 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let module = provider.add(&programs::says("from elsewhere", 0)).await;
    let job = client.request(spec(&module), json!({})).await.expect("the module is fetched and the job opened");
    assert_eq!(client.wait(&job).await.summary.exit_code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_provider_is_slashed_and_the_client_compensated() {
    let (home, chain) = (home(), chain(None));
    let config = NodeConfig { provider: measured(), ..world::config("slow", home.path()) };
    let slow = Party::with_executors(Arc::new(chain.connect(key(2))), config, delayed(60)).await;
    slow.deposit(AttoFil(FIL)).await;
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    let module = client.add(&programs::says("late", 0)).await;
    let mut spec = spec(&module);
    spec["limits"]["wall"] = json!(1);
    spec["limits"]["fuel"] = json!(1_000_000);
    let terms = json!({ "run_for": 2, "collateral": (FIL / 2).to_string() });
    let job = client.request(spec.clone(), terms).await.expect("the job is opened");
    let detail = client.wait(&job).await;
    assert_eq!((detail.summary.status, detail.summary.reason), (Status::Slashed, Reason::NotSubmitted));
    assert_eq!(detail.money.compensation, AttoFil(FIL / 4));
    assert_eq!(detail.money.burned, AttoFil(FIL / 4));
    assert_eq!(client.money().await, AttoFil(FUNDS.0 + FIL / 4));
    assert_eq!(slow.money().await, AttoFil(FUNDS.0 - FIL / 2));

    // It stops, and says why, also after a restart, until its operator resumes.
    wait_until(|| async { problems(&slow).await == [ProblemCode::Slashed] }).await;
    let refused = client.request(spec.clone(), json!({ "lock_for": 2 })).await.expect("the job is opened");
    let detail = client.wait(&refused).await;
    assert_eq!(detail.summary.status, Status::Cancelled);
    assert!(
        detail.decisions.iter().any(|d| d.decision == Verdict::Refused && d.reason.contains("was slashed")),
        "{detail:#?}"
    );
    slow.node.shutdown().await;
    let slow = Party::provider(&chain, 2, home.path(), asking(AttoFil(FIL / 1000))).await;
    assert_eq!(problems(&slow).await, [ProblemCode::Slashed]);
    let resumed: Value = slow.post("/v1/node/resume", &json!({})).await.expect("it resumes");
    assert_eq!(resumed["slashed_for"], json!(job.id.to_string()));
    assert!(problems(&slow).await.is_empty());
    let taken = client.request(spec, json!({})).await.expect("the job is opened");
    assert_eq!(client.wait(&taken).await.summary.status, Status::Settled);
    wait_until(|| async { client.wait(&taken).await.summary.is_final }).await;
    let again: Value = slow.post("/v1/node/resume", &json!({})).await.expect("it answers");
    assert_eq!(again, json!({}), "it had not stopped");
}

/// What keeps a node from its work.
async fn problems(party: &Party) -> Vec<ProblemCode> {
    let node: NodeInfo = party.get("/v1/node").await.expect("the node is shown");
    node.problems.into_iter().map(|problem| problem.code).collect()
}

async fn wait_until<F: Future<Output = bool>>(mut is_so: impl FnMut() -> F) {
    let patience = tokio::time::Instant::now() + Duration::from_secs(120);
    while !is_so().await {
        assert!(tokio::time::Instant::now() < patience, "it does not come to that");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Tells of each run that ends whether it was aborted.
struct Told {
    executor: Arc<dyn Executor>,
    ends: mpsc::UnboundedSender<bool>,
}

#[async_trait]
impl Executor for Told {
    async fn check(&self, run: &Run) -> Result<(), CheckError> {
        self.executor.check(run).await
    }

    async fn run(&self, run: Run) -> Result<RunOutcome, ExecutorError> {
        let end = self.executor.run(run).await;
        self.ends.send(matches!(end, Err(ExecutorError::Aborted))).expect("the test listens");
        end
    }

    async fn attach(&self, run: &Run) -> Result<Attached, ExecutorError> {
        self.executor.attach(run).await
    }

    async fn abort(&self, job: RunId) {
        self.executor.abort(job).await;
    }

    async fn reap(&self, live: &HashSet<RunId>) -> Result<(), ExecutorError> {
        self.executor.reap(live).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_run_of_a_job_that_is_lost_is_aborted() {
    let (home, chain) = (home(), chain(None));
    let (ends, mut ended) = mpsc::unbounded_channel();
    let executors = delayed(3_600);
    let executor = Arc::clone(executors.get(WasmRun::ENGINE).expect("there is one"));
    let executors = executors.with(WasmRun::ENGINE, Arc::new(Told { executor, ends }));
    let config = NodeConfig { provider: measured(), ..world::config("slow", home.path()) };
    let slow = Party::with_executors(Arc::new(chain.connect(key(2))), config, executors).await;
    slow.deposit(AttoFil(FIL)).await;
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    let module = client.add(&programs::says("late", 0)).await;
    let mut spec = spec(&module);
    spec["limits"]["wall"] = json!(1);
    let job = client.request(spec, json!({ "run_for": 2 })).await.expect("the job is opened");
    assert_eq!(client.wait(&job).await.summary.status, Status::Slashed);
    let aborted = tokio::time::timeout(Duration::from_secs(60), ended.recv()).await.expect("it ends within a minute");
    assert_eq!(aborted, Some(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_job_that_is_to_be_blessed_the_market_keeps_how_it_ended() {
    let (home, chain) = (home(), chain(None));
    let _provider = Party::provider(&chain, 2, home.path(), asking(AttoFil(FIL / 1000))).await;
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    let module = client.add(&programs::says("x", 0)).await;
    for (terms, kept) in [(json!({ "bless": true }), Status::Settled), (json!({ "bless": false }), Status::None)] {
        let job = client.request(spec(&module), terms).await.expect("the job is opened");
        assert_eq!(client.wait(&job).await.summary.status, Status::Settled);
        assert_eq!(chain.deal(job.id).status, kept);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_get_one_clear_answer_and_cost_nothing() {
    let (home, chain) = (home(), chain(None));
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    let module = client.add(&programs::says("x", 0)).await;
    let cases = [
        (json!({ "version": 2 }), json!({}), 422, "not valid"),
        (spec(&module), json!({ "max_price": "1000000000000000000000" }), 422, "needs"),
        (spec(&module), json!({ "min_price": "2000000000", "max_price": "1000000000" }), 422, "above the highest"),
        (spec(&module), json!({ "review_for": 60 }), 422, "review_for is 60 s, but the job has no arbiter"),
        (spec(&module), json!({ "max_price": "1" }), 422, "whole number of quanta"),
    ];
    for (spec, terms, status, text) in cases {
        let (code, body) = client.request(spec, terms).await.expect_err(text);
        assert_eq!(code, status, "{body}");
        assert!(body["message"].as_str().is_some_and(|message| message.contains(text)), "{body}");
    }
    for (path, status, code) in [
        ("/v1/jobs/0x1234", 404, "not_found"),
        ("/v1/jobs/12", 422, "invalid"),
        ("/v1/jobs/xyzxyz", 422, "invalid"),
        ("/v1/nothing", 404, "not_found"),
        ("/v1/jobs?limit=0", 422, "invalid"),
        ("/v1/content/nonsense", 422, "invalid"),
    ] {
        let (found, body) = client.get::<serde_json::Value>(path).await.expect_err(path);
        assert_eq!((found, body["code"].as_str()), (status, Some(code)), "{path}: {body}");
    }
    assert_eq!(client.money().await, FUNDS);
    let page: JobPage = client.get("/v1/jobs").await.expect("the list");
    assert!(page.jobs.iter().all(|job| job.status == Status::None), "{page:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_key_opens_one_job() {
    let (home, chain) = (home(), chain(None));
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    let module = client.add(&programs::says("x", 0)).await;
    let body = json!({ "spec": spec(&module), "terms": {}, "key": "invoice-7" });
    let first: serde_json::Value = client.post("/v1/jobs", &body).await.expect("opened");
    let again: serde_json::Value = client.post("/v1/jobs", &body).await.expect("opened before");
    assert_eq!(first["id"], again["id"]);
    let cancelled: serde_json::Value = client
        .post(&format!("/v1/jobs/{}/cancel", first["id"].as_str().expect("an id")), &json!({}))
        .await
        .expect("an open job can be cancelled");
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(client.money().await, FUNDS);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_added_can_be_let_go_of_once() {
    let (home, chain) = (home(), chain(None));
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    let cid = client.add(b"not for ever").await;
    assert_eq!(client.delete(&format!("/v1/content/{cid}")).await, 204);
    assert_eq!(client.delete(&format!("/v1/content/{cid}")).await, 404);
    assert_eq!(client.bytes(&format!("/v1/content/{cid}")).await, b"not for ever", "there is room for it still");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_is_let_go_of_by_whom_it_is_for_when_its_job_has_ended() {
    let (home, chain) = (home(), chain(None));
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    let module = client.add(&programs::says("x", 0)).await;
    let job = client.request(spec(&module), json!({})).await.expect("the job is opened");
    let output = format!("/v1/jobs/{}/output", job.id);
    assert_eq!(client.delete(&output).await, 409, "it is open");
    let provider = Party::provider(&chain, 2, home.path(), asking(AttoFil(FIL / 1000))).await;
    let detail = client.wait(&job).await;
    assert_eq!(detail.summary.status, Status::Settled, "{detail:#?}");
    assert_eq!(provider.delete(&output).await, 409, "a provider keeps what it ran");
    assert_eq!(client.delete(&output).await, 204);
    assert_eq!(client.delete(&output).await, 404, "it was let go of");
    assert_eq!(
        client.bytes(&format!("{output}/stdout")).await,
        b"x",
        "there is room for it still, or the provider has it"
    );
    for (id, status) in [("nonsense", 422), (&format!("0x{}", "0".repeat(64)), 404)] {
        assert_eq!(client.delete(&format!("/v1/jobs/{id}/output")).await, status, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_in_the_same_folder_is_refused() {
    let (home, chain) = (home(), chain(None));
    let first = Party::start(&chain, 1, world::config("client", home.path())).await;
    let transport = std::sync::Arc::new(chain.connect(world::key(1)));
    let error = lota_node::Node::start(world::config("client", home.path()), Parts::new(transport))
        .await
        .expect_err("it is in use");
    assert!(error.to_string().contains("in use by another lota process (pid "), "{error}");
    first.node.shutdown().await;
    Party::start(&chain, 1, world::config("client", home.path())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_take_up_where_they_left_off() {
    let home = home();
    let ledger = home.path().join("chain.log");
    let module_bytes = programs::says("again", 0);
    let chain = chain(Some(&ledger));
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    let module = client.add(&module_bytes).await;
    let job = client.request(spec(&module), json!({})).await.expect("the job is opened");
    client.node.shutdown().await;
    drop(chain);
    // Nobody was there to take it. After the restart a provider comes, and everything goes on.
    let chain = world::chain(Some(&ledger));
    let _provider = Party::provider(&chain, 2, home.path(), asking(AttoFil(FIL / 1000))).await;
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    let detail = client.wait(&job).await;
    assert_eq!(detail.summary.status, Status::Settled, "{detail:#?}");
    assert_eq!(client.bytes(&format!("/v1/jobs/{}/output/stdout", job.id)).await, b"again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_ended_with_its_node_is_made_again_and_strange_work_is_cleared_away() {
    let (home, chain) = (home(), chain(None));
    let config =
        || NodeConfig { provider: Some(asking(AttoFil(FIL / 1000))), ..world::config("provider", home.path()) };
    let transport = || Arc::new(chain.connect(key(2)));
    let provider = Party::with_executors(transport(), config(), delayed(3_600)).await;
    provider.deposit(AttoFil(FIL)).await;
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    let module = client.add(&programs::says("again", 0)).await;
    let job = client.request(spec(&module), json!({})).await.expect("the job is opened");
    let work = config().dir.join("work");
    while !std::fs::read_dir(&work).is_ok_and(|mut folders| folders.next().is_some()) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    provider.node.shutdown().await;
    std::fs::create_dir_all(work.join("0123").join("result")).expect("what a job left that nobody knows any more");
    let _provider = Party::with(transport(), config()).await;
    assert!(!work.join("0123").exists(), "it is gone before the node does anything else");
    let detail = client.wait(&job).await;
    assert_eq!(detail.summary.status, Status::Settled, "{detail:#?}");
    assert_eq!(client.bytes(&format!("/v1/jobs/{}/output/stdout", job.id)).await, b"again");
}

/// The blocks with events, by their numbers.
fn blocks(chain: &Chain) -> BTreeMap<u64, B256> {
    let updates = chain.read(None, usize::MAX).expect("the log is read").into_iter();
    updates
        .filter_map(|update| match update {
            Update::Event { cursor, .. } => Some((cursor.block, cursor.block_hash)),
            _ => None,
        })
        .collect()
}

/// Whether the chain says that a job was settled.
fn is_settled(chain: &Chain, id: JobId) -> bool {
    let is_end =
        |update: &Update| matches!(update, Update::Event { event: Event::JobSettled { job, .. }, .. } if *job == id);
    chain.read(None, usize::MAX).expect("the log is read").iter().any(is_end)
}

/// Drops so many blocks. Something else takes the place of the lowest, so that none can come back as it was; those that had
/// events.
fn reorganise(chain: &Chain, dropped: u64) -> BTreeMap<u64, B256> {
    let height = chain.head().block;
    let gone = blocks(chain).split_off(&(height + 1 - dropped));
    chain.rewind(dropped).expect("the chain is reorganised");
    chain.fund(key(9).address(), AttoFil(1)).expect("another block takes their place");
    assert!(!gone.is_empty(), "nothing was undone");
    gone
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorganisation_in_the_middle_of_a_job_loses_nothing() {
    let (home, chain) = (home(), chain(None));
    let provider = Party::provider(&chain, 2, home.path(), asking(AttoFil(FIL / 1000))).await;
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    let module = client.add(&programs::says("x", 0)).await;
    let (mut jobs, mut gone) = (Vec::new(), Vec::new());
    for blocks in 1..=3 {
        jobs.push(client.request(spec(&module), json!({})).await.expect("the job is opened"));
        gone.extend(reorganise(&chain, blocks));
    }
    for job in &jobs {
        let detail = client.wait(job).await;
        assert_eq!(detail.summary.status, Status::Settled, "{detail:#?}");
        assert!(is_settled(&chain, job.id));
        assert_eq!(chain.deal(job.id).status, Status::None, "of what has ended nothing is stored");
    }
    let now = blocks(&chain);
    assert!(gone.iter().all(|(number, hash)| now.get(number) != Some(hash)), "what was undone is not on the chain");
    let market = chain.snapshot();
    assert_eq!(market.escrowed().0 + market.collateral().0 + market.burned().0, 0);
    assert!(provider.money().await > FUNDS, "it was paid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorganisation_that_undoes_whole_jobs_has_them_done_again() {
    let (home, chain) = (home(), chain(None));
    let provider = Party::provider(&chain, 2, home.path(), asking(AttoFil(FIL / 1000))).await;
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    let module = client.add(&programs::says("x", 0)).await;
    let before = chain.head().block;
    let mut jobs = Vec::new();
    for _ in 0..4 {
        let job = client.request(spec(&module), json!({})).await.expect("the job is opened");
        let detail = client.wait(&job).await;
        assert_eq!(detail.summary.status, Status::Settled, "{detail:#?}");
        jobs.push(job);
    }
    let gone = reorganise(&chain, chain.head().block - before);
    // Opened, locked, and settled by the result.
    assert!(gone.len() >= 3 * jobs.len(), "{gone:?}");
    assert!(!is_settled(&chain, jobs[3].id), "the chain knows nothing of it");
    let patience = tokio::time::Instant::now() + Duration::from_secs(120);
    while jobs.iter().any(|job| !is_settled(&chain, job.id)) {
        assert!(tokio::time::Instant::now() < patience, "not all are settled again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let now = blocks(&chain);
    assert!(gone.iter().all(|(number, hash)| now.get(number) != Some(hash)), "what was undone is not on the chain");
    for job in &jobs {
        let detail = client.wait(job).await;
        assert_eq!(detail.summary.status, Status::Settled, "{detail:#?}");
        assert!(detail.events.iter().all(|event| now.contains_key(&event.block)), "{detail:#?}");
    }
    let market = chain.snapshot();
    assert_eq!(market.escrowed().0 + market.collateral().0 + market.burned().0, 0);
    assert!(provider.money().await > FUNDS, "it was paid");
    // And the market goes on.
    let job = client.request(spec(&module), json!({})).await.expect("the job is opened");
    assert_eq!(client.wait(&job).await.summary.status, Status::Settled);
}
