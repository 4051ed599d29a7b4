#![allow(clippy::expect_used, clippy::panic, reason = "this is test code")]

mod twin;

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
}

#[async_trait]
impl Sources for Well {
    async fn inputs(&self, inputs: Vec<InputEvidence>) -> Vec<InputEvidence> {
        *self.asked.lock().expect("asked") += 1;
        let verified = |input| InputEvidence { certainty: Some(Certainty::Verified), ..input };
        inputs.into_iter().map(verified).collect()
    }

    async fn retrieval(&self, _: &SettledJob) -> Retrieval {
        let mut missing = self.missing.lock().expect("missing");
        if *missing > 0 {
            *missing -= 1;
            return Retrieval::Unavailable { why: "nobody answers".into() };
        }
        Retrieval::Verified { bytes: 5 }
    }

    async fn re_execution(&self, _: &Kept, _: &ValidatedSpec) -> ReExecution {
        ReExecution::Agrees { fuel: 7 }
    }

    async fn output(&self, _: &SettledJob, _: &str) -> Result<OutputNode, DeskError> {
        Ok(OutputNode::Directory { entries: vec![], more: false })
    }

    async fn piece(&self, _: &SettledJob) -> Result<Piece, String> {
        Ok(Piece { commitment: B256::repeat_byte(9), size: 128 })
    }

