//! A market and its blessing in one process: the contracts' twins, with a log that is undone when a test says so.

mod around;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use alloy::{primitives::keccak256, signers::local::PrivateKeySigner};
use async_trait::async_trait;
use futures::StreamExt as _;
use lota_bridge::{
    BlessingRef, Cursor, MarketRef,
    blessing::{
        BlessingLanded, BlessingSubmitError, BlessingTransport, BlessingUpdate, BlessingUpdates, StoredRecord,
        signed_digest,
    },
    eip712,
    transport::{Head, TransportError},
};
use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    agent::EffectKey,
    asset::Asset,
    blessing::{Ballot, Command, Limits, Nomination, Notaries, Phase, Registration, Settings, Signed as NotarySigned},
    granter::Rejection as GranterRejection,
    model::{self, JobId, JobResult, SpecCodec, Terms},
    spec,
    world::{Call, CallError, ContractCommand, ContractEvent, Log, World},
};
use sha2::{Digest as _, Sha256};

use self::around::Around;
use crate::history;

pub(super) const GWEI: u128 = 1_000_000_000;
pub(super) const DEPOSIT: AttoFil = AttoFil(5 * GWEI);
pub(super) const MARKET: Address = Address::repeat_byte(0x11);
pub(super) const BLESSING: Address = Address::repeat_byte(0x22);
pub(super) const GRANTER: Address = Address::repeat_byte(0x33);
pub(super) const CLIENT: Address = Address::repeat_byte(0xc1);
pub(super) const PROVIDER: Address = Address::repeat_byte(0xb1);
pub(super) const SERVICE: Address = Address::repeat_byte(0x5e);
pub(super) const CHAIN: u64 = 31_337;

pub(super) const fn market_ref() -> MarketRef {
    MarketRef { chain_id: CHAIN, contract: MARKET, settings: model::Settings::COIN }
}

/// A notary's wallet.
pub(super) fn notary(number: u8) -> PrivateKeySigner {
    PrivateKeySigner::from_slice(keccak256([number]).as_slice()).expect("a key")
}

#[derive(Debug)]
struct Inner {
    world: World,
    now: Time,
    /// The world and what its blocks said, by number; block 0 is the beginning.
    past: Vec<(World, Time)>,
    landed: BTreeMap<(Address, EffectKey), BlessingLanded>,
    market: Vec<history::Told>,
    blessing: Vec<BlessingUpdate>,
    /// Blocks of another fork have other hashes.
    fork: u8,
    granter_fails: bool,
    /// Its error, and what it says of it when it is asked.
    failure: ([u8; 4], Option<GranterRejection>),
    reachable: bool,
    answers: bool,
    next_salt: u64,
    submitted: u64,
    /// What was tried out, and what is never answered when it is.
    tried: Vec<Command>,
    stalls: fn(&Command) -> bool,
}

/// A chain with a market and a blessing; a transport for the service's party.
#[derive(Clone, Debug)]
pub(super) struct Twin {
    inner: Arc<Mutex<Inner>>,
    asset: Asset,
}

impl Inner {
    fn around(&self) -> Around {
        Around { now: self.now, granter_fails: self.granter_fails, failure: self.failure.0 }
    }

    fn block(&self) -> u64 {
        self.past.len() as u64
    }

    fn hash(&self, block: u64) -> B256 {
        keccak256([&[self.fork][..], &block.to_be_bytes()].concat())
    }

    /// Executes a call in a block of its own.
    fn call(
        &mut self,
        sender: Address,
        contract: Address,
        value: AttoFil,
        command: ContractCommand,
    ) -> Result<BlessingLanded, CallError> {
        let mut log = Vec::new();
        let call = Call { sender, contract, value, command };
        let before = (self.world.clone(), self.now);
        let mut around = self.around();
        self.world.execute(&call, &mut around, &mut log)?;
        self.past.push(before);
        let block = self.block();
        let (block_hash, time) = (self.hash(block), self.now);
        let transaction = keccak256([&[self.fork][..], &block.to_be_bytes(), b"tx"].concat());
        let mut cursor = Cursor { block, block_hash, index: 0 };
        let mut events = Vec::new();
        for Log { event, .. } in log {
            cursor.index += 1;
            match event {
                ContractEvent::Market(event) => {
                    self.market.push(history::Told::Event { cursor, time, event: Box::new(event) });
                }
                ContractEvent::Blessing(event) => {
                    events.push(event.clone());
                    self.blessing.push(BlessingUpdate::Event { cursor, time, transaction, event: Box::new(event) });
                }
                ContractEvent::Auction(_)
                | ContractEvent::FilecoinPay(_)
                | ContractEvent::Granter(_)
                | ContractEvent::FilecoinPayDeals(_) => {}
            }
        }
        Ok(BlessingLanded { transaction, cursor, time, events })
    }
}

