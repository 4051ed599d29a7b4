//! What is on its way: found in a block, broadcast again, replaced, or given up.

use std::time::Instant;

use futures::{FutureExt as _, StreamExt as _, stream};
use lota_market::{Address, AttoFil, B256, U256, agent::EffectKey};

use super::{
    LOOKS_BEFORE_LOST, MAX_AHEAD, MAX_FAILURES, MAX_REFUSALS, MIN_MISSING, Objection, Sender, Watched,
    findings::Findings, objection, storage,
};
use crate::{
    JournalError,
    evm::{
        Fees,
        fees::{Draft, Price},
        rpc::{Call, Header, Receipt, Trouble},
    },
    journal::{MAX_ATTEMPTS, Outcome, Sending},
    transport::{Landed, SubmitError},
};

/// What was found to have become of a transaction, and what those who wait for it are told.
type Finding = (u64, Outcome, Result<Landed, SubmitError>);

impl Sender {
    /// Counts a failure; those who wait are told when there were some.
    pub(super) fn failed(&mut self, error: &SubmitError) {
        self.failures = self.failures.saturating_add(1);
        if self.failures == 1 {
            tracing::info!(account = %self.account.address, %error, "transactions cannot be watched; trying again");
        } else {
            tracing::debug!(account = %self.account.address, %error, "transactions cannot be watched");
        }
        if self.failures >= MAX_FAILURES || !error.is_temporary() {
            self.watched.values_mut().for_each(|watched| watched.answer(&Err(error.clone())));
        }
    }

    /// Takes up what an earlier process left unsettled.
    pub(super) async fn adopt(&mut self) -> Result<(), SubmitError> {
        let latest = self.shared.latest().await?;
        let settled = self.shared.settled(&latest).await?;
        let used = self.shared.rpc.count(self.account.address, Some(settled.number())).await?;
        self.adopt_from(used).await?;
        self.adopted = true;
        Ok(())
    }

    pub(super) async fn adopt_from(&mut self, nonce: u64) -> Result<(), SubmitError> {
        for sending in self.shared.journal.since(self.account, nonce).await.map_err(storage)? {
            self.watched.entry(sending.nonce).or_insert_with(|| Watched::new(sending));
        }
        Ok(())
    }

    /// Looks after everything that is on its way.
    pub(super) async fn look(&mut self) -> Result<(), SubmitError> {
        if !self.adopted {
            self.adopt().await?;
        }
        let used = async { Ok(self.shared.rpc.count(self.account.address, None).await?) };
        let (latest, used) = tokio::try_join!(self.shared.latest(), used)?;
        let settled = self.shared.settled(&latest).await?;
        if self.is_gap(used) {
            // A reorganisation gave nonces back that were settled: without them nothing later can land.
            self.adopt_from(used).await?;
        }
        self.close_gap(used).await?;
        let findings = Findings::gather(&self.shared, self.watched.range(..used)).await?;
        let mut found = Vec::new();
        for nonce in self.watched.range(..used).map(|(nonce, _)| *nonce).collect::<Vec<_>>() {
            found.extend(self.look_at_used(nonce, &settled, &findings).await?);
        }
        self.conclude(found, &settled).await?;
        for nonce in self.watched.range(used..).map(|(nonce, _)| *nonce).collect::<Vec<_>>() {
            self.look_at_unused(nonce, used, &latest).await?;
        }
        Ok(())
    }

    /// Writes down what was found, and tells those who wait.
    async fn conclude(&mut self, found: Vec<Finding>, settled: &Header) -> Result<(), SubmitError> {
        if found.is_empty() {
            return Ok(());
        }
        let outcomes: Vec<_> = found.iter().map(|(nonce, outcome, _)| (*nonce, *outcome)).collect();
        match self.shared.journal.settle_all(self.account, &outcomes).await {
            Ok(()) => outcomes.iter().for_each(|(nonce, outcome)| self.remember(*nonce, *outcome)),
            // One of them cannot be: the others can.
            Err(JournalError::KeyTaken(_)) => {
                for (nonce, outcome) in outcomes {
                    self.settle(nonce, outcome).await?;
                }
            }
            Err(error) => return Err(storage(error)),
        }
        for (nonce, outcome, answer) in found {
            let Some(watched) = self.watched.get_mut(&nonce) else { continue };
            watched.answer(&answer);
            if let Outcome::Landed { block, .. } = outcome {
                (watched.missing, watched.missing_since) = (0, None);
                if watched.sending.outcome == outcome && block <= settled.number() {
                    self.watched.remove(&nonce);
                }
            }
        }
        Ok(())
    }

