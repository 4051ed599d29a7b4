//! The one task that sends for an account: nonces in order, everything written down before it is broadcast.

mod findings;
mod lane;
mod pending;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use alloy::primitives::keccak256;
use futures::{FutureExt as _, StreamExt as _, stream};
use lota_market::{AttoFil, B256, U256, agent::EffectKey, model::Command};
use tokio::sync::{mpsc, oneshot, watch};

use self::lane::Lane;
use super::{
    bindings::{self, Revert},
    fees::{self, Draft, Price},
    rpc::{Call, Header, Refusal, Trouble},
    shared::{self, Shared},
};
use crate::{
    JournalError, PrivateKeySigner,
    journal::{Account, Outcome, Sending},
    transport::{Landed, Reserve, SubmitError, TransportError},
};

/// The most submissions that wait for their turn.
pub(super) const MAX_QUEUE: usize = 256;
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

/// A submission, and who waits for it.
pub(super) struct Request {
    pub key: EffectKey,
    pub command: Command,
    pub value: AttoFil,
    pub reserve: Reserve,
    pub reply: oneshot::Sender<Result<Landed, SubmitError>>,
}

impl Request {
    fn answer(self, answer: Result<Landed, SubmitError>) {
        // Whoever asked may have lost interest; the transaction goes on.
        let _ = self.reply.send(answer);
    }
}

/// A transaction that is not final.
struct Watched {
    sending: Sending,
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
        Self {
            sending,
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
        matches!(self.sending.outcome, Outcome::Landed { .. }) && self.waiting.is_empty()
    }

    fn answer(&mut self, answer: &Result<Landed, SubmitError>) {
        self.waiting.drain(..).for_each(|request| request.answer(answer.clone()));
    }
}