impl Twin {
    /// A market with a blessing of three notaries, of whom two decide, and a granter that was admitted; the provider is registered.
    pub(super) fn new() -> Self {
        let mut world = World::with_market(MARKET, model::Settings::COIN);
        let settings = Settings {
            deposit: DEPOSIT,
            vote_for: 1_000,
            revoke_for: 100,
            grant_for: 1_000,
            limit_period: 900,
            granter_gas: 1,
        };
        let notaries: Vec<Address> = (1..=3).map(|number| notary(number).address()).collect();
        world.deploy_blessing(BLESSING, MARKET, settings, notaries, 2).expect("a blessing");
        for account in [CLIENT, PROVIDER, SERVICE] {
            world.mint(account, AttoFil(1_000_000 * GWEI)).expect("money");
        }
        let inner = Inner {
            world,
            now: Time(10_000),
            past: Vec::new(),
            landed: BTreeMap::new(),
            market: Vec::new(),
            blessing: Vec::new(),
            fork: 0,
            granter_fails: false,
            failure: ([0xde, 0xad, 0xbe, 0xef], None),
            reachable: true,
            answers: true,
            next_salt: 0,
            submitted: 0,
            tried: Vec::new(),
            stalls: |_| false,
        };
        let twin = Self { inner: Arc::new(Mutex::new(inner)), asset: Asset::coin() };
        let limits =
            Limits { per_job: U256::from(1_000), per_provider: U256::from(10_000), per_period: U256::from(10_000) };
        twin.admit(limits);
        let recipient = Bytes::from_static(b"f01234");
        let register =
            Command::Register { granter: GRANTER, recipient, share_rate: U256::ZERO, max_share: AttoFil::ZERO };
        twin.bless(PROVIDER, AttoFil::ZERO, register);
        twin.bless(SERVICE, AttoFil(100 * DEPOSIT.0), Command::Fund);
        twin
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nobody panicked")
    }

    /// A command of somebody's to the blessing.
    pub(super) fn bless(&self, sender: Address, value: AttoFil, command: Command) -> BlessingLanded {
        self.inner().call(sender, BLESSING, value, command.into()).expect("the blessing takes it")
    }

    fn ballots(&self, what: &NotarySigned<'_>) -> Vec<Ballot> {
        let digest = signed_digest(&BlessingRef { chain_id: CHAIN, contract: BLESSING }, what);
        let list = self.inner().world.blessing(BLESSING).expect("deployed").notaries().list.clone();
        let wallets = (1..=9).map(notary).filter(|wallet| list.contains(&wallet.address())).take(2);
        wallets
            .map(|wallet| Ballot {
                notary: wallet.address(),
                signature: eip712::sign(&wallet, &digest).expect("signed"),
            })
            .collect()
    }

    fn decisions(&self) -> (u64, Time) {
        let inner = self.inner();
        (inner.world.blessing(BLESSING).expect("deployed").notaries().decisions, inner.now.after(100))
    }

    pub(super) fn admit(&self, limits: Limits) {
        let (decision, until) = self.decisions();
        let ballots = self.ballots(&NotarySigned::Granter { granter: GRANTER, limits: &limits, decision, until });
        self.bless(SERVICE, AttoFil::ZERO, Command::SetGranter { granter: GRANTER, limits, until, ballots });
    }

    pub(super) fn set_notaries(&self, numbers: &[u8]) {
        let (decision, until) = self.decisions();
        let notaries: Vec<Address> = numbers.iter().map(|number| notary(*number).address()).collect();
        let ballots = self.ballots(&NotarySigned::Notaries { notaries: &notaries, quorum: 2, decision, until });
        self.bless(SERVICE, AttoFil::ZERO, Command::SetNotaries { notaries, quorum: 2, until, ballots });
    }