    fn remember(&mut self, nonce: u64, outcome: Outcome) {
        if let Some(watched) = self.watched.get_mut(&nonce) {
            watched.sending.outcome = outcome;
        }
    }

    /// Whether everything that is watched waits for a nonce that is not.
    fn is_gap(&self, used: u64) -> bool {
        self.watched.keys().next().is_some_and(|lowest| used < *lowest)
    }

    /// Uses a nonce up that something else had taken and then dropped.
    async fn close_gap(&mut self, used: u64) -> Result<(), SubmitError> {
        if !self.is_gap(used) {
            self.gap = None;
            return Ok(());
        }
        let since = *self.gap.get_or_insert_with(Instant::now);
        if since.elapsed() < self.shared.config.fees.patience
            || self.shared.rpc.pending_count(self.account.address).await? > used
        {
            return Ok(());
        }
        self.shared.check_chain().await?;
        tracing::warn!(nonce = used, account = %self.account.address, "nobody uses this nonce, and later ones wait for it; it is used for nothing");
        let (draft, price) = self.nothing(used).await?;
        let key = EffectKey::named(&format!("gap/{used}"));
        let attempts = vec![self.sign(&draft, price)?];
        let sending = Sending { key, content: Default::default(), nonce: used, attempts, outcome: Outcome::Pending };
        self.shared.journal.begin(self.account, &sending).await.map_err(storage)?;
        self.watched.insert(used, Watched::new(sending));
        self.gap = None;
        Ok(())
    }

    async fn settle(&mut self, nonce: u64, outcome: Outcome) -> Result<(), SubmitError> {
        match self.shared.journal.settle(self.account, nonce, outcome).await {
            // A failed one that a reorganisation brought back, and whose effect was begun anew meanwhile.
            Err(JournalError::KeyTaken(_)) => return Ok(()),
            other => other.map_err(storage)?,
        }
        self.remember(nonce, outcome);
        Ok(())
    }

    /// A nonce that is in a block: by which version, or by what else?
    async fn look_at_used(
        &mut self,
        nonce: u64,
        settled: &Header,
        findings: &Findings,
    ) -> Result<Option<Finding>, SubmitError> {
        let Some(watched) = self.watched.get_mut(&nonce) else { return Ok(None) };
        watched.unseen_since = None;
        if let Outcome::Landed { block, block_hash, .. } = watched.sending.outcome
            && watched.waiting.is_empty()
            && findings.is_canonical(block, block_hash)
        {
            if block <= settled.number() {
                self.watched.remove(&nonce);
            }
            return Ok(None);
        }
        if watched.sending.outcome == Outcome::Failed {
            self.forget_if_settled(nonce, settled).await?;
            return Ok(None);
        }
        match findings.receipt(nonce) {
            Some(receipt) => Ok(self.found(nonce, receipt, findings).await),
            None => self.missing(nonce, settled).await.map(|()| None),
        }
    }

    async fn forget_if_settled(&mut self, nonce: u64, settled: &Header) -> Result<(), SubmitError> {
        if self.shared.rpc.count(self.account.address, Some(settled.number())).await? > nonce {
            self.watched.remove(&nonce);
        }
        Ok(())
    }

    /// One version is in a block.
    async fn found(&self, nonce: u64, receipt: &Receipt, findings: &Findings) -> Option<Finding> {
        let watched = self.watched.get(&nonce)?;
        let transaction = receipt.transaction_hash;
        let version = watched.sending.attempts.iter().find(|attempt| attempt.hash == transaction);
        let draft = version.and_then(Draft::of)?;
        let is_filler = draft.to == self.account.address;
        if receipt.succeeded() && !is_filler {
            // Not all of the node may know the block yet: then the next look does.
            let landed = findings.landed(transaction)?.clone();
            let (block, block_hash) = (receipt.block(), receipt.block_hash);
            return Some((nonce, Outcome::Landed { transaction, block, block_hash }, Ok(landed)));
        }
        let error = if is_filler {
            SubmitError::Failed("the node would not take it; its nonce was used for nothing".into())
        } else {
            self.why(&draft, receipt).await
        };
        Some((nonce, Outcome::Failed, Err(error)))
    }

