//! What others than the chain of the market say: proofs of storage, and another notary.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use alloy::sol_types::{SolCall, SolConstructor};
use async_trait::async_trait;
use axum::{
    Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use lota_bridge::{
    blessing::BlessingTransport as _,
    evm::{
        Chain,
        possession::{self, PossessionRecord, Schedule},
    },
};
use lota_content::{
    Cid, DagScope, ImportOptions, Store, StoreOptions,
    fetch::{FetchOptions, Fetcher},
    gateway::{self, GatewayOptions},
    import_path,
    piece::{PieceCommitment, PieceHasher},
};
use lota_market::{Address, B256, Bytes, U256};
use lota_notary::{
    alerts::{Alert, AlertKind, Deliver, DeliverError},
    attestation,
    availability::{Proofs, Witness},
    desk::{Decision, Desk, Stage},
    elsewhere::{
        network::{Availability, NetworkSources},
        outputs::{Gateways, OutputLimits, Outputs},
    },
    other_notary::{ANSWERS_PATH, Answer, AskOnGrant, AskSettings, OtherNotary, Request, sign_answer},
    service::Service,
};
use lota_tests::anvil::Anvil;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::scene::{AMOUNT, OURS, SETTINGS, Scene};

mod pdp {
    #![allow(missing_docs, clippy::all, unreachable_pub, reason = "generated")]
    alloy::sol!(TestPdpVerifier, "../contracts/abi/TestPdpVerifier.json");
}

use pdp::{IPdpListener, TestPdpVerifier as verifier};

/// PDPVerifier's stand-in with a record, driven by a storage provider.
struct Storage<'a> {
    anvil: &'a Anvil,
    provider: Value,
    verifier: Address,
    record: Address,
}

const PERIOD: u64 = 100;
const WINDOW: u64 = 20;

impl<'a> Storage<'a> {
    async fn begin(anvil: &'a Anvil) -> Self {
        let provider = anvil.call("eth_accounts", json!([])).await[0].clone();
        let fixed = verifier::constructorCall { challengeFinality: U256::from(2) };
        let verifier = anvil.create([verifier::BYTECODE.as_ref(), &fixed.abi_encode()].concat().into()).await;
        let schedule = Schedule { period: PERIOD, window: WINDOW, challenges: 5 };
        let record = anvil.create(possession::deployment(verifier, schedule)).await;
        Self { anvil, provider, verifier, record }
    }

