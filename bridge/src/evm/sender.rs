//! The one task that sends for an account: nonces in order, everything written down before it is broadcast.

mod pending;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use alloy::primitives::keccak256;
use lota_market::{AttoFil, B256, U256, agent::EffectKey, model::Command};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    bindings::{self, Revert},
    fees::{self, Draft, Price},
    rpc::{Call, Receipt, Refusal, Trouble},
    shared::{self, Shared},
};
use crate::{
    JournalError, PrivateKeySigner,
    journal::{Account, MAX_PAGE, Outcome, Sending},
    transport::{Cursor, Landed, Reserve, SubmitError, TransportError},
};

/// The most submissions that wait for their turn.
pub(super) const MAX_QUEUE: usize = 256;
/// The most transactions that are watched at once; more are refused for the time being.
const MAX_WATCHED: usize = MAX_PAGE;
/// How often a nonce must be seen used, with none of our receipts, before it counts as used by something else.
const MIN_MISSING: u32 = 3;
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

/// A transaction that is not settled.
struct Watched {
    sending: Sending,
    waiting: Vec<Request>,
    /// When its newest version was made.
    made: Instant,
    /// When it was last broadcast, unless it must be broadcast at once.
    sent: Option<Instant>,
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
            missing: 0,
            missing_since: None,
            unseen_since: None,
            refusals: 0,
            poor: false,
            cheap: false,
        }
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
    /// Submissions that begin anew because their nonce was used by something else.
    again: VecDeque<Request>,
    adopted: bool,
    /// Since when everything waits for a nonce that nothing uses.
    gap: Option<Instant>,
    failures: u32,
}