    /// Why a transaction failed: what the same call says on the state after its block.
    async fn why(&self, draft: &Draft, receipt: &Receipt) -> SubmitError {
        let (from, to, value, data) = (self.account.address, draft.to, draft.value, draft.data.clone());
        match self.shared.rpc.call_at(&Call { from, to, value, data }, receipt.block()).await {
            Err(Trouble::Refused(refusal)) => self.refused(&refusal, AttoFil::ZERO, AttoFil::ZERO),
            _ => SubmitError::Failed(format!(
                "transaction {} was reverted in block {}, and the state after it does not say why; it may be tried again",
                receipt.transaction_hash,
                receipt.block()
            )),
        }
    }

    /// The nonce is used, but by none of our versions, as far as the node knows.
    async fn missing(&mut self, nonce: u64, settled: &Header) -> Result<(), SubmitError> {
        let Some(watched) = self.watched.get_mut(&nonce) else { return Ok(()) };
        watched.missing = watched.missing.saturating_add(1);
        if watched.missing < MIN_MISSING
            || self.shared.rpc.count(self.account.address, Some(settled.number())).await? <= nonce
        {
            return Ok(());
        }
        let patience = self.shared.config.fees.patience;
        let Some(watched) = self.watched.get_mut(&nonce) else { return Ok(()) };
        let since = *watched.missing_since.get_or_insert_with(Instant::now);
        let hashes: Vec<_> = watched.sending.attempts.iter().map(|attempt| attempt.hash).collect();
        for hash in hashes {
            // Known, and its receipt is not there yet: sent again it could be done twice.
            if since.elapsed() < patience && self.shared.rpc.knows(hash).await? {
                return Ok(());
            }
        }
        self.shared.check_chain().await?;
        tracing::warn!(nonce, account = %self.account.address, "a nonce was used by a transaction from elsewhere");
        self.settle(nonce, Outcome::Failed).await?;
        if let Some(watched) = self.watched.remove(&nonce) {
            self.again.extend(watched.waiting);
        }
        Ok(())
    }

    /// A nonce that is in no block: broadcast, again or with a higher fee.
    async fn look_at_unused(&mut self, nonce: u64, used: u64, latest: &Header) -> Result<(), SubmitError> {
        let Some(watched) = self.watched.get_mut(&nonce) else { return Ok(()) };
        (watched.missing, watched.missing_since) = (0, None);
        if let Outcome::Landed { block, block_hash, .. } = watched.sending.outcome {
            let since = *watched.unseen_since.get_or_insert_with(Instant::now);
            let is_behind = latest.number() < block && since.elapsed() < self.shared.config.fees.patience;
            if is_behind || self.shared.is_canonical(block, block_hash).await? {
                // Another node knew of it: this one is behind, and sending again would be of no use.
                return Ok(());
            }
            self.shared.check_chain().await?;
            let Some(watched) = self.watched.get_mut(&nonce) else { return Ok(()) };
            tracing::info!(nonce, "a reorganisation undid a transaction; it is sent again");
            watched.sent = None;
            self.settle(nonce, Outcome::Pending).await?;
        }
        let Fees { patience, repeat, .. } = self.shared.config.fees;
        let Some(watched) = self.watched.get(&nonce) else { return Ok(()) };
        let is_next = nonce == used;
        let is_stuck = is_next && (watched.cheap || watched.made.elapsed() >= patience);
        if is_stuck && watched.sending.outcome == Outcome::Pending && watched.sending.attempts.len() < MAX_ATTEMPTS {
            return self.raise(nonce).await;
        }
        let is_due = watched.sent.is_none_or(|sent| sent.elapsed() >= repeat);
        if is_due || is_next && self.is_lost(watched).await? {
            return self.broadcast(nonce).await;
        }
        Ok(())
    }

    /// Whether the node took the newest version a while ago and has dropped it since, for which all later ones wait. Anvil does so
    /// with a transaction that it comes to before the one with the nonce below.
    async fn is_lost(&self, watched: &Watched) -> Result<bool, SubmitError> {
        let is_new = watched.sent.is_none_or(|sent| sent.elapsed() < self.shared.config.poll * LOOKS_BEFORE_LOST);
        match watched.sending.attempts.last() {
            Some(attempt) if !is_new => Ok(!self.shared.rpc.knows(attempt.hash).await?),
            _ => Ok(false),
        }
    }

