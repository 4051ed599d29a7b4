//! What is found out of a job: in which order, how often, and how old it is.

use super::{
    super::gathering::{Busy, Dated, Gathered},
    *,
};
use crate::{
    desk::{Decision, LookedAt},
    other_notary::{Answer, Request, sign_answer},
    testing::nobody,
};

fn line(value: &str) -> Vec<Evidence> {
    vec![Evidence { label: "record".into(), value: value.into() }]
}

async fn proofs(bench: &Bench, job: JobId) -> (Vec<Evidence>, Option<Time>) {
    let dossier = bench.service.dossier(job).await.expect("known");
    (dossier.availability, dossier.looked_at.proofs)
}

#[tokio::test]
async fn proofs_are_looked_at_again_while_it_is_voted_on() {
    let bench = Bench::new(settings()).await;
    bench.sources.proofs.lock().expect("proofs").0 = line("not proven yet");
    let job = bench.twin.settle();
    bench.turn().await;
    let first = bench.twin.now();
    assert_eq!(proofs(&bench, job).await, (line("not proven yet"), Some(first)));
    let at = Some(first);
    let all = LookedAt { inputs: at, output: at, re_execution: at, proofs: at };
    assert_eq!(bench.service.dossier(job).await.expect("known").looked_at, all);

    bench.sources.proofs.lock().expect("proofs").0 = line("proven");
    bench.twin.pass(599);
    bench.turn().await;
    assert_eq!(proofs(&bench, job).await.0, line("not proven yet"), "it was looked at lately");
    bench.twin.pass(1);
    bench.turn().await;
    assert_eq!(proofs(&bench, job).await, (line("proven"), Some(first.after(600))), "nobody had to look");
    assert_eq!(bench.service.dossier(job).await.expect("known").looked_at.output, at, "that was not fetched again");
}

#[tokio::test]
async fn proofs_of_what_is_not_nominated_are_looked_at_when_somebody_looks() {
    let bench = Bench::new(Settings { nominate: None, ..settings() }).await;
    let job = bench.twin.settle();
    bench.turn().await;
    let asked = || bench.sources.proofs.lock().expect("proofs").1;
    assert_eq!(asked(), 1);
    for (seconds, is_viewed, times) in [(600, false, 1), (1, true, 2), (300, true, 2), (300, true, 3)] {
        bench.twin.pass(seconds);
        for _ in 0..5 {
            if is_viewed {
                bench.service.dossier(job).await.expect("known");
            }
            bench.work().await;
        }
        assert_eq!(asked(), times, "{seconds}");
    }
}

#[tokio::test]
async fn what_is_found_out_at_once_is_all_kept() {
    let bench = Bench::new(Settings { nominate: None, ..settings() }).await;
    let gate = Arc::new((Notify::new(), Notify::new()));
    *bench.sources.gate.lock().expect("gate") = Some(Arc::clone(&gate));
    let job = bench.twin.settle();
    bench.hear().await;
    let meanwhile = async {
        gate.0.notified().await;
        let change = |found: &mut Gathered| found.inputs = Some(Dated { at: Time(7), found: vec![] });
        bench.service.store.change_gathered(job, change).await.expect("kept");
        gate.1.notify_one();
    };
    let (gathered, ()) = tokio::join!(bench.service.gather(job), meanwhile);
    gathered.expect("gathered");
    let gathered = bench.service.gathered(job).await.expect("read");
    assert!(gathered.retrieval.is_some() && gathered.piece.is_some() && gathered.re_execution.is_some());
    assert_eq!(gathered.inputs.map(|dated| dated.at), Some(Time(7)), "what others found out meanwhile stays");

    // And in the records themselves.
    let changes = (0..50_u64).map(|number| {
        bench.service.store.change_gathered(job, move |found: &mut Gathered| {
            let inputs = found.inputs.get_or_insert_with(|| Dated { at: Time(0), found: vec![] });
            inputs.at = Time(inputs.at.0 + (1 << number));
        })
    });
    let before = bench.service.gathered(job).await.expect("read").inputs.expect("found").at;
    for outcome in futures::future::join_all(changes).await {
        outcome.expect("changed");
    }
    let after = bench.service.gathered(job).await.expect("read").inputs.expect("found").at;
    assert_eq!(after.0 - before.0, (1 << 50) - 1, "none is lost");
}

#[tokio::test]
async fn what_could_not_be_run_now_is_run_later() {
    let bench = Bench::new(Settings { nominate: None, ..settings() }).await;
    let not_now = ReExecution::NotNow { why: "the disk is full".into() };
    *bench.sources.not_run.lock().expect("not_run") = vec![not_now.clone(), ReExecution::Pending, not_now];
    let job = bench.twin.settle();
    let check = || async {
        let checks = bench.service.dossier(job).await.expect("known").checks;
        checks.into_iter().find(|check| check.question == Question::ReExecution).expect("asked")
    };
    bench.turn().await;
    let found = check().await;
    assert_eq!((found.outcome, found.evidence[0].value.as_str()), (Outcome::Unknown, "the disk is full"));
    for _ in 0..3 {
        bench.twin.pass(300);
        bench.turn().await;
    }
    assert_eq!(check().await.outcome, Outcome::Passed);
}

