#![allow(clippy::expect_used, clippy::panic, reason = "this is test code")]

mod chain;
mod evidence;
mod paying;
mod room;
mod twin;
mod votes;

use std::{collections::BTreeMap, path::Path};

use alloy::signers::local::PrivateKeySigner;
use async_trait::async_trait;
use lota_bridge::{BlessingRef, blessing::signed_digest, eip712};
use lota_fil_plus::answer::Certainty;
use lota_market::{
    Address, AttoFil, B256, U256,
    blessing::{Choice, End, Limits, Phase, Signed},
    spec::ValidatedSpec,
};
use paying::RailsDouble;
use serde_json::json;
use twin::{BLESSING, CHAIN, GRANTER, MARKET, PROVIDER, Twin, notary};

use super::*;
use crate::{
    alerts::{Alert, AlertKind, DeliverError},
    attestation, audit_log, ballot,
    desk::{Desk, OutputNode, QueueFilter, SignedVote, Stage, Vote, VoteState},
    elsewhere::Piece,
    history::Kept,
    review::{Evidence, InputEvidence, Outcome, Question, ReExecution, Retrieval, Risk, SettledJob},
};

/// All is well with every job.
#[derive(Debug, Default)]
struct Well {
    /// But of so many tries the output is not there.
    missing: Mutex<u32>,
    asked: Mutex<u32>,
    certainty: Mutex<evidence::Sure>,
    fetched: Mutex<u32>,
    /// What proofs of storage say, and how often they were asked for.
    proofs: Mutex<(Vec<Evidence>, u32)>,
    /// Who fetches an output says so to the first, and waits for the second.
    gate: Mutex<Option<Arc<(Notify, Notify)>>>,
    /// What running again comes to at first.
    not_run: Mutex<Vec<ReExecution>>,
}

#[async_trait]
impl Sources for Well {
    async fn inputs(&self, inputs: Vec<InputEvidence>) -> Vec<InputEvidence> {
        *self.asked.lock().expect("asked") += 1;
        let certainty = *self.certainty.lock().expect("certainty");
        inputs.into_iter().map(|input| InputEvidence { certainty: certainty.0, ..input }).collect()
    }

    async fn retrieval(&self, _: &SettledJob) -> (Retrieval, Option<Piece>) {
        *self.fetched.lock().expect("fetched") += 1;
        let gate = self.gate.lock().expect("gate").clone();
        if let Some(gate) = gate {
            gate.0.notify_one();
            gate.1.notified().await;
        }
        let mut missing = self.missing.lock().expect("missing");
        if *missing > 0 {
            *missing -= 1;
            return (Retrieval::Unavailable { why: "nobody answers".into() }, None);
        }
        (Retrieval::Verified { bytes: 5 }, Some(Piece { commitment: B256::repeat_byte(9), size: 128, car: 100 }))
    }

    async fn re_execution(&self, _: &Kept, _: &ValidatedSpec) -> ReExecution {
        self.not_run.lock().expect("not_run").pop().unwrap_or(ReExecution::Agrees { fuel: 7 })
    }

    async fn output(&self, _: &SettledJob, _: &str, _: Option<&str>) -> Result<OutputNode, DeskError> {
        Ok(OutputNode::Directory { entries: vec![], more: false })
    }

    async fn availability(&self, piece: &Piece) -> Vec<Evidence> {
        assert_eq!(piece.commitment, B256::repeat_byte(9));
        let mut proofs = self.proofs.lock().expect("proofs");
        proofs.1 += 1;
        proofs.0.clone()
    }
}

/// Keeps what it is told, and at first refuses.
#[derive(Debug, Default)]
struct Told {
    refuses: Mutex<u32>,
    alerts: Mutex<Vec<Alert>>,
}

struct To(Arc<Told>);

#[async_trait]
impl Deliver for To {
    fn name(&self) -> &str {
        "webhook"
    }

    async fn deliver(&self, alert: &Alert) -> Result<(), DeliverError> {
        let mut refuses = self.0.refuses.lock().expect("refuses");
        if *refuses > 0 {
            *refuses -= 1;
            return Err(DeliverError::Temporary("busy".into()));
        }
        self.0.alerts.lock().expect("alerts").push(alert.clone());
        Ok(())
    }
}

