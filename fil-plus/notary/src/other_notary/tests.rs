use std::sync::{Arc, Mutex as StdMutex};

use axum::{
    Router,
    body::Bytes,
    extract::{Path as UrlPath, State},
    http::StatusCode,
    response::IntoResponse as _,
    routing::{get, post},
};
use lota_market::{Address, AttoFil};

use super::*;
use crate::{
    alerts::{Alert, AlertKind, Deliver as _, DeliverError},
    desk::{DeskError, Dossier, LookedAt, Stage},
    testing::{nobody, serve},
};

const NOW: Time = Time(1_000_000);

fn now() -> Time {
    NOW
}

fn later() -> Time {
    Time(NOW.0 + 10_000)
}

fn our_key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn their_key() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

fn request(job: u8, round: u32) -> Request {
    let (job, address) = (JobId(B256::repeat_byte(job)), Address::repeat_byte(3));
    Request {
        asked_at: NOW,
        answer_by: Time(NOW.0 + 5_000),
        blessing: BlessingRef { chain_id: 314, contract: address },
        nomination: Nomination {
            job,
            round,
            client: address,
            provider: address,
            matcher: address,
            arbiter: address,
            nominator: address,
            granter: address,
            recipient: vec![0, 7].into(),
            amount: U256::from(1_u64 << 40),
            piece: B256::repeat_byte(5),
            piece_size: 128,
            share: AttoFil(0),
            bounty: AttoFil(0),
            expires: Time(NOW.0 + 9_000),
        },
        job: SettledJob {
            job,
            client: address,
            provider: address,
            price: AttoFil(1),
            settled_at: Time(1),
            spec: B256::repeat_byte(6),
            output: B256::repeat_byte(7),
            exit_code: 0,
        },
        checks: vec![],
        risk: Risk::Low,
        callback: None,
    }
}

/// Another notary, which believes nobody but us.
#[derive(Default)]
struct Theirs {
    asked: Vec<(B256, Request)>,
    /// What it answers when it is polled.
    answers: Vec<(B256, Vec<u8>)>,
    /// It forgets what it was asked.
    forgets: bool,
}

type Shared = Arc<StdMutex<Theirs>>;

async fn theirs() -> (String, Shared) {
    let shared = Shared::default();
    let ask = |State(shared): State<Shared>, body: Bytes| async move {
        let Ok(statement) = attestation::verify::<Request>(&body, &[our_key().verifying_key()]) else {
            return StatusCode::UNAUTHORIZED;
        };
        assert_eq!(statement.predicate_type, REQUEST_TYPE);
        let digests: Vec<&str> = statement.subject.iter().map(|subject| subject.digest.sha256.as_str()).collect();
        assert_eq!(digests, ["06".repeat(32), "07".repeat(32)]);
        let envelope: Envelope = serde_json::from_slice(&body).expect("an envelope");
        let id = B256::from(envelope.digest().expect("a statement"));
        shared.lock().expect("the lock").asked.push((id, statement.predicate));
        StatusCode::ACCEPTED
    };
    let answer = |State(shared): State<Shared>, UrlPath(id): UrlPath<String>| async move {
        let id: B256 = format!("0x{id}").parse().expect("an id");
        let theirs = shared.lock().expect("the lock");
        if theirs.forgets || !theirs.asked.iter().any(|(asked, _)| *asked == id) {
            return StatusCode::NOT_FOUND.into_response();
        }
        match theirs.answers.iter().find(|(answered, _)| *answered == id) {
            Some((_, bytes)) => bytes.clone().into_response(),
            None => StatusCode::ACCEPTED.into_response(),
        }
    };
    let router =
        Router::new().route("/requests", post(ask)).route("/requests/{id}", get(answer)).with_state(shared.clone());
    (format!("http://{}/requests", serve(router).await), shared)
}

fn open(url: &str, folder: &tempfile::TempDir, clock: fn() -> Time) -> OtherNotary {
    OtherNotary::open(url, our_key(), vec![their_key().verifying_key()], folder.path(), clock).expect("opened")
}

fn granted(request: B256) -> Answer {
    Answer {
        request,
        decision: Decision::Granted,
        amount: Some(U256::from(1_u64 << 40)),
        reason: "it is what it says".to_owned(),
        transaction: Some("bafy2bza".to_owned()),
        at: Time(NOW.0 + 1),
    }
}

