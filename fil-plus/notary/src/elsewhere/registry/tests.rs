use std::sync::{Arc, Mutex};

use axum::{Json, Router, body::Bytes, extract::State, routing::post};
use lota_fil_plus::answer::{ClaimState, timestamp};
use serde_json::{Value, json};

use super::*;
use crate::testing::{nobody, serve};

/// A CID that holds its name.
fn cid(name: &str) -> String {
    format!("f015500{:02x}{}", name.len(), hex::encode(name))
}

fn name_in(cid: &str) -> String {
    String::from_utf8(hex::decode(&cid[9..]).expect("one of ours")).expect("UTF-8")
}

/// An input with the CID of this name, or with none.
fn input(name: &str) -> InputEvidence {
    let cid = if name.is_empty() { String::new() } else { cid(name) };
    InputEvidence { path: format!("/{name}"), cid, certainty: None, because: vec![] }
}

fn claim_of(state: ClaimState) -> ClaimEvidence {
    ClaimEvidence {
        kind: "claim".to_owned(),
        id: 7,
        state,
        piece: "baga".to_owned(),
        size: 1 << 35,
        provider: "f01000".to_owned(),
        client: "f02000".to_owned(),
        sector: None,
        term_min: 1,
        term_max: 2,
        term_start: None,
        over_at: 99,
        over_at_time: None,
        as_of_epoch: 50,
        sources: vec!["node.example".to_owned()],
        seen: timestamp(0),
    }
}

fn answer(cid: &str, certainty: Certainty) -> Answer {
    Answer {
        cid: cid.to_owned(),
        certainty,
        reason: format!("because of {}", name_in(cid)),
        as_of: Some(timestamp(keeper::now())),
        age: Some(0),
        old: false,
        pieces: vec!["baga".to_owned()],
        claims: if certainty == Certainty::Verified { vec![claim_of(ClaimState::Active)] } else { vec![] },
        more_claims: false,
        more_evidence: false,
        reports: vec![],
        lists: vec![],
        contradictions: vec![],
        caveats: vec![],
    }
}

fn source(stale: bool) -> SourceState {
    SourceState {
        name: "node.example".to_owned(),
        kind: "claims".to_owned(),
        epoch: Some(1),
        as_of: None,
        age: Some(400_000),
        stale,
        complete_as_of_epoch: None,
        refused: 0,
        refusal: None,
        problem: Some("it hangs".to_owned()),
        problem_since: None,
    }
}

/// A registry that answers as this function does.
async fn registry<F>(answer: F) -> Registry
where
    F: Fn(&CheckRequest) -> Value + Clone + Send + Sync + 'static,
{
    let answering = move |Json(request): Json<CheckRequest>| {
        let answer = answer(&request);
        async move { Json(answer) }
    };
    at(Router::new().route("/base/v1/check", post(answering))).await
}

async fn at(router: Router) -> Registry {
    let url = format!("http://{}/base/", serve(router).await);
    Registry::with_patience(&url, Duration::from_millis(1_500)).expect("a registry")
}

fn honest(request: &CheckRequest, stale: bool) -> Value {
    let answers = request.cids.iter().map(|cid| {
        let certainty = if name_in(cid).starts_with('v') { Certainty::Verified } else { Certainty::Listed };
        Checked::Answer(Box::new(answer(cid, certainty)))
    });
    json!(CheckAnswer { answers: answers.collect(), sources: vec![source(stale)] })
}

#[tokio::test]
async fn each_input_gets_what_is_said_of_its_cid() {
    let registry = registry(|request| honest(request, false)).await;
    let asked = vec![input("v1"), input(""), input("x"), input("v1"), input(&"y".repeat(400))];
    let found = registry.look_up(asked.clone()).await;
    let certainties: Vec<_> = found.iter().map(|input| input.certainty).collect();
    let (verified, listed) = (Some(Certainty::Verified), Some(Certainty::Listed));
    assert_eq!(certainties, [verified, Some(Certainty::Unknown), listed, verified, None]);
    for (asked, found) in asked.iter().zip(&found) {
        assert_eq!((&asked.path, &asked.cid), (&found.path, &found.cid));
        assert!(!found.because.is_empty(), "{found:?}");
    }
    assert_eq!(found[0].because[0], "because of v1");
    assert!(found[0].because[1].starts_with("claim 7: active, provider f01000, client f02000"), "{:?}", found[0]);
    assert!(!found[0].because.iter().any(|line| line.starts_with("stale")), "{:?}", found[0]);
}

#[tokio::test]
async fn many_inputs_are_asked_about_in_few_requests_and_each_cid_once() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let answering = |State(asked): State<Arc<Mutex<Vec<usize>>>>, Json(request): Json<CheckRequest>| async move {
        assert!(request.ask, "payloads are in no claim: indexes must be asked");
        asked.lock().expect("the lock").push(request.cids.len());
        Json(honest(&request, false))
    };
    let router = Router::new().route("/base/v1/check", post(answering)).with_state(asked.clone());
    let registry = at(router).await;
    let inputs = (0..600).map(|number| input(&format!("v{}", number % 300))).collect();
    let found = registry.look_up(inputs).await;
    assert!(found.iter().all(|input| input.certainty == Some(Certainty::Verified)));
    assert_eq!(*asked.lock().expect("the lock"), [256, 44]);
}

