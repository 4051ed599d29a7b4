use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use axum::{extract::ConnectInfo, http::Request};
use tower::ServiceExt as _;

use super::*;
use crate::{audit_file::Export, audit_log::Head, desk::OutputFile};

/// A desk that answers one question, never answers others, and has a log of which one can read for ever.
struct Stalling {
    changes: broadcast::Sender<Change>,
    /// Those that were asked for: dossiers, looks and votes.
    asked: [AtomicUsize; 3],
}

impl Stalling {
    async fn never<T>(&self, what: usize) -> T {
        self.asked[what].fetch_add(1, Ordering::SeqCst);
        std::future::pending().await
    }
}

fn no<T>() -> Result<T, DeskError> {
    Err(DeskError::NotFound("nothing".into()))
}

#[async_trait]
impl Desk for Stalling {
    async fn about(&self) -> Result<About, DeskError> {
        no()
    }

    async fn queue(&self, _: &QueueFilter) -> Result<Queue, DeskError> {
        Ok(Queue::default())
    }

    async fn dossier(&self, _: JobId) -> Result<Dossier, DeskError> {
        self.never(0).await
    }

    async fn output(&self, _: JobId, _: &str, _: Option<&str>) -> Result<OutputNode, DeskError> {
        self.never(1).await
    }

    async fn file(&self, _: JobId, _: &str, _: u64) -> Result<OutputFile, DeskError> {
        no()
    }

    async fn ballot_paper(&self, _: JobId, _: Choice, _: &str, _: Address) -> Result<BallotPaper, DeskError> {
        no()
    }

    async fn vote(&self, _: &SignedVote) -> Result<Vote, DeskError> {
        self.never(2).await
    }

    async fn note(&self, _: &str, _: &str, _: &str) -> Result<(), DeskError> {
        no()
    }

    async fn audit_log(&self, _: u64, _: u32) -> Result<(Vec<audit_log::Entry>, Head), DeskError> {
        Ok((vec![], Head::EMPTY))
    }

    async fn export_audit_log(&self) -> Result<Export, DeskError> {
        Ok(Export::new(Head::EMPTY, 1 << 40, std::io::repeat(b'x')))
    }

    async fn attestation(&self, _: JobId) -> Result<Envelope, DeskError> {
        no()
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }
}

#[derive(Clone)]
struct Asked {
    desk: Arc<Stalling>,
    router: Router,
    stop: CancellationToken,
}

fn asked(times: Times) -> Asked {
    let desk = Arc::new(Stalling { changes: broadcast::Sender::new(4), asked: Default::default() });
    let stop = CancellationToken::new();
    Asked { router: router_within(desk.clone(), stop.clone(), times), desk, stop }
}

/// Nothing ends by itself.
const LONG: Times = {
    let hour = Duration::from_secs(3_600);
    Times { turn: hour, answer: hour, look: hour, vote: hour, listen: hour }
};
/// All ends soon.
const SHORT: Times = {
    let soon = Duration::from_millis(20);
    Times { turn: soon, answer: soon, look: soon, vote: soon, listen: soon }
};

impl Asked {
    /// What somebody at an address is answered.
    async fn get(&self, client: u8, path: &str) -> Response {
        self.send(client, Request::get(path).body(Body::empty()).expect("a request")).await
    }

    async fn vote(&self, client: u8) -> Response {
        let vote = SignedVote {
            job: JobId::default(),
            round: 1,
            choice: Choice::Approve,
            notary: Address::ZERO,
            text: "x".into(),
            version: 1,
            signature: vec![0; 65].into(),
        };
        let body = Body::from(serde_json::to_vec(&vote).expect("JSON"));
        let request = Request::post("/api/v1/votes").header(CONTENT_TYPE, "application/json").body(body);
        self.send(client, request.expect("a request")).await
    }

