//! What is in no block yet: broadcast, again or with a higher fee, or given up.

use std::time::Instant;

use lota_market::{AttoFil, B256};

use super::{
    LOOKS_BEFORE_HELD_BACK, LOOKS_BEFORE_LOST, MAX_FAILURES, MAX_REFUSALS, Objection, SendError, Sender, Watched,
    fees::{self, Draft, Price},
    objection,
};
use crate::{
    evm::chain::{At, CallRequest, Fees, Header, RpcError},
    journal::{MAX_ATTEMPTS, TransactionOutcome},
};

/// Where the node has the account's next transaction.
enum Whereabouts {
    /// In its pool.
    Pool,
    /// Nowhere.
    Lost,
    /// Among those that wait for an earlier one, which there is not.
    HeldBack,
}

impl Sender {
    /// A nonce that is in no block: broadcast, again or with a higher fee.
    pub(super) async fn look_at_unused(
        &mut self,
        nonce: u64,
        used: u64,
        latest: &Header,
        is_short: bool,
    ) -> Result<(), SendError> {
        let Some(watched) = self.watched.get_mut(&nonce) else { return Ok(()) };
        (watched.missing, watched.missing_since) = (0, None);
        if let TransactionOutcome::Landed { block, block_hash, .. } = watched.sending.outcome {
            let since = *watched.unseen_since.get_or_insert_with(Instant::now);
            let is_behind = latest.number() < block && since.elapsed() < self.chain.config().fees.patience;
            if is_behind || self.chain.is_canonical(block, block_hash).await? {
                // Another node knew of it: this one is behind, and sending again would be of no use.
                return Ok(());
            }
            self.chain.check_id().await?;
            let Some(watched) = self.watched.get_mut(&nonce) else { return Ok(()) };
            tracing::info!(nonce, "a reorganisation undid a transaction; it is sent again");
            watched.sent = None;
            self.settle(nonce, TransactionOutcome::Pending).await?;
        }
        let Fees { patience, repeat, .. } = self.chain.config().fees;
        let Some(watched) = self.watched.get(&nonce) else { return Ok(()) };
        let is_next = nonce == used;
        let is_stuck = is_next && (watched.cheap || watched.made.elapsed() >= patience);
        if is_stuck
            && watched.sending.outcome == TransactionOutcome::Pending
            && watched.sending.attempts.len() < MAX_ATTEMPTS
        {
            return self.raise(nonce).await;
        }
        if watched.is_leaving {
            return Ok(());
        }
        let is_due = watched.sent.is_none_or(|sent| sent.elapsed() >= repeat);
        if is_due {
            self.broadcast(nonce);
        } else if is_next && !is_short {
            match self.whereabouts(watched, used).await? {
                Whereabouts::Pool => {}
                Whereabouts::Lost => self.broadcast(nonce),
                Whereabouts::HeldBack => return self.raise(nonce).await,
            }
        }
        Ok(())
    }

    /// What the node made of the newest version of the account's next transaction, if it took it a while ago. All later ones wait
    /// for it, and Anvil does both.
    async fn whereabouts(&self, watched: &Watched, used: u64) -> Result<Whereabouts, RpcError> {
        let Some(newest) = watched.sending.attempts.last() else { return Ok(Whereabouts::Pool) };
        let has_been = watched.sent.map_or_else(Default::default, |sent| sent.elapsed());
        let poll = self.chain.config().poll;
        if has_been < poll * LOOKS_BEFORE_LOST {
            return Ok(Whereabouts::Pool);
        }
        if !self.chain.knows(newest.hash).await? {
            return Ok(Whereabouts::Lost);
        }
        // Once only: a node that counts nothing that waits must not make the fees rise.
        let is_first = watched.sending.attempts.len() == 1;
        if is_first
            && has_been >= poll * LOOKS_BEFORE_HELD_BACK
            && self.chain.pending_count(self.account.address).await? <= used
        {
            return Ok(Whereabouts::HeldBack);
        }
        Ok(Whereabouts::Pool)
    }

    /// Makes a version with higher fees, writes it down and broadcasts it.
    async fn raise(&mut self, nonce: u64) -> Result<(), SendError> {
        let Some(before) = self.watched.get(&nonce).and_then(|watched| watched.sending.attempts.last()) else {
            return Ok(());
        };
        let price = Price::now(&self.chain).await?.replacing(before);
        if self.chain.config().fees.max_fee.is_some_and(|limit| price.max_fee > limit) {
            self.broadcast(nonce);
            return Ok(());
        }
        let Some(draft) = Draft::of(before) else { return Ok(()) };
        tracing::info!(
            nonce,
            max_fee = price.max_fee,
            "a transaction waits too long; it is replaced by one with a higher fee"
        );
        self.add(nonce, &draft, price).await
    }