async fn answer_of(notary: &OtherNotary, request: &Request) -> Option<Answer> {
    let answered = notary.answered(&request.blessing).await;
    let of = |answered: &Answered| (answered.job, answered.round) == (request.job.job, request.nomination.round);
    answered.into_iter().find(of).map(|answered| answered.answer)
}

fn signed(answer: &Answer, key: &SigningKey) -> Vec<u8> {
    serde_json::to_vec(&sign_answer(answer, key).expect("signed")).expect("JSON")
}

#[tokio::test]
async fn a_request_is_asked_once_and_its_answer_polled_for() {
    let (folder, (url, theirs)) = (tempfile::tempdir().expect("a folder"), theirs().await);
    let notary = open(&url, &folder, now);
    let mut answers = notary.answers();
    let id = notary.ask(&request(1, 1)).await.expect("asked");
    assert_eq!(notary.ask(&request(1, 1)).await.expect("the same"), id);
    assert_ne!(notary.ask(&request(1, 2)).await.expect("another round"), id);
    assert_eq!(theirs.lock().expect("the lock").asked.len(), 2);
    assert_eq!(theirs.lock().expect("the lock").asked[0], (id, request(1, 1)));

    assert_eq!(notary.advance().await, Vec::<String>::new());
    assert_eq!(answer_of(&notary, &request(1, 1)).await, None, "it has not decided");
    theirs.lock().expect("the lock").answers.push((id, signed(&granted(id), &their_key())));
    assert_eq!(notary.advance().await, Vec::<String>::new());
    let answered = answers.try_recv().expect("it was told");
    assert_eq!((answered.job, answered.round, &answered.answer), (request(1, 1).job.job, 1, &granted(id)));
    assert_eq!(answered.key, attestation::did_key(&their_key().verifying_key()));
    assert_eq!(notary.answered(&request(1, 1).blessing).await, [answered]);
    assert_eq!(answer_of(&notary, &request(1, 2)).await, None);
    drop(notary);

    let again = open(&url, &folder, now);
    assert_eq!(answer_of(&again, &request(1, 1)).await, Some(granted(id)), "after a restart, too");
    let Request { blessing, job, answer_by, .. } = request(1, 1);
    let asked = again.asked(&blessing, job.job, 1).await.expect("it was");
    assert_eq!(
        (asked.server.as_str(), asked.at, asked.answer_by, asked.is_sent),
        (&url[7..url.len() - 9], NOW, answer_by, true)
    );
    let answer = asked.answer.expect("it came");
    assert_eq!(
        (answer.decision, answer.reason.as_str(), answer.at),
        (Decision::Granted, "it is what it says", granted(id).at)
    );
    let other_chain = BlessingRef { chain_id: 1, ..blessing };
    assert_eq!(again.asked(&other_chain, job.job, 1).await, None, "what is asked on another chain is another question");
    assert_eq!(again.answered(&other_chain).await, []);
    assert_eq!(again.ask(&request(1, 1)).await.expect("the same"), id);
    assert_eq!(theirs.lock().expect("the lock").asked.len(), 2);
}

#[tokio::test]
async fn what_could_not_be_sent_is_sent_later_and_what_was_lost_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let away = open(&format!("http://{}", nobody().await), &folder, now);
    let id = away.ask(&request(1, 1)).await.expect("kept");
    assert!(away.advance().await[0].contains("cannot be asked"));
    drop(away);
    let (url, theirs) = theirs().await;
    let notary = open(&url, &folder, now);
    assert_eq!(notary.advance().await, Vec::<String>::new());
    assert_eq!(theirs.lock().expect("the lock").asked[0].0, id);

    theirs.lock().expect("the lock").forgets = true;
    notary.advance().await;
    theirs.lock().expect("the lock").forgets = false;
    notary.advance().await;
    assert_eq!(theirs.lock().expect("the lock").asked.len(), 2, "it was asked again");
    theirs.lock().expect("the lock").answers.push((id, signed(&granted(id), &their_key())));
    notary.advance().await;
    assert_eq!(answer_of(&notary, &request(1, 1)).await, Some(granted(id)));
}