    async fn availability(&self, _: &SettledJob) -> Vec<Evidence> {
        vec![]
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

async fn open(folder: &Path, twin: &Twin, told: &Arc<Told>, sources: &Arc<Well>, settings: &Settings) -> Arc<Service> {
    let clock = {
        let twin = twin.clone();
        Arc::new(move || twin.now())
    };
    let parts = Parts {
        market: twin::market_ref(),
        asset: Asset::coin(),
        blessing: Arc::new(twin.clone()),
        sources: Arc::clone(sources) as Arc<dyn Sources>,
        deliveries: vec![Arc::new(To(Arc::clone(told)))],
        key: key(),
        clock,
        settings: settings.clone(),
    };
    Service::open(folder, parts).await.expect("a service")
}

impl Bench {
    async fn new(settings: Settings) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (twin, told, sources) = (Twin::new(), Arc::default(), Arc::default());
        let service = open(folder.path(), &twin, &told, &sources, &settings).await;
        Self { folder, twin, told, sources, settings, service, depth: 0 }
    }

    /// As if it had been killed: nothing is closed or written on the way out.
    async fn kill(&mut self) {
        self.service = open(self.folder.path(), &self.twin, &self.told, &self.sources, &self.settings).await;
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
        for job in self.service.store.to_gather(now, 100).await.expect("read") {
            self.service.gather(job).await.expect("gathered");
        }
        self.service.nominate_due().await.expect("nominated");
        self.service.votes_due().await.expect("sent");
        self.service.grant_due().await.expect("granted");
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

    /// What was delivered, in the order of its kinds.
    fn kinds(&self) -> Vec<AlertKind> {
        let mut kinds: Vec<_> = self.told.alerts.lock().expect("alerts").iter().map(|alert| alert.kind).collect();
        kinds.sort();
        kinds
    }
}

fn all() -> QueueFilter {
    QueueFilter { open: true, after: None, limit: 100 }
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
    assert_eq!((over.total, over.entries[0].job), (1, job));
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
    let log = bench.service.export_audit_log().await.expect("whole");
    audit_log::verify(&log[..], |entry| actions.push(entry.action)).expect("linked");
    for action in ["granter set", "nominated", "signed", "approved", "blessed", "attested", "granted"] {
        assert!(actions.iter().any(|found| found == action), "{action} is missing in {actions:?}");
    }
    let about = bench.service.about().await.expect("read");
    assert_eq!((about.granters[0].granted, &about.granters[0].unit[..]), (U256::from(100), "bytes"));
    assert_eq!(about.problems, Vec::<String>::new());
}

#[tokio::test]
async fn killed_after_each_step_it_does_everything_once() {
    let mut bench = Bench::new(Settings { two_approvals_from: Some(U256::from(100)), ..settings() }).await;
    let job = bench.twin.settle();
    let mut voted = 0;
    for step in 0..80 {
        match step % 8 {
            0 => bench.hear().await,
            1 => bench.service.import().await.expect("taken over"),
            2 => {
                let now = bench.service.clock();
                for job in bench.service.store.to_gather(now, 100).await.expect("read") {
                    bench.service.gather(job).await.expect("gathered");
                }
            }
            3 => {
                bench.service.nominate_due().await.expect("nominated");
            }
            4 if voted < 2 && bench.service.store.course(job).await.expect("read").phase() == Phase::Nominated => {
                bench.vote(job, Choice::Approve, voted + 1).await.expect("taken");
                voted += 1;
            }
            5 => bench.service.votes_due().await.expect("sent"),
            6 => bench.service.grant_due().await.expect("granted"),
            _ => {
                bench.service.tell_due().await.expect("told");
                bench.twin.pass(21);
            }
        }
        bench.kill().await;
    }
    assert_eq!(bench.twin.phase(job), Phase::Granted);
    assert_eq!(bench.twin.submitted(), 4, "a nomination, two votes, a grant");
    let mut actions = BTreeMap::<String, u32>::new();
    let log = bench.service.export_audit_log().await.expect("whole");
    audit_log::verify(&log[..], |entry| *actions.entry(entry.action).or_default() += 1).expect("linked");
    for (action, count) in [("nominated", 1), ("signed", 2), ("approved", 2), ("blessed", 1), ("granted", 1)] {
        assert_eq!(actions.get(action), Some(&count), "{action} in {actions:?}");
    }
    assert_eq!(bench.kinds(), [AlertKind::Nominated, AlertKind::NeedsVote, AlertKind::Blessed, AlertKind::Granted]);
}

#[tokio::test]
async fn what_was_undone_is_done_again_and_nothing_leaves_before_it_is_final() {
    let mut bench = Bench::new(settings()).await;
    let job = bench.twin.settle();
    bench.turn().await;
    assert_eq!(bench.stage(job).await, Stage::Voting);
    // From here on nothing is final.
    bench.depth = 1_000;
    let before = bench.twin.block();
    bench.vote(job, Choice::Approve, 1).await.expect("taken");
    bench.vote(job, Choice::Approve, 2).await.expect("taken");
    bench.hear().await;
    assert_eq!(bench.stage(job).await, Stage::Blessed);
    bench.twin.undo(before);
    bench.hear().await;
    assert_eq!((bench.stage(job).await, bench.twin.phase(job)), (Stage::Voting, Phase::Nominated));
    bench.twin.pass(PATIENCE + 1);
    bench.turn().await;
    assert_eq!(bench.twin.phase(job), Phase::Blessed, "the votes were sent again");
    bench.twin.pass(101);
    bench.turn().await;
    assert_eq!(bench.stage(job).await, Stage::Due);
    assert_eq!(bench.twin.phase(job), Phase::Blessed, "the blessing is not final: nothing is granted");
    assert_eq!(bench.kinds(), [AlertKind::Nominated]);
    assert!(bench.service.attestation(job).await.is_err());
    bench.depth = 0;
    bench.turn().await;
    bench.turn().await;
    assert_eq!(bench.twin.phase(job), Phase::Granted);
    assert!(bench.service.attestation(job).await.is_ok());
}

#[tokio::test]
async fn an_undone_nomination_is_made_again() {
    let mut bench = Bench::new(settings()).await;
    let job = bench.twin.settle();
    bench.hear().await;
    let before = bench.twin.block();
    bench.depth = 1_000;
    bench.work().await;
    bench.hear().await;
    assert_eq!(bench.twin.phase(job), Phase::Nominated);
    bench.twin.undo(before);
    bench.turn().await;
    assert_eq!((bench.twin.phase(job), bench.stage(job).await), (Phase::Nominated, Stage::Voting));
}

#[tokio::test]
async fn above_a_threshold_the_first_approval_is_held() {
    let mut bench = Bench::new(Settings { two_approvals_from: Some(U256::from(100)), ..settings() }).await;
    let job = bench.twin.settle();
    bench.turn().await;
    let first = bench.vote(job, Choice::Approve, 1).await.expect("taken");
    assert_eq!((first.state, bench.twin.submitted()), (VoteState::Held, 1));
    bench.kill().await;
    bench.work().await;
    assert_eq!(bench.twin.submitted(), 1, "it is held still");
    assert_eq!(bench.kinds(), [AlertKind::Nominated, AlertKind::NeedsVote]);
    // A rejection goes at once.
    bench.vote(job, Choice::Reject, 3).await.expect("taken");
    bench.hear().await;
    assert_eq!(bench.service.dossier(job).await.expect("known").against, 1);
    let second = bench.vote(job, Choice::Approve, 2).await.expect("taken");
    assert!(matches!(second.state, VoteState::Landed { .. }), "{second:?}");
    bench.turn().await;
    assert_eq!(bench.twin.phase(job), Phase::Blessed);
}

#[tokio::test]
async fn a_held_vote_of_a_notary_that_was_removed_is_void() {
    let bench = Bench::new(Settings { two_approvals_from: Some(U256::from(1)), ..settings() }).await;
    let job = bench.twin.settle();
    bench.turn().await;
    let old = bench.sign(job, Choice::Approve, &notary(1)).await.expect("a paper");
    bench.vote(job, Choice::Approve, 2).await.expect("held");
    bench.twin.set_notaries(&[2, 3, 4]);
    bench.turn().await;
    let error = bench.service.vote(&old).await.expect_err("of an older set").to_string();
    assert!(error.contains("version 1") && error.contains("2"), "{error}");
    let removed = bench.sign(job, Choice::Approve, &notary(1)).await.expect_err("removed").to_string();
    assert!(removed.contains("not a notary"), "{removed}");
    let votes = bench.service.dossier(job).await.expect("known").votes;
    assert!(matches!(&votes[0].state, VoteState::Refused { why } if why.contains("sign again")), "{votes:?}");
    // Who is still one signs again, and it counts.
    assert_eq!(bench.vote(job, Choice::Approve, 2).await.expect("held").state, VoteState::Held);
    bench.vote(job, Choice::Approve, 4).await.expect("sent");
    bench.turn().await;
    assert_eq!(bench.twin.phase(job), Phase::Blessed);
}

#[tokio::test]
async fn replayed_and_foreign_signatures_are_refused_and_the_same_one_counts_once() {
    let bench = Bench::new(settings()).await;
    let job = bench.twin.settle();
    bench.turn().await;
    let wallet = notary(1);
    let good = bench.sign(job, Choice::Approve, &wallet).await.expect("a paper");
    let nomination = bench.service.dossier(job).await.expect("known").nomination.expect("it runs");
    let reasons = ballot::reasons_digest(&good.text);
    let foreign = |chain_id, contract, choice, reasons, version| {
        let what = Signed::Vote { nomination: &nomination, choice, reasons, version };
        let digest = signed_digest(&BlessingRef { chain_id, contract }, &what);
        SignedVote { signature: eip712::sign(&wallet, &digest).expect("signed"), ..good.clone() }
    };
    let (approve, version) = (Choice::Approve, good.version);
    let wrong = [
        ("another chain", foreign(1, BLESSING, approve, reasons, version)),
        ("another contract", foreign(CHAIN, MARKET, approve, reasons, version)),
        ("another choice", foreign(CHAIN, BLESSING, Choice::Reject, reasons, version)),
        ("another reason", SignedVote { text: "I was paid".into(), ..good.clone() }),
        ("another version", foreign(CHAIN, BLESSING, approve, reasons, version + 1)),
        ("another's", SignedVote { notary: notary(2).address(), ..good.clone() }),
        ("another round", SignedVote { round: 2, ..good.clone() }),
        ("another set", SignedVote { version: version + 1, ..good.clone() }),
        ("nobody's", SignedVote { notary: Address::repeat_byte(1), ..good.clone() }),
        ("a flipped bit", {
            let mut bytes = good.signature.to_vec();
            bytes[3] ^= 1;
            SignedVote { signature: bytes.into(), ..good.clone() }
        }),
    ];
    for (what, vote) in wrong {
        let outcome = bench.service.vote(&vote).await;
        assert!(matches!(outcome, Err(DeskError::Refused(_))), "{what}: {outcome:?}");
    }
    for (what, vote) in [
        ("no signature", SignedVote { signature: Default::default(), ..good.clone() }),
        ("a huge one", SignedVote { signature: vec![1; 9_000].into(), ..good.clone() }),
        ("no reason", SignedVote { text: " \n".into(), ..good.clone() }),
        ("a long one", SignedVote { text: "x".repeat(5_000), ..good.clone() }),
    ] {
        assert!(matches!(bench.service.vote(&vote).await, Err(DeskError::Invalid(_))), "{what}");
    }
    let unknown = SignedVote { job: JobId(B256::ZERO), ..good.clone() };
    assert!(matches!(bench.service.vote(&unknown).await, Err(DeskError::NotFound(_))));
    assert_eq!(bench.twin.submitted(), 1, "nothing of that was sent");
    assert_eq!(bench.service.store.votes(job).await.expect("read"), [], "nor kept");

    for _ in 0..3 {
        assert!(matches!(
            bench.service.vote(&good).await.expect("taken").state,
            VoteState::Landed { .. } | VoteState::Sending
        ));
    }
    bench.hear().await;
    assert!(matches!(bench.service.vote(&good).await.expect("taken").state, VoteState::Landed { .. }));
    assert_eq!(bench.twin.submitted(), 2, "it was sent once");
    let twice = bench.sign(job, Choice::Reject, &wallet).await.expect_err("voted").to_string();
    assert!(twice.contains("has voted"), "{twice}");
}

#[tokio::test]
async fn a_party_may_not_vote_and_is_told_so_before_it_signs() {
    let bench = Bench::new(settings()).await;
    bench.twin.set_notaries(&[1, 2, 5]);
    let recipient = notary(5).address();
    let register = lota_market::blessing::Command::Register {
        granter: GRANTER,
        recipient: recipient.to_vec().into(),
        share_rate: U256::ZERO,
        max_share: AttoFil::ZERO,
    };
    bench.twin.bless(PROVIDER, AttoFil::ZERO, register);
    let job = bench.twin.settle();
    bench.turn().await;
    let error = bench.sign(job, Choice::Approve, &notary(5)).await.expect_err("a party").to_string();
    assert!(error.contains("is a party"), "{error}");
    let early = bench.sign(job, Choice::Revoke, &notary(1)).await.expect_err("not blessed").to_string();
    assert!(early.contains("Nominated"), "{early}");
    bench.twin.pass(1_001);
    bench.hear().await;
    assert!(matches!(bench.sign(job, Choice::Approve, &notary(1)).await, Err(DeskError::Refused(_))), "too late");
}

#[tokio::test]
async fn a_failing_granter_is_tried_again_until_its_time_is_over() {
    for recovers in [true, false] {
        let bench = Bench::new(settings()).await;
        let job = bench.twin.settle();
        bench.turn().await;
        bench.twin.granter_fails(true);
        bench.vote(job, Choice::Approve, 1).await.expect("taken");
        bench.vote(job, Choice::Approve, 2).await.expect("taken");
        bench.hear().await;
        bench.twin.pass(101);
        bench.turn().await;
        let about = bench.service.about().await.expect("read");
        assert!(about.problems.iter().any(|problem| problem.contains("0xdeadbeef")), "{:?}", about.problems);
        bench.turn().await;
        let failures = |dossier: crate::desk::Dossier| {
            dossier.happened.iter().filter(|happened| happened.what.contains("0xdeadbeef")).count()
        };
        assert_eq!(failures(bench.service.dossier(job).await.expect("known")), 1, "it waits before it tries again");
        bench.twin.pass(FIRST_RETRY);
        bench.turn().await;
        assert_eq!(failures(bench.service.dossier(job).await.expect("known")), 2);
        bench.twin.granter_fails(!recovers);
        if recovers {
            bench.twin.pass(2 * FIRST_RETRY);
            bench.turn().await;
            assert_eq!(bench.twin.phase(job), Phase::Granted);
        } else {
            bench.twin.pass(2_000);
            bench.turn().await;
            assert_eq!(bench.stage(job).await, Stage::Ended(End::Lapsed));
        }
        bench.turn().await;
        assert_eq!(bench.service.about().await.expect("read").problems, Vec::<String>::new());
        let ended = if recovers { AlertKind::Granted } else { AlertKind::Ended };
        assert!(bench.kinds().contains(&ended));
        assert_eq!(bench.kinds().iter().filter(|kind| **kind == AlertKind::GrantFailed).count(), 2);
    }
}

const FIRST_RETRY: u64 = 31;

#[tokio::test]
async fn what_nobody_decides_expires_and_is_not_nominated_again() {
    let bench = Bench::new(settings()).await;
    let job = bench.twin.settle();
    bench.turn().await;
    bench.twin.pass(1_001);
    bench.turn().await;
    assert_eq!(bench.stage(job).await, Stage::Ended(End::Expired));
    bench.twin.pass(10_000);
    bench.turn().await;
    assert_eq!((bench.twin.phase(job), bench.twin.submitted()), (Phase::None, 2));
    let over = bench.service.queue(&QueueFilter { open: false, ..all() }).await.expect("a page");
    assert_eq!(over.entries[0].stage, Stage::Ended(End::Expired));
}

#[tokio::test]
async fn the_policy_decides_what_is_nominated_and_the_dossier_says_why_not() {
    let risky = NominationPolicy { most_risk: Risk::Low, ..settings().nominate.expect("it nominates") };
    let none = NominationPolicy { per_day: 1, ..settings().nominate.expect("it nominates") };
    for (nominate, expected) in [
        (None, "by itself"),
        (Some(risky), "its risk is"),
        (Some(NominationPolicy { granter: BLESSING, ..none.clone() }), "registered no recipient"),
        (Some(NominationPolicy { bounty: AttoFil(u128::MAX / 4), ..none.clone() }), "fund it"),
        (Some(NominationPolicy { amount: Amount::PerByte(U256::from(1_000)), ..none.clone() }), "PerJob"),
    ] {
        let bench = Bench::new(Settings { nominate, ..settings() }).await;
        let job = bench.twin.settle();
        bench.turn().await;
        let dossier = bench.service.dossier(job).await.expect("known");
        assert_eq!((dossier.stage, bench.twin.submitted()), (Stage::NotNominated, 0));
        let why = dossier.not_nominated.expect("a reason");
        assert!(why.contains(expected), "{why}");
    }
    let bench = Bench::new(Settings { nominate: Some(none), ..settings() }).await;
    bench.twin.settle();
    let second = bench.twin.settle();
    bench.turn().await;
    assert_eq!(bench.twin.submitted(), 1, "one a day");
    bench.twin.pass(24 * 60 * 60 + 1);
    bench.turn().await;
    assert_eq!(bench.stage(second).await, Stage::Voting, "the next day");
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
async fn a_granter_s_limits_are_shown_and_wait_for_the_next_period() {
    let bench = Bench::new(settings()).await;
    let few = U256::from(100);
    bench.twin.admit(Limits { per_job: few, per_provider: few, per_period: few });
    let jobs = [bench.twin.settle(), bench.twin.settle()];
    bench.turn().await;
    for job in jobs {
        bench.vote(job, Choice::Approve, 1).await.expect("taken");
        bench.vote(job, Choice::Approve, 2).await.expect("taken");
    }
    bench.hear().await;
    bench.twin.pass(101);
    bench.turn().await;
    let granted = jobs.iter().filter(|job| bench.twin.phase(**job) == Phase::Granted).count();
    assert_eq!(granted, 1);
    let about = bench.service.about().await.expect("read");
    assert_eq!(about.granters[0].granted, few);
    assert!(about.problems.iter().any(|problem| problem.contains("PerProvider")), "{:?}", about.problems);
}

#[tokio::test]
async fn a_log_whose_end_was_cut_off_is_refused() {
    let bench = Bench::new(settings()).await;
    bench.turn().await;
    bench.service.note("0x01", "signed in", "session").await.expect("noted");
    let path = bench.folder.path().join(crate::audit_file::FILE);
    let whole = std::fs::read_to_string(&path).expect("text");
    let cut: String = whole.lines().take(whole.lines().count() - 1).map(|line| format!("{line}\n")).collect();
    std::fs::write(&path, cut).expect("written");
    let parts = Parts {
        market: twin::market_ref(),
        asset: Asset::coin(),
        blessing: Arc::new(bench.twin.clone()),
        sources: Arc::clone(&bench.sources) as Arc<dyn Sources>,
        deliveries: vec![],
        key: key(),
        clock: Arc::new(|| Time(0)),
        settings: settings(),
    };
    assert!(matches!(Service::open(bench.folder.path(), parts).await, Err(ServiceError::AuditCut { .. })));
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
    let mut filter = QueueFilter { open: true, after: None, limit: 2 };
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
    let router = crate::http::router(Arc::clone(&bench.service) as Arc<dyn Desk>);
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
