//! What is on its way: found in a block, broadcast again, replaced, or given up.

use std::time::Instant;

use lota_market::{Address, AttoFil, B256, agent::EffectKey};

use super::{
    LOOKS_ALIKE, LOOKS_BEFORE_HELD_BACK, LOOKS_BEFORE_LOST, Landed, MAX_FAILURES, MAX_LANDED, MAX_REFUSALS,
    MIN_MISSING, Objection, SendError, Sender, Watched,
    fees::{self, Draft, Price},
    findings::Findings,
    objection,
};
use crate::{
    JournalError,
    evm::chain::{At, CallRequest, Config, Fees, Header, Receipt, RpcError, Sighting},
    journal::{MAX_ATTEMPTS, MAX_PAGE, Sending, TransactionOutcome},
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

/// What was found to have become of a transaction, and what those who wait for it are told.
type Finding = (u64, TransactionOutcome, Result<Landed, SendError>);

impl Sender {
    /// Counts a failure; those who wait are told when there were some.
    pub(super) fn failed(&mut self, error: &SendError) {
        self.chain.doubt();
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

    /// Takes up what an earlier process left.
    pub(super) async fn adopt(&mut self) -> Result<(), SendError> {
        let latest = self.chain.latest().await?;
        let finalized = self.chain.finalized(&latest, true).await?;
        let used = self.used_at(finalized).await?;
        self.adopt_from(used).await?;
        self.adopted = true;
        Ok(())
    }

    pub(super) async fn adopt_from(&mut self, nonce: u64) -> Result<(), SendError> {
        let mut next = nonce;
        loop {
            let page = self.journal.since(self.account, next).await?;
            let is_last = page.len() < MAX_PAGE;
            for sending in page {
                next = sending.nonce + 1;
                self.watched.entry(sending.nonce).or_insert_with(|| Watched::new(sending));
            }
            if is_last {
                self.forget_oldest();
                return Ok(());
            }
        }
    }

    /// How many of the account's transactions are in blocks up to a number.
    async fn used_at(&self, block: u64) -> Result<u64, RpcError> {
        // Nodes may have nothing to say of an epoch without blocks.
        let header = self.chain.at_or_below(block).await?;
        self.chain.count(self.account.address, At::Block(header.number())).await
    }

    /// Lets go of the oldest transactions that landed, if too many wait to be final. One that a reorganisation undoes after all is
    /// sent again when it is submitted again.
    fn forget_oldest(&mut self) {
        let landed = self.watched.values().filter(|watched| watched.has_landed()).count();
        let oldest = self.watched.iter().filter(|(_, watched)| watched.has_landed()).map(|(nonce, _)| *nonce);
        let oldest: Vec<_> = oldest.take(landed.saturating_sub(MAX_LANDED)).collect();
        for nonce in oldest {
            self.let_go(nonce);
        }
    }

    /// Looks after everything that is on its way.
    pub(super) async fn look(&mut self) -> Result<(), SendError> {
        if !self.adopted {
            self.adopt().await?;
        }
        if self.rests().await? {
            return Ok(());
        }
        let latest = self.chain.recent().await?;
        let finalized = self.chain.finalized(&latest, true).await?;
        let is_alike = self.seen.replace(latest.hash) == Some(latest.hash);
        self.alike = if is_alike { self.alike.saturating_add(1) } else { 0 };
        // Without a new block nothing can have landed, but the node may not have said all of the last one.
        let is_short = !self.alike.is_multiple_of(LOOKS_ALIKE)
            && self.watched.range(..self.used).all(|(_, watched)| watched.has_landed());
        if !is_short {
            self.used = self.chain.count(self.account.address, At::Latest).await?;
        }
        let used = self.used;
        if self.is_gap(used) {
            // A reorganisation gave nonces back that were used for good: without them nothing later can land.
            self.adopt_from(used).await?;
        }
        self.close_gap(used).await?;
        let findings = Findings::gather(&self.chain, self.watched.range(..used)).await?;
        let mut found = Vec::new();
        for nonce in self.watched.range(..used).map(|(nonce, _)| *nonce).collect::<Vec<_>>() {
            found.extend(self.look_at_used(nonce, finalized, &findings).await?);
        }
        self.conclude(found, finalized).await?;
        for nonce in self.watched.range(used..).map(|(nonce, _)| *nonce).collect::<Vec<_>>() {
            self.look_at_unused(nonce, used, &latest, is_short).await?;
        }
        Ok(())
    }

    /// Whether everything landed in blocks of which it is known that they are on the chain; what is final is watched no more.
    async fn rests(&mut self) -> Result<bool, SendError> {
        let &Config { poll, block_time, .. } = self.chain.config();
        let known = self.chain.headers().within(block_time + 2 * poll);
        let Some(known) = known else { return Ok(false) };
        let mut landed = Vec::new();
        for (nonce, watched) in &self.watched {
            match watched.sending.outcome {
                TransactionOutcome::Landed { block, block_hash, .. }
                    if watched.has_landed() && self.chain.headers().holds(block, block_hash) == Some(true) =>
                {
                    landed.push((*nonce, block));
                }
                _ => return Ok(false),
            }
        }
        let finalized = self.chain.finalized(&known, true).await?;
        for (nonce, _) in landed.into_iter().filter(|(_, block)| *block <= finalized) {
            self.let_go(nonce);
        }
        Ok(true)
    }

    /// Takes up what the reader came across.
    pub(super) async fn take_sighted(&mut self) {
        let mut found = Vec::new();
        for (nonce, watched) in &self.watched {
            let mut versions = watched.sending.attempts.iter().rev();
            let Some(sighting) = versions.find_map(|version| self.chain.sightings().take(version.hash)) else {
                continue;
            };
            let suffices = |from: Option<Address>| from.is_some_and(|from| sighting.complete.contains(&from));
            if !watched.waiting.iter().all(|request| suffices(request.call.result_from)) {
                // Somebody waits for all of its logs.
                self.next_look = Instant::now();
                continue;
            }
            let Sighting { transaction, block, block_hash, time, logs, .. } = sighting;
            let landed = Landed { transaction, block, block_hash, time, logs, created: None, fee: None };
            found.push((*nonce, TransactionOutcome::Landed { transaction, block, block_hash }, Ok(landed)));
        }
        if found.is_empty() {
            return;
        }
        let finalized = match self.chain.recent().await {
            Ok(latest) => self.chain.finalized(&latest, true).await.unwrap_or_default(),
            Err(_) => 0,
        };
        if let Err(error) = self.conclude(found, finalized).await {
            self.failed(&error);
        }
    }

    /// Writes down what was found, and tells those who wait.
    async fn conclude(&mut self, found: Vec<Finding>, finalized: u64) -> Result<(), SendError> {
        if found.is_empty() {
            return Ok(());
        }
        let outcomes: Vec<_> = found.iter().map(|(nonce, outcome, _)| (*nonce, *outcome)).collect();
        outcomes.iter().for_each(|(nonce, _)| self.pay(*nonce));
        match self.journal.settle_all(self.account, &outcomes).await {
            Ok(()) => outcomes.iter().for_each(|(nonce, outcome)| self.remember(*nonce, *outcome)),
            // One of them cannot be: the others can.
            Err(JournalError::KeyTaken(_)) => {
                for (nonce, outcome) in outcomes {
                    self.settle(nonce, outcome).await?;
                }
            }
            Err(error) => return Err(error.into()),
        }
        for (nonce, outcome, answer) in found {
            let Some(watched) = self.watched.get_mut(&nonce) else { continue };
            watched.answer(&answer);
            if let TransactionOutcome::Landed { block, .. } = outcome {
                (watched.missing, watched.missing_since) = (0, None);
                if watched.sending.outcome == outcome && block <= finalized {
                    self.let_go(nonce);
                }
            }
        }
        self.forget_oldest();
        Ok(())
    }

    /// Takes what a transaction cost at most out of what the account has at least.
    fn pay(&mut self, nonce: u64) {
        let newest = self.watched.get(&nonce).filter(|watched| watched.sending.outcome == TransactionOutcome::Pending);
        let cost = newest.and_then(|watched| watched.sending.attempts.last()).and_then(|newest| {
            let draft = Draft::of(newest)?;
            Some(draft.cost(newest.max_fee).0)
        });
        self.purse = self.purse.map(|purse| purse.saturating_sub(cost.unwrap_or_default()));
    }

    /// Watches a transaction no more.
    fn let_go(&mut self, nonce: u64) -> Option<Watched> {
        let watched = self.watched.remove(&nonce)?;
        watched.sending.attempts.iter().for_each(|version| self.chain.sightings().forget(version.hash));
        Some(watched)
    }

    fn remember(&mut self, nonce: u64, outcome: TransactionOutcome) {
        if let Some(watched) = self.watched.get_mut(&nonce) {
            watched.sending.outcome = outcome;
        }
    }

    /// Whether everything that is watched waits for a nonce that is not.
    fn is_gap(&self, used: u64) -> bool {
        self.watched.keys().next().is_some_and(|lowest| used < *lowest)
    }

    /// Uses a nonce up that something else had taken and then dropped.
    async fn close_gap(&mut self, used: u64) -> Result<(), SendError> {
        if !self.is_gap(used) {
            self.gap = None;
            return Ok(());
        }
        let since = *self.gap.get_or_insert_with(Instant::now);
        if since.elapsed() < self.chain.config().fees.patience
            || self.chain.pending_count(self.account.address).await? > used
        {
            return Ok(());
        }
        self.chain.check_id().await?;
        tracing::warn!(nonce = used, account = %self.account.address, "nobody uses this nonce, and later ones wait for it; it is used for nothing");
        let (draft, price) = self.nothing(used).await?;
        let key = EffectKey::named(&format!("gap/{used}"));
        let attempts = vec![self.sign(&draft, price)?];
        let sending =
            Sending { key, content: Default::default(), nonce: used, attempts, outcome: TransactionOutcome::Pending };
        self.journal.begin(self.account, &sending).await?;
        self.watched.insert(used, Watched::new(sending));
        self.gap = None;
        Ok(())
    }

    async fn settle(&mut self, nonce: u64, outcome: TransactionOutcome) -> Result<(), SendError> {
        match self.journal.settle(self.account, nonce, outcome).await {
            // A failed one that a reorganisation brought back, and whose effect was begun anew meanwhile.
            Err(JournalError::KeyTaken(_)) => return Ok(()),
            other => other?,
        }
        self.remember(nonce, outcome);
        Ok(())
    }

    /// A nonce that is in a block: by which version, or by what else?
    async fn look_at_used(
        &mut self,
        nonce: u64,
        finalized: u64,
        findings: &Findings,
    ) -> Result<Option<Finding>, SendError> {
        let Some(watched) = self.watched.get_mut(&nonce) else { return Ok(None) };
        watched.unseen_since = None;
        if let TransactionOutcome::Landed { block, block_hash, .. } = watched.sending.outcome
            && watched.waiting.is_empty()
            && findings.is_canonical(block, block_hash)
        {
            if block <= finalized {
                self.let_go(nonce);
            }
            return Ok(None);
        }
        if watched.sending.outcome == TransactionOutcome::Failed {
            self.forget_if_final(nonce, finalized).await?;
            return Ok(None);
        }
        match findings.receipt(nonce) {
            Some(receipt) => Ok(self.found(nonce, receipt, findings).await),
            None => self.missing(nonce, finalized).await.map(|()| None),
        }
    }

    async fn forget_if_final(&mut self, nonce: u64, finalized: u64) -> Result<(), SendError> {
        if self.used_at(finalized).await? > nonce {
            self.let_go(nonce);
        }
        Ok(())
    }

    /// One version is in a block.
    async fn found(&self, nonce: u64, receipt: &Receipt, findings: &Findings) -> Option<Finding> {
        let watched = self.watched.get(&nonce)?;
        let transaction = receipt.transaction_hash;
        let version = watched.sending.attempts.iter().find(|attempt| attempt.hash == transaction);
        let draft = version.and_then(Draft::of)?;
        let is_filler = draft.content() != watched.sending.content;
        if receipt.succeeded() && !is_filler {
            // Not all of the node may know the block yet: then the next look does.
            let landed = findings.landed(transaction)?.clone();
            let (block, block_hash) = (receipt.block(), receipt.block_hash);
            return Some((nonce, TransactionOutcome::Landed { transaction, block, block_hash }, Ok(landed)));
        }
        let error = if is_filler {
            SendError::Failed("the node would not take it; its nonce was used for nothing".into())
        } else {
            self.why(&draft, receipt).await
        };
        Some((nonce, TransactionOutcome::Failed, Err(error)))
    }

    /// Why a transaction failed: what the same call says on the state after its block.
    async fn why(&self, draft: &Draft, receipt: &Receipt) -> SendError {
        let (to, value, data) = (draft.to, draft.value, draft.data.clone());
        let request = CallRequest { from: Some(self.account.address), to, value, data };
        match self.chain.call(&request, At::Block(receipt.block())).await {
            Err(RpcError::Refused(refusal)) => {
                self.refused(refusal, Some(receipt.block()), AttoFil::ZERO, AttoFil::ZERO)
            }
            _ => SendError::Failed(format!(
                "transaction {} was reverted in block {}, and the state after it does not say why; it may be tried again",
                receipt.transaction_hash,
                receipt.block()
            )),
        }
    }

    /// The nonce is used, but by none of our versions, as far as the node knows.
    async fn missing(&mut self, nonce: u64, finalized: u64) -> Result<(), SendError> {
        let Some(watched) = self.watched.get_mut(&nonce) else { return Ok(()) };
        watched.missing = watched.missing.saturating_add(1);
        if watched.missing < MIN_MISSING || self.used_at(finalized).await? <= nonce {
            return Ok(());
        }
        let patience = self.chain.config().fees.patience;
        let Some(watched) = self.watched.get_mut(&nonce) else { return Ok(()) };
        let since = *watched.missing_since.get_or_insert_with(Instant::now);
        let hashes: Vec<_> = watched.sending.attempts.iter().map(|attempt| attempt.hash).collect();
        for hash in hashes {
            // Known, and its receipt is not there yet: sent again it could be done twice.
            if since.elapsed() < patience && self.chain.knows(hash).await? {
                return Ok(());
            }
        }
        self.chain.check_id().await?;
        tracing::warn!(nonce, account = %self.account.address, "a nonce was used by a transaction from elsewhere");
        self.settle(nonce, TransactionOutcome::Failed).await?;
        // Nobody knows what it cost, and what it did besides.
        (self.purse, self.counted) = (None, None);
        if let Some(watched) = self.let_go(nonce) {
            self.again.extend(watched.waiting);
        }
        Ok(())
    }

    /// A nonce that is in no block: broadcast, again or with a higher fee.
    async fn look_at_unused(
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
    async fn nothing(&self, nonce: u64) -> Result<(Draft, Price), SendError> {
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
