//! One key's transactions on one chain, for any call: nonces in order, everything written down before it is broadcast, fees, and
//! replacement of what is stuck.
//!
//! There is one account for each key and chain, however many contracts it speaks to: two would give out the same nonces. What is
//! sent is known by a key of the caller's own ([`EffectKey`]): the same key sends once, whatever happens in between. What a call came
//! to is read from its logs.
//!
//! ```no_run
//! # use std::sync::Arc;
//! use lota_bridge::evm::{Account, Call, Chain, Config, Network};
//! use lota_bridge::{PrivateKeySigner, journal::MemoryJournal};
//! use lota_market::{Address, AttoFil, Bytes, agent::EffectKey};
//!
//! # async fn grant(contract: Address, data: Bytes) -> Result<(), Box<dyn std::error::Error>> {
//! let chain = Chain::connect(Config::new(&Network::CALIBRATION, "https://node.example/rpc/v1")).await?;
//! let account = Account::open(&chain, PrivateKeySigner::random(), Arc::new(MemoryJournal::default()));
//! // In a block, once, also if this is repeated after a crash (with a journal that outlives the process).
//! let call = Call { value: AttoFil(1), ..Call::new(contract, data) };
//! let landed = account.send(&EffectKey::named("grant/7"), call).await?;
//! for log in landed.logs.iter().filter(|log| log.address == contract) {
//!     println!("{} in block {}: {:?}", landed.transaction, landed.block, log.topics);
//! }
//! # Ok(()) }
//! ```

mod call;
mod fees;
mod findings;
mod lane;
mod objection;
mod pending;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{FutureExt as _, StreamExt as _, stream};
use lota_market::{Address, AttoFil, B256, agent::EffectKey};
use tokio::sync::{mpsc, oneshot, watch};

pub use self::call::{Call, Fee, Landed, Reserve, SendError};
use self::{
    fees::{Draft, Price},
    lane::Lane,
    objection::{Objection, objection},
};
use super::chain::{At, Chain, Header, Refusal, RpcError};
use crate::{
    Journal, PrivateKeySigner,
    journal::{AccountId, Sending, TransactionOutcome},
};

/// The most submissions that wait for their turn.
const MAX_QUEUE: usize = 256;
/// The most transactions that are on their way at once; more are refused for the time being.
const MAX_PENDING: usize = 256;
/// The most that landed and are watched until they are final.
const MAX_LANDED: usize = 4_096;
/// The most submissions that are begun together: they share what is asked about the account, and one write to the disk.
const MAX_ROUND: usize = 64;
/// The most calls to the node that wait for their answers at once.
const MAX_CALLS: usize = 16;
/// For so long the node is not asked again how many transactions the account has sent: nobody else sends with its key.
const COUNT_AGE: Duration = Duration::from_secs(30);
/// How often a nonce must be seen used, with none of our receipts, before it counts as used by something else.
const MIN_MISSING: u32 = 3;
/// After so many polls without a block that holds it, the node is asked whether it still has a transaction.
const LOOKS_BEFORE_LOST: u32 = 4;
/// Looks at a chain that has no new block are as short as can be, but for every so many.
const LOOKS_ALIKE: u32 = 4;
/// After so many polls a transaction is replaced that the node has and does not count as the account's next.
const LOOKS_BEFORE_HELD_BACK: u32 = 6;
/// How often a node may refuse a transaction before its nonce is given to nothing.
const MAX_REFUSALS: u32 = 8;
/// After so many failures in a row those who wait are told.
const MAX_FAILURES: u32 = 3;

/// One key's transactions on one chain. Clones are the same account.
#[derive(Clone)]
pub struct Account {
    chain: Chain,
    address: Address,
    requests: mpsc::Sender<Request>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("chain", &self.chain).field("address", &self.address).finish_non_exhaustive()
    }
}

impl Account {
    /// Opens the account of a key, and takes up what an earlier process left. The task that sends ends with the last clone.
    #[must_use]
    pub fn open(chain: &Chain, signer: PrivateKeySigner, journal: Arc<dyn Journal>) -> Self {
        chain.listen();
        let address = signer.address();
        Self { chain: chain.clone(), address, requests: spawn(chain.clone(), journal, signer) }
    }