/// A service on a twin, that is driven step by step; and can be killed between any two.
struct Bench {
    folder: tempfile::TempDir,
    twin: Twin,
    told: Arc<Told>,
    sources: Arc<Well>,
    settings: Settings,
    rails: Arc<RailsDouble>,
    service: Arc<Service>,
    /// How many blocks lie above what is final.
    depth: u64,
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn settings() -> Settings {
    let nominate = NominationPolicy {
        granter: GRANTER,
        amount: Amount::Fixed(U256::from(100)),
        bounty: AttoFil::ZERO,
        most_risk: Risk::Medium,
        per_day: 10,
    };
    let named = GranterName { name: "DataCap".into(), unit: "bytes".into(), decimals: 0 };
    Settings { nominate: Some(nominate), granters: BTreeMap::from([(GRANTER, named)]), ..Settings::default() }
}

async fn open_with(
    folder: &Path,
    twin: &Twin,
    told: &Arc<Told>,
    sources: &Arc<Well>,
    settings: &Settings,
    (other_notary, payer): (Option<Arc<OtherNotary>>, Option<Arc<dyn Payer>>),
) -> Arc<Service> {
    let clock = {
        let twin = twin.clone();
        Arc::new(move || twin.now())
    };
    let parts = Parts {
        market: twin::market_ref(),
        asset: Asset::coin(),
        blessing: Arc::new(twin.clone()),
        sources: Arc::clone(sources) as Arc<dyn Sources>,
        other_notary,
        payer,
        deliveries: vec![Arc::new(To(Arc::clone(told)))],
        key: key(),
        clock,
        settings: settings.clone(),
    };
    let history = Service::open_history(folder, &parts.market, settings.max_size).await.expect("a database");
    Service::open(folder, history, parts).await.expect("a service")
}

impl Bench {
    async fn new(settings: Settings) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (twin, told, sources) = (Twin::new(), Arc::default(), Arc::default());
        let rails: Arc<RailsDouble> = Arc::default();
        let payer = Arc::clone(&rails) as Arc<dyn Payer>;
        let service = open_with(folder.path(), &twin, &told, &sources, &settings, (None, Some(payer))).await;
        Self { folder, twin, told, sources, settings, rails, service, depth: 0 }
    }

    /// As if it had been killed: nothing is closed or written on the way out.
    async fn kill(&mut self) {
        let payer = Arc::clone(&self.rails) as Arc<dyn Payer>;
        let parts = (None, Some(payer));
        self.service =
            open_with(self.folder.path(), &self.twin, &self.told, &self.sources, &self.settings, parts).await;
    }

    /// What the chain told reaches the service.
    async fn hear(&self) {
        let (market, blessing, finalized) = self.twin.news(self.depth);
        self.service.history.take(&market).await.expect("taken");
        self.service.history.finalize(finalized).await.expect("folded");
        self.service.take(blessing).await.expect("taken");
        self.service.import().await.expect("taken over");
    }

    /// Everything that is due, once.
    async fn work(&self) {
        let now = self.service.clock();
        for (job, _) in self.service.store.to_gather(now, 100).await.expect("read") {
            self.service.gather(job).await.expect("gathered");
        }
        self.service.nominate_due().await.expect("nominated");
        self.service.votes_due().await.expect("sent");
        self.service.grant_due().await.expect("granted");
        self.service.pay_due().await.expect("paid");
        self.service.watch_due().await.expect("looked at");
        self.service.tell_due().await.expect("told");
    }

    async fn turn(&self) {
        self.hear().await;
        self.work().await;
        self.hear().await;
    }

    async fn sign(&self, job: JobId, choice: Choice, wallet: &PrivateKeySigner) -> Result<SignedVote, DeskError> {
        let text = format!("{} looked at it", wallet.address());
        let paper = Desk::ballot_paper(&*self.service, job, choice, &text, wallet.address()).await?;
        assert_eq!(paper.reasons, ballot::reasons_digest(&text));
        Ok(SignedVote {
            job,
            round: paper.nomination.round,
            choice,
            notary: wallet.address(),
            text,
            version: paper.version,
            signature: eip712::sign(wallet, &paper.digest).expect("signed"),
        })
    }