    /// A job from its opening to its settlement.
    pub(super) fn settle(&self) -> JobId {
        let (salt, now) = {
            let mut inner = self.inner();
            inner.next_salt += 1;
            (inner.next_salt, inner.now)
        };
        let bytes = Bytes::from(spec::parse_json(spec::EXAMPLE.as_bytes()).expect("the example").to_dag_cbor());
        let price = AttoFil(10 * GWEI);
        let terms = Terms {
            client: CLIENT,
            salt: U256::from(salt - 1),
            spec: B256::from_slice(&Sha256::digest(&bytes)),
            spec_codec: SpecCodec::DagCbor.code(),
            min_price: price,
            max_price: price,
            ramp_start: now,
            ramp_period: 1,
            lock_by: now.after(100),
            run_for: 60,
            review_for: 0,
            rule_for: 0,
            collateral: AttoFil(GWEI),
            matcher: Address::ZERO,
            arbiter: Address::ZERO,
            callback_gas: 0,
            keep_record: true,
        };
        let job = eip712::job_id(&market_ref(), &terms);
        let result = JobResult { output: keccak256(salt.to_be_bytes()), ..JobResult::default() };
        let calls = [
            (PROVIDER, AttoFil(GWEI), model::Command::Deposit { account: PROVIDER }),
            (CLIENT, price, model::Command::Open { terms: terms.clone(), spec: bytes }),
            (PROVIDER, AttoFil::ZERO, model::Command::Lock { terms: terms.clone() }),
            (PROVIDER, AttoFil::ZERO, model::Command::SubmitResult { terms, result }),
        ];
        let mut inner = self.inner();
        for (sender, value, command) in calls {
            inner.call(sender, MARKET, value, command.into()).expect("the market takes it");
        }
        job
    }

    pub(super) fn now(&self) -> Time {
        self.inner().now
    }

    pub(super) fn pass(&self, seconds: u64) {
        let mut inner = self.inner();
        inner.now = inner.now.after(seconds);
    }

    pub(super) fn granter_fails(&self, fails: bool) {
        self.inner().granter_fails = fails;
    }

    /// What it fails with.
    pub(super) fn granter_says(&self, selector: [u8; 4], rejection: Option<GranterRejection>) {
        self.inner().failure = (selector, rejection);
    }

    pub(super) fn reachable(&self, reachable: bool) {
        self.inner().reachable = reachable;
    }

    /// Whether the node answers at all.
    pub(super) fn answers(&self, answers: bool) {
        self.inner().answers = answers;
    }

    /// Commands like these are never answered when they are tried out.
    pub(super) fn stall(&self, stalls: fn(&Command) -> bool) {
        self.inner().stalls = stalls;
    }

    /// What the chain's node was shown of commands that were not sent.
    pub(super) fn tried(&self) -> Vec<Command> {
        self.inner().tried.clone()
    }

    pub(super) fn block(&self) -> u64 {
        self.inner().block()
    }

    /// How many commands of the service landed, of those that were not undone.
    pub(super) fn submitted(&self) -> u64 {
        self.inner().submitted
    }

    /// A reorganisation: everything above a block is undone.
    pub(super) fn undo(&self, to: u64) {
        let mut inner = self.inner();
        let kept = usize::try_from(to).expect("small");
        let (world, _) = inner.past[kept].clone();
        inner.world = world;
        inner.past.truncate(kept);
        inner.landed.retain(|_, landed| landed.cursor.block <= to);
        let cursor = Cursor { block: to, block_hash: inner.hash(to), index: 1_000 };
        inner.market.push(history::Told::Rewind { to: Some(cursor) });
        inner.blessing.push(BlessingUpdate::Rewind { to: Some(cursor) });
        inner.fork += 1;
    }

    /// What was said since the last time, with a head; final is what lies so many blocks below it.
    pub(super) fn news(&self, depth: u64) -> (Vec<history::Told>, Vec<BlessingUpdate>, u64) {
        let mut inner = self.inner();
        let block = inner.block();
        let cursor = Cursor { block, block_hash: inner.hash(block), index: 1_000 };
        let latest = Head { block, hash: cursor.block_hash, time: inner.now };
        let finalized = block.saturating_sub(depth);
        inner.market.push(history::Told::Head { cursor });
        inner.blessing.push(BlessingUpdate::Head { cursor, latest, finalized });
        (std::mem::take(&mut inner.market), std::mem::take(&mut inner.blessing), finalized)
    }

    pub(super) fn phase(&self, job: JobId) -> Phase {
        self.inner().world.blessing(BLESSING).expect("deployed").phase(job)
    }