struct Sender {
    shared: Arc<Shared>,
    signer: PrivateKeySigner,
    account: Account,
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
pub(super) fn spawn(shared: Arc<Shared>, signer: PrivateKeySigner) -> mpsc::Sender<Request> {
    let (sender, requests) = mpsc::channel(MAX_QUEUE);
    let account = shared::account(&shared, signer.address());
    let wakes = shared.wakes();
    let lane = Lane::open(shared.clone());
    let next_look = Instant::now() + shared.config.poll;
    let task = Sender {
        shared,
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

fn storage(error: JournalError) -> SubmitError {
    TransportError::Storage(error.to_string()).into()
}

impl From<Trouble> for SubmitError {
    fn from(trouble: Trouble) -> Self {
        Self::Transport(trouble.into())
    }
}

/// What a node means by refusing a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Objection {
    /// It has it.
    Known,
    /// Its nonce is used: the next look finds out by what.
    NonceUsed,
    /// It must offer more.
    Cheap,
    /// The account cannot pay.
    Funds,
    /// Something else.
    Other,
}

fn objection(refusal: &Refusal) -> Objection {
    let text = refusal.message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(&["already known", "known transaction", "already imported", "already in mpool", "already exists"]) {
        Objection::Known
    } else if says(&["nonce too low", "nonce is too low", "minimum expected nonce"]) {
        Objection::NonceUsed
    } else if says(&[
        "underpriced",
        "rbf",
        "replace by fee",
        "gas premium too low",
        "fee too low",
        "less than block base fee",
    ]) {
        Objection::Cheap
    } else if says(&["insufficient funds", "not enough funds", "insufficient balance"]) {
        Objection::Funds
    } else {
        Objection::Other
    }
}

impl Sender {
    async fn run(mut self) {
        let mut round = Vec::new();
        let mut sighted = self.shared.sightings.news();
        loop {
            if !self.again.is_empty() {
                let again = std::mem::take(&mut self.again);
                self.take(again).await;
            }
            let busy = !self.watched.is_empty() || !self.adopted;
            // A reader says sooner what a new block holds.
            let is_hint = busy && self.failures == 0 && !self.shared.is_read_live();
            tokio::select! {
                count = self.requests.recv_many(&mut round, MAX_ROUND) => {
                    if count == 0 {
                        return;
                    }
                    if !busy {
                        self.next_look = Instant::now() + self.shared.config.poll;
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
        let pause = if failures == 0 { self.shared.config.poll } else { self.shared.pause_after(failures, None) };
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
                    _ => request.answer(Err(Trouble::down("too many wait for this transaction").into())),
                },
                Ok(Place::Nowhere(content, call)) => {
                    if keys.insert(request.key.clone()) {
                        fresh.push(Fresh { request, content, call });
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
    async fn place(&mut self, request: &Request) -> Result<Place, SubmitError> {
        if !self.adopted {
            self.adopt().await?;
        }
        let data = bindings::call_data(&request.command);
        let value = U256::from(request.value.0);
        let content = [self.shared.config.contract.as_slice(), &value.to_be_bytes::<32>(), &data].concat();
        let content = keccak256(content);
        let found = self.shared.journal.find(self.account, &request.key).await.map_err(storage)?;
        let Some(sending) = found else {
            let (from, to) = (self.account.address, self.shared.config.contract);
            return Ok(Place::Nowhere(content, Call { from, to, value, data }));
        };
        if sending.content != content {
            return Err(SubmitError::KeyReused { party: self.account.address, key: request.key.clone() });
        }
        let nonce = sending.nonce;
        if let Outcome::Landed { transaction, .. } = sending.outcome
            && let Some(receipt) = self.shared.rpc.receipt(transaction).await?
            && receipt.succeeded()
            && self.shared.is_canonical(receipt.block(), receipt.block_hash).await?
            && let Some(landed) = findings::landing(&self.shared, &receipt).await?
        {
            return Ok(Place::Landed(landed));
        }
        // Undone, or not there yet: watching it finds out.
        self.watched.entry(nonce).or_insert_with(|| Watched::new(sending));
        Ok(Place::At(nonce))
    }

    /// Tries commands out, writes their transactions down together, and broadcasts them. Each fails for itself.
    async fn begin(&mut self, mut fresh: Vec<Fresh>) {
        let pending = self.watched.values().filter(|watched| !watched.has_landed()).count();
        let room = MAX_PENDING.saturating_sub(pending).min(fresh.len());
        for late in fresh.drain(room..) {
            let many = format!("{MAX_PENDING} transactions are on their way; wait for some");
            late.request.answer(Err(Trouble::down(many).into()));
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
        if let Err(error) = self.shared.journal.begin_all(self.account, &sendings).await.map_err(storage) {
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

    /// What the commands need, what the account has, and what the chain asks. What was asked not long ago is not asked again.
    async fn means(&mut self, fresh: &[Fresh]) -> Result<Means, SubmitError> {
        let shared = self.shared.clone();
        let (rpc, account) = (&shared.rpc, self.account.address);
        let ours = shared.journal.next_nonce(self.account).await.map_err(storage)?;
        let is_counted = ours.is_some() && self.counted.is_some_and(|counted| counted.elapsed() < COUNT_AGE);
        // What is reserved must be there, also when somebody else spends with this key.
        let is_known = fresh.iter().all(|fresh| fresh.request.reserve == Reserve::default());
        let purse = self.purse.filter(|_| is_known);
        let estimates: Vec<_> = fresh.iter().map(|fresh| self.gas(fresh).boxed()).collect();
        let estimates = stream::iter(estimates).buffered(MAX_CALLS).collect::<Vec<_>>();
        let asked = async {
            tokio::try_join!(
                async { if is_counted { Ok(None) } else { rpc.count(account, None).await.map(Some) } },
                async { if is_counted { Ok(None) } else { rpc.pending_count(account).await.map(Some) } },
                async { if purse.is_some() { Ok(None) } else { rpc.balance(account).await.map(Some) } },
            )
        };
        let (gas, asked) = tokio::join!(estimates, asked);
        // After them: what another chain said of them would not do on this one.
        let latest = shared.latest().await?;
        let (used, queued, balance) = asked?;
        let price = self.affordable_price(&latest).await;
        if !is_counted {
            self.counted = Some(Instant::now());
        }
        let mut wallet: u128 = purse.unwrap_or_else(|| balance.unwrap_or_default().saturating_to());
        let max_fee = price.as_ref().map_or(0, |price| price.max_fee);
        let costs = fresh.iter().zip(&gas).map(|(fresh, gas)| {
            let gas = gas.as_ref().map_or(0, |gas| u128::from(*gas).saturating_mul(max_fee));
            gas.saturating_add(fresh.request.value.0)
        });
        if purse.is_some() && wallet < costs.fold(self.committed(), u128::saturating_add) {
            wallet = rpc.balance(account).await?.saturating_to();
        }
        self.purse = Some(wallet);
        let ours = ours.unwrap_or_default();
        let used = used.unwrap_or(ours);
        // The nonce comes after ours, and after those that others sent with this key.
        let nonce = ours.max(used).max(queued.unwrap_or_default());
        Ok(Means { gas, wallet: AttoFil(wallet), price, used, ours, nonce })
    }

    /// The gas limit for a command, as the node sees it now.
    async fn gas(&self, fresh: &Fresh) -> Result<u64, Trouble> {
        let estimate = self.shared.rpc.estimate(&fresh.call).await?;
        fees::limit(&self.shared, &fresh.request.command, estimate).await
    }

    /// Signs a command's transaction, if the account can pay for it beside those that are `committed`.
    fn sending(
        &self,
        fresh: &Fresh,
        gas: Result<u64, Trouble>,
        nonce: u64,
        committed: &mut u128,
        means: &Means,
    ) -> Result<Sending, SubmitError> {
        let Fresh { request, content, call } = fresh;
        let (account, wallet) = (self.account.address, means.wallet);
        if wallet < request.value {
            return Err(SubmitError::Unaffordable { account, wallet, needed: request.value });
        }
        let gas = match gas {
            Ok(gas) => gas,
            Err(Trouble::Refused(refusal)) => return Err(self.refused(&refusal, wallet, request.value)),
            Err(trouble) => return Err(trouble.into()),
        };
        let (chain_id, price) = (self.shared.config.chain_id, means.price.clone()?);
        let draft = Draft { chain_id, nonce, gas, to: call.to, value: call.value, data: call.data.clone() };
        let reserved = fees::reserved(&self.shared.deployment, request.reserve, gas).saturating_mul(price.max_fee);
        let with_this = committed.saturating_add(draft.cost(price.max_fee).0);
        let needed = AttoFil(with_this.saturating_add(reserved));
        if wallet < needed {
            return Err(SubmitError::Unaffordable { account, wallet, needed });
        }
        let attempts = vec![self.sign(&draft, price)?];
        *committed = with_this;
        Ok(Sending { key: request.key.clone(), content: *content, nonce, attempts, outcome: Outcome::Pending })
    }

    /// What an estimate that the node refuses means.
    fn refused(&self, refusal: &Refusal, wallet: AttoFil, needed: AttoFil) -> SubmitError {
        if objection(refusal) == Objection::Funds {
            return SubmitError::Unaffordable { account: self.account.address, wallet, needed };
        }
        match refusal.data.as_ref().map(|data| bindings::revert(data)) {
            Some(Revert::Rejected(rejection)) => SubmitError::Rejected(rejection),
            Some(Revert::InsufficientGas { left, needed }) => SubmitError::Failed(format!(
                "the node tried it with too little gas: {left} was left, {needed} was promised to a callback or a wallet"
            )),
            Some(Revert::Unknown(text)) if refusal.message.is_empty() => SubmitError::Failed(text),
            _ => SubmitError::Failed(format!("the node says: {}", refusal.message)),
        }
    }

    fn sign(&self, draft: &Draft, price: Price) -> Result<crate::journal::Attempt, SubmitError> {
        let party = self.account.address;
        draft
            .sign(&self.signer, price)
            .map_err(|error| TransportError::Signer { party, problem: error.to_string() }.into())
    }

    /// What the chain asks now, within the limit that was set.
    async fn affordable_price(&self, latest: &Header) -> Result<Price, SubmitError> {
        let price = Price::after(&self.shared, latest).await?;
        match self.shared.config.fees.max_fee {
            Some(limit) if price.max_fee > limit => Err(Trouble::down(format!(
                "gas costs up to {} attoFIL a unit, and the limit is {limit}; nothing is sent until it is cheaper",
                price.max_fee
            ))
            .into()),
            _ => Ok(price),
        }
    }

    /// The most that transactions on their way may cost.
    fn committed(&self) -> u128 {
        let pending = self.watched.values().filter(|watched| watched.sending.outcome == Outcome::Pending);
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
    /// Nothing was begun for it: the hash of what it does, and its call.
    Nowhere(B256, Call),
}

/// A submission that nothing was begun for.
struct Fresh {
    request: Request,
    content: B256,
    call: Call,
}

/// What transactions are made from.
struct Means {
    /// The gas limit of each, or why there is none.
    gas: Vec<Result<u64, Trouble>>,
    wallet: AttoFil,
    price: Result<Price, SubmitError>,
    /// How many of the account's transactions are in blocks.
    used: u64,
    /// One above the highest nonce that is written down.
    ours: u64,
    /// The next one to use.
    nonce: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nodes_mean_by_refusing_a_transaction_is_understood() {
        for (text, meaning) in [
            // geth
            ("already known", Objection::Known),
            ("nonce too low: next nonce 5, tx nonce 4", Objection::NonceUsed),
            ("replacement transaction underpriced", Objection::Cheap),
            ("transaction underpriced: gas tip cap 0, minimum needed 1", Objection::Cheap),
            ("insufficient funds for gas * price + value: balance 1, tx cost 2, overshot 1", Objection::Funds),
            ("txpool is full", Objection::Other),
            // Anvil
            ("transaction already imported", Objection::Known),
            ("nonce too low", Objection::NonceUsed),
            ("Insufficient funds for gas * price + value", Objection::Funds),
            ("max fee per gas less than block base fee", Objection::Cheap),
            // Lotus
            ("message with nonce 3 already in mpool, minimum expected nonce is 4", Objection::Known),
            ("minimum expected nonce is 7: message nonce too low", Objection::NonceUsed),
            ("mpool push: not enough funds: 1 < 2", Objection::Funds),
            ("replace by fee has too low GasPremium: 100 < 126", Objection::Cheap),
            ("message will not be included in a block", Objection::Other),
        ] {
            let refusal = Refusal { code: -32_000, message: text.to_owned(), data: None };
            assert_eq!(objection(&refusal), meaning, "{text}");
        }
    }
}
