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

mod broadcast;
mod call;
mod fees;
mod findings;
mod lane;
mod objection;
mod pending;
mod submissions;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use lota_market::{Address, AttoFil, B256, agent::EffectKey};
use tokio::sync::{mpsc, oneshot, watch};

pub use self::call::{Call, Fee, Landed, Reserve, SendError};
use self::{
    fees::Draft,
    lane::Lane,
    objection::{Objection, objection},
};
use super::chain::{Chain, RpcError};
use crate::{
    Journal, PrivateKeySigner,
    journal::{AccountId, Sending, TransactionOutcome},
};

/// The most submissions that wait for their turn.
const MAX_QUEUE: usize = 256;
/// The most transactions that are on their way at once; more are refused for the time being.
const MAX_PENDING: usize = 256;
/// The most of those that an earlier process left pending, and whose nonces are used for good, that are looked after at once.
const MAX_LEFT: usize = 64;
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
    first_nonce: Arc<OnceLock<u64>>,
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
        let (address, first_nonce) = (signer.address(), Arc::default());
        let requests = spawn(chain.clone(), journal, signer, Arc::clone(&first_nonce));
        Self { chain: chain.clone(), address, requests, first_nonce }
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

    /// The nonces below this one were used, or taken by transactions that the node had in its pool, before this process sent anything;
    /// `None`: the node has not said so yet.
    pub(super) fn first_nonce(&self) -> Option<u64> {
        self.first_nonce.get().copied()
    }

    /// What a unit of gas costs now.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn gas_price(&self) -> Result<AttoFil, RpcError> {
        fees::of_a_unit(&self.chain).await.map(AttoFil)
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
    first_nonce: Arc<OnceLock<u64>>,
    /// Below this nonce all were used for good when an earlier process's transactions were taken up.
    used_before: u64,
    /// More of those may be written down as pending than are looked after.
    has_left: bool,
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
fn spawn(
    chain: Chain,
    journal: Arc<dyn Journal>,
    signer: PrivateKeySigner,
    first_nonce: Arc<OnceLock<u64>>,
) -> mpsc::Sender<Request> {
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
        first_nonce,
        used_before: 0,
        has_left: false,
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
            let busy = !self.watched.is_empty() || !self.adopted || self.has_left;
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
}