    /// Its address.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.address
    }

    /// The chain that it sends to.
    #[must_use]
    pub const fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Sends a call and waits until it is in a block.
    ///
    /// Idempotent on the key: called again, at the same time, or after a restart, it is done once, and every call returns what it came
    /// to. When a reorganisation undid it, calling again sends it again. Dropping the future does not undo anything.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send(&self, key: &EffectKey, call: Call) -> Result<Landed, SendError> {
        let (reply, answer) = oneshot::channel();
        let request = Request { key: key.clone(), call, reply };
        let stopped = || SendError::from(RpcError::unavailable("the task that sends has stopped"));
        self.requests.send(request).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

/// A submission, and who waits for it.
struct Request {
    key: EffectKey,
    call: Call,
    reply: oneshot::Sender<Result<Landed, SendError>>,
}

impl Request {
    fn answer(self, answer: Result<Landed, SendError>) {
        // Whoever asked may have lost interest; the transaction goes on.
        let _ = self.reply.send(answer);
    }
}

/// A transaction that is not final.
struct Watched {
    sending: Sending,
    /// Whom it calls.
    to: Option<Address>,
    waiting: Vec<Request>,
    /// When its newest version was made.
    made: Instant,
    /// When it was last broadcast, unless it must be broadcast at once.
    sent: Option<Instant>,
    /// It is being broadcast.
    is_leaving: bool,
    /// How often it was missing although its nonce is used.
    missing: u32,
    /// Since when it is missing that often.
    missing_since: Option<Instant>,
    /// Since when the node knows nothing of its landing any more.
    unseen_since: Option<Instant>,
    refusals: u32,
    /// The account could not pay for it.
    poor: bool,
    /// The node wants a higher fee.
    cheap: bool,
}

impl Watched {
    fn new(sending: Sending) -> Self {
        let made = Instant::now();
        let to = sending.attempts.first().and_then(Draft::of).and_then(|draft| draft.to);
        Self {
            sending,
            to,
            waiting: Vec::new(),
            made,
            sent: None,
            is_leaving: false,
            missing: 0,
            missing_since: None,
            unseen_since: None,
            refusals: 0,
            poor: false,
            cheap: false,
        }
    }

    /// Whether it is in a block, and everybody was told.
    fn has_landed(&self) -> bool {
        matches!(self.sending.outcome, TransactionOutcome::Landed { .. }) && self.waiting.is_empty()
    }

    fn answer(&mut self, answer: &Result<Landed, SendError>) {
        self.waiting.drain(..).for_each(|request| request.answer(answer.clone()));
    }
}

struct Sender {
    chain: Chain,
    journal: Arc<dyn Journal>,
    signer: PrivateKeySigner,
    account: AccountId,
    requests: mpsc::Receiver<Request>,
    wakes: watch::Receiver<u64>,
    watched: BTreeMap<u64, Watched>,
    /// Submissions that are looked at once more: their nonce was used by something else, or another one of their key was
    /// just begun.
    again: Vec<Request>,
    adopted: bool,
    /// Since when everything waits for a nonce that nothing uses.
    gap: Option<Instant>,
    failures: u32,
    lane: Lane,
    /// Broadcasts in a row that came to nothing.
    unsent: u32,
    /// When to look after what is on its way.
    next_look: Instant,
    /// The newest block at the last look, how many nonces were used, and how often in a row it was found again.
    seen: Option<B256>,
    used: u64,
    alike: u32,
    /// What the account has at least, as long as nobody else spends it.
    purse: Option<u128>,
    /// When the node was asked how many transactions the account has sent.
    counted: Option<Instant>,
}

/// Starts the task; it ends when the returned sender is dropped.
fn spawn(chain: Chain, journal: Arc<dyn Journal>, signer: PrivateKeySigner) -> mpsc::Sender<Request> {
    let (sender, requests) = mpsc::channel(MAX_QUEUE);
    let account = AccountId { chain_id: chain.id(), address: signer.address() };
    let wakes = chain.wakes();
    let lane = Lane::open(chain.clone());
    let next_look = Instant::now() + chain.config().poll;
    let task = Sender {
        chain,
        journal,
        signer,
        account,
        requests,
        wakes,
        watched: BTreeMap::new(),
        again: Vec::new(),
        adopted: false,
        gap: None,
        failures: 0,
        lane,
        unsent: 0,
        next_look,
        seen: None,
        used: 0,
        alike: 0,
        purse: None,
        counted: None,
    };
    tokio::spawn(task.run());
    sender
}

