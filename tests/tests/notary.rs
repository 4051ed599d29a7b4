//! A notary's service on a chain: from a settled job to the grant, with real contracts.

#![allow(clippy::expect_used, clippy::panic, reason = "this is test code")]

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use lota_bridge::{
    Journal, Transport as _,
    blessing::{BlessingTransport as _, signed_digest},
    eip712,
    evm::{Account, Blessing, Chain, EvmBlessing, Granter, Market, blessing},
};
use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    agent::EffectKey,
    blessing::{Ballot, Choice, Command, Limits, Notaries, Phase, Settings, Signed},
    model::{self, JobResult, Terms},
    money::FIL,
    spec::{self, ValidatedSpec},
};
use lota_node::store::NodeJournal;
use lota_notary::{
    attestation,
    desk::{Change, Desk, DeskError, OutputNode, QueueFilter, SignedVote, Stage},
    elsewhere::{Piece, Sources},
    history::Kept,
    review::{Evidence, InputEvidence, ReExecution, Retrieval, Risk, SettledJob},
    service::{Amount, Decided, GranterName, NominationPolicy, Parts, Service, Verdict},
};
use lota_tests::{anvil::Anvil, world};
use tempfile::TempDir;
use tokio::{sync::broadcast, time::Instant};

const DEPOSIT: AttoFil = AttoFil(FIL);
const AMOUNT: u64 = 1 << 30;
/// The longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What others know: that all is well.
struct Well;

#[async_trait]
impl Sources for Well {
    async fn inputs(&self, inputs: Vec<InputEvidence>) -> Vec<InputEvidence> {
        inputs
    }

    async fn retrieval(&self, _: &SettledJob) -> Retrieval {
        Retrieval::Verified { bytes: 5 }
    }

    async fn re_execution(&self, _: &Kept, _: &ValidatedSpec) -> ReExecution {
        ReExecution::Agrees { fuel: 7 }
    }

    async fn output(&self, _: &SettledJob, _: &str) -> Result<OutputNode, DeskError> {
        Err(DeskError::Unavailable("not in this test".into()))
    }

    async fn piece(&self, _: &SettledJob) -> Result<Piece, String> {
        Ok(Piece { commitment: B256::repeat_byte(7), size: 1 << 20 })
    }

    async fn availability(&self, _: &SettledJob) -> Vec<Evidence> {
        vec![]
    }
}

async fn blessing_of(anvil: &Anvil, contract: Address, number: u8, dir: &Path) -> EvmBlessing {
    std::fs::create_dir_all(dir).expect("a folder");
    let journal: Arc<dyn Journal> = Arc::new(NodeJournal::open(dir).await.expect("a journal"));
    let chain = Chain::connect(anvil.config()).await.expect("the chain answers");
    let market = Market::find(&chain, anvil.contract(), 0).await.expect("the market is there");
    let blessing = Blessing::find(&market, contract, 0).await.expect("the blessing is there");
    let account = Account::open(&chain, world::key(number), Arc::clone(&journal));
    EvmBlessing::new(blessing, account, journal)
}

