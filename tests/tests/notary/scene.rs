//! A market, a blessing and a service on Anvil.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Weak},
    time::Duration,
};

use lota_bridge::{
    Journal, Transport as _,
    blessing::{BlessingTransport as _, signed_digest},
    eip712,
    evm::{Account, Blessing, Chain, EvmBlessing, Granter, Market, blessing},
};
use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    agent::EffectKey,
    blessing::{Ballot, Choice, Command, Limits, Notaries, Settings, Signed},
    model::{self, JobId, JobResult, Terms},
    money::FIL,
    spec,
};
use lota_node::store::NodeJournal;
use lota_notary::{
    alerts::Deliver,
    attestation,
    desk::{Change, Desk, QueueEntry, QueueFilter, SignedVote, Stage},
    elsewhere::Sources,
    other_notary::{AskOnGrant, Dossiers, OtherNotary},
    payments::RailPayer,
    review::Risk,
    service::{Amount, Clock, GranterName, MAX_SIZE, NominationPolicy, Parts, Service},
};
use lota_tests::{anvil::Anvil, world};
use tempfile::TempDir;
use tokio::{sync::broadcast, task::JoinHandle, time::Instant};

pub(crate) const DEPOSIT: AttoFil = AttoFil(FIL);
pub(crate) const AMOUNT: u64 = 1 << 30;
/// The longest that anything here may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A party's way to the blessing, and the account that it sends with.
pub(crate) async fn blessing_of(anvil: &Anvil, contract: Address, number: u8, dir: &Path) -> (EvmBlessing, Account) {
    std::fs::create_dir_all(dir).expect("a folder");
    let journal: Arc<dyn Journal> = Arc::new(NodeJournal::open(dir).await.expect("a journal"));
    let chain = Chain::connect(anvil.config()).await.expect("the chain answers");
    let market = Market::find(&chain, anvil.contract(), 0).await.expect("the market is there");
    let blessing = Blessing::find(&market, contract, 0).await.expect("the blessing is there");
    let account = Account::open(&chain, world::key(number), Arc::clone(&journal));
    (EvmBlessing::new(blessing, account.clone(), journal), account)
}

pub(crate) const CLIENT: u8 = 1;
pub(crate) const PROVIDER: u8 = 2;
pub(crate) const SERVICE: u8 = 3;
pub(crate) const NOTARIES: [u8; 3] = [11, 12, 13];
pub(crate) const SETTINGS: Settings = Settings {
    deposit: DEPOSIT,
    vote_for: 3_600,
    revoke_for: 2,
    grant_for: 3_600,
    limit_period: 900,
    granter_gas: 500_000,
};

/// The secret of our service's key.
pub(crate) const OURS: [u8; 32] = [9; 32];

/// A figure for `scripts/bench`.
pub(crate) fn figure(name: &str, took: Duration) {
    println!("{}", serde_json::json!({ "name": format!("{name}, on Anvil"), "value": took.as_millis(), "unit": "ms" }));
}

pub(crate) fn open_jobs() -> QueueFilter {
    QueueFilter { open: true, limit: 10, ..QueueFilter::default() }
}

/// A market and a blessing on a chain: the notaries have admitted a granter, the provider is registered for it, and the service has money
/// in the blessing.
pub(crate) struct Scene {
    pub(crate) anvil: Anvil,
    pub(crate) home: TempDir,
    pub(crate) contract: Address,
    pub(crate) granter: Address,
    pub(crate) of_provider: EvmBlessing,
    /// So many seconds a payment waits for others.
    pub(crate) pay_after: u64,
}

/// A service on a connection of its own.
pub(crate) struct Served {
    pub(crate) service: Arc<Service>,
    pub(crate) changes: broadcast::Receiver<Change>,
    pub(crate) running: JoinHandle<()>,
}

impl Scene {
    /// With a granter that only asks.
    pub(crate) async fn set(anvil: Anvil) -> Self {
        Self::with(anvil, &Granter::RequestOnly, Bytes::from_static(&[0, 0xd2, 0x09])).await
    }

    pub(crate) async fn with(anvil: Anvil, granter: &Granter, recipient: Bytes) -> Self {
        let home = TempDir::new().expect("a folder");
        let notaries = Notaries::first(NOTARIES.map(|number| world::key(number).address()).to_vec(), 2);
        let contract = anvil.create(blessing::deployment(anvil.contract(), &SETTINGS, &notaries)).await;
        let granter = anvil.create(granter.deployment(contract)).await;
        for number in [CLIENT, PROVIDER, SERVICE] {
            anvil.set_balance(world::key(number).address(), AttoFil(100 * FIL)).await;
        }
        let (own, _) = blessing_of(&anvil, contract, SERVICE, &home.path().join("own")).await;
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
        let register = Command::Register { granter, recipient, share_rate: U256::ZERO, max_share: AttoFil::ZERO };
        let (of_provider, _) = blessing_of(&anvil, contract, PROVIDER, &home.path().join("provider-blessing")).await;
        of_provider.submit(&EffectKey::named("register"), &register, AttoFil::ZERO).await.expect("it is registered");
        Self { anvil, home, contract, granter, of_provider, pay_after: 0 }
    }