    async fn answer(&self) {
        let answers = self.inner().answers;
        if !answers {
            std::future::pending::<()>().await;
        }
    }

    fn read<T>(&self, read: impl FnOnce(&lota_market::blessing::Blessing, Time) -> T) -> Result<T, TransportError> {
        let inner = self.inner();
        if !inner.reachable {
            return Err(TransportError::Unavailable("the cable is cut".into()));
        }
        Ok(read(inner.world.blessing(BLESSING).expect("deployed"), inner.now))
    }
}

fn refused(error: CallError) -> BlessingSubmitError {
    match error {
        CallError::RejectedByBlessing(rejection) => BlessingSubmitError::Rejected(rejection),
        other => BlessingSubmitError::Failed(other.to_string()),
    }
}

#[async_trait]
impl BlessingTransport for Twin {
    fn blessing(&self) -> BlessingRef {
        BlessingRef { chain_id: CHAIN, contract: BLESSING }
    }

    fn market(&self) -> Address {
        MARKET
    }

    fn asset(&self) -> &Asset {
        &self.asset
    }

    fn settings(&self) -> Settings {
        *self.inner().world.blessing(BLESSING).expect("deployed").settings()
    }

    fn party(&self) -> Address {
        SERVICE
    }

    fn updates(&self, _: Option<Cursor>) -> BlessingUpdates {
        futures::stream::pending().boxed()
    }

    async fn submit(
        &self,
        key: &EffectKey,
        command: &Command,
        value: AttoFil,
    ) -> Result<BlessingLanded, BlessingSubmitError> {
        self.read(|_, _| ())?;
        let mut inner = self.inner();
        let key = (SERVICE, key.clone());
        if let Some(landed) = inner.landed.get(&key) {
            return Ok(landed.clone());
        }
        let landed = inner.call(SERVICE, BLESSING, value, command.clone().into()).map_err(refused)?;
        inner.submitted += 1;
        inner.landed.insert(key, landed.clone());
        Ok(landed)
    }

    async fn try_out(&self, sender: Address, command: &Command) -> Result<(), BlessingSubmitError> {
        self.read(|_, _| ())?;
        let stalls = {
            let mut inner = self.inner();
            inner.tried.push(command.clone());
            (inner.stalls)(command)
        };
        if stalls {
            std::future::pending::<()>().await;
        }
        let mut inner = self.inner();
        let mut around = inner.around();
        let savepoint = inner.world.savepoint();
        let outcome =
            inner.world.execute_on_blessing(sender, BLESSING, AttoFil::ZERO, command, &mut around, &mut Vec::new());
        inner.world.roll_back(savepoint);
        outcome.map_err(refused)
    }

    async fn granter_refusal(&self, _: &Nomination) -> Result<Option<GranterRejection>, TransportError> {
        self.answer().await;
        let inner = self.inner();
        Ok(inner.granter_fails.then(|| inner.failure.1.clone()).flatten())
    }

    async fn notaries(&self) -> Result<Notaries, TransportError> {
        self.answer().await;
        self.read(|blessing, _| blessing.notaries().clone())
    }

    async fn limits(&self, granter: Address) -> Result<Limits, TransportError> {
        self.read(|blessing, _| blessing.limits(granter))
    }

    async fn granted(&self, granter: Address, provider: Address) -> Result<(U256, U256), TransportError> {
        self.answer().await;
        self.read(|blessing, now| blessing.granted_of(granter, provider, now))
    }

    async fn registration(&self, provider: Address, granter: Address) -> Result<Registration, TransportError> {
        self.read(|blessing, _| blessing.registration(provider, granter).cloned().unwrap_or_default())
    }

    async fn record(&self, job: JobId) -> Result<StoredRecord, TransportError> {
        self.read(|blessing, _| StoredRecord {
            phase: blessing.phase(job),
            round: blessing.record(job).map_or(0, |record| record.round),
            nomination: B256::ZERO,
            approvals: 0,
            against: 0,
            blessed_at: Time(0),
            reasons: B256::ZERO,
        })
    }

    async fn has_voted(&self, _: JobId, _: Address) -> Result<bool, TransportError> {
        Ok(false)
    }

    async fn balance(&self, account: Address) -> Result<AttoFil, TransportError> {
        self.read(|blessing, _| blessing.balance(account))
    }

    async fn pool(&self, provider: Address) -> Result<AttoFil, TransportError> {
        self.read(|blessing, _| blessing.pool(provider))
    }
}