impl Sender {
    async fn run(mut self) {
        let mut round = Vec::new();
        let mut sighted = self.chain.sightings().news();
        loop {
            if !self.again.is_empty() {
                let again = std::mem::take(&mut self.again);
                self.take(again).await;
            }
            let busy = !self.watched.is_empty() || !self.adopted;
            let is_hint = busy && self.failures == 0 && !self.is_told();
            tokio::select! {
                count = self.requests.recv_many(&mut round, MAX_ROUND) => {
                    if count == 0 {
                        return;
                    }
                    if !busy {
                        self.next_look = Instant::now() + self.chain.config().poll;
                        self.wakes.mark_unchanged();
                    }
                    self.take(std::mem::take(&mut round)).await;
                }
                Some((nonce, sent)) = self.lane.answers.recv() => self.was_sent(nonce, sent).await,
                Ok(()) = sighted.changed(), if busy => self.take_sighted().await,
                Ok(()) = self.wakes.changed(), if is_hint => self.look_after().await,
                () = tokio::time::sleep_until(self.next_look.into()), if busy => self.look_after().await,
            }
        }
    }

    /// Whether logs say sooner than the node can be asked what a new block holds of what is on its way.
    fn is_told(&self) -> bool {
        let mut awaited = self.watched.values().filter(|watched| !watched.has_landed());
        awaited.all(|watched| watched.to.is_some_and(|to| self.chain.is_followed_live(to)))
    }

    /// Looks after what is on its way, and says when to look next.
    async fn look_after(&mut self) {
        self.wakes.mark_unchanged();
        match self.look().await {
            Ok(()) if self.failures > 0 => {
                self.failures = 0;
                tracing::info!(account = %self.account.address, "transactions are watched again");
            }
            Ok(()) => {}
            Err(error) => self.failed(&error),
        }
        let failures = self.failures.max(self.unsent);
        let pause = if failures == 0 { self.chain.config().poll } else { self.chain.pause_after(failures, None) };
        self.next_look = Instant::now() + pause;
    }

    // Submissions -----------------------------------------------------------------------------------------------------

    /// Takes submissions that came together.
    async fn take(&mut self, round: Vec<Request>) {
        let mut fresh: Vec<Fresh> = Vec::new();
        let mut keys = BTreeSet::new();
        for request in round {
            match self.place(&request).await {
                Ok(Place::Landed(landed)) => request.answer(Ok(landed)),
                Ok(Place::At(nonce)) => match self.watched.get_mut(&nonce) {
                    Some(watched) if watched.waiting.len() < MAX_QUEUE => watched.waiting.push(request),
                    _ => request.answer(Err(RpcError::unavailable("too many wait for this transaction").into())),
                },
                Ok(Place::Nowhere(content)) => {
                    if keys.insert(request.key.clone()) {
                        fresh.push(Fresh { request, content });
                    } else {
                        // It finds the transaction of the first one, or the way free.
                        self.again.push(request);
                    }
                }
                Err(error) => request.answer(Err(error)),
            }
        }
        self.begin(fresh).await;
    }

    /// Finds the transaction of a submission.
    async fn place(&mut self, request: &Request) -> Result<Place, SendError> {
        if !self.adopted {
            self.adopt().await?;
        }
        let content = request.call.content();
        let Some(sending) = self.journal.find(self.account, &request.key).await? else {
            return Ok(Place::Nowhere(content));
        };
        if sending.content != content {
            return Err(SendError::KeyReused { account: self.account.address, key: request.key.clone() });
        }
        let nonce = sending.nonce;
        if let TransactionOutcome::Landed { transaction, .. } = sending.outcome
            && let Some(receipt) = self.chain.receipt(transaction).await?
            && receipt.succeeded()
            && self.chain.is_canonical(receipt.block(), receipt.block_hash).await?
            && let Some(landed) = findings::landing(&self.chain, &receipt).await?
        {
            return Ok(Place::Landed(landed));
        }
        // Undone, or not there yet: watching it finds out.
        self.watched.entry(nonce).or_insert_with(|| Watched::new(sending));
        Ok(Place::At(nonce))
    }