    /// Makes a version with higher fees, writes it down and broadcasts it.
    async fn raise(&mut self, nonce: u64) -> Result<(), SubmitError> {
        let Some(before) = self.watched.get(&nonce).and_then(|watched| watched.sending.attempts.last()) else {
            return Ok(());
        };
        let price = Price::now(&self.shared.rpc).await?.replacing(before);
        if self.shared.config.fees.max_fee.is_some_and(|limit| price.max_fee > limit) {
            return self.broadcast(nonce).await;
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
    async fn nothing(&self, nonce: u64) -> Result<(Draft, Price), SubmitError> {
        let me: Address = self.account.address;
        let call = Call { from: me, to: me, value: U256::ZERO, data: Default::default() };
        let gas = self.shared.rpc.estimate(&call).await?;
        let price = Price::now(&self.shared.rpc).await?;
        let (chain_id, gas) = (self.shared.config.chain_id, gas.saturating_add(gas / 4));
        Ok((Draft { chain_id, nonce, gas, to: me, value: U256::ZERO, data: call.data }, price))
    }

    /// Gives the nonce of a transaction that the node will not take to nothing: later ones wait for it.
    async fn fill(&mut self, nonce: u64) -> Result<(), SubmitError> {
        let (draft, price) = self.nothing(nonce).await?;
        self.add(nonce, &draft, price).await
    }

    async fn add(&mut self, nonce: u64, draft: &Draft, price: Price) -> Result<(), SubmitError> {
        let attempt = self.sign(draft, price)?;
        self.shared.journal.add_attempt(self.account, nonce, &attempt).await.map_err(storage)?;
        if let Some(watched) = self.watched.get_mut(&nonce) {
            watched.sending.attempts.push(attempt);
            (watched.made, watched.cheap, watched.refusals) = (Instant::now(), false, 0);
        }
        self.broadcast(nonce).await
    }

    /// Broadcasts the newest version.
    async fn broadcast(&mut self, nonce: u64) -> Result<(), SubmitError> {
        self.broadcast_all(&[nonce]).await
    }

    /// Broadcasts the newest versions, in the order of their nonces. All are tried; the first error is returned.
    pub(super) async fn broadcast_all(&mut self, nonces: &[u64]) -> Result<(), SubmitError> {
        let newest = nonces.iter().filter_map(|nonce| {
            let raw = self.watched.get(nonce)?.sending.attempts.last()?.raw.clone();
            let (nonce, shared) = (*nonce, self.shared.clone());
            Some(async move { (nonce, shared.rpc.send_raw(&raw).await) }.boxed())
        });
        let sent: Vec<_> = stream::iter(newest.collect::<Vec<_>>()).buffered(MAX_AHEAD).collect().await;
        let mut result = Ok(());
        for (nonce, sent) in sent {
            result = result.and(self.was_sent(nonce, sent).await);
        }
        result
    }

    /// Takes the node's answer to a broadcast.
    async fn was_sent(&mut self, nonce: u64, sent: Result<B256, Trouble>) -> Result<(), SubmitError> {
        let Some(watched) = self.watched.get_mut(&nonce) else { return Ok(()) };
        let Some(attempt) = watched.sending.attempts.last() else { return Ok(()) };
        let refusal = match sent {
            Ok(_) => {
                (watched.sent, watched.refusals, watched.poor) = (Some(Instant::now()), 0, false);
                return Ok(());
            }
            Err(Trouble::Refused(refusal)) => refusal,
            Err(trouble) => return Err(trouble.into()),
        };
        watched.sent = Some(Instant::now());
        match objection(&refusal) {
            Objection::Known | Objection::NonceUsed => {}
            Objection::Cheap => watched.cheap = true,
            Objection::Funds => {
                let needed = Draft::of(attempt).map_or(AttoFil::ZERO, |draft| draft.cost(attempt.max_fee));
                let account = self.account.address;
                let wallet = AttoFil(self.shared.rpc.balance(account).await?.saturating_to());
                if !std::mem::replace(&mut watched.poor, true) {
                    tracing::info!(%account, %wallet, %needed, "too little money for gas; sending waits for more");
                }
                watched.answer(&Err(SubmitError::Unaffordable { account, wallet, needed }));
            }
            Objection::Other => {
                watched.refusals += 1;
                watched.sent = None;
                tracing::warn!(nonce, message = refusal.message, "the node refuses a transaction");
                if watched.refusals >= MAX_REFUSALS {
                    let error = SubmitError::Failed(format!("the node will not take it: {}", refusal.message));
                    watched.answer(&Err(error));
                    return Box::pin(self.fill(nonce)).await;
                }
            }
        }
        Ok(())
    }
}