#[tokio::test]
async fn nominating_fetches_nothing_and_has_what_is_missing_gathered() {
    let most_risk = NominationPolicy { most_risk: Risk::High, ..settings().nominate.expect("it nominates") };
    let bench = Bench::new(Settings { nominate: Some(most_risk), ..settings() }).await;
    *bench.sources.missing.lock().expect("missing") = 1;
    let job = bench.twin.settle();
    bench.turn().await;
    let fetched = || *bench.sources.fetched.lock().expect("fetched");
    let why = bench.service.dossier(job).await.expect("known").not_nominated.expect("a reason");
    assert!(why.contains("not fetched whole"), "{why}");
    bench.twin.pass(10 * 60);
    let before = fetched();
    assert_eq!(bench.service.nominate_due().await.expect("considered"), 1);
    assert_eq!(fetched(), before);
    bench.turn().await;
    assert_eq!((fetched(), bench.stage(job).await), (before + 1, Stage::Voting));

    // One whose piece was forgotten, though nothing else is missing.
    let second = bench.twin.settle();
    bench.hear().await;
    bench.service.gather(second).await.expect("gathered");
    bench.service.store.change_gathered(second, |found: &mut Gathered| found.piece = None).await.expect("changed");
    bench.turn().await;
    assert_eq!(bench.stage(second).await, Stage::NotNominated);
    bench.turn().await;
    assert_eq!(bench.stage(second).await, Stage::Voting, "it was fetched again");
}

#[tokio::test]
async fn of_a_party_one_job_is_gathered_at_a_time_and_retries_leave_room() {
    let bench = Bench::new(Settings { nominate: None, ..settings() }).await;
    *bench.sources.missing.lock().expect("missing") = 1;
    let first = bench.twin.settle();
    bench.turn().await;
    let second = bench.twin.settle();
    bench.hear().await;
    bench.twin.pass(1_000);
    let due = bench.service.store.to_gather(bench.twin.now(), 10).await.expect("read");
    assert_eq!(due, [(second, 0), (first, 1)], "what was never tried comes first");
    let stranger = |number: u8, is_retry| {
        let party = |of: u8| lota_market::Address::with_last_byte(100 + 2 * number + of);
        (JobId(B256::repeat_byte(number)), Busy { parties: [party(0), party(1)], is_retry })
    };
    let next = async |busy: Vec<(JobId, Busy)>| -> Vec<JobId> {
        let next = bench.service.next_to_gather(&busy.into_iter().collect()).await.expect("read");
        next.into_iter().map(|(job, _)| job).collect()
    };
    assert_eq!(next(vec![]).await, [second], "they share their parties");
    let theirs = Busy { parties: [PROVIDER, lota_market::Address::ZERO], is_retry: false };
    assert_eq!(next(vec![(JobId(B256::ZERO), theirs)]).await, []);
    // Only retries are left.
    bench.service.gather(second).await.expect("gathered");
    bench.twin.pass(1_000);
    assert_eq!(next(vec![stranger(1, false), stranger(2, false), stranger(3, true)]).await, [first]);
    assert_eq!(next(vec![stranger(1, true), stranger(2, true)]).await, [], "half of four are retries");
    assert_eq!(next((1..=4).map(|number| stranger(number, false)).collect()).await, []);
}

/// What the registry says of each input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sure(pub(super) Option<Certainty>);

impl Default for Sure {
    fn default() -> Self {
        Self(Some(Certainty::Verified))
    }
}

#[tokio::test]
async fn what_a_registry_said_long_ago_is_asked_again_when_a_notary_looks() {
    let bench = Bench::new(settings()).await;
    let job = bench.twin.settle();
    bench.turn().await;
    assert_eq!(bench.stage(job).await, Stage::Voting);
    let asked = || *bench.sources.asked.lock().expect("asked");
    let says = |certainty| *bench.sources.certainty.lock().expect("certainty") = Sure(certainty);
    let check = async || {
        let dossier = bench.service.dossier(job).await.expect("known");
        let check = dossier.checks.into_iter().find(|check| check.question == Question::FilPlusData).expect("asked");
        (check.outcome, dossier.looked_at.inputs.expect("asked"))
    };
    let (outcome, first) = check().await;
    assert_eq!((asked(), outcome), (1, Outcome::Passed));
    says(Some(Certainty::Ended));
    for (seconds, opens, times) in [(3_599, true, 1), (1, false, 1), (0, true, 2), (3_000, true, 2)] {
        bench.twin.pass(seconds);
        for _ in 0..3 {
            check().await;
            if opens {
                bench.service.opened(job);
            }
            bench.work().await;
        }
        assert_eq!(asked(), times, "{seconds}");
    }
    let (outcome, second) = check().await;
    assert_eq!((outcome, second), (Outcome::Warning, first.after(3_600)), "the claim is gone");

    // A registry that does not answer takes nothing back.
    says(None);
    bench.twin.pass(600);
    bench.service.opened(job);
    bench.work().await;
    assert_eq!((asked(), check().await), (3, (Outcome::Warning, second)));
}