/// Waits until something holds of the desk, looking whenever it changes and now and then.
async fn until<T, F: Future<Output = Option<T>>>(changes: &mut broadcast::Receiver<Change>, look: impl Fn() -> F) -> T {
    let waiting = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            let _ = tokio::time::timeout(Duration::from_millis(200), changes.recv()).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it comes to pass")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settled_job_is_nominated_blessed_by_two_wallets_and_granted() {
    const CLIENT: u8 = 1;
    const PROVIDER: u8 = 2;
    const SERVICE: u8 = 3;
    const NOTARIES: [u8; 3] = [11, 12, 13];
    let Some(anvil) = Anvil::spawn_or_skip().await else { return };
    let home = TempDir::new().expect("a folder");
    let settings = Settings {
        deposit: DEPOSIT,
        vote_for: 3_600,
        revoke_for: 2,
        grant_for: 3_600,
        limit_period: 900,
        granter_gas: 300_000,
    };
    let notaries = Notaries::first(NOTARIES.map(|number| world::key(number).address()).to_vec(), 2);
    let contract = anvil.create(blessing::deployment(anvil.contract(), &settings, &notaries)).await;
    let granter = anvil.create(Granter::RequestOnly.deployment(contract)).await;
    for number in [CLIENT, PROVIDER, SERVICE] {
        anvil.set_balance(world::key(number).address(), AttoFil(100 * FIL)).await;
    }

    // The notaries admit the granter, the provider registers for it, the service has a deposit.
    let own = blessing_of(&anvil, contract, SERVICE, &home.path().join("own")).await;
    let most = U256::from(AMOUNT);
    let (limits, until_then) = (Limits { per_job: most, per_provider: most, per_period: most }, Time(u64::MAX));
    let decision = own.notaries().await.expect("they are told").decisions;
    let digest =
        signed_digest(&own.blessing(), &Signed::Granter { granter, limits: &limits, decision, until: until_then });
    let ballots = NOTARIES[..2]
        .iter()
        .map(|number| Ballot {
            notary: world::key(*number).address(),
            signature: eip712::sign(&world::key(*number), &digest).expect("signed"),
        })
        .collect();
    let admit = Command::SetGranter { granter, limits, until: until_then, ballots };
    own.submit(&EffectKey::named("admit"), &admit, AttoFil::ZERO).await.expect("it is admitted");
    own.submit(&EffectKey::named("fund"), &Command::Fund, AttoFil(10 * FIL)).await.expect("it is funded");
    let register = Command::Register {
        granter,
        recipient: Bytes::from_static(&[0, 0xd2, 0x09]),
        share_rate: U256::ZERO,
        max_share: AttoFil::ZERO,
    };
    let of_provider = blessing_of(&anvil, contract, PROVIDER, &home.path().join("provider-blessing")).await;
    of_provider.submit(&EffectKey::named("register"), &register, AttoFil::ZERO).await.expect("it is registered");

    // The service, on a connection of its own.
    let market = anvil.connect(world::key(SERVICE), &home.path().join("own-market"), AttoFil(100 * FIL)).await;
    let folder = home.path().join("notary");
    std::fs::create_dir_all(&folder).expect("a folder");
    let nominate = NominationPolicy {
        granter,
        amount: Amount::PerByte(U256::from(AMOUNT >> 20)),
        bounty: AttoFil::ZERO,
        most_risk: Risk::High,
        per_day: 10,
    };
    let named = GranterName { name: "requests".into(), unit: "bytes".into(), decimals: 0 };
    let reference = market.market();
    let history = Service::open_history(&folder, &reference).await.expect("a database");
    let key = attestation::key_of(&[9; 32]);
    let trusted = [key.verifying_key()];
    let parts = Parts {
        market: reference,
        asset: own.asset().clone(),
        blessing: Arc::new(own),
        sources: Arc::new(Well),
        deliveries: vec![],
        key,
        clock: Arc::new(lota_notary::outgoing::clock),
        settings: lota_notary::service::Settings {
            granters: BTreeMap::from([(granter, named)]),
            nominate: Some(nominate),
            two_approvals_from: Some(most),
            tick: Duration::from_millis(200),
            ..Default::default()
        },
    };
    let service = Service::open(&folder, history, parts).await.expect("a service");
    let running = {
        let (service, market) = (Arc::clone(&service), Arc::clone(&market));
        tokio::spawn(async move { service.run(&*market).await })
    };
    let mut changes = service.changes();

    // A job, from its opening to its settlement.
    let client = anvil.connect(world::key(CLIENT), &home.path().join("client"), AttoFil(100 * FIL)).await;
    let provider = anvil.connect(world::key(PROVIDER), &home.path().join("provider"), AttoFil(100 * FIL)).await;
    let bytes = Bytes::from(spec::parse_json(spec::EXAMPLE.as_bytes()).expect("the example").to_dag_cbor());
    let now = lota_notary::outgoing::clock();
    let price = AttoFil(FIL);
    let terms = Terms {
        client: client.party(),
        salt: U256::ZERO,
        spec: B256::from(lota_content::sha2_256(&bytes)),
        spec_codec: model::SpecCodec::DagCbor.code(),
        min_price: price,
        max_price: price,
        ramp_start: now,
        ramp_period: 1,
        lock_by: now.after(3_600),
        run_for: 600,
        review_for: 0,
        rule_for: 0,
        collateral: price,
        matcher: Address::ZERO,
        arbiter: Address::ZERO,
        callback_gas: 0,
        keep_record: true,
    };
    let job = client.job_id(&terms);
    let open = model::Command::Open { terms: terms.clone(), spec: bytes };
    client.submit(&EffectKey::named("open"), &open, price).await.expect("it is opened");
    let deposit = model::Command::Deposit { account: provider.party() };
    provider.submit(&EffectKey::named("deposit"), &deposit, AttoFil(10 * FIL)).await.expect("deposited");
    let lock = model::Command::Lock { terms: terms.clone() };
    provider.submit(&EffectKey::named("lock"), &lock, AttoFil::ZERO).await.expect("locked");
    let result = JobResult { output: B256::repeat_byte(6), ..JobResult::default() };
    let submit = model::Command::SubmitResult { terms, result };
    provider.submit(&EffectKey::named("result"), &submit, AttoFil::ZERO).await.expect("settled");
    let settled = Instant::now();
    let open = QueueFilter { open: true, after: None, limit: 10 };
    let look = || async {
        let queue = service.queue(&open).await.expect("a page");
        queue.entries.into_iter().find(|entry| entry.job == job)
    };
    until(&mut changes, look).await;
    let in_queue = settled.elapsed();
    let voting = || async { look().await.filter(|entry| entry.stage == Stage::Voting) };
    let entry = until(&mut changes, voting).await;
    let nominated = settled.elapsed();
    assert_eq!(entry.amount, Some(most));

    // Two notaries sign what the service shows them.
    let mut last_vote = Instant::now();
    for number in &NOTARIES[..2] {
        let (wallet, text) = (world::key(*number), format!("notary {number} looked at it"));
        let paper = service.ballot_paper(job, Choice::Approve, &text, wallet.address()).await.expect("a paper");
        let vote = SignedVote {
            job,
            round: paper.nomination.round,
            choice: Choice::Approve,
            notary: wallet.address(),
            text,
            version: paper.version,
            signature: eip712::sign(&wallet, &paper.digest).expect("signed"),
        };
        last_vote = Instant::now();
        service.vote(&vote).await.expect("it is taken");
    }
    let voted = last_vote.elapsed();
    let blessed = || async { look().await.filter(|entry| matches!(entry.stage, Stage::Blessed | Stage::Due)) };
    until(&mut changes, blessed).await;
    let blessed = last_vote.elapsed();
    anvil.advance(u64::from(settings.revoke_for) + 1).await;
    let over = QueueFilter { open: false, ..open.clone() };
    let granted = || async {
        let queue = service.queue(&over).await.expect("a page");
        queue.entries.into_iter().find(|entry| entry.job == job && entry.stage == Stage::Granted)
    };
    until(&mut changes, granted).await;
    let granted = last_vote.elapsed();
    let decided = until(&mut changes, || async {
        let envelope = service.attestation(job).await.ok()?;
        let bytes = serde_json::to_vec(&envelope).expect("JSON");
        let statement = attestation::verify::<Decided>(&bytes, &trusted).expect("it is believed");
        (statement.predicate.verdict == Verdict::Granted).then_some(statement.predicate)
    })
    .await;
    assert_eq!((decided.amount, decided.votes.len()), (most, 2));
    let record = of_provider.record(job).await.expect("it is told");
    assert_eq!(record.phase, Phase::Granted);
    let log = service.export_audit_log().await.expect("whole");
    lota_notary::audit_log::verify(&log[..], |_| ()).expect("it is linked");
    println!(
        "settlement to the queue {} ms, to the nomination {} ms; last vote to its block {} ms, to the blessing {} ms, to the grant {} ms (of which {} s to revoke)",
        in_queue.as_millis(),
        nominated.as_millis(),
        voted.as_millis(),
        blessed.as_millis(),
        granted.as_millis(),
        settings.revoke_for,
    );
    running.abort();
}