    /// Tries calls out, writes their transactions down together, and broadcasts them. Each fails for itself.
    async fn begin(&mut self, mut fresh: Vec<Fresh>) {
        let pending = self.watched.values().filter(|watched| !watched.has_landed()).count();
        let room = MAX_PENDING.saturating_sub(pending).min(fresh.len());
        for late in fresh.drain(room..) {
            let many = format!("{MAX_PENDING} transactions are on their way; wait for some");
            late.request.answer(Err(RpcError::unavailable(many).into()));
        }
        if fresh.is_empty() {
            return;
        }
        let means = match self.means(&fresh).await {
            Ok(means) => means,
            Err(error) => return fresh.into_iter().for_each(|fresh| fresh.request.answer(Err(error.clone()))),
        };
        if means.used < means.ours
            && !self.watched.contains_key(&means.used)
            && let Err(error) = self.adopt_from(means.used).await
        {
            return fresh.into_iter().for_each(|fresh| fresh.request.answer(Err(error.clone())));
        }
        let (mut begun, mut sendings) = (Vec::new(), Vec::new());
        let (mut nonce, mut committed) = (means.nonce, self.committed());
        for (fresh, gas) in fresh.into_iter().zip(&means.gas) {
            match self.sending(&fresh, gas.clone(), nonce, &mut committed, &means) {
                Ok(sending) => {
                    nonce += 1;
                    begun.push(fresh.request);
                    sendings.push(sending);
                }
                Err(error) => fresh.request.answer(Err(error)),
            }
        }
        if let Err(error) = self.journal.begin_all(self.account, &sendings).await.map_err(SendError::from) {
            return begun.into_iter().for_each(|request| request.answer(Err(error.clone())));
        }
        let nonces: Vec<_> = sendings.iter().map(|sending| sending.nonce).collect();
        for (request, sending) in begun.into_iter().zip(sendings) {
            let nonce = sending.nonce;
            self.watched.entry(nonce).or_insert_with(|| Watched::new(sending)).waiting.push(request);
        }
        // They are written down: what goes wrong from here on is made good by watching them.
        nonces.into_iter().for_each(|nonce| self.broadcast(nonce));
    }

    /// What the calls need, what the account has, and what the chain asks. What was asked not long ago is not asked again.
    async fn means(&mut self, fresh: &[Fresh]) -> Result<Means, SendError> {
        let (chain, account) = (self.chain.clone(), self.account.address);
        let ours = self.journal.next_nonce(self.account).await?;
        let is_counted = ours.is_some() && self.counted.is_some_and(|counted| counted.elapsed() < COUNT_AGE);
        // What is reserved must be there, also when somebody else spends with this key.
        let is_known = fresh.iter().all(|fresh| fresh.request.call.reserve == Reserve::default());
        let purse = self.purse.filter(|_| is_known);
        let estimates: Vec<_> = fresh.iter().map(|fresh| self.gas(fresh).boxed()).collect();
        let estimates = stream::iter(estimates).buffered(MAX_CALLS).collect::<Vec<_>>();
        let asked = async {
            tokio::try_join!(
                async { if is_counted { Ok(None) } else { chain.count(account, At::Latest).await.map(Some) } },
                async { if is_counted { Ok(None) } else { chain.pending_count(account).await.map(Some) } },
                async { if purse.is_some() { Ok(None) } else { chain.balance(account, At::Latest).await.map(Some) } },
            )
        };
        let (gas, asked) = tokio::join!(estimates, asked);
        // After them: what another chain said of them would not do on this one.
        let latest = chain.latest().await?;
        let (used, queued, balance) = asked?;
        let price = self.affordable_price(&latest).await;
        if !is_counted {
            self.counted = Some(Instant::now());
        }
        let mut wallet: u128 = purse.unwrap_or_else(|| balance.unwrap_or_default().0);
        let max_fee = price.as_ref().map_or(0, |price| price.max_fee);
        let costs = fresh.iter().zip(&gas).map(|(fresh, gas)| {
            let gas = gas.as_ref().map_or(0, |gas| u128::from(*gas).saturating_mul(max_fee));
            gas.saturating_add(fresh.request.call.value.0)
        });
        if purse.is_some() && wallet < costs.fold(self.committed(), u128::saturating_add) {
            wallet = chain.balance(account, At::Latest).await?.0;
        }
        self.purse = Some(wallet);
        let wallet = AttoFil(wallet);
        let this = &*self;
        let gas = fresh.iter().zip(gas).map(|(fresh, gas)| async move {
            match gas {
                Ok(gas) => Ok(gas),
                Err(error) => Err(this.why_not(&fresh.request.call, error, wallet, latest.number()).await),
            }
        });
        let gas = stream::iter(gas.collect::<Vec<_>>()).buffered(MAX_CALLS).collect().await;
        let ours = ours.unwrap_or_default();
        let used = used.unwrap_or(ours);
        // The nonce comes after ours, and after those that others sent with this key.
        let nonce = ours.max(used).max(queued.unwrap_or_default());
        Ok(Means { gas, wallet, price, used, ours, nonce })
    }

    /// The gas limit for a call, as the node sees it now.
    async fn gas(&self, Fresh { request, .. }: &Fresh) -> Result<u64, RpcError> {
        let estimate = self.chain.estimate(&request.call.request(self.account.address)).await?;
        Ok(fees::with_margin(estimate).saturating_add(request.call.extra_gas))
    }