    async fn vote(&self, job: JobId, choice: Choice, number: u8) -> Result<Vote, DeskError> {
        let vote = self.sign(job, choice, &notary(number)).await?;
        self.service.vote(&vote).await
    }

    async fn stage(&self, job: JobId) -> Stage {
        self.service.dossier(job).await.expect("known").stage
    }

    /// The audit log, line by line.
    async fn log(&self) -> Vec<u8> {
        let export = self.service.export_audit_log().await.expect("whole");
        let mut lines = Vec::new();
        std::io::Read::read_to_end(&mut export.into_reader(), &mut lines).expect("read");
        lines
    }

    /// What was delivered, in the order of its kinds.
    fn kinds(&self) -> Vec<AlertKind> {
        let mut kinds: Vec<_> = self.told.alerts.lock().expect("alerts").iter().map(|alert| alert.kind).collect();
        kinds.sort();
        kinds
    }
}

fn all() -> QueueFilter {
    QueueFilter { open: true, limit: 100, ..QueueFilter::default() }
}

#[tokio::test]
async fn a_settled_job_is_gathered_nominated_blessed_and_granted() {
    let bench = Bench::new(settings()).await;
    let job = bench.twin.settle();
    bench.hear().await;
    let queue = bench.service.queue(&all()).await.expect("a page");
    assert_eq!((queue.total, queue.entries[0].stage), (1, Stage::Gathering));

    bench.work().await;
    bench.hear().await;
    let dossier = bench.service.dossier(job).await.expect("known");
    assert_eq!((dossier.stage, dossier.not_nominated), (Stage::Voting, None));
    assert_eq!(dossier.nomination.expect("it runs").amount, U256::from(100));
    assert!(dossier.spec.is_some() && dossier.output.starts_with("bafybei"), "{}", dossier.output);
    let outcome = |question| dossier.checks.iter().find(|check| check.question == question).expect("asked").outcome;
    assert_eq!(outcome(Question::OutputRetrievable), Outcome::Passed);
    assert_eq!(outcome(Question::ReExecution), Outcome::Passed);

    let first = bench.vote(job, Choice::Approve, 1).await.expect("taken");
    assert!(matches!(first.state, VoteState::Landed { transaction: Some(_), .. }), "{first:?}");
    bench.hear().await;
    let entry = bench.service.queue(&all()).await.expect("a page").entries.remove(0);
    assert_eq!((entry.approvals, entry.voted), (1, vec![notary(1).address()]));
    assert!(matches!(bench.service.attestation(job).await, Err(DeskError::Refused(_))), "it is not decided");
    bench.vote(job, Choice::Approve, 2).await.expect("taken");
    bench.turn().await;
    assert_eq!(bench.stage(job).await, Stage::Blessed);
    let blessed = bench.service.attestation(job).await.expect("decided");

    bench.twin.pass(100);
    bench.turn().await;
    assert_eq!(bench.twin.phase(job), Phase::Blessed, "until is inclusive");
    bench.twin.pass(1);
    bench.turn().await;
    assert_eq!((bench.twin.phase(job), bench.stage(job).await), (Phase::Granted, Stage::Granted));

    let over = bench.service.queue(&QueueFilter { open: false, ..all() }).await.expect("a page");
    assert_eq!((over.total, over.entries[0].job, over.entries[0].approvals), (1, job, 2));
    assert_eq!(bench.service.queue(&all()).await.expect("a page").total, 0);
    let granted = bench.service.attestation(job).await.expect("decided");
    assert_ne!(granted, blessed);
    assert_eq!(bench.service.attestation(job).await.expect("decided"), granted, "it is issued once");
    let bytes = serde_json::to_vec(&granted).expect("JSON");
    let statement = attestation::verify::<Decided>(&bytes, &[key().verifying_key()]).expect("believed");
    let decided = statement.predicate;
    assert_eq!((decided.verdict, decided.amount, decided.votes.len()), (Verdict::Granted, U256::from(100), 2));
    assert_eq!(statement.subject.len(), 2);

    bench.work().await;
    assert_eq!(bench.kinds(), [AlertKind::Nominated, AlertKind::Blessed, AlertKind::Granted]);
    let mut actions = Vec::new();
    let log = bench.log().await;
    audit_log::verify(&log[..], |entry| actions.push(entry.action)).expect("linked");
    for action in ["granter set", "nominated", "signed", "approved", "blessed", "attested", "granted"] {
        assert!(actions.iter().any(|found| found == action), "{action} is missing in {actions:?}");
    }
    let about = bench.service.about().await.expect("read");
    assert_eq!((about.granters[0].granted, &about.granters[0].unit[..]), (U256::from(100), "bytes"));
    assert_eq!(about.problems, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_missing_is_looked_for_again_and_what_was_found_is_not() {
    let bench = Bench::new(Settings { nominate: None, ..settings() }).await;
    *bench.sources.missing.lock().expect("missing") = 2;
    let job = bench.twin.settle();
    bench.turn().await;
    let outcome = |dossier: crate::desk::Dossier| {
        let found = dossier.checks.into_iter().find(|check| check.question == Question::OutputRetrievable);
        found.expect("asked").outcome
    };
    assert_eq!(outcome(bench.service.dossier(job).await.expect("known")), Outcome::Failed);
    let entry = bench.service.queue(&all()).await.expect("a page").entries.remove(0);
    assert_eq!(entry.risk, Risk::High);
    assert!(entry.worries.contains("1 failed"), "{}", entry.worries);
    for _ in 0..3 {
        bench.twin.pass(100);
        bench.turn().await;
    }
    assert_eq!(outcome(bench.service.dossier(job).await.expect("known")), Outcome::Passed);
    assert_eq!(*bench.sources.asked.lock().expect("asked"), 1, "the registry was asked once");
    assert_eq!(bench.service.queue(&all()).await.expect("a page").entries[0].risk, Risk::Medium);
}

#[tokio::test]
async fn shares_and_repeated_work_are_seen_in_what_was_blessed() {
    let review = crate::review::Policy { share_from_blessings: 1, ..Default::default() };
    let bench = Bench::new(Settings { review, ..settings() }).await;
    let first = bench.twin.settle();
    bench.turn().await;
    bench.vote(first, Choice::Approve, 1).await.expect("taken");
    bench.vote(first, Choice::Approve, 2).await.expect("taken");
    bench.hear().await;
    let second = bench.twin.settle();
    bench.turn().await;
    let dossier = bench.service.dossier(second).await.expect("known");
    let outcome = |question| dossier.checks.iter().find(|check| check.question == question).expect("asked").outcome;
    assert_eq!(outcome(Question::ProviderShare), Outcome::Warning);
    assert_eq!(outcome(Question::ClientShare), Outcome::Warning);
    assert_eq!(outcome(Question::Duplicate), Outcome::Failed, "the same spec was blessed");
    assert_eq!((dossier.risk, dossier.stage), (Risk::High, Stage::NotNominated));
}

#[tokio::test]
async fn alerts_wait_for_who_does_not_answer() {
    let bench = Bench::new(settings()).await;
    *bench.told.refuses.lock().expect("refuses") = 2;
    bench.twin.settle();
    bench.turn().await;
    bench.work().await;
    assert_eq!(bench.kinds(), []);
    let about = bench.service.about().await.expect("read");
    assert!(about.problems.iter().any(|problem| problem.contains("1 to webhook (busy)")), "{:?}", about.problems);
    for _ in 0..3 {
        bench.twin.pass(20);
        bench.work().await;
    }
    assert_eq!(bench.kinds(), [AlertKind::Nominated]);
    assert_eq!(bench.service.about().await.expect("read").problems, Vec::<String>::new());
}

#[tokio::test]
async fn a_chain_that_cannot_be_reached_loses_nothing() {
    let bench = Bench::new(settings()).await;
    let job = bench.twin.settle();
    bench.turn().await;
    let vote = bench.sign(job, Choice::Approve, &notary(1)).await.expect("a paper");
    bench.twin.reachable(false);
    assert!(matches!(bench.service.vote(&vote).await, Err(DeskError::Unavailable(_))));
    bench.hear().await;
    assert!(bench.service.dossier(job).await.is_ok(), "what is known is shown");
    bench.work().await;
    bench.twin.reachable(true);
    assert!(matches!(bench.service.vote(&vote).await.expect("taken").state, VoteState::Landed { .. }));
}

#[tokio::test]
async fn a_page_of_the_queue_begins_where_the_last_one_ended() {
    let bench = Bench::new(Settings { nominate: None, ..settings() }).await;
    for _ in 0..5 {
        bench.twin.settle();
        bench.twin.pass(1);
    }
    bench.turn().await;
    let mut seen = Vec::new();
    let mut filter = QueueFilter { limit: 2, ..all() };
    loop {
        let page = bench.service.queue(&filter).await.expect("a page");
        assert_eq!(page.total, 5);
        seen.extend(page.entries.iter().map(|entry| (std::cmp::Reverse(entry.risk), entry.settled_at, entry.job)));
        if !page.more {
            break;
        }
        filter.after = seen.last().map(|(.., job)| *job);
    }
    let mut sorted = seen.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!((seen.len(), seen), (5, sorted));
}

#[tokio::test]
async fn all_of_it_is_served_as_json() {
    use axum::{body::Body, http::Request};
    use tower::ServiceExt as _;

    let bench = Bench::new(settings()).await;
    let job = bench.twin.settle();
    bench.turn().await;
    let router = crate::http::router(Arc::clone(&bench.service) as Arc<dyn Desk>, Default::default());
    let ask = |method: &'static str, path: String, body: Option<serde_json::Value>| {
        let router = router.clone();
        async move {
            let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
            let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
            let response = router.oneshot(request.body(body).expect("a request")).await.expect("an answer");
            let status = response.status().as_u16();
            let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("a body");
            (status, serde_json::from_slice::<serde_json::Value>(&bytes).unwrap_or_default())
        }
    };
    let (status, about) = ask("GET", "/api/v1/about".into(), None).await;
    assert_eq!((status, &about["quorum"]), (200, &json!(2)));
    let (status, queue) = ask("GET", "/api/v1/queue?limit=5".into(), None).await;
    assert_eq!((status, &queue["entries"][0]["job"]), (200, &json!(job)));
    let (status, dossier) = ask("GET", format!("/api/v1/jobs/{job}"), None).await;
    assert_eq!((status, &dossier["stage"]), (200, &json!("voting")));
    assert_eq!(ask("GET", format!("/api/v1/jobs/{}", B256::ZERO), None).await.0, 404);
    assert_eq!(ask("GET", "/api/v1/jobs/0x12".into(), None).await.0, 400);
    assert_eq!(ask("GET", format!("/api/v1/jobs/{job}/output?path=a"), None).await.1["kind"], "directory");
    assert_eq!(ask("GET", format!("/api/v1/jobs/{job}/attestation"), None).await.0, 409);

    let wallet = notary(1);
    let asked = json!({ "choice": "approve", "text": "fine", "notary": wallet.address() });
    let (status, paper) = ask("POST", format!("/api/v1/jobs/{job}/ballot"), Some(asked)).await;
    assert_eq!((status, &paper["typed_data"]["primaryType"]), (200, &json!("Approval")));
    let digest: B256 = serde_json::from_value(paper["digest"].clone()).expect("a digest");
    let vote = SignedVote {
        job,
        round: 1,
        choice: Choice::Approve,
        notary: wallet.address(),
        text: "fine".into(),
        version: 1,
        signature: eip712::sign(&wallet, &digest).expect("signed"),
    };
    let mut changes = bench.service.changes();
    let (status, landed) = ask("POST", "/api/v1/votes".into(), Some(json!(vote))).await;
    assert_eq!((status, &landed["state"]["state"]), (200, &json!("landed")), "{landed}");
    assert_eq!(changes.recv().await.expect("told"), Change::Job(job));
    let foreign = SignedVote { notary: notary(2).address(), ..vote };
    assert_eq!(ask("POST", "/api/v1/votes".into(), Some(json!(foreign))).await.0, 409);
    assert_eq!(ask("POST", "/api/v1/votes".into(), Some(json!("x".repeat(200 << 10)))).await.0, 413);
    let (status, log) = ask("GET", "/api/v1/audit-log?from=1&limit=1".into(), None).await;
    assert_eq!((status, log["entries"].as_array().expect("entries").len()), (200, 1));
    let request = Request::builder().uri("/api/v1/changes").body(Body::empty()).expect("a request");
    let response = router.clone().oneshot(request).await.expect("an answer");
    assert_eq!(response.headers()["content-type"], "text/event-stream");
}