    /// A payment of nothing to oneself, which uses a nonce up.
    pub(super) async fn nothing(&self, nonce: u64) -> Result<(Draft, Price), SendError> {
        let me = Some(self.account.address);
        let request = CallRequest { from: me, to: me, ..CallRequest::default() };
        let gas = fees::with_margin(self.chain.estimate(&request).await?);
        let price = Price::now(&self.chain).await?;
        let (chain_id, value, data) = (self.chain.id(), AttoFil::ZERO, request.data);
        Ok((Draft { chain_id, nonce, gas, to: me, value, data }, price))
    }

    /// Gives the nonce of a transaction that the node will not take to nothing: later ones wait for it.
    async fn fill(&mut self, nonce: u64) -> Result<(), SendError> {
        let (draft, price) = self.nothing(nonce).await?;
        self.add(nonce, &draft, price).await
    }

    async fn add(&mut self, nonce: u64, draft: &Draft, price: Price) -> Result<(), SendError> {
        let attempt = self.sign(draft, price)?;
        self.journal.add_attempt(self.account, nonce, &attempt).await?;
        if let Some(watched) = self.watched.get_mut(&nonce) {
            watched.sending.attempts.push(attempt);
            (watched.made, watched.cheap, watched.refusals) = (Instant::now(), false, 0);
        }
        self.broadcast(nonce);
        Ok(())
    }

    /// Broadcasts the newest version, after those that were handed over before.
    pub(super) fn broadcast(&mut self, nonce: u64) {
        let Some(watched) = self.watched.get_mut(&nonce) else { return };
        let Some(newest) = watched.sending.attempts.last() else { return };
        watched.is_leaving = true;
        self.chain.sightings().want(newest.hash);
        self.lane.send(nonce, newest.raw.clone());
    }

    /// Takes the node's answer to a broadcast.
    pub(super) async fn was_sent(&mut self, nonce: u64, sent: Option<Result<B256, RpcError>>) {
        let Some(watched) = self.watched.get_mut(&nonce) else { return };
        watched.is_leaving = false;
        let Some(sent) = sent else {
            watched.sent = None;
            return;
        };
        let Err(error) = self.weigh(nonce, sent).await else {
            self.unsent = 0;
            return;
        };
        self.unsent = self.unsent.saturating_add(1);
        tracing::info!(%error, "a transaction could not be broadcast; it will be tried again");
        if self.unsent >= MAX_FAILURES || !error.is_temporary() {
            self.watched.values_mut().for_each(|watched| watched.answer(&Err(error.clone())));
        }
    }

    /// What the node's answer to a broadcast means.
    async fn weigh(&mut self, nonce: u64, sent: Result<B256, RpcError>) -> Result<(), SendError> {
        let Some(watched) = self.watched.get_mut(&nonce) else { return Ok(()) };
        let Some(attempt) = watched.sending.attempts.last() else { return Ok(()) };
        let refusal = match sent {
            Ok(_) => {
                (watched.sent, watched.refusals, watched.poor) = (Some(Instant::now()), 0, false);
                return Ok(());
            }
            Err(RpcError::Refused(refusal)) => refusal,
            Err(error) => {
                watched.sent = None;
                return Err(error.into());
            }
        };
        watched.sent = Some(Instant::now());
        match objection(&refusal) {
            Objection::Known => {}
            // By something else, if ours never came there.
            Objection::NonceUsed => self.counted = None,
            Objection::Cheap => watched.cheap = true,
            Objection::Funds => {
                let needed = Draft::of(attempt).map_or(AttoFil::ZERO, |draft| draft.cost(attempt.max_fee));
                let account = self.account.address;
                let wallet = self.chain.balance(account, At::Latest).await?;
                self.purse = Some(wallet.0);
                if !std::mem::replace(&mut watched.poor, true) {
                    tracing::info!(%account, %wallet, %needed, "too little money for gas; sending waits for more");
                }
                watched.answer(&Err(SendError::Unaffordable { account, wallet, needed }));
            }
            Objection::Other => {
                watched.refusals += 1;
                watched.sent = None;
                tracing::warn!(nonce, message = refusal.message, "the node refuses a transaction");
                if watched.refusals >= MAX_REFUSALS {
                    let error = SendError::Failed(format!("the node will not take it: {}", refusal.message));
                    watched.answer(&Err(error));
                    return self.fill(nonce).await;
                }
            }
        }
        Ok(())
    }
}
