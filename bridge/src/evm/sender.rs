//! The one task that sends for an account: nonces in order, everything written down before it is broadcast.

mod findings;
mod pending;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use alloy::primitives::keccak256;
use futures::{FutureExt as _, StreamExt as _, stream};
use lota_market::{AttoFil, B256, U256, agent::EffectKey, model::Command};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    bindings::{self, Revert},
    fees::{self, Draft, Price},
    rpc::{Call, Refusal, Trouble},
    shared::{self, Shared},
};
use crate::{
    JournalError, PrivateKeySigner,
    journal::{Account, MAX_PAGE, Outcome, Sending},
    transport::{Landed, Reserve, SubmitError, TransportError},
};

/// The most submissions that wait for their turn.
pub(super) const MAX_QUEUE: usize = 256;
/// The most transactions that are watched at once; more are refused for the time being.
const MAX_WATCHED: usize = MAX_PAGE;
/// The most submissions that are begun together: they share what is asked about the account, and one write to the disk.
const MAX_ROUND: usize = 64;
/// The most calls to the node that wait for their answers at once.
const MAX_CALLS: usize = 16;
/// The most broadcasts that wait for their answers at once; the nonces of those that overtake another are ahead of the account's
/// by less, and nodes take no transaction that is far ahead (Lotus: more than 4).
const MAX_AHEAD: usize = 4;
/// How often a nonce must be seen used, with none of our receipts, before it counts as used by something else.
const MIN_MISSING: u32 = 3;
/// After so many polls without a block that holds it, the node is asked whether it still has a transaction.
const LOOKS_BEFORE_LOST: u32 = 4;
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
    /// Submissions that are looked at once more: their nonce was used by something else, or another one of their key was
    /// just begun.
    again: Vec<Request>,
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
    let (watched, again) = (BTreeMap::new(), Vec::new());
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
        let mut round = Vec::new();
        loop {
            if !self.again.is_empty() {
                let again = std::mem::take(&mut self.again);
                self.take(again).await;
            }
            let busy = !self.watched.is_empty() || !self.adopted;
            let pause = self.shared.pause_after(self.failures, None);
            let pause = if self.failures == 0 { self.shared.config.poll } else { pause };
            tokio::select! {
                count = self.requests.recv_many(&mut round, MAX_ROUND) => {
                    if count == 0 {
                        return;
                    }
                    self.take(std::mem::take(&mut round)).await;
                }
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
        let room = MAX_WATCHED.saturating_sub(self.watched.len()).min(fresh.len());
        for late in fresh.drain(room..) {
            let many = format!("{MAX_WATCHED} transactions are on their way; wait for some");
            late.request.answer(Err(Trouble::down(many).into()));
        }
        if fresh.is_empty() {
            return;
        }
        let estimates: Vec<_> = fresh.iter().map(|fresh| self.gas(fresh).boxed()).collect();
        let estimates = stream::iter(estimates).buffered(MAX_CALLS).collect::<Vec<_>>();
        let (means, estimates) = tokio::join!(self.means(), estimates);
        // After them: what another chain said of them would not do on this one.
        let chain = self.shared.check_chain().await;
        let means = match chain.map_err(SubmitError::from).and(means) {
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
        for (fresh, gas) in fresh.into_iter().zip(estimates) {
            match self.sending(&fresh, gas, nonce, &mut committed, &means) {
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
        if let Err(error) = self.broadcast_all(&nonces).await {
            tracing::info!(%error, "transactions could not be broadcast; it will be tried again");
        }
    }

    /// What the account has, and what the chain asks.
    async fn means(&self) -> Result<Means, SubmitError> {
        let (rpc, account) = (&self.shared.rpc, self.account.address);
        let price = async { Ok(self.affordable_price().await) };
        let (balance, price, used, queued) = tokio::try_join!(
            rpc.balance(account),
            price,
            // The nonce comes after ours, and after those that others sent with this key.
            rpc.count(account, None),
            rpc.pending_count(account),
        )?;
        let ours = self.shared.journal.next_nonce(self.account).await.map_err(storage)?.unwrap_or_default();
        Ok(Means { wallet: AttoFil(balance.saturating_to()), price, used, ours, nonce: ours.max(used).max(queued) })
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