    /// A service that nominates all that is settled.
    pub(crate) async fn serve(
        &self,
        sources: Arc<dyn Sources>,
        asking: Option<(Arc<OtherNotary>, Arc<AskOnGrant>)>,
        mut deliveries: Vec<Arc<dyn Deliver>>,
        clock: Clock,
    ) -> Served {
        let (own, account) = blessing_of(&self.anvil, self.contract, SERVICE, &self.home.path().join("own")).await;
        let path = self.home.path().join("own-market");
        let market = self.anvil.connect(world::key(SERVICE), &path, AttoFil(100 * FIL)).await;
        let folder = self.home.path().join("notary");
        std::fs::create_dir_all(&folder).expect("a folder");
        let nominate = NominationPolicy {
            granter: self.granter,
            amount: Amount::Fixed(U256::from(AMOUNT)),
            bounty: AttoFil::ZERO,
            most_risk: Risk::High,
            per_day: 10,
        };
        let named = GranterName { name: "requests".into(), unit: "bytes".into(), decimals: 0 };
        let reference = market.market();
        let history = Service::open_history(&folder, &reference, MAX_SIZE).await.expect("a database");
        deliveries.extend(asking.iter().map(|(_, on_grant)| Arc::clone(on_grant) as Arc<dyn Deliver>));
        let parts = Parts {
            market: reference,
            asset: own.asset().clone(),
            blessing: Arc::new(own),
            sources,
            other_notary: asking.as_ref().map(|(notary, _)| Arc::clone(notary)),
            payer: Some(Arc::new(RailPayer::new(account, self.contract))),
            deliveries,
            key: attestation::key_of(&OURS),
            clock,
            settings: lota_notary::service::Settings {
                granters: BTreeMap::from([(self.granter, named)]),
                nominate: Some(nominate),
                two_approvals_from: Some(U256::from(AMOUNT)),
                pay_after: self.pay_after,
                tick: Duration::from_millis(200),
                ..Default::default()
            },
        };
        let service = Service::open(&folder, history, parts).await.expect("a service");
        if let Some((_, on_grant)) = &asking {
            let dossiers: Weak<dyn Dossiers> = Arc::downgrade(&(Arc::clone(&service) as Arc<dyn Dossiers>));
            on_grant.attach(dossiers);
        }
        let at_work = Arc::clone(&service);
        let running = tokio::spawn(async move {
            let error = at_work.run(&*market).await.expect_err("it never ends by itself");
            panic!("the service has ended: {error}");
        });
        Served { changes: service.changes(), service, running }
    }

    /// A job, from its opening to its settlement with this output.
    pub(crate) async fn settle(&self, output: B256) -> JobId {
        let (anvil, home) = (&self.anvil, self.home.path());
        let client = anvil.connect(world::key(CLIENT), &home.join("client"), AttoFil(100 * FIL)).await;
        let provider = anvil.connect(world::key(PROVIDER), &home.join("provider"), AttoFil(100 * FIL)).await;
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
        let result = JobResult { output, ..JobResult::default() };
        let submit = model::Command::SubmitResult { terms, result };
        provider.submit(&EffectKey::named("result"), &submit, AttoFil::ZERO).await.expect("settled");
        job
    }
}

impl Served {
    /// Waits until something holds, looking whenever something changes and now and then.
    pub(crate) async fn until<T, F: Future<Output = Option<T>>>(&mut self, look: impl Fn(Arc<Service>) -> F) -> T {
        let waiting = async {
            loop {
                if let Some(found) = look(Arc::clone(&self.service)).await {
                    return found;
                }
                let _ = tokio::time::timeout(Duration::from_millis(200), self.changes.recv()).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("it comes to pass")
    }

    /// Waits until a job that is open, or over, is at a stage.
    pub(crate) async fn stage(&mut self, job: JobId, open: bool, stages: &[Stage]) -> QueueEntry {
        let filter = QueueFilter { open, ..open_jobs() };
        self.until(|service| {
            let filter = filter.clone();
            async move {
                let queue = service.queue(&filter).await.expect("a page");
                let is_it =
                    |entry: &QueueEntry| entry.job == job && (stages.is_empty() || stages.contains(&entry.stage));
                queue.entries.into_iter().find(is_it)
            }
        })
        .await
    }

    /// Two notaries sign what the service shows them. When the last one began.
    pub(crate) async fn approve(&self, job: JobId) -> Instant {
        let mut last_vote = Instant::now();
        for number in &NOTARIES[..2] {
            let (wallet, text) = (world::key(*number), format!("notary {number} looked at it"));
            let paper = self.service.ballot_paper(job, Choice::Approve, &text, wallet.address()).await;
            let paper = paper.expect("a paper");
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
            self.service.vote(&vote).await.expect("it is taken");
        }
        last_vote
    }

    pub(crate) async fn log(&self) -> Vec<lota_notary::audit_log::Entry> {
        let log = self.service.export_audit_log().await.expect("whole");
        let mut entries = Vec::new();
        let log = std::io::BufReader::new(log.into_reader());
        lota_notary::audit_log::verify(log, |entry| entries.push(entry)).expect("it is linked");
        entries
    }
}