    async fn send(&self, client: u8, mut request: Request<Body>) -> Response {
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([10, 0, 0, client], 1_000))));
        self.router.clone().oneshot(request).await.expect("an answer")
    }

    /// Asks for everything that takes long.
    fn ask_all(&self, client: u8) {
        let (this, job) = (self.clone(), JobId::default());
        tokio::spawn(async move { this.get(client, &format!("/api/v1/jobs/{job}")).await });
        let this = self.clone();
        tokio::spawn(async move { this.get(client, &format!("/api/v1/jobs/{job}/output")).await });
        let this = self.clone();
        tokio::spawn(async move { this.vote(client).await });
    }

    /// What the desk was asked for, as soon as nothing more is under way to it.
    async fn reached(&self) -> [usize; 3] {
        // Each request is a few steps of its own task.
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        [0, 1, 2].map(|what| self.desk.asked[what].load(Ordering::SeqCst))
    }
}

#[tokio::test]
async fn who_asks_for_what_takes_long_has_a_share_and_others_are_answered() {
    let asked = asked(LONG);
    for _ in 0..40 {
        asked.ask_all(1);
    }
    assert_eq!(asked.reached().await, [QUESTIONS.1, LOOKS.1, VOTES.1]);
    assert_eq!(asked.get(2, "/api/v1/queue").await.status(), StatusCode::OK);
    asked.ask_all(2);
    assert_eq!(asked.reached().await, [QUESTIONS.1 + 1, LOOKS.1 + 1, VOTES.1 + 1]);
    for client in 3..20 {
        for _ in 0..40 {
            asked.ask_all(client);
        }
    }
    assert_eq!(asked.reached().await, [QUESTIONS.0, LOOKS.0, VOTES.0], "there is a most in all");
}

#[tokio::test]
async fn nobody_holds_a_place_for_ever() {
    let asked = asked(SHORT);
    let job = JobId::default();
    for _ in 0..2 {
        // Those that got a place and those that did not.
        let answers = (0..20).map(|_| async {
            let look = asked.get(1, &format!("/api/v1/jobs/{job}/output")).await.status();
            (look, asked.get(1, &format!("/api/v1/jobs/{job}")).await.status(), asked.vote(1).await.status())
        });
        let busy = StatusCode::SERVICE_UNAVAILABLE;
        assert!(futures::future::join_all(answers).await.iter().all(|answer| *answer == (busy, busy, busy)));
        assert_eq!(asked.get(1, "/api/v1/queue").await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn an_export_has_a_place_until_its_body_is_gone() {
    let asked = asked(LONG);
    let export = || asked.get(1, "/api/v1/audit-log/export");
    let first = export().await;
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(first.headers()[CONTENT_LENGTH], (1_u64 << 40).to_string());
    assert_eq!(export().await.status(), StatusCode::SERVICE_UNAVAILABLE, "one of a client");
    let second = asked.get(2, "/api/v1/audit-log/export").await;
    assert_eq!(second.status(), StatusCode::OK);
    assert_eq!(asked.get(3, "/api/v1/audit-log/export").await.status(), StatusCode::SERVICE_UNAVAILABLE, "two in all");
    assert_eq!(asked.get(3, "/api/v1/audit-log").await.status(), StatusCode::OK);
    drop(first);
    loop {
        // Whoever feeds it notices that it is gone.
        let answer = asked.get(3, "/api/v1/audit-log/export").await;
        if answer.status() == StatusCode::OK {
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn streams_of_changes_are_few_of_one_client_and_end() {
    let of = asked(LONG);
    let listen = |client| of.get(client, "/api/v1/changes");
    let mut mine = Vec::new();
    for _ in 0..LISTENERS.1 {
        let answer = listen(1).await;
        assert_eq!(answer.status(), StatusCode::OK);
        mine.push(answer.into_body().into_data_stream());
    }
    assert_eq!(listen(1).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    let mut other = listen(2).await.into_body().into_data_stream();
    let text = |bytes: Option<Result<axum::body::Bytes, axum::Error>>| {
        bytes.map(|bytes| String::from_utf8_lossy(&bytes.expect("bytes")).into_owned())
    };
    assert_eq!(text(other.next().await).as_deref(), Some(": connected\n\n"));
    of.desk.changes.send(Change::About).expect("heard");
    assert!(text(other.next().await).is_some_and(|event| event.contains("event: change")));
    of.stop.cancel();
    assert_eq!(text(other.next().await), None, "nobody keeps the server from stopping");
    let short = asked(SHORT);
    let mut stream = short.get(1, "/api/v1/changes").await.into_body().into_data_stream();
    // It ends, though nobody stops the server.
    while text(stream.next().await).is_some() {}
}