/// Starts the task; it ends when the returned sender is dropped.
pub(super) fn spawn(shared: Arc<Shared>, signer: PrivateKeySigner) -> mpsc::Sender<Request> {
    let (sender, requests) = mpsc::channel(MAX_QUEUE);
    let account = shared::account(&shared, signer.address());
    let wakes = shared.wakes();
    let (watched, again) = (BTreeMap::new(), VecDeque::new());
    let task =
        Sender { shared, signer, account, requests, wakes, watched, again, adopted: false, gap: None, failures: 0 };
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
        loop {
            if let Some(request) = self.again.pop_front() {
                self.take(request).await;
                continue;
            }
            let busy = !self.watched.is_empty() || !self.adopted;
            let pause = self.shared.pause_after(self.failures, None);
            let pause = if self.failures == 0 { self.shared.config.poll } else { pause };
            tokio::select! {
                request = self.requests.recv() => match request {
                    Some(request) => self.take(request).await,
                    None => return,
                },
                () = self.shared.pause(&mut self.wakes, pause), if busy => {
                    self.wakes.mark_unchanged();
                    match self.look().await {
                        Ok(()) if self.failures > 0 => {
                            self.failures = 0;
                            tracing::info!(account = %self.account.address, "transactions are watched again");
                        }
                        Ok(()) => {}
                        Err(error) => self.failed(&error),
                    }
                }
            }
        }
    }

    // Submissions -----------------------------------------------------------------------------------------------------

    async fn take(&mut self, request: Request) {
        match self.place(&request).await {
            Ok(Place::Landed(landed)) => request.answer(Ok(landed)),
            Ok(Place::At(nonce)) => match self.watched.get_mut(&nonce) {
                Some(watched) if watched.waiting.len() < MAX_QUEUE => watched.waiting.push(request),
                _ => request.answer(Err(Trouble::down("too many wait for this transaction").into())),
            },
            Err(error) => request.answer(Err(error)),
        }
    }

    /// Finds the transaction of a submission, or makes it.
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
            return self.begin(request, content, Call { from, to, value, data }).await.map(Place::At);
        };
        if sending.content != content {
            return Err(SubmitError::KeyReused { party: self.account.address, key: request.key.clone() });
        }
        let nonce = sending.nonce;
        if let Outcome::Landed { transaction, .. } = sending.outcome
            && let Some(receipt) = self.shared.rpc.receipt(transaction).await?
            && receipt.succeeded()
            && self.shared.is_canonical(receipt.block(), receipt.block_hash).await?
            && let Some(landed) = self.landing(&receipt).await?
        {
            return Ok(Place::Landed(landed));
        }
        // Undone, or not there yet: watching it finds out.
        self.watched.entry(nonce).or_insert_with(|| Watched::new(sending));
        Ok(Place::At(nonce))
    }

    /// Tries a command out, writes its transaction down, and broadcasts it.
    async fn begin(&mut self, request: &Request, content: B256, call: Call) -> Result<u64, SubmitError> {
        if self.watched.len() >= MAX_WATCHED {
            return Err(Trouble::down(format!("{MAX_WATCHED} transactions are on their way; wait for some")).into());
        }
        let rpc = &self.shared.rpc;
        // What is signed is made of what the node says now, so it must be the right chain's.
        let (chain, wallet) = tokio::join!(self.shared.check_chain(), rpc.balance(call.from));
        chain?;
        let wallet = AttoFil(wallet?.saturating_to());
        if wallet < request.value {
            return Err(SubmitError::Unaffordable { account: call.from, wallet, needed: request.value });
        }
        let estimate = match rpc.estimate(&call).await {
            Ok(estimate) => estimate,
            Err(Trouble::Refused(refusal)) => return Err(self.refused(&refusal, wallet, request.value)),
            Err(trouble) => return Err(trouble.into()),
        };
        let gas = fees::limit(&self.shared, &request.command, estimate).await?;
        let price = self.affordable_price().await?;
        let nonce = self.next_nonce().await?;
        let draft = Draft {
            chain_id: self.shared.config.chain_id,
            nonce,
            gas,
            to: call.to,
            value: call.value,
            data: call.data,
        };
        let reserved = fees::reserved(&self.shared.deployment, request.reserve, gas).saturating_mul(price.max_fee);
        let needed = self.committed().saturating_add(draft.cost(price.max_fee).0).saturating_add(reserved);
        let needed = AttoFil(needed);
        if wallet < needed {
            return Err(SubmitError::Unaffordable { account: call.from, wallet, needed });
        }
        let attempt = self.sign(&draft, price)?;
        let sending =
            Sending { key: request.key.clone(), content, nonce, attempts: vec![attempt], outcome: Outcome::Pending };
        self.shared.journal.begin(self.account, &sending).await.map_err(storage)?;
        self.watched.insert(nonce, Watched::new(sending));
        // It is written down: what goes wrong from here on is made good by watching it.
        if let Err(error) = self.broadcast(nonce).await {
            tracing::warn!(nonce, %error, "a transaction could not be broadcast; it will be tried again");
        }
        Ok(nonce)
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
    async fn affordable_price(&self) -> Result<Price, SubmitError> {
        let price = Price::now(&self.shared.rpc).await?;
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

    /// The nonce for the next transaction: after ours, and after those that others sent with this key.
    async fn next_nonce(&mut self) -> Result<u64, SubmitError> {
        let rpc = &self.shared.rpc;
        let (chain, used) = tokio::join!(self.shared.check_chain(), rpc.count(self.account.address, None));
        chain?;
        let used = used?;
        let queued = rpc.pending_count(self.account.address).await?;
        let ours = self.shared.journal.next_nonce(self.account).await.map_err(storage)?.unwrap_or_default();
        if used < ours && !self.watched.contains_key(&used) {
            self.adopt_from(used).await?;
        }
        Ok(ours.max(used).max(queued))
    }

    /// What a transaction came to; `None` while the node does not know all of it.
    async fn landing(&self, receipt: &Receipt) -> Result<Option<Landed>, SubmitError> {
        let contract = self.shared.config.contract;
        let logs = self.shared.rpc.logs_of(contract, receipt.block_hash).await?;
        let Some(header) = self.shared.rpc.block_with_hash(receipt.block_hash).await? else { return Ok(None) };
        let mut events = Vec::new();
        let mut index = 0;
        for (position, log) in logs.iter().enumerate() {
            if log.transaction_hash == receipt.transaction_hash {
                let event =
                    bindings::event(&log.content()).map_err(|error| TransportError::Malformed(error.to_string()))?;
                events.push(event);
                // Bounded by what one answer holds.
                index = position as u32 + 1;
            }
        }
        if events.len() != receipt.logs.iter().filter(|log| log.address == contract).count() {
            return Ok(None);
        }
        let cursor = Cursor { block: receipt.block(), block_hash: receipt.block_hash, index };
        let time = lota_market::Time(header.timestamp());
        Ok(Some(Landed { transaction: receipt.transaction_hash, cursor, time, events }))
    }
}

/// Where a submission is.
enum Place {
    /// It landed before.
    Landed(Landed),
    /// It is watched under this nonce.
    At(u64),
}
