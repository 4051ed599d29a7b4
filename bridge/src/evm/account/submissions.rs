//! What is to be sent: found among what was sent before, or tried out, signed, written down and broadcast.

use std::{collections::BTreeSet, time::Instant};

use futures::{FutureExt as _, StreamExt as _, stream};
use lota_market::{AttoFil, B256};

use super::{
    COUNT_AGE, Call, Landed, MAX_CALLS, MAX_PENDING, MAX_QUEUE, Objection, Request, Reserve, SendError, Sender,
    Watched,
    fees::{self, Draft, Price},
    findings, objection,
};
use crate::{
    evm::chain::{At, Header, Refusal, RpcError},
    journal::{Attempt, Sending, TransactionOutcome},
};

impl Sender {
    /// Takes submissions that came together.
    pub(super) async fn take(&mut self, round: Vec<Request>) {
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
        let pending = self.under_way().filter(|watched| !watched.has_landed()).count();
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
        if let Some(most) = call.max_gas.filter(|most| gas > *most) {
            return Err(SendError::TooMuchGas { needed: gas, most });
        }
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
    pub(super) fn refused(&self, refusal: Refusal, block: Option<u64>, wallet: AttoFil, needed: AttoFil) -> SendError {
        if objection(&refusal) == Objection::Funds {
            return SendError::Unaffordable { account: self.account.address, wallet, needed };
        }
        SendError::Refused { refusal, block }
    }

    pub(super) fn sign(&self, draft: &Draft, price: Price) -> Result<Attempt, SendError> {
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
        let pending = self.under_way().filter(|watched| watched.sending.outcome == TransactionOutcome::Pending);
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