#[tokio::test]
async fn what_is_stale_contradicted_or_only_said_is_told() {
    let registry = registry(|request| {
        let answers = request.cids.iter().map(|cid| {
            let answer = answer(cid, Certainty::Verified);
            let wrong = vec!["one says so\u{1b}[2J, another not".to_owned()];
            let answer = match name_in(cid).as_str() {
                "v-contradicted" => Answer { contradictions: wrong, ..answer },
                "v-expired" => Answer { claims: vec![claim_of(ClaimState::Expired)], ..answer },
                "v-old" => Answer { as_of: Some(timestamp(keeper::now() - MAX_AGE - 60)), ..answer },
                "v-undated" => Answer { as_of: None, ..answer },
                "v-bare" => Answer { claims: vec![], ..answer },
                "v-many" => Answer { claims: vec![claim_of(ClaimState::Active); 9], more_claims: true, ..answer },
                _ => Answer { caveats: vec!["indexes were not asked".to_owned()], ..answer },
            };
            Checked::Answer(Box::new(answer))
        });
        json!(CheckAnswer { answers: answers.collect(), sources: vec![source(true)] })
    })
    .await;
    let inputs =
        ["v-contradicted", "v-expired", "v-bare", "v-many", "v-caveat", "v-old", "v-undated"].map(input).to_vec();
    let found = registry.look_up(inputs).await;
    let certainties: Vec<_> = found.iter().map(|input| input.certainty).collect();
    use Certainty::{Contradicted, Unknown, Verified};
    let known = [Contradicted, Unknown, Unknown, Verified, Verified].map(Some);
    assert_eq!(certainties, [&known[..], &[None, None]].concat(), "{found:#?}");
    for old in &found[5..] {
        assert!(old.because.iter().any(|line| line.ends_with("what is older than 7 days does not count")), "{old:?}");
    }
    let has =
        |place: usize, line: &str| assert!(found[place].because.iter().any(|text| text == line), "{:#?}", found[place]);
    has(0, "contradiction: one says so [2J, another not");
    has(3, "and 7 claims or more");
    has(4, "caveat: indexes were not asked");
    for input in &found {
        assert!(input.because.contains(&"stale: claims node.example: its word is 4 days old; it hangs".to_owned()));
        assert!(input.because.len() < 12);
    }
}

#[tokio::test]
async fn what_is_no_cid_is_unknown() {
    let registry = registry(|request| {
        let answers = request.cids.iter().map(|cid| json!({ "cid": cid, "error": "no CID" }));
        json!({ "answers": answers.collect::<Vec<_>>(), "sources": [] })
    })
    .await;
    let found = registry.look_up(vec![InputEvidence { cid: "x".to_owned(), ..input("x") }]).await;
    assert_eq!(found[0].certainty, Some(Certainty::Unknown));
    assert!(found[0].because[0].contains("`x` is no CID"), "{found:?}");
}

#[tokio::test]
async fn a_registry_that_lies_in_shape_is_not_believed() {
    let lies: [fn(&CheckRequest) -> Value; 6] = [
        |request| json!({ "answers": [{ "cid": request.cids[0], "error": "no CID" }], "sources": [] }),
        |_| json!({ "answers": [], "sources": [] }),
        |_| json!([1, 2, 3]),
        |_| json!({ "answers": [{ "cid": "other", "error": "no CID" }], "sources": [] }),
        |_| json!({ "answers": [answer(&cid("other"), Certainty::Verified)], "sources": [] }),
        |_| json!({ "answers": [answer(&cid("v"), Certainty::Verified), answer(&cid("v"), Certainty::Verified)], "sources": [] }),
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        let found = registry(lie).await.look_up(vec![input("v")]).await;
        assert_eq!(found[0].certainty, None, "{number}: {found:?}");
        assert_eq!(found[0].because.len(), 1, "{number}: {found:?}");
    }
}

#[tokio::test]
async fn a_registry_that_hangs_is_huge_or_away_is_said_to_and_asked_once() {
    let asked = Arc::new(Mutex::new(0));
    let counting = asked.clone();
    let hang = move || {
        *counting.lock().expect("the lock") += 1;
        std::future::pending::<()>()
    };
    let huge = || async {
        axum::body::Body::from_stream(futures::stream::repeat_with(|| {
            Ok::<_, std::convert::Infallible>(Bytes::from_static(&[b' '; 65_536]))
        }))
    };
    let deep = || async { "[".repeat(100_000) };
    let broken = || async {
        let error = json!({ "code": "internal", "message": "the disk is gone" });
        (axum::http::StatusCode::INTERNAL_SERVER_ERROR, Json(error))
    };
    let lead = || async { axum::response::Redirect::temporary("/base/v1/check") };
    for (router, why) in [
        (Router::new().route("/base/v1/check", post(hang)), "took too long"),
        (Router::new().route("/base/v1/check", post(huge)), "more than"),
        (Router::new().route("/base/v1/check", post(deep)), "does not answer as a registry"),
        (Router::new().route("/base/v1/check", post(broken)), "HTTP 500: the disk is gone"),
        (Router::new().route("/base/v1/check", post(lead)), "HTTP 307"),
        (Router::new(), "HTTP 404"),
    ] {
        let inputs = (0..600).map(|number| input(&format!("v{number}"))).collect();
        let found = at(router).await.look_up(inputs).await;
        for input in &found {
            assert_eq!((input.certainty, input.because.len()), (None, 1), "{input:?}");
            assert!(input.because[0].contains(why), "{why}: {input:?}");
        }
    }
    assert_eq!(*asked.lock().expect("the lock"), 1, "three requests were due");
    let away = Registry::at(&format!("http://{}", nobody().await)).expect("a URL");
    let found = away.look_up(vec![input("v")]).await;
    assert!(found[0].certainty.is_none() && found[0].because[0].contains("cannot be asked"), "{found:?}");
}