#[tokio::test]
async fn what_was_given_up_is_tried_again_when_a_notary_looks() {
    let bench = Bench::new(Settings { nominate: None, ..settings() }).await;
    *bench.sources.missing.lock().expect("missing") = u32::MAX;
    let job = bench.twin.settle();
    bench.turn().await;
    let fetched = || *bench.sources.fetched.lock().expect("fetched");
    for _ in 0..30 {
        bench.twin.pass(7 * 60 * 60);
        bench.turn().await;
    }
    assert_eq!(fetched(), 20, "it was given up");
    for times in [21, 21] {
        bench.service.opened(job);
        bench.work().await;
        bench.work().await;
        assert_eq!(fetched(), times);
    }
    bench.twin.pass(3_600);
    bench.service.opened(job);
    bench.work().await;
    bench.work().await;
    assert_eq!(fetched(), 22);
}

const ANSWERED_AT: Time = Time(1_000_000);

fn their_key() -> SigningKey {
    SigningKey::from_bytes(&[8; 32])
}

#[tokio::test]
async fn another_notary_s_answer_is_shown_noted_and_told_once() {
    let mut bench = Bench::new(settings()).await;
    let requests = bench.folder.path().join("other-notary");
    let url = format!("http://{}/requests", nobody().await);
    let trusted = vec![their_key().verifying_key()];
    let notary = Arc::new(OtherNotary::open(&url, key(), trusted, &requests, || ANSWERED_AT).expect("opened"));
    let with = (Some(Arc::clone(&notary)), None);
    bench.service =
        open_with(bench.folder.path(), &bench.twin, &bench.told, &bench.sources, &bench.settings, with).await;
    let job = bench.twin.settle();
    bench.turn().await;
    let dossier = bench.service.dossier(job).await.expect("known");
    assert_eq!(dossier.asked, None);
    let request = Request {
        asked_at: ANSWERED_AT,
        answer_by: ANSWERED_AT.after(100),
        blessing: bench.service.parts.blessing.blessing(),
        nomination: dossier.nomination.expect("it runs"),
        job: dossier.job,
        checks: vec![],
        risk: Risk::Low,
        callback: None,
    };
    let id = notary.ask(&request).await.expect("kept");
    let asked = bench.service.dossier(job).await.expect("known").asked.expect("it was asked");
    assert_eq!((asked.round, asked.at, asked.is_sent, asked.answer), (1, ANSWERED_AT, false, None));
    bench.service.ask(&notary).await;
    let problems = bench.service.about().await.expect("read").problems;
    assert!(problems.len() == 1 && problems[0].starts_with("another notary: "), "{problems:?}");

    let answer = Answer {
        request: id,
        decision: Decision::Granted,
        amount: Some(U256::from(5)),
        reason: "<b>yes</b>".into(),
        transaction: None,
        at: ANSWERED_AT,
    };
    let bytes = serde_json::to_vec(&sign_answer(&answer, &their_key()).expect("signed")).expect("JSON");
    notary.accept(&bytes).await.expect("taken");
    for _ in 0..2 {
        bench.service.take_answers(&notary).await.expect("taken");
        bench.work().await;
    }
    let asked = bench.service.dossier(job).await.expect("known").asked.expect("it was asked");
    let found = asked.answer.expect("it came");
    assert_eq!((found.decision, found.amount, found.reason.as_str()), (Decision::Granted, answer.amount, "<b>yes</b>"));
    let their_name = attestation::did_key(&their_key().verifying_key());
    assert_eq!((found.key.as_str(), found.at), (their_name.as_str(), ANSWERED_AT));
    assert_eq!(bench.kinds(), [AlertKind::Nominated, AlertKind::Answered]);
    let mut noted = Vec::new();
    let log = bench.log().await;
    audit_log::verify(&log[..], |entry| noted.push(entry)).expect("linked");
    noted.retain(|entry| entry.action == "another notary answered");
    assert_eq!((noted.len(), noted[0].actor.as_str(), &noted[0].subject), (1, their_name.as_str(), &job.to_string()));
    assert_eq!(noted[0].details["reason"], "<b>yes</b>");
}