#[tokio::test]
async fn only_the_trusted_notary_s_answers_to_this_request_are_taken() {
    let (folder, (url, _theirs)) = (tempfile::tempdir().expect("a folder"), theirs().await);
    let notary = open(&url, &folder, now);
    let (one, two) = (request(1, 1), request(2, 1));
    let id = notary.ask(&one).await.expect("asked");
    let other = notary.ask(&two).await.expect("asked");
    let strange = B256::repeat_byte(9);

    let error = notary.accept(&signed(&granted(id), &our_key())).await.expect_err("our own key is not theirs");
    assert!(matches!(error, AnswerError::NotBelieved(AttestationError::NotSigned { .. })), "{error}");
    assert!(matches!(notary.accept(&signed(&granted(strange), &their_key())).await, Err(AnswerError::NotAsked(_))));
    assert!(matches!(notary.accept(b"{}").await, Err(AnswerError::NotBelieved(_))));
    assert!(matches!(notary.accept(&vec![b' '; MAX_ANSWER + 1]).await, Err(AnswerError::NotBelieved(_))));

    // Signed by them, and about something else.
    let subject = |name: &str, digest: B256| Subject {
        name: name.to_owned(),
        digest: SubjectDigest { sha256: hex::encode(digest) },
    };
    for (subjects, kind) in [
        (vec![subject("request", other)], ANSWER_TYPE),
        (vec![subject("output", id)], ANSWER_TYPE),
        (vec![], ANSWER_TYPE),
        (vec![subject("request", id)], REQUEST_TYPE),
    ] {
        let envelope = attestation::sign(&Statement::new(subjects, kind, granted(id)), &their_key()).expect("signed");
        let bytes = serde_json::to_vec(&envelope).expect("JSON");
        assert!(matches!(notary.accept(&bytes).await, Err(AnswerError::NoAnswer(_))), "{envelope:?}");
    }
    for amount in [None, Some(U256::ZERO)] {
        let bytes = signed(&Answer { amount, ..granted(id) }, &their_key());
        assert!(matches!(notary.accept(&bytes).await, Err(AnswerError::NoAnswer(_))));
    }
    for at in [Time(NOW.0 - 1_000), Time(NOW.0 + 1_000)] {
        let bytes = signed(&Answer { at, ..granted(id) }, &their_key());
        assert!(matches!(notary.accept(&bytes).await, Err(AnswerError::Clock { .. })));
    }
    assert_eq!(answer_of(&notary, &one).await, None, "nothing of it was taken");

    let bytes = signed(&granted(id), &their_key());
    assert_eq!(notary.accept(&bytes).await.expect("taken").answer, granted(id));
    assert_eq!(notary.accept(&bytes).await.expect("the same again").answer, granted(id));
    let refused = Answer { decision: Decision::Refused, amount: None, ..granted(id) };
    assert!(matches!(notary.accept(&signed(&refused, &their_key())).await, Err(AnswerError::Contradicts)));
    assert_eq!(answer_of(&notary, &one).await, Some(granted(id)));
    assert_eq!(answer_of(&notary, &two).await, None);
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_not_taken_nor_asked_for() {
    let (folder, (url, theirs)) = (tempfile::tempdir().expect("a folder"), theirs().await);
    let id = open(&url, &folder, now).ask(&request(1, 1)).await.expect("asked");
    theirs.lock().expect("the lock").answers.push((id, signed(&granted(id), &their_key())));
    let late = open(&url, &folder, later);
    assert_eq!(late.advance().await, Vec::<String>::new());
    assert!(matches!(late.accept(&signed(&granted(id), &their_key())).await, Err(AnswerError::TooLate { .. })));
    assert_eq!(answer_of(&late, &request(1, 1)).await, None);
}

#[tokio::test]
async fn a_server_that_answers_another_request_is_told_of() {
    let (folder, (url, theirs)) = (tempfile::tempdir().expect("a folder"), theirs().await);
    let notary = open(&url, &folder, now);
    let id = notary.ask(&request(1, 1)).await.expect("asked");
    theirs.lock().expect("the lock").answers.push((id, b"<html>".to_vec()));
    let problems = notary.advance().await;
    assert!(problems.len() == 1 && problems[0].contains("an answer that is not taken"), "{problems:?}");
}

/// A service that knows one job, or why it does not.
struct Known(Option<DeskError>);

#[async_trait::async_trait]
impl Dossiers for Known {
    async fn dossier_of(&self, job: JobId) -> Result<Dossier, DeskError> {
        if let Some(error) = &self.0 {
            return Err(error.clone());
        }
        let request = request(1, 1);
        assert_eq!(job, request.job.job);
        Ok(Dossier {
            job: request.job,
            stage: Stage::Granted,
            risk: Risk::Medium,
            checks: vec![],
            spec: None,
            output: String::new(),
            nomination: None,
            policy_amount: None,
            not_nominated: None,
            phase: lota_market::blessing::Phase::Granted,
            approvals: 1,
            against: 0,
            revocations: 0,
            piece: None,
            voters: vec![],
            votes: vec![],
            happened: vec![],
            availability: vec![],
            looked_at: LookedAt::default(),
            asked: None,
            payment: None,
        })
    }
}

#[tokio::test]
async fn a_grant_of_a_granter_that_only_asks_becomes_one_request() {
    let (folder, (url, theirs)) = (tempfile::tempdir().expect("a folder"), theirs().await);
    let notary = Arc::new(open(&url, &folder, now));
    let request = request(1, 1);
    let granter = request.nomination.granter;
    let settings = AskSettings {
        granters: [granter].into(),
        blessing: request.blessing,
        answer_within: 5_000,
        callback: Some("https://us.example/answers".to_owned()),
    };
    let asking = AskOnGrant::new("another notary", notary, settings.clone());
    let alert = |kind, granter: Address| Alert {
        id: "1".to_owned(),
        at: NOW,
        kind,
        job: Some(request.job.job),
        text: String::new(),
        details: serde_json::json!({ "granter": granter, "nomination": request.nomination }),
    };
    let granted = alert(AlertKind::Granted, granter);
    for other in [alert(AlertKind::Blessed, granter), alert(AlertKind::Granted, Address::repeat_byte(9))] {
        asking.deliver(&other).await.expect("nothing to do");
    }
    assert!(matches!(asking.deliver(&granted).await, Err(DeliverError::Temporary(_))), "nobody was attached");
    // A job that is not known may be known later: the market's history may be behind.
    for error in [DeskError::Unavailable("the disk is slow".to_owned()), DeskError::NotFound("no such job".to_owned())]
    {
        let slow: Arc<dyn Dossiers> = Arc::new(Known(Some(error)));
        let hasty = AskOnGrant::new("x", Arc::new(open(&url, &folder, now)), settings.clone());
        hasty.attach(Arc::downgrade(&slow));
        assert!(matches!(hasty.deliver(&granted).await, Err(DeliverError::Temporary(_))));
    }
    let known: Arc<dyn Dossiers> = Arc::new(Known(None));
    asking.attach(Arc::downgrade(&known));
    for _ in 0..2 {
        asking.deliver(&granted).await.expect("asked");
    }
    let theirs = theirs.lock().expect("the lock");
    let [(_, asked)] = theirs.asked.as_slice() else { panic!("asked {} times", theirs.asked.len()) };
    let expected = Request { risk: Risk::Medium, callback: Some("https://us.example/answers".to_owned()), ..request };
    assert_eq!(*asked, expected);
}

async fn call_back(url: &str, body: Vec<u8>) -> u16 {
    let response = lota_http::client().post(url).body(body).send().await.expect("answered");
    response.status().as_u16()
}

#[tokio::test]
async fn an_answer_may_be_called_back() {
    let (folder, (url, _theirs)) = (tempfile::tempdir().expect("a folder"), theirs().await);
    let notary = Arc::new(open(&url, &folder, now));
    let id = notary.ask(&request(1, 1)).await.expect("asked");
    let callback = format!("http://{}{ANSWERS_PATH}", serve(notary.clone().routes()).await);
    let refused = Answer { decision: Decision::Refused, amount: None, ..granted(id) };
    for (body, status) in [
        (b"<html>".to_vec(), 422),
        (signed(&granted(id), &our_key()), 401),
        (signed(&granted(B256::repeat_byte(9)), &their_key()), 404),
        (vec![b' '; MAX_ANSWER + 1], 413),
        (signed(&granted(id), &their_key()), 204),
        (signed(&granted(id), &their_key()), 204),
        (signed(&refused, &their_key()), 409),
    ] {
        assert_eq!(call_back(&callback, body).await, status);
    }
    assert_eq!(answer_of(&notary, &request(1, 1)).await, Some(granted(id)));
}

#[test]
fn who_could_not_be_believed_is_not_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = |url: &str, trusted: Vec<VerifyingKey>| {
        OtherNotary::open(url, our_key(), trusted, folder.path(), now).expect_err("refused")
    };
    assert!(matches!(open("https://notary.example", vec![]), SetupError::NoKeys));
    let trusted = vec![their_key().verifying_key()];
    assert!(matches!(open("http://notary.example", trusted), SetupError::Url(UrlError::Insecure { .. })));
}