    async fn send(&self, call: impl SolCall) {
        let data = Bytes::from(call.abi_encode());
        let sent = json!([{ "from": self.provider, "to": self.verifier, "data": data, "gas": "0x1000000" }]);
        let hash = self.anvil.call("eth_sendTransaction", sent).await;
        loop {
            let receipt = self.anvil.call("eth_getTransactionReceipt", json!([hash])).await;
            if !receipt.is_null() {
                assert_eq!(receipt["status"], "0x1", "{receipt}");
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Takes a piece in.
    async fn take(&self, cid: Vec<u8>) {
        let (listener, empty) = (self.record, Bytes::new());
        self.send(verifier::createDataSetCall { listener, extraData: empty.clone() }).await;
        let piece_data = vec![IPdpListener::Cid { data: cid.into() }];
        let none = Address::ZERO;
        let set = U256::from(1);
        self.send(verifier::addPiecesCall { setId: set, listener: none, pieceData: piece_data, extraData: empty })
            .await;
    }

    /// Proves what was taken in.
    async fn prove(&self) {
        let (set, last) = (U256::from(1), self.anvil.height().await + 1 + PERIOD);
        let challenge = U256::from(last - WINDOW);
        self.send(verifier::nextProvingPeriodCall { setId: set, challengeEpoch: challenge, extraData: Bytes::new() })
            .await;
        let blocks = last - 4 - self.anvil.height().await;
        self.anvil.call("anvil_mine", json!([format!("{blocks:#x}")])).await;
        let mut leaf = B256::ZERO;
        leaf[..5].copy_from_slice(b"proof");
        let proof = verifier::Proof { leaf, proof: vec![] };
        self.send(verifier::provePossessionCall { setId: set, proofs: vec![proof; 5] }).await;
    }
}

/// A result with its blocks, and who serves it.
async fn result(home: &Path) -> (Cid, PieceCommitment, String) {
    let dir = home.join("result");
    std::fs::create_dir_all(dir.join("outputs")).expect("a folder");
    for (file, text) in [("stdout", "out"), ("stderr", ""), ("exitCode", "0"), ("outputs/x", "what came of it")] {
        std::fs::write(dir.join(file), text).expect("written");
    }
    let store = Store::open(home.join("blocks"), StoreOptions::default()).expect("a store");
    let root = import_path(&store, &dir, &ImportOptions::default()).expect("imported").cid;
    let mut car = Vec::new();
    lota_content::car_export(store.clone(), &root, DagScope::All, 1_000, &mut car).await.expect("a CAR");
    let mut hasher = PieceHasher::new(1);
    hasher.update(&car);
    (root, hasher.finish(), serve(gateway::router(store, GatewayOptions::default())).await)
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// Keeps what it is told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Alert>>>);

#[async_trait]
impl Deliver for Told {
    fn name(&self) -> &str {
        "told"
    }

    async fn deliver(&self, alert: &Alert) -> Result<(), DeliverError> {
        self.0.lock().expect("alerts").push(alert.clone());
        Ok(())
    }
}

/// What another notary's service was asked, each with its name.
type Asked = Arc<Mutex<Vec<(B256, Request)>>>;

/// Another notary's service, which believes ours and nobody else.
async fn other_notary(asked: Asked) -> String {
    let ask = |State(asked): State<Asked>, body: axum::body::Bytes| async move {
        let Ok(statement) = attestation::verify::<Request>(&body, &[attestation::key_of(&OURS).verifying_key()]) else {
            return StatusCode::UNAUTHORIZED;
        };
        let name = lota_notary::attestation::Envelope::digest(&serde_json::from_slice(&body).expect("an envelope"));
        asked.lock().expect("asked").push((B256::from(name.expect("a statement")), statement.predicate));
        StatusCode::ACCEPTED
    };
    let undecided = || async { StatusCode::ACCEPTED };
    let router = Router::new().route("/requests", post(ask)).route("/requests/{name}", get(undecided));
    format!("{}/requests", serve(router.with_state(asked)).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_and_another_notary_s_answer_reach_the_dossier_the_log_and_an_alert() {
    let Some(anvil) = Anvil::spawn_or_skip().await else { return };
    let scene = Scene::set(anvil).await;
    let (root, piece, gateway) = result(scene.home.path()).await;
    let storage = Storage::begin(&scene.anvil).await;
    storage.take(piece.v2().to_bytes()).await;

    // As `lota notary serve` puts it together.
    let fetcher = Fetcher::new(FetchOptions {
        gateways: vec![gateway.parse().expect("a URL")],
        allow_private_addresses: true,
        allow_http: true,
        ..FetchOptions::default()
    })
    .expect("a client");
    let outputs = Outputs::open(scene.home.path().join("outputs"), fetcher, Arc::new(Nobody), OutputLimits::default());
    let chain = Chain::connect(scene.anvil.config()).await.expect("it answers");
    let record = PossessionRecord::find(&chain, storage.record).await.expect("it is there");
    let availability: Vec<Arc<dyn Availability>> = vec![Arc::new(Proofs::new(vec![Witness::Record(record)]))];
    let sources =
        NetworkSources { outputs: Some(outputs.await.expect("a folder")), availability, ..Default::default() };
    let (asked, told, theirs) = (Asked::default(), Told::default(), attestation::key_of(&[8; 32]));
    let url = other_notary(Arc::clone(&asked)).await;
    let requests = scene.home.path().join("requests");
    let notary = OtherNotary::open(
        &url,
        attestation::key_of(&OURS),
        vec![theirs.verifying_key()],
        &requests,
        lota_notary::outgoing::clock,
    );
    let notary = Arc::new(notary.expect("a notary"));
    let callback = format!("{}{ANSWERS_PATH}", serve(Arc::clone(&notary).routes()).await);
    let of_asking = AskSettings {
        granters: [scene.granter].into(),
        blessing: scene.of_provider.blessing(),
        answer_within: 3_600,
        callback: Some(callback.clone()),
    };
    let on_grant = Arc::new(AskOnGrant::new("other notary", Arc::clone(&notary), of_asking));
    let ahead = Arc::new(AtomicU64::new(0));
    let clock = {
        let ahead = Arc::clone(&ahead);
        Arc::new(move || lota_notary::outgoing::clock().after(ahead.load(Ordering::Relaxed)))
    };
    let deliveries: Vec<Arc<dyn Deliver>> = vec![Arc::new(told.clone())];
    let mut served = scene.serve(Arc::new(sources), Some((notary, on_grant)), deliveries, clock).await;

    let job = scene.settle(B256::from(lota_content::sha2_256_digest(&root).expect("sha2-256"))).await;
    let entry = served.stage(job, true, &[Stage::Voting]).await;
    assert_eq!(entry.amount, Some(U256::from(AMOUNT)));
    let dossier = served.service.dossier(job).await.expect("known");
    let nomination = dossier.nomination.expect("it runs");
    assert_eq!((nomination.piece.0, nomination.piece_size), (*piece.root().as_bytes(), piece.padded_size()));
    assert!(dossier.availability[0].value.starts_with("not proven yet"), "{:?}", dossier.availability);
    // The proof comes when it is voted on; ten minutes later the service looks again.
    storage.prove().await;
    ahead.store(601, Ordering::Relaxed);
    scene.anvil.advance(601).await;
    let proven = served
        .until(async |service| {
            let dossier = service.dossier(job).await.expect("known");
            dossier.availability.into_iter().next().filter(|line| line.value.starts_with("proven "))
        })
        .await;
    assert_eq!(proven.label, format!("record {}", storage.record));
    assert!(proven.value.contains("of data set 1"), "{proven:?}");

    served.approve(job).await;
    served.stage(job, true, &[Stage::Blessed, Stage::Due]).await;
    scene.anvil.advance(u64::from(SETTINGS.revoke_for) + 1).await;
    served.stage(job, false, &[Stage::Granted]).await;
    let (name, request) = served.until(async |_| asked.lock().expect("asked").first().cloned()).await;
    assert_eq!((request.job.job, &request.nomination, request.callback.as_ref()), (job, &nomination, Some(&callback)));
    let is_asked = async |service: Arc<Service>| service.dossier(job).await.expect("known").asked;
    let waiting = served.until(is_asked).await;
    assert_eq!((waiting.round, waiting.answer), (1, None));

    let answer = Answer {
        request: name,
        decision: Decision::Granted,
        amount: Some(U256::from(5)),
        reason: "it is what it says".into(),
        transaction: Some("bafy2bza".into()),
        at: lota_notary::outgoing::clock(),
    };
    let envelope = sign_answer(&answer, &theirs).expect("signed");
    let status = lota_http::client().post(&callback).json(&envelope).send().await.expect("answered").status();
    assert_eq!(status, StatusCode::NO_CONTENT);
    let found = served.until(async |service| service.dossier(job).await.expect("known").asked?.answer).await;
    let their_name = attestation::did_key(&theirs.verifying_key());
    assert_eq!((found.decision, found.amount, found.key), (Decision::Granted, answer.amount, their_name.clone()));
    let is_told = |alert: &&Alert| alert.kind == AlertKind::Answered;
    let alert = served.until(async |_| told.0.lock().expect("alerts").iter().find(is_told).cloned()).await;
    assert!(alert.job == Some(job) && alert.text.contains("It says: it is what it says"), "{alert:?}");
    let log = served.log().await;
    let noted: Vec<_> = log.iter().filter(|entry| entry.action == "another notary answered").collect();
    assert_eq!((noted.len(), &noted[0].actor, &noted[0].subject), (1, &their_name, &job.to_string()));
    served.running.abort();
}

/// Nobody has announced where content is.
struct Nobody;

#[async_trait]
impl Gateways for Nobody {
    async fn of(&self, _: Address) -> Vec<String> {
        Vec::new()
    }
}