    /// Signs a call's transaction, if the account can pay for it beside those that are `committed`.
    fn sending(
        &self,
        fresh: &Fresh,
        gas: Result<u64, SendError>,
        nonce: u64,
        committed: &mut u128,
        means: &Means,
    ) -> Result<Sending, SendError> {
        let Fresh { request: Request { key, call, .. }, content } = fresh;
        let (account, wallet) = (self.account.address, means.wallet);
        if wallet < call.value {
            return Err(SendError::Unaffordable { account, wallet, needed: call.value });
        }
        let gas = gas?;
        let (chain_id, price) = (self.chain.id(), means.price.clone()?);
        let draft = Draft { chain_id, nonce, gas, to: call.to, value: call.value, data: call.data.clone() };
        let reserved = fees::reserved(call.reserve, gas).saturating_mul(price.max_fee);
        let with_this = committed.saturating_add(draft.cost(price.max_fee).0);
        let needed = AttoFil(with_this.saturating_add(reserved));
        if wallet < needed {
            return Err(SendError::Unaffordable { account, wallet, needed });
        }
        let attempts = vec![self.sign(&draft, price)?];
        *committed = with_this;
        Ok(Sending { key: key.clone(), content: *content, nonce, attempts, outcome: TransactionOutcome::Pending })
    }

    /// Why there is no estimate. Which state the node estimated on it does not say, and one address may stand for several nodes: what
    /// a contract refuses is tried out once more on the state after the newest block.
    async fn why_not(&self, call: &Call, error: RpcError, wallet: AttoFil, newest: u64) -> SendError {
        let refusal = match error {
            RpcError::Refused(refusal) => refusal,
            error => return error.into(),
        };
        if refusal.data.is_some()
            && let Err(RpcError::Refused(there)) =
                self.chain.call(&call.request(self.account.address), At::Block(newest)).await
            && there.data.is_some()
        {
            return self.refused(there, Some(newest), wallet, call.value);
        }
        self.refused(refusal, None, wallet, call.value)
    }

    /// What a node's refusal of a call means; `block`: in whose state it was given, if that is known.
    fn refused(&self, refusal: Refusal, block: Option<u64>, wallet: AttoFil, needed: AttoFil) -> SendError {
        if objection(&refusal) == Objection::Funds {
            return SendError::Unaffordable { account: self.account.address, wallet, needed };
        }
        SendError::Refused { refusal, block }
    }

    fn sign(&self, draft: &Draft, price: Price) -> Result<crate::journal::Attempt, SendError> {
        let account = self.account.address;
        let failed = |error: alloy::signers::Error| SendError::Signer { account, problem: error.to_string() };
        draft.sign(&self.signer, price).map_err(failed)
    }

    /// What the chain asks now, within the limit that was set.
    async fn affordable_price(&self, latest: &Header) -> Result<Price, SendError> {
        let price = Price::after(&self.chain, latest).await?;
        match self.chain.config().fees.max_fee {
            Some(limit) if price.max_fee > limit => Err(RpcError::unavailable(format!(
                "gas costs up to {} attoFIL a unit, and the limit is {limit}; nothing is sent until it is cheaper",
                price.max_fee
            ))
            .into()),
            _ => Ok(price),
        }
    }

    /// The most that transactions on their way may cost.
    fn committed(&self) -> u128 {
        let pending = self.watched.values().filter(|watched| watched.sending.outcome == TransactionOutcome::Pending);
        let newest = pending.filter_map(|watched| watched.sending.attempts.last());
        newest.filter_map(|attempt| Some(Draft::of(attempt)?.cost(attempt.max_fee).0)).fold(0, u128::saturating_add)
    }
}

/// Where a submission is.
enum Place {
    /// It landed before.
    Landed(Landed),
    /// It is watched under this nonce.
    At(u64),
    /// Nothing was begun for it: the hash of what it does.
    Nowhere(B256),
}

/// A submission that nothing was begun for.
struct Fresh {
    request: Request,
    content: B256,
}

/// What transactions are made from.
struct Means {
    /// The gas limit of each, or why there is none.
    gas: Vec<Result<u64, SendError>>,
    wallet: AttoFil,
    price: Result<Price, SendError>,
    /// How many of the account's transactions are in blocks.
    used: u64,
    /// One above the highest nonce that is written down.
    ours: u64,
    /// The next one to use.
    nonce: u64,
}
